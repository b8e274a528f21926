//! Settings of the answers to inverse offers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Maintenance, MaintenanceAnswer};
use crate::proto::{Filters, InverseOffer};

/// Longest and shortest time between two reviews.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
const SHORTEST: Duration = Duration::from_millis(10);

type Policy = Arc<dyn Fn(&InverseOffer) -> MaintenanceAnswer + Send + Sync>;

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) policy: Policy,
    pub(super) review: Duration,
    ask_again: Duration,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("review", &self.review)
            .field("ask_again", &self.ask_again)
            .finish_non_exhaustive()
    }
}

impl Settings {
    pub(super) fn filters(&self) -> Filters {
        Filters {
            refuse_seconds: Some(self.ask_again.as_secs_f64()),
        }
    }
}

/// Sets a [`Maintenance`] up.
#[derive(Clone, Debug)]
#[must_use]
pub struct MaintenanceBuilder {
    settings: Settings,
}

impl MaintenanceBuilder {
    pub(super) fn new(policy: Policy) -> Self {
        let settings = Settings {
            policy,
            review: Duration::from_secs(5),
            ask_again: Duration::from_secs(60),
        };
        Self { settings }
    }

    /// After what time the policy is asked again about what waits for an answer; default 5 s, and 10 ms at least.
    pub fn review(mut self, review: Duration) -> Self {
        self.settings.review = review.clamp(SHORTEST, LONGEST);
        self
    }

    /// After what time the master shall ask again once it has an answer; default 60 s. Zero: with its next allocation.
    ///
    /// Until then the answer stands, whatever happens. A REVIVE makes the master ask at once.
    pub fn ask_again(mut self, ask_again: Duration) -> Self {
        self.settings.ask_again = ask_again;
        self
    }

    /// To observe a driver with.
    #[must_use]
    pub fn build(self) -> Maintenance {
        Maintenance::with(self.settings)
    }
}
