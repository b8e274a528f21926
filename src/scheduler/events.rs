//! Event → callback.

use async_trait::async_trait;

use super::identity::{self, Identity};
use super::{Scheduler, SchedulerHandle, calls};
use crate::driver::{Handler, Item, Signal, StreamEvent, heartbeat_interval};
use crate::error::Error;
use crate::identity::can_be_id;
use crate::proto::scheduler::event::{self, Failure};
use crate::proto::scheduler::{Call, Event};
use crate::proto::{FrameworkId, OperationStatus, TaskStatus};

impl StreamEvent for Event {
    fn signal(&self) -> Signal {
        match (self.r#type(), &self.subscribed, &self.error) {
            (event::Type::Subscribed, Some(subscribed), _)
                if !can_be_id(&subscribed.framework_id) =>
            {
                Signal::Malformed("SUBSCRIBED without a framework id that could be one")
            }
            (event::Type::Subscribed, None, _) => Signal::Malformed("SUBSCRIBED without content"),
            (event::Type::Subscribed, Some(subscribed), _) => Signal::Subscribed {
                heartbeat: heartbeat_interval(subscribed.heartbeat_interval_seconds),
                master_id: subscribed.master_info.as_ref().map(|info| info.id.clone()),
            },
            (event::Type::Error, _, error) => {
                let message = error
                    .as_ref()
                    .map_or_else(String::new, |error| error.message.clone());
                Signal::Error {
                    kind: identity::kind_of(&message),
                    message,
                }
            }
            // They say nothing that would need a subscription.
            (event::Type::Heartbeat | event::Type::Unknown, ..) => Signal::Early,
            _ => Signal::Event,
        }
    }
}

/// How statuses are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acknowledgements {
    /// After the callback has returned.
    Implicit,
    /// By the user.
    Explicit,
}

/// Calls the user's scheduler.
pub(super) struct SchedulerHandler {
    pub(super) scheduler: Box<dyn Scheduler>,
    pub(super) handle: SchedulerHandle,
    pub(super) acknowledgements: Acknowledgements,
    /// `FrameworkInfo.id` of the user's.
    pub(super) given: Option<FrameworkId>,
    /// The id under which `registered` was called last.
    pub(super) registered_as: Option<FrameworkId>,
    pub(super) identity: Identity,
}

#[async_trait]
impl Handler for SchedulerHandler {
    type Event = Event;

    async fn handle(&mut self, item: Item<Event>) {
        match item {
            Item::Subscribed(event) => self.subscribed(event).await,
            Item::Lost => self.scheduler.disconnected(&self.handle).await,
            Item::Event(event) => {
                let update = event.update.as_ref();
                let task_id = update.map(|update| update.status.task_id.clone());
                self.event(event).await;
                if let Some(task_id) = task_id {
                    self.handle.core.protocol.told(&task_id);
                }
            }
            Item::MadeUp(event) => self.event(event).await,
            Item::FrameworkRemoved(id) => self.removed(id).await,
            // A scheduler never gives up subscribing: an error ends the driver.
            Item::GaveUp(_) => {}
        }
    }

    async fn error(&mut self, error: &Error) {
        self.scheduler.error(&self.handle, error).await;
    }
}

impl SchedulerHandler {
    async fn subscribed(&mut self, event: Event) {
        let Some(subscribed) = event.subscribed else {
            return;
        };
        let (id, master_info) = (subscribed.framework_id, subscribed.master_info);
        if self.registered_as.as_ref() == Some(&id) {
            self.scheduler.reregistered(&self.handle, master_info).await;
        } else {
            // Before the scheduler can do anything with the framework.
            if let Err(error) = self.identity.keep(&id).await {
                return self.handle.core.lifecycle.fail(error);
            }
            self.registered_as = Some(id.clone());
            self.scheduler
                .registered(&self.handle, id, master_info)
                .await;
        }
    }

    /// Of a framework that neither the user has heard of nor the store, nothing is told.
    async fn removed(&mut self, id: FrameworkId) {
        let of_user = [&self.registered_as, &self.given];
        let is_of_user = of_user.contains(&&Some(id.clone()));
        if !is_of_user && !self.identity.holds(&id) {
            return;
        }
        if let Err(error) = self.identity.forget(&id).await {
            return self.handle.core.lifecycle.fail(error);
        }
        (self.registered_as, self.given) = (None, None);
        self.scheduler.framework_removed(&self.handle, id).await;
    }

    async fn event(&mut self, event: Event) {
        let name = event.r#type().as_str_name();
        tracing::debug!(event = name, "event");
        let (scheduler, handle) = (&mut self.scheduler, &self.handle);
        if let Some(offers) = event.offers {
            if !offers.offers.is_empty() {
                scheduler.resource_offers(handle, offers.offers).await;
            }
        } else if let Some(update) = event.update {
            self.status_update(update.status).await;
        } else if let Some(rescind) = event.rescind {
            scheduler.offer_rescinded(handle, rescind.offer_id).await;
        } else if let Some(message) = event.message {
            scheduler
                .framework_message(handle, message.executor_id, message.agent_id, message.data)
                .await;
        } else if let Some(failure) = event.failure {
            self.failure(failure).await;
        } else if let Some(inverse) = event.inverse_offers {
            if !inverse.inverse_offers.is_empty() {
                scheduler
                    .inverse_offers(handle, inverse.inverse_offers)
                    .await;
            }
        } else if let Some(rescind) = event.rescind_inverse_offer {
            scheduler
                .inverse_offer_rescinded(handle, rescind.inverse_offer_id)
                .await;
        } else if let Some(update) = event.update_operation_status {
            self.operation_status_update(update.status).await;
        } else {
            tracing::warn!(event = name, "event without its content skipped");
        }
    }

    async fn failure(&mut self, failure: Failure) {
        let (scheduler, handle) = (&mut self.scheduler, &self.handle);
        match (failure.agent_id, failure.executor_id) {
            (Some(agent_id), Some(executor_id)) => {
                scheduler
                    .executor_lost(handle, executor_id, agent_id, failure.status)
                    .await;
            }
            (Some(agent_id), None) => scheduler.agent_lost(handle, agent_id).await,
            (None, _) => tracing::warn!("FAILURE without an agent skipped"),
        }
    }

    async fn status_update(&mut self, status: TaskStatus) {
        let acknowledgement = self.acknowledgement(|| calls::acknowledge(&status));
        self.scheduler.status_update(&self.handle, status).await;
        self.acknowledge(acknowledgement).await;
    }

    async fn operation_status_update(&mut self, status: OperationStatus) {
        let acknowledgement = self.acknowledgement(|| calls::acknowledge_operation(&status));
        self.scheduler
            .operation_status_update(&self.handle, status)
            .await;
        self.acknowledge(acknowledgement).await;
    }

    fn acknowledgement(&self, make: impl FnOnce() -> Option<Call>) -> Option<Call> {
        match self.acknowledgements {
            Acknowledgements::Implicit => make(),
            Acknowledgements::Explicit => None,
        }
    }

    /// Without a subscription or a running driver there is nobody to tell: the agent sends the update again.
    async fn acknowledge(&mut self, acknowledgement: Option<Call>) {
        let Some(call) = acknowledgement else { return };
        if let Err(error) = self.handle.call(call).await {
            tracing::debug!(%error, "status update not acknowledged; it will come again");
        }
    }
}
