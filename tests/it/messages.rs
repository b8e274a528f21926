//! Messages between schedulers and executors.

use bytes::Bytes;
use mesos_framework::proto::TaskInfo;

use crate::cluster::Cluster;
use crate::executor_role::RUN;
use crate::framework::{Framework, info};
use crate::recorder::Callback;

/// Sends bytes to the executor of `task`, which sends them back.
async fn echoes(framework: &mut Framework, task: &TaskInfo, data: Bytes) {
    let executor_id = task.executor.clone().unwrap().executor_id;
    let sent = framework
        .handle
        .send_framework_message(executor_id.clone(), task.agent_id.clone(), data.clone())
        .await
        .unwrap();
    assert!(sent.outcome().await.is_accepted());
    let (from, agent_id, echo) = framework
        .until("the echo", |callback| match callback {
            Callback::Message(from, agent_id, data) => {
                Some((from.clone(), agent_id.clone(), data.clone()))
            }
            _ => None,
        })
        .await;
    assert_eq!((from, agent_id), (executor_id, task.agent_id.clone()));
    assert!(
        echo == data,
        "{} bytes came back of {}",
        echo.len(),
        data.len()
    );
}

#[tokio::test]
async fn messages_go_both_ways_as_they_are() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("messages")).await;
    let task = framework.run("echo", RUN).await;
    echoes(&mut framework, &task, Bytes::from_static(b"hello")).await;
    echoes(&mut framework, &task, (0..=255).collect()).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn messages_may_be_large() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("large-messages")).await;
    let task = framework.run("echo", RUN).await;
    for size in [16 << 10, 1 << 20] {
        let data: Bytes = (0..size).map(|at: usize| (at % 251) as u8).collect();
        echoes(&mut framework, &task, data).await;
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_message_to_nobody_is_taken_and_lost() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("nobody")).await;
    let offer = framework.offer().await;
    let sent = framework
        .handle
        .send_framework_message("nobody".into(), offer.agent_id, "hello")
        .await
        .unwrap();
    assert!(sent.outcome().await.is_accepted());
    framework.teardown().await;
    cluster.shutdown().await;
}
