//! In which order things happen: callbacks, calls and their ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mesos_framework::proto::scheduler::call::Type;
use mesos_framework::proto::scheduler::{Event, event};
use mesos_framework::proto::{
    FrameworkInfo, InverseOffer, OperationState, OperationStatus, TaskStatus, Uuid,
};
use mesos_framework::{ErrorKind, Outcome, SchedulerHandle, Status};

use crate::peer::Incoming;
use crate::recorder::{Callback, Doing, nothing};
use crate::support::{QUIET, Rig, bare, framework, not_sent, offer, outcome, rescind, update};

const UUID: &[u8; 16] = &[0x40; 16];

/// What a callback does that makes these calls, and then something else.
fn kills(
    driver: SchedulerHandle,
    ids: &'static [&'static str],
    then: impl FnOnce(&SchedulerHandle) + Send + 'static,
) -> Doing {
    Box::pin(async move {
        for id in ids {
            driver.kill_task((*id).into(), None).await.unwrap();
        }
        then(&driver);
    })
}

fn killed(request: &Incoming) -> String {
    request.scheduler_call().kill.unwrap().task_id.value
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callbacks_run_one_at_a_time_in_stream_order() {
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    let mut rig = Rig::reacting(move |_, _| {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        Box::pin(async move {
            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            running.fetch_sub(1, Ordering::SeqCst);
        })
    })
    .await;
    let stream = rig.subscribe().await;
    let names: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    for name in &names {
        stream.send(&offer(name)).await;
        stream.send(&rescind(name)).await;
        stream.send(&update(name, None)).await;
    }
    for name in &names {
        rig.recording.offered(name).await;
        let rescinded = rig.recording.next().await;
        assert!(matches!(rescinded, Callback::Rescinded(id) if id.value == *name));
        assert_eq!(rig.recording.status().await.task_id.value, *name);
    }
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_first_subscription_registers_also_a_given_id() {
    let info = FrameworkInfo {
        id: Some("f".into()),
        ..framework()
    };
    let mut rig = Rig::of(info, |_, _| nothing(), |builder| builder).await;
    let subscribe = rig.peer.call(Type::Subscribe).await;
    let call = subscribe.scheduler_call();
    assert_eq!(call.framework_id, Some("f".into()));
    assert_eq!(call.subscribe.unwrap().framework_info.id, call.framework_id);
    drop(subscribe);
    let stream = rig.subscribe().await;
    stream.finish().await;
    rig.recording.disconnected().await;
    rig.resubscribe().await;
}

#[tokio::test]
async fn a_loss_is_told_once_and_before_the_next_subscription() {
    let mut rig = Rig::start().await;
    rig.subscribe().await.finish().await;
    for _ in 0..3 {
        rig.peer.call(Type::Subscribe).await.answer(503, &[], "");
        rig.peer.call(Type::Subscribe).await.stream().finish().await;
    }
    let stream = rig.peer.subscribed("f").await;
    stream.send(&offer("o")).await;
    rig.recording.disconnected().await;
    rig.recording.reregistered().await;
    rig.recording.offered("o").await;
}

#[tokio::test]
async fn with_one_call_in_flight_calls_leave_one_by_one_in_program_order() {
    const IDS: &[&str] = &["a", "b", "c", "d"];
    let reaction = |callback: &Callback, driver| match callback {
        Callback::Offers(_) => kills(driver, IDS, |_| {}),
        _ => nothing(),
    };
    let mut rig = Rig::of(framework(), reaction, |builder| builder.calls_in_flight(1)).await;
    let stream = rig.subscribe().await;
    stream.send(&offer("o")).await;
    let mut connections = Vec::new();
    for id in IDS {
        let kill = rig.peer.call(Type::Kill).await;
        assert_eq!(killed(&kill), *id);
        assert!(rig.peer.is_quiet(QUIET / 3).await, "two calls in flight");
        assert_eq!(rig.peer.early_bytes(), 0, "a call before the answer");
        connections.push(kill.connection);
        kill.accept();
    }
    assert!(connections.iter().all(|number| *number == connections[0]));
    assert_ne!(stream.id, format!("stream-{}", connections[0]));
}

#[tokio::test]
async fn the_implicit_acknowledgement_follows_the_calls_of_its_callback() {
    let mut rig = Rig::reacting(|callback, driver| match callback {
        Callback::Status(_) => kills(driver, &["a", "b"], |_| {}),
        _ => nothing(),
    })
    .await;
    let stream = rig.subscribe().await;
    stream.send(&update("t", Some(UUID))).await;
    for id in ["a", "b"] {
        let kill = rig.peer.call(Type::Kill).await;
        assert_eq!(killed(&kill), id);
        kill.accept();
    }
    let acknowledge = rig.peer.call(Type::Acknowledge).await.scheduler_call();
    let acknowledge = acknowledge.acknowledge.unwrap();
    assert_eq!(acknowledge.task_id, "t".into());
    assert_eq!(acknowledge.agent_id, "a".into());
    assert_eq!(&acknowledge.uuid[..], UUID);
}

#[tokio::test]
async fn updates_without_uuid_are_not_acknowledged() {
    let mut rig = Rig::start().await;
    let stream = rig.subscribe().await;
    stream.send(&update("silent", None)).await;
    stream.send(&update("asking", Some(UUID))).await;
    let acknowledge = rig.peer.call(Type::Acknowledge).await.scheduler_call();
    assert_eq!(acknowledge.acknowledge.unwrap().task_id, "asking".into());
}

async fn ended_in_the_callback(end: fn(&SchedulerHandle)) -> (Rig, crate::peer::Stream) {
    let mut rig = Rig::reacting(move |callback, driver| match callback {
        Callback::Status(_) => kills(driver, &["last"], end),
        _ => nothing(),
    })
    .await;
    let stream = rig.subscribe().await;
    stream.send(&update("t", Some(UUID))).await;
    let kill = rig.peer.call(Type::Kill).await;
    assert_eq!(killed(&kill), "last");
    kill.accept();
    (rig, stream)
}

#[tokio::test]
async fn nothing_is_acknowledged_after_stop_in_the_callback() {
    let stop = |driver: &SchedulerHandle| assert_eq!(driver.stop(), Status::Stopped);
    let (mut rig, _stream) = ended_in_the_callback(stop).await;
    rig.peer.call(Type::Teardown).await.accept();
    assert_eq!(rig.ended().await.unwrap(), Status::Stopped);
    rig.peer.assert_no_request().await;
}

#[tokio::test]
async fn nothing_is_acknowledged_after_abort_in_the_callback() {
    let abort = |driver: &SchedulerHandle| assert_eq!(driver.abort(), Status::Aborted);
    let (mut rig, _stream) = ended_in_the_callback(abort).await;
    assert_eq!(rig.ended().await.unwrap(), Status::Aborted);
    rig.peer.assert_no_request().await;
}

#[tokio::test]
async fn explicit_acknowledgements_are_made_by_hand_only() {
    let mut rig = Rig::configured(|b| b.explicit_acknowledgements()).await;
    let stream = rig.subscribe().await;
    stream.send(&update("t", Some(UUID))).await;
    stream.send(&offer("o")).await;
    let status = rig.recording.status().await;
    rig.recording.offered("o").await;
    // The next callback runs, so an acknowledgement would be queued by now, and before this call.
    let _revive = rig.handle.revive_offers(vec![]).await.unwrap();
    rig.peer.call(Type::Revive).await.accept();
    let silent = TaskStatus {
        uuid: None,
        ..status.clone()
    };
    let none = rig.handle.acknowledge_status_update(&silent).await;
    assert!(none.unwrap().is_none());
    let receipt = rig.handle.acknowledge_status_update(&status).await;
    rig.peer.call(Type::Acknowledge).await.accept();
    let receipt = receipt.unwrap().expect("it has a uuid");
    assert!(outcome(receipt).await.is_accepted());
}

#[tokio::test]
async fn receipts_tell_accepted_refused_and_unknown_apart() {
    let mut rig = Rig::start().await;
    let _stream = rig.subscribe().await;
    let kill = || rig.handle.kill_task("t".into(), None);
    let (first, second, third) = (kill().await, kill().await, kill().await);
    rig.peer.call(Type::Kill).await.accept();
    assert!(outcome(first.unwrap()).await.is_accepted());
    let words = "Failed to validate scheduler::Call: Not a valid UUID";
    rig.peer.call(Type::Kill).await.answer(400, &[], words);
    match outcome(second.unwrap()).await {
        Outcome::Refused {
            status, message, ..
        } => assert_eq!((status, message.as_str()), (400, words)),
        other => panic!("refused expected: {other:?}"),
    }
    // Read, and never answered.
    drop(rig.peer.call(Type::Kill).await);
    match outcome(third.unwrap()).await {
        Outcome::Unknown(error) => assert_eq!(error.kind(), ErrorKind::Connect),
        other => panic!("unknown expected: {other:?}"),
    }
    // The subscription outlives it.
    assert_eq!(
        crate::support::generation(&rig.handle.connection()),
        Some(1)
    );
}

#[tokio::test]
async fn a_call_without_an_answer_is_unknown_after_the_call_timeout() {
    let timeout = std::time::Duration::from_millis(200);
    let mut rig = Rig::configured(|b| b.call_timeout(timeout)).await;
    let _stream = rig.subscribe().await;
    let receipt = rig.handle.kill_task("t".into(), None).await.unwrap();
    let _unanswered = rig.peer.call(Type::Kill).await;
    match outcome(receipt).await {
        Outcome::Unknown(error) => assert_eq!(error.kind(), ErrorKind::Timeout),
        other => panic!("unknown expected: {other:?}"),
    }
}

#[tokio::test]
async fn calls_that_the_driver_did_not_send_before_its_end_say_so() {
    let mut rig = Rig::start().await;
    let _subscribe = rig.peer.call(Type::Subscribe).await;
    let receipt = rig.handle.suppress_offers(vec![]).await.unwrap();
    rig.handle.abort();
    assert_eq!(not_sent(receipt).await.kind(), ErrorKind::NotRunning);
    assert_eq!(rig.ended().await.unwrap(), Status::Aborted);
}

fn failure(agent: Option<&str>, executor: Option<&str>) -> Event {
    let failure = event::Failure {
        agent_id: agent.map(Into::into),
        executor_id: executor.map(Into::into),
        status: executor.map(|_| 9),
    };
    Event {
        failure: Some(failure),
        ..bare(event::Type::Failure)
    }
}

fn message(data: &'static str) -> Event {
    let message = event::Message {
        agent_id: "a".into(),
        executor_id: "e".into(),
        data: data.into(),
    };
    Event {
        message: Some(message),
        ..bare(event::Type::Message)
    }
}

fn rescind_inverse_offer(id: &str) -> Event {
    let rescind = event::RescindInverseOffer {
        inverse_offer_id: id.into(),
    };
    Event {
        rescind_inverse_offer: Some(rescind),
        ..bare(event::Type::RescindInverseOffer)
    }
}

fn inverse_offer(id: &str) -> Event {
    let offer = InverseOffer {
        id: id.into(),
        framework_id: "f".into(),
        ..InverseOffer::default()
    };
    let inverse_offers = event::InverseOffers {
        inverse_offers: vec![offer],
    };
    Event {
        inverse_offers: Some(inverse_offers),
        ..bare(event::Type::InverseOffers)
    }
}

fn operation_status(uuid: &[u8; 16]) -> Event {
    let status = OperationStatus {
        operation_id: Some("op".into()),
        state: OperationState::OperationFinished as i32,
        uuid: Some(Uuid {
            value: uuid.to_vec().into(),
        }),
        agent_id: Some("a".into()),
        ..OperationStatus::default()
    };
    Event {
        update_operation_status: Some(event::UpdateOperationStatus { status }),
        ..bare(event::Type::UpdateOperationStatus)
    }
}

#[tokio::test]
async fn every_event_has_its_callback() {
    let mut rig = Rig::start().await;
    let stream = rig.subscribe().await;
    for event in [
        message("hello"),
        failure(Some("a"), None),
        failure(Some("a"), Some("e")),
        failure(None, None),
        inverse_offer("i"),
        rescind_inverse_offer("i"),
        operation_status(UUID),
    ] {
        stream.send(&event).await;
    }
    let mut told = Vec::new();
    for _ in 0..6 {
        told.push(match rig.recording.next().await {
            Callback::Message(from, on, data) => format!("{from} on {on}: {data:?}"),
            Callback::AgentLost(agent) => format!("lost {agent}"),
            Callback::ExecutorLost(id, agent, status) => {
                format!("lost {id} on {agent}: {status:?}")
            }
            Callback::InverseOffers(offers) => format!("inverse {}", offers[0].id),
            Callback::InverseOfferRescinded(id) => format!("rescinded {id}"),
            Callback::OperationStatus(status) => format!("{:?}", status.state()),
            other => panic!("unexpected: {other:?}"),
        });
    }
    let expected = [
        "e on a: b\"hello\"",
        "lost a",
        "lost e on a: Some(9)",
        "inverse i",
        "rescinded i",
        "OperationFinished",
    ];
    assert_eq!(told, expected);
    let acknowledge = rig.peer.call(Type::AcknowledgeOperationStatus).await;
    let call = acknowledge.scheduler_call();
    let content = call.acknowledge_operation_status.unwrap();
    assert_eq!(content.operation_id, "op".into());
    assert_eq!(&content.uuid[..], UUID);
}
