//! A scheduler driver between a scripted peer and a recording scheduler, and messages to send through it.

use std::time::Duration;

use bytes::Bytes;
use mesos_framework::proto::scheduler::{self, event};
use mesos_framework::proto::{
    FrameworkInfo, Offer, OfferId, TaskInfo, TaskState, TaskStatus, framework_info,
};
use mesos_framework::{
    Backoff, Connection, ConnectionState, Error, ErrorKind, Outcome, Receipt, Result,
    SchedulerDriver, SchedulerDriverBuilder, SchedulerHandle, Status,
};

use crate::peer::{Peer, Stream, within};
use crate::recorder::{Callback, Doing, Recording, nothing, recorder_that};

/// How long nothing must happen, where nothing may happen.
pub const QUIET: Duration = Duration::from_millis(150);

/// Waits of a few milliseconds between attempts to subscribe.
pub const SOON: Backoff = Backoff::new(Duration::from_millis(2), Duration::from_millis(10));

pub fn framework() -> FrameworkInfo {
    FrameworkInfo {
        name: "scripted".into(),
        user: "nobody".into(),
        failover_timeout: Some(60.0),
        ..FrameworkInfo::default()
    }
}

/// A framework that is told of tasks that never started as dropped.
pub fn partition_aware() -> FrameworkInfo {
    let capability = framework_info::capability::Type::PartitionAware as i32;
    FrameworkInfo {
        capabilities: vec![framework_info::Capability {
            r#type: Some(capability),
        }],
        ..framework()
    }
}

/// A driver that is started, and everything around it.
pub struct Rig {
    pub peer: Peer,
    pub driver: SchedulerDriver,
    pub handle: SchedulerHandle,
    pub recording: Recording,
}

impl Rig {
    pub async fn start() -> Self {
        Self::configured(|builder| builder).await
    }

    /// With settings.
    pub async fn configured(
        configure: impl FnOnce(SchedulerDriverBuilder) -> SchedulerDriverBuilder,
    ) -> Self {
        Self::of(framework(), |_, _| nothing(), configure).await
    }

    /// With a scheduler that does something.
    pub async fn reacting(
        reaction: impl FnMut(&Callback, SchedulerHandle) -> Doing + Send + 'static,
    ) -> Self {
        Self::of(framework(), reaction, |builder| builder).await
    }

    pub async fn of(
        info: FrameworkInfo,
        reaction: impl FnMut(&Callback, SchedulerHandle) -> Doing + Send + 'static,
        configure: impl FnOnce(SchedulerDriverBuilder) -> SchedulerDriverBuilder,
    ) -> Self {
        let peer = Peer::bind().await;
        let address = peer.address().to_owned();
        Self::at(peer, &address, info, reaction, configure)
    }

    /// With a master string of its own.
    pub fn at(
        peer: Peer,
        master: &str,
        info: FrameworkInfo,
        reaction: impl FnMut(&Callback, SchedulerHandle) -> Doing + Send + 'static,
        configure: impl FnOnce(SchedulerDriverBuilder) -> SchedulerDriverBuilder,
    ) -> Self {
        let (scheduler, recording) = recorder_that(reaction);
        let builder = SchedulerDriver::builder(scheduler, info, master).backoff(SOON);
        let mut driver = configure(builder).build().unwrap();
        assert_eq!(driver.start().unwrap(), Status::Running);
        let handle = driver.handle();
        Self {
            peer,
            driver,
            handle,
            recording,
        }
    }

    /// The first subscription, as framework `f`, up to its callback.
    pub async fn subscribe(&mut self) -> Stream {
        let stream = self.peer.subscribed("f").await;
        self.recording.registered("f").await;
        stream
    }

    /// A later one.
    pub async fn resubscribe(&mut self) -> Stream {
        let stream = self.peer.subscribed("f").await;
        self.recording.reregistered().await;
        stream
    }

    /// What `join` answers.
    pub async fn ended(&mut self) -> Result<Status> {
        within("the driver's end", self.driver.join()).await
    }

    /// Waits until the last error has this in its text.
    pub async fn last_error(&self, text: &str) -> Error {
        let reached = |now: &Connection| {
            let error = now.last_error.as_ref();
            error.is_some_and(|error| error.to_string().contains(text))
        };
        let mut watch = self.handle.watch_connection();
        let what = format!("the last error to speak of {text:?}");
        let connection = within(&what, watch.until(reached)).await;
        let error = connection.last_error.expect("there is one");
        assert!(error.to_string().contains(text), "{error}");
        error
    }

    /// Waits until there is no subscription.
    pub async fn unsubscribed(&self) {
        let mut watch = self.handle.watch_connection();
        within("the loss", watch.until(|now| !now.is_subscribed())).await;
    }
}

impl Recording {
    pub async fn registered(&mut self, framework_id: &str) {
        match self.next().await {
            Callback::Registered(id) => assert_eq!(id.value, framework_id),
            other => panic!("registered expected: {other:?}"),
        }
    }

    pub async fn reregistered(&mut self) {
        let next = self.next().await;
        assert!(matches!(next, Callback::Reregistered), "{next:?}");
    }

    pub async fn disconnected(&mut self) {
        let next = self.next().await;
        assert!(matches!(next, Callback::Disconnected), "{next:?}");
    }

    /// The next callback is one of this offer.
    pub async fn offered(&mut self, offer_id: &str) {
        match self.next().await {
            Callback::Offers(offers) => assert_eq!(offers[0].id.value, offer_id),
            other => panic!("offer expected: {other:?}"),
        }
    }

    /// The next callback is the update of a task.
    pub async fn status(&mut self) -> TaskStatus {
        match self.next().await {
            Callback::Status(status) => status,
            other => panic!("status expected: {other:?}"),
        }
    }
}

/// An event of this type, without content.
pub fn bare(r#type: event::Type) -> scheduler::Event {
    scheduler::Event {
        r#type: Some(r#type as i32),
        ..scheduler::Event::default()
    }
}

/// An OFFERS event with one offer.
pub fn offer(id: &str) -> scheduler::Event {
    let offer = Offer {
        id: id.into(),
        framework_id: "f".into(),
        agent_id: "a".into(),
        hostname: "h".into(),
        ..Offer::default()
    };
    scheduler::Event {
        offers: Some(event::Offers {
            offers: vec![offer],
        }),
        ..bare(event::Type::Offers)
    }
}

/// A RESCIND event.
pub fn rescind(id: &str) -> scheduler::Event {
    scheduler::Event {
        rescind: Some(event::Rescind {
            offer_id: id.into(),
        }),
        ..bare(event::Type::Rescind)
    }
}

/// An UPDATE event of an agent's: to be acknowledged if it has an `uuid`.
pub fn update(task_id: &str, uuid: Option<&'static [u8; 16]>) -> scheduler::Event {
    let status = TaskStatus {
        task_id: task_id.into(),
        state: TaskState::TaskRunning as i32,
        agent_id: Some("a".into()),
        uuid: uuid.map(|uuid| Bytes::from_static(uuid)),
        ..TaskStatus::default()
    };
    scheduler::Event {
        update: Some(event::Update { status }),
        ..bare(event::Type::Update)
    }
}

pub fn task(id: &str) -> TaskInfo {
    TaskInfo {
        name: id.into(),
        task_id: id.into(),
        agent_id: "a".into(),
        ..TaskInfo::default()
    }
}

pub fn offer_ids(id: &str) -> Vec<OfferId> {
    vec![id.into()]
}

/// The end of a call.
pub async fn outcome(receipt: Receipt) -> Outcome {
    within("the end of a call", receipt.outcome()).await
}

/// The end of a call that did not leave: the error.
pub async fn not_sent(receipt: Receipt) -> Error {
    match outcome(receipt).await {
        Outcome::NotSent(error) => error,
        other => panic!("the call should not have left: {other:?}"),
    }
}

/// A queued call, or why it was not queued, must have failed in this way.
pub fn assert_kind<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind) {
    match result {
        Ok(value) => panic!("{kind:?} expected: {value:?}"),
        Err(error) => assert_eq!(error.kind(), kind, "{error}"),
    }
}

/// The number of the subscription that stands.
pub fn generation(connection: &Connection) -> Option<u64> {
    match connection.state {
        ConnectionState::Subscribed { generation, .. } => Some(generation),
        _ => None,
    }
}
