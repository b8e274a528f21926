//! Several calls in flight, with a peer in memory and a clock that only waits for us.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::settle::{PAUSE, RECOVERY_LIMIT};
use super::*;
use crate::driver::Persistence;
use crate::driver::queue::Item;
use crate::http::fake::{FakePeer, Posted};
use crate::http::{Transport, Undelivered};
use crate::proto::scheduler::{Call, Event, call};

const SECOND: Duration = Duration::from_secs(1);
const WINDOW: usize = 4;

/// The type of a call says how it is treated; its number is kept in the framework id.
#[derive(Default)]
struct TestProtocol {
    refused: Mutex<Vec<String>>,
    /// Whether an unknown outcome is to be settled.
    doubts: bool,
}

/// Makes sense only under the subscription under which it was queued.
const BOUND: call::Type = call::Type::Accept;
/// May be sent twice.
const REPEATABLE: call::Type = call::Type::Reconcile;
/// Merged with others of its type that follow it.
const MERGED: call::Type = call::Type::Kill;
/// What settles unknown outcomes.
const SETTLING: call::Type = call::Type::Request;
/// None of these.
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

    fn complete(&self, call: &mut Call) -> Result<bool> {
        match name(call).as_str() {
            "late" => Err(Error::new(ErrorKind::Rejected, "too late")),
            name => Ok(name != "said"),
        }
    }

    fn refused(&self, call: &Call) {
        self.refused.lock().unwrap().push(name(call));
    }

    fn unknown(&self, _: &Call) -> bool {
        self.doubts
    }

    fn settling(&self) -> Option<Call> {
        self.doubts.then(|| call(SETTLING, "settle"))
    }

    fn merge(call: &mut Call, next: &mut Call) -> bool {
        let merges = call.r#type() == MERGED && next.r#type() == MERGED;
        if merges {
            let names = name(call) + &name(next);
            call.framework_id = Some(names.as_str().into());
        }
        merges
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

    fn is_about_framework(call: &Call) -> bool {
        call.r#type() == PLAIN
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
        Self::with(TestProtocol::default(), capacity)
    }

    fn with(protocol: TestProtocol, capacity: usize) -> Self {
        let (transport, peer) = FakePeer::new(WINDOW);
        let transport: Arc<dyn Transport> = transport;
        let protocol = Arc::new(protocol);
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
    let call: Call = prost::Message::decode(posted.body.clone()).unwrap();
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
    assert_eq!(posted[0].stream_id.as_deref(), Some("stream-1"));
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
    assert_eq!(again[0].stream_id.as_deref(), Some("stream-2"));
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
async fn a_call_that_comes_too_late_is_not_sent_and_says_so() {
    let sending = Sending::new(100);
    sending.session(1);
    let receipt = sending.submit(PLAIN, "late").await;
    assert!(matches!(outcome(receipt).await, Outcome::NotSent(_)));
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

#[test]
fn an_outbox_rests_when_the_agent_is_lost_that_it_had_paused_for() {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut sending = Sending::subscribed();
            let _receipt = sending.submit(PLAIN, "1").await;
            let posted = sending.arrive(&["1"]).await.remove(0);
            posted.answer(503, "Agent has not finished recovery");
            sending.outbox.landed().await;
            let error = Error::new(ErrorKind::Disconnected, "agent ended");
            drop(sending.outbox.lost(&error));
            // The clock stands still as long as anybody is busy.
            tokio::time::sleep(2 * PAUSE).await;
            tell.send(()).unwrap();
        });
    });
    let rested = told.recv_timeout(Duration::from_secs(20));
    rested.expect("others run, and time goes on");
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

#[tokio::test(start_paused = true)]
async fn what_was_not_written_goes_out_again_at_once_in_order_and_says_nothing_of_the_subscription()
{
    let mut sending = Sending::subscribed();
    let receipts = sending.submit_all(&["1", "2", "3", "4", "5"]).await;
    let renewals = sending.outbox.renewals();
    let mut posted = sending.arrive(&["1", "2", "3", "4"]).await.into_iter();
    posted.next().unwrap().answer(202, "");
    let error = Error::new(ErrorKind::Connect, "connection broke");
    posted.next().unwrap().end(Err(Undelivered::Unknown(error)));
    for posted in posted {
        posted.end(Err(Undelivered::NotWritten));
    }
    for posted in sending.arrive(&["3", "4", "5"]).await {
        posted.answer(202, "");
    }
    let mut outcomes = Vec::new();
    for receipt in receipts {
        outcomes.push(outcome(receipt).await.is_accepted());
    }
    assert_eq!(outcomes, [true, false, true, true, true]);
    assert!(!renewals.has_changed().unwrap());
}

#[tokio::test(start_paused = true)]
async fn bound_calls_that_were_not_written_end_with_their_subscription() {
    let mut sending = Sending::subscribed();
    let receipt = sending.submit(BOUND, "1").await;
    let posted = sending.arrive(&["1"]).await.remove(0);
    let why = Error::new(ErrorKind::Disconnected, "gone");
    assert!(sending.outbox.lost(&why).is_empty());
    posted.end(Err(Undelivered::NotWritten));
    assert!(matches!(outcome(receipt).await, Outcome::NotSent(_)));
    assert!(matches!(sending.events.next().await, Some(Item::MadeUp(_))));
}

#[tokio::test(start_paused = true)]
async fn what_was_for_a_removed_framework_does_not_go_to_the_next() {
    let mut sending = Sending::new(100);
    let about_tasks = sending.submit(MERGED, "old").await;
    let about_framework = sending.submit(PLAIN, "kept").await;
    let why = Error::new(ErrorKind::FrameworkRemoved, "gone");
    sending.outbox.framework_removed(&why);
    let Outcome::NotSent(error) = outcome(about_tasks).await else {
        panic!("it is not sent");
    };
    assert_eq!(error.kind(), ErrorKind::FrameworkRemoved);
    sending.session(1);
    drop(sending.arrive(&["kept"]).await);
    drop(about_framework);
}

#[tokio::test(start_paused = true)]
async fn merged_calls_share_one_way_and_one_outcome() {
    let mut sending = Sending::new(8);
    let mut receipts = Vec::new();
    for (r#type, name) in [
        (MERGED, "1"),
        (MERGED, "2"),
        (MERGED, "3"),
        (PLAIN, "4"),
        (MERGED, "5"),
    ] {
        receipts.push(sending.submit(r#type, name).await);
    }
    sending.session(1);
    let mut posted = sending.arrive(&["123", "4", "5"]).await.into_iter();
    // They come back as one, too.
    let first = posted.next().unwrap();
    first.end(Err(Undelivered::NotWritten));
    let again = sending.arrive(&["123"]).await.remove(0);
    again.answer(400, "no");
    for posted in posted {
        posted.answer(202, "");
    }
    let mut accepted = Vec::new();
    for receipt in receipts {
        accepted.push(outcome(receipt).await.is_accepted());
    }
    assert_eq!(accepted, [false, false, false, true, true]);
    // Their room is free again.
    for name in 0..8 {
        let _ = sending.submit(PLAIN, &name.to_string()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_that_matters_is_settled_under_another_subscription() {
    let protocol = TestProtocol {
        doubts: true,
        ..TestProtocol::default()
    };
    let mut sending = Sending::with(protocol, 100);
    let receipt = sending.submit(PLAIN, "1").await;
    sending.session(1);
    assert!(sending.outbox.ask());
    let mut renewals = sending.outbox.renewals();
    let mut posted = sending.arrive(&["1", "settle"]).await.into_iter();
    let error = Error::new(ErrorKind::Connect, "connection broke");
    posted.next().unwrap().end(Err(Undelivered::Unknown(error)));
    assert!(matches!(outcome(receipt).await, Outcome::Unknown(_)));
    renewals.changed().await.unwrap();
    let renewal = renewals.borrow_and_update().clone().unwrap();
    assert_eq!(renewal.generation, 1);
    assert_eq!(
        renewal.why.to_string(),
        "outcome of REVIVE is unknown: connection broke"
    );
    posted.next().unwrap().answer(202, "");
    sending.outbox.lost(&renewal.why);
    sending.outbox.landed().await;
    assert!(sending.outbox.ask());
    assert!(sending.outbox.ask(), "in place of the one that waits");
    sending.session(2);
    let settling = sending.arrive(&["settle"]).await.remove(0);
    assert_eq!(settling.stream_id.as_deref(), Some("stream-2"));
    assert!(sending.outbox.ask());
    sending.pause().await;
    assert!(sending.peer.is_idle(), "one at a time");
}

fn under(generation: u64, watcher: Option<Watcher>) -> Terms {
    Terms {
        unsubscribed: Unsubscribed::Refuse,
        generation: Some(generation),
        watcher,
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_for_one_subscription_is_not_queued_under_another() {
    let mut sending = Sending::subscribed();
    let early = sending.outbox.submit(call(BOUND, "1"), under(1, None));
    let early = early.await.unwrap();
    sending.arrive(&["1"]).await.remove(0).answer(202, "");
    assert!(outcome(early).await.is_accepted());
    let why = Error::new(ErrorKind::Connect, "broken");
    let _ = sending.outbox.lost(&why);
    sending.session(2);
    let late = sending.outbox.submit(call(BOUND, "2"), under(1, None));
    let error = late.await.unwrap_err();
    assert!(error.is_disconnected());
    assert_eq!(error.to_string(), "ACCEPT belongs to a lost subscription");
    sending.pause().await;
    assert!(sending.peer.is_idle());
}

#[tokio::test(start_paused = true)]
async fn whoever_watches_a_call_is_told_before_its_receipt_and_without_it() {
    let mut sending = Sending::subscribed();
    let told: Arc<Mutex<Vec<bool>>> = Arc::default();
    let watcher = || -> Option<Watcher> {
        let told = Arc::clone(&told);
        Some(Box::new(move |outcome| {
            told.lock().unwrap().push(outcome.is_accepted());
        }))
    };
    let first = sending.outbox.submit(call(BOUND, "1"), under(1, watcher()));
    let first = first.await.unwrap();
    let second = sending.outbox.submit(call(BOUND, "2"), under(1, watcher()));
    drop(second.await.unwrap());
    let mut posted = sending.arrive(&["1", "2"]).await.into_iter();
    posted.next().unwrap().answer(202, "");
    assert!(outcome(first).await.is_accepted());
    assert_eq!(*told.lock().unwrap(), [true]);
    posted.next().unwrap().answer(400, "no");
    sending.pause().await;
    assert_eq!(*told.lock().unwrap(), [true, false]);
}
