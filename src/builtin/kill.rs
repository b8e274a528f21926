//! When a kill becomes a SIGKILL. Pure.

use std::time::Duration;

use tokio::time::Instant;

use crate::proto::KillPolicy;

/// Without any kill policy (`src/launcher/executor.cpp`, `src/launcher/default_executor.cpp`).
pub(super) const DEFAULT_GRACE_PERIOD: Duration = Duration::from_secs(3);

/// What a shutdown leaves for the forced kill and its update: a reap interval and a second
/// (`src/launcher/executor.cpp`).
const SHUTDOWN_RESERVE: Duration = Duration::from_secs(2);

/// The time between SIGTERM and SIGKILL: the call's, else the task's, else 3 s.
pub(super) fn grace_period(of_call: Option<KillPolicy>, of_task: Option<KillPolicy>) -> Duration {
    let stated = |policy: Option<KillPolicy>| policy.and_then(|own| own.grace_period);
    let period = stated(of_call).or_else(|| stated(of_task));
    period.map_or(DEFAULT_GRACE_PERIOD, |own| {
        Duration::from_nanos(u64::try_from(own.nanoseconds).unwrap_or_default())
    })
}

/// The same when the executor has `executor_grace` to shut down.
pub(super) fn shutdown_grace_period(executor_grace: Duration) -> Duration {
    executor_grace.saturating_sub(SHUTDOWN_RESERVE)
}

/// A kill under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kill {
    since: Instant,
    /// `None` once SIGKILL has been sent.
    escalates_at: Option<Instant>,
}

impl Kill {
    pub(super) fn new(now: Instant, grace: Duration) -> Self {
        Self {
            since: now,
            escalates_at: Some(now + grace),
        }
    }

    /// Another kill: counted from the first, and only ever shortening what remains.
    pub(super) fn again(&mut self, grace: Duration) {
        let at = self.since + grace;
        self.escalates_at = self.escalates_at.map(|planned| planned.min(at));
    }

    pub(super) fn escalates_at(&self) -> Option<Instant> {
        self.escalates_at
    }

    pub(super) fn escalated(&mut self) {
        self.escalates_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::DurationInfo;

    fn policy(seconds: i64) -> Option<KillPolicy> {
        let nanoseconds = seconds * 1_000_000_000;
        Some(KillPolicy {
            grace_period: Some(DurationInfo { nanoseconds }),
        })
    }

    #[test]
    fn the_calls_policy_comes_before_the_tasks() {
        assert_eq!(grace_period(policy(1), policy(2)), Duration::from_secs(1));
        assert_eq!(grace_period(None, policy(2)), Duration::from_secs(2));
        let empty = Some(KillPolicy::default());
        assert_eq!(grace_period(empty, policy(2)), Duration::from_secs(2));
        assert_eq!(grace_period(None, None), DEFAULT_GRACE_PERIOD);
        assert_eq!(grace_period(policy(-1), None), Duration::ZERO);
    }

    #[test]
    fn a_shutdown_leaves_time_for_the_last_update() {
        let of = |seconds| shutdown_grace_period(Duration::from_secs(seconds));
        assert_eq!(of(5), Duration::from_secs(3));
        assert_eq!(of(1), Duration::ZERO);
    }

    #[test]
    fn another_kill_only_shortens() {
        let now = Instant::now();
        let after = |seconds| Some(now + Duration::from_secs(seconds));
        let mut kill = Kill::new(now, Duration::from_secs(20));
        kill.again(Duration::from_secs(30));
        assert_eq!(kill.escalates_at(), after(20));
        kill.again(Duration::from_secs(5));
        assert_eq!(kill.escalates_at(), after(5));
        kill.escalated();
        kill.again(Duration::ZERO);
        assert_eq!(kill.escalates_at(), None);
    }
}
