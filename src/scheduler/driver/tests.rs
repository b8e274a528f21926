//! The whole driver, with a master in memory and a clock that only waits for us: what takes minutes.

mod defaults;
mod doubts;
mod hostile;

use bytes::BytesMut;
use prost::Message as _;
use tokio::sync::mpsc;

use super::*;
use crate::detector::FixedAddresses;
use crate::http::fake::{ChunkSender, FakePeer, Posted};
use crate::proto::scheduler::{Call, Event, event};
use crate::proto::{FrameworkId, MasterInfo, Offer, TaskState, TaskStatus};
use crate::recordio;

const SECOND: Duration = Duration::from_secs(1);

/// Longer than anything that a driver waits for.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Writes down what it is told, and then takes its time.
struct Recorder {
    record: mpsc::Sender<String>,
    takes: Duration,
}

impl Recorder {
    async fn note(&self, what: String) {
        // The test may have seen enough.
        let _ = self.record.send(what).await;
    }
}

#[async_trait::async_trait]
impl Scheduler for Recorder {
    async fn resource_offers(&mut self, _: &SchedulerHandle, _: Vec<Offer>) {}

    async fn status_update(&mut self, _: &SchedulerHandle, status: TaskStatus) {
        self.note(format!("{} begins", status.task_id)).await;
        tokio::time::sleep(self.takes).await;
        self.note(format!("{} ends", status.task_id)).await;
    }

    async fn registered(&mut self, _: &SchedulerHandle, id: FrameworkId, _: Option<MasterInfo>) {
        self.note(format!("registered as {id}")).await;
    }

    async fn reregistered(&mut self, _: &SchedulerHandle, _: Option<MasterInfo>) {
        self.note("reregistered".into()).await;
    }

    async fn disconnected(&mut self, _: &SchedulerHandle) {
        self.note("disconnected".into()).await;
    }
}

/// A started driver, its master, and what its scheduler was told.
struct Rig {
    driver: SchedulerDriver,
    handle: SchedulerHandle,
    peer: FakePeer,
    told: mpsc::Receiver<String>,
}

impl Rig {
    /// `takes`: how long each status's callback takes.
    fn with(takes: Duration) -> Self {
        Self::of(takes, Some(DAY.as_secs_f64()), |builder| builder)
    }

    /// With this failover time-out, in seconds.
    fn of(
        takes: Duration,
        failover_timeout: Option<f64>,
        configure: impl FnOnce(SchedulerDriverBuilder) -> SchedulerDriverBuilder,
    ) -> Self {
        let (record, told) = mpsc::channel(1000);
        let info = FrameworkInfo {
            failover_timeout,
            ..FrameworkInfo::default()
        };
        let builder = SchedulerDriver::builder(Recorder { record, takes }, info, "10.0.0.5:5050");
        let (transport, peer) = FakePeer::new(4);
        let mut builder = configure(builder);
        builder.check().unwrap();
        let masters = Masters::Fixed(FixedAddresses::parse("10.0.0.5:5050").unwrap());
        let ready = Ready {
            masters,
            transport,
            afterwards: Box::pin(async {}),
        };
        let mut driver = builder.set_up_by(Box::pin(async { Ok(ready) }));
        driver.start().unwrap();
        let handle = driver.handle();
        Self {
            driver,
            handle,
            peer,
            told,
        }
    }

    /// The next SUBSCRIBE succeeds, as framework `f`.
    async fn subscribed(&mut self) -> ChunkSender {
        self.subscribed_with(None).await
    }

    /// With this interval of heartbeats, in seconds.
    async fn subscribed_with(&mut self, heartbeats: Option<f64>) -> ChunkSender {
        let stream = within(self.peer.subscribing()).await.stream();
        let subscribed = event::Subscribed {
            framework_id: "f".into(),
            heartbeat_interval_seconds: heartbeats,
            master_info: None,
        };
        let event = Event {
            r#type: Some(event::Type::Subscribed as i32),
            subscribed: Some(Box::new(subscribed)),
            ..Event::default()
        };
        send(&stream, &event).await;
        stream
    }

    /// Waits until there is no subscription; answers why.
    async fn lost(&mut self) -> String {
        let mut watch = self.handle.watch_connection();
        let now = within(watch.until(|now| !now.is_subscribed())).await;
        now.last_error.expect("why it is lost").to_string()
    }

    async fn is_told(&mut self, what: &str) {
        let told = within(self.told.recv()).await;
        assert_eq!(told.as_deref(), Some(what));
    }

    /// The next call, which has this name.
    async fn call(&mut self, name: &str) -> (Posted, Call) {
        let posted = within(self.peer.posted()).await;
        let call = Call::decode(posted.body.clone()).unwrap();
        assert_eq!(call.r#type().as_str_name(), name);
        (posted, call)
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    let limited = tokio::time::timeout(DAY, future);
    limited.await.expect("it comes")
}

async fn send(stream: &ChunkSender, event: &Event) {
    let mut record = BytesMut::new();
    recordio::encode(&event.encode_to_vec(), &mut record);
    stream.send(Ok(record.freeze())).await.unwrap();
}

/// An answer to RECONCILE: without an `uuid`.
async fn tell_of(stream: &ChunkSender, task_id: &str) {
    let status = TaskStatus {
        task_id: task_id.into(),
        state: TaskState::TaskRunning as i32,
        ..TaskStatus::default()
    };
    let event = Event {
        r#type: Some(event::Type::Update as i32),
        update: Some(event::Update { status }),
        ..Event::default()
    };
    send(stream, &event).await;
}
