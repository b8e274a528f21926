//! The I/O loop, with a peer in memory and a clock that only waits for us.

mod hostile;

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::backoff::Backoff;
use crate::detector::FixedAddresses;
use crate::http::fake::{ChunkSender, FakePeer};
use crate::proto::scheduler::{Event, event};
use crate::recordio;

const SECOND: Duration = Duration::from_secs(1);

fn subscription(content_type: ContentType) -> (Subscription<Event>, FakePeer) {
    let address = Address::parse("10.0.0.5:5050").unwrap();
    subscription_with(Masters::Fixed(FixedAddresses::one(address)), content_type)
}

fn subscription_with(
    masters: Masters,
    content_type: ContentType,
) -> (Subscription<Event>, FakePeer) {
    let (transport, peer) = FakePeer::new(1);
    let limits = Limits {
        reply_timeout: 75 * SECOND,
        missed_heartbeats: 5,
        backoff: Backoff::new(SECOND, SECOND),
    };
    let wire = Wire {
        path: "/api/v1/scheduler",
        content_type,
        max_record_size: 1000,
    };
    let subscription = Subscription::new("master", masters, limits, wire, transport);
    (subscription, peer)
}

async fn next(subscription: &mut Subscription<Event>) -> Step<Event> {
    let mut subscribe = || Ok(Bytes::from_static(b"subscribe"));
    let step = subscription.next(&mut subscribe);
    // More than any limit of the subscription: whatever waits longer waits for ever.
    let limit = tokio::time::timeout(1000 * SECOND, step);
    limit.await.expect("a step")
}

/// The error with which the subscription or attempt ends.
async fn loss(subscription: &mut Subscription<Event>) -> Error {
    match next(subscription).await {
        Step::Waiting {
            lost: Some(error), ..
        } => error,
        other => panic!("expected a loss, got {other:?}"),
    }
}

/// SUBSCRIBE is answered with a stream.
async fn opened(content_type: ContentType) -> (Subscription<Event>, FakePeer, ChunkSender) {
    let (mut subscription, mut peer) = subscription(content_type);
    assert!(matches!(
        next(&mut subscription).await,
        Step::Connecting { lost: None, .. }
    ));
    let subscribing = peer.subscribing().await;
    assert_eq!(subscribing.request.body, "subscribe");
    assert_eq!(subscribing.request.path, "/api/v1/scheduler");
    assert_eq!(subscribing.request.media_type, content_type.media_type());
    (subscription, peer, subscribing.stream())
}

/// As [`opened`], and SUBSCRIBED has come.
async fn subscribed() -> (Subscription<Event>, FakePeer, ChunkSender) {
    let (mut subscription, peer, stream) = opened(ContentType::Protobuf).await;
    stream
        .send(Ok(records(&[subscribed_event()])))
        .await
        .unwrap();
    assert!(matches!(
        next(&mut subscription).await,
        Step::Subscribed { stream_id: Some(id), .. } if &*id == "stream"
    ));
    (subscription, peer, stream)
}

fn subscribed_event() -> Event {
    let subscribed = event::Subscribed {
        framework_id: "f-1".into(),
        heartbeat_interval_seconds: Some(15.0),
        master_info: None,
    };
    Event {
        r#type: Some(event::Type::Subscribed as i32),
        subscribed: Some(Box::new(subscribed)),
        ..Event::default()
    }
}

fn heartbeat() -> Event {
    Event {
        r#type: Some(event::Type::Heartbeat as i32),
        ..Event::default()
    }
}

fn message(data: &'static [u8]) -> Event {
    let message = event::Message {
        agent_id: "a".into(),
        executor_id: "e".into(),
        data: Bytes::from_static(data),
    };
    Event {
        r#type: Some(event::Type::Message as i32),
        message: Some(message),
        ..Event::default()
    }
}

fn records_of(content_type: ContentType, events: &[Event]) -> Bytes {
    let mut stream = BytesMut::new();
    for event in events {
        recordio::encode(&codec::encode(content_type, event).unwrap(), &mut stream);
    }
    stream.freeze()
}

fn records(events: &[Event]) -> Bytes {
    records_of(ContentType::Protobuf, events)
}

/// What is told of this stream, cut into pieces of these lengths (the last again and again).
async fn events_of(content_type: ContentType, bytes: &Bytes, cuts: &[usize]) -> Vec<Event> {
    let (mut subscription, _peer, stream) = opened(content_type).await;
    let mut told = Vec::new();
    let (mut at, mut cuts) = (0, cuts.iter().copied());
    let mut length = 1;
    while at < bytes.len() {
        length = cuts.next().unwrap_or(length);
        let end = bytes.len().min(at + length);
        stream.send(Ok(bytes.slice(at..end))).await.unwrap();
        at = end;
        // Dropped at every border, as a select does: nothing may be lost by it.
        let drain = async {
            loop {
                match next(&mut subscription).await {
                    Step::Subscribed { event, .. } | Step::Event(event) => told.push(*event),
                    other => panic!("no event: {other:?}"),
                }
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(1), drain).await;
    }
    drop(stream);
    let ended = loss(&mut subscription).await;
    assert_eq!(
        ended.to_string(),
        "master 10.0.0.5:5050 ended the event stream"
    );
    told
}

fn paused() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap()
}

fn content_types() -> Vec<ContentType> {
    vec![
        ContentType::Protobuf,
        #[cfg(feature = "json")]
        ContentType::Json,
    ]
}

fn conversation() -> Vec<Event> {
    vec![
        subscribed_event(),
        heartbeat(),
        message(b"3\nabc\n"),
        message(b""),
        heartbeat(),
    ]
}

#[test]
fn a_stream_byte_by_byte_tells_the_same_events() {
    for content_type in content_types() {
        let bytes = records_of(content_type, &conversation());
        let told = paused().block_on(events_of(content_type, &bytes, &[1]));
        assert_eq!(told, conversation());
    }
}

proptest! {
    #![proptest_config(crate::tests::cases(64))]
    #[test]
    fn a_stream_cut_anywhere_tells_the_same_events(
        cuts in prop::collection::vec(1..80_usize, 1..12),
    ) {
        for content_type in content_types() {
            let bytes = records_of(content_type, &conversation());
            let told = paused().block_on(events_of(content_type, &bytes, &cuts));
            prop_assert_eq!(told, conversation());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn five_silent_heartbeats_renew_the_subscription() {
    let (mut subscription, mut peer, _stream) = subscribed().await;
    let begun = Instant::now();
    let error = loss(&mut subscription).await;
    assert_eq!(begun.elapsed().as_secs(), 75);
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(
        error.to_string(),
        "no event from master 10.0.0.5:5050 for 75 s (5 heartbeats of 15 s)"
    );
    assert!(matches!(
        next(&mut subscription).await,
        Step::Connecting { .. }
    ));
    peer.subscribing().await;
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_the_subscription() {
    let (mut subscription, _peer, stream) = subscribed().await;
    let keeper = stream.clone();
    let beats = tokio::spawn(async move {
        for _ in 0..40 {
            tokio::time::sleep(74 * SECOND).await;
            keeper.send(Ok(records(&[heartbeat()]))).await.unwrap();
        }
    });
    let begun = Instant::now();
    for _ in 0..40 {
        assert!(matches!(next(&mut subscription).await, Step::Event(_)));
    }
    beats.await.unwrap();
    assert_eq!(loss(&mut subscription).await.kind(), ErrorKind::Timeout);
    assert_eq!(begun.elapsed().as_secs(), 40 * 74 + 75);
}

#[tokio::test(start_paused = true)]
async fn part_of_a_record_is_a_sign_of_life() {
    let (mut subscription, _peer, stream) = subscribed().await;
    let record = records(&[message(b"slow")]);
    let whole = record.clone();
    let begun = Instant::now();
    let drip = tokio::spawn(async move {
        for at in 0..record.len() {
            tokio::time::sleep(60 * SECOND).await;
            stream.send(Ok(record.slice(at..=at))).await.unwrap();
        }
        stream
    });
    let step = subscription.next(&mut || Ok(Bytes::new())).await;
    assert!(matches!(step, Step::Event(event) if *event == message(b"slow")));
    assert_eq!(begun.elapsed().as_secs(), 60 * whole.len() as u64);
    drip.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_has_arrived_is_read_before_silence_is_judged() {
    let (mut subscription, _peer, stream) = subscribed().await;
    stream.send(Ok(records(&[heartbeat()]))).await.unwrap();
    // A callback kept the driver from reading for that long.
    tokio::time::advance(500 * SECOND).await;
    assert!(matches!(next(&mut subscription).await, Step::Event(_)));
    assert_eq!(loss(&mut subscription).await.kind(), ErrorKind::Timeout);
}

#[tokio::test(start_paused = true)]
async fn good_records_before_a_broken_one_are_told_first() {
    for (broken, text) in [
        (&b"x\n"[..], "record header \"x\" is not a length"),
        (
            b"1001\n",
            "record of 1001 bytes is longer than the limit of 1000 bytes",
        ),
        (
            b"3\n\xff\xff\xff",
            "record of 3 bytes does not decode as protobuf",
        ),
    ] {
        let (mut subscription, _peer, stream) = opened(ContentType::Protobuf).await;
        let mut chunk = records(&[subscribed_event(), message(b"good")]).to_vec();
        chunk.extend_from_slice(broken);
        stream.send(Ok(chunk.into())).await.unwrap();
        assert!(matches!(
            next(&mut subscription).await,
            Step::Subscribed { .. }
        ));
        assert!(
            matches!(next(&mut subscription).await, Step::Event(event) if *event == message(b"good"))
        );
        let error = loss(&mut subscription).await;
        assert_eq!(error.kind(), ErrorKind::Protocol);
        let begins = format!("master 10.0.0.5:5050 broke the event stream: {text}");
        assert!(error.to_string().starts_with(&begins), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_within_a_record_says_so() {
    let (mut subscription, _peer, stream) = subscribed().await;
    let record = records(&[heartbeat()]);
    stream
        .send(Ok(record.slice(..record.len() - 1)))
        .await
        .unwrap();
    drop(stream);
    let error = loss(&mut subscription).await;
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(
        error.to_string(),
        "master 10.0.0.5:5050 broke the event stream: stream ended inside a record, 1 bytes short"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_subscribed_is_given_up() {
    let (mut subscription, _peer, _stream) = opened(ContentType::Protobuf).await;
    let begun = Instant::now();
    let error = loss(&mut subscription).await;
    assert_eq!(begun.elapsed().as_secs(), 75);
    assert_eq!(
        error.to_string(),
        "no SUBSCRIBED event from master 10.0.0.5:5050 within 75s"
    );
}

#[tokio::test(start_paused = true)]
async fn an_attempt_ends_with_the_call_timeout_whatever_the_transport_waits_for() {
    let (mut subscription, mut peer) = subscription(ContentType::Protobuf);
    next(&mut subscription).await;
    let begun = Instant::now();
    let unanswered = peer.subscribing().await;
    assert_eq!(unanswered.request.deadline, begun + 75 * SECOND);
    let error = loss(&mut subscription).await;
    assert_eq!(begun.elapsed().as_secs(), 75);
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(
        error.to_string(),
        "no answer from master 10.0.0.5:5050 to SUBSCRIBE within 75s"
    );
    assert!(unanswered.is_given_up());
    assert!(peer.is_idle(), "no second SUBSCRIBE beside the first");
}

#[tokio::test(start_paused = true)]
async fn the_time_until_subscribed_is_counted_from_the_beginning_of_the_attempt() {
    let (mut subscription, mut peer) = subscription(ContentType::Protobuf);
    next(&mut subscription).await;
    let begun = Instant::now();
    let subscribing = peer.subscribing().await;
    let answered_late = async {
        tokio::time::sleep(50 * SECOND).await;
        let stream = subscribing.stream();
        std::future::pending::<()>().await;
        drop(stream);
    };
    let error = tokio::select! {
        error = loss(&mut subscription) => error,
        () = answered_late => unreachable!("it waits for ever"),
    };
    assert_eq!(begun.elapsed().as_secs(), 75);
    assert_eq!(
        error.to_string(),
        "no SUBSCRIBED event from master 10.0.0.5:5050 within 75s"
    );
}

#[tokio::test(start_paused = true)]
async fn a_renewed_subscription_forgets_what_was_not_told() {
    let (mut subscription, mut peer, stream) = subscribed().await;
    let chunk = records(&[message(b"told"), message(b"not told")]);
    stream.send(Ok(chunk)).await.unwrap();
    assert!(matches!(next(&mut subscription).await, Step::Event(_)));
    let why = Error::new(ErrorKind::Timeout, "a callback takes too long");
    assert!(matches!(
        subscription.renew(why),
        Some(Step::Waiting { lost: Some(_), .. })
    ));
    assert!(stream.is_closed());
    assert!(matches!(
        next(&mut subscription).await,
        Step::Connecting { .. }
    ));
    let stream = peer.subscribing().await.stream();
    stream
        .send(Ok(records(&[subscribed_event()])))
        .await
        .unwrap();
    assert!(matches!(
        next(&mut subscription).await,
        Step::Subscribed { .. }
    ));
}

#[tokio::test(start_paused = true)]
async fn an_error_event_ends_it_for_good() {
    let (mut subscription, peer, stream) = subscribed().await;
    let message = "Framework has been removed".into();
    let error = Event {
        r#type: Some(event::Type::Error as i32),
        error: Some(event::Error { message }),
        ..Event::default()
    };
    stream
        .send(Ok(records(&[error, heartbeat()])))
        .await
        .unwrap();
    let Step::Ended(error) = next(&mut subscription).await else {
        panic!("ERROR ends it");
    };
    assert_eq!(error.kind(), ErrorKind::FrameworkRemoved);
    assert_eq!(
        error.to_string(),
        "master 10.0.0.5:5050 says: Framework has been removed"
    );
    assert!(stream.is_closed() && peer.is_idle());
}

#[tokio::test(start_paused = true)]
async fn what_no_master_sends_loses_the_subscription() {
    let nameless = Event {
        subscribed: Some(Box::new(event::Subscribed::default())),
        ..subscribed_event()
    };
    let empty = Event {
        subscribed: None,
        ..subscribed_event()
    };
    for (events, why) in [
        (vec![message(b"early")], "an event came before SUBSCRIBED"),
        (
            vec![heartbeat(), subscribed_event(), subscribed_event()],
            "SUBSCRIBED came twice",
        ),
        (
            vec![nameless],
            "SUBSCRIBED without a framework id that could be one",
        ),
        (vec![empty], "SUBSCRIBED without content"),
    ] {
        let (mut subscription, _peer, stream) = opened(ContentType::Protobuf).await;
        stream.send(Ok(records(&events))).await.unwrap();
        for _ in 1..events.len() {
            let step = next(&mut subscription).await;
            assert!(matches!(step, Step::Event(_) | Step::Subscribed { .. }));
        }
        let error = loss(&mut subscription).await;
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert_eq!(
            error.to_string(),
            format!("master 10.0.0.5:5050 broke the event stream: {why}")
        );
        assert!(stream.is_closed());
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_of_a_list_is_sent_a_whole_subscribe_when_a_stream_breaks() {
    let list = FixedAddresses::parse("a:1,b:2").unwrap();
    let (mut subscription, mut peer) =
        subscription_with(Masters::Fixed(list), ContentType::Protobuf);
    next(&mut subscription).await;
    let stream = peer.subscribing().await.stream();
    stream.send(Ok(records(&[message(b"")]))).await.unwrap();
    let step = next(&mut subscription).await;
    assert!(matches!(step, Step::Connecting { lost: Some(_), .. }));
    let subscribing = peer.subscribing().await;
    assert_eq!(subscribing.to.to_string(), "b:2");
    assert_eq!(subscribing.request.body, "subscribe");
    // There is no subscription to renew.
    assert!(
        subscription
            .renew(Error::new(ErrorKind::Timeout, "why"))
            .is_none()
    );
}
