//! Why an offer cannot be used.

use std::error::Error as StdError;
use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::proto::OfferId;

/// An offer that cannot be used any more: the source of an error of kind [`ErrorKind::StaleOffer`].
///
/// # Examples
/// ```
/// use mesos_framework::ErrorKind;
/// use mesos_framework::toolkit::{OfferLedger, StaleOffer, StaleReason};
///
/// let error = OfferLedger::new().take(&["4711".into()]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::StaleOffer);
/// assert_eq!(error.to_string(), "offers cannot be used: offer 4711 is not known");
/// let stale = StaleOffer::of(&error).unwrap();
/// assert_eq!((stale.offer_id.value.as_str(), stale.reason), ("4711", StaleReason::Unknown));
/// ```
///
/// Source: the checks of offer ids in `src/master/validation.cpp` of Apache Mesos 1.11.0, which come too late for tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StaleOffer {
    /// Which one; the first one of several.
    pub offer_id: OfferId,
    /// Why.
    pub reason: StaleReason,
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StaleReason {
    /// It was never told, or so long ago that it is forgotten.
    Unknown,
    /// A launch or an accept has used it, or is about to.
    Used,
    /// It was declined.
    Declined,
    /// It was held too long, and declined by the ledger.
    Expired,
    /// The master has taken it back.
    Rescinded,
    /// Its agent is lost.
    AgentLost,
    /// The subscription is lost on which it came.
    Disconnected,
}

impl StaleOffer {
    /// The stale offer that `error` tells of, if it does.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        error.source()?.downcast_ref()
    }
}

impl fmt::Display for StaleOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.reason {
            StaleReason::Unknown => "is not known",
            StaleReason::Used => "is used already",
            StaleReason::Declined => "was declined",
            StaleReason::Expired => "was held too long, and declined",
            StaleReason::Rescinded => "was rescinded",
            StaleReason::AgentLost => "went with its agent",
            StaleReason::Disconnected => "went with its subscription",
        };
        write!(f, "offer {} {why}", self.offer_id)
    }
}

impl StdError for StaleOffer {}

impl From<StaleOffer> for Error {
    fn from(stale: StaleOffer) -> Self {
        Self::caused_by(ErrorKind::StaleOffer, "offers cannot be used", stale)
    }
}
