//! Ids of one process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::FrameworkIdStore;
use crate::error::Result;
use crate::proto::FrameworkId;

/// Keeps the id in memory: for tests, and for drivers that follow each other in one process.
///
/// Clones share what they keep.
///
/// # Examples
/// ```
/// # async fn example(one: impl mesos_framework::Scheduler, two: impl mesos_framework::Scheduler) -> mesos_framework::Result<()> {
/// use mesos_framework::{MemoryFrameworkIdStore, SchedulerDriver};
///
/// let store = MemoryFrameworkIdStore::new();
/// let first = SchedulerDriver::builder(one, Default::default(), "127.0.0.1:5050").framework_id_store(store.clone());
/// let second = SchedulerDriver::builder(two, Default::default(), "127.0.0.1:5050").framework_id_store(store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryFrameworkIdStore {
    id: Arc<Mutex<Option<FrameworkId>>>,
}

impl MemoryFrameworkIdStore {
    /// A store that keeps none yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Option<FrameworkId>> {
        self.id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl FrameworkIdStore for MemoryFrameworkIdStore {
    async fn load(&self) -> Result<Option<FrameworkId>> {
        Ok(self.lock().clone())
    }

    async fn store(&self, framework_id: &FrameworkId) -> Result<()> {
        *self.lock() = Some(framework_id.clone());
        Ok(())
    }

    async fn forget(&self) -> Result<()> {
        *self.lock() = None;
        Ok(())
    }
}
