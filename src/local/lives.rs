//! The lives of agents, at the wish of a test: ended, begun again, cut off, added.

use std::net::SocketAddr;
use std::sync::Arc;

use super::agent::Agent;
use super::cluster::LocalCluster;
use super::machine::Machine;
use super::ports::{bind, local_address};
use crate::error::Result;

/// The lives of agents, which are counted from 0 in the order of [`LocalCluster::agent_addresses`].
impl LocalCluster {
    /// Ends an agent as SIGKILL would: its connections are cut and its memory is gone. False if it is dead, or if there is
    /// none of that number.
    ///
    /// What it has on its disk stays: of frameworks that checkpoint, their executors, tasks and updates that are not
    /// acknowledged. Executors live on as processes. Those of other frameworks end themselves, and their tasks are lost at
    /// once. The master takes the agent for disconnected, and after a while for unreachable.
    pub fn kill_agent(&self, index: usize) -> bool {
        self.core.run(|world| world.end_agent(index))
    }

    /// Starts an agent again, at the same address and with what it had on its disk. One that is alive is killed first.
    ///
    /// When this returns, it listens and waits for its executors, as long as
    /// [`executor_reregistration_timeout`](super::LocalClusterBuilder::executor_reregistration_timeout) says; then it
    /// registers again, under its old id. One that had no executors to wait for is registered.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if there is no agent of that number, or if somebody else has taken its port.
    /// # Cancel safety
    /// Dropped before it completes, the agent is dead; call it again.
    pub async fn restart_agent(&self, index: usize) -> Result<()> {
        self.core.restart_agent(index).await
    }

    /// Ends an agent in order, as SIGUSR1 does: it leaves the cluster, and shuts its executors down before it ends. False
    /// if it is dead, or if there is none of that number.
    ///
    /// It is gone once [`LocalAgent::is_alive`](super::LocalAgent::is_alive) is false.
    pub fn shutdown_agent(&self, index: usize) -> bool {
        self.core.run(|world| {
            let agent = world.agents.get_mut(index);
            agent.is_some_and(Agent::unregister)
        })
    }

    /// Breaks the connection between the master and an agent, both of which live on. False if there was none.
    ///
    /// For the master, that is as if the agent had died; with the next ping the agent notices, and registers again.
    pub fn disconnect_agent(&self, index: usize) -> bool {
        self.core.run(|world| {
            let master = world.master.as_mut();
            master.is_some_and(|master| master.agent_exited(index))
        })
    }

    /// Lets nothing pass between the master and an agent, until [`heal_agent`](Self::heal_agent); then what they have sent
    /// each other arrives, as over a connection that comes back. Pings and registrations are lost. False if there is no
    /// agent of that number.
    ///
    /// The agent and its executors live on. The master takes it for unreachable when it has missed its pings; the agent
    /// tries to register again when it misses them.
    pub fn partition_agent(&self, index: usize) -> bool {
        self.core.run(|world| world.partition(index))
    }

    /// Ends [`partition_agent`](Self::partition_agent). False if there is no agent of that number.
    ///
    /// The agent comes back with its next attempt to register: at most a minute later, after a short partition sooner.
    pub fn heal_agent(&self, index: usize) -> bool {
        self.core.run(|world| world.heal(index))
    }

    /// Adds an agent like the others, on a port of its own, and answers its number. It is registered when this returns, if
    /// there is a master.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if there is no port, or no Unix socket, for it.
    /// # Cancel safety
    /// Dropped before it completes, the agent is there all the same.
    pub async fn add_agent(&self) -> Result<usize> {
        let socket = bind(0)?;
        let address = local_address(&socket)?;
        let listener = self.core.reserve_and_listen(socket)?;
        let config = Arc::clone(&self.core.config);
        let index = self.core.run(|world| {
            let index = world.agents.len();
            let mut agent = Agent::new(config, index, address);
            agent.register();
            world.agents.push(agent);
            world.machines.push(Machine::default());
            index
        });
        self.core.serve_agent(index, listener).await?;
        Ok(index)
    }

    /// Where the agents listen, one address each, in their order.
    #[must_use]
    pub fn agent_addresses(&self) -> Vec<String> {
        let addresses = self.core.look(|world| {
            let indices = 0..world.agents.len();
            let addresses = indices.filter_map(|index| world.address_of(index));
            addresses.collect::<Vec<SocketAddr>>()
        });
        addresses.iter().map(SocketAddr::to_string).collect()
    }
}
