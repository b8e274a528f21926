//! Settings of a tracker.

use std::fmt;
use std::sync::Arc;

use super::shared::Shared;
use super::store::NoStore;
use super::{TaskStore, TaskTracker};
use crate::error::Result;

/// How many ended tasks are kept if the user does not say.
const RETAINED: usize = 1_000;

/// Settings of a [`TaskTracker`]; each has a default.
#[must_use = "a builder does nothing until `open` is called"]
pub struct TaskTrackerBuilder {
    store: Arc<dyn TaskStore>,
    retained: usize,
}

impl fmt::Debug for TaskTrackerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskTrackerBuilder")
            .field("retained", &self.retained)
            .finish_non_exhaustive()
    }
}

impl Default for TaskTrackerBuilder {
    fn default() -> Self {
        Self {
            store: Arc::new(NoStore),
            retained: RETAINED,
        }
    }
}

impl TaskTrackerBuilder {
    /// Where tasks are kept beyond the life of the process; nowhere by default.
    pub fn store(mut self, store: impl TaskStore) -> Self {
        self.store = Arc::new(store);
        self
    }

    /// How many ended tasks are kept; default 1,000. Those that ended first are forgotten first. An update of a forgotten
    /// task's end, if one comes again, is ignored.
    pub fn retained_tasks(mut self, tasks: usize) -> Self {
        self.retained = tasks;
        self
    }

    /// Opens the tracker, with what is in its store.
    ///
    /// # Errors
    /// [`ErrorKind::Store`](crate::ErrorKind::Store), or whatever else the store answers.
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing has changed.
    pub async fn open(self) -> Result<TaskTracker> {
        let stored = self.store.load().await?;
        let shared = Shared::new(self.store, self.retained, stored);
        Ok(TaskTracker {
            shared: Arc::new(shared),
        })
    }

    /// A tracker that stores nothing.
    pub(super) fn in_memory(self) -> TaskTracker {
        let shared = Shared::new(Arc::new(NoStore), self.retained, Vec::new());
        TaskTracker {
            shared: Arc::new(shared),
        }
    }
}
