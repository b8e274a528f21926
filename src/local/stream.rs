//! A stream of events, from the state that sends them to the response body that carries them.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::wire::Wire;
use crate::codec::{self, ContentType, WireMessage};
use crate::recordio;

/// The sending end; dropping it ends the stream in order.
///
/// The queue has no bound, as in Mesos (MESOS-7748): neither a slow reader nor one that stopped holds up the others, at
/// the price of memory.
pub(super) struct EventStream<M> {
    content_type: ContentType,
    records: mpsc::UnboundedSender<Bytes>,
    /// Cancelled to break the connection off.
    cut: CancellationToken,
    message: PhantomData<fn(M)>,
}

/// The receiving end, as the body of a response.
pub(super) struct EventBody {
    records: mpsc::UnboundedReceiver<Bytes>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    wire: Arc<Wire>,
    on_end: Option<Box<dyn FnOnce() + Send + Sync>>,
}

/// Why a response ends in the middle: somebody wants it so.
#[derive(Debug, thiserror::Error)]
#[error("stream cut")]
pub(super) struct Cut;

impl<M: WireMessage> EventStream<M> {
    /// A stream of records in `content_type`, written as `wire` has it.
    #[expect(
        clippy::disallowed_methods,
        reason = "a master writes events without waiting for the reader, as Mesos does"
    )]
    pub(super) fn new(content_type: ContentType, wire: &Arc<Wire>) -> (Self, EventBody) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let cut = CancellationToken::new();
        let cut_off = cut.clone().cancelled_owned();
        let stream = Self {
            content_type,
            records: sender,
            cut,
            message: PhantomData,
        };
        let body = EventBody {
            records: receiver,
            cut: Box::pin(cut_off),
            wire: Arc::clone(wire),
            on_end: None,
        };
        (stream, body)
    }

    /// Queues one event; if nobody reads any more it goes nowhere.
    pub(super) fn send(&self, event: &M) {
        match codec::encode(self.content_type, event) {
            Ok(record) => {
                let mut framed = BytesMut::new();
                recordio::encode(&record, &mut framed);
                // The reader's end is told by the body's drop.
                let _ = self.records.send(framed.freeze());
            }
            Err(error) => tracing::warn!(%error, "event not sent"),
        }
    }

    /// Queues bytes as they are.
    pub(super) fn send_raw(&self, bytes: Bytes) {
        // As for events.
        let _ = self.records.send(bytes);
    }

    /// Breaks the connection off at once, whatever is queued.
    pub(super) fn cut(&self) {
        self.cut.cancel();
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
}

impl Drop for EventBody {
    fn drop(&mut self) {
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

impl Body for EventBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(Cut)));
        }
        if self.wire.poll_unstalled(context).is_pending() {
            return Poll::Pending;
        }
        let record = self.records.poll_recv(context);
        record.map(|record| record.map(|record| Ok(Frame::data(record))))
    }
}
