//! The toolkit's reconciler asks real masters.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesos_framework::proto::TaskState;
use mesos_framework::toolkit::{Reconciler, TaskTracker};
use mesos_framework::{ErrorKind, FrameworkRemoval, SchedulerDriver};

use crate::agents::checkpointing;
use crate::cluster::{Agents, Cluster, OwnCluster};
use crate::executor_role::RUN;
use crate::framework::{Starting, info};
use crate::recorder::Callback;
use crate::tools_rig::{Equipped, SOON, Tools, soon};

#[tokio::test]
async fn a_new_scheduler_settles_and_finds_tasks_that_it_did_not_know() {
    let cluster = Cluster::start().await;
    let mut first = Equipped::register(&cluster.address(), info("finds")).await;
    first.run("known", RUN).await;
    first.run("unknown", RUN).await;
    let known = first.tools.tracker.get(&"known".into()).unwrap();
    let info = first.leave().await;

    // It knows of one of them, and of one that there never was.
    let list = vec![
        ("known".into(), known.agent_id.clone()),
        ("never".into(), known.agent_id.clone()),
    ];
    let list = Arc::new(Mutex::new(list));
    let source = Arc::clone(&list);
    let reconciler = Reconciler::builder(move || source.lock().unwrap().clone());
    let tools = Tools {
        reconciler: reconciler.backoff(SOON).build(),
        ..Tools::new(TaskTracker::new())
    };
    let second = Equipped::register_with(&cluster.address(), info, tools).await;
    second.settled().await;
    let progress = second.tools.reconciler.progress();
    assert_eq!(
        (progress.asked, progress.unanswered, progress.rounds),
        (2, 0, 1)
    );
    // The answers to the implicit question may still be on their way.
    second
        .comes_to(&"unknown".into(), TaskState::TaskRunning)
        .await;
    assert_eq!(second.counts(TaskState::TaskRunning), (2, 2));
    second.framework.teardown().await;
    let ended = second.tools.reconciler.settled();
    let error = soon("the driver's end", ended).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotRunning);
    cluster.shutdown().await;
}

#[tokio::test]
async fn after_a_master_s_death_it_asks_until_the_agents_are_back() {
    let mut cluster = OwnCluster::with(Agents::Two).await;
    let mut own = Equipped::register(&cluster.address(), checkpointing("asks")).await;
    own.settled().await;
    let tasks = [own.run("one", RUN).await, own.run("two", RUN).await];
    cluster.kill_master();
    own.framework
        .until("disconnected", |callback| {
            matches!(callback, Callback::Disconnected).then_some(())
        })
        .await;
    assert!(!own.tools.reconciler.progress().is_settled);
    cluster.restart_master().await;
    own.framework
        .until("reregistered", |callback| {
            matches!(callback, Callback::Reregistered).then_some(())
        })
        .await;
    own.settled().await;
    let progress = own.tools.reconciler.progress();
    assert_eq!((progress.asked, progress.unanswered), (2, 0));
    println!("settled after {} attempts", progress.attempts);
    for task in tasks {
        own.comes_to(&task.task_id, TaskState::TaskRunning).await;
        own.killed(&task).await;
    }
    own.framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_task_on_an_unreachable_agent_is_answered_too() {
    let mut cluster = OwnCluster::with(Agents::One).await;
    let mut own = Equipped::register(&cluster.address(), checkpointing("unreachable")).await;
    let task = own.run("away", RUN).await;
    cluster.partition_agent(0);
    own.comes_to(&task.task_id, TaskState::TaskUnreachable)
        .await;
    own.tools.reconciler.reconcile_now();
    own.settled().await;
    assert_eq!(own.counts(TaskState::TaskUnreachable), (1, 1));
    cluster.heal_agent(0);
    own.comes_to(&task.task_id, TaskState::TaskRunning).await;
    own.framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn rounds_are_repeated_now_and_then() {
    let cluster = Cluster::start().await;
    let often = Duration::from_millis(100);
    let tools = Tools::with(
        TaskTracker::new(),
        |reconciler| reconciler.interval(often),
        |killer| killer,
    );
    let mut own = Equipped::register_with(&cluster.address(), info("often"), tools).await;
    own.run("asked-for", RUN).await;
    let begun = own.tools.reconciler.progress().rounds;
    let rounds = async {
        while own.tools.reconciler.progress().rounds < begun + 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("three rounds", rounds).await;
    assert_eq!(own.counts(TaskState::TaskRunning), (1, 1));
    own.framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn tasks_of_a_removed_framework_are_not_asked_for() {
    let cluster = Cluster::start().await;
    let mut first = Equipped::register(&cluster.address(), info("removed")).await;
    first.run("killed-by-teardown", RUN).await;
    let tracker = first.tools.tracker.clone();
    let info = {
        let info = first.framework.info.clone();
        let id = first.framework.id.clone();
        first.framework.teardown().await;
        mesos_framework::proto::FrameworkInfo {
            id: Some(id),
            ..info
        }
    };
    let tools = Tools::new(tracker);
    let starting = Starting::new(info, |scheduler, info| {
        let scheduler = mesos_framework::toolkit::Observed::new(scheduler)
            .observer(tools.tracker.clone())
            .observer(tools.reconciler.clone());
        let builder = SchedulerDriver::builder(scheduler, info, &cluster.address());
        builder.framework_removal(FrameworkRemoval::RegisterAnew)
    });
    let mut starting = starting.unwrap();
    let settled = soon("reconciliation", tools.reconciler.settled());
    settled.await.unwrap();
    let task = tools.tracker.get(&"killed-by-teardown".into()).unwrap();
    assert_eq!(task.state, TaskState::TaskKilled, "{task:?}");
    assert_eq!(tools.reconciler.progress().asked, 0);
    starting.driver.handle().stop();
    soon("the driver's end", starting.driver.join())
        .await
        .unwrap();
    cluster.shutdown().await;
}
