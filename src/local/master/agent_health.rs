//! Whether agents are still there: pings, broken connections, and the wait for those that do not come back.
//!
//! Source: `SlaveObserver`, `Master::exited`, `Master::disconnect`, `Master::agentReregisterTimeout` and
//! `Master::recoveredSlavesTimeout`, `src/master/master.cpp` of Apache Mesos 1.11.0.

use std::collections::BTreeSet;

use super::agent_removal::Removal;
use super::state::{Master, Timer};
use super::tasks::Verdict;
use crate::local::config::duration_text;
use crate::local::messages::ToAgent;
use crate::proto::task_status::Reason;
use crate::proto::{AgentId, FrameworkId, OfferId, TaskId, TaskState};

/// What the master knows of an agent's answers.
#[derive(Debug, Default)]
pub(super) struct Pings {
    /// Pings in a row that were not answered in time.
    missed: u32,
    /// Whether the last one waits for its answer.
    is_waiting: bool,
}

impl Master {
    /// Pings an agent for the first time since it was registered, and then again and again.
    pub(super) fn observe(&mut self, agent_id: &AgentId) {
        self.observations += 1;
        let observation = self.observations;
        if let Some(agent) = self.agents.get_mut(agent_id) {
            agent.observation = observation;
            agent.pings = Pings::default();
            self.ping(agent_id.clone(), observation);
        }
    }

    fn ping(&mut self, agent_id: AgentId, observation: u64) {
        let Some(agent) = self.agents.get_mut(&agent_id) else {
            return;
        };
        agent.pings.is_waiting = true;
        let is_connected = agent.is_connected;
        self.send(&agent_id, ToAgent::Ping { is_connected });
        let timer = Timer::Ping(agent_id, observation);
        self.schedule(self.config.timeouts.agent_ping, timer);
    }

    /// The time for an answer is over.
    pub(super) fn ping_due(&mut self, agent_id: AgentId, observation: u64) {
        let limit = self.config.timeouts.max_agent_pings;
        let Some(agent) = self.agents.get_mut(&agent_id) else {
            return;
        };
        if agent.observation != observation {
            return;
        }
        if agent.pings.is_waiting {
            agent.pings.missed += 1;
            if agent.pings.missed >= limit {
                self.mark_unreachable(&agent_id, "health check timed out");
                return;
            }
        }
        self.ping(agent_id, observation);
    }

    pub(super) fn pong(&mut self, agent_id: &AgentId) {
        if let Some(agent) = self.agents.get_mut(agent_id) {
            agent.pings = Pings::default();
        }
    }

    /// The connection to the agent in place `index` is broken: what does not outlive that is lost. False if there was
    /// none.
    pub(in crate::local) fn agent_exited(&mut self, index: usize) -> bool {
        let Some(agent_id) = self.agent_at(index) else {
            return false;
        };
        let Some(agent) = self.agents.get_mut(&agent_id) else {
            return false;
        };
        if !agent.is_connected {
            return false;
        }
        tracing::info!(%agent_id, "agent disconnected");
        agent.is_connected = false;
        agent.disconnections += 1;
        let disconnection = agent.disconnections;
        self.deactivate(&agent_id);
        for framework_id in self.frameworks_on(&agent_id) {
            let framework = self.frameworks.get(&framework_id);
            if framework.is_some_and(|framework| !framework.info.checkpoint()) {
                self.lose_framework(&framework_id, &agent_id);
            }
        }
        let timer = Timer::AgentReregistration(agent_id, disconnection);
        self.schedule(self.config.timeouts.agent_reregister, timer);
        true
    }

    /// Takes an agent out of the allocation, and its offers back.
    pub(super) fn deactivate(&mut self, agent_id: &AgentId) {
        if let Some(agent) = self.agents.get_mut(agent_id) {
            agent.is_active = false;
        }
        self.rescind_offers_of(agent_id);
    }

    pub(super) fn rescind_offers_of(&mut self, agent_id: &AgentId) {
        let offers = self.offers.iter();
        let own = offers.filter(|(_, offer)| offer.agent_id == *agent_id);
        let own: Vec<OfferId> = own.map(|(id, _)| id.clone()).collect();
        for offer_id in &own {
            self.rescind(offer_id);
        }
    }

    /// Those that have tasks or executors on an agent.
    fn frameworks_on(&self, agent_id: &AgentId) -> BTreeSet<FrameworkId> {
        let frameworks = self.frameworks.values();
        let present = frameworks.filter(|framework| {
            let mut tasks = framework.tasks.values();
            let mut executors = framework.executors.keys();
            tasks.any(|task| task.task.agent_id == *agent_id)
                || executors.any(|(on, _)| on == agent_id)
        });
        present.map(|framework| framework.id.clone()).collect()
    }

    /// What a framework has on an agent ended with the agent's connection.
    fn lose_framework(&mut self, framework_id: &FrameworkId, agent_id: &AgentId) {
        let hostname = self.agents.get(agent_id).map(|agent| &agent.info.hostname);
        let message = format!("Agent {} disconnected", hostname.map_or("", String::as_str));
        for task_id in self.tasks_on(framework_id, agent_id) {
            let verdict = Verdict {
                state: TaskState::TaskLost,
                reason: Reason::AgentDisconnected,
                message: message.clone(),
            };
            let task = self.lose_task(framework_id, &task_id, &verdict, None);
            if let Some(framework) = self.frameworks.get_mut(framework_id)
                && let Some(task) = task
            {
                framework.add_completed(task);
            }
        }
        self.remove_executors(framework_id, agent_id);
    }

    pub(super) fn tasks_on(&self, framework_id: &FrameworkId, agent_id: &AgentId) -> Vec<TaskId> {
        let framework = self.frameworks.get(framework_id);
        let tasks = framework.into_iter().flat_map(|own| own.tasks.values());
        tasks
            .filter(|task| task.task.agent_id == *agent_id)
            .map(|task| task.task.task_id.clone())
            .collect()
    }

    /// The agent has had its time to come back after a broken connection.
    pub(super) fn agent_reregistration_due(&mut self, agent_id: &AgentId, disconnection: u64) {
        let agent = self.agents.get(agent_id);
        if agent.is_some_and(|own| !own.is_connected && own.disconnections == disconnection) {
            let limit = duration_text(self.config.timeouts.agent_reregister);
            let message = format!("agent did not reregister within {limit} after disconnecting");
            self.mark_unreachable(agent_id, &message);
        }
    }

    /// All agents have had their time to come to this master.
    pub(super) fn recovery_due(&mut self) {
        let missing: Vec<AgentId> = self.recovering.iter().cloned().collect();
        for agent_id in missing {
            if self.registry.gone.contains_key(&agent_id) {
                continue;
            }
            self.recovering.remove(&agent_id);
            self.write_unreachable(&agent_id);
            self.tallies.given_up();
            self.tallies.named.note("recovery_slave_removals");
            self.send_agent_lost(&agent_id);
        }
    }

    fn mark_unreachable(&mut self, agent_id: &AgentId, message: &str) {
        tracing::info!(%agent_id, why = message, "agent unreachable");
        self.tallies.given_up();
        let since = self.write_unreachable(agent_id);
        let message = message.to_owned();
        self.remove_agent(agent_id, &Removal::Unreachable { message, since });
    }
}
