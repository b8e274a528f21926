//! Several calls in flight, with a peer in memory and a clock that only waits for us.

use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::driver::Persistence;
use crate::driver::queue::Item;
use crate::http::Transport;
use crate::http::fake::{FakePeer, Posted};
use crate::proto::scheduler::{Call, Event, call};

const SECOND: Duration = Duration::from_secs(1);
const WINDOW: usize = 4;

/// The type of a call says how it is treated; its number is kept in the framework id.
#[derive(Default)]
struct TestProtocol {
    refused: Mutex<Vec<String>>,
}

/// Makes sense only under the subscription under which it was queued.
const BOUND: call::Type = call::Type::Accept;
/// May be sent twice.
const REPEATABLE: call::Type = call::Type::Reconcile;
/// Neither.
const PLAIN: call::Type = call::Type::Revive;

impl Protocol for TestProtocol {
    type Event = Event;
    type Call = Call;

    const PEER: &'static str = "master";
    const PATH: &'static str = "/api/v1/test";
    const EVENTS_OUTLIVE_SUBSCRIPTION: bool = false;

    fn subscribe(&self) -> Call {
        Call::default()
    }

    fn receive(&self, _: &Event) -> bool {
        true
    }

    fn queued(&self, _: &Call) {}

    fn complete(&self, call: &mut Call) -> bool {
        name(call) != "said"
    }

    fn refused(&self, call: &Call) {
        self.refused.lock().unwrap().push(name(call));
    }

    fn name(call: &Call) -> &'static str {
        call.r#type().as_str_name()
    }

    fn is_bound_to_subscription(call: &Call) -> bool {
        call.r#type() == BOUND
    }

    fn is_repeatable(call: &Call) -> bool {
        call.r#type() == REPEATABLE
    }

    fn never_sent(&self, _: &Call) -> Vec<Event> {
        vec![Event::default()]
    }

    fn keepalive(&self) -> Option<(Duration, Call)> {
        None
    }

    fn teardown(&self) -> Option<Call> {
        None
    }

    fn persistence(&self) -> Persistence {
        Persistence::Endless
    }

    fn is_pending(&self) -> bool {
        false
    }

    async fn settled(&self) {}

    fn settle_limit(&self) -> Duration {
        Duration::ZERO
    }
}

fn call(r#type: call::Type, name: &str) -> Call {
    Call {
        r#type: Some(r#type as i32),
        framework_id: Some(name.into()),
        ..Call::default()
    }
}

fn name(call: &Call) -> String {
    call.framework_id.clone().unwrap_or_default().value
}

/// An outbox that sends, and the peer that it sends to.
struct Sending {
    outbox: Arc<Outbox<TestProtocol>>,
    events: Arc<EventQueue<Event>>,
    protocol: Arc<TestProtocol>,
    peer: FakePeer,
    run: tokio::task::JoinHandle<()>,
}

impl Sending {
    fn new(capacity: usize) -> Self {
        let (transport, peer) = FakePeer::new(WINDOW);
        let transport: Arc<dyn Transport> = transport;
        let protocol = Arc::new(TestProtocol::default());
        let events = Arc::new(EventQueue::new(8));
        let outbox = Arc::new(Outbox::new(
            Arc::clone(&protocol),
            Arc::clone(&events),
            ContentType::Protobuf,
            capacity,
        ));
        let run = tokio::spawn(run(Arc::clone(&outbox), transport));
        Self {
            outbox,
            events,
            protocol,
            peer,
            run,
        }
    }

    /// Subscribed for the first time.
    fn subscribed() -> Self {
        let sending = Self::new(100);
        sending.session(1);
        sending
    }

    fn session(&self, generation: u64) {
        self.outbox.subscribed(Session {
            generation,
            at: Address::parse("10.0.0.5:5050").unwrap(),
            stream_id: Some(format!("stream-{generation}").into()),
        });
    }

    async fn submit(&self, r#type: call::Type, name: &str) -> Receipt {
        let submitted = self.outbox.submit(call(r#type, name), Unsubscribed::Keep);
        submitted.await.unwrap()
    }

    async fn submit_all(&self, names: &[&str]) -> Vec<Receipt> {
        let mut receipts = Vec::new();
        for name in names {
            receipts.push(self.submit(PLAIN, name).await);
        }
        receipts
    }

    /// The next calls to arrive are these.
    async fn arrive(&mut self, names: &[&str]) -> Vec<Posted> {
        let mut posted = Vec::new();
        for expected in names {
            let arrived = tokio::time::timeout(100 * SECOND, self.peer.posted());
            let arrived = arrived.await.expect("a call");
            assert_eq!(name_of(&arrived), *expected);
            posted.push(arrived);
        }
        posted
    }

    /// Lets everything happen that can happen now.
    async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn name_of(posted: &Posted) -> String {
    let call: Call = prost::Message::decode(posted.request.body.clone()).unwrap();
    name(&call)
}

async fn outcome(receipt: Receipt) -> Outcome {
    let outcome = tokio::time::timeout(100 * SECOND, receipt.outcome());
    outcome.await.expect("an outcome")
}

#[tokio::test(start_paused = true)]
async fn as_many_calls_as_the_window_holds_are_in_flight_and_end_in_order() {
    let mut sending = Sending::subscribed();
    let mut receipts = sending.submit_all(&["1", "2", "3", "4", "5", "6"]).await;
    let mut posted = sending.arrive(&["1", "2", "3", "4"]).await;
    assert_eq!(posted[0].request.stream_id.as_deref(), Some("stream-1"));
    sending.pause().await;
    assert!(sending.peer.is_idle(), "the window is full");
    // An answer that comes before that of the call before it waits for it.
    posted.remove(1).answer(400, "second");
    let second = receipts.remove(1).outcome();
    tokio::pin!(second);
    assert!(tokio::time::timeout(SECOND, &mut second).await.is_err());
    assert!(sending.peer.is_idle());
    posted.remove(0).answer(202, "");
    assert!(outcome(receipts.remove(0)).await.is_accepted());
    assert!(matches!(
        second.await,
        Outcome::Refused { status: 400, message } if message == "second"
    ));
    assert_eq!(*sending.protocol.refused.lock().unwrap(), ["2"]);
    posted.extend(sending.arrive(&["5", "6"]).await);
    for (posted, receipt) in posted.into_iter().zip(receipts) {
        posted.answer(202, "");
        assert!(outcome(receipt).await.is_accepted());
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_come_back_keep_their_order() {
    let mut sending = Sending::subscribed();
    let receipts = sending.submit_all(&["1", "2", "3", "4", "5"]).await;
    let mut posted = sending.arrive(&["1", "2", "3", "4"]).await.into_iter();
    let mut renewals = sending.outbox.renewals();
    posted.next().unwrap().answer(503, "not ready");
    renewals.changed().await.unwrap();
    let renewal = renewals.borrow_and_update().clone().unwrap();
    assert_eq!(renewal.generation, 1);
    // The loss is told between the answers.
    posted
        .next()
        .unwrap()
        .answer(403, "Framework is not subscribed");
    sending.pause().await;
    assert!(sending.outbox.lost(&renewal.why).is_empty());
    let late = sending.submit(PLAIN, "6").await;
    for posted in posted {
        posted.answer(403, "Framework is not subscribed");
    }
    sending.outbox.landed().await;
    assert!(!renewals.has_changed().unwrap(), "one loss, one renewal");
    sending.session(2);
    let mut again = sending.arrive(&["1", "2", "3", "4"]).await;
    assert_eq!(again[0].request.stream_id.as_deref(), Some("stream-2"));
    for posted in again.drain(..) {
        posted.answer(202, "");
    }
    for posted in sending.arrive(&["5", "6"]).await {
        posted.answer(202, "");
    }
    for receipt in receipts.into_iter().chain([late]) {
        assert!(outcome(receipt).await.is_accepted());
    }
}

#[tokio::test(start_paused = true)]
async fn bound_calls_in_flight_are_told_after_the_loss() {
    let mut sending = Sending::subscribed();
    let mut receipts = Vec::new();
    for name in ["1", "2", "3"] {
        receipts.push(sending.submit(BOUND, name).await);
    }
    let mut posted = sending.arrive(&["1", "2", "3"]).await.into_iter();
    let mut renewals = sending.outbox.renewals();
    for posted in posted.by_ref().take(2) {
        posted.answer(403, "Framework is not subscribed");
    }
    renewals.changed().await.unwrap();
    sending.pause().await;
    let why = renewals.borrow_and_update().clone().unwrap().why.clone();
    // What came back before is told with the loss, and what comes back later, behind it.
    let made_up = sending.outbox.lost(&why);
    assert_eq!(made_up.len(), 2);
    sending.events.lost(false, made_up);
    posted
        .next()
        .unwrap()
        .answer(403, "Framework is not subscribed");
    sending.outbox.landed().await;
    for receipt in receipts {
        let outcome = outcome(receipt).await;
        assert!(matches!(outcome, Outcome::NotSent(_)), "{outcome:?}");
    }
    assert!(matches!(sending.events.next().await, Some(Item::Lost)));
    for _ in 0..3 {
        assert!(matches!(sending.events.next().await, Some(Item::MadeUp(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_are_abandoned_a_second_after_the_loss() {
    let mut sending = Sending::subscribed();
    let receipts = sending.submit_all(&["1", "2", "3", "4", "5"]).await;
    let _unanswered = sending.arrive(&["1", "2", "3", "4"]).await;
    let begun = tokio::time::Instant::now();
    let why = Error::new(ErrorKind::Disconnected, "gone");
    assert!(sending.outbox.lost(&why).is_empty());
    sending.outbox.landed().await;
    assert_eq!(begun.elapsed().as_secs(), 1);
    let mut receipts = receipts.into_iter();
    for receipt in receipts.by_ref().take(4) {
        let outcome = outcome(receipt).await;
        let Outcome::Unknown(error) = outcome else {
            panic!("not unknown: {outcome:?}");
        };
        assert_eq!(error.kind(), ErrorKind::Disconnected);
        assert_eq!(
            error.to_string(),
            "subscription lost while the call was in flight"
        );
    }
    sending.session(2);
    sending.arrive(&["5"]).await.remove(0).answer(202, "");
    assert!(outcome(receipts.next().unwrap()).await.is_accepted());
}

#[tokio::test(start_paused = true)]
async fn answers_within_the_second_after_the_loss_still_count() {
    let mut sending = Sending::subscribed();
    let receipt = sending.submit(PLAIN, "1").await;
    let posted = sending.arrive(&["1"]).await.remove(0);
    sending
        .outbox
        .lost(&Error::new(ErrorKind::Disconnected, "gone"));
    tokio::time::sleep(SECOND / 2).await;
    posted.answer(202, "");
    assert!(outcome(receipt).await.is_accepted());
}

#[tokio::test(start_paused = true)]
async fn only_repeatable_calls_are_repeated_when_their_answer_is_lost() {
    let mut sending = Sending::subscribed();
    let once = sending.submit(PLAIN, "once").await;
    let twice = sending.submit(REPEATABLE, "twice").await;
    let renewals = sending.outbox.renewals();
    for posted in sending.arrive(&["once", "twice"]).await {
        let error = Error::new(ErrorKind::Connect, "connection broke");
        posted.end(Err(Undelivered::Unknown(error)));
    }
    assert!(matches!(outcome(once).await, Outcome::Unknown(_)));
    assert!(!renewals.has_changed().unwrap());
    sending.arrive(&["twice"]).await.remove(0).answer(202, "");
    assert!(outcome(twice).await.is_accepted());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_comes_back_again_and_again_is_given_up() {
    let mut sending = Sending::subscribed();
    let receipt = sending.submit(PLAIN, "1").await;
    for generation in 2..=7 {
        sending.arrive(&["1"]).await.remove(0).answer(404, "");
        sending.outbox.landed().await;
        sending.session(generation);
    }
    let outcome = outcome(receipt).await;
    let Outcome::NotSent(error) = outcome else {
        panic!("not given up: {outcome:?}");
    };
    assert_eq!(
        error.to_string(),
        "subscription lost before the call was carried out: master answered 404 to REVIVE"
    );
    assert!(sending.peer.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_closed_outbox_ends_when_all_is_answered_and_teardown_is_last() {
    let mut sending = Sending::subscribed();
    let receipts = sending.submit_all(&["1", "2"]).await;
    let teardown = call(call::Type::Teardown, "end");
    let torn_down = sending.outbox.close(Some(teardown)).unwrap();
    let refused = sending.outbox.submit(call(PLAIN, "3"), Unsubscribed::Keep);
    assert_eq!(refused.await.unwrap_err().kind(), ErrorKind::NotRunning);
    for posted in sending.arrive(&["1", "2", "end"]).await {
        assert!(!sending.run.is_finished());
        posted.answer(202, "");
    }
    for receipt in receipts.into_iter().chain([torn_down]) {
        assert!(outcome(receipt).await.is_accepted());
    }
    sending.run.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_closed_outbox_ends_also_when_the_last_call_need_not_be_sent() {
    let sending = Sending::new(100);
    let receipt = sending.submit(PLAIN, "said").await;
    sending.outbox.close(None);
    sending.session(1);
    assert!(outcome(receipt).await.is_accepted());
    let run = tokio::time::timeout(SECOND, sending.run);
    run.await.expect("nothing is left").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_outbox_makes_callers_wait_and_the_loss_sends_them_away() {
    let mut sending = Sending::new(1);
    sending.session(1);
    let first = sending.submit(PLAIN, "1").await;
    let outbox = Arc::clone(&sending.outbox);
    let second = outbox.submit(call(PLAIN, "2"), Unsubscribed::Keep);
    tokio::pin!(second);
    assert!(tokio::time::timeout(SECOND, &mut second).await.is_err());
    sending.arrive(&["1"]).await.remove(0).answer(202, "");
    assert!(outcome(first).await.is_accepted());
    let _second = second.await.unwrap();
    let third = outbox.submit(call(PLAIN, "3"), Unsubscribed::Keep);
    tokio::pin!(third);
    assert!(tokio::time::timeout(SECOND, &mut third).await.is_err());
    sending
        .outbox
        .lost(&Error::new(ErrorKind::Disconnected, "gone"));
    let error = third.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert_eq!(error.to_string(), "no subscription, and the outbox is full");
}

#[tokio::test(start_paused = true)]
async fn what_an_agent_is_not_ready_for_is_sent_again_in_order_after_a_pause() {
    let mut sending = Sending::subscribed();
    let receipts = sending.submit_all(&["1", "2"]).await;
    let started = Instant::now();
    for posted in sending.arrive(&["1", "2"]).await {
        posted.answer(503, "Agent has not finished recovery");
    }
    for posted in sending.arrive(&["1", "2"]).await {
        posted.answer(202, "");
    }
    assert_eq!(started.elapsed(), PAUSE);
    for receipt in receipts {
        assert!(outcome(receipt).await.is_accepted());
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_never_gets_ready_is_given_up() {
    let mut sending = Sending::subscribed();
    let receipt = sending.submit(PLAIN, "1").await;
    let started = Instant::now();
    let ended = outcome(receipt);
    tokio::pin!(ended);
    let ended = loop {
        tokio::select! {
            biased;
            ended = &mut ended => break ended,
            mut posted = sending.arrive(&["1"]) => {
                posted.remove(0).answer(503, "Agent has not finished recovery");
            }
        }
    };
    assert!(
        matches!(ended, Outcome::Refused { status: 503, .. }),
        "{ended:?}"
    );
    assert!(started.elapsed() >= RECOVERY_LIMIT);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_call_that_is_given_up_may_have_arrived() {
    let mut sending = Sending::subscribed();
    let receipt = sending.submit(REPEATABLE, "1").await;
    let posted = sending.arrive(&["1"]).await.remove(0);
    let error = || Error::new(ErrorKind::Connect, "connection broke");
    posted.end(Err(Undelivered::Unknown(error())));
    let again = sending.arrive(&["1"]).await.remove(0);
    again.end(Err(Undelivered::NotSent(error())));
    sending.outbox.landed().await;
    sending.outbox.give_up(&error());
    assert!(matches!(outcome(receipt).await, Outcome::Unknown(_)));
}
