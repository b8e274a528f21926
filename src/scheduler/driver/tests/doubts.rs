//! Launches of unknown outcome, until the user has been told of their tasks.

use tokio::time::Instant;

use super::*;
use crate::http::Undelivered;
use crate::proto::{Filters, TaskInfo};

/// Launches these tasks, of which nobody knows whether the master began them.
async fn in_doubt(rig: &mut Rig, stream: ChunkSender, ids: &[&str]) -> ChunkSender {
    let tasks = ids.iter().map(|id| TaskInfo {
        task_id: (*id).into(),
        agent_id: "a".into(),
        ..TaskInfo::default()
    });
    let offers = vec!["o".into()];
    let launch = rig
        .handle
        .launch_tasks(offers, tasks.collect(), Filters::default());
    let receipt = launch.await.unwrap();
    let error = Error::new(ErrorKind::Connect, "connection broke");
    let (posted, _) = rig.call("ACCEPT").await;
    posted.end(Err(Undelivered::Unknown(error)));
    assert!(matches!(
        receipt.outcome().await,
        crate::Outcome::Unknown(_)
    ));
    rig.is_told("disconnected").await;
    drop(stream);
    resubscribed(rig).await
}

async fn resubscribed(rig: &mut Rig) -> ChunkSender {
    let stream = rig.subscribed().await;
    rig.is_told("reregistered").await;
    stream
}

/// The next question: of which tasks.
async fn question(rig: &mut Rig) -> (Posted, Vec<String>) {
    let (posted, call) = rig.call("RECONCILE").await;
    let tasks = call.reconcile.unwrap().tasks.into_iter();
    (posted, tasks.map(|task| task.task_id.value).collect())
}

async fn started() -> (Rig, ChunkSender) {
    started_with(Duration::ZERO).await
}

async fn started_with(takes: Duration) -> (Rig, ChunkSender) {
    let mut rig = Rig::with(takes);
    let stream = rig.subscribed().await;
    rig.is_told("registered as f").await;
    (rig, stream)
}

#[tokio::test(start_paused = true)]
async fn tasks_are_asked_for_with_growing_waits_until_the_user_is_told_of_each() {
    let (mut rig, stream) = started().await;
    let stream = in_doubt(&mut rig, stream, &["t", "u"]).await;
    let begun = Instant::now();
    let mut asked_at = Vec::new();
    for _ in 0..9 {
        let (posted, tasks) = question(&mut rig).await;
        assert_eq!(tasks, ["t", "u"]);
        asked_at.push(begun.elapsed().as_secs());
        // A refused question is no answer either.
        posted.answer(if asked_at.len() == 2 { 400 } else { 202 }, "");
    }
    assert_eq!(asked_at, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
    tell_of(&stream, "t").await;
    rig.is_told("t begins").await;
    rig.is_told("t ends").await;
    let (posted, tasks) = question(&mut rig).await;
    assert_eq!(tasks, ["u"]);
    posted.answer(202, "");
    tell_of(&stream, "u").await;
    rig.is_told("u begins").await;
    rig.is_told("u ends").await;
    tokio::time::sleep(DAY).await;
    assert!(rig.peer.is_idle());
    assert!(rig.handle.connection().is_subscribed());
}

#[tokio::test(start_paused = true)]
async fn a_question_without_an_answer_is_not_followed_by_others_and_is_repeated_when_lost() {
    let (mut rig, stream) = started().await;
    let _stream = in_doubt(&mut rig, stream, &["t"]).await;
    let (posted, _) = question(&mut rig).await;
    tokio::time::sleep(60 * SECOND).await;
    assert!(rig.peer.is_idle());
    let error = Error::new(ErrorKind::Connect, "connection broke");
    posted.end(Err(Undelivered::Unknown(error)));
    let (_posted, tasks) = question(&mut rig).await;
    assert_eq!(tasks, ["t"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_with_its_subscription_before_its_callback_leaves_the_doubt() {
    let (mut rig, stream) = started_with(10 * SECOND).await;
    let stream = in_doubt(&mut rig, stream, &["t"]).await;
    let (posted, _) = question(&mut rig).await;
    posted.answer(202, "");
    tell_of(&stream, "busy").await;
    rig.is_told("busy begins").await;
    tell_of(&stream, "t").await;
    tokio::time::sleep(SECOND / 2).await;
    drop(stream);
    // The callback for `t` will never be made.
    let stream = rig.subscribed().await;
    for told in ["busy ends", "disconnected", "reregistered"] {
        rig.is_told(told).await;
    }
    let (posted, tasks) = question(&mut rig).await;
    assert_eq!(tasks, ["t"]);
    posted.answer(202, "");
    tell_of(&stream, "t").await;
    rig.is_told("t begins").await;
    rig.is_told("t ends").await;
    while !rig.peer.is_idle() {
        question(&mut rig).await.0.answer(202, "");
    }
    drop(stream);
    rig.is_told("disconnected").await;
    let _stream = resubscribed(&mut rig).await;
    tokio::time::sleep(DAY).await;
    assert!(rig.peer.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_stopped_driver_asks_no_more() {
    let (mut rig, stream) = started().await;
    let _stream = in_doubt(&mut rig, stream, &["t"]).await;
    let (posted, _) = question(&mut rig).await;
    posted.answer(202, "");
    rig.handle.stop();
    let (posted, _) = rig.call("TEARDOWN").await;
    tokio::time::sleep(5 * SECOND).await;
    assert!(rig.peer.is_idle());
    posted.answer(202, "");
    assert_eq!(rig.driver.join().await.unwrap(), Status::Stopped);
}
