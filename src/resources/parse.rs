//! Resources from text: `cpus:4;ports(web):[31000-31099];zones:{a,b}`.
//!
//! Source: `Resources::fromSimpleString` and `validateCommandLineResources`, `src/common/resources.cpp`, and
//! `values::parse`, `src/common/values.cpp` of Apache Mesos 1.11.0.

use std::collections::BTreeMap;

use super::entry::Entry;
use super::format::UNRESERVED;
use super::validate::validate;
use super::{Resources, kind, ranges};
use crate::error::{Error, ErrorKind, Result};
use crate::proto::resource::{ReservationInfo, reservation_info};
use crate::proto::{self, value};

/// What Mesos trims from names.
const WHITE_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

impl Resources {
    /// Reads `resources`, any number of pieces `name:value` or `name(role):value` between `;`; or, with feature `json`, a
    /// JSON array as of `from_json`.
    ///
    /// A value is a number (`1.5`), ranges (`[1-5, 7-7]`) or a set (`{a, b}`). A role makes a static reservation. Empty
    /// text gives no resources. This is what agents take as `--resources`: no persistent volumes, nothing revocable or
    /// dynamically reserved, no two types under one name.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the piece that cannot be read, and why, in Mesos's words.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::resources::Resources;
    ///
    /// let agent = Resources::parse("cpus:4; mem(web):512; ports:[80-80, 31000-31999]")?;
    /// assert_eq!(agent.reserved_for("web"), Resources::parse("mem(web):512")?);
    /// let error = Resources::parse("cpus:4;mem:much").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "resource 'mem:much' cannot be read: Bad type for resource mem value much type TEXT"
    /// );
    /// # Ok::<(), mesos_framework::Error>(())
    /// ```
    ///
    /// Source: `Resources::parse`, `include/mesos/v1/resources.hpp`; `--resources`, `docs/attributes-resources.md`.
    pub fn parse(resources: &str) -> Result<Self> {
        Self::parse_for(resources, UNRESERVED)
    }

    /// The same, where a piece without a role is reserved for `default_role`; `*` stands for unreserved.
    ///
    /// # Errors
    /// As of [`parse`](Self::parse).
    ///
    /// Source: `Resources::parse`, `include/mesos/v1/resources.hpp`; `--default_role`, `docs/configuration/agent.md`.
    pub fn parse_for(resources: &str, default_role: &str) -> Result<Self> {
        #[cfg(feature = "json")]
        if resources.trim_start().starts_with('[') {
            let sum = Self::from_json_for(resources, default_role)?;
            return sum.fit_for_command_line();
        }
        let failed = |piece: &str, why: String| {
            let context = format!("resource '{piece}' cannot be read: {why}");
            Error::new(ErrorKind::Config, context)
        };
        let pieces = resources.split(';').filter(|piece| !piece.is_empty());
        // Mesos reads all of them before it looks at any.
        let read = pieces
            .map(|piece| match resource(piece, default_role) {
                Ok(resource) => Ok((piece, resource)),
                Err(why) => Err(failed(piece, why)),
            })
            .collect::<Result<Vec<_>>>()?;
        let mut sum = Self::new();
        for (piece, resource) in read {
            validate(&resource).map_err(|why| failed(piece, why))?;
            if let Some(entry) = Entry::from_proto(&resource) {
                sum.add_entry(entry);
            }
        }
        sum.fit_for_command_line()
    }

    fn fit_for_command_line(self) -> Result<Self> {
        let mut types = BTreeMap::new();
        for entry in &self.entries {
            let own = &*entry.kind;
            let why = if kind::is_persistent_volume(own) {
                "Persistent volumes cannot be specified at the command line".to_owned()
            } else if own.revocable.is_some() {
                "Revocable resources cannot be specified at the command line; do not include a 'revocable' key in the resources JSON".to_owned()
            } else if super::reservations::is_dynamically_reserved(own) {
                "Dynamic reservations cannot be specified at the command line; do not include a reservation with DYNAMIC type in the resources JSON".to_owned()
            } else if *types.entry(own.name.clone()).or_insert(own.r#type) != own.r#type {
                format!(
                    "Resources with the same name ('{}') but different types are not allowed",
                    own.name
                )
            } else {
                continue;
            };
            let context = format!("resource '{entry}' is refused: {why}");
            return Err(Error::new(ErrorKind::Config, context));
        }
        Ok(self)
    }
}

/// One piece, or why it is none; it need not be valid.
pub(super) fn resource(
    piece: &str,
    default_role: &str,
) -> std::result::Result<proto::Resource, String> {
    let mut parts = tokens(piece, &[':']);
    let (Some(head), Some(text), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(format!(
            "Bad value for resources, missing or extra ':' in {piece}"
        ));
    };
    let (name, role) = match (head.find('('), head.find(')')) {
        (None, _) => (head, default_role),
        (Some(open), Some(close)) if open < close => (&head[..open], &head[open + 1..close]),
        (Some(_), _) => {
            return Err(format!(
                "Bad value for resources, mismatched parentheses in {piece}"
            ));
        }
    };
    let (name, role) = (
        name.trim_matches(WHITE_SPACE),
        role.trim_matches(WHITE_SPACE),
    );
    let mut resource = proto::Resource {
        name: name.to_owned(),
        ..Default::default()
    };
    if role != UNRESERVED {
        resource.reservations = vec![ReservationInfo {
            r#type: Some(reservation_info::Type::Static.into()),
            role: Some(role.to_owned()),
            ..Default::default()
        }];
    }
    let is_text = write_value(text, &mut resource)
        .map_err(|why| format!("Failed to parse resource {name} value {text} error {why}"))?;
    if is_text {
        return Err(format!(
            "Bad type for resource {name} value {text} type TEXT"
        ));
    }
    Ok(resource)
}

/// What lies between `separators`, but for what is empty.
fn tokens<'a>(text: &'a str, separators: &'a [char]) -> impl Iterator<Item = &'a str> {
    text.split(separators).filter(|token| !token.is_empty())
}

/// Whether the value is a text, which resources have none of.
fn write_value(text: &str, resource: &mut proto::Resource) -> std::result::Result<bool, String> {
    let text = text.replace(' ', "");
    if text.is_empty() {
        return Err("Expecting non-empty string".to_owned());
    }
    if !are_brackets_matched(&text) {
        return Err("Mismatched brackets".to_owned());
    }
    match (text.find('['), text.find('{')) {
        (Some(0), _) => {
            resource.r#type = value::Type::Ranges.into();
            resource.ranges = Some(ranges_of(&text)?);
        }
        (Some(_), _) => return Err("Unexpected '[' found".to_owned()),
        (None, Some(0)) => {
            let items = tokens(&text, &['{', '}', ',', '\n']);
            resource.r#type = value::Type::Set.into();
            resource.set = Some(value::Set {
                item: items.map(str::to_owned).collect(),
            });
        }
        (None, Some(_)) => return Err("Unexpected '{' found".to_owned()),
        (None, None) => {
            let Ok(value) = text.parse::<f64>() else {
                return Ok(true);
            };
            check_scalar(value).map_err(|why| format!("Invalid scalar value '{text}':{why}"))?;
            resource.r#type = value::Type::Scalar.into();
            resource.scalar = Some(value::Scalar { value });
        }
    }
    Ok(false)
}

/// Whether of each kind no bracket closes that is not open, and none stays open.
fn are_brackets_matched(text: &str) -> bool {
    let mut depths = [0_usize; 3];
    for byte in text.bytes() {
        let (kind, opens) = match byte {
            b'{' => (0, true),
            b'}' => (0, false),
            b'[' => (1, true),
            b']' => (1, false),
            b'(' => (2, true),
            b')' => (2, false),
            _ => continue,
        };
        match depths[kind].checked_sub(usize::from(!opens)) {
            Some(depth) => depths[kind] = depth + usize::from(opens),
            None => return false,
        }
    }
    depths == [0; 3]
}

fn check_scalar(value: f64) -> std::result::Result<(), &'static str> {
    if value.is_infinite() {
        Err("Infinite values not supported")
    } else if value.is_nan() {
        Err("NaN not supported")
    } else if value.is_subnormal() {
        Err("Subnormal values not supported")
    } else if value < 0.0 {
        Err("Negative values not supported")
    } else {
        Ok(())
    }
}

fn ranges_of(text: &str) -> std::result::Result<value::Ranges, String> {
    let bounds: Vec<&str> = tokens(text, &['[', ']', '-', ',', '\n']).collect();
    let (pairs, []) = bounds.as_chunks::<2>() else {
        return Err("Expecting one or more \"ranges\"".to_owned());
    };
    let pairs = pairs.iter().map(|[begin, end]| {
        let pair = number(begin).zip(number(end));
        pair.ok_or_else(|| format!("Expecting non-negative integers in '{begin}'"))
    });
    let pairs = pairs.collect::<std::result::Result<Vec<_>, _>>()?;
    let range = ranges::joined(pairs).into_iter();
    let range = range.map(|(begin, end)| value::Range { begin, end });
    Ok(value::Ranges {
        range: range.collect(),
    })
}

/// Decimal, or hexadecimal after `0x`.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
