//! Settings of a ledger.

use std::time::Duration;

use super::OfferLedger;
use crate::proto::Filters;

/// Longest time, a century: it can be added to any time of day.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) hold_time: Duration,
    pub(super) filters: Filters,
    pub(super) capacity: usize,
}

/// Sets an [`OfferLedger`] up.
#[derive(Clone, Debug)]
#[must_use]
pub struct OfferLedgerBuilder {
    settings: Settings,
}

impl Default for OfferLedgerBuilder {
    fn default() -> Self {
        let settings = Settings {
            hold_time: Duration::from_secs(30),
            filters: Filters::default(),
            capacity: 10_000,
        };
        Self { settings }
    }
}

impl OfferLedgerBuilder {
    /// How long an offer is held before the ledger declines it; default 30 s.
    ///
    /// Long enough for an answer to be thought over, for what is on offer is kept from everybody else meanwhile.
    /// `Duration::MAX`: for ever.
    pub fn hold_time(mut self, hold_time: Duration) -> Self {
        self.settings.hold_time = hold_time.min(LONGEST);
        self
    }

    /// With what filters the ledger declines what was held too long; default those of Mesos, which keep it away for 5 s.
    pub fn filters(mut self, filters: Filters) -> Self {
        self.settings.filters = filters;
        self
    }

    /// How many offers are held at most, in offers; default 10,000, and 0 means 1. Beyond that the oldest are declined.
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.settings.capacity = capacity.max(1);
        self
    }

    /// The ledger, which is empty.
    #[must_use]
    pub fn build(self) -> OfferLedger {
        OfferLedger::with(self.settings)
    }
}
