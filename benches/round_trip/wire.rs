//! What a fake master needs: the bodies of calls, the head of a stream, and a proxy that delays.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use mesos_framework::proto::scheduler::{Event, event};
use mesos_framework::recordio;
use prost::Message as _;

use crate::MEDIA_TYPE;

pub(crate) const ACCEPTED: &[u8] =
    b"HTTP/1.1 202 Accepted\r\nDate: Sun, 22 Nov 2026 19:30:00 GMT\r\nContent-Length: 0\r\n\r\n";

/// The body of the next request, if it is there.
pub(crate) fn request(input: &mut BytesMut) -> Option<Bytes> {
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

/// The answer to SUBSCRIBE, with its first event.
pub(crate) fn subscribed() -> Vec<u8> {
    let subscribed = event::Subscribed {
        framework_id: "0d7c9d7a-1c9e-4b8e-8a3b-2f1f5e6d7c8b-0000".into(),
        ..event::Subscribed::default()
    };
    let event = Event {
        r#type: Some(event::Type::Subscribed as i32),
        subscribed: Some(subscribed.into()),
        ..Event::default()
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: {MEDIA_TYPE}\r\nMesos-Stream-Id: stream\r\n\r\n"
    );
    [head.as_bytes(), &chunk(&event)].concat()
}

/// An event as a master writes it: one record in one chunk.
pub(crate) fn chunk(event: &Event) -> Vec<u8> {
    let mut record = BytesMut::new();
    recordio::encode(&event.encode_to_vec(), &mut record);
    let size = format!("{:x}\r\n", record.len());
    [size.as_bytes(), &record, b"\r\n"].concat()
}

/// Passes everything on after `delay`, in either direction.
pub(crate) fn proxy(to: SocketAddr, delay: Duration) -> SocketAddr {
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
