//! What there is of which kind.
//!
//! Source: `include/mesos/v1/resources.hpp` of Apache Mesos 1.11.0.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::amount::{self, Amount};
use super::reservations::{is_dynamically_reserved, reservation_role};
use super::{Resources, kind, ranges, role};
use crate::proto::{self, value};

/// Amounts by name, whatever their reservations and other marks.
impl Resources {
    /// The sum of the scalars called `name`; 0 if there is none.
    #[must_use]
    pub fn scalar(&self, name: &str) -> f64 {
        amount::to_float(self.thousandths(name))
    }

    /// [`scalar`](Self::scalar) of `cpus`.
    #[must_use]
    pub fn cpus(&self) -> f64 {
        self.scalar("cpus")
    }

    /// [`scalar`](Self::scalar) of `gpus`.
    #[must_use]
    pub fn gpus(&self) -> f64 {
        self.scalar("gpus")
    }

    /// [`scalar`](Self::scalar) of `mem`, in MB (2^20 bytes).
    #[must_use]
    pub fn mem(&self) -> f64 {
        self.scalar("mem")
    }

    /// [`scalar`](Self::scalar) of `disk`, in MB (2^20 bytes): all disks and volumes.
    #[must_use]
    pub fn disk(&self) -> f64 {
        self.scalar("disk")
    }

    /// The ranges called `name`, ascending and joined; none if there is none.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::resources::Resources;
    ///
    /// let all = Resources::parse("ports:[80-80, 443-443]; ports(web):[81-90]")?;
    /// assert_eq!(all.ranges("ports"), [80..=90, 443..=443]);
    /// # Ok::<(), mesos_framework::Error>(())
    /// ```
    #[must_use]
    pub fn ranges(&self, name: &str) -> Vec<RangeInclusive<u64>> {
        let mut pairs = Vec::new();
        for entry in self.called(name) {
            if let Amount::Ranges(own) = &entry.amount {
                pairs.extend(own);
            }
        }
        let joined = ranges::merged(pairs).into_iter();
        joined.map(|(begin, end)| begin..=end).collect()
    }

    /// [`ranges`](Self::ranges) called `ports`.
    #[must_use]
    pub fn ports(&self) -> Vec<RangeInclusive<u64>> {
        self.ranges("ports")
    }

    /// The items of the sets called `name`, each once; none if there is none.
    #[must_use]
    pub fn items(&self, name: &str) -> BTreeSet<String> {
        let mut items = BTreeSet::new();
        for entry in self.called(name) {
            if let Amount::Set(own) = &entry.amount {
                items.extend(own.iter().cloned());
            }
        }
        items
    }

    /// The names that there are, each once, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.entries.iter().map(|entry| entry.kind.name.as_str());
        names.collect::<BTreeSet<_>>().into_iter()
    }

    /// The names of the scalars, each once, in order.
    pub fn scalar_names(&self) -> impl Iterator<Item = &str> {
        let names = self.scalars().map(|(name, _)| name);
        names.collect::<BTreeSet<_>>().into_iter()
    }

    /// The scalars' sums by name: what is left of them without reservations and other marks.
    ///
    /// Source: `Resources::createStrippedScalarQuantity`.
    #[must_use]
    pub fn scalar_quantities(&self) -> Self {
        let mut sum = Self::new();
        for entry in &self.entries {
            if matches!(entry.amount, Amount::Scalar(_)) {
                let bare = proto::Resource {
                    name: entry.kind.name.clone(),
                    r#type: value::Type::Scalar.into(),
                    ..Default::default()
                };
                sum.add_entry(entry.changed(|kind| *kind = bare));
            }
        }
        sum
    }

    pub(super) fn called(&self, name: &str) -> impl Iterator<Item = &super::Entry> {
        let entries = self.entries.iter();
        entries.filter(move |entry| entry.kind.name == name)
    }

    fn scalars(&self) -> impl Iterator<Item = (&str, i64)> {
        self.entries.iter().filter_map(|entry| match &entry.amount {
            Amount::Scalar(value) => Some((entry.kind.name.as_str(), *value)),
            _ => None,
        })
    }

    pub(super) fn thousandths(&self, name: &str) -> i64 {
        let named = self.called(name).filter_map(|entry| match &entry.amount {
            Amount::Scalar(value) => Some(*value),
            _ => None,
        });
        named.fold(0, i64::saturating_add)
    }
}

/// Parts of a bag.
impl Resources {
    /// Those for whose message, in the format with reservation refinement, `wanted` holds.
    #[must_use]
    pub fn filter(&self, wanted: impl Fn(&proto::Resource) -> bool) -> Self {
        let entries = self.entries.iter();
        let entries = entries.filter(|entry| wanted(&entry.to_proto()));
        Self {
            entries: entries.cloned().collect(),
        }
    }

    /// The same, of messages without their values.
    pub(crate) fn of_kind(&self, wanted: impl Fn(&proto::Resource) -> bool) -> Self {
        let entries = self.entries.iter();
        let entries = entries.filter(|entry| wanted(&entry.kind));
        Self {
            entries: entries.cloned().collect(),
        }
    }

    /// Those called `name`.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        self.of_kind(|kind| kind.name == name)
    }

    /// The reserved ones, for whichever role.
    #[must_use]
    pub fn reserved(&self) -> Self {
        self.of_kind(|kind| !kind.reservations.is_empty())
    }

    /// Those whose innermost reservation is for exactly `role`.
    #[must_use]
    pub fn reserved_for(&self, role: &str) -> Self {
        self.of_kind(|kind| reservation_role(kind) == Some(role))
    }

    /// Those whose innermost reservation was made while the agent ran, and can be taken back.
    #[must_use]
    pub fn dynamically_reserved(&self) -> Self {
        self.of_kind(is_dynamically_reserved)
    }

    /// Those that are not reserved.
    #[must_use]
    pub fn unreserved(&self) -> Self {
        self.of_kind(|kind| kind.reservations.is_empty())
    }

    /// The reserved ones, by the role of their innermost reservation.
    #[must_use]
    pub fn reservations(&self) -> BTreeMap<String, Self> {
        self.grouped(reservation_role)
    }

    /// Those that are allocated, by the role they are allocated to.
    #[must_use]
    pub fn allocations(&self) -> BTreeMap<String, Self> {
        self.grouped(|kind| {
            let info = kind.allocation_info.as_ref();
            info.map(proto::resource::AllocationInfo::role)
        })
    }

    fn grouped(&self, role: impl Fn(&proto::Resource) -> Option<&str>) -> BTreeMap<String, Self> {
        let mut groups: BTreeMap<String, Self> = BTreeMap::new();
        for entry in &self.entries {
            if let Some(role) = role(&entry.kind) {
                let group = groups.entry(role.to_owned()).or_default();
                group.add_entry(entry.clone());
            }
        }
        groups
    }

    /// What `role` may use: unreserved resources, and those whose innermost reservation is for `role` or one of the roles
    /// above it.
    #[must_use]
    pub fn allocatable_to(&self, role: &str) -> Self {
        self.of_kind(|kind| match reservation_role(kind) {
            None => true,
            Some(reserved) => reserved == role || role::is_below(role, reserved),
        })
    }

    /// What may be taken away from its user at any time.
    #[must_use]
    pub fn revocable(&self) -> Self {
        self.of_kind(|kind| kind.revocable.is_some())
    }

    /// All but what is revocable.
    #[must_use]
    pub fn not_revocable(&self) -> Self {
        self.of_kind(|kind| kind.revocable.is_none())
    }

    /// The persistent volumes.
    #[must_use]
    pub fn persistent_volumes(&self) -> Self {
        self.of_kind(kind::is_persistent_volume)
    }

    /// What several may use at once: shared persistent volumes.
    #[must_use]
    pub fn shared(&self) -> Self {
        self.of_kind(|kind| kind.shared.is_some())
    }

    /// All but what several may use at once.
    #[must_use]
    pub fn not_shared(&self) -> Self {
        self.of_kind(|kind| kind.shared.is_none())
    }

    /// How many copies there are of what equals `resource`: at most 1 unless it is shared.
    ///
    /// Source: `Resources::count`.
    #[must_use]
    pub fn copies(&self, resource: &proto::Resource) -> u32 {
        let Some(wanted) = super::Entry::from_proto(resource) else {
            return 0;
        };
        let mut own = self.entries.iter();
        let equal =
            own.find(|own| own.amount == wanted.amount && kind::is_same(&own.kind, &wanted.kind));
        equal.map_or(0, super::Entry::copies)
    }
}
