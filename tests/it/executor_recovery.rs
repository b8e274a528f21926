//! An executor whose agent is away: what it says when it comes back, and when it gives up.

use std::sync::Arc;
use std::time::Duration;

use mesos_framework::proto::TaskState;
use mesos_framework::{ConnectionState, Error, ErrorKind, ExecutorDriver, Outcome, Status};
use tokio::sync::Notify;

use crate::executor_recorder::{
    CHECKPOINT, Callback, QUIET, acknowledged, brief, carried, config, error, launch, lost,
    recorder, recorder_that, running, start, status, subscribe, subscribe_call, subscribed, update,
};
use crate::peer::{Peer, within};

async fn ended(driver: &mut ExecutorDriver) -> Result<Status, Error> {
    within("the driver's end", driver.join()).await
}

#[tokio::test]
async fn subscribe_carries_exactly_what_is_not_acknowledged_in_order() {
    let tasks = ["a", "b", "c"];
    let (mut peer, driver, mut recording, stream) = running(recorder(), &CHECKPOINT, &tasks).await;
    let handle = driver.handle();
    let mut sent = Vec::new();
    for (task, state) in [
        ("a", TaskState::TaskRunning),
        ("b", TaskState::TaskRunning),
        ("a", TaskState::TaskFinished),
    ] {
        let receipt = handle
            .send_status_update(status(task, state))
            .await
            .unwrap();
        sent.push(update(&mut peer).await);
        assert!(receipt.outcome().await.is_accepted());
    }
    stream.send(&acknowledged(&sent[0])).await;
    // Told after the acknowledgement, so the acknowledgement has been read.
    stream.send(&launch("d")).await;
    recording.expect(&["launch d"]).await;
    drop(stream);
    let (again, incoming) = subscribe_call(&mut peer).await;
    let words = |list: &[&str]| {
        list.iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        carried(&again),
        (
            words(&["b", "c", "d"]),
            words(&["b TASK_RUNNING", "a TASK_FINISHED"])
        )
    );
    let uuids = again.unacknowledged_updates.iter();
    let uuids: Vec<_> = uuids.map(|update| update.status.uuid.clone()).collect();
    assert_eq!(uuids, [sent[1].uuid.clone(), sent[2].uuid.clone()]);
    let stream = incoming.stream();
    stream.send(&subscribed()).await;
    recording.expect(&["disconnected"]).await;
    assert!(
        matches!(recording.next().await, Callback::Reregistered(agent) if agent.hostname == "host")
    );
    stream.send(&acknowledged(&sent[1])).await;
    stream.send(&acknowledged(&sent[2])).await;
    drop(stream);
    let (third, _stream) = subscribe(&mut peer).await;
    assert_eq!(carried(&third), (words(&["c", "d"]), vec![]));
    assert!(peer.is_quiet(QUIET).await, "nothing carried is sent again");
}

#[tokio::test]
async fn updates_made_while_the_agent_is_away_go_with_the_next_subscribe() {
    let (mut peer, driver, mut recording, stream) = running(recorder(), &CHECKPOINT, &["t"]).await;
    let handle = driver.handle();
    drop(stream);
    let (_, refused) = subscribe_call(&mut peer).await;
    lost(&handle).await;
    let mut receipts = Vec::new();
    for state in [TaskState::TaskRunning, TaskState::TaskFinished] {
        receipts.push(handle.send_status_update(status("t", state)).await.unwrap());
    }
    refused.answer(503, &[], "Agent has not finished recovery");
    let (again, incoming) = subscribe_call(&mut peer).await;
    assert_eq!(
        carried(&again),
        (
            vec!["t".to_owned()],
            vec!["t TASK_RUNNING".to_owned(), "t TASK_FINISHED".to_owned()]
        )
    );
    // Behind the SUBSCRIBE that is under way: this one goes as an UPDATE of its own.
    let late = status("t", TaskState::TaskLost);
    let _ = handle.send_status_update(late).await.unwrap();
    let stream = incoming.stream();
    stream.send(&subscribed()).await;
    recording.expect(&["disconnected", "reregistered"]).await;
    assert_eq!(brief(&update(&mut peer).await), "t TASK_LOST");
    for receipt in receipts {
        assert!(within("the outcome", receipt.outcome()).await.is_accepted());
    }
    assert!(peer.is_quiet(QUIET).await);
}

#[tokio::test]
async fn an_agent_that_is_not_ready_is_asked_again() {
    let mut peer = Peer::bind().await;
    let (executor, mut recording) = recorder();
    let driver = start(executor, peer.address(), &[]);
    for (code, text) in [
        (503, "Agent has not finished recovery"),
        (404, ""),
        (500, ""),
    ] {
        let (_, incoming) = subscribe_call(&mut peer).await;
        incoming.answer(code, &[], text);
    }
    drop(subscribe_call(&mut peer).await);
    let (_, _stream) = subscribe(&mut peer).await;
    recording.expect(&["registered"]).await;
    let connection = driver.handle().connection();
    assert!(connection.is_subscribed());
    assert_eq!(connection.failed_attempts, 0);
    let last = connection.last_error.unwrap();
    assert_eq!(last.kind(), ErrorKind::Connect);
}

#[cfg(unix)]
#[tokio::test]
async fn a_refused_connection_is_tried_again() {
    let directory = crate::executor_environment::Directory::new("refused");
    let path = directory.path("agent.sock");
    // A socket that nobody listens on any more: the system refuses connections to it.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let (executor, mut recording) = recorder();
    let socket = ("MESOS_DOMAIN_SOCKET", path.to_str().unwrap());
    let driver = start(executor, "127.0.0.1:5051", &[socket]);
    let mut watch = driver.handle().watch_connection();
    let tried = watch.until(|now| now.failed_attempts >= 3);
    let refused = within("three attempts", tried).await.last_error.unwrap();
    assert_eq!(refused.kind(), ErrorKind::Connect);
    let text = format!("cannot connect to unix:{}", path.display());
    assert!(refused.to_string().starts_with(&text), "{refused}");
    std::fs::remove_file(&path).unwrap();
    let mut peer = Peer::bind_socket(&path).await;
    let (_, _stream) = subscribe(&mut peer).await;
    recording.expect(&["registered"]).await;
}

#[tokio::test]
async fn an_agent_that_has_given_the_executor_up_makes_it_shut_down() {
    let mut peer = Peer::bind().await;
    let (executor, mut recording) = recorder();
    let mut driver = start(executor, peer.address(), &CHECKPOINT);
    let (_, incoming) = subscribe_call(&mut peer).await;
    incoming.answer(400, &[], "Executor cannot be found");
    recording.expect(&["shutdown"]).await;
    assert!(
        matches!(recording.next().await, Callback::Error(error) if error.kind() == ErrorKind::Rejected)
    );
    let error = ended(&mut driver).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(
        error.to_string(),
        format!(
            "SUBSCRIBE at http://{}/slave(1) answered 400: Executor cannot be found",
            peer.address()
        )
    );
    assert!(recording.rest().is_empty());
}

#[tokio::test]
async fn an_error_event_makes_it_shut_down() {
    let (_peer, mut driver, mut recording, stream) = running(recorder(), &CHECKPOINT, &[]).await;
    stream.send(&error("made up")).await;
    let shutdown = ["shutdown", "error"];
    let error = ended(&mut driver).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ErrorEvent);
    assert!(error.to_string().ends_with(" says: made up"), "{error}");
    recording.expect(&shutdown).await;
}

#[tokio::test]
async fn without_checkpointing_a_lost_agent_is_the_end() {
    let (mut peer, mut driver, mut recording, stream) = running(recorder(), &[], &["t"]).await;
    stream.finish().await;
    recording.expect(&["disconnected", "shutdown"]).await;
    assert_eq!(ended(&mut driver).await.unwrap(), Status::Stopped);
    assert!(recording.rest().is_empty());
    assert!(peer.is_quiet(QUIET).await, "nothing is asked of it again");
}

#[tokio::test]
async fn without_checkpointing_what_shutdown_sends_is_told_as_not_sent() {
    let (executor, recording) = recorder_that(|driver, callback| async move {
        if matches!(callback, Callback::Shutdown) {
            let killed = status("t", TaskState::TaskKilled);
            let receipt = driver.send_status_update(killed).await.unwrap();
            tokio::spawn(async move {
                let outcome = receipt.outcome().await;
                assert!(matches!(outcome, Outcome::NotSent(_)), "{outcome:?}");
            });
        }
    });
    let (_peer, mut driver, mut recording, stream) =
        running((executor, recording), &[], &["t"]).await;
    drop(stream);
    recording.expect(&["disconnected", "shutdown"]).await;
    assert_eq!(ended(&mut driver).await.unwrap(), Status::Stopped);
}

#[tokio::test]
async fn an_agent_that_does_not_come_back_in_time_is_given_up() {
    let limit = ("MESOS_RECOVERY_TIMEOUT", "300ms");
    let more = [CHECKPOINT[0], CHECKPOINT[1], limit];
    let (mut peer, mut driver, mut recording, stream) = running(recorder(), &more, &["t"]).await;
    drop(stream);
    recording.expect(&["disconnected"]).await;
    let deny = async {
        loop {
            let incoming = peer.next().await;
            incoming.answer(503, &[], "Agent has not finished recovery");
        }
    };
    let error = tokio::select! {
        joined = ended(&mut driver) => joined.unwrap_err(),
        () = deny => unreachable!("it denies for ever"),
    };
    recording.expect(&["shutdown", "error"]).await;
    assert_eq!(error.kind(), ErrorKind::RecoveryTimeout);
    let text = error.to_string();
    assert!(
        text.starts_with("agent not reached within 300ms: "),
        "{text}"
    );
    assert!(text.contains("503: Agent has not finished recovery") || text.contains("broke"));
}

#[tokio::test]
async fn events_that_wait_behind_a_callback_survive_the_loss_of_the_stream() {
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let (executor, recording) = recorder_that(move |_, callback| {
        let held = Arc::clone(&held);
        async move {
            if matches!(callback, Callback::Launch(task_id) if task_id.value == "slow") {
                held.notified().await;
            }
        }
    });
    let (mut peer, _driver, mut recording, stream) =
        running((executor, recording), &CHECKPOINT, &["slow"]).await;
    stream.send(&launch("waits")).await;
    drop(stream);
    let (again, stream) = subscribe(&mut peer).await;
    assert_eq!(carried(&again).0, ["slow".to_owned(), "waits".to_owned()]);
    stream.send(&launch("later")).await;
    assert!(recording.is_empty());
    gate.notify_one();
    let order = [
        "launch waits",
        "disconnected",
        "reregistered",
        "launch later",
    ];
    recording.expect(&order).await;
}

#[tokio::test]
async fn a_launch_on_a_stream_that_breaks_at_once_comes_after_registered() {
    let mut peer = Peer::bind().await;
    let (executor, mut recording) = recorder();
    let _driver = start(executor, peer.address(), &CHECKPOINT);
    let (_, incoming) = subscribe_call(&mut peer).await;
    let mut records = bytes::BytesMut::new();
    for event in [subscribed(), launch("t")] {
        let event = prost::Message::encode_to_vec(&event);
        mesos_framework::recordio::encode(&event, &mut records);
    }
    let stream = incoming.stream();
    stream.chunk(&records).await;
    stream.finish().await;
    let (again, _stream) = subscribe(&mut peer).await;
    assert_eq!(carried(&again).0, ["t".to_owned()]);
    let order = ["registered", "launch t", "disconnected", "reregistered"];
    recording.expect(&order).await;
}

#[tokio::test]
async fn an_agent_that_never_answers_subscribe_is_asked_again() {
    let mut peer = Peer::bind().await;
    let (executor, mut recording) = recorder();
    let mut driver = ExecutorDriver::builder(executor)
        .config(config(peer.address(), &[]))
        .call_timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    driver.start().unwrap();
    let (_, unanswered) = subscribe_call(&mut peer).await;
    // The second is answered with a stream on which nothing comes.
    let (_, incoming) = subscribe_call(&mut peer).await;
    let silent = incoming.stream();
    silent.closed().await;
    let (_, _stream) = subscribe(&mut peer).await;
    recording.expect(&["registered"]).await;
    let last = driver.handle().connection().last_error.unwrap();
    assert_eq!(last.kind(), ErrorKind::Timeout);
    assert_eq!(
        last.to_string(),
        format!(
            "no SUBSCRIBED event from agent http://{}/slave(1) within 200ms",
            peer.address()
        )
    );
    drop(unanswered);
}

#[tokio::test]
async fn a_call_that_is_answered_with_not_subscribed_renews_the_subscription() {
    for (code, text) in [(403, "Executor is not subscribed"), (404, "")] {
        let (mut peer, driver, mut recording, stream) =
            running(recorder(), &CHECKPOINT, &["t"]).await;
        let running = status("t", TaskState::TaskRunning);
        let receipt = driver.handle().send_status_update(running).await.unwrap();
        peer.next().await.answer(code, &[], text);
        let (again, incoming) = subscribe_call(&mut peer).await;
        stream.closed().await;
        assert_eq!(carried(&again).1, ["t TASK_RUNNING".to_owned()]);
        let stream = incoming.stream();
        stream.send(&subscribed()).await;
        recording.expect(&["disconnected", "reregistered"]).await;
        let outcome = within("the outcome", receipt.outcome()).await;
        assert!(outcome.is_accepted(), "{code}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_recovering_agent_is_sent_the_update_again_under_the_same_subscription() {
    let (mut peer, driver, _recording, _stream) = running(recorder(), &CHECKPOINT, &["t"]).await;
    let running = status("t", TaskState::TaskRunning);
    let receipt = driver.handle().send_status_update(running).await.unwrap();
    let refused = peer.next().await;
    let first = refused.executor_call();
    refused.answer(503, &[], "Agent has not finished recovery");
    let again = peer.next().await;
    assert_eq!(again.executor_call(), first);
    again.accept();
    assert!(within("the outcome", receipt.outcome()).await.is_accepted());
    let state = driver.handle().connection().state;
    assert!(
        matches!(state, ConnectionState::Subscribed { generation: 1, .. }),
        "{state:?}"
    );
}

#[tokio::test]
async fn an_unknown_executor_named_by_an_answer_to_a_call_ends_with_the_next_subscribe() {
    let (mut peer, mut driver, mut recording, _stream) =
        running(recorder(), &CHECKPOINT, &["t"]).await;
    let running = status("t", TaskState::TaskRunning);
    let _ = driver.handle().send_status_update(running).await.unwrap();
    for _ in 0..2 {
        let incoming = peer.next().await;
        incoming.answer(400, &[], "Executor cannot be found");
    }
    let order = ["disconnected", "shutdown", "error"];
    recording.expect(&order).await;
    let error = ended(&mut driver).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
}
