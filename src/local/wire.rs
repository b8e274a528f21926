//! What a test has done to the wire: set by the cluster's owner, looked at where bytes and calls pass.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::StatusCode;

use super::gate::Gate;
use super::lasting::Lasting;
use super::peer::Peer;

/// The faults that stand, and the bound of streams. Masters come and go; these stay.
#[derive(Debug)]
pub(super) struct Wire {
    /// Bytes that a stream may have waiting for its reader.
    stream_limit: usize,
    gate: Gate,
    withheld_heartbeats: Lasting,
    stalled_streams: Lasting,
    split_writes: Lasting,
    /// By how many nanoseconds things are written later.
    delay: Lasting,
    faults: Mutex<Faults>,
}

#[derive(Debug, Default)]
struct Faults {
    /// For the calls that come next, one each.
    scheduler_calls: VecDeque<CallFault>,
    executor_calls: VecDeque<CallFault>,
    /// Updates to schedulers that are to be sent twice.
    duplicates: usize,
    /// Streams and sockets that wait for a fault to be undone.
    waiting: Vec<Waker>,
}

/// Whose calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    Scheduler,
    Executor,
}

/// What happens to one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallFault {
    /// It is answered so, and not carried out.
    Refuse(StatusCode, String),
    /// It is carried out, and its connection closes unanswered.
    LoseAnswer,
}

impl Wire {
    pub(super) fn new(stream_limit: usize) -> Self {
        Self {
            stream_limit,
            gate: Gate::default(),
            withheld_heartbeats: Lasting::default(),
            stalled_streams: Lasting::default(),
            split_writes: Lasting::default(),
            delay: Lasting::default(),
            faults: Mutex::default(),
        }
    }

    /// What may be written, and when.
    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(super) fn stream_limit(&self) -> usize {
        self.stream_limit
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_heartbeats_withheld(&self, peer: Option<&Peer>, are_withheld: bool) {
        self.withheld_heartbeats.set(peer, are_withheld.into());
    }

    pub(super) fn are_heartbeats_withheld(&self, reader: &Peer) -> bool {
        self.withheld_heartbeats.holds(Some(reader))
    }

    pub(super) fn set_streams_stalled(&self, peer: Option<&Peer>, are_stalled: bool) {
        self.stalled_streams.set(peer, are_stalled.into());
        self.wake();
    }

    /// Ready while the streams of `reader` may be written.
    pub(super) fn poll_unstalled(&self, context: &Context<'_>, reader: Option<&Peer>) -> Poll<()> {
        if !self.stalled_streams.holds(reader) {
            return Poll::Ready(());
        }
        self.wait(context);
        // It may have been undone in between.
        if self.stalled_streams.holds(reader) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }

    pub(super) fn set_writes_split(&self, peer: Option<&Peer>, are_split: bool) {
        self.split_writes.set(peer, are_split.into());
    }

    pub(super) fn are_writes_split(&self, reader: Option<&Peer>) -> bool {
        self.split_writes.holds(reader)
    }

    pub(super) fn set_delay(&self, peer: Option<&Peer>, delay: Duration) {
        let nanoseconds = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        self.delay.set(peer, nanoseconds);
        self.wake();
    }

    pub(super) fn delay(&self, reader: Option<&Peer>) -> Duration {
        Duration::from_nanos(self.delay.strength(reader))
    }

    /// Has the task of `context` woken when a fault that makes it wait is undone.
    pub(super) fn wait(&self, context: &Context<'_>) {
        let waker = context.waker();
        let mut faults = self.faults();
        if !faults.waiting.iter().any(|known| known.will_wake(waker)) {
            faults.waiting.push(waker.clone());
        }
    }

    fn wake(&self) {
        let waiting = std::mem::take(&mut self.faults().waiting);
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(super) fn add_call_fault(&self, caller: Caller, fault: CallFault) {
        self.faults().calls(caller).push_back(fault);
    }

    pub(super) fn has_call_fault(&self, caller: Caller) -> bool {
        !self.faults().calls(caller).is_empty()
    }

    pub(super) fn take_call_fault(&self, caller: Caller) -> Option<CallFault> {
        self.faults().calls(caller).pop_front()
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

    /// Undoes what lasts, and forgets what was still to happen.
    pub(super) fn clear(&self) {
        {
            let mut faults = self.faults();
            faults.scheduler_calls.clear();
            faults.executor_calls.clear();
            faults.duplicates = 0;
        }
        self.withheld_heartbeats.clear();
        self.split_writes.clear();
        self.delay.clear();
        self.stalled_streams.clear();
        self.wake();
    }
}

impl Faults {
    fn calls(&mut self, caller: Caller) -> &mut VecDeque<CallFault> {
        match caller {
            Caller::Scheduler => &mut self.scheduler_calls,
            Caller::Executor => &mut self.executor_calls,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_a_call_is_for_one_call() {
        let wire = Wire::new(usize::MAX);
        let refusal = CallFault::Refuse(StatusCode::FORBIDDEN, "no".to_owned());
        wire.add_call_fault(Caller::Scheduler, refusal.clone());
        wire.add_call_fault(Caller::Scheduler, CallFault::LoseAnswer);
        assert_eq!(wire.take_call_fault(Caller::Executor), None);
        assert_eq!(wire.take_call_fault(Caller::Scheduler), Some(refusal));
        let next = wire.take_call_fault(Caller::Scheduler);
        assert_eq!(next, Some(CallFault::LoseAnswer));
        assert_eq!(wire.take_call_fault(Caller::Scheduler), None);
        wire.add_duplicate();
        assert!(wire.take_duplicate());
        assert!(!wire.take_duplicate());
    }

    #[test]
    fn cleared_faults_do_not_happen() {
        let wire = Wire::new(usize::MAX);
        wire.add_call_fault(Caller::Executor, CallFault::LoseAnswer);
        wire.add_duplicate();
        let operators = Peer::Operators;
        wire.set_delay(None, Duration::from_secs(1));
        wire.set_writes_split(Some(&operators), true);
        wire.clear();
        assert_eq!(wire.take_call_fault(Caller::Executor), None);
        assert!(!wire.take_duplicate());
        assert_eq!(wire.delay(None), Duration::ZERO);
        assert!(!wire.are_writes_split(Some(&operators)));
    }
}
