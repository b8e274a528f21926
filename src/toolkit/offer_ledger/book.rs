//! Which offers are live, and what became of those that are not. No I/O, no clock.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;

use super::stale::{StaleOffer, StaleReason};
use crate::proto::{AgentId, Offer, OfferId};

/// Of how many offers that are gone it is known why.
const MEMORY: usize = 4096;

/// An offer, and when it came.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) offer: Offer,
    pub(super) since: Instant,
    /// In the order in which they came.
    number: u64,
}

/// The state of a ledger.
#[derive(Debug, Default)]
pub(super) struct Book {
    live: BTreeMap<u64, Entry>,
    numbers: BTreeMap<OfferId, u64>,
    /// Named by calls of which nobody knows yet whether they left.
    taken: BTreeMap<OfferId, Entry>,
    gone: BTreeMap<OfferId, StaleReason>,
    /// The keys of `gone`, oldest first.
    remembered: VecDeque<OfferId>,
    next: u64,
    /// Of the subscription under which offers come.
    pub(super) generation: Option<u64>,
}

impl Book {
    pub(super) fn add(&mut self, offer: Offer, since: Instant) {
        let number = self.next;
        self.next += 1;
        if let Some(before) = self.numbers.insert(offer.id.clone(), number) {
            self.live.remove(&before);
        }
        let entry = Entry {
            offer,
            since,
            number,
        };
        self.live.insert(number, entry);
    }

    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    /// Oldest first.
    pub(super) fn offers(&self) -> impl Iterator<Item = &Offer> {
        self.live.values().map(|entry| &entry.offer)
    }

    pub(super) fn get(&self, id: &OfferId) -> Option<&Offer> {
        let entry = self.live.get(self.numbers.get(id)?)?;
        Some(&entry.offer)
    }

    /// When the oldest offer came.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.live.values().next().map(|entry| entry.since)
    }

    /// Why `id` is not live, if so.
    pub(super) fn check(&self, id: &OfferId) -> Result<(), StaleOffer> {
        if self.numbers.contains_key(id) {
            return Ok(());
        }
        let reason = match self.taken.contains_key(id) {
            true => StaleReason::Used,
            false => self.gone.get(id).copied().unwrap_or(StaleReason::Unknown),
        };
        Err(StaleOffer {
            offer_id: id.clone(),
            reason,
        })
    }

    /// Takes offers out for a call, all or none of them.
    pub(super) fn take(&mut self, ids: &[OfferId]) -> Result<Vec<Offer>, StaleOffer> {
        ids.iter().try_for_each(|id| self.check(id))?;
        let mut offers = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(entry) = self.remove_live(id) {
                offers.push(entry.offer.clone());
                self.taken.insert(id.clone(), entry);
            }
        }
        Ok(offers)
    }

    /// The call has left, or may have: the offers are used.
    pub(super) fn settle(&mut self, ids: &[OfferId], reason: StaleReason) {
        for id in ids {
            if self.taken.remove(id).is_some() {
                self.remember(id.clone(), reason);
            }
        }
    }

    /// The call has not left: those offers are live again that were not rescinded or lost meanwhile.
    pub(super) fn give_back(&mut self, ids: &[OfferId]) {
        for id in ids {
            if let Some(entry) = self.taken.remove(id) {
                self.numbers.insert(id.clone(), entry.number);
                self.live.insert(entry.number, entry);
            }
        }
    }

    pub(super) fn remove(&mut self, id: &OfferId, reason: StaleReason) {
        let taken = self.taken.remove(id).is_some();
        if self.remove_live(id).is_some() || taken {
            self.remember(id.clone(), reason);
        }
    }

    /// Takes those out that came at `until` or before, and those beyond the newest `capacity`.
    pub(super) fn expire(&mut self, until: Option<Instant>, capacity: usize) -> Vec<OfferId> {
        let mut expired = Vec::new();
        while let Some(entry) = self.live.values().next() {
            let is_old = until.is_some_and(|until| entry.since <= until);
            if !is_old && self.live.len() <= capacity {
                break;
            }
            let id = entry.offer.id.clone();
            self.remove(&id, StaleReason::Expired);
            expired.push(id);
        }
        expired
    }

    pub(super) fn remove_agent(&mut self, agent_id: &AgentId) {
        let taken = self.taken.values().map(|entry| &entry.offer);
        let lost = self.offers().chain(taken);
        let lost = lost.filter(|offer| offer.agent_id == *agent_id);
        let lost: Vec<OfferId> = lost.map(|offer| offer.id.clone()).collect();
        for id in lost {
            self.remove(&id, StaleReason::AgentLost);
        }
    }

    /// The subscription is lost, and all offers with it.
    pub(super) fn clear(&mut self) {
        self.generation = None;
        self.live.clear();
        let ids = std::mem::take(&mut self.numbers).into_keys();
        let taken = std::mem::take(&mut self.taken).into_keys();
        for id in ids.chain(taken) {
            self.remember(id, StaleReason::Disconnected);
        }
    }

    fn remove_live(&mut self, id: &OfferId) -> Option<Entry> {
        let number = self.numbers.remove(id)?;
        self.live.remove(&number)
    }

    fn remember(&mut self, id: OfferId, reason: StaleReason) {
        if self.gone.insert(id.clone(), reason).is_none() {
            self.remembered.push_back(id);
        }
        if self.remembered.len() > MEMORY
            && let Some(oldest) = self.remembered.pop_front()
        {
            self.gone.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn offer(id: &str, agent: &str) -> Offer {
        Offer {
            id: id.into(),
            agent_id: agent.into(),
            ..Offer::default()
        }
    }

    fn book(ids: &[&str]) -> Book {
        let mut book = Book::default();
        for id in ids {
            book.add(offer(id, "agent"), Instant::now());
        }
        book
    }

    fn ids(of: &[&str]) -> Vec<OfferId> {
        of.iter().map(|id| OfferId::from(*id)).collect()
    }

    fn live(book: &Book) -> Vec<&str> {
        book.offers().map(|offer| offer.id.value.as_str()).collect()
    }

    fn why(book: &Book, id: &str) -> Option<StaleReason> {
        book.check(&id.into()).err().map(|stale| stale.reason)
    }

    #[tokio::test]
    async fn offers_are_taken_all_or_none() {
        let mut book = book(&["1", "2"]);
        let stale = book.take(&ids(&["1", "3"])).unwrap_err();
        assert_eq!(stale.offer_id, "3".into());
        assert_eq!(stale.reason, StaleReason::Unknown);
        assert_eq!(live(&book), ["1", "2"]);
        assert_eq!(book.take(&ids(&["2"])).unwrap().len(), 1);
        assert_eq!(live(&book), ["1"]);
        assert_eq!(why(&book, "2"), Some(StaleReason::Used));
        book.settle(&ids(&["2"]), StaleReason::Used);
        book.give_back(&ids(&["2"]));
        assert_eq!(why(&book, "2"), Some(StaleReason::Used));
    }

    #[tokio::test]
    async fn what_was_not_sent_comes_back_to_its_place_unless_it_is_gone() {
        let mut book = book(&["1", "2", "3"]);
        book.take(&ids(&["1", "2"])).unwrap();
        book.remove(&"2".into(), StaleReason::Rescinded);
        book.give_back(&ids(&["1", "2"]));
        assert_eq!(live(&book), ["1", "3"]);
        assert_eq!(why(&book, "2"), Some(StaleReason::Rescinded));
        book.take(&ids(&["1"])).unwrap();
        book.clear();
        book.give_back(&ids(&["1"]));
        assert!(live(&book).is_empty());
        assert_eq!(why(&book, "1"), Some(StaleReason::Disconnected));
        assert_eq!(why(&book, "3"), Some(StaleReason::Disconnected));
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_expire_first() {
        let mut book = book(&["1", "2"]);
        let then = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        book.add(offer("3", "other"), Instant::now());
        assert_eq!(book.oldest(), Some(then));
        assert_eq!(book.expire(None, 2), ids(&["1"]), "the ledger is full");
        assert_eq!(book.expire(Some(then), 2), ids(&["2"]));
        assert_eq!(live(&book), ["3"]);
        assert_eq!(why(&book, "1"), Some(StaleReason::Expired));
        book.remove_agent(&"other".into());
        assert_eq!(why(&book, "3"), Some(StaleReason::AgentLost));
        assert_eq!(book.oldest(), None);
    }

    #[tokio::test]
    async fn an_offer_that_is_told_twice_is_there_once() {
        let mut book = book(&["1", "1"]);
        assert_eq!(book.len(), 1);
        book.remove(&"1".into(), StaleReason::Rescinded);
        assert_eq!(book.len(), 0);
    }

    #[tokio::test]
    async fn only_so_many_of_the_gone_are_remembered() {
        let mut book = Book::default();
        for number in 0..=MEMORY {
            book.add(offer(&number.to_string(), "agent"), Instant::now());
            book.remove(&number.to_string().into(), StaleReason::Rescinded);
        }
        assert_eq!(why(&book, "0"), Some(StaleReason::Unknown));
        assert_eq!(why(&book, "1"), Some(StaleReason::Rescinded));
        assert_eq!((book.gone.len(), book.remembered.len()), (MEMORY, MEMORY));
    }
}
