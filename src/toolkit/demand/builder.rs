//! Settings of a demand.

use std::time::Duration;

use super::Demand;
use crate::proto::Filters;
use crate::toolkit::OfferLedger;

/// Longest time, a century: it can be added to any time of day.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) ledger: Option<OfferLedger>,
    pub(super) burst: u32,
    pub(super) interval: Duration,
    refuse: Duration,
    jitter: f64,
}

impl Settings {
    /// `random`: in [0, 1).
    pub(super) fn refusal(&self, random: f64) -> Filters {
        let factor = 1.0 + self.jitter * (2.0 * random - 1.0);
        Filters {
            refuse_seconds: Some(self.refuse.as_secs_f64() * factor),
        }
    }
}

/// Sets a [`Demand`] up.
#[derive(Clone, Debug)]
#[must_use]
pub struct DemandBuilder {
    settings: Settings,
}

impl Default for DemandBuilder {
    fn default() -> Self {
        let settings = Settings {
            ledger: None,
            burst: 5,
            interval: Duration::from_secs(5),
            refuse: Duration::from_secs(5),
            jitter: 0.2,
        };
        Self { settings }
    }
}

impl DemandBuilder {
    /// The ledger out of which offers of roles without work are declined; default none. It must be observing, too.
    pub fn ledger(mut self, ledger: &OfferLedger) -> Self {
        self.settings.ledger = Some(ledger.clone());
        self
    }

    /// How often REVIVE is sent at most: `burst` in a row, then one each `interval`; default 5, and one each 5 s.
    ///
    /// A `burst` of 0 means 1.
    pub fn revives(mut self, burst: u32, interval: Duration) -> Self {
        self.settings.burst = burst.max(1);
        self.settings.interval = interval.min(LONGEST);
        self
    }

    /// For how long what is declined stays away: `refuse` on average, up to `jitter` of it more or less (a share between 0
    /// and 1); default 5 s, and 0.2 of it: 4 to 6 s.
    ///
    /// Mesos makes it the allocation interval (1 s by default) at least, and 365 days at most.
    pub fn refuse(mut self, refuse: Duration, jitter: f64) -> Self {
        self.settings.refuse = refuse;
        // NaN is no share either.
        self.settings.jitter = if jitter > 0.0 { jitter.min(1.0) } else { 0.0 };
        self
    }

    /// The demand: none yet.
    #[must_use]
    pub fn build(self) -> Demand {
        Demand::with(self.settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_lie_within_the_jitter() {
        let seconds = |jitter: f64, random: f64| {
            let builder = Demand::builder().refuse(Duration::from_secs(10), jitter);
            builder.settings.refusal(random).refuse_seconds()
        };
        assert_eq!(seconds(0.5, 0.0), 5.0);
        assert_eq!(seconds(0.5, 0.5), 10.0);
        assert!(seconds(0.5, 0.999) > 14.9 && seconds(0.5, 0.999) < 15.0);
        for nonsense in [f64::NAN, -1.0, 0.0] {
            assert_eq!(seconds(nonsense, 0.9), 10.0);
        }
        assert_eq!(seconds(7.0, 0.0), 0.0);
    }
}
