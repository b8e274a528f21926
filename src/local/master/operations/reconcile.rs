//! RECONCILE_OPERATIONS.
//!
//! Source: `Master::reconcileOperations`, `src/master/master.cpp` of Apache Mesos 1.11.0.

use crate::local::master::standing::Standing;
use crate::local::master::state::Master;
use crate::proto::scheduler::call::{self, reconcile_operations};
use crate::proto::{FrameworkId, Operation, OperationState, OperationStatus};

impl Master {
    pub(in crate::local::master) fn reconcile_operations(
        &self,
        framework_id: &FrameworkId,
        call: call::ReconcileOperations,
    ) {
        let Some(framework) = self.frameworks.get(framework_id) else {
            return;
        };
        if call.operations.is_empty() {
            for operation in self.operations.of(framework_id) {
                framework.send_operation_status(latest(operation));
            }
        }
        for asked in call.operations {
            let status = match self.operations.find(framework_id, &asked.operation_id) {
                Some(operation) => latest(operation),
                None => self.unknown_operation(asked),
            };
            framework.send_operation_status(status);
        }
    }

    fn unknown_operation(&self, asked: reconcile_operations::Operation) -> OperationStatus {
        let standing = asked.agent_id.as_ref().map(|id| self.standing(id));
        let (state, message) = word_on_unknown(standing);
        OperationStatus {
            operation_id: Some(asked.operation_id),
            state: state.into(),
            message: Some(format!("Reconciliation: {message}")),
            agent_id: asked.agent_id,
            resource_provider_id: asked.resource_provider_id,
            ..Default::default()
        }
    }
}

/// What is said of an operation that the master does not know, by how its agent stands, if one is named. (An agent asked
/// about a provider that it never had says what the master says of its own.)
fn word_on_unknown(standing: Option<Standing>) -> (OperationState, &'static str) {
    match standing {
        Some(Standing::Recovering) => (
            OperationState::OperationRecovering,
            "Agent is recovered but has not re-registered",
        ),
        Some(Standing::Unreachable(_)) => {
            (OperationState::OperationUnreachable, "Agent is unreachable")
        }
        Some(Standing::Gone) => (
            OperationState::OperationGoneByOperator,
            "Agent marked gone by operator",
        ),
        Some(Standing::Registered) => (OperationState::OperationUnknown, "Operation is unknown"),
        Some(Standing::Unknown) => (
            OperationState::OperationUnknown,
            "Both operation and agent are unknown",
        ),
        None => (
            OperationState::OperationUnknown,
            "Operation is unknown and no 'agent_id' was provided",
        ),
    }
}

/// The last status, not to be acknowledged.
fn latest(operation: &Operation) -> OperationStatus {
    let last = operation.statuses.last();
    let mut status = last.unwrap_or(&operation.latest_status).clone();
    status.uuid = None;
    status
}
