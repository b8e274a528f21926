//! When silence means that the peer is gone.

use std::time::Duration;

use tokio::time::Instant;

use crate::address::Address;
use crate::error::{Error, ErrorKind};

/// Longest heartbeat interval that is believed: a day.
const MAX_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// Watches the time since the last byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Liveness {
    /// None: the peer promised no heartbeats, and silence means nothing.
    interval: Option<Duration>,
    /// How many intervals of silence are too many.
    tolerated: u32,
    last_byte: Instant,
}

impl Liveness {
    pub(crate) fn new(interval: Option<Duration>, tolerated: u32, now: Instant) -> Self {
        Self {
            interval,
            tolerated,
            last_byte: now,
        }
    }

    pub(crate) fn heard(&mut self, now: Instant) {
        self.last_byte = now;
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.interval
            .map(|interval| self.last_byte + interval * self.tolerated)
    }

    pub(crate) fn is_dead(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| now >= deadline)
    }

    pub(crate) fn error(&self, peer: &str, from: &Address) -> Error {
        let interval = self.interval.unwrap_or_default();
        let silence = (interval * self.tolerated).as_secs_f64();
        let (n, interval) = (self.tolerated, interval.as_secs_f64());
        let context =
            format!("no event from {peer} {from} for {silence} s ({n} heartbeats of {interval} s)");
        Error::new(ErrorKind::Timeout, context)
    }
}

/// The interval of a SUBSCRIBED event; none if it is absent or no positive number of at most a day.
pub(crate) fn heartbeat_interval(seconds: Option<f64>) -> Option<Duration> {
    let interval = Duration::try_from_secs_f64(seconds?).ok()?;
    (!interval.is_zero() && interval <= MAX_INTERVAL).then_some(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_silent_intervals_are_too_many() {
        let now = Instant::now();
        let mut liveness = Liveness::new(heartbeat_interval(Some(15.0)), 5, now);
        assert!(!liveness.is_dead(now + Duration::from_secs(74)));
        assert!(liveness.is_dead(now + Duration::from_secs(75)));
        liveness.heard(now + Duration::from_secs(60));
        assert!(!liveness.is_dead(now + Duration::from_secs(134)));
        let from = Address::parse("10.0.0.5:5050").unwrap();
        assert_eq!(
            liveness.error("master", &from).to_string(),
            "no event from master 10.0.0.5:5050 for 75 s (5 heartbeats of 15 s)"
        );
    }

    #[test]
    fn nonsense_intervals_mean_no_watching() {
        for seconds in [
            None,
            Some(0.0),
            Some(-1.0),
            Some(f64::NAN),
            Some(f64::INFINITY),
            Some(1e30),
        ] {
            assert_eq!(heartbeat_interval(seconds), None);
        }
    }
}
