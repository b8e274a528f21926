//! Which master leads: addresses, deaths, returns and elections.

use super::cluster::LocalCluster;
use super::world::World;
use crate::error::{Error, ErrorKind, Result};

/// Masters. Of several, one leads; the others, the standbys, redirect to it, and one of them leads next.
///
/// Whatever the leading master knew ends with it, but for its registry: agents and executors live on and register with
/// the next one; frameworks subscribe to it with their ids.
impl LocalCluster {
    /// Where the leading master listens: `127.0.0.1:PORT`, which is also a master string for frameworks.
    ///
    /// While no master leads: where the last one did that led.
    #[must_use]
    pub fn master_address(&self) -> String {
        let leader = self.core.look(|world| world.masters.leader());
        let masters = &self.core.listeners.masters;
        let own = masters.get(leader.unwrap_or_default());
        own.map_or_else(String::new, |own| own.port.address().to_string())
    }

    /// Where the masters listen, dead or alive, one address each, in their order.
    #[must_use]
    pub fn master_addresses(&self) -> Vec<String> {
        let masters = self.core.listeners.masters.iter();
        masters.map(|own| own.port.address().to_string()).collect()
    }

    /// All masters' addresses with commas between: a master string with which a driver finds whichever leads.
    #[must_use]
    pub fn master_string(&self) -> String {
        self.master_addresses().join(",")
    }

    /// Every address at which the cluster listens: the masters', then the agents'.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        let mut addresses = self.master_addresses();
        addresses.extend(self.agent_addresses());
        addresses
    }

    /// Ends the leading master as SIGKILL would: all its connections are cut and its memory is gone.
    ///
    /// Until [`restart_master`](Self::restart_master), connections to its port are refused; agents and executors live on.
    /// If there are standbys, they redirect to the dead one until the
    /// [election time-out](super::LocalClusterBuilder::election_timeout) has passed; then the one that has waited longest
    /// leads. Does nothing while no master leads.
    pub fn kill_master(&self) {
        self.core.kill_master();
    }

    /// Starts the masters that are dead, each on its port and with a new id; if none is dead, the leading one is killed
    /// first.
    ///
    /// The first of them leads if no other does, or is about to; then the agents have registered again when this returns,
    /// unless there is a [registration back-off](super::LocalClusterBuilder::registration_backoff) or a [time for
    /// recovery](super::LocalClusterBuilder::master_recovery_time), and have told of their tasks. It has no memory but the registry of the one before. A master that does not lead is a standby.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if somebody else has taken a port.
    /// # Cancel safety
    /// Dropped before it completes, some masters are still dead; call it again.
    pub async fn restart_master(&self) -> Result<()> {
        let is_alive = |index: &usize| self.core.look(|world| world.masters.is_alive(*index));
        if (0..self.core.listeners.masters.len()).all(|index| is_alive(&index)) {
            self.kill_master();
        }
        self.core.start_dead_masters().await
    }

    /// [`restart_master`](Self::restart_master), with the registry lost: the leading master is killed and with it goes
    /// what it had written down.
    ///
    /// The next leader knows of no agent until that registers. It admits agents under the ids that they have, and tells
    /// the frameworks that have subscribed by then of each of their tasks (`Unknown agent reregistered`).
    ///
    /// # Errors
    /// As [`restart_master`](Self::restart_master).
    /// # Cancel safety
    /// Likewise.
    pub async fn restart_master_without_registry(&self) -> Result<()> {
        self.core.kill_master_and_registry();
        self.restart_master().await
    }

    /// Makes the master in place `index` of [`master_addresses`](Self::master_addresses) the leading one, at once.
    ///
    /// The one that led until now ends, as Mesos's do (`Conceded leadership to another master`). Does nothing if it leads
    /// already.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if there is no such master, or if it is dead.
    pub fn elect(&self, index: usize) -> Result<()> {
        let look = |world: &World| (world.masters.leading(), world.masters.is_alive(index));
        let (leading, is_alive) = self.core.look(look);
        if !is_alive {
            let context = format!(
                "master {index} of {} is dead or does not exist, and cannot be elected",
                self.core.listeners.masters.len()
            );
            return Err(Error::new(ErrorKind::Config, context));
        }
        if leading == Some(index) {
            return Ok(());
        }
        self.core.elect(index);
        Ok(())
    }

    /// [`elect`](Self::elect)s the standby that has waited longest; its place in
    /// [`master_addresses`](Self::master_addresses).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if there is no standby.
    pub fn elect_another(&self) -> Result<usize> {
        let next = self.core.look(|world| world.masters.next());
        let Some(index) = next else {
            let context = "no master of the local cluster waits to be elected";
            return Err(Error::new(ErrorKind::Config, context));
        };
        self.elect(index)?;
        Ok(index)
    }

    /// Ends the leading master and has no other elected until [`elect`](Self::elect) or
    /// [`elect_another`](Self::elect_another): the standbys answer 503 `No leader elected`, and so do masters that are
    /// started meanwhile.
    pub fn elect_nobody(&self) {
        self.core.silence_leader();
        self.core.run(World::elect_nobody);
    }
}
