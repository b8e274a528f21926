//! Resources, computed with as Mesos does: scalars with three decimals, ranges and sets exactly.
//!
//! Two resources are *of one kind* when name, type, reservations, disk, revocability, sharing, provider and allocation
//! all agree; only those add up. Persistent volumes, and disks that are used by one alone, are taken as a whole; a shared
//! volume may be there in several copies. Everything is kept in the format with reservation refinement (`reservations`),
//! whichever format was read.
//!
//! | to | there is |
//! | --- | --- |
//! | read and write | [`Resources::parse`], [`Resources::to_text`], `from_json`, `to_json`, [`Resources::from_protos`], [`Resources::to_protos`] |
//! | compute | `+`, `-`, [`Resources::contains`], [`Resources::checked_sub`], [`Resources::find`] |
//! | look | [`Resources::scalar`], [`Resources::ranges`], [`Resources::items`], [`Resources::named`], [`Resources::reserved_for`], … |
//! | reserve | [`Resources::push_reservation`], [`Resources::pop_reservation`], [`Resources::flatten`] |
//! | launch | [`Resources::take`] what a [`Request`] asks for |
//! | foresee | [`Resources::apply`] an operation, [`Resources::left_of`] an offer |
//!
//! Source: `src/common/resources.cpp` and `src/common/values.cpp` of Apache Mesos 1.11.0.

mod amount;
mod bare;
mod conversion;
mod entry;
mod find;
mod format;
#[cfg(feature = "json")]
mod json;
mod kind;
mod lookup;
mod operation;
mod parse;
#[cfg(feature = "local")]
mod parts;
pub(crate) mod ranges;
mod request;
mod reservations;
pub(crate) mod role;
mod shortage;
mod take;
mod text;
mod validate;

use std::fmt;

pub(crate) use bare::bare;
#[cfg(feature = "local")]
pub(crate) use conversion::{Conversion, conversions};
use entry::Entry;
pub(crate) use entry::shown as shown_resource;
#[cfg(feature = "local")]
pub(crate) use format::to_endpoint;
pub(crate) use format::upgrade;
pub use request::Request;
pub(crate) use reservations::{is_dynamically_reserved, reservation_role};
pub use shortage::{Missing, Shortage, Shortages};
pub use take::Taken;

use crate::error::Result;
use crate::proto;

/// A bag of resources: each kind once, nothing empty.
///
/// Cheap to clone: bags that are made of each other share what says of which kinds they are.
///
/// # Examples
/// ```
/// use mesos_framework::resources::Resources;
///
/// let agent = Resources::parse("cpus:4;mem:4096;ports:[31000-31999]")?;
/// let task = Resources::parse("cpus:0.1;ports:[31005-31005]")?;
/// assert!(agent.contains(&task));
/// assert_eq!(
///     (agent - task).to_string(),
///     "cpus:3.9; mem:4096; ports:[31000-31004, 31006-31999]"
/// );
/// # Ok::<(), mesos_framework::Error>(())
/// ```
///
/// Source: `Resources`, `include/mesos/v1/resources.hpp`.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    /// Each kind once, no empty amount; in the order in which Mesos would keep them.
    entries: Vec<Entry>,
}

impl Resources {
    /// No resources at all.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// Takes over messages, in either reservation format. Those of nothing vanish.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) as of [`validate`](Self::validate).
    pub fn from_protos(resources: &[proto::Resource]) -> Result<Self> {
        Self::validate(resources)?;
        Ok(Self::from_unchecked(resources))
    }

    /// Takes over messages that are known to be valid, such as those of an offer; those without an amount vanish.
    ///
    /// Two that are of one kind become one, so that overlapping ranges count once.
    #[must_use]
    pub fn from_unchecked(resources: &[proto::Resource]) -> Self {
        let mut sum = Self::new();
        for resource in resources {
            if let Some(entry) = Entry::from_proto(resource) {
                sum.add_entry(entry);
            }
        }
        sum
    }

    /// As messages in the format with reservation refinement, as frameworks with that capability get them.
    ///
    /// Shared volumes come once, however many copies there are.
    #[must_use]
    pub fn to_protos(&self) -> Vec<proto::Resource> {
        self.entries.iter().map(Entry::to_proto).collect()
    }

    /// As messages in the older format, as frameworks without `RESERVATION_REFINEMENT` get them; refined reservations,
    /// which that format cannot say, are left out.
    #[must_use]
    pub fn to_unrefined_protos(&self) -> Vec<proto::Resource> {
        let refined = self.entries.iter();
        refined
            .filter_map(|entry| format::downgrade(entry.to_proto()))
            .collect()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether all of `other` is in here, kind by kind.
    ///
    /// Source: `Resources::contains`, `src/common/resources.cpp`.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.entries.iter().enumerate().all(|(at, wanted)| {
            if kind::is_persistent_volume(&wanted.kind) {
                return self.contains_volume(wanted, &other.entries[..at]);
            }
            // Both often list the same kinds in the same order.
            let counterpart = self.entries.get(at);
            counterpart.is_some_and(|entry| entry.contains(wanted))
                || self.entries.iter().any(|entry| entry.contains(wanted))
        })
    }

    /// Whether the volume is there, once more than among `before`. Volumes of other kinds count apart, for what holds one
    /// holds its equals only.
    fn contains_volume(&self, volume: &Entry, before: &[Entry]) -> bool {
        let holders = self.entries.iter().filter(|own| own.contains(volume));
        let used = before.iter().filter(|own| own.contains(volume));
        holders.count() > used.count()
    }

    /// What is left when `other` is taken away, if all of it is there.
    ///
    /// # Errors
    /// What of `other` is not there.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::resources::Resources;
    ///
    /// let all = Resources::parse("cpus:2;mem:64")?;
    /// assert_eq!(all.checked_sub(&Resources::parse("cpus:2")?)?.to_string(), "mem:64");
    /// let short = all.checked_sub(&Resources::parse("cpus:1;mem:160")?).unwrap_err();
    /// assert_eq!(short.to_string(), "short of mem by 96");
    /// # Ok::<(), mesos_framework::Error>(())
    /// ```
    pub fn checked_sub(&self, other: &Self) -> Result<Self, Shortages> {
        if self.contains(other) {
            return Ok(self.clone() - other);
        }
        let mut rest = self.clone();
        let mut missing = Vec::new();
        for wanted in &other.entries {
            let entry = rest.entries.iter().find(|own| own.is_subtractable(wanted));
            if entry.is_none_or(|own| !own.contains(wanted)) {
                missing.push(Shortage::of(wanted, entry.map(|own| &own.amount)));
            }
            rest.subtract_entry(wanted);
        }
        Err(missing.into())
    }

    /// The same amounts, each marked as allocated to `role`.
    #[must_use]
    pub fn allocated_to(&self, role: &str) -> Self {
        let info = proto::resource::AllocationInfo {
            role: Some(role.to_owned()),
        };
        self.changed(|kind| kind.allocation_info.clone_from(&Some(info.clone())))
    }

    /// The same amounts without mark of allocation.
    #[must_use]
    pub fn unallocated(&self) -> Self {
        self.changed(|kind| kind.allocation_info = None)
    }

    /// The same, but one copy of each shared volume.
    fn once_each(&self) -> Self {
        let entries = self.entries.iter();
        Self {
            entries: entries
                .map(|own| own.with_amount(own.amount.clone()))
                .collect(),
        }
    }

    /// The same amounts of changed kinds.
    fn changed(&self, change: impl Fn(&mut proto::Resource)) -> Self {
        let mut sum = Self::new();
        for entry in &self.entries {
            sum.add_entry(entry.changed(&change));
        }
        sum
    }

    fn add_entry(&mut self, added: Entry) {
        if added.is_empty() {
            return;
        }
        let mut own = self.entries.iter_mut();
        match own.find(|entry| entry.is_addable(&added)) {
            Some(entry) => entry.add(&added),
            None => self.entries.push(added),
        }
    }

    /// As Mesos does, the last takes the place of one that is used up.
    fn subtract_entry(&mut self, taken: &Entry) {
        let mut own = self.entries.iter();
        let Some(at) = own.position(|entry| entry.is_subtractable(taken)) else {
            return;
        };
        self.entries[at].subtract(taken);
        if self.entries[at].is_empty() {
            self.entries.swap_remove(at);
        }
    }
}

#[cfg(feature = "local")]
pub(crate) fn is_role_or_above(reserved: &str, role: &str) -> bool {
    role == reserved || role::is_below(role, reserved)
}

/// The same amounts, in whatever order.
impl PartialEq for Resources {
    fn eq(&self, other: &Self) -> bool {
        self.contains(other) && other.contains(self)
    }
}

impl std::ops::AddAssign<&Self> for Resources {
    fn add_assign(&mut self, other: &Self) {
        for entry in &other.entries {
            self.add_entry(entry.clone());
        }
    }
}

impl std::ops::AddAssign for Resources {
    fn add_assign(&mut self, other: Self) {
        for entry in other.entries {
            self.add_entry(entry);
        }
    }
}

impl std::ops::Add for Resources {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl std::ops::Add<&Self> for Resources {
    type Output = Self;

    fn add(mut self, other: &Self) -> Self {
        self += other;
        self
    }
}

impl std::iter::Sum for Resources {
    fn sum<I: Iterator<Item = Self>>(bags: I) -> Self {
        bags.fold(Self::new(), |sum, bag| sum + bag)
    }
}

/// Takes away what is there: never below nothing. [`checked_sub`](Resources::checked_sub) says what was not there.
impl std::ops::SubAssign<&Self> for Resources {
    fn sub_assign(&mut self, other: &Self) {
        for entry in &other.entries {
            self.subtract_entry(entry);
        }
    }
}

impl std::ops::Sub for Resources {
    type Output = Self;

    fn sub(mut self, other: Self) -> Self {
        self -= &other;
        self
    }
}

impl std::ops::Sub<&Self> for Resources {
    type Output = Self;

    fn sub(mut self, other: &Self) -> Self {
        self -= other;
        self
    }
}

/// The text in which Mesos prints them: `cpus(allocated: web):1; mem:512`, and `{}` for none. Beside
/// [`to_text`](Resources::to_text), which can be read again, it tells of everything.
impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.entries.is_empty() {
            return f.write_str("{}");
        }
        for (index, entry) in self.entries.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{entry}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
