//! Otherwise idle, over loopback: from an update's last byte on the wire to its callback, and from the callback's end to the
//! acknowledgement at the master. The floor is an echo between two threads on bare sockets.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mesos_framework::proto::scheduler::{Call, Event, call, event};
use mesos_framework::proto::{FrameworkInfo, Offer, TaskState, TaskStatus};
use mesos_framework::{Scheduler, SchedulerDriver, SchedulerHandle, async_trait};
use prost::Message as _;

use crate::wire;

const UPDATES: usize = 5_000;
/// Between an acknowledgement and the next update.
const PAUSE: Duration = Duration::from_millis(1);
/// Of an update and its acknowledgement.
const SIZES: (usize, usize) = (300, 350);

/// When something was written, and when it was read, there and back again.
#[derive(Default)]
struct Times {
    there: Vec<Duration>,
    back: Vec<Duration>,
}

pub(crate) fn measure() {
    println!("latency in µs          p50     p99   p99.9");
    let floor = echo();
    let driver = driver();
    for (name, driver, floor) in [
        ("event to callback", driver.there, floor.there),
        ("callback to call", driver.back, floor.back),
    ] {
        let (driver, floor) = (shares(driver), shares(floor));
        println!("{name:>18}  {}", text(driver));
        println!("{:>18}  {}", "echo", text(floor));
        println!(
            "{:>18}  {:>7.1} {:>7.1} {:>7.1}",
            "ratio",
            driver[0] / floor[0],
            driver[1] / floor[1],
            driver[2] / floor[2]
        );
    }
}

fn text(shares: [f64; 3]) -> String {
    shares.map(|share| format!("{share:>7.0}")).join(" ")
}

fn shares(mut times: Vec<Duration>) -> [f64; 3] {
    times.sort();
    [500, 990, 999]
        .map(|of_a_thousand| times[times.len() * of_a_thousand / 1000].as_secs_f64() * 1e6)
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    for stream in [&near, &far] {
        stream.set_nodelay(true).unwrap();
    }
    (near, far)
}

fn echo() -> Times {
    let (mut near, mut far) = pair();
    let echo = thread::spawn(move || {
        let mut read = Vec::new();
        let mut buffer = vec![0; SIZES.0];
        while near.read_exact(&mut buffer).is_ok() {
            read.push(Instant::now());
            near.write_all(&vec![1; SIZES.1]).unwrap();
        }
        read
    });
    let (mut written, mut answered) = (Vec::new(), Vec::new());
    let mut buffer = vec![0; SIZES.1];
    for _ in 0..UPDATES {
        thread::sleep(PAUSE);
        written.push(Instant::now());
        far.write_all(&vec![1; SIZES.0]).unwrap();
        far.read_exact(&mut buffer).unwrap();
        answered.push(Instant::now());
    }
    drop(far);
    let read = echo.join().unwrap();
    Times {
        there: differences(&written, &read),
        back: differences(&read, &answered),
    }
}

fn differences(from: &[Instant], to: &[Instant]) -> Vec<Duration> {
    assert_eq!(from.len(), to.len());
    from.iter()
        .zip(to)
        .map(|(from, to)| to.duration_since(*from))
        .collect()
}

fn driver() -> Times {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let called = Arc::new(Mutex::new(Vec::new()));
    let master = thread::spawn(move || serve(&listener));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let scheduler = Timed(Arc::clone(&called));
    runtime.block_on(async {
        let builder =
            SchedulerDriver::builder(scheduler, FrameworkInfo::default(), &address.to_string());
        let mut driver = builder.build().unwrap();
        driver.start().unwrap();
        driver.join().await.unwrap();
    });
    let (written, answered) = master.join().unwrap();
    let called = called.lock().unwrap();
    Times {
        there: differences(&written, &called),
        back: differences(&called, &answered),
    }
}

/// Ends with the last update.
struct Timed(Arc<Mutex<Vec<Instant>>>);

#[async_trait]
impl Scheduler for Timed {
    async fn resource_offers(&mut self, _: &SchedulerHandle, _: Vec<Offer>) {}

    async fn status_update(&mut self, driver: &SchedulerHandle, status: TaskStatus) {
        if status.state() == TaskState::TaskFinished {
            driver.stop_for_failover();
            return;
        }
        self.0.lock().unwrap().push(Instant::now());
    }
}

fn update(state: TaskState) -> Vec<u8> {
    let status = TaskStatus {
        task_id: "bench.web.task-0000000-3f0a8f7e".into(),
        agent_id: Some("6b18a7fe-0e94-4350-8a63-fd119a563240-S123".into()),
        state: state as i32,
        uuid: Some(vec![0x40; 16].into()),
        timestamp: Some(1_795_347_499.950_828),
        ..TaskStatus::default()
    };
    wire::chunk(&Event {
        r#type: Some(event::Type::Update as i32),
        update: Some(event::Update { status }),
        ..Event::default()
    })
}

/// Tells when each update was written, and when its acknowledgement was read.
fn serve(listener: &TcpListener) -> (Vec<Instant>, Vec<Instant>) {
    let (mut events, _) = listener.accept().unwrap();
    events.set_nodelay(true).unwrap();
    next_call(&mut events, &mut BytesMut::new());
    events.write_all(&wire::subscribed()).unwrap();
    let (mut calls, mut input) = (None, BytesMut::new());
    let (mut written, mut answered) = (Vec::new(), Vec::new());
    let running = update(TaskState::TaskRunning);
    for _ in 0..UPDATES {
        thread::sleep(PAUSE);
        written.push(Instant::now());
        events.write_all(&running).unwrap();
        let calls = calls.get_or_insert_with(|| {
            let (calls, _) = listener.accept().unwrap();
            calls.set_nodelay(true).unwrap();
            calls
        });
        let call = next_call(calls, &mut input);
        answered.push(Instant::now());
        assert_eq!(call.r#type(), call::Type::Acknowledge);
        calls.write_all(wire::ACCEPTED).unwrap();
    }
    events.write_all(&update(TaskState::TaskFinished)).unwrap();
    // The driver leaves.
    let _ = events.read(&mut [0]);
    (written, answered)
}

fn next_call(stream: &mut TcpStream, input: &mut BytesMut) -> Call {
    let mut buffer = [0; 4096];
    loop {
        if let Some(body) = wire::request(input) {
            return Call::decode(body).unwrap();
        }
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the driver closed the connection");
        input.extend_from_slice(&buffer[..count]);
    }
}
