//! The way to the leading master: redirects, lists, prefixes, and what every request carries.

use mesos_framework::proto::scheduler::call::Type;
use mesos_framework::proto::{Filters, TaskState};
use mesos_framework::{Credential, ErrorKind, SchedulerDriverBuilder};

use crate::peer::{Incoming, Peer};
use crate::recorder::nothing;
use crate::support::{Rig, framework, not_sent, offer_ids, outcome, partition_aware, task};

/// `principal:secret`, in base 64.
const BASIC: &str = "Basic cHJpbmNpcGFsOnNlY3JldA==";

fn credential() -> Credential {
    Credential::new("principal", "secret")
}

fn redirect(request: Incoming, to: &str) {
    let location = format!("//{to}/api/v1/scheduler");
    request.answer(307, &[("Location", &location)], "");
}

/// Redirects the first SUBSCRIBE to a second peer; both requests.
async fn redirected(
    configure: impl FnOnce(SchedulerDriverBuilder) -> SchedulerDriverBuilder,
) -> (Seen, Seen) {
    let mut leader = Peer::bind().await;
    let mut rig = Rig::configured(configure).await;
    let first = rig.peer.call(Type::Subscribe).await;
    let before = Seen::of(&first);
    redirect(first, leader.address());
    let second = leader.call(Type::Subscribe).await;
    (before, Seen::of(&second))
}

struct Seen {
    body: bytes::Bytes,
    authorization: Option<String>,
}

impl Seen {
    fn of(request: &Incoming) -> Self {
        Self {
            body: request.body.clone(),
            authorization: request.header("authorization").map(str::to_owned),
        }
    }
}

#[tokio::test]
async fn a_redirect_is_followed_with_body_and_credential() {
    let (first, second) = redirected(|builder| builder.credential(credential())).await;
    assert_eq!(first.body, second.body);
    assert_eq!(first.authorization.as_deref(), Some(BASIC));
    assert_eq!(second.authorization.as_deref(), Some(BASIC));
}

#[tokio::test]
async fn a_confined_credential_stays_with_the_configured_host() {
    let (first, second) =
        redirected(|builder| builder.credential(credential()).confine_credential()).await;
    assert_eq!(first.authorization.as_deref(), Some(BASIC));
    assert_eq!(second.authorization, None);
}

#[tokio::test]
async fn calls_go_to_where_the_subscription_was_redirected() {
    let mut leader = Peer::bind().await;
    let mut rig = Rig::start().await;
    redirect(rig.peer.call(Type::Subscribe).await, leader.address());
    let stream = leader.subscribed("f").await;
    rig.recording.registered("f").await;
    let receipt = rig.handle.revive_offers(vec![]).await.unwrap();
    let revive = leader.call(Type::Revive).await;
    assert_eq!(revive.header("mesos-stream-id"), Some(stream.id.as_str()));
    revive.accept();
    assert!(outcome(receipt).await.is_accepted());
    rig.peer.assert_no_request().await;
}

#[tokio::test]
async fn masters_that_point_at_each_other_are_tried_again_after_5_redirects() {
    let mut other = Peer::bind().await;
    let mut rig = Rig::start().await;
    let (here, there) = (rig.peer.address().to_owned(), other.address().to_owned());
    for _ in 0..3 {
        redirect(rig.peer.call(Type::Subscribe).await, &there);
        redirect(other.call(Type::Subscribe).await, &here);
    }
    let why = format!("redirected 5 times, last from {there} to {here}");
    let error = rig.last_error(&why).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    rig.subscribe().await;
}

#[tokio::test]
async fn a_redirected_call_renews_the_subscription_and_is_sent_again() {
    let mut rig = Rig::start().await;
    let old = rig.subscribe().await;
    let receipt = rig.handle.kill_task("t".into(), None).await.unwrap();
    redirect(rig.peer.call(Type::Kill).await, "127.0.0.1:1");
    rig.recording.disconnected().await;
    let new = rig.resubscribe().await;
    assert_ne!(old.id, new.id);
    let again = rig.peer.call(Type::Kill).await;
    assert_eq!(again.header("mesos-stream-id"), Some(new.id.as_str()));
    again.accept();
    assert!(outcome(receipt).await.is_accepted());
}

async fn launch_redirected(info: mesos_framework::proto::FrameworkInfo, state: TaskState) {
    let mut rig = Rig::of(info, |_, _| nothing(), |builder| builder).await;
    rig.subscribe().await;
    let launch = rig
        .handle
        .launch_tasks(offer_ids("o"), vec![task("t")], Filters::default());
    let receipt = launch.await.unwrap();
    redirect(rig.peer.call(Type::Accept).await, "127.0.0.1:1");
    assert_eq!(not_sent(receipt).await.kind(), ErrorKind::Disconnected);
    rig.recording.disconnected().await;
    let status = rig.recording.status().await;
    assert_eq!(
        (status.task_id.value.as_str(), status.state()),
        ("t", state)
    );
    assert_eq!(status.message(), "Master disconnected");
    rig.resubscribe().await;
    let revive = rig.handle.revive_offers(vec![]).await.unwrap();
    rig.peer.call(Type::Revive).await.accept();
    assert!(outcome(revive).await.is_accepted());
}

#[tokio::test]
async fn a_redirected_launch_comes_back_as_dropped() {
    launch_redirected(partition_aware(), TaskState::TaskDropped).await;
}

#[tokio::test]
async fn a_redirected_launch_comes_back_as_lost_without_partition_awareness() {
    launch_redirected(framework(), TaskState::TaskLost).await;
}

#[tokio::test]
async fn a_prefix_of_the_url_stands_before_the_path() {
    let peer = Peer::bind().await;
    let master = format!("http://{}/cluster/one/", peer.address());
    let mut rig = Rig::at(peer, &master, framework(), |_, _| nothing(), |b| b);
    let subscribe = rig.peer.call(Type::Subscribe).await;
    assert_eq!(subscribe.path, "/cluster/one/api/v1/scheduler");
}

#[tokio::test]
async fn a_redirect_without_the_prefix_leaves_it() {
    let mut leader = Peer::bind().await;
    let peer = Peer::bind().await;
    let master = format!("http://{}/cluster", peer.address());
    let mut rig = Rig::at(peer, &master, framework(), |_, _| nothing(), |b| b);
    redirect(rig.peer.call(Type::Subscribe).await, leader.address());
    let subscribe = leader.call(Type::Subscribe).await;
    assert_eq!(subscribe.path, "/api/v1/scheduler");
}

#[tokio::test]
async fn a_list_of_masters_goes_on_to_the_next_at_once() {
    let mut second = Peer::bind().await;
    let first = Peer::bind().await;
    let master = format!("{},{}", first.address(), second.address());
    // A wait before the second would exceed every limit here.
    let hour = std::time::Duration::from_secs(3600);
    let backoff = mesos_framework::Backoff::new(hour, hour);
    let mut rig = Rig::at(
        first,
        &master,
        framework(),
        |_, _| nothing(),
        |builder| builder.backoff(backoff),
    );
    rig.peer.call(Type::Subscribe).await.answer(503, &[], "");
    let _stream = second.subscribed("f").await;
    rig.recording.registered("f").await;
    rig.last_error("answered 503").await;
}

fn assert_headers(request: &Incoming, stream_id: Option<&str>) {
    let protobuf = Some("application/x-protobuf");
    assert_eq!(request.path, "/api/v1/scheduler");
    assert_eq!(request.header("content-type"), protobuf);
    assert_eq!(request.header("accept"), protobuf);
    assert_eq!(request.header("authorization"), Some(BASIC));
    assert_eq!(request.header("user-agent"), Some("scripted/1"));
    assert_eq!(request.header("mesos-stream-id"), stream_id);
}

#[tokio::test]
async fn every_request_carries_exactly_the_headers_that_mesos_asks_for() {
    let mut rig = Rig::configured(|b| b.credential(credential()).user_agent("scripted/1")).await;
    let subscribe = rig.peer.call(Type::Subscribe).await;
    assert_headers(&subscribe, None);
    let stream = subscribe.stream();
    let event = crate::peer::subscribed("f", None);
    stream.send(&event).await;
    rig.recording.registered("f").await;
    let _receipt = rig.handle.revive_offers(vec![]).await.unwrap();
    let revive = rig.peer.call(Type::Revive).await;
    assert_headers(&revive, Some(&stream.id));
    revive.accept();
    stream.finish().await;
    let again = rig.peer.call(Type::Subscribe).await;
    assert_headers(&again, None);
}

#[cfg(feature = "json")]
#[tokio::test]
async fn json_is_asked_for_and_answered_by_its_own_media_type() {
    let mut rig = Rig::configured(|b| b.content_type(mesos_framework::ContentType::Json)).await;
    let subscribe = rig.peer.next().await;
    assert_eq!(subscribe.header("content-type"), Some("application/json"));
    assert_eq!(subscribe.header("accept"), Some("application/json"));
    let stream = subscribe.stream_of("application/json");
    let event = r#"{"type":"SUBSCRIBED","subscribed":{"framework_id":{"value":"f"}}}"#;
    stream
        .chunk(format!("{}\n{event}", event.len()).as_bytes())
        .await;
    rig.recording.registered("f").await;
}

#[tokio::test]
async fn the_default_user_agent_names_crate_and_version() {
    let mut rig = Rig::start().await;
    let subscribe = rig.peer.call(Type::Subscribe).await;
    let agent = concat!("mesos-framework/", env!("CARGO_PKG_VERSION"));
    assert_eq!(subscribe.header("user-agent"), Some(agent));
    assert_eq!(subscribe.header("authorization"), None);
}

/// A driver of its own process: the environment of a process that runs other tests must not be changed.
#[tokio::test]
async fn proxies_of_the_environment_are_ignored() {
    const NAME: &str = "redirects::proxies_of_the_environment_are_ignored";
    if let Ok(master) = std::env::var("SCRIPTED_MASTER") {
        let scheduler = crate::recorder::recorder().0;
        let driver = mesos_framework::SchedulerDriver::builder(scheduler, framework(), &master);
        let ended = driver.build().unwrap().run().await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Rejected);
        return;
    }
    let (mut peer, mut proxy) = (Peer::bind().await, Peer::bind().await);
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME])
        .env("SCRIPTED_MASTER", peer.address())
        .env("http_proxy", format!("http://{}", proxy.address()))
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    peer.call(Type::Subscribe).await.answer(400, &[], "");
    let status = tokio::task::spawn_blocking(move || child.wait());
    let status = crate::peer::within("the child", status).await.unwrap();
    assert!(status.unwrap().success());
    proxy.assert_no_request().await;
}
