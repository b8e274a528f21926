//! Values of attributes.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;

use crate::proto::{Attribute, value};
use crate::resources::ranges::{self, Pair};

/// A value that an agent has, or that is asked for.
///
/// Made of `&str`, `String`, `f64` and ranges by `into`; a set by [`Value::set`].
///
/// Source: `Value`, mesos.proto.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Any text.
    Text(String),
    /// A number, with three decimals.
    Scalar(f64),
    /// Ranges of whole numbers.
    Ranges(Vec<RangeInclusive<u64>>),
    /// Items without order, which Mesos's own agents do not have.
    Set(BTreeSet<String>),
}

impl Value {
    /// A set of `items`.
    pub fn set<T: Into<String>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::Set(items.into_iter().map(Into::into).collect())
    }

    /// The value of an attribute; `None` if the field of its type is missing.
    pub(super) fn of(attribute: &Attribute) -> Option<Self> {
        match value::Type::try_from(attribute.r#type).ok()? {
            value::Type::Text => Some(Self::Text(attribute.text.as_ref()?.value.clone())),
            value::Type::Scalar => Some(Self::Scalar(attribute.scalar.as_ref()?.value)),
            value::Type::Ranges => {
                let ranges = attribute.ranges.as_ref()?.range.iter();
                let ranges = ranges.map(|own| own.begin..=own.end);
                Some(Self::Ranges(ranges.collect()))
            }
            value::Type::Set => Some(Self::set(attribute.set.as_ref()?.item.iter().cloned())),
        }
    }

    /// Whether both are equal. Agents take an attribute that looks like a number to be one, so that its text counts, too.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(own), Self::Text(other)) => own == other,
            (Self::Scalar(own), Self::Scalar(other)) => thousandths(*own) == thousandths(*other),
            (Self::Text(text), Self::Scalar(number)) | (Self::Scalar(number), Self::Text(text)) => {
                let read = text.parse::<f64>();
                read.is_ok_and(|own| thousandths(own) == thousandths(*number))
            }
            (Self::Ranges(own), Self::Ranges(other)) => pairs(own) == pairs(other),
            (Self::Set(own), Self::Set(other)) => own == other,
            _ => false,
        }
    }

    /// Whether all numbers or items of `other`, of the same type, are in here.
    pub(super) fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ranges(own), Self::Ranges(other)) => {
                ranges::contains(&pairs(own), &pairs(other))
            }
            (Self::Set(own), Self::Set(other)) => other.is_subset(own),
            _ => false,
        }
    }
}

/// Scalars are compared with three decimals, as Mesos does.
pub(super) fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round()
}

fn pairs(ranges: &[RangeInclusive<u64>]) -> Vec<Pair> {
    let pairs = ranges.iter().map(|own| (*own.start(), *own.end()));
    ranges::merged(pairs.collect())
}

/// As Mesos prints them: `a`, `1.5`, `[1-5]`, `{a, b}`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Scalar(number) => write!(f, "{number}"),
            Self::Ranges(ranges) => {
                let shown = ranges
                    .iter()
                    .map(|own| format!("{}-{}", own.start(), own.end()));
                write!(f, "[{}]", shown.collect::<Vec<_>>().join(", "))
            }
            Self::Set(items) => {
                let shown: Vec<&str> = items.iter().map(String::as_str).collect();
                write!(f, "{{{}}}", shown.join(", "))
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Scalar(number)
    }
}

impl From<RangeInclusive<u64>> for Value {
    fn from(range: RangeInclusive<u64>) -> Self {
        Self::Ranges(vec![range])
    }
}

impl From<Vec<RangeInclusive<u64>>> for Value {
    fn from(ranges: Vec<RangeInclusive<u64>>) -> Self {
        Self::Ranges(ranges)
    }
}
