//! Operations on reservations and volumes: what the master does at once, and what it remembers until it is acknowledged.
//!
//! Source: `Master::_apply`, `Master::updateOperationStatus` and `Master::acknowledgeOperationStatus`,
//! `src/master/master.cpp` of Apache Mesos 1.11.0.

mod accept;
mod reconcile;
mod store;

use bytes::Bytes;
use uuid::Uuid;

pub(super) use accept::Accepted;
pub(super) use store::Operations;

use super::framework::{Framework, event};
use super::state::Master;
use crate::local::messages::ToAgent;
use crate::proto::offer::Operation as Info;
use crate::proto::scheduler::{call, event};
use crate::proto::{self, AgentId, FrameworkId, Operation, OperationState, OperationStatus};
use crate::resources::Conversion;

/// Whether nothing follows on `state` (`src/common/protobuf_utils.cpp`).
fn is_terminal(state: OperationState) -> bool {
    match state {
        OperationState::OperationFinished
        | OperationState::OperationFailed
        | OperationState::OperationError
        | OperationState::OperationDropped
        | OperationState::OperationGoneByOperator => true,
        OperationState::OperationUnsupported
        | OperationState::OperationPending
        | OperationState::OperationUnreachable
        | OperationState::OperationRecovering
        | OperationState::OperationUnknown => false,
    }
}

impl Framework {
    pub(super) fn send_operation_status(&self, status: OperationStatus) {
        let mut event = event(event::Type::UpdateOperationStatus);
        event.update_operation_status = Some(event::UpdateOperationStatus { status });
        self.send(&event);
    }

    /// Reports an operation that has an id; one without id vanishes.
    fn send_operation_error(&self, operation: &Info, why: &str) {
        let Some(operation_id) = &operation.id else {
            tracing::warn!(framework_id = %self.id, why, "operation dropped");
            return;
        };
        self.send_operation_status(OperationStatus {
            operation_id: Some(operation_id.clone()),
            state: OperationState::OperationError.into(),
            message: Some(why.to_owned()),
            ..Default::default()
        });
    }
}

impl Master {
    /// Refuses an operation of a framework.
    pub(super) fn refuse_operation(&self, framework_id: &FrameworkId, operation: &Info, why: &str) {
        let state = OperationState::OperationError;
        self.tallies.operation(operation.r#type(), state);
        if let Some(framework) = self.frameworks.get(framework_id) {
            framework.send_operation_error(operation, why);
        }
    }

    /// Changes what the agent has, and has the agent do the same. `conversions` must be possible there.
    pub(super) fn begin_operation(
        &mut self,
        agent_id: &AgentId,
        framework_id: Option<&FrameworkId>,
        info: Info,
        conversions: &[Conversion],
    ) {
        let Some(agent) = self.agents.get_mut(agent_id) else {
            return;
        };
        let conversions: Vec<Conversion> =
            conversions.iter().map(Conversion::unallocated).collect();
        match agent.total.converted(&conversions) {
            Ok(total) => agent.total = total,
            Err(why) => {
                tracing::error!(%agent_id, why, "an operation is not possible on its agent");
                return;
            }
        }
        let latest_status = OperationStatus {
            operation_id: info.id.clone(),
            state: OperationState::OperationPending.into(),
            agent_id: Some(agent_id.clone()),
            ..Default::default()
        };
        let operation = Operation {
            framework_id: framework_id.cloned(),
            agent_id: Some(agent_id.clone()),
            info,
            latest_status,
            statuses: Vec::new(),
            uuid: proto::Uuid {
                value: Bytes::copy_from_slice(Uuid::new_v4().as_bytes()),
            },
        };
        let framework = framework_id.and_then(|id| self.frameworks.get(id));
        if let Some(framework) = framework {
            framework.tallies.operations.note(operation.info.r#type());
        }
        self.operations.insert(operation.clone());
        self.send(agent_id, ToAgent::ApplyOperation(Box::new(operation)));
    }

    /// Takes an agent's word on an operation, and passes it on to whoever wants to know.
    pub(super) fn operation_updated(&mut self, uuid: &Bytes, mut status: OperationStatus) {
        let operation = self.operations.get_mut(uuid);
        self.tallies
            .validity("operation_status_updates", operation.is_some());
        let Some(operation) = operation else {
            return;
        };
        status.operation_id.clone_from(&operation.info.id);
        if !is_terminal(operation.latest_status.state()) {
            operation.latest_status = status.clone();
            let kind = operation.info.r#type();
            self.tallies.operation(kind, status.state());
        }
        if operation.statuses.last() != Some(&status) {
            operation.statuses.push(status.clone());
        }
        let framework_id = operation.framework_id.clone();
        let has_id = operation.info.id.is_some();
        let agent_id = operation.agent_id.clone().unwrap_or_default();
        let acknowledger = framework_id.filter(|id| has_id && !self.is_completed(id));
        if let Some(framework_id) = acknowledger {
            if let Some(framework) = self.frameworks.get(&framework_id) {
                framework.send_operation_status(status);
            }
            return;
        }
        // Nobody else will.
        if is_terminal(status.state()) {
            self.operations.remove(uuid);
        }
        if let Some(status_uuid) = status.uuid {
            let message = ToAgent::AcknowledgeOperation {
                operation_uuid: uuid.clone(),
                status_uuid: status_uuid.value,
            };
            self.send(&agent_id, message);
        }
        self.check_drained(&agent_id);
    }

    /// Passes an acknowledgement on, unless it is for something that the master has not seen.
    pub(super) fn acknowledge_operation(
        &mut self,
        framework_id: &FrameworkId,
        acknowledge: call::AcknowledgeOperationStatus,
    ) {
        let is_valid = self
            .passed_on_operation(framework_id, acknowledge)
            .is_some();
        let what = "operation_status_update_acknowledgements";
        self.tallies.validity(what, is_valid);
    }

    fn passed_on_operation(
        &mut self,
        framework_id: &FrameworkId,
        acknowledge: call::AcknowledgeOperationStatus,
    ) -> Option<()> {
        let agent_id = acknowledge.agent_id.unwrap_or_default();
        if !self.agents.contains_key(&agent_id) {
            return None;
        }
        let id = &acknowledge.operation_id;
        let Some(operation) = self.operations.find(framework_id, id) else {
            tracing::warn!(%framework_id, operation_id = %id, "acknowledgement of an unknown operation dropped");
            return None;
        };
        let mut statuses = operation.statuses.iter();
        let acknowledged = statuses.find(|status| {
            let uuid = status.uuid.as_ref();
            uuid.is_some_and(|uuid| uuid.value == acknowledge.uuid)
        });
        let acknowledged = acknowledged?;
        let uuid = operation.uuid.value.clone();
        if is_terminal(acknowledged.state()) {
            self.operations.remove(&uuid);
        }
        let message = ToAgent::AcknowledgeOperation {
            operation_uuid: uuid,
            status_uuid: acknowledge.uuid,
        };
        self.send(&agent_id, message);
        self.check_drained(&agent_id);
        Some(())
    }
}
