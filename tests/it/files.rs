//! What is in the sandboxes, as agents tell it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::executor_role::RUN;
use crate::framework::{Framework, info};
use crate::http::{Answer, get, request};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// An agent's operator API.
struct Agent {
    address: String,
    path: String,
}

impl Agent {
    /// The one of this id.
    async fn of(master: &str, id: &str) -> Self {
        let slaves = get(master, "/slaves").await.json();
        let mut slaves = slaves["slaves"].as_array().unwrap().iter();
        let slave = slaves.find(|slave| slave["id"] == id).unwrap();
        let (process, address) = slave["pid"].as_str().unwrap().split_once('@').unwrap();
        Self {
            address: address.to_owned(),
            path: format!("/{process}/api/v1"),
        }
    }

    async fn call(&self, call: Value) -> Answer {
        let body = call.to_string();
        request(&self.address, "POST", &self.path, &[JSON], body.as_bytes()).await
    }

    async fn list(&self, path: &str) -> Answer {
        self.call(json!({ "type": "LIST_FILES", "list_files": { "path": path } }))
            .await
    }

    async fn read(&self, path: &str, offset: u64, length: Option<u64>) -> Answer {
        let mut wanted = json!({ "path": path, "offset": offset });
        if let Some(length) = length {
            wanted["length"] = json!(length);
        }
        self.call(json!({ "type": "READ_FILE", "read_file": wanted }))
            .await
    }
}

#[tokio::test]
async fn sandboxes_are_listed_and_their_files_read() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("sandbox")).await;
    let task = framework.run("sandbox", RUN).await;
    let agent = Agent::of(&cluster.address(), &task.agent_id.value).await;
    let executor_id = &task.executor.as_ref().unwrap().executor_id;
    let sandbox = format!(
        "/frameworks/{}/executors/{executor_id}/runs/latest",
        framework.id
    );
    let listed = agent.list(&sandbox).await;
    assert_eq!(listed.status, 200, "{listed:?}");
    let listed = listed.json();
    assert_eq!(listed["type"], "LIST_FILES");
    let files = listed["list_files"]["file_infos"].as_array().unwrap();
    let paths: Vec<_> = files
        .iter()
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        paths,
        [format!("{sandbox}/stderr"), format!("{sandbox}/stdout")]
    );
    for file in files {
        assert_eq!(file["nlink"], 1);
        assert_eq!(
            file["mode"].as_u64().unwrap() & 0o170_000,
            0o100_000,
            "a file"
        );
        assert!(file["uid"].is_string() && file["gid"].is_string());
        assert!(file["mtime"]["nanoseconds"].as_i64() > Some(0));
    }
    // Where test programs say what they run.
    let stdout = format!("{sandbox}/stdout");
    // Under the real agents of `tests/mesos` nothing is written to these files.
    if matches!(cluster, Cluster::Embedded(_)) {
        let part = agent.read(&stdout, 2, Some(5)).await.json();
        let size = part["read_file"]["size"].as_u64().unwrap();
        assert!(size > 7, "{part}");
        let whole = agent.read(&stdout, 0, None).await.json();
        let bytes = |answer: &Value| STANDARD.decode(answer["read_file"]["data"].as_str().unwrap());
        assert_eq!(bytes(&part).unwrap(), bytes(&whole).unwrap()[2..7]);
    }
    let beyond = agent.read(&stdout, 1 << 40, Some(5)).await.json();
    assert_eq!(beyond["read_file"]["data"], "");
    // Of a file nothing is listed, and a directory is not read.
    let listed = agent.list(&stdout).await.json();
    assert!(
        listed["list_files"]
            .get("file_infos")
            .is_none_or(|list| *list == json!([]))
    );
    let read = agent.read(&sandbox, 0, None).await;
    assert_eq!(
        (read.status, read.text()),
        (400, "Cannot read a directory.\n")
    );
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_is_in_no_sandbox_is_not_shown() {
    let cluster = Cluster::start().await;
    let master = cluster.address();
    let slaves = get(&master, "/slaves").await.json();
    let id = slaves["slaves"][0]["id"].as_str().unwrap();
    let agent = Agent::of(&master, id).await;
    for path in [
        "",
        "/",
        "/nothing",
        "/tmp",
        "/frameworks",
        "/etc/passwd",
        "slave",
    ] {
        for answer in [agent.list(path).await, agent.read(path, 0, None).await] {
            assert_eq!((answer.status, answer.text()), (404, ""), "{path}");
        }
    }
    let of_master = Agent {
        address: master,
        path: "/api/v1".to_owned(),
    };
    for (api, name) in [(&agent, "agent"), (&of_master, "master")] {
        assert_eq!(api.list("/nothing").await.status, 404);
        for (call, field) in [("LIST_FILES", "list_files"), ("READ_FILE", "read_file")] {
            let answer = api.call(json!({ "type": call })).await;
            let text =
                format!("Failed to validate {name}::Call: Expecting '{field}' to be present");
            assert_eq!((answer.status, answer.text()), (400, text.as_str()));
        }
        let level = api
            .call(json!({ "type": "GET_LOGGING_LEVEL" }))
            .await
            .json();
        assert_eq!(level["get_logging_level"]["level"], 0);
    }
    cluster.shutdown().await;
}
