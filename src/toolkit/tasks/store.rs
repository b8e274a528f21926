//! Where tasks are kept beyond the life of a process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::TrackedTask;
use crate::error::Result;
use crate::proto::TaskId;

/// Keeps the tasks of one framework beyond the life of its process.
///
/// A [`TaskTracker`](super::TaskTracker) loads them once, and from then on stores every change before it counts: a launch
/// before it is sent, the end of a task before it is acknowledged. It makes one call of `store` at a time.
///
/// Built in are a file ([`FileTaskStore`](super::FileTaskStore)) and memory ([`MemoryTaskStore`]).
///
/// # Examples
/// A table of a database, of which one column is the key:
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::Mutex;
///
/// use mesos_framework::toolkit::{TaskChange, TaskStore, TaskTracker, TrackedTask};
/// use mesos_framework::{Result, async_trait};
///
/// #[derive(Default)]
/// struct Table(Mutex<BTreeMap<String, Vec<u8>>>);
///
/// #[async_trait]
/// impl TaskStore for Table {
///     async fn load(&self) -> Result<Vec<TrackedTask>> {
///         self.0.lock().unwrap().values().map(|bytes| TrackedTask::from_bytes(bytes)).collect()
///     }
///
///     async fn store(&self, changes: &[TaskChange]) -> Result<()> {
///         // One transaction.
///         let mut rows = self.0.lock().unwrap();
///         for change in changes {
///             match change {
///                 TaskChange::Put(task) => rows.insert(task.task_id.value.clone(), task.to_bytes()),
///                 TaskChange::Forget(task_id) => rows.remove(&task_id.value),
///             };
///         }
///         Ok(())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let tracker = TaskTracker::builder().store(Table::default()).open().await?;
/// assert_eq!(tracker.counts().total(), 0);
/// # Ok::<(), mesos_framework::Error>(())
/// # }).unwrap();
/// ```
///
/// Source: "write-ahead" of `docs/high-availability-framework-guide.md`, Apache Mesos 1.11.0.
#[async_trait]
pub trait TaskStore: Send + Sync + 'static {
    /// All tasks that are stored, in any order; none if there are none.
    ///
    /// # Errors
    /// Whatever keeps it from knowing. The tracker is not opened.
    ///
    /// # Cancel safety
    /// An implementation must be cancel safe.
    async fn load(&self) -> Result<Vec<TrackedTask>>;

    /// Stores `changes`: one or more, in this order, all or none. When it returns, those that
    /// [`must_last`](TaskChange::must_last) must outlive the process, or whatever else the store promises; others may be lost
    /// with it.
    ///
    /// # Errors
    /// Whatever keeps it from that. A launch is then not sent; a status ends the driver, and is not acknowledged.
    ///
    /// # Cancel safety
    /// Dropped before it completes, the changes may be stored or not, but they must not be stored after those of a later call.
    async fn store(&self, changes: &[TaskChange]) -> Result<()>;
}

/// One change of what is stored.
///
/// Source: [`TaskStore`].
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "most are tasks, and few live long"
)]
pub enum TaskChange {
    /// The task, in place of what was stored under its id.
    Put(TrackedTask),
    /// Nothing any more is stored under this id.
    Forget(TaskId),
}

impl TaskChange {
    /// Whether it must survive the end of the process. What need not is told again by the master when the tasks are
    /// reconciled: that a task is running, say.
    #[must_use]
    pub fn must_last(&self) -> bool {
        match self {
            Self::Put(task) => task.is_ended() || task.status.is_none(),
            Self::Forget(_) => false,
        }
    }
}

#[async_trait]
impl<S: TaskStore + ?Sized> TaskStore for Box<S> {
    async fn load(&self) -> Result<Vec<TrackedTask>> {
        (**self).load().await
    }

    async fn store(&self, changes: &[TaskChange]) -> Result<()> {
        (**self).store(changes).await
    }
}

#[async_trait]
impl<S: TaskStore + ?Sized> TaskStore for Arc<S> {
    async fn load(&self) -> Result<Vec<TrackedTask>> {
        (**self).load().await
    }

    async fn store(&self, changes: &[TaskChange]) -> Result<()> {
        (**self).store(changes).await
    }
}

/// Keeps tasks in memory: for tests, and for trackers that follow each other in one process.
///
/// Clones share what they keep.
///
/// # Examples
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use mesos_framework::toolkit::{MemoryTaskStore, TaskTracker};
///
/// let store = MemoryTaskStore::new();
/// let first = TaskTracker::builder().store(store.clone()).open().await?;
/// // … and, when its driver has ended:
/// let second = TaskTracker::builder().store(store).open().await?;
/// # Ok::<(), mesos_framework::Error>(())
/// # }).unwrap();
/// ```
///
/// Source: [`TaskStore`].
#[derive(Clone, Debug, Default)]
pub struct MemoryTaskStore {
    tasks: Arc<Mutex<BTreeMap<TaskId, TrackedTask>>>,
}

impl MemoryTaskStore {
    /// A store that keeps none yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TaskId, TrackedTask>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TaskStore for MemoryTaskStore {
    async fn load(&self) -> Result<Vec<TrackedTask>> {
        Ok(self.lock().values().cloned().collect())
    }

    async fn store(&self, changes: &[TaskChange]) -> Result<()> {
        let mut tasks = self.lock();
        for change in changes {
            match change {
                TaskChange::Put(task) => tasks.insert(task.task_id.clone(), task.clone()),
                TaskChange::Forget(task_id) => tasks.remove(task_id),
            };
        }
        Ok(())
    }
}

/// Keeps nothing: of trackers that shall not outlive their process.
#[derive(Debug)]
pub(super) struct NoStore;

#[async_trait]
impl TaskStore for NoStore {
    async fn load(&self) -> Result<Vec<TrackedTask>> {
        Ok(Vec::new())
    }

    async fn store(&self, _: &[TaskChange]) -> Result<()> {
        Ok(())
    }
}
