//! A server's end of a connection, where bytes are split, held back and cut off at the wish of a test.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::peer::Peer;
use super::wire::Wire;

/// Bytes of one connection that a delay may hold back; more wait where they come from.
const MAX_DELAYED: usize = 1024 * 1024;

/// What ends a connection other than its two ends.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Cancelled to drop the connection where it is.
    pub(super) cut: CancellationToken,
    /// Whether to drop it once everything handed over so far is written.
    ends_when_flushed: AtomicBool,
    /// Who reads the event stream on it, once there is one.
    reader: OnceLock<Peer>,
}

impl Line {
    /// Has the faults of `reader` be those of this connection.
    pub(super) fn belongs_to(&self, reader: &Peer) {
        // There is one event stream.
        let _ = self.reader.set(reader.clone());
    }

    pub(super) fn cut_when_flushed(&self) {
        self.ends_when_flushed.store(true, Ordering::SeqCst);
    }
}

/// A server's end of a connection.
#[derive(Debug)]
pub(super) struct Socket<S> {
    stream: S,
    wire: Arc<Wire>,
    line: Arc<Line>,
    delayed: Delayed,
    /// The other end does not read: nothing more is read from it, for its requests have answers.
    is_blocked: bool,
    /// Woken when it reads again.
    reading: Option<Waker>,
}

/// What is written later, in order.
#[derive(Debug, Default)]
struct Delayed {
    pieces: VecDeque<(Instant, Bytes)>,
    size: usize,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncWrite + Unpin> Socket<S> {
    pub(super) fn new(stream: S, wire: Arc<Wire>, line: Arc<Line>) -> Self {
        Self {
            stream,
            wire,
            line,
            delayed: Delayed::default(),
            is_blocked: false,
            reading: None,
        }
    }

    /// Takes note of how a write went.
    fn noted(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending => self.is_blocked = true,
            Poll::Ready(_) => {
                self.is_blocked = false;
                if let Some(reading) = self.reading.take() {
                    reading.wake();
                }
            }
        }
        written
    }

    /// As many bytes as may be written at once.
    fn share<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        if self.is_split() {
            &bytes[..bytes.len().min(1)]
        } else {
            bytes
        }
    }

    /// Keeps bytes for later, if there is room.
    fn poll_delay(
        &mut self,
        context: &mut Context<'_>,
        delay: Duration,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.delayed.size >= MAX_DELAYED {
            ready!(self.poll_delayed(context))?;
        }
        let due = Instant::now() + delay;
        self.delayed.size += bytes.len();
        let piece = Bytes::copy_from_slice(bytes);
        self.delayed.pieces.push_back((due, piece));
        Poll::Ready(Ok(bytes.len()))
    }

    /// Writes what is due; ready when nothing is left.
    fn poll_delayed(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((due, piece)) = self.delayed.pieces.front() {
            let (due, piece) = (*due, piece.clone());
            if !self.delay().is_zero() && Instant::now() < due {
                let timer = self.delayed.timer.insert(Box::pin(sleep_until(due)));
                // The end of the delay wakes too.
                self.wire.wait(context);
                if !self.wire.delay(self.line.reader.get()).is_zero() {
                    ready!(timer.as_mut().poll(context));
                }
            }
            let share = self.share(&piece);
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, share))?;
            self.delayed.size -= written;
            if let Some((_, piece)) = self.delayed.pieces.front_mut() {
                piece.advance(written);
            }
            if written == piece.len() {
                self.delayed.pieces.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn is_plain(&self) -> bool {
        self.delayed.pieces.is_empty() && self.delay().is_zero()
    }

    fn is_split(&self) -> bool {
        self.wire.are_writes_split(self.line.reader.get())
    }

    fn delay(&self) -> Duration {
        self.wire.delay(self.line.reader.get())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Nobody else comes by when something held back is due.
        if let Poll::Ready(Err(error)) = self.poll_delayed(context) {
            return Poll::Ready(Err(error));
        }
        if self.is_blocked {
            self.reading = Some(context.waker().clone());
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.is_plain() {
            let delay = self.delay();
            let kept = self.poll_delay(context, delay, bytes);
            return self.noted(kept);
        }
        let share = self.share(bytes);
        let written = Pin::new(&mut self.stream).poll_write(context, share);
        self.noted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_split() || !self.is_plain() {
            let piece = pieces.iter().find(|piece| !piece.is_empty());
            return self.poll_write(context, piece.map_or(&[], |piece| piece));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.poll_delayed(context)?.is_pending() {
            // The next request does not wait for it.
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        if self.line.ends_when_flushed.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_delayed(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
