//! When to ask again what became of calls of unknown outcome.

use std::time::Duration;

use tokio::time::Instant;

/// Whoever knows answers at once; a master says nothing of agents that are not back yet after its own restart, for ten
/// minutes if need be (`--agent_reregister_timeout`). The waits double, as `docs/reconciliation.md` asks for, Apache Mesos
/// 1.11.0.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The questions under one subscription.
#[derive(Debug)]
pub(super) struct Asking {
    /// None if nothing is in doubt.
    due: Option<Instant>,
    next_wait: Duration,
}

impl Default for Asking {
    fn default() -> Self {
        Self {
            due: None,
            next_wait: FIRST_WAIT,
        }
    }
}

impl Asking {
    /// The question was due; `is_open`: whether there is anything to ask.
    pub(super) fn asked(&mut self, is_open: bool) {
        self.due = is_open.then(|| Instant::now() + self.next_wait);
        self.next_wait = LONGEST_WAIT.min(2 * self.next_wait);
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }
}
