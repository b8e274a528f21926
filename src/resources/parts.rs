//! Parts and sums of resources, as an allocator needs them.
//!
//! Source: `src/common/resources_utils.cpp` and `src/common/resource_quantities.cpp` of Apache Mesos 1.11.0.

use super::Resources;
use super::amount::Amount;
use crate::proto;

impl Resources {
    pub(crate) fn any(&self, wanted: impl Fn(&proto::Resource) -> bool) -> bool {
        self.entries.iter().any(|entry| wanted(&entry.kind))
    }

    /// Each scalar: its kind, and how many thousandths there are.
    pub(crate) fn scalar_amounts(&self) -> impl Iterator<Item = (&proto::Resource, i64)> {
        self.entries.iter().filter_map(|entry| match &entry.amount {
            Amount::Scalar(thousandths) => Some((&*entry.kind, *thousandths)),
            Amount::Ranges(_) | Amount::Set(_) => None,
        })
    }

    /// Each kind and how many thousandths there are, where an item of ranges or sets counts as one.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&proto::Resource, i64)> {
        let entries = self.entries.iter();
        entries.map(|entry| (&*entry.kind, entry.amount.count()))
    }

    /// At most `room` thousandths of each scalar, by name (`None`: all), in total over all kinds of that name. Other
    /// resources stay out; so do exclusive disks that do not fit whole.
    pub(crate) fn shrunk(&self, room: impl Fn(&str) -> Option<i64>) -> Self {
        let mut shrunk = Self::new();
        for entry in &self.entries {
            let Amount::Scalar(has) = entry.amount else {
                continue;
            };
            let name = entry.kind.name.as_str();
            let left = room(name).map_or(has, |room| room - shrunk.thousandths(name));
            if left <= 0 || (left < has && is_exclusive(&entry.kind)) {
                continue;
            }
            let mut part = entry.clone();
            part.amount = Amount::Scalar(has.min(left));
            shrunk.entries.push(part);
        }
        shrunk
    }
}

/// Whether it is used as a whole or not at all.
fn is_exclusive(kind: &proto::Resource) -> bool {
    use proto::resource::disk_info::source::Type;
    let disk = kind.disk.as_ref();
    disk.is_some_and(|disk| {
        let source = disk.source.as_ref();
        let is_path = source.is_none_or(|source| source.r#type() == Type::Path);
        disk.persistence.is_some() || !is_path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinks_by_name_over_all_kinds() {
        let all = Resources::parse("cpus:2;cpus(a):3;mem:10;ports:[1-2]").unwrap();
        let shrunk = all.shrunk(|name| (name == "cpus").then_some(2_500));
        assert_eq!(shrunk.scalar("cpus"), 2.5);
        assert_eq!(shrunk.scalar("mem"), 10.0);
        assert!(!shrunk.any(|kind| kind.name == "ports"));
        assert!(all.shrunk(|_| Some(0)).is_empty());
    }
}
