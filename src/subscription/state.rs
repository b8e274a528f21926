//! The state machine of subscriptions, without I/O: what happened goes in, what to do comes out.

use std::time::Duration;

use tokio::time::Instant;

use super::liveness::Liveness;
use crate::address::Address;
use crate::backoff::{Backoff, Delays};
use crate::detector::Detector;
use crate::error::{Error, ErrorKind};

/// Redirects that are followed before a new round begins: masters may point at each other during an election.
const MAX_REDIRECTS: u32 = 5;

/// Answers that no master or agent gives, before they are taken for a wrong configuration.
const MAX_ODD_ANSWERS: u32 = 5;

/// Where the subscription stands.
#[derive(Debug)]
pub(crate) enum State {
    /// Between two attempts.
    Waiting { until: Instant },
    /// SUBSCRIBE is on its way.
    Connecting { to: Address, redirects: u32 },
    /// The stream is open; SUBSCRIBED has not come yet.
    Subscribing { to: Address, deadline: Instant },
    /// Subscribed.
    Subscribed {
        to: Address,
        since: Instant,
        liveness: Liveness,
    },
    /// Over for good.
    Ended,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Input {
    /// The wait is over, or a deadline may have passed.
    Tick,
    /// 200, and a stream.
    Opened,
    /// 307.
    Redirected(Address),
    /// The attempt or the stream failed in a way that passes.
    Failed(Error),
    /// As `Failed`, but it may not pass.
    Odd(Error),
    /// The peer refused for good: a status, or an ERROR event.
    Refused(Error),
    /// SUBSCRIBED came.
    Subscribed { heartbeat: Option<Duration> },
    /// Bytes came.
    Heard,
}

/// What to do.
#[derive(Debug)]
pub(crate) enum Action {
    /// Nothing but to go on.
    Continue,
    /// Subscribe there; `lost` says why the subscription before is given up.
    Connect { to: Address, lost: Option<Error> },
    /// Wait until then; `lost` likewise, or why the attempt failed.
    Wait { until: Instant, lost: Option<Error> },
    /// Stop for good.
    End(Error),
}

/// Limits of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From the open stream to SUBSCRIBED.
    pub(crate) reply_timeout: Duration,
    pub(crate) missed_heartbeats: u32,
    pub(crate) backoff: Backoff,
}

/// The machine.
pub(crate) struct Machine {
    pub(crate) state: State,
    peer: &'static str,
    detector: Box<dyn Detector>,
    limits: Limits,
    delays: Delays,
    odd_answers: u32,
}

impl Machine {
    pub(crate) fn new(
        peer: &'static str,
        detector: Box<dyn Detector>,
        limits: Limits,
        now: Instant,
    ) -> Self {
        let delays = Delays::new(limits.backoff);
        Self {
            state: State::Waiting { until: now },
            peer,
            detector,
            limits,
            delays,
            odd_answers: 0,
        }
    }

    /// When a `Tick` is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting { until } => Some(*until),
            State::Subscribing { deadline, .. } => Some(*deadline),
            State::Subscribed { liveness, .. } => liveness.deadline(),
            State::Connecting { .. } | State::Ended => None,
        }
    }

    #[cfg(test)]
    fn is_subscribed(&self) -> bool {
        matches!(self.state, State::Subscribed { .. })
    }

    /// Where the subscription is, or is being asked for.
    pub(crate) fn peer_address(&self) -> Option<&Address> {
        match &self.state {
            State::Connecting { to, .. }
            | State::Subscribing { to, .. }
            | State::Subscribed { to, .. } => Some(to),
            State::Waiting { .. } | State::Ended => None,
        }
    }

    pub(crate) fn handle(&mut self, input: Input, now: Instant) -> Action {
        match input {
            Input::Tick => self.tick(now),
            Input::Opened => self.opened(now),
            Input::Redirected(to) => self.redirected(to, now),
            Input::Failed(error) => self.failed(error, now),
            Input::Odd(error) => self.odd(error, now),
            Input::Refused(error) => self.end(error),
            Input::Subscribed { heartbeat } => self.subscribed(heartbeat, now),
            Input::Heard => self.heard(now),
        }
    }

    fn tick(&mut self, now: Instant) -> Action {
        match &self.state {
            State::Waiting { until } if now >= *until => self.connect(None),
            State::Subscribing { to, deadline } if now >= *deadline => {
                let (peer, limit) = (self.peer, self.limits.reply_timeout);
                let context = format!("no SUBSCRIBED event from {peer} {to} within {limit:?}");
                self.failed(Error::new(ErrorKind::Timeout, context), now)
            }
            State::Subscribed { to, liveness, .. } if liveness.is_dead(now) => {
                let error = liveness.error(self.peer, to);
                self.failed(error, now)
            }
            _ => Action::Continue,
        }
    }

    fn connect(&mut self, lost: Option<Error>) -> Action {
        let to = self.detector.candidate();
        self.state = State::Connecting {
            to: to.clone(),
            redirects: 0,
        };
        Action::Connect { to, lost }
    }

    fn opened(&mut self, now: Instant) -> Action {
        if let State::Connecting { to, .. } = &self.state {
            let deadline = now + self.limits.reply_timeout;
            self.state = State::Subscribing {
                to: to.clone(),
                deadline,
            };
        }
        Action::Continue
    }

    fn redirected(&mut self, to: Address, now: Instant) -> Action {
        let State::Connecting {
            to: from,
            redirects,
        } = &self.state
        else {
            return Action::Continue;
        };
        if *redirects >= MAX_REDIRECTS {
            let context = format!("redirected {MAX_REDIRECTS} times, last from {from} to {to}");
            return self.failed(Error::new(ErrorKind::Unavailable, context), now);
        }
        self.state = State::Connecting {
            to: to.clone(),
            redirects: redirects + 1,
        };
        Action::Connect { to, lost: None }
    }

    fn subscribed(&mut self, heartbeat: Option<Duration>, now: Instant) -> Action {
        if let State::Subscribing { to, .. } = &self.state {
            let liveness = Liveness::new(heartbeat, self.limits.missed_heartbeats, now);
            self.state = State::Subscribed {
                to: to.clone(),
                since: now,
                liveness,
            };
            self.odd_answers = 0;
            self.detector.worked();
        }
        Action::Continue
    }

    fn heard(&mut self, now: Instant) -> Action {
        if let State::Subscribed { liveness, .. } = &mut self.state {
            liveness.heard(now);
        }
        Action::Continue
    }

    /// The attempt or the subscription is over: the next candidate at once, or a wait when all were tried.
    fn failed(&mut self, error: Error, now: Instant) -> Action {
        let was_subscribed = match &self.state {
            State::Ended | State::Waiting { .. } => return Action::Continue,
            State::Subscribed { since, .. } => {
                // A subscription that breaks at once over and over must not make the waits short for ever.
                if now.duration_since(*since) >= self.limits.backoff.longest() {
                    self.delays.reset();
                }
                true
            }
            State::Connecting { .. } | State::Subscribing { .. } => false,
        };
        // A master that worked until now is the first one to try again, after a wait.
        let wait = was_subscribed || self.detector.failed();
        if !wait {
            return self.connect(Some(error));
        }
        let until = now + self.delays.next().unwrap_or_default();
        self.state = State::Waiting { until };
        Action::Wait {
            until,
            lost: Some(error),
        }
    }

    fn odd(&mut self, error: Error, now: Instant) -> Action {
        self.odd_answers += 1;
        if self.odd_answers >= MAX_ODD_ANSWERS {
            let context = format!(
                "{MAX_ODD_ANSWERS} answers in a row that no {} gives",
                self.peer
            );
            return self.end(Error::caused_by(error.kind(), context, error));
        }
        self.failed(error, now)
    }

    fn end(&mut self, error: Error) -> Action {
        self.state = State::Ended;
        Action::End(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::FixedAddresses;

    fn machine(masters: &str, now: Instant) -> Machine {
        let detector = FixedAddresses::parse(masters).unwrap();
        let limits = Limits {
            reply_timeout: Duration::from_secs(75),
            missed_heartbeats: 5,
            backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(15)),
        };
        Machine::new("master", Box::new(detector), limits, now)
    }

    fn error() -> Error {
        Error::new(ErrorKind::Connect, "refused")
    }

    fn connects_to(action: &Action) -> String {
        match action {
            Action::Connect { to, .. } => to.to_string(),
            other => panic!("expected Connect, got {other:?}"),
        }
    }

    fn waits_until(action: &Action) -> Instant {
        match action {
            Action::Wait { until, .. } => *until,
            other => panic!("expected Wait, got {other:?}"),
        }
    }

    fn subscribe(machine: &mut Machine, now: Instant) {
        connects_to(&machine.handle(Input::Tick, now));
        machine.handle(Input::Opened, now);
        machine.handle(
            Input::Subscribed {
                heartbeat: Some(Duration::from_secs(15)),
            },
            now,
        );
        assert!(machine.is_subscribed());
    }

    #[test]
    fn goes_through_the_list_at_once_and_then_waits() {
        let now = Instant::now();
        let mut machine = machine("a:1,b:2", now);
        assert_eq!(connects_to(&machine.handle(Input::Tick, now)), "a:1");
        assert_eq!(
            connects_to(&machine.handle(Input::Failed(error()), now)),
            "b:2"
        );
        let until = waits_until(&machine.handle(Input::Failed(error()), now));
        assert!(until <= now + Duration::from_millis(500));
        assert_eq!(connects_to(&machine.handle(Input::Tick, until)), "a:1");
    }

    #[test]
    fn redirects_are_followed_up_to_a_limit() {
        let now = Instant::now();
        let mut machine = machine("a:1", now);
        machine.handle(Input::Tick, now);
        let leader = Address::parse("b:2").unwrap();
        for _ in 0..MAX_REDIRECTS {
            assert_eq!(
                connects_to(&machine.handle(Input::Redirected(leader.clone()), now)),
                "b:2"
            );
        }
        let Action::Wait {
            lost: Some(error), ..
        } = machine.handle(Input::Redirected(leader), now)
        else {
            panic!("expected a wait");
        };
        assert_eq!(
            error.to_string(),
            "redirected 5 times, last from b:2 to b:2"
        );
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn silence_of_five_heartbeats_gives_the_subscription_up() {
        let now = Instant::now();
        let mut machine = machine("a:1", now);
        subscribe(&mut machine, now);
        let later = now + Duration::from_secs(70);
        machine.handle(Input::Heard, later);
        assert!(matches!(
            machine.handle(Input::Tick, now + Duration::from_secs(75)),
            Action::Continue
        ));
        let action = machine.handle(Input::Tick, later + Duration::from_secs(75));
        waits_until(&action);
    }

    #[test]
    fn an_open_stream_without_subscribed_is_left() {
        let now = Instant::now();
        let mut machine = machine("a:1", now);
        machine.handle(Input::Tick, now);
        machine.handle(Input::Opened, now);
        let Action::Wait {
            lost: Some(error), ..
        } = machine.handle(Input::Tick, now + Duration::from_secs(75))
        else {
            panic!("expected a wait");
        };
        assert_eq!(
            error.to_string(),
            "no SUBSCRIBED event from master a:1 within 75s"
        );
    }

    #[test]
    fn odd_answers_end_it_at_the_fifth_in_a_row() {
        let now = Instant::now();
        let mut machine = machine("a:1", now);
        for attempt in 1..=MAX_ODD_ANSWERS {
            let due = machine.deadline().unwrap();
            machine.handle(Input::Tick, due);
            match machine.handle(Input::Odd(error()), due) {
                Action::Wait { .. } => assert!(attempt < MAX_ODD_ANSWERS),
                Action::End(error) => {
                    assert_eq!(attempt, MAX_ODD_ANSWERS);
                    assert_eq!(
                        error.to_string(),
                        "5 answers in a row that no master gives: refused"
                    );
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn refusal_ends_it_from_any_state() {
        let now = Instant::now();
        let mut machine = machine("a:1", now);
        subscribe(&mut machine, now);
        assert!(matches!(
            machine.handle(Input::Refused(error()), now),
            Action::End(_)
        ));
        assert!(matches!(machine.handle(Input::Tick, now), Action::Continue));
        assert!(matches!(
            machine.handle(Input::Failed(error()), now),
            Action::Continue
        ));
    }

    #[test]
    fn waits_grow_while_subscriptions_break_at_once_and_start_again_after_a_long_one() {
        let mut now = Instant::now();
        let mut machine = machine("a:1", now);
        machine.delays = Delays::with_random(machine.limits.backoff, || 0.99);
        let mut waits = Vec::new();
        for lasted in [0, 0, 0, 20] {
            subscribe(&mut machine, now);
            now += Duration::from_secs(lasted);
            let until = waits_until(&machine.handle(Input::Failed(error()), now));
            waits.push((until - now).as_millis());
            now = until;
        }
        assert_eq!(waits, [495, 990, 1980, 495]);
    }
}
