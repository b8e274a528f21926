//! The calls of a subscribed scheduler, once it has been established that they are its.

use super::framework::event;
use super::state::Master;
use crate::local::http::Reply;
use crate::local::messages::ToAgent;
use crate::proto::scheduler::{Call, call, event};
use crate::proto::{FrameworkId, OperationState, OperationStatus};

impl Master {
    /// Carries out `call`; a mistake in it that Mesos keeps quiet about is kept quiet about here.
    pub(super) fn call(&mut self, framework_id: &FrameworkId, call: Call) -> Reply {
        match call.r#type() {
            call::Type::Teardown => self.teardown(framework_id),
            call::Type::Accept => self.accept(framework_id, call.accept.unwrap_or_default()),
            call::Type::Decline => self.decline(framework_id, &call.decline.unwrap_or_default()),
            call::Type::Revive => {
                self.revive(framework_id, call.revive.unwrap_or_default().roles);
            }
            call::Type::Suppress => {
                self.suppress(framework_id, call.suppress.unwrap_or_default().roles);
            }
            call::Type::Kill => self.kill(framework_id, call.kill.unwrap_or_default()),
            call::Type::Shutdown => {
                let shutdown = call.shutdown.unwrap_or_default();
                let message = ToAgent::ShutdownExecutor {
                    framework_id: framework_id.clone(),
                    executor_id: shutdown.executor_id,
                };
                self.send(&shutdown.agent_id, message);
            }
            call::Type::Acknowledge => {
                self.acknowledge(framework_id, call.acknowledge.unwrap_or_default());
            }
            call::Type::Reconcile => {
                self.reconcile(framework_id, &call.reconcile.unwrap_or_default());
            }
            call::Type::ReconcileOperations => {
                let call = call.reconcile_operations.unwrap_or_default();
                self.reconcile_operations(framework_id, call);
            }
            call::Type::Message => {
                let message = call.message.unwrap_or_default();
                let forwarded = ToAgent::Message {
                    framework_id: framework_id.clone(),
                    executor_id: message.executor_id,
                    data: message.data,
                };
                self.send(&message.agent_id, forwarded);
            }
            call::Type::UpdateFramework => {
                let call = call.update_framework.unwrap_or_default();
                return self.update_framework(framework_id, call);
            }
            // Requests have never been honoured, no operation was ever made whose status could be acknowledged, and
            // there are no inverse offers.
            call::Type::Request
            | call::Type::AcknowledgeOperationStatus
            | call::Type::AcceptInverseOffers
            | call::Type::DeclineInverseOffers => {}
            // Mesos dies of this one; what it meant to answer is 501.
            call::Type::Unknown | call::Type::Subscribe => {
                return Reply::status(hyper::StatusCode::NOT_IMPLEMENTED, "");
            }
        }
        Reply::accepted()
    }

    fn reconcile_operations(
        &mut self,
        framework_id: &FrameworkId,
        call: call::ReconcileOperations,
    ) {
        let Some(framework) = self.frameworks.get(framework_id) else {
            return;
        };
        for operation in call.operations {
            let is_recovering = operation
                .agent_id
                .as_ref()
                .is_some_and(|agent_id| self.recovering.contains(agent_id));
            let (state, message) = if is_recovering {
                (
                    OperationState::OperationRecovering,
                    "Reconciliation: Agent is recovered but has not re-registered",
                )
            } else {
                (
                    OperationState::OperationUnknown,
                    "Reconciliation: Operation is unknown",
                )
            };
            let status = OperationStatus {
                operation_id: Some(operation.operation_id),
                state: state.into(),
                message: Some(message.to_owned()),
                agent_id: operation.agent_id,
                resource_provider_id: operation.resource_provider_id,
                ..Default::default()
            };
            let mut event = event(event::Type::UpdateOperationStatus);
            event.update_operation_status = Some(event::UpdateOperationStatus { status });
            framework.send(&event);
        }
    }
}
