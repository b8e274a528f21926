//! Whole drivers, between agents that answer anything at any time and executors that do anything in their callbacks.

use std::sync::Mutex;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::driver::{ConnectionState, Receipt};
use crate::http::fake::{Asked, Posted, Subscribing};
use crate::http::{Reply, Undelivered};
use crate::tests::cases;

const SECOND: Duration = Duration::from_secs(1);
/// How long a driver is left alone with its agent: longer than the recovery time-out.
const LIFE: Duration = Duration::from_secs(7200);
/// How long its end may take: the running callback, what is queued, and the acknowledgements.
const END: Duration = Duration::from_secs(600);

/// What the agent does with one SUBSCRIBE.
#[derive(Clone, Debug)]
enum Answer {
    Status(u16),
    Fails,
    Stream(Vec<Act>),
}

/// What comes on a stream.
#[derive(Clone, Debug)]
enum Act {
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
    Bytes(Vec<u8>),
    Pause(u64),
    Break,
}

/// What the agent answers to a call.
#[derive(Clone, Copy, Debug)]
enum Response {
    Status(u16, &'static str),
    NotSent,
    Unknown,
    /// Only after so many seconds.
    Late(u64),
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

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        1 => Just(Act::Subscribed),
        4 => Just(Act::Launch),
        2 => Just(Act::Kill),
        2 => Just(Act::Message),
        1 => Just(Act::Heartbeat),
        3 => Just(Act::Acknowledged),
        1 => Just(Act::Shutdown),
        1 => Just(Act::Disguised),
        1 => Just(Act::Error),
        1 => vec(any::<u8>(), 0..12).prop_map(Act::Bytes),
        3 => (0..600_u64).prop_map(Act::Pause),
        1 => Just(Act::Break),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    let status = prop::sample::select(vec![200, 202, 307, 400, 401, 403, 404, 418, 503]);
    let stream = vec(act(), 0..10).prop_map(|mut acts| {
        acts.insert(0, Act::Subscribed);
        Answer::Stream(acts)
    });
    prop_oneof![
        1 => status.prop_map(Answer::Status),
        1 => Just(Answer::Fails),
        6 => stream,
        1 => vec(act(), 0..10).prop_map(Answer::Stream),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    let status = prop::sample::select(vec![
        (202, ""),
        (202, ""),
        (400, "nonsense"),
        (403, "Executor is not subscribed"),
        (503, "Agent has not finished recovery"),
        (500, ""),
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

/// The agent's side. Once its answers are used up, it answers nothing more.
struct Agent {
    peer: FakePeer,
    answers: std::vec::IntoIter<Answer>,
    responses: std::vec::IntoIter<Response>,
    open: Option<ChunkSender>,
    unanswered: Vec<Subscribing>,
    /// What the executor sent last, to be acknowledged.
    last: Arc<Mutex<Option<TaskStatus>>>,
}

impl Agent {
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
        assert_eq!(call(&subscribing.request.body).r#type(), Type::Subscribe);
        let is_over = self.open.as_ref().is_none_or(ChunkSender::is_closed);
        let is_only = self.unanswered.iter().all(Subscribing::is_given_up);
        assert!(is_over && is_only, "two subscriptions at once");
        match self.answers.next() {
            None => self.unanswered.push(subscribing),
            Some(Answer::Status(status)) => subscribing.answer(Ok(Reply {
                status,
                ..Reply::default()
            })),
            Some(Answer::Fails) => subscribing.answer(Err(broken())),
            Some(Answer::Stream(acts)) => {
                let stream = subscribing.stream();
                tokio::spawn(play(stream.clone(), acts, Arc::clone(&self.last)));
                self.open = Some(stream);
            }
        }
    }

    fn call(&mut self, posted: Posted) {
        let call = call(&posted.body);
        assert_ne!(call.r#type(), Type::Subscribe);
        if let Some(update) = call.update {
            *self.last.lock().unwrap() = Some(update.status);
        }
        match self.responses.next().unwrap_or(Response::Status(202, "")) {
            Response::Status(status, body) => posted.answer(status, body),
            Response::NotSent => posted.end(Err(Undelivered::NotSent(broken()))),
            Response::Unknown => posted.end(Err(Undelivered::Unknown(broken()))),
            Response::Late(seconds) => {
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    posted.answer(202, "");
                });
            }
        }
    }
}

fn broken() -> Error {
    Error::new(ErrorKind::Connect, "broken")
}

async fn play(stream: ChunkSender, acts: Vec<Act>, last: Arc<Mutex<Option<TaskStatus>>>) {
    for act in acts {
        let chunk = match act {
            Act::Bytes(bytes) => Ok(bytes.into()),
            Act::Pause(seconds) => {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                continue;
            }
            Act::Break => Err(broken()),
            act => {
                let last = last.lock().unwrap().clone().unwrap_or_default();
                let mut record = BytesMut::new();
                recordio::encode(&event(&act, last).encode_to_vec(), &mut record);
                Ok(record.freeze())
            }
        };
        let _ = stream.send(chunk).await;
    }
    // Open until the driver closes it.
    stream.closed().await;
}

fn event(act: &Act, last: TaskStatus) -> Event {
    match act {
        Act::Subscribed => Event {
            subscribed: Some(Box::new(event::Subscribed::default())),
            ..event_of(event::Type::Subscribed)
        },
        Act::Launch => launch(),
        Act::Kill => Event {
            kill: Some(event::Kill {
                task_id: "t".into(),
                kill_policy: None,
            }),
            ..event_of(event::Type::Kill)
        },
        Act::Message => Event {
            message: Some(event::Message::default()),
            ..event_of(event::Type::Message)
        },
        Act::Acknowledged => Event {
            acknowledged: Some(event::Acknowledged {
                task_id: last.task_id,
                uuid: last.uuid.unwrap_or_default(),
            }),
            ..event_of(event::Type::Acknowledged)
        },
        Act::Disguised => Event {
            r#type: Some(event::Type::Shutdown as i32),
            ..launch()
        },
        Act::Shutdown => event_of(event::Type::Shutdown),
        Act::Error => event_of(event::Type::Error),
        _ => event_of(event::Type::Heartbeat),
    }
}

/// What has been told so far.
#[derive(Default)]
struct Story {
    is_registered: bool,
    is_up: bool,
    generation: u64,
    is_shut_down: bool,
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
            Deed::Panics => {
                self.told(|story| (story.has_panicked, story.is_over) = (true, true));
                std::panic::resume_unwind(Box::new("on purpose"));
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

    fn stands(&self, driver: &ExecutorHandle, is_first: bool) {
        self.told(|story| {
            assert!(!story.is_up, "a loss was not told");
            assert_eq!(story.is_registered, !is_first);
            (story.is_up, story.is_registered) = (true, true);
            // It may be over by now, or another may stand, of which is still to be told: events outlive theirs.
            if let ConnectionState::Subscribed { generation, .. } = driver.connection().state {
                assert!(generation >= story.generation);
                story.generation = generation;
            }
        });
    }

    fn needs_subscription(&self) {
        self.told(|story| {
            assert!(story.is_up, "an event without a subscription");
            assert!(!story.is_shut_down, "an event behind the shutdown");
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
        self.told(|story| story.is_up = false);
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
        self.told(|story| {
            assert!(!story.is_shut_down, "it shuts down once");
            story.is_shut_down = true;
        });
        self.act(driver).await;
    }

    async fn error(&mut self, driver: &ExecutorHandle, _: &Error) {
        self.told(|story| story.is_over = true);
        assert_eq!(driver.status(), Status::Aborted);
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
    let story = Arc::<Mutex<Story>>::default();
    let doer = Doer {
        story: Arc::clone(&story),
        deeds: scenario.deeds.into_iter(),
    };
    let builder = ExecutorDriver::builder(doer).event_queue_capacity(2);
    let mut driver = builder.over(config(scenario.checkpoint), transport);
    driver.start().unwrap();
    let agent = Agent {
        peer,
        answers: scenario.answers.into_iter(),
        responses: scenario.responses.into_iter(),
        open: None,
        unanswered: Vec::new(),
        last: Arc::default(),
    };
    let result = tokio::select! {
        biased;
        () = agent.serve() => unreachable!("it serves for ever"),
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
async fn live(driver: &mut ExecutorDriver, stop: Deed) -> Result<Status> {
    if let Ok(result) = tokio::time::timeout(LIFE, driver.join()).await {
        return result;
    }
    let handle = driver.handle();
    match stop {
        Deed::Aborts => handle.abort(),
        _ => handle.stop(),
    };
    let ended = tokio::time::timeout(END, driver.join()).await;
    ended.expect("it ends in time")
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn whatever_agents_and_callbacks_do_the_story_makes_sense_and_ends(scenario in scenario()) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(scenario));
    }
}
