//! Whether a `FrameworkInfo` can be subscribed with.
#![allow(deprecated, reason = "`FrameworkInfo.role` has its own rules")]

use std::collections::BTreeSet;

use crate::local::config::Config;
use crate::proto::FrameworkInfo;
use crate::proto::framework_info::capability;
use crate::resources::role;
use crate::validation::{check_id, has_capability, roles};

/// What a 64-bit number of nanoseconds holds: longer is not a duration for Mesos (`stout/duration.hpp`).
const MAX_DURATION_SECONDS: f64 = 9_223_372_036.0;

/// Why a framework cannot subscribe with `info` and these suppressed roles, if so.
pub(in crate::local::master) fn framework(
    info: &FrameworkInfo,
    suppressed: &[String],
    config: &Config,
) -> Result<(), String> {
    check_roles(info)?;
    if let Some(id) = info.id.as_ref().filter(|id| !id.value.is_empty()) {
        check_id(&id.value)?;
    }
    let timeout = info.failover_timeout();
    if timeout.is_nan() || timeout.abs() > MAX_DURATION_SECONDS {
        return Err(format!(
            "The framework failover_timeout ({timeout}) is invalid: Argument out of the range that a Duration can represent due to int64_t's size limit"
        ));
    }
    let own = roles(info);
    if let Some(allowed) = &config.roles {
        let foreign: Vec<&str> = own.difference(allowed).map(String::as_str).collect();
        if !foreign.is_empty() {
            return Err(format!(
                "Roles {} are not present in the master's --roles",
                shown_set(&foreign)
            ));
        }
    }
    match suppressed.iter().find(|role| !own.contains(*role)) {
        Some(role) => Err(format!(
            "Suppressed role '{role}' is not contained in the list of roles"
        )),
        None => Ok(()),
    }
}

/// Why `new` cannot replace `old` while the framework is subscribed, if so.
pub(in crate::local::master) fn framework_update(
    old: &FrameworkInfo,
    new: &FrameworkInfo,
) -> Result<(), String> {
    if old.principal != new.principal {
        return Err("Changing framework's principal is not allowed.".to_owned());
    }
    if old.user != new.user {
        return Err(format!(
            "Updating 'FrameworkInfo.user' is unsupported; attempted to update from '{}' to '{}'",
            old.user, new.user
        ));
    }
    if old.checkpoint() != new.checkpoint() {
        return Err(format!(
            "Updating 'FrameworkInfo.checkpoint' is unsupported; attempted to update from '{}' to '{}'",
            old.checkpoint(),
            new.checkpoint()
        ));
    }
    Ok(())
}

fn check_roles(info: &FrameworkInfo) -> Result<(), String> {
    if !has_capability(info, capability::Type::MultiRole) {
        if !info.roles.is_empty() {
            return Err(
                "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable"
                    .to_owned(),
            );
        }
        return match &info.role {
            Some(role) => role::validate(role)
                .map_err(|why| format!("'FrameworkInfo.role' is not a valid role: {why}")),
            None => Ok(()),
        };
    }
    if info.role.is_some() {
        return Err(
            "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable"
                .to_owned(),
        );
    }
    let mut seen = BTreeSet::new();
    let duplicates: BTreeSet<&str> = info
        .roles
        .iter()
        .map(String::as_str)
        .filter(|role| !seen.insert(*role))
        .collect();
    if !duplicates.is_empty() {
        let duplicates: Vec<&str> = duplicates.into_iter().collect();
        let shown = shown_set(&duplicates);
        return Err(format!(
            "'FrameworkInfo.roles' contains duplicate items: {shown}"
        ));
    }
    info.roles.iter().try_for_each(|role| {
        role::validate(role)
            .map_err(|why| format!("'FrameworkInfo.roles' contains invalid role: {why}"))
    })
}

/// Sets as `stringify` of stout prints them.
fn shown_set(items: &[&str]) -> String {
    format!("{{ {} }}", items.join(", "))
}
