//! How much of a resource: thousandths, ranges or a set.

use std::collections::BTreeSet;
use std::fmt;

use crate::proto::{self, value};

/// Steps in one unit of a scalar (`src/common/values.cpp`: three decimals).
const STEPS: f64 = 1000.0;

/// Largest scalar, in steps: what a double holds exactly.
const MAX_STEPS: f64 = 9_007_199_254_740_992.0;

/// An amount, exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Amount {
    /// Thousandths.
    Scalar(i64),
    /// Sorted, neither overlapping nor adjoining; both ends inclusive.
    Ranges(Vec<(u64, u64)>),
    Set(BTreeSet<String>),
}

/// Thousandths of `value`; 0 for what is not a number.
#[expect(
    clippy::cast_possible_truncation,
    reason = "rounded and clamped to what a double holds exactly"
)]
pub(super) fn to_thousandths(value: f64) -> i64 {
    if value.is_nan() {
        return 0;
    }
    (value * STEPS).round().clamp(-MAX_STEPS, MAX_STEPS) as i64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "thousandths are within what a double holds exactly"
)]
pub(super) fn to_float(thousandths: i64) -> f64 {
    thousandths as f64 / STEPS
}

impl Amount {
    /// The amount in `resource`; `None` if the field of its type is missing.
    pub(super) fn of(resource: &proto::Resource) -> Option<Self> {
        match value::Type::try_from(resource.r#type).ok()? {
            value::Type::Scalar => {
                let scalar = resource.scalar.as_ref()?;
                Some(Self::Scalar(to_thousandths(scalar.value)))
            }
            value::Type::Ranges => {
                let ranges = &resource.ranges.as_ref()?.range;
                let pairs = ranges.iter().map(|range| (range.begin, range.end));
                Some(Self::Ranges(merged(pairs.collect())))
            }
            value::Type::Set => {
                let items = &resource.set.as_ref()?.item;
                Some(Self::Set(items.iter().cloned().collect()))
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
                let item = items.iter().cloned().collect();
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

    pub(super) fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar(own), Self::Scalar(other)) => own >= other,
            (Self::Ranges(own), Self::Ranges(other)) => other.iter().all(|&(begin, end)| {
                let mut own = own.iter();
                own.any(|&(first, last)| first <= begin && end <= last)
            }),
            (Self::Set(own), Self::Set(other)) => other.is_subset(own),
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
                *own = merged(pairs);
            }
            (Self::Set(own), Self::Set(other)) => own.extend(other.iter().cloned()),
            _ => {}
        }
    }

    /// Takes an amount of the same kind away, as far as it is there.
    pub(super) fn subtract(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(own), Self::Scalar(other)) => *own = own.saturating_sub(*other).max(0),
            (Self::Ranges(own), Self::Ranges(other)) => {
                for &(begin, end) in other {
                    *own = own
                        .iter()
                        .flat_map(|&pair| without(pair, begin, end))
                        .collect();
                }
            }
            (Self::Set(own), Self::Set(other)) => own.retain(|item| !other.contains(item)),
            _ => {}
        }
    }
}

/// Sorted, with what overlaps or adjoins made one.
fn merged(mut pairs: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    pairs.retain(|(begin, end)| begin <= end);
    pairs.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::with_capacity(pairs.len());
    for (begin, end) in pairs {
        match merged.last_mut() {
            Some(last) if begin <= last.1.saturating_add(1) => last.1 = last.1.max(end),
            _ => merged.push((begin, end)),
        }
    }
    merged
}

/// What is left of `pair` when `begin..=end` is taken out.
fn without(pair: (u64, u64), begin: u64, end: u64) -> Vec<(u64, u64)> {
    let (first, last) = pair;
    if end < first || last < begin {
        return vec![pair];
    }
    let mut left = Vec::with_capacity(2);
    if first < begin {
        left.push((first, begin - 1));
    }
    if end < last {
        left.push((end + 1, last));
    }
    left
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(thousandths) => write!(f, "{}", to_float(*thousandths)),
            Self::Ranges(pairs) => {
                let shown: Vec<String> = pairs
                    .iter()
                    .map(|(begin, end)| format!("{begin}-{end}"))
                    .collect();
                write!(f, "[{}]", shown.join(", "))
            }
            Self::Set(items) => {
                let shown: Vec<&str> = items.iter().map(String::as_str).collect();
                write!(f, "{{{}}}", shown.join(", "))
            }
        }
    }
}
