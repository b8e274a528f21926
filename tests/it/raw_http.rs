//! Bytes that are hardly HTTP, or no HTTP at all: the same to a real master and to an embedded one.

use std::time::Duration;

use bytes::BytesMut;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::bare::{Scheduler, idle};
use crate::cluster::Cluster;
use crate::framework::PATIENCE;

/// How long nothing comes where nothing is to come.
const WHILE: Duration = Duration::from_millis(300);

const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
const CALL: &str = "POST /api/v1 HTTP/1.1\r\nContent-Type: application/json\r\n";
const BODY: &str = r#"{"type":"GET_HEALTH"}"#;
/// With its keys in the order of the alphabet.
const HEALTHY: &str = r#"{"get_health":{"healthy":true},"type":"GET_HEALTH"}"#;

/// What comes back on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Answered {
        status: u16,
        media_type: String,
        text: String,
    },
    /// The connection ends without a word.
    Closed,
    /// Nothing, for a while.
    Silent,
}

/// A connection of which every byte is the test's.
pub struct Raw {
    stream: TcpStream,
    read: BytesMut,
}

impl Raw {
    pub async fn send(address: &str, bytes: &[u8]) -> Self {
        let mut raw = Self {
            stream: TcpStream::connect(address).await.unwrap(),
            read: BytesMut::new(),
        };
        raw.write(bytes).await;
        raw
    }

    /// The other end may have closed already, which reading shows.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// More bytes, at the most for this long; false at the end.
    async fn fill(&mut self, limit: Duration) -> Option<bool> {
        let read = self.stream.read_buf(&mut self.read);
        let read = tokio::time::timeout(limit, read).await.ok()?;
        // A connection may also end with a reset.
        Some(read.unwrap_or(0) > 0)
    }

    /// The next answer, or the head of a stream.
    pub async fn answer(&mut self, limit: Duration) -> Outcome {
        loop {
            if let Some(answer) = self.whole() {
                return answer;
            }
            match self.fill(limit).await {
                Some(true) => {}
                Some(false) => return Outcome::Closed,
                None => return Outcome::Silent,
            }
        }
    }

    fn whole(&mut self) -> Option<Outcome> {
        let end = self.read.windows(4).position(|own| own == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(':'));
            let found = lines.find(|(own, _)| own.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.trim().to_owned())
        };
        let length = header("content-length").map_or(0, |length| length.parse().unwrap());
        if self.read.len() < end + 4 + length {
            return None;
        }
        let _ = self.read.split_to(end + 4);
        let text = String::from_utf8_lossy(&self.read.split_to(length)).into_owned();
        Some(Outcome::Answered {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            media_type: header("content-type").unwrap_or_default(),
            text,
        })
    }

    /// What the event says that a stream ends with, if its head is followed by nothing else.
    pub async fn error_event(&mut self) -> Option<String> {
        let begin = r#"{"type":"ERROR","error":{"message":""#;
        while self.read.len() < 400
            && matches!(self.fill(Duration::from_millis(5)).await, Some(true))
        {}
        let text = String::from_utf8_lossy(&self.read).into_owned();
        let (_, message) = text.split_once(begin)?;
        message
            .split_once("\"}}")
            .map(|(message, _)| message.to_owned())
    }

    /// Whether the connection ends; what comes before is of no interest.
    async fn closes(&mut self, limit: Duration) -> bool {
        loop {
            match self.fill(limit).await {
                Some(true) => {}
                Some(false) => return true,
                None => return false,
            }
        }
    }

    /// Reads on until `what` has come.
    async fn until(&mut self, what: &str) {
        while !String::from_utf8_lossy(&self.read).contains(what) {
            assert_eq!(self.fill(PATIENCE).await, Some(true), "no {what:?}");
        }
    }
}

/// Statuses and texts of all answers to these bytes; and whether the connection closes then.
async fn talk(address: &str, bytes: &[u8]) -> (Vec<(u16, String)>, bool) {
    let mut raw = Raw::send(address, bytes).await;
    let mut answers = Vec::new();
    let mut limit = PATIENCE;
    loop {
        match raw
            .answer(if answers.is_empty() { PATIENCE } else { limit })
            .await
        {
            Outcome::Answered { status, text, .. } => {
                let json: Option<Value> = serde_json::from_str(&text).ok();
                answers.push((status, json.map_or(text, |json| json.to_string())));
            }
            Outcome::Closed => return (answers, true),
            Outcome::Silent => return (answers, false),
        }
        limit = WHILE;
    }
}

fn ok() -> (u16, String) {
    (200, String::new())
}

#[tokio::test]
async fn what_is_no_http_closes_the_connection_without_an_answer() {
    let cluster = Cluster::start().await;
    let long = format!("GET /health HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(90_000));
    let far = format!("GET /health?x={} HTTP/1.1\r\n\r\n", "a".repeat(90_000));
    let length = |value: &str| format!("{CALL}Content-Length: {value}\r\n\r\n{BODY}");
    for bytes in [
        "hello\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "get /health HTTP/1.1\r\n\r\n",
        "FOO /health HTTP/1.1\r\n\r\n",
        "GET health HTTP/1.1\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\n\r\n",
        "GET http://a:x/health HTTP/1.1\r\n\r\n",
        "GET /health HTTP/1.1 \r\n\r\n",
        "GET /health?a=%zz HTTP/1.1\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost\r\n\r\n",
        "GET /health HTTP/1.1\r\n: c\r\n\r\n",
        "GET /health HTTP/1.1\r\n\u{e9}: c\r\n\r\n",
        "GET /health HTTP/1.1\r\nA: a\rb\r\n\r\n",
        &long,
        &far,
        &length("-1"),
        &length("abc"),
        &length("+21"),
        &length("21, 21"),
        &length("99999999999999999999"),
        &length("21\r\nContent-Length: 21"),
        &length("21\r\nTransfer-Encoding: chunked"),
    ] {
        let outcome = talk(&cluster.address(), bytes.as_bytes()).await;
        assert_eq!(
            outcome,
            (Vec::new(), true),
            "{}",
            &bytes[..bytes.len().min(200)]
        );
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_is_hardly_http_is_answered() {
    let cluster = Cluster::start().await;
    let long = format!("GET /health HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(70_000));
    let many: String = (0..3000)
        .map(|number| format!("X{number}: a\r\n"))
        .collect();
    let many = format!("GET /health HTTP/1.1\r\n{many}\r\n");
    for bytes in [
        "GET /health HTTP/1.1\n\n",
        "\r\n\r\nGET /health HTTP/1.1\r\n\r\n",
        "GET  /health  HTTP/9.9\r\n\r\n",
        "PROPFIND /health HTTP/1.1\r\n\r\n",
        "HEAD /health HTTP/1.1\r\n\r\n",
        "CONNECT /health HTTP/1.1\r\n\r\n",
        "GET http://nowhere/health HTTP/1.1\r\n\r\n",
        "GET //health//?#x HTTP/1.1\r\n\r\n",
        "GET /health/and/more HTTP/1.1\r\n\r\n",
        "GET /mast%65r//health HTTP/1.1\r\n\r\n",
        "GET /health HTTP/1.1\r\nA b: \u{1}\r\n\r\n",
        "GET /health HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        "GET /health HTTP/1.1\r\nExpect: something\r\n\r\n",
        &long,
        &many,
    ] {
        let outcome = talk(&cluster.address(), bytes.as_bytes()).await;
        let shown = &bytes[..bytes.len().min(200)];
        assert_eq!(outcome, (vec![ok()], false), "{shown}");
    }
    for bytes in [
        "GET /health HTTP/1.0\r\n\r\n",
        "GET /health\r\n\r\n",
        "GET /health HTTP/2.0\r\n\r\n",
        "GET /health HTTP/1.1\r\nConnection: x, Close\r\n\r\n",
    ] {
        let outcome = talk(&cluster.address(), bytes.as_bytes()).await;
        assert_eq!(outcome, (vec![ok()], true), "{bytes}");
    }
    for bytes in [
        "OPTIONS * HTTP/1.1\r\n\r\n",
        "GET http://nowhere HTTP/1.1\r\n\r\n",
    ] {
        let outcome = talk(&cluster.address(), bytes.as_bytes()).await;
        let text = "Request URL path must start with '/'".to_owned();
        assert_eq!(outcome, (vec![(400, text)], false), "{bytes}");
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn headers_count_as_they_stand() {
    let cluster = Cluster::start().await;
    let expected = "Expecting 'Content-Type'";
    let unknown = format!("{expected} of application/json or application/x-protobuf");
    let none = format!("{expected} to be present");
    for (headers, status, text) in [
        (
            "Content-Type: text/plain\r\nContent-Type: application/json",
            200,
            HEALTHY,
        ),
        (
            "Content-Type: application/json\r\nContent-Type: text/plain",
            415,
            &unknown,
        ),
        ("Content-Type: application/json ", 415, &unknown),
        ("Content-Type:\tapplication/json", 200, HEALTHY),
        ("Content-Type:\r\n application/json", 200, HEALTHY),
        ("Content-Type : application/json", 400, &none),
    ] {
        let bytes =
            format!("POST /api/v1 HTTP/1.1\r\n{headers}\r\nContent-Length: 21\r\n\r\n{BODY}");
        let (answers, _) = talk(&cluster.address(), bytes.as_bytes()).await;
        assert_eq!(answers, [(status, text.to_owned())], "{headers}");
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn bodies_are_as_long_as_their_headers_say() {
    let cluster = Cluster::start().await;
    let near = "Failed to parse body into JSON: syntax error at line 1 near: ";
    let undecodable = "failed to decode body";
    let chunked = |body: &str| format!("Transfer-Encoding: chunked\r\n\r\n{body}");
    for (rest, status, text) in [
        (format!("Content-Length: 2 1\r\n\r\n{BODY}"), 200, HEALTHY),
        (format!("Content-Length: 20\r\n\r\n{BODY}"), 400, near),
        (format!("Content-Length:\r\n\r\n{BODY}"), 400, near),
        (format!("\r\n{BODY}"), 400, near),
        (format!("Transfer-Encoding: gzip\r\n\r\n{BODY}"), 400, near),
        (
            chunked(&format!("15;a=b\r\n{BODY}\r\n0\r\n\r\n")),
            200,
            HEALTHY,
        ),
        (
            chunked(&format!(
                "8\r\n{}\r\nd\r\n{}\r\n0\r\n\r\n",
                &BODY[..8],
                &BODY[8..]
            )),
            200,
            HEALTHY,
        ),
        // What stands behind a chunk is not looked at.
        (chunked(&format!("15\r\n{BODY}xx0\r\n\r\n")), 200, HEALTHY),
        (chunked("zz\r\n"), 500, undecodable),
        (chunked(&format!("15\n{BODY}\n0\n\n")), 500, undecodable),
        (chunked("ffffffffffffffffff\r\n"), 500, undecodable),
        (
            chunked(&format!("15\r\n{BODY}\r\n0\r\nX: y\r\n\r\n")),
            500,
            undecodable,
        ),
    ] {
        let (answers, _) = talk(&cluster.address(), format!("{CALL}{rest}").as_bytes()).await;
        assert_eq!(answers.first(), Some(&(status, text.to_owned())), "{rest}");
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn nobody_is_told_to_continue() {
    let cluster = Cluster::start().await;
    let head = format!("{CALL}Content-Length: 21\r\nExpect: 100-continue\r\n\r\n");
    let mut raw = Raw::send(&cluster.address(), head.as_bytes()).await;
    assert_eq!(raw.answer(WHILE).await, Outcome::Silent);
    raw.write(BODY.as_bytes()).await;
    let answered = raw.answer(PATIENCE).await;
    assert!(
        matches!(answered, Outcome::Answered { status: 200, .. }),
        "{answered:?}"
    );
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_comes_before_is_answered_and_the_next_byte_closes_the_connection() {
    let cluster = Cluster::start().await;
    for behind in ["hello\r\n\r\n", "\r\n\r\nGET health HTTP/1.1\r\n\r\n"] {
        let bytes = format!("{HEALTH}{behind}");
        let mut raw = Raw::send(&cluster.address(), bytes.as_bytes()).await;
        let answered = raw.answer(PATIENCE).await;
        assert!(
            matches!(answered, Outcome::Answered { status: 200, .. }),
            "{answered:?}"
        );
        assert_eq!(raw.answer(WHILE).await, Outcome::Silent, "{behind}");
        raw.write(b"x").await;
        assert_eq!(raw.answer(PATIENCE).await, Outcome::Closed, "{behind}");
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_call_behind_a_subscription_is_answered_in_the_middle_of_its_stream() {
    let cluster = Cluster::start().await;
    let subscribe = r#"{"type":"SUBSCRIBE"}"#;
    let bytes = format!("{CALL}Content-Length: 20\r\n\r\n{subscribe}");
    let mut raw = Raw::send(&cluster.address(), bytes.as_bytes()).await;
    raw.until("\r\nTransfer-Encoding: chunked\r\n").await;
    raw.until("SUBSCRIBED").await;
    raw.read.clear();
    raw.write(format!("{CALL}Content-Length: 21\r\n\r\n{BODY}").as_bytes())
        .await;
    raw.until("HTTP/1.1 200 OK\r\n").await;
    raw.until(r#"{"healthy":true}"#).await;
    // The stream goes on.
    let framework = Scheduler::subscribe(&cluster.address(), &idle("behind")).await;
    raw.until("FRAMEWORK_ADDED").await;
    framework.teardown().await;
    assert!(!raw.closes(WHILE).await);
    cluster.shutdown().await;
}
