//! Peers that answer anything at any time, and detectors that say anything, against what must hold of a subscription
//! whatever they do.

use std::sync::Mutex;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::detector::{LeadingMaster, MasterDetector};
use crate::http::Reply;
use crate::http::fake::Subscribing;
use crate::proto::MasterInfo;
use crate::tests::cases;

/// Longest wait between attempts.
const BACKOFF: Duration = SECOND;
const REPLY_TIMEOUT: Duration = Duration::from_secs(75);
const MASTERS: [&str; 3] = ["10.0.0.5:5050", "10.0.0.6:5050", "10.0.0.7:5051"];

/// What the peer does with one SUBSCRIBE.
#[derive(Clone, Debug)]
enum Answer {
    Status(u16),
    Redirect(&'static str),
    Fails,
    /// The transport gives up, after as long as it may take.
    Hangs,
    Stream(Vec<Act>),
}

/// What comes on a stream.
#[derive(Clone, Debug)]
enum Act {
    /// SUBSCRIBED, with this interval, of a master of this id.
    Subscribed(Option<f64>, Option<&'static str>),
    /// SUBSCRIBED with this framework id.
    Named(&'static str),
    Message,
    Heartbeat,
    /// ERROR.
    Error,
    Bytes(Vec<u8>),
    /// A record that is cut in two, with a pause in between.
    Slowly(u64),
    Pause(u64),
    /// The connection breaks.
    Break,
}

fn act() -> impl Strategy<Value = Act> {
    let interval = prop::sample::select(vec![
        Some(15.0),
        Some(0.5),
        Some(0.0),
        Some(-1.0),
        Some(f64::NAN),
        Some(f64::INFINITY),
        Some(1e300),
        None,
    ]);
    let odd = vec![
        &b"0\n"[..],
        b"-1\n",
        b"1001\n",
        b"1000\n",
        b"18446744073709551616\n",
        b"x",
        b"3\nabc",
        b"2\n\x08\x01",
        b"5",
        b"",
    ];
    let id = prop::sample::select(vec![None, Some("m-1"), Some("m-2")]);
    let named = prop::sample::select(vec!["", "f-1", "f-2", "..", "f\n", "f/1"]);
    prop_oneof![
        6 => (interval, id).prop_map(|(interval, id)| Act::Subscribed(interval, id)),
        1 => named.prop_map(Act::Named),
        4 => Just(Act::Message),
        2 => Just(Act::Heartbeat),
        1 => Just(Act::Error),
        1 => vec(any::<u8>(), 0..20).prop_map(Act::Bytes),
        1 => prop::sample::select(odd).prop_map(|bytes| Act::Bytes(bytes.to_vec())),
        1 => (0..90_u64).prop_map(Act::Slowly),
        2 => (0..90_u64).prop_map(Act::Pause),
        1 => Just(Act::Break),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    let status = prop::sample::select(vec![
        200, 202, 204, 302, 307, 400, 401, 403, 404, 405, 406, 415, 418, 429, 500, 503, 599, 100,
        999,
    ]);
    let location = prop::sample::select(vec![
        "//10.0.0.6:5050/api/v1/scheduler",
        "http://10.0.0.5:5050",
        "",
        "/",
        "mailto:x",
        "http://",
        "ftp://h",
        "//h:0",
    ]);
    prop_oneof![
        2 => status.prop_map(Answer::Status),
        2 => location.prop_map(Answer::Redirect),
        2 => Just(Answer::Fails),
        1 => Just(Answer::Hangs),
        5 => vec(act(), 0..10).prop_map(Answer::Stream),
    ]
}

fn failed() -> Error {
    Error::new(ErrorKind::Connect, "broken")
}

fn numbered(number: u8) -> Event {
    let mut event = message(b"");
    if let Some(message) = &mut event.message {
        message.data = Bytes::copy_from_slice(&[number]);
    }
    event
}

fn error_event() -> Event {
    Event {
        r#type: Some(event::Type::Error as i32),
        error: Some(event::Error {
            message: "Framework has been removed".into(),
        }),
        ..Event::default()
    }
}

fn subscribed_of(interval: Option<f64>, master_id: Option<&str>, framework_id: &str) -> Event {
    let mut event = subscribed_event();
    if let Some(subscribed) = &mut event.subscribed {
        subscribed.framework_id = framework_id.into();
        subscribed.heartbeat_interval_seconds = interval;
        subscribed.master_info = master_id.map(|id| MasterInfo {
            id: id.into(),
            ..MasterInfo::default()
        });
    }
    event
}

/// Plays a stream's part; every message says on which connection it is.
async fn play(stream: ChunkSender, acts: Vec<Act>, number: u8) {
    for act in acts {
        let chunk = match act {
            Act::Subscribed(interval, id) => Ok(records(&[subscribed_of(interval, id, "f-1")])),
            Act::Named(id) => Ok(records(&[subscribed_of(None, None, id)])),
            Act::Message => Ok(records(&[numbered(number)])),
            Act::Heartbeat => Ok(records(&[heartbeat(), numbered(number)])),
            Act::Error => Ok(records(&[error_event()])),
            Act::Bytes(bytes) => Ok(bytes.into()),
            Act::Slowly(seconds) => {
                let record = records(&[numbered(number)]);
                let _ = stream.send(Ok(record.slice(..3))).await;
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                Ok(record.slice(3..))
            }
            Act::Pause(seconds) => {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                continue;
            }
            Act::Break => Err(failed()),
        };
        let _ = stream.send(chunk).await;
    }
}

/// What a SUBSCRIBE of before has become.
enum Before {
    Answered,
    Open(ChunkSender),
}

impl Before {
    fn is_over(&self) -> bool {
        match self {
            Self::Answered => true,
            Self::Open(stream) => stream.is_closed(),
        }
    }
}

async fn meet(subscribing: Subscribing, answer: Answer, number: u8) -> Before {
    let reply = |status, location: Option<&str>| {
        let location = location.map(str::to_owned);
        Ok(Reply {
            status,
            location,
            ..Reply::default()
        })
    };
    match answer {
        Answer::Status(status) => subscribing.answer(reply(status, None)),
        Answer::Redirect(to) => subscribing.answer(reply(307, Some(to))),
        Answer::Fails => subscribing.answer(Err(failed())),
        Answer::Hangs => {
            tokio::spawn(async move {
                tokio::time::sleep(REPLY_TIMEOUT).await;
                assert!(!subscribing.is_given_up());
                subscribing.answer(Err(failed()));
            });
        }
        Answer::Stream(acts) => {
            let stream = subscribing.stream();
            tokio::spawn(play(stream.clone(), acts, number));
            return Before::Open(stream);
        }
    }
    Before::Answered
}

/// What a detector says, after so many seconds.
#[derive(Clone, Debug)]
enum Word {
    Leads(usize, Option<&'static str>),
    Nobody,
    Fails,
    Panics,
}

fn words() -> impl Strategy<Value = Vec<(u64, Word)>> {
    let id = prop::sample::select(vec![None, Some("m-1"), Some("m-2")]);
    let word = prop_oneof![
        6 => (0..MASTERS.len(), id).prop_map(|(at, id)| Word::Leads(at, id)),
        3 => Just(Word::Nobody),
        2 => Just(Word::Fails),
        1 => Just(Word::Panics),
    ];
    let after = prop_oneof![Just(0), 0..5_u64, 0..300_u64];
    vec((after, word), 0..8)
}

/// Says one thing after the other, and then nothing more.
struct Scripted {
    words: std::vec::IntoIter<(u64, Word)>,
    /// What it says is known here, so that the test knows who may be asked.
    leads: Arc<Mutex<Option<Address>>>,
}

#[async_trait::async_trait]
impl MasterDetector for Scripted {
    async fn detect(&mut self, _: Option<&LeadingMaster>) -> Result<Option<LeadingMaster>> {
        let Some((after, word)) = self.words.next() else {
            return std::future::pending().await;
        };
        tokio::time::sleep(Duration::from_secs(after)).await;
        let leader = match word {
            Word::Leads(at, id) => {
                let leader = LeadingMaster::new(MASTERS[at]).unwrap();
                Some(id.into_iter().fold(leader, LeadingMaster::id))
            }
            Word::Nobody => None,
            Word::Fails => return Err(failed()),
            // Not by `panic!`, which would write a million lines.
            Word::Panics => std::panic::resume_unwind(Box::new("no such service")),
        };
        let known = leader.clone().map(LeadingMaster::into_address);
        *self.leads.lock().unwrap() = known;
        Ok(leader)
    }
}

/// What the driver does before it goes on.
#[derive(Clone, Copy, Debug)]
enum Poke {
    Nothing,
    /// It does not look for that many seconds.
    Sleeps(u64),
    /// It drops the future after so many seconds, and asks anew.
    Drops(u64),
    Renews,
}

fn poke() -> impl Strategy<Value = Poke> {
    prop_oneof![
        6 => Just(Poke::Nothing),
        1 => (0..200_u64).prop_map(Poke::Sleeps),
        1 => (0..100_u64).prop_map(Poke::Drops),
        1 => Just(Poke::Renews),
    ]
}

#[derive(Clone, Debug)]
struct Scenario {
    /// None: these are configured, as many as are to be.
    words: Option<Vec<(u64, Word)>>,
    configured: usize,
    answers: Vec<Answer>,
    pokes: Vec<Poke>,
    /// How often it begins anew after an end.
    lives: usize,
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let words = prop::option::of(words());
    let (answers, pokes) = (vec(answer(), 1..12), vec(poke(), 0..20));
    (words, 1..=MASTERS.len(), answers, pokes, 0..3_usize).prop_map(
        |(words, configured, answers, pokes, lives)| Scenario {
            words,
            configured,
            answers,
            pokes,
            lives,
        },
    )
}

/// What is known of it from outside.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    Nothing,
    Connecting,
    Subscribed,
    Waiting,
    Detecting,
    Ended,
}

/// A subscription in a hostile world.
struct World {
    subscription: Subscription<Event>,
    peer: FakePeer,
    answers: std::vec::IntoIter<Answer>,
    pokes: std::vec::IntoIter<Poke>,
    lives: usize,
    /// Whom the detector names. None: there is none, and these are configured.
    leads: Option<Arc<Mutex<Option<Address>>>>,
    before: Before,
    seen: Seen,
    /// Of the connection.
    number: u8,
    /// Whether the peer answered it with a redirect.
    is_redirected: bool,
    is_done: bool,
    /// Whether this connection has carried a subscription.
    has_stood: bool,
}

impl World {
    fn new(scenario: Scenario) -> Self {
        let (leads, masters) = match scenario.words {
            Some(words) => {
                let leads = Arc::default();
                let detector = Scripted {
                    words: words.into_iter(),
                    leads: Arc::clone(&leads),
                };
                (Some(leads), Masters::Detected(Box::new(detector)))
            }
            None => {
                let list = MASTERS[..scenario.configured].join(",");
                (None, Masters::Fixed(FixedAddresses::parse(&list).unwrap()))
            }
        };
        let (subscription, peer) = subscription_with(masters, ContentType::Protobuf);
        Self {
            subscription,
            peer,
            answers: scenario.answers.into_iter(),
            pokes: scenario.pokes.into_iter(),
            lives: scenario.lives,
            leads,
            before: Before::Answered,
            seen: Seen::Nothing,
            number: 0,
            is_redirected: false,
            is_done: false,
            has_stood: false,
        }
    }

    async fn run(mut self) {
        loop {
            let step = match self.pokes.next().unwrap_or(Poke::Nothing) {
                Poke::Nothing => self.wait(None).await,
                Poke::Sleeps(seconds) => {
                    tokio::time::advance(Duration::from_secs(seconds)).await;
                    self.wait(None).await
                }
                Poke::Drops(seconds) => self.wait(Some(Duration::from_secs(seconds))).await,
                Poke::Renews => {
                    let step = self.subscription.renew(failed());
                    assert_eq!(step.is_some(), self.seen == Seen::Subscribed);
                    step
                }
            };
            if let Some(step) = step
                && !self.check(step).await
            {
                return;
            }
            if self.is_done {
                return;
            }
            if self.seen == Seen::Ended && !self.again() {
                return self.ends().await;
            }
        }
    }

    /// The next step; none if nothing happens within the limit, which must have its reason.
    async fn wait(&mut self, limit: Option<Duration>) -> Option<Step<Event>> {
        let mut subscribe = || Ok(Bytes::from_static(b"subscribe"));
        // The longest that any state lasts: SUBSCRIBE without an answer, and then without SUBSCRIBED; or a detector.
        let longest = 2 * REPLY_TIMEOUT + 350 * SECOND;
        let next = self.subscription.next(&mut subscribe);
        let step = tokio::time::timeout(limit.unwrap_or(longest), next)
            .await
            .ok();
        if step.is_some() || limit.is_some() {
            return step;
        }
        match self.seen {
            // Without a promise of heartbeats silence means nothing; the stream's end does.
            Seen::Subscribed => match std::mem::replace(&mut self.before, Before::Answered) {
                Before::Open(stream) => drop(stream.send(Err(failed())).await),
                Before::Answered => panic!("subscribed without a stream"),
            },
            // The detector has said its last word.
            Seen::Detecting => self.is_done = true,
            other => panic!("stuck while {other:?}"),
        }
        None
    }

    /// Whether there is more to see.
    async fn check(&mut self, step: Step<Event>) -> bool {
        match step {
            Step::Connecting { to, lost } => return self.connecting(to, lost.as_ref()).await,
            Step::Waiting { until, lost } => {
                assert!(until <= Instant::now() + BACKOFF);
                self.idles(Seen::Waiting, lost.as_ref());
            }
            Step::Detecting { lost } => {
                let leads = self.leads.as_ref().expect("a detector");
                assert_eq!(*leads.lock().unwrap(), None);
                self.idles(Seen::Detecting, lost.as_ref());
            }
            Step::NotDetected(_) => assert!(self.leads.is_some()),
            Step::Subscribed { event, .. } => {
                assert_eq!(self.seen, Seen::Connecting);
                assert!(event.subscribed.is_some() && !self.has_stood);
                (self.seen, self.has_stood) = (Seen::Subscribed, true);
            }
            Step::Event(event) => {
                assert!(matches!(self.seen, Seen::Connecting | Seen::Subscribed));
                if let Some(message) = event.message {
                    assert_eq!(self.seen, Seen::Subscribed, "events before SUBSCRIBED");
                    assert_eq!(message.data, [self.number][..], "another subscription's");
                }
            }
            Step::Ended(error) => {
                assert_ne!(self.seen, Seen::Ended);
                let why = error.kind();
                let reasons = [
                    // ERROR, a refused SUBSCRIBE, five odd answers, a detector that panicked.
                    ErrorKind::FrameworkRemoved,
                    ErrorKind::Unauthorized,
                    ErrorKind::Rejected,
                    ErrorKind::Protocol,
                    ErrorKind::CallbackPanicked,
                ];
                assert!(reasons.contains(&why), "{error}");
                self.nothing_is_open();
                self.seen = Seen::Ended;
            }
        }
        true
    }

    async fn connecting(&mut self, to: Address, lost: Option<&Error>) -> bool {
        assert_ne!(
            self.seen,
            Seen::Subscribed,
            "a subscription is lost to a wait"
        );
        let subscribing = self.peer.subscribing().await;
        assert_eq!(
            (&subscribing.to, &*subscribing.request.body),
            (&to, &b"subscribe"[..])
        );
        if lost.is_none() && self.seen == Seen::Connecting {
            assert!(self.is_redirected, "an attempt was left without a word");
        } else {
            let may_be = match &self.leads {
                Some(leads) => leads.lock().unwrap().as_ref() == Some(&to),
                None => MASTERS.contains(&to.to_string().as_str()),
            };
            assert!(may_be, "{to} is asked");
        }
        self.nothing_is_open();
        let Some(answer) = self.answers.next() else {
            return false;
        };
        self.number += 1;
        self.is_redirected = matches!(answer, Answer::Redirect(_));
        self.before = meet(subscribing, answer, self.number).await;
        (self.seen, self.has_stood) = (Seen::Connecting, false);
        true
    }

    /// Nothing is under way.
    fn idles(&mut self, now: Seen, lost: Option<&Error>) {
        let was_on = matches!(self.seen, Seen::Connecting | Seen::Subscribed);
        assert!(
            lost.is_some() || !was_on,
            "{:?} was left without a word",
            self.seen
        );
        self.nothing_is_open();
        self.seen = now;
    }

    fn nothing_is_open(&self) {
        assert!(self.peer.is_idle(), "an unexpected SUBSCRIBE");
        assert!(self.before.is_over(), "two connections at once");
    }

    /// Begins anew after an end, if it has a life left.
    fn again(&mut self) -> bool {
        if self.lives == 0 {
            return false;
        }
        self.lives -= 1;
        let step = self.subscription.start_over(failed());
        assert!(matches!(step, Some(Step::Waiting { lost: Some(_), .. })));
        self.seen = Seen::Waiting;
        true
    }

    /// There is nothing behind the end, whatever the detector says.
    async fn ends(mut self) {
        let mut subscribe = || Ok(Bytes::from_static(b"subscribe"));
        let over = async {
            loop {
                let step = self.subscription.next(&mut subscribe).await;
                assert!(matches!(step, Step::NotDetected(_)), "{step:?}");
            }
        };
        let more: Result<(), _> = tokio::time::timeout(5000 * SECOND, over).await;
        assert!(more.is_err() && self.peer.is_idle());
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn whatever_peers_and_detectors_do_a_subscription_goes_on_or_ends(scenario in scenario()) {
        paused().block_on(World::new(scenario).run());
    }
}
