//! What becomes of a call, by its answer.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::state::{Entry, State};
use super::{Outbox, Phase, Renewal, subscription_lost};
use crate::driver::protocol::Protocol;
use crate::driver::receipt::Outcome;
use crate::error::{Error, ErrorKind};
use crate::http::{Answer, CallVerdict, Reply, Undelivered};

/// How often a call that was refused only for its subscription is sent again under the next one.
const MAX_BOUNCES: u8 = 5;

/// How long to wait before a call is sent again that an agent was not ready for, and for how long that is done: agents
/// recover within the re-registration time-out of their executors, 2 s by default (`src/slave/constants.hpp`).
pub(super) const PAUSE: Duration = Duration::from_millis(500);
pub(super) const RECOVERY_LIMIT: Duration = Duration::from_secs(75);

impl<P: Protocol> Outbox<P> {
    /// `generation`: under which the call was sent.
    pub(super) fn settle(&self, mut entry: Entry<P::Call>, generation: u64, answer: Answer) {
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
                // An old stream id may be the reason, whatever the words. If the words are lost, it may be the loss of the
                // subscription; what may be said twice is not given up for that.
                CallVerdict::Refused
                    if matches!(reply.status, 400 | 403)
                        && (self.is_old(generation)
                            || reply.is_cut && P::is_repeatable(&entry.call)) =>
                {
                    let context = format!("{} answered {}", P::PEER, reply.describe());
                    let why = Error::new(ErrorKind::Disconnected, context);
                    self.bounce(entry, generation, &why);
                }
                CallVerdict::Refused => self.refused(entry, reply),
            },
            Err(Undelivered::Unauthorized(_)) if entry.bounces < MAX_BOUNCES => {
                entry.bounces += 1;
                self.not_written(entry, generation);
            }
            Err(Undelivered::Unauthorized(reply)) => self.refused(entry, reply),
            Err(Undelivered::NotSent(error)) => self.bounce(entry, generation, &error),
            Err(Undelivered::NotWritten) => self.not_written(entry, generation),
            Err(Undelivered::Unknown(_))
                if P::is_repeatable(&entry.call) && entry.bounces < MAX_BOUNCES =>
            {
                entry.bounces += 1;
                entry.may_have_arrived = true;
                self.put_back(entry);
            }
            Err(Undelivered::Unknown(error)) => self.unknown(entry, generation, error),
        }
    }

    fn refused(&self, entry: Entry<P::Call>, reply: Reply) {
        self.protocol.refused(&entry.call);
        let outcome = Outcome::Refused {
            status: reply.status,
            message: reply.body,
        };
        self.ended(entry, outcome);
    }

    /// The call goes out again at once, if its subscription stands; it says nothing against that.
    fn not_written(&self, entry: Entry<P::Call>, generation: u64) {
        if P::is_bound_to_subscription(&entry.call) && self.is_told_lost(generation) {
            let context = "subscription lost before the call was written";
            let why = Error::new(ErrorKind::Disconnected, context);
            return self.bounce(entry, generation, &why);
        }
        self.put_back(entry);
    }

    /// The call may have been carried out. What only a new subscription makes certain, under which the old call cannot
    /// be carried out any more, leads to one.
    pub(super) fn unknown(&self, entry: Entry<P::Call>, generation: u64, why: Error) {
        if self.protocol.unknown(&entry.call) {
            let context = format!("outcome of {} is unknown", entry.promise.call());
            let doubt = Error::caused_by(ErrorKind::Disconnected, context, why.clone());
            self.renew(generation, &doubt);
        }
        self.ended(entry, Outcome::Unknown(why));
    }

    /// Asks for a new subscription, unless it was already.
    fn renew(&self, generation: u64, why: &Error) {
        let renewable = self.lock().renewable;
        if renewable && !self.is_old(generation) {
            self.suspend(generation);
            self.renewal.send_replace(Some(Arc::new(Renewal {
                generation,
                why: why.clone(),
            })));
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
        self.renew(generation, why);
        let renewable = self.lock().renewable;
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
        state.landed(&entry);
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

    pub(super) fn ended(&self, entry: Entry<P::Call>, outcome: Outcome) {
        let mut state = self.lock();
        state.landed(&entry);
        let promises = match entry.is_teardown {
            true => std::mem::take(&mut state.teardown_promises),
            false => Vec::new(),
        };
        self.land(state);
        for promise in promises {
            promise.keep(outcome.clone());
        }
        entry.end(outcome);
    }

    fn land(&self, state: MutexGuard<'_, State<P::Call>>) {
        drop(state);
        self.landed.notify_one();
    }
}
