//! How a driver ends: stop, abort, errors, panics, and being dropped.

use std::sync::Arc;
use std::time::Duration;

use mesos_framework::proto::scheduler::Call;
use mesos_framework::proto::scheduler::call::Type;
use mesos_framework::{ConnectionState, ErrorKind, SchedulerDriver, SchedulerHandle, Status};
use tokio::sync::{Semaphore, mpsc};

use crate::peer::{Peer, Stream, error, within};
use crate::recorder::{Callback, Doing, Recorder, nothing, recorder};
use crate::support::{QUIET, Rig, SOON, assert_kind, framework, not_sent, offer, outcome};

/// A subscribed driver whose callback of offers makes two calls and ends the driver by `end`; both calls answered.
async fn ended_by_callback(end: fn(&SchedulerHandle) -> Status) -> (Rig, Stream) {
    let mut rig = Rig::reacting(move |callback, driver| match callback {
        Callback::Offers(_) => Box::pin(async move {
            for id in ["a", "b"] {
                driver.kill_task(id.into(), None).await.unwrap();
            }
            end(&driver);
            assert_kind(
                driver.kill_task("c".into(), None).await,
                ErrorKind::NotRunning,
            );
        }),
        _ => nothing(),
    })
    .await;
    let stream = rig.subscribe().await;
    stream.send(&offer("o")).await;
    stream.send(&offer("never told")).await;
    for id in ["a", "b"] {
        let kill = rig.peer.call(Type::Kill).await;
        assert_eq!(kill.scheduler_call().kill.unwrap().task_id, id.into());
        kill.accept();
    }
    (rig, stream)
}

/// The driver ends with `status` and closes its stream; the callback was the last one.
async fn ends_quietly(mut rig: Rig, stream: Stream, status: Status) {
    assert_eq!(rig.ended().await.unwrap(), status);
    stream.closed().await;
    rig.peer.assert_no_request().await;
    rig.recording.offered("o").await;
    assert!(rig.recording.rest().is_empty());
    assert_eq!(rig.handle.connection().state, ConnectionState::Closed);
}

#[tokio::test]
async fn stop_sends_queued_calls_then_teardown_then_closes() {
    let (mut rig, stream) = ended_by_callback(SchedulerHandle::stop).await;
    let teardown = rig.peer.call(Type::Teardown).await;
    assert_eq!(teardown.header("mesos-stream-id"), Some(stream.id.as_str()));
    assert_eq!(teardown.scheduler_call().framework_id, Some("f".into()));
    teardown.accept();
    ends_quietly(rig, stream, Status::Stopped).await;
}

#[tokio::test]
async fn stop_for_failover_sends_queued_calls_and_no_teardown() {
    let (rig, stream) = ended_by_callback(SchedulerHandle::stop_for_failover).await;
    ends_quietly(rig, stream, Status::Stopped).await;
}

#[tokio::test]
async fn abort_sends_queued_calls_and_no_teardown() {
    let (rig, stream) = ended_by_callback(SchedulerHandle::abort).await;
    ends_quietly(rig, stream, Status::Aborted).await;
}

#[tokio::test]
async fn the_stream_may_end_before_teardown_is_answered() {
    let mut rig = Rig::start().await;
    let stream = rig.subscribe().await;
    rig.handle.stop();
    let teardown = rig.peer.call(Type::Teardown).await;
    stream.finish().await;
    assert!(rig.peer.is_quiet(QUIET).await, "it subscribed again");
    teardown.accept();
    assert_eq!(rig.ended().await.unwrap(), Status::Stopped);
    rig.peer.assert_no_request().await;
}

#[tokio::test]
async fn a_stream_that_ends_after_teardown_is_not_renewed() {
    let mut rig = Rig::start().await;
    let stream = rig.subscribe().await;
    rig.handle.stop();
    rig.peer.call(Type::Teardown).await.accept();
    stream.finish().await;
    assert_eq!(rig.ended().await.unwrap(), Status::Stopped);
    rig.peer.assert_no_request().await;
}

#[tokio::test]
async fn stop_without_a_subscription_subscribes_once_more() {
    let mut rig = Rig::start().await;
    rig.subscribe().await.finish().await;
    let subscribe = rig.peer.call(Type::Subscribe).await;
    assert_eq!(rig.handle.stop(), Status::Stopped);
    subscribe.answer(503, &[], "");
    let stream = rig.peer.subscribed("f").await;
    let teardown = rig.peer.call(Type::Teardown).await;
    assert_eq!(teardown.header("mesos-stream-id"), Some(stream.id.as_str()));
    teardown.accept();
    assert_eq!(rig.ended().await.unwrap(), Status::Stopped);
    rig.peer.assert_no_request().await;
}

#[tokio::test]
async fn a_teardown_that_cannot_be_sent_tells_why() {
    let mut rig = Rig::start().await;
    rig.subscribe().await.finish().await;
    let subscribe = rig.peer.call(Type::Subscribe).await;
    rig.handle.stop();
    let stream = subscribe.stream();
    stream.send(&error("Framework has been removed")).await;
    let ended = rig.ended().await.unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::NotRunning);
    let text = ended.to_string();
    assert!(text.starts_with("TEARDOWN was not sent: "), "{text}");
    assert!(text.ends_with("says: Framework has been removed"), "{text}");
}

#[tokio::test]
async fn stop_during_the_first_subscribe_waits_for_its_answer() {
    let mut rig = Rig::start().await;
    let subscribe = rig.peer.call(Type::Subscribe).await;
    rig.handle.stop();
    let stream = subscribe.stream();
    stream.send(&crate::peer::subscribed("f", None)).await;
    let teardown = rig.peer.call(Type::Teardown).await;
    assert_eq!(teardown.scheduler_call().framework_id, Some("f".into()));
    teardown.accept();
    assert_eq!(rig.ended().await.unwrap(), Status::Stopped);
    assert!(rig.recording.rest().is_empty());
}

#[tokio::test]
async fn stop_before_any_subscription_has_nothing_to_tear_down() {
    let mut rig = Rig::start().await;
    let subscribe = rig.peer.call(Type::Subscribe).await;
    rig.handle.stop();
    subscribe.answer(503, &[], "");
    assert_eq!(rig.ended().await.unwrap(), Status::Stopped);
    rig.peer.assert_no_request().await;
}

#[tokio::test]
async fn a_master_that_is_gone_makes_the_outcome_of_stop_an_error() {
    let mut rig = Rig::configured(|b| b.call_timeout(Duration::from_millis(300))).await;
    rig.subscribe().await.finish().await;
    rig.recording.disconnected().await;
    let _unanswered = rig.peer.call(Type::Subscribe).await;
    rig.handle.stop();
    let error = rig.ended().await.unwrap_err();
    assert!(
        error.to_string().starts_with("TEARDOWN was not sent: "),
        "{error}"
    );
}

#[tokio::test]
async fn a_teardown_without_an_answer_is_unknown_after_the_call_timeout() {
    let mut rig = Rig::configured(|b| b.call_timeout(Duration::from_millis(300))).await;
    let _stream = rig.subscribe().await;
    rig.handle.stop();
    let _unanswered = rig.peer.call(Type::Teardown).await;
    let error = rig.ended().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let begin = "outcome of TEARDOWN is unknown: no answer from ";
    assert!(error.to_string().starts_with(begin), "{error}");
    assert_eq!(rig.handle.status(), Status::Stopped);
}

#[tokio::test]
async fn a_refused_teardown_is_told_by_join() {
    let mut rig = Rig::start().await;
    let _stream = rig.subscribe().await;
    rig.handle.stop();
    let teardown = rig.peer.call(Type::Teardown).await;
    teardown.answer(403, &[], "Not authorized");
    for _ in 0..2 {
        let error = rig.ended().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected);
        assert_eq!(
            error.to_string(),
            "TEARDOWN refused with 403: Not authorized"
        );
    }
}

#[tokio::test]
async fn no_end_but_stop_subscribes_again() {
    for end in [SchedulerHandle::stop_for_failover, SchedulerHandle::abort] {
        let mut rig = Rig::start().await;
        let stream = rig.subscribe().await;
        let receipt = rig.handle.kill_task("t".into(), None).await.unwrap();
        let kill = rig.peer.call(Type::Kill).await;
        end(&rig.handle);
        stream.finish().await;
        // Whoever has taken the framework over by now must not be thrown out.
        assert!(rig.peer.is_quiet(QUIET).await, "it subscribed again");
        kill.accept();
        assert!(outcome(receipt).await.is_accepted());
        rig.ended().await.unwrap();
        rig.peer.assert_no_request().await;
    }
}

#[tokio::test]
async fn calls_refused_for_their_subscription_are_not_sent_after_the_end() {
    let mut rig = Rig::start().await;
    let _stream = rig.subscribe().await;
    let receipt = rig.handle.kill_task("t".into(), None).await.unwrap();
    let kill = rig.peer.call(Type::Kill).await;
    rig.handle.stop_for_failover();
    kill.answer(403, &[], "Framework is not subscribed");
    not_sent(receipt).await;
    assert_eq!(rig.ended().await.unwrap(), Status::Stopped);
    rig.peer.assert_no_request().await;
}

#[tokio::test]
async fn methods_answer_not_running_before_and_after() {
    let peer = Peer::bind().await;
    let builder = SchedulerDriver::builder(recorder().0, framework(), peer.address());
    let mut driver = builder.backoff(SOON).build().unwrap();
    let handle = driver.handle();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let teardown = Call {
            r#type: Some(Type::Teardown as i32),
            ..Call::default()
        };
        answers.push(handle.kill_task("t".into(), None).await.map(drop));
        answers.push(handle.revive_offers(vec![]).await.map(drop));
        answers.push(handle.call(teardown).await.map(drop));
        driver.start().unwrap();
        assert_eq!(handle.abort(), Status::Aborted);
        within("the end", driver.join()).await.unwrap();
    }
    for answer in answers {
        assert_kind(answer, ErrorKind::NotRunning);
    }
}

#[tokio::test]
async fn a_dropped_driver_closes_and_lets_the_running_callback_finish() {
    let gate = Arc::new(Semaphore::new(0));
    let entrance = Arc::clone(&gate);
    let (finished, mut seen) = mpsc::channel(1);
    let mut rig = Rig::reacting(move |callback, _| match callback {
        Callback::Offers(_) => {
            let (gate, finished) = (Arc::clone(&entrance), finished.clone());
            Box::pin(async move {
                drop(gate.acquire().await);
                finished.try_send(()).unwrap();
            })
        }
        _ => nothing(),
    })
    .await;
    let stream = rig.subscribe().await;
    stream.send(&offer("o")).await;
    rig.recording.offered("o").await;
    drop(rig.driver);
    assert_eq!(rig.handle.status(), Status::Stopped);
    stream.closed().await;
    assert!(seen.try_recv().is_err());
    gate.add_permits(1);
    within("the callback", seen.recv()).await.unwrap();
    let mut watch = rig.handle.watch_connection();
    let is_closed = |now: &mesos_framework::Connection| now.state == ConnectionState::Closed;
    within("the end", watch.until(is_closed)).await;
    rig.peer.assert_no_request().await;
}

#[tokio::test]
async fn a_callback_that_outlives_its_dropped_driver_is_cancelled() {
    struct OnDrop(mpsc::Sender<()>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            let _ = self.0.try_send(());
        }
    }
    let (sender, mut dropped) = mpsc::channel(1);
    let reaction = move |callback: &Callback, _| match callback {
        Callback::Offers(_) => {
            let guard = OnDrop(sender.clone());
            Box::pin(async move {
                let _guard = guard;
                std::future::pending().await
            }) as Doing
        }
        _ => nothing(),
    };
    let limit = Duration::from_millis(200);
    let mut rig = Rig::of(framework(), reaction, |b| b.call_timeout(limit)).await;
    let stream = rig.subscribe().await;
    stream.send(&offer("o")).await;
    rig.recording.offered("o").await;
    drop(rig.driver);
    within("the callback's end", dropped.recv()).await.unwrap();
}

#[tokio::test]
async fn a_panic_in_a_callback_aborts_and_is_told_by_join() {
    let mut rig = Rig::reacting(|callback, _| match callback {
        Callback::Offers(_) => Box::pin(async { panic!("no {} today", "offers") }),
        _ => nothing(),
    })
    .await;
    let stream = rig.subscribe().await;
    stream.send(&offer("o")).await;
    for _ in 0..2 {
        let error = rig.ended().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CallbackPanicked);
        assert_eq!(error.to_string(), "a callback panicked: no offers today");
    }
    assert_eq!(rig.handle.status(), Status::Aborted);
    stream.closed().await;
    rig.peer.assert_no_request().await;
    rig.recording.offered("o").await;
    assert!(rig.recording.rest().is_empty(), "error was called");
    let error = rig.driver.into_scheduler::<Recorder>();
    assert_kind(error.map(drop), ErrorKind::Config);
}

#[tokio::test]
async fn error_is_the_last_callback_of_an_aborted_driver() {
    let (sender, mut statuses) = mpsc::channel(1);
    let mut rig = Rig::reacting(move |callback, driver| {
        if matches!(callback, Callback::Error(_)) {
            sender.try_send(driver.status()).unwrap();
        }
        nothing()
    })
    .await;
    let stream = rig.subscribe().await;
    stream.send(&error("Framework failed over")).await;
    stream.send(&offer("o")).await;
    assert_kind(rig.ended().await, ErrorKind::ErrorEvent);
    assert_eq!(statuses.try_recv().unwrap(), Status::Aborted);
    let rest = rig.recording.rest();
    assert!(matches!(rest[..], [Callback::Error(_)]), "{rest:?}");
}

/// A subscribed driver whose callbacks of offers wait for the gate; one of them runs.
async fn in_a_callback() -> (Rig, Stream, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let entrance = Arc::clone(&gate);
    let reaction = move |callback: &Callback, _| match callback {
        Callback::Offers(_) => {
            let gate = Arc::clone(&entrance);
            Box::pin(async move { drop(gate.acquire().await) }) as Doing
        }
        _ => nothing(),
    };
    let mut rig = Rig::of(framework(), reaction, |b| b.event_queue_capacity(1)).await;
    let stream = rig.subscribe().await;
    stream.send(&offer("o")).await;
    rig.recording.offered("o").await;
    (rig, stream, gate)
}

#[tokio::test]
async fn join_waits_for_the_running_callback_and_no_other_starts() {
    let (mut rig, stream, gate) = in_a_callback().await;
    // One more than the queue holds.
    for id in ["p", "q"] {
        stream.send(&offer(id)).await;
    }
    rig.handle.stop();
    rig.peer.call(Type::Teardown).await.accept();
    stream.closed().await;
    let joined = tokio::time::timeout(QUIET, rig.driver.join()).await;
    assert!(joined.is_err(), "the callback still runs");
    gate.add_permits(1);
    assert_eq!(rig.ended().await.unwrap(), Status::Stopped);
    assert!(rig.recording.rest().is_empty());
}

#[tokio::test]
async fn error_waits_for_the_running_callback() {
    let (mut rig, stream, gate) = in_a_callback().await;
    stream.send(&error("Framework failed over")).await;
    stream.closed().await;
    assert_eq!(rig.handle.status(), Status::Aborted);
    assert!(rig.recording.rest().is_empty());
    gate.add_permits(1);
    assert_kind(rig.ended().await, ErrorKind::ErrorEvent);
    let rest = rig.recording.rest();
    assert!(matches!(rest[..], [Callback::Error(_)]), "{rest:?}");
}

#[tokio::test]
async fn teardown_goes_out_even_behind_a_call_without_an_answer() {
    let mut rig = Rig::configured(|b| b.call_timeout(Duration::from_millis(300))).await;
    let _stream = rig.subscribe().await;
    let kill = rig.handle.kill_task("t".into(), None).await.unwrap();
    let _unanswered = rig.peer.call(Type::Kill).await;
    rig.handle.stop();
    rig.peer.call(Type::Teardown).await.accept();
    assert_eq!(rig.ended().await.unwrap(), Status::Stopped);
    let end = outcome(kill).await;
    assert!(
        matches!(end, mesos_framework::Outcome::Unknown(_)),
        "{end:?}"
    );
}

#[tokio::test]
async fn receipts_of_a_dropped_driver_are_answered() {
    let mut rig = Rig::configured(|b| b.call_timeout(Duration::from_millis(300))).await;
    let _stream = rig.subscribe().await;
    let first = rig.handle.kill_task("a".into(), None).await.unwrap();
    let _unanswered = rig.peer.call(Type::Kill).await;
    drop(rig.driver);
    let end = outcome(first).await;
    assert!(
        matches!(end, mesos_framework::Outcome::Unknown(_)),
        "{end:?}"
    );
}

#[tokio::test]
async fn a_dropped_run_future_stops_for_failover() {
    let mut peer = Peer::bind().await;
    let (scheduler, mut recording) = recorder();
    let builder = SchedulerDriver::builder(scheduler, framework(), peer.address());
    let driver = builder.build().unwrap();
    let handle = driver.handle();
    let running = tokio::spawn(driver.run());
    let stream = peer.subscribed("f").await;
    recording.registered("f").await;
    running.abort();
    stream.closed().await;
    assert_eq!(handle.status(), Status::Stopped);
    peer.assert_no_request().await;
}
