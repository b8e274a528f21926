//! One HTTP request on a connection of its own, byte by byte.

use bytes::Bytes;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::framework::PATIENCE;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Bytes,
    /// Status line and headers, as they came.
    head: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Status line and headers in their order, without those of which it says nothing.
    pub fn head_without_date(&self) -> Vec<&str> {
        let lines = self.head.lines();
        lines.filter(|line| !line.starts_with("Date: ")).collect()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_slice(&self.body).unwrap()
    }

    fn read(bytes: &Bytes) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head: {bytes:?}"));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        Self {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            body: bytes.slice(end + 4..),
            head,
        }
    }
}

/// Sends a request whose answer must not be chunked.
pub async fn request(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let answer = try_request(address, method, path, headers, body).await;
    answer.expect("an answer before the end of the connection")
}

/// The same; none if the connection ends without an answer, which real agents' now and then do.
pub async fn try_request(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Answer> {
    let length = body.len();
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n"
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        // At once: a real master may answer, and close, before all is read.
        stream.write_all(&[head.as_bytes(), body].concat()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(Bytes::from(answer))
    };
    let bytes = tokio::time::timeout(PATIENCE, exchange).await;
    let bytes = bytes.expect("an answer in time").unwrap();
    (!bytes.is_empty()).then(|| Answer::read(&bytes))
}

/// Opens a page.
pub async fn get(address: &str, path: &str) -> Answer {
    request(address, "GET", path, &[], b"").await
}
