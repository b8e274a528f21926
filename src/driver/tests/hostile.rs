//! Peers that answer anything at any time, and the story that a driver's callbacks tell meanwhile.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::driver::{Connection, ConnectionState, Receipt, Status};
use crate::error::{Error, ErrorKind, Result};
use crate::http::fake::{Asked, ChunkSender, FakePeer, Posted, Subscribing};
use crate::http::{Reply, Undelivered};

const SECOND: Duration = Duration::from_secs(1);
/// How long a driver's end may take: the running callback, what is queued, and what is still to be acknowledged or sent.
const END: Duration = Duration::from_secs(600);

/// What the peer does with one SUBSCRIBE.
#[derive(Clone, Debug)]
pub(crate) enum Answer<E> {
    Status(u16),
    /// To another master.
    Redirect,
    Fails,
    Stream(Vec<Act<E>>),
}

/// What comes on a stream.
#[derive(Clone, Debug)]
pub(crate) enum Act<E> {
    Event(E),
    Bytes(Vec<u8>),
    Pause(u64),
    Break,
}

/// What the peer answers to a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Response {
    Status(u16, &'static str),
    NotSent,
    Unknown,
    /// Only after so many seconds.
    Late(u64),
}

/// Of `weight + 5` acts, `weight` are `events`; pauses are of less than `pause` seconds.
pub(crate) fn acts<E: Clone + std::fmt::Debug + 'static>(
    weight: u32,
    events: impl Strategy<Value = E>,
    pause: u64,
) -> impl Strategy<Value = Vec<Act<E>>> {
    let act = prop_oneof![
        weight => events.prop_map(Act::Event),
        1 => vec(any::<u8>(), 0..12).prop_map(Act::Bytes),
        3 => (0..pause).prop_map(Act::Pause),
        1 => Just(Act::Break),
    ];
    vec(act, 0..10)
}

/// Mostly one of `statuses`.
pub(crate) fn response(statuses: Vec<(u16, &'static str)>) -> impl Strategy<Value = Response> {
    let status = prop::sample::select(statuses);
    prop_oneof![
        6 => status.prop_map(|(status, body)| Response::Status(status, body)),
        1 => Just(Response::NotSent),
        1 => Just(Response::Unknown),
        1 => (0..100_u64).prop_map(Response::Late),
    ]
}

/// What a master and an agent differ in.
pub(crate) trait Side: Clone + Send + Sync + 'static {
    type Event: Send + Sync + 'static;

    /// Whether the call is a SUBSCRIBE. What else it says may be kept.
    fn is_subscribe(&self, call: Bytes) -> bool;

    /// The event as it comes on a stream.
    fn record(&self, event: &Self::Event) -> Bytes;
}

/// The peer of a driver. Once its answers are used up, it answers nothing more.
pub(crate) struct Peer<S: Side> {
    side: S,
    peer: FakePeer,
    answers: std::vec::IntoIter<Answer<S::Event>>,
    responses: std::vec::IntoIter<Response>,
    open: Option<ChunkSender>,
    unanswered: Vec<Subscribing>,
}

impl<S: Side> Peer<S> {
    pub(crate) fn new(
        side: S,
        peer: FakePeer,
        answers: Vec<Answer<S::Event>>,
        responses: Vec<Response>,
    ) -> Self {
        Self {
            side,
            peer,
            answers: answers.into_iter(),
            responses: responses.into_iter(),
            open: None,
            unanswered: Vec::new(),
        }
    }

    /// Serves until `other` is done.
    pub(crate) async fn serve_until<T>(self, other: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            () = self.serve() => unreachable!("it serves for ever"),
            done = other => done,
        }
    }

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
        let body = subscribing.request.body.clone();
        assert!(self.side.is_subscribe(body));
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
            Some(Answer::Fails) => subscribing.answer(Err(broken())),
            Some(Answer::Stream(acts)) => {
                let stream = subscribing.stream();
                tokio::spawn(play(self.side.clone(), stream.clone(), acts));
                self.open = Some(stream);
            }
        }
    }

    fn call(&mut self, posted: Posted) {
        assert!(!self.side.is_subscribe(posted.body.clone()));
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

async fn play<S: Side>(side: S, stream: ChunkSender, acts: Vec<Act<S::Event>>) {
    for act in acts {
        let chunk = match act {
            Act::Bytes(bytes) => Ok(bytes.into()),
            Act::Pause(seconds) => {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                continue;
            }
            Act::Break => Err(broken()),
            Act::Event(event) => Ok(side.record(&event)),
        };
        let _ = stream.send(chunk).await;
    }
    // Open until the driver closes it.
    stream.closed().await;
}

/// What has been told so far; `own` is what only this kind of driver tells.
#[derive(Default)]
pub(crate) struct Story<T> {
    pub(crate) own: T,
    is_up: bool,
    generation: u64,
    has_panicked: bool,
    is_over: bool,
    receipts: Vec<Receipt>,
}

impl<T> Story<T> {
    /// A subscription is told of. `is_next`: how its generation compares with the last one that was told of.
    pub(crate) fn stands(&mut self, connection: &Connection, is_next: fn(&u64, &u64) -> bool) {
        assert!(!self.is_up, "a loss was not told");
        self.is_up = true;
        // It may be over by now.
        if let ConnectionState::Subscribed { generation, .. } = connection.state {
            assert!(is_next(&generation, &self.generation));
            self.generation = generation;
        }
    }

    pub(crate) fn needs_subscription(&self) {
        assert!(self.is_up, "an event without a subscription");
    }

    pub(crate) fn needs_none(&self) {
        assert!(!self.is_up);
    }

    pub(crate) fn is_lost(&mut self) {
        self.needs_subscription();
        self.is_up = false;
    }
}

/// Keeps the story of a driver.
#[derive(Default)]
pub(crate) struct Teller<T>(Arc<Mutex<Story<T>>>);

impl<T> Clone for Teller<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Teller<T> {
    pub(crate) fn story(&self) -> MutexGuard<'_, Story<T>> {
        self.0.lock().unwrap()
    }

    /// A callback is called.
    pub(crate) fn told(&self, tell: impl FnOnce(&mut Story<T>)) {
        let mut story = self.story();
        assert!(!story.is_over, "a callback behind the last one");
        tell(&mut story);
    }

    /// The last callback is called.
    pub(crate) fn is_over(&self, status: Status) {
        self.told(|story| story.is_over = true);
        assert_eq!(status, Status::Aborted);
    }

    /// A callback panics.
    pub(crate) fn panics(&self) -> ! {
        self.told(|story| (story.has_panicked, story.is_over) = (true, true));
        std::panic::resume_unwind(Box::new("on purpose"))
    }

    /// A callback has made a call.
    pub(crate) fn called(&self, receipt: Result<Receipt>) {
        match receipt {
            Ok(receipt) => self.story().receipts.push(receipt),
            Err(error) => assert!(matches!(
                error.kind(),
                ErrorKind::Disconnected | ErrorKind::NotRunning
            )),
        }
    }

    /// The driver has ended so.
    pub(crate) async fn makes_sense_with(&self, end: Result<Status>) {
        let receipts = {
            let mut story = self.story();
            match end {
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
}

/// Leaves a driver alone for `life`, and then ends it, if it has not ended before.
pub(crate) async fn live(
    life: Duration,
    mut join: impl AsyncFnMut() -> Result<Status>,
    end: impl FnOnce() -> Status,
) -> Result<Status> {
    if let Ok(result) = tokio::time::timeout(life, join()).await {
        return result;
    }
    end();
    let ended = tokio::time::timeout(END, join()).await;
    ended.expect("it ends in time")
}

/// Runs one case, without waiting for its time to pass.
pub(crate) fn run_paused(case: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(case);
}
