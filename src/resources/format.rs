//! The two reservation formats, validity of one resource, and how a kind is printed.
//!
//! Source: `src/common/resources.cpp` and `src/common/resources_utils.cpp` of Apache Mesos 1.11.0.
#![allow(deprecated, reason = "`Resource.role` is the older format itself")]

use std::collections::BTreeSet;
use std::fmt;

use super::amount::to_thousandths;
use crate::proto::resource::{ReservationInfo, reservation_info};
use crate::proto::{self, value};

/// The role that stands for "unreserved" in the older format.
const UNRESERVED: &str = "*";

/// Why `resource` is not valid, if so; in Mesos's words.
pub(super) fn validate(resource: &proto::Resource) -> Result<(), String> {
    if resource.name.is_empty() {
        return Err("Empty resource name".to_owned());
    }
    match value::Type::try_from(resource.r#type) {
        Ok(value::Type::Scalar) => validate_scalar(resource)?,
        Ok(value::Type::Ranges) => validate_ranges(resource)?,
        Ok(value::Type::Set) => validate_set(resource)?,
        Ok(value::Type::Text) | Err(_) => return Err("Unsupported resource type".to_owned()),
    }
    validate_reservations(resource)
}

fn validate_scalar(resource: &proto::Resource) -> Result<(), String> {
    let Some(scalar) = &resource.scalar else {
        return Err("Invalid scalar resource".to_owned());
    };
    if resource.ranges.is_some() || resource.set.is_some() {
        return Err("Invalid scalar resource".to_owned());
    }
    if to_thousandths(scalar.value) <= 0 {
        return Err("Invalid scalar resource: value <= 0".to_owned());
    }
    Ok(())
}

fn validate_ranges(resource: &proto::Resource) -> Result<(), String> {
    let Some(ranges) = &resource.ranges else {
        return Err("Invalid ranges resource".to_owned());
    };
    if resource.scalar.is_some() || resource.set.is_some() {
        return Err("Invalid ranges resource".to_owned());
    }
    let mut sorted: Vec<(u64, u64)> = ranges
        .range
        .iter()
        .map(|range| (range.begin, range.end))
        .collect();
    sorted.sort_unstable();
    if sorted.iter().any(|(begin, end)| begin > end) {
        return Err("Invalid ranges resource: begin > end".to_owned());
    }
    if sorted.windows(2).any(|pair| pair[1].0 <= pair[0].1) {
        return Err("Invalid ranges resource: overlapping ranges".to_owned());
    }
    Ok(())
}

fn validate_set(resource: &proto::Resource) -> Result<(), String> {
    let Some(set) = &resource.set else {
        return Err("Invalid set resource".to_owned());
    };
    if resource.scalar.is_some() || resource.ranges.is_some() {
        return Err("Invalid set resource".to_owned());
    }
    let unique: BTreeSet<&String> = set.item.iter().collect();
    if unique.len() < set.item.len() {
        return Err("Invalid set resource: duplicated elements".to_owned());
    }
    Ok(())
}

fn validate_reservations(resource: &proto::Resource) -> Result<(), String> {
    if let Some(reservation) = &resource.reservation {
        if reservation.r#type.is_some() {
            return Err(
                "'Resource.ReservationInfo.type' must not be set for the 'Resource.reservation' field"
                    .to_owned(),
            );
        }
        if reservation.role.is_some() {
            return Err(
                "'Resource.ReservationInfo.role' must not be set for the 'Resource.reservation' field"
                    .to_owned(),
            );
        }
        if resource.role() == UNRESERVED {
            return Err(
                "Invalid reservation: role \"*\" cannot be dynamically reserved".to_owned(),
            );
        }
    }
    if resource.reservations.len() > 1 && resource.role.is_some() {
        return Err(
            "Invalid resource format: 'Resource.role' must not be set when there are several 'Resource.reservations'"
                .to_owned(),
        );
    }
    for reservation in &resource.reservations {
        if reservation.r#type() == reservation_info::Type::Unknown {
            return Err("Expecting 'Resource.ReservationInfo.type' to be present".to_owned());
        }
        if reservation.role().is_empty() || reservation.role() == UNRESERVED {
            return Err("Invalid reservation: role \"*\" cannot be reserved".to_owned());
        }
    }
    Ok(())
}

/// Into the format with reservation refinement: `reservations` says everything, `role` and `reservation` are unset.
pub(super) fn upgrade(mut resource: proto::Resource) -> proto::Resource {
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
        resource.reservations.push(entry);
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
    resource.reservation = is_dynamic.then_some(reservation);
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
        let id = disk.persistence.as_ref().map_or("", |own| own.id.as_str());
        let path = disk
            .volume
            .as_ref()
            .map_or("", |own| own.container_path.as_str());
        write!(f, "[{id}:{path}]")?;
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
    let kind = reservation.r#type().as_str_name();
    match &reservation.principal {
        Some(principal) => format!("({kind},{},{principal})", reservation.role()),
        None => format!("({kind},{})", reservation.role()),
    }
}
