//! Whole drivers, between masters that answer anything at any time and schedulers that do anything in their callbacks.

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

use super::super::*;
use crate::backoff::Backoff;
use crate::detector::FixedAddresses;
use crate::driver::tests::hostile::{self, Act, Peer, Response, Side, Teller};
use crate::http::fake::FakePeer;
use crate::proto::scheduler::{Call, Event, call, event};
use crate::proto::{FrameworkId, MasterInfo, Offer, OfferId, TaskInfo, TaskStatus};
use crate::recordio;
use crate::tests::cases;

const SECOND: Duration = Duration::from_secs(1);
/// How long a driver is left alone with its master.
const LIFE: Duration = Duration::from_secs(3600);
/// Of a task that the scheduler launches, and of one that it never heard of.
const OWN: &str = "own";
const STRANGE: &str = "strange";
const REMOVED: &str = "Framework has been removed";

type Answer = hostile::Answer<Told>;

/// What the master tells.
#[derive(Clone, Copy, Debug)]
enum Told {
    Subscribed(&'static str),
    Offer,
    Update,
    Heartbeat,
    Error(&'static str),
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

fn acts() -> impl Strategy<Value = Vec<Act<Told>>> {
    let id = prop::sample::select(vec!["f-1", "f-1", "f-1", "f-2", ""]);
    let error = prop::sample::select(vec![REMOVED, "Framework failed over", ""]);
    let told = prop_oneof![
        2 => id.prop_map(Told::Subscribed),
        4 => Just(Told::Offer),
        4 => Just(Told::Update),
        2 => Just(Told::Heartbeat),
        1 => error.prop_map(Told::Error),
    ];
    hostile::acts(13, told, 90)
}

fn answer() -> impl Strategy<Value = Answer> {
    let status = prop::sample::select(vec![200, 202, 307, 400, 401, 403, 404, 418, 500, 503]);
    // What a master does, and then whatever.
    let stream = acts().prop_map(|mut acts| {
        acts.insert(0, Act::Event(Told::Subscribed("f-1")));
        Answer::Stream(acts)
    });
    prop_oneof![
        1 => status.prop_map(Answer::Status),
        1 => Just(Answer::Redirect),
        1 => Just(Answer::Fails),
        6 => stream,
        1 => acts().prop_map(Answer::Stream),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    hostile::response(vec![
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
    ])
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

#[derive(Clone)]
struct AnyMaster;

impl Side for AnyMaster {
    type Event = Told;

    fn is_subscribe(&self, body: Bytes) -> bool {
        Call::decode(body).unwrap().r#type() == call::Type::Subscribe
    }

    fn record(&self, told: &Told) -> Bytes {
        let mut record = BytesMut::new();
        recordio::encode(&event_of(told).encode_to_vec(), &mut record);
        record.freeze()
    }
}

fn event_of(told: &Told) -> Event {
    let of = |r#type: event::Type| Event {
        r#type: Some(r#type as i32),
        ..Event::default()
    };
    match told {
        Told::Subscribed(id) => Event {
            subscribed: Some(Box::new(event::Subscribed {
                framework_id: (*id).into(),
                heartbeat_interval_seconds: Some(15.0),
                master_info: None,
            })),
            ..of(event::Type::Subscribed)
        },
        Told::Offer => Event {
            offers: Some(event::Offers {
                offers: vec![Offer {
                    id: "o".into(),
                    agent_id: "a".into(),
                    ..Offer::default()
                }],
            }),
            ..of(event::Type::Offers)
        },
        Told::Update => Event {
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
        Told::Error(message) => Event {
            error: Some(event::Error {
                message: (*message).into(),
            }),
            ..of(event::Type::Error)
        },
        Told::Heartbeat => of(event::Type::Heartbeat),
    }
}

/// What only schedulers are told.
#[derive(Default)]
struct Own {
    registered: Option<FrameworkId>,
    /// How many tasks were launched, and came back as never launched.
    launched: usize,
    dropped: usize,
}

struct Doer {
    teller: Teller<Own>,
    deeds: std::vec::IntoIter<Deed>,
}

impl Doer {
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
                self.teller.story().own.launched += usize::from(launched.is_ok());
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
            Deed::Panics => self.teller.panics(),
        };
        self.teller.called(receipt);
    }

    fn stands(&self, driver: &SchedulerHandle) {
        let connection = driver.connection();
        self.teller.told(|story| story.stands(&connection, u64::gt));
    }

    fn needs_subscription(&self) {
        self.teller.told(|story| story.needs_subscription());
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
        self.teller.told(|story| {
            assert!(!id.value.is_empty() && story.own.registered.as_ref() != Some(&id));
            story.own.registered = Some(id);
        });
        self.act(driver).await;
    }

    async fn reregistered(&mut self, driver: &SchedulerHandle, _: Option<MasterInfo>) {
        self.stands(driver);
        self.teller
            .told(|story| assert!(story.own.registered.is_some()));
        self.act(driver).await;
    }

    async fn disconnected(&mut self, driver: &SchedulerHandle) {
        self.teller.told(|story| story.is_lost());
        self.act(driver).await;
    }

    async fn framework_removed(&mut self, driver: &SchedulerHandle, id: FrameworkId) {
        self.teller.told(|story| {
            story.needs_none();
            assert_eq!(story.own.registered.take(), Some(id));
        });
        self.act(driver).await;
    }

    async fn resource_offers(&mut self, driver: &SchedulerHandle, _: Vec<Offer>) {
        self.needs_subscription();
        self.act(driver).await;
    }

    async fn status_update(&mut self, driver: &SchedulerHandle, status: TaskStatus) {
        match &*status.task_id.value {
            OWN => self.teller.told(|story| {
                story.own.dropped += 1;
                assert!(story.own.dropped <= story.own.launched, "dropped twice");
            }),
            _ => self.needs_subscription(),
        }
        self.act(driver).await;
    }

    async fn error(&mut self, driver: &SchedulerHandle, _: &Error) {
        self.teller.is_over(driver.status());
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
    let teller = Teller::default();
    let doer = Doer {
        teller: teller.clone(),
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
    let master = Master::Ready(ready);
    let builder = SchedulerDriverBuilder::new(Box::new(doer), info, master);
    let builder = builder
        .backoff(Backoff::new(SECOND, SECOND))
        .event_queue_capacity(2);
    let mut driver = builder.framework_removal(removal).build().unwrap();
    driver.start().unwrap();
    let master = Peer::new(AnyMaster, peer, scenario.answers, scenario.responses);
    let handle = driver.handle();
    let end = || match scenario.stop {
        Deed::StopsForFailover => handle.stop_for_failover(),
        Deed::Aborts => handle.abort(),
        _ => handle.stop(),
    };
    let lives = hostile::live(LIFE, async || driver.join().await, end);
    let end = master.serve_until(lives).await;
    teller.makes_sense_with(end).await;
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn whatever_masters_and_callbacks_do_the_story_makes_sense_and_ends(scenario in scenario()) {
        hostile::run_paused(run(scenario));
    }
}
