//! Settings of the operations.

use std::time::Duration;

use super::Operations;
use super::table::Rhythm;
use crate::proto::Filters;
use crate::toolkit::OfferLedger;

/// Longest time, a century: it can be added to any time of day. Shortest between two questions.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
const SHORTEST: Duration = Duration::from_millis(10);

/// What a semaphore can count, anywhere.
const MAX_CAPACITY: usize = 1 << 28;

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) ledger: Option<OfferLedger>,
    pub(super) filters: Filters,
    pub(super) capacity: usize,
    pub(super) rhythm: Rhythm,
}

/// Sets [`Operations`] up.
#[derive(Clone, Debug)]
#[must_use]
pub struct OperationsBuilder {
    settings: Settings,
}

impl Default for OperationsBuilder {
    fn default() -> Self {
        let rhythm = Rhythm {
            first: Duration::from_secs(5),
            max: Duration::from_secs(5 * 60),
            unknown: 3,
        };
        let settings = Settings {
            ledger: None,
            filters: Filters::default(),
            capacity: 1000,
            rhythm,
        };
        Self { settings }
    }
}

impl OperationsBuilder {
    /// The ledger out of which offers are taken; default none. It must be observing, too.
    ///
    /// Offers that are not live in it are refused then, and those come back of which the call was surely not carried out.
    pub fn ledger(mut self, ledger: &OfferLedger) -> Self {
        self.settings.ledger = Some(ledger.clone());
        self
    }

    /// With what filters that is declined which an operation leaves over; default those of Mesos, which keep it away for
    /// 5 s.
    pub fn filters(mut self, filters: Filters) -> Self {
        self.settings.filters = filters;
        self
    }

    /// How many operations are followed at once; default 1,000, and 0 means 1. Further ones wait for room.
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.settings.capacity = capacity.clamp(1, MAX_CAPACITY);
        self
    }

    /// How often the master is asked for operations that have not come to their end: after `first`, then after twice as
    /// long each time, but after `max` at the latest, each up to a half sooner; default 5 s and 5 min. With a new
    /// subscription it begins anew, at once.
    ///
    /// 10 ms at least.
    pub fn reconcile(mut self, first: Duration, max: Duration) -> Self {
        self.settings.rhythm.first = first.clamp(SHORTEST, LONGEST);
        self.settings.rhythm.max = max.clamp(SHORTEST, LONGEST);
        self
    }

    /// How many answers in a row that nobody knows of an operation are its end; default 3, and 0 means 1.
    ///
    /// One may come too early: while the operation is on its way to the agent, or is being authorized.
    pub fn unknown_answers(mut self, answers: u32) -> Self {
        self.settings.rhythm.unknown = answers.max(1);
        self
    }

    /// To observe a driver with.
    #[must_use]
    pub fn build(self) -> Operations {
        Operations::with(self.settings)
    }
}
