//! An event stream, read byte by byte.

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::framework::PATIENCE;

/// The response to a request that subscribes.
pub struct EventStream {
    stream: TcpStream,
    head: String,
    /// As it came.
    raw: BytesMut,
    /// What was in the chunks, and is not taken yet.
    content: BytesMut,
    /// All that was in the chunks.
    pub read: usize,
    end: Option<End>,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With the final chunk.
    Clean,
    Cut,
}

impl EventStream {
    /// Sends the request, and reads the head of the answer.
    pub async fn open(address: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let opened = Self::try_open(address, path, headers, body).await;
        opened.expect("a head before the end of the connection")
    }

    /// The same; none if there is no connection, or it ends before the head does.
    pub async fn try_open(
        address: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Self> {
        let stream = TcpStream::connect(address).await.ok()?;
        Self::try_open_on(stream, address, path, headers, body).await
    }

    /// The same, on a connection that has been made.
    pub async fn open_on(
        stream: TcpStream,
        address: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Self {
        let opened = Self::try_open_on(stream, address, path, headers, body).await;
        opened.expect("a head before the end of the connection")
    }

    async fn try_open_on(
        mut stream: TcpStream,
        address: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Self> {
        let length = body.len();
        let mut head =
            format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(b"\r\n").await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut opened = Self {
            stream,
            head: String::new(),
            raw: BytesMut::new(),
            content: BytesMut::new(),
            read: 0,
            end: None,
        };
        let end = loop {
            let end = opened
                .raw
                .windows(4)
                .position(|window| window == b"\r\n\r\n");
            match end {
                Some(end) => break end,
                None if opened.fill().await == 0 => return None,
                None => {}
            }
        };
        let head = opened.raw.split_to(end + 4);
        opened.head = String::from_utf8(head[..end].to_vec()).unwrap();
        Some(opened)
    }

    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The next record; or how the stream ended, whatever part of a record is left.
    pub async fn record(&mut self) -> Result<Bytes, End> {
        loop {
            if let Some(record) = self.whole_record() {
                return Ok(record);
            }
            if let Some(end) = self.end {
                return Err(end);
            }
            self.more().await;
        }
    }

    /// Reads on to the end.
    pub async fn end(&mut self) -> End {
        loop {
            if let Err(end) = self.record().await {
                return end;
            }
        }
    }

    fn whole_record(&mut self) -> Option<Bytes> {
        let end = self.content.iter().position(|byte| *byte == b'\n')?;
        let length: usize = std::str::from_utf8(&self.content[..end])
            .unwrap()
            .parse()
            .unwrap();
        if self.content.len() < end + 1 + length {
            return None;
        }
        self.content.advance(end + 1);
        Some(self.content.split_to(length).freeze())
    }

    /// Takes whole chunks over, or reads.
    async fn more(&mut self) {
        let line = self.raw.windows(2).position(|window| window == b"\r\n");
        if let Some(line) = line {
            let length = std::str::from_utf8(&self.raw[..line]).unwrap();
            let length = usize::from_str_radix(length, 16).unwrap();
            if self.raw.len() >= line + 2 + length + 2 {
                self.raw.advance(line + 2);
                self.content.extend_from_slice(&self.raw.split_to(length));
                self.raw.advance(2);
                self.read += length;
                if length == 0 {
                    self.end = Some(End::Clean);
                }
                return;
            }
        }
        if self.fill().await == 0 {
            self.end.get_or_insert(End::Cut);
        }
    }

    async fn fill(&mut self) -> usize {
        let read = self.stream.read_buf(&mut self.raw);
        let read = tokio::time::timeout(PATIENCE, read).await;
        // A connection may also end with a reset.
        read.expect("something to read in time").unwrap_or(0)
    }
}
