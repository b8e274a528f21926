//! Through a proxy of the environment, which is that of a process of its own.

use std::process::Command;

use mesos_framework::proto::TaskState;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::executor_role::RUN;
use crate::framework::{Framework, info};

/// Set where this program is run behind the proxy.
const INSIDE: &str = "MESOS_TEST_BEHIND_PROXY";

/// A name that nobody resolves: what gets there went through the proxy.
const MASTER: &str = "http://master.invalid:5050";

#[tokio::test]
async fn subscription_and_calls_go_through_a_proxy_of_the_environment_if_wanted() {
    if std::env::var_os(INSIDE).is_some() {
        return run().await;
    }
    let cluster = Cluster::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let behind = cluster.address();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            // Requests name the master whole, which masters understand as well.
            let (mut front, _) = listener.accept().await.unwrap();
            let mut back = TcpStream::connect(&behind).await.unwrap();
            connections.spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut front, &mut back).await;
            });
        }
    });
    let own = std::env::current_exe().unwrap();
    let test = "proxy::subscription_and_calls_go_through_a_proxy_of_the_environment_if_wanted";
    let child = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(own);
        command.args(["--exact", test, "--nocapture"]);
        command.env(INSIDE, "1").env("http_proxy", proxy);
        command.env_remove("no_proxy").env_remove("NO_PROXY");
        command.env_remove("MESOS_CONFORMANCE");
        command.output().unwrap()
    });
    let output = child.await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
    cluster.shutdown().await;
}

async fn run() {
    let mut framework = Framework::register_with(MASTER, info("proxied"), |builder| {
        builder.proxy_from_environment()
    })
    .await;
    let task = framework.run("t", RUN).await;
    let mut receipts = Vec::new();
    for _ in 0..10 {
        receipts.push(framework.handle.suppress_offers(Vec::new()).await.unwrap());
        receipts.push(framework.handle.revive_offers(Vec::new()).await.unwrap());
    }
    for receipt in receipts {
        assert!(receipt.outcome().await.is_accepted());
    }
    framework
        .handle
        .kill_task(task.task_id.clone(), None)
        .await
        .unwrap();
    framework
        .comes_to(&task.task_id, TaskState::TaskKilled)
        .await;
    framework.teardown().await;
}
