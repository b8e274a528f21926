//! A bare HTTP/1.1 client: a scheduler, or an executor, as any other language would write it.

use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use prost::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use uuid::Uuid;

use crate::proto::scheduler::{Call, Event, call, event};
use crate::proto::{
    CommandInfo, ExecutorInfo, FrameworkId, FrameworkInfo, Offer, TaskInfo, TaskState, TaskStatus,
    executor, framework_info, offer, task_status,
};
use crate::recordio::Decoder;
use crate::resources::Resources;

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(20);
const PROTOBUF: &str = "application/x-protobuf";

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }
}

/// One request on a connection of its own, with these headers.
pub(super) async fn request(
    address: &str,
    start: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (Answer, Connection) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut head = format!("{start} HTTP/1.1\r\nHost: {address}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut connection = Connection {
        stream,
        read: BytesMut::new(),
    };
    let answer = timeout(LIMIT, connection.answer()).await.unwrap();
    (answer, connection)
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    read: BytesMut,
}

impl Connection {
    /// Head, and the body unless it is a stream.
    async fn answer(&mut self) -> Answer {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            assert!(self.fill().await, "connection closed before the head ended");
        };
        let head = self.read.split_to(end + 4);
        let head = String::from_utf8(head.to_vec()).unwrap();
        let status = head[9..12].parse().unwrap();
        let mut answer = Answer {
            status,
            head,
            body: String::new(),
        };
        if let Some(length) = answer.header("content-length") {
            let length: usize = length.parse().unwrap();
            while self.read.len() < length {
                assert!(self.fill().await, "connection closed inside the body");
            }
            answer.body = String::from_utf8(self.read.split_to(length).to_vec()).unwrap();
        }
        answer
    }

    async fn fill(&mut self) -> bool {
        self.stream.read_buf(&mut self.read).await.unwrap_or(0) > 0
    }

    /// The next chunk; `None` at the last one, or when the connection is cut.
    async fn chunk(&mut self) -> Option<Bytes> {
        loop {
            if let Some(end) = self.read.windows(2).position(|two| two == b"\r\n") {
                let size = std::str::from_utf8(&self.read[..end]).unwrap();
                let size = usize::from_str_radix(size, 16).unwrap();
                if self.read.len() >= end + 2 + size + 2 {
                    self.read.advance(end + 2);
                    let chunk = self.read.split_to(size).freeze();
                    self.read.advance(2);
                    return (size > 0).then_some(chunk);
                }
            }
            if !self.fill().await {
                return None;
            }
        }
    }
}

/// A stream of events.
#[derive(Debug)]
pub(super) struct Events<E> {
    connection: Connection,
    decoder: Decoder,
    event: std::marker::PhantomData<E>,
}

impl<E: Message + Default> Events<E> {
    fn of(connection: Connection) -> Self {
        Self {
            connection,
            decoder: Decoder::new(1 << 24),
            event: std::marker::PhantomData,
        }
    }

    /// The next event; `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> Option<E> {
        loop {
            if let Some(record) = self.decoder.next_record().unwrap() {
                return Some(E::decode(record).unwrap());
            }
            let chunk = timeout(LIMIT, self.connection.chunk()).await;
            self.decoder.feed(chunk.expect("no event in time")?);
        }
    }

    /// The first event that `wanted` takes; earlier ones are thrown away.
    pub(super) async fn find<T>(&mut self, wanted: impl Fn(&E) -> Option<T>) -> T {
        let search = async {
            loop {
                let event = self.next().await.expect("the stream ended");
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        };
        timeout(LIMIT, search).await.expect("no such event in time")
    }
}

/// A subscribed scheduler.
#[derive(Debug)]
pub(super) struct Scheduler {
    address: String,
    pub(super) id: FrameworkId,
    pub(super) stream_id: String,
    pub(super) events: Events<Event>,
}

/// A framework with everything that is modern, which survives disconnections.
pub(super) fn framework() -> FrameworkInfo {
    use framework_info::{Capability, capability::Type};
    let capabilities = [
        Type::MultiRole,
        Type::ReservationRefinement,
        Type::PartitionAware,
    ];
    FrameworkInfo {
        user: "root".to_owned(),
        name: "test".to_owned(),
        roles: vec!["web".to_owned()],
        failover_timeout: Some(3600.0),
        capabilities: capabilities
            .map(|own| Capability {
                r#type: Some(own.into()),
            })
            .to_vec(),
        ..Default::default()
    }
}

pub(super) fn subscribe_call(info: &FrameworkInfo) -> Call {
    Call {
        framework_id: info.id.clone(),
        r#type: Some(call::Type::Subscribe.into()),
        subscribe: Some(Box::new(call::Subscribe {
            framework_info: info.clone(),
            ..Default::default()
        })),
        ..Default::default()
    }
}

pub(super) fn call(kind: call::Type) -> Call {
    Call {
        r#type: Some(kind.into()),
        ..Default::default()
    }
}

/// Posts a SUBSCRIBE; the answer and its events, whatever they are.
pub(super) async fn subscribe(address: &str, info: &FrameworkInfo) -> (Answer, Events<Event>) {
    let headers = [("Content-Type", PROTOBUF), ("Accept", PROTOBUF)];
    let body = subscribe_call(info).encode_to_vec();
    let (answer, connection) = request(address, "POST /api/v1/scheduler", &headers, &body).await;
    (answer, Events::of(connection))
}

impl Scheduler {
    pub(super) async fn start(address: &str, info: &FrameworkInfo) -> Self {
        let (answer, mut events) = subscribe(address, info).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let first = events.next().await.expect("a first event");
        let subscribed = first.subscribed.expect("SUBSCRIBED first");
        Self {
            address: address.to_owned(),
            id: subscribed.framework_id,
            stream_id: answer.header("mesos-stream-id").unwrap().to_owned(),
            events,
        }
    }

    pub(super) async fn call(&self, call: Call) -> Answer {
        let call = Call {
            framework_id: Some(self.id.clone()),
            ..call
        };
        let headers = [
            ("Content-Type", PROTOBUF),
            ("Mesos-Stream-Id", self.stream_id.as_str()),
        ];
        let body = call.encode_to_vec();
        let path = "POST /master/api/v1/scheduler";
        request(&self.address, path, &headers, &body).await.0
    }

    pub(super) async fn send(&self, call: Call) {
        let answer = self.call(call).await;
        assert_eq!((answer.status, answer.body.as_str()), (202, ""));
    }

    pub(super) async fn offer(&mut self) -> Offer {
        self.events
            .find(|event| {
                event
                    .offers
                    .as_ref()
                    .and_then(|own| own.offers.first().cloned())
            })
            .await
    }

    pub(super) async fn update(&mut self) -> TaskStatus {
        self.events
            .find(|event| event.update.as_ref().map(|own| own.status.clone()))
            .await
    }

    pub(super) async fn failure(&mut self) -> event::Failure {
        self.events.find(|event| event.failure.clone()).await
    }

    pub(super) async fn launch(&self, offer: &Offer, tasks: Vec<TaskInfo>) {
        let launch = offer::Operation {
            r#type: Some(offer::operation::Type::Launch.into()),
            launch: Some(offer::operation::Launch { task_infos: tasks }),
            ..Default::default()
        };
        self.accept(offer, launch).await;
    }

    pub(super) async fn accept(&self, offer: &Offer, operation: offer::Operation) {
        let mut accept = call(call::Type::Accept);
        accept.accept = Some(call::Accept {
            offer_ids: vec![offer.id.clone()],
            operations: vec![operation],
            ..Default::default()
        });
        self.send(accept).await;
    }

    pub(super) async fn acknowledge(&self, status: &TaskStatus) {
        let mut acknowledge = call(call::Type::Acknowledge);
        acknowledge.acknowledge = Some(call::Acknowledge {
            agent_id: status.agent_id.clone().unwrap(),
            task_id: status.task_id.clone(),
            uuid: status.uuid.clone().unwrap(),
        });
        self.send(acknowledge).await;
    }

    pub(super) async fn reconcile(&self, tasks: Vec<call::reconcile::Task>) {
        let mut reconcile = call(call::Type::Reconcile);
        reconcile.reconcile = Some(call::Reconcile { tasks });
        self.send(reconcile).await;
    }

    pub(super) async fn kill(&self, task: &str) {
        let mut kill = call(call::Type::Kill);
        kill.kill = Some(call::Kill {
            task_id: task.into(),
            ..Default::default()
        });
        self.send(kill).await;
    }
}

/// A task for `offer`, whose executor is this shell command.
pub(super) fn task(offer: &Offer, id: &str, command: &str) -> TaskInfo {
    let resources = Resources::parse("cpus:0.1;mem:32").unwrap().to_protos();
    TaskInfo {
        name: id.to_owned(),
        task_id: id.into(),
        agent_id: offer.agent_id.clone(),
        resources: resources.clone(),
        executor: Some(ExecutorInfo {
            executor_id: "executor".into(),
            resources,
            command: Some(CommandInfo {
                value: Some(command.to_owned()),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Speaks for an executor whose process only sleeps.
#[derive(Debug)]
pub(super) struct Executor {
    address: String,
    framework_id: FrameworkId,
    pub(super) events: Events<executor::Event>,
}

impl Executor {
    /// Subscribes, as often as the agent does not know the executor yet.
    pub(super) async fn start(address: &str, framework_id: &FrameworkId) -> Self {
        let subscribe = executor::Call {
            executor_id: "executor".into(),
            framework_id: framework_id.clone(),
            r#type: Some(executor::call::Type::Subscribe.into()),
            subscribe: Some(executor::call::Subscribe::default()),
            ..Default::default()
        };
        let headers = [("Content-Type", PROTOBUF), ("Accept", PROTOBUF)];
        let body = subscribe.encode_to_vec();
        let path = "POST /slave(1)/api/v1/executor";
        let (answer, connection) = request(address, path, &headers, &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        Self {
            address: address.to_owned(),
            framework_id: framework_id.clone(),
            events: Events::of(connection),
        }
    }

    pub(super) async fn update(&self, task: &str, state: TaskState) -> Answer {
        let status = TaskStatus {
            task_id: task.into(),
            state: state.into(),
            source: Some(task_status::Source::Executor.into()),
            executor_id: Some("executor".into()),
            uuid: Some(Bytes::copy_from_slice(Uuid::new_v4().as_bytes())),
            ..Default::default()
        };
        self.send(status).await
    }

    pub(super) async fn send(&self, status: TaskStatus) -> Answer {
        let update = executor::Call {
            executor_id: "executor".into(),
            framework_id: self.framework_id.clone(),
            r#type: Some(executor::call::Type::Update.into()),
            update: Some(executor::call::Update { status }),
            ..Default::default()
        };
        let headers = [("Content-Type", PROTOBUF)];
        let body = update.encode_to_vec();
        let path = "POST /slave%281%29/api/v1/executor";
        request(&self.address, path, &headers, &body).await.0
    }
}
