//! Agents that give their executors tokens, and ask for them. (The tests' real agents cannot.)

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use mesos_framework::proto::TaskState;
use mesos_framework::proto::executor::{Call, call};
use prost::Message as _;

use crate::cluster;
use crate::command_rig::{Rig, shell, states};
use crate::executor_role::{FINISH, RUN, START};
use crate::framework::{Framework, info};
use crate::http::{Answer, request};

const KEY: &str = "the-key-of-the-agents";
const TOKEN: &str = "MESOS_EXECUTOR_AUTHENTICATION_TOKEN";

/// The environment of an executor.
type Environment = BTreeMap<String, String>;

/// A cluster that runs two executors, and what they were told.
async fn two_executors() -> (
    mesos_framework::local::LocalCluster,
    Framework,
    [Environment; 2],
) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&seen);
    let builder = cluster::local().executor_tokens(KEY);
    let builder = builder.executor_factory(move |launch| {
        keep.lock().unwrap().push(launch.environment.clone());
        None
    });
    let cluster = builder.start().await.unwrap();
    let mut framework = Framework::register(&cluster.master_address(), info("tokens")).await;
    framework.run("one", RUN).await;
    framework.run("two", RUN).await;
    let environments = seen.lock().unwrap().clone();
    (cluster, framework, environments.try_into().unwrap())
}

/// What the agent answers to a MESSAGE of the executor with this environment, under this `Authorization`.
async fn ask(executor: &Environment, authorization: Option<&str>) -> Answer {
    let call = Call {
        executor_id: executor["MESOS_EXECUTOR_ID"].as_str().into(),
        framework_id: executor["MESOS_FRAMEWORK_ID"].as_str().into(),
        r#type: Some(call::Type::Message as i32),
        message: Some(call::Message {
            data: bytes::Bytes::from_static(b"hello"),
        }),
        ..Call::default()
    };
    let mut headers = vec![("Content-Type", "application/x-protobuf")];
    headers.extend(authorization.map(|value| ("Authorization", value)));
    let address = &executor["MESOS_AGENT_ENDPOINT"];
    let path = "/slave(1)/api/v1/executor";
    request(address, "POST", path, &headers, &call.encode_to_vec()).await
}

#[tokio::test]
async fn an_executor_with_its_token_works_as_ever() {
    let (cluster, mut framework, [one, _]) = two_executors().await;
    let token = format!("Bearer {}", one[TOKEN]);
    assert_eq!(ask(&one, Some(&token)).await.status, 202);
    let offer = framework.offer().await;
    let task = crate::framework::task("three", FINISH, &offer);
    framework.launch(offer, vec![task.clone()]).await;
    framework
        .comes_to(&task.task_id, TaskState::TaskFinished)
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn calls_without_the_executors_own_token_are_refused() {
    let (cluster, framework, [one, two]) = two_executors().await;
    let none = ask(&one, None).await;
    assert_eq!(none.status, 401);
    let realm = "Bearer realm=\"mesos-agent-executor\"";
    assert_eq!(none.header("www-authenticate"), Some(realm));
    let nonsense = ask(&one, Some("Bearer a.b.c")).await;
    assert_eq!(nonsense.status, 401);
    let challenge = nonsense.header("www-authenticate").unwrap();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    let foreign = format!("Bearer {}", two[TOKEN]);
    assert_eq!(ask(&one, Some(&foreign)).await.status, 403);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_an_executor_starts_does_not_see_its_token() {
    let mut rig = Rig::embedded(info("tokens-of-commands"), |cluster| {
        cluster.executor_tokens(KEY)
    })
    .await;
    let task_id = rig.launch(shell("env > seen; ! grep TOKEN seen")).await;
    let statuses = rig.until_its_end(&task_id).await;
    assert_eq!(states(&statuses).last(), Some(&TaskState::TaskFinished));
    assert!(
        rig.text_of("seen").contains("MESOS_"),
        "{}",
        rig.text_of("seen")
    );
    rig.end().await;
}

#[tokio::test]
async fn what_a_users_executor_starts_does_not_see_its_token() {
    let cluster = cluster::local().executor_tokens(KEY).start().await.unwrap();
    let mut framework = Framework::register(&cluster.master_address(), info("child")).await;
    let offer = framework.offer().await;
    let task = crate::framework::task("parent", START, &offer);
    framework.launch(offer, vec![task.clone()]).await;
    let finished = TaskState::TaskFinished;
    let status = framework.comes_to(&task.task_id, finished).await;
    let mut words = status.message().split(' ');
    assert_eq!(words.next(), Some("true"), "the executor has a token");
    assert_eq!(words.next(), Some("false"), "its child sees it");
    let names: Vec<_> = words.collect();
    assert!(names.contains(&"MESOS_SANDBOX"), "{names:?}");
    assert!(!names.contains(&TOKEN), "{names:?}");
    framework.teardown().await;
    cluster.shutdown().await;
}
