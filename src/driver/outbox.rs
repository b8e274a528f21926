//! Calls on their way: a bounded queue, first in first out, and a bounded number in flight.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use super::protocol::Protocol;
use super::queue::EventQueue;
use super::receipt::{Outcome, Promise, Receipt};
use crate::address::Address;
use crate::codec::{self, ContentType};
use crate::error::{Error, ErrorKind, Result};
use crate::http::{CallVerdict, Posting, Reply, Request, Transport, Undelivered};

/// How long calls in flight may still be answered after their subscription is lost; then their outcome is unknown. The
/// next subscription waits for it, so that what never reached the peer is told before.
const GRACE_AFTER_LOSS: Duration = Duration::from_secs(1);

/// How often a call that was refused only for its subscription is sent again under the next one.
const MAX_BOUNCES: u8 = 5;

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

#[derive(Debug)]
struct Entry<C> {
    call: C,
    promise: Promise,
    bounces: u8,
    is_teardown: bool,
    /// Room in the outbox, given back when the call ends. The library's own calls take none.
    #[expect(dead_code, reason = "held for its drop")]
    room: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct State<C> {
    session: Option<Session>,
    queue: VecDeque<Entry<C>>,
    /// How many entries at the head of `queue` came back: those that follow them stand behind.
    bounced: usize,
    in_flight: usize,
    lost_at: Option<Instant>,
    closing: bool,
    /// Whether another subscription will follow a lost one.
    renewable: bool,
    teardown_in_flight: bool,
    /// To be told what became of the teardown.
    teardown_promises: Vec<Promise>,
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
        let state = State {
            session: None,
            queue: VecDeque::new(),
            bounced: 0,
            in_flight: 0,
            lost_at: None,
            closing: false,
            renewable: true,
            teardown_in_flight: false,
            teardown_promises: Vec::new(),
        };
        Self {
            protocol,
            events,
            content_type,
            state: Mutex::new(state),
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
        let entry = Entry {
            call,
            promise,
            bounces: 0,
            is_teardown: false,
            room: Some(room),
        };
        state.queue.push_back(entry);
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
            let entry = Entry {
                call,
                promise,
                bounces: 0,
                is_teardown: false,
                room: None,
            };
            state.queue.push_back(entry);
            drop(state);
            self.wake.notify_one();
        }
    }

    /// A subscription stands: calls go out under it.
    pub(crate) fn subscribed(&self, session: Session) {
        let mut state = self.lock();
        state.session = Some(session);
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
        state.session = None;
        state.lost_at = Some(Instant::now());
        let (bound, kept): (VecDeque<_>, VecDeque<_>) = state
            .queue
            .drain(..)
            .partition(|entry| P::is_bound_to_subscription(&entry.call));
        state.queue = kept;
        state.bounced = 0;
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
            let entry = Entry {
                call,
                promise,
                bounces: 0,
                is_teardown: true,
                room: None,
            };
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
        let mut state = self.lock();
        let (teardown, rest): (VecDeque<_>, VecDeque<_>) =
            state.queue.drain(..).partition(|entry| entry.is_teardown);
        state.queue = teardown;
        drop(state);
        for entry in rest {
            entry.promise.keep(Outcome::NotSent(why.clone()));
        }
    }

    /// Gives up everything; to be called when nothing sends any more.
    pub(crate) fn give_up(&self, why: &Error) {
        let (entries, promises) = {
            let mut state = self.lock();
            let promises = std::mem::take(&mut state.teardown_promises);
            (std::mem::take(&mut state.queue), promises)
        };
        let promises = promises
            .into_iter()
            .chain(entries.into_iter().map(|entry| entry.promise));
        for promise in promises {
            promise.keep(Outcome::NotSent(why.clone()));
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

/// Calls in flight; dropped, they end as unknown.
struct Flight<P: Protocol> {
    outbox: Arc<Outbox<P>>,
    transport: Arc<dyn Transport>,
    /// Oldest first, as `answers`.
    sent: VecDeque<(Entry<P::Call>, u64)>,
    answers: FuturesOrdered<Posting>,
}

/// Sends what is queued, until the outbox is closed and empty.
pub(crate) async fn run<P: Protocol>(outbox: Arc<Outbox<P>>, transport: Arc<dyn Transport>) {
    let mut flight = Flight {
        outbox,
        transport,
        sent: VecDeque::new(),
        answers: FuturesOrdered::new(),
    };
    while !flight.is_done() {
        flight.launch();
        let abandon_at = flight.abandon_at();
        tokio::select! {
            biased;
            Some(answer) = flight.answers.next(), if !flight.sent.is_empty() => flight.landed(answer),
            () = flight.outbox.wake.notified() => {}
            () = tokio::time::sleep_until(abandon_at.unwrap_or_else(Instant::now)), if abandon_at.is_some() => {
                flight.abandon("subscription lost while the call was in flight");
            }
        }
    }
}

impl<P: Protocol> Flight<P> {
    fn is_done(&self) -> bool {
        let state = self.outbox.lock();
        state.closing && state.queue.is_empty() && self.sent.is_empty()
    }

    fn launch(&mut self) {
        while self.sent.len() < self.transport.window() {
            let Some((entry, session, request)) = self.outbox.take() else {
                return;
            };
            self.answers
                .push_back(self.transport.post(&session.at, request));
            self.sent.push_back((entry, session.generation));
        }
    }

    fn abandon_at(&self) -> Option<Instant> {
        let state = self.outbox.lock();
        match self.sent.is_empty() || state.session.is_some() {
            true => None,
            false => state.lost_at.map(|lost_at| lost_at + GRACE_AFTER_LOSS),
        }
    }

    fn landed(&mut self, answer: Answer) {
        if let Some((entry, generation)) = self.sent.pop_front() {
            self.outbox.settle(entry, generation, answer);
        }
    }

    fn abandon(&mut self, why: &str) {
        self.answers = FuturesOrdered::new();
        for (entry, _) in self.sent.drain(..) {
            let error = Error::new(ErrorKind::Disconnected, why);
            self.outbox.ended(entry, Outcome::Unknown(error));
        }
    }
}

impl<P: Protocol> Drop for Flight<P> {
    fn drop(&mut self) {
        self.abandon("driver ended while the call was in flight");
    }
}

impl<P: Protocol> Outbox<P> {
    /// The next call to send, ready to go.
    fn take(&self) -> Option<(Entry<P::Call>, Session, Request)> {
        loop {
            let (mut entry, session) = {
                let mut state = self.lock();
                let session = state.session.clone()?;
                let entry = state.queue.pop_front()?;
                state.bounced = state.bounced.saturating_sub(1);
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
    fn settle(&self, entry: Entry<P::Call>, generation: u64, answer: Answer) {
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
                    self.bounce(
                        entry,
                        generation,
                        &Error::new(ErrorKind::Disconnected, context),
                    );
                }
                // An old stream id may be the reason, whatever the words.
                CallVerdict::Refused
                    if matches!(reply.status, 400 | 403) && self.is_old(generation) =>
                {
                    let context = format!("{} answered {}", P::PEER, reply.describe());
                    self.bounce(
                        entry,
                        generation,
                        &Error::new(ErrorKind::Disconnected, context),
                    );
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
            Err(Undelivered::Unknown(error)) => self.ended(entry, Outcome::Unknown(error)),
        }
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
        let is_old = self.is_old(generation);
        let renewable = self.lock().renewable;
        if !is_old && renewable {
            self.suspend();
            self.renewal.send_replace(Some(Arc::new(Renewal {
                generation,
                why: why.clone(),
            })));
        }
        let bound = P::is_bound_to_subscription(&entry.call);
        if entry.bounces > MAX_BOUNCES || !renewable || (is_old && bound) {
            let made_up = self.protocol.never_sent(&entry.call);
            self.ended(entry, Outcome::NotSent(subscription_lost(why)));
            for event in made_up {
                self.events.made_up(event);
            }
            return;
        }
        let mut state = self.lock();
        let place = state.bounced.min(state.queue.len());
        state.bounced += 1;
        state.teardown_in_flight &= !entry.is_teardown;
        state.queue.insert(place, entry);
        self.land(state);
    }

    /// Nothing is sent until the subscription is renewed.
    fn suspend(&self) {
        let mut state = self.lock();
        state.session = None;
        state.lost_at = Some(Instant::now());
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
