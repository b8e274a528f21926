//! A fault that stands until it is undone: for everybody, and for some.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::peer::Peer;

/// How strong it is: 0 is no fault.
#[derive(Debug, Default)]
pub(super) struct Lasting {
    everybody: AtomicU64,
    /// Whether it stands for anybody in particular: the usual case needs no lock.
    is_for_some: AtomicBool,
    some: Mutex<Vec<(Peer, u64)>>,
}

impl Lasting {
    fn some(&self) -> MutexGuard<'_, Vec<(Peer, u64)>> {
        self.some.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For `peer`, or for everybody.
    pub(super) fn set(&self, peer: Option<&Peer>, strength: u64) {
        let Some(peer) = peer else {
            self.everybody.store(strength, Ordering::SeqCst);
            return;
        };
        let mut some = self.some();
        some.retain(|(known, _)| known != peer);
        if strength > 0 {
            some.push((peer.clone(), strength));
        }
        self.is_for_some.store(!some.is_empty(), Ordering::SeqCst);
    }

    /// Undoes all of it.
    pub(super) fn clear(&self) {
        self.everybody.store(0, Ordering::SeqCst);
        self.some().clear();
        self.is_for_some.store(false, Ordering::SeqCst);
    }

    /// For `reader`; for one of whom nothing is known, what stands for everybody.
    pub(super) fn strength(&self, reader: Option<&Peer>) -> u64 {
        let everybody = self.everybody.load(Ordering::SeqCst);
        let Some(reader) = reader.filter(|_| self.is_for_some.load(Ordering::SeqCst)) else {
            return everybody;
        };
        let some = self.some();
        let own = some.iter().filter(|(peer, _)| peer.includes(reader));
        own.map(|(_, strength)| *strength)
            .chain([everybody])
            .max()
            .unwrap_or_default()
    }

    pub(super) fn holds(&self, reader: Option<&Peer>) -> bool {
        self.strength(reader) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_that_concerns_the_reader_counts() {
        let (one, other) = (Peer::Scheduler("1".into()), Peer::Scheduler("2".into()));
        let fault = Lasting::default();
        fault.set(Some(&one), 3);
        fault.set(Some(&Peer::Schedulers), 2);
        assert_eq!(fault.strength(Some(&one)), 3);
        assert_eq!(fault.strength(Some(&other)), 2);
        assert!(!fault.holds(Some(&Peer::Operators)));
        assert!(!fault.holds(None));
        fault.set(None, 5);
        assert_eq!(fault.strength(Some(&one)), 5);
        assert_eq!(fault.strength(None), 5);
        fault.set(None, 0);
        fault.set(Some(&one), 0);
        assert_eq!(fault.strength(Some(&one)), 2);
        fault.clear();
        assert!(!fault.holds(Some(&one)));
    }
}
