//! Roles, and what they use: for reports, and for the checks of quota.
//!
//! Source: `Master::knownRoles` and `Master::RoleResourceBreakdown`, `src/master/master.cpp`, and
//! `src/master/readonly_handler.cpp` of Apache Mesos 1.11.0.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::allocator::{Quantities, Quota, ancestors, reserved_for};
use super::state::Master;
use super::views::Viewer;
use crate::proto::master::response::GetRoles;
use crate::proto::{self, FrameworkId, Role, value};
use crate::resources::{Resources, is_role_or_above};

/// Names under which GET_ROLES states resources.
const SHOWN: [&str; 4] = ["cpus", "disk", "gpus", "mem"];

/// What a role and those below it have, items of ranges and sets counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Breakdown {
    pub(super) offered: Quantities,
    pub(super) allocated: Quantities,
    reserved: Quantities,
    /// Allocated, or reserved and not allocated.
    pub(super) consumed: Quantities,
}

impl Master {
    /// Whether frameworks may have the role (`--roles`).
    pub(super) fn is_whitelisted(&self, role: &str) -> bool {
        let roles = self.config.roles.as_ref();
        roles.is_none_or(|roles| roles.contains(role))
    }

    /// Whether a framework is subscribed to the role or has something under it.
    pub(super) fn is_role_used(&self, role: &str) -> bool {
        let mut frameworks = self.frameworks.values();
        frameworks.any(|framework| framework.tracked_roles().contains(role))
    }

    pub(super) fn frameworks_of(&self, role: &str) -> Vec<FrameworkId> {
        let frameworks = self.frameworks.values();
        frameworks
            .filter(|framework| framework.tracked_roles().contains(role))
            .map(|framework| framework.id.clone())
            .collect()
    }

    /// All roles that there is anything to say of, and those above them.
    fn known_roles(&self) -> BTreeSet<String> {
        let mut roles: BTreeSet<String> = match &self.config.roles {
            Some(roles) => roles.clone(),
            None => {
                let frameworks = self.frameworks.values();
                let mut roles: BTreeSet<String> = frameworks
                    .flat_map(|framework| framework.tracked_roles())
                    .collect();
                for agent in self.agents.values() {
                    let reserved = agent.total.counts();
                    let reserved = reserved.filter_map(|(kind, _)| reserved_for(kind));
                    roles.extend(reserved.map(str::to_owned));
                }
                roles.extend(self.registry.weights.keys().cloned());
                roles.extend(self.quotas.keys().cloned());
                roles
            }
        };
        let above = roles.iter().flat_map(|role| ancestors(role));
        let above: Vec<String> = above.map(str::to_owned).collect();
        roles.extend(above);
        roles
    }

    pub(super) fn breakdown(&self, role: &str) -> Breakdown {
        let mut breakdown = Breakdown::default();
        let is_reserved = |kind: &proto::Resource| {
            reserved_for(kind).is_some_and(|own| is_role_or_above(role, own))
        };
        let is_own = |own: &str| is_role_or_above(role, own);
        for offer in self.offers.values().filter(|offer| is_own(&offer.role)) {
            breakdown.offered += &Quantities::of_all(&offer.resources, |_| true);
        }
        let mut used_reservations = Quantities::default();
        let mut add = |role: &str, resources: &Resources| {
            used_reservations += &Quantities::of_all(resources, is_reserved);
            if is_own(role) {
                breakdown.allocated += &Quantities::of_all(resources, |_| true);
            }
        };
        for framework in self.frameworks.values() {
            for task in framework.tasks.values() {
                add(&task.role, &task.resources);
            }
            for executor in framework.executors.values() {
                add(&executor.role, &executor.resources);
            }
        }
        for agent in self.agents.values() {
            breakdown.reserved += &Quantities::of_all(&agent.total, is_reserved);
        }
        breakdown.consumed = breakdown.reserved.clone();
        breakdown.consumed -= &used_reservations;
        breakdown.consumed += &breakdown.allocated;
        breakdown
    }

    pub(super) fn get_roles(&self, viewer: &Viewer<'_>) -> GetRoles {
        let roles = self.known_roles().into_iter();
        let roles = roles.filter(|name| viewer.sees_role(name));
        let roles = roles.map(|name| {
            let breakdown = self.breakdown(&name);
            let mut held = breakdown.allocated;
            held += &breakdown.offered;
            Role {
                weight: self.weight(&name),
                frameworks: self.frameworks_of(&name),
                resources: held.units().filter_map(shown).collect(),
                name,
            }
        });
        GetRoles {
            roles: roles.collect(),
        }
    }

    /// `/roles`.
    pub(super) fn roles_page(&self, viewer: &Viewer<'_>) -> Value {
        let roles = self.known_roles().into_iter();
        let roles = roles.filter(|name| viewer.sees_role(name));
        let roles = roles.map(|name| {
            let breakdown = self.breakdown(&name);
            let mut held = breakdown.allocated.clone();
            held += &breakdown.offered;
            let quota = self.quotas.get(&name).cloned().unwrap_or_default();
            let frameworks = self.frameworks_of(&name);
            let frameworks = frameworks.into_iter().map(|id| id.value);
            json!({
                "weight": self.weight(&name),
                "quota": quota_of(&name, &quota, &breakdown.consumed),
                "resources": object(held.units()),
                "allocated": object(breakdown.allocated.units()),
                "offered": object(breakdown.offered.units()),
                "reserved": object(breakdown.reserved.units()),
                "frameworks": frameworks.collect::<Vec<_>>(),
                "name": name,
            })
        });
        json!({ "roles": roles.collect::<Vec<_>>() })
    }
}

fn quota_of(role: &str, quota: &Quota, consumed: &Quantities) -> Value {
    json!({
        "role": role,
        "guarantee": object(quota.guarantees.units()),
        "limit": object(quota.limits.units()),
        "consumed": object(consumed.units()),
    })
}

fn object<'a>(units: impl Iterator<Item = (&'a str, f64)>) -> Value {
    let units = units.map(|(name, amount)| (name.to_owned(), json!(amount)));
    Value::Object(units.collect::<Map<_, _>>())
}

fn shown((name, value): (&str, f64)) -> Option<proto::Resource> {
    SHOWN.contains(&name).then(|| proto::Resource {
        name: name.to_owned(),
        r#type: value::Type::Scalar.into(),
        scalar: Some(value::Scalar { value }),
        ..Default::default()
    })
}
