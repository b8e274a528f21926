//! The cluster over its real wire.
#![cfg(unix)]

mod client;
mod refusals;

use std::path::{Path, PathBuf};
use std::time::Duration;

use client::{Executor, Scheduler, call, framework, subscribe, task};

use super::LocalCluster;
use crate::proto::offer::{Operation, operation};
use crate::proto::scheduler::call;
use crate::proto::task_status::{Reason, Source};
use crate::proto::{Offer, TaskState, executor};
use crate::resources::Resources;

/// An executor that does nothing by itself: the test speaks for it.
const SLEEP: &str = "exec sleep 1000";

async fn cluster() -> LocalCluster {
    LocalCluster::builder()
        .allocation_interval(Duration::from_millis(50))
        .update_retry_interval(Duration::from_millis(100))
        .executor_shutdown_grace_period(Duration::from_millis(200))
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn an_executor_that_exits_fails_its_task_and_is_reported() {
    let cluster = cluster().await;
    let mut scheduler = Scheduler::start(&cluster.master_address(), &framework()).await;
    let heartbeat = scheduler.events.next().await.unwrap();
    assert_eq!(heartbeat.r#type().as_str_name(), "HEARTBEAT");
    let offer = scheduler.offer().await;
    assert_eq!(offer.hostname, "localhost");
    assert_eq!(offer.allocation_info.as_ref().unwrap().role(), "web");
    let command = "test \"$MESOS_EXECUTOR_ID\" = executor && test -z \"$HOME\" && exit 5";
    scheduler
        .launch(&offer, vec![task(&offer, "t1", command)])
        .await;
    let failure = scheduler.failure().await;
    assert_eq!(failure.status, Some(5 << 8));
    let status = scheduler.update().await;
    assert_eq!(status.state(), TaskState::TaskFailed);
    assert_eq!(status.reason(), Reason::ExecutorTerminated);
    assert_eq!(status.source(), Source::Agent);
    assert_eq!(status.message(), "Executor terminated");
    scheduler.acknowledge(&status).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn updates_are_delivered_until_acknowledged_one_at_a_time() {
    let cluster = cluster().await;
    let mut scheduler = Scheduler::start(&cluster.master_address(), &framework()).await;
    let offer = scheduler.offer().await;
    scheduler
        .launch(&offer, vec![task(&offer, "t1", SLEEP)])
        .await;
    let mut executor = Executor::start(&cluster.agent_addresses()[0], &scheduler.id).await;
    let launched = executor.events.find(|event| event.launch.clone()).await;
    assert_eq!(launched.task.task_id.value, "t1");
    assert_eq!(
        executor.update("t1", TaskState::TaskRunning).await.status,
        202
    );
    assert_eq!(
        executor.update("t1", TaskState::TaskFinished).await.status,
        202
    );
    executor
        .events
        .find(|event| event.acknowledged.clone())
        .await;
    let running = scheduler.update().await;
    assert_eq!(running.state(), TaskState::TaskRunning);
    assert!(running.container_status.is_some());
    let again = scheduler.update().await;
    assert_eq!((again.state, &again.uuid), (running.state, &running.uuid));
    scheduler.reconcile(Vec::new()).await;
    let is_reconciled = |event: &crate::proto::scheduler::Event| {
        let status = &event.update.as_ref()?.status;
        (status.reason() == Reason::Reconciliation && status.reason.is_some())
            .then(|| status.clone())
    };
    let latest = scheduler.events.find(is_reconciled).await;
    assert_eq!(latest.state(), TaskState::TaskFinished);
    scheduler.acknowledge(&running).await;
    let finished = scheduler
        .events
        .find(|event| {
            let status = &event.update.as_ref()?.status;
            (status.state() == TaskState::TaskFinished).then(|| status.clone())
        })
        .await;
    scheduler.acknowledge(&finished).await;
    let known = call::reconcile::Task {
        task_id: "t1".into(),
        agent_id: Some(offer.agent_id.clone()),
    };
    scheduler.reconcile(vec![known]).await;
    let gone = scheduler.events.find(is_reconciled).await;
    assert_eq!(gone.state(), TaskState::TaskGone);
    cluster.shutdown().await;
}

#[tokio::test]
async fn tasks_survive_the_master() {
    let cluster = cluster().await;
    let mut info = framework();
    let mut scheduler = Scheduler::start(&cluster.master_address(), &info).await;
    let offer = scheduler.offer().await;
    scheduler
        .launch(&offer, vec![task(&offer, "t1", SLEEP)])
        .await;
    let executor = Executor::start(&cluster.agent_addresses()[0], &scheduler.id).await;
    executor.update("t1", TaskState::TaskRunning).await;
    let running = scheduler.update().await;
    scheduler.acknowledge(&running).await;
    cluster.kill_master();
    while scheduler.events.next().await.is_some() {}
    cluster.restart_master().await.unwrap();
    info.id = Some(scheduler.id.clone());
    let mut scheduler = Scheduler::start(&cluster.master_address(), &info).await;
    assert_eq!(Some(&scheduler.id), info.id.as_ref());
    let offer = scheduler.offer().await;
    assert_eq!(offer.executor_ids, ["executor".into()]);
    scheduler.reconcile(Vec::new()).await;
    assert_eq!(scheduler.update().await.state(), TaskState::TaskRunning);
    executor.update("t1", TaskState::TaskFinished).await;
    let is_finished = |event: &crate::proto::scheduler::Event| {
        let status = &event.update.as_ref()?.status;
        (status.state() == TaskState::TaskFinished).then(|| status.clone())
    };
    let finished = scheduler.events.find(is_finished).await;
    scheduler.acknowledge(&finished).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn whoever_subscribes_last_has_the_framework_until_teardown() {
    let cluster = cluster().await;
    let master = cluster.master_address();
    let mut info = framework();
    let mut first = Scheduler::start(&master, &info).await;
    info.id = Some(first.id.clone());
    let mut second = Scheduler::start(&master, &info).await;
    let error = first.events.find(|event| event.error.clone()).await;
    assert_eq!(error.message, "Framework failed over");
    assert!(first.events.next().await.is_none());
    let stale = first.call(call(call::Type::Revive)).await;
    assert_eq!(stale.status, 400);
    assert!(stale.body.starts_with("The stream ID '"), "{}", stale.body);
    second.send(call(call::Type::Teardown)).await;
    while let Some(event) = second.events.next().await {
        assert!(event.error.is_none());
    }
    let after = second.call(call(call::Type::Revive)).await;
    assert_eq!(
        (after.status, after.body.as_str()),
        (400, "Framework cannot be found")
    );
    let (answer, mut events) = subscribe(&master, &info).await;
    assert_eq!(answer.status, 200);
    let removed = events.next().await.unwrap().error.unwrap();
    assert_eq!(removed.message, "Framework has been removed");
    assert!(events.next().await.is_none());
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_task_that_waits_for_its_executor_is_killed_by_the_agent() {
    let cluster = cluster().await;
    let mut scheduler = Scheduler::start(&cluster.master_address(), &framework()).await;
    let offer = scheduler.offer().await;
    scheduler
        .launch(&offer, vec![task(&offer, "t1", SLEEP)])
        .await;
    scheduler.kill("t1").await;
    let killed = scheduler.update().await;
    assert_eq!(killed.state(), TaskState::TaskKilled);
    assert_eq!(killed.reason(), Reason::TaskKilledDuringLaunch);
    let mut executor = Executor::start(&cluster.agent_addresses()[0], &scheduler.id).await;
    let first = executor.events.next().await.unwrap();
    assert_eq!(first.r#type(), executor::event::Type::Shutdown);
    // The sleeping process does not obey; signal 9 ends it.
    assert_eq!(scheduler.failure().await.status, Some(9));
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_launch_on_used_offers_is_dropped_and_invalid_tasks_are_errors() {
    let cluster = cluster().await;
    let mut scheduler = Scheduler::start(&cluster.master_address(), &framework()).await;
    let offer = scheduler.offer().await;
    let mut greedy = task(&offer, "greedy", SLEEP);
    greedy.resources = Resources::parse("cpus:100").unwrap().to_protos();
    let mut slashed = task(&offer, "a/b", SLEEP);
    slashed.executor = None;
    scheduler
        .launch(&offer, vec![greedy.clone(), slashed])
        .await;
    let error = scheduler.update().await;
    assert_eq!(error.state(), TaskState::TaskError);
    assert_eq!(
        error.message(),
        "Total resources cpus(allocated: web):100.1; mem(allocated: web):32 required by task and its executor is more \
         than available cpus(allocated: web):4; mem(allocated: web):4096; disk(allocated: web):8192; \
         ports(allocated: web):[31000-31999]"
    );
    assert!(error.uuid.is_none());
    let slashed = scheduler.update().await;
    assert_eq!(slashed.message(), "'a/b' contains invalid characters");
    scheduler.launch(&offer, vec![greedy]).await;
    let dropped = scheduler.update().await;
    assert_eq!(dropped.state(), TaskState::TaskDropped);
    assert_eq!(dropped.reason(), Reason::InvalidOffers);
    let why = format!(
        "Task launched with invalid offers: Offer {} is no longer valid",
        offer.id
    );
    assert_eq!(dropped.message(), why);
    cluster.shutdown().await;
}

/// Two tasks under the executor of the first.
fn group(scheduler: &Scheduler, offer: &Offer, disk: &str) -> Operation {
    let mut tasks = vec![task(offer, "t1", SLEEP), task(offer, "t2", SLEEP)];
    let mut executor = tasks[0].executor.take().unwrap();
    tasks[1].executor = None;
    executor.framework_id = Some(scheduler.id.clone());
    executor.r#type = Some(crate::proto::executor_info::Type::Custom.into());
    let resources = Resources::parse(&format!("cpus:0.1;mem:32;{disk}")).unwrap();
    executor.resources = resources.to_protos();
    Operation {
        r#type: Some(operation::Type::LaunchGroup.into()),
        launch_group: Some(operation::LaunchGroup {
            executor,
            task_group: crate::proto::TaskGroupInfo { tasks },
        }),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_task_group_is_launched_whole_or_not_at_all() {
    let cluster = cluster().await;
    let mut scheduler = Scheduler::start(&cluster.master_address(), &framework()).await;
    let offer = scheduler.offer().await;
    let diskless = group(&scheduler, &offer, "");
    scheduler.accept(&offer, diskless).await;
    for _ in 0..2 {
        let error = scheduler.update().await;
        assert_eq!(error.reason(), Reason::TaskGroupInvalid);
        assert_eq!(error.message(), "Executor 'executor' uses no disk");
    }
    scheduler.send(call(call::Type::Revive)).await;
    let offer = scheduler.offer().await;
    let whole = group(&scheduler, &offer, "disk:16");
    scheduler.accept(&offer, whole).await;
    let mut executor = Executor::start(&cluster.agent_addresses()[0], &scheduler.id).await;
    let launched = executor
        .events
        .find(|event| event.launch_group.clone())
        .await;
    let ids: Vec<&str> = launched
        .task_group
        .tasks
        .iter()
        .map(|task| task.task_id.value.as_str())
        .collect();
    assert_eq!(ids, ["t1", "t2"]);
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_unused_offer_is_rescinded_and_made_again() {
    let cluster = LocalCluster::builder()
        .allocation_interval(Duration::from_millis(50))
        .offer_timeout(Duration::from_millis(50))
        .start()
        .await
        .unwrap();
    let mut scheduler = Scheduler::start(&cluster.master_address(), &framework()).await;
    let offer = scheduler.offer().await;
    let rescinded = scheduler.events.find(|event| event.rescind.clone()).await;
    assert_eq!(rescinded.offer_id, offer.id);
    assert_ne!(scheduler.offer().await.id, offer.id);
    cluster.shutdown().await;
}

#[tokio::test]
async fn one_framework_at_a_time_holds_a_resource() {
    let cluster = cluster().await;
    let master = cluster.master_address();
    let mut first = Scheduler::start(&master, &framework()).await;
    let offer = first.offer().await;
    let mut second = Scheduler::start(&master, &framework()).await;
    // What is left over goes to the one that has nothing.
    first.launch(&offer, vec![task(&offer, "t1", SLEEP)]).await;
    let rest = second.offer().await;
    let rest = Resources::from_unchecked(&rest.resources);
    assert_eq!((rest.scalar("cpus"), rest.scalar("mem")), (3.8, 4032.0));
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_declined_agent_is_offered_again_after_revive() {
    let cluster = cluster().await;
    let mut scheduler = Scheduler::start(&cluster.master_address(), &framework()).await;
    let offer = scheduler.offer().await;
    let mut decline = call(call::Type::Decline);
    decline.decline = Some(call::Decline {
        offer_ids: vec![offer.id.clone()],
        filters: Some(crate::proto::Filters {
            refuse_seconds: Some(3600.0),
        }),
    });
    scheduler.send(decline).await;
    scheduler.send(call(call::Type::Revive)).await;
    let again = scheduler.offer().await;
    assert_ne!(again.id, offer.id);
    assert_eq!(again.resources, offer.resources);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_framework_without_failover_timeout_ends_with_its_stream() {
    let cluster = cluster().await;
    let mut info = framework();
    info.failover_timeout = None;
    let mut scheduler = Scheduler::start(&cluster.master_address(), &info).await;
    let offer = scheduler.offer().await;
    scheduler
        .launch(&offer, vec![task(&offer, "t1", SLEEP)])
        .await;
    let mut executor = Executor::start(&cluster.agent_addresses()[0], &scheduler.id).await;
    executor.events.find(|event| event.launch.clone()).await;
    info.id = Some(scheduler.id.clone());
    drop(scheduler);
    let is_shutdown =
        |event: &executor::Event| (event.r#type() == executor::event::Type::Shutdown).then_some(());
    executor.events.find(is_shutdown).await;
    let (_, mut events) = subscribe(&cluster.master_address(), &info).await;
    let error = events.find(|event| event.error.clone()).await;
    assert_eq!(error.message, "Framework has been removed");
    cluster.shutdown().await;
}

/// Has an executor and a child of it running; the directory that has their process ids in `own` and `child`.
async fn busy(cluster: &LocalCluster, work_directory: &Path) -> PathBuf {
    let mut scheduler = Scheduler::start(&cluster.master_address(), &framework()).await;
    let offer = scheduler.offer().await;
    let command = "sleep 1000 & echo $! > child; echo $$ > own; mv own ready; exec sleep 1000";
    let tasks = vec![task(&offer, "t1", command)];
    scheduler.launch(&offer, tasks).await;
    let latest = work_directory
        .join("agents/0/work/slaves")
        .join(&offer.agent_id.value)
        .join("frameworks")
        .join(&scheduler.id.value)
        .join("executors/executor/runs/latest");
    let written = async {
        while !latest.join("ready").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), written).await;
    waited.expect("the executor writes its files");
    latest
}

fn is_alive(pid_file: &Path) -> bool {
    let text = std::fs::read_to_string(pid_file).unwrap();
    let id = nix::unistd::Pid::from_raw(text.trim().parse().unwrap());
    // A killed grandchild may stay a zombie if nobody adopts it.
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    nix::sys::signal::kill(id, None).is_ok() && !stat.contains(") Z")
}

/// A killed process takes a moment to go.
fn wait_for_end(pid_file: &Path) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while is_alive(pid_file) {
        assert!(std::time::Instant::now() < deadline, "not killed");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn work_directory() -> PathBuf {
    std::env::temp_dir().join(format!("local-{}", uuid::Uuid::new_v4()))
}

#[tokio::test]
async fn shutdown_leaves_no_process() {
    let directory = work_directory();
    let builder = LocalCluster::builder().work_directory(directory.clone());
    let cluster = builder.start().await.unwrap();
    let sandbox = busy(&cluster, &directory).await;
    cluster.shutdown().await;
    assert!(!is_alive(&sandbox.join("ready")), "reaped");
    wait_for_end(&sandbox.join("child"));
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn the_end_of_the_runtime_leaves_no_process() {
    let directory = work_directory();
    let builder = LocalCluster::builder().work_directory(directory.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let sandbox = runtime.block_on(async {
        let cluster = builder.start().await.unwrap();
        busy(&cluster, &directory).await
    });
    drop(runtime);
    wait_for_end(&sandbox.join("ready"));
    wait_for_end(&sandbox.join("child"));
    std::fs::remove_dir_all(&directory).unwrap();
}
