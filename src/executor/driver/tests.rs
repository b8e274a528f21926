//! The whole driver, with an agent in memory and a clock that only waits for us: what takes minutes.

mod hostile;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use prost::Message as _;
use tokio::time::Instant;

use super::*;
use crate::http::fake::{ChunkSender, FakePeer};
use crate::proto::executor::call::Type;
use crate::proto::executor::{Call, Event, event};
use crate::proto::{
    AgentInfo, ExecutorInfo, FrameworkInfo, KillPolicy, TaskId, TaskInfo, TaskState, TaskStatus,
};
use crate::recordio;

const MINUTE: Duration = Duration::from_secs(60);

/// Sends TASK_FINISHED for each task.
struct Finisher;

#[async_trait::async_trait]
impl Executor for Finisher {
    async fn launch_task(&mut self, driver: &ExecutorHandle, task: TaskInfo) {
        let status = TaskStatus {
            task_id: task.task_id,
            state: TaskState::TaskFinished as i32,
            ..TaskStatus::default()
        };
        let _ = driver.send_status_update(status).await.unwrap();
    }

    async fn kill_task(&mut self, _: &ExecutorHandle, _: TaskId, _: Option<KillPolicy>) {}

    async fn shutdown(&mut self, _: &ExecutorHandle) {}
}

/// Takes 3 s to launch, and never ends its shutdown.
struct Slow;

#[async_trait::async_trait]
impl Executor for Slow {
    async fn launch_task(&mut self, _: &ExecutorHandle, _: TaskInfo) {
        tokio::time::sleep(Duration::from_secs(3)).await;
    }

    async fn kill_task(&mut self, _: &ExecutorHandle, _: TaskId, _: Option<KillPolicy>) {}

    async fn shutdown(&mut self, _: &ExecutorHandle) {
        std::future::pending().await
    }
}

fn config(checkpoint: &'static str) -> ExecutorConfig {
    ExecutorConfig::from_lookup(|name| {
        let value = match name {
            "MESOS_SLAVE_PID" => "slave(1)@10.0.0.1:5051",
            "MESOS_CHECKPOINT" => checkpoint,
            "MESOS_RECOVERY_TIMEOUT" => "15mins",
            "MESOS_SLAVE_ID" | "MESOS_FRAMEWORK_ID" | "MESOS_EXECUTOR_ID" | "MESOS_DIRECTORY" => {
                "x"
            }
            _ => return None,
        };
        Some(value.into())
    })
    .unwrap()
}

/// A started driver, and its agent.
fn started(checkpoint: &'static str) -> (ExecutorDriver, FakePeer) {
    started_with(Finisher, checkpoint)
}

fn started_with(executor: impl Executor, checkpoint: &'static str) -> (ExecutorDriver, FakePeer) {
    let (transport, peer) = FakePeer::new(1);
    let builder = ExecutorDriver::builder(executor);
    let mut driver = builder.over(config(checkpoint), transport);
    driver.start().unwrap();
    (driver, peer)
}

async fn subscribed(peer: &mut FakePeer) -> ChunkSender {
    let stream = peer.subscribing().await.stream();
    let subscribed = event::Subscribed {
        executor_info: ExecutorInfo::default(),
        framework_info: FrameworkInfo::default(),
        agent_info: AgentInfo::default(),
        container_id: None,
    };
    let event = Event {
        subscribed: Some(Box::new(subscribed)),
        ..event_of(event::Type::Subscribed)
    };
    send(&stream, &event).await;
    stream
}

fn event_of(r#type: event::Type) -> Event {
    Event {
        r#type: Some(r#type as i32),
        ..Event::default()
    }
}

fn launch() -> Event {
    let task = TaskInfo {
        task_id: "t".into(),
        ..TaskInfo::default()
    };
    Event {
        launch: Some(event::Launch { task }),
        ..event_of(event::Type::Launch)
    }
}

async fn send(stream: &ChunkSender, event: &Event) {
    let mut record = BytesMut::new();
    recordio::encode(&event.encode_to_vec(), &mut record);
    stream.send(Ok(record.freeze())).await.unwrap();
}

fn call(body: &Bytes) -> Call {
    Call::decode(body.clone()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_is_sent_every_half_hour() {
    let (_driver, mut peer) = started("0");
    let begun = Instant::now();
    let _stream = subscribed(&mut peer).await;
    for n in 1..=3 {
        let posted = peer.posted().await;
        let call = call(&posted.body);
        assert_eq!(call.r#type(), Type::Heartbeat);
        assert_eq!(call.executor_id.value, "x");
        assert_eq!(begun.elapsed().as_secs(), n * 30 * 60);
        posted.answer(202, "");
    }
}

#[tokio::test(start_paused = true)]
async fn no_heartbeat_is_sent_without_a_subscription() {
    let (mut driver, mut peer) = started("1");
    drop(subscribed(&mut peer).await);
    // For 15 min, of which each attempt takes 75 s.
    let error = tokio::select! {
        biased;
        ended = driver.join() => ended.unwrap_err(),
        posted = peer.posted() => panic!("{:?}", call(&posted.body)),
    };
    assert_eq!(error.kind(), ErrorKind::RecoveryTimeout);
}

#[tokio::test(start_paused = true)]
async fn silence_of_the_agent_means_nothing() {
    let (driver, mut peer) = started("0");
    let _stream = subscribed(&mut peer).await;
    tokio::time::sleep(29 * MINUTE).await;
    assert!(driver.handle().connection().is_subscribed());
    assert!(peer.is_idle());
}

#[tokio::test(start_paused = true)]
async fn the_first_subscription_must_come_within_a_minute() {
    let (mut driver, mut peer) = started("0");
    let begun = Instant::now();
    let _unanswered = peer.subscribing().await;
    let error = driver.join().await.unwrap_err();
    assert_eq!(begun.elapsed(), MINUTE);
    assert_eq!(error.kind(), ErrorKind::RecoveryTimeout);
    assert_eq!(error.to_string(), "agent not reached within 60s");
}

#[tokio::test(start_paused = true)]
async fn the_recovery_time_out_is_counted_from_the_loss() {
    let (mut driver, mut peer) = started("1");
    let stream = subscribed(&mut peer).await;
    tokio::time::sleep(20 * MINUTE).await;
    let lost_at = Instant::now();
    drop(stream);
    let _unanswered = peer.subscribing().await;
    let error = driver.join().await.unwrap_err();
    assert_eq!(lost_at.elapsed().as_secs(), 15 * 60);
    assert_eq!(
        error.to_string(),
        "agent not reached within 900s: \
         no answer from agent http://10.0.0.1:5051/slave(1) to SUBSCRIBE within 75s"
    );
}

#[tokio::test(start_paused = true)]
async fn stop_waits_a_minute_for_the_last_acknowledgement() {
    let (mut driver, mut peer) = started("0");
    let stream = subscribed(&mut peer).await;
    send(&stream, &launch()).await;
    let posted = peer.posted().await;
    assert_eq!(call(&posted.body).r#type(), Type::Update);
    let begun = Instant::now();
    driver.handle().stop();
    posted.answer(202, "");
    assert_eq!(driver.join().await.unwrap(), Status::Stopped);
    assert_eq!(begun.elapsed(), MINUTE);
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_the_grace_period_for_the_last_acknowledgement() {
    let (mut driver, mut peer) = started("0");
    let stream = subscribed(&mut peer).await;
    send(&stream, &launch()).await;
    peer.posted().await.answer(202, "");
    let begun = Instant::now();
    send(&stream, &event_of(event::Type::Shutdown)).await;
    assert_eq!(driver.join().await.unwrap(), Status::Stopped);
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn the_grace_period_is_counted_from_the_arrival_of_shutdown() {
    let (mut driver, mut peer) = started_with(Slow, "0");
    let stream = subscribed(&mut peer).await;
    send(&stream, &launch()).await;
    send(&stream, &event_of(event::Type::Shutdown)).await;
    let begun = Instant::now();
    let error = driver.join().await.unwrap_err();
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(
        error.to_string(),
        "shutdown took longer than its grace period of 5s"
    );
}

/// Tells the error with which it ended.
struct Told(tokio::sync::mpsc::Sender<Error>);

#[async_trait::async_trait]
impl Executor for Told {
    async fn launch_task(&mut self, _: &ExecutorHandle, _: TaskInfo) {}

    async fn kill_task(&mut self, _: &ExecutorHandle, _: TaskId, _: Option<KillPolicy>) {}

    async fn shutdown(&mut self, _: &ExecutorHandle) {}

    async fn error(&mut self, driver: &ExecutorHandle, error: &Error) {
        assert_eq!(driver.status(), Status::Aborted);
        self.0.send(error.clone()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_driver_whose_setup_fails_ends_with_its_error_and_answers_everybody() {
    let (sender, mut told) = tokio::sync::mpsc::channel(1);
    let setup = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Err(Error::new(ErrorKind::Config, "no such thing"))
    };
    let builder = ExecutorDriver::builder(Told(sender));
    let mut driver = builder.set_up_by(config("0"), Box::pin(setup));
    driver.start().unwrap();
    let handle = driver.handle();
    let status = TaskStatus {
        task_id: "t".into(),
        state: TaskState::TaskRunning as i32,
        ..TaskStatus::default()
    };
    let receipt = handle.send_status_update(status).await.unwrap();
    let text = "no such thing";
    assert_eq!(driver.join().await.unwrap_err().to_string(), text);
    assert_eq!(told.recv().await.unwrap().to_string(), text);
    let outcome = receipt.outcome().await;
    let crate::Outcome::NotSent(error) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(error.to_string().ends_with(text), "{error}");
    let state = handle.connection().state;
    assert_eq!(state, crate::ConnectionState::Closed);
}
