//! Reservations and volumes by an operator's hand: on what is free on an agent, or offered and not used yet.
//!
//! Source: `_reserve`, `_createVolumes`, `_operation` and their like, `src/master/http.cpp` of Apache Mesos 1.11.0.

use hyper::StatusCode;

use crate::local::http::Reply;
use crate::local::master::state::Master;
use crate::proto::master::{Call, call};
use crate::proto::offer::{Operation, operation};
use crate::proto::{AgentId, Filters, OfferId};
use crate::resources::{Conversion, Resources, conversions, upgrade};
use crate::validation::{self, Requester, resources_of};

/// Why the content of `call` is not valid, if so.
pub(super) fn validate(kind: call::Type, call: &Call) -> Result<(), String> {
    let checked = match kind {
        call::Type::ReserveResources => {
            let content = call.reserve_resources.as_ref();
            content.map(|own| Resources::from_protos(&own.resources))
        }
        call::Type::UnreserveResources => {
            let content = call.unreserve_resources.as_ref();
            content.map(|own| Resources::from_protos(&own.resources))
        }
        _ => None,
    };
    if let Some(Err(error)) = checked {
        return Err(error.to_string());
    }
    let lacks_agent = match kind {
        call::Type::GrowVolume => call
            .grow_volume
            .as_ref()
            .is_some_and(|own| own.agent_id.is_none()),
        call::Type::ShrinkVolume => call
            .shrink_volume
            .as_ref()
            .is_some_and(|own| own.agent_id.is_none()),
        _ => false,
    };
    if lacks_agent {
        return Err(
            "Expecting 'agent_id' to be present; only agent default resources are supported right now"
                .to_owned(),
        );
    }
    Ok(())
}

/// The operation that `call` asks for, and the agent.
fn wanted(call: Call) -> (AgentId, Operation) {
    let mut operation = Operation::default();
    let (agent_id, kind) = match call.r#type() {
        call::Type::ReserveResources => {
            let own = call.reserve_resources.unwrap_or_default();
            operation.reserve = Some(operation::Reserve {
                source: own.source,
                resources: own.resources,
            });
            (Some(own.agent_id), operation::Type::Reserve)
        }
        call::Type::UnreserveResources => {
            let own = call.unreserve_resources.unwrap_or_default();
            let resources = own.resources;
            operation.unreserve = Some(operation::Unreserve { resources });
            (Some(own.agent_id), operation::Type::Unreserve)
        }
        call::Type::CreateVolumes => {
            let own = call.create_volumes.unwrap_or_default();
            let volumes = own.volumes;
            operation.create = Some(operation::Create { volumes });
            (Some(own.agent_id), operation::Type::Create)
        }
        call::Type::DestroyVolumes => {
            let own = call.destroy_volumes.unwrap_or_default();
            let volumes = own.volumes;
            operation.destroy = Some(operation::Destroy { volumes });
            (Some(own.agent_id), operation::Type::Destroy)
        }
        call::Type::GrowVolume => {
            let own = call.grow_volume.unwrap_or_default();
            operation.grow_volume = Some(operation::GrowVolume {
                volume: own.volume,
                addition: own.addition,
            });
            (own.agent_id, operation::Type::GrowVolume)
        }
        call::Type::ShrinkVolume => {
            let own = call.shrink_volume.unwrap_or_default();
            operation.shrink_volume = Some(operation::ShrinkVolume {
                volume: own.volume,
                subtract: own.subtract,
            });
            (own.agent_id, operation::Type::ShrinkVolume)
        }
        _ => (None, operation::Type::Unknown),
    };
    operation.r#type = Some(kind.into());
    (agent_id.unwrap_or_default(), operation)
}

impl Master {
    /// 202 once it is done here; the agent follows.
    pub(super) fn operator_operation(&mut self, call: Call, by: Option<&str>) -> Reply {
        let (agent_id, operation) = wanted(call);
        let operation = match self.prepare(&agent_id, operation, by) {
            Ok(operation) => operation,
            Err(why) => return Reply::bad_request(why),
        };
        if self.may_operate(by, &operation).is_err() {
            return Reply::not_allowed();
        }
        match conversions(&operation) {
            Ok(conversions) => {
                self.rescind_for(&agent_id, &conversions);
                self.convert_available(&agent_id, operation, &conversions)
            }
            Err(why) => {
                let name = operation.r#type().as_str_name();
                Reply::bad_request(format!("Invalid {name} operation: {why}"))
            }
        }
    }

    fn prepare(
        &self,
        agent_id: &AgentId,
        mut operation: Operation,
        by: Option<&str>,
    ) -> Result<Operation, String> {
        let Some(agent) = self.agents.get(agent_id) else {
            return Err("No agent found with specified ID".to_owned());
        };
        validation::shape(&operation)?;
        for resource in resources_of(&mut operation) {
            *resource = upgrade(std::mem::take(resource));
        }
        let requester = Requester {
            principal: by,
            framework: None,
            checkpointed: Some(&agent.checkpointed()),
            used: &self.used_on(agent_id).unallocated(),
        };
        let name = operation.r#type().as_str_name();
        requester.check(&operation).map_err(|why| {
            let (pid, host) = (agent.pid(), &agent.info.hostname);
            match operation.r#type() {
                operation::Type::Unreserve | operation::Type::Destroy => {
                    format!("Invalid {name} operation: {why}")
                }
                _ => {
                    format!("Invalid {name} operation on agent {agent_id} at {pid} ({host}): {why}")
                }
            }
        })?;
        Ok(operation)
    }

    /// Rescinds offers of the agent until those hold enough; whoever had them is not offered the same at once.
    fn rescind_for(&mut self, agent_id: &AgentId, conversions: &[Conversion]) {
        let mut required = Resources::new();
        for conversion in conversions {
            required += &conversion.consumed;
        }
        let mut recovered = Resources::new();
        let out = self.offers_where(|offer| offer.agent_id == *agent_id);
        let out: Vec<OfferId> = out.map(|(id, _)| id.clone()).collect();
        for offer_id in out {
            let Some(offer) = self.offers.get(&offer_id) else {
                continue;
            };
            let held = offer.resources.unallocated();
            let less = required.clone() - held.clone();
            if less == required {
                continue;
            }
            recovered += &held;
            required = less;
            self.rescind_refused(&offer_id, &Filters::default());
            if recovered.converted(conversions).is_ok() {
                break;
            }
        }
    }

    fn convert_available(
        &mut self,
        agent_id: &AgentId,
        operation: Operation,
        conversions: &[Conversion],
    ) -> Reply {
        let Some(agent) = self.agents.get_mut(agent_id) else {
            return Reply::bad_request("No agent found with specified ID");
        };
        let free = agent.available.clone() + agent.total.shared();
        match free.converted(conversions) {
            Ok(available) => agent.available = available.not_shared(),
            Err(why) => return Reply::status(StatusCode::CONFLICT, why),
        }
        self.begin_operation(agent_id, None, operation, conversions);
        Reply::accepted()
    }
}
