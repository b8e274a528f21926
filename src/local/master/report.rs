//! What the master knows, in the messages of the operator API.
//!
//! Source: the `get…` methods of `src/master/readonly_handler.cpp` of Apache Mesos 1.11.0.

use std::collections::{BTreeMap, BTreeSet};

use super::framework::{Connection, Framework};
use super::state::{Agent, Master, Offer};
use crate::local::config::{AGENT_CAPABILITIES, VERSION};
use crate::local::operator::{shown, time};
use crate::proto::master::response::{
    GetAgents, GetExecutors, GetFrameworks, GetRoles, GetState, GetTasks, get_agents,
    get_executors, get_frameworks,
};
use crate::proto::{self, AgentId, AgentInfo, OfferId, Role, agent_info};
use crate::resources::Resources;

/// Weight of a role for which nobody set one (`DEFAULT_WEIGHT`, `src/master/constants.hpp`).
const DEFAULT_WEIGHT: f64 = 1.0;

impl Framework {
    /// What its tasks and executors hold, on one agent or on all.
    pub(super) fn used(&self, on: Option<&AgentId>) -> Resources {
        let mut used = Resources::new();
        let tasks = self.tasks.values();
        for task in tasks.filter(|task| on.is_none_or(|on| *on == task.task.agent_id)) {
            used += &task.resources.unallocated().allocated_to(&task.role);
        }
        for ((agent_id, _), executor) in &self.executors {
            if on.is_none_or(|on| on == agent_id) {
                used += &executor
                    .resources
                    .unallocated()
                    .allocated_to(&executor.role);
            }
        }
        used
    }

    fn report(&self, offers: Vec<proto::Offer>, offered: &Resources) -> get_frameworks::Framework {
        get_frameworks::Framework {
            framework_info: self.info.clone(),
            active: self.is_connected(),
            connected: self.is_connected(),
            recovered: self.is_recovered(),
            registered_time: Some(time(self.registered)),
            reregistered_time: Some(time(self.reregistered)),
            unregistered_time: self.unregistered.map(time),
            offers,
            allocated_resources: shown(&self.used(None)),
            offered_resources: shown(offered),
            offer_constraints: Some(proto::scheduler::OfferConstraints::default()),
            ..Default::default()
        }
    }

    pub(super) fn is_recovered(&self) -> bool {
        matches!(self.connection, Connection::Recovered)
    }
}

impl Master {
    /// Offers that are out, of which `wanted` holds.
    pub(super) fn offers_where(
        &self,
        wanted: impl Fn(&Offer) -> bool,
    ) -> impl Iterator<Item = (&OfferId, &Offer)> {
        self.offers.iter().filter(move |(_, offer)| wanted(offer))
    }

    pub(super) fn offered(&self, wanted: impl Fn(&Offer) -> bool) -> Resources {
        let mut offered = Resources::new();
        for (_, offer) in self.offers_where(wanted) {
            offered += &offer.resources;
        }
        offered
    }

    /// What is in use on an agent.
    pub(super) fn used_on(&self, agent_id: &AgentId) -> Resources {
        let mut used = Resources::new();
        for framework in self.frameworks.values() {
            used += &framework.used(Some(agent_id));
        }
        used
    }

    pub(super) fn get_state(&self) -> GetState {
        GetState {
            get_tasks: Some(self.get_tasks()),
            get_executors: Some(self.get_executors()),
            get_frameworks: Some(self.get_frameworks()),
            get_agents: Some(self.get_agents()),
        }
    }

    pub(super) fn get_agents(&self) -> GetAgents {
        let agents = self.agents.iter();
        let recovered = self.recovering.iter().map(|agent_id| AgentInfo {
            id: Some(agent_id.clone()),
            ..Default::default()
        });
        GetAgents {
            agents: agents.map(|(id, agent)| self.agent(id, agent)).collect(),
            recovered_agents: recovered.collect(),
        }
    }

    fn agent(&self, agent_id: &AgentId, agent: &Agent) -> get_agents::Agent {
        let registered = time(agent.registered);
        let capabilities = AGENT_CAPABILITIES.map(|kind| agent_info::Capability {
            r#type: Some(kind.into()),
        });
        get_agents::Agent {
            agent_info: agent.info.clone(),
            active: true,
            deactivated: Some(false),
            version: VERSION.to_owned(),
            pid: Some(agent.pid()),
            registered_time: Some(registered),
            reregistered_time: agent.was_recovered.then_some(registered),
            total_resources: shown(&agent.total),
            allocated_resources: shown(&self.used_on(agent_id)),
            offered_resources: shown(&self.offered(|offer| offer.agent_id == *agent_id)),
            capabilities: capabilities.to_vec(),
            ..Default::default()
        }
    }

    pub(super) fn get_frameworks(&self) -> GetFrameworks {
        let frameworks = self.frameworks.values().map(|framework| {
            let own = |offer: &Offer| offer.framework_id == framework.id;
            let offers = self.offers_where(own);
            let offers = offers.map(|(id, offer)| self.offer(id, offer)).collect();
            framework.report(offers, &self.offered(own))
        });
        let completed = self.completed.iter();
        GetFrameworks {
            frameworks: frameworks.collect(),
            completed_frameworks: completed
                .map(|framework| framework.report(Vec::new(), &Resources::new()))
                .collect(),
            ..Default::default()
        }
    }

    fn offer(&self, id: &OfferId, offer: &Offer) -> proto::Offer {
        let agent = self.agents.get(&offer.agent_id);
        proto::Offer {
            id: id.clone(),
            framework_id: offer.framework_id.clone(),
            agent_id: offer.agent_id.clone(),
            hostname: agent.map_or_else(String::new, |agent| agent.info.hostname.clone()),
            attributes: agent.map_or_else(Vec::new, |agent| agent.info.attributes.clone()),
            resources: shown(&offer.resources),
            allocation_info: Some(proto::resource::AllocationInfo {
                role: Some(offer.role.clone()),
            }),
            ..Default::default()
        }
    }

    pub(super) fn get_executors(&self) -> GetExecutors {
        let frameworks = self.frameworks.values();
        let executors = frameworks.flat_map(|framework| {
            let executors = framework.executors.iter();
            executors.map(|((agent_id, _), executor)| get_executors::Executor {
                executor_info: executor.info.clone(),
                agent_id: agent_id.clone(),
            })
        });
        GetExecutors {
            executors: executors.collect(),
            ..Default::default()
        }
    }

    pub(super) fn get_tasks(&self) -> GetTasks {
        let frameworks = self.frameworks.values();
        let tasks = frameworks.flat_map(|framework| framework.tasks.values());
        let all = self.frameworks.values().chain(&self.completed);
        let completed = all.flat_map(|framework| &framework.completed_tasks);
        GetTasks {
            tasks: tasks.map(|task| task.task.clone()).collect(),
            completed_tasks: completed.cloned().collect(),
            ..Default::default()
        }
    }

    pub(super) fn get_roles(&self) -> GetRoles {
        let mut roles: BTreeMap<String, Role> = BTreeMap::new();
        for framework in self.frameworks.values() {
            let held = framework.allocated.iter();
            let held = held.filter(|(_, resources)| !resources.is_empty());
            let mut names: BTreeSet<String> = held.map(|(role, _)| role.clone()).collect();
            names.extend(framework.roles());
            for name in names {
                let held = framework.allocated.get(&name).cloned().unwrap_or_default();
                let role = roles.entry(name.clone()).or_insert_with(|| Role {
                    name: name.clone(),
                    weight: DEFAULT_WEIGHT,
                    ..Default::default()
                });
                role.frameworks.push(framework.id.clone());
                let sum = Resources::from_unchecked(&role.resources) + held.unallocated();
                role.resources = sum.to_protos();
            }
        }
        GetRoles {
            roles: roles.into_values().collect(),
        }
    }
}
