//! What a master looks at when offers are accepted: the offers, in the order of its checks, and whether a task's ids are its
//! own.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bare::{self, Executor, Scheduler, id, resources, task, with};
use crate::cluster::{Agents, Needs, OwnCluster};

/// An agent with something for either role, and for anybody.
const RESERVED: &str = "cpus(a):1;mem(a):512;cpus(b):1;mem(b):512;cpus:2;mem:1024";

async fn start(resources: &'static str) -> OwnCluster {
    let needs = Needs {
        agents: Agents::One,
        resources,
        ..Needs::default()
    };
    OwnCluster::start(needs).await.unwrap()
}

/// Why a task cannot be launched on these offers.
async fn refusal(scheduler: &mut Scheduler, offer_ids: Value, offer: &Value) -> String {
    let task = task("dropped", offer);
    scheduler.launch_on(offer_ids, json!([task])).await;
    let status = scheduler.status().await;
    assert_eq!(status["agent_id"], offer["agent_id"]);
    why_dropped(&status)
}

fn why_dropped(status: &Value) -> String {
    assert_eq!(status["state"], "TASK_DROPPED", "{status}");
    assert_eq!(status["reason"], "REASON_INVALID_OFFERS");
    assert_eq!(status["source"], "SOURCE_MASTER");
    assert_eq!(status.get("uuid"), None);
    assert_eq!(status.get("executor_id"), None);
    let message = status["message"].as_str().unwrap();
    let (_, why) = message
        .split_once("Task launched with invalid offers: ")
        .unwrap();
    why.to_owned()
}

fn text(value: &Value) -> &str {
    value["value"].as_str().unwrap()
}

#[tokio::test]
async fn offers_are_named_once_and_known_and_the_frameworks_own() {
    let cluster = start(RESERVED).await;
    let address = cluster.address();
    // Each is offered what is reserved for its role, whatever the other one has.
    let of_role = |role: &str| with(bare::info(role), "roles", json!([role]));
    let mut other = Scheduler::subscribe(&address, &of_role("b")).await;
    let mut scheduler = Scheduler::subscribe(&address, &of_role("a")).await;
    let mut foreign = other.offer_that(|_| true).await;
    let mut own = scheduler.offer_that(|_| true).await;
    for (named, expected) in [
        ("", "No offers specified"),
        ("x", "Offer x is no longer valid"),
        ("own own", "Duplicate offer {own} in offer list"),
        ("x own x own", "Duplicate offer x in offer list"),
        ("own own foreign", "Duplicate offer {own} in offer list"),
        ("own foreign x", "Offer x is no longer valid"),
        ("own foreign", NOT_OWN),
        ("x foreign", "Offer x is no longer valid"),
    ] {
        let ids = named.split_whitespace().map(|name| match name {
            "own" => own["id"].clone(),
            "foreign" => foreign["id"].clone(),
            name => id(name),
        });
        let why = refusal(&mut scheduler, ids.collect(), &own).await;
        let expected = expected
            .replace("{own}", text(&own["id"]))
            .replace("{foreign}", text(&foreign["id"]))
            .replace("{owner}", &other.id)
            .replace("{framework}", &scheduler.id);
        assert_eq!(why, expected, "{named}");
        // What was named is taken back without a filter, and without a word, whosever it was.
        if named.contains("own") {
            own = scheduler.offer_that(|_| true).await;
        }
        if named.contains("foreign") {
            let why = refusal(&mut other, json!([foreign["id"]]), &foreign).await;
            assert_eq!(
                why,
                format!("Offer {} is no longer valid", text(&foreign["id"]))
            );
            foreign = other.offer_that(|_| true).await;
            assert!(!other.has_passed("RESCIND"));
        }
    }
    scheduler.teardown().await;
    other.teardown().await;
    cluster.shutdown().await;
}

const NOT_OWN: &str =
    "Offer {foreign} has invalid framework {owner} while framework {framework} is expected";

#[tokio::test]
async fn a_group_on_a_dead_offer_is_dropped_whole() {
    let cluster = start("").await;
    let mut scheduler = Scheduler::subscribe(&cluster.address(), &bare::info("group")).await;
    let offer = scheduler.offer_that(|_| true).await;
    let mut tasks = [task("one", &offer), task("two", &offer)];
    let mut executor = tasks[0]["executor"].take();
    executor["framework_id"] = id(&scheduler.id);
    executor["type"] = json!("CUSTOM");
    tasks.iter_mut().for_each(|task| {
        task.as_object_mut().unwrap().remove("executor");
    });
    let group = json!({ "executor": executor, "task_group": { "tasks": tasks } });
    let launch = json!({ "type": "LAUNCH_GROUP", "launch_group": group });
    let accept = json!({ "offer_ids": [id("x")], "operations": [launch] });
    scheduler
        .send(&json!({ "type": "ACCEPT", "accept": accept }))
        .await;
    for task_id in ["one", "two"] {
        let status = scheduler.status().await;
        assert_eq!(status["task_id"], id(task_id));
        assert_eq!(why_dropped(&status), "Offer x is no longer valid");
    }
    scheduler.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn offers_that_are_used_together_are_for_one_role() {
    let cluster = start(RESERVED).await;
    let info = with(bare::info("roles"), "roles", json!(["a", "b"]));
    let mut scheduler = Scheduler::subscribe(&cluster.address(), &info).await;
    let event = bare::next(&mut scheduler.events, "OFFERS").await;
    let mut offers = event["offers"]["offers"].as_array().unwrap().clone();
    while offers.len() < 2 {
        let event = bare::next(&mut scheduler.events, "OFFERS").await;
        offers.extend(event["offers"]["offers"].as_array().unwrap().clone());
    }
    let role = |offer: &Value| {
        offer["allocation_info"]["role"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let ids = json!([offers[0]["id"], offers[1]["id"]]);
    let why = refusal(&mut scheduler, ids, &offers[0]).await;
    let expected = format!(
        "Aggregated offers must be allocated to the same role. Offer {} uses role '{} but another is using role '{}",
        text(&offers[1]["id"]),
        role(&offers[1]),
        role(&offers[0]),
    );
    assert_eq!(why, expected);
    scheduler.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_offer_that_is_not_used_in_time_is_rescinded_and_made_again() {
    let needs = Needs {
        agents: Agents::One,
        offer_timeout: Duration::from_millis(300),
        ..Needs::default()
    };
    let cluster = OwnCluster::start(needs).await.unwrap();
    let mut scheduler = Scheduler::subscribe(&cluster.address(), &bare::info("timeout")).await;
    let mut offer = scheduler.offer_that(|_| true).await;
    for _ in 0..2 {
        let rescinded = bare::any(&mut scheduler.events).await;
        let expected = json!({ "type": "RESCIND", "rescind": { "offer_id": offer["id"] } });
        assert_eq!(rescinded, expected);
        let why = refusal(&mut scheduler, json!([offer["id"]]), &offer).await;
        assert_eq!(
            why,
            format!("Offer {} is no longer valid", text(&offer["id"]))
        );
        let again = scheduler.offer_that(|_| true).await;
        assert_ne!(again["id"], offer["id"]);
        assert_eq!(again["resources"], offer["resources"]);
        offer = again;
    }
    // One that is used stays used.
    scheduler
        .launch(&[&offer], json!([task("used", &offer)]))
        .await;
    let rest = scheduler.offer_that(|_| true).await;
    assert_ne!(rest["resources"], offer["resources"]);
    scheduler.teardown().await;
    cluster.shutdown().await;
}

/// What the next status says, which tells of an error of the master's.
async fn error(scheduler: &mut Scheduler, task_id: &str) -> String {
    let status = scheduler.status().await;
    assert_eq!(status["task_id"], id(task_id), "{status}");
    assert_eq!(status["state"], "TASK_ERROR", "{status}");
    assert_eq!(status["reason"], "REASON_TASK_INVALID");
    assert_eq!(status["source"], "SOURCE_MASTER");
    status["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_task_id_is_one_tasks_and_an_executor_id_one_executors() {
    let cluster = start("").await;
    let mut scheduler = Scheduler::subscribe(&cluster.address(), &bare::info("ids")).await;
    let offer = scheduler.offer_that(|_| true).await;
    // Within one launch, too.
    let both = json!([task("first", &offer), task("first", &offer)]);
    scheduler.launch(&[&offer], both).await;
    let why = error(&mut scheduler, "first").await;
    assert_eq!(why, "Task has duplicate ID: first");

    let offer = scheduler.offer_that(|_| true).await;
    let running = task("running", &offer);
    scheduler.launch(&[&offer], json!([running])).await;
    for (field, value) in [
        ("name", json!("another name")),
        ("resources", resources(0.2, 32.0)),
        ("command", json!({ "value": "exec sleep 61" })),
        ("data", json!("YQ==")),
        ("source", json!("source")),
        ("type", json!("CUSTOM")),
        ("discovery", json!({ "visibility": "CLUSTER" })),
        ("container", json!({ "type": "MESOS" })),
    ] {
        let offer = scheduler.offer_that(|_| true).await;
        let mut other = task(field, &offer);
        other["executor"][field] = value;
        scheduler
            .launch(&[&offer], json!([other, task("running", &offer)]))
            .await;
        let why = error(&mut scheduler, field).await;
        let begins =
            "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.\n";
        assert!(why.starts_with(begins), "{field}: {why}");
        let why = error(&mut scheduler, "running").await;
        assert_eq!(why, "Task has duplicate ID: running");
    }
    // Mesos does not compare everything.
    let mut executor = Executor::start(&cluster, &scheduler.id).await;
    let launched = bare::next(&mut executor.events, "LAUNCH").await;
    assert_eq!(launched["launch"]["task"]["task_id"], id("running"));
    for (field, value) in [
        ("labels", json!({ "labels": [{ "key": "a" }] })),
        ("shutdown_grace_period", json!({ "nanoseconds": 1 })),
    ] {
        let offer = scheduler.offer_that(|_| true).await;
        let mut other = task(field, &offer);
        other["executor"][field] = value;
        scheduler.launch(&[&offer], json!([other])).await;
        let launched = bare::next(&mut executor.events, "LAUNCH").await;
        assert_eq!(launched["launch"]["task"]["task_id"], id(field));
    }
    scheduler.teardown().await;
    cluster.shutdown().await;
}
