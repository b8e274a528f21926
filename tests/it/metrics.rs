//! What master and agents count: the same names, and after the same life the same values.

use std::collections::BTreeSet;
use std::time::Duration;

use mesos_framework::proto::{OperationState, TaskState};
use serde_json::{Map, Value, json};

use crate::agents::{checkpointing, operate};
use crate::cluster::{Agents, OwnCluster};
use crate::executor_role::{RUN, exit, finish};
use crate::framework::{Framework, refuse, refuse_for_good, scalar, task};
use crate::http::get;
use crate::reservations::{reserve, reserved};

/// Longest time until everything is counted.
const COUNTED: Duration = Duration::from_secs(20);

type Metrics = Map<String, Value>;

async fn metrics(address: &str) -> Metrics {
    match get(address, "/metrics/snapshot").await.json() {
        Value::Object(metrics) => metrics,
        other => panic!("{other}"),
    }
}

/// A framework to which some of everything happens; it is subscribed still.
async fn lived(cluster: &OwnCluster) -> Framework {
    let mut framework = Framework::register(&cluster.address(), checkpointing("counted")).await;
    let offer = framework.offer().await;
    framework.decline(&[offer], refuse(0.0)).await;
    // One that ends, one that is killed, one whose executor ends, one that is refused.
    let finished = framework.run("finished", RUN).await;
    let executor_id = finished.executor.unwrap().executor_id;
    let sent = framework.handle.send_framework_message(
        executor_id,
        finished.agent_id,
        finish(&finished.task_id),
    );
    sent.await.unwrap();
    framework
        .comes_to(&finished.task_id, TaskState::TaskFinished)
        .await;
    let killed = framework.run("killed", RUN).await;
    framework.kill(&killed.task_id).await;
    let failed = framework.run("failed", RUN).await;
    let executor_id = failed.executor.unwrap().executor_id;
    let sent = framework
        .handle
        .send_framework_message(executor_id, failed.agent_id, exit(3));
    sent.await.unwrap();
    framework
        .comes_to(&failed.task_id, TaskState::TaskFailed)
        .await;
    let offer = framework.offer().await;
    let mut greedy = task("greedy", RUN, &offer);
    greedy.resources = vec![scalar("cpus", 1000.0)];
    framework.launch(offer, vec![greedy.clone()]).await;
    framework
        .comes_to(&greedy.task_id, TaskState::TaskError)
        .await;
    let offer = framework.offer().await;
    let own = vec![reserved(scalar("cpus", 1.0), &framework.role())];
    let used = offer.clone();
    let reservation = vec![reserve("counted", own.clone())];
    framework.operate(&offer, reservation).await;
    // The offer is no longer valid, for a launch and for an operation.
    let dropped = task("dropped", RUN, &used);
    framework.launch(used.clone(), vec![dropped.clone()]).await;
    let status = framework.status(&dropped.task_id).await;
    assert_eq!(status.state(), TaskState::TaskDropped);
    let refused = vec![reserve("refused", own)];
    let accept = framework
        .handle
        .accept_offers(vec![used.id], refused, refuse(0.0));
    accept.await.unwrap();
    // A real cluster may tell of the one before once more.
    let error = OperationState::OperationError;
    while framework.operation_status().await.state() != error {}
    framework.reconciled(&"nobody".into()).await;
    framework.run("running", RUN).await;
    framework
}

/// Asks until all of `expected` have these values: what was done last may not have been counted yet.
async fn comes_to(address: &str, prefix: &str, expected: &[(&str, f64)]) {
    let last = std::sync::Mutex::new(Vec::new());
    let matches = async {
        loop {
            let metrics = metrics(address).await;
            let value = |name: &str| metrics.get(&format!("{prefix}{name}"));
            let named = expected.iter();
            let wrong =
                named.filter(|(name, wanted)| value(name).and_then(Value::as_f64) != Some(*wanted));
            let wrong: Vec<_> = wrong
                .map(|(name, wanted)| (*name, *wanted, value(name).cloned()))
                .map(|what| format!("{what:?}"))
                .collect();
            if wrong.is_empty() {
                return;
            }
            *last.lock().unwrap() = wrong;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let matched = tokio::time::timeout(COUNTED, matches).await;
    assert!(matched.is_ok(), "{:?}", last.lock().unwrap());
}

#[tokio::test]
async fn master_and_agent_count_what_happens_to_a_framework() {
    let cluster = OwnCluster::with(Agents::One).await;
    let framework = lived(&cluster).await;
    let (master, agent) = (cluster.address(), cluster.agent_address(0));
    comes_to(&master, "master/", OF_MASTER).await;
    let name = &framework.info.name;
    let own = format!("master/frameworks/{name}/{}/", framework.id);
    comes_to(&master, &own, OF_FRAMEWORK).await;
    comes_to(&master, &own, &[(&format!("roles/{name}/suppressed"), 0.0)]).await;
    offers_add_up(&metrics(&master).await, &own);
    let allocator = [
        ("resources/cpus/total", 4.0),
        ("resources/cpus/offered_or_allocated", 0.05),
    ];
    comes_to(&master, "allocator/mesos/", &allocator).await;
    comes_to(&agent, "slave/", OF_AGENT).await;
    framework.teardown().await;
    let ended = [
        ("tasks_killed", 2.0),
        ("task_killed/source_master/reason_framework_removed", 1.0),
        ("messages_unregister_framework", 0.0),
    ];
    comes_to(&master, "master/", &ended).await;
    cluster.shutdown().await;
}

/// How many were declined is the allocator's business.
fn offers_add_up(metrics: &Metrics, own: &str) {
    let value = |name: &str| metrics[name].as_f64().unwrap();
    let of = |name: &str| value(&format!("{own}{name}"));
    let answered = of("offers/accepted") + of("offers/declined");
    assert!(of("offers/declined") >= 1.0 && of("offers/sent") >= answered);
    assert!(of("events/offers") <= of("offers/sent") && of("events/offers") >= 7.0);
    let declines = value("master/messages_decline_offers");
    assert_eq!(declines, of("calls/decline"));
    let all = metrics.iter();
    let events = all.filter(|(name, _)| name.starts_with(&format!("{own}events/")));
    let sum: f64 = events.filter_map(|(_, value)| value.as_f64()).sum();
    assert_eq!(sum, of("events"));
}

const OF_MASTER: &[(&str, f64)] = &[
    ("messages_register_framework", 1.0),
    ("messages_reregister_framework", 0.0),
    ("messages_register_slave", 1.0),
    ("messages_reregister_slave", 0.0),
    ("messages_update_slave", 1.0),
    ("messages_launch_tasks", 6.0),
    ("messages_status_update", 11.0),
    ("messages_status_update_acknowledgement", 11.0),
    ("messages_exited_executor", 1.0),
    ("messages_framework_to_executor", 2.0),
    ("messages_reconcile_tasks", 1.0),
    ("valid_status_updates", 11.0),
    ("invalid_status_updates", 0.0),
    ("valid_status_update_acknowledgements", 11.0),
    ("valid_framework_to_executor_messages", 2.0),
    ("slave_registrations", 1.0),
    ("slave_removals", 0.0),
    ("tasks_finished", 1.0),
    ("tasks_killed", 1.0),
    ("tasks_failed", 1.0),
    ("tasks_error", 1.0),
    ("tasks_dropped", 1.0),
    ("tasks_lost", 0.0),
    ("tasks_gone", 0.0),
    ("tasks_gone_by_operator", 0.0),
    ("tasks_running", 1.0),
    ("task_failed/source_slave/reason_executor_terminated", 1.0),
    ("task_error/source_master/reason_task_invalid", 1.0),
    ("task_dropped/source_master/reason_invalid_offers", 1.0),
    ("operations/total", 2.0),
    ("operations/finished", 1.0),
    ("operations/error", 1.0),
    ("operations/pending", 0.0),
    ("operations/reserve/total", 2.0),
    ("operations/reserve/finished", 1.0),
    ("operations/reserve/error", 1.0),
    ("operations/create/total", 0.0),
    ("operator_event_stream_subscribers", 0.0),
    ("cpus_revocable_total", 0.0),
];

const OF_FRAMEWORK: &[(&str, f64)] = &[
    ("calls/accept", 8.0),
    ("calls/update_framework", 0.0),
    ("events/subscribed", 1.0),
    ("events/update", 14.0),
    ("events/failure", 1.0),
    ("events/rescind", 0.0),
    ("offers/accepted", 6.0),
    ("offers/rescinded", 0.0),
    ("operations", 5.0),
    ("operations/launch", 4.0),
    ("operations/launch_group", 0.0),
    ("operations/reserve", 1.0),
    ("tasks/active/task_running", 1.0),
    ("tasks/active/task_unreachable", 0.0),
    ("tasks/terminal/task_finished", 1.0),
    ("tasks/terminal/task_killed", 1.0),
    ("tasks/terminal/task_failed", 1.0),
    ("tasks/terminal/task_error", 0.0),
    ("tasks/terminal/task_dropped", 0.0),
];

const OF_AGENT: &[(&str, f64)] = &[
    ("executors_running", 3.0),
    ("executors_terminated", 1.0),
    ("executors_preempted", 0.0),
    ("container_launch_errors", 0.0),
    ("recovery_errors", 0.0),
    ("tasks_finished", 1.0),
    ("tasks_killed", 1.0),
    ("tasks_failed", 1.0),
    ("tasks_lost", 0.0),
    ("tasks_running", 1.0),
    ("valid_status_updates", 11.0),
    ("invalid_status_updates", 0.0),
    ("valid_framework_messages", 2.0),
    ("invalid_framework_messages", 0.0),
    ("cpus_revocable_total", 0.0),
];

#[tokio::test]
async fn the_master_counts_agents_that_are_lost_and_return() {
    let mut cluster = OwnCluster::with(Agents::One).await;
    let mut framework = Framework::register(&cluster.address(), checkpointing("lost")).await;
    let task = framework.run("unreachable", RUN).await;
    let offer = framework.offer().await;
    cluster.kill_agent(0);
    framework.rescinded(&offer.id).await;
    assert_eq!(framework.agent_lost().await, task.agent_id);
    let master = cluster.address();
    let lost = [
        ("slave_unreachable_scheduled", 1.0),
        ("slave_unreachable_completed", 1.0),
        ("slave_unreachable_canceled", 0.0),
        ("slave_removals", 1.0),
        ("slave_removals/reason_unhealthy", 1.0),
        ("slave_removals/reason_unregistered", 0.0),
        ("recovery_slave_removals", 0.0),
        ("tasks_unreachable", 1.0),
        ("task_unreachable/source_master/reason_slave_removed", 1.0),
        ("tasks_lost", 0.0),
    ];
    comes_to(&master, "master/", &lost).await;
    let own = format!(
        "master/frameworks/{}/{}/",
        framework.info.name, framework.id
    );
    let of_framework = [
        ("offers/rescinded", 1.0),
        ("events/rescind", 1.0),
        ("tasks/active/task_unreachable", 1.0),
        ("tasks/active/task_running", 0.0),
    ];
    comes_to(&master, &own, &of_framework).await;
    cluster.start_agent(0).await;
    let back = [
        ("slave_registrations", 1.0),
        ("slave_reregistrations", 1.0),
        ("tasks_unreachable", 0.0),
        ("tasks_running", 1.0),
    ];
    comes_to(&master, "master/", &back).await;
    cluster.shut_agent_down(0);
    let left = [
        ("messages_unregister_slave", 1.0),
        ("slave_removals", 2.0),
        ("slave_removals/reason_unregistered", 1.0),
        ("tasks_lost", 1.0),
        ("task_lost/source_master/reason_slave_removed", 1.0),
    ];
    comes_to(&master, "master/", &left).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

/// The names of the numbers, by the call and by the page, until they agree: what happens between the two may bring more.
async fn both_tell_the_same(address: &str, path: &str, prefix: &str) {
    let last = std::sync::Mutex::default();
    let same = async {
        loop {
            let call = json!({ "type": "GET_METRICS", "get_metrics": {} });
            let answer = operate(address, path, call).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let answer = answer.json();
            assert_eq!(answer["type"], "GET_METRICS");
            let told = answer["get_metrics"]["metrics"].as_array().unwrap().iter();
            let told: BTreeSet<String> = told
                .filter(|metric| metric["value"].is_f64())
                .map(|metric| metric["name"].as_str().unwrap().to_owned())
                .filter(|name| name.starts_with(prefix))
                .collect();
            let shown = metrics(address).await.into_iter().map(|(name, _)| name);
            let shown: BTreeSet<String> = shown.filter(|name| name.starts_with(prefix)).collect();
            if told == shown && !told.is_empty() {
                return;
            }
            *last.lock().unwrap() = (told, shown);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let agreed = tokio::time::timeout(COUNTED, same).await;
    let (told, shown): (BTreeSet<_>, BTreeSet<_>) = last.into_inner().unwrap();
    let apart: Vec<_> = told.symmetric_difference(&shown).collect();
    assert!(agreed.is_ok(), "only one of both tells {apart:?}");
}

#[tokio::test]
async fn operators_are_told_the_same_by_a_call() {
    let cluster = OwnCluster::with(Agents::One).await;
    let mut framework = Framework::register(&cluster.address(), checkpointing("asked")).await;
    // By then the agent serves its pages.
    let offer = framework.offer().await;
    framework.decline(&[offer], refuse_for_good()).await;
    let agent_path = format!("{}/api/v1", cluster.agent_path(0));
    let peers = [
        (cluster.address(), "/api/v1", "master"),
        (cluster.agent_address(0), agent_path.as_str(), "slave"),
    ];
    for (address, path, prefix) in peers {
        both_tell_the_same(&address, path, prefix).await;
        let answer = operate(&address, path, json!({ "type": "GET_METRICS" })).await;
        let api = if prefix == "slave" { "agent" } else { "master" };
        let why = format!("Failed to validate {api}::Call: Expecting 'get_metrics' to be present");
        assert_eq!((answer.status, answer.text()), (400, why.as_str()));
    }
    framework.teardown().await;
    cluster.shutdown().await;
}
