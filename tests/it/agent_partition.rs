//! Agents that the master does not hear, and what becomes of their tasks.

use mesos_framework::proto::task_status::Reason;
use mesos_framework::proto::{OperationState, TaskState};

use crate::agents::{checkpointing, masters_word, unaware};
use crate::cluster::{Agents, OwnCluster};
use crate::executor_role::RUN;
use crate::framework::{Framework, QUIET, info, task};
use crate::recorder::Callback;

const TIMED_OUT: &str = "health check timed out";

#[tokio::test]
async fn an_unreachable_agent_comes_back_with_its_tasks() {
    let mut cluster = OwnCluster::with(Agents::One).await;
    let mut framework = Framework::register(&cluster.address(), info("comes-back")).await;
    let own = framework.run("partitioned", RUN).await;
    cluster.partition_agent(0);
    let status = framework.status(&own.task_id).await;
    let unreachable = TaskState::TaskUnreachable;
    assert_eq!(
        masters_word(&status),
        (unreachable, Reason::AgentRemoved, TIMED_OUT)
    );
    let since = status.unreachable_time;
    assert!(since.is_some(), "{status:?}");
    assert!(status.executor_id.is_some(), "{status:?}");
    assert_eq!(framework.agent_lost().await, own.agent_id);

    let asked = framework.reconciled_on(&own.task_id, &own.agent_id).await;
    let answer = "Reconciliation: Task is unreachable";
    assert_eq!(
        masters_word(&asked),
        (unreachable, Reason::Reconciliation, answer)
    );
    assert_eq!(asked.unreachable_time, since);
    let asked = framework.reconciled(&own.task_id).await;
    assert_eq!(asked.state(), TaskState::TaskUnknown);
    // A kill asks the same.
    let named = Some(own.agent_id.clone());
    let killed = framework.handle.kill_task(own.task_id.clone(), named).await;
    assert!(killed.unwrap().outcome().await.is_accepted());
    let answer = framework.status(&own.task_id).await;
    assert_eq!(answer.state(), unreachable);
    let operation = framework.operation_on(Some(&own.agent_id)).await;
    assert_eq!(operation.state(), OperationState::OperationUnreachable);
    assert_eq!(operation.message(), "Reconciliation: Agent is unreachable");
    let tasks = cluster.asked("GET_TASKS").await;
    assert_eq!(tasks["unreachable_tasks"][0]["state"], "TASK_UNREACHABLE");

    cluster.heal_agent(0);
    let status = framework
        .status_because(&own.task_id, Reason::AgentReregistered)
        .await;
    let message = "Unreachable agent re-reregistered";
    assert_eq!(
        masters_word(&status),
        (TaskState::TaskRunning, Reason::AgentReregistered, message)
    );
    let asked = framework.reconciled(&own.task_id).await;
    assert_eq!(asked.state(), TaskState::TaskRunning);
    framework.kill(&own.task_id).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_launch_into_a_short_partition_arrives_when_it_is_over() {
    let mut cluster = OwnCluster::with(Agents::One).await;
    let mut framework = Framework::register(&cluster.address(), info("into-a-partition")).await;
    let offer = framework.offer().await;
    let own = task("late", RUN, &offer);
    cluster.partition_agent(0);
    framework.launch(offer, vec![own.clone()]).await;
    let asked = framework.reconciled(&own.task_id).await;
    assert_eq!(asked.state(), TaskState::TaskStaging);
    cluster.heal_agent(0);
    framework
        .comes_to(&own.task_id, TaskState::TaskRunning)
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_unreachable_agent_is_told_to_frameworks_that_have_only_offers_of_it() {
    let mut cluster = OwnCluster::with(Agents::One).await;
    let mut framework = Framework::register(&cluster.address(), info("only-offers")).await;
    let offer = framework.offer().await;
    cluster.partition_agent(0);
    framework
        .until("the rescission", |callback| match callback {
            Callback::Rescinded(offer_id) => (*offer_id == offer.id).then_some(()),
            Callback::AgentLost(_) => panic!("offers are rescinded first"),
            _ => None,
        })
        .await;
    assert_eq!(framework.agent_lost().await, offer.agent_id);
    cluster.heal_agent(0);
    let again = framework.offer().await;
    assert_eq!(again.agent_id, offer.agent_id);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn without_partition_awareness_a_task_is_lost_and_runs_again() {
    let mut cluster = OwnCluster::with(Agents::One).await;
    let mut framework = Framework::register(&cluster.address(), unaware("unaware")).await;
    let own = framework.run("lost", RUN).await;
    cluster.partition_agent(0);
    let status = framework.status(&own.task_id).await;
    assert_eq!(
        masters_word(&status),
        (TaskState::TaskLost, Reason::AgentRemoved, TIMED_OUT)
    );
    assert!(status.unreachable_time.is_some(), "{status:?}");
    let asked = framework.reconciled_on(&own.task_id, &own.agent_id).await;
    assert_eq!(asked.state(), TaskState::TaskLost);
    cluster.heal_agent(0);
    let status = framework
        .status_because(&own.task_id, Reason::AgentReregistered)
        .await;
    assert_eq!(status.state(), TaskState::TaskRunning);
    framework.kill(&own.task_id).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_framework_removed_meanwhile_is_shut_down_when_the_agent_is_back() {
    let mut cluster = OwnCluster::with(Agents::One).await;
    let mut framework = Framework::register(&cluster.address(), checkpointing("removed")).await;
    let own = framework.run("orphan", RUN).await;
    cluster.partition_agent(0);
    framework.agent_lost().await;
    framework.teardown().await;
    let tasks = cluster.asked("GET_TASKS").await;
    assert_eq!(tasks["completed_tasks"][0]["state"], "TASK_KILLED");
    cluster.heal_agent(0);
    cluster.agent_that(&own.agent_id, |_| true).await;
    let (address, path) = (cluster.agent_address(0), cluster.agent_path(0));
    let frameworks = serde_json::json!({ "type": "GET_FRAMEWORKS" });
    let ends = async {
        loop {
            let answer =
                crate::agents::operate(&address, &format!("{path}/api/v1"), frameworks.clone())
                    .await;
            if answer.json()["get_frameworks"]["frameworks"] == serde_json::json!([]) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(crate::framework::PATIENCE, ends)
        .await
        .expect("the framework is gone from the agent");
    cluster.shutdown().await;
}

#[tokio::test]
async fn the_id_of_an_unreachable_task_is_taken() {
    let mut cluster = OwnCluster::with(Agents::Two).await;
    let mut framework = Framework::register(&cluster.address(), info("taken")).await;
    let own = framework.run("taken", RUN).await;
    let index = cluster.index_of(&own.agent_id).await;
    cluster.partition_agent(index);
    framework.agent_lost().await;
    let offer = framework.offer().await;
    assert_ne!(offer.agent_id, own.agent_id);
    let same = task("taken", RUN, &offer);
    framework.launch(offer, vec![same]).await;
    let status = framework.status(&own.task_id).await;
    let message = "Task reuses the ID of an unreachable task: taken";
    assert_eq!(
        masters_word(&status),
        (TaskState::TaskError, Reason::TaskInvalid, message)
    );
    cluster.heal_agent(index);
    framework
        .status_because(&own.task_id, Reason::AgentReregistered)
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_short_silence_of_an_agent_changes_nothing() {
    let mut cluster = OwnCluster::with(Agents::Mortal).await;
    let mut framework = Framework::register(&cluster.address(), info("short-silence")).await;
    let own = framework.run("undisturbed", RUN).await;
    cluster.partition_agent(0);
    let is_loss = |callback: &Callback| {
        matches!(
            callback,
            Callback::AgentLost(_) | Callback::Status(_) | Callback::Rescinded(_)
        )
    };
    assert!(framework.is_without(QUIET, is_loss).await);
    cluster.heal_agent(0);
    let asked = framework.reconciled(&own.task_id).await;
    assert_eq!(asked.state(), TaskState::TaskRunning);
    framework.kill(&own.task_id).await;
    framework.teardown().await;
    cluster.shutdown().await;
}
