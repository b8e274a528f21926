//! A framework with the toolkit's tools for tasks.

use std::time::Duration;

use mesos_framework::proto::{FrameworkInfo, Offer, TaskId, TaskInfo, TaskState};
use mesos_framework::toolkit::{
    KillEnd, Observed, Reconciler, ReconcilerBuilder, TaskKiller, TaskKillerBuilder, TaskTracker,
    Tasks,
};
use mesos_framework::{Backoff, SchedulerDriver};

use crate::framework::{Framework, PATIENCE, Starting, refuse_for_good, task};

/// Waits of the tools between two attempts.
pub const SOON: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(1));

/// As long as masters and agents may take to come back.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// The tools, told in this order.
pub struct Tools {
    pub tracker: TaskTracker,
    pub reconciler: Reconciler,
    pub killer: TaskKiller,
}

impl Tools {
    pub fn new(tracker: TaskTracker) -> Self {
        Self::with(tracker, |reconciler| reconciler, |killer| killer)
    }

    pub fn with(
        tracker: TaskTracker,
        reconciler: impl FnOnce(ReconcilerBuilder) -> ReconcilerBuilder,
        killer: impl FnOnce(TaskKillerBuilder) -> TaskKillerBuilder,
    ) -> Self {
        Self {
            reconciler: reconciler(Reconciler::builder(tracker.clone()).backoff(SOON)).build(),
            killer: killer(TaskKiller::builder().backoff(SOON)).build(),
            tracker,
        }
    }
}

/// A framework, and its tools.
pub struct Equipped {
    pub framework: Framework,
    pub tools: Tools,
}

impl Equipped {
    pub async fn register(address: &str, info: FrameworkInfo) -> Self {
        Self::register_with(address, info, Tools::new(TaskTracker::new())).await
    }

    pub async fn register_with(address: &str, info: FrameworkInfo, tools: Tools) -> Self {
        let mut starting = Starting::new(info, |scheduler, info| {
            let scheduler = Observed::new(scheduler)
                .observer(tools.tracker.clone())
                .observer(tools.reconciler.clone())
                .observer(tools.killer.clone());
            SchedulerDriver::builder(scheduler, info, address)
        })
        .unwrap();
        let id = starting.registered().await.unwrap();
        Self {
            framework: starting.into_framework(id),
            tools,
        }
    }

    /// Launches a task through the tracker, and waits until it is tracked as running.
    pub async fn run(&mut self, id: &str, data: &str) -> TaskInfo {
        let offer = self.framework.offer().await;
        let task = task(id, data, &offer);
        self.launch(offer, vec![task.clone()]).await;
        self.comes_to(&task.task_id, TaskState::TaskRunning).await;
        task
    }

    pub async fn launch(&self, offer: Offer, tasks: Vec<TaskInfo>) {
        let (handle, offer_ids) = (&self.framework.handle, vec![offer.id]);
        let launched = self
            .tools
            .tracker
            .launch(handle, offer_ids, tasks, refuse_for_good());
        let outcome = launched.await.unwrap().outcome().await;
        assert!(outcome.is_accepted(), "{outcome:?}");
    }

    /// Waits until the task is tracked in this state; it counts once.
    pub async fn comes_to(&self, task_id: &TaskId, state: TaskState) {
        let what = format!("{task_id} to be tracked as {state:?}");
        let is_so = |tasks: &Tasks| tasks.get(task_id).is_some_and(|task| task.state == state);
        soon(&what, self.tools.tracker.until(is_so)).await;
    }

    pub fn counts(&self, state: TaskState) -> (usize, usize) {
        let counts = self.tools.tracker.counts();
        (counts.of(state), counts.total())
    }

    /// How the task ends when it is killed.
    pub async fn killed(&self, task: &TaskInfo) -> KillEnd {
        let agent_id = Some(task.agent_id.clone());
        let kill = self.tools.killer.kill(task.task_id.clone(), agent_id);
        soon("the kill", kill).await.unwrap()
    }

    pub async fn settled(&self) {
        let settled = soon("reconciliation", self.tools.reconciler.settled());
        settled.await.unwrap();
    }

    /// The framework lives on; nothing is left of what this process knows.
    pub async fn leave(mut self) -> FrameworkInfo {
        self.framework.handle.stop_for_failover();
        self.framework.driver.join().await.unwrap();
        FrameworkInfo {
            id: Some(self.framework.id),
            ..self.framework.info
        }
    }
}
