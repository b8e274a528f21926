//! Who is offered what: all that is free on an agent, to whoever has least.
//!
//! Source: `src/master/allocator/mesos/hierarchical.cpp` of Apache Mesos 1.11.0.

mod askers;
mod cycle;
mod quantities;
mod quota;
mod refusals;
mod sorter;
#[cfg(test)]
mod tests;
mod traits;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::state::{Master, Timer};
use crate::proto::{AgentId, FrameworkId, Offer};
use cycle::Cycle;
pub(in crate::local) use quantities::{Limits, Quantities};
pub(in crate::local) use quota::Quota;
pub(super) use quota::reserved_for;
pub(super) use refusals::{Desk, Refusals};
pub(super) use sorter::{DEFAULT_WEIGHT, ancestors};

/// Part of the agents known from before that must be back before quota is served again
/// (`DEFAULT_ALLOCATOR_AGENT_RECOVERY_FACTOR`, `src/master/allocator/mesos/hierarchical.cpp`).
const RECOVERED: usize = 80;

/// Longest wait for them (`DEFAULT_ALLOCATOR_RECOVERY_TIMEOUT`).
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// What is remembered from one allocation to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Agents to be looked at next, besides a call for all of them.
    candidates: BTreeSet<AgentId>,
    /// With quota to be served, nothing is allocated until so many agents have come back to a new master.
    awaited_agents: Option<usize>,
    /// How often each role, and each framework under a role, was allocated something.
    role_counts: BTreeMap<String, u64>,
    framework_counts: BTreeMap<String, BTreeMap<FrameworkId, u64>>,
    next_desk: Desk,
}

impl Memory {
    pub(super) fn new_desk(&mut self) -> Desk {
        self.next_desk += 1;
        self.next_desk
    }
}

impl Master {
    /// Has what is free on one agent allocated.
    pub(super) fn allocate_on(&mut self, agent_id: &AgentId) {
        self.allocator.candidates.insert(agent_id.clone());
    }

    /// Waits for the agents of the master before, if there is quota.
    pub(super) fn recover_allocator(&mut self) {
        let awaited = self.recovering.len() * RECOVERED / 100;
        if !self.quotas.is_empty() && awaited > 0 {
            self.allocator.awaited_agents = Some(awaited);
            self.schedule(RECOVERY_TIMEOUT, Timer::ResumeAllocation);
        }
    }

    pub(super) fn resume_allocation(&mut self) {
        self.allocator.awaited_agents = None;
    }

    /// Allocates if anything called for it since the last time.
    pub(in crate::local) fn allocate_if_needed(&mut self) {
        let mut candidates = std::mem::take(&mut self.allocator.candidates);
        if std::mem::take(&mut self.needs_allocation) {
            candidates = self.agents.keys().cloned().collect();
        }
        if let Some(awaited) = self.allocator.awaited_agents
            && self.agents.len() >= awaited
        {
            self.allocator.awaited_agents = None;
        }
        candidates.retain(|agent_id| self.agents.contains_key(agent_id));
        if candidates.is_empty() || self.allocator.awaited_agents.is_some() {
            return;
        }
        self.tallies.allocations.note(());
        let made = Cycle::run(self, &candidates);
        let mut events: BTreeMap<FrameworkId, Vec<Offer>> = BTreeMap::new();
        for allotment in made {
            let framework_id = allotment.framework_id.clone();
            if let Some(offer) = self.make_offer(allotment) {
                events.entry(framework_id).or_default().push(offer);
            }
        }
        for (framework_id, offers) in events {
            self.send_offers(&framework_id, offers);
        }
        self.make_inverse_offers(&candidates);
    }
}

/// What one framework gets of one agent, booked already.
#[derive(Debug)]
pub(super) struct Allotment {
    pub(super) framework_id: FrameworkId,
    pub(super) agent_id: AgentId,
    pub(super) role: String,
    pub(super) resources: crate::resources::Resources,
}
