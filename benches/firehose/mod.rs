//! Streams of realistic events, a master that writes one of them as fast as its socket takes it, and a scheduler that
//! counts what comes of it.

#![allow(dead_code, reason = "each bench uses a part of it")]

#[path = "../support/events.rs"]
mod events;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use mesos_framework::proto::scheduler::Event;
use mesos_framework::proto::{AgentId, ExecutorId, FrameworkInfo, Offer, TaskStatus};
use mesos_framework::{
    ContentType, Scheduler, SchedulerDriver, SchedulerHandle, async_trait, recordio,
};
use prost::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use events::OFFERS_PER_EVENT;

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
                Self::Offers => record(content_type, &events::offers(number)),
                Self::Updates => record(content_type, &events::update(number)),
            })
            .collect();
        if self == Self::Offers {
            records.push(record(content_type, &events::update(events)));
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
        chunk(&record(content_type, &events::subscribed()), &mut stream);
        for record in &records {
            chunk(record, &mut stream);
        }
        let mut last = Vec::new();
        chunk(&record(content_type, &events::done()), &mut last);
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
