//! Faults in the middle of streams and of all that is written: of the embedded cluster, and our drivers under them.

use std::time::{Duration, Instant};

use mesos_framework::local::{ClusterState, LocalCluster, LocalClusterBuilder};
use mesos_framework::proto::{ExecutorId, FrameworkId, TaskState};
use mesos_framework::{ErrorKind, SchedulerDriverBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::event_stream::{End, EventStream};
use crate::executor_role::{FINISH, REREGISTERED, RUN, finish};
use crate::framework::{Framework, PATIENCE, info, task};
use crate::http::request;
use crate::recorder::Callback;
use crate::support::SOON;

const JSON: (&str, &str) = ("Content-Type", "application/json");
const HEARTBEAT: Duration = Duration::from_millis(50);
/// Bytes of the record of a heartbeat in JSON: `20\n{"type":"HEARTBEAT"}`.
const HEARTBEAT_LENGTH: usize = 23;

async fn cluster(
    settings: impl FnOnce(LocalClusterBuilder) -> LocalClusterBuilder,
) -> LocalCluster {
    let builder = crate::cluster::local().allocation_interval(Duration::from_millis(50));
    settings(builder).start().await.unwrap()
}

/// Subscribes without a driver, and reads SUBSCRIBED.
async fn subscribe(cluster: &LocalCluster) -> (EventStream, FrameworkId) {
    let info = json!({ "user": "nobody", "name": "bare", "failover_timeout": 60.0 });
    let call = json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": info } });
    let address = cluster.master_address();
    let body = call.to_string();
    let mut stream =
        EventStream::open(&address, "/api/v1/scheduler", &[JSON], body.as_bytes()).await;
    let first: Value = serde_json::from_slice(&stream.record().await.unwrap()).unwrap();
    let id = &first["subscribed"]["framework_id"]["value"];
    let id = id.as_str().unwrap().into();
    (stream, id)
}

async fn register(cluster: &LocalCluster, test: &str) -> Framework {
    let settings = |builder: SchedulerDriverBuilder| builder.backoff(SOON);
    let mut info = info(test);
    info.checkpoint = Some(true);
    Framework::register_with(&cluster.master_address(), info, settings).await
}

async fn renewed(framework: &mut Framework) {
    for expected in [Callback::Disconnected, Callback::Reregistered] {
        framework
            .until("a new subscription", |callback| {
                let is_it = std::mem::discriminant(callback) == std::mem::discriminant(&expected);
                is_it.then_some(())
            })
            .await;
    }
}

#[tokio::test]
async fn a_stream_is_cut_after_so_many_bytes() {
    let cluster = cluster(|builder| builder.agents(0).heartbeat_interval(HEARTBEAT)).await;
    let (mut stream, id) = subscribe(&cluster).await;
    let before = stream.read;
    assert!(cluster.disconnect_framework_after(&id, HEARTBEAT_LENGTH + 3));
    assert_eq!(stream.end().await, End::Cut);
    assert_eq!((stream.read - before) % HEARTBEAT_LENGTH, 3);
    cluster
        .until(PATIENCE, |state| {
            !state.framework(&id).unwrap().is_connected
        })
        .await
        .unwrap();
    assert!(!cluster.disconnect_framework_after(&id, 1));
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_stream_is_cut_in_the_middle_of_a_record() {
    let cluster = cluster(|builder| builder.agents(0).heartbeat_interval(HEARTBEAT)).await;
    let (mut stream, id) = subscribe(&cluster).await;
    let before = stream.read;
    assert!(cluster.disconnect_framework_in_record(&id));
    assert_eq!(stream.end().await, End::Cut);
    let part = (stream.read - before) % HEARTBEAT_LENGTH;
    assert_eq!(part, HEARTBEAT_LENGTH.div_ceil(2));
    assert!(!cluster.disconnect_framework_in_record(&id));
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_cut_that_was_taken_back_does_not_come() {
    let cluster = cluster(|builder| builder.agents(0).heartbeat_interval(HEARTBEAT)).await;
    let (mut stream, id) = subscribe(&cluster).await;
    // What no run of this test comes to.
    assert!(cluster.disconnect_framework_after(&id, 1_000_000));
    cluster.refuse_next_call(500, "").unwrap();
    cluster.clear_faults();
    for _ in 0..3 {
        stream.record().await.unwrap();
    }
    let (second, other) = subscribe(&cluster).await;
    assert_ne!(id, other);
    drop((stream, second));
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_record_cut_in_the_middle_costs_neither_id_nor_tasks() {
    let cluster = cluster(|builder| builder.heartbeat_interval(HEARTBEAT)).await;
    let mut framework = register(&cluster, "torn").await;
    let task = framework.run("kept", RUN).await;
    for torn in 0..4 {
        let is_cut = if torn % 2 == 0 {
            cluster.disconnect_framework_in_record(&framework.id)
        } else {
            cluster.disconnect_framework_after(&framework.id, 11)
        };
        assert!(is_cut);
        renewed(&mut framework).await;
    }
    let answer = framework.reconciled(&task.task_id).await;
    assert_eq!(answer.state(), TaskState::TaskRunning);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn delayed_answers_and_events_come_late_and_in_order() {
    let cluster = cluster(|builder| builder).await;
    let delay = Duration::from_millis(300);
    cluster.delay_writes(delay);
    let begin = Instant::now();
    let mut framework = register(&cluster, "late").await;
    assert!(begin.elapsed() >= delay);
    // The updates of a task keep their order, or one of them is not the next.
    let offer = framework.offer().await;
    let task = task("late", FINISH, &offer);
    framework.launch(offer, vec![task.clone()]).await;
    for state in [
        TaskState::TaskStarting,
        TaskState::TaskRunning,
        TaskState::TaskFinished,
    ] {
        assert_eq!(framework.status(&task.task_id).await.state(), state);
    }
    cluster.undelay_writes();
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_delay_is_not_added_up_by_calls_on_one_connection() {
    let cluster = cluster(|builder| builder.agents(0)).await;
    let delay = Duration::from_millis(300);
    cluster.delay_writes(delay);
    let mut stream = TcpStream::connect(cluster.master_address()).await.unwrap();
    let paths = ["/health", "/nothing", "/redirect"].repeat(10);
    let requests = paths
        .iter()
        .map(|path| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
    let begin = Instant::now();
    let requests: String = requests.collect();
    stream.write_all(requests.as_bytes()).await.unwrap();
    let mut answers = String::new();
    let mut buffer = [0; 4096];
    while answers.matches("HTTP/1.1 ").count() < paths.len() {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await;
        let read = read.unwrap().unwrap();
        assert!(read > 0, "{answers}");
        answers.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    let took = begin.elapsed();
    assert!(took >= delay, "{took:?}");
    assert!(took < 10 * delay, "one after the other: {took:?}");
    let statuses = answers.split("HTTP/1.1 ").skip(1);
    let statuses: Vec<_> = statuses.map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "404", "307"].repeat(10));
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_is_delayed_is_written_when_the_delay_ends() {
    let cluster = cluster(|builder| builder.agents(0)).await;
    cluster.delay_writes(Duration::from_secs(3600));
    let address = cluster.master_address();
    let health = request(&address, "GET", "/health", &[], b"");
    let mut health = std::pin::pin!(health);
    let early = tokio::time::timeout(Duration::from_millis(100), &mut health).await;
    assert!(early.is_err());
    cluster.undelay_writes();
    assert_eq!(health.await.status, 200);
    cluster.shutdown().await;
}

/// Asks for so many updates that `stream` has to have them waiting.
async fn flood(cluster: &LocalCluster, stream: &EventStream, id: &FrameworkId) {
    let tasks: Vec<_> = (0..500)
        .map(|number| json!({ "task_id": { "value": format!("{number:0>200}") } }))
        .collect();
    let call = json!({
        "type": "RECONCILE", "framework_id": { "value": id.value }, "reconcile": { "tasks": tasks },
    });
    let stream_id = ("Mesos-Stream-Id", stream.header("mesos-stream-id").unwrap());
    let address = cluster.master_address();
    let body = call.to_string();
    let headers = [JSON, stream_id];
    // It may be refused once the stream is cut.
    request(
        &address,
        "POST",
        "/api/v1/scheduler",
        &headers,
        body.as_bytes(),
    )
    .await;
}

#[tokio::test]
async fn a_stream_that_nobody_reads_is_cut() {
    let cluster = cluster(|builder| builder.agents(0).stream_limit(300_000)).await;
    let (stream, id) = subscribe(&cluster).await;
    let (mut reading, other) = subscribe(&cluster).await;
    let is_connected = |state: &ClusterState| state.framework(&id).unwrap().is_connected;
    let flooded = async {
        // Beyond the limit are what the sockets hold.
        for _ in 0..1000 {
            if !is_connected(&cluster.state()) {
                return true;
            }
            flood(&cluster, &stream, &id).await;
        }
        false
    };
    assert!(flooded.await, "never cut");
    // One that is read goes on.
    for _ in 0..3 {
        flood(&cluster, &reading, &other).await;
        for _ in 0..500 {
            reading.record().await.unwrap();
        }
    }
    assert!(cluster.state().framework(&other).unwrap().is_connected);
    cluster.shutdown().await;
}

/// A checkpointing framework with a running task.
async fn with_executor(cluster: &LocalCluster, test: &str) -> (Framework, ExecutorId) {
    let mut framework = register(cluster, test).await;
    let task = framework.run(test, RUN).await;
    (framework, task.executor.unwrap().executor_id)
}

/// What the executor of the tests says once it is subscribed again.
async fn executor_is_back(framework: &mut Framework) {
    framework
        .until("the executor", |callback| match callback {
            Callback::Status(status) if status.message() == REREGISTERED => Some(()),
            Callback::Status(status) => {
                assert_eq!(status.state(), TaskState::TaskRunning, "{status:?}");
                None
            }
            _ => None,
        })
        .await;
}

#[tokio::test]
async fn executors_subscribe_again_after_torn_records_and_garbage() {
    let cluster = cluster(|builder| builder).await;
    let (mut framework, id) = with_executor(&cluster, "torn-executor").await;
    let agent_id = cluster.state().tasks[0].agent_id.clone();
    for is_in_record in [true, false] {
        let is_cut = if is_in_record {
            cluster.disconnect_executor_in_record(&framework.id, &id)
        } else {
            cluster.disconnect_executor_after(&framework.id, &id, 5)
        };
        assert!(is_cut);
        let data = bytes::Bytes::from_static(b"something to be cut");
        let handle = &framework.handle;
        let sent = handle.send_framework_message(id.clone(), agent_id.clone(), data);
        sent.await.unwrap();
        executor_is_back(&mut framework).await;
    }
    assert!(cluster.send_garbage_to_executor(&framework.id, &id));
    executor_is_back(&mut framework).await;
    let nobody = "nobody".into();
    assert!(!cluster.send_garbage_to_executor(&framework.id, &nobody));
    assert!(!cluster.disconnect_executor_after(&framework.id, &nobody, 0));
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn refused_and_unanswered_executor_calls_lose_no_update() {
    let cluster = cluster(|builder| builder).await;
    let mut framework = register(&cluster, "unheard-executor").await;
    for is_lost in [false, true] {
        let task = framework.run(&format!("unheard-{is_lost}"), RUN).await;
        let settled =
            |state: &ClusterState| state.tasks.iter().all(|own| !own.awaits_acknowledgement);
        cluster.until(PATIENCE, settled).await.unwrap();
        if is_lost {
            cluster.lose_next_executor_answer();
        } else {
            cluster.refuse_next_executor_call(503, "busy").unwrap();
        }
        let executor_id = task.executor.unwrap().executor_id;
        let message: bytes::Bytes = finish(&task.task_id).into();
        let handle = &framework.handle;
        let sent = handle.send_framework_message(executor_id, task.agent_id, message);
        sent.await.unwrap();
        framework
            .comes_to(&task.task_id, TaskState::TaskFinished)
            .await;
    }
    let error = cluster.refuse_next_executor_call(0, "").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    framework.teardown().await;
    cluster.shutdown().await;
}
