//! Carries what the subscription tells to the queues and to whoever watches the connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tracing::Instrument as _;

use super::Core;
use super::asking::Asking;
use super::connection::{Connection, ConnectionState};
use super::outbox::{Renewal, Session};
use super::protocol::{Persistence, Protocol};
use crate::at_hand::at_hand;
use crate::codec;
use crate::error::{Error, ErrorKind, Result};
use crate::subscription::{Step, Subscription};

/// The subscription's side of a driver.
pub(super) struct Link<P: Protocol> {
    core: Arc<Core<P>>,
    subscription: Subscription<P::Event>,
    /// Number of the last subscription that stood.
    generation: u64,
    is_up: bool,
    /// When to give up subscribing.
    give_up_at: Option<Instant>,
    stall_timeout: Duration,
    keepalive: Option<(Interval, P::Call)>,
    asking: Asking,
    renewals: watch::Receiver<Option<Arc<Renewal>>>,
}

/// What the link waits for.
enum Turn<E> {
    Step(Step<E>),
    Renew(Arc<Renewal>),
    KeepAlive,
    Ask,
    GiveUp,
}

impl<P: Protocol> Link<P> {
    pub(super) fn new(
        core: Arc<Core<P>>,
        subscription: Subscription<P::Event>,
        stall_timeout: Duration,
    ) -> Self {
        let keepalive = core.protocol.keepalive().map(|(every, call)| {
            let mut interval = tokio::time::interval_at(Instant::now() + every, every);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            (interval, call)
        });
        let give_up_at = match core.protocol.persistence() {
            Persistence::Endless => None,
            Persistence::Limited(limit) | Persistence::Once(limit) => Some(Instant::now() + limit),
        };
        let renewals = core.outbox.renewals();
        Self {
            core,
            subscription,
            generation: 0,
            is_up: false,
            give_up_at,
            stall_timeout,
            keepalive,
            asking: Asking::default(),
            renewals,
        }
    }

    /// Runs until there will be no further subscription; the error says why, if it is one.
    pub(super) async fn run(mut self) -> Option<Error> {
        loop {
            let ended = match self.turn().await {
                Turn::Step(step) => self.step(step).await,
                Turn::Renew(renewal) => self.renew(&renewal).await,
                Turn::KeepAlive => {
                    if let Some((_, call)) = &self.keepalive {
                        self.core.outbox.keep_alive(call.clone());
                    }
                    continue;
                }
                Turn::Ask => {
                    self.asking.asked(self.core.outbox.ask());
                    continue;
                }
                Turn::GiveUp => Some(Some(self.too_late())),
            };
            if let Some(error) = ended {
                return error;
            }
        }
    }

    async fn turn(&mut self) -> Turn<P::Event> {
        let core = &self.core;
        let mut subscribe = || subscribe_body(core);
        // As long as events are at hand, nothing but a renewal comes before them.
        if matches!(self.renewals.has_changed(), Ok(false))
            && let Some(step) = at_hand(self.subscription.next(&mut subscribe)).await
        {
            return Turn::Step(step);
        }
        tokio::select! {
            biased;
            Ok(()) = self.renewals.changed() => match self.renewals.borrow_and_update().clone() {
                Some(renewal) => Turn::Renew(renewal),
                None => Turn::KeepAlive,
            },
            step = self.subscription.next(&mut subscribe) => Turn::Step(step),
            () = tick(self.keepalive.as_mut().map(|(interval, _)| interval)) => Turn::KeepAlive,
            () = sleep_until(self.asking.due()) => Turn::Ask,
            () = sleep_until(self.give_up_at) => Turn::GiveUp,
        }
    }

    async fn renew(&mut self, renewal: &Renewal) -> Option<Option<Error>> {
        if !self.is_up || renewal.generation != self.generation {
            return None;
        }
        let step = self.subscription.renew(renewal.why.clone())?;
        self.step(step).await
    }

    /// Answers the end of the link, with its error.
    async fn step(&mut self, step: Step<P::Event>) -> Option<Option<Error>> {
        match step {
            Step::Event(event) => self.event(event).await,
            step => Box::pin(self.seldom(step)).await,
        }
    }

    /// Apart from the events, which come all the time and need a small future.
    async fn seldom(&mut self, step: Step<P::Event>) -> Option<Option<Error>> {
        // Of what came before, all is told that callbacks keep up with.
        if self.is_up {
            tokio::task::yield_now().await;
        }
        match step {
            Step::Connecting { to, lost } => {
                tracing::debug!(peer = P::PEER, address = %to, "subscribing");
                let state = ConnectionState::Connecting {
                    address: to.to_string(),
                    since: std::time::Instant::now(),
                };
                self.changed(state, lost)
            }
            Step::Waiting { until, lost } => {
                let wait = until.saturating_duration_since(Instant::now());
                tracing::debug!(peer = P::PEER, ?wait, "waiting to subscribe");
                let state = ConnectionState::Waiting {
                    next_attempt: until.into_std(),
                };
                let ended = self.changed(state, lost);
                // What the next SUBSCRIBE carries depends on the answers that are still to come.
                if ended.is_none() && self.core.protocol.is_pending() {
                    self.core.outbox.landed().await;
                }
                ended
            }
            Step::Detecting { lost } => {
                let state = ConnectionState::Detecting {
                    since: std::time::Instant::now(),
                };
                self.changed(state, lost)
            }
            Step::NotDetected(error) => {
                tracing::warn!(peer = P::PEER, %error, "detection failed");
                let told = |connection: &mut Connection| connection.last_error = Some(error);
                self.core.connection.send_modify(told);
                None
            }
            Step::Subscribed {
                at,
                stream_id,
                event,
            } => {
                if let Some(error) = self.core.protocol.mismatch(&event, &at.to_string())
                    && !self.forget_framework(&error).await
                {
                    return self.ended(error);
                }
                let generation = self.generation + 1;
                let session = Session {
                    generation,
                    at,
                    stream_id,
                };
                self.subscribed(session, event).await;
                None
            }
            Step::Event(event) => self.event(event).await,
            Step::Ended(error) => {
                if self.forget_framework(&error).await
                    && let Some(step) = self.subscription.start_over(error.clone())
                {
                    return Box::pin(self.step(step)).await;
                }
                self.ended(error)
            }
        }
    }

    fn ended(&mut self, error: Error) -> Option<Option<Error>> {
        self.core
            .connection
            .send_modify(|connection| connection.last_error = Some(error.clone()));
        if self.is_up {
            self.down();
            let _ = self.core.outbox.lost(&error);
        }
        Some(Some(error))
    }

    /// Gives the framework up, if that is what the user wants: another one follows. A driver that ends needs none.
    async fn forget_framework(&mut self, error: &Error) -> bool {
        if !self.core.lifecycle.is_running() {
            return false;
        }
        let Some(id) = self.core.protocol.forget_framework(error) else {
            return false;
        };
        tracing::warn!(%id, %error, "framework removed; a new one takes its place");
        if self.is_up {
            let _ = self.lost(error);
        }
        // Calls that come back are to be seen, too.
        self.core.outbox.landed().await;
        self.core.outbox.framework_removed(error);
        self.core.events.framework_removed(id);
        true
    }

    async fn subscribed(&mut self, session: Session, event: Box<P::Event>) {
        // What never reached the peer under the subscription before is told first.
        self.core.outbox.landed().await;
        self.generation = session.generation;
        self.is_up = true;
        self.give_up_at = None;
        let state = ConnectionState::Subscribed {
            address: session.at.to_string(),
            since: std::time::Instant::now(),
            generation: session.generation,
        };
        tracing::info!(peer = P::PEER, address = %session.at, generation = session.generation, "subscribed");
        self.core.protocol.receive(&event);
        self.core.outbox.subscribed(session);
        self.asking = Asking::default();
        self.asking.asked(self.core.outbox.ask());
        self.core.connection.send_modify(|connection| {
            connection.state = state;
            connection.failed_attempts = 0;
        });
        self.core.events.subscribed(event);
    }

    /// The attempt or the subscription is over, or another begins.
    fn changed(&mut self, state: ConnectionState, lost: Option<Error>) -> Option<Option<Error>> {
        let failed = lost.is_some();
        self.core
            .connection
            .send_modify(|connection: &mut Connection| {
                connection.state = state;
                connection.failed_attempts += u32::from(failed && !self.is_up);
                if let Some(error) = &lost {
                    connection.last_error = Some(error.clone());
                }
            });
        match lost {
            Some(error) if self.is_up => self.lost(&error),
            Some(error) => {
                tracing::info!(peer = P::PEER, %error, "attempt to subscribe failed");
                None
            }
            None => None,
        }
    }

    fn down(&mut self) {
        self.is_up = false;
        self.asking = Asking::default();
    }

    fn lost(&mut self, error: &Error) -> Option<Option<Error>> {
        tracing::warn!(peer = P::PEER, generation = self.generation, %error, "subscription lost");
        self.down();
        let made_up = self.core.outbox.lost(error);
        self.core
            .events
            .lost(P::EVENTS_OUTLIVE_SUBSCRIPTION, made_up);
        match self.core.protocol.persistence() {
            Persistence::Endless => None,
            Persistence::Limited(limit) => {
                self.give_up_at = Some(Instant::now() + limit);
                None
            }
            Persistence::Once(_) => Some(None),
        }
    }

    /// Queues an event. When there is no room for too long, the subscription is given up, for the peer would keep what
    /// is unread without bound (MESOS-7748).
    async fn event(&mut self, event: Box<P::Event>) -> Option<Option<Error>> {
        if !self.core.protocol.receive(&event) {
            return None;
        }
        match self.core.events.try_push(event) {
            Ok(()) => None,
            Err(event) => Box::pin(self.push(event)).await,
        }
    }

    async fn push(&mut self, event: Box<P::Event>) -> Option<Option<Error>> {
        let events = Arc::clone(&self.core.events);
        if P::EVENTS_OUTLIVE_SUBSCRIPTION {
            // Dropping one would lose what it tells: the stream waits, however long.
            events.push(event).await;
            return None;
        }
        let room = events.push(event);
        tokio::pin!(room);
        let stalled = tokio::time::sleep(self.stall_timeout);
        tokio::pin!(stalled);
        let why = loop {
            tokio::select! {
                biased;
                () = &mut room => return None,
                Ok(()) = self.renewals.changed() => {
                    let renewal = self.renewals.borrow_and_update().clone();
                    if let Some(renewal) = renewal.filter(|renewal| renewal.generation == self.generation) {
                        break renewal.why.clone();
                    }
                }
                () = &mut stalled => {
                    let context = format!("events unread for {:?}: a callback takes too long", self.stall_timeout);
                    break Error::new(ErrorKind::Timeout, context);
                }
            }
        };
        let step = self.subscription.renew(why)?;
        Box::pin(self.step(step)).await
    }

    fn too_late(&self) -> Error {
        let limit = match self.core.protocol.persistence() {
            Persistence::Limited(limit) | Persistence::Once(limit) => limit,
            Persistence::Endless => Duration::ZERO,
        };
        let context = format!("{} not reached within {limit:?}", P::PEER);
        match self.core.connection.borrow().last_error.clone() {
            Some(last) => Error::caused_by(ErrorKind::RecoveryTimeout, context, last),
            None => Error::new(ErrorKind::RecoveryTimeout, context),
        }
    }
}

fn subscribe_body<P: Protocol>(core: &Core<P>) -> Result<Bytes> {
    codec::encode(core.content_type, &core.protocol.subscribe())
}

async fn tick(interval: Option<&mut Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The span of everything that a driver does.
pub(super) async fn in_span<T>(future: impl Future<Output = T>, peer: &'static str) -> T {
    future.instrument(tracing::info_span!("driver", peer)).await
}
