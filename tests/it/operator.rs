//! The operator API and the pages, of the embedded cluster as of a real one.

use std::time::Duration;

use mesos_framework::ErrorKind;
use mesos_framework::proto::{FrameworkId, TaskInfo, TaskState, agent, master};
use prost::Message;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::executor_role::RUN;
use crate::framework::{Framework, PATIENCE, amount, info};
use crate::http::{Answer, get, request};
use crate::peer::within;

pub const JSON: (&str, &str) = ("Content-Type", "application/json");
const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");

/// An operator API: of the master, or of an agent.
pub struct Api {
    address: String,
    path: String,
}

impl Api {
    pub fn of_master(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            path: "/api/v1".to_owned(),
        }
    }

    /// `pid` is like `slave(1)@127.0.0.1:5051`.
    pub fn of_agent(pid: &str) -> Self {
        let (process, address) = pid.split_once('@').unwrap();
        Self {
            address: address.to_owned(),
            path: format!("/{process}/api/v1"),
        }
    }

    pub async fn send(&self, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        request(&self.address, "POST", &self.path, headers, body).await
    }

    /// The answer in JSON, without the envelope.
    pub async fn ask(&self, kind: &str) -> Value {
        let call = json!({ "type": kind }).to_string();
        let answer = self.send(&[JSON], call.as_bytes()).await;
        assert_eq!(answer.status, 200, "{kind}: {answer:?}");
        let mut answer = answer.json();
        assert_eq!(answer["type"], kind);
        answer[kind.to_lowercase()].take()
    }

    /// The same, once there is an answer: a real master first starts, and recovers.
    pub async fn ask_patiently(&self, kind: &str) -> Value {
        let call = json!({ "type": kind }).to_string();
        within("an answer", async {
            loop {
                let answer = self.send(&[JSON], call.as_bytes()).await;
                if answer.status == 200 {
                    return answer.json()[kind.to_lowercase()].take();
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await
    }

    /// Carries out a call, whose part has the name of its type.
    pub async fn change(&self, kind: &str, part: &Value) {
        let answer = self.try_change(kind, part).await;
        assert_eq!((answer.status, answer.text()), (200, ""), "{kind} {part}");
    }

    /// A call that is refused.
    pub async fn refuses_change(&self, kind: &str, part: &Value, status: u16, text: &str) {
        let answer = self.try_change(kind, part).await;
        assert_eq!(
            (answer.status, answer.text()),
            (status, text),
            "{kind} {part}"
        );
    }

    async fn try_change(&self, kind: &str, part: &Value) -> Answer {
        let call = json!({ "type": kind, kind.to_lowercase(): part }).to_string();
        self.send(&[JSON], call.as_bytes()).await
    }

    /// The answer in protobuf.
    async fn ask_in_protobuf<R: Message + Default>(&self, call: &impl Message) -> R {
        let headers = [PROTOBUF, ("Accept", "application/x-protobuf")];
        let answer = self.send(&headers, &call.encode_to_vec()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/x-protobuf")
        );
        R::decode(answer.body).unwrap()
    }

    pub async fn refuses(&self, headers: &[(&str, &str)], body: &str, status: u16, text: &str) {
        let answer = self.send(headers, body.as_bytes()).await;
        assert_eq!(
            (answer.status, answer.text()),
            (status, text),
            "{headers:?} {body}"
        );
    }

    async fn refuses_other_methods(&self) {
        let answer = request(&self.address, "PUT", &self.path, &[JSON], b"{}").await;
        assert_eq!(answer.status, 405);
        assert_eq!(answer.header("allow"), Some("POST"));
        let text = "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'PUT'.";
        assert_eq!(answer.text(), text);
    }
}

/// The entry of `list` for which `key` is `value`.
pub fn find<'a>(list: &'a Value, key: &str, value: &str) -> Option<&'a Value> {
    let entries = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    let pointer = format!("/{key}");
    entries
        .iter()
        .find(|entry| entry.pointer(&pointer) == Some(&json!(value)))
}

/// A cluster with a framework that runs a task.
struct Scene {
    cluster: Cluster,
    address: String,
    framework: Framework,
    task: TaskInfo,
}

impl Scene {
    async fn start(test: &str) -> Self {
        let cluster = Cluster::start().await;
        let address = cluster.address();
        let mut framework = Framework::register(&address, info(test)).await;
        let task = framework.run(&framework.info.name.clone(), RUN).await;
        Self {
            cluster,
            address,
            framework,
            task,
        }
    }

    fn master(&self) -> Api {
        Api::of_master(&self.address)
    }

    /// The agent that runs the task.
    async fn agent(&self) -> Api {
        let agents = self.master().ask("GET_AGENTS").await;
        let id = &self.task.agent_id.value;
        let agent = find(&agents["agents"], "agent_info/id/value", id).unwrap();
        Api::of_agent(agent["pid"].as_str().unwrap())
    }

    async fn end(self) {
        self.framework.teardown().await;
        self.cluster.shutdown().await;
    }
}

#[tokio::test]
async fn masters_refuse_with_mesos_statuses_and_texts() {
    let cluster = Cluster::start().await;
    let api = Api::of_master(&cluster.address());
    api.refuses_other_methods().await;
    let invalid =
        |what: &str| format!("Failed to validate master::Call: Expecting '{what}' to be present");
    let expecting = "Expecting 'Content-Type' of application/json or application/x-protobuf";
    let accept = "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'";
    let html = ("Accept", "text/html");
    let health = r#"{"type":"GET_HEALTH"}"#;
    let nobody = r#"{"type":"TEARDOWN","teardown":{"framework_id":{"value":"nobody"}}}"#;
    let missing = "Expecting 'Content-Type' to be present";
    api.refuses(&[], health, 400, missing).await;
    api.refuses(&[("Content-Type", "text/plain")], health, 415, expecting)
        .await;
    api.refuses(&[JSON], "{}", 400, &invalid("type")).await;
    api.refuses(&[JSON, html], "{}", 400, &invalid("type"))
        .await;
    api.refuses(&[JSON], r#"{"type":"NONSENSE"}"#, 400, &invalid("type"))
        .await;
    api.refuses(
        &[JSON],
        r#"{"type":"UNKNOWN"}"#,
        501,
        "501 Not Implemented.",
    )
    .await;
    api.refuses(
        &[PROTOBUF],
        "zz",
        400,
        "Failed to parse body into Call protobuf",
    )
    .await;
    api.refuses(&[JSON, html], health, 406, accept).await;
    api.refuses(&[JSON], r#"{"type":"TEARDOWN"}"#, 400, &invalid("teardown"))
        .await;
    api.refuses(&[JSON], nobody, 400, "No framework found with specified ID")
        .await;
    api.refuses(&[JSON, html], nobody, 406, accept).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn agents_refuse_with_mesos_statuses_and_texts() {
    let cluster = Cluster::start().await;
    let agents = Api::of_master(&cluster.address()).ask("GET_AGENTS").await;
    let api = Api::of_agent(agents["agents"][0]["pid"].as_str().unwrap());
    api.refuses_other_methods().await;
    let invalid = "Failed to validate agent::Call: Expecting 'type' to be present";
    let types = "application/json or application/x-protobuf or application/recordio";
    let expecting = format!("Expecting 'Content-Type' of {types}");
    let accept = format!("Expecting 'Accept' to allow {types}");
    let html = ("Accept", "text/html");
    let health = r#"{"type":"GET_HEALTH"}"#;
    let missing = "Expecting 'Content-Type' to be present";
    let unread = "Failed to parse body into a protobuf object";
    let streaming = "Streaming response is not supported for GET_HEALTH call";
    api.refuses(&[], health, 400, missing).await;
    api.refuses(&[("Content-Type", "text/plain")], health, 415, &expecting)
        .await;
    api.refuses(&[JSON], "{}", 400, invalid).await;
    api.refuses(&[JSON, html], "{}", 406, &accept).await;
    api.refuses(
        &[JSON],
        r#"{"type":"UNKNOWN"}"#,
        501,
        "501 Not Implemented.",
    )
    .await;
    api.refuses(&[PROTOBUF], "zz", 400, unread).await;
    api.refuses(
        &[JSON, ("Accept", "application/recordio")],
        health,
        406,
        streaming,
    )
    .await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn calls_that_are_not_covered_are_named() {
    let cluster = crate::cluster::local().start().await.unwrap();
    let api = Api::of_master(&cluster.master_address());
    let text = "The operator call GET_FLAGS is not covered by this local cluster";
    api.refuses(&[JSON], r#"{"type":"GET_FLAGS"}"#, 501, text)
        .await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn health_and_version_are_told_in_either_encoding() {
    let cluster = Cluster::start().await;
    let api = Api::of_master(&cluster.address());
    let version = api.ask("GET_VERSION").await;
    assert_eq!(version["version_info"]["version"], "1.11.0");
    assert_eq!(api.ask("GET_HEALTH").await["healthy"], true);
    assert!(api.ask("GET_OPERATIONS").await.is_object());
    let leader = api.ask("GET_MASTER").await;
    assert_eq!(leader["master_info"]["version"], "1.11.0");
    assert!(leader["start_time"].as_f64() <= leader["elected_time"].as_f64());
    let call = master::Call {
        r#type: Some(master::call::Type::GetHealth.into()),
        ..Default::default()
    };
    let health: master::Response = api.ask_in_protobuf(&call).await;
    assert!(health.get_health.unwrap().healthy);
    let agents = api.ask("GET_AGENTS").await;
    let pid = agents["agents"][0]["pid"].as_str().unwrap();
    let mut agent = Api::of_agent(pid);
    let call = agent::Call {
        r#type: Some(agent::call::Type::GetVersion.into()),
        ..Default::default()
    };
    let version: agent::Response = agent.ask_in_protobuf(&call).await;
    assert_eq!(version.get_version.unwrap().version_info.version, "1.11.0");
    agent.path = "/api/v1".into();
    assert_eq!(agent.ask("GET_HEALTH").await["healthy"], true, "short form");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_master_tells_what_runs() {
    let scene = Scene::start("operator-master").await;
    let (api, id) = (scene.master(), &scene.framework.id.value);
    let state = api.ask("GET_STATE").await;
    for (part, call) in [
        ("get_tasks", "GET_TASKS"),
        ("get_executors", "GET_EXECUTORS"),
        ("get_frameworks", "GET_FRAMEWORKS"),
        ("get_agents", "GET_AGENTS"),
    ] {
        let keys = |value: &Value| {
            value
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(keys(&state[part]), keys(&api.ask(call).await), "{part}");
    }
    let task = find(&state["get_tasks"]["tasks"], "framework_id/value", id).unwrap();
    assert_eq!(task["state"], "TASK_RUNNING");
    assert_eq!(task["task_id"]["value"], scene.task.task_id.value);
    assert_eq!(task["agent_id"]["value"], scene.task.agent_id.value);
    let executors = &state["get_executors"]["executors"];
    let executor = find(executors, "executor_info/framework_id/value", id).unwrap();
    assert_eq!(executor["agent_id"]["value"], scene.task.agent_id.value);
    let frameworks = &state["get_frameworks"]["frameworks"];
    let framework = find(frameworks, "framework_info/id/value", id).unwrap();
    assert_eq!(framework["active"], true);
    assert_eq!(framework["connected"], true);
    assert_eq!(framework["recovered"], false);
    assert!(framework["registered_time"]["nanoseconds"].is_i64());
    let held = framework["allocated_resources"].as_array().unwrap();
    assert!(held.iter().any(|own| own["name"] == "cpus"), "{held:?}");
    let roles = api.ask("GET_ROLES").await;
    let role = find(&roles["roles"], "name", &scene.framework.info.name).unwrap();
    assert_eq!(role["weight"], 1.0);
    assert_eq!(role["frameworks"], json!([{ "value": id }]));
    scene.end().await;
}

#[tokio::test]
async fn a_master_tells_the_same_in_protobuf() {
    let scene = Scene::start("operator-protobuf").await;
    let call = master::Call {
        r#type: Some(master::call::Type::GetState.into()),
        ..Default::default()
    };
    let response: master::Response = scene.master().ask_in_protobuf(&call).await;
    let state = response.get_state.unwrap();
    let tasks = state.get_tasks.unwrap().tasks;
    let mut tasks = tasks.iter();
    let task = tasks
        .find(|task| task.task_id == scene.task.task_id)
        .unwrap();
    assert_eq!(task.state(), TaskState::TaskRunning);
    let agents = state.get_agents.unwrap().agents;
    let mut agents = agents.iter();
    let agent = agents.find(|agent| agent.agent_info.id.as_ref() == Some(&scene.task.agent_id));
    let agent = agent.unwrap();
    assert!(agent.active);
    assert_eq!(agent.version, "1.11.0");
    assert_eq!(amount(&agent.total_resources, "cpus"), 4.0);
    assert!(amount(&agent.allocated_resources, "cpus") >= amount(&scene.task.resources, "cpus"));
    scene.end().await;
}

#[tokio::test]
async fn an_agent_tells_what_runs() {
    let scene = Scene::start("operator-agent").await;
    let (api, id) = (scene.agent().await, &scene.framework.id.value);
    let state = api.ask("GET_STATE").await;
    let tasks = api.ask("GET_TASKS").await;
    for list in [
        "pending_tasks",
        "queued_tasks",
        "terminated_tasks",
        "completed_tasks",
    ] {
        assert!(
            find(&tasks[list], "framework_id/value", id).is_none(),
            "{list}"
        );
    }
    for tasks in [&tasks, &state["get_tasks"]] {
        let task = find(&tasks["launched_tasks"], "framework_id/value", id).unwrap();
        assert_eq!(task["state"], "TASK_RUNNING");
    }
    let frameworks = api.ask("GET_FRAMEWORKS").await;
    assert!(find(&frameworks["frameworks"], "framework_info/id/value", id).is_some());
    let executors = api.ask("GET_EXECUTORS").await;
    let executor = find(
        &executors["executors"],
        "executor_info/framework_id/value",
        id,
    );
    assert!(executor.is_some(), "{executors}");
    let agent = api.ask("GET_AGENT").await;
    assert_eq!(
        agent["agent_info"]["id"]["value"],
        scene.task.agent_id.value
    );
    scene.end().await;
}

#[tokio::test]
async fn pages_of_tasks_and_agents_are_narrowed_by_parameters() {
    let scene = Scene::start("operator-parameters").await;
    let (address, id) = (&scene.address, &scene.framework.id.value);
    let task_id = scene.task.task_id.value.replace(' ', "%20");
    for (query, count) in [
        (format!("framework_id={id}&task_id={task_id}"), 1),
        (format!("framework_id={id}&order=asc&limit=5&offset=0"), 1),
        (format!("framework_id={id}&limit=nonsense"), 1),
        (format!("framework_id={id}&offset=1"), 0),
        (format!("framework_id={id}&limit=0"), 0),
        (format!("framework_id={id}&task_id=another"), 0),
    ] {
        let tasks = get(address, &format!("/tasks?{query}")).await.json();
        assert_eq!(tasks["tasks"].as_array().unwrap().len(), count, "{query}");
    }
    let agent_id = &scene.task.agent_id.value;
    let one = get(address, &format!("/slaves?slave_id={agent_id}")).await;
    let one = one.json();
    assert_eq!(one["slaves"].as_array().unwrap().len(), 1);
    assert_eq!(one["slaves"][0]["id"], **agent_id);
    scene.end().await;
}

#[tokio::test]
async fn pages_of_an_agent_show_what_runs() {
    let scene = Scene::start("operator-agent-pages").await;
    let (address, id) = (&scene.address, &scene.framework.id.value);
    let (agent_id, name) = (&scene.task.agent_id.value, &scene.framework.info.name);
    let state = get(address, "/state").await.json();
    let pid = find(&state["slaves"], "id", agent_id).unwrap()["pid"].as_str();
    let (process, agent) = pid.unwrap().split_once('@').unwrap();
    let own = get(agent, &format!("/{process}/state")).await.json();
    assert_eq!(own["id"], **agent_id);
    assert_eq!(own["resources"]["cpus"], 4.0);
    let framework = find(&own["frameworks"], "id", id).unwrap();
    assert_eq!(framework["roles"], json!([name]));
    let executor = &framework["executors"][0];
    assert_eq!(executor["tasks"][0]["id"], scene.task.task_id.value);
    assert_eq!(executor["tasks"][0]["state"], "TASK_RUNNING");
    assert_eq!(executor["queued_tasks"], json!([]));
    let directory = executor["directory"].as_str().unwrap();
    assert!(directory.ends_with(executor["container"].as_str().unwrap()));
    let metrics = get(agent, "/metrics/snapshot").await.json();
    assert_eq!(metrics["slave/registered"], 1.0);
    assert!(metrics["slave/executors_running"].as_f64() >= Some(1.0));
    assert!(metrics["slave/cpus_used"].as_f64() >= Some(0.02));
    scene.end().await;
}

#[tokio::test]
async fn pages_show_what_runs() {
    let scene = Scene::start("operator-pages").await;
    let (address, id) = (&scene.address, &scene.framework.id.value);
    let state = get(address, "/state").await.json();
    assert_eq!(state["version"], "1.11.0");
    assert_eq!(state["leader"], state["pid"]);
    assert_eq!(state["leader_info"]["id"], state["id"]);
    let framework = find(&state["frameworks"], "id", id).unwrap();
    assert_eq!(framework["name"], scene.framework.info.name);
    assert_eq!(framework["roles"], json!([scene.framework.info.name]));
    assert_eq!(framework["tasks"][0]["state"], "TASK_RUNNING");
    assert_eq!(
        framework["executors"][0]["slave_id"],
        scene.task.agent_id.value
    );
    let slaves = get(address, "/master/slaves").await.json();
    for slaves in [&slaves["slaves"], &state["slaves"]] {
        let slave = find(slaves, "id", &scene.task.agent_id.value).unwrap();
        assert_eq!(slave["active"], true);
        assert_eq!(slave["resources"]["cpus"], 4.0);
        assert_eq!(slave["resources"]["ports"], "[31000-31999]");
        assert_eq!(slave["resources"]["gpus"], 0.0);
        assert!(slave["used_resources"]["cpus"].as_f64() >= Some(0.02));
    }
    let tasks = get(address, "/tasks").await.json();
    let task = find(&tasks["tasks"], "framework_id", id).unwrap();
    assert_eq!(task["id"], scene.task.task_id.value);
    assert_eq!(task["role"], scene.framework.info.name);
    assert!(!task["statuses"].as_array().unwrap().is_empty());
    let metrics = get(address, "/metrics/snapshot").await.json();
    for (name, least) in [
        ("frameworks_active", 1.0),
        ("slaves_active", 2.0),
        ("tasks_running", 1.0),
        ("cpus_used", 0.02),
        ("elected", 1.0),
    ] {
        let value = metrics[format!("master/{name}")].as_f64();
        assert!(value >= Some(least), "{name}: {value:?}");
    }
    let name = &scene.framework.info.name;
    for (counter, value) in [
        ("calls/subscribe", 1.0),
        ("calls/accept", 1.0),
        ("calls/teardown", 0.0),
        ("tasks/terminal/task_finished", 0.0),
        ("subscribed", 1.0),
    ] {
        let counter = format!("master/frameworks/{name}/{id}/{counter}");
        assert_eq!(metrics[&counter].as_f64(), Some(value), "{counter}");
    }
    assert!(metrics["master/messages_launch_tasks"].as_f64() >= Some(1.0));
    let redirect = get(address, "/redirect").await;
    assert_eq!(redirect.status, 307);
    let port = address.rsplit(':').next().unwrap();
    assert_eq!(
        redirect.header("location"),
        Some(&*format!("//localhost:{port}"))
    );
    scene.end().await;
}

pub async fn tear_down(api: &Api, id: &FrameworkId) {
    let call = json!({ "type": "TEARDOWN", "teardown": { "framework_id": { "value": id.value } } });
    let answer = api.send(&[JSON], call.to_string().as_bytes()).await;
    assert_eq!((answer.status, answer.text()), (200, ""));
}

/// Its driver sees the end of the stream, subscribes again, and is told.
#[tokio::test]
async fn an_operator_may_tear_a_framework_down() {
    let mut scene = Scene::start("operator-teardown").await;
    let (api, id) = (scene.master(), scene.framework.id.clone());
    tear_down(&api, &id).await;
    let ended = tokio::time::timeout(PATIENCE, scene.framework.driver.join()).await;
    let error = ended.expect("the driver ends").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FrameworkRemoved, "{error}");
    assert!(
        error.to_string().contains("Framework has been removed"),
        "{error}"
    );
    let state = api.ask("GET_STATE").await;
    let frameworks = &state["get_frameworks"];
    let path = "framework_info/id/value";
    assert!(find(&frameworks["frameworks"], path, &id.value).is_none());
    let gone = find(&frameworks["completed_frameworks"], path, &id.value).unwrap();
    assert_eq!(gone["active"], false);
    assert!(gone["unregistered_time"]["nanoseconds"].is_i64());
    let tasks = &state["get_tasks"];
    assert!(find(&tasks["tasks"], "framework_id/value", &id.value).is_none());
    let task = find(&tasks["completed_tasks"], "framework_id/value", &id.value).unwrap();
    assert_eq!(task["state"], "TASK_KILLED");
    // Mesos leaves them out of protobuf.
    let call = master::Call {
        r#type: Some(master::call::Type::GetTasks.into()),
        ..Default::default()
    };
    let response: master::Response = api.ask_in_protobuf(&call).await;
    let tasks = response.get_tasks.unwrap().completed_tasks;
    assert!(!tasks.iter().any(|task| task.framework_id == id));
    scene.cluster.shutdown().await;
}
