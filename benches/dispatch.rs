//! Bytes in, callbacks out: streams of offers and of updates through a driver, each update acknowledged, against a floor
//! that takes the same records out of memory and decodes them into the same types.
//!
//!     cargo bench --bench dispatch
//!
//! The master is in another process, so that only the client's CPU is counted. Prints microseconds of CPU per event of the
//! driver, of the floor, and their ratio, which is what matters: medians of several rounds in one run. Linux only: CPU is
//! read from /proc.

#![allow(clippy::unwrap_used, reason = "a bench")]

mod firehose;

use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use bytes::{Bytes, BytesMut};
use firehose::{Master, Workload};
use mesos_framework::proto::scheduler::Event;
use mesos_framework::{ContentType, recordio};
use prost::Message as _;
use tokio::net::TcpListener;

/// Set in the master's process: the name of the workload.
const MASTER: &str = "DISPATCH_MASTER";
const ROUNDS: usize = 5;
const OFFERS_EVENTS: usize = 5_000;
const UPDATES: usize = 100_000;
/// As much as is read at a time.
const CHUNK: usize = 64 * 1024;

fn main() {
    if let Some(wanted) = std::env::var_os(MASTER) {
        return serve(wanted.to_str().unwrap());
    }
    println!(
        "{:>17} {:>13} {:>13} {:>7}",
        "us_cpu_per_event", "driver", "floor", "ratio"
    );
    for (workload, content_type) in Workload::ALL {
        let mut driver = Vec::new();
        let mut floor = Vec::new();
        let chunks = chunks(&workload.records(content_type, events(workload)));
        for _ in 0..ROUNDS {
            floor.push(cpu_us(|| decode(content_type, &chunks)));
            driver.push(through_driver(workload, content_type));
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let per_event = |times: Vec<f64>| median(times) / events(workload) as f64;
        let (driver, floor) = (per_event(driver), per_event(floor));
        println!(
            "{:>17} {driver:>13.2} {floor:>13.2} {:>7.2}",
            workload.name(content_type),
            driver / floor
        );
    }
}

const fn events(workload: Workload) -> usize {
    match workload {
        Workload::Offers => OFFERS_EVENTS,
        Workload::Updates => UPDATES,
    }
}

/// The stream in pieces of what is read at a time.
fn chunks(records: &[Bytes]) -> Vec<Bytes> {
    let mut stream = BytesMut::new();
    for record in records {
        recordio::encode(record, &mut stream);
    }
    let mut stream = stream.freeze();
    let mut chunks = Vec::new();
    while !stream.is_empty() {
        chunks.push(stream.split_to(stream.len().min(CHUNK)));
    }
    chunks
}

fn decode(content_type: ContentType, chunks: &[Bytes]) {
    let mut decoder = recordio::Decoder::new(usize::MAX);
    for chunk in chunks {
        decoder.feed(chunk.clone());
        while let Some(record) = decoder.next_record().unwrap() {
            black_box(decoded(content_type, &record));
        }
    }
}

/// What a record holds.
fn decoded(content_type: ContentType, record: &Bytes) -> Event {
    match content_type {
        ContentType::Protobuf => Event::decode(record.clone()).unwrap(),
        _ => serde_json::from_slice(record).unwrap(),
    }
}

fn through_driver(workload: Workload, content_type: ContentType) -> f64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env(MASTER, workload.name(content_type))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address: SocketAddr = line.trim().parse().unwrap();
    let used = cpu_us(|| {
        firehose::block_on(firehose::run(
            address,
            workload,
            content_type,
            events(workload),
        ));
    });
    drop(child.stdin.take());
    child.wait().unwrap();
    used
}

/// Runs until its standard input closes; prints its address.
fn serve(wanted: &str) {
    let named =
        |(workload, content_type): &(Workload, ContentType)| workload.name(*content_type) == wanted;
    let (workload, content_type) = Workload::ALL.into_iter().find(named).unwrap();
    let master = Master::new(workload, content_type, events(workload));
    std::thread::spawn(move || {
        firehose::block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            println!("{}", listener.local_addr().unwrap());
            master.serve(listener).await;
        });
    });
    let _ = std::io::stdin().read(&mut [0]);
}

/// CPU of this thread, which is the only one, and of the kernel for it.
fn cpu_us(work: impl FnOnce()) -> f64 {
    let before = nanoseconds();
    work();
    (nanoseconds() - before) / 1000.0
}

fn nanoseconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
