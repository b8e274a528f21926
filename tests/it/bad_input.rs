//! What peers and configurations may get wrong, and what the library says to it.

use std::time::Duration;

use mesos_framework::proto::scheduler::call::Type;
use mesos_framework::proto::scheduler::{Call, Event, event};
use mesos_framework::proto::{Filters, FrameworkInfo};
use mesos_framework::{Credential, ErrorKind, SchedulerDriver, SchedulerDriverBuilder, Status};

use crate::peer::{Incoming, Peer, Stream, error};
use crate::recorder::{Callback, nothing, recorder};
use crate::support::{Rig, assert_kind, bare, framework, offer, offer_ids, outcome};

fn builder(info: FrameworkInfo, master: &str) -> SchedulerDriverBuilder {
    SchedulerDriver::builder(recorder().0, info, master)
}

fn refused(builder: SchedulerDriverBuilder) -> String {
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

#[test]
fn nonsense_master_strings_are_named_by_build() {
    for (master, why) in [
        ("", "master string is empty"),
        (
            "master",
            "master string \"master\": address \"master\": expected host:port",
        ),
        (
            "ftp://x",
            "master string \"ftp://x\": address \"ftp://x\": scheme \"ftp\" is not http or https",
        ),
        (
            "a:1,b",
            "master string \"a:1,b\": address \"b\": expected host:port",
        ),
        (
            "a:70000",
            "master string \"a:70000\": address \"a:70000\": port \"70000\" is not a number from 1 to 65535",
        ),
        #[cfg(not(feature = "zookeeper"))]
        (
            "zk://h:2181/mesos",
            "master zk://… needs the feature `zookeeper` of mesos-framework",
        ),
        #[cfg(feature = "zookeeper")]
        (
            "zk://me:secret@h:2181/",
            "master zk://…: expected a path behind the servers",
        ),
        (
            "file://relative",
            "master file://relative: expected file:// and an absolute path",
        ),
    ] {
        assert_eq!(refused(builder(framework(), master)), why);
    }
}

#[test]
fn settings_that_cannot_work_are_named_by_build() {
    let set = || builder(framework(), "m:5050");
    let zero = Duration::ZERO;
    for (builder, why) in [
        (
            set().outbox_capacity(0),
            "outbox_capacity must be above zero",
        ),
        (
            set().event_queue_capacity(0),
            "event_queue_capacity must be above zero",
        ),
        (
            set().max_record_size(0),
            "max_record_size must be above zero",
        ),
        (
            set().missed_heartbeats(0),
            "missed_heartbeats must be above zero",
        ),
        (set().call_timeout(zero), "call_timeout must be above zero"),
        (
            set().credential(Credential::new("a:b", "secret")),
            "credential of principal \"a:b\" has a colon, which Mesos refuses",
        ),
        (
            set().credential(Credential::new("a", "s:t")),
            "credential of principal \"a\" has a colon, which Mesos refuses",
        ),
        (
            set().user_agent("libprocess/x"),
            "user agent must not begin with libprocess/: Mesos takes such requests for its own messages",
        ),
    ] {
        assert_eq!(refused(builder), why);
    }
}

#[test]
fn a_failover_timeout_must_be_a_number() {
    for (timeout, shown) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        let info = FrameworkInfo {
            failover_timeout: Some(timeout),
            ..framework()
        };
        assert_eq!(
            refused(builder(info, "m:5050")),
            format!(
                "failover_timeout of framework \"scripted\" is {shown}, not a number of seconds"
            )
        );
    }
}

/// Gives SUBSCRIBE this answer 5 times; the driver must end with this text about the last of them.
async fn odd_answers(answer: impl Fn(Incoming), what: &str) {
    let mut rig = Rig::start().await;
    for _ in 0..4 {
        answer(rig.peer.call(Type::Subscribe).await);
        let error = rig.last_error(what).await;
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }
    answer(rig.peer.call(Type::Subscribe).await);
    let ended = rig.ended().await.unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::Protocol);
    let address = rig.peer.address();
    assert_eq!(
        ended.to_string(),
        format!("5 answers in a row that no master gives: SUBSCRIBE at {address} {what}")
    );
    rig.peer.assert_no_request().await;
}

#[tokio::test]
async fn html_instead_of_events_is_tried_5_times() {
    odd_answers(
        |request| request.answer(200, &[("Content-Type", "text/html")], "<html></html>"),
        "answered with content type text/html, not application/x-protobuf",
    )
    .await;
}

#[tokio::test]
async fn events_of_another_content_type_are_tried_5_times() {
    odd_answers(
        |request| drop(request.stream_of("application/json")),
        "answered with content type application/json, not application/x-protobuf",
    )
    .await;
}

#[tokio::test]
async fn a_subscription_in_between_ends_the_row_of_odd_answers() {
    let mut rig = Rig::start().await;
    for _ in 0..4 {
        rig.peer.call(Type::Subscribe).await.answer(202, &[], "");
    }
    drop(rig.subscribe().await);
    rig.recording.disconnected().await;
    for _ in 0..4 {
        rig.peer.call(Type::Subscribe).await.answer(202, &[], "");
    }
    rig.resubscribe().await;
    assert_eq!(rig.handle.status(), Status::Running);
}

#[tokio::test]
async fn a_stream_that_ends_at_once_is_tried_again() {
    let mut rig = Rig::start().await;
    rig.peer.call(Type::Subscribe).await.stream().finish().await;
    let error = rig.last_error("ended the event stream").await;
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    rig.subscribe().await;
    assert_eq!(rig.handle.connection().failed_attempts, 0);
}

/// Breaks a subscription by `bytes`; it must be renewed, and this be known as the reason.
async fn breaks_the_stream(bytes: &[u8], kind: ErrorKind, why: &str) {
    let mut rig = Rig::start().await;
    let stream = rig.subscribe().await;
    stream.chunk(bytes).await;
    stream.finish().await;
    rig.recording.disconnected().await;
    let error = rig.last_error(why).await;
    assert_eq!(error.kind(), kind, "{error}");
    rig.resubscribe().await;
}

#[tokio::test]
async fn a_record_cut_in_the_middle_renews_the_subscription() {
    let why = "broke the event stream: stream ended inside a record, 7 bytes short";
    breaks_the_stream(b"10\nabc", ErrorKind::Protocol, why).await;
}

#[tokio::test]
async fn a_record_that_does_not_decode_renews_the_subscription() {
    let why = "broke the event stream: record of 3 bytes does not decode as protobuf";
    breaks_the_stream(b"3\n\xff\xff\xff", ErrorKind::Protocol, why).await;
}

#[tokio::test]
async fn a_record_of_4_gib_is_refused_by_its_header() {
    let why = "record of 4294967296 bytes is longer than the limit of 67108864 bytes";
    breaks_the_stream(b"4294967296\n", ErrorKind::Protocol, why).await;
}

#[tokio::test]
async fn a_malformed_header_is_quoted() {
    let why = "broke the event stream: record header \"12x\" is not a length";
    breaks_the_stream(b"12x\n", ErrorKind::Protocol, why).await;
}

#[tokio::test]
async fn an_answer_inside_the_stream_renews_the_subscription() {
    let mut rig = Rig::start().await;
    let stream = rig.subscribe().await;
    stream
        .raw(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        .await;
    rig.recording.disconnected().await;
    let why = format!("event stream from {} broke", rig.peer.address());
    rig.last_error(&why).await;
    rig.resubscribe().await;
}

async fn ends_with(rig: &mut Rig, kind: ErrorKind, text: &str) {
    let ended = rig.ended().await.unwrap_err();
    assert_eq!((ended.kind(), ended.to_string().as_str()), (kind, text));
    match rig.recording.next().await {
        Callback::Error(told) => assert_eq!((told.kind(), told.to_string().as_str()), (kind, text)),
        other => panic!("error expected: {other:?}"),
    }
    assert_eq!(rig.handle.status(), Status::Aborted);
    rig.peer.assert_no_request().await;
}

#[tokio::test]
async fn an_error_event_ends_the_driver_with_its_words() {
    let mut rig = Rig::start().await;
    let stream = rig.subscribe().await;
    stream.send(&error("Framework failed over")).await;
    let text = format!("master {} says: Framework failed over", rig.peer.address());
    ends_with(&mut rig, ErrorKind::ErrorEvent, &text).await;
}

#[tokio::test]
async fn an_error_event_before_subscribed_ends_the_driver() {
    let mut rig = Rig::start().await;
    let stream: Stream = rig.peer.call(Type::Subscribe).await.stream();
    stream.send(&error("Framework has been removed")).await;
    let text = format!(
        "master {} says: Framework has been removed",
        rig.peer.address()
    );
    ends_with(&mut rig, ErrorKind::FrameworkRemoved, &text).await;
}

#[tokio::test]
async fn subscribe_refused_for_good_ends_the_driver() {
    for (status, kind) in [
        (400, ErrorKind::Rejected),
        (401, ErrorKind::Unauthorized),
        (403, ErrorKind::Unauthorized),
        (405, ErrorKind::Rejected),
        (406, ErrorKind::Rejected),
        (415, ErrorKind::Rejected),
    ] {
        let mut rig = Rig::start().await;
        let subscribe = rig.peer.call(Type::Subscribe).await;
        subscribe.answer(status, &[], "Not like that");
        let address = rig.peer.address();
        let text = format!("SUBSCRIBE at {address} answered {status}: Not like that");
        ends_with(&mut rig, kind, &text).await;
    }
}

#[tokio::test]
async fn a_master_that_is_not_ready_is_tried_again() {
    for (status, body, why) in [
        (404, "", "answered 404"),
        (500, "", "answered 500"),
        (503, "No leader elected", "answered 503: No leader elected"),
        (307, "", "answered 307 without a Location"),
    ] {
        let mut rig = Rig::start().await;
        for _ in 0..6 {
            let subscribe = rig.peer.call(Type::Subscribe).await;
            subscribe.answer(status, &[], body);
            let error = rig.last_error(why).await;
            assert_eq!(error.kind(), ErrorKind::Unavailable);
        }
        rig.subscribe().await;
    }
}

#[tokio::test]
async fn a_refused_connection_is_tried_again() {
    let address = Peer::bind().await.address().to_owned();
    let elsewhere = Peer::bind().await;
    let mut rig = Rig::at(
        elsewhere,
        &address,
        framework(),
        |_, _| nothing(),
        |builder| builder,
    );
    let error = rig
        .last_error(&format!("cannot connect to {address}"))
        .await;
    assert_eq!(error.kind(), ErrorKind::Connect);
    rig.peer = Peer::bind_at(&address).await;
    rig.subscribe().await;
}

fn call_of(number: Option<i32>) -> Call {
    Call {
        r#type: number,
        ..Call::default()
    }
}

#[tokio::test]
async fn calls_that_would_harm_the_master_never_leave() {
    let mut rig = Rig::start().await;
    let _stream = rig.subscribe().await;
    let unknown = Type::Unknown as i32;
    let subscribe = Type::Subscribe as i32;
    for (number, why) in [
        (None, "it has no type"),
        (
            Some(unknown),
            "type UNKNOWN ends the master that receives it",
        ),
        (Some(99), "type 99 is not known"),
        (Some(subscribe), "SUBSCRIBE is sent by the driver alone"),
    ] {
        let error = rig.handle.call(call_of(number)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.to_string(), format!("call cannot be sent: {why}"));
    }
    // Calls leave in order: this one would come behind any of those.
    let revive = rig.handle.revive_offers(vec![]).await.unwrap();
    rig.peer.call(Type::Revive).await.accept();
    assert!(outcome(revive).await.is_accepted());
}

#[tokio::test]
async fn an_empty_task_group_never_leaves() {
    use mesos_framework::proto::offer::{Operation, operation};
    let mut rig = Rig::start().await;
    let _stream = rig.subscribe().await;
    let group = Operation {
        r#type: Some(operation::Type::LaunchGroup as i32),
        launch_group: Some(operation::LaunchGroup::default()),
        ..Operation::default()
    };
    let accepted = rig
        .handle
        .accept_offers(offer_ids("o"), vec![group], Filters::default());
    assert_kind(accepted.await, ErrorKind::Config);
}

#[tokio::test]
async fn events_of_unknown_type_or_without_content_are_skipped() {
    let mut rig = Rig::start().await;
    let stream = rig.subscribe().await;
    let strange = Event {
        r#type: Some(99),
        ..Event::default()
    };
    for event in [
        Event::default(),
        strange,
        bare(event::Type::Unknown),
        bare(event::Type::Offers),
        bare(event::Type::Update),
        bare(event::Type::Failure),
    ] {
        stream.send(&event).await;
    }
    stream.send(&offer("o")).await;
    rig.recording.offered("o").await;
}

#[tokio::test]
async fn subscribed_without_content_is_no_subscription() {
    let mut rig = Rig::start().await;
    let stream = rig.peer.call(Type::Subscribe).await.stream();
    stream.send(&bare(event::Type::Subscribed)).await;
    let error = rig.last_error("SUBSCRIBED without content").await;
    assert_eq!(error.kind(), ErrorKind::Protocol);
    rig.subscribe().await;
}

#[tokio::test]
async fn a_second_subscribed_of_one_stream_breaks_it() {
    let mut rig = Rig::start().await;
    let stream = rig.subscribe().await;
    stream.send(&bare(event::Type::Subscribed)).await;
    rig.recording.disconnected().await;
    let error = rig.handle.connection().last_error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    rig.resubscribe().await;
}

#[tokio::test]
async fn an_update_of_another_framework_never_leaves() {
    let mut rig = Rig::start().await;
    let _stream = rig.subscribe().await;
    let other = FrameworkInfo {
        id: Some("g".into()),
        ..framework()
    };
    let error = rig.handle.update_framework(other, vec![], None).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.to_string(),
        "update of framework g by a driver whose framework id is f"
    );
}
