//! [`ChaosFault`]: the kinds of faults that chaos is made of.

#[cfg(doc)]
use super::cluster::LocalCluster;

/// One kind of the faults that [`Chaos`](super::Chaos) chooses from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ChaosFault {
    /// [`LocalCluster::disconnect_framework`], of one framework.
    Disconnect,
    /// [`LocalCluster::disconnect_framework_after`], up to 2,048 bytes.
    DisconnectAfter,
    /// [`LocalCluster::disconnect_framework_in_record`].
    DisconnectInRecord,
    /// [`LocalCluster::send_garbage`].
    Garbage,
    /// [`LocalCluster::refuse_next_call`] with 503.
    RefuseCall,
    /// [`LocalCluster::lose_next_answer`].
    LoseAnswer,
    /// [`LocalCluster::duplicate_next_update`].
    DuplicateUpdate,
    /// [`LocalCluster::rescind_all_offers`].
    Rescind,
    /// [`LocalCluster::withhold_heartbeats`], for a while.
    WithholdHeartbeats,
    /// [`LocalCluster::stall_streams`], for a while.
    Stall,
    /// [`LocalCluster::split_writes`], for a while.
    Split,
    /// [`LocalCluster::delay_writes`], for a while and by up to a tenth of it.
    Delay,
    /// [`LocalCluster::disconnect_executor`], of one executor. Ends it, if its framework does not checkpoint.
    DisconnectExecutor,
    /// [`LocalCluster::disconnect_executor_after`], up to 2,048 bytes. Ends it likewise.
    DisconnectExecutorAfter,
    /// [`LocalCluster::disconnect_executor_in_record`]. Ends it likewise.
    DisconnectExecutorInRecord,
    /// [`LocalCluster::send_garbage_to_executor`]. Ends it likewise.
    GarbageToExecutor,
    /// [`LocalCluster::refuse_next_executor_call`] with 503.
    RefuseExecutorCall,
    /// [`LocalCluster::lose_next_executor_answer`].
    LoseExecutorAnswer,
    /// [`LocalCluster::kill_master`]; after a while all dead masters are started again.
    KillMaster,
    /// The same, with the registry lost: [`LocalCluster::restart_master_without_registry`].
    LoseRegistry,
    /// [`LocalCluster::elect_another`], if there is a standby; after a while all dead masters are started again.
    Elect,
    /// [`LocalCluster::kill_agent`], of one agent; after a while it is started again. Its executors end, if their
    /// frameworks do not checkpoint.
    KillAgent,
    /// [`LocalCluster::partition_agent`], of one agent, for a while.
    PartitionAgent,
    /// [`LocalCluster::disconnect_agent`], of one agent. The tasks there of frameworks that do not checkpoint are lost.
    DisconnectAgent,
    /// [`LocalCluster::kill_executor`], of one executor. Its tasks fail.
    KillExecutor,
}

impl ChaosFault {
    /// What goes wrong with connections and with what passes over them; everybody lives on.
    pub const WIRE: [Self; 18] = [
        Self::Disconnect,
        Self::DisconnectAfter,
        Self::DisconnectInRecord,
        Self::Garbage,
        Self::RefuseCall,
        Self::LoseAnswer,
        Self::DuplicateUpdate,
        Self::Rescind,
        Self::WithholdHeartbeats,
        Self::Stall,
        Self::Split,
        Self::Delay,
        Self::DisconnectExecutor,
        Self::DisconnectExecutorAfter,
        Self::DisconnectExecutorInRecord,
        Self::GarbageToExecutor,
        Self::RefuseExecutorCall,
        Self::LoseExecutorAnswer,
    ];

    /// Deaths, elections and partitions: of masters, agents and executors.
    pub const LIVES: [Self; 7] = [
        Self::KillMaster,
        Self::LoseRegistry,
        Self::Elect,
        Self::KillAgent,
        Self::PartitionAgent,
        Self::DisconnectAgent,
        Self::KillExecutor,
    ];

    /// All of them.
    pub const ALL: [Self; 25] = {
        let mut all = [Self::Disconnect; 25];
        let mut next = 0;
        while next < all.len() {
            all[next] = if next < Self::WIRE.len() {
                Self::WIRE[next]
            } else {
                Self::LIVES[next - Self::WIRE.len()]
            };
            next += 1;
        }
        all
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_are_those_of_the_wire_and_of_lives() {
        let all = BTreeSet::from(ChaosFault::ALL);
        assert_eq!(all.len(), ChaosFault::ALL.len());
        let parts = BTreeSet::from(ChaosFault::WIRE);
        assert_eq!(all, &parts | &BTreeSet::from(ChaosFault::LIVES));
    }
}
