//! Agents that an operator empties, or takes out of the allocation.

use mesos_framework::proto::TaskState;
use mesos_framework::proto::task_status::{Reason, Source};
use serde_json::{Value, json};

use crate::agents::{about, agents_word, checkpointing};
use crate::cluster::{Agents, OwnCluster};
use crate::executor_role::RUN;
use crate::framework::{Framework, QUIET, info, scalar, task};
use crate::recorder::Callback;
use crate::reservations::{reserve, reserved};

const DRAIN: &str = "DRAIN_AGENT";
const DEACTIVATE: &str = "DEACTIVATE_AGENT";
const REACTIVATE: &str = "REACTIVATE_AGENT";

fn is_offer(callback: &Callback) -> bool {
    matches!(callback, Callback::Offers(_))
}

fn is_drained(agent: &Value) -> bool {
    agent["drain_info"]["state"] == "DRAINED"
}

#[tokio::test]
async fn a_draining_agent_kills_its_tasks_and_is_drained_when_they_are_acknowledged() {
    let cluster = OwnCluster::with(Agents::One).await;
    let info = checkpointing("drained");
    let mut framework = Framework::register_with(&cluster.address(), info, |builder| {
        builder.explicit_acknowledgements()
    })
    .await;
    let offer = framework.offer().await;
    let own = task("drained", RUN, &offer);
    framework.launch(offer, vec![own.clone()]).await;
    loop {
        let status = framework.status(&own.task_id).await;
        let state = status.state();
        framework.acknowledge(&status).await;
        if state == TaskState::TaskRunning {
            break;
        }
    }
    let offer = framework.offer().await;
    let mut call = about(DRAIN, &own.agent_id);
    call["drain_agent"]["max_grace_period"] = json!({ "seconds": 5 });
    cluster.operates(call, 200, "").await;
    framework.rescinded(&offer.id).await;
    let status = framework.status(&own.task_id).await;
    assert_eq!(status.state(), TaskState::TaskKilled);
    assert_eq!(status.reason(), Reason::AgentDraining);
    assert_eq!(status.source(), Source::Executor);

    let agent = cluster.agent_that(&own.agent_id, |_| true).await;
    assert_eq!(agent["active"], false);
    assert_eq!(agent["deactivated"], true);
    assert_eq!(agent["drain_info"]["state"], "DRAINING");
    let grace = &agent["drain_info"]["config"]["max_grace_period"];
    assert_eq!(*grace, json!({ "nanoseconds": 5_000_000_000_i64 }));
    assert!(agent["estimated_drain_start_time"]["nanoseconds"].is_number());
    let still = "Agent is still in the DRAINING state";
    cluster
        .operates(about(REACTIVATE, &own.agent_id), 400, still)
        .await;

    framework.acknowledge(&status).await;
    cluster.agent_that(&own.agent_id, is_drained).await;
    framework.handle.revive_offers(Vec::new()).await.unwrap();
    assert!(framework.is_without(QUIET, is_offer).await);

    cluster
        .operates(about(REACTIVATE, &own.agent_id), 200, "")
        .await;
    let offer = framework.offer().await;
    assert_eq!(offer.agent_id, own.agent_id);
    let agent = cluster.agent_that(&own.agent_id, |_| true).await;
    assert_eq!(agent["active"], true);
    assert_eq!(agent["drain_info"], Value::Null);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_agent_with_an_executor_left_goes_on_draining_after_its_reactivation() {
    let cluster = OwnCluster::with(Agents::One).await;
    let mut framework = Framework::register(&cluster.address(), checkpointing("idle")).await;
    let own = framework.run("first", RUN).await;
    cluster.operates(about(DRAIN, &own.agent_id), 200, "").await;
    framework
        .comes_to(&own.task_id, TaskState::TaskKilled)
        .await;
    cluster.agent_that(&own.agent_id, is_drained).await;
    cluster
        .operates(about(REACTIVATE, &own.agent_id), 200, "")
        .await;
    let offer = framework.offer().await;
    let second = task("second", RUN, &offer);
    framework.launch(offer, vec![second.clone()]).await;
    let status = framework.status(&second.task_id).await;
    let message = "Task was received while agent was already draining";
    assert_eq!(
        agents_word(&status),
        (TaskState::TaskDropped, Reason::AgentDraining, message)
    );
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_drained_agent_that_is_to_be_gone_is_gone() {
    let mut cluster = OwnCluster::with(Agents::One).await;
    let mut framework = Framework::register(&cluster.address(), checkpointing("drain-gone")).await;
    let own = framework.run("gone", RUN).await;
    let mut call = about(DRAIN, &own.agent_id);
    call["drain_agent"]["mark_gone"] = json!(true);
    cluster.operates(call, 200, "").await;
    let status = framework
        .comes_to(&own.task_id, TaskState::TaskGoneByOperator)
        .await;
    assert_eq!(status.reason(), Reason::AgentDraining);
    assert!(status.uuid.is_some(), "{status:?}");
    assert_eq!(framework.agent_lost().await, own.agent_id);
    let asked = framework.reconciled_on(&own.task_id, &own.agent_id).await;
    assert_eq!(asked.state(), TaskState::TaskGoneByOperator);
    cluster.agent_ends(0).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_deactivated_agent_offers_nothing_and_its_tasks_run_on() {
    let cluster = OwnCluster::with(Agents::One).await;
    let mut framework = Framework::register(&cluster.address(), checkpointing("deactivated")).await;
    let own = framework.run("runs", RUN).await;
    let offer = framework.offer().await;
    cluster
        .operates(about(DEACTIVATE, &own.agent_id), 200, "")
        .await;
    framework.rescinded(&offer.id).await;
    let agent = cluster.agent_that(&own.agent_id, |_| true).await;
    assert_eq!(
        (&agent["active"], &agent["deactivated"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(agent["drain_info"], Value::Null);
    framework.handle.revive_offers(Vec::new()).await.unwrap();
    assert!(framework.is_without(QUIET, is_offer).await);
    framework.kill(&own.task_id).await;
    cluster
        .operates(about(REACTIVATE, &own.agent_id), 200, "")
        .await;
    framework.offer().await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_agent_stays_deactivated_over_a_restart_and_a_change_of_the_master() {
    let mut cluster = OwnCluster::with(Agents::One).await;
    let mut framework = Framework::register(&cluster.address(), checkpointing("stays-out")).await;
    let agent_id = framework.offer().await.agent_id;
    cluster
        .operates(about(DEACTIVATE, &agent_id), 200, "")
        .await;
    cluster.restart_agent(0).await;
    let is_back = |agent: &Value| agent["reregistered_time"].is_object();
    let agent = cluster.agent_that(&agent_id, is_back).await;
    assert_eq!(
        (&agent["active"], &agent["deactivated"]),
        (&json!(false), &json!(true))
    );
    cluster.kill_master();
    cluster.restart_master().await;
    framework
        .until("reregistered", |callback| {
            matches!(callback, Callback::Reregistered).then_some(())
        })
        .await;
    let agent = cluster.agent_that(&agent_id, is_back).await;
    assert_eq!(
        (&agent["active"], &agent["deactivated"]),
        (&json!(false), &json!(true))
    );
    cluster
        .operates(about(REACTIVATE, &agent_id), 200, "")
        .await;
    framework.offer().await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn calls_about_agents_are_refused_with_mesos_texts() {
    let cluster = OwnCluster::with(Agents::None).await;
    let nobody = "nobody".into();
    for kind in [DRAIN, DEACTIVATE] {
        let text = "Unknown agent";
        cluster.operates(about(kind, &nobody), 400, text).await;
    }
    let text = "Agent is not deactivated";
    cluster
        .operates(about(REACTIVATE, &nobody), 400, text)
        .await;
    for kind in [DRAIN, DEACTIVATE, REACTIVATE] {
        let text = format!(
            "Failed to validate master::Call: Expecting '{}' to be present",
            kind.to_lowercase()
        );
        cluster.operates(json!({ "type": kind }), 400, &text).await;
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_agent_is_drained_when_its_operations_are_acknowledged() {
    let cluster = OwnCluster::with(Agents::One).await;
    let info = info("operations");
    let mut framework = Framework::register_with(&cluster.address(), info, |builder| {
        builder.explicit_acknowledgements()
    })
    .await;
    let offer = framework.offer().await;
    let own = vec![reserved(scalar("cpus", 1.0), &framework.role())];
    framework.operate(&offer, vec![reserve("held", own)]).await;
    let status = framework.operation_status().await;
    let agent_id = &offer.agent_id;
    cluster.operates(about(DRAIN, agent_id), 200, "").await;
    let agent = cluster.agent_that(agent_id, |_| true).await;
    assert_eq!(agent["drain_info"]["state"], "DRAINING");
    let handle = &framework.handle;
    handle.acknowledge_operation_status(&status).await.unwrap();
    cluster.agent_that(agent_id, is_drained).await;
    framework.teardown().await;
    cluster.shutdown().await;
}
