//! Settings of a killer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::{Link, Shared, TaskKiller};
use crate::backoff::Backoff;

/// Settings of a [`TaskKiller`]; each has a default.
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct TaskKillerBuilder {
    settings: Settings,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// None: the task's own.
    pub(super) grace_period: Option<Duration>,
    pub(super) escalate_after: Option<Duration>,
    pub(super) backoff: Backoff,
    calls_in_flight: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            grace_period: None,
            escalate_after: Some(Duration::from_secs(5 * 60)),
            backoff: Backoff::new(Duration::from_secs(5), Duration::from_secs(60)),
            calls_in_flight: 64,
        }
    }
}

impl TaskKillerBuilder {
    /// How long tasks may take to end by themselves when they are told to; by default what their `TaskInfo.kill_policy` says,
    /// or what their executor takes for right (3 to 5 s in Mesos's own).
    pub fn grace_period(mut self, grace_period: Duration) -> Self {
        self.settings.grace_period = Some(grace_period);
        self
    }

    /// How long after the first KILL that the master took further ones give the task no grace period; default 5 min. It should
    /// be longer than the grace period of any task. The time counts anew when a task comes back from an unreachable agent, and
    /// with every subscription.
    pub fn escalate_after(mut self, time: Duration) -> Self {
        self.settings.escalate_after = Some(time);
        self
    }

    /// Gives tasks their grace period for ever.
    pub fn no_escalation(mut self) -> Self {
        self.settings.escalate_after = None;
        self
    }

    /// Waits before a call is repeated; each is at least half as long as it may be. Default 5 s, doubling up to 1 min.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = backoff;
        self
    }

    /// How many calls may be on their way at a time, for all tasks together; default 64. 0 is taken as 1.
    pub fn calls_in_flight(mut self, calls: usize) -> Self {
        self.settings.calls_in_flight = calls.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Makes the killer. Its kills begin when it is told of a subscription.
    #[must_use]
    pub fn build(self) -> TaskKiller {
        let shared = Shared {
            calls: Semaphore::new(self.settings.calls_in_flight),
            settings: self.settings,
            link: watch::Sender::new(Link::default()),
            targets: Mutex::new(BTreeMap::new()),
        };
        TaskKiller {
            shared: Arc::new(shared),
        }
    }
}
