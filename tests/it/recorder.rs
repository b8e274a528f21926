//! A scheduler that writes down what happens to it.

use std::time::Duration;

use bytes::Bytes;
use mesos_framework::proto::{
    AgentId, ExecutorId, FrameworkId, InverseOffer, MasterInfo, Offer, OfferId, OperationStatus,
    TaskStatus,
};
use mesos_framework::{Error, Scheduler, SchedulerHandle, async_trait};
use tokio::sync::mpsc;

use crate::peer::within;

/// One callback.
#[derive(Debug)]
pub enum Callback {
    Registered(FrameworkId),
    Reregistered,
    Disconnected,
    Offers(Vec<Offer>),
    Rescinded(OfferId),
    Status(TaskStatus),
    Message(ExecutorId, AgentId, Bytes),
    AgentLost(AgentId),
    ExecutorLost(ExecutorId, AgentId, Option<i32>),
    InverseOffers(Vec<InverseOffer>),
    InverseOfferRescinded(OfferId),
    OperationStatus(OperationStatus),
    Error(Error),
}

/// The scheduler.
pub struct Recorder(mpsc::Sender<Callback>);

/// What the scheduler has written down.
pub struct Recording(mpsc::Receiver<Callback>);

/// A scheduler, and its record. A callback waits while 1,000 before it are not looked at.
pub fn recorder() -> (Recorder, Recording) {
    let (sender, receiver) = mpsc::channel(1000);
    (Recorder(sender), Recording(receiver))
}

impl Recorder {
    async fn note(&self, callback: Callback) {
        // The test may have seen enough.
        let _ = self.0.send(callback).await;
    }
}

impl Recording {
    /// The next callback.
    pub async fn next(&mut self) -> Callback {
        within("a callback", self.0.recv())
            .await
            .expect("no further callback: the scheduler is gone")
    }

    /// Skips callbacks until one for which `wanted` answers something.
    pub async fn until<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(Callback) -> Option<T>,
    ) -> T {
        let found = async {
            loop {
                let callback = self
                    .0
                    .recv()
                    .await
                    .expect("no further callback: the scheduler is gone");
                if let Some(found) = wanted(callback) {
                    return found;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), found)
            .await
            .unwrap_or_else(|_| panic!("waited too long for {what}"))
    }

    /// True if no callback comes within `quiet`.
    pub async fn is_quiet(&mut self, quiet: Duration) -> bool {
        tokio::time::timeout(quiet, self.0.recv()).await.is_err()
    }

    /// Everything that is still to come, once the scheduler is gone or the driver has ended.
    pub fn rest(&mut self) -> Vec<Callback> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}

#[async_trait]
impl Scheduler for Recorder {
    async fn resource_offers(&mut self, _: &SchedulerHandle, offers: Vec<Offer>) {
        self.note(Callback::Offers(offers)).await;
    }

    async fn status_update(&mut self, _: &SchedulerHandle, status: TaskStatus) {
        self.note(Callback::Status(status)).await;
    }

    async fn registered(&mut self, _: &SchedulerHandle, id: FrameworkId, _: Option<MasterInfo>) {
        self.note(Callback::Registered(id)).await;
    }

    async fn reregistered(&mut self, _: &SchedulerHandle, _: Option<MasterInfo>) {
        self.note(Callback::Reregistered).await;
    }

    async fn disconnected(&mut self, _: &SchedulerHandle) {
        self.note(Callback::Disconnected).await;
    }

    async fn offer_rescinded(&mut self, _: &SchedulerHandle, offer_id: OfferId) {
        self.note(Callback::Rescinded(offer_id)).await;
    }

    async fn framework_message(
        &mut self,
        _: &SchedulerHandle,
        from: ExecutorId,
        agent: AgentId,
        data: Bytes,
    ) {
        self.note(Callback::Message(from, agent, data)).await;
    }

    async fn agent_lost(&mut self, _: &SchedulerHandle, agent_id: AgentId) {
        self.note(Callback::AgentLost(agent_id)).await;
    }

    async fn executor_lost(
        &mut self,
        _: &SchedulerHandle,
        id: ExecutorId,
        agent: AgentId,
        status: Option<i32>,
    ) {
        self.note(Callback::ExecutorLost(id, agent, status)).await;
    }

    async fn inverse_offers(&mut self, _: &SchedulerHandle, inverse_offers: Vec<InverseOffer>) {
        self.note(Callback::InverseOffers(inverse_offers)).await;
    }

    async fn inverse_offer_rescinded(&mut self, _: &SchedulerHandle, id: OfferId) {
        self.note(Callback::InverseOfferRescinded(id)).await;
    }

    async fn operation_status_update(&mut self, _: &SchedulerHandle, status: OperationStatus) {
        self.note(Callback::OperationStatus(status)).await;
    }

    async fn error(&mut self, _: &SchedulerHandle, error: &Error) {
        self.note(Callback::Error(error.clone())).await;
    }
}
