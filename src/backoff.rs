//! Delays between attempts: exponential, capped, with full jitter.

use std::time::Duration;

/// How long to wait between attempts to subscribe.
///
/// The n-th wait (from 0) is random between nothing and `initial` · 2ⁿ, but at most `max`; a subscription that lasted
/// starts the count again. Both are durations above zero; `initial` is taken as `max` where it exceeds it.
///
/// Source: the rule of `src/sched/sched.cpp`, with the numbers of `docs/scheduler-http-api.md`, Apache Mesos 1.11.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
}

impl Backoff {
    /// Waits of up to `initial` at first, doubling up to `max`.
    #[must_use]
    pub const fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max }
    }

    pub(crate) fn capped(self, max: Duration) -> Self {
        Self {
            max: self.max.min(max),
            ..self
        }
    }

    pub(crate) const fn longest(&self) -> Duration {
        self.max
    }
}

impl Default for Backoff {
    /// 500 ms, doubling up to 15 s.
    fn default() -> Self {
        Self::new(Duration::from_millis(500), Duration::from_secs(15))
    }
}

/// The endless series of waits; the random source, which answers numbers in [0, 1), is injected.
#[derive(Clone, Debug)]
pub(crate) struct Delays {
    backoff: Backoff,
    attempt: u32,
    random: fn() -> f64,
}

impl Delays {
    pub(crate) fn new(backoff: Backoff) -> Self {
        Self::with_random(backoff, fastrand::f64)
    }

    pub(crate) fn with_random(backoff: Backoff, random: fn() -> f64) -> Self {
        Self {
            backoff,
            attempt: 0,
            random,
        }
    }

    pub(crate) fn reset(&mut self) {
        self.attempt = 0;
    }
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let factor = 2_u32.saturating_pow(self.attempt);
        self.attempt = self.attempt.saturating_add(1);
        let ceiling = self
            .backoff
            .initial
            .saturating_mul(factor)
            .min(self.backoff.max);
        Some(ceiling.mul_f64((self.random)()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_up_to_the_cap_and_start_again() {
        let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(3));
        let mut delays = Delays::with_random(backoff, || 0.5);
        let millis = |delays: &mut Delays| delays.next().map(|delay| delay.as_millis());
        let first: Vec<_> = (0..5).filter_map(|_| millis(&mut delays)).collect();
        assert_eq!(first, [250, 500, 1000, 1500, 1500]);
        delays.reset();
        assert_eq!(millis(&mut delays), Some(250));
    }

    #[test]
    fn never_overflows() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::MAX);
        let mut delays = Delays::with_random(backoff, || 0.0);
        assert!((0..200).all(|_| delays.next() == Some(Duration::ZERO)));
    }
}
