//! An answer on a connection of its own, whose body comes in pieces of what was read: event streams.
//!
//! A generic client hands each chunk from task to task; here nothing lies between the socket and whoever reads.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use httparse::{Header, Status};
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::poll_read_buf;

use super::Reply;
use super::body::{Body, MAX_HEAD, Part, framing};
use super::client::STREAM_ID;
use super::connect::Duplex;

const MAX_HEADERS: usize = 100;

/// Bytes that are read at a time, if so many are there; pieces of them live as long as what they were decoded to.
const READ: usize = 64 * 1024;

/// Room that is worth a read.
const MIN_READ: usize = 16 * 1024;

/// The answer to a request, as it arrives.
pub(super) struct Incoming {
    stream: Box<dyn Duplex>,
    /// What is read and not done with.
    buffer: BytesMut,
    body: Body,
}

impl Incoming {
    /// Writes a request, and reads the head of its answer.
    pub(super) async fn post(
        mut stream: Box<dyn Duplex>,
        request: &[u8],
    ) -> io::Result<(Reply, Self)> {
        let written = write(&mut stream, request).await;
        let mut this = Self {
            stream,
            buffer: BytesMut::new(),
            body: Body::Done,
        };
        match (this.read_head().await, written) {
            // A peer need not read a request whole to answer it.
            (Ok(reply), _) => Ok((reply, this)),
            (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error),
        }
    }

    async fn read_head(&mut self) -> io::Result<Reply> {
        loop {
            if let Some(reply) = self.parse_head()? {
                return Ok(reply);
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(broken("its head is too long"));
            }
            if std::future::poll_fn(|context| self.poll_fill(context)).await? == 0 {
                return Err(cut());
            }
        }
    }

    fn parse_head(&mut self) -> io::Result<Option<Reply>> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut response = httparse::Response::new(&mut headers);
            let parsed = response.parse(&self.buffer).map_err(broken)?;
            let Status::Complete(length) = parsed else {
                return Ok(None);
            };
            let status = response.code.unwrap_or_default();
            match status {
                ..100 => return Err(broken("no such status")),
                101 => return Err(broken("it changes the protocol")),
                // Interim: the answer is still to come.
                100..=199 => self.buffer.advance(length),
                _ => {
                    let is_old = response.version == Some(0);
                    self.body = framing(status, is_old, response.headers).body;
                    let reply = head(status, response.headers);
                    self.buffer.advance(length);
                    return Ok(Some(reply));
                }
            }
        }
    }

    /// Reads the body into `reply`, up to `limit` bytes; what could be read of it where it breaks, for the status already
    /// says the essence.
    pub(super) async fn read_text(mut self, reply: &mut Reply, limit: usize) {
        let mut text = Vec::new();
        while let Some(piece) = self.next().await {
            let Ok(piece) = piece else {
                reply.is_cut = true;
                break;
            };
            text.extend_from_slice(&piece);
            if text.len() > limit {
                text.truncate(limit);
                break;
            }
        }
        reply.body = String::from_utf8_lossy(&text).into_owned();
    }

    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.buffer.capacity() - self.buffer.len() < MIN_READ {
            self.buffer.reserve(READ);
        }
        poll_read_buf(Pin::new(&mut self.stream), context, &mut self.buffer)
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        while self.body != Body::Done {
            match self.body.step(&self.buffer) {
                Part::Content(length) => {
                    let piece = self.buffer.split_to(length).freeze();
                    return Poll::Ready(Ok(Some(piece)));
                }
                Part::Framing(length) => self.buffer.advance(length),
                Part::Odd => return Poll::Ready(Err(broken("its body is not framed"))),
                Part::Unfinished => match ready!(self.poll_fill(context))? {
                    0 if self.body == Body::UntilClose => self.body = Body::Done,
                    0 => return Poll::Ready(Err(cut())),
                    _ => {}
                },
            }
        }
        Poll::Ready(Ok(None))
    }
}

/// Ends with the body, or with the first error.
impl Stream for Incoming {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let piece = ready!(this.poll_piece(context));
        if piece.is_err() {
            this.body = Body::Done;
        }
        Poll::Ready(piece.transpose())
    }
}

async fn write(stream: &mut Box<dyn Duplex>, request: &[u8]) -> io::Result<()> {
    stream.write_all(request).await?;
    stream.flush().await
}

fn head(status: u16, headers: &[Header<'_>]) -> Reply {
    let text = |name: &str| {
        let mut named = headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        let value = std::str::from_utf8(named.next()?.value).ok()?;
        Some(value.trim_ascii())
    };
    Reply {
        status,
        content_type: text("Content-Type").map(str::to_owned),
        location: text("Location").map(str::to_owned),
        stream_id: text(STREAM_ID).map(Into::into),
        ..Reply::default()
    }
}

fn broken(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn cut() -> io::Error {
    let why = "peer closed the connection in the middle of its answer";
    io::Error::new(io::ErrorKind::UnexpectedEof, why)
}

#[cfg(test)]
mod tests;
