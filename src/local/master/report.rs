//! What the master knows, in the messages of the operator API.
//!
//! Source: the `get…` methods of `src/master/readonly_handler.cpp` of Apache Mesos 1.11.0.

use super::framework::{Connection, Framework};
use super::state::{Agent, Master, Offer};
use super::views::Viewer;
use crate::codec::ContentType;
use crate::local::config::{AGENT_CAPABILITIES, VERSION};
use crate::local::operator::{shown, time};
use crate::proto::master::response::{
    GetAgents, GetExecutors, GetFrameworks, GetState, GetTasks, get_agents, get_executors,
    get_frameworks,
};
use crate::proto::{self, AgentId, OfferId, agent_info};
use crate::resources::Resources;

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

    fn report(
        &self,
        viewer: &Viewer<'_>,
        offers: Vec<proto::Offer>,
        inverse_offers: Vec<proto::InverseOffer>,
        offered: &Resources,
    ) -> get_frameworks::Framework {
        get_frameworks::Framework {
            framework_info: self.info.clone(),
            active: self.is_connected(),
            connected: self.is_connected(),
            recovered: self.is_recovered(),
            registered_time: Some(time(self.registered)),
            reregistered_time: Some(time(self.reregistered)),
            unregistered_time: self.unregistered.map(time),
            offers,
            inverse_offers,
            allocated_resources: viewer.seen(shown(&self.used(None))),
            offered_resources: viewer.seen(shown(offered)),
            offer_constraints: Some(self.constraints.stated().clone()),
        }
    }

    /// What subscribers of the operator API are told of it.
    pub(super) fn outline(&self) -> get_frameworks::Framework {
        get_frameworks::Framework {
            framework_info: self.info.clone(),
            active: self.is_connected(),
            connected: self.is_connected(),
            recovered: self.is_recovered(),
            registered_time: Some(time(self.registered)),
            reregistered_time: Some(time(self.reregistered)),
            unregistered_time: Some(time(self.unregistered.unwrap_or_default())),
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

    pub(super) fn get_state(&self, viewer: &Viewer<'_>) -> GetState {
        GetState {
            get_tasks: Some(self.get_tasks(viewer)),
            get_executors: Some(self.get_executors(viewer)),
            get_frameworks: Some(self.get_frameworks(viewer)),
            get_agents: Some(self.get_agents(viewer)),
        }
    }

    pub(super) fn get_agents(&self, viewer: &Viewer<'_>) -> GetAgents {
        let agents = self.agents.iter();
        let recovering = self.recovering.iter();
        let recovered = recovering.filter_map(|agent_id| self.registry.agents.get(agent_id));
        GetAgents {
            agents: agents
                .map(|(id, agent)| self.agent(viewer, id, agent))
                .collect(),
            recovered_agents: recovered
                .cloned()
                .map(|mut info| {
                    info.resources = viewer.seen(info.resources);
                    info
                })
                .collect(),
        }
    }

    pub(super) fn agent(
        &self,
        viewer: &Viewer<'_>,
        agent_id: &AgentId,
        agent: &Agent,
    ) -> get_agents::Agent {
        let registered = time(agent.registered);
        let capabilities = AGENT_CAPABILITIES.map(|kind| agent_info::Capability {
            r#type: Some(kind.into()),
        });
        get_agents::Agent {
            agent_info: agent.info.clone(),
            active: agent.is_active,
            deactivated: Some(self.is_deactivated(agent_id)),
            version: VERSION.to_owned(),
            pid: Some(agent.pid()),
            registered_time: Some(registered),
            reregistered_time: agent.reregistered.map(time),
            total_resources: viewer.seen(shown(&agent.total)),
            allocated_resources: viewer.seen(shown(&self.used_on(agent_id))),
            offered_resources: viewer
                .seen(shown(&self.offered(|offer| offer.agent_id == *agent_id))),
            capabilities: capabilities.to_vec(),
            drain_info: self.drain_info(agent_id),
            estimated_drain_start_time: agent.drain_started.map(|at| time(at.floor())),
            ..Default::default()
        }
    }

    pub(super) fn get_frameworks(&self, viewer: &Viewer<'_>) -> GetFrameworks {
        let frameworks = self.seen_frameworks(viewer).map(|framework| {
            let own = |offer: &Offer| offer.framework_id == framework.id;
            let offers = self.offers_where(own);
            let offers = offers.map(|(id, offer)| self.offer(id, offer)).collect();
            let inverse_offers = self.inverse_offers.of_framework(&framework.id);
            framework.report(
                viewer,
                offers,
                inverse_offers.cloned().collect(),
                &self.offered(own),
            )
        });
        let completed = self.seen_completed(viewer);
        GetFrameworks {
            frameworks: frameworks.collect(),
            completed_frameworks: completed
                .map(|framework| {
                    framework.report(viewer, Vec::new(), Vec::new(), &Resources::new())
                })
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

    pub(super) fn get_executors(&self, viewer: &Viewer<'_>) -> GetExecutors {
        let frameworks = self.seen_frameworks(viewer);
        let executors = frameworks.flat_map(|framework| {
            let executors = framework.executors.iter();
            let executors =
                executors.filter(|(_, own)| viewer.sees_executor(&own.info, &framework.info));
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

    /// A real master that writes protobuf shows the tasks of frameworks that are gone to those only who may not see them.
    pub(super) fn get_tasks(&self, viewer: &Viewer<'_>) -> GetTasks {
        let is_protobuf = viewer.content_type == ContentType::Protobuf;
        let completed = self.completed.iter();
        let completed = completed.filter(|own| viewer.sees_framework(&own.info) != is_protobuf);
        let mut shown = GetTasks::default();
        for framework in self.seen_frameworks(viewer).chain(completed) {
            let sees = |task: &&proto::Task| viewer.sees_task(task, &framework.info);
            let tasks = framework.tasks.values().map(|task| &task.task);
            shown.tasks.extend(tasks.filter(sees).cloned());
            let unreachable = framework.unreachable_tasks.iter().filter(sees);
            shown.unreachable_tasks.extend(unreachable.cloned());
            let completed = framework.completed_tasks.iter().filter(sees);
            shown.completed_tasks.extend(completed.cloned());
        }
        shown
    }
}
