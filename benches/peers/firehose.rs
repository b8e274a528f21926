//! A fake master for one scheduler, and the least that a client can do: what the comparison with the peers measures with.
//! `peers.py` beside it runs both.
//!
//!     firehose serve offers|updates|latency|idle NUMBER [--delay MS]
//!     firehose floor|decode HOST:PORT
//!
//! `serve` prints its address, serves one subscription, and prints what it saw as one line of JSON:
//!
//! - `offers`: NUMBER events of 10 offers each (4 resources, 3 attributes, url, allocation info), then an update;
//! - `updates`: NUMBER updates, each with a `uuid` of its own, as fast as the socket takes them;
//! - `latency`: NUMBER updates one by one, each 1 ms after the acknowledgement of the one before;
//! - `idle`: heartbeats for NUMBER seconds.
//!
//! Each event is one record in one HTTP chunk, as a master writes it, in the content type that is asked for. The end is a
//! message with the data `bench-done`, once every `uuid` is acknowledged. Answers to calls leave MS milliseconds late.
//!
//! `floor` takes the chunks apart and acknowledges, without decoding anything; `decode` decodes each event besides.
//! `BENCH_CODEC=json` is for both.

#![allow(clippy::unwrap_used, reason = "a bench")]

#[path = "../support/events.rs"]
mod events;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use events::{DONE, MARK, MASTER, OFFERS_PER_EVENT};
use mesos_framework::proto::scheduler::{Call, Event, call, event};
use prost::Message;
use serde_json::json;

const AGENTS: usize = 500;
/// After SUBSCRIBED: interpreters have come up by then.
const START: Duration = Duration::from_millis(200);
/// Between an acknowledgement and the next event of `latency`.
const PAUSE: Duration = Duration::from_millis(1);
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(30);
/// Written at once.
const BATCH: usize = 256 * 1024;
/// What messages are made for whose numbers are written over: seven digits that are nothing else.
const OWN: usize = 8_765_000;
const DATE: &str = "Sun, 22 Nov 2026 11:42:28 GMT";

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo bench` hands this to every bench.
    let words: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|word| *word != "--bench")
        .collect();
    match words[..] {
        ["serve", mode, number] => serve(mode, number.parse()?, Duration::ZERO),
        ["serve", mode, number, "--delay", ms] => {
            serve(mode, number.parse()?, Duration::from_millis(ms.parse()?))
        }
        ["floor", master] => client(master.parse()?, false),
        ["decode", master] => client(master.parse()?, true),
        [] => {
            println!("see benches/peers/README.md");
            Ok(())
        }
        _ => Err("usage: firehose serve offers|updates|latency|idle NUMBER [--delay MS] | floor|decode HOST:PORT".into()),
    }
}

/// How messages are written.
#[derive(Clone, Copy, PartialEq)]
enum Codec {
    Protobuf,
    Json,
}

impl Codec {
    fn of(content_type: &str) -> Self {
        match content_type.contains("x-protobuf") {
            true => Self::Protobuf,
            false => Self::Json,
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }

    fn encode<M: Message + serde::Serialize>(self, message: &M) -> Vec<u8> {
        match self {
            Self::Protobuf => message.encode_to_vec(),
            Self::Json => serde_json::to_vec(message).unwrap(),
        }
    }

    fn uuid(self, number: usize) -> Vec<u8> {
        let uuid = [MARK, (number as u64).to_be_bytes()].concat();
        match self {
            Self::Protobuf => uuid,
            Self::Json => BASE64.encode(uuid).into_bytes(),
        }
    }

    /// The number of the `uuid` that stands in there.
    fn number(self, body: &[u8]) -> Option<usize> {
        let uuid = match self {
            Self::Protobuf => body.get(find(body, &MARK)?..)?.get(..16)?.to_vec(),
            Self::Json => {
                // Six bytes are eight characters.
                let text = body.get(find(body, BASE64.encode(&MARK[..6]).as_bytes())?..)?;
                BASE64.decode(text.get(..24)?).ok()?
            }
        };
        let number = uuid.get(MARK.len()..)?.try_into().ok()?;
        usize::try_from(u64::from_be_bytes(number)).ok()
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, part)
}

/// A message with room for numbers, which are written over and over.
struct Template {
    bytes: Vec<u8>,
    number: usize,
    uuid: Option<usize>,
    codec: Codec,
}

impl Template {
    /// Of a message made for the number `own`.
    fn new<M: Message + serde::Serialize>(codec: Codec, message: &M, own: usize) -> Self {
        let bytes = codec.encode(message);
        Self {
            number: find(&bytes, own.to_string().as_bytes()).unwrap(),
            uuid: find(&bytes, &codec.uuid(own)),
            bytes,
            codec,
        }
    }

    fn update(codec: Codec) -> Self {
        Self::new(codec, &events::update(OWN), OWN)
    }

    fn write(&mut self, number: usize) -> &[u8] {
        let digits = format!("{number:07}");
        self.bytes[self.number..][..digits.len()].copy_from_slice(digits.as_bytes());
        if let Some(at) = self.uuid {
            let uuid = self.codec.uuid(number);
            self.bytes[at..][..uuid.len()].copy_from_slice(&uuid);
        }
        &self.bytes
    }
}

fn heartbeat() -> Event {
    Event {
        r#type: Some(event::Type::Heartbeat as i32),
        ..Event::default()
    }
}

/// OFFERS events, made of offers that are made once.
struct Offers {
    offers: Vec<Template>,
    codec: Codec,
    next: usize,
}

impl Offers {
    fn new(codec: Codec) -> Self {
        Self {
            offers: (OWN..OWN + AGENTS)
                .map(|own| Template::new(codec, &events::offer(own), own))
                .collect(),
            codec,
            next: 0,
        }
    }

    fn event(&mut self, event: &mut Vec<u8>) {
        event.clear();
        let mut body = Vec::with_capacity(16 * 1024);
        for place in 0..OFFERS_PER_EVENT {
            let of_all = self.offers.len();
            let offer = self.offers[self.next * 7 % of_all].write(self.next);
            match self.codec {
                Codec::Protobuf => {
                    body.push(0x0A);
                    prost::encoding::encode_varint(offer.len() as u64, &mut body);
                }
                Codec::Json if place > 0 => body.push(b','),
                Codec::Json => {}
            }
            body.extend_from_slice(offer);
            self.next += 1;
        }
        match self.codec {
            Codec::Protobuf => {
                event.extend_from_slice(&[0x08, 0x02, 0x1A]);
                prost::encoding::encode_varint(body.len() as u64, event);
                event.extend_from_slice(&body);
            }
            Codec::Json => {
                event.extend_from_slice(br#"{"type":"OFFERS","offers":{"offers":["#);
                event.extend_from_slice(&body);
                event.extend_from_slice(b"]}}");
            }
        }
    }
}

/// What the master has seen.
#[derive(Default)]
struct Seen {
    connections: usize,
    calls: usize,
    acknowledgements: usize,
    numbers: Vec<bool>,
    distinct: usize,
    /// When the last of these came.
    last: Option<Instant>,
}

/// What all connections share.
struct Master {
    mode: String,
    number: usize,
    delay: Duration,
    seen: Mutex<Seen>,
    /// Told when a `uuid` came for the first time.
    acknowledged: Condvar,
    report: SyncSender<serde_json::Value>,
}

impl Master {
    /// When the last of so many different acknowledgements came.
    fn wait(&self, count: usize) -> Result<Instant, Failed> {
        let mut seen = self.seen.lock().unwrap();
        while seen.distinct < count {
            let before = seen.distinct;
            let (now, waited) = self.acknowledged.wait_timeout(seen, PATIENCE).unwrap();
            if now.distinct == before && waited.timed_out() {
                return Err(format!("{before} of {count} acknowledgements, and then none").into());
            }
            seen = now;
        }
        Ok(seen.last.unwrap_or_else(Instant::now))
    }
}

fn serve(mode: &str, number: usize, delay: Duration) -> Result<(), Failed> {
    if !["offers", "updates", "latency", "idle"].contains(&mode) {
        return Err(format!("no mode {mode}").into());
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let (report, reported) = mpsc::sync_channel(1);
    let master = Arc::new(Master {
        mode: mode.into(),
        number,
        delay,
        seen: Mutex::default(),
        acknowledged: Condvar::new(),
        report,
    });
    let shared = Arc::clone(&master);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let master = Arc::clone(&shared);
            master.seen.lock().unwrap().connections += 1;
            thread::spawn(move || connection(&stream.unwrap(), &master));
        }
    });
    let mut report = reported.recv()?;
    let seen = master.seen.lock().unwrap();
    report["connections"] = seen.connections.into();
    report["acknowledgements"] = seen.acknowledgements.into();
    report["distinct"] = seen.distinct.into();
    report["calls"] = seen.calls.into();
    println!("{report}");
    Ok(())
}

/// One request: its body, and what its head says that matters here.
struct Request {
    is_get: bool,
    codec: Codec,
    body: Vec<u8>,
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    match reader.read_line(&mut line) {
        Ok(1..) => Some(line.trim_end().into()),
        _ => None,
    }
}

fn request(reader: &mut impl BufRead) -> Option<Request> {
    let first = line(reader)?;
    let (mut length, mut is_chunked, mut codec) = (0, false, Codec::Json);
    loop {
        let header = line(reader)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "transfer-encoding" => is_chunked = value == "chunked",
            "accept" => codec = Codec::of(value),
            _ => {}
        }
    }
    let mut body = Vec::new();
    while is_chunked {
        let size = usize::from_str_radix(&line(reader)?, 16).ok()?;
        let at = body.len();
        body.resize(at + size, 0);
        reader.read_exact(&mut body[at..]).ok()?;
        line(reader)?;
        is_chunked = size > 0;
    }
    if length > 0 {
        reader.by_ref().take(length).read_to_end(&mut body).ok()?;
    }
    Some(Request {
        is_get: first.starts_with("GET"),
        codec,
        body,
    })
}

/// Answers, late if that is wanted.
struct Answers {
    stream: TcpStream,
    late: Option<SyncSender<(Instant, Vec<u8>)>>,
    delay: Duration,
}

impl Answers {
    fn new(stream: TcpStream, delay: Duration) -> Self {
        let late = (!delay.is_zero()).then(|| {
            let mut stream = stream.try_clone().unwrap();
            let (sender, receiver) = mpsc::sync_channel::<(Instant, Vec<u8>)>(100_000);
            thread::spawn(move || {
                for (due, answer) in receiver {
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    if stream.write_all(&answer).is_err() {
                        return;
                    }
                }
            });
            sender
        });
        Self {
            stream,
            late,
            delay,
        }
    }

    fn write(&mut self, answer: Vec<u8>) -> bool {
        match &self.late {
            Some(late) => late.send((Instant::now() + self.delay, answer)).is_ok(),
            None => self.stream.write_all(&answer).is_ok(),
        }
    }
}

fn connection(stream: &TcpStream, master: &Master) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::with_capacity(BATCH, stream.try_clone().unwrap());
    let mut answers = Answers::new(stream.try_clone().unwrap(), master.delay);
    let mut ready = Vec::new();
    while let Some(request) = request(&mut reader) {
        if request.is_get {
            let version = r#"{"version":"1.11.0"}"#;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
            ready.extend_from_slice(
                format!("{head}Content-Length: {}\r\n\r\n{version}", version.len()).as_bytes(),
            );
        } else if is_subscribe(&request) {
            events(stream, master, request.codec);
            return;
        } else {
            count(master, &request);
            ready.extend_from_slice(
                format!("HTTP/1.1 202 Accepted\r\nDate: {DATE}\r\nContent-Length: 0\r\n\r\n")
                    .as_bytes(),
            );
        }
        // What was read at once is answered at once.
        if reader.buffer().is_empty() && !answers.write(std::mem::take(&mut ready)) {
            return;
        }
    }
}

fn is_subscribe(request: &Request) -> bool {
    find(&request.body, br#""SUBSCRIBE""#).is_some()
        || Call::decode(&request.body[..]).is_ok_and(|call| call.r#type() == call::Type::Subscribe)
}

fn count(master: &Master, request: &Request) {
    let mut seen = master.seen.lock().unwrap();
    seen.calls += 1;
    // The body's codec may be another than that of the answers.
    let number = Codec::Protobuf
        .number(&request.body)
        .or_else(|| Codec::Json.number(&request.body));
    let Some(number) = number else { return };
    seen.acknowledgements += 1;
    if number >= seen.numbers.len() {
        seen.numbers.resize(number + 1, false);
    }
    if !std::mem::replace(&mut seen.numbers[number], true) {
        seen.distinct += 1;
        seen.last = Some(Instant::now());
        drop(seen);
        master.acknowledged.notify_one();
    }
}

/// The stream of a subscription: collects chunks, and writes many at once.
struct Stream<'a> {
    socket: &'a TcpStream,
    waiting: Vec<u8>,
    bytes: usize,
}

impl Stream<'_> {
    fn push(&mut self, event: &[u8]) -> std::io::Result<()> {
        let length = event.len().to_string();
        write!(
            self.waiting,
            "{:x}\r\n{length}\n",
            length.len() + 1 + event.len()
        )?;
        self.waiting.extend_from_slice(event);
        self.waiting.extend_from_slice(b"\r\n");
        if self.waiting.len() >= BATCH {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.bytes += self.waiting.len();
        self.socket.write_all(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }
}

fn events(socket: &TcpStream, master: &Master, codec: Codec) {
    let mut stream = Stream {
        socket,
        waiting: Vec::new(),
        bytes: 0,
    };
    let result = run(&mut stream, master, codec);
    let mut report = result.unwrap_or_else(|error| json!({ "result": error.to_string() }));
    report["mode"] = master.mode.as_str().into();
    report["bytes"] = stream.bytes.into();
    report["codec"] = if codec == Codec::Json {
        "json"
    } else {
        "protobuf"
    }
    .into();
    let _ = master.report.send(report);
}

fn run(
    stream: &mut Stream<'_>,
    master: &Master,
    codec: Codec,
) -> Result<serde_json::Value, Failed> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nDate: {DATE}\r\nTransfer-Encoding: chunked\r\nContent-Type: {}\r\n\
         Mesos-Stream-Id: f86f3db8-564d-4a3f-a123-d02c5ecd970f\r\n\r\n",
        codec.media_type()
    );
    stream.waiting.extend_from_slice(head.as_bytes());
    stream.push(&codec.encode(&events::subscribed()))?;
    stream.push(&codec.encode(&heartbeat()))?;
    stream.flush()?;
    thread::sleep(START);
    let mut update = Template::update(codec);
    let begun = Instant::now();
    let (mut awaited, mut latencies) = (0, Vec::new());
    match master.mode.as_str() {
        "offers" => {
            let (mut offers, mut event) = (Offers::new(codec), Vec::new());
            for _ in 0..master.number {
                offers.event(&mut event);
                stream.push(&event)?;
            }
            stream.push(update.write(0))?;
            awaited = 1;
        }
        "updates" => {
            for number in 0..master.number {
                stream.push(update.write(number))?;
            }
            awaited = master.number;
        }
        "latency" => {
            for number in 0..master.number {
                let event = update.write(number);
                stream.push(event)?;
                let written = Instant::now();
                stream.flush()?;
                latencies.push(master.wait(number + 1)?.duration_since(written));
                thread::sleep(PAUSE);
            }
        }
        _ => {
            let end = begun + Duration::from_secs(master.number as u64);
            while Instant::now() < end {
                thread::sleep(HEARTBEAT.min(end.saturating_duration_since(Instant::now())));
                stream.push(&codec.encode(&heartbeat()))?;
                stream.flush()?;
            }
        }
    }
    stream.flush()?;
    let written = begun.elapsed();
    let last = master.wait(awaited)?;
    stream.push(&codec.encode(&events::done()))?;
    stream.flush()?;
    // The client leaves, or has its time to.
    stream.socket.set_read_timeout(Some(PATIENCE))?;
    let _ = (&mut &*stream.socket).read(&mut [0]);
    latencies.sort();
    let share = |of_all: f64| {
        let place = (latencies.len() as f64 * of_all) as usize;
        latencies
            .get(place)
            .map(|latency| latency.as_secs_f64() * 1e6)
    };
    Ok(json!({
        "result": "ok",
        "wall_s": (last - begun).as_secs_f64(),
        "written_s": written.as_secs_f64(),
        "p50_us": share(0.5),
        "p99_us": share(0.99),
        "p999_us": share(0.999),
    }))
}

/// The least that a client does.
fn client(master: SocketAddr, decodes: bool) -> Result<(), Failed> {
    let codec = match std::env::var("BENCH_CODEC").as_deref() {
        Ok("json") => Codec::Json,
        _ => Codec::Protobuf,
    };
    let subscribe = Call {
        r#type: Some(call::Type::Subscribe as i32),
        subscribe: Some(call::Subscribe::default().into()),
        ..Call::default()
    };
    let mut events = TcpStream::connect(master)?;
    events.set_nodelay(true)?;
    events.write_all(&post(master, codec, &codec.encode(&subscribe)))?;
    let mut reader = BufReader::with_capacity(BATCH, events);
    while !line(&mut reader).ok_or("no head")?.is_empty() {}
    let mut calls = TcpStream::connect(master)?;
    calls.set_nodelay(true)?;
    let mut answers = calls.try_clone()?;
    thread::spawn(move || {
        let mut buffer = vec![0; BATCH];
        while let Ok(1..) = answers.read(&mut buffer) {}
    });
    let mut acknowledge = acknowledge(codec);
    let done = match codec {
        Codec::Protobuf => DONE.to_vec(),
        Codec::Json => BASE64.encode(DONE).into_bytes(),
    };
    let (mut offers, mut updates, mut cpus) = (0_usize, 0_usize, 0.0);
    let (mut chunk, mut ready) = (Vec::new(), Vec::new());
    loop {
        if reader.buffer().is_empty() && !ready.is_empty() {
            calls.write_all(&ready)?;
            ready.clear();
        }
        let size = usize::from_str_radix(&line(&mut reader).ok_or("the stream ended")?, 16)?;
        chunk.resize(size + 2, 0);
        reader.read_exact(&mut chunk)?;
        let begin = find(&chunk, b"\n").ok_or("no record")? + 1;
        let record = &chunk[begin..size];
        if decodes {
            let event: Event = match codec {
                Codec::Protobuf => Event::decode(record)?,
                Codec::Json => serde_json::from_slice(record)?,
            };
            for offer in event.offers.iter().flat_map(|offers| &offers.offers) {
                offers += 1;
                let named = offer
                    .resources
                    .iter()
                    .filter(|resource| resource.name == "cpus");
                cpus += named
                    .filter_map(|resource| Some(resource.scalar.as_ref()?.value))
                    .sum::<f64>();
            }
        }
        // What is longer is no update.
        if record.len() > 2_000 {
            continue;
        }
        if let Some(number) = codec.number(record) {
            updates += 1;
            ready.extend_from_slice(&post(master, codec, acknowledge.write(number)));
            if ready.len() > BATCH {
                calls.write_all(&ready)?;
                ready.clear();
            }
        } else if find(record, &done).is_some() {
            println!(
                "{}",
                json!({ "offers": offers, "updates": updates, "cpus": cpus })
            );
            return Ok(());
        }
    }
}

fn post(master: SocketAddr, codec: Codec, body: &[u8]) -> Vec<u8> {
    let media_type = codec.media_type();
    let head = format!(
        "POST /api/v1/scheduler HTTP/1.1\r\nHost: {master}\r\nContent-Type: {media_type}\r\nAccept: {media_type}\r\n\
         Mesos-Stream-Id: f86f3db8-564d-4a3f-a123-d02c5ecd970f\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// What an update of [`events::update`] is answered with.
fn acknowledge(codec: Codec) -> Template {
    let status = events::update(OWN).update.unwrap().status;
    let acknowledge = call::Acknowledge {
        agent_id: status.agent_id.unwrap(),
        task_id: status.task_id,
        uuid: status.uuid.unwrap(),
    };
    let call = Call {
        framework_id: Some(format!("{MASTER}-0007").into()),
        r#type: Some(call::Type::Acknowledge as i32),
        acknowledge: Some(acknowledge),
        ..Call::default()
    };
    Template::new(codec, &call, OWN)
}
