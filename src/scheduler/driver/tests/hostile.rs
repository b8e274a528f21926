//! Whole drivers, between masters that answer anything at any time and schedulers that do anything in their callbacks.

use std::sync::Mutex;

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

use super::super::*;
use crate::backoff::Backoff;
use crate::detector::FixedAddresses;
use crate::driver::{ConnectionState, Receipt};
use crate::http::fake::{Asked, ChunkSender, FakePeer, Posted, Subscribing};
use crate::http::{Reply, Undelivered};
use crate::proto::scheduler::{Event, call, event};
use crate::proto::{FrameworkId, MasterInfo, Offer, OfferId, TaskInfo, TaskStatus};
use crate::recordio;
use crate::tests::cases;

const SECOND: Duration = Duration::from_secs(1);
/// How long a driver is left alone with its master.
const LIFE: Duration = Duration::from_secs(3600);
/// How long its end may take: the running callback, what is queued, TEARDOWN, and the subscription that it needs.
const END: Duration = Duration::from_secs(600);
/// Of a task that the scheduler launches, and of one that it never heard of.
const OWN: &str = "own";
const STRANGE: &str = "strange";
const REMOVED: &str = "Framework has been removed";
const ON_PURPOSE: &str = "on purpose";

/// What the master does with one SUBSCRIBE.
#[derive(Clone, Debug)]
enum Answer {
    Status(u16),
    Redirect,
    Fails,
    Stream(Vec<Act>),
}

/// What comes on a stream.
#[derive(Clone, Debug)]
enum Act {
    Subscribed(&'static str),
    Offer,
    Update,
    Heartbeat,
    Error(&'static str),
    Bytes(Vec<u8>),
    Pause(u64),
    Break,
}

/// What the master answers to a call.
#[derive(Clone, Copy, Debug)]
enum Response {
    Status(u16, &'static str),
    NotSent,
    Unknown,
    /// Only after so many seconds.
    Late(u64),
}

/// What the scheduler does in a callback.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Nothing,
    Sleeps(u64),
    Declines,
    Launches,
    Revives,
    Stops,
    StopsForFailover,
    Aborts,
    Panics,
}

fn act() -> impl Strategy<Value = Act> {
    let id = prop::sample::select(vec!["f-1", "f-1", "f-1", "f-2", ""]);
    let error = prop::sample::select(vec![REMOVED, "Framework failed over", ""]);
    prop_oneof![
        2 => id.prop_map(Act::Subscribed),
        4 => Just(Act::Offer),
        4 => Just(Act::Update),
        2 => Just(Act::Heartbeat),
        1 => error.prop_map(Act::Error),
        1 => vec(any::<u8>(), 0..12).prop_map(Act::Bytes),
        3 => (0..90_u64).prop_map(Act::Pause),
        1 => Just(Act::Break),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    let status = prop::sample::select(vec![200, 202, 307, 400, 401, 403, 404, 418, 500, 503]);
    // What a master does, and then whatever.
    let stream = vec(act(), 0..10).prop_map(|mut acts| {
        acts.insert(0, Act::Subscribed("f-1"));
        Answer::Stream(acts)
    });
    prop_oneof![
        1 => status.prop_map(Answer::Status),
        1 => Just(Answer::Redirect),
        1 => Just(Answer::Fails),
        6 => stream,
        1 => vec(act(), 0..10).prop_map(Answer::Stream),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    let status = prop::sample::select(vec![
        (202, ""),
        (202, ""),
        (400, "Framework cannot be found"),
        (400, "nonsense"),
        (401, ""),
        (403, "Framework is not subscribed"),
        (307, ""),
        (500, ""),
        (503, "Agent has not finished recovery"),
        (999, ""),
    ]);
    prop_oneof![
        6 => status.prop_map(|(status, body)| Response::Status(status, body)),
        1 => Just(Response::NotSent),
        1 => Just(Response::Unknown),
        1 => (0..100_u64).prop_map(Response::Late),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        12 => Just(Deed::Nothing),
        3 => (0..100_u64).prop_map(Deed::Sleeps),
        6 => Just(Deed::Declines),
        6 => Just(Deed::Launches),
        3 => Just(Deed::Revives),
        1 => Just(Deed::Stops),
        1 => Just(Deed::StopsForFailover),
        1 => Just(Deed::Aborts),
        1 => Just(Deed::Panics),
    ]
}

fn records(events: &[Event]) -> Bytes {
    let mut stream = BytesMut::new();
    for event in events {
        recordio::encode(&event.encode_to_vec(), &mut stream);
    }
    stream.freeze()
}

fn event_of(act: &Act) -> Event {
    let of = |r#type: event::Type| Event {
        r#type: Some(r#type as i32),
        ..Event::default()
    };
    match act {
        Act::Subscribed(id) => Event {
            subscribed: Some(Box::new(event::Subscribed {
                framework_id: (*id).into(),
                heartbeat_interval_seconds: Some(15.0),
                master_info: None,
            })),
            ..of(event::Type::Subscribed)
        },
        Act::Offer => Event {
            offers: Some(event::Offers {
                offers: vec![Offer {
                    id: "o".into(),
                    agent_id: "a".into(),
                    ..Offer::default()
                }],
            }),
            ..of(event::Type::Offers)
        },
        Act::Update => Event {
            update: Some(event::Update {
                status: TaskStatus {
                    task_id: STRANGE.into(),
                    agent_id: Some("a".into()),
                    uuid: Some(Bytes::from_static(&[1; 16])),
                    ..TaskStatus::default()
                },
            }),
            ..of(event::Type::Update)
        },
        Act::Error(message) => Event {
            error: Some(event::Error {
                message: (*message).into(),
            }),
            ..of(event::Type::Error)
        },
        _ => of(event::Type::Heartbeat),
    }
}

async fn play(stream: ChunkSender, acts: Vec<Act>) {
    for act in acts {
        let chunk = match act {
            Act::Bytes(bytes) => Ok(bytes.into()),
            Act::Pause(seconds) => {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                continue;
            }
            Act::Break => Err(Error::new(ErrorKind::Connect, "broken")),
            act => Ok(records(&[event_of(&act)])),
        };
        let _ = stream.send(chunk).await;
    }
    // Open until the driver closes it.
    stream.closed().await;
}

/// The master's side. Once its answers are used up, it answers nothing more.
struct Master {
    peer: FakePeer,
    answers: std::vec::IntoIter<Answer>,
    responses: std::vec::IntoIter<Response>,
    open: Option<ChunkSender>,
    unanswered: Vec<Subscribing>,
}

impl Master {
    async fn serve(mut self) {
        while let Some(asked) = self.peer.request().await {
            match asked {
                Asked::Subscribe(subscribing) => self.subscribe(subscribing),
                Asked::Call(posted) => self.call(posted),
            }
        }
        std::future::pending().await
    }

    fn subscribe(&mut self, subscribing: Subscribing) {
        let call = crate::proto::scheduler::Call::decode(subscribing.request.body.clone());
        assert_eq!(call.unwrap().r#type(), call::Type::Subscribe);
        let is_over = self.open.as_ref().is_none_or(ChunkSender::is_closed);
        let is_only = self.unanswered.iter().all(Subscribing::is_given_up);
        assert!(is_over && is_only, "two subscriptions at once");
        let reply = |status, location: Option<&str>| {
            let location = location.map(str::to_owned);
            Ok(Reply {
                status,
                location,
                ..Reply::default()
            })
        };
        match self.answers.next() {
            None => self.unanswered.push(subscribing),
            Some(Answer::Status(status)) => subscribing.answer(reply(status, None)),
            Some(Answer::Redirect) => subscribing.answer(reply(307, Some("//b:5050"))),
            Some(Answer::Fails) => {
                subscribing.answer(Err(Error::new(ErrorKind::Connect, "refused")));
            }
            Some(Answer::Stream(acts)) => {
                let stream = subscribing.stream();
                tokio::spawn(play(stream.clone(), acts));
                self.open = Some(stream);
            }
        }
    }

    fn call(&mut self, posted: Posted) {
        let call = crate::proto::scheduler::Call::decode(posted.body.clone()).unwrap();
        assert_ne!(call.r#type(), call::Type::Subscribe);
        let error = || Error::new(ErrorKind::Connect, "broken");
        match self.responses.next().unwrap_or(Response::Status(202, "")) {
            Response::Status(status, body) => posted.answer(status, body),
            Response::NotSent => posted.end(Err(Undelivered::NotSent(error()))),
            Response::Unknown => posted.end(Err(Undelivered::Unknown(error()))),
            Response::Late(seconds) => {
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    posted.answer(202, "");
                });
            }
        }
    }
}

/// What has been told so far.
#[derive(Default)]
struct Story {
    registered: Option<FrameworkId>,
    is_up: bool,
    generation: u64,
    /// How many tasks were launched, and came back as never launched.
    launched: usize,
    dropped: usize,
    has_panicked: bool,
    is_over: bool,
    receipts: Vec<Receipt>,
}

struct Doer {
    story: Arc<Mutex<Story>>,
    deeds: std::vec::IntoIter<Deed>,
}

impl Doer {
    fn told(&self, tell: impl FnOnce(&mut Story)) {
        let mut story = self.story.lock().unwrap();
        assert!(!story.is_over, "a callback behind the last one");
        tell(&mut story);
    }

    async fn act(&mut self, driver: &SchedulerHandle) {
        let receipt = match self.deeds.next().unwrap_or(Deed::Nothing) {
            Deed::Nothing => return,
            Deed::Sleeps(seconds) => return tokio::time::sleep(Duration::from_secs(seconds)).await,
            Deed::Declines => {
                let offers = vec![OfferId::from("o")];
                driver.decline_offers(offers, Default::default()).await
            }
            Deed::Launches => {
                let task = TaskInfo {
                    task_id: OWN.into(),
                    agent_id: "a".into(),
                    ..TaskInfo::default()
                };
                let offers = vec![OfferId::from("o")];
                let launched = driver.launch_tasks(offers, vec![task], Default::default());
                let launched = launched.await;
                self.story.lock().unwrap().launched += usize::from(launched.is_ok());
                launched
            }
            Deed::Revives => driver.revive_offers(Vec::<String>::new()).await,
            Deed::Stops => {
                driver.stop();
                return;
            }
            Deed::StopsForFailover => {
                driver.stop_for_failover();
                return;
            }
            Deed::Aborts => {
                driver.abort();
                return;
            }
            Deed::Panics => {
                self.told(|story| (story.has_panicked, story.is_over) = (true, true));
                std::panic::resume_unwind(Box::new(ON_PURPOSE));
            }
        };
        match receipt {
            Ok(receipt) => self.story.lock().unwrap().receipts.push(receipt),
            Err(error) => assert!(matches!(
                error.kind(),
                ErrorKind::Disconnected | ErrorKind::NotRunning
            )),
        }
    }

    fn stands(&self, driver: &SchedulerHandle) {
        self.told(|story| {
            assert!(!story.is_up, "a loss was not told");
            story.is_up = true;
            // It may be over by now.
            if let ConnectionState::Subscribed { generation, .. } = driver.connection().state {
                assert!(generation > story.generation);
                story.generation = generation;
            }
        });
    }

    fn needs_subscription(&self) {
        self.told(|story| assert!(story.is_up, "an event without a subscription"));
    }
}

#[async_trait::async_trait]
impl Scheduler for Doer {
    async fn registered(
        &mut self,
        driver: &SchedulerHandle,
        id: FrameworkId,
        _: Option<MasterInfo>,
    ) {
        self.stands(driver);
        self.told(|story| {
            assert!(!id.value.is_empty() && story.registered.as_ref() != Some(&id));
            story.registered = Some(id);
        });
        self.act(driver).await;
    }

    async fn reregistered(&mut self, driver: &SchedulerHandle, _: Option<MasterInfo>) {
        self.stands(driver);
        self.told(|story| assert!(story.registered.is_some()));
        self.act(driver).await;
    }

    async fn disconnected(&mut self, driver: &SchedulerHandle) {
        self.needs_subscription();
        self.told(|story| story.is_up = false);
        self.act(driver).await;
    }

    async fn framework_removed(&mut self, driver: &SchedulerHandle, id: FrameworkId) {
        self.told(|story| {
            assert!(!story.is_up);
            assert_eq!(story.registered.take(), Some(id));
        });
        self.act(driver).await;
    }

    async fn resource_offers(&mut self, driver: &SchedulerHandle, _: Vec<Offer>) {
        self.needs_subscription();
        self.act(driver).await;
    }

    async fn status_update(&mut self, driver: &SchedulerHandle, status: TaskStatus) {
        match &*status.task_id.value {
            OWN => self.told(|story| {
                story.dropped += 1;
                assert!(story.dropped <= story.launched, "dropped twice");
            }),
            _ => self.needs_subscription(),
        }
        self.act(driver).await;
    }

    async fn error(&mut self, driver: &SchedulerHandle, _: &Error) {
        self.told(|story| story.is_over = true);
        assert_eq!(driver.status(), Status::Aborted);
    }
}

#[derive(Clone, Debug)]
struct Scenario {
    answers: Vec<Answer>,
    responses: Vec<Response>,
    deeds: Vec<Deed>,
    anew: bool,
    stop: Deed,
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let stop = prop::sample::select(vec![Deed::Stops, Deed::StopsForFailover, Deed::Aborts]);
    let (answers, responses) = (vec(answer(), 1..6), vec(response(), 0..12));
    (answers, responses, vec(deed(), 0..16), any::<bool>(), stop).prop_map(
        |(answers, responses, deeds, anew, stop)| Scenario {
            answers,
            responses,
            deeds,
            anew,
            stop,
        },
    )
}

async fn run(scenario: Scenario) {
    let (transport, peer) = FakePeer::new(4);
    let story = Arc::<Mutex<Story>>::default();
    let doer = Doer {
        story: Arc::clone(&story),
        deeds: scenario.deeds.into_iter(),
    };
    let ready = Ready {
        masters: Masters::Fixed(FixedAddresses::parse("a:5050,b:5050").unwrap()),
        transport,
        afterwards: Box::pin(async {}),
    };
    let removal = match scenario.anew {
        true => FrameworkRemoval::RegisterAnew,
        false => FrameworkRemoval::Stop,
    };
    let info = FrameworkInfo {
        user: "nobody".into(),
        hostname: Some("h".into()),
        ..FrameworkInfo::default()
    };
    let master = super::super::Master::Ready(ready);
    let builder = SchedulerDriverBuilder::new(Box::new(doer), info, master);
    let builder = builder
        .backoff(Backoff::new(SECOND, SECOND))
        .event_queue_capacity(2);
    let mut driver = builder.framework_removal(removal).build().unwrap();
    driver.start().unwrap();
    let master = Master {
        peer,
        answers: scenario.answers.into_iter(),
        responses: scenario.responses.into_iter(),
        open: None,
        unanswered: Vec::new(),
    };
    let result = tokio::select! {
        biased;
        () = master.serve() => unreachable!("it serves for ever"),
        result = live(&mut driver, scenario.stop) => result,
    };
    let receipts = {
        let mut story = story.lock().unwrap();
        match result {
            Err(error) if error.kind() == ErrorKind::CallbackPanicked => {
                assert!(story.has_panicked, "{error}");
            }
            _ => assert!(!story.has_panicked),
        }
        std::mem::take(&mut story.receipts)
    };
    // Every call has come to an end.
    for receipt in receipts {
        let outcome = tokio::time::timeout(SECOND, receipt.outcome()).await;
        assert!(outcome.is_ok(), "a call without an end");
    }
}

/// Leaves the driver alone for a while, and then ends it, if it has not ended before.
async fn live(driver: &mut SchedulerDriver, stop: Deed) -> Result<Status> {
    if let Ok(result) = tokio::time::timeout(LIFE, driver.join()).await {
        return result;
    }
    let handle = driver.handle();
    match stop {
        Deed::StopsForFailover => handle.stop_for_failover(),
        Deed::Aborts => handle.abort(),
        _ => handle.stop(),
    };
    let ended = tokio::time::timeout(END, driver.join()).await;
    ended.expect("it ends in time")
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn whatever_masters_and_callbacks_do_the_story_makes_sense_and_ends(scenario in scenario()) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(scenario));
    }
}
