//! How an executor ends, and what it waits for before.

use std::time::Duration;

use mesos_framework::proto::TaskState;
use mesos_framework::{ErrorKind, ExecutorDriver, Outcome, Status};

use crate::executor_recorder::{
    CHECKPOINT, Callback, QUIET, Recorder, Recording, acknowledged, brief, carried, config, launch,
    lost, recorder, recorder_that, running, shutdown, start, status, subscribe, subscribe_call,
    update,
};
use crate::peer::{Peer, within};

/// An executor that kills its task `t` on shutdown.
fn killer() -> (Recorder, Recording) {
    recorder_that(|driver, callback| async move {
        if matches!(callback, Callback::Shutdown) {
            let killed = status("t", TaskState::TaskKilled);
            let _ = driver.send_status_update(killed).await.unwrap();
        }
    })
}

/// Asserts that the driver goes on for a while.
async fn goes_on(driver: &mut ExecutorDriver) {
    let early = tokio::time::timeout(QUIET, driver.join()).await;
    assert!(early.is_err(), "ended too early: {early:?}");
}

async fn ends_stopped(driver: &mut ExecutorDriver) {
    let ended = within("the driver's end", driver.join()).await;
    assert_eq!(ended.unwrap(), Status::Stopped);
}

#[tokio::test]
async fn shutdown_ends_it_once_the_last_update_is_acknowledged() {
    let (mut peer, mut driver, mut recording, stream) = running(killer(), &[], &["t"]).await;
    stream.send(&shutdown()).await;
    recording.expect(&["shutdown"]).await;
    let last = update(&mut peer).await;
    assert_eq!(brief(&last), "t TASK_KILLED");
    goes_on(&mut driver).await;
    stream.send(&acknowledged(&last)).await;
    ends_stopped(&mut driver).await;
    stream.closed().await;
    assert!(recording.rest().is_empty());
}

#[tokio::test]
async fn shutdown_waits_for_acknowledgements_no_longer_than_the_grace_period() {
    let grace = ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "300ms");
    let (mut peer, mut driver, _recording, stream) = running(killer(), &[grace], &["t"]).await;
    stream.send(&shutdown()).await;
    update(&mut peer).await;
    ends_stopped(&mut driver).await;
}

#[tokio::test]
async fn a_shutdown_that_hangs_ends_with_the_grace_period() {
    let (executor, recording) = recorder_that(|_, callback| async move {
        if matches!(callback, Callback::Shutdown) {
            std::future::pending::<()>().await;
        }
    });
    let grace = ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "200ms");
    let (_peer, mut driver, mut recording, stream) =
        running((executor, recording), &[grace], &[]).await;
    stream.send(&shutdown()).await;
    let ended = within("the driver's end", driver.join()).await;
    let error = ended.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(
        error.to_string(),
        "shutdown took longer than its grace period of 200ms"
    );
    recording.expect(&["shutdown", "error"]).await;
    assert_eq!(driver.handle().status(), Status::Aborted);
}

#[tokio::test]
async fn shutdown_may_be_the_very_first_event() {
    let mut peer = Peer::bind().await;
    let (executor, mut recording) = recorder();
    let mut driver = start(executor, peer.address(), &CHECKPOINT);
    let (_, incoming) = subscribe_call(&mut peer).await;
    let stream = incoming.stream();
    stream.send(&shutdown()).await;
    recording.expect(&["shutdown"]).await;
    ends_stopped(&mut driver).await;
    assert!(recording.rest().is_empty());
}

#[tokio::test]
async fn stop_waits_for_pending_updates() {
    let (mut peer, mut driver, mut recording, stream) = running(recorder(), &[], &["t"]).await;
    let handle = driver.handle();
    let finished = status("t", TaskState::TaskFinished);
    let receipt = handle.send_status_update(finished).await.unwrap();
    assert_eq!(handle.stop(), Status::Stopped);
    let last = update(&mut peer).await;
    assert!(within("the outcome", receipt.outcome()).await.is_accepted());
    goes_on(&mut driver).await;
    // Events but acknowledgements are not told any more.
    stream.send(&launch("late")).await;
    stream.send(&acknowledged(&last)).await;
    ends_stopped(&mut driver).await;
    assert!(recording.rest().is_empty());
}

#[tokio::test]
async fn an_executor_may_stop_itself_behind_its_last_update() {
    let (executor, recording) = recorder_that(|driver, callback| async move {
        if matches!(callback, Callback::Launch(_)) {
            let finished = status("t", TaskState::TaskFinished);
            let _ = driver.send_status_update(finished).await.unwrap();
            driver.stop();
        }
    });
    let (mut peer, mut driver, _recording, stream) =
        running((executor, recording), &[], &["t"]).await;
    let last = update(&mut peer).await;
    assert_eq!(brief(&last), "t TASK_FINISHED");
    goes_on(&mut driver).await;
    stream.send(&acknowledged(&last)).await;
    ends_stopped(&mut driver).await;
}

#[tokio::test]
async fn stop_brings_pending_updates_to_an_agent_that_is_away() {
    let (mut peer, mut driver, _recording, stream) = running(recorder(), &CHECKPOINT, &["t"]).await;
    let handle = driver.handle();
    drop(stream);
    let (_, refused) = subscribe_call(&mut peer).await;
    lost(&handle).await;
    let finished = status("t", TaskState::TaskFinished);
    let receipt = handle.send_status_update(finished).await.unwrap();
    handle.stop();
    refused.answer(503, &[], "Agent has not finished recovery");
    let (again, stream) = subscribe(&mut peer).await;
    assert_eq!(carried(&again).1, ["t TASK_FINISHED".to_owned()]);
    let outcome = within("the outcome", receipt.outcome()).await;
    assert!(outcome.is_accepted(), "SUBSCRIBE carried it: {outcome:?}");
    goes_on(&mut driver).await;
    stream
        .send(&acknowledged(&again.unacknowledged_updates[0].status))
        .await;
    ends_stopped(&mut driver).await;
}

#[tokio::test]
async fn abort_waits_for_no_acknowledgement() {
    let (mut peer, mut driver, mut recording, stream) = running(recorder(), &[], &["t"]).await;
    let handle = driver.handle();
    let running = status("t", TaskState::TaskRunning);
    let _ = handle.send_status_update(running).await.unwrap();
    update(&mut peer).await;
    assert_eq!(handle.abort(), Status::Aborted);
    let ended = within("the driver's end", driver.join()).await;
    assert_eq!(ended.unwrap(), Status::Aborted);
    stream.closed().await;
    assert!(recording.rest().is_empty());
}

#[tokio::test]
async fn abort_without_a_subscription_tells_queued_updates_as_not_sent() {
    let (mut peer, mut driver, _recording, stream) = running(recorder(), &CHECKPOINT, &["t"]).await;
    let handle = driver.handle();
    drop(stream);
    let _unanswered = subscribe_call(&mut peer).await;
    lost(&handle).await;
    let finished = status("t", TaskState::TaskFinished);
    let receipt = handle.send_status_update(finished).await.unwrap();
    handle.abort();
    let outcome = within("the outcome", receipt.outcome()).await;
    assert!(matches!(outcome, Outcome::NotSent(_)), "{outcome:?}");
    within("the driver's end", driver.join()).await.unwrap();
}

#[tokio::test]
async fn a_panic_in_a_callback_aborts_the_driver_and_is_told_by_join() {
    let (executor, recording) = recorder_that(|_, callback| async move {
        assert!(!matches!(callback, Callback::Launch(_)), "no such luck");
    });
    let (_peer, mut driver, mut recording, stream) =
        running((executor, recording), &CHECKPOINT, &["t"]).await;
    let ended = within("the driver's end", driver.join()).await;
    let error = ended.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CallbackPanicked);
    assert_eq!(error.to_string(), "a callback panicked: no such luck");
    assert_eq!(driver.handle().status(), Status::Aborted);
    stream.closed().await;
    assert!(recording.rest().is_empty(), "error is not called on it");
    let error = driver.into_executor::<Recorder>().err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn the_executor_comes_back_when_the_driver_has_ended_or_never_started() {
    let (_peer, driver, _recording, _stream) = running(recorder(), &[], &[]).await;
    let handle = driver.handle();
    let error = driver.into_executor::<Recorder>().err().unwrap();
    assert_eq!(
        error.to_string(),
        "executor cannot be handed back: join has not completed, or a callback panicked"
    );
    assert_eq!(handle.status(), Status::Stopped, "dropped while running");

    let (_peer, mut driver, _recording, _stream) = running(recorder(), &[], &[]).await;
    driver.handle().stop();
    ends_stopped(&mut driver).await;
    assert!(driver.into_executor::<Recorder>().is_ok());

    let idle = || {
        let (executor, _) = recorder();
        let config = config("127.0.0.1:5051", &[]);
        let driver = ExecutorDriver::builder(executor).config(config).build();
        driver.unwrap()
    };
    assert!(idle().into_executor::<Recorder>().is_ok());
    let error = idle().into_executor::<Other>().err().unwrap();
    assert_eq!(
        error.to_string(),
        "executor cannot be handed back: it is of another type"
    );
}

/// An executor that is no [`Recorder`].
struct Other;

#[mesos_framework::async_trait]
impl mesos_framework::Executor for Other {
    async fn launch_task(
        &mut self,
        _: &mesos_framework::ExecutorHandle,
        _: mesos_framework::proto::TaskInfo,
    ) {
    }

    async fn kill_task(
        &mut self,
        _: &mesos_framework::ExecutorHandle,
        _: mesos_framework::proto::TaskId,
        _: Option<mesos_framework::proto::KillPolicy>,
    ) {
    }

    async fn shutdown(&mut self, _: &mesos_framework::ExecutorHandle) {}
}

#[tokio::test]
async fn a_driver_that_was_never_started_is_joined_at_once() {
    let (executor, _recording) = recorder();
    let config = config("127.0.0.1:5051", &[]);
    let built = ExecutorDriver::builder(executor).config(config).build();
    let mut driver = built.unwrap();
    let joined = tokio::time::timeout(Duration::from_secs(5), driver.join()).await;
    assert_eq!(joined.unwrap().unwrap(), Status::NotStarted);
}
