//! Acknowledgements in order, over a round trip of 0, 1 and 10 ms: through the driver, one at a time with reqwest, and a
//! floor that only writes and counts on a bare socket.
//!
//!     cargo bench --bench round_trip
//!
//! The master is a fake in another process, with proxies that delay, so that only the client's CPU is counted. It ends
//! the connection when calls come out of order. Fails if the driver makes fewer than 4,000 calls per second over 10 ms,
//! or takes more than a tenth of reqwest's CPU on loopback. Linux only: CPU is read from /proc.

#![allow(clippy::unwrap_used, reason = "a bench")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use mesos_framework::proto::scheduler::{Call, Event, call, event};
use mesos_framework::proto::{FrameworkInfo, Offer, TaskStatus};
use mesos_framework::{Scheduler, SchedulerDriver, SchedulerHandle, async_trait, recordio};
use prost::Message;

/// Set in the master's process.
const MASTER: &str = "ROUND_TRIP_MASTER";
const DELAYS: [u64; 3] = [0, 1, 10];
const WINDOW: usize = 64;
/// Longest time of one measurement.
const SPAN: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;
const PATH: &str = "/api/v1/scheduler";
const MEDIA_TYPE: &str = "application/x-protobuf";

fn main() {
    if std::env::var_os(MASTER).is_some() {
        return master();
    }
    // What reqwest wants as the crate sets it up, and never uses here.
    let provider = tokio_rustls::rustls::crypto::ring::default_provider();
    provider.install_default().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env(MASTER, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let addresses: Vec<SocketAddr> = lines
        .take(DELAYS.len())
        .map(|line| line.unwrap().parse().unwrap())
        .collect();
    println!("round_trip_ms      way  calls_per_s  cpu_us_per_call");
    let (mut rate_at_10, mut cpu) = (0.0, Vec::new());
    for (delay, address) in DELAYS.into_iter().zip(addresses) {
        for (name, way) in [
            ("floor", floor as fn(SocketAddr) -> Measured),
            ("driver", driver),
            ("window_1", one_in_flight),
            ("reqwest", reqwest),
        ] {
            let mut rounds: Vec<_> = (0..ROUNDS).map(|_| way(address)).collect();
            rounds.sort_by(|a, b| a.cpu_us.total_cmp(&b.cpu_us));
            let median = rounds[ROUNDS / 2];
            let (rate, used) = (median.rate, median.cpu_us);
            println!("{delay:>13} {name:>8} {rate:>12.0} {used:>16.2}");
            if delay == 0 {
                cpu.push(used);
            }
            if delay == 10 && name == "driver" {
                rate_at_10 = rate;
            }
        }
    }
    drop(child.stdin.take());
    child.wait().unwrap();
    let (floor, driver, reqwest) = (cpu[0], cpu[1], cpu[3]);
    println!(
        "CPU on loopback: driver / floor {:.1}, reqwest / driver {:.1}",
        driver / floor,
        reqwest / driver
    );
    assert!(rate_at_10 >= 4000.0, "{rate_at_10} calls/s over 10 ms");
    assert!(
        reqwest >= 10.0 * driver,
        "{driver} µs, and reqwest {reqwest}"
    );
}

#[derive(Clone, Copy)]
struct Measured {
    rate: f64,
    cpu_us: f64,
}

/// What is measured from its making to its end.
struct Meter {
    started: Instant,
    cpu: f64,
}

impl Meter {
    fn start() -> Self {
        Self {
            started: Instant::now(),
            cpu: cpu_seconds(),
        }
    }

    fn is_over(&self) -> bool {
        self.started.elapsed() >= SPAN
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn end(&self, calls: usize) -> Measured {
        Measured {
            rate: calls as f64 / self.started.elapsed().as_secs_f64(),
            cpu_us: (cpu_seconds() - self.cpu) * 1e6 / calls as f64,
        }
    }
}

/// Of all threads that this process has now.
fn cpu_seconds() -> f64 {
    let mut nanoseconds = 0.0;
    for thread in std::fs::read_dir("/proc/self/task").unwrap() {
        let Ok(text) = std::fs::read_to_string(thread.unwrap().path().join("schedstat")) else {
            continue;
        };
        let on_cpu = text.split(' ').next().unwrap();
        nanoseconds += on_cpu.parse::<f64>().unwrap();
    }
    nanoseconds / 1e9
}

fn acknowledge(number: usize) -> Call {
    let acknowledge = call::Acknowledge {
        agent_id: "0d7c9d7a-1c9e-4b8e-8a3b-2f1f5e6d7c8b-S0".into(),
        task_id: format!("{number}").into(),
        uuid: Bytes::from_static(&[0x40; 16]),
    };
    Call {
        r#type: Some(call::Type::Acknowledge as i32),
        acknowledge: Some(acknowledge),
        ..Call::default()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

struct Idle;

#[async_trait]
impl Scheduler for Idle {
    async fn resource_offers(&mut self, _: &SchedulerHandle, _: Vec<Offer>) {}
    async fn status_update(&mut self, _: &SchedulerHandle, _: TaskStatus) {}
}

fn driver(master: SocketAddr) -> Measured {
    through_driver(master, WINDOW)
}

fn one_in_flight(master: SocketAddr) -> Measured {
    through_driver(master, 1)
}

fn through_driver(master: SocketAddr, window: usize) -> Measured {
    runtime().block_on(async {
        let driver = SchedulerDriver::builder(Idle, FrameworkInfo::default(), &master.to_string());
        let mut driver = driver.calls_in_flight(window).build().unwrap();
        driver.start().unwrap();
        let handle = driver.handle();
        let mut watch = handle.watch_connection();
        watch.until(|now| now.is_subscribed()).await;
        let meter = Meter::start();
        let (mut calls, mut receipts) = (0, std::collections::VecDeque::new());
        while !meter.is_over() {
            for _ in 0..WINDOW {
                receipts.push_back(handle.call(acknowledge(calls)).await.unwrap());
                calls += 1;
            }
            while receipts.len() > 1024 {
                let receipt = receipts.pop_front().unwrap();
                assert!(receipt.outcome().await.is_accepted());
            }
        }
        for receipt in receipts {
            assert!(receipt.outcome().await.is_accepted());
        }
        let measured = meter.end(calls);
        handle.abort();
        driver.join().await.unwrap();
        measured
    })
}

fn reqwest(master: SocketAddr) -> Measured {
    runtime().block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{master}{PATH}");
        let meter = Meter::start();
        let mut calls = 0;
        while !meter.is_over() {
            let request = client
                .post(&url)
                .header("Content-Type", MEDIA_TYPE)
                .header("Accept", MEDIA_TYPE)
                .header("Mesos-Stream-Id", "stream")
                .body(acknowledge(calls).encode_to_vec());
            let response = request.send().await.unwrap();
            assert_eq!(response.status().as_u16(), 202);
            response.bytes().await.unwrap();
            calls += 1;
        }
        meter.end(calls)
    })
}

/// The least that a client must do: as many bytes, as many calls in flight, and a look for the ends of answers.
fn floor(master: SocketAddr) -> Measured {
    let mut stream = TcpStream::connect(master).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut request = BytesMut::new();
    let meter = Meter::start();
    let (mut sent, mut answered, mut input) = (0, 0, vec![0; 64 * 1024]);
    while !meter.is_over() || answered < sent {
        request.clear();
        while sent - answered < WINDOW && !meter.is_over() {
            let body = acknowledge(sent);
            let head = format!(
                "POST {PATH} HTTP/1.1\r\nHost: {master}\r\nUser-Agent: floor\r\nContent-Type: {MEDIA_TYPE}\r\n\
                 Accept: {MEDIA_TYPE}\r\nMesos-Stream-Id: stream\r\nContent-Length: {}\r\n\r\n",
                body.encoded_len()
            );
            request.extend_from_slice(head.as_bytes());
            body.encode(&mut request).unwrap();
            sent += 1;
        }
        stream.write_all(&request).unwrap();
        let count = stream.read(&mut input).unwrap();
        assert!(count > 0, "the master closed the connection");
        answered += input[..count]
            .split(|byte| *byte == b'\r')
            .filter(|line| line.starts_with(b"\nContent-Length"))
            .count();
    }
    meter.end(answered)
}

/// Runs until its standard input closes; prints an address for each delay.
fn master() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || answer(&stream.unwrap()));
        }
    });
    for delay in DELAYS {
        match delay {
            0 => println!("{address}"),
            _ => println!("{}", proxy(address, Duration::from_millis(delay) / 2)),
        }
    }
    let _ = std::io::stdin().read(&mut [0]);
}

/// Answers calls until the client goes: SUBSCRIBE with a stream, each other with 202, those of one read in one write.
fn answer(mut stream: &TcpStream) {
    stream.set_nodelay(true).unwrap();
    let (mut input, mut buffer) = (BytesMut::new(), vec![0; 64 * 1024]);
    let mut next = 0;
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        input.extend_from_slice(&buffer[..count]);
        let mut answers = Vec::new();
        while let Some(body) = request(&mut input) {
            let call = Call::decode(body).unwrap();
            if call.r#type() == call::Type::Subscribe {
                answers.extend_from_slice(&subscribed());
                continue;
            }
            let number = call.acknowledge.unwrap().task_id.value;
            if number != format!("{next}") {
                eprintln!("call {number} in place of {next}");
                return;
            }
            next += 1;
            answers.extend_from_slice(
                b"HTTP/1.1 202 Accepted\r\nDate: Sun, 22 Nov 2026 19:30:00 GMT\r\nContent-Length: 0\r\n\r\n",
            );
        }
        if stream.write_all(&answers).is_err() {
            return;
        }
    }
}

/// The body of the next request, if it is there.
fn request(input: &mut BytesMut) -> Option<Bytes> {
    let head = input.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&input[..head]).unwrap();
    let mut lengths = text.lines().filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then_some(value)
    });
    let length: usize = lengths.next_back().unwrap().parse().unwrap();
    if input.len() < head + length {
        return None;
    }
    let mut request = input.split_to(head + length);
    Some(request.split_off(head).freeze())
}

fn subscribed() -> Vec<u8> {
    let subscribed = event::Subscribed {
        framework_id: "0d7c9d7a-1c9e-4b8e-8a3b-2f1f5e6d7c8b-0000".into(),
        ..event::Subscribed::default()
    };
    let event = Event {
        r#type: Some(event::Type::Subscribed as i32),
        subscribed: Some(Box::new(subscribed)),
        ..Event::default()
    };
    let mut record = BytesMut::new();
    recordio::encode(&event.encode_to_vec(), &mut record);
    let head = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: {MEDIA_TYPE}\r\n\
         Mesos-Stream-Id: stream\r\n\r\n{:x}\r\n",
        record.len()
    );
    [head.as_bytes(), &record, b"\r\n"].concat()
}

/// Passes everything on after `delay`, in either direction.
fn proxy(to: SocketAddr, delay: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for front in listener.incoming() {
            let front = front.unwrap();
            let back = TcpStream::connect(to).unwrap();
            for stream in [&front, &back] {
                stream.set_nodelay(true).unwrap();
            }
            pass(front.try_clone().unwrap(), back.try_clone().unwrap(), delay);
            pass(back, front, delay);
        }
    });
    address
}

fn pass(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (sender, receiver) = mpsc::sync_channel::<(Instant, Vec<u8>)>(10_000);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let due = Instant::now() + delay;
            if sender.send((due, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (due, bytes) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}
