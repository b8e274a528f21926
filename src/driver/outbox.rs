//! Calls on their way: a bounded queue, first in first out, and a bounded number in flight.

mod flight;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;

pub(super) use flight::run;
use state::{Entry, State};

use super::protocol::Protocol;
use super::queue::EventQueue;
use super::receipt::{Outcome, Promise, Receipt};
use crate::address::Address;
use crate::codec::{self, ContentType};
use crate::error::{Error, ErrorKind, Result};
use crate::http::{CallVerdict, Reply, Request, Undelivered};

/// How often a call that was refused only for its subscription is sent again under the next one.
const MAX_BOUNCES: u8 = 5;

/// How long to wait before a call is sent again that an agent was not ready for, and for how long that is done: agents
/// recover within the re-registration time-out of their executors, 2 s by default (`src/slave/constants.hpp`).
const PAUSE: Duration = Duration::from_millis(500);
const RECOVERY_LIMIT: Duration = Duration::from_secs(75);

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

/// An answer, or none, to the oldest call in flight.
type Answer = Result<Reply, Undelivered>;

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
        call: P::Call,
        unsubscribed: Unsubscribed,
    ) -> Result<Receipt> {
        let mut phase = self.phase.subscribe();
        let room = loop {
            let now = *phase.borrow_and_update();
            self.check(now, unsubscribed)?;
            if let Ok(room) = Arc::clone(&self.room).try_acquire_owned() {
                break room;
            }
            if !now.subscribed {
                return Err(Error::new(
                    ErrorKind::Disconnected,
                    "no subscription, and the outbox is full",
                ));
            }
            tokio::select! {
                room = Arc::clone(&self.room).acquire_owned() => match room {
                    Ok(room) => break room,
                    Err(_) => return Err(not_running()),
                },
                _ = phase.changed() => {}
            }
        };
        let (promise, receipt) = Promise::with_receipt(P::name(&call));
        let mut state = self.lock();
        let now = Phase {
            subscribed: state.session.is_some(),
            closed: state.closing,
        };
        self.check(now, unsubscribed)?;
        self.protocol.queued(&call);
        let generation = state
            .session
            .as_ref()
            .map_or(0, |session| session.generation);
        tracing::debug!(call = promise.call(), generation, "call queued");
        state.queue.push_back(Entry::new(call, promise, Some(room)));
        drop(state);
        self.wake.notify_one();
        Ok(receipt)
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
        state.session = Some(session);
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
            entry.promise.keep(Outcome::NotSent(subscription_lost(why)));
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
            state.queue.push_back(Entry {
                is_teardown: true,
                ..Entry::new(call, promise, None)
            });
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
            entry.promise.keep(outcome);
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
            entry.promise.keep(outcome);
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
    /// The next call to send, ready to go.
    fn take(&self) -> Option<(Entry<P::Call>, Session, Request)> {
        loop {
            let (mut entry, session) = {
                let mut state = self.lock();
                let session = state.session.clone()?;
                if state.is_paused(Instant::now()) {
                    return None;
                }
                let entry = state.pop()?;
                state.in_flight += 1;
                state.teardown_in_flight |= entry.is_teardown;
                (entry, session)
            };
            if !self.protocol.complete(&mut entry.call) {
                self.ended(entry, Outcome::Accepted);
                continue;
            }
            match codec::encode(self.content_type, &entry.call) {
                Ok(body) => {
                    let (path, media_type) = (P::PATH, self.content_type.media_type());
                    let request = Request {
                        path,
                        media_type,
                        stream_id: session.stream_id.clone(),
                        body,
                    };
                    return Some((entry, session, request));
                }
                Err(error) => self.ended(entry, Outcome::NotSent(error)),
            }
        }
    }

    /// `generation`: under which the call was sent.
    fn settle(&self, mut entry: Entry<P::Call>, generation: u64, answer: Answer) {
        match answer {
            Ok(reply) => match reply.judge_call() {
                CallVerdict::Accepted => {
                    self.protocol.accepted(&entry.call);
                    self.ended(entry, Outcome::Accepted);
                }
                CallVerdict::NotSubscribed => {
                    let context = format!(
                        "{} answered {} to {}",
                        P::PEER,
                        reply.describe(),
                        entry.promise.call()
                    );
                    let why = Error::new(ErrorKind::Disconnected, context);
                    self.bounce(entry, generation, &why);
                }
                CallVerdict::NotReady => self.not_ready(entry, reply),
                // An old stream id may be the reason, whatever the words.
                CallVerdict::Refused
                    if matches!(reply.status, 400 | 403) && self.is_old(generation) =>
                {
                    let context = format!("{} answered {}", P::PEER, reply.describe());
                    let why = Error::new(ErrorKind::Disconnected, context);
                    self.bounce(entry, generation, &why);
                }
                CallVerdict::Refused => {
                    self.protocol.refused(&entry.call);
                    let outcome = Outcome::Refused {
                        status: reply.status,
                        message: reply.body,
                    };
                    self.ended(entry, outcome);
                }
            },
            Err(Undelivered::NotSent(error)) => self.bounce(entry, generation, &error),
            Err(Undelivered::Unknown(_))
                if P::is_repeatable(&entry.call) && entry.bounces < MAX_BOUNCES =>
            {
                entry.bounces += 1;
                entry.may_have_arrived = true;
                self.put_back(entry);
            }
            Err(Undelivered::Unknown(error)) => self.ended(entry, Outcome::Unknown(error)),
        }
    }

    /// The call is sent again under the same subscription, after a pause.
    fn not_ready(&self, mut entry: Entry<P::Call>, reply: Reply) {
        let now = Instant::now();
        let until = *entry.repeat_until.get_or_insert(now + RECOVERY_LIMIT);
        if now >= until {
            let outcome = Outcome::Refused {
                status: reply.status,
                message: reply.body,
            };
            return self.ended(entry, outcome);
        }
        self.lock().paused_until = Some(now + PAUSE);
        self.put_back(entry);
    }

    fn is_old(&self, generation: u64) -> bool {
        self.lock()
            .session
            .as_ref()
            .is_none_or(|session| session.generation != generation)
    }

    /// The call had no effect, for its subscription is not valid or the peer cannot be reached. As Mesos's own library
    /// gives both connections up when one breaks (`src/scheduler/scheduler.cpp`), the subscription is renewed, unless it
    /// was already; the call goes out under the next one, if it makes sense there.
    fn bounce(&self, mut entry: Entry<P::Call>, generation: u64, why: &Error) {
        entry.bounces += 1;
        let renewable = self.lock().renewable;
        if renewable && !self.is_old(generation) {
            self.suspend(generation);
            self.renewal.send_replace(Some(Arc::new(Renewal {
                generation,
                why: why.clone(),
            })));
        }
        let bound = P::is_bound_to_subscription(&entry.call);
        let is_over = entry.bounces > MAX_BOUNCES || !renewable;
        if is_over || (bound && self.is_told_lost(generation)) {
            let made_up = self.protocol.never_sent(&entry.call);
            let outcome = entry.unsent(subscription_lost(why));
            self.ended(entry, outcome);
            for event in made_up {
                self.events.made_up(event);
            }
            return;
        }
        self.put_back(entry);
    }

    fn put_back(&self, entry: Entry<P::Call>) {
        let mut state = self.lock();
        state.teardown_in_flight &= !entry.is_teardown;
        state.put_back(entry);
        self.land(state);
    }

    /// Whether [`Outbox::lost`] has told already what became of the calls bound to that subscription.
    fn is_told_lost(&self, generation: u64) -> bool {
        let state = self.lock();
        let current = state.session.as_ref().map(|session| session.generation);
        current.or(state.suspended) != Some(generation)
    }

    /// Nothing is sent until the subscription is renewed.
    fn suspend(&self, generation: u64) {
        let mut state = self.lock();
        state.unsubscribe();
        state.suspended = Some(generation);
        let closed = state.closing;
        drop(state);
        self.phase.send_replace(Phase {
            subscribed: false,
            closed,
        });
    }

    fn ended(&self, entry: Entry<P::Call>, outcome: Outcome) {
        let mut state = self.lock();
        state.teardown_in_flight &= !entry.is_teardown;
        let promises = match entry.is_teardown {
            true => std::mem::take(&mut state.teardown_promises),
            false => Vec::new(),
        };
        self.land(state);
        for promise in promises {
            promise.keep(outcome.clone());
        }
        entry.promise.keep(outcome);
    }

    fn land(&self, mut state: MutexGuard<'_, State<P::Call>>) {
        state.in_flight = state.in_flight.saturating_sub(1);
        drop(state);
        self.landed.notify_one();
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
