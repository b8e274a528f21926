//! The calls of a subscribed scheduler, once it has been established that they are its.

use super::state::Master;
use crate::local::http::Reply;
use crate::local::messages::ToAgent;
use crate::proto::FrameworkId;
use crate::proto::allocator::inverse_offer_status::Status;
use crate::proto::scheduler::{Call, call};

impl Master {
    /// Carries out `call`; a mistake in it that Mesos keeps quiet about is kept quiet about here.
    pub(super) fn call(&mut self, framework_id: &FrameworkId, call: Call) -> Reply {
        self.count_call(framework_id, call.r#type());
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
                let is_valid = self.is_agent_connected(&message.agent_id);
                self.tallies
                    .validity("framework_to_executor_messages", is_valid);
                if is_valid {
                    self.send(&message.agent_id, forwarded);
                }
            }
            call::Type::UpdateFramework => {
                let call = call.update_framework.unwrap_or_default();
                return self.update_framework(framework_id, *call);
            }
            call::Type::AcknowledgeOperationStatus => {
                let call = call.acknowledge_operation_status.unwrap_or_default();
                self.acknowledge_operation(framework_id, call);
            }
            call::Type::AcceptInverseOffers => {
                let call = call.accept_inverse_offers.unwrap_or_default();
                let ids = &call.inverse_offer_ids;
                self.answer_inverse_offers(ids, Status::Accept, call.filters.as_ref());
            }
            call::Type::DeclineInverseOffers => {
                let call = call.decline_inverse_offers.unwrap_or_default();
                let ids = &call.inverse_offer_ids;
                self.answer_inverse_offers(ids, Status::Decline, call.filters.as_ref());
            }
            // Requests have never been honoured.
            call::Type::Request => {}
            // Mesos dies of this one; what it meant to answer is 501.
            call::Type::Unknown | call::Type::Subscribe => {
                return Reply::not_implemented();
            }
        }
        Reply::accepted()
    }
}
