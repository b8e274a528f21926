//! How much of a resource: thousandths, ranges or a set.

use std::collections::BTreeSet;
use std::fmt;

use super::ranges::{self, Pair};
use crate::proto::{self, value};

/// Steps in one unit of a scalar (`src/common/values.cpp`: three decimals).
const STEPS: i64 = 1000;

/// Significant digits with which Mesos prints a scalar.
const DIGITS: usize = 15;

/// An amount, exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Amount {
    /// Thousandths.
    Scalar(i64),
    /// Joined; see [`ranges`].
    Ranges(Vec<Pair>),
    /// Each once, in the order in which they came, as Mesos keeps them.
    Set(Vec<String>),
}

/// Thousandths of `value`; `None` if they do not fit, or it is not a number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "rounded, and within the bounds of the type"
)]
pub(super) fn thousandths(value: f64) -> Option<i64> {
    let steps = (value * STEPS as f64).round();
    (steps.abs() < i64::MAX as f64).then_some(steps as i64)
}

/// The same, where what cannot be said is nothing.
pub(super) fn to_thousandths(value: f64) -> i64 {
    thousandths(value).unwrap_or(0)
}

/// The double nearest to the decimals. (Mesos's may be off by its last bit, which is lost when it is rounded again.)
#[expect(
    clippy::cast_precision_loss,
    reason = "beyond 2^53 a double has no thousandths anyway"
)]
pub(super) fn to_float(thousandths: i64) -> f64 {
    thousandths as f64 / STEPS as f64
}

impl Amount {
    /// The amount in `resource`; `None` if the field of its type is missing.
    pub(super) fn of(resource: &proto::Resource) -> Option<Self> {
        match value::Type::try_from(resource.r#type).ok()? {
            value::Type::Scalar => {
                let scalar = resource.scalar.as_ref()?;
                Some(Self::Scalar(to_thousandths(scalar.value)))
            }
            value::Type::Ranges => Some(Self::Ranges(ranges::merged(pairs(
                resource.ranges.as_ref()?,
            )))),
            value::Type::Set => {
                let mut items = Vec::new();
                join(&mut items, &resource.set.as_ref()?.item);
                Some(Self::Set(items))
            }
            value::Type::Text => None,
        }
    }

    pub(super) fn write_to(&self, resource: &mut proto::Resource) {
        match self {
            Self::Scalar(thousandths) => {
                let value = to_float(*thousandths);
                resource.scalar = Some(value::Scalar { value });
            }
            Self::Ranges(pairs) => {
                let range = pairs
                    .iter()
                    .map(|&(begin, end)| value::Range { begin, end });
                resource.ranges = Some(value::Ranges {
                    range: range.collect(),
                });
            }
            Self::Set(items) => {
                let item = items.clone();
                resource.set = Some(value::Set { item });
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Scalar(thousandths) => *thousandths <= 0,
            Self::Ranges(pairs) => pairs.is_empty(),
            Self::Set(items) => items.is_empty(),
        }
    }

    /// Thousandths; each item of ranges or a set counts as one.
    #[cfg(feature = "local")]
    pub(super) fn count(&self) -> i64 {
        let items = match self {
            Self::Scalar(thousandths) => return *thousandths,
            Self::Ranges(pairs) => ranges::count(pairs),
            Self::Set(items) => items.len() as u64,
        };
        i64::try_from(items)
            .unwrap_or(i64::MAX)
            .saturating_mul(STEPS)
    }

    pub(super) fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar(own), Self::Scalar(other)) => own >= other,
            (Self::Ranges(own), Self::Ranges(other)) => {
                own == other || ranges::contains(own, other)
            }
            (Self::Set(own), Self::Set(other)) => {
                let own: BTreeSet<&String> = own.iter().collect();
                other.iter().all(|item| own.contains(item))
            }
            _ => false,
        }
    }

    /// Adds an amount of the same kind; another kind changes nothing.
    pub(super) fn add(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(own), Self::Scalar(other)) => *own = own.saturating_add(*other),
            (Self::Ranges(own), Self::Ranges(other)) => {
                let mut pairs = std::mem::take(own);
                pairs.extend(other);
                *own = ranges::merged(pairs);
            }
            (Self::Set(own), Self::Set(other)) => join(own, other),
            _ => {}
        }
    }

    /// Takes an amount of the same kind away, as far as it is there.
    pub(super) fn subtract(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(own), Self::Scalar(other)) => *own = own.saturating_sub(*other).max(0),
            (Self::Ranges(own), Self::Ranges(other)) => *own = ranges::without(own, other),
            (Self::Set(own), Self::Set(other)) => {
                let other: BTreeSet<&String> = other.iter().collect();
                own.retain(|item| !other.contains(item));
            }
            _ => {}
        }
    }

    /// What both have; nothing of different kinds.
    pub(super) fn common(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Scalar(own), Self::Scalar(other)) => Self::Scalar(*own.min(other)),
            (Self::Ranges(own), Self::Ranges(other)) => Self::Ranges(ranges::common(own, other)),
            (Self::Set(own), Self::Set(other)) => {
                let other: BTreeSet<&String> = other.iter().collect();
                let both = own.iter().filter(|item| other.contains(item));
                Self::Set(both.cloned().collect())
            }
            _ => Self::Scalar(0),
        }
    }
}

pub(super) fn pairs(ranges: &value::Ranges) -> Vec<Pair> {
    let pairs = ranges.range.iter().map(|range| (range.begin, range.end));
    pairs.collect()
}

/// Adds those of `more` that are not in `items`.
fn join(items: &mut Vec<String>, more: &[String]) {
    let mut seen: BTreeSet<&str> = items.iter().map(String::as_str).collect();
    let new = more.iter().filter(|item| seen.insert(item));
    let new: Vec<String> = new.cloned().collect();
    items.extend(new);
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(thousandths) => f.write_str(&shown_scalar(to_float(*thousandths))),
            Self::Ranges(pairs) => write_ranges(pairs, f),
            Self::Set(items) => write!(f, "{{{}}}", items.join(", ")),
        }
    }
}

pub(super) fn write_ranges(pairs: &[Pair], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("[")?;
    for (index, (begin, end)) in pairs.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        write!(f, "{comma}{begin}-{end}")?;
    }
    f.write_str("]")
}

/// `%.15g` of C.
pub(super) fn shown_scalar(value: f64) -> String {
    let scientific = format!("{:.*e}", DIGITS - 1, value);
    let exponent = scientific
        .split_once('e')
        .and_then(|(digits, exponent)| Some((digits, exponent.parse::<i32>().ok()?)));
    let trimmed = |digits: &str| {
        let digits = digits.trim_end_matches('0');
        digits.trim_end_matches('.').to_owned()
    };
    match exponent {
        Some((digits, exponent)) if !(-4..15).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{}e{sign}{:02}", trimmed(digits), exponent.abs())
        }
        Some((_, exponent)) => {
            let decimals = usize::try_from(14 - exponent).unwrap_or(0);
            let fixed = format!("{value:.decimals$}");
            if fixed.contains('.') {
                trimmed(&fixed)
            } else {
                fixed
            }
        }
        // Infinities and what is no number have no exponent.
        None => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_shown_as_c_does() {
        for (value, shown) in [
            (0.0, "0"),
            (10.0, "10"),
            (0.1, "0.1"),
            (0.001, "0.001"),
            (1234.5, "1234.5"),
            (999_999_999_999_999.0, "999999999999999"),
            (1e15, "1e+15"),
            (9_007_199_254_740_993.0, "9.00719925474099e+15"),
            (123_456_789_012_345.67, "123456789012346"),
        ] {
            assert_eq!(shown_scalar(value), shown);
        }
    }

    #[test]
    fn what_does_not_fit_is_no_amount() {
        assert_eq!(thousandths(0.0005), Some(1));
        assert_eq!(thousandths(-0.0005), Some(-1));
        assert_eq!(thousandths(1e15), Some(1_000_000_000_000_000_000));
        for value in [1e16, 1e300, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            assert_eq!(thousandths(value), None, "{value}");
        }
    }
}
