//! Whole drivers, between agents that answer anything at any time and executors that do anything in their callbacks.

use std::sync::Mutex;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::driver::tests::hostile::{self, Act, Peer, Response, Side, Teller};
use crate::tests::cases;

/// How long a driver is left alone with its agent: longer than the recovery time-out.
const LIFE: Duration = Duration::from_secs(7200);

type Answer = hostile::Answer<Told>;

/// What the agent tells.
#[derive(Clone, Copy, Debug)]
enum Told {
    Subscribed,
    Launch,
    Kill,
    Message,
    Heartbeat,
    Acknowledged,
    Shutdown,
    /// SHUTDOWN that carries a launch.
    Disguised,
    Error,
}

/// What the executor does in a callback.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Nothing,
    Sleeps(u64),
    Updates(TaskState),
    Messages,
    Stops,
    Aborts,
    Panics,
}

fn acts() -> impl Strategy<Value = Vec<Act<Told>>> {
    let told = prop_oneof![
        1 => Just(Told::Subscribed),
        4 => Just(Told::Launch),
        2 => Just(Told::Kill),
        2 => Just(Told::Message),
        1 => Just(Told::Heartbeat),
        3 => Just(Told::Acknowledged),
        1 => Just(Told::Shutdown),
        1 => Just(Told::Disguised),
        1 => Just(Told::Error),
    ];
    hostile::acts(16, told, 600)
}

fn answer() -> impl Strategy<Value = Answer> {
    let status = prop::sample::select(vec![200, 202, 307, 400, 401, 403, 404, 418, 503]);
    // What an agent does, and then whatever.
    let stream = acts().prop_map(|mut acts| {
        acts.insert(0, Act::Event(Told::Subscribed));
        Answer::Stream(acts)
    });
    prop_oneof![
        1 => status.prop_map(Answer::Status),
        1 => Just(Answer::Fails),
        6 => stream,
        1 => acts().prop_map(Answer::Stream),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    hostile::response(vec![
        (202, ""),
        (202, ""),
        (400, "nonsense"),
        (403, "Executor is not subscribed"),
        (503, "Agent has not finished recovery"),
        (500, ""),
        (999, ""),
    ])
}

fn deed() -> impl Strategy<Value = Deed> {
    let state = prop::sample::select(vec![TaskState::TaskRunning, TaskState::TaskFinished]);
    prop_oneof![
        8 => Just(Deed::Nothing),
        3 => (0..100_u64).prop_map(Deed::Sleeps),
        8 => state.prop_map(Deed::Updates),
        3 => Just(Deed::Messages),
        1 => Just(Deed::Stops),
        1 => Just(Deed::Aborts),
        1 => Just(Deed::Panics),
    ]
}

/// What the executor sent last, to be acknowledged.
#[derive(Clone, Default)]
struct Agent(Arc<Mutex<Option<TaskStatus>>>);

impl Side for Agent {
    type Event = Told;

    fn is_subscribe(&self, body: Bytes) -> bool {
        let call = call(&body);
        let is_subscribe = call.r#type() == Type::Subscribe;
        if let Some(update) = call.update {
            *self.0.lock().unwrap() = Some(update.status);
        }
        is_subscribe
    }

    fn record(&self, told: &Told) -> Bytes {
        let last = self.0.lock().unwrap().clone().unwrap_or_default();
        let mut record = BytesMut::new();
        recordio::encode(&event(told, last).encode_to_vec(), &mut record);
        record.freeze()
    }
}

fn event(told: &Told, last: TaskStatus) -> Event {
    match told {
        Told::Subscribed => Event {
            subscribed: Some(Box::new(event::Subscribed::default())),
            ..event_of(event::Type::Subscribed)
        },
        Told::Launch => launch(),
        Told::Kill => Event {
            kill: Some(event::Kill {
                task_id: "t".into(),
                kill_policy: None,
            }),
            ..event_of(event::Type::Kill)
        },
        Told::Message => Event {
            message: Some(event::Message::default()),
            ..event_of(event::Type::Message)
        },
        Told::Acknowledged => Event {
            acknowledged: Some(event::Acknowledged {
                task_id: last.task_id,
                uuid: last.uuid.unwrap_or_default(),
            }),
            ..event_of(event::Type::Acknowledged)
        },
        Told::Disguised => Event {
            r#type: Some(event::Type::Shutdown as i32),
            ..launch()
        },
        Told::Shutdown => event_of(event::Type::Shutdown),
        Told::Error => event_of(event::Type::Error),
        Told::Heartbeat => event_of(event::Type::Heartbeat),
    }
}

/// What only executors are told.
#[derive(Default)]
struct Own {
    is_registered: bool,
    is_shut_down: bool,
}

struct Doer {
    teller: Teller<Own>,
    deeds: std::vec::IntoIter<Deed>,
}

impl Doer {
    async fn act(&mut self, driver: &ExecutorHandle) {
        let receipt = match self.deeds.next().unwrap_or(Deed::Nothing) {
            Deed::Nothing => return,
            Deed::Sleeps(seconds) => return tokio::time::sleep(Duration::from_secs(seconds)).await,
            Deed::Updates(state) => {
                let status = TaskStatus {
                    task_id: "t".into(),
                    state: state as i32,
                    ..TaskStatus::default()
                };
                driver.send_status_update(status).await
            }
            Deed::Messages => driver.send_framework_message("hello").await,
            Deed::Stops => {
                driver.stop();
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

    fn stands(&self, driver: &ExecutorHandle, is_first: bool) {
        self.teller.told(|story| {
            // Another may stand by now, of which is still to be told: events outlive theirs.
            story.stands(&driver.connection(), u64::ge);
            assert_eq!(story.own.is_registered, !is_first);
            story.own.is_registered = true;
        });
    }

    fn needs_subscription(&self) {
        self.teller.told(|story| {
            story.needs_subscription();
            assert!(!story.own.is_shut_down, "an event behind the shutdown");
        });
    }
}

#[async_trait::async_trait]
impl Executor for Doer {
    async fn registered(
        &mut self,
        driver: &ExecutorHandle,
        _: ExecutorInfo,
        _: FrameworkInfo,
        _: AgentInfo,
    ) {
        self.stands(driver, true);
        self.act(driver).await;
    }

    async fn reregistered(&mut self, driver: &ExecutorHandle, _: AgentInfo) {
        self.stands(driver, false);
        self.act(driver).await;
    }

    async fn disconnected(&mut self, driver: &ExecutorHandle) {
        self.needs_subscription();
        self.teller.told(|story| story.is_lost());
        self.act(driver).await;
    }

    async fn launch_task(&mut self, driver: &ExecutorHandle, _: TaskInfo) {
        self.needs_subscription();
        self.act(driver).await;
    }

    async fn kill_task(&mut self, driver: &ExecutorHandle, _: TaskId, _: Option<KillPolicy>) {
        self.needs_subscription();
        self.act(driver).await;
    }

    async fn framework_message(&mut self, driver: &ExecutorHandle, _: Bytes) {
        self.needs_subscription();
        self.act(driver).await;
    }

    async fn shutdown(&mut self, driver: &ExecutorHandle) {
        self.teller.told(|story| {
            assert!(!story.own.is_shut_down, "it shuts down once");
            story.own.is_shut_down = true;
        });
        self.act(driver).await;
    }

    async fn error(&mut self, driver: &ExecutorHandle, _: &Error) {
        self.teller.is_over(driver.status());
    }
}

#[derive(Clone, Debug)]
struct Scenario {
    answers: Vec<Answer>,
    responses: Vec<Response>,
    deeds: Vec<Deed>,
    checkpoint: &'static str,
    stop: Deed,
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let checkpoint = prop::sample::select(vec!["1", "1", "0"]);
    let stop = prop::sample::select(vec![Deed::Stops, Deed::Aborts]);
    let (answers, responses) = (vec(answer(), 1..6), vec(response(), 0..12));
    (answers, responses, vec(deed(), 0..16), checkpoint, stop).prop_map(
        |(answers, responses, deeds, checkpoint, stop)| Scenario {
            answers,
            responses,
            deeds,
            checkpoint,
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
    let builder = ExecutorDriver::builder(doer).event_queue_capacity(2);
    let mut driver = builder.over(config(scenario.checkpoint), transport);
    driver.start().unwrap();
    let agent = Peer::new(Agent::default(), peer, scenario.answers, scenario.responses);
    let handle = driver.handle();
    let end = || match scenario.stop {
        Deed::Aborts => handle.abort(),
        _ => handle.stop(),
    };
    let lives = hostile::live(LIFE, async || driver.join().await, end);
    let end = agent.serve_until(lives).await;
    teller.makes_sense_with(end).await;
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn whatever_agents_and_callbacks_do_the_story_makes_sense_and_ends(scenario in scenario()) {
        hostile::run_paused(run(scenario));
    }
}
