//! [`Peer`], and the faults of the streams of some peers only.

use std::time::Duration;

use super::cluster::LocalCluster;
use crate::proto::{ExecutorId, FrameworkId};

/// Who reads an event stream: one peer, or all of a kind.
///
/// # Examples
/// ```
/// # use std::time::Duration;
/// # use mesos_framework::local::{LocalCluster, Peer};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let cluster = LocalCluster::builder().start().await?;
/// let slow = Peer::Scheduler("a-framework".into());
/// cluster.delay_writes_of(&slow, Duration::from_millis(200));
/// cluster.withhold_heartbeats_of(&Peer::Operators);
/// // Every other scheduler hears at once, and of the master's heart.
/// cluster.clear_faults();
/// cluster.shutdown().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Peer {
    /// All schedulers.
    Schedulers,
    /// The scheduler of one framework.
    Scheduler(FrameworkId),
    /// All executors.
    Executors,
    /// An executor of a framework, on whatever agent; on several, all of that id.
    Executor(FrameworkId, ExecutorId),
    /// All who subscribed to the master's operator API.
    Operators,
}

impl Peer {
    /// Whether a fault of this peer is one of `reader`, which is a single one.
    pub(super) fn includes(&self, reader: &Self) -> bool {
        match self {
            Self::Schedulers => matches!(reader, Self::Scheduler(_)),
            Self::Executors => matches!(reader, Self::Executor(..)),
            Self::Scheduler(_) | Self::Executor(..) | Self::Operators => self == reader,
        }
    }
}

/// Faults of single peers. They hold for the connections of the peers' event streams, those of now and those to come;
/// answers to calls on other connections are not concerned. Each is undone by its counterpart for the same [`Peer`], or by
/// [`clear_faults`](Self::clear_faults); the faults of everybody stand apart from them.
impl LocalCluster {
    /// [`withhold_heartbeats`](Self::withhold_heartbeats) from `peer`, until
    /// [`resume_heartbeats_of`](Self::resume_heartbeats_of).
    pub fn withhold_heartbeats_of(&self, peer: &Peer) {
        self.wire().set_heartbeats_withheld(Some(peer), true);
    }

    /// Ends [`withhold_heartbeats_of`](Self::withhold_heartbeats_of).
    pub fn resume_heartbeats_of(&self, peer: &Peer) {
        self.wire().set_heartbeats_withheld(Some(peer), false);
    }

    /// [`stall_streams`](Self::stall_streams) of `peer`, until [`resume_streams_of`](Self::resume_streams_of).
    pub fn stall_streams_of(&self, peer: &Peer) {
        self.wire().set_streams_stalled(Some(peer), true);
    }

    /// Ends [`stall_streams_of`](Self::stall_streams_of): what was held back is written, in order.
    pub fn resume_streams_of(&self, peer: &Peer) {
        self.wire().set_streams_stalled(Some(peer), false);
    }

    /// [`split_writes`](Self::split_writes) to `peer`, until [`join_writes_of`](Self::join_writes_of).
    pub fn split_writes_of(&self, peer: &Peer) {
        self.wire().set_writes_split(Some(peer), true);
    }

    /// Ends [`split_writes_of`](Self::split_writes_of).
    pub fn join_writes_of(&self, peer: &Peer) {
        self.wire().set_writes_split(Some(peer), false);
    }

    /// [`delay_writes`](Self::delay_writes) to `peer`, until [`undelay_writes_of`](Self::undelay_writes_of). Of this delay
    /// and that of everybody, the longer counts.
    pub fn delay_writes_of(&self, peer: &Peer, delay: Duration) {
        self.wire().set_delay(Some(peer), delay);
    }

    /// Ends [`delay_writes_of`](Self::delay_writes_of): what was held back is written, in order.
    pub fn undelay_writes_of(&self, peer: &Peer) {
        self.wire().set_delay(Some(peer), Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_includes_all_of_it() {
        let scheduler = Peer::Scheduler("f".into());
        let executor = Peer::Executor("f".into(), "e".into());
        for (peer, readers) in [
            (Peer::Schedulers, [true, false, false]),
            (Peer::Executors, [false, true, false]),
            (Peer::Operators, [false, false, true]),
            (scheduler.clone(), [true, false, false]),
            (Peer::Scheduler("g".into()), [false; 3]),
            (Peer::Executor("f".into(), "d".into()), [false; 3]),
        ] {
            let found = [&scheduler, &executor, &Peer::Operators].map(|own| peer.includes(own));
            assert_eq!(found, readers, "{peer:?}");
        }
    }
}
