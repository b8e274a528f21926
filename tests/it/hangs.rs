//! Peers and networks that fall silent: each is left within its bound, and the driver says why.

use std::net::SocketAddr;
use std::time::Duration;

use mesos_framework::proto::scheduler::call::Type;
use mesos_framework::{
    ConnectionWatch, ErrorKind, LeadingMaster, MasterDetector, Result, SchedulerDriver, Status,
    async_trait,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cluster::{Cluster, local};
use crate::detectors::{generation, until_told};
use crate::framework::{Framework, PATIENCE, Starting, info};
use crate::recorder::Callback;
use crate::support::{Rig, SOON};
use crate::written::Written;

const HEARTBEAT: Duration = Duration::from_millis(100);

/// The limit of tests, in place of seconds.
const LIMIT: Duration = Duration::from_millis(400);

/// Between frameworks and a master: it may stop to forward, and closes nothing by itself.
pub struct Proxy {
    pub address: String,
    mode: watch::Sender<Mode>,
    cuts: watch::Sender<usize>,
    deliveries: watch::Sender<usize>,
    _tasks: JoinSet<()>,
}

/// What becomes of bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Forwarded,
    /// Those of the master get lost.
    Mute,
    /// None gets through, and whatever is connected hangs for ever.
    Frozen,
    /// What is sent over new connections arrives when it is delivered, also if the client is gone by then.
    Held,
}

impl Proxy {
    pub async fn to(master: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (mode, now) = watch::channel(Mode::Forwarded);
        let (cuts, mut cut) = watch::channel(0);
        let (deliveries, delivered) = watch::channel(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let (client, _) = accepted.unwrap();
                        let is_held = *now.borrow() == Mode::Held;
                        match is_held {
                            true => connections.spawn(hold(client, master.clone(), delivered.clone())),
                            false => connections.spawn(forward(client, master.clone(), now.clone())),
                        };
                    }
                    Ok(()) = cut.changed() => connections.shutdown().await,
                }
            }
        });
        Self {
            address,
            mode,
            cuts,
            deliveries,
            _tasks: tasks,
        }
    }

    /// Whatever goes through it, or is connected from now on, hangs for ever.
    fn freeze(&self) {
        self.mode.send_replace(Mode::Frozen);
    }

    /// Calls arrive, and their answers do not.
    pub fn mute(&self) {
        self.mode.send_replace(Mode::Mute);
    }

    fn hold(&self) {
        self.mode.send_replace(Mode::Held);
    }

    /// What was held arrives.
    fn deliver(&self) {
        self.deliveries.send_modify(|deliveries| *deliveries += 1);
    }

    /// All connections break.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Everything gets through, but for connections that are frozen.
    pub fn forward(&self) {
        self.mode.send_replace(Mode::Forwarded);
    }
}

async fn forward(client: TcpStream, master: String, mut mode: watch::Receiver<Mode>) {
    let now = mode.clone();
    let forwarded = async {
        let Ok(server) = TcpStream::connect(master).await else {
            return;
        };
        let (mut from_client, to_client) = client.into_split();
        let (from_server, mut to_server) = server.into_split();
        tokio::select! {
            _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
            _ = answers(from_server, to_client, now) => {}
        }
    };
    tokio::pin!(forwarded);
    let froze = tokio::select! {
        // Also the connections stay open, for their futures do.
        froze = mode.wait_for(|mode| *mode == Mode::Frozen) => froze.is_ok(),
        () = &mut forwarded => false,
    };
    if froze {
        std::future::pending::<()>().await;
    }
}

async fn hold(mut client: TcpStream, master: String, mut delivered: watch::Receiver<usize>) {
    let mut held = Vec::new();
    // A client that gives up may reset the connection.
    let _ = client.read_to_end(&mut held).await;
    let _ = delivered.changed().await;
    let mut server = TcpStream::connect(master).await.unwrap();
    server.write_all(&held).await.unwrap();
    let _ = tokio::io::copy(&mut server, &mut tokio::io::sink()).await;
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mode: watch::Receiver<Mode>,
) -> std::io::Result<()> {
    let mut bytes = [0; 4096];
    loop {
        let read = from.read(&mut bytes).await?;
        if read == 0 {
            return Ok(());
        }
        if *mode.borrow() != Mode::Mute {
            to.write_all(&bytes[..read]).await?;
        }
    }
}

async fn until_failed(watch: &mut ConnectionWatch, attempts: u32) {
    let failed = watch.until(|now| now.failed_attempts >= attempts);
    let now = tokio::time::timeout(PATIENCE, failed).await;
    assert!(now.expect("it goes on").failed_attempts >= attempts);
}

async fn stops(mut driver: SchedulerDriver) {
    driver.handle().stop();
    let ended = tokio::time::timeout(PATIENCE, driver.join()).await;
    assert_eq!(ended.expect("it ends").unwrap(), Status::Stopped);
}

/// A driver on a master that never lets it in.
async fn is_left(address: SocketAddr, kind: ErrorKind, why: &str) {
    is_left_at(&address.to_string(), kind, why).await;
}

async fn is_left_at(master: &str, kind: ErrorKind, why: &str) {
    let written = Written::default();
    let _guard = written.trace();
    let starting = Starting::new(info("hangs"), |scheduler, info| {
        SchedulerDriver::builder(scheduler, info, master)
            .connect_timeout(LIMIT)
            .call_timeout(2 * LIMIT)
            .backoff(SOON)
    })
    .unwrap();
    let mut watch = starting.driver.handle().watch_connection();
    let error = until_told(&mut watch, why).await;
    assert_eq!(error.kind(), kind, "{error}");
    until_failed(&mut watch, 3).await;
    written.says("INFO", &["attempt to subscribe failed", why]);
    stops(starting.driver).await;
}

#[tokio::test]
async fn a_proxy_that_stops_forwarding_and_closes_nothing_is_left() {
    let written = Written::default();
    let _guard = written.trace();
    let cluster = local().heartbeat_interval(HEARTBEAT).start().await.unwrap();
    let proxy = Proxy::to(cluster.master_address()).await;
    let mut framework = Framework::register_with(&proxy.address, info("frozen"), |builder| {
        builder.backoff(SOON).call_timeout(LIMIT)
    })
    .await;
    let mut watch = framework.handle.watch_connection();
    proxy.freeze();
    let silence = until_told(&mut watch, "no event from master").await;
    assert_eq!(silence.kind(), ErrorKind::Timeout);
    let unanswered = until_told(&mut watch, "no answer from").await;
    assert_eq!(unanswered.kind(), ErrorKind::Timeout);
    until_failed(&mut watch, 2).await;
    written.says("WARN", &["subscription lost", "no event from master"]);
    written.says("INFO", &["attempt to subscribe failed", "no answer from"]);
    proxy.forward();
    framework
        .until("reregistered", |callback| {
            matches!(callback, Callback::Reregistered).then_some(())
        })
        .await;
    assert_eq!(framework.handle.framework_id(), Some(framework.id.clone()));
    framework.teardown().await;
    cluster.shutdown().await;
}

/// The heartbeats of a real master come every 15 s.
#[tokio::test]
async fn a_frozen_proxy_before_a_master_is_left_after_the_heartbeats_that_may_be_missed() {
    let written = Written::default();
    let _guard = written.trace();
    let cluster = Cluster::start().await;
    let proxy = Proxy::to(cluster.address()).await;
    let mut framework = Framework::register_with(&proxy.address, info("freezing"), |builder| {
        builder
            .backoff(SOON)
            .call_timeout(LIMIT)
            .missed_heartbeats(1)
    })
    .await;
    proxy.freeze();
    let mut watch = framework.handle.watch_connection();
    let why = "for 15 s (1 heartbeats of 15 s)";
    let silence = until_told(&mut watch, why).await;
    assert_eq!(silence.kind(), ErrorKind::Timeout);
    until_told(&mut watch, "no answer from").await;
    proxy.forward();
    framework
        .until("reregistered", |callback| {
            matches!(callback, Callback::Reregistered).then_some(())
        })
        .await;
    assert_eq!(framework.handle.framework_id(), Some(framework.id.clone()));
    written.says("WARN", &["subscription lost", why]);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_subscribe_of_its_own_that_arrives_late_does_not_end_a_driver() {
    let cluster = Cluster::start().await;
    let proxy = Proxy::to(cluster.address()).await;
    let mut framework = Framework::register_with(&proxy.address, info("late"), |builder| {
        builder.backoff(SOON).call_timeout(5 * LIMIT)
    })
    .await;
    let mut watch = framework.handle.watch_connection();
    let reregistered =
        |callback: &Callback| matches!(callback, Callback::Reregistered).then_some(());
    proxy.hold();
    proxy.cut();
    until_told(&mut watch, "no answer from").await;
    proxy.forward();
    framework.until("reregistered", reregistered).await;
    proxy.deliver();
    let late = until_told(&mut watch, "may have arrived late").await;
    assert_eq!(late.kind(), ErrorKind::Disconnected);
    framework.until("reregistered", reregistered).await;
    assert_eq!(framework.handle.framework_id(), Some(framework.id.clone()));
    framework.teardown().await;
    cluster.shutdown().await;
}

/// Says where a name leads, as a resolver would.
struct ByName(watch::Receiver<String>);

#[async_trait]
impl MasterDetector for ByName {
    async fn detect(&mut self, previous: Option<&LeadingMaster>) -> Result<Option<LeadingMaster>> {
        let is_other =
            |address: &String| previous.is_none_or(|previous| previous.address() != *address);
        let found = self.0.wait_for(is_other).await;
        let found = found.ok().map(|address| address.clone());
        match found {
            Some(address) => LeadingMaster::new(&address).map(Some),
            None => std::future::pending().await,
        }
    }
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_is_followed_without_waiting_for_silence() {
    let written = Written::default();
    let _guard = written.trace();
    // Heartbeats come every 15 s.
    let cluster = local().start().await.unwrap();
    let old = Proxy::to(cluster.master_address()).await;
    let new = Proxy::to(cluster.master_address()).await;
    let (name, resolver) = watch::channel(old.address.clone());
    let mut starting = Starting::new(info("renamed"), |scheduler, info| {
        SchedulerDriver::builder_with_detector(scheduler, info, ByName(resolver)).backoff(SOON)
    })
    .unwrap();
    let id = starting.registered().await.unwrap();
    let mut framework = starting.into_framework(id);
    old.freeze();
    name.send_replace(new.address.clone());
    framework
        .until("reregistered", |callback| {
            matches!(callback, Callback::Reregistered).then_some(())
        })
        .await;
    assert_eq!(generation(&framework), Some((new.address.clone(), 2)));
    let why = framework.handle.connection().last_error.unwrap();
    let expected = format!("{} leads, not {}", new.address, old.address);
    assert_eq!(why.to_string(), expected);
    written.says("WARN", &["subscription lost", &expected]);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_connect_that_never_completes_is_left() {
    use socket2::{Domain, Socket, Type};

    // Nobody accepts, and the queue is full.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = tokio::time::timeout(LIMIT, TcpStream::connect(address)).await {
        queued.push(stream.unwrap());
    }
    is_left(address, ErrorKind::Timeout, "took too long").await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn a_tls_handshake_that_never_completes_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let master = format!("https://{}", listener.local_addr().unwrap());
    is_left_at(&master, ErrorKind::Timeout, "took too long").await;
    drop(listener);
}

#[tokio::test]
async fn a_master_that_accepts_and_never_answers_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let why = format!(
        "no answer from {address} to SUBSCRIBE within {:?}",
        2 * LIMIT
    );
    is_left(address, ErrorKind::Timeout, &why).await;
    drop(listener);
}

#[tokio::test]
async fn an_answer_that_never_ends_is_left() {
    let written = Written::default();
    let _guard = written.trace();
    let mut rig = Rig::configured(|builder| builder.call_timeout(LIMIT)).await;
    let mut streams = Vec::new();
    for _ in 0..2 {
        let subscribe = rig.peer.call(Type::Subscribe).await;
        // 200, and no event.
        streams.push(subscribe.stream());
    }
    let error = rig.last_error("no SUBSCRIBED event").await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let _stream = rig.subscribe().await;
    written.says(
        "INFO",
        &["attempt to subscribe failed", "no SUBSCRIBED event"],
    );
}

#[tokio::test]
async fn a_refusal_that_never_ends_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = Vec::new();
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let head = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\nNot";
            client.write_all(head).await.unwrap();
            connections.push(client);
        }
    });
    let why = format!(
        "no answer from {address} to SUBSCRIBE within {:?}",
        2 * LIMIT
    );
    is_left(address, ErrorKind::Timeout, &why).await;
}

#[tokio::test]
async fn a_leader_that_is_not_leading_yet_is_tried_until_it_does() {
    let written = Written::default();
    let _guard = written.trace();
    let mut rig = Rig::start().await;
    for _ in 0..3 {
        let subscribe = rig.peer.call(Type::Subscribe).await;
        subscribe.answer(503, &[], "Master has not finished recovery");
    }
    let subscribe = rig.peer.call(Type::Subscribe).await;
    let error = rig.last_error("Master has not finished recovery").await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(rig.handle.connection().failed_attempts, 3);
    let why = "Master has not finished recovery";
    written.says("INFO", &["attempt to subscribe failed", why]);
    let stream = subscribe.stream();
    stream.send(&crate::peer::subscribed("f", None)).await;
    rig.recording.registered("f").await;
}

/// Each attempt leads where the name leads by then, whatever the peer of before would like.
#[tokio::test]
async fn a_standby_that_keeps_its_connection_open_is_asked_again_over_another() {
    let mut rig = Rig::start().await;
    let mut connections = std::collections::BTreeSet::new();
    for status in [503, 503, 404, 500] {
        let subscribe = rig.peer.call(Type::Subscribe).await;
        connections.insert(subscribe.connection);
        subscribe.answer(status, &[], "");
    }
    let location = format!("//{}/api/v1/scheduler", rig.peer.address());
    let subscribe = rig.peer.call(Type::Subscribe).await;
    connections.insert(subscribe.connection);
    subscribe.answer(307, &[("Location", &location)], "");
    let subscribe = rig.peer.call(Type::Subscribe).await;
    connections.insert(subscribe.connection);
    assert_eq!(connections.len(), 6);
}
