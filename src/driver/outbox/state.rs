//! What is queued, and under which subscription it goes out. No I/O.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::Session;
use crate::driver::receipt::{Outcome, Promise};
use crate::error::Error;

#[derive(Debug)]
pub(super) struct Entry<C> {
    pub(super) call: Box<C>,
    pub(super) promise: Promise,
    pub(super) bounces: u8,
    /// How long it is repeated for a peer that is not ready; set at its first such answer.
    pub(super) repeat_until: Option<Instant>,
    pub(super) is_teardown: bool,
    /// It asks what became of others ([`Outbox::ask`](super::Outbox::ask)).
    pub(super) is_question: bool,
    /// An answer was lost, and the call is repeated: it may have been carried out all the same.
    pub(super) may_have_arrived: bool,
    /// Room in the outbox, given back when the call ends. The library's own calls take none.
    room: Option<OwnedSemaphorePermit>,
    /// Of the calls that were merged into this one.
    merged: Vec<(Promise, Option<OwnedSemaphorePermit>)>,
}

impl<C> Entry<C> {
    pub(super) fn new(
        call: impl Into<Box<C>>,
        promise: Promise,
        room: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            call: call.into(),
            promise,
            bounces: 0,
            repeat_until: None,
            is_teardown: false,
            is_question: false,
            may_have_arrived: false,
            room,
            merged: Vec::new(),
        }
    }

    /// Takes over what another call promised, which this one says too.
    pub(super) fn take_over(&mut self, other: Self) {
        self.merged.push((other.promise, other.room));
        self.merged.extend(other.merged);
    }

    /// The call, and each that was merged into it, has ended.
    pub(super) fn end(self, outcome: Outcome) {
        for (promise, _room) in self.merged {
            promise.keep(outcome.clone());
        }
        self.promise.keep(outcome);
    }

    /// The end of a call that is not sent (again).
    pub(super) fn unsent(&self, why: Error) -> Outcome {
        match self.may_have_arrived {
            true => Outcome::Unknown(why),
            false => Outcome::NotSent(why),
        }
    }
}

#[derive(Debug)]
pub(super) struct State<C> {
    pub(super) session: Option<Arc<Session>>,
    /// Generation of the subscription that is to be renewed, and whose loss is not told yet.
    pub(super) suspended: Option<u64>,
    pub(super) queue: VecDeque<Entry<C>>,
    /// How many entries at the head of `queue` came back: those that follow them stand behind.
    bounced: usize,
    pub(super) in_flight: usize,
    pub(super) lost_at: Option<Instant>,
    /// Nothing is sent before, for the peer is not ready.
    pub(super) paused_until: Option<Instant>,
    pub(super) closing: bool,
    /// Whether another subscription will follow a lost one.
    pub(super) renewable: bool,
    pub(super) teardown_in_flight: bool,
    pub(super) question_in_flight: bool,
    /// To be told what became of the teardown.
    pub(super) teardown_promises: Vec<Promise>,
}

impl<C> State<C> {
    pub(super) const fn new() -> Self {
        Self {
            session: None,
            suspended: None,
            queue: VecDeque::new(),
            bounced: 0,
            in_flight: 0,
            lost_at: None,
            paused_until: None,
            closing: false,
            renewable: true,
            teardown_in_flight: false,
            question_in_flight: false,
            teardown_promises: Vec::new(),
        }
    }

    /// Nothing is sent until the next subscription.
    pub(super) fn unsubscribe(&mut self) {
        self.session = None;
        self.lost_at = Some(Instant::now());
    }

    /// Whether the peer is still given time.
    pub(super) fn is_paused(&mut self) -> bool {
        if self
            .paused_until
            .is_some_and(|until| until <= Instant::now())
        {
            self.paused_until = None;
        }
        self.paused_until.is_some()
    }

    /// The next entry to send.
    pub(super) fn pop(&mut self) -> Option<Entry<C>> {
        let entry = self.queue.pop_front()?;
        self.bounced = self.bounced.saturating_sub(1);
        Some(entry)
    }

    /// Takes the next entry out if `merge` says that its call is part of another one now.
    pub(super) fn pop_merged(&mut self, merge: impl FnOnce(&mut C) -> bool) -> Option<Entry<C>> {
        let next = self.queue.front_mut()?;
        if next.is_teardown || !merge(&mut next.call) {
            return None;
        }
        self.pop()
    }

    /// Puts an entry back that was sent before all that are queued, but for those that came back before it.
    pub(super) fn put_back(&mut self, entry: Entry<C>) {
        self.queue.insert(self.bounced, entry);
        self.bounced += 1;
    }

    /// The entry is in flight.
    pub(super) fn took_off(&mut self, entry: &Entry<C>) {
        self.in_flight += 1;
        self.teardown_in_flight |= entry.is_teardown;
        self.question_in_flight |= entry.is_question;
    }

    /// It is not any more.
    pub(super) fn landed(&mut self, entry: &Entry<C>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.teardown_in_flight &= !entry.is_teardown;
        self.question_in_flight &= !entry.is_question;
    }

    /// Takes out the entries for which `is_out` holds.
    pub(super) fn take_out(&mut self, is_out: impl Fn(&Entry<C>) -> bool) -> Vec<Entry<C>> {
        let queue = std::mem::take(&mut self.queue);
        let head = std::mem::take(&mut self.bounced);
        let mut out = Vec::new();
        for (at, entry) in queue.into_iter().enumerate() {
            if is_out(&entry) {
                out.push(entry);
            } else {
                self.bounced += usize::from(at < head);
                self.queue.push_back(entry);
            }
        }
        out
    }
}
