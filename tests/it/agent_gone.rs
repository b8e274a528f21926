//! Agents that an operator declares lost for ever.

use mesos_framework::proto::task_status::Reason;
use mesos_framework::proto::{OperationState, TaskState};
use serde_json::json;

use crate::agents::{about, checkpointing, masters_word, unaware};
use crate::cluster::{Agents, OwnCluster};
use crate::executor_role::RUN;
use crate::framework::Framework;
use crate::recorder::Callback;

const GONE: &str = "Agent has been marked gone";
const CALL: &str = "MARK_AGENT_GONE";

#[tokio::test]
async fn a_gone_agent_ends_and_is_refused_for_ever() {
    let mut cluster = OwnCluster::with(Agents::One).await;
    let mut framework = Framework::register(&cluster.address(), checkpointing("gone")).await;
    let task = framework.run("gone", RUN).await;
    let call = about(CALL, &task.agent_id);
    cluster.operates(call.clone(), 200, "").await;
    let status = framework.status(&task.task_id).await;
    let gone = TaskState::TaskGoneByOperator;
    assert_eq!(
        masters_word(&status),
        (gone, Reason::AgentRemovedByOperator, GONE)
    );
    assert_eq!(status.unreachable_time, None);
    assert_eq!(framework.agent_lost().await, task.agent_id);
    let asked = framework.reconciled_on(&task.task_id, &task.agent_id).await;
    let answer = "Reconciliation: Task is gone";
    assert_eq!(masters_word(&asked), (gone, Reason::Reconciliation, answer));
    let operation = framework.operation_on(Some(&task.agent_id)).await;
    assert_eq!(operation.state(), OperationState::OperationGoneByOperator);
    let text = "Reconciliation: Agent marked gone by operator";
    assert_eq!(operation.message(), text);
    let unknown = OperationState::OperationUnknown;
    let operation = framework.operation_on(Some(&"nobody".into())).await;
    let text = "Reconciliation: Both operation and agent are unknown";
    assert_eq!((operation.state(), operation.message()), (unknown, text));
    let operation = framework.operation_on(None).await;
    let text = "Reconciliation: Operation is unknown and no 'agent_id' was provided";
    assert_eq!((operation.state(), operation.message()), (unknown, text));
    cluster.operates(call, 200, "").await;
    cluster.agent_ends(0).await;
    cluster.start_agent(0).await;
    cluster.agent_ends(0).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn without_partition_awareness_tasks_on_a_gone_agent_are_lost() {
    let cluster = OwnCluster::with(Agents::One).await;
    let mut framework = Framework::register(&cluster.address(), unaware("gone-lost")).await;
    let task = framework.run("lost", RUN).await;
    cluster.operates(about(CALL, &task.agent_id), 200, "").await;
    let status = framework.status(&task.task_id).await;
    assert_eq!(
        masters_word(&status),
        (TaskState::TaskLost, Reason::AgentRemoved, GONE)
    );
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn tasks_on_an_unreachable_agent_are_gone_with_it() {
    let mut cluster = OwnCluster::with(Agents::One).await;
    let mut framework = Framework::register(&cluster.address(), checkpointing("gone-later")).await;
    let task = framework.run("both", RUN).await;
    cluster.partition_agent(0);
    let status = framework.status(&task.task_id).await;
    assert_eq!(status.state(), TaskState::TaskUnreachable);
    framework.agent_lost().await;
    cluster.operates(about(CALL, &task.agent_id), 200, "").await;
    let status = framework.status(&task.task_id).await;
    let reason = Reason::AgentRemovedByOperator;
    assert_eq!(
        masters_word(&status),
        (TaskState::TaskGoneByOperator, reason, GONE)
    );
    let tasks = cluster.asked("GET_TASKS").await;
    assert_eq!(tasks["unreachable_tasks"], json!([]));
    cluster.heal_agent(0);
    cluster.agent_ends(0).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_agent_that_nobody_knows_cannot_be_marked_gone() {
    let cluster = OwnCluster::with(Agents::None).await;
    let nobody = "nobody".into();
    let text = "Agent 'nobody' not found";
    cluster.operates(about(CALL, &nobody), 404, text).await;
    let text = "Failed to validate master::Call: Expecting 'mark_agent_gone' to be present";
    cluster.operates(json!({ "type": CALL }), 400, text).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_new_master_knows_who_is_gone() {
    let mut cluster = OwnCluster::with(Agents::One).await;
    let mut framework = Framework::register(&cluster.address(), checkpointing("gone-known")).await;
    let agent_id = framework.offer().await.agent_id;
    cluster.operates(about(CALL, &agent_id), 200, "").await;
    assert_eq!(framework.agent_lost().await, agent_id);
    cluster.kill_master();
    cluster.restart_master().await;
    framework
        .until("reregistered", |callback| {
            matches!(callback, Callback::Reregistered).then_some(())
        })
        .await;
    let asked = framework.reconciled_on(&"old".into(), &agent_id).await;
    assert_eq!(asked.state(), TaskState::TaskGoneByOperator);
    cluster.start_agent(0).await;
    cluster.agent_ends(0).await;
    framework.teardown().await;
    cluster.shutdown().await;
}
