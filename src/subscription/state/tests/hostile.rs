//! Inputs in any order, under a clock that jumps, against what must hold of the machine after each of them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::tests::cases;

/// Longest wait between attempts.
const LONGEST: Duration = Duration::from_secs(15);
const MISSED: u32 = 5;
const REPLY: Duration = Duration::from_secs(75);
const YEAR: u64 = 365 * 24 * 60 * 60 * 1000;

/// An input, still without the number of its address.
#[derive(Clone, Copy, Debug)]
enum Stimulus {
    Tick,
    /// At the deadline, if there is one.
    Due,
    Opened,
    Redirected(usize),
    Failed,
    Unanswered,
    Odd,
    Refused,
    TakenOver,
    StartOver,
    Subscribed {
        heartbeat: Option<u64>,
        id: Option<usize>,
    },
    Heard,
    Detected(Option<(usize, Option<usize>)>),
}

fn stimulus() -> impl Strategy<Value = Stimulus> {
    let heartbeat = prop_oneof![
        Just(None),
        Just(Some(15_000)),
        Just(Some(86_400_000)),
        (1..100_000_u64).prop_map(Some),
    ];
    let id = || prop::option::of(0..3_usize);
    prop_oneof![
        2 => Just(Stimulus::Tick),
        6 => Just(Stimulus::Due),
        5 => Just(Stimulus::Opened),
        2 => (0..3_usize).prop_map(Stimulus::Redirected),
        3 => Just(Stimulus::Failed),
        2 => Just(Stimulus::Unanswered),
        2 => Just(Stimulus::Odd),
        1 => Just(Stimulus::Refused),
        2 => Just(Stimulus::TakenOver),
        1 => Just(Stimulus::StartOver),
        5 => (heartbeat, id()).prop_map(|(heartbeat, id)| Stimulus::Subscribed { heartbeat, id }),
        2 => Just(Stimulus::Heard),
        3 => prop::option::weighted(0.7, (0..3_usize, id())).prop_map(Stimulus::Detected),
    ]
}

/// How the clock goes on before an input, in milliseconds: also back, which no clock should.
fn jump() -> impl Strategy<Value = i64> {
    prop_oneof![
        3 => Just(0),
        3 => 0..20_000_i64,
        1 => 0..YEAR.cast_signed(),
        1 => -100_000..0_i64,
    ]
}

fn address(number: usize) -> String {
    ["a:1", "b:2", "http://c:3/x"][number].to_owned()
}

fn parsed(number: usize) -> Address {
    Address::parse(&address(number)).unwrap()
}

fn input(stimulus: Stimulus) -> Input {
    let id = |id: Option<usize>| id.map(|id| format!("m-{id}"));
    match stimulus {
        Stimulus::Tick | Stimulus::Due => Input::Tick,
        Stimulus::Opened => Input::Opened,
        Stimulus::Redirected(to) => Input::Redirected(parsed(to)),
        Stimulus::Failed => Input::Failed(error()),
        Stimulus::Unanswered => Input::Unanswered(error()),
        Stimulus::Odd => Input::Odd(error()),
        Stimulus::Refused => Input::Refused(error()),
        Stimulus::TakenOver => Input::TakenOver(error()),
        Stimulus::StartOver => Input::StartOver(error()),
        Stimulus::Subscribed { heartbeat, id: of } => Input::Subscribed {
            heartbeat: heartbeat.map(Duration::from_millis),
            master_id: id(of),
        },
        Stimulus::Heard => Input::Heard,
        Stimulus::Detected(leader) => Input::Detected(leader.map(|(at, of)| {
            let leader = LeadingMaster::new(&address(at)).unwrap();
            match id(of) {
                Some(id) => leader.id(id),
                None => leader,
            }
        })),
    }
}

/// A state without what it holds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Detecting,
    Waiting,
    Connecting,
    Subscribing,
    Subscribed,
    Ended,
}

fn kind(state: &State) -> Kind {
    match state {
        State::Detecting => Kind::Detecting,
        State::Waiting { .. } => Kind::Waiting,
        State::Connecting { .. } => Kind::Connecting,
        State::Subscribing { .. } => Kind::Subscribing,
        State::Subscribed { .. } => Kind::Subscribed,
        State::Ended => Kind::Ended,
    }
}

/// The machine, and what is known of it.
struct Watched {
    machine: Machine,
    /// Who may be asked.
    known: Vec<Address>,
    is_detected: bool,
    odd_answers: u32,
    /// SUBSCRIBE calls that may still arrive: where, and until when.
    late: Vec<(Address, Instant)>,
}

impl Watched {
    /// `fixed`: how many addresses are configured; none: they are detected.
    fn new(fixed: usize, now: Instant) -> Self {
        let known: Vec<_> = (0..fixed).map(parsed).collect();
        let list: Vec<_> = (0..fixed).map(address).collect();
        let candidates = (fixed > 0).then(|| FixedAddresses::parse(&list.join(",")).unwrap());
        Self {
            machine: machine_of(candidates, now),
            known,
            is_detected: fixed == 0,
            odd_answers: 0,
            late: Vec::new(),
        }
    }

    /// Whether one of the driver's own calls may have taken over now.
    fn is_late(&mut self, now: Instant) -> bool {
        let State::Subscribed { to, .. } = &self.machine.state else {
            return false;
        };
        self.late.retain(|(_, until)| now < *until);
        let found = self.late.iter().position(|(at, _)| at == to);
        found.map(|found| self.late.remove(found)).is_some()
    }

    fn handle(&mut self, stimulus: Stimulus, now: Instant) {
        let is_attempt = matches!(self.machine.state, State::Connecting { .. });
        match stimulus {
            // Without a detector nothing is detected.
            Stimulus::Detected(_) if !self.is_detected => return,
            Stimulus::Detected(leader) => {
                self.known = leader.iter().map(|(at, _)| parsed(*at)).collect();
            }
            Stimulus::Odd if is_attempt => self.odd_answers += 1,
            Stimulus::StartOver => self.odd_answers = 0,
            _ => {}
        }
        let before = kind(&self.machine.state);
        let is_due = self.machine.deadline().is_some_and(|due| now >= due);
        let asked = self.machine.peer_address().cloned();
        let is_own = matches!(stimulus, Stimulus::TakenOver) && self.is_late(now);
        let action = self.machine.handle(input(stimulus), now);
        let after = kind(&self.machine.state);
        let is_given_up = match stimulus {
            Stimulus::Unanswered => true,
            Stimulus::Tick | Stimulus::Due => is_due,
            Stimulus::Detected(_) => after != before,
            _ => false,
        };
        if let Some(asked) = asked.filter(|_| is_attempt && is_given_up) {
            self.late.push((asked, now + REPLY));
            let surplus = self.late.len().saturating_sub(16);
            self.late.drain(..surplus);
        }
        if matches!(stimulus, Stimulus::TakenOver) && before == Kind::Subscribed {
            assert_eq!(after == Kind::Ended, !is_own, "who took over?");
        }
        if after == Kind::Subscribed && before != after {
            self.odd_answers = 0;
        }
        self.check_action(stimulus, before, action, now);
        self.check_state();
        if matches!(stimulus, Stimulus::Tick | Stimulus::Due) && is_due {
            // An attempt that takes too long is followed by one with the next of several masters.
            let goes_on = (before, after) == (Kind::Connecting, Kind::Connecting);
            assert!(before != after || goes_on, "nothing happens when it is due");
        }
        if before == Kind::Ended && !matches!(stimulus, Stimulus::StartOver) {
            assert_eq!(after, Kind::Ended, "the end is the end");
        }
    }

    fn check_action(&self, stimulus: Stimulus, before: Kind, action: Action, now: Instant) {
        let state = &self.machine.state;
        let was_on = !matches!(before, Kind::Detecting | Kind::Waiting | Kind::Ended);
        let told = |lost: &Option<Error>| {
            let is_told = lost.is_some() || !was_on;
            assert!(is_told, "{before:?} was left without a word");
        };
        match (action, state) {
            (Action::Continue, state) => {
                let after = kind(state);
                let steps = [
                    (Kind::Connecting, Kind::Subscribing),
                    (Kind::Subscribing, Kind::Subscribed),
                ];
                assert!(before == after || steps.contains(&(before, after)));
            }
            (
                Action::Connect { to, deadline, lost },
                State::Connecting {
                    to: at,
                    redirects,
                    deadline: by,
                },
            ) => {
                assert!(deadline == *by && now < deadline);
                assert_ne!(before, Kind::Subscribed, "a subscription is lost to a wait");
                assert_eq!(&to, at);
                assert!(*redirects <= MAX_REDIRECTS);
                match stimulus {
                    // One too many is a failure, and the next master's turn.
                    Stimulus::Redirected(number) if *redirects > 0 => {
                        assert_eq!(to, parsed(number));
                    }
                    _ => {
                        told(&lost);
                        assert!(self.known.contains(&to), "{to} is asked");
                    }
                }
            }
            (Action::Wait { until, lost }, State::Waiting { until: at }) => {
                told(&lost);
                assert!(until == *at && now <= until && until <= now + LONGEST);
            }
            (Action::Detect { lost }, State::Detecting) => told(&lost),
            (Action::End(_), State::Ended) => match stimulus {
                Stimulus::Refused | Stimulus::TakenOver => {
                    assert_ne!(before, Kind::Ended, "it ends once");
                }
                Stimulus::Odd => assert_eq!(self.odd_answers, MAX_ODD_ANSWERS),
                _ => panic!("it ends by {stimulus:?}"),
            },
            (action, state) => panic!("{action:?} leads to {state:?}"),
        }
    }

    /// It waits for a time, or for somebody who is sure to come.
    fn check_state(&self) {
        let deadline = self.machine.deadline();
        let peer = self.machine.peer_address();
        match &self.machine.state {
            State::Detecting => assert!(deadline.is_none() && self.known.is_empty()),
            State::Waiting { until } => assert_eq!((deadline, peer), (Some(*until), None)),
            State::Connecting {
                to, deadline: by, ..
            }
            | State::Subscribing { to, deadline: by } => {
                assert_eq!((deadline, peer), (Some(*by), Some(to)));
            }
            State::Subscribed { to, .. } => assert_eq!(peer, Some(to)),
            State::Ended => assert_eq!((deadline, peer), (None, None)),
        }
        assert!(self.odd_answers <= MAX_ODD_ANSWERS);
    }
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn any_inputs_in_any_order_leave_it_waiting_for_something(
        fixed in 0..4_usize,
        inputs in vec((stimulus(), jump()), 0..40),
    ) {
        let begun = Instant::now();
        let mut at = 0_i64;
        let mut watched = Watched::new(fixed, begun);
        for (stimulus, jump) in inputs {
            at = (at + jump).max(0);
            let mut now = begun + Duration::from_millis(at.unsigned_abs());
            if let (Stimulus::Due, Some(due)) = (stimulus, watched.machine.deadline()) {
                now = now.max(due);
                at = i64::try_from((now - begun).as_millis()).unwrap();
            }
            watched.handle(stimulus, now);
        }
    }

    #[test]
    fn a_promise_of_heartbeats_ends_with_silence_and_not_before(
        heartbeat in 1..=86_400_000_u64,
        heard in vec(0..500_000_000_u64, 0..6),
    ) {
        let mut now = Instant::now();
        let mut machine = machine("a:1", now);
        machine.handle(Input::Tick, now);
        machine.handle(Input::Opened, now);
        let (heartbeat, master_id) = (Some(Duration::from_millis(heartbeat)), None);
        machine.handle(Input::Subscribed { heartbeat, master_id }, now);
        for after in heard {
            let due = machine.deadline().unwrap();
            prop_assert_eq!(due - now, heartbeat.unwrap() * MISSED);
            let later = now + Duration::from_millis(after);
            let action = machine.handle(Input::Tick, later);
            if later >= due {
                prop_assert!(matches!(action, Action::Wait { lost: Some(_), .. }), "{:?}", action);
                return Ok(());
            }
            prop_assert!(matches!(action, Action::Continue), "{:?}", action);
            machine.handle(Input::Heard, later);
            now = later;
        }
    }
}
