//! What happens when callbacks are slow, or calls pile up.

use std::sync::Arc;
use std::time::Duration;

use mesos_framework::proto::scheduler::call::Type;
use mesos_framework::proto::scheduler::{Event, event};
use mesos_framework::{ErrorKind, Result, SchedulerDriverBuilder, SchedulerHandle, Status};
use tokio::sync::{Semaphore, mpsc};

use crate::peer::{heartbeat, subscribed, within};
use crate::recorder::{Callback, Doing, nothing};
use crate::support::{Rig, bare, framework, generation, offer, outcome};

/// A driver whose callbacks of offers wait for a permit each.
async fn gated(
    configure: impl FnOnce(SchedulerDriverBuilder) -> SchedulerDriverBuilder,
) -> (Rig, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let entrance = Arc::clone(&gate);
    let reaction = move |callback: &Callback, _| match callback {
        Callback::Offers(_) => {
            let entrance = Arc::clone(&entrance);
            let enter: Doing = Box::pin(async move {
                entrance.acquire().await.unwrap().forget();
            });
            enter
        }
        _ => nothing(),
    };
    (Rig::of(framework(), reaction, configure).await, gate)
}

fn large(number: usize) -> Event {
    let message = event::Message {
        agent_id: "a".into(),
        executor_id: number.to_string().as_str().into(),
        data: vec![0; 256 * 1024].into(),
    };
    Event {
        message: Some(message),
        ..bare(event::Type::Message)
    }
}

#[tokio::test]
async fn a_blocked_callback_stops_the_reading_and_nothing_is_lost() {
    const EVENTS: usize = 250;
    let (mut rig, gate) = gated(|builder| builder.event_queue_capacity(2)).await;
    let stream = rig.subscribe().await;
    stream.send(&offer("o")).await;
    rig.recording.offered("o").await;
    let (progress, mut sent) = mpsc::channel(EVENTS);
    let sender = tokio::spawn(async move {
        for number in 0..EVENTS {
            stream.send(&large(number)).await;
            progress.try_send(()).unwrap();
        }
        stream
    });
    // Until the peer can write no more.
    while let Ok(Some(())) = tokio::time::timeout(Duration::from_millis(500), sent.recv()).await {}
    assert!(!sender.is_finished(), "everything was read");
    gate.add_permits(1);
    for number in 0..EVENTS {
        match rig.recording.next().await {
            Callback::Message(executor_id, _, data) => {
                assert_eq!(executor_id.value, number.to_string());
                assert_eq!(data.len(), 256 * 1024);
            }
            other => panic!("message expected: {other:?}"),
        }
    }
    within("the sender", sender).await.unwrap();
    assert_eq!(generation(&rig.handle.connection()), Some(1));
}

#[tokio::test]
async fn events_unread_for_too_long_renew_the_subscription() {
    let stall = Duration::from_millis(150);
    let (mut rig, gate) =
        gated(|builder| builder.event_queue_capacity(2).event_stall_timeout(stall)).await;
    let stream = rig.subscribe().await;
    for id in ["a", "b", "c", "d"] {
        stream.send(&offer(id)).await;
    }
    rig.recording.offered("a").await;
    let why = "events unread for 150ms: a callback takes too long";
    assert_eq!(rig.last_error(why).await.kind(), ErrorKind::Timeout);
    stream.closed().await;
    let new = rig.peer.subscribed("f").await;
    gate.add_permits(1);
    rig.recording.disconnected().await;
    rig.recording.reregistered().await;
    new.send(&offer("e")).await;
    rig.recording.offered("e").await;
}

/// A driver with room for one call, whose callback of offers makes three; what came of each.
async fn crowded() -> (Rig, mpsc::Receiver<Result<()>>) {
    let (sender, results) = mpsc::channel(3);
    let call = |driver: SchedulerHandle, sender: mpsc::Sender<Result<()>>| async move {
        for id in ["a", "b", "c"] {
            let call = driver.kill_task(id.into(), None).await;
            sender.try_send(call.map(drop)).unwrap();
        }
    };
    let reaction = move |callback: &Callback, driver| match callback {
        Callback::Offers(_) => Box::pin(call(driver, sender.clone())) as Doing,
        _ => nothing(),
    };
    let rig = Rig::of(framework(), reaction, |builder| builder.outbox_capacity(1)).await;
    (rig, results)
}

async fn result(results: &mut mpsc::Receiver<Result<()>>) -> Result<()> {
    within("the end of a method", results.recv()).await.unwrap()
}

#[tokio::test]
async fn a_callback_that_waits_for_room_in_the_outbox_gets_it() {
    let (mut rig, mut results) = crowded().await;
    let stream = rig.subscribe().await;
    stream.send(&offer("o")).await;
    for id in ["a", "b", "c"] {
        let kill = rig.peer.call(Type::Kill).await;
        assert_eq!(kill.scheduler_call().kill.unwrap().task_id, id.into());
        result(&mut results).await.unwrap();
        // No further one is queued while this is in flight.
        assert!(results.try_recv().is_err());
        kill.accept();
    }
    rig.recording.offered("o").await;
    stream.send(&offer("p")).await;
    rig.recording.offered("p").await;
}

#[tokio::test]
async fn a_callback_that_waits_for_room_is_told_of_the_loss() {
    let (mut rig, mut results) = crowded().await;
    let stream = rig.subscribe().await;
    stream.send(&offer("o")).await;
    let _in_flight = rig.peer.call(Type::Kill).await;
    result(&mut results).await.unwrap();
    stream.finish().await;
    for _ in ["b", "c"] {
        let error = result(&mut results).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected);
    }
    rig.recording.offered("o").await;
    rig.recording.disconnected().await;
}

#[tokio::test]
async fn a_callback_that_waits_for_room_is_told_of_the_stop() {
    let (mut rig, mut results) = crowded().await;
    let stream = rig.subscribe().await;
    stream.send(&offer("o")).await;
    let in_flight = rig.peer.call(Type::Kill).await;
    result(&mut results).await.unwrap();
    assert_eq!(rig.handle.stop(), Status::Stopped);
    for _ in ["b", "c"] {
        let error = result(&mut results).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotRunning);
    }
    in_flight.accept();
    rig.peer.call(Type::Teardown).await.accept();
    assert_eq!(rig.ended().await.unwrap(), Status::Stopped);
}

#[tokio::test]
async fn a_waiting_method_that_is_dropped_has_queued_nothing() {
    let mut rig = Rig::configured(|builder| builder.outbox_capacity(1)).await;
    let _stream = rig.subscribe().await;
    let first = rig.handle.kill_task("a".into(), None).await.unwrap();
    let in_flight = rig.peer.call(Type::Kill).await;
    let waiting = rig.handle.kill_task("b".into(), None);
    let waited = tokio::time::timeout(Duration::from_millis(50), waiting).await;
    assert!(waited.is_err(), "there was room");
    in_flight.accept();
    assert!(outcome(first).await.is_accepted());
    let revive = rig.handle.revive_offers(vec![]);
    let revive = within("room", revive).await.unwrap();
    rig.peer.call(Type::Revive).await.accept();
    assert!(outcome(revive).await.is_accepted());
}

#[tokio::test]
async fn a_callback_that_exceeds_its_timeout_aborts_the_driver() {
    let timeout = Duration::from_millis(100);
    let (mut rig, _gate) = gated(|builder| builder.callback_timeout(timeout)).await;
    let stream = rig.subscribe().await;
    stream.send(&offer("o")).await;
    rig.recording.offered("o").await;
    let ended = rig.ended().await.unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::Timeout);
    assert_eq!(ended.to_string(), "a callback took longer than 100ms");
    assert_eq!(rig.handle.status(), Status::Aborted);
    let told = rig.recording.next().await;
    assert!(matches!(told, Callback::Error(error) if error.kind() == ErrorKind::Timeout));
    stream.closed().await;
    rig.peer.assert_no_request().await;
}

#[tokio::test]
async fn silence_is_not_judged_while_something_is_unread() {
    let (mut rig, gate) =
        gated(|builder| builder.event_queue_capacity(1).missed_heartbeats(3)).await;
    let stream = rig.peer.call(Type::Subscribe).await.stream();
    stream.send(&subscribed("f", Some(0.05))).await;
    rig.recording.registered("f").await;
    for id in ["a", "b", "c", "d"] {
        stream.send(&offer(id)).await;
        stream.send(&heartbeat()).await;
    }
    rig.recording.offered("a").await;
    // The queue has room for one: the deadline of 150 ms passes while the others are unread.
    assert!(rig.recording.is_quiet(Duration::from_millis(400)).await);
    assert_eq!(generation(&rig.handle.connection()), Some(1));
    gate.add_permits(4);
    for id in ["b", "c", "d"] {
        rig.recording.offered(id).await;
    }
    // And it is judged again.
    rig.recording.disconnected().await;
}
