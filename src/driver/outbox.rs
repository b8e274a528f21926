//! Calls on their way: a bounded queue, first in first out, and a bounded number in flight.

mod answer;
mod flight;
mod settle;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

pub(super) use flight::run;
use state::{Entry, State};

use super::protocol::Protocol;
use super::queue::EventQueue;
use super::receipt::{Outcome, Promise, Receipt, Watcher};
use crate::address::Address;
use crate::codec::{self, ContentType};
use crate::error::{Error, ErrorKind, Result};

/// Where calls go now.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) generation: u64,
    pub(crate) at: Address,
    pub(crate) stream_id: Option<Arc<str>>,
}

/// What a call asked for while there is no subscription comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsubscribed {
    /// `Disconnected`.
    Refuse,
    /// It waits for the next one.
    Keep,
}

/// On which terms a call is queued.
pub(crate) struct Terms {
    pub(crate) unsubscribed: Unsubscribed,
    /// It is `Disconnected` under any subscription but that of this generation.
    pub(crate) generation: Option<u64>,
    pub(crate) watcher: Option<Watcher>,
}

impl From<Unsubscribed> for Terms {
    fn from(unsubscribed: Unsubscribed) -> Self {
        Self {
            unsubscribed,
            generation: None,
            watcher: None,
        }
    }
}

/// Asks for a new subscription in place of the one of this generation.
#[derive(Debug)]
pub(crate) struct Renewal {
    pub(crate) generation: u64,
    pub(crate) why: Error,
}

/// What waiting callers look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Phase {
    subscribed: bool,
    closed: bool,
}

/// The outbox.
pub(crate) struct Outbox<P: Protocol> {
    protocol: Arc<P>,
    events: Arc<EventQueue<P::Event>>,
    content_type: ContentType,
    state: Mutex<State<P::Call>>,
    room: Arc<Semaphore>,
    phase: watch::Sender<Phase>,
    wake: Notify,
    landed: Notify,
    renewal: watch::Sender<Option<Arc<Renewal>>>,
}

impl<P: Protocol> Outbox<P> {
    pub(crate) fn new(
        protocol: Arc<P>,
        events: Arc<EventQueue<P::Event>>,
        content_type: ContentType,
        capacity: usize,
    ) -> Self {
        Self {
            protocol,
            events,
            content_type,
            state: Mutex::new(State::new()),
            room: Arc::new(Semaphore::new(capacity)),
            phase: watch::Sender::new(Phase {
                subscribed: false,
                closed: false,
            }),
            wake: Notify::new(),
            landed: Notify::new(),
            renewal: watch::Sender::new(None),
        }
    }

    /// Queues a call; its place in the order is that of this future's completion.
    ///
    /// Cancel safe: a dropped future has queued nothing.
    pub(crate) async fn submit(
        &self,
        call: impl Into<Box<P::Call>> + Send,
        terms: impl Into<Terms> + Send,
    ) -> Result<Receipt> {
        let call = call.into();
        let (promise, receipt) = Promise::with_receipt(P::name(&call));
        self.queue(call, promise, terms.into()).await?;
        Ok(receipt)
    }

    /// As [`submit`](Self::submit), under a subscription only; what becomes of the call is logged.
    pub(crate) async fn submit_unasked(&self, call: Box<P::Call>) -> Result<()> {
        let promise = Promise::unasked(P::name(&call));
        self.queue(call, promise, Unsubscribed::Refuse.into()).await
    }

    async fn queue(&self, call: Box<P::Call>, promise: Promise, terms: Terms) -> Result<()> {
        let room = match Arc::clone(&self.room).try_acquire_owned() {
            Ok(room) => room,
            Err(_) => Box::pin(self.room_for(terms.unsubscribed)).await?,
        };
        let mut state = self.lock();
        let now = Phase {
            subscribed: state.session.is_some(),
            closed: state.closing,
        };
        self.check(now, terms.unsubscribed)?;
        let generation = state
            .session
            .as_ref()
            .map_or(0, |session| session.generation);
        if terms.generation.is_some_and(|own| own != generation) {
            let context = format!("{} belongs to a lost subscription", promise.call());
            return Err(Error::new(ErrorKind::Disconnected, context));
        }
        self.protocol.queued(&call);
        tracing::debug!(call = promise.call(), generation, "call queued");
        let promise = promise.watched(terms.watcher);
        state.queue.push_back(Entry::new(call, promise, Some(room)));
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    async fn room_for(&self, unsubscribed: Unsubscribed) -> Result<OwnedSemaphorePermit> {
        let mut phase = self.phase.subscribe();
        loop {
            let now = *phase.borrow_and_update();
            self.check(now, unsubscribed)?;
            if let Ok(room) = Arc::clone(&self.room).try_acquire_owned() {
                return Ok(room);
            }
            if !now.subscribed {
                return Err(Error::new(
                    ErrorKind::Disconnected,
                    "no subscription, and the outbox is full",
                ));
            }
            tokio::select! {
                room = Arc::clone(&self.room).acquire_owned() => {
                    return room.map_err(|_| not_running());
                }
                _ = phase.changed() => {}
            }
        }
    }

    fn check(&self, phase: Phase, unsubscribed: Unsubscribed) -> Result<()> {
        if phase.closed {
            return Err(not_running());
        }
        if !phase.subscribed && unsubscribed == Unsubscribed::Refuse {
            return Err(Error::new(
                ErrorKind::Disconnected,
                format!("not subscribed with the {}", P::PEER),
            ));
        }
        Ok(())
    }

    /// Queues a call of the library's own, if there is a subscription.
    pub(crate) fn keep_alive(&self, call: P::Call) {
        let mut state = self.lock();
        if state.session.is_some() && !state.closing {
            let promise = Promise::unasked(P::name(&call));
            state.queue.push_back(Entry::new(call, promise, None));
            drop(state);
            self.wake.notify_one();
        }
    }

    /// A subscription stands: calls go out under it.
    pub(crate) fn subscribed(&self, session: Session) {
        let mut state = self.lock();
        state.session = Some(Arc::new(session));
        state.suspended = None;
        state.lost_at = None;
        let closed = state.closing;
        drop(state);
        self.phase.send_replace(Phase {
            subscribed: true,
            closed,
        });
        self.wake.notify_one();
    }

    /// Asks the peer what became of calls of unknown outcome; false if there are none. One question waits or is on its way
    /// at a time.
    pub(crate) fn ask(&self) -> bool {
        let Some(call) = self.protocol.settling() else {
            return false;
        };
        let mut state = self.lock();
        if state.closing || state.question_in_flight {
            return !state.closing;
        }
        // One that still waits may say less.
        state.take_out(|entry| entry.is_question);
        let promise = Promise::unasked(P::name(&call));
        let mut entry = Entry::new(call, promise, None);
        entry.is_question = true;
        state.queue.push_back(entry);
        drop(state);
        self.wake.notify_one();
        true
    }

    /// The subscription is lost: queued calls that were bound to it end here. Answers the events that tell of them.
    pub(crate) fn lost(&self, why: &Error) -> Vec<P::Event> {
        let mut state = self.lock();
        state.unsubscribe();
        state.suspended = None;
        let bound = state.take_out(|entry| P::is_bound_to_subscription(&entry.call));
        let closed = state.closing;
        drop(state);
        self.phase.send_replace(Phase {
            subscribed: false,
            closed,
        });
        self.wake.notify_one();
        let mut events = Vec::new();
        for entry in bound {
            events.extend(self.protocol.never_sent(&entry.call));
            entry.end(Outcome::NotSent(subscription_lost(why)));
        }
        events
    }

    /// Waits until no call is in flight: at most the grace after a loss.
    pub(crate) async fn landed(&self) {
        loop {
            let landed = self.landed.notified();
            if self.lock().in_flight == 0 {
                return;
            }
            landed.await;
        }
    }

    /// The newest wish for another subscription.
    pub(crate) fn renewals(&self) -> watch::Receiver<Option<Arc<Renewal>>> {
        self.renewal.subscribe()
    }

    /// No further call is taken; `teardown` goes out behind those that are queued.
    pub(crate) fn close(&self, teardown: Option<P::Call>) -> Option<Receipt> {
        let mut state = self.lock();
        state.closing = true;
        let mut receipt = None;
        if let Some(call) = teardown {
            let (promise, given) = Promise::with_receipt(P::name(&call));
            receipt = Some(given);
            let mut entry = Entry::new(call, promise, None);
            entry.is_teardown = true;
            state.queue.push_back(entry);
        }
        let subscribed = state.session.is_some();
        drop(state);
        self.phase.send_replace(Phase {
            subscribed,
            closed: true,
        });
        self.room.close();
        self.wake.notify_one();
        receipt
    }

    /// No other subscription will follow: calls that are refused only for theirs end by that.
    pub(crate) fn renew_no_more(&self) {
        self.lock().renewable = false;
    }

    /// A receipt for the teardown with which the driver will end.
    pub(crate) fn expect_teardown(&self, call: &'static str) -> Result<Receipt> {
        let mut state = self.lock();
        if state.closing {
            return Err(not_running());
        }
        let (promise, receipt) = Promise::with_receipt(call);
        state.teardown_promises.push(promise);
        Ok(receipt)
    }

    /// Gives up what is queued, but for a teardown.
    pub(crate) fn give_up_queued(&self, why: &Error) {
        let rest = self.lock().take_out(|entry| !entry.is_teardown);
        for entry in rest {
            let outcome = entry.unsent(why.clone());
            entry.end(outcome);
        }
    }

    /// Gives up what was for a framework that is no more.
    pub(crate) fn framework_removed(&self, why: &Error) {
        let stays =
            |entry: &Entry<P::Call>| entry.is_teardown || P::is_about_framework(&entry.call);
        let rest = self.lock().take_out(|entry| !stays(entry));
        for entry in rest {
            let outcome = entry.unsent(why.clone());
            entry.end(outcome);
        }
    }

    /// Gives up everything; to be called when nothing sends any more.
    pub(crate) fn give_up(&self, why: &Error) {
        let (entries, promises) = {
            let mut state = self.lock();
            let promises = std::mem::take(&mut state.teardown_promises);
            (state.take_out(|_| true), promises)
        };
        for promise in promises {
            promise.keep(Outcome::NotSent(why.clone()));
        }
        for entry in entries {
            let outcome = entry.unsent(why.clone());
            entry.end(outcome);
        }
    }

    /// Whether the end of the stream may be the answer to TEARDOWN.
    pub(crate) fn is_tearing_down(&self) -> bool {
        self.lock().teardown_in_flight
    }

    /// Whether there is a subscription.
    pub(crate) fn is_subscribed(&self) -> bool {
        self.lock().session.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State<P::Call>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Protocol> Outbox<P> {
    /// The next call to send, ready to go; its bytes replace those in `body`.
    fn take(&self, body: &mut Vec<u8>) -> Option<(Entry<P::Call>, Arc<Session>)> {
        loop {
            let (mut entry, session) = {
                let mut state = self.lock();
                let session = Arc::clone(state.session.as_ref()?);
                if state.is_paused() {
                    return None;
                }
                let mut entry = state.pop()?;
                while let Some(next) = state.pop_merged(|next| P::merge(&mut entry.call, next)) {
                    entry.take_over(next);
                }
                state.took_off(&entry);
                (entry, session)
            };
            let outcome = match self.protocol.complete(&mut entry.call) {
                Ok(true) => None,
                Ok(false) => Some(Outcome::Accepted),
                Err(too_late) => Some(Outcome::NotSent(too_late)),
            };
            if let Some(outcome) = outcome {
                self.ended(entry, outcome);
                continue;
            }
            body.clear();
            match codec::encode_to(self.content_type, &*entry.call, body) {
                Ok(()) => return Some((entry, session)),
                Err(error) => self.ended(entry, Outcome::NotSent(error)),
            }
        }
    }
}

fn not_running() -> Error {
    Error::new(ErrorKind::NotRunning, "driver is not running")
}

fn subscription_lost(why: &Error) -> Error {
    Error::caused_by(
        ErrorKind::Disconnected,
        "subscription lost before the call was carried out",
        why.clone(),
    )
}

#[cfg(test)]
mod tests;
