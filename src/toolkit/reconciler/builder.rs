//! Settings of a reconciler.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::rounds::{Settings, Shared};
use super::{Inner, Reconciler, TaskSource};
use crate::backoff::Backoff;

/// Settings of a [`Reconciler`]; each has a default.
#[must_use = "a builder does nothing until `build` is called"]
pub struct ReconcilerBuilder {
    source: Arc<dyn TaskSource>,
    settings: Settings,
}

impl fmt::Debug for ReconcilerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReconcilerBuilder")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl ReconcilerBuilder {
    pub(super) fn new(source: impl TaskSource) -> Self {
        Self {
            source: Arc::new(source),
            settings: Settings::default(),
        }
    }

    /// Waits before tasks without an answer are asked for again; each is at least half as long as it may be. Default 1 s,
    /// doubling up to 1 min. After the failover of a master, agents have 10 min to come back to it.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = backoff;
        self
    }

    /// How long after the end of a round the next one begins, more or less by a tenth; default 15 min.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.settings.interval = interval;
        self
    }

    /// For how many tasks one call may ask; default 1,000. The next is queued when the master has taken the one before.
    /// 0 is taken as 1.
    pub fn tasks_per_call(mut self, tasks: usize) -> Self {
        self.settings.tasks_per_call = tasks.max(1);
        self
    }

    /// Makes the reconciler. It begins when it is told of a subscription.
    #[must_use]
    pub fn build(self) -> Reconciler {
        let shared = Shared::new(self.source, self.settings);
        Reconciler {
            inner: Arc::new(Inner {
                shared: Arc::new(shared),
                task: Mutex::new(None),
            }),
        }
    }
}
