//! Streams of realistic events, a master that writes one of them as fast as its socket takes it, and a scheduler that
//! counts what comes of it.

#![allow(dead_code, reason = "each bench uses a part of it")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use mesos_framework::proto::scheduler::{Event, event};
use mesos_framework::proto::{
    Address, AgentId, Attribute, ContainerId, ContainerStatus, ExecutorId, FrameworkInfo,
    NetworkInfo, Offer, Resource, TaskState, TaskStatus, Url, network_info, resource, task_status,
    value,
};
use mesos_framework::{
    ContentType, Scheduler, SchedulerDriver, SchedulerHandle, async_trait, recordio,
};
use prost::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

const MASTER: &str = "6b18a7fe-0e94-4350-8a63-fd119a563240";
const OFFERS_PER_EVENT: usize = 10;

/// What a stream is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// OFFERS of ten offers each, and one UPDATE behind them.
    Offers,
    /// UPDATEs, each of which is acknowledged.
    Updates,
}

impl Workload {
    pub(crate) const ALL: [(Self, ContentType); 4] = [
        (Self::Offers, ContentType::Protobuf),
        (Self::Offers, ContentType::Json),
        (Self::Updates, ContentType::Protobuf),
        (Self::Updates, ContentType::Json),
    ];

    pub(crate) fn name(self, content_type: ContentType) -> String {
        let codec = match content_type {
            ContentType::Protobuf => "protobuf",
            _ => "json",
        };
        format!("{self:?}-{codec}").to_lowercase()
    }

    /// So many events, each as one record.
    pub(crate) fn records(self, content_type: ContentType, events: usize) -> Vec<Bytes> {
        let mut records: Vec<_> = (0..events)
            .map(|number| match self {
                Self::Offers => record(content_type, &offers(number)),
                Self::Updates => record(content_type, &update(number)),
            })
            .collect();
        if self == Self::Offers {
            records.push(record(content_type, &update(events)));
        }
        records
    }
}

fn record(content_type: ContentType, event: &Event) -> Bytes {
    match content_type {
        ContentType::Protobuf => event.encode_to_vec().into(),
        _ => serde_json::to_vec(event).unwrap().into(),
    }
}

fn offers(number: usize) -> Event {
    let offers = (0..OFFERS_PER_EVENT).map(|at| offer(number * OFFERS_PER_EVENT + at));
    Event {
        r#type: Some(event::Type::Offers as i32),
        offers: Some(event::Offers {
            offers: offers.collect(),
        }),
        ..Event::default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn offer(number: usize) -> Offer {
    let agent = number % 500;
    let hostname = format!("node-{agent:03}.rack-{:02}.dc1.example.com", agent % 40);
    let ip = format!("10.{}.{}.17", agent % 40, agent % 250);
    let address = Address {
        hostname: Some(hostname.clone()),
        ip: Some(ip),
        port: 5051,
    };
    let allocation = || {
        Some(resource::AllocationInfo {
            role: Some("bench".into()),
        })
    };
    let first = 31_000 + agent as u64;
    let mut resources = vec![
        Resource::scalar("cpus", 4.0 + (agent % 60) as f64),
        Resource::scalar("mem", 8192.0 + 64.0 * agent as f64),
        Resource::scalar("disk", 102_400.0 + agent as f64),
        Resource::ranges("ports", [31_000..=first, first + 600..=first + 1000]),
    ];
    for resource in &mut resources {
        resource.allocation_info = allocation();
    }
    Offer {
        id: format!("{MASTER}-O{number:07}").into(),
        framework_id: format!("{MASTER}-0007").into(),
        agent_id: format!("{MASTER}-S{agent:03}").into(),
        hostname,
        url: Some(Url {
            scheme: "http".into(),
            address,
            path: Some("/slave(1)".into()),
            ..Url::default()
        }),
        resources,
        attributes: vec![
            text("rack", format!("rack-{:02}", agent % 40)),
            text("zone", format!("dc1-{}", agent % 3)),
            text("disk", "nvme".into()),
        ],
        allocation_info: allocation(),
        ..Offer::default()
    }
}

fn text(name: &str, value: String) -> Attribute {
    Attribute {
        name: name.into(),
        r#type: value::Type::Text as i32,
        text: Some(value::Text { value }),
        ..Attribute::default()
    }
}

fn update(number: usize) -> Event {
    let mut uuid = [0xa1; 16];
    uuid[8..].copy_from_slice(&(number as u64).to_be_bytes());
    let network = NetworkInfo {
        ip_addresses: vec![network_info::IpAddress {
            ip_address: Some("10.12.34.56".into()),
            ..network_info::IpAddress::default()
        }],
        ..NetworkInfo::default()
    };
    let container_id = ContainerId {
        value: "0d1c2a52-77d7-4bb0-9f3a-cc2e5d3e9b11".into(),
        ..ContainerId::default()
    };
    let status = TaskStatus {
        task_id: format!("bench.web.task-{number:07}-3f0a8f7e").into(),
        state: TaskState::TaskRunning as i32,
        source: Some(task_status::Source::Executor as i32),
        agent_id: Some(format!("{MASTER}-S123").into()),
        executor_id: Some("bench-executor".into()),
        timestamp: Some(1_795_347_499.950_828),
        uuid: Some(Bytes::copy_from_slice(&uuid)),
        container_status: Some(ContainerStatus {
            container_id: Some(container_id),
            network_infos: vec![network],
            ..ContainerStatus::default()
        }),
        ..TaskStatus::default()
    };
    Event {
        r#type: Some(event::Type::Update as i32),
        update: Some(event::Update { status }),
        ..Event::default()
    }
}

fn subscribed() -> Event {
    Event {
        r#type: Some(event::Type::Subscribed as i32),
        subscribed: Some(Box::new(event::Subscribed {
            framework_id: format!("{MASTER}-0007").into(),
            ..event::Subscribed::default()
        })),
        ..Event::default()
    }
}

/// The last event.
fn done() -> Event {
    Event {
        r#type: Some(event::Type::Message as i32),
        message: Some(event::Message {
            agent_id: "agent".into(),
            executor_id: "executor".into(),
            data: Bytes::from_static(b"done"),
        }),
        ..Event::default()
    }
}

/// A record in one HTTP chunk of its own, as a master writes it.
fn chunk(record: &[u8], stream: &mut Vec<u8>) {
    let mut framed = BytesMut::new();
    recordio::encode(record, &mut framed);
    stream.extend_from_slice(format!("{:x}\r\n", framed.len()).as_bytes());
    stream.extend_from_slice(&framed);
    stream.extend_from_slice(b"\r\n");
}

/// Serves one scheduler: it is subscribed, is sent the stream, and when so many calls were made, the last event.
pub(crate) struct Master {
    events: Vec<u8>,
    last: Vec<u8>,
    calls: usize,
    made: AtomicUsize,
    all_made: Notify,
}

impl Master {
    pub(crate) fn new(workload: Workload, content_type: ContentType, events: usize) -> Arc<Self> {
        let records = workload.records(content_type, events);
        let media_type = content_type.media_type();
        let mut stream = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: {media_type}\r\nMesos-Stream-Id: stream\r\n\r\n"
        )
        .into_bytes();
        chunk(&record(content_type, &subscribed()), &mut stream);
        for record in &records {
            chunk(record, &mut stream);
        }
        let mut last = Vec::new();
        chunk(&record(content_type, &done()), &mut last);
        let calls = match workload {
            Workload::Offers => 1,
            Workload::Updates => events,
        };
        Arc::new(Self {
            events: stream,
            last,
            calls,
            made: AtomicUsize::new(0),
            all_made: Notify::new(),
        })
    }

    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(Arc::clone(&self).connection(stream));
        }
    }

    async fn connection(self: Arc<Self>, mut stream: TcpStream) {
        let mut input = BytesMut::new();
        let mut answers = Vec::new();
        while stream.read_buf(&mut input).await.is_ok_and(|read| read > 0) {
            answers.clear();
            while let Some(is_call) = request(&mut input) {
                if !is_call {
                    return self.subscribe(stream).await;
                }
                answers.extend_from_slice(
                    b"HTTP/1.1 202 Accepted\r\nDate: Sun, 22 Nov 2026 19:30:00 GMT\r\nContent-Length: 0\r\n\r\n",
                );
                if self.made.fetch_add(1, Ordering::Relaxed) + 1 == self.calls {
                    self.all_made.notify_one();
                }
            }
            if stream.write_all(&answers).await.is_err() {
                return;
            }
        }
    }

    async fn subscribe(&self, mut stream: TcpStream) {
        if stream.write_all(&self.events).await.is_ok() {
            self.all_made.notified().await;
            stream.write_all(&self.last).await.unwrap();
            // Until the scheduler goes.
            let _ = stream.read(&mut [0; 1]).await;
        }
    }
}

/// Takes the next request out, if it is whole: whether it is a call under a subscription.
fn request(input: &mut BytesMut) -> Option<bool> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(input).unwrap() else {
        return None;
    };
    let value = |name: &str| {
        let mut named = request.headers.iter();
        let header = named.find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    let length: usize = value("Content-Length")?.parse().unwrap();
    let is_call = value("Mesos-Stream-Id").is_some();
    let whole = head + length;
    (input.len() >= whole).then(|| {
        drop(input.split_to(whole));
        is_call
    })
}

/// What has come.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    offers: usize,
    cpus: f64,
    updates: usize,
}

#[async_trait]
impl Scheduler for Counts {
    async fn resource_offers(&mut self, _: &SchedulerHandle, offers: Vec<Offer>) {
        self.offers += offers.len();
        let resources = offers.iter().flat_map(|offer| &offer.resources);
        let cpus = resources.filter(|resource| resource.name == "cpus");
        self.cpus += cpus
            .filter_map(|cpus| cpus.scalar.as_ref())
            .map(|scalar| scalar.value)
            .sum::<f64>();
    }

    async fn status_update(&mut self, _: &SchedulerHandle, _: TaskStatus) {
        self.updates += 1;
    }

    async fn framework_message(
        &mut self,
        driver: &SchedulerHandle,
        _: ExecutorId,
        _: AgentId,
        _: Bytes,
    ) {
        driver.stop_for_failover();
    }
}

/// Runs a driver on the whole stream, and checks that all of it came.
pub(crate) async fn run(
    master: SocketAddr,
    workload: Workload,
    content_type: ContentType,
    events: usize,
) {
    let info = FrameworkInfo::default();
    let driver = SchedulerDriver::builder(Counts::default(), info, &master.to_string());
    let mut driver = driver.content_type(content_type).build().unwrap();
    driver.start().unwrap();
    driver.join().await.unwrap();
    let seen: Counts = driver.into_scheduler().unwrap();
    let (offers, updates) = match workload {
        Workload::Offers => (events * OFFERS_PER_EVENT, 1),
        Workload::Updates => (0, events),
    };
    assert_eq!((seen.offers, seen.updates), (offers, updates));
    assert!(seen.cpus > 0.0 || offers == 0);
}

/// One thread, so that its work can be counted.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}
