//! Resources, computed with as Mesos does: scalars with three decimals, ranges and sets exactly.
//!
//! Two resources are *of one kind* when name, type, reservations, disk, revocability, sharing, provider and allocation
//! all agree; only those add up. Everything is kept in the format with reservation refinement (`reservations`), whichever
//! format was read.
//!
//! Source: `src/common/resources.cpp` and `src/common/values.cpp` of Apache Mesos 1.11.0.

mod amount;
mod format;
mod parse;

use std::fmt;

use amount::Amount;

use crate::error::{Error, ErrorKind, Result};
use crate::proto;

/// A bag of resources: each kind once, nothing empty.
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resources {
    /// Each kind once, no empty amount; in the order in which kinds were first added.
    entries: Vec<Entry>,
}

/// One kind and how much of it.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    /// The resource without its value, in the format with reservation refinement.
    kind: proto::Resource,
    amount: Amount,
}

impl Resources {
    /// No resources at all.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// Reads `resources`, one or more pieces `name:value` or `name(role):value` between `;`.
    ///
    /// A value is a number (`1.5`), ranges (`[1-5, 7-7]`) or a set (`{a, b}`). A role makes a static reservation. Empty
    /// text gives no resources.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the piece that cannot be read.
    ///
    /// Source: `--resources`, `docs/attributes-resources.md`.
    pub fn parse(resources: &str) -> Result<Self> {
        let mut sum = Self::new();
        for piece in parse::pieces(resources) {
            let resource = parse::resource(piece).map_err(|reason| {
                let context = format!("resource '{piece}' cannot be read: {reason}");
                Error::new(ErrorKind::Config, context)
            })?;
            sum.add_proto(&resource);
        }
        Ok(sum)
    }

    /// Takes over messages, in either reservation format.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the resource that is not valid: no name, a value that does not fit the type or is not
    /// positive, overlapping ranges, duplicates in a set, mixed reservation formats.
    pub fn from_protos(resources: &[proto::Resource]) -> Result<Self> {
        let mut sum = Self::new();
        for resource in resources {
            if let Err(reason) = format::validate(resource) {
                let shown = Self::from_unchecked(std::slice::from_ref(resource));
                let context = format!("Resource '{shown}' is invalid: {reason}");
                return Err(Error::new(ErrorKind::Config, context));
            }
            sum.add_proto(resource);
        }
        Ok(sum)
    }

    /// Takes over messages as they come; those without an amount vanish.
    #[must_use]
    pub fn from_unchecked(resources: &[proto::Resource]) -> Self {
        let mut sum = Self::new();
        for resource in resources {
            sum.add_proto(resource);
        }
        sum
    }

    /// As messages in the format with reservation refinement, as frameworks with that capability get them.
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
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.entries.iter().all(|wanted| {
            let mut own = self.entries.iter();
            own.any(|entry| entry.kind == wanted.kind && entry.amount.contains(&wanted.amount))
        })
    }

    /// The sum of the scalars called `name`, whatever their reservations; 0 if there is none.
    #[must_use]
    pub fn scalar(&self, name: &str) -> f64 {
        amount::to_float(self.thousandths(name))
    }

    /// The names of the scalars, each once.
    pub fn scalar_names(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<&str> = self.scalars().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter()
    }

    /// The same amounts, each marked as allocated to `role`.
    #[must_use]
    pub fn allocated_to(&self, role: &str) -> Self {
        let info = proto::resource::AllocationInfo {
            role: Some(role.to_owned()),
        };
        self.with_allocation(Some(&info))
    }

    /// The same amounts without mark of allocation.
    #[must_use]
    pub fn unallocated(&self) -> Self {
        self.with_allocation(None)
    }

    /// What `role` may use: unreserved resources, and those whose innermost reservation is for `role` or one of the roles
    /// above it.
    #[must_use]
    pub fn allocatable_to(&self, role: &str) -> Self {
        let entries = self.entries.iter();
        let entries = entries.filter(|entry| match entry.kind.reservations.last() {
            None => true,
            Some(reservation) => is_role_or_above(reservation.role(), role),
        });
        Self {
            entries: entries.cloned().collect(),
        }
    }

    fn with_allocation(&self, info: Option<&proto::resource::AllocationInfo>) -> Self {
        let mut sum = Self::new();
        for entry in &self.entries {
            let mut entry = entry.clone();
            entry.kind.allocation_info = info.cloned();
            sum.add_entry(entry);
        }
        sum
    }

    fn scalars(&self) -> impl Iterator<Item = (&str, i64)> {
        self.entries.iter().filter_map(|entry| match &entry.amount {
            Amount::Scalar(value) => Some((entry.kind.name.as_str(), *value)),
            _ => None,
        })
    }

    fn thousandths(&self, name: &str) -> i64 {
        let named = self.scalars().filter(|(own, _)| *own == name);
        named.map(|(_, value)| value).sum()
    }

    fn add_proto(&mut self, resource: &proto::Resource) {
        if let Some(entry) = Entry::from_proto(resource) {
            self.add_entry(entry);
        }
    }

    fn add_entry(&mut self, added: Entry) {
        if added.amount.is_empty() {
            return;
        }
        let same = self.entries.iter_mut();
        match same.into_iter().find(|entry| entry.kind == added.kind) {
            Some(entry) => entry.amount.add(&added.amount),
            None => self.entries.push(added),
        }
    }

    fn subtract_entry(&mut self, taken: &Entry) {
        let mut own = self.entries.iter_mut();
        if let Some(entry) = own.find(|entry| entry.kind == taken.kind) {
            entry.amount.subtract(&taken.amount);
        }
        self.entries.retain(|entry| !entry.amount.is_empty());
    }
}

fn is_role_or_above(reserved: &str, role: &str) -> bool {
    match role.strip_prefix(reserved) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

impl Entry {
    fn from_proto(resource: &proto::Resource) -> Option<Self> {
        let amount = Amount::of(resource)?;
        let mut kind = format::upgrade(resource.clone());
        kind.scalar = None;
        kind.ranges = None;
        kind.set = None;
        Some(Self { kind, amount })
    }

    fn to_proto(&self) -> proto::Resource {
        let mut resource = self.kind.clone();
        self.amount.write_to(&mut resource);
        resource
    }
}

impl std::ops::AddAssign<&Self> for Resources {
    fn add_assign(&mut self, other: &Self) {
        for entry in &other.entries {
            self.add_entry(entry.clone());
        }
    }
}

impl std::ops::Add for Resources {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += &other;
        self
    }
}

/// Takes away what is there: never below nothing.
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

/// The text in which Mesos prints them: `cpus(allocated: web):1; mem:512`, and `{}` for none.
impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.entries.is_empty() {
            return f.write_str("{}");
        }
        for (index, entry) in self.entries.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            format::write_kind(&entry.kind, f)?;
            write!(f, ":{}", entry.amount)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
