//! Reads the calls that go by.

use std::marker::PhantomData;

use prost::Message;
use serde::de::DeserializeOwned;

/// More headers than any of ours has.
const MAX_HEADERS: usize = 32;

/// The requests of one connection, in pieces as they come.
#[derive(Debug)]
pub struct Tap<C> {
    unread: Vec<u8>,
    calls: PhantomData<fn() -> C>,
}

/// Where a request's body lies.
struct Head {
    begins: usize,
    ends: usize,
    is_json: bool,
}

impl<C> Default for Tap<C> {
    fn default() -> Self {
        Self {
            unread: Vec::new(),
            calls: PhantomData,
        }
    }
}

impl<C: Message + Default + DeserializeOwned> Tap<C> {
    /// The calls that are whole with this piece.
    ///
    /// # Errors
    /// If it is no request with a call in it.
    pub fn read(&mut self, piece: &[u8]) -> Result<Vec<C>, String> {
        self.unread.extend_from_slice(piece);
        let mut calls = Vec::new();
        while let Some(head) = head(&self.unread)? {
            let Some(body) = self.unread.get(head.begins..head.ends) else {
                break;
            };
            calls.push(decode(body, head.is_json)?);
            self.unread.drain(..head.ends);
        }
        Ok(calls)
    }
}

fn head(bytes: &[u8]) -> Result<Option<Head>, String> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(bytes).map_err(|error| error.to_string())?;
    let httparse::Status::Complete(begins) = parsed else {
        return Ok(None);
    };
    let header = |name: &str| {
        let mut own = request.headers.iter();
        let own = own.find(|own| own.name.eq_ignore_ascii_case(name));
        own.and_then(|own| std::str::from_utf8(own.value).ok())
    };
    let length = header("content-length").and_then(|length| length.parse::<usize>().ok());
    let length = length.ok_or("a request without a length")?;
    let is_json = match header("content-type") {
        Some("application/json") => true,
        Some("application/x-protobuf") => false,
        other => return Err(format!("a request of the content type {other:?}")),
    };
    let ends = begins.checked_add(length).ok_or("a request too long")?;
    Ok(Some(Head {
        begins,
        ends,
        is_json,
    }))
}

fn decode<C: Message + Default + DeserializeOwned>(
    body: &[u8],
    is_json: bool,
) -> Result<C, String> {
    match is_json {
        true => serde_json::from_slice(body).map_err(|error| error.to_string()),
        false => C::decode(body).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use mesos_framework::proto::scheduler::Call;
    use mesos_framework::proto::scheduler::call::{Acknowledge, Type};

    use super::*;

    fn call() -> Call {
        Call {
            r#type: Some(Type::Acknowledge as i32),
            acknowledge: Some(Acknowledge {
                agent_id: "a".into(),
                task_id: "t".into(),
                uuid: vec![7; 16].into(),
            }),
            ..Call::default()
        }
    }

    fn request(content_type: &str, body: &[u8]) -> Vec<u8> {
        let length = body.len();
        let head = format!(
            "POST /api/v1/scheduler HTTP/1.1\r\nContent-Type: {content_type}\r\ncontent-length: {length}\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    }

    #[test]
    fn calls_of_either_content_type_are_read_wherever_they_are_cut() {
        let json = serde_json::to_vec(&call()).unwrap();
        let two = [
            request("application/x-protobuf", &call().encode_to_vec()),
            request("application/json", &json),
        ]
        .concat();
        for cut in 0..=two.len() {
            let mut tap = Tap::<Call>::default();
            let mut calls = tap.read(&two[..cut]).unwrap();
            calls.extend(tap.read(&two[cut..]).unwrap());
            assert_eq!(calls, [call(), call()], "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_call_is_told() {
        let mut tap = Tap::<Call>::default();
        assert!(tap.read(b"\x00\xff!").is_err());
        let mut tap = Tap::<Call>::default();
        assert!(tap.read(&request("application/json", b"{")).is_err());
        let mut tap = Tap::<Call>::default();
        assert!(tap.read(&request("text/plain", b"{}")).is_err());
    }
}
