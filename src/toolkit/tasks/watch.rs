//! Changes of the tasks.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use super::Tasks;
use super::shared::Shared;

/// Watches the tasks of a [`TaskTracker`](super::TaskTracker) change. It misses nothing that lasts, but only the newest of
/// several changes in between. It keeps what the tracker knows, and its store, as a clone of the tracker does.
///
/// Source: `TaskStatus`, mesos.proto.
pub struct TaskWatch {
    shared: Arc<Shared>,
    version: watch::Receiver<u64>,
}

impl fmt::Debug for TaskWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskWatch")
            .field("version", &*self.version.borrow())
            .finish_non_exhaustive()
    }
}

impl Clone for TaskWatch {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            version: self.version.clone(),
        }
    }
}

impl TaskWatch {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let version = shared.subscribe();
        Self { shared, version }
    }

    /// How they stand now.
    #[must_use]
    pub fn current(&self) -> Tasks {
        self.shared.inspect(Clone::clone)
    }

    /// Waits for the next change of any task: of its state, or of what its status says.
    ///
    /// # Cancel safety
    /// Dropped before it completes, no change is missed.
    pub async fn changed(&mut self) -> Tasks {
        // The sender lives in what this watch holds.
        let _ = self.version.changed().await;
        self.current()
    }

    /// Waits until `is_reached` holds, which it may do at once. It must not take long, and not use the tracker.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn until(&mut self, mut is_reached: impl FnMut(&Tasks) -> bool + Send) {
        loop {
            self.version.mark_unchanged();
            if self.shared.inspect(&mut is_reached) {
                return;
            }
            let _ = self.version.changed().await;
        }
    }
}
