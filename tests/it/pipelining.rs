//! Several calls on their way at a time: their order, and what becomes of each when a connection ends.

use mesos_framework::proto::scheduler::Call;
use mesos_framework::proto::scheduler::call::{Acknowledge, Type};
use mesos_framework::proto::{Filters, TaskState};
use mesos_framework::{ErrorKind, Outcome, Receipt};

use crate::cluster::Cluster;
use crate::executor_recorder::{self, brief, running, status};
use crate::framework::{Framework, PATIENCE, info};
use crate::http::get;
use crate::peer::{Incoming, Peer, within};
use crate::support::{QUIET, Rig, generation, offer_ids, outcome, task, update};

/// How many acknowledgements are sent in one run.
const ACKNOWLEDGEMENTS: usize = 10_000;
/// Another number of them.
const NUMBER: &str = "MESOS_ACKNOWLEDGEMENTS";

async fn kill(rig: &Rig, id: &str) -> Receipt {
    rig.handle.kill_task(id.into(), None).await.unwrap()
}

async fn kills(rig: &Rig, ids: &[&str]) -> Vec<Receipt> {
    let mut receipts = Vec::new();
    for id in ids {
        receipts.push(kill(rig, id).await);
    }
    receipts
}

fn killed(request: &Incoming) -> String {
    request.scheduler_call().kill.unwrap().task_id.value
}

/// Nearly the length of a request: those like it may have a number of another length.
fn whole(request: &Incoming) -> usize {
    let headers = request.headers.iter();
    let headers: usize = headers
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum();
    "POST  HTTP/1.1".len() + request.path.len() + headers + request.body.len()
}

/// The next kills, each taken by the peer.
async fn accept_kills(peer: &mut Peer, ids: &[&str]) {
    for id in ids {
        let request = peer.call(Type::Kill).await;
        assert_eq!(killed(&request), *id);
        request.accept();
    }
}

async fn assert_accepted(receipts: impl IntoIterator<Item = Receipt>) {
    for receipt in receipts {
        let outcome = outcome(receipt).await;
        assert!(outcome.is_accepted(), "{outcome:?}");
    }
}

async fn unknown(receipt: Receipt) -> ErrorKind {
    match outcome(receipt).await {
        Outcome::Unknown(error) => error.kind(),
        other => panic!("unknown expected: {other:?}"),
    }
}

/// With a window of 3, the first call of these taken, and the next three on their way.
async fn under_way(ids: &[&str]) -> (Rig, crate::peer::Stream, Vec<Receipt>) {
    let mut rig = Rig::configured(|builder| builder.calls_in_flight(3)).await;
    let stream = rig.subscribe().await;
    let receipts = kills(&rig, ids).await;
    let first = rig.peer.call(Type::Kill).await;
    assert!(rig.peer.is_quiet(QUIET / 3).await);
    assert_eq!(rig.peer.early_bytes(), 0, "a call before the first answer");
    first.accept();
    (rig, stream, receipts)
}

#[tokio::test]
async fn calls_leave_back_to_back_once_the_peer_has_taken_one() {
    let (mut rig, _stream, receipts) = under_way(&["a", "b", "c", "d", "e"]).await;
    let second = rig.peer.call(Type::Kill).await;
    assert_eq!(killed(&second), "b");
    rig.peer.early(2 * whole(&second)).await;
    assert!(rig.peer.is_quiet(QUIET / 3).await, "answered in order");
    second.accept();
    accept_kills(&mut rig.peer, &["c", "d", "e"]).await;
    assert_accepted(receipts).await;
}

#[tokio::test]
async fn calls_written_on_a_connection_that_breaks_are_unknown_and_the_others_go_on() {
    let (mut rig, _stream, receipts) = under_way(&["a", "b", "c", "d", "e", "f"]).await;
    // Read, and never answered.
    let second = rig.peer.call(Type::Kill).await;
    assert_eq!(killed(&second), "b");
    let broken = second.connection;
    rig.peer.early(2 * whole(&second)).await;
    drop(second);
    let mut receipts = receipts.into_iter();
    assert_accepted(receipts.next()).await;
    for receipt in receipts.by_ref().take(3) {
        assert_eq!(unknown(receipt).await, ErrorKind::Connect);
    }
    let fifth = rig.peer.call(Type::Kill).await;
    assert_eq!(killed(&fifth), "e");
    assert_ne!(fifth.connection, broken);
    fifth.accept();
    accept_kills(&mut rig.peer, &["f"]).await;
    assert_accepted(receipts).await;
    // The subscription outlives it.
    assert_eq!(generation(&rig.handle.connection()), Some(1));
}

#[tokio::test]
async fn a_peer_that_closes_behind_each_answer_is_sent_one_call_per_connection() {
    let mut rig = Rig::start().await;
    let _stream = rig.subscribe().await;
    let receipts = kills(&rig, &["a", "b", "c"]).await;
    let mut connections = Vec::new();
    for id in ["a", "b", "c"] {
        let request = rig.peer.call(Type::Kill).await;
        assert_eq!(killed(&request), id);
        connections.push(request.connection);
        request.answer(202, &[("Connection", "close")], "");
    }
    assert_accepted(receipts).await;
    connections.dedup();
    assert_eq!(connections.len(), 3);
}

#[tokio::test]
async fn calls_of_a_window_that_lost_its_subscription_are_sent_again_in_order() {
    let (mut rig, _stream, receipts) = under_way(&["a", "b", "c", "d", "e"]).await;
    for id in ["b", "c", "d"] {
        let request = rig.peer.call(Type::Kill).await;
        assert_eq!(killed(&request), id);
        request.answer(403, &[], "Framework is not subscribed");
    }
    rig.recording.disconnected().await;
    let stream = rig.resubscribe().await;
    for id in ["b", "c", "d", "e"] {
        let request = rig.peer.call(Type::Kill).await;
        assert_eq!(killed(&request), id);
        assert_eq!(request.header("mesos-stream-id"), Some(stream.id.as_str()));
        request.accept();
    }
    assert_accepted(receipts).await;
}

#[tokio::test]
async fn a_refused_call_says_nothing_of_those_around_it() {
    let (mut rig, _stream, receipts) = under_way(&["a", "b", "c", "d"]).await;
    let second = rig.peer.call(Type::Kill).await;
    second.answer(400, &[], "Failed to validate scheduler::Call: nonsense");
    accept_kills(&mut rig.peer, &["c", "d"]).await;
    let mut accepted = Vec::new();
    for receipt in receipts {
        accepted.push(outcome(receipt).await.is_accepted());
    }
    assert_eq!(accepted, [true, false, true, true]);
}

#[tokio::test]
async fn a_launch_of_unknown_outcome_is_reconciled_under_another_subscription_and_never_repeated() {
    let mut rig = Rig::start().await;
    let _stream = rig.subscribe().await;
    let tasks = vec![task("t"), task("u")];
    let launch = rig
        .handle
        .launch_tasks(offer_ids("o"), tasks, Filters::default());
    let receipt = launch.await.unwrap();
    drop(rig.peer.call(Type::Accept).await);
    assert_eq!(unknown(receipt).await, ErrorKind::Connect);
    // Under another one, what may still be on its way cannot be carried out any more.
    rig.recording.disconnected().await;
    let stream = rig.resubscribe().await;
    let request = rig.peer.call(Type::Reconcile).await;
    assert_eq!(request.header("mesos-stream-id"), Some(stream.id.as_str()));
    let asked = request.scheduler_call().reconcile.unwrap().tasks;
    let ids: Vec<_> = asked
        .iter()
        .map(|task| task.task_id.value.as_str())
        .collect();
    assert_eq!(ids, ["t", "u"]);
    assert!(asked.iter().all(|task| task.agent_id == Some("a".into())));
    request.accept();
    stream.send(&update("t", None)).await;
    let told = rig.recording.status().await;
    assert_eq!(
        (told.task_id.value.as_str(), told.state()),
        ("t", TaskState::TaskRunning)
    );
    // Asked again under each subscription, until the master has told of it.
    stream.finish().await;
    rig.recording.disconnected().await;
    let stream = rig.resubscribe().await;
    let request = rig.peer.call(Type::Reconcile).await;
    let asked = request.scheduler_call().reconcile.unwrap().tasks;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].task_id, "u".into());
    request.accept();
    stream.send(&update("u", None)).await;
    rig.recording.status().await;
    stream.finish().await;
    rig.recording.disconnected().await;
    let _stream = rig.resubscribe().await;
    let revive = rig.handle.revive_offers(vec![]).await.unwrap();
    rig.peer.call(Type::Revive).await.accept();
    assert_accepted([revive]).await;
}

#[tokio::test]
async fn declines_that_follow_each_other_with_equal_filters_are_one_call() {
    let mut rig = Rig::start().await;
    let _stream = rig.subscribe().await;
    let seconds = |seconds| Filters {
        refuse_seconds: Some(seconds),
    };
    let mut receipts = vec![kill(&rig, "t").await];
    // The first call is on its way, and all others wait behind it.
    let first = rig.peer.call(Type::Kill).await;
    for (offer, filters) in [
        ("1", seconds(5.0)),
        ("2", seconds(5.0)),
        ("3", seconds(6.0)),
        ("4", seconds(6.0)),
    ] {
        let decline = rig.handle.decline_offers(offer_ids(offer), filters);
        receipts.push(decline.await.unwrap());
    }
    receipts.push(kill(&rig, "u").await);
    let last = rig.handle.decline_offers(offer_ids("5"), seconds(6.0));
    receipts.push(last.await.unwrap());
    first.accept();
    let declined = |request: &Incoming| {
        let decline = request.scheduler_call().decline.unwrap();
        let ids: Vec<_> = decline
            .offer_ids
            .iter()
            .map(|id| id.value.as_str())
            .collect();
        (ids.join(" "), decline.filters.unwrap().refuse_seconds())
    };
    for expected in [("1 2", 5.0), ("3 4", 6.0)] {
        let request = rig.peer.call(Type::Decline).await;
        let (ids, seconds) = declined(&request);
        assert_eq!((ids.as_str(), seconds), expected);
        request.accept();
    }
    accept_kills(&mut rig.peer, &["u"]).await;
    let request = rig.peer.call(Type::Decline).await;
    assert_eq!(declined(&request), ("5".into(), 6.0));
    request.accept();
    assert_accepted(receipts).await;
}

#[tokio::test]
async fn updates_whose_answers_are_lost_are_repeated_in_order_with_the_same_uuid() {
    let recorder = executor_recorder::recorder();
    let (mut peer, driver, _recording, _stream) = running(recorder, &[], &["t"]).await;
    let states = [
        TaskState::TaskStarting,
        TaskState::TaskRunning,
        TaskState::TaskKilling,
        TaskState::TaskKilled,
    ];
    let mut receipts = Vec::new();
    for state in states {
        let sent = driver.handle().send_status_update(status("t", state)).await;
        receipts.push(sent.unwrap());
    }
    let of = |request: &Incoming| executor_recorder::status_of(&request.executor_call());
    let first = peer.next().await;
    assert_eq!(brief(&of(&first)), "t TASK_STARTING");
    first.accept();
    let lost = peer.next().await;
    let uuid = of(&lost).uuid().to_vec();
    peer.early(2 * whole(&lost)).await;
    drop(lost);
    let mut again = Vec::new();
    for _ in 1..states.len() {
        let request = peer.next().await;
        again.push(of(&request));
        request.accept();
    }
    assert_eq!(again[0].uuid(), uuid);
    let again: Vec<_> = again.iter().map(brief).collect();
    assert_eq!(again, ["t TASK_RUNNING", "t TASK_KILLING", "t TASK_KILLED"]);
    for receipt in receipts {
        assert!(within("the outcome", receipt.outcome()).await.is_accepted());
    }
}

#[tokio::test]
async fn thousands_of_acknowledgements_back_to_back_are_all_taken_and_counted() {
    let cluster = Cluster::start().await;
    let number = std::env::var(NUMBER).map_or(ACKNOWLEDGEMENTS, |number| number.parse().unwrap());
    let framework = Framework::register(&cluster.address(), info("acknowledgements")).await;
    let started = std::time::Instant::now();
    let ended = async {
        let mut receipts = std::collections::VecDeque::new();
        for at in 0..number {
            receipts.push_back(framework.handle.call(stray(at)).await.unwrap());
            if receipts.len() > 1000 {
                assert_accepted(receipts.pop_front()).await;
            }
        }
        assert_accepted(receipts).await;
    };
    tokio::time::timeout(5 * PATIENCE, ended)
        .await
        .expect("all answers");
    let took = started.elapsed();
    let metrics = get(&cluster.address(), "/metrics/snapshot").await.json();
    let name = format!("{}/calls/acknowledge", framework.id);
    let metrics = metrics.as_object().unwrap();
    let counted = metrics.iter().find(|(key, _)| key.ends_with(&name));
    let (_, counted) = counted.expect("the master counts calls");
    println!("{number} acknowledgements in {took:?}; the master counted {counted}");
    assert_eq!(counted.as_f64().unwrap() as usize, number);
    framework.teardown().await;
    cluster.shutdown().await;
}

/// An acknowledgement for a task that nobody knows: the master takes it, and drops it.
fn stray(number: usize) -> Call {
    let acknowledge = Acknowledge {
        agent_id: "no-agent".into(),
        task_id: format!("task-{number}").into(),
        uuid: uuid::Uuid::new_v4().into_bytes().to_vec().into(),
    };
    Call {
        r#type: Some(Type::Acknowledge as i32),
        acknowledge: Some(acknowledge),
        ..Call::default()
    }
}
