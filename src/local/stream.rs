//! A stream of events, from the state that sends them to the response body that carries them.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use super::peer::Peer;
use super::socket::Line;
use super::wire::Wire;
use crate::codec::{self, ContentType, WireMessage};
use crate::recordio;

/// The sending end; dropping it ends the stream in order.
///
/// Neither a slow reader nor one that stopped holds up the others. What it has not read is kept, up to a bound of bytes;
/// then the stream is cut. (A real master keeps on without bound, MESOS-7748.)
pub(super) struct EventStream<M> {
    content_type: ContentType,
    records: mpsc::UnboundedSender<Bytes>,
    shared: Arc<Shared>,
    /// Bytes that may wait.
    limit: usize,
    message: PhantomData<fn(M)>,
}

/// The receiving end, the body of a response.
pub(super) struct EventBody {
    records: mpsc::UnboundedReceiver<Bytes>,
    shared: Arc<Shared>,
    wire: Arc<Wire>,
    on_end: Option<Box<dyn FnOnce() + Send + Sync>>,
}

/// What both ends know.
#[derive(Debug, Default)]
struct Shared {
    /// Bytes that wait.
    waiting: AtomicUsize,
    is_cut: AtomicBool,
    /// Who reads it, once that is known.
    reader: OnceLock<Peer>,
    /// The connection, once there is a response.
    line: OnceLock<Arc<Line>>,
    /// Whether there is a fault: the usual case needs no lock.
    has_fault: AtomicBool,
    fault: Mutex<Option<StreamFault>>,
}

/// Where a stream is to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamFault {
    /// After so many more bytes of records.
    After(usize),
    /// In the middle of the next record.
    InRecord,
}

impl Shared {
    fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        if let Some(line) = self.line.get() {
            line.cut.cancel();
        }
    }

    fn set_fault(&self, fault: Option<StreamFault>) {
        let mut known = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        *known = fault;
        self.has_fault.store(fault.is_some(), Ordering::SeqCst);
    }

    /// How much of a record of `length` bytes is written before the connection is cut; `None`: all, and no cut.
    fn cuts_at(&self, length: usize) -> Option<usize> {
        if !self.has_fault.load(Ordering::SeqCst) {
            return None;
        }
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match *fault {
            None => None,
            Some(StreamFault::InRecord) => Some(length.div_ceil(2)),
            Some(StreamFault::After(left)) if left <= length => Some(left),
            Some(StreamFault::After(left)) => {
                *fault = Some(StreamFault::After(left - length));
                None
            }
        }
    }
}

impl<M: WireMessage> EventStream<M> {
    /// A stream of records in `content_type`, written as `wire` has it.
    #[expect(
        clippy::disallowed_methods,
        reason = "bounded in bytes, not in records: see `queue`"
    )]
    pub(super) fn new(content_type: ContentType, wire: &Arc<Wire>) -> (Self, EventBody) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let shared = Arc::<Shared>::default();
        let stream = Self {
            content_type,
            records: sender,
            shared: Arc::clone(&shared),
            limit: wire.stream_limit(),
            message: PhantomData,
        };
        let body = EventBody {
            records: receiver,
            shared,
            wire: Arc::clone(wire),
            on_end: None,
        };
        (stream, body)
    }

    /// Queues one event; if nobody reads any more it goes nowhere.
    pub(super) fn send(&self, event: &M) {
        match codec::encode(self.content_type, event) {
            Ok(record) => self.send_record(&record),
            Err(error) => tracing::warn!(%error, "event not sent"),
        }
    }

    /// Queues a record that is already written in this stream's content type.
    pub(super) fn send_record(&self, record: &[u8]) {
        let mut framed = BytesMut::with_capacity(record.len() + 8);
        recordio::encode(record, &mut framed);
        self.queue(framed.freeze());
    }

    /// Queues bytes as they are.
    pub(super) fn send_raw(&self, bytes: Bytes) {
        self.queue(bytes);
    }

    fn queue(&self, bytes: Bytes) {
        if self.shared.is_cut.load(Ordering::SeqCst) {
            return;
        }
        let length = bytes.len();
        let before = self.shared.waiting.fetch_add(length, Ordering::SeqCst);
        // A record of any size passes on a stream that is read.
        if before > 0 && before + length > self.limit {
            tracing::warn!(
                waiting = before,
                limit = self.limit,
                "stream cut: its reader does not read"
            );
            self.cut();
            return;
        }
        // The reader's end is told by the body's drop.
        let _ = self.records.send(bytes);
    }
}

impl<M> EventStream<M> {
    /// Tells who reads it, and so which faults it has.
    pub(super) fn belongs_to(&self, reader: Peer) {
        // A stream has one reader all its life.
        let _ = self.shared.reader.set(reader);
    }

    /// Breaks the connection off at once, whatever is queued.
    pub(super) fn cut(&self) {
        self.shared.cut();
    }

    /// Has the connection cut later; `None` takes that back.
    pub(super) fn set_fault(&self, fault: Option<StreamFault>) {
        self.shared.set_fault(fault);
    }
}

impl<M> fmt::Debug for EventStream<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("content_type", &self.content_type)
            .finish_non_exhaustive()
    }
}

impl EventBody {
    /// Has `on_end` called when the body is gone, whichever side ended it.
    pub(super) fn on_end(mut self, on_end: impl FnOnce() + Send + Sync + 'static) -> Self {
        self.on_end = Some(Box::new(on_end));
        self
    }

    /// Tells the stream which connection it is on.
    pub(super) fn attach(&self, line: &Arc<Line>) {
        if let Some(reader) = self.shared.reader.get() {
            line.belongs_to(reader);
        }
        // There is one response, and so one connection.
        let _ = self.shared.line.set(Arc::clone(line));
        if self.shared.is_cut.load(Ordering::SeqCst) {
            line.cut.cancel();
        }
    }
}

impl Drop for EventBody {
    fn drop(&mut self) {
        // What is queued from now on goes nowhere.
        self.shared.is_cut.store(true, Ordering::SeqCst);
        if let Some(on_end) = self.on_end.take() {
            on_end();
        }
    }
}

impl fmt::Debug for EventBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBody").finish_non_exhaustive()
    }
}

impl EventBody {
    /// The next record to be written; none after the last.
    pub(super) fn poll_record(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.shared.is_cut.load(Ordering::SeqCst) {
            // The connection is about to go.
            return Poll::Pending;
        }
        ready!(self.wire.poll_unstalled(context, self.shared.reader.get()));
        let Some(record) = ready!(self.records.poll_recv(context)) else {
            return Poll::Ready(None);
        };
        self.shared
            .waiting
            .fetch_sub(record.len(), Ordering::SeqCst);
        let Some(length) = self.shared.cuts_at(record.len()) else {
            return Poll::Ready(Some(record));
        };
        self.shared.is_cut.store(true, Ordering::SeqCst);
        if let Some(line) = self.shared.line.get() {
            line.cut_when_flushed();
        }
        Poll::Ready(Some(record.slice(..length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::scheduler::Event;

    fn stream(limit: usize) -> (EventStream<Event>, EventBody) {
        EventStream::new(ContentType::Protobuf, &Arc::new(Wire::new(limit)))
    }

    #[test]
    fn a_stream_nobody_reads_is_cut_at_its_limit() {
        let (stream, body) = stream(10);
        let line = Arc::<Line>::default();
        body.attach(&line);
        // One record of any size passes.
        stream.send_raw(Bytes::from_static(&[0; 20]));
        assert!(!line.cut.is_cancelled());
        stream.send_raw(Bytes::from_static(&[0]));
        assert!(line.cut.is_cancelled());
    }

    #[test]
    fn a_stream_cut_before_its_response_cuts_the_connection_then() {
        let (stream, body) = stream(10);
        stream.cut();
        let line = Arc::<Line>::default();
        body.attach(&line);
        assert!(line.cut.is_cancelled());
    }

    #[test]
    fn faults_count_the_bytes_of_records() {
        let (stream, _body) = stream(10);
        assert_eq!(stream.shared.cuts_at(3), None);
        stream.set_fault(Some(StreamFault::After(5)));
        assert_eq!(stream.shared.cuts_at(3), None);
        assert_eq!(stream.shared.cuts_at(3), Some(2));
        stream.set_fault(Some(StreamFault::InRecord));
        assert_eq!(stream.shared.cuts_at(5), Some(3));
        stream.set_fault(None);
        assert_eq!(stream.shared.cuts_at(3), None);
    }
}
