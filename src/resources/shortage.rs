//! What is not there of what is wanted.

use std::fmt;
use std::ops::RangeInclusive;

use super::amount::{self, Amount};
use super::entry::{Entry, Kind};
use crate::error::{Error, ErrorKind};

/// One resource of which there is too little.
#[derive(Clone, Debug, PartialEq)]
pub struct Shortage {
    /// Its name: `mem`.
    pub name: String,
    /// Name and marks as Mesos prints them, where the kind matters: `disk[MOUNT:/mnt/1]`; else the name alone.
    pub resource: String,
    /// How much is missing.
    pub missing: Missing,
}

/// How much of a resource is missing.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Missing {
    /// So much of a scalar. Of what is taken as a whole, all of it.
    Scalar(f64),
    /// So many numbers of ranges, whichever.
    Count(u64),
    /// These numbers of ranges: at least one range.
    Ranges(Vec<RangeInclusive<u64>>),
    /// These items of a set: at least one.
    Items(Vec<String>),
    /// The persistent volume of this id.
    Volume(String),
    /// Nothing could satisfy it: what was asked for is negative, too large, or not a number.
    NoAmount(f64),
}

impl Shortage {
    pub(super) fn new(name: &str, missing: Missing) -> Self {
        Self {
            name: name.to_owned(),
            resource: name.to_owned(),
            missing,
        }
    }

    /// What of `wanted` is not in `there`, which is of the same kind.
    pub(super) fn of(wanted: &Entry, there: Option<&Amount>) -> Self {
        let mut amount = wanted.amount.clone();
        if let Some(there) = there {
            amount.subtract(there);
        }
        let missing = match amount {
            Amount::Scalar(thousandths) => Missing::Scalar(amount::to_float(thousandths)),
            Amount::Ranges(pairs) => {
                Missing::Ranges(pairs.into_iter().map(|(begin, end)| begin..=end).collect())
            }
            Amount::Set(items) => Missing::Items(items),
        };
        Self {
            name: wanted.kind.name.clone(),
            resource: Kind(&wanted.kind).to_string(),
            missing,
        }
    }
}

/// `mem by 96`, `2 ports`, `ports [80-80]`.
impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resource = &self.resource;
        match &self.missing {
            Missing::Scalar(value) => {
                write!(f, "{resource} by {}", amount::shown_scalar(*value))
            }
            Missing::Count(count) => write!(f, "{resource} by {count}"),
            Missing::Ranges(ranges) => {
                let pairs: Vec<_> = ranges
                    .iter()
                    .map(|own| (*own.start(), *own.end()))
                    .collect();
                write!(f, "{resource} ")?;
                amount::write_ranges(&pairs, f)
            }
            Missing::Items(items) => write!(f, "{resource} {{{}}}", items.join(", ")),
            Missing::Volume(id) => write!(f, "{resource}: no persistent volume '{id}'"),
            Missing::NoAmount(value) => write!(f, "{resource}: {value} is no amount"),
        }
    }
}

/// All that is missing: at least one resource.
///
/// As an [`Error`] it is an [`ErrorKind::Insufficient`].
#[derive(Clone, Debug, PartialEq)]
pub struct Shortages {
    list: Vec<Shortage>,
}

impl Shortages {
    /// One per resource, in the order in which they were asked for.
    pub fn iter(&self) -> std::slice::Iter<'_, Shortage> {
        self.list.iter()
    }

    /// Whether the resource called `name` is among them.
    #[must_use]
    pub fn is_short_of(&self, name: &str) -> bool {
        self.list.iter().any(|own| own.name == name)
    }
}

impl<'a> IntoIterator for &'a Shortages {
    type Item = &'a Shortage;
    type IntoIter = std::slice::Iter<'a, Shortage>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Shortages {
    type Item = Shortage;
    type IntoIter = std::vec::IntoIter<Shortage>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl From<Vec<Shortage>> for Shortages {
    fn from(list: Vec<Shortage>) -> Self {
        Self { list }
    }
}

/// `short of cpus by 0.5, mem by 96`.
impl fmt::Display for Shortages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("short of ")?;
        for (index, shortage) in self.list.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{shortage}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Shortages {}

impl From<Shortages> for Error {
    fn from(shortages: Shortages) -> Self {
        Self::new(ErrorKind::Insufficient, shortages.to_string())
    }
}
