//! The toolkit's tracker follows real tasks.

use mesos_framework::proto::{Filters, TaskState, TaskStatus, task_status};
use mesos_framework::toolkit::testing::RecordedDriver;
use mesos_framework::toolkit::{
    FileTaskStore, Observed, TaskChange, TaskStore, TaskTracker, TrackedTask,
};
use mesos_framework::{Error, ErrorKind, Result, SchedulerDriver, async_trait};

use crate::agents::{checkpointing, unaware};
use crate::cluster::{Agents, Cluster, OwnCluster};
use crate::executor_environment::Directory;
use crate::executor_role::{FINISH, RUN, updates};
use crate::framework::{info, refuse_for_good, task};
use crate::peer::Peer;
use crate::recorder::{Callback, recorder};
use crate::support::{self, framework, offer_ids, update};
use crate::tools_rig::{Equipped, Tools, soon};

#[tokio::test]
async fn tasks_are_tracked_from_launch_to_end_and_count_once() {
    let cluster = Cluster::start().await;
    let mut own = Equipped::register(&cluster.address(), info("tracked")).await;
    let offer = own.framework.offer().await;
    let tasks = vec![
        task("finishes", FINISH, &offer),
        task("repeats", updates(5), &offer),
        task("runs", RUN, &offer),
    ];
    let agent_id = offer.agent_id.clone();
    own.launch(offer, tasks).await;
    let tracker = own.tools.tracker.clone();
    let are_so = tracker.until(|tasks| {
        let counts = tasks.counts();
        (
            counts.of(TaskState::TaskFinished),
            counts.of(TaskState::TaskRunning),
        ) == (2, 1)
    });
    soon("two ends", are_so).await;
    assert_eq!(tracker.counts().total(), 3);
    assert_eq!(
        tracker.inspect(|tasks| tasks.on_agent(&agent_id).count()),
        3
    );

    own.framework.kill(&"runs".into()).await;
    own.comes_to(&"runs".into(), TaskState::TaskKilled).await;
    assert_eq!(tracker.counts().ended(), 3);
    assert_eq!(tracker.counts().total(), 3);
    own.framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn launches_that_cannot_be_are_settled() {
    let cluster = Cluster::start().await;
    let mut own = Equipped::register(&cluster.address(), info("settled")).await;
    let offer = own.framework.offer().await;
    // An offer that there is not, and more than there is.
    let dropped = task("dropped", RUN, &offer);
    let mut void = offer.clone();
    void.id = "no such offer".into();
    own.launch(void, vec![dropped.clone()]).await;
    own.comes_to(&dropped.task_id, TaskState::TaskDropped).await;
    let mut wrong = task("wrong", RUN, &offer);
    wrong.resources[0].scalar.as_mut().unwrap().value = 1e6;
    own.launch(offer, vec![wrong.clone()]).await;
    own.comes_to(&wrong.task_id, TaskState::TaskError).await;
    let reason = |task: &str| {
        let task = own.tools.tracker.get(&task.into()).unwrap();
        task.status.as_ref().map(TaskStatus::reason)
    };
    assert_eq!(reason("dropped"), Some(task_status::Reason::InvalidOffers));
    assert_eq!(reason("wrong"), Some(task_status::Reason::TaskInvalid));
    assert_eq!(own.tools.tracker.counts().ended(), 2);
    own.framework.teardown().await;
    cluster.shutdown().await;
}

/// The master handles a launch before the next call, so that whoever asks behind it is told of it.
#[tokio::test]
async fn a_question_behind_a_launch_knows_it() {
    let cluster = Cluster::start().await;
    let mut own = Equipped::register(&cluster.address(), info("behind")).await;
    for round in 0..5 {
        let offer = own.framework.offer().await;
        let task = task(&format!("task-{round}"), RUN, &offer);
        let handle = &own.framework.handle;
        let (offer_ids, tasks) = (vec![offer.id], vec![task.clone()]);
        let tracker = &own.tools.tracker;
        tracker
            .launch(handle, offer_ids, tasks, refuse_for_good())
            .await
            .unwrap();
        let asked = vec![(task.task_id.clone(), Some(task.agent_id.clone()))];
        handle.reconcile_tasks(asked).await.unwrap();
        let first = own.framework.status(&task.task_id).await;
        assert!(first.state().is_live(), "{first:?}");
        own.comes_to(&task.task_id, TaskState::TaskRunning).await;
    }
    own.framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn the_next_process_knows_the_tasks_and_what_became_of_them() {
    let cluster = Cluster::start().await;
    let directory = Directory::new("next-process");
    let open = async || {
        let store = FileTaskStore::new(directory.path("tasks"));
        TaskTracker::builder().store(store).open().await.unwrap()
    };
    let tools = Tools::new(open().await);
    let mut first = Equipped::register_with(&cluster.address(), info("next"), tools).await;
    first.run("runs", RUN).await;
    first.run("is-killed", RUN).await;
    let info = first.leave().await;

    // What is stored, and was never sent: the process had ended.
    let nowhere = RecordedDriver::of(info.clone());
    let tracker = open().await;
    let counts = tracker.counts();
    assert_eq!((counts.of(TaskState::TaskRunning), counts.total()), (2, 2));
    let mut unsent = tracker.get(&"runs".into()).unwrap();
    unsent.task_id = "unsent".into();
    let unsent = mesos_framework::proto::TaskInfo {
        task_id: "unsent".into(),
        agent_id: unsent.agent_id.unwrap(),
        ..Default::default()
    };
    let offer_ids = vec!["o".into()];
    tracker
        .launch(
            &nowhere.handle(),
            offer_ids,
            vec![unsent],
            refuse_for_good(),
        )
        .await
        .unwrap();
    drop(tracker);

    let tools = Tools::new(open().await);
    assert_eq!(tools.tracker.counts().unsure(), 1);
    let mut second = Equipped::register_with(&cluster.address(), info, tools).await;
    second.settled().await;
    assert_eq!(second.counts(TaskState::TaskRunning), (2, 3));
    // Its agent is there, and does not know it.
    assert_eq!(second.counts(TaskState::TaskGone), (1, 3));
    second.framework.kill(&"is-killed".into()).await;
    second
        .comes_to(&"is-killed".into(), TaskState::TaskKilled)
        .await;
    let info = second.leave().await;

    let tools = Tools::new(open().await);
    let third = Equipped::register_with(&cluster.address(), info, tools).await;
    third.settled().await;
    assert_eq!(third.counts(TaskState::TaskRunning), (1, 3));
    assert_eq!(third.counts(TaskState::TaskKilled), (1, 3));
    third.framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_task_on_an_unreachable_agent_comes_back_and_counts_once() {
    let mut cluster = OwnCluster::with(Agents::One).await;
    for info in [checkpointing("away"), unaware("away-unaware")] {
        let away = match info.capabilities.len() {
            3 => TaskState::TaskUnreachable,
            _ => TaskState::TaskLost,
        };
        let mut own = Equipped::register(&cluster.address(), info).await;
        let task = own.run("away", RUN).await;
        cluster.partition_agent(0);
        own.comes_to(&task.task_id, away).await;
        let counts = own.tools.tracker.counts();
        assert_eq!(
            (counts.may_return(), counts.live(), counts.total()),
            (1, 0, 1)
        );
        cluster.heal_agent(0);
        own.comes_to(&task.task_id, TaskState::TaskRunning).await;
        assert_eq!(own.counts(TaskState::TaskRunning), (1, 1));
        own.killed(&task).await;
        assert_eq!(own.counts(TaskState::TaskKilled), (1, 1));
        own.framework.teardown().await;
    }
    cluster.shutdown().await;
}

/// A launch that is on its way when the master dies is settled, whatever became of it.
#[tokio::test]
async fn launches_around_the_death_of_a_master_are_settled() {
    let mut cluster = OwnCluster::with(Agents::Two).await;
    let mut own = Equipped::register(&cluster.address(), checkpointing("death")).await;
    let before = own.run("before", RUN).await;
    let offer = own.framework.offer().await;
    let tasks = vec![task("around", RUN, &offer)];
    let (handle, offer_ids) = (own.framework.handle.clone(), vec![offer.id]);
    let tracker = own.tools.tracker.clone();
    let launched = tracker.launch(&handle, offer_ids, tasks, refuse_for_good());
    let launched = launched.await.unwrap();
    cluster.kill_master();
    // Accepted, unknown or never sent.
    let outcome = soon("the outcome", launched.outcome()).await;
    own.framework
        .until("disconnected", |callback| {
            matches!(callback, Callback::Disconnected).then_some(())
        })
        .await;
    cluster.restart_master().await;
    own.framework
        .until("reregistered", |callback| {
            matches!(callback, Callback::Reregistered).then_some(())
        })
        .await;
    own.settled().await;
    let around = tracker.get(&"around".into()).unwrap();
    assert!(!around.is_unsure, "{outcome:?}: {around:?}");
    own.comes_to(&before.task_id, TaskState::TaskRunning).await;
    assert_eq!(tracker.counts().total(), 2);
    own.framework.teardown().await;
    cluster.shutdown().await;
}

/// Its disk is full.
struct Full;

#[async_trait]
impl TaskStore for Full {
    async fn load(&self) -> Result<Vec<TrackedTask>> {
        Ok(Vec::new())
    }

    async fn store(&self, _: &[TaskChange]) -> Result<()> {
        Err(Error::new(ErrorKind::Store, "disk full"))
    }
}

#[tokio::test]
async fn a_status_that_cannot_be_stored_ends_the_driver_and_is_not_acknowledged() {
    let mut peer = Peer::bind().await;
    let tracker = TaskTracker::builder().store(Full).open().await.unwrap();
    let (scheduler, mut recording) = recorder();
    let scheduler = Observed::new(scheduler).observer(tracker.clone());
    let builder = SchedulerDriver::builder(scheduler, framework(), peer.address());
    let mut driver = builder.build().unwrap();
    driver.start().unwrap();
    let stream = peer.subscribed("f").await;
    recording.registered("f").await;

    // Nothing is launched that is not stored.
    let (handle, tasks) = (driver.handle(), vec![support::task("u")]);
    let launched = tracker.launch(&handle, offer_ids("o"), tasks, Filters::default());
    assert_eq!(launched.await.unwrap_err().kind(), ErrorKind::Store);
    stream.send(&update("t", Some(&[7; 16]))).await;
    let ended = soon("the driver's end", driver.join()).await.unwrap_err();
    assert_eq!(
        (ended.kind(), ended.to_string().as_str()),
        (ErrorKind::Store, "disk full")
    );
    peer.assert_no_request().await;
    let rest = recording.rest();
    assert!(matches!(&rest[..], [Callback::Error(_)]), "{rest:?}");
}
