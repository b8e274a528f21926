//! One scheduler after another under the same id.

use mesos_framework::proto::{FrameworkInfo, TaskState};
use mesos_framework::{ErrorKind, Status};

use crate::cluster::Cluster;
use crate::executor_role::RUN;
use crate::framework::{Framework, PATIENCE, info};
use crate::recorder::Callback;

fn same_framework(first: &Framework) -> FrameworkInfo {
    FrameworkInfo {
        id: Some(first.id.clone()),
        ..first.info.clone()
    }
}

#[tokio::test]
async fn the_last_scheduler_wins_and_sees_the_tasks() {
    let cluster = Cluster::start().await;
    let mut first = Framework::register(&cluster.address(), info("failover")).await;
    let task = first.run("heirloom", RUN).await;

    let mut second = Framework::register(&cluster.address(), same_framework(&first)).await;
    assert_eq!(second.id, first.id);
    let ended = tokio::time::timeout(PATIENCE, first.driver.join())
        .await
        .unwrap();
    let error = ended.expect_err("the first scheduler is out");
    assert_eq!(error.kind(), ErrorKind::ErrorEvent);
    let expected = format!("master {} says: Framework failed over", cluster.address());
    assert_eq!(error.to_string(), expected);
    assert_eq!(first.handle.status(), Status::Aborted);
    let last = first.recording.rest().pop();
    assert!(
        matches!(&last, Some(Callback::Error(error)) if error.to_string() == expected),
        "{last:?}"
    );

    assert_eq!(
        second.reconciled(&task.task_id).await.state(),
        TaskState::TaskRunning
    );
    second
        .handle
        .kill_task(task.task_id.clone(), None)
        .await
        .unwrap();
    second.comes_to(&task.task_id, TaskState::TaskKilled).await;
    second.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn tasks_outlive_a_stop_for_failover() {
    let cluster = Cluster::start().await;
    let mut first = Framework::register(&cluster.address(), info("handover")).await;
    let task = first.run("handed-over", RUN).await;
    first.handle.stop_for_failover();
    assert_eq!(first.driver.join().await.unwrap(), Status::Stopped);

    let mut second = Framework::register(&cluster.address(), same_framework(&first)).await;
    assert_eq!(second.id, first.id);
    assert_eq!(
        second.reconciled(&task.task_id).await.state(),
        TaskState::TaskRunning
    );
    second.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_update_that_nobody_acknowledged_comes_to_the_next_scheduler() {
    let cluster = Cluster::start().await;
    let mut first = Framework::register_with(&cluster.address(), info("unread"), |builder| {
        builder.explicit_acknowledgements()
    })
    .await;
    let offer = first.offer().await;
    let task = crate::framework::task("unread", RUN, &offer);
    first.launch(offer, vec![task.clone()]).await;
    let unread = first.status(&task.task_id).await;
    first.handle.stop_for_failover();
    first.driver.join().await.unwrap();

    // The master tells the agents of the new scheduler, and they send again at once what is not acknowledged
    // (`Slave::updateFramework`, `src/slave/slave.cpp`, Apache Mesos 1.11.0).
    let mut second = Framework::register(&cluster.address(), same_framework(&first)).await;
    let again = second.status(&task.task_id).await;
    assert_eq!(
        (again.uuid, again.timestamp),
        (unread.uuid, unread.timestamp)
    );
    second.comes_to(&task.task_id, TaskState::TaskRunning).await;
    second.teardown().await;
    cluster.shutdown().await;
}
