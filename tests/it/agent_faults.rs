//! What the embedded cluster does to its agents at the wish of a test, beyond what a real one can be made to show.

use std::path::Path;
use std::time::Duration;

use mesos_framework::ErrorKind;
use mesos_framework::local::{LocalAgent, LocalCluster, LocalClusterBuilder};
use mesos_framework::proto::task_status::Reason;
use mesos_framework::proto::{CommandInfo, OperationState, TaskInfo, TaskState};

use crate::agents::{checkpointing, masters_word};
use crate::cluster::local;
use crate::executor_role::RUN;
use crate::framework::{Framework, PATIENCE, info, scalar};
use crate::recorder::Callback;

async fn cluster(
    settings: impl FnOnce(LocalClusterBuilder) -> LocalClusterBuilder,
) -> LocalCluster {
    let builder = local().allocation_interval(Duration::from_millis(50));
    settings(builder).start().await.unwrap()
}

async fn until(cluster: &LocalCluster, wanted: impl Fn(&LocalAgent) -> bool) -> LocalAgent {
    let state = cluster.until(PATIENCE, |state| wanted(&state.agents[0]));
    state.await.unwrap().agents.swap_remove(0)
}

#[tokio::test]
async fn a_dead_agent_is_disconnected_then_unreachable_then_back() {
    let cluster = cluster(|builder| {
        builder
            .agent_ping_timeout(Duration::from_millis(200))
            .max_agent_ping_timeouts(2)
    })
    .await;
    let alive = until(&cluster, |agent| agent.is_connected).await;
    assert!(alive.is_alive && !alive.is_unreachable);
    assert!(cluster.kill_agent(0));
    assert!(!cluster.kill_agent(0), "it is dead");
    let dead = cluster.state().agents.swap_remove(0);
    assert!(!dead.is_alive && !dead.is_connected && !dead.is_unreachable);
    assert_eq!(dead.id, alive.id);
    until(&cluster, |agent| agent.is_unreachable).await;
    cluster.restart_agent(0).await.unwrap();
    let back = until(&cluster, |agent| agent.is_connected).await;
    assert_eq!(back, alive);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_broken_connection_loses_what_is_not_checkpointed_and_the_agent_registers_again() {
    let cluster = cluster(|builder| builder.agent_ping_timeout(Duration::from_secs(1))).await;
    let address = cluster.master_address();
    let mut kept = Framework::register(&address, checkpointing("kept")).await;
    let kept_task = kept.run("kept", RUN).await;
    let mut lost = Framework::register(&address, info("lost")).await;
    let lost_task = lost.run("lost", RUN).await;
    assert!(cluster.disconnect_agent(0));
    let status = lost.status(&lost_task.task_id).await;
    assert_eq!(
        (status.state(), status.reason()),
        (TaskState::TaskLost, Reason::AgentDisconnected)
    );
    until(&cluster, |agent| agent.is_connected).await;
    kept.kill(&kept_task.task_id).await;
    kept.teardown().await;
    lost.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_agent_that_does_not_come_to_a_new_master_is_unreachable() {
    let limit = Duration::from_secs(2);
    let cluster = cluster(|builder| builder.agent_reregister_timeout(limit)).await;
    let address = cluster.master_address();
    let mut framework = Framework::register(&address, checkpointing("failover")).await;
    let task = framework.run("left-behind", RUN).await;
    cluster.partition_agent(0);
    cluster.restart_master().await.unwrap();
    framework
        .until("reregistered", |callback| {
            matches!(callback, Callback::Reregistered).then_some(())
        })
        .await;
    let operation = framework.operation_on(Some(&task.agent_id)).await;
    assert_eq!(operation.state(), OperationState::OperationRecovering);
    assert_eq!(framework.agent_lost().await, task.agent_id);
    until(&cluster, |agent| agent.is_unreachable).await;
    let asked = framework.reconciled_on(&task.task_id, &task.agent_id).await;
    assert_eq!(asked.state(), TaskState::TaskUnreachable);
    cluster.heal_agent(0);
    cluster.kill_agent(0);
    cluster.restart_agent(0).await.unwrap();
    let status = framework
        .status_because(&task.task_id, Reason::AgentReregistered)
        .await;
    let message = "Unreachable agent re-reregistered";
    assert_eq!(
        masters_word(&status),
        (TaskState::TaskRunning, Reason::AgentReregistered, message)
    );
    framework.kill(&task.task_id).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_agent_that_is_added_offers_what_it_has() {
    let cluster = cluster(|builder| builder.agents(0)).await;
    let mut framework = Framework::register(&cluster.master_address(), info("added")).await;
    assert_eq!(cluster.add_agent().await.unwrap(), 0);
    assert_eq!(cluster.agent_addresses().len(), 1);
    let task = framework.run("added", RUN).await;
    framework.kill(&task.task_id).await;
    assert!(cluster.shutdown_agent(0));
    assert_eq!(framework.agent_lost().await, task.agent_id);
    until(&cluster, |agent| !agent.is_alive).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_agent_that_does_not_exist_is_refused() {
    let cluster = cluster(|builder| builder).await;
    assert!(!cluster.kill_agent(7));
    assert!(!cluster.shutdown_agent(7));
    assert!(!cluster.partition_agent(7));
    assert!(!cluster.heal_agent(7));
    assert!(!cluster.disconnect_agent(7));
    let error = cluster.restart_agent(7).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.to_string(), "the local cluster has no agent 7");
    cluster.shutdown().await;
}

#[tokio::test]
async fn time_outs_that_mesos_would_not_take_are_refused() {
    let refused = async |settings: fn(LocalClusterBuilder) -> LocalClusterBuilder| {
        let error = settings(local()).start().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    };
    refused(|builder| builder.agent_ping_timeout(Duration::ZERO)).await;
    refused(|builder| builder.agent_ping_timeout(Duration::from_secs(901))).await;
    refused(|builder| builder.max_agent_ping_timeouts(0)).await;
    refused(|builder| builder.executor_reregistration_timeout(Duration::from_secs(16))).await;
}

async fn eventually<T>(what: &str, found: impl Fn() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = found() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    found.expect(what)
}

/// The embedded agents have a command executor, which the kit's have not.
async fn command(framework: &mut Framework, value: &str) -> TaskInfo {
    let offer = framework.offer().await;
    let task = TaskInfo {
        name: "command".to_owned(),
        task_id: "command".into(),
        agent_id: offer.agent_id.clone(),
        resources: vec![scalar("cpus", 0.1), scalar("mem", 32.0)],
        command: Some(CommandInfo {
            value: Some(value.to_owned()),
            ..CommandInfo::default()
        }),
        ..TaskInfo::default()
    };
    framework.launch(offer, vec![task.clone()]).await;
    framework
        .comes_to(&task.task_id, TaskState::TaskRunning)
        .await;
    task
}

#[tokio::test]
async fn a_command_task_of_a_checkpointing_framework_outlives_its_agent() {
    let cluster = cluster(|builder| builder).await;
    let mut framework =
        Framework::register(&cluster.master_address(), checkpointing("command-kept")).await;
    let task = command(&mut framework, "exec sleep 1000").await;
    cluster.restart_agent(0).await.unwrap();
    until(&cluster, |agent| agent.is_connected).await;
    framework.kill(&task.task_id).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_command_that_ends_while_the_agent_is_away_is_told_when_it_is_back() {
    let cluster = cluster(|builder| builder).await;
    let mut framework =
        Framework::register(&cluster.master_address(), checkpointing("command-ends")).await;
    let directory = crate::executor_environment::Directory::new("command-ends");
    let go = directory.path("go");
    let wait = format!("while [ ! -e '{}' ]; do sleep 0.05; done", go.display());
    let task = command(&mut framework, &wait).await;
    cluster.kill_agent(0);
    std::fs::write(&go, "").unwrap();
    cluster.restart_agent(0).await.unwrap();
    framework
        .comes_to(&task.task_id, TaskState::TaskFinished)
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_command_task_without_checkpointing_ends_with_its_agent() {
    let cluster = cluster(|builder| builder).await;
    let mut framework = Framework::register(&cluster.master_address(), info("command-ends")).await;
    let directory = crate::executor_environment::Directory::new("command-lost");
    let pid = directory.path("pid");
    let text = format!("echo $$ > '{}'; exec sleep 1000", pid.display());
    let task = command(&mut framework, &text).await;
    // It runs before the shell has written that.
    let process = eventually("the command runs", || {
        let pid = std::fs::read_to_string(&pid).ok()?;
        pid.ends_with('\n')
            .then(|| Path::new("/proc").join(pid.trim()))
    })
    .await;
    cluster.kill_agent(0);
    let status = framework.status(&task.task_id).await;
    assert_eq!(status.reason(), Reason::AgentDisconnected);
    eventually("the command ends", || (!process.exists()).then_some(())).await;
    framework.teardown().await;
    cluster.shutdown().await;
}
