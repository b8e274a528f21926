//! The two reservation formats, and how a kind is printed.
//!
//! Source: `src/common/resources.cpp` and `src/common/resources_utils.cpp` of Apache Mesos 1.11.0.
#![allow(deprecated, reason = "`Resource.role` is the older format itself")]

use std::fmt;

use crate::proto::resource::disk_info::{Source, source};
use crate::proto::resource::{DiskInfo, ReservationInfo, reservation_info};
use crate::proto::{self, Labels, Volume, volume};

/// The role that stands for "unreserved" in the older format.
pub(super) const UNRESERVED: &str = "*";

/// Into the format with reservation refinement: `reservations` says everything, `role` and `reservation` are unset.
pub(crate) fn upgrade(mut resource: proto::Resource) -> proto::Resource {
    let role = resource.role.take();
    let reservation = resource.reservation.take();
    let reserved_role = role.filter(|role| role != UNRESERVED);
    if let (true, Some(role)) = (resource.reservations.is_empty(), reserved_role) {
        let kind = match reservation {
            Some(_) => reservation_info::Type::Dynamic,
            None => reservation_info::Type::Static,
        };
        let mut entry = reservation.unwrap_or_default();
        entry.r#type = Some(kind.into());
        entry.role = Some(role);
        resource.reservations.push(*entry);
    }
    resource
}

/// Into the older format; `None` if that cannot say it.
pub(super) fn downgrade(mut resource: proto::Resource) -> Option<proto::Resource> {
    let mut reservations = std::mem::take(&mut resource.reservations);
    if reservations.len() > 1 {
        return None;
    }
    let Some(mut reservation) = reservations.pop() else {
        resource.role = Some(UNRESERVED.to_owned());
        return Some(resource);
    };
    let is_dynamic = reservation.r#type() == reservation_info::Type::Dynamic;
    resource.role = reservation.role.take();
    reservation.r#type = None;
    resource.reservation = is_dynamic.then(|| Box::new(reservation));
    Some(resource)
}

/// Name and marks: `disk(allocated: a)(reservations: [(DYNAMIC,a,principal)])[id:path]`.
pub(super) fn write_kind(kind: &proto::Resource, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&kind.name)?;
    if let Some(allocation) = &kind.allocation_info {
        write!(f, "(allocated: {})", allocation.role())?;
    }
    if !kind.reservations.is_empty() {
        let shown: Vec<String> = kind.reservations.iter().map(shown_reservation).collect();
        write!(f, "(reservations: [{}])", shown.join(","))?;
    }
    if let Some(disk) = &kind.disk {
        f.write_str("[")?;
        write_disk(disk, f)?;
        f.write_str("]")?;
    }
    if kind.revocable.is_some() {
        f.write_str("{REV}")?;
    }
    if kind.shared.is_some() {
        f.write_str("<SHARED>")?;
    }
    Ok(())
}

fn shown_reservation(reservation: &ReservationInfo) -> String {
    let mut shown = format!(
        "({},{}",
        reservation.r#type().as_str_name(),
        reservation.role()
    );
    if let Some(principal) = &reservation.principal {
        shown.push(',');
        shown.push_str(principal);
    }
    if let Some(labels) = &reservation.labels {
        shown.push(',');
        shown.push_str(&shown_labels(labels));
    }
    shown.push(')');
    shown
}

/// `{key: value, key}`.
pub(super) fn shown_labels(labels: &Labels) -> String {
    let shown = labels.labels.iter().map(|label| match &label.value {
        Some(value) => format!("{}: {value}", label.key),
        None => label.key.clone(),
    });
    let shown: Vec<String> = shown.collect();
    format!("{{{}}}", shown.join(", "))
}

/// `MOUNT:/mnt/disk1,id:path`.
fn write_disk(disk: &DiskInfo, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let Some(source) = &disk.source {
        f.write_str(&shown_source(source))?;
    }
    if let Some(persistence) = &disk.persistence {
        if disk.source.is_some() {
            f.write_str(",")?;
        }
        f.write_str(&persistence.id)?;
    }
    if let Some(volume) = &disk.volume {
        write!(f, ":{}", shown_volume(volume))?;
    }
    Ok(())
}

pub(super) fn shown_source(source: &Source) -> String {
    let kind = source.r#type().as_str_name();
    if source.id.is_some() || source.profile.is_some() {
        let (vendor, id, profile) = (source.vendor(), source.id(), source.profile());
        return format!("{kind}({vendor},{id},{profile})");
    }
    let root = match source.r#type() {
        source::Type::Mount => source.mount.as_ref().and_then(|own| own.root.as_ref()),
        source::Type::Path => source.path.as_ref().and_then(|own| own.root.as_ref()),
        source::Type::Block | source::Type::Raw | source::Type::Unknown => None,
    };
    root.map_or_else(|| kind.to_owned(), |root| format!("{kind}:{root}"))
}

fn shown_volume(volume: &Volume) -> String {
    let path = &volume.container_path;
    match &volume.host_path {
        None => path.clone(),
        Some(host) => {
            let mode = match volume.mode() {
                volume::Mode::Rw => "rw",
                volume::Mode::Ro => "ro",
            };
            format!("{host}:{path}:{mode}")
        }
    }
}

/// As endpoints show it: the newer format, and the older one beside it as far as that can say it.
#[cfg(feature = "local")]
pub(crate) fn to_endpoint(mut resource: proto::Resource) -> proto::Resource {
    if let Some(older) = downgrade(resource.clone()) {
        resource.role = older.role;
        resource.reservation = older.reservation;
    }
    resource
}
