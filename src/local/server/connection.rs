//! One connection: requests in their order, each answered when it is whole, and what is subscribed on it.
//!
//! Source: `decode_recv`, `3rdparty/libprocess/src/process.cpp`, and `3rdparty/libprocess/src/http_proxy.cpp` of Apache
//! Mesos 1.11.0.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use hyper::{Method, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::answer::{self, Written};
use super::decoder::{Broken, Decoder, Incoming};
use super::{Handler, MAX_BODY_SIZE};
use crate::local::gzip;
use crate::local::http::{ApiRequest, Reply};
use crate::local::socket::{Line, Socket};
use crate::local::stream::EventBody;
use crate::local::wire::Wire;

/// Bytes that may wait to be written before more are made, or more is read.
const MAX_WAITING: usize = 256 * 1024;

/// Bytes that are read at once.
const READ_SIZE: usize = 16 * 1024;

/// Serves one connection, of whatever kind, until it ends.
pub(in crate::local) async fn connection<S>(stream: S, handler: Handler, wire: Arc<Wire>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let line = Arc::<Line>::default();
    let mut own = Connection {
        socket: Socket::new(stream, Arc::clone(&wire), Arc::clone(&line)),
        wire,
        handler,
        line: Arc::clone(&line),
        decoder: Decoder::new(MAX_BODY_SIZE),
        input: BytesMut::new(),
        is_broken: false,
        is_last: false,
        out: BytesMut::new(),
        change: 0,
        streams: Vec::new(),
    };
    let serving = std::future::poll_fn(|context| own.poll(context));
    if let Some(Err(error)) = line.cut.run_until_cancelled(serving).await {
        tracing::debug!(%error, "connection ended");
    }
}

struct Connection<S> {
    socket: Socket<S>,
    wire: Arc<Wire>,
    handler: Handler,
    line: Arc<Line>,
    decoder: Decoder,
    /// Read, and not decoded yet.
    input: BytesMut,
    /// What came last was no HTTP, behind something that was: the next byte ends the connection.
    is_broken: bool,
    /// The connection ends when all is written, and no stream is open.
    is_last: bool,
    /// To be written.
    out: BytesMut,
    /// Number of the last change that it may tell of.
    change: u64,
    /// What is subscribed; answers to what comes meanwhile are written between the chunks, as Mesos does it.
    streams: Vec<Subscribed>,
}

struct Subscribed {
    body: EventBody,
    keeps_alive: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Ready when the connection is over.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_write(context))?;
            if self.is_last && self.streams.is_empty() {
                return Pin::new(&mut self.socket).poll_shutdown(context);
            }
            if self.poll_streams(context) || self.answer_next() {
                continue;
            }
            if ready!(self.poll_read(context))? == 0 || self.is_broken {
                return Pin::new(&mut self.socket).poll_shutdown(context);
            }
            let is_answered = self.answer_all();
            if self.is_broken && !is_answered {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.out.has_remaining() {
            ready!(self.wire.gate().poll(context, self.change));
        }
        while self.out.has_remaining() {
            let socket = Pin::new(&mut self.socket);
            match ready!(socket.poll_write(context, &self.out))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.out.advance(written),
            }
        }
        Pin::new(&mut self.socket).poll_flush(context)
    }

    /// Takes what there is of streams; whether that is anything.
    fn poll_streams(&mut self, context: &mut Context<'_>) -> bool {
        let before = self.out.len();
        let mut at = 0;
        while let Some(own) = self.streams.get_mut(at) {
            if self.out.len() >= MAX_WAITING {
                break;
            }
            match own.body.poll_record(context) {
                Poll::Ready(Some(record)) => {
                    self.change = self.wire.gate().last();
                    answer::chunk(&record, &mut self.out);
                }
                Poll::Ready(None) => {
                    answer::last_chunk(&mut self.out);
                    self.is_last |= !own.keeps_alive;
                    self.streams.remove(at);
                }
                Poll::Pending => at += 1,
            }
        }
        self.out.len() > before
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut bytes = [0; READ_SIZE];
        let mut buffer = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.socket).poll_read(context, &mut buffer))?;
        self.input.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Answers requests that have been read, until much is to be written; whether there was one.
    fn answer_all(&mut self) -> bool {
        let mut is_any = false;
        while self.out.len() < MAX_WAITING && self.answer_next() {
            is_any = true;
        }
        is_any
    }

    /// Answers the next request, if it has been read.
    fn answer_next(&mut self) -> bool {
        if self.is_broken || self.is_last || self.input.is_empty() {
            return false;
        }
        match self.decoder.decode(&mut self.input) {
            Ok(None) => self.answer_early(),
            Ok(Some(incoming)) => {
                self.answer(incoming);
                true
            }
            // Who needs no body does not mind that it is broken.
            Err(Broken::Body) if self.answer_early() => {
                self.is_broken = true;
                self.input.clear();
                true
            }
            Err(broken) => {
                self.is_broken = true;
                self.input.clear();
                let reply = match broken {
                    Broken::Head => return false,
                    Broken::Body => Reply::undecodable(),
                    Broken::TooLong => Reply::status(StatusCode::PAYLOAD_TOO_LARGE, ""),
                };
                self.write(reply, false, true);
                true
            }
        }
    }

    /// Answers a request whose body has not come, if it needs none for that.
    fn answer_early(&mut self) -> bool {
        let Some(head) = self.decoder.begun() else {
            return false;
        };
        let request = ApiRequest {
            method: Method::from_bytes(head.method.as_bytes()).unwrap_or_default(),
            path: super::plain_path(&head.target.path),
            target: head.target.clone(),
            headers: std::mem::take(&mut head.headers),
            body: Bytes::new(),
        };
        let keeps_alive = head.keeps_alive;
        let reply = self.handler.early(&request);
        head.headers = request.headers;
        let Some(reply) = reply else {
            return false;
        };
        self.decoder.answered();
        self.write(reply, false, keeps_alive);
        true
    }

    fn answer(&mut self, incoming: Incoming) {
        let Incoming { head, body } = incoming;
        let may_compress = gzip::is_accepted(&head.headers);
        if !head.target.path.starts_with('/') {
            let reply = Reply::bad_request("Request URL path must start with '/'");
            self.write(reply, false, head.keeps_alive);
            return;
        }
        let reply = match gzip::inflated(&head.headers, body, MAX_BODY_SIZE) {
            Ok(body) => self.handler.answer(&ApiRequest {
                method: Method::from_bytes(head.method.as_bytes()).unwrap_or_default(),
                path: super::plain_path(&head.target.path),
                target: head.target,
                headers: head.headers,
                body,
            }),
            Err(why) => {
                // The stream of bytes is no good any more.
                self.is_broken = true;
                Reply::status(StatusCode::INTERNAL_SERVER_ERROR, why)
            }
        };
        self.write(reply, may_compress, head.keeps_alive);
    }

    fn write(&mut self, reply: Reply, may_compress: bool, keeps_alive: bool) {
        self.change = self.wire.gate().last();
        match answer::write(reply, may_compress, &mut self.out) {
            Written::Whole => self.is_last |= !keeps_alive,
            Written::Stream(body) => {
                body.attach(&self.line);
                self.streams.push(Subscribed { body, keeps_alive });
            }
            Written::Lost => {
                self.streams.clear();
                self.is_last = true;
            }
        }
    }
}
