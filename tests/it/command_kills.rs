//! Tasks that are a command, and are killed: by their framework, for their time, with their executor or cluster. On real
//! agents under this crate's command executor.

use std::time::{Duration, Instant};

use mesos_framework::local::LocalClusterBuilder;
use mesos_framework::proto::task_status::Reason;
use mesos_framework::proto::{ExecutorId, TaskInfo, TaskState};

use crate::command_rig::{Rig, has_ended, is_alive, knows_killing, policy, seconds, shell, states};
use crate::framework::info;
use crate::peer::within;

/// Ignores SIGTERM, and says so before it can get one.
const STUBBORN: &str = "trap '' TERM; echo $$ > pid; while :; do sleep 1000; done";

#[tokio::test]
async fn a_killed_command_is_killed_even_if_it_exits_with_0() {
    let mut rig = Rig::start("killed").await;
    let line = "trap 'exit 0' TERM; echo $$ > pid; while :; do sleep 0.01; done";
    let task_id = rig.launch(shell(line)).await;
    rig.line_of("pid").await;
    rig.kill(&task_id).await;
    let statuses = rig.until_its_end(&task_id).await;
    let life = [
        TaskState::TaskStarting,
        TaskState::TaskRunning,
        TaskState::TaskKilled,
    ];
    assert_eq!(states(&statuses), life);
    assert_eq!(statuses[2].message(), "Command exited with status 0");
    rig.end().await;
}

#[tokio::test]
async fn a_framework_that_knows_killing_is_told_of_it() {
    let mut rig = Rig::with(knows_killing("killing")).await;
    let task_id = rig.launch(shell("echo $$ > pid; exec sleep 1000")).await;
    rig.line_of("pid").await;
    rig.kill(&task_id).await;
    let statuses = rig.until_its_end(&task_id).await;
    let life = [
        TaskState::TaskStarting,
        TaskState::TaskRunning,
        TaskState::TaskKilling,
        TaskState::TaskKilled,
    ];
    assert_eq!(states(&statuses), life);
    let message = "Command terminated with signal Terminated";
    assert_eq!(statuses[3].message(), message);
    rig.end().await;
}

#[tokio::test]
async fn what_ignores_sigterm_is_killed_when_its_grace_period_is_over() {
    let mut rig = Rig::start("grace").await;
    let with_policy = |task| TaskInfo {
        kill_policy: Some(policy(1)),
        ..task
    };
    let task_id = rig.launch_with(shell(STUBBORN), with_policy).await;
    let pid = rig.line_of("pid").await;
    let killed = Instant::now();
    rig.kill(&task_id).await;
    let last = rig.until_its_end(&task_id).await.pop().unwrap();
    assert!(killed.elapsed() >= Duration::from_secs(1));
    assert_eq!(last.state(), TaskState::TaskKilled);
    assert_eq!(last.message(), "Command terminated with signal Killed");
    assert!(!is_alive(&pid), "{pid} lives on");
    rig.end().await;
}

#[tokio::test]
async fn another_kill_shortens_the_grace_period() {
    let mut rig = Rig::start("shorter").await;
    let with_policy = |task| TaskInfo {
        kill_policy: Some(policy(3600)),
        ..task
    };
    let task_id = rig.launch_with(shell(STUBBORN), with_policy).await;
    rig.line_of("pid").await;
    rig.kill(&task_id).await;
    rig.kill_within(&task_id, 0).await;
    let last = rig.until_its_end(&task_id).await.pop().unwrap();
    assert_eq!(last.state(), TaskState::TaskKilled);
    assert_eq!(last.message(), "Command terminated with signal Killed");
    rig.end().await;
}

#[tokio::test]
async fn a_command_that_runs_too_long_has_failed() {
    let mut rig = Rig::with(knows_killing("late")).await;
    let limited = |task| TaskInfo {
        max_completion_time: Some(seconds(1)),
        ..task
    };
    let task_id = rig.launch_with(shell(STUBBORN), limited).await;
    let statuses = rig.until_its_end(&task_id).await;
    let life = [
        TaskState::TaskStarting,
        TaskState::TaskRunning,
        TaskState::TaskFailed,
    ];
    assert_eq!(states(&statuses), life);
    let reason = Reason::MaxCompletionTimeReached;
    assert_eq!(statuses[2].reason(), reason);
    assert_eq!(
        statuses[2].message(),
        "Command terminated with signal Killed"
    );
    rig.end().await;
}

#[tokio::test]
async fn a_shut_down_command_is_killed() {
    let mut rig = Rig::start("shutdown").await;
    let task_id = rig.launch(shell("echo $$ > pid; exec sleep 1000")).await;
    rig.line_of("pid").await;
    let agent_id = rig
        .framework
        .comes_to(&task_id, TaskState::TaskRunning)
        .await
        .agent_id
        .unwrap();
    let executor_id = ExecutorId::from(task_id.value.as_str());
    rig.shut_down(executor_id, agent_id).await;
    let last = rig.until_its_end(&task_id).await.pop().unwrap();
    assert_eq!(last.state(), TaskState::TaskKilled);
    let message = "Command terminated with signal Terminated";
    assert_eq!(last.message(), message);
    rig.end().await;
}

#[tokio::test]
async fn a_command_dies_with_its_cluster() {
    let mut rig = Rig::embedded(info("cluster"), |cluster| cluster).await;
    let line = "sleep 1000 & echo $! > child; trap '' TERM; echo $$ > pid; wait";
    let task_id = rig.launch(shell(line)).await;
    let pid = rig.line_of("pid").await;
    let child = rig.line_of("child").await;
    let running = TaskState::TaskRunning;
    rig.framework.comes_to(&task_id, running).await;
    assert!(is_alive(&pid) && is_alive(&child));
    rig.framework.handle.abort();
    within("the shutdown", rig.host.shutdown()).await;
    // Not even as a zombie.
    assert!(!is_alive(&pid), "{pid} lives on");
    has_ended(&child).await;
    std::fs::remove_dir_all(rig.directory).unwrap();
}

#[tokio::test]
async fn a_dropped_cluster_takes_its_commands_along() {
    let mut rig = Rig::embedded(info("dropped"), |cluster| cluster).await;
    rig.launch(shell(STUBBORN)).await;
    let pid = rig.line_of("pid").await;
    rig.framework.handle.abort();
    drop(rig.host);
    let gone = async {
        while is_alive(&pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("the end of the command", gone).await;
    std::fs::remove_dir_all(rig.directory).unwrap();
}

#[tokio::test]
async fn a_killed_container_ends_its_command() {
    // Without any grace, the agent kills the container behind SHUTDOWN.
    let without_grace =
        |cluster: LocalClusterBuilder| cluster.executor_shutdown_grace_period(Duration::ZERO);
    let mut rig = Rig::embedded(info("container"), without_grace).await;
    let line = "sleep 1000 & echo $! > child; trap '' TERM; echo $$ > pid; wait; wait";
    rig.launch(shell(line)).await;
    let pid = rig.line_of("pid").await;
    let child = rig.line_of("child").await;
    rig.framework.teardown().await;
    has_ended(&pid).await;
    has_ended(&child).await;
    within("the shutdown", rig.host.shutdown()).await;
    assert!(!is_alive(&pid), "{pid} was not reaped");
    std::fs::remove_dir_all(rig.directory).unwrap();
}
