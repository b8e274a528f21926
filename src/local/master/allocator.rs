//! Who is offered what: all that is free on an agent, to whoever has least.
//!
//! Source: `src/master/allocator/mesos/hierarchical.cpp` of Apache Mesos 1.11.0: dominant resource fairness, among roles
//! and then among the frameworks of a role.

use std::collections::{BTreeMap, BTreeSet};

use super::framework::Framework;
use super::state::Master;
use crate::proto::framework_info::capability;
use crate::proto::{AgentId, FrameworkId, Offer};
use crate::resources::Resources;

/// An offer has at least so many CPUs, or so much memory (`--min_allocatable_resources`).
const MIN_CPUS: f64 = 0.01;
const MIN_MEM: f64 = 32.0;

/// A framework under one of its roles, in line for an offer.
#[derive(Debug)]
struct Candidate {
    role: String,
    framework_id: FrameworkId,
    role_share: f64,
    share: f64,
}

impl Master {
    /// Allocates if anything called for it since the last time.
    pub(in crate::local) fn allocate_if_needed(&mut self) {
        if !std::mem::take(&mut self.needs_allocation) {
            return;
        }
        let mut made: BTreeMap<FrameworkId, Vec<Offer>> = BTreeMap::new();
        let mut agents: Vec<AgentId> = self.agents.keys().cloned().collect();
        // So that no agent is always the first to be given away.
        fastrand::shuffle(&mut agents);
        for agent_id in &agents {
            for candidate in self.candidates() {
                if let Some(offer) = self.offer_to(&candidate, agent_id) {
                    made.entry(candidate.framework_id).or_default().push(offer);
                }
            }
        }
        for (framework_id, offers) in made {
            self.send_offers(&framework_id, offers);
        }
    }

    /// Everybody who takes offers, the least served first.
    fn candidates(&self) -> Vec<Candidate> {
        let mut total = Resources::new();
        for agent in self.agents.values() {
            total += &agent.total;
        }
        let mut by_role: BTreeMap<&str, Resources> = BTreeMap::new();
        for framework in self.frameworks.values() {
            for (role, allocated) in &framework.allocated {
                *by_role.entry(role).or_default() += allocated;
            }
        }
        let nothing = Resources::new();
        let mut candidates = Vec::new();
        for framework in self.frameworks.values().filter(|own| own.is_connected()) {
            let roles: BTreeSet<String> = framework.roles();
            for role in roles.difference(&framework.suppressed) {
                let role_allocated = by_role.get(role.as_str()).unwrap_or(&nothing);
                let allocated = framework.allocated.get(role).unwrap_or(&nothing);
                candidates.push(Candidate {
                    role: role.clone(),
                    framework_id: framework.id.clone(),
                    role_share: dominant_share(role_allocated, &total),
                    share: dominant_share(allocated, &total),
                });
            }
        }
        candidates.sort_by(|one, other| {
            let roles = one.role_share.total_cmp(&other.role_share);
            roles
                .then_with(|| one.role.cmp(&other.role))
                .then_with(|| one.share.total_cmp(&other.share))
        });
        candidates
    }

    fn offer_to(&mut self, candidate: &Candidate, agent_id: &AgentId) -> Option<Offer> {
        let agent = self.agents.get(agent_id)?;
        let framework = self.frameworks.get_mut(&candidate.framework_id)?;
        let has_gpus = agent.total.scalar("gpus") > 0.0;
        if has_gpus && !framework.has(capability::Type::GpuResources) {
            return None;
        }
        let role = &candidate.role;
        let resources = agent.available.allocatable_to(role);
        if !is_allocatable(&resources, framework, role)
            || framework.is_filtered(agent_id, role, &resources, self.now)
        {
            return None;
        }
        self.make_offer(&candidate.framework_id, agent_id, role, &resources)
    }
}

/// The largest part of the whole that `allocated` is of any scalar.
fn dominant_share(allocated: &Resources, total: &Resources) -> f64 {
    let shares = allocated.scalar_names().map(|name| {
        let whole = total.scalar(name);
        if whole > 0.0 {
            allocated.scalar(name) / whole
        } else {
            0.0
        }
    });
    shares.fold(0.0, f64::max)
}

/// Whether `resources` are enough to be worth an offer, by the framework's own minimum if it has one for `role`.
fn is_allocatable(resources: &Resources, framework: &Framework, role: &str) -> bool {
    if resources.is_empty() {
        return false;
    }
    let filters = framework.info.offer_filters.get(role);
    match filters.and_then(|filters| filters.min_allocatable_resources.as_ref()) {
        None => resources.scalar("cpus") >= MIN_CPUS || resources.scalar("mem") >= MIN_MEM,
        Some(minimum) => {
            let alternatives = &minimum.quantities;
            alternatives.is_empty()
                || alternatives.iter().any(|alternative| {
                    let mut quantities = alternative.quantities.iter();
                    quantities.all(|(name, least)| resources.scalar(name) >= least.value)
                })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scarcest_resource_makes_the_share() {
        let total = Resources::parse("cpus:10;mem:1000").unwrap();
        let used = Resources::parse("cpus:1;mem:500;gold:5").unwrap();
        assert_eq!(dominant_share(&used, &total), 0.5);
        assert_eq!(dominant_share(&Resources::new(), &total), 0.0);
    }
}
