//! Whether one resource is well formed.
//!
//! Source: `Resources::validate`, `src/common/resources.cpp` of Apache Mesos 1.11.0.
#![allow(deprecated, reason = "`Resource.role` is the older format itself")]

use std::collections::BTreeSet;

use super::amount::{pairs, thousandths};
use super::entry::shown;
use super::format::{UNRESERVED, shown_labels, shown_source};
use super::{Resources, kind, role};
use crate::error::{Error, ErrorKind};
use crate::proto::resource::disk_info::source;
use crate::proto::resource::{DiskInfo, ReservationInfo, reservation_info};
use crate::proto::{self, Labels, value};

type Check = Result<(), String>;

impl Resources {
    /// Whether all of `resources`, in either reservation format, are well formed: what the master checks before anything
    /// else.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the first that is not, and why, in Mesos's words: no name, a value that does not fit
    /// the type or is less than 0.001, overlapping ranges, duplicates in a set, mixed reservation formats, a reservation that
    /// does not refine the one before, disks of a wrong shape.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::resources::Resources;
    ///
    /// let mut cpus = Resources::parse("cpus:1")?.to_protos();
    /// cpus[0].scalar.as_mut().unwrap().value = -1.0;
    /// let error = Resources::validate(&cpus).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "Resource 'cpus:-1' is invalid: Invalid scalar resource: value <= 0"
    /// );
    /// # Ok::<(), mesos_framework::Error>(())
    /// ```
    ///
    /// Source: `Resources::validate`, `src/common/resources.cpp`.
    pub fn validate(resources: &[proto::Resource]) -> crate::Result<()> {
        for resource in resources {
            validate(resource).map_err(|why| {
                let context = format!("Resource '{}' is invalid: {why}", shown(resource));
                Error::new(ErrorKind::Config, context)
            })?;
        }
        Ok(())
    }

    /// Why `resource` is not valid, if so; in Mesos's words.
    pub(crate) fn check(resource: &proto::Resource) -> Check {
        validate(resource)
    }
}

/// Why `resource` is not valid, if so; in Mesos's words.
pub(super) fn validate(resource: &proto::Resource) -> Check {
    if resource.name.is_empty() {
        return Err("Empty resource name".to_owned());
    }
    match value::Type::try_from(resource.r#type) {
        Ok(value::Type::Scalar) => validate_scalar(resource)?,
        Ok(value::Type::Ranges) => validate_ranges(resource)?,
        Ok(value::Type::Set) => validate_set(resource)?,
        Ok(value::Type::Text) => return Err("Unsupported resource type".to_owned()),
        Err(_) => return Err("Invalid resource type".to_owned()),
    }
    if let Some(disk) = &resource.disk {
        validate_disk(&resource.name, disk)?;
    }
    if resource.reservations.is_empty() {
        validate_older_format(resource)?;
    } else {
        validate_reservations(resource)?;
    }
    validate_shared(resource)
}

fn validate_scalar(resource: &proto::Resource) -> Check {
    let Some(scalar) = &resource.scalar else {
        return Err("Invalid scalar resource".to_owned());
    };
    if resource.ranges.is_some() || resource.set.is_some() {
        return Err("Invalid scalar resource".to_owned());
    }
    // Zero itself is nothing, and harmless.
    if scalar.value != 0.0 && thousandths(scalar.value).is_none_or(|steps| steps <= 0) {
        return Err("Invalid scalar resource: value <= 0".to_owned());
    }
    Ok(())
}

fn validate_ranges(resource: &proto::Resource) -> Check {
    let Some(ranges) = &resource.ranges else {
        return Err("Invalid ranges resource".to_owned());
    };
    if resource.scalar.is_some() || resource.set.is_some() {
        return Err("Invalid ranges resource".to_owned());
    }
    let is_inverted = ranges.range.iter().any(|own| own.begin > own.end);
    let mut pairs_ahead = ranges.range.windows(2);
    if !is_inverted && pairs_ahead.all(|pair| pair[0].end < pair[1].begin) {
        return Ok(());
    }
    let listed = pairs(ranges);
    let mut sorted = listed.clone();
    sorted.sort_unstable();
    if !is_inverted && sorted.windows(2).all(|pair| pair[0].1 < pair[1].0) {
        return Ok(());
    }
    // Mesos does not see that one overlaps another which begins before it but is listed after it.
    for (index, (begin, end)) in listed.iter().enumerate() {
        if begin > end {
            return Err("Invalid ranges resource: begin > end".to_owned());
        }
        let mut later = listed[index + 1..].iter();
        if later.any(|(other, _)| (begin..=end).contains(&other)) {
            return Err("Invalid ranges resource: overlapping ranges".to_owned());
        }
    }
    Ok(())
}

fn validate_set(resource: &proto::Resource) -> Check {
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

fn validate_disk(name: &str, disk: &DiskInfo) -> Check {
    if name != "disk" {
        return Err(format!("DiskInfo should not be set for {name} resource"));
    }
    let Some(source) = &disk.source else {
        return Ok(());
    };
    let kind = source.r#type();
    match kind {
        source::Type::Path | source::Type::Mount => Ok(()),
        source::Type::Block | source::Type::Raw => {
            let kind = kind.as_str_name();
            if source.mount.is_some() {
                return Err(format!("Mount should not be set for {kind} disk source"));
            }
            if source.path.is_some() {
                return Err(format!("Path should not be set for {kind} disk source"));
            }
            Ok(())
        }
        source::Type::Unknown => Err(format!(
            "Unsupported 'DiskInfo.Source.Type' in '{}'",
            shown_source(source)
        )),
    }
}

fn validate_older_format(resource: &proto::Resource) -> Check {
    let role = resource.role.as_deref().unwrap_or(UNRESERVED);
    role::validate(role)?;
    let Some(reservation) = &resource.reservation else {
        return Ok(());
    };
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
    if role == UNRESERVED {
        return Err("Invalid reservation: role \"*\" cannot be dynamically reserved".to_owned());
    }
    Ok(())
}

fn validate_reservations(resource: &proto::Resource) -> Check {
    for reservation in &resource.reservations {
        validate_reservation(reservation)?;
    }
    for pair in resource.reservations.windows(2) {
        let (ancestor, descendant) = (pair[0].role(), pair[1].role());
        if pair[1].r#type() == reservation_info::Type::Static {
            return Err(
                "Invalid refined reservation: A refined reservation cannot be STATIC".to_owned(),
            );
        }
        if !role::is_below(descendant, ancestor) {
            return Err(format!(
                "Invalid refined reservation: role '{descendant}' is not a refinement of '{ancestor}'"
            ));
        }
    }
    match resource.reservations.as_slice() {
        [only] => validate_both_formats(resource, only),
        _ => validate_refined_alone(resource),
    }
}

fn validate_reservation(reservation: &ReservationInfo) -> Check {
    let unset = |field| {
        format!("Invalid reservation: 'Resource.ReservationInfo.{field}' field must be set.")
    };
    if reservation.r#type.is_none() {
        return Err(unset("type"));
    }
    let Some(role) = &reservation.role else {
        return Err(unset("role"));
    };
    role::validate(role)?;
    if role == UNRESERVED {
        return Err("Invalid reservation: role \"*\" cannot be reserved".to_owned());
    }
    Ok(())
}

/// The older format may be there too, if it says the same.
fn validate_both_formats(resource: &proto::Resource, only: &ReservationInfo) -> Check {
    if let Some(role) = resource.role.as_deref().filter(|role| *role != only.role()) {
        return Err(format!(
            "Invalid resource format: 'Resource.role' field with '{role}' does not match the role '{}' in 'Resource.reservations'",
            only.role()
        ));
    }
    let older = resource.reservation.as_ref();
    match only.r#type() {
        reservation_info::Type::Static if older.is_some() => Err(
            "Invalid resource format: 'Resource.reservation' must not be set if the single reservation in 'Resource.reservations' is STATIC"
                .to_owned(),
        ),
        reservation_info::Type::Static => Ok(()),
        reservation_info::Type::Dynamic if resource.role.is_some() != older.is_some() => Err(
            "Invalid resource format: 'Resource.role' and 'Resource.reservation' must either be both set or both not set if the single reservation in 'Resource.reservations' is DYNAMIC"
                .to_owned(),
        ),
        reservation_info::Type::Dynamic => match older {
            Some(older) if older.principal() != only.principal() => Err(format!(
                "Invalid resource format: 'Resource.reservation.principal' field with '{}' does not match the principal '{}' in 'Resource.reservations'",
                older.principal(),
                only.principal()
            )),
            Some(older) => {
                let none = Labels::default();
                let theirs = older.labels.as_ref().unwrap_or(&none);
                let ours = only.labels.as_ref().unwrap_or(&none);
                if kind::are_same_labels(Some(theirs), Some(ours)) {
                    return Ok(());
                }
                Err(format!(
                    "Invalid resource format: 'Resource.reservation.labels' field with '{}' does not match the labels '{}' in 'Resource.reservations'",
                    shown_labels(theirs),
                    shown_labels(ours)
                ))
            }
            None => Ok(()),
        },
        reservation_info::Type::Unknown => {
            Err("Unsupported 'Resource.ReservationInfo.Type'".to_owned())
        }
    }
}

fn validate_refined_alone(resource: &proto::Resource) -> Check {
    let set = |field| {
        format!(
            "Invalid resource format: 'Resource.{field}' must not be set if there is more than one reservation in 'Resource.reservations'"
        )
    };
    if resource.role.is_some() {
        return Err(set("role"));
    }
    if resource.reservation.is_some() {
        return Err(set("reservation"));
    }
    Ok(())
}

fn validate_shared(resource: &proto::Resource) -> Check {
    if resource.shared.is_none() {
        return Ok(());
    }
    if resource.name != "disk" {
        return Err(format!("Resource {} cannot be shared", resource.name));
    }
    let disk = resource.disk.as_ref();
    if disk.is_none_or(|disk| disk.persistence.is_none()) {
        return Err("Only persistent volumes can be shared".to_owned());
    }
    Ok(())
}
