//! A scheduler that writes down what happens to it.

use std::pin::Pin;
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
#[expect(clippy::large_enum_variant, reason = "there are few of them")]
pub enum Callback {
    Registered(FrameworkId),
    Reregistered,
    Disconnected,
    FrameworkRemoved(FrameworkId),
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

/// What a callback does once it is written down.
pub type Doing = Pin<Box<dyn Future<Output = ()> + Send>>;

type Reaction = Box<dyn FnMut(&Callback, SchedulerHandle) -> Doing + Send>;

/// The scheduler.
pub struct Recorder {
    record: mpsc::Sender<Callback>,
    reaction: Reaction,
}

/// What the scheduler has written down.
pub struct Recording(mpsc::Receiver<Callback>);

/// A scheduler, and its record. A callback waits while 1,000 before it are not looked at.
pub fn recorder() -> (Recorder, Recording) {
    recorder_that(|_, _| nothing())
}

/// The same, of a scheduler whose callbacks then do what `reaction` answers.
pub fn recorder_that(
    reaction: impl FnMut(&Callback, SchedulerHandle) -> Doing + Send + 'static,
) -> (Recorder, Recording) {
    let (record, receiver) = mpsc::channel(1000);
    let reaction = Box::new(reaction);
    (Recorder { record, reaction }, Recording(receiver))
}

/// What most callbacks do.
pub fn nothing() -> Doing {
    Box::pin(async {})
}

impl Recorder {
    async fn note(&mut self, driver: &SchedulerHandle, callback: Callback) {
        let doing = (self.reaction)(&callback, driver.clone());
        // The test may have seen enough.
        let _ = self.record.send(callback).await;
        doing.await;
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
    async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
        self.note(driver, Callback::Offers(offers)).await;
    }

    async fn status_update(&mut self, driver: &SchedulerHandle, status: TaskStatus) {
        self.note(driver, Callback::Status(status)).await;
    }

    async fn registered(
        &mut self,
        driver: &SchedulerHandle,
        id: FrameworkId,
        _: Option<MasterInfo>,
    ) {
        self.note(driver, Callback::Registered(id)).await;
    }

    async fn reregistered(&mut self, driver: &SchedulerHandle, _: Option<MasterInfo>) {
        self.note(driver, Callback::Reregistered).await;
    }

    async fn disconnected(&mut self, driver: &SchedulerHandle) {
        self.note(driver, Callback::Disconnected).await;
    }

    async fn framework_removed(&mut self, driver: &SchedulerHandle, id: FrameworkId) {
        self.note(driver, Callback::FrameworkRemoved(id)).await;
    }

    async fn offer_rescinded(&mut self, driver: &SchedulerHandle, offer_id: OfferId) {
        self.note(driver, Callback::Rescinded(offer_id)).await;
    }

    async fn framework_message(
        &mut self,
        driver: &SchedulerHandle,
        from: ExecutorId,
        agent: AgentId,
        data: Bytes,
    ) {
        self.note(driver, Callback::Message(from, agent, data))
            .await;
    }

    async fn agent_lost(&mut self, driver: &SchedulerHandle, agent_id: AgentId) {
        self.note(driver, Callback::AgentLost(agent_id)).await;
    }

    async fn executor_lost(
        &mut self,
        driver: &SchedulerHandle,
        id: ExecutorId,
        agent: AgentId,
        status: Option<i32>,
    ) {
        self.note(driver, Callback::ExecutorLost(id, agent, status))
            .await;
    }

    async fn inverse_offers(
        &mut self,
        driver: &SchedulerHandle,
        inverse_offers: Vec<InverseOffer>,
    ) {
        self.note(driver, Callback::InverseOffers(inverse_offers))
            .await;
    }

    async fn inverse_offer_rescinded(&mut self, driver: &SchedulerHandle, id: OfferId) {
        self.note(driver, Callback::InverseOfferRescinded(id)).await;
    }

    async fn operation_status_update(&mut self, driver: &SchedulerHandle, status: OperationStatus) {
        self.note(driver, Callback::OperationStatus(status)).await;
    }

    async fn error(&mut self, driver: &SchedulerHandle, error: &Error) {
        self.note(driver, Callback::Error(error.clone())).await;
    }
}
