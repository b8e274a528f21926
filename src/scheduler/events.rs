//! Event → callback.

use async_trait::async_trait;

use super::{Scheduler, SchedulerHandle, calls};
use crate::driver::{Handler, Item, Signal, StreamEvent, heartbeat_interval};
use crate::error::Error;
use crate::proto::scheduler::event::{self, Failure};
use crate::proto::scheduler::{Call, Event};
use crate::proto::{FrameworkId, OperationStatus, TaskStatus};

impl StreamEvent for Event {
    fn signal(&self) -> Signal {
        match (self.r#type(), &self.subscribed, &self.error) {
            (event::Type::Subscribed, Some(subscribed), _) => Signal::Subscribed {
                heartbeat: heartbeat_interval(subscribed.heartbeat_interval_seconds),
            },
            (event::Type::Error, _, error) => Signal::Error(
                error
                    .as_ref()
                    .map_or_else(String::new, |error| error.message.clone()),
            ),
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
    /// The id under which `registered` was called last.
    pub(super) registered_as: Option<FrameworkId>,
}

#[async_trait]
impl Handler for SchedulerHandler {
    type Event = Event;

    async fn handle(&mut self, item: Item<Event>) {
        match item {
            Item::Subscribed(event) => self.subscribed(event).await,
            Item::Lost => self.scheduler.disconnected(&self.handle).await,
            Item::Event(event) | Item::MadeUp(event) => self.event(event).await,
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
            self.registered_as = Some(id.clone());
            self.scheduler
                .registered(&self.handle, id, master_info)
                .await;
        }
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
