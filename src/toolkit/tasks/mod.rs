//! What has become of a framework's tasks.

mod builder;
mod file;
mod journal;
mod launch;
mod record;
mod shared;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod update;
mod watch;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

pub use builder::TaskTrackerBuilder;
pub use file::FileTaskStore;
pub use launch::LaunchReceipt;
pub use record::TrackedTask;
use shared::Shared;
pub use store::{MemoryTaskStore, TaskChange, TaskStore};
pub use table::{TaskCounts, Tasks};
pub use watch::TaskWatch;

use super::{Observer, OfferLedger};
use crate::error::Result;
use crate::proto::{AgentId, Filters, FrameworkId, OfferId, TaskId, TaskInfo, TaskStatus, offer};
use crate::scheduler::SchedulerHandle;

/// Follows a framework's tasks from their launch to their end: in which state each is, and on which agent.
///
/// **Launches** go through it ([`launch`](Self::launch), [`accept_offers`](Self::accept_offers)): each task is stored before
/// the call is sent, so that none can run of which the next process knows nothing. A launch that the master has surely not
/// got, or has refused, is settled as `TASK_DROPPED`; one of which nobody knows is *unsure* until a status tells, which
/// reconciliation brings about ([`Reconciler`](crate::toolkit::Reconciler)). A task that somebody else has launched is
/// tracked from its first status on, unless that is its end.
///
/// **Statuses** reach it as an [`Observer`]. Each task is in one state and counts once, however often it is told of:
/// - what is repeated, or answered to RECONCILE, changes nothing if the state is the same;
/// - `TASK_UNREACHABLE`, `TASK_UNKNOWN` and `TASK_LOST` are followed by whatever comes ([`TaskState::may_return`]);
/// - nothing follows another terminal state, but for one that only the master has told (`TASK_GONE`, say): what an agent or
///   an executor tells goes before it.
///
/// A status is stored before its callback returns, and so before it is acknowledged: if that fails, the driver ends with an
/// error of the kind [`ErrorKind::Store`](crate::ErrorKind::Store), and the status comes again.
///
/// **Memory** is bounded: of ended tasks the last 1,000 are kept
/// ([`retained_tasks`](TaskTrackerBuilder::retained_tasks)). Clones share everything.
///
/// # Examples
/// A scheduler that launches on every offer while fewer than ten of its tasks are alive, and survives its own restart:
/// ```no_run
/// use mesos_framework::proto::{Offer, TaskInfo, TaskStatus};
/// use mesos_framework::toolkit::{FileTaskStore, Observed, TaskTracker};
/// use mesos_framework::{
///     FileFrameworkIdStore, Scheduler, SchedulerDriver, SchedulerHandle, async_trait,
/// };
///
/// struct Ten {
///     tracker: TaskTracker,
/// }
///
/// #[async_trait]
/// impl Scheduler for Ten {
///     async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
///         for offer in offers {
///             let task_id = format!("task-{}", fastrand::u64(..)).into();
///             let task = TaskInfo { task_id, agent_id: offer.agent_id, ..task_info() };
///             let counts = self.tracker.counts();
///             let tasks = if counts.live() < 10 { vec![task] } else { vec![] };
///             if let Err(error) = self.tracker.launch(driver, vec![offer.id], tasks, Default::default()).await {
///                 eprintln!("not launched: {error}");
///             }
///         }
///     }
///
///     async fn status_update(&mut self, _: &SchedulerHandle, status: TaskStatus) {
///         println!("{} is {:?}; {:?}", status.task_id, status.state(), self.tracker.counts());
///     }
/// }
///
/// # fn task_info() -> TaskInfo { TaskInfo::default() }
/// # async fn run() -> mesos_framework::Result<()> {
/// let tracker = TaskTracker::builder().store(FileTaskStore::new("tasks")).open().await?;
/// let scheduler = Observed::new(Ten { tracker: tracker.clone() }).observer(tracker);
/// SchedulerDriver::builder(scheduler, Default::default(), "127.0.0.1:5050")
///     .framework_id_store(FileFrameworkIdStore::new("framework-id"))
///     .build()?
///     .run()
///     .await?;
/// # Ok(())
/// # }
/// ```
///
/// [`TaskState::may_return`]: crate::proto::TaskState::may_return
///
/// Source: `docs/high-availability-framework-guide.md` and `docs/reconciliation.md`, Apache Mesos 1.11.0.
#[derive(Clone)]
pub struct TaskTracker {
    shared: Arc<Shared>,
}

impl fmt::Debug for TaskTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskTracker")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

impl Default for TaskTracker {
    fn default() -> Self {
        Self::new()
    }
}

impl TaskTracker {
    /// A tracker that stores nothing: what it knows ends with the process.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().in_memory()
    }

    /// Begins a tracker with settings: above all, with a store.
    pub fn builder() -> TaskTrackerBuilder {
        TaskTrackerBuilder::default()
    }

    /// Stores `tasks` as staging, and queues their launch on the resources of `offer_ids`.
    ///
    /// As [`SchedulerHandle::launch_tasks`], in its place in the order of the calls of `driver`. `tasks`: each under an id that
    /// is not tracked, also not of an ended task; may be empty, which declines the offers.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for an id that is tracked or comes twice;
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if it cannot be stored; and those of
    /// [`SchedulerHandle::launch_tasks`]. Nothing is sent then, and nothing tracked.
    ///
    /// # Cancel safety
    /// Dropped before it completes, the launch goes its way all the same.
    ///
    /// Source: `Call.Accept` with `LAUNCH`, scheduler.proto.
    pub async fn launch(
        &self,
        driver: &SchedulerHandle,
        offer_ids: Vec<OfferId>,
        tasks: Vec<TaskInfo>,
        filters: Filters,
    ) -> Result<LaunchReceipt> {
        let operations = match tasks.is_empty() {
            true => Vec::new(),
            false => vec![launch::operation(tasks)],
        };
        self.accept_offers(driver, offer_ids, operations, filters)
            .await
    }

    /// Stores the tasks of every LAUNCH and LAUNCH_GROUP among `operations` as staging, and queues these on the resources of
    /// `offer_ids`.
    ///
    /// As [`SchedulerHandle::accept_offers`], in its place in the order of the calls of `driver`. For the tasks' ids, see
    /// [`launch`](Self::launch).
    ///
    /// # Errors
    /// As [`launch`](Self::launch), and those of [`SchedulerHandle::accept_offers`].
    ///
    /// # Cancel safety
    /// Dropped before it completes, the call goes its way all the same.
    ///
    /// Source: `Call.Accept`, scheduler.proto.
    pub async fn accept_offers(
        &self,
        driver: &SchedulerHandle,
        offer_ids: Vec<OfferId>,
        operations: Vec<offer::Operation>,
        filters: Filters,
    ) -> Result<LaunchReceipt> {
        let call = (offer_ids, operations, filters);
        launch::accept(&self.shared, None, driver, call).await
    }

    /// The same, on offers of `ledger`.
    pub(super) async fn accept_offers_of(
        &self,
        ledger: &OfferLedger,
        driver: &SchedulerHandle,
        call: launch::Accept,
    ) -> Result<LaunchReceipt> {
        launch::accept(&self.shared, Some(ledger), driver, call).await
    }

    /// A copy of all that is known now. Cheap for thousands of tasks, but [`inspect`](Self::inspect) copies nothing.
    #[must_use]
    pub fn snapshot(&self) -> Tasks {
        self.inspect(Clone::clone)
    }

    /// Answers what `look` makes of the tasks. They do not change meanwhile: it must not take long, and not use the tracker.
    pub fn inspect<T>(&self, look: impl FnOnce(&Tasks) -> T) -> T {
        self.shared.inspect(look)
    }

    /// The task of this id.
    #[must_use]
    pub fn get(&self, task_id: &TaskId) -> Option<TrackedTask> {
        self.inspect(|tasks| tasks.get(task_id).cloned())
    }

    /// How many tasks there are in which state.
    #[must_use]
    pub fn counts(&self) -> TaskCounts {
        self.inspect(Tasks::counts)
    }

    /// Watches the tasks change, from now on.
    #[must_use]
    pub fn watch(&self) -> TaskWatch {
        TaskWatch::new(Arc::clone(&self.shared))
    }

    /// Waits until `is_reached` holds of the tasks, which it may do at once. It must not take long, and not use the tracker.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(tracker: mesos_framework::toolkit::TaskTracker) {
    /// // Nothing is left that could do anything.
    /// tracker.until(|tasks| tasks.counts().ended() == tasks.len()).await;
    /// # }
    /// ```
    pub async fn until(&self, is_reached: impl FnMut(&Tasks) -> bool + Send) {
        self.watch().until(is_reached).await;
    }

    /// The tasks that have not ended and whose launch has been queued, each with its agent: what is to be reconciled.
    #[must_use]
    pub fn unsettled(&self) -> Vec<(TaskId, Option<AgentId>)> {
        self.shared.unsettled()
    }

    /// Forgets a task, in whatever state it is; answers whether it was there. If it is alive, its next status brings it back.
    ///
    /// # Errors
    /// [`ErrorKind::Store`](crate::ErrorKind::Store); it is not forgotten then.
    ///
    /// # Cancel safety
    /// Dropped before it completes, the task may be forgotten or not.
    pub async fn forget(&self, task_id: &TaskId) -> Result<bool> {
        self.shared.forget(task_id).await
    }
}

#[async_trait]
impl Observer for TaskTracker {
    /// Tasks of another framework that have not ended are settled as `TASK_LOST`: nothing will be told of them here.
    async fn registered(&self, _: &SchedulerHandle, framework_id: &FrameworkId) -> Result<()> {
        self.shared.registered(framework_id).await
    }

    /// The master has killed the framework's tasks, and will not tell: they are settled as `TASK_KILLED`.
    async fn framework_removed(
        &self,
        _: &SchedulerHandle,
        framework_id: &FrameworkId,
    ) -> Result<()> {
        self.shared.framework_removed(framework_id).await
    }

    async fn status_update(&self, driver: &SchedulerHandle, status: &TaskStatus) -> Result<()> {
        self.shared.told(driver.framework_id(), status).await
    }
}
