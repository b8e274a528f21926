//! What may be told: with a work directory that is kept, nothing before it is written down.
//!
//! A change and all that is said because of it have a number. Connections and launches wait until the keeper has written
//! the change of that number; what master and agents tell each other does not, for they live and die together.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Numbers of changes; all that there are may be told while it stands open.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Whether somebody writes changes down.
    is_kept: AtomicBool,
    /// Number of the last change.
    last: AtomicU64,
    /// Number of the last change that is on the disk.
    written: AtomicU64,
    waiting: Mutex<Vec<Waker>>,
}

impl Gate {
    /// Has it closed before each change, from now on.
    pub(super) fn keep(&self) {
        self.is_kept.store(true, Ordering::SeqCst);
    }

    /// Opens it for good.
    pub(super) fn open(&self) {
        self.is_kept.store(false, Ordering::SeqCst);
        self.wake();
    }

    /// A change begins.
    pub(super) fn change(&self) {
        self.last.fetch_add(1, Ordering::SeqCst);
    }

    /// The number of the last change, which may not be over.
    pub(super) fn last(&self) -> u64 {
        self.last.load(Ordering::SeqCst)
    }

    /// All changes up to this one are on the disk.
    pub(super) fn written(&self, number: u64) {
        self.written.store(number, Ordering::SeqCst);
        self.wake();
    }

    /// Ready when what follows from the change of this number may be told.
    pub(super) fn poll(&self, context: &Context<'_>, number: u64) -> Poll<()> {
        if self.lets_through(number) {
            return Poll::Ready(());
        }
        let waker = context.waker();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
        drop(waiting);
        // It may have been written in between.
        match self.lets_through(number) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// The same for all changes until now.
    pub(super) async fn passed(&self) {
        let number = self.last();
        std::future::poll_fn(|context| self.poll(context, number)).await;
    }

    fn lets_through(&self, number: u64) -> bool {
        !self.is_kept.load(Ordering::SeqCst) || self.written.load(Ordering::SeqCst) >= number
    }

    fn wake(&self) {
        let waiting =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_when_it_is_written_down() {
        let gate = Gate::default();
        let context = Context::from_waker(Waker::noop());
        gate.change();
        assert!(gate.poll(&context, gate.last()).is_ready());
        gate.keep();
        let one = gate.last();
        gate.change();
        let other = gate.last();
        assert!(gate.poll(&context, one).is_pending());
        gate.written(one);
        assert!(gate.poll(&context, one).is_ready());
        assert!(gate.poll(&context, other).is_pending());
        gate.open();
        assert!(gate.poll(&context, other).is_ready());
    }
}
