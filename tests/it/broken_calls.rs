//! The calls' connection broken at every byte, of what is asked and of what is answered: what a whole driver makes of it.

use std::sync::{Arc, Mutex};

use mesos_framework::proto::scheduler::Call;
use mesos_framework::{Outcome, SchedulerDriver};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::peer::{subscribed, within};
use crate::recorder::{nothing, recorder_that};
use crate::support::{SOON, framework, outcome};

const CALLS: [&str; 4] = ["a", "b", "c", "d"];
/// The second call is refused, all others are accepted.
const REFUSED: &str = "b";
/// Drivers that run at a time.
const AT_A_TIME: usize = 8;

/// Where the first connection for calls ends.
#[derive(Clone, Copy, Debug)]
enum Break {
    /// Behind so many bytes of the requests.
    Asked(usize),
    /// Behind so many bytes of the answers.
    Answered(usize),
}

/// Calls that came whole, and whether the peer has told what became of them.
type Log = Vec<(String, bool)>;

/// The length of the first request of `bytes`, if it is whole, and its body.
fn request(bytes: &[u8]) -> Option<(usize, Call)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).unwrap().to_lowercase();
    let (_, length) = head.split_once("content-length: ").unwrap();
    let length: usize = length.lines().next().unwrap().parse().unwrap();
    let body = bytes.get(end..end + length)?;
    Some((end + length, Call::decode(body).unwrap()))
}

fn answer(task: &str) -> &'static [u8] {
    match task {
        REFUSED => b"HTTP/1.1 400 X\r\nContent-Length: 8\r\n\r\nnonsense",
        _ => b"HTTP/1.1 202 X\r\nContent-Length: 0\r\n\r\n",
    }
}

/// A status counts with its head.
fn head_of(answer: &[u8]) -> usize {
    answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
        + 4
}

/// Serves a connection, which ends behind as much as `end` says.
async fn serve(mut stream: TcpStream, end: Option<Break>, log: Arc<Mutex<Log>>) {
    let (mut asks, mut answers) = match end {
        Some(Break::Asked(bytes)) => (bytes, usize::MAX),
        Some(Break::Answered(bytes)) => (usize::MAX, bytes),
        None => (usize::MAX, usize::MAX),
    };
    let (mut buffer, mut chunk) = (Vec::new(), [0; 1024]);
    while asks > 0 && answers > 0 {
        let length = asks.min(chunk.len());
        let read = match stream.read(&mut chunk[..length]).await {
            Ok(read) if read > 0 => read,
            _ => return,
        };
        asks -= read;
        buffer.extend_from_slice(&chunk[..read]);
        while let Some((length, call)) = request(&buffer) {
            buffer.drain(..length);
            let Some(kill) = call.kill else {
                return subscription(stream).await;
            };
            let answer = answer(&kill.task_id.value);
            let part = &answer[..answers.min(answer.len())];
            let is_told = part.len() >= head_of(answer);
            log.lock().unwrap().push((kill.task_id.value, is_told));
            answers -= part.len();
            if stream.write_all(part).await.is_err() {
                return;
            }
        }
    }
}

async fn subscription(mut stream: TcpStream) {
    let head =
        b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-protobuf\r\n\
        Mesos-Stream-Id: stream\r\n\r\n";
    let mut record = bytes::BytesMut::new();
    let event = subscribed("f", Some(15.0)).encode_to_vec();
    mesos_framework::recordio::encode(&event, &mut record);
    let chunk = [
        format!("{:x}\r\n", record.len()).as_bytes(),
        &record,
        b"\r\n",
    ]
    .concat();
    let _ = stream.write_all(head).await;
    let _ = stream.write_all(&chunk).await;
    // Until the driver goes.
    while matches!(stream.read(&mut [0; 64]).await, Ok(read) if read > 0) {}
}

/// What became of each call.
async fn run(end: Break) -> (Vec<Outcome>, Log) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let log = Arc::new(Mutex::new(Log::new()));
    let log_of_peer = Arc::clone(&log);
    let peer = async move {
        let mut connections = JoinSet::new();
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            // What was said is on its way before the connection is reset.
            stream.set_nodelay(true).unwrap();
            // The first one carries the subscription, the second one calls.
            let end = (number == 1).then_some(end);
            connections.spawn(serve(stream, end, Arc::clone(&log_of_peer)));
        }
    };
    let calls = async {
        let (scheduler, _recording) = recorder_that(|_, _| nothing());
        let builder = SchedulerDriver::builder(scheduler, framework(), &address).backoff(SOON);
        let mut driver = builder.calls_in_flight(3).build().unwrap();
        driver.start().unwrap();
        let handle = driver.handle();
        let mut watch = handle.watch_connection();
        watch.until(|now| now.is_subscribed()).await;
        let mut receipts = Vec::new();
        for call in CALLS {
            receipts.push(handle.kill_task(call.into(), None).await.unwrap());
        }
        let mut outcomes = Vec::new();
        for receipt in receipts {
            outcomes.push(outcome(receipt).await);
        }
        handle.abort();
        driver.join().await.unwrap();
        outcomes
    };
    let outcomes = tokio::select! {
        () = peer => unreachable!("it serves for ever"),
        outcomes = within("the calls' ends", calls) => outcomes,
    };
    let log = log.lock().unwrap().clone();
    (outcomes, log)
}

/// Checks every outcome against what the peer has seen and said.
async fn check(end: Break) {
    let (outcomes, log) = run(end).await;
    // In order, and none twice.
    assert!(
        log.is_sorted_by(|one, next| one.0 < next.0),
        "{end:?}: {log:?}"
    );
    for (call, outcome) in CALLS.iter().zip(&outcomes) {
        let seen = log.iter().find(|(seen, _)| seen == call);
        let is_right = match (seen, outcome) {
            (Some((_, true)), Outcome::Refused { status: 400, .. }) => *call == REFUSED,
            (Some((_, true)), Outcome::Accepted) => *call != REFUSED,
            (Some((_, false)), Outcome::Unknown(_)) => true,
            // It may have been written whole all the same; the others only once the peer has taken the first.
            (None, Outcome::Unknown(_)) => {
                *call == CALLS[0] || log.iter().any(|(seen, _)| seen == CALLS[0])
            }
            // The connection ended before it carried anything: the peer could not be reached.
            (None, Outcome::NotSent(_)) => *call == CALLS[0],
            _ => false,
        };
        assert!(
            is_right,
            "{end:?}: {call}: {outcome:?}, and the peer saw {log:?}"
        );
    }
    // What was not sent for sure goes out over another connection.
    let told = outcomes
        .iter()
        .filter(|outcome| !matches!(outcome, Outcome::Unknown(_)))
        .count();
    assert!(told > 0, "{end:?}: {outcomes:?}");
}

async fn check_all(ends: impl Iterator<Item = Break>) {
    let mut running = JoinSet::new();
    for end in ends {
        if running.len() >= AT_A_TIME {
            running.join_next().await.unwrap().unwrap();
        }
        running.spawn(check(end));
    }
    while let Some(checked) = running.join_next().await {
        checked.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_break_at_every_byte_of_the_requests_leaves_no_call_with_a_wrong_outcome() {
    // Each request has between 200 and 300 bytes.
    check_all((1..=CALLS.len() * 300).map(Break::Asked)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_break_at_every_byte_of_the_answers_leaves_no_call_with_a_wrong_outcome() {
    let all: usize = CALLS.iter().map(|call| answer(call).len()).sum();
    check_all((1..=all).map(Break::Answered)).await;
}
