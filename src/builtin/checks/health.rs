//! From single results to the health of a task. Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::{Report, seconds};
use crate::proto::HealthCheck;

/// The health of a task as its results come in.
#[derive(Debug)]
pub(super) struct Health {
    started: Instant,
    grace_period: Duration,
    /// So many failures in a row are one too many.
    limit: u32,
    failures: u32,
    /// Until the first success.
    is_new: bool,
}

impl Health {
    pub(super) fn new(check: &HealthCheck, now: Instant) -> Self {
        Self {
            started: now,
            grace_period: seconds(check.grace_period_seconds()),
            limit: check.consecutive_failures(),
            failures: 0,
            is_new: true,
        }
    }

    /// What is to be told of a result: the first success, and the first after failures; each failure, but for those of a
    /// task that was never healthy and is in its grace period.
    pub(super) fn judge(&mut self, passed: bool, now: Instant) -> Option<Report> {
        if passed {
            let is_news = self.is_new || self.failures > 0;
            self.is_new = false;
            self.failures = 0;
            return is_news.then_some(Report::Health {
                is_healthy: true,
                is_fatal: false,
            });
        }
        let age = now.saturating_duration_since(self.started);
        if self.is_new && !self.grace_period.is_zero() && age <= self.grace_period {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        Some(Report::Health {
            is_healthy: false,
            is_fatal: self.failures >= self.limit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(grace: f64, failures: u32) -> (Health, Instant) {
        let now = Instant::now();
        let check = HealthCheck {
            grace_period_seconds: Some(grace),
            consecutive_failures: Some(failures),
            ..Default::default()
        };
        (Health::new(&check, now), now)
    }

    fn told(is_healthy: bool, is_fatal: bool) -> Option<Report> {
        Some(Report::Health {
            is_healthy,
            is_fatal,
        })
    }

    #[test]
    fn success_is_told_first_and_after_failures() {
        let (mut health, now) = health(0.0, 3);
        assert_eq!(health.judge(true, now), told(true, false));
        assert_eq!(health.judge(true, now), None);
        assert_eq!(health.judge(false, now), told(false, false));
        assert_eq!(health.judge(true, now), told(true, false));
    }

    #[test]
    fn failures_are_counted_in_a_row() {
        let (mut health, now) = health(0.0, 2);
        assert_eq!(health.judge(false, now), told(false, false));
        assert_eq!(health.judge(true, now), told(true, false));
        assert_eq!(health.judge(false, now), told(false, false));
        assert_eq!(health.judge(false, now), told(false, true));
        assert_eq!(health.judge(false, now), told(false, true));
    }

    #[test]
    fn the_grace_period_ends_with_its_time_or_the_first_success() {
        let (mut health, now) = health(10.0, 1);
        let at = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(health.judge(false, at(10)), None);
        assert_eq!(health.judge(false, at(11)), told(false, true));
        let (mut health, now) = self::health(10.0, 1);
        assert_eq!(health.judge(true, now), told(true, false));
        assert_eq!(health.judge(false, now), told(false, true));
    }
}
