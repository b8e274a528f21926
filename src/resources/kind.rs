//! What makes two resources one kind, and which kinds are taken only as a whole.
//!
//! Source: `addable` and `subtractable`, `src/common/resources.cpp` of Apache Mesos 1.11.0.

use crate::proto::resource::disk_info::{Source, source};
use crate::proto::resource::{DiskInfo, ReservationInfo};
use crate::proto::{Labels, Resource};

/// Whether both are of one kind. Where a volume is mounted and who made it are not part of that.
pub(super) fn is_same(one: &Resource, other: &Resource) -> bool {
    std::ptr::eq(one, other)
        || is_same_but_for_reservations(one, other)
            && are_same(&one.reservations, &other.reservations, is_same_reservation)
}

pub(super) fn is_same_but_for_reservations(one: &Resource, other: &Resource) -> bool {
    one.name == other.name
        && one.r#type == other.r#type
        && one.allocation_info == other.allocation_info
        && is_same_disk(one.disk.as_deref(), other.disk.as_deref())
        && one.revocable.is_some() == other.revocable.is_some()
        && one.provider_id == other.provider_id
        && one.shared.is_some() == other.shared.is_some()
}

fn are_same<T>(one: &[T], other: &[T], is_same: impl Fn(&T, &T) -> bool) -> bool {
    let mut pairs = one.iter().zip(other);
    one.len() == other.len() && pairs.all(|(one, other)| is_same(one, other))
}

fn is_same_reservation(one: &ReservationInfo, other: &ReservationInfo) -> bool {
    one.r#type() == other.r#type()
        && one.role() == other.role()
        && one.principal == other.principal
        && are_same_labels(one.labels.as_ref(), other.labels.as_ref())
}

/// In whatever order.
pub(super) fn are_same_labels(one: Option<&Labels>, other: Option<&Labels>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            let (one, other) = (&one.labels, &other.labels);
            one.len() == other.len() && one.iter().all(|label| other.contains(label))
        }
        _ => false,
    }
}

fn is_same_disk(one: Option<&DiskInfo>, other: Option<&DiskInfo>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            is_same_source(one.source.as_ref(), other.source.as_ref())
                && persistence_id(one) == persistence_id(other)
        }
        _ => false,
    }
}

fn is_same_source(one: Option<&Source>, other: Option<&Source>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            one.r#type() == other.r#type()
                && one.path == other.path
                && one.mount == other.mount
                && one.vendor == other.vendor
                && one.id == other.id
                && one.profile == other.profile
                && are_same_labels(one.metadata.as_ref(), other.metadata.as_ref())
        }
        _ => false,
    }
}

/// Whether a resource of this kind is one thing, that neither adds up with another nor is taken in part: a persistent
/// volume, or a disk used by one alone.
pub(super) fn is_whole(kind: &Resource) -> bool {
    let Some(disk) = &kind.disk else {
        return false;
    };
    if disk.persistence.is_some() {
        return true;
    }
    let Some(source) = &disk.source else {
        return false;
    };
    match source.r#type() {
        source::Type::Mount | source::Type::Block => true,
        source::Type::Raw => source.id.is_some(),
        source::Type::Path | source::Type::Unknown => false,
    }
}

pub(super) fn is_persistent_volume(kind: &Resource) -> bool {
    kind.disk.as_deref().and_then(persistence_id).is_some()
}

pub(super) fn persistence_id(disk: &DiskInfo) -> Option<&str> {
    let persistence = disk.persistence.as_ref();
    persistence.map(|own| own.id.as_str())
}
