//! What a lost subscription leaves behind, and what the next one takes along.

use std::sync::Arc;
use std::time::Duration;

use mesos_framework::proto::scheduler::call::{Subscribe, Type};
use mesos_framework::proto::scheduler::{OfferConstraints, offer_constraints};
use mesos_framework::proto::{Filters, FrameworkInfo, TaskState};
use mesos_framework::{ErrorKind, Outcome, Receipt, Status};
use tokio::sync::Semaphore;

use crate::peer::{Incoming, Peer, Stream, error, subscribed};
use crate::recorder::{Callback, nothing};
use crate::support::{
    Rig, assert_kind, framework, generation, not_sent, offer, offer_ids, outcome, partition_aware,
    task,
};

fn constraints(role: &str) -> OfferConstraints {
    let none = offer_constraints::RoleConstraints::default();
    OfferConstraints {
        role_constraints: [(role.to_owned(), none)].into(),
    }
}

fn named(name: &str) -> FrameworkInfo {
    FrameworkInfo {
        name: name.into(),
        ..framework()
    }
}

fn content(subscribe: &Incoming) -> Subscribe {
    let call = subscribe.scheduler_call();
    let content = call.subscribe.expect("content of SUBSCRIBE");
    assert_eq!(call.framework_id, content.framework_info.id);
    *content
}

/// Ends the stream; the next SUBSCRIBE, unanswered.
async fn lose(rig: &mut Rig, stream: Stream) -> Incoming {
    stream.finish().await;
    rig.recording.disconnected().await;
    rig.peer.call(Type::Subscribe).await
}

async fn answered(rig: &mut Rig, receipt: Receipt, status: u16) -> Outcome {
    rig.peer.next().await.answer(status, &[], "No");
    outcome(receipt).await
}

#[tokio::test]
async fn subscribe_says_everything_each_time() {
    let mut rig = Rig::of(
        partition_aware(),
        |_, _| nothing(),
        |builder| {
            builder
                .suppressed_roles(["r", "s"])
                .offer_constraints(constraints("r"))
        },
    )
    .await;
    let first = rig.peer.call(Type::Subscribe).await;
    let told = content(&first);
    assert_eq!(told.framework_info.id, None);
    assert_eq!(told.suppressed_roles, ["r", "s"]);
    assert_eq!(told.offer_constraints, Some(constraints("r")));
    let stream = first.stream();
    stream.send(&subscribed("f", None)).await;
    rig.recording.registered("f").await;
    let suppress = rig.handle.suppress_offers(vec!["t".into()]).await;
    let revive = rig.handle.revive_offers(vec!["r".into()]).await;
    for receipt in [suppress, revive] {
        assert!(
            answered(&mut rig, receipt.unwrap(), 202)
                .await
                .is_accepted()
        );
    }
    let again = content(&lose(&mut rig, stream).await);
    let info = FrameworkInfo {
        id: Some("f".into()),
        ..told.framework_info
    };
    assert_eq!(again.framework_info, info);
    assert_eq!(again.suppressed_roles, ["s", "t"]);
    assert_eq!(again.offer_constraints, Some(constraints("r")));
}

#[tokio::test]
async fn reviving_all_roles_and_suppressing_all_outlive_the_subscription() {
    let mut rig = Rig::configured(|b| b.suppressed_roles(["r"])).await;
    let stream = rig.subscribe().await;
    let revive = rig.handle.revive_offers(vec![]).await.unwrap();
    assert!(answered(&mut rig, revive, 202).await.is_accepted());
    let subscribe = lose(&mut rig, stream).await;
    assert_eq!(content(&subscribe).suppressed_roles, [""; 0]);
    let stream = subscribe.stream();
    stream.send(&subscribed("f", None)).await;
    rig.recording.reregistered().await;
    let suppress = rig.handle.suppress_offers(vec![]).await.unwrap();
    assert!(answered(&mut rig, suppress, 202).await.is_accepted());
    let subscribe = lose(&mut rig, stream).await;
    assert_eq!(content(&subscribe).suppressed_roles, ["*"]);
}

async fn update(rig: &mut Rig, name: &str, status: u16) -> Outcome {
    let update =
        rig.handle
            .update_framework(named(name), vec!["r".into()], Some(constraints(name)));
    let receipt = update.await.unwrap();
    answered(rig, receipt, status).await
}

#[tokio::test]
async fn an_update_of_the_framework_outlives_the_subscription() {
    let mut rig = Rig::start().await;
    let stream = rig.subscribe().await;
    assert!(update(&mut rig, "new", 200).await.is_accepted());
    let told = content(&lose(&mut rig, stream).await);
    assert_eq!(told.framework_info.name, "new");
    assert_eq!(told.framework_info.id, Some("f".into()));
    assert_eq!(told.suppressed_roles, ["r"]);
    assert_eq!(told.offer_constraints, Some(constraints("new")));
}

#[tokio::test]
async fn a_refused_update_is_not_repeated() {
    let mut rig = Rig::start().await;
    let stream = rig.subscribe().await;
    let refused = update(&mut rig, "bad", 400).await;
    assert!(matches!(refused, Outcome::Refused { status: 400, .. }));
    let told = content(&lose(&mut rig, stream).await);
    assert_eq!(told.framework_info.name, "scripted");
    assert_eq!(told.framework_info.id, Some("f".into()));
    assert_eq!(told.suppressed_roles, [""; 0]);
}

#[tokio::test]
async fn a_refused_update_leaves_the_accepted_one_before_it() {
    let mut rig = Rig::start().await;
    let stream = rig.subscribe().await;
    assert!(update(&mut rig, "new", 200).await.is_accepted());
    let refused = update(&mut rig, "bad", 400).await;
    assert!(matches!(refused, Outcome::Refused { .. }));
    let told = content(&lose(&mut rig, stream).await);
    assert_eq!(told.framework_info.name, "new");
    assert_eq!(told.offer_constraints, Some(constraints("new")));
}

#[tokio::test]
async fn a_refused_update_leaves_what_was_suppressed_meanwhile() {
    let mut rig = Rig::start().await;
    let stream = rig.subscribe().await;
    let update = rig.handle.update_framework(named("bad"), vec![], None);
    let update = update.await.unwrap();
    let suppress = rig.handle.suppress_offers(vec!["s".into()]).await.unwrap();
    let refused = answered(&mut rig, update, 400).await;
    assert!(matches!(refused, Outcome::Refused { .. }));
    assert!(answered(&mut rig, suppress, 202).await.is_accepted());
    let told = content(&lose(&mut rig, stream).await);
    assert_eq!(told.framework_info.name, "scripted");
    assert_eq!(told.suppressed_roles, ["s"]);
}

#[tokio::test]
async fn queued_calls_that_name_offers_end_with_their_subscription() {
    let mut rig = Rig::of(partition_aware(), |_, _| nothing(), |builder| builder).await;
    let stream = rig.subscribe().await;
    let handle = rig.handle.clone();
    let none = Filters::default;
    let kill = handle.kill_task("k".into(), None).await.unwrap();
    let in_flight = rig.peer.call(Type::Kill).await;
    let launch = handle.launch_tasks(offer_ids("o"), vec![task("t"), task("u")], none());
    let launch = launch.await.unwrap();
    let decline = handle.decline_offers(offer_ids("p"), none()).await.unwrap();
    stream.finish().await;
    assert_eq!(not_sent(launch).await.kind(), ErrorKind::Disconnected);
    assert_eq!(not_sent(decline).await.kind(), ErrorKind::Disconnected);
    in_flight.accept();
    assert!(outcome(kill).await.is_accepted());
    rig.recording.disconnected().await;
    for id in ["t", "u"] {
        let status = rig.recording.status().await;
        assert_eq!(
            (status.task_id.value.as_str(), status.state()),
            (id, TaskState::TaskDropped)
        );
    }
    rig.resubscribe().await;
    let _revive = handle.revive_offers(vec![]).await.unwrap();
    rig.peer.call(Type::Revive).await.accept();
}

#[tokio::test]
async fn other_queued_calls_go_out_under_the_new_stream_id() {
    let mut rig = Rig::start().await;
    let old = rig.subscribe().await;
    let first = rig.handle.kill_task("a".into(), None).await.unwrap();
    let second = rig.handle.kill_task("b".into(), None).await.unwrap();
    let third = rig.handle.reconcile_tasks(vec![]).await.unwrap();
    let in_flight = rig.peer.call(Type::Kill).await;
    assert_eq!(in_flight.header("mesos-stream-id"), Some(old.id.as_str()));
    old.finish().await;
    rig.recording.disconnected().await;
    let new = rig.peer.subscribed("f").await;
    // The call in flight is never answered: its grace passes.
    assert!(matches!(outcome(first).await, Outcome::Unknown(_)));
    for (r#type, receipt) in [(Type::Kill, second), (Type::Reconcile, third)] {
        let call = rig.peer.call(r#type).await;
        assert_eq!(call.header("mesos-stream-id"), Some(new.id.as_str()));
        call.accept();
        assert!(outcome(receipt).await.is_accepted());
    }
    rig.recording.reregistered().await;
}

#[tokio::test]
async fn without_a_subscription_only_what_subscribe_carries_is_taken() {
    let mut rig = Rig::start().await;
    let subscribe = rig.peer.call(Type::Subscribe).await;
    let (handle, none) = (rig.handle.clone(), Filters::default);
    let gone = ErrorKind::Disconnected;
    assert_kind(handle.kill_task("t".into(), None).await, gone);
    assert_kind(handle.decline_offers(offer_ids("o"), none()).await, gone);
    let launch = handle.launch_tasks(offer_ids("o"), vec![task("t")], none());
    assert_kind(launch.await, gone);
    assert_kind(handle.reconcile_tasks(vec![]).await, gone);
    let message = handle.send_framework_message("e".into(), "a".into(), "x");
    assert_kind(message.await, gone);
    let update = handle.update_framework(named("new"), vec![], None);
    let kept = [
        (Type::UpdateFramework, update.await.unwrap()),
        (
            Type::Suppress,
            handle.suppress_offers(vec!["s".into()]).await.unwrap(),
        ),
        (
            Type::Revive,
            handle.revive_offers(vec!["r".into()]).await.unwrap(),
        ),
    ];
    subscribe.answer(503, &[], "");
    let again = rig.peer.call(Type::Subscribe).await;
    let told = content(&again);
    assert_eq!(told.framework_info.name, "new");
    assert_eq!(told.suppressed_roles, ["s"]);
    let stream = again.stream();
    stream.send(&subscribed("f", None)).await;
    for (r#type, receipt) in kept {
        let call = rig.peer.call(r#type).await;
        assert_eq!(call.scheduler_call().framework_id, Some("f".into()));
        call.accept();
        assert!(outcome(receipt).await.is_accepted());
    }
    // Refused launches were answered once, by the error: no update tells of them.
    rig.recording.registered("f").await;
    stream.send(&offer("o")).await;
    rig.recording.offered("o").await;
}

#[tokio::test]
async fn events_of_a_lost_subscription_are_dropped_behind_a_slow_callback() {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let mut rig = Rig::reacting(move |callback, _| match callback {
        Callback::Offers(_) => {
            let gate = Arc::clone(&gate);
            Box::pin(async move { drop(gate.acquire().await) })
        }
        _ => nothing(),
    })
    .await;
    let stream = rig.subscribe().await;
    for id in ["first", "second", "third"] {
        stream.send(&offer(id)).await;
    }
    rig.recording.offered("first").await;
    stream.finish().await;
    rig.unsubscribed().await;
    let new = rig.peer.subscribed("f").await;
    opened.add_permits(1);
    rig.recording.disconnected().await;
    rig.recording.reregistered().await;
    new.send(&offer("fourth")).await;
    rig.recording.offered("fourth").await;
}

#[tokio::test]
async fn a_refused_stream_id_renews_the_subscription_and_sends_the_call_again() {
    let words = "The stream ID 'x' included in this request didn't match the stream ID \
                 currently associated with framework ID f";
    for (status, words) in [
        (400, words),
        (403, "Framework is not subscribed"),
        (400, "Framework cannot be found"),
        (503, "No leader elected"),
    ] {
        let mut rig = Rig::start().await;
        let old = rig.subscribe().await;
        let first = rig.handle.kill_task("a".into(), None).await.unwrap();
        let second = rig.handle.kill_task("b".into(), None).await.unwrap();
        rig.peer.call(Type::Kill).await.answer(status, &[], words);
        old.closed().await;
        rig.recording.disconnected().await;
        rig.last_error(&format!("master answered {status}: {words} to KILL"))
            .await;
        let new = rig.resubscribe().await;
        for (id, receipt) in [("a", first), ("b", second)] {
            let call = rig.peer.call(Type::Kill).await;
            assert_eq!(call.header("mesos-stream-id"), Some(new.id.as_str()));
            assert_eq!(call.scheduler_call().kill.unwrap().task_id, id.into());
            call.accept();
            assert!(outcome(receipt).await.is_accepted());
        }
    }
}

/// A subscription of two heartbeats of 50 ms that is lost by silence; the old stream, still open, and the new one.
async fn silenced() -> (Rig, Stream, Stream) {
    let mut rig = Rig::configured(|b| b.missed_heartbeats(2)).await;
    let old = rig.peer.call(Type::Subscribe).await.stream();
    old.send(&subscribed("f", Some(0.05))).await;
    rig.recording.registered("f").await;
    rig.recording.disconnected().await;
    let address = rig.peer.address();
    let why = format!("no event from master {address} for 0.1 s (2 heartbeats of 0.05 s)");
    let error = rig.last_error(&why).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let new = rig.resubscribe().await;
    (rig, old, new)
}

#[tokio::test]
async fn missed_heartbeats_renew_the_subscription() {
    let (rig, old, _new) = silenced().await;
    old.closed().await;
    assert_eq!(generation(&rig.handle.connection()), Some(2));
}

#[tokio::test]
async fn an_error_on_a_stream_given_up_is_ignored() {
    let (mut rig, old, new) = silenced().await;
    old.send(&error("Framework failed over")).await;
    old.closed().await;
    new.send(&offer("o")).await;
    rig.recording.offered("o").await;
    assert_eq!(rig.handle.status(), Status::Running);
}

#[tokio::test]
async fn without_promised_heartbeats_silence_means_nothing() {
    let mut rig = Rig::configured(|b| b.missed_heartbeats(1)).await;
    let stream = rig.peer.call(Type::Subscribe).await.stream();
    stream.send(&subscribed("f", Some(0.0))).await;
    rig.recording.registered("f").await;
    assert!(rig.recording.is_quiet(Duration::from_millis(300)).await);
    assert_eq!(generation(&rig.handle.connection()), Some(1));
}

#[tokio::test]
async fn events_of_any_kind_count_as_heartbeats() {
    let mut rig = Rig::configured(|b| b.missed_heartbeats(20)).await;
    let stream = rig.peer.call(Type::Subscribe).await.stream();
    stream.send(&subscribed("f", Some(0.05))).await;
    rig.recording.registered("f").await;
    let begun = std::time::Instant::now();
    // A second of silence would be too much.
    while begun.elapsed() < Duration::from_millis(1300) {
        stream.send(&crate::peer::heartbeat()).await;
        assert!(rig.recording.is_quiet(Duration::from_millis(50)).await);
    }
    assert_eq!(generation(&rig.handle.connection()), Some(1));
}

const NOT_SUBSCRIBED: &str = "Framework is not subscribed";

#[tokio::test]
async fn a_call_in_flight_that_came_too_late_is_sent_again_before_those_behind_it() {
    let mut rig = Rig::start().await;
    let stream = rig.subscribe().await;
    let first = rig.handle.kill_task("a".into(), None).await.unwrap();
    let second = rig.handle.kill_task("b".into(), None).await.unwrap();
    let in_flight = rig.peer.call(Type::Kill).await;
    stream.finish().await;
    rig.recording.disconnected().await;
    in_flight.answer(403, &[], NOT_SUBSCRIBED);
    let new = rig.resubscribe().await;
    for (id, receipt) in [("a", first), ("b", second)] {
        let call = rig.peer.call(Type::Kill).await;
        assert_eq!(call.header("mesos-stream-id"), Some(new.id.as_str()));
        assert_eq!(call.scheduler_call().kill.unwrap().task_id, id.into());
        call.accept();
        assert!(outcome(receipt).await.is_accepted());
    }
}

#[tokio::test]
async fn a_launch_in_flight_that_came_too_late_is_told_before_the_next_subscription() {
    let mut rig = Rig::of(partition_aware(), |_, _| nothing(), |builder| builder).await;
    let stream = rig.subscribe().await;
    let launch = rig
        .handle
        .launch_tasks(offer_ids("o"), vec![task("t")], Filters::default());
    let receipt = launch.await.unwrap();
    let in_flight = rig.peer.call(Type::Accept).await;
    stream.finish().await;
    rig.recording.disconnected().await;
    let subscribe = rig.peer.call(Type::Subscribe).await;
    let stream = subscribe.stream();
    stream.send(&subscribed("f", None)).await;
    in_flight.answer(403, &[], NOT_SUBSCRIBED);
    assert_eq!(not_sent(receipt).await.kind(), ErrorKind::Disconnected);
    let status = rig.recording.status().await;
    assert_eq!(status.state(), TaskState::TaskDropped);
    rig.recording.reregistered().await;
}

#[tokio::test]
async fn a_launch_whose_end_is_unknown_is_not_told_as_dropped() {
    let mut rig = Rig::of(partition_aware(), |_, _| nothing(), |builder| builder).await;
    let stream = rig.subscribe().await;
    let launch = rig
        .handle
        .launch_tasks(offer_ids("o"), vec![task("t")], Filters::default());
    let receipt = launch.await.unwrap();
    drop(rig.peer.call(Type::Accept).await);
    assert!(matches!(outcome(receipt).await, Outcome::Unknown(_)));
    stream.finish().await;
    rig.recording.disconnected().await;
    rig.resubscribe().await;
}

#[tokio::test]
async fn a_call_that_is_never_welcome_is_given_up() {
    let mut rig = Rig::start().await;
    let mut stream = rig.subscribe().await;
    let receipt = rig.handle.kill_task("t".into(), None).await.unwrap();
    for _ in 0..5 {
        let kill = rig.peer.call(Type::Kill).await;
        kill.answer(403, &[], NOT_SUBSCRIBED);
        rig.recording.disconnected().await;
        stream = rig.resubscribe().await;
    }
    let kill = rig.peer.call(Type::Kill).await;
    kill.answer(403, &[], NOT_SUBSCRIBED);
    assert_eq!(not_sent(receipt).await.kind(), ErrorKind::Disconnected);
    stream.closed().await;
    rig.recording.disconnected().await;
    rig.resubscribe().await;
    let revive = rig.handle.revive_offers(vec![]).await.unwrap();
    rig.peer.call(Type::Revive).await.accept();
    assert!(outcome(revive).await.is_accepted());
}

#[tokio::test]
async fn a_call_that_finds_no_connection_renews_the_subscription() {
    let mut rig = Rig::of(partition_aware(), |_, _| nothing(), |builder| builder).await;
    let old = rig.subscribe().await;
    rig.peer.refuse_connections().await;
    let launch = rig
        .handle
        .launch_tasks(offer_ids("o"), vec![task("t")], Filters::default());
    let launch = launch.await.unwrap();
    let kill = rig.handle.kill_task("k".into(), None).await.unwrap();
    assert_eq!(not_sent(launch).await.kind(), ErrorKind::Disconnected);
    old.closed().await;
    rig.recording.disconnected().await;
    let status = rig.recording.status().await;
    assert_eq!(status.state(), TaskState::TaskDropped);
    let address = rig.peer.address().to_owned();
    let error = rig
        .last_error(&format!("cannot connect to {address}"))
        .await;
    assert_eq!(error.kind(), ErrorKind::Connect);
    rig.peer = Peer::bind_at(&address).await;
    rig.resubscribe().await;
    rig.peer.call(Type::Kill).await.accept();
    assert!(outcome(kill).await.is_accepted());
}
