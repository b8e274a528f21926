//! Calls that are taken, and change nothing: whoever sent them is not told.

use serde_json::{Value, json};

use crate::bare::{self, Executor, Scheduler, id, task, uuid, with};
use crate::cluster::{Agents, OwnCluster};
use crate::framework::QUIET;

/// A scheduler that has a task under an executor of which the test speaks.
async fn start(test: &str) -> (OwnCluster, Scheduler, Executor, Value) {
    let cluster = OwnCluster::with(Agents::One).await;
    let mut scheduler = Scheduler::subscribe(&cluster.address(), &bare::info(test)).await;
    let offer = scheduler.offer_that(|_| true).await;
    scheduler
        .launch(&[&offer], json!([task("task", &offer)]))
        .await;
    let executor = Executor::start(&cluster, &scheduler.id).await;
    (cluster, scheduler, executor, offer)
}

async fn end(cluster: OwnCluster, scheduler: Scheduler) {
    scheduler.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_kill_with_another_agents_id_kills_nothing() {
    let (cluster, mut scheduler, mut executor, _) = start("kill").await;
    let kill = json!({ "task_id": id("task"), "agent_id": id("elsewhere") });
    scheduler
        .send(&json!({ "type": "KILL", "kill": kill }))
        .await;
    // Not told to the executor: what comes first is the next kill.
    let policy = json!({ "grace_period": { "nanoseconds": 7 } });
    let kill = json!({ "task_id": id("task"), "kill_policy": policy });
    scheduler
        .send(&json!({ "type": "KILL", "kill": kill }))
        .await;
    let event = bare::any(&mut executor.events).await;
    assert_eq!(event, json!({ "type": "KILL", "kill": kill }));
    executor.tell("task", "TASK_KILLED").await;
    // Nor answered to the scheduler, as a kill of an unknown task would be.
    let status = scheduler.status().await;
    assert_eq!(status["state"], "TASK_KILLED");
    end(cluster, scheduler).await;
}

#[tokio::test]
async fn acknowledgements_of_what_was_not_sent_change_nothing() {
    let (cluster, mut scheduler, mut executor, _) = start("acknowledge").await;
    executor.tell("task", "TASK_STARTING").await;
    executor.tell("task", "TASK_RUNNING").await;
    let status = scheduler.status().await;
    assert_eq!(status["state"], "TASK_STARTING");
    for (field, value) in [
        ("uuid", json!(uuid())),
        ("agent_id", id("elsewhere")),
        ("task_id", id("nobody")),
    ] {
        scheduler
            .acknowledge(&with(status.clone(), field, value))
            .await;
    }
    let silence = tokio::time::timeout(QUIET, scheduler.status()).await;
    assert!(silence.is_err(), "{silence:?}");
    scheduler.acknowledge(&status).await;
    assert_eq!(scheduler.status().await["state"], "TASK_RUNNING");
    for state in ["TASK_STARTING", "TASK_RUNNING"] {
        let event = bare::next(&mut executor.events, "ACKNOWLEDGED").await;
        assert_eq!(event["acknowledged"]["task_id"], id("task"), "{state}");
    }
    end(cluster, scheduler).await;
}

#[tokio::test]
async fn what_is_for_an_executor_that_is_not_there_is_dropped() {
    let (cluster, scheduler, mut executor, offer) = start("nobody").await;
    let agent_id = &offer["agent_id"];
    for (agent_id, executor_id) in [
        (agent_id.clone(), id("nobody")),
        (id("elsewhere"), id(bare::EXECUTOR)),
    ] {
        let to = json!({ "agent_id": agent_id, "executor_id": executor_id });
        let message = with(to.clone(), "data", json!("bm8="));
        let message = json!({ "type": "MESSAGE", "message": message });
        scheduler.send(&message).await;
        scheduler
            .send(&json!({ "type": "SHUTDOWN", "shutdown": to }))
            .await;
    }
    let decline = json!({ "offer_ids": [id("x"), offer["id"]] });
    scheduler
        .send(&json!({ "type": "DECLINE", "decline": decline }))
        .await;
    let message =
        json!({ "agent_id": agent_id, "executor_id": id(bare::EXECUTOR), "data": "eWVz" });
    scheduler
        .send(&json!({ "type": "MESSAGE", "message": message }))
        .await;
    let event = bare::any(&mut executor.events).await;
    assert_eq!(
        event,
        json!({ "type": "MESSAGE", "message": { "data": "eWVz" } })
    );
    end(cluster, scheduler).await;
}

#[tokio::test]
async fn an_update_with_another_agents_id_is_dropped() {
    let (cluster, mut scheduler, mut executor, offer) = start("update").await;
    let status = executor.status("task", "TASK_FAILED");
    let wrong = with(status, "agent_id", id("elsewhere"));
    let answer = executor.update(&wrong).await;
    assert_eq!((answer.status, answer.text()), (202, ""));
    let right = executor.status("task", "TASK_RUNNING");
    let right = with(right, "agent_id", offer["agent_id"].clone());
    executor.update(&right).await;
    let event = bare::any(&mut executor.events).await;
    assert_eq!(event["acknowledged"]["uuid"], right["uuid"]);
    let status = scheduler.status().await;
    assert_eq!(status["state"], "TASK_RUNNING");
    assert_eq!(status["uuid"], right["uuid"]);
    end(cluster, scheduler).await;
}

/// True if no offers come for a while.
async fn is_quiet(scheduler: &mut Scheduler) -> bool {
    let offered = scheduler.offer_that(|_| true);
    tokio::time::timeout(QUIET, offered).await.is_err()
}

#[tokio::test]
async fn one_role_that_is_not_the_frameworks_voids_a_revival_or_suppression() {
    let cluster = OwnCluster::with(Agents::One).await;
    let info = bare::info("foreign");
    let own = &info["name"];
    let mut scheduler = Scheduler::subscribe(&cluster.address(), &info).await;
    let offer = scheduler.offer_that(|_| true).await;
    let suppress = |roles: Value| json!({ "type": "SUPPRESS", "suppress": { "roles": roles } });
    let revive = |roles: Value| json!({ "type": "REVIVE", "revive": { "roles": roles } });
    for role in ["stranger", "not/./valid"] {
        scheduler.send(&suppress(json!([own, role]))).await;
    }
    scheduler.decline(&offer, 0.0).await;
    let offer = scheduler.offer_that(|_| true).await;

    scheduler.send(&suppress(json!([own]))).await;
    scheduler.decline(&offer, 0.0).await;
    assert!(is_quiet(&mut scheduler).await, "suppressed");
    for role in ["stranger", "not/./valid"] {
        scheduler.send(&revive(json!([own, role]))).await;
    }
    assert!(is_quiet(&mut scheduler).await, "revived all the same");
    scheduler.send(&revive(json!([own]))).await;
    let offer = scheduler.offer_that(|_| true).await;
    // Filters are as they were, too.
    scheduler.decline(&offer, 3600.0).await;
    scheduler.send(&revive(json!([own, "stranger"]))).await;
    assert!(is_quiet(&mut scheduler).await, "filtered");
    end(cluster, scheduler).await;
}
