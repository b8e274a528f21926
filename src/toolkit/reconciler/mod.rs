//! Brings what a framework believes of its tasks together with what the master knows.

mod builder;
mod progress;
mod rounds;
mod source;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::task::AbortHandle;

pub use builder::ReconcilerBuilder;
pub use progress::ReconcilerProgress;
use rounds::Shared;
pub use source::TaskSource;

use super::Observer;
use crate::error::{Error, Result};
use crate::proto::{FrameworkId, TaskStatus};
use crate::scheduler::SchedulerHandle;

/// Asks the master for the states of a framework's tasks, until it has answered on each.
///
/// After every subscription, a *round*: it takes the tasks that have not ended from its [`TaskSource`] (a
/// [`TaskTracker`](super::TaskTracker), or a list of one's own), launches of which no status ever came included, and asks for
/// them explicitly; whatever status comes of a task counts as its answer. Those without one are asked for again, after
/// growing waits: a master answers nothing on tasks whose agents have not come back to it yet. When all are answered, it asks
/// implicitly, for tasks that the framework does not know, and the round is over; it is repeated every 15 minutes. One round
/// runs at a time, and a new subscription ends it for a new one.
///
/// The answers are status updates like others: they come to the scheduler, and to whatever observes it. The reconciler is an
/// [`Observer`] itself, and needs to be told of subscriptions and statuses. It works in a task of its own, which ends with its
/// driver, or with the last clone. Clones share everything.
///
/// # Examples
/// With a tracker, which is told first:
/// ```no_run
/// use mesos_framework::toolkit::{FileTaskStore, Observed, Reconciler, TaskTracker};
/// use mesos_framework::{Scheduler, SchedulerDriver};
///
/// # async fn run(my_scheduler: impl Scheduler) -> mesos_framework::Result<()> {
/// let tracker = TaskTracker::builder().store(FileTaskStore::new("tasks")).open().await?;
/// let reconciler = Reconciler::new(tracker.clone());
/// let scheduler = Observed::new(my_scheduler).observer(tracker.clone()).observer(reconciler.clone());
/// let mut driver = SchedulerDriver::builder(scheduler, Default::default(), "127.0.0.1:5050").build()?;
/// driver.start()?;
/// reconciler.settled().await?;
/// println!("after the restart: {:?}", tracker.counts());
/// driver.join().await?;
/// # Ok(())
/// # }
/// ```
/// With a list of one's own:
/// ```
/// use mesos_framework::toolkit::testing::{self, RecordedDriver};
/// use mesos_framework::toolkit::{Observer, Reconciler};
/// use mesos_framework::proto::TaskState;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let reconciler = Reconciler::new(|| vec![("t-1".into(), Some("agent-1".into()))]);
/// let driver = RecordedDriver::new();
/// reconciler.registered(&driver.handle(), &"framework".into()).await?;
/// let explicit = driver.next_call().await.reconcile.unwrap();
/// assert_eq!(explicit.tasks[0].task_id, "t-1".into());
///
/// let answer = testing::reconciled("t-1", TaskState::TaskRunning);
/// reconciler.status_update(&driver.handle(), &answer).await?;
/// let implicit = driver.next_call().await.reconcile.unwrap();
/// assert!(implicit.tasks.is_empty());
/// reconciler.settled().await?;
/// # Ok::<(), mesos_framework::Error>(())
/// # }).unwrap();
/// ```
///
/// Source: `docs/reconciliation.md`, Apache Mesos 1.11.0.
#[derive(Clone)]
pub struct Reconciler {
    inner: Arc<Inner>,
}

/// What ends with the last clone.
struct Inner {
    shared: Arc<Shared>,
    task: Mutex<Option<AbortHandle>>,
}

impl fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconciler")
            .field("progress", &self.progress())
            .finish_non_exhaustive()
    }
}

impl Reconciler {
    /// A reconciler of the tasks of `source`, with the defaults.
    #[must_use]
    pub fn new(source: impl TaskSource) -> Self {
        Self::builder(source).build()
    }

    /// Begins a reconciler of the tasks of `source` with settings.
    pub fn builder(source: impl TaskSource) -> ReconcilerBuilder {
        ReconcilerBuilder::new(source)
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> ReconcilerProgress {
        self.inner.shared.progress()
    }

    /// Waits until a round has come to its end under the subscription that stands, which may be so already: each task was
    /// answered, and the implicit question is with the master (its answers may still come).
    ///
    /// # Errors
    /// [`ErrorKind::NotRunning`](crate::ErrorKind::NotRunning) if the driver has ended.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn settled(&self) -> Result<()> {
        self.inner.shared.settled().await
    }

    /// Begins a round now, in place of the one that runs, if any; without a subscription, it has no effect.
    pub fn reconcile_now(&self) {
        self.inner.shared.begin_anew();
    }

    /// Works for that driver from now on.
    fn work_for(&self, driver: &SchedulerHandle) {
        let shared = Arc::clone(&self.inner.shared);
        let epoch = shared.registered();
        let task = tokio::spawn(rounds::run(shared, driver.clone(), epoch)).abort_handle();
        if let Some(before) = self.inner.task().replace(task) {
            before.abort();
        }
    }

    fn is_at_work(&self) -> bool {
        let task = self.inner.task();
        task.as_ref().is_some_and(|task| !task.is_finished())
    }
}

impl Inner {
    fn task(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(task) = self.task().take() {
            task.abort();
        }
        // An aborted task ends soon, but not at once.
        self.shared.let_go();
    }
}

#[async_trait]
impl Observer for Reconciler {
    async fn registered(&self, driver: &SchedulerHandle, _: &FrameworkId) -> Result<()> {
        self.work_for(driver);
        Ok(())
    }

    async fn reregistered(&self, driver: &SchedulerHandle) -> Result<()> {
        match self.is_at_work() {
            true => self.inner.shared.subscribed(),
            // It was not told of the driver's beginning.
            false => self.work_for(driver),
        }
        Ok(())
    }

    async fn disconnected(&self, _: &SchedulerHandle) -> Result<()> {
        self.inner.shared.unsubscribed();
        Ok(())
    }

    async fn status_update(&self, _: &SchedulerHandle, status: &TaskStatus) -> Result<()> {
        self.inner.shared.told(&status.task_id);
        Ok(())
    }

    async fn error(&self, _: &SchedulerHandle, _: &Error) {
        let shared = &self.inner.shared;
        shared.ended(shared.epoch());
    }
}
