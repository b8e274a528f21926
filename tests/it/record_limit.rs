//! `max_record_size`: what a peer announces, and what it then sends, takes no more memory than that.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mesos_framework::proto::executor;
use mesos_framework::proto::scheduler::{self, event};
use mesos_framework::{ErrorKind, ExecutorDriver, ExecutorHandle, SchedulerHandle, recordio};
use prost::Message as _;

use crate::executor_recorder::{self, CHECKPOINT, config};
use crate::peer::{Peer, Stream};
use crate::recorder;
use crate::support::{Rig, bare};

/// A driver of either kind, subscribed with its peer.
enum Client {
    Scheduler(Box<Rig>),
    Executor(Box<Executing>),
}

struct Executing {
    peer: Peer,
    driver: ExecutorDriver,
    recording: executor_recorder::Recording,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Scheduler,
    Executor,
}

const KINDS: [Kind; 2] = [Kind::Scheduler, Kind::Executor];

impl Client {
    async fn start(kind: Kind, limit: usize) -> (Self, Stream) {
        match kind {
            Kind::Scheduler => {
                let mut rig = Rig::configured(|builder| builder.max_record_size(limit)).await;
                let stream = rig.subscribe().await;
                (Self::Scheduler(Box::new(rig)), stream)
            }
            Kind::Executor => {
                let mut peer = Peer::bind().await;
                let (executor, mut recording) = executor_recorder::recorder();
                let builder = ExecutorDriver::builder(executor).max_record_size(limit);
                let builder = builder.config(config(peer.address(), &CHECKPOINT));
                let mut driver = builder.build().unwrap();
                driver.start().unwrap();
                let (_, stream) = executor_recorder::subscribe(&mut peer).await;
                recording.expect(&["registered"]).await;
                let executing = Executing {
                    peer,
                    driver,
                    recording,
                };
                (Self::Executor(Box::new(executing)), stream)
            }
        }
    }

    /// The stream is left for this reason, the loss is told, and another subscription stands.
    async fn subscribes_again(&mut self, why: &str) -> Stream {
        let (stream, error) = match self {
            Self::Scheduler(rig) => {
                rig.recording.disconnected().await;
                let stream = rig.resubscribe().await;
                let handle: &SchedulerHandle = &rig.handle;
                (stream, handle.connection().last_error)
            }
            Self::Executor(executing) => {
                let Executing {
                    peer,
                    driver,
                    recording,
                } = &mut **executing;
                recording.expect(&["disconnected"]).await;
                let (_, stream) = executor_recorder::subscribe(peer).await;
                recording.expect(&["reregistered"]).await;
                let handle: ExecutorHandle = driver.handle();
                (stream, handle.connection().last_error)
            }
        };
        let error = error.expect("why the subscription was lost");
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().ends_with(why), "{error}");
        stream
    }

    /// The next callback is a message with these data.
    async fn is_told(&mut self, expected: &[u8]) {
        let data = match self {
            Self::Scheduler(rig) => match rig.recording.next().await {
                recorder::Callback::Message(_, _, data) => data,
                other => panic!("message expected: {other:?}"),
            },
            Self::Executor(own) => match own.recording.next().await {
                executor_recorder::Callback::Message(data) => data,
                other => panic!("message expected: {other:?}"),
            },
        };
        assert!(data == expected, "{} bytes of another message", data.len());
    }
}

impl Kind {
    /// A MESSAGE event with these data, as a record.
    fn message(self, data: &Bytes) -> Vec<u8> {
        let data = data.clone();
        match self {
            Self::Scheduler => scheduler::Event {
                message: Some(event::Message {
                    agent_id: "a".into(),
                    executor_id: "e".into(),
                    data,
                }),
                ..bare(event::Type::Message)
            }
            .encode_to_vec(),
            Self::Executor => executor::Event {
                r#type: Some(executor::event::Type::Message as i32),
                message: Some(executor::event::Message { data }),
                ..executor::Event::default()
            }
            .encode_to_vec(),
        }
    }

    /// A MESSAGE event that is as long as that, and its data.
    fn message_of(self, length: usize) -> (Vec<u8>, Bytes) {
        let rest = self.message(&vec![7; length].into()).len() - length;
        let data = Bytes::from(vec![7; length - rest]);
        let record = self.message(&data);
        assert_eq!(record.len(), length);
        (record, data)
    }
}

fn framed(record: &[u8]) -> BytesMut {
    let mut framed = BytesMut::new();
    recordio::encode(record, &mut framed);
    framed
}

#[tokio::test]
async fn a_record_longer_than_the_limit_is_refused_by_its_header() {
    for kind in KINDS {
        let (mut client, mut stream) = Client::start(kind, 1000).await;
        for (header, why) in [
            (
                "1001\n",
                "record of 1001 bytes is longer than the limit of 1000 bytes",
            ),
            (
                "4294967296\n",
                "record of 4294967296 bytes is longer than the limit of 1000 bytes",
            ),
            (
                "18446744073709551615\n",
                "record of 18446744073709551615 bytes is longer than the limit of 1000 bytes",
            ),
        ] {
            stream.chunk(header.as_bytes()).await;
            stream.closed().await;
            stream = client.subscribes_again(why).await;
        }
    }
}

#[tokio::test]
async fn a_length_without_an_end_is_refused_at_its_21st_digit() {
    for kind in KINDS {
        let (mut client, stream) = Client::start(kind, 1000).await;
        for _ in 0..20 {
            stream.chunk(b"1").await;
        }
        // Nothing is known of the length yet.
        let (record, _) = kind.message_of(100);
        stream.chunk(b"1").await;
        stream.closed().await;
        let why = "record header \"11111111111111111111\"… has more than 20 digits";
        let stream = client.subscribes_again(why).await;
        stream.chunk(&framed(&record)).await;
        client.is_told(&kind.message_of(100).1).await;
    }
}

#[tokio::test]
async fn a_record_as_long_as_the_limit_is_told_however_it_arrives() {
    for kind in KINDS {
        let (mut client, stream) = Client::start(kind, 1000).await;
        let (record, data) = kind.message_of(1000);
        stream.chunk(&framed(&record)).await;
        client.is_told(&data).await;
        for byte in framed(&record) {
            stream.chunk(&[byte]).await;
        }
        client.is_told(&data).await;
    }
}

#[tokio::test]
async fn a_record_that_ends_too_early_loses_the_subscription_and_nothing_of_it_is_told() {
    for kind in KINDS {
        let (mut client, stream) = Client::start(kind, 1000).await;
        let (record, _) = kind.message_of(1000);
        for byte in &framed(&record)[..1004] {
            stream.chunk(&[*byte]).await;
        }
        stream.finish().await;
        let why = "stream ended inside a record, 1 bytes short";
        let stream = client.subscribes_again(why).await;
        let (record, data) = kind.message_of(100);
        stream.chunk(&framed(&record)).await;
        client.is_told(&data).await;
    }
}

/// Says in which process the memory is to be measured, and of which kind of driver.
const MEASURED: &str = "MESOS_TEST_RECORD_LIMIT";
/// What the measured drivers read at most.
const LIMIT: usize = 8 * 1024 * 1024;
/// What they may take for everything else: what is on its way, in either process's half of the connection.
const OTHER: usize = 12 * 1024 * 1024;

/// Each kind in a process of its own: nothing else takes memory there.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_hostile_stream_takes_no_more_memory_than_one_record_may() {
    for kind in KINDS {
        let program = std::env::current_exe().unwrap();
        let test = concat!(module_path!(), "::runs_measured");
        let (_crate, test) = test.split_once("::").unwrap();
        let mut measured = tokio::process::Command::new(program);
        measured.args([test, "--exact", "--nocapture"]);
        measured
            .env(MEASURED, format!("{kind:?}"))
            .kill_on_drop(true);
        let ended = tokio::time::timeout(Duration::from_secs(120), measured.output());
        let output = ended.await.expect("it ends").unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{told}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            told.contains("bytes at most"),
            "nothing was measured: {told}"
        );
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn runs_measured() {
    let Ok(of) = std::env::var(MEASURED) else {
        return;
    };
    let kind = KINDS.into_iter().find(|kind| format!("{kind:?}") == of);
    let kind = kind.expect("a kind");
    let (mut client, mut stream) = Client::start(kind, LIMIT).await;
    let before = memory("VmRSS");
    let piece = vec![b'7'; 16 * 1024];
    // Twice, for what was freed may not be given back.
    for _ in 0..2 {
        stream.chunk(format!("{LIMIT}\n").as_bytes()).await;
        for _ in 1..LIMIT / piece.len() {
            stream.chunk(&piece).await;
        }
        stream.chunk(&piece[1..]).await;
        stream.finish().await;
        let why = "stream ended inside a record, 1 bytes short";
        stream = client.subscribes_again(why).await;
    }
    // Digits without an end; the client has gone long before.
    for _ in 0..4 * LIMIT / piece.len() {
        stream.chunk(&piece).await;
    }
    stream = client.subscribes_again("has more than 20 digits").await;
    // As many records as a chunk can hold, of which each decodes to an event of many times its size.
    stream.chunk(&b"0\n".repeat(64 * 1024)).await;
    let (record, data) = kind.message_of(100);
    stream.chunk(&framed(&record)).await;
    client.is_told(&data).await;
    let taken = memory("VmHWM").saturating_sub(before);
    println!("{kind:?}: {taken} bytes at most, for records of {LIMIT}");
    assert!(taken <= LIMIT + OTHER, "{taken} bytes");
}

/// Of this process, in bytes.
#[cfg(target_os = "linux")]
fn memory(what: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let kilobytes = line
        .unwrap()
        .trim_start_matches(':')
        .trim()
        .trim_end_matches(" kB");
    kilobytes.trim().parse::<usize>().unwrap() * 1024
}
