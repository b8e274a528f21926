//! The operator API's SUBSCRIBE: what a real master tells its operators, the embedded one tells too, in the same order.

use mesos_framework::proto::{AgentId, TaskInfo, TaskState, master};
use prost::Message as _;
use serde_json::{Value, json};

use crate::agents::{about, checkpointing};
use crate::cluster::{Agents, Cluster, Needs, OwnCluster};
use crate::event_stream::{End, EventStream};
use crate::executor_role::RUN;
use crate::framework::{Framework, info, task};
use crate::http::request;

const JSON: (&str, &str) = ("Content-Type", "application/json");
const SUBSCRIBE: &[u8] = br#"{"type":"SUBSCRIBE"}"#;

/// A subscriber who reads JSON, and what it was told first.
struct Operator {
    stream: EventStream,
    state: Value,
}

/// Waits until the master at `address` answers.
async fn is_ready(address: &str) {
    // Neither 404 nor 503 any more.
    while request(address, "POST", "/api/v1", &[JSON], b"{}")
        .await
        .status
        != 400
    {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

impl Operator {
    async fn subscribe(address: &str) -> Self {
        is_ready(address).await;
        let mut stream = EventStream::open(address, "/api/v1", &[JSON], SUBSCRIBE).await;
        assert_eq!(stream.status(), 200);
        assert_eq!(stream.header("content-type"), Some("application/json"));
        assert_eq!(stream.header("mesos-stream-id"), None);
        let subscribed = read(&mut stream).await;
        assert_eq!(subscribed["type"], "SUBSCRIBED");
        let subscribed = &subscribed["subscribed"];
        assert_eq!(subscribed["heartbeat_interval_seconds"], 15.0);
        assert_eq!(read(&mut stream).await, json!({ "type": "HEARTBEAT" }));
        let state = subscribed["get_state"].clone();
        Self { stream, state }
    }

    /// The next event that is not a heartbeat.
    async fn next(&mut self) -> Value {
        loop {
            let event = read(&mut self.stream).await;
            if event["type"] != "HEARTBEAT" {
                return event;
            }
        }
    }

    /// The next event in which there is this framework or agent: its type, and what it says.
    async fn next_of(&mut self, id: &str) -> (String, Value) {
        loop {
            let mut event = self.next().await;
            if event.to_string().contains(id) {
                let kind = event["type"].as_str().unwrap().to_owned();
                let content = event[kind.to_lowercase()].take();
                return (kind, content);
            }
        }
    }

    async fn expects(&mut self, id: &str, kind: &str) -> Value {
        let (own, content) = self.next_of(id).await;
        assert_eq!(own, kind, "{content}");
        content
    }
}

async fn read(stream: &mut EventStream) -> Value {
    let record = stream.record().await.unwrap();
    serde_json::from_slice(&record).unwrap()
}

async fn finish(framework: &Framework, task: &TaskInfo) {
    let message: bytes::Bytes = crate::executor_role::finish(&task.task_id).into();
    let executor_id = task.executor.as_ref().unwrap().executor_id.clone();
    let agent_id = task.agent_id.clone();
    let handle = &framework.handle;
    let sent = handle.send_framework_message(executor_id, agent_id, message);
    sent.await.unwrap();
}

#[tokio::test]
async fn operators_are_told_of_frameworks_and_tasks_in_order() {
    let cluster = Cluster::start().await;
    let address = cluster.address();
    let mut operator = Operator::subscribe(&address).await;
    assert!(
        operator.state["get_agents"]["agents"]
            .as_array()
            .unwrap()
            .len()
            >= 2
    );
    for list in ["tasks", "completed_tasks", "unreachable_tasks"] {
        assert!(operator.state["get_tasks"][list].is_array(), "{list}");
    }
    let mut framework = Framework::register(&address, info("told")).await;
    let id = framework.id.value.clone();
    let added = operator.expects(&id, "FRAMEWORK_ADDED").await;
    let own = &added["framework"];
    assert_eq!(own["framework_info"]["id"]["value"], id);
    assert_eq!(own["framework_info"]["name"], framework.info.name);
    for (key, value) in [("active", true), ("connected", true), ("recovered", false)] {
        assert_eq!(own[key], value, "{key}");
    }
    assert!(own["registered_time"]["nanoseconds"].as_i64() > Some(0));
    assert_eq!(own["unregistered_time"]["nanoseconds"], 0);
    for list in ["offers", "allocated_resources", "offered_resources"] {
        assert!(
            own.get(list).is_none_or(|list| *list == json!([])),
            "{list}"
        );
    }

    let task = framework.run("told", RUN).await;
    let added = operator.expects(&id, "TASK_ADDED").await;
    assert_eq!(added["task"]["task_id"]["value"], "told");
    assert_eq!(added["task"]["state"], "TASK_STAGING");
    for state in ["TASK_STARTING", "TASK_RUNNING"] {
        let updated = operator.expects(&id, "TASK_UPDATED").await;
        assert_eq!(updated["status"]["state"], state);
        assert_eq!(updated["framework_id"]["value"], id);
        assert!(updated["state"].is_string());
    }
    finish(&framework, &task).await;
    let updated = operator.expects(&id, "TASK_UPDATED").await;
    assert_eq!(updated["state"], "TASK_FINISHED");

    // Of a task that still runs, its master says that it is killed.
    framework.run("killed", RUN).await;
    operator.expects(&id, "TASK_ADDED").await;
    for _ in 0..2 {
        operator.expects(&id, "TASK_UPDATED").await;
    }
    framework.teardown().await;
    let updated = operator.expects(&id, "TASK_UPDATED").await;
    assert_eq!(updated["state"], "TASK_KILLED");
    assert_eq!(
        updated["status"]["message"],
        format!("Framework {id} removed")
    );
    assert_eq!(updated["status"]["reason"], "REASON_FRAMEWORK_REMOVED");
    let removed = operator.expects(&id, "FRAMEWORK_REMOVED").await;
    assert_eq!(removed["framework_info"]["id"]["value"], id);
    cluster.shutdown().await;
}

#[tokio::test]
async fn operators_are_told_of_updated_and_returning_frameworks() {
    let cluster = Cluster::start().await;
    let address = cluster.address();
    let mut framework = Framework::register(&address, info("renamed")).await;
    let id = framework.id.value.clone();
    let mut operator = Operator::subscribe(&address).await;
    let state = operator.state["get_frameworks"]["frameworks"].to_string();
    assert!(state.contains(&id));
    framework.handle.stop_for_failover();
    framework.driver.join().await.unwrap();
    let mut again = framework.info.clone();
    again.id = Some(framework.id.clone());
    again.webui_url = Some("http://elsewhere".into());
    let framework = Framework::register(&address, again).await;
    let updated = operator.expects(&id, "FRAMEWORK_UPDATED").await;
    let own = &updated["framework"];
    assert_eq!(own["framework_info"]["webui_url"], "http://elsewhere");
    assert_eq!(
        (&own["active"], &own["connected"]),
        (&json!(true), &json!(true))
    );
    framework.teardown().await;
    operator.expects(&id, "FRAMEWORK_REMOVED").await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn operators_may_read_protobuf() {
    let cluster = Cluster::start().await;
    let call = master::Call {
        r#type: Some(master::call::Type::Subscribe.into()),
        ..Default::default()
    };
    let headers = [
        ("Content-Type", "application/x-protobuf"),
        ("Accept", "application/x-protobuf"),
    ];
    let body = call.encode_to_vec();
    let mut stream = EventStream::open(&cluster.address(), "/api/v1", &headers, &body).await;
    assert_eq!(stream.status(), 200);
    assert_eq!(
        stream.header("content-type"),
        Some("application/x-protobuf")
    );
    let mut next = async || master::Event::decode(stream.record().await.unwrap()).unwrap();
    let first = next().await;
    assert_eq!(first.r#type(), master::event::Type::Subscribed);
    let subscribed = first.subscribed.unwrap();
    assert_eq!(subscribed.heartbeat_interval_seconds, Some(15.0));
    let agents = subscribed.get_state.unwrap().get_agents.unwrap().agents;
    assert!(agents.len() >= 2);
    assert_eq!(next().await.r#type(), master::event::Type::Heartbeat);
    let framework = Framework::register(&cluster.address(), info("binary")).await;
    loop {
        let event = next().await;
        let added = event.framework_added.map(|added| added.framework);
        if added.is_some_and(|own| own.framework_info.id.as_ref() == Some(&framework.id)) {
            assert_eq!(
                event.r#type,
                Some(master::event::Type::FrameworkAdded.into())
            );
            break;
        }
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn who_reads_neither_encoding_is_refused() {
    let cluster = Cluster::start().await;
    let headers = [JSON, ("Accept", "application/recordio")];
    let answer = request(&cluster.address(), "POST", "/api/v1", &headers, SUBSCRIBE).await;
    let text = "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'";
    assert_eq!((answer.status, answer.text()), (406, text));
    cluster.shutdown().await;
}

#[tokio::test]
async fn one_subscriber_too_many_closes_the_oldest() {
    let needs = Needs {
        agents: Agents::None,
        operator_subscribers: Some(2),
        ..Needs::default()
    };
    let Some(cluster) = OwnCluster::start(needs).await else {
        return;
    };
    let address = cluster.address();
    let mut first = Operator::subscribe(&address).await;
    let mut second = Operator::subscribe(&address).await;
    let mut third = Operator::subscribe(&address).await;
    assert_eq!(first.stream.end().await, End::Clean);
    let framework = Framework::register(&address, info("few")).await;
    for operator in [&mut second, &mut third] {
        let id = &framework.id.value;
        operator.expects(id, "FRAMEWORK_ADDED").await;
    }
    // Who goes makes room.
    drop(second);
    framework.teardown().await;
    cluster.shutdown().await;
}

/// The embedded agents come back together with their master, before anybody can be subscribed.
#[tokio::test]
async fn operators_are_told_of_agents_and_then_of_what_they_bring() {
    let Some(mut cluster) = OwnCluster::start(Needs::default()).await else {
        return;
    };
    if let OwnCluster::Embedded(_) = cluster {
        return cluster.shutdown().await;
    }
    let address = cluster.address();
    let mut framework = Framework::register(&address, info("recovered")).await;
    framework.run("recovered", RUN).await;
    framework.handle.stop_for_failover();
    framework.driver.join().await.unwrap();
    cluster.kill_master();
    cluster.restart_master().await;
    let mut operator = Operator::subscribe(&address).await;
    assert_eq!(operator.state["get_agents"]["agents"], json!([]));
    let mut kinds = Vec::new();
    while kinds.len() < 4 {
        let event = operator.next().await;
        kinds.push(event["type"].as_str().unwrap().to_owned());
    }
    kinds.dedup_by(|one, other| one == other && one == "AGENT_ADDED");
    let brings = ["AGENT_ADDED", "FRAMEWORK_ADDED", "TASK_ADDED"];
    let at = kinds.windows(3).any(|window| window == brings);
    assert!(at, "{kinds:?}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn operators_are_told_only_of_what_they_may_see() {
    let needs = Needs {
        agents: Agents::One,
        acls: r#"{
            "view_frameworks": [{"principals": {"type": "NONE"}, "users": {"values": ["hidden"]}}],
            "view_tasks": [{"principals": {"type": "NONE"}, "users": {"values": ["nobody"]}}]
        }"#,
        ..Needs::default()
    };
    let cluster = OwnCluster::start(needs).await.unwrap();
    let address = cluster.address();
    let mut operator = Operator::subscribe(&address).await;
    let mut unseen = info("unseen");
    unseen.user = "hidden".into();
    let unseen = Framework::register(&address, unseen).await;
    let mut seen = Framework::register(&address, info("seen")).await;
    let id = seen.id.value.clone();
    let others = unseen.id.value.clone();
    unseen.teardown().await;
    let offer = seen.offer().await;
    let mut secret = task("secret", RUN, &offer);
    let executor = secret.executor.as_mut().unwrap();
    executor.command.as_mut().unwrap().user = Some("nobody".into());
    let open = task("open", RUN, &offer);
    seen.launch(offer, vec![secret, open.clone()]).await;
    seen.comes_to(&open.task_id, TaskState::TaskRunning).await;
    seen.teardown().await;
    let mut kinds = Vec::new();
    loop {
        let event = operator.next().await;
        let text = event.to_string();
        assert!(!text.contains(&others), "{text}");
        assert!(!text.contains("secret"), "{text}");
        if text.contains(&id) {
            kinds.push(event["type"].as_str().unwrap().to_owned());
        }
        if event["type"] == "FRAMEWORK_REMOVED" {
            break;
        }
    }
    assert_eq!(kinds.first().unwrap(), "FRAMEWORK_ADDED");
    assert!(kinds.contains(&"TASK_ADDED".to_owned()), "{kinds:?}");
    cluster.shutdown().await;
}

/// Types of the events between the end of an agent that has a task and the end of the framework.
async fn told_of_end(
    cluster: &mut OwnCluster,
    end: impl AsyncFnOnce(&mut OwnCluster, &AgentId),
) -> Vec<String> {
    let address = cluster.address();
    let mut framework = Framework::register(&address, checkpointing("removed")).await;
    let task = framework.run("removed", RUN).await;
    let mut operator = Operator::subscribe(&address).await;
    end(cluster, &task.agent_id).await;
    assert_eq!(framework.agent_lost().await, task.agent_id);
    framework.teardown().await;
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|last| last != "FRAMEWORK_REMOVED") {
        let event = operator.next().await;
        let kind = event["type"].as_str().unwrap().to_owned();
        if kind == "AGENT_REMOVED" {
            let removed = json!({ "agent_id": { "value": task.agent_id.value } });
            assert_eq!(event["agent_removed"], removed);
        }
        kinds.push(kind);
    }
    kinds
}

#[tokio::test]
async fn operators_are_told_of_agents_that_leave_and_return() {
    let mut cluster = OwnCluster::with(Agents::Mortal).await;
    let kinds = told_of_end(&mut cluster, async |cluster, _| cluster.shut_agent_down(0)).await;
    let expected = ["TASK_UPDATED", "AGENT_REMOVED", "FRAMEWORK_REMOVED"];
    assert_eq!(kinds, expected);
    cluster.agent_ends(0).await;
    let mut operator = Operator::subscribe(&cluster.address()).await;
    assert_eq!(operator.state["get_agents"]["agents"], json!([]));
    cluster.start_agent(0).await;
    let added = operator.next().await;
    assert_eq!(added["type"], "AGENT_ADDED");
    let pid = added["agent_added"]["agent"]["pid"].as_str().unwrap();
    assert!(pid.ends_with(&cluster.agent_address(0)), "{pid}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn operators_are_told_of_the_tasks_of_unreachable_agents_only() {
    let mut cluster = OwnCluster::with(Agents::One).await;
    let kinds = told_of_end(&mut cluster, async |cluster, _| cluster.kill_agent(0)).await;
    assert_eq!(kinds[0], "TASK_UPDATED");
    assert!(!kinds.contains(&"AGENT_REMOVED".to_owned()), "{kinds:?}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn operators_are_told_of_the_tasks_of_gone_agents_only() {
    let mut cluster = OwnCluster::with(Agents::One).await;
    let kinds = told_of_end(&mut cluster, async |cluster, id| {
        cluster
            .operates(about("MARK_AGENT_GONE", id), 200, "")
            .await;
    })
    .await;
    assert_eq!(kinds[0], "TASK_UPDATED");
    assert!(!kinds.contains(&"AGENT_REMOVED".to_owned()), "{kinds:?}");
    cluster.shutdown().await;
}
