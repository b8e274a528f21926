//! Event → callback.

use super::identity::{self, Identity};
use super::{Scheduler, SchedulerHandle, calls};
use crate::driver::{Handler, Item, Signal, StreamEvent, heartbeat_interval};
use crate::error::Error;
use crate::identity::can_be_id;
use crate::proto::scheduler::event::{self, Failure};
use crate::proto::scheduler::{Call, Event};
use crate::proto::{FrameworkId, OperationStatus};

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
                match identity::is_taken_over(&message) {
                    true => Signal::TakenOver { message },
                    false => Signal::Error {
                        kind: identity::kind_of(&message),
                        message,
                    },
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

impl Handler for SchedulerHandler {
    type Event = Event;

    /// The future stays small for what comes all the time.
    async fn handle(&mut self, item: Item<Event>) {
        match item {
            Item::Event(mut event) => {
                tracing::debug!(event = event.r#type().as_str_name(), "event");
                if let Some(offers) = event.offers.take() {
                    drop(event);
                    self.offers(offers).await;
                } else if event.update.is_some() {
                    self.update(event, true).await;
                } else {
                    Box::pin(self.event(event)).await;
                }
            }
            seldom => Box::pin(self.seldom(seldom)).await,
        }
    }

    async fn error(&mut self, error: &Error) {
        self.scheduler.error(&self.handle, error).await;
    }
}

impl SchedulerHandler {
    async fn seldom(&mut self, item: Item<Event>) {
        match item {
            Item::Subscribed(event) => self.subscribed(event).await,
            Item::Lost => self.scheduler.disconnected(&self.handle).await,
            Item::Event(event) => self.event(event).await,
            Item::MadeUp(event) => {
                tracing::debug!(event = event.r#type().as_str_name(), "event made up");
                match event.update {
                    Some(_) => self.update(event, false).await,
                    None => self.event(event).await,
                }
            }
            Item::FrameworkRemoved(id) => self.removed(id).await,
            // A scheduler never gives up subscribing: an error ends the driver.
            Item::GaveUp(_) => {}
        }
    }

    async fn subscribed(&mut self, event: Box<Event>) {
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

    async fn offers(&mut self, offers: event::Offers) {
        if !offers.offers.is_empty() {
            self.scheduler
                .resource_offers(&self.handle, offers.offers)
                .await;
        }
    }

    /// Any event but OFFERS and UPDATE.
    async fn event(&mut self, event: Box<Event>) {
        let name = event.r#type().as_str_name();
        let (scheduler, handle) = (&mut self.scheduler, &self.handle);
        if let Some(rescind) = event.rescind {
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

    /// `is_told`: by the master.
    async fn update(&mut self, mut event: Box<Event>, is_told: bool) {
        let Some(update) = event.update.take() else {
            return;
        };
        // The status is large: it is moved once, to whoever made the callback's future.
        let (callback, task_id, acknowledgement) = {
            let status = update.status;
            let task_id = is_told.then(|| status.task_id.clone());
            let acknowledgement = match self.acknowledgements {
                Acknowledgements::Implicit => calls::acknowledge(&status).map(Box::new),
                Acknowledgements::Explicit => None,
            };
            let callback = self.scheduler.status_update(&self.handle, status);
            (callback, task_id, acknowledgement)
        };
        callback.await;
        if let Some(call) = acknowledgement {
            self.acknowledge(call).await;
        }
        if let Some(task_id) = task_id {
            self.handle.core.protocol.told(&task_id);
        }
    }

    async fn operation_status_update(&mut self, status: OperationStatus) {
        let acknowledgement = match self.acknowledgements {
            Acknowledgements::Implicit => calls::acknowledge_operation(&status).map(Box::new),
            Acknowledgements::Explicit => None,
        };
        self.scheduler
            .operation_status_update(&self.handle, status)
            .await;
        if let Some(call) = acknowledgement {
            self.acknowledge(call).await;
        }
    }

    /// Without a subscription or a running driver there is nobody to tell: the agent sends the update again.
    async fn acknowledge(&mut self, call: Box<Call>) {
        if let Err(error) = self.handle.core.submit_unasked(call).await {
            tracing::debug!(%error, "status update not acknowledged; it will come again");
        }
    }
}
