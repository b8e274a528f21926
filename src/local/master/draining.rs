//! The operator calls that end or suspend an agent's use: MARK_AGENT_GONE, DRAIN_AGENT, DEACTIVATE_AGENT and
//! REACTIVATE_AGENT.
//!
//! Source: the handlers in `src/master/http.cpp`, and `Master::checkAndTransitionDrainingAgent`,
//! `src/master/master.cpp` of Apache Mesos 1.11.0.

use hyper::StatusCode;

use super::machines;
use super::standing::Standing;
use super::state::{Agent, Master, timestamp};
use crate::local::acls::AclAction;
use crate::local::http::Reply;
use crate::local::messages::ToAgent;
use crate::proto::master::{Call, call};
use crate::proto::{AgentId, DrainConfig, DrainInfo, DrainState, DurationInfo, Operation};

/// Nanoseconds in a second.
const SECOND: i64 = 1_000_000_000;

impl Master {
    /// Carries out such a call; `None` if it is another one.
    pub(super) fn agent_call(
        &mut self,
        kind: call::Type,
        call: &Call,
        by: Option<&str>,
    ) -> Option<Reply> {
        match kind {
            call::Type::MarkAgentGone => {
                let call = call.mark_agent_gone.as_ref()?;
                Some(self.operator_mark_gone(&call.agent_id, by))
            }
            call::Type::DrainAgent => Some(self.operator_drain(call.drain_agent.as_ref()?, by)),
            call::Type::DeactivateAgent => {
                let call = call.deactivate_agent.as_ref()?;
                Some(self.operator_deactivate(&call.agent_id, by))
            }
            call::Type::ReactivateAgent => {
                let call = call.reactivate_agent.as_ref()?;
                Some(self.operator_reactivate(&call.agent_id, by))
            }
            _ => None,
        }
    }

    fn operator_mark_gone(&mut self, agent_id: &AgentId, by: Option<&str>) -> Reply {
        if !self.allows(by, AclAction::MarkAgentsGone, None) {
            return Reply::not_allowed();
        }
        if self.registry.gone.contains_key(agent_id) {
            return Reply::ok();
        }
        if self.standing(agent_id) == Standing::Unknown {
            let text = format!("Agent '{agent_id}' not found");
            return Reply::status(StatusCode::NOT_FOUND, text);
        }
        self.mark_gone(agent_id);
        Reply::ok()
    }

    fn operator_drain(&mut self, call: &call::DrainAgent, by: Option<&str>) -> Reply {
        let agent_id = &call.agent_id;
        let agent = self.agents.get(agent_id);
        if let Some(machine) = agent.map(Agent::machine)
            && self.machines.is_scheduled(&machine)
        {
            return Reply::bad_request(format!(
                "Agent {agent_id} is part of a maintenance schedule under Machine {}",
                machines::named(&machine)
            ));
        }
        let may = |action| self.allows(by, action, None);
        if !may(AclAction::DrainAgents) || (call.mark_gone() && !may(AclAction::MarkAgentsGone)) {
            return Reply::not_allowed();
        }
        if !self.is_known(agent_id) {
            return Reply::bad_request("Unknown agent");
        }
        let max_grace_period = call.max_grace_period.map(|period| DurationInfo {
            nanoseconds: period
                .seconds
                .saturating_mul(SECOND)
                .saturating_add(i64::from(period.nanos)),
        });
        let config = DrainConfig {
            max_grace_period,
            mark_gone: Some(call.mark_gone()),
        };
        let info = DrainInfo {
            state: DrainState::Draining.into(),
            config,
        };
        self.registry.draining.insert(agent_id.clone(), info);
        self.registry.deactivated.insert(agent_id.clone());
        if let Some(agent) = self.agents.get_mut(agent_id) {
            agent.drain_started = Some(timestamp());
            self.deactivate(agent_id);
            self.send(agent_id, ToAgent::Drain { config });
            self.check_drained(agent_id);
        }
        Reply::ok()
    }

    fn operator_deactivate(&mut self, agent_id: &AgentId, by: Option<&str>) -> Reply {
        if !self.allows(by, AclAction::DeactivateAgents, None) {
            return Reply::not_allowed();
        }
        if !self.is_known(agent_id) {
            return Reply::bad_request("Unknown agent");
        }
        self.registry.deactivated.insert(agent_id.clone());
        self.deactivate(agent_id);
        Reply::ok()
    }

    fn operator_reactivate(&mut self, agent_id: &AgentId, by: Option<&str>) -> Reply {
        if !self.allows(by, AclAction::ReactivateAgents, None) {
            return Reply::not_allowed();
        }
        if !self.is_deactivated(agent_id) {
            return Reply::bad_request("Agent is not deactivated");
        }
        let drain = self.drain_info(agent_id);
        if drain.is_some_and(|drain| drain.state() == DrainState::Draining) {
            return Reply::bad_request("Agent is still in the DRAINING state");
        }
        self.registry.draining.remove(agent_id);
        self.registry.deactivated.remove(agent_id);
        let Some(agent) = self.agents.get_mut(agent_id) else {
            let text = "Agent removed while processing the call";
            return Reply::status(StatusCode::CONFLICT, text);
        };
        agent.is_active = agent.is_connected;
        agent.drain_started = None;
        self.needs_allocation = true;
        Reply::ok()
    }

    /// A draining agent on which no task and no operation is left is drained; or gone, if that is wanted.
    pub(super) fn check_drained(&mut self, agent_id: &AgentId) {
        let is_here = |own: &Operation| own.agent_id.as_ref() == Some(agent_id);
        let has_operations = self.operations.iter().any(is_here);
        let Some(info) = self.registry.draining.get_mut(agent_id) else {
            return;
        };
        let mut tasks = self.frameworks.values().flat_map(|own| own.tasks.values());
        let is_done = info.state() == DrainState::Drained;
        if is_done || has_operations || tasks.any(|task| task.task.agent_id == *agent_id) {
            return;
        }
        if info.config.mark_gone() {
            self.mark_gone(agent_id);
        } else {
            tracing::info!(%agent_id, "agent drained");
            info.state = DrainState::Drained.into();
        }
    }

    /// Tells an agent that has come to drain, if it is to.
    pub(super) fn tell_to_drain(&mut self, agent_id: &AgentId) {
        if let Some(info) = self.drain_info(agent_id) {
            let config = info.config;
            self.send(agent_id, ToAgent::Drain { config });
            self.check_drained(agent_id);
        }
    }
}
