//! Faults of the streams of one peer, or of one kind of peers; and streams that nobody reads, of every kind.

use std::time::Duration;

use mesos_framework::local::{LocalCluster, LocalClusterBuilder, Peer};
use mesos_framework::proto::{CommandInfo, ExecutorId};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

use crate::bare_framework::{Bare, JSON, bare_info, subscribe_executor_on};
use crate::cluster::local;
use crate::event_stream::{End, EventStream};
use crate::executor_role::RUN;
use crate::framework::{Framework, PATIENCE, info, task};
use crate::http::get;

const HEARTBEAT: Duration = Duration::from_millis(50);

/// Many heartbeats.
const WHILE: Duration = Duration::from_millis(350);

async fn cluster(
    settings: impl FnOnce(LocalClusterBuilder) -> LocalClusterBuilder,
) -> LocalCluster {
    let builder = local()
        .allocation_interval(Duration::from_millis(50))
        .heartbeat_interval(HEARTBEAT)
        .executor_heartbeat_interval(HEARTBEAT);
    settings(builder).start().await.unwrap()
}

/// Subscribes to the operator API.
async fn operator(cluster: &LocalCluster) -> EventStream {
    let body = json!({ "type": "SUBSCRIBE" }).to_string();
    EventStream::open(
        &cluster.master_address(),
        "/api/v1",
        &[JSON],
        body.as_bytes(),
    )
    .await
}

/// A framework whose executor is a program that does nothing; the test speaks for it.
#[allow(dead_code, reason = "its framework lives as long as it")]
struct Puppet {
    framework: Framework,
    executor_id: ExecutorId,
    stream: EventStream,
    peer: Peer,
    agent: String,
}

impl Puppet {
    /// Before anybody else takes the offers.
    async fn start(cluster: &LocalCluster, test: &str) -> Self {
        let mut framework = Framework::register(&cluster.master_address(), info(test)).await;
        let offer = framework.offer().await;
        let mut task = task(test, RUN, &offer);
        let executor = task.executor.as_mut().unwrap();
        executor.command = Some(CommandInfo {
            value: Some("exec sleep 1000".into()),
            ..CommandInfo::default()
        });
        let executor_id = executor.executor_id.clone();
        framework.launch(offer, vec![task]).await;
        let is_there = |state: &mesos_framework::local::ClusterState| !state.executors.is_empty();
        cluster.until(PATIENCE, is_there).await.unwrap();
        let agent = cluster.agent_addresses().swap_remove(0);
        let (id, path) = (&framework.id, "/slave(1)");
        let own = narrow(&agent).await;
        let stream = subscribe_executor_on(own, &agent, path, id, &executor_id.value).await;
        Self {
            peer: Peer::Executor(framework.id.clone(), executor_id.clone()),
            framework,
            executor_id,
            stream,
            agent,
        }
    }
}

fn kind(record: &[u8]) -> String {
    let event: Value = serde_json::from_slice(record).unwrap();
    event["type"].as_str().unwrap().to_owned()
}

/// How many heartbeats come in a while; other events do not count.
async fn heartbeats(stream: &mut EventStream) -> usize {
    let mut count = 0;
    let counting = async {
        loop {
            let record = stream.record().await.unwrap();
            count += usize::from(kind(&record) == "HEARTBEAT");
        }
    };
    let endless = tokio::time::timeout(WHILE, counting).await;
    assert!(endless.is_err());
    count
}

/// The next heartbeat.
async fn heartbeat(stream: &mut EventStream) {
    while kind(&stream.record().await.unwrap()) != "HEARTBEAT" {}
}

/// Whether nothing at all comes in a while.
async fn is_silent(stream: &mut EventStream) -> bool {
    tokio::time::timeout(WHILE, stream.record()).await.is_err()
}

#[tokio::test]
async fn heartbeats_are_withheld_from_one_peer_or_from_a_kind() {
    let cluster = cluster(|builder| builder).await;
    let mut executor = Puppet::start(&cluster, "heartless").await;
    let address = cluster.master_address();
    let mut one = Bare::register(&address, &bare_info("one")).await;
    let mut other = Bare::register(&address, &bare_info("other")).await;
    let mut operator = operator(&cluster).await;
    let scheduler = Peer::Scheduler(one.id.clone());
    for stream in [&mut one.stream, &mut operator, &mut executor.stream] {
        heartbeat(stream).await;
    }
    for peer in [&scheduler, &Peer::Operators, &executor.peer] {
        cluster.withhold_heartbeats_of(peer);
    }
    for stream in [&mut one.stream, &mut operator, &mut executor.stream] {
        // One may have been on its way.
        assert!(heartbeats(stream).await <= 1);
        assert_eq!(heartbeats(stream).await, 0);
    }
    assert!(heartbeats(&mut other.stream).await > 2);

    // A kind and one of it are undone each by itself.
    cluster.withhold_heartbeats_of(&Peer::Schedulers);
    cluster.resume_heartbeats_of(&scheduler);
    assert!(heartbeats(&mut other.stream).await <= 1);
    assert_eq!(heartbeats(&mut one.stream).await, 0);
    cluster.resume_heartbeats_of(&Peer::Schedulers);
    cluster.resume_heartbeats_of(&Peer::Operators);
    cluster.resume_heartbeats_of(&executor.peer);
    let streams = [
        &mut one.stream,
        &mut other.stream,
        &mut operator,
        &mut executor.stream,
    ];
    for stream in streams {
        heartbeat(stream).await;
    }
    cluster.withhold_heartbeats();
    for stream in [&mut one.stream, &mut operator, &mut executor.stream] {
        assert!(heartbeats(stream).await <= 1);
        assert_eq!(heartbeats(stream).await, 0);
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn one_stream_is_stalled_while_others_flow() {
    let cluster = cluster(|builder| builder).await;
    let mut executor = Puppet::start(&cluster, "stalled").await;
    let address = cluster.master_address();
    let mut one = Bare::register(&address, &bare_info("one")).await;
    let mut other = Bare::register(&address, &bare_info("other")).await;
    let scheduler = Peer::Scheduler(one.id.clone());
    cluster.stall_streams_of(&scheduler);
    cluster.stall_streams_of(&Peer::Executors);
    for stream in [&mut one.stream, &mut executor.stream] {
        // What was written before is read.
        while let Ok(record) = tokio::time::timeout(WHILE, stream.record()).await {
            record.unwrap();
        }
        assert!(is_silent(stream).await);
    }
    heartbeat(&mut other.stream).await;
    // Its calls are answered.
    let unknown = json!({ "tasks": [{ "task_id": { "value": "unknown" } }] });
    let answer = one.call("RECONCILE", unknown).await;
    assert_eq!(answer.status, 202);
    cluster.resume_streams_of(&scheduler);
    cluster.resume_streams_of(&Peer::Executors);
    let update = one.next("UPDATE").await;
    assert_eq!(update["update"]["status"]["state"], "TASK_UNKNOWN");
    cluster.shutdown().await;
}

#[tokio::test]
async fn one_peer_hears_late_and_in_single_bytes_while_others_do_not() {
    let cluster = cluster(|builder| builder).await;
    let address = cluster.master_address();
    let mut one = Bare::register(&address, &bare_info("one")).await;
    let mut other = Bare::register(&address, &bare_info("other")).await;
    let mut operator = operator(&cluster).await;
    let scheduler = Peer::Scheduler(one.id.clone());
    cluster.split_writes_of(&scheduler);
    cluster.delay_writes_of(&scheduler, PATIENCE);
    cluster.delay_writes_of(&Peer::Operators, PATIENCE);
    for stream in [&mut one.stream, &mut operator] {
        while let Ok(record) = tokio::time::timeout(WHILE, stream.record()).await {
            record.unwrap();
        }
    }
    let unknown = json!({ "tasks": [{ "task_id": { "value": "unknown" } }] });
    assert_eq!(one.call("RECONCILE", unknown).await.status, 202);
    assert!(is_silent(&mut one.stream).await);
    heartbeat(&mut other.stream).await;
    // The end of the delay brings all of it, byte by byte.
    cluster.undelay_writes_of(&scheduler);
    let update = one.next("UPDATE").await;
    assert_eq!(update["update"]["status"]["state"], "TASK_UNKNOWN");
    cluster.join_writes_of(&scheduler);
    assert!(is_silent(&mut operator).await);
    cluster.clear_faults();
    heartbeat(&mut operator).await;
    cluster.shutdown().await;
}

/// What may wait for a reader in these tests; what its sockets hold beside, at the most; and what is sent it, in pieces.
const LIMIT: usize = 1_000_000;
const SOCKETS: usize = 8_000_000;
const PIECE: usize = 500_000;
const PIECES: usize = 40;

/// Calm clusters, so that only what is sent fills the streams.
async fn limited(agents: usize) -> LocalCluster {
    let builder = local()
        .agents(agents)
        .allocation_interval(Duration::from_millis(50));
    builder.stream_limit(LIMIT).start().await.unwrap()
}

/// A connection that takes little before somebody reads.
async fn narrow(address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    socket.connect(address.parse().unwrap()).await.unwrap()
}

/// Reads what is left of a stream: it was cut, and little of what there was for it was kept.
async fn was_cut(mut stream: EventStream) {
    assert_eq!(stream.end().await, End::Cut);
    assert!(stream.read < LIMIT + SOCKETS, "{} bytes", stream.read);
}

#[tokio::test]
async fn an_operator_that_does_not_read_is_cut_off() {
    let cluster = limited(0).await;
    let address = cluster.master_address();
    let body = json!({ "type": "SUBSCRIBE" }).to_string();
    let own = narrow(&address).await;
    let unread = EventStream::open_on(own, &address, "/api/v1", &[JSON], body.as_bytes()).await;
    let mut info = bare_info("much-to-tell");
    let framework = Bare::register(&address, &info).await;
    for number in 0..PIECES {
        info["id"] = json!({ "value": framework.id.value });
        info["webui_url"] = json!(format!("{number}{}", "x".repeat(PIECE)));
        let answer = framework
            .call("UPDATE_FRAMEWORK", json!({ "framework_info": info }))
            .await;
        assert_eq!((answer.status, answer.text()), (200, ""));
    }
    was_cut(unread).await;
    let mut again = operator(&cluster).await;
    assert_eq!(kind(&again.record().await.unwrap()), "SUBSCRIBED");
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_executor_that_does_not_read_is_cut_off() {
    let cluster = limited(1).await;
    let executor = Puppet::start(&cluster, "deaf").await;
    let handle = &executor.framework.handle;
    let agent_id = cluster.state().agents[0].id.clone().unwrap();
    for _ in 0..PIECES {
        let (to, data) = (executor.executor_id.clone(), vec![b'x'; PIECE]);
        let sent = handle.send_framework_message(to, agent_id.clone(), data);
        assert!(sent.await.unwrap().outcome().await.is_accepted());
    }
    was_cut(executor.stream).await;
    // Others are served.
    assert_eq!(get(&executor.agent, "/health").await.status, 200);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_client_that_asks_and_never_reads_is_not_read_either() {
    let cluster = limited(0).await;
    let mut client = TcpStream::connect(cluster.master_address()).await.unwrap();
    let asking = "GET /metrics/snapshot HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    let mut sent = 0;
    // What the sockets hold is not counted.
    while sent < 4 * SOCKETS {
        let write = client.write(asking.as_bytes());
        match tokio::time::timeout(WHILE, write).await {
            Ok(written) => sent += written.unwrap(),
            Err(_) => break,
        }
    }
    assert!(sent < 2 * SOCKETS, "{sent} bytes of questions were read");
    // Others are served.
    let answer = get(&cluster.master_address(), "/health").await;
    assert_eq!(answer.status, 200);
    cluster.shutdown().await;
}
