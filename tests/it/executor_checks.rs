//! What an agent makes of what executors say, and of tasks for executors that are not as the master thinks.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bare::{
    self, EXECUTOR, Executor, Scheduler, executor_api, id, post_executor, task, with,
};
use crate::cluster::{Agents, Needs, OwnCluster};
use crate::event_stream::End;
use crate::framework::PATIENCE;
use crate::http::Answer;

/// A cluster and a scheduler with the whole agent.
async fn start(test: &str) -> (OwnCluster, Scheduler, Value) {
    let needs = Needs {
        agents: Agents::One,
        ..Needs::default()
    };
    start_with(needs, bare::info(test)).await
}

async fn start_with(needs: Needs, info: Value) -> (OwnCluster, Scheduler, Value) {
    let cluster = OwnCluster::start(needs).await.unwrap();
    let mut scheduler = Scheduler::subscribe(&cluster.address(), &info).await;
    let offer = scheduler.offer_that(|_| true).await;
    (cluster, scheduler, offer)
}

/// What an agent's word on a task must say; it is acknowledged.
async fn agent_says(scheduler: &mut Scheduler, task_id: &str, expected: [&str; 3]) {
    let status = scheduler.status().await;
    let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
    assert_eq!(status["task_id"], id(task_id), "{status}");
    let said = [text("state"), text("reason"), text("message")];
    assert_eq!(said, expected, "{status}");
    assert_eq!(status["source"], "SOURCE_AGENT");
    scheduler.acknowledge(&status).await;
}

fn call_of(framework_id: &str, kind: &str) -> Value {
    json!({ "type": kind, "framework_id": id(framework_id), "executor_id": id(EXECUTOR) })
}

fn message_of(framework_id: &str) -> Value {
    let message = json!({ "data": "" });
    with(call_of(framework_id, "MESSAGE"), "message", message)
}

/// Waits until the agent knows the executor, and says what it answers to a message of it.
async fn known(cluster: &OwnCluster, framework_id: &str) -> Answer {
    let api = executor_api(cluster);
    let known = async {
        loop {
            let answer = post_executor(&api, &message_of(framework_id)).await;
            let is_known = !answer.text().ends_with(" cannot be found");
            if is_known && cluster.has_begun(0, framework_id, EXECUTOR) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, known).await.unwrap()
}

#[tokio::test]
async fn calls_of_executors_are_refused_in_mesos_order_and_words() {
    let (cluster, scheduler, offer) = start("executors").await;
    let api = executor_api(&cluster);
    let own = &scheduler.id;
    let missing =
        |what: &str| format!("Failed to validate Executor::Call: Expecting '{what}' to be present");
    let unknown = || "Framework cannot be found".to_owned();
    for (call, status, text) in [
        (call_of("x", "MESSAGE"), 400, missing("message")),
        (call_of("x", "UPDATE"), 400, missing("update")),
        (call_of("x", "SUBSCRIBE"), 400, missing("subscribe")),
        // Whose it is does not matter, not even if it says so.
        (call_of("x", "HEARTBEAT"), 202, String::new()),
        (call_of("", "HEARTBEAT"), 202, String::new()),
        (message_of("x"), 400, unknown()),
        (message_of(""), 400, unknown()),
        (message_of(own), 400, unknown()),
        (call_of("x", "UNKNOWN"), 400, unknown()),
    ] {
        let answer = post_executor(&api, &call).await;
        assert_eq!(
            (answer.status, answer.text()),
            (status, text.as_str()),
            "{call}"
        );
    }
    scheduler
        .launch(&[&offer], json!([task("task", &offer)]))
        .await;
    // It is known before it has subscribed; another of its framework is not.
    let answer = known(&cluster, own).await;
    assert_eq!(
        (answer.status, answer.text()),
        (403, "Executor is not subscribed")
    );
    let other = with(message_of(own), "executor_id", id("other"));
    let answer = post_executor(&api, &other).await;
    assert_eq!(
        (answer.status, answer.text()),
        (400, "Executor cannot be found")
    );

    let executor = Executor::start(&cluster, own).await;
    let answer = executor
        .call(json!({ "type": "MESSAGE", "message": { "data": "" } }))
        .await;
    assert_eq!((answer.status, answer.text()), (202, ""));
    let answer = executor.call(json!({ "type": "UNKNOWN" })).await;
    assert_eq!(
        (answer.status, answer.text()),
        (501, "501 Not Implemented.")
    );
    scheduler.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_executors_update_is_complete_and_its_own() {
    let (cluster, mut scheduler, offer) = start("updates").await;
    scheduler
        .launch(&[&offer], json!([task("task", &offer)]))
        .await;
    let executor = Executor::start(&cluster, &scheduler.id).await;
    let from = format!("from executor {EXECUTOR} of framework {}", scheduler.id);
    let differs =
        format!("ExecutorID in Call: {EXECUTOR} does not match ExecutorID in TaskStatus: other");
    let foreign = format!("Received Call {from} with invalid source, expecting 'SOURCE_EXECUTOR'");
    let staging = format!("Received TASK_STAGING {from} which is not allowed");
    let null = Value::Null;
    let checked = |value: Value| ("check_status", value);
    let cases: [(&[(&str, Value)], &str); 12] = [
        (&[("uuid", null.clone())], "Expecting 'uuid' to be present"),
        (&[("uuid", json!("YQ=="))], "Not a valid UUID"),
        (
            &[("uuid", json!("AAAAAAAAAAAAAAAAAAAAAA=="))],
            "Not a valid UUID",
        ),
        (&[("executor_id", id("other"))], &differs),
        (&[("source", null.clone())], &foreign),
        (&[("source", json!("SOURCE_AGENT"))], &foreign),
        (&[("state", json!("TASK_STAGING"))], &staging),
        (&[checked(json!({}))], "CheckStatusInfo must specify 'type'"),
        (
            &[checked(json!({ "type": "HTTP", "tcp": {} }))],
            "Expecting 'http' to be set for HTTP check's status",
        ),
        // In this order.
        (
            &[("uuid", json!("")), ("executor_id", id("other"))],
            "Not a valid UUID",
        ),
        (
            &[("executor_id", id("other")), ("source", null.clone())],
            &differs,
        ),
        (
            &[("source", null.clone()), ("state", json!("TASK_STAGING"))],
            &foreign,
        ),
    ];
    for (wrong, text) in cases {
        let mut status = executor.status("task", "TASK_FAILED");
        for (field, value) in wrong {
            match value {
                Value::Null => drop(status.as_object_mut().unwrap().remove(*field)),
                value => status[*field] = value.clone(),
            }
        }
        let answer = executor.update(&status).await;
        let text = format!("Failed to validate Executor::Call: {text}");
        assert_eq!(
            (answer.status, answer.text()),
            (400, text.as_str()),
            "{wrong:?}"
        );
    }
    // Nobody has heard of any of them. One without the executor's id is taken as it is.
    let mut status = executor.status("task", "TASK_RUNNING");
    status.as_object_mut().unwrap().remove("executor_id");
    assert_eq!(executor.update(&status).await.status, 202);
    let told = scheduler.status().await;
    assert_eq!(told["state"], "TASK_RUNNING");
    assert_eq!(told["uuid"], status["uuid"]);
    assert_eq!(told.get("executor_id"), None);
    assert_eq!(told["agent_id"], offer["agent_id"]);
    scheduler.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_task_that_waits_for_its_executor_is_killed_by_the_agent() {
    let (cluster, mut scheduler, offer) = start("waiting").await;
    scheduler
        .launch(&[&offer], json!([task("task", &offer)]))
        .await;
    known(&cluster, &scheduler.id).await;
    scheduler.kill("task").await;
    let killed = [
        "TASK_KILLED",
        "REASON_TASK_KILLED_DURING_LAUNCH",
        "Killed before delivery to the executor",
    ];
    agent_says(&mut scheduler, "task", killed).await;
    // The executor, which has nothing to do, is told to end, and is killed when it does not.
    let mut executor = Executor::subscribe(&cluster, &scheduler.id).await;
    let first = bare::any(&mut executor.events).await;
    assert_eq!(first, json!({ "type": "SHUTDOWN" }));
    let failure = scheduler.next("FAILURE").await;
    let expected = json!({
        "agent_id": offer["agent_id"], "executor_id": id(EXECUTOR), "status": 9
    });
    assert_eq!(failure["failure"], expected);
    scheduler.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_task_for_an_executor_that_is_about_to_end_is_dropped() {
    let (cluster, mut scheduler, offer) = start("ending").await;
    scheduler
        .launch(&[&offer], json!([task("first", &offer)]))
        .await;
    let mut executor = Executor::start(&cluster, &scheduler.id).await;
    let shutdown = json!({ "agent_id": offer["agent_id"], "executor_id": id(EXECUTOR) });
    scheduler
        .send(&json!({ "type": "SHUTDOWN", "shutdown": shutdown }))
        .await;
    bare::next(&mut executor.events, "SHUTDOWN").await;
    let offer = scheduler.offer_that(|_| true).await;
    scheduler
        .launch(&[&offer], json!([task("second", &offer)]))
        .await;
    let dropped = |why| ["TASK_DROPPED", "REASON_EXECUTOR_TERMINATED", why];
    agent_says(&mut scheduler, "second", dropped("Executor terminating")).await;
    let failed = [
        "TASK_FAILED",
        "REASON_EXECUTOR_TERMINATED",
        "Executor terminated",
    ];
    agent_says(&mut scheduler, "first", failed).await;
    scheduler.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_executor_that_has_ended_is_in_the_way_until_its_updates_are_acknowledged() {
    let (cluster, mut scheduler, offer) = start("ended").await;
    let exits = |task_id: &str, offer: &Value| {
        let mut task = task(task_id, offer);
        task["executor"]["command"] = json!({ "value": "exit 3" });
        task
    };
    scheduler
        .launch(&[&offer], json!([exits("first", &offer)]))
        .await;
    let failed = scheduler.status().await;
    assert_eq!(failed["state"], "TASK_FAILED", "{failed}");
    let failure = scheduler.next("FAILURE").await;
    assert_eq!(failure["failure"]["status"], 3 << 8);
    let offer = scheduler.offer_that(|_| true).await;
    scheduler
        .launch(&[&offer], json!([exits("second", &offer)]))
        .await;
    let why = "Master wants to launch executor, but one already exists";
    let dropped = ["TASK_DROPPED", "REASON_EXECUTOR_TERMINATED", why];
    agent_says(&mut scheduler, "second", dropped).await;
    // Nobody knows the status of one that was never started.
    let failure = scheduler.next("FAILURE").await;
    assert_eq!(failure["failure"]["status"], -1);
    scheduler.acknowledge(&failed).await;
    // When the agent has heard of it, the next one is started.
    let mut number = 0;
    loop {
        number += 1;
        let task_id = format!("later {number}");
        let offer = scheduler.offer_that(|_| true).await;
        scheduler
            .launch(&[&offer], json!([exits(&task_id, &offer)]))
            .await;
        let status = scheduler.status().await;
        scheduler.acknowledge(&status).await;
        match status["state"].as_str().unwrap() {
            "TASK_FAILED" => break,
            state => assert!(state == "TASK_DROPPED" && number < 100, "{status}"),
        }
    }
    scheduler.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_task_for_an_executor_that_never_started_is_dropped() {
    let (cluster, mut scheduler, offer) = start("never").await;
    // Limits, which an agent without cgroups cannot keep, drop the task for which the executor would be started.
    let limited = |task_id: &str, offer: &Value| {
        let cpus = json!({ "cpus": { "value": 1.0 } });
        with(task(task_id, offer), "limits", cpus)
    };
    let both = json!([limited("limited", &offer), task("second", &offer)]);
    scheduler.launch(&[&offer], both).await;
    let status = scheduler.status().await;
    assert_eq!(status["task_id"], id("limited"));
    assert_eq!(status["state"], "TASK_DROPPED", "{status}");
    scheduler.acknowledge(&status).await;
    let why = "No executor is expected to launch and there is none running";
    let dropped = ["TASK_DROPPED", "REASON_EXECUTOR_TERMINATED", why];
    agent_says(&mut scheduler, "second", dropped).await;
    // Nobody tells the master, which goes on counting on the executor.
    let offer = scheduler.offer_that(|_| true).await;
    assert_eq!(offer["executor_ids"], json!([id(EXECUTOR)]));
    scheduler
        .launch(&[&offer], json!([task("third", &offer)]))
        .await;
    agent_says(&mut scheduler, "third", dropped).await;
    scheduler.teardown().await;
    cluster.shutdown().await;
}

/// What is said of a task of which its executor, when it subscribes, says nothing.
const UNKNOWN_TO_EXECUTOR: [&str; 3] = [
    "TASK_DROPPED",
    "REASON_AGENT_RESTARTED",
    "Task launched during agent restart",
];

#[tokio::test]
async fn a_task_that_an_executor_did_not_get_is_dropped_when_it_is_back() {
    let needs = Needs {
        agents: Agents::Mortal,
        executor_reregistration: Duration::from_secs(15),
        ..Needs::default()
    };
    let info = with(bare::info("restart"), "checkpoint", json!(true));
    let (mut cluster, mut scheduler, offer) = start_with(needs, info).await;
    let started = std::env::temp_dir().join(format!("started-{}", uuid::Uuid::new_v4()));
    let line = format!("touch {}; exec sleep 60", started.display());
    let with_sign = |task_id: &str| {
        let mut task = task(task_id, &offer);
        task["executor"]["command"]["value"] = json!(line);
        task
    };
    let had = with_sign("had");
    scheduler
        .launch(&[&offer], json!([had, with_sign("lost")]))
        .await;
    let mut executor = Executor::start(&cluster, &scheduler.id).await;
    bare::next(&mut executor.events, "LAUNCH").await;
    // An agent that dies before it has started the program cannot find it again.
    let starts = async {
        while !started.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, starts).await.unwrap();
    std::fs::remove_file(&started).unwrap();
    cluster.restart_agent(0).await;
    let pending = json!({ "unacknowledged_tasks": [had] });
    let mut executor = Executor::subscribe_with(&cluster, &scheduler.id, pending).await;
    bare::next(&mut executor.events, "SUBSCRIBED").await;
    agent_says(&mut scheduler, "lost", UNKNOWN_TO_EXECUTOR).await;
    executor.tell("had", "TASK_RUNNING").await;
    // An agent that is back may tell everything twice.
    let mut status = scheduler.status().await;
    while status["task_id"] == id("lost") {
        status = scheduler.status().await;
    }
    assert_eq!(status["task_id"], id("had"), "{status}");
    assert_eq!(status["state"], "TASK_RUNNING");
    scheduler.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_task_that_an_executor_does_not_own_up_to_is_dropped_without_a_restart_too() {
    let (cluster, mut scheduler, offer) = start("resubscribes").await;
    let both = json!([task("told", &offer), task("untold", &offer)]);
    scheduler.launch(&[&offer], both).await;
    let mut before = Executor::start(&cluster, &scheduler.id).await;
    bare::next(&mut before.events, "LAUNCH").await;
    before.tell("told", "TASK_RUNNING").await;
    scheduler.status().await;
    let mut executor = Executor::subscribe(&cluster, &scheduler.id).await;
    assert_eq!(bare::any(&mut executor.events).await["type"], "SUBSCRIBED");
    assert_eq!(before.events.end().await, End::Clean);
    agent_says(&mut scheduler, "untold", UNKNOWN_TO_EXECUTOR).await;
    scheduler.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_executor_that_owns_up_to_none_of_its_tasks_is_told_to_end() {
    let (cluster, mut scheduler, offer) = start("needless").await;
    scheduler
        .launch(&[&offer], json!([task("task", &offer)]))
        .await;
    Executor::start(&cluster, &scheduler.id).await;
    let mut executor = Executor::subscribe(&cluster, &scheduler.id).await;
    let first = bare::any(&mut executor.events).await;
    assert_eq!(first, json!({ "type": "SHUTDOWN" }));
    agent_says(&mut scheduler, "task", UNKNOWN_TO_EXECUTOR).await;
    scheduler.teardown().await;
    cluster.shutdown().await;
}
