//! Where a task may be beside others.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::place::{Field, Place, Resident};

/// Where a task of a group may be, as to where others are. The others are those of [`Matcher::residents`], and those that
/// are placed before it in the same call.
///
/// A place that lacks the field satisfies no rule but [`Rule::AwayFrom`].
///
/// [`Matcher::residents`]: super::Matcher::residents
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// At most so many of the task's own group at one value of the field, this one included.
    MaxPer {
        /// What is counted by.
        field: Field,
        /// So many.
        tasks: u32,
    },
    /// Of the task's own group, a value of the field has at most so many more than the one with the fewest. Values count
    /// that are seen among the offers or where the group is already.
    Balanced {
        /// What is counted by.
        field: Field,
        /// At least 1.
        skew: u32,
    },
    /// All of the task's own group at one value of the field, which the first may choose.
    Together {
        /// Of which all have the same value.
        field: Field,
    },
    /// At no value of the field at which one of another group is.
    AwayFrom {
        /// The other group.
        group: String,
        /// Of which they have different values.
        field: Field,
    },
    /// At a value of the field at which one of another group is.
    Near {
        /// The other group.
        group: String,
        /// Of which they have the same value.
        field: Field,
    },
}

impl Rule {
    /// At most `tasks` of the group at one value of `field`.
    #[must_use]
    pub fn max_per(field: Field, tasks: u32) -> Self {
        Self::MaxPer { field, tasks }
    }

    /// One of the group at each value of `field`, at most.
    #[must_use]
    pub fn unique(field: Field) -> Self {
        Self::max_per(field, 1)
    }

    /// Spread over the values of `field`, where they may differ by `skew`.
    #[must_use]
    pub fn balanced(field: Field, skew: u32) -> Self {
        Self::Balanced { field, skew }
    }

    /// All of the group at one value of `field`.
    #[must_use]
    pub fn together(field: Field) -> Self {
        Self::Together { field }
    }

    /// Not where `group` is.
    #[must_use]
    pub fn away_from(group: impl Into<String>, field: Field) -> Self {
        let group = group.into();
        Self::AwayFrom { group, field }
    }

    /// Where `group` is.
    #[must_use]
    pub fn near(group: impl Into<String>, field: Field) -> Self {
        let group = group.into();
        Self::Near { group, field }
    }

    /// The group whose tasks count for a task of `own`, and by what.
    pub(super) fn subject<'a>(&'a self, own: &'a str) -> (&'a str, &'a Field) {
        match self {
            Self::MaxPer { field, .. }
            | Self::Balanced { field, .. }
            | Self::Together { field } => (own, field),
            Self::AwayFrom { group, field } | Self::Near { group, field } => (group, field),
        }
    }

    /// `counts`: of the subject, by value; `fewest`: the least of them, and of all values that are to be seen.
    pub(super) fn holds_at(&self, place: &Place, counts: &Counts, fewest: u32) -> bool {
        let (_, field) = self.subject("");
        let Some(key) = field.key(place) else {
            return matches!(self, Self::AwayFrom { .. });
        };
        let here = counts.get(&key).copied().unwrap_or(0);
        match self {
            Self::MaxPer { tasks, .. } => here < *tasks,
            Self::Balanced { skew, .. } => here.saturating_sub(fewest) < *skew,
            Self::Together { .. } => here > 0 || counts.is_empty(),
            Self::AwayFrom { .. } => here == 0,
            Self::Near { .. } => here > 0,
        }
    }
}

/// `at most 1 per hostname`, `together by zone`, `away from db by hostname`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxPer { field, tasks } => write!(f, "at most {tasks} per {field}"),
            Self::Balanced { field, skew } => write!(f, "balanced by {field} within {skew}"),
            Self::Together { field } => write!(f, "together by {field}"),
            Self::AwayFrom { group, field } => write!(f, "away from {group} by {field}"),
            Self::Near { group, field } => write!(f, "near {group} by {field}"),
        }
    }
}

/// How many there are by value of a field; none that are 0.
pub(super) type Counts = BTreeMap<String, u32>;

/// Who is where.
#[derive(Debug, Default)]
pub(super) struct Census {
    residents: Vec<Resident>,
    /// Of those groups and fields that were asked for.
    counts: HashMap<(String, Field), Counts>,
}

impl Census {
    pub(super) fn new(residents: Vec<Resident>) -> Self {
        Self {
            residents,
            counts: HashMap::new(),
        }
    }

    /// Counts `group` by `field`, from now on.
    pub(super) fn watch(&mut self, group: &str, field: &Field) {
        let key = (group.to_owned(), field.clone());
        let residents = &self.residents;
        self.counts.entry(key).or_insert_with(|| {
            let mut counts = Counts::new();
            for resident in residents.iter().filter(|own| own.group == group) {
                if let Some(key) = field.key(&resident.place) {
                    *counts.entry(key).or_default() += 1;
                }
            }
            counts
        });
    }

    /// Of a group and field that are watched.
    pub(super) fn counts(&self, group: &str, field: &Field) -> &Counts {
        static NONE: Counts = Counts::new();
        let key = (group.to_owned(), field.clone());
        self.counts.get(&key).unwrap_or(&NONE)
    }

    pub(super) fn add(&mut self, resident: Resident) {
        for ((group, field), counts) in &mut self.counts {
            if *group == resident.group
                && let Some(key) = field.key(&resident.place)
            {
                *counts.entry(key).or_default() += 1;
            }
        }
        self.residents.push(resident);
    }
}
