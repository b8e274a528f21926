//! Launches of which nobody knows whether they were carried out.

use std::time::Duration;

use mesos_framework::Outcome;
use mesos_framework::proto::{TaskId, TaskState};

use crate::cluster::{Agents, OwnCluster};
use crate::executor_role::RUN;
use crate::framework::{
    Framework, PATIENCE, info, reconciliation, refuse_for_good, task as task_of,
};
use crate::hangs::Proxy;
use crate::operator::Api;
use crate::recorder::Callback;
use crate::support::{SOON, outcome};

/// As long as the driver asks more than once.
const SILENCE: Duration = Duration::from_millis(2500);

/// Waits until the master knows of the task.
async fn launched(address: &str, task_id: &TaskId) {
    let api = Api::of_master(address);
    let known = async {
        while !api
            .ask("GET_TASKS")
            .await
            .to_string()
            .contains(&task_id.value)
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, known)
        .await
        .expect("it is launched");
}

#[tokio::test]
async fn a_launch_in_doubt_is_asked_for_until_the_agent_is_back_after_the_master() {
    let mut cluster = OwnCluster::with(Agents::Mortal).await;
    let proxy = Proxy::to(cluster.address()).await;
    let mut framework = Framework::register_with(&proxy.address, info("doubts"), |builder| {
        builder.backoff(SOON)
    })
    .await;
    let offer = framework.offer().await;
    let task = task_of("doubtful", RUN, &offer);
    // The connection of the calls is known to work, so that the launch leaves at once.
    let revived = framework.handle.revive_offers(Vec::new()).await.unwrap();
    assert!(outcome(revived).await.is_accepted());
    proxy.mute();
    let tasks = vec![task.clone()];
    let launch = framework
        .handle
        .launch_tasks(vec![offer.id], tasks, refuse_for_good());
    let receipt = launch.await.unwrap();
    launched(&cluster.address(), &task.task_id).await;
    cluster.kill_agent(0);
    cluster.kill_master();
    let outcome = tokio::time::timeout(PATIENCE, receipt.outcome()).await;
    assert!(matches!(outcome, Ok(Outcome::Unknown(_))), "{outcome:?}");
    proxy.forward();
    cluster.restart_master().await;
    framework
        .until("reregistered", |callback| {
            matches!(callback, Callback::Reregistered).then_some(())
        })
        .await;
    let subscribed = framework.handle.connection().state;
    // A master says nothing of agents that it waits for.
    let is_status = |callback: &Callback| matches!(callback, Callback::Status(_));
    assert!(framework.is_without(SILENCE, is_status).await);
    cluster.start_agent(0).await;
    let status = framework.until("the answer", reconciliation).await;
    assert_eq!(
        (&status.task_id, status.state()),
        (&task.task_id, TaskState::TaskGone)
    );
    assert_eq!(
        status.message(),
        "Reconciliation: Task is unknown to the agent"
    );
    assert_eq!(framework.handle.connection().state, subscribed);
    framework.teardown().await;
    cluster.shutdown().await;
}
