//! Statuses of tasks: order, acknowledgement, reconciliation.

use std::collections::{BTreeMap, BTreeSet};

use mesos_framework::proto::{
    FrameworkInfo, TaskId, TaskInfo, TaskState, TaskStatus,
    task_status::{Reason, Source},
};

use crate::cluster::Cluster;
use crate::executor_role::{FINISH, RUN, executor, updates};
use crate::framework::{Framework, QUIET, info, is_live, reconciliation, scalar, task};
use crate::recorder::Callback;

/// Each update of a task until it ends, repeated ones once.
async fn updates_of(framework: &mut Framework, task_id: &TaskId) -> Vec<TaskStatus> {
    let mut seen = Vec::new();
    let mut uuids = BTreeSet::new();
    loop {
        let status = framework.status(task_id).await;
        let is_last = !is_live(status.state());
        if uuids.insert(status.uuid.clone()) {
            seen.push(status);
        }
        if is_last {
            return seen;
        }
    }
}

#[tokio::test]
async fn updates_come_in_order_and_say_where_they_come_from() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("order")).await;
    let offer = framework.offer().await;
    let task = task("ordered", updates(20), &offer);
    framework.launch(offer.clone(), vec![task.clone()]).await;
    let updates = updates_of(&mut framework, &task.task_id).await;

    let states: Vec<_> = updates.iter().map(TaskStatus::state).collect();
    assert_eq!(
        states[..2],
        [TaskState::TaskStarting, TaskState::TaskRunning]
    );
    assert_eq!(states[2..22], [TaskState::TaskRunning; 20]);
    assert_eq!(states[22..], [TaskState::TaskFinished]);
    let messages: Vec<_> = updates[2..22].iter().map(TaskStatus::message).collect();
    let expected: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(messages, expected);
    for status in &updates {
        assert_eq!(status.source(), Source::Executor);
        assert_eq!(status.uuid().len(), 16);
        assert_eq!(status.agent_id, Some(offer.agent_id.clone()));
        assert_eq!(status.executor_id, Some("executor of ordered".into()));
        assert!(status.timestamp() > 0.0);
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn acknowledging_is_implicit() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("implicit")).await;
    let offer = framework.offer().await;
    let task = task("acknowledged", FINISH, &offer);
    framework.launch(offer, vec![task.clone()]).await;
    framework
        .comes_to(&task.task_id, TaskState::TaskFinished)
        .await;
    // Once its last update is acknowledged, the master knows nothing more of a task.
    while framework.reconciled(&task.task_id).await.state() == TaskState::TaskFinished {}
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn the_next_update_waits_for_an_explicit_acknowledgement() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register_with(&cluster.address(), info("explicit"), |builder| {
        builder.explicit_acknowledgements()
    })
    .await;
    let offer = framework.offer().await;
    let task = task("explicit", FINISH, &offer);
    framework.launch(offer, vec![task.clone()]).await;
    for state in [
        TaskState::TaskStarting,
        TaskState::TaskRunning,
        TaskState::TaskFinished,
    ] {
        let status = framework.status(&task.task_id).await;
        assert_eq!(status.state(), state);
        if state == TaskState::TaskRunning {
            let uuid = status.uuid.clone();
            let comes_too_early = move |callback: &Callback| matches!(callback, Callback::Status(status) if status.uuid != uuid);
            assert!(framework.is_without(QUIET, comes_too_early).await);
        }
        let receipt = framework
            .handle
            .acknowledge_status_update(&status)
            .await
            .unwrap();
        let receipt = receipt.expect("it has an uuid");
        assert!(receipt.outcome().await.is_accepted());
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn reconciliation_tells_the_latest_state() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("reconciled")).await;
    let task = framework.run("known", RUN).await;
    let known = framework.reconciled(&task.task_id).await;
    assert_eq!(known.state(), TaskState::TaskRunning);
    assert_eq!(known.agent_id, Some(task.agent_id));
    assert_eq!(known.message(), "Reconciliation: Latest task state");
    let unknown = framework.reconciled(&"unknown".into()).await;
    assert_eq!(unknown.state(), TaskState::TaskUnknown);
    assert_eq!(unknown.message(), "Reconciliation: Task is unknown");
    for status in [known, unknown] {
        assert_eq!(status.source(), Source::Master);
        assert_eq!(status.reason(), Reason::Reconciliation);
        assert!(status.uuid.is_none());
        let receipt = framework
            .handle
            .acknowledge_status_update(&status)
            .await
            .unwrap();
        assert!(receipt.is_none(), "answers need no acknowledgement");
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn reconciliation_of_a_task_that_its_agent_does_not_know() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("absent")).await;
    let offer = framework.offer().await;
    let asked = vec![("absent".into(), Some(offer.agent_id.clone()))];
    framework.handle.reconcile_tasks(asked).await.unwrap();
    let status = framework.until("the answer", reconciliation).await;
    assert_eq!(status.state(), TaskState::TaskGone);
    assert_eq!(
        status.message(),
        "Reconciliation: Task is unknown to the agent"
    );
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn reconciliation_of_everything_tells_all_tasks() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("everything")).await;
    let offer = framework.offer().await;
    let ids = ["one", "two", "three"];
    let tasks = ids.map(|id| TaskInfo {
        executor: Some(executor("all")),
        ..task(id, RUN, &offer)
    });
    framework.launch(offer, tasks.to_vec()).await;
    let mut running = BTreeSet::new();
    let mut all_run = |callback: &Callback| match callback {
        Callback::Status(status) if status.state() == TaskState::TaskRunning => {
            running.insert(status.task_id.value.clone());
            (running.len() == ids.len()).then_some(())
        }
        _ => None,
    };
    framework.until("three running tasks", &mut all_run).await;
    framework.handle.reconcile_tasks(Vec::new()).await.unwrap();
    let mut answers = BTreeMap::new();
    framework
        .until("three answers", |callback| {
            let status = reconciliation(callback)?;
            answers.insert(status.task_id.value.clone(), status.state());
            (answers.len() == ids.len()).then_some(())
        })
        .await;
    let expected = ids.map(|id| (id.to_owned(), TaskState::TaskRunning));
    assert_eq!(answers, expected.into());
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn of_two_hundred_tasks_each_finishes_once() {
    const TASKS: usize = 200;
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("many")).await;
    let offer = framework.offer().await;
    let tasks = (0..TASKS).map(|number| TaskInfo {
        resources: vec![scalar("cpus", 0.001), scalar("mem", 0.5)],
        executor: Some(executor("many")),
        ..task(&format!("task {number}"), FINISH, &offer)
    });
    framework.launch(offer.clone(), tasks.collect()).await;
    let mut finished = BTreeMap::<_, BTreeSet<_>>::new();
    framework
        .until("two hundred finished tasks", |callback| {
            if let Callback::Status(status) = callback {
                assert!(
                    matches!(
                        status.state(),
                        TaskState::TaskStarting | TaskState::TaskRunning | TaskState::TaskFinished
                    ),
                    "{status:?}"
                );
                if status.state() == TaskState::TaskFinished {
                    let uuids = finished.entry(status.task_id.value.clone()).or_default();
                    uuids.insert(status.uuid.clone());
                }
            }
            (finished.len() == TASKS).then_some(())
        })
        .await;
    assert!(finished.values().all(|uuids| uuids.len() == 1));
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn frameworks_that_know_no_partitions_are_told_of_lost_tasks() {
    let cluster = Cluster::start().await;
    let plain = FrameworkInfo {
        roles: Vec::new(),
        capabilities: Vec::new(),
        ..info("plain")
    };
    let mut framework = Framework::register(&cluster.address(), plain).await;
    let unknown = framework.reconciled(&"unknown".into()).await;
    assert_eq!(unknown.state(), TaskState::TaskLost);

    let offer = framework.offer().await;
    assert!(offer.allocation_info.is_none());
    let mut resources = offer.resources.iter();
    assert!(resources.all(|resource| resource.allocation_info.is_none()));
    let one = task("one", FINISH, &offer);
    let other = task("other", FINISH, &offer);
    framework.launch(offer.clone(), vec![one.clone()]).await;
    framework.launch(offer, vec![other.clone()]).await;
    let mut ends = BTreeMap::new();
    framework
        .until("both tasks' ends", |callback| {
            if let Callback::Status(status) = callback
                && !is_live(status.state())
            {
                ends.insert(status.task_id.value.clone(), status.state());
            }
            (ends.len() == 2).then_some(())
        })
        .await;
    assert_eq!(ends["one"], TaskState::TaskFinished);
    assert_eq!(ends["other"], TaskState::TaskLost);
    framework.teardown().await;
    cluster.shutdown().await;
}
