//! Whether lists of resources can be used by tasks, executors and operations.
//!
//! Source: `resource::validate` and its like, `src/master/validation.cpp` of Apache Mesos 1.11.0.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, ids};
use crate::proto::resource::DiskInfo;
use crate::proto::{Resource, volume};
use crate::resources::{Resources, is_dynamically_reserved, reservation_role, shown_resource};

/// What holds for resources wherever they are used.
pub(super) fn usable(resources: &[Resource]) -> Check {
    Resources::from_protos(resources).map_err(|error| format!("Invalid resources: {error}"))?;
    whole_gpus(resources).map_err(|why| format!("Invalid 'gpus' resource: {why}"))?;
    for resource in resources {
        disk(resource).map_err(|why| format!("Invalid DiskInfo: {why}"))?;
    }
    for resource in resources {
        if is_dynamically_reserved(resource) && resource.revocable.is_some() {
            return Err(format!(
                "Invalid ReservationInfo: Dynamically reserved resource {} cannot be created from revocable resources",
                shown_resource(resource)
            ));
        }
    }
    Ok(())
}

fn whole_gpus(resources: &[Resource]) -> Check {
    let gpus = Resources::from_unchecked(resources).scalar("gpus");
    if gpus.fract() == 0.0 {
        return Ok(());
    }
    Err("The 'gpus' resource must be an unsigned integer".to_owned())
}

fn disk(resource: &Resource) -> Check {
    let Some(disk) = &resource.disk else {
        return Ok(());
    };
    let Some(persistence) = &disk.persistence else {
        return match &**disk {
            DiskInfo {
                volume: Some(_), ..
            } => Err("Non-persistent volume not supported".to_owned()),
            DiskInfo { source: None, .. } => Err("DiskInfo is set but empty".to_owned()),
            _ => Ok(()),
        };
    };
    if resource.revocable.is_some() {
        return Err("Persistent volumes cannot be created from revocable resources".to_owned());
    }
    if reservation_role(resource).is_none() {
        return Err("Persistent volumes cannot be created from unreserved resources".to_owned());
    }
    let Some(volume) = &disk.volume else {
        return Err("Expecting 'volume' to be set for persistent volume".to_owned());
    };
    if volume.host_path.is_some() {
        return Err("Expecting 'host_path' to be unset for persistent volume".to_owned());
    }
    ids::check(&persistence.id)
        .map_err(|why| format!("Invalid persistence ID for persistent volume: {why}"))
}

/// All are persistent volumes that can be written.
pub(super) fn persistent_volumes(volumes: &[Resource]) -> Check {
    for volume in volumes {
        let Some(disk) = &volume.disk else {
            let shown = shown_resource(volume);
            return Err(format!("Resource {shown} does not have DiskInfo"));
        };
        if disk.persistence.is_none() {
            return Err("'persistence' is not set in DiskInfo".to_owned());
        }
        let Some(volume) = &disk.volume else {
            return Err("Expecting 'volume' to be set for persistent volume".to_owned());
        };
        if volume.mode() == volume::Mode::Ro {
            return Err("Read-only persistent volume not supported".to_owned());
        }
    }
    Ok(())
}

/// A role has each persistence id once.
pub(super) fn unique_persistence_ids(resources: &Resources) -> Check {
    let mut seen = BTreeSet::new();
    for volume in resources.persistent_volumes().to_protos() {
        let role = reservation_role(&volume).unwrap_or_default().to_owned();
        let persistence = volume.disk.and_then(|disk| disk.persistence);
        let id = persistence.map(|own| own.id).unwrap_or_default();
        if !seen.insert((role, id.clone())) {
            return Err(format!("Persistence ID '{id}' is not unique"));
        }
    }
    Ok(())
}

/// Resources of one name are all revocable, or none is.
pub(super) fn revocable_apart(resources: &Resources) -> Check {
    let mut revocable = BTreeSet::new();
    let mut others = BTreeSet::new();
    for resource in resources.to_protos() {
        let names = match resource.revocable {
            Some(_) => &mut revocable,
            None => &mut others,
        };
        names.insert(resource.name);
    }
    match revocable.intersection(&others).next() {
        Some(name) => Err(format!(
            "Cannot use both revocable and non-revocable '{name}' at the same time"
        )),
        None => Ok(()),
    }
}

/// As Mesos shows lists that are still messages.
pub(super) fn listed(resources: &Resources) -> String {
    shown(&resources.to_protos())
}

/// In JSON; without that feature, in the text of resources.
pub(super) fn shown(resources: &[Resource]) -> String {
    #[cfg(feature = "json")]
    return serde_json::json!(resources).to_string();
    #[cfg(not(feature = "json"))]
    return Resources::from_unchecked(resources).to_string();
}

/// Whether ranges or sets have something in common: together they are less than their sum. (So are two users of one shared
/// volume.)
pub(super) fn overlap(all: &[Resources]) -> bool {
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    let mut total = Resources::new();
    for resources in all {
        for resource in resources.to_protos() {
            let sum = sums.entry(resource.name.clone()).or_default();
            *sum = sum.saturating_add(count(&resource));
        }
        total += resources;
    }
    for resource in total.to_protos() {
        let sum = sums.entry(resource.name.clone()).or_default();
        *sum = sum.saturating_sub(count(&resource));
    }
    sums.values().any(|rest| *rest != 0)
}

/// Thousandths; an item of ranges or a set counts as one.
fn count(resource: &Resource) -> i64 {
    let items = if let Some(ranges) = &resource.ranges {
        ranges.range.iter().fold(0, |sum: u64, range| {
            let items = range.end.saturating_sub(range.begin).saturating_add(1);
            sum.saturating_add(items)
        })
    } else if let Some(set) = &resource.set {
        set.item.len() as u64
    } else {
        let scalar = resource.scalar.as_ref();
        return scalar.map_or(0, |scalar| (scalar.value * 1000.0).round() as i64);
    };
    let items = i64::try_from(items).unwrap_or(i64::MAX);
    items.saturating_mul(1000)
}

/// All are allocated, and to one role.
pub(super) fn single_role(resources: &Resources) -> Check {
    let mut first: Option<String> = None;
    for resource in resources.to_protos() {
        let Some(role) = resource.allocation_info.and_then(|own| own.role) else {
            return Err("The resources are not allocated to a role".to_owned());
        };
        match &first {
            None => first = Some(role),
            Some(first) if *first == role => {}
            Some(first) => {
                return Err(format!(
                    "The resources have multiple allocation roles ('{role}' and '{first}') but only one allocation role is allowed"
                ));
            }
        }
    }
    Ok(())
}

/// All are of one resource provider, or of the agent itself.
pub(super) fn single_provider(resources: &[Resource]) -> Check {
    let providers = resources.iter().map(|resource| {
        let provider = resource.provider_id.as_ref();
        provider.map(|id| id.value.as_str())
    });
    let providers: BTreeSet<Option<&str>> = providers.collect();
    if providers.len() == 1 {
        return Ok(());
    }
    if providers.contains(&None) {
        return Err("Some resources have a resource provider and some do not".to_owned());
    }
    let ids: Vec<&str> = providers.into_iter().flatten().collect();
    Err(format!(
        "The resources have multiple resource providers: {}",
        ids.join(", ")
    ))
}
