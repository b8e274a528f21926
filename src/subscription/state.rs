//! The state machine of subscriptions, without I/O: what happened goes in, what to do comes out.

use std::time::Duration;

use tokio::time::Instant;

use super::liveness::Liveness;
use super::unanswered::Unanswered;
use crate::address::Address;
use crate::backoff::{Backoff, Delays};
use crate::detector::{FixedAddresses, LeadingMaster};
use crate::error::{Error, ErrorKind};

/// Redirects that are followed before a new round begins: masters may point at each other during an election.
const MAX_REDIRECTS: u32 = 5;

/// Answers that no master or agent gives, before they are taken for a wrong configuration.
const MAX_ODD_ANSWERS: u32 = 5;

/// Where the subscription stands.
#[derive(Debug)]
pub(crate) enum State {
    /// Nobody is known to lead.
    Detecting,
    /// Between two attempts.
    Waiting { until: Instant },
    /// SUBSCRIBE is on its way.
    Connecting {
        to: Address,
        redirects: u32,
        /// By when SUBSCRIBED must have come.
        deadline: Instant,
    },
    /// The stream is open; SUBSCRIBED has not come yet.
    Subscribing { to: Address, deadline: Instant },
    /// Subscribed.
    Subscribed {
        to: Address,
        since: Instant,
        liveness: Liveness,
        /// Which run of a master it is, if it said.
        master_id: Option<String>,
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
    /// As `Failed`, but SUBSCRIBE may have been sent, and may still arrive.
    Unanswered(Error),
    /// As `Failed`, but it may not pass.
    Odd(Error),
    /// The peer refused for good: a status, or an ERROR event.
    Refused(Error),
    /// Another SUBSCRIBE took the place of this subscription. Refused for good, unless it may be the driver's own.
    TakenOver(Error),
    /// What was refused for good will not be asked for again.
    StartOver(Error),
    /// SUBSCRIBED came.
    Subscribed {
        heartbeat: Option<Duration>,
        master_id: Option<String>,
    },
    /// Bytes came.
    Heard,
    /// The detector named another master, or says that none leads.
    Detected(Option<LeadingMaster>),
}

/// What to do.
#[derive(Debug)]
pub(crate) enum Action {
    /// Nothing but to go on.
    Continue,
    /// Subscribe there, by that time; `lost` says why the subscription before is given up.
    Connect {
        to: Address,
        deadline: Instant,
        lost: Option<Error>,
    },
    /// Wait until then; `lost` likewise, or why the attempt failed.
    Wait { until: Instant, lost: Option<Error> },
    /// Wait until a master leads; `lost` likewise.
    Detect { lost: Option<Error> },
    /// Stop for good.
    End(Error),
}

/// Limits of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From SUBSCRIBE, with all that precedes it, to SUBSCRIBED.
    pub(crate) reply_timeout: Duration,
    pub(crate) missed_heartbeats: u32,
    pub(crate) backoff: Backoff,
}

/// The machine.
pub(crate) struct Machine {
    pub(crate) state: State,
    peer: &'static str,
    /// None while nobody is known to lead.
    candidates: Option<FixedAddresses>,
    /// Whether a detector has named a master.
    has_detected: bool,
    limits: Limits,
    delays: Delays,
    odd_answers: u32,
    unanswered: Unanswered,
}

impl Machine {
    pub(crate) fn new(
        peer: &'static str,
        candidates: Option<FixedAddresses>,
        limits: Limits,
        now: Instant,
    ) -> Self {
        let delays = Delays::new(limits.backoff);
        Self {
            state: State::Waiting { until: now },
            peer,
            candidates,
            has_detected: false,
            limits,
            delays,
            odd_answers: 0,
            unanswered: Unanswered::default(),
        }
    }

    /// When a `Tick` is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting { until } => Some(*until),
            State::Connecting { deadline, .. } | State::Subscribing { deadline, .. } => {
                Some(*deadline)
            }
            State::Subscribed { liveness, .. } => liveness.deadline(),
            State::Detecting | State::Ended => None,
        }
    }

    pub(crate) fn is_subscribed(&self) -> bool {
        matches!(self.state, State::Subscribed { .. })
    }

    /// Where the subscription is, or is being asked for.
    pub(crate) fn peer_address(&self) -> Option<&Address> {
        match &self.state {
            State::Connecting { to, .. }
            | State::Subscribing { to, .. }
            | State::Subscribed { to, .. } => Some(to),
            State::Detecting | State::Waiting { .. } | State::Ended => None,
        }
    }

    pub(crate) fn handle(&mut self, input: Input, now: Instant) -> Action {
        match input {
            Input::Tick => self.tick(now),
            Input::Opened => self.opened(),
            Input::Redirected(to) => self.redirected(to, now),
            Input::Failed(error) => self.failed(error, now),
            Input::Unanswered(error) => self.unanswered(error, now),
            Input::Odd(error) => self.odd(error, now),
            Input::Refused(error) => self.end(error),
            Input::TakenOver(error) => self.taken_over(error, now),
            Input::StartOver(why) => {
                self.odd_answers = 0;
                self.wait(Some(why), now)
            }
            Input::Subscribed {
                heartbeat,
                master_id,
            } => self.subscribed(heartbeat, master_id, now),
            Input::Heard => self.heard(now),
            Input::Detected(Some(leader)) => self.detected(leader, now),
            Input::Detected(None) => self.nobody_leads(),
        }
    }

    fn tick(&mut self, now: Instant) -> Action {
        match &self.state {
            State::Waiting { until } if now >= *until => self.connect(None, now),
            State::Connecting { to, deadline, .. } if now >= *deadline => {
                let (peer, limit) = (self.peer, self.limits.reply_timeout);
                let context = format!("no answer from {peer} {to} to SUBSCRIBE within {limit:?}");
                self.unanswered(Error::new(ErrorKind::Timeout, context), now)
            }
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

    fn connect(&mut self, lost: Option<Error>, now: Instant) -> Action {
        let Some(candidates) = &self.candidates else {
            self.state = State::Detecting;
            return Action::Detect { lost };
        };
        self.connect_to(candidates.candidate(), 0, lost, now)
    }

    /// Each SUBSCRIBE has the whole time.
    fn connect_to(
        &mut self,
        to: Address,
        redirects: u32,
        lost: Option<Error>,
        now: Instant,
    ) -> Action {
        let deadline = now + self.limits.reply_timeout;
        self.state = State::Connecting {
            to: to.clone(),
            redirects,
            deadline,
        };
        Action::Connect { to, deadline, lost }
    }

    fn opened(&mut self) -> Action {
        if let State::Connecting { to, deadline, .. } = &self.state {
            self.state = State::Subscribing {
                to: to.clone(),
                deadline: *deadline,
            };
        }
        Action::Continue
    }

    fn redirected(&mut self, to: Address, now: Instant) -> Action {
        let State::Connecting {
            to: from,
            redirects,
            ..
        } = &self.state
        else {
            return Action::Continue;
        };
        if *redirects >= MAX_REDIRECTS {
            let context = format!("redirected {MAX_REDIRECTS} times, last from {from} to {to}");
            return self.failed(Error::new(ErrorKind::Unavailable, context), now);
        }
        let redirects = redirects + 1;
        self.connect_to(to, redirects, None, now)
    }

    fn subscribed(
        &mut self,
        heartbeat: Option<Duration>,
        master_id: Option<String>,
        now: Instant,
    ) -> Action {
        if let State::Subscribing { to, .. } = &self.state {
            let liveness = Liveness::new(heartbeat, self.limits.missed_heartbeats, now);
            self.state = State::Subscribed {
                to: to.clone(),
                since: now,
                liveness,
                master_id,
            };
            self.odd_answers = 0;
            if let Some(candidates) = &mut self.candidates {
                candidates.worked();
            }
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
            State::Ended | State::Detecting | State::Waiting { .. } => return Action::Continue,
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
        let wait = match &mut self.candidates {
            Some(candidates) => was_subscribed || candidates.failed(),
            None => false,
        };
        if !wait {
            return self.connect(Some(error), now);
        }
        self.wait(Some(error), now)
    }

    fn unanswered(&mut self, error: Error, now: Instant) -> Action {
        self.may_arrive_late(now);
        self.failed(error, now)
    }

    /// The SUBSCRIBE under way is given up.
    fn may_arrive_late(&mut self, now: Instant) {
        if let State::Connecting { to, .. } = &self.state {
            let until = now + self.limits.reply_timeout;
            self.unanswered.note(to.clone(), until);
        }
    }

    fn taken_over(&mut self, error: Error, now: Instant) -> Action {
        match &self.state {
            State::Subscribed { to, .. } if self.unanswered.arrives(to, now) => {
                let context = "an earlier SUBSCRIBE of this driver may have arrived late";
                self.failed(
                    Error::caused_by(ErrorKind::Disconnected, context, error),
                    now,
                )
            }
            _ => self.end(error),
        }
    }

    fn wait(&mut self, lost: Option<Error>, now: Instant) -> Action {
        let until = now + self.delays.next().unwrap_or_default();
        self.state = State::Waiting { until };
        Action::Wait { until, lost }
    }

    /// The first master that is detected is asked at once. Of a later one all frameworks learn at the same time: each
    /// waits for a while of its own, as Mesos's library does (`src/scheduler/scheduler.cpp`, Apache Mesos 1.11.0).
    fn detected(&mut self, leader: LeadingMaster, now: Instant) -> Action {
        let goes_on = match &self.state {
            State::Ended => true,
            State::Detecting | State::Waiting { .. } => false,
            State::Connecting { to, .. } | State::Subscribing { to, .. } => leader.is_at(to, None),
            State::Subscribed { to, master_id, .. } => leader.is_at(to, master_id.as_deref()),
        };
        let is_first = !std::mem::replace(&mut self.has_detected, true);
        let lost = self.peer_address().map(|to| {
            let context = format!("{} leads, not {to}", leader.address());
            Error::new(ErrorKind::Disconnected, context)
        });
        self.candidates = Some(FixedAddresses::one(leader.into_address()));
        if goes_on {
            return Action::Continue;
        }
        self.may_arrive_late(now);
        if is_first {
            return self.connect(lost, now);
        }
        self.delays.reset();
        self.wait(lost, now)
    }

    /// A subscription that stands is left alone: the master ends it when it leads no more.
    fn nobody_leads(&mut self) -> Action {
        self.candidates = None;
        match &self.state {
            State::Waiting { .. } => {
                self.state = State::Detecting;
                Action::Detect { lost: None }
            }
            _ => Action::Continue,
        }
    }

    fn odd(&mut self, error: Error, now: Instant) -> Action {
        if !matches!(self.state, State::Connecting { .. }) {
            return Action::Continue;
        }
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
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => Action::Continue,
            _ => Action::End(error),
        }
    }
}

#[cfg(test)]
mod tests {
    mod hostile;

    use super::*;

    fn machine(masters: &str, now: Instant) -> Machine {
        let candidates = FixedAddresses::parse(masters).unwrap();
        machine_of(Some(candidates), now)
    }

    fn machine_of(candidates: Option<FixedAddresses>, now: Instant) -> Machine {
        let limits = Limits {
            reply_timeout: Duration::from_secs(75),
            missed_heartbeats: 5,
            backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(15)),
        };
        Machine::new("master", candidates, limits, now)
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
        stand(machine, now);
    }

    /// The attempt under way succeeds, with the master `m-1`.
    fn stand(machine: &mut Machine, now: Instant) {
        machine.handle(
            Input::Subscribed {
                heartbeat: Some(Duration::from_secs(15)),
                master_id: Some("m-1".into()),
            },
            now,
        );
        assert!(machine.is_subscribed());
    }

    fn leader(address: &str) -> LeadingMaster {
        LeadingMaster::new(address).unwrap()
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
    fn odd_answers_are_counted_anew_when_it_starts_over() {
        let now = Instant::now();
        let mut machine = machine("a:1", now);
        for _ in 1..=MAX_ODD_ANSWERS {
            let due = machine.deadline().unwrap();
            machine.handle(Input::Tick, due);
            machine.handle(Input::Odd(error()), due);
        }
        assert!(matches!(machine.state, State::Ended));
        machine.handle(Input::StartOver(error()), now);
        for attempt in 1..=MAX_ODD_ANSWERS {
            let due = machine.deadline().unwrap();
            machine.handle(Input::Tick, due);
            let action = machine.handle(Input::Odd(error()), due);
            let is_last = attempt == MAX_ODD_ANSWERS;
            assert_eq!(matches!(action, Action::End(_)), is_last, "{attempt}");
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

    #[test]
    fn without_a_leader_it_waits_until_one_is_detected() {
        let now = Instant::now();
        let mut machine = machine_of(None, now);
        let action = machine.handle(Input::Tick, now);
        assert!(matches!(action, Action::Detect { lost: None }));
        assert_eq!(machine.deadline(), None);
        let action = machine.handle(Input::Detected(Some(leader("a:1"))), now);
        assert_eq!(connects_to(&action), "a:1");
        machine.handle(Input::Detected(None), now);
        let lost = machine.handle(Input::Failed(error()), now);
        assert!(matches!(lost, Action::Detect { lost: Some(_) }));
        let until = waits_until(&machine.handle(Input::Detected(Some(leader("b:2"))), now));
        assert!(until <= now + Duration::from_millis(500));
        assert_eq!(connects_to(&machine.handle(Input::Tick, until)), "b:2");
    }

    #[test]
    fn the_same_leader_again_or_none_does_not_disturb_a_subscription() {
        let now = Instant::now();
        let mut machine = machine_of(None, now);
        machine.handle(Input::Detected(Some(leader("a:1"))), now);
        machine.handle(Input::Opened, now);
        stand(&mut machine, now);
        for detected in [
            None,
            Some(leader("a:1")),
            // Under another address that leads to the same master.
            Some(leader("b:2").id("m-1")),
            None,
        ] {
            let action = machine.handle(Input::Detected(detected), now);
            assert!(matches!(action, Action::Continue));
            assert!(machine.is_subscribed());
        }
        let lost = machine.handle(Input::Failed(error()), now);
        assert!(matches!(lost, Action::Detect { lost: Some(_) }));
    }

    #[test]
    fn another_leader_ends_the_subscription_also_at_the_same_address() {
        for other in [leader("b:2"), leader("a:1").id("m-2")] {
            let now = Instant::now();
            let mut machine = machine_of(None, now);
            machine.handle(Input::Detected(Some(leader("a:1"))), now);
            machine.handle(Input::Opened, now);
            stand(&mut machine, now);
            let address = other.address();
            let action = machine.handle(Input::Detected(Some(other)), now);
            let Action::Wait {
                until,
                lost: Some(lost),
            } = action
            else {
                panic!("expected a wait");
            };
            assert_eq!(lost.to_string(), format!("{address} leads, not a:1"));
            assert_eq!(connects_to(&machine.handle(Input::Tick, until)), address);
        }
    }

    #[test]
    fn a_leader_named_while_waiting_is_tried_soon_and_none_stops_the_attempts() {
        let now = Instant::now();
        let mut machine = machine_of(None, now);
        machine.handle(Input::Detected(Some(leader("a:1"))), now);
        waits_until(&machine.handle(Input::Failed(error()), now));
        waits_until(&machine.handle(Input::Detected(Some(leader("b:2"))), now));
        let action = machine.handle(Input::Detected(None), now);
        assert!(matches!(action, Action::Detect { lost: None }));
        assert_eq!(machine.deadline(), None);
    }
}
