//! Delays between attempts: exponential, capped, with full jitter.

use std::time::Duration;

/// Longest wait, a century: it can be added to any time of day.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

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

/// `time`, more or less by up to a tenth, so that those who began together do not stay together.
pub(crate) fn spread(time: Duration) -> Duration {
    LONGEST.min(time).mul_f64(0.9 + fastrand::f64() / 5.0)
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

    /// Waits that are never shorter than half of what they may be, for what is to be repeated soon but not at once.
    pub(crate) fn half_random(backoff: Backoff) -> Self {
        Self::with_random(backoff, || 0.5 + fastrand::f64() / 2.0)
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
            .min(self.backoff.max)
            .min(LONGEST);
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
    fn half_random_waits_grow() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(8));
        let waits: Vec<_> = Delays::half_random(backoff).take(5).collect();
        for (wait, most) in waits.iter().zip([1, 2, 4, 8, 8]) {
            let most = Duration::from_secs(most);
            assert!(*wait >= most / 2 && *wait <= most, "{wait:?} of {most:?}");
        }
        let spread = spread(Duration::from_secs(10));
        assert!(spread >= Duration::from_secs(9) && spread <= Duration::from_secs(11));
    }

    #[test]
    fn never_overflows() {
        assert!(spread(Duration::MAX) > LONGEST / 2);
        let backoff = Backoff::new(Duration::from_secs(1), Duration::MAX);
        let mut delays = Delays::with_random(backoff, || 0.0);
        assert!((0..200).all(|_| delays.next() == Some(Duration::ZERO)));
        let endless = Backoff::new(Duration::MAX, Duration::MAX);
        let mut delays = Delays::with_random(endless, || 0.999);
        assert!((0..200).all(|_| delays.next() <= Some(LONGEST)));
    }
}
