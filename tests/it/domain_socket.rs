//! Agents' Unix sockets for executors. (The tests' real agents cannot have any: the host of them takes no socket.)
#![cfg(unix)]

use std::time::Duration;

use mesos_framework::local::LocalCluster;
use mesos_framework::proto::TaskState;
use mesos_framework::{Error, ErrorKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::framework::{Framework, info};
use crate::peer::within;

fn directory() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("socket-{}", uuid::Uuid::new_v4().simple()))
}

async fn cluster(directory: &std::path::Path) -> Result<LocalCluster, Error> {
    let builder = crate::cluster::local()
        .agents(2)
        .allocation_interval(Duration::from_millis(50))
        .work_directory(directory.to_path_buf())
        .executor_domain_sockets();
    builder.start().await
}

/// The status line that the socket answers to a request of this method and path.
async fn answer(socket: &std::path::Path, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let head = format!("{request} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_executor_works_over_the_agents_domain_socket() {
    let directory = directory();
    let (seen, mut launches) = tokio::sync::mpsc::channel(1);
    let cluster = crate::cluster::local()
        .allocation_interval(Duration::from_millis(50))
        .work_directory(directory.clone())
        .executor_domain_sockets()
        .executor_factory(move |launch| {
            let _ = seen.try_send(launch.environment["MESOS_DOMAIN_SOCKET"].clone());
            None
        });
    let cluster = cluster.start().await.unwrap();
    let mut framework = Framework::register(&cluster.master_address(), info("socket")).await;
    // The executor is a program, on the driver of this crate.
    let task = framework
        .run("over-a-socket", crate::executor_role::RUN)
        .await;
    let socket = within("the launch", launches.recv()).await.unwrap();
    assert_eq!(
        socket,
        directory
            .join("agents/0/run/agent.sock")
            .display()
            .to_string()
    );
    // Its standing there is of the socket alone: TCP would have been used without the variable.
    let kill = framework.handle.kill_task(task.task_id.clone(), None);
    kill.await.unwrap();
    framework
        .comes_to(&task.task_id, TaskState::TaskKilled)
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn only_the_apis_are_there_over_a_domain_socket() {
    let directory = directory();
    let cluster = cluster(&directory).await.unwrap();
    let socket = |index: usize| directory.join(format!("agents/{index}/run/agent.sock"));
    let first = socket(0);
    let forbidden = "HTTP/1.1 403 Forbidden";
    for path in [
        "/health",
        "/slave(1)/health",
        "/api/v1",
        "/api/v1/executor",
        "/slave(2)/api/v1",
    ] {
        assert_eq!(
            answer(&first, &format!("GET {path}")).await,
            forbidden,
            "{path}"
        );
    }
    let not_allowed = "HTTP/1.1 405 Method Not Allowed";
    for path in ["/slave(1)/api/v1", "/slave(1)/api/v1/executor"] {
        assert_eq!(
            answer(&first, &format!("GET {path}")).await,
            not_allowed,
            "{path}"
        );
    }
    assert_eq!(
        answer(&socket(1), "GET /slave(2)/api/v1").await,
        not_allowed
    );
    cluster.shutdown().await;
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn a_socket_of_an_earlier_cluster_is_replaced() {
    let directory = directory();
    cluster(&directory).await.unwrap().shutdown().await;
    cluster(&directory).await.unwrap().shutdown().await;
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn a_path_that_does_not_fit_into_a_socket_address_is_refused() {
    let directory = directory();
    let deep = directory.join("d".repeat(100));
    let error = cluster(&deep).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error
            .to_string()
            .contains("must have less than 108 characters."),
        "{error}"
    );
    std::fs::remove_dir_all(directory).unwrap();
}
