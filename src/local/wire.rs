//! What a test has done to the wire: set by the cluster's owner, looked at where bytes and calls pass.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use hyper::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The faults that stand. Masters come and go; these stay.
#[derive(Debug, Default)]
pub(super) struct Wire {
    faults: Mutex<Faults>,
}

#[derive(Debug, Default)]
struct Faults {
    are_heartbeats_withheld: bool,
    are_streams_stalled: bool,
    are_writes_split: bool,
    /// For the scheduler calls that come next, one each.
    calls: VecDeque<CallFault>,
    /// Updates to schedulers that are to be sent twice.
    duplicates: usize,
    /// Streams that wait to be written again.
    stalled: Vec<Waker>,
}

/// What happens to one scheduler call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallFault {
    /// It is answered so, and not carried out.
    Refuse(StatusCode, String),
    /// It is carried out, and its connection closes unanswered.
    LoseAnswer,
}

impl Wire {
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_heartbeats_withheld(&self, are_withheld: bool) {
        self.faults().are_heartbeats_withheld = are_withheld;
    }

    pub(super) fn are_heartbeats_withheld(&self) -> bool {
        self.faults().are_heartbeats_withheld
    }

    pub(super) fn set_streams_stalled(&self, are_stalled: bool) {
        let stalled = {
            let mut faults = self.faults();
            faults.are_streams_stalled = are_stalled;
            std::mem::take(&mut faults.stalled)
        };
        stalled.into_iter().for_each(Waker::wake);
    }

    /// Ready while streams may be written.
    pub(super) fn poll_unstalled(&self, context: &Context<'_>) -> Poll<()> {
        let mut faults = self.faults();
        if !faults.are_streams_stalled {
            return Poll::Ready(());
        }
        let waker = context.waker();
        if !faults.stalled.iter().any(|known| known.will_wake(waker)) {
            faults.stalled.push(waker.clone());
        }
        Poll::Pending
    }

    pub(super) fn set_writes_split(&self, are_split: bool) {
        self.faults().are_writes_split = are_split;
    }

    fn are_writes_split(&self) -> bool {
        self.faults().are_writes_split
    }

    pub(super) fn add_call_fault(&self, fault: CallFault) {
        self.faults().calls.push_back(fault);
    }

    pub(super) fn take_call_fault(&self) -> Option<CallFault> {
        self.faults().calls.pop_front()
    }

    pub(super) fn add_duplicate(&self) {
        self.faults().duplicates += 1;
    }

    /// Whether the update about to be sent is to be sent twice.
    pub(super) fn take_duplicate(&self) -> bool {
        let mut faults = self.faults();
        let is_due = faults.duplicates > 0;
        faults.duplicates -= usize::from(is_due);
        is_due
    }
}

/// A server's end of a connection.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    wire: Arc<Wire>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, wire: Arc<Wire>) -> Self {
        Self { stream, wire }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let length = if self.wire.are_writes_split() {
            bytes.len().min(1)
        } else {
            bytes.len()
        };
        Pin::new(&mut self.stream).poll_write(context, &bytes[..length])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.wire.are_writes_split() {
            let piece = pieces.iter().find(|piece| !piece.is_empty());
            return self.poll_write(context, piece.map_or(&[], |piece| piece));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_a_call_is_for_one_call() {
        let wire = Wire::default();
        let refusal = CallFault::Refuse(StatusCode::FORBIDDEN, "no".to_owned());
        wire.add_call_fault(refusal.clone());
        wire.add_call_fault(CallFault::LoseAnswer);
        assert_eq!(wire.take_call_fault(), Some(refusal));
        assert_eq!(wire.take_call_fault(), Some(CallFault::LoseAnswer));
        assert_eq!(wire.take_call_fault(), None);
        wire.add_duplicate();
        assert!(wire.take_duplicate());
        assert!(!wire.take_duplicate());
    }
}
