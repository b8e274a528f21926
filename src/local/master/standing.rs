//! How an agent stands with the master.

use super::state::Master;
use crate::proto::{AgentId, DrainInfo, TimeInfo};

/// What is asked first is listed first, as in `Master::reconcile`, `src/master/master.cpp` of Apache Mesos 1.11.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::local) enum Standing {
    /// It was registered with the master before, and may still come.
    Recovering,
    /// Connected or not.
    Registered,
    /// Since then.
    Unreachable(TimeInfo),
    /// By an operator's word.
    Gone,
    /// It was removed, or never there.
    Unknown,
}

impl Master {
    pub(in crate::local) fn standing(&self, agent_id: &AgentId) -> Standing {
        if self.recovering.contains(agent_id) {
            Standing::Recovering
        } else if self.agents.contains_key(agent_id) {
            Standing::Registered
        } else if let Some(since) = self.registry.unreachable.get(agent_id) {
            Standing::Unreachable(*since)
        } else if self.registry.gone.contains_key(agent_id) {
            Standing::Gone
        } else {
            Standing::Unknown
        }
    }

    /// Whether an agent may come back, or is there.
    pub(super) fn is_known(&self, agent_id: &AgentId) -> bool {
        !matches!(self.standing(agent_id), Standing::Gone | Standing::Unknown)
    }

    pub(in crate::local) fn drain_info(&self, agent_id: &AgentId) -> Option<DrainInfo> {
        self.registry.draining.get(agent_id).copied()
    }

    pub(in crate::local) fn is_deactivated(&self, agent_id: &AgentId) -> bool {
        self.registry.deactivated.contains(agent_id)
    }

    /// Whether the agent is registered and has a connection.
    pub(super) fn is_agent_connected(&self, agent_id: &AgentId) -> bool {
        let agent = self.agents.get(agent_id);
        agent.is_some_and(|agent| agent.is_connected)
    }
}
