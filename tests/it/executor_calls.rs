//! An executor while its subscription stands: what it is told, and what it sends.

use std::sync::Arc;

use mesos_framework::proto::executor::call::Type;
use mesos_framework::proto::{DurationInfo, KillPolicy, TaskState, task_status};
use mesos_framework::{Error, ErrorKind, Outcome, Status};
use tokio::sync::Notify;

use crate::executor_recorder::{
    CHECKPOINT, Callback, QUIET, acknowledged, brief, carried, heartbeat, kill, launch,
    launch_group, message, recorder, recorder_that, running, start, status, status_of, subscribe,
    update,
};
use crate::peer::{Peer, within};

#[tokio::test]
async fn subscribes_at_the_path_of_its_agent_with_both_ids_and_nothing_pending() {
    let mut peer = Peer::bind().await;
    let (executor, mut recording) = recorder();
    let _driver = start(executor, peer.address(), &[]);
    let incoming = peer.next().await;
    assert_eq!(incoming.path, "/slave(1)/api/v1/executor");
    for name in ["content-type", "accept"] {
        assert_eq!(incoming.header(name), Some("application/x-protobuf"));
    }
    assert_eq!(incoming.header("authorization"), None);
    let call = incoming.executor_call();
    assert_eq!(call.r#type(), Type::Subscribe);
    assert_eq!(call.executor_id.value, "executor-1");
    assert_eq!(call.framework_id.value, "framework-1");
    assert_eq!(carried(&call.subscribe.unwrap()), (vec![], vec![]));
    let stream = incoming.stream();
    stream.send(&crate::executor_recorder::subscribed()).await;
    let Callback::Registered(infos) = recording.next().await else {
        panic!("registered is first");
    };
    let (executor, framework, agent) = *infos;
    assert_eq!(executor.executor_id.value, "executor-1");
    assert_eq!(
        (framework.name, agent.hostname),
        ("framework".into(), "host".into())
    );
    stream.send(&launch("t")).await;
    recording.expect(&["launch t"]).await;
}

#[tokio::test]
async fn an_update_goes_out_with_everything_that_the_agent_checks() {
    let (mut peer, driver, _recording, _stream) = running(recorder(), &[], &["t"]).await;
    let receipt = driver
        .handle()
        .send_status_update(status("t", TaskState::TaskRunning))
        .await
        .unwrap();
    let incoming = peer.next().await;
    assert_eq!(incoming.path, "/slave(1)/api/v1/executor");
    assert_ne!(incoming.connection, 0, "the stream's connection is its own");
    let call = incoming.executor_call();
    assert_eq!(call.executor_id.value, "executor-1");
    assert_eq!(call.framework_id.value, "framework-1");
    let sent = status_of(&call);
    assert_eq!(brief(&sent), "t TASK_RUNNING");
    assert_eq!(sent.uuid().len(), 16);
    assert_eq!(sent.source(), task_status::Source::Executor);
    assert_eq!(sent.executor_id.unwrap().value, "executor-1");
    assert_eq!(sent.agent_id.unwrap().value, "agent-1");
    assert!(sent.timestamp.is_some_and(|seconds| seconds > 1.7e9));
    incoming.accept();
    let outcome = within("the outcome", receipt.outcome()).await;
    assert!(outcome.is_accepted(), "{outcome:?}");
}

#[tokio::test]
async fn calls_leave_in_the_order_of_the_program_on_one_connection() {
    let (executor, recording) = recorder_that(|driver, callback| async move {
        if let Callback::Launch(task_id) = callback {
            let running = status(&task_id.value, TaskState::TaskRunning);
            let _ = driver.send_status_update(running).await.unwrap();
            let _ = driver.send_framework_message("half way").await.unwrap();
            let finished = status(&task_id.value, TaskState::TaskFinished);
            let _ = driver.send_status_update(finished).await.unwrap();
        }
    });
    let (mut peer, _driver, _recording, _stream) =
        running((executor, recording), &[], &["t"]).await;
    let mut calls = Vec::new();
    let mut connections = Vec::new();
    for _ in 0..3 {
        let incoming = peer.next().await;
        connections.push(incoming.connection);
        let call = incoming.executor_call();
        calls.push(match call.message {
            Some(message) => String::from_utf8_lossy(&message.data).into_owned(),
            None => brief(&status_of(&call)),
        });
        incoming.accept();
    }
    assert_eq!(calls, ["t TASK_RUNNING", "half way", "t TASK_FINISHED"]);
    assert_eq!(connections, [1, 1, 1]);
}

#[tokio::test]
async fn a_task_group_is_launched_task_by_task() {
    let (_peer, _driver, mut recording, stream) = running(recorder(), &[], &[]).await;
    stream.send(&launch_group(&["a", "b", "c"])).await;
    recording
        .expect(&["launch a", "launch b", "launch c"])
        .await;
}

#[tokio::test]
async fn a_kill_comes_with_its_policy_also_for_an_unknown_task() {
    let (_peer, _driver, mut recording, stream) = running(recorder(), &[], &["t"]).await;
    let grace_period = Some(DurationInfo { nanoseconds: 7 });
    let policy = KillPolicy { grace_period };
    stream.send(&kill("t", Some(policy))).await;
    stream.send(&kill("nobody", None)).await;
    assert!(matches!(
        recording.next().await,
        Callback::Kill(task_id, Some(given)) if task_id.value == "t" && given == policy
    ));
    assert!(matches!(
        recording.next().await,
        Callback::Kill(task_id, None) if task_id.value == "nobody"
    ));
}

#[tokio::test]
async fn messages_of_the_scheduler_arrive_and_heartbeats_are_nobodys_business() {
    let (_peer, _driver, mut recording, stream) = running(recorder(), &[], &[]).await;
    stream.send(&heartbeat()).await;
    stream.send(&message(b"\x00ping")).await;
    assert!(matches!(recording.next().await, Callback::Message(data) if data == b"\x00ping"[..]));
}

#[tokio::test]
async fn staging_unknown_states_and_nameless_tasks_are_refused_before_they_are_sent() {
    let (mut peer, driver, _recording, _stream) = running(recorder(), &[], &["t"]).await;
    let handle = driver.handle();
    let unknown = mesos_framework::proto::TaskStatus {
        task_id: "t".into(),
        state: 99,
        ..Default::default()
    };
    for (wrong, text) in [
        (
            status("t", TaskState::TaskStaging),
            "status update of task t: TASK_STAGING is not for executors to send",
        ),
        (unknown, "status update of task t: state 99 is not known"),
        (
            status("", TaskState::TaskRunning),
            "status update without a task id",
        ),
    ] {
        let error: Error = handle.send_status_update(wrong).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.to_string(), text);
    }
    let _ = handle
        .send_status_update(status("t", TaskState::TaskRunning))
        .await
        .unwrap();
    assert_eq!(brief(&update(&mut peer).await), "t TASK_RUNNING");
}

#[tokio::test]
async fn an_update_that_the_agent_refuses_is_told_and_never_repeated() {
    let (mut peer, driver, _recording, stream) = running(recorder(), &CHECKPOINT, &["t"]).await;
    let receipt = driver
        .handle()
        .send_status_update(status("t", TaskState::TaskRunning))
        .await
        .unwrap();
    let text = "Failed to validate Executor::Call: Not a valid UUID";
    peer.next().await.answer(400, &[], text);
    let outcome = within("the outcome", receipt.outcome()).await;
    assert!(
        matches!(&outcome, Outcome::Refused { status: 400, message, .. } if message == text),
        "{outcome:?}"
    );
    drop(stream);
    let (again, _stream) = subscribe(&mut peer).await;
    assert_eq!(carried(&again), (vec!["t".into()], vec![]));
}

#[tokio::test]
async fn an_update_of_an_unknown_task_is_sent_and_not_waited_for() {
    let (mut peer, mut driver, _recording, _stream) = running(recorder(), &[], &[]).await;
    let handle = driver.handle();
    let receipt = handle
        .send_status_update(status("stranger", TaskState::TaskLost))
        .await
        .unwrap();
    assert_eq!(brief(&update(&mut peer).await), "stranger TASK_LOST");
    assert!(within("the outcome", receipt.outcome()).await.is_accepted());
    handle.stop();
    let ended = within("the driver's end", driver.join()).await;
    assert_eq!(ended.unwrap(), Status::Stopped);
}

#[tokio::test]
async fn a_lost_answer_to_an_update_does_not_lose_the_update() {
    let (mut peer, driver, _recording, stream) = running(recorder(), &[], &["t"]).await;
    let handle = driver.handle();
    let running = status("t", TaskState::TaskRunning);
    let receipt = handle.send_status_update(running).await.unwrap();
    let finished = status("t", TaskState::TaskFinished);
    let _ = handle.send_status_update(finished).await.unwrap();
    // The connection of the calls closes without an answer, and the stream lives.
    let unanswered = peer.next().await;
    assert_eq!(
        brief(&status_of(&unanswered.executor_call())),
        "t TASK_RUNNING"
    );
    let uuid = status_of(&unanswered.executor_call()).uuid;
    drop(unanswered);
    let again = peer.next().await;
    assert_eq!(status_of(&again.executor_call()).uuid, uuid);
    again.accept();
    assert!(within("the outcome", receipt.outcome()).await.is_accepted());
    let second = peer.next().await;
    assert_eq!(
        brief(&status_of(&second.executor_call())),
        "t TASK_FINISHED"
    );
    second.accept();
    drop(stream);
}

#[tokio::test]
async fn an_update_refused_for_a_moment_is_not_sent_behind_a_later_one_of_its_task() {
    let (mut peer, driver, _recording, _stream) = running(recorder(), &CHECKPOINT, &["t"]).await;
    let handle = driver.handle();
    let mut receipts = Vec::new();
    for state in [
        TaskState::TaskStarting,
        TaskState::TaskRunning,
        TaskState::TaskFinished,
    ] {
        receipts.push(handle.send_status_update(status("t", state)).await.unwrap());
    }
    assert_eq!(brief(&update(&mut peer).await), "t TASK_STARTING");
    let refused = peer.next().await;
    assert_eq!(
        brief(&status_of(&refused.executor_call())),
        "t TASK_RUNNING"
    );
    // The next one is on its way.
    peer.early(refused.body.len()).await;
    refused.answer(503, &[], "not now");
    assert_eq!(brief(&update(&mut peer).await), "t TASK_FINISHED");
    let (again, _stream) = subscribe(&mut peer).await;
    let updates = vec!["t TASK_STARTING".into(), "t TASK_FINISHED".into()];
    assert_eq!(carried(&again), (vec!["t".into()], updates));
    let late = within("the outcome", receipts.swap_remove(1).outcome()).await;
    assert!(matches!(late, Outcome::NotSent(_)), "{late:?}");
    assert!(peer.is_quiet(QUIET).await);
}

#[tokio::test]
async fn an_update_whose_answers_are_all_lost_goes_with_another_subscription() {
    let (mut peer, driver, _recording, _stream) = running(recorder(), &CHECKPOINT, &["t"]).await;
    let finished = status("t", TaskState::TaskFinished);
    let receipt = driver.handle().send_status_update(finished).await.unwrap();
    // Once, and five times more.
    for _ in 0..6 {
        let unanswered = peer.next().await;
        let sent = status_of(&unanswered.executor_call());
        assert_eq!(brief(&sent), "t TASK_FINISHED");
    }
    let (again, _stream) = subscribe(&mut peer).await;
    let updates = vec!["t TASK_FINISHED".into()];
    assert_eq!(carried(&again), (vec!["t".into()], updates));
    let outcome = within("the outcome", receipt.outcome()).await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
}

#[tokio::test]
async fn an_update_whose_refusal_has_lost_its_words_goes_with_another_subscription() {
    let (mut peer, driver, _recording, _stream) = running(recorder(), &CHECKPOINT, &["t"]).await;
    let finished = status("t", TaskState::TaskFinished);
    let receipt = driver.handle().send_status_update(finished).await.unwrap();
    let refused = peer.next().await;
    refused.cut(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 26\r\n\r\nExecutor is n");
    let (again, _stream) = subscribe(&mut peer).await;
    let updates = vec!["t TASK_FINISHED".into()];
    assert_eq!(carried(&again), (vec!["t".into()], updates));
    let outcome = within("the outcome", receipt.outcome()).await;
    assert!(outcome.is_accepted(), "{outcome:?}");
}

#[tokio::test]
async fn messages_need_a_subscription() {
    let peer = Peer::bind().await;
    let (executor, _recording) = recorder();
    let driver = start(executor, peer.address(), &[]);
    let error = driver
        .handle()
        .send_framework_message("too early")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert_eq!(error.to_string(), "not subscribed with the agent");
}

#[tokio::test]
async fn nothing_can_be_sent_by_a_driver_that_does_not_run() {
    let (mut peer, mut driver, _recording, stream) = running(recorder(), &[], &["t"]).await;
    let handle = driver.handle();
    let _ = handle
        .send_status_update(status("t", TaskState::TaskFinished))
        .await
        .unwrap();
    let sent = update(&mut peer).await;
    stream.send(&acknowledged(&sent)).await;
    handle.stop();
    for error in [
        handle
            .send_status_update(status("t", TaskState::TaskRunning))
            .await
            .unwrap_err(),
        handle.send_framework_message("late").await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotRunning);
    }
    within("the driver's end", driver.join()).await.unwrap();
}

#[tokio::test]
async fn one_callback_runs_at_a_time() {
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
    let (_peer, _driver, mut recording, stream) =
        running((executor, recording), &[], &["slow"]).await;
    stream.send(&launch("next")).await;
    tokio::time::sleep(QUIET).await;
    assert!(recording.is_empty());
    gate.notify_one();
    recording.expect(&["launch next"]).await;
}
