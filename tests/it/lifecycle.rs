//! How a driver starts, runs and is asked how it is.

use std::time::Duration;

use mesos_framework::proto::scheduler::Call;
use mesos_framework::proto::scheduler::call::Type;
use mesos_framework::proto::{FrameworkInfo, Offer, TaskStatus};
use mesos_framework::{
    Backoff, ConnectionState, Error, ErrorKind, Scheduler, SchedulerDriver, SchedulerHandle,
    Status, Stop, async_trait,
};

use crate::peer::{Peer, within};
use crate::recorder::{Callback, Recorder, nothing, recorder, recorder_that};
use crate::support::{QUIET, Rig, assert_kind, framework, generation, offer, outcome};

#[tokio::test]
async fn stop_after_abort_changes_the_status_only() {
    let mut rig = Rig::start().await;
    let stream = rig.subscribe().await;
    assert_eq!(rig.handle.abort(), Status::Aborted);
    assert_eq!(rig.handle.stop(), Status::Aborted);
    assert_eq!(rig.handle.stop(), Status::Stopped);
    assert_eq!(rig.handle.abort(), Status::Stopped);
    assert_eq!(rig.ended().await.unwrap(), Status::Stopped);
    stream.closed().await;
    rig.peer.assert_no_request().await;
}

#[tokio::test]
async fn start_and_join_may_be_repeated_and_a_driver_lives_once() {
    let mut peer = Peer::bind().await;
    let builder = SchedulerDriver::builder(recorder().0, framework(), peer.address());
    let mut driver = builder.build().unwrap();
    assert_eq!(driver.join().await.unwrap(), Status::NotStarted);
    assert_eq!(driver.handle().stop(), Status::NotStarted);
    assert_eq!(driver.handle().abort(), Status::NotStarted);
    assert_eq!(driver.start().unwrap(), Status::Running);
    assert_eq!(driver.start().unwrap(), Status::Running);
    let subscribe = peer.call(Type::Subscribe).await;
    assert!(peer.is_quiet(QUIET).await, "it subscribed twice");
    drop(subscribe);
    driver.handle().abort();
    for _ in 0..2 {
        let joined = within("the end", driver.join()).await;
        assert_eq!(joined.unwrap(), Status::Aborted);
    }
    assert_eq!(driver.start().unwrap(), Status::Aborted);
}

async fn run_until(how: Stop) -> Peer {
    let mut peer = Peer::bind().await;
    let (scheduler, mut recording) = recorder();
    let builder = SchedulerDriver::builder(scheduler, framework(), peer.address());
    let driver = builder.build().unwrap();
    let signal = async move {
        recording.registered("f").await;
        how
    };
    let running = tokio::spawn(driver.run_until(signal));
    let stream = peer.subscribed("f").await;
    if how == Stop::Teardown {
        peer.call(Type::Teardown).await.accept();
    }
    let ended = within("the end", running).await.unwrap();
    assert_eq!(ended.unwrap(), Status::Stopped);
    stream.closed().await;
    peer
}

#[tokio::test]
async fn run_until_stops_in_the_way_that_the_signal_says() {
    for how in [Stop::Teardown, Stop::ForFailover] {
        run_until(how).await.assert_no_request().await;
    }
}

#[tokio::test]
async fn run_until_ends_with_the_driver() {
    let mut peer = Peer::bind().await;
    let builder = SchedulerDriver::builder(recorder().0, framework(), peer.address());
    let driver = builder.build().unwrap();
    let running = tokio::spawn(driver.run_until(std::future::pending()));
    peer.call(Type::Subscribe).await.answer(401, &[], "");
    let ended = within("the end", running).await.unwrap();
    assert_kind(ended, ErrorKind::Unauthorized);
}

#[test]
fn run_blocking_makes_a_runtime_of_its_own() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut peer = runtime.block_on(Peer::bind());
    let builder = SchedulerDriver::builder(recorder().0, framework(), peer.address());
    let driver = builder.build().unwrap();
    let handle = driver.handle();
    let running = std::thread::spawn(|| driver.run_blocking());
    runtime.block_on(async {
        let _stream = peer.subscribed("f").await;
        let mut watch = handle.watch_connection();
        within("the subscription", watch.until(|now| now.is_subscribed())).await;
        handle.stop();
        peer.call(Type::Teardown).await.accept();
    });
    assert_eq!(running.join().unwrap().unwrap(), Status::Stopped);
}

#[tokio::test]
async fn run_blocking_inside_a_runtime_is_refused() {
    let builder = SchedulerDriver::builder(recorder().0, framework(), "m:5050");
    let error = builder.build().unwrap().run_blocking().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = "run_blocking cannot be used inside a tokio runtime; use run";
    assert_eq!(error.to_string(), text);
}

#[test]
fn start_outside_a_runtime_is_refused_and_may_be_tried_again() {
    let builder = SchedulerDriver::builder(recorder().0, framework(), "m:5050");
    let mut driver = builder.build().unwrap();
    assert_kind(driver.start(), ErrorKind::Config);
    assert_eq!(driver.handle().status(), Status::NotStarted);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        assert_eq!(driver.start().unwrap(), Status::Running);
        driver.handle().abort();
        within("the end", driver.join()).await.unwrap();
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_life_on_several_threads() {
    let mut rig = Rig::start().await;
    rig.subscribe().await.finish().await;
    let stream = rig.peer.subscribed("f").await;
    let again = |callback| matches!(callback, Callback::Reregistered).then_some(());
    rig.recording.until("reregistered", again).await;
    rig.handle.stop();
    rig.peer.call(Type::Teardown).await.accept();
    assert_eq!(rig.ended().await.unwrap(), Status::Stopped);
    stream.closed().await;
}

/// Counts its offers.
#[derive(Debug)]
struct Counter(usize);

#[async_trait]
impl Scheduler for Counter {
    async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
        self.0 += offers.len();
        driver.stop_for_failover();
    }

    async fn status_update(&mut self, _: &SchedulerHandle, _: TaskStatus) {}
}

#[tokio::test]
async fn into_scheduler_hands_the_state_back() {
    let mut peer = Peer::bind().await;
    let builder = SchedulerDriver::builder(Counter(4), framework(), peer.address());
    let mut driver = builder.build().unwrap();
    driver.start().unwrap();
    peer.subscribed("f").await.send(&offer("o")).await;
    within("the end", driver.join()).await.unwrap();
    assert_eq!(driver.into_scheduler::<Counter>().unwrap().0, 5);
}

#[tokio::test]
async fn into_scheduler_of_a_driver_never_started_or_still_running() {
    let build = || SchedulerDriver::builder(Counter(4), framework(), "m:5050").build();
    let idle = build().unwrap();
    assert_eq!(idle.into_scheduler::<Counter>().unwrap().0, 4);
    let other = build().unwrap();
    let error: Error = other.into_scheduler::<Recorder>().map(drop).unwrap_err();
    assert_eq!(
        error.to_string(),
        "scheduler cannot be handed back: it is of another type"
    );
    let mut running = build().unwrap();
    running.start().unwrap();
    assert_kind(running.into_scheduler::<Counter>(), ErrorKind::Config);
}

fn teardown() -> Call {
    Call {
        r#type: Some(Type::Teardown as i32),
        ..Call::default()
    }
}

#[tokio::test]
async fn a_teardown_by_hand_is_a_stop_with_a_receipt() {
    let mut rig = Rig::start().await;
    let stream = rig.subscribe().await;
    let receipt = rig.handle.call(teardown()).await.unwrap();
    assert_eq!(rig.handle.status(), Status::Stopped);
    rig.peer.call(Type::Teardown).await.accept();
    assert!(outcome(receipt).await.is_accepted());
    assert_eq!(rig.ended().await.unwrap(), Status::Stopped);
    stream.closed().await;
    rig.peer.assert_no_request().await;
}

#[tokio::test]
async fn the_connection_is_told_through_the_life_of_the_driver() {
    let long = Backoff::new(Duration::from_secs(3600), Duration::from_secs(3600));
    let info = FrameworkInfo {
        failover_timeout: Some(1e9),
        ..framework()
    };
    let mut peer = Peer::bind().await;
    let (scheduler, _recording) = recorder_that(|_, _| nothing());
    let builder = SchedulerDriver::builder(scheduler, info, peer.address()).backoff(long);
    let mut driver = builder.build().unwrap();
    let handle = driver.handle();
    let mut watch = handle.watch_connection();
    assert_eq!(watch.current().state, ConnectionState::Idle);
    driver.start().unwrap();
    let subscribe = peer.call(Type::Subscribe).await;
    let connecting = within("a change", watch.changed()).await;
    let here = peer.address().to_owned();
    assert!(
        matches!(connecting.state, ConnectionState::Connecting { address, .. } if address == here)
    );
    let stream = subscribe.stream();
    stream.send(&crate::peer::subscribed("f", None)).await;
    let subscribed = within("a change", watch.changed()).await;
    assert_eq!(generation(&subscribed), Some(1));
    assert!(subscribed.last_error.is_none());
    stream.finish().await;
    let waiting = within("a change", watch.changed()).await;
    assert!(
        matches!(waiting.state, ConnectionState::Waiting { next_attempt, .. } if next_attempt > std::time::Instant::now())
    );
    assert_eq!(waiting.failed_attempts, 0);
    let why = waiting.last_error.expect("the loss").to_string();
    assert_eq!(why, format!("master {here} ended the event stream"));
    handle.abort();
    let closed = within("a change", watch.changed()).await;
    assert_eq!(closed.state, ConnectionState::Closed);
    within("the end", driver.join()).await.unwrap();
    assert_eq!(handle.connection().state, ConnectionState::Closed);
}

#[tokio::test]
async fn failed_attempts_are_counted_until_one_succeeds() {
    let mut rig = Rig::start().await;
    let mut watch = rig.handle.watch_connection();
    for attempts in 1..=3 {
        rig.peer.call(Type::Subscribe).await.answer(503, &[], "");
        let counted = watch.until(|now| now.failed_attempts == attempts);
        within("the count", counted).await;
    }
    rig.subscribe().await;
    assert_eq!(rig.handle.connection().failed_attempts, 0);
}
