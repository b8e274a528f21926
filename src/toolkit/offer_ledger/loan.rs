//! Offers that a call under way has taken out.

use std::sync::Arc;

use super::stale::StaleReason;
use super::{Shared, StaleOffer};
use crate::driver::{Outcome, Watcher};
use crate::error::{Error, Result};
use crate::proto::{Offer, OfferId};

/// Gives the offers back when it is dropped, unless it is told that the call is queued.
#[derive(Debug)]
pub(super) struct Loan {
    shared: Arc<Shared>,
    pub(super) offer_ids: Vec<OfferId>,
    pub(super) offers: Vec<Offer>,
    /// Under which they came.
    pub(super) generation: Option<u64>,
}

impl Loan {
    pub(super) fn take(shared: &Arc<Shared>, offer_ids: Vec<OfferId>) -> Result<Self> {
        let (offers, generation) = shared.change(|book| {
            let offers = book.take(&offer_ids)?;
            Ok::<_, StaleOffer>((offers, book.generation))
        })?;
        Ok(Self {
            shared: Arc::clone(shared),
            offer_ids,
            offers,
            generation,
        })
    }

    /// Settles what becomes of the offers by what becomes of the call.
    pub(super) fn watcher(&self) -> Watcher {
        let (shared, offer_ids) = (Arc::clone(&self.shared), self.offer_ids.clone());
        Box::new(move |outcome| {
            let is_untouched = match outcome {
                // The subscription stands, and the master has not looked at the offers.
                Outcome::Refused { .. } => true,
                Outcome::NotSent(why) => !why.is_disconnected(),
                Outcome::Accepted | Outcome::Unknown(_) => false,
            };
            shared.change(|book| match is_untouched {
                true => book.give_back(&offer_ids),
                false => book.settle(&offer_ids, StaleReason::Used),
            });
        })
    }

    /// The call is queued: what follows is the watcher's.
    pub(super) fn queued(mut self) {
        self.offer_ids.clear();
    }

    /// The same, of a call that is not watched.
    pub(super) fn declined(mut self) {
        let offer_ids = std::mem::take(&mut self.offer_ids);
        self.shared
            .change(|book| book.settle(&offer_ids, StaleReason::Declined));
    }

    /// The call was not queued. Without the subscription of the offers, they are void.
    pub(super) fn failed(mut self, error: Error) -> Error {
        if !error.is_disconnected() {
            return error;
        }
        let offer_ids = std::mem::take(&mut self.offer_ids);
        self.shared
            .change(|book| book.settle(&offer_ids, StaleReason::Disconnected));
        match offer_ids.into_iter().next() {
            Some(offer_id) => Error::from(StaleOffer {
                offer_id,
                reason: StaleReason::Disconnected,
            }),
            None => error,
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if !self.offer_ids.is_empty() {
            self.shared.change(|book| book.give_back(&self.offer_ids));
        }
    }
}
