//! [`LocalCluster`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpSocket;

use super::agent::{Agent, Checkpoint, leftovers};
use super::builder::LocalClusterBuilder;
use super::config::Config;
use super::core::Core;
use super::keeper::Keeper;
use super::listeners::{Listeners, MasterPort};
use super::machine::Machine;
use super::masters::Masters;
use super::ports::{self, Port};
use super::store::{Recovered, Store};
use super::world::World;
use crate::error::{Error, ErrorKind, Result};

/// Longest time that [`LocalCluster::shutdown`] takes.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// One master or several and their agents, running in this process until dropped or shut down.
///
/// Everything listens on 127.0.0.1; each agent has a port of its own. Works on every kind of tokio runtime, which must
/// live at least as long as the cluster is to be of use.
///
/// Dropping it ends it like [`shutdown`](Self::shutdown), without waiting: executors are killed and the files removed
/// while the runtime still runs, or when it is dropped.
#[derive(Debug)]
pub struct LocalCluster {
    pub(super) core: Arc<Core>,
}

impl LocalCluster {
    /// Begins a cluster: one agent, every setting as Mesos has it.
    pub fn builder() -> LocalClusterBuilder {
        LocalClusterBuilder::new()
    }

    pub(super) async fn start(config: Config, is_temporary: bool) -> Result<Self> {
        tokio::fs::create_dir_all(&config.work_directory)
            .await
            .map_err(|error| {
                let directory = config.work_directory.display();
                let context = format!("cannot make the work directory {directory}");
                Error::caused_by(ErrorKind::Config, context, error)
            })?;
        let config = Arc::new(config);
        let (keeper, recovered) = if is_temporary {
            (None, Recovered::nothing(&config))
        } else {
            let store = Store::take(&config.work_directory)?;
            let recovered = store.recover(&config)?;
            (Some(Keeper::new(store)), recovered)
        };
        let (masters, master_sockets) = take_ports(&config)?;
        let (addresses, sockets) = take_agent_ports(&config, &recovered.agents)?;
        let master_addresses: Vec<_> = masters.iter().map(|own| own.port.address()).collect();
        let agents = addresses.iter().enumerate();
        let mut world = World {
            master: None,
            masters: Masters::new(&master_addresses),
            registry: recovered.registry,
            agents: agents
                .map(|(index, address)| Agent::new(Arc::clone(&config), index, *address))
                .collect(),
            machines: addresses.iter().map(|_| Machine::default()).collect(),
        };
        let found = leftovers::sort_out(&config.work_directory, &recovered.agents);
        world.recover_agents(recovered.agents, &found);
        let core = Core::new(config, world, Listeners::new(masters), is_temporary);
        for left in found {
            leftovers::watch(&core, left);
        }
        let cluster = Self {
            core: Arc::clone(&core),
        };
        for (index, socket) in sockets.into_iter().enumerate() {
            let listener = core.reserve_and_listen(socket)?;
            core.serve_agent(index, listener).await?;
        }
        for (index, socket) in master_sockets.into_iter().enumerate() {
            core.start_master(index, ports::listen(socket)?, Duration::ZERO);
        }
        core.keep_time();
        if let Some(mut keeper) = keeper {
            keeper.keep(&core).await;
            keeper.start(&core);
        }
        core.agents_recovered().await;
        Ok(cluster)
    }

    /// Ends the cluster: executors are killed with all their processes, and the temporary work directory is removed.
    ///
    /// Takes at most 10 s.
    /// # Cancel safety
    /// Dropped before it completes, the rest happens in the background.
    pub async fn shutdown(self) {
        let core = Arc::clone(&self.core);
        drop(self);
        let ended = tokio::time::timeout(SHUTDOWN_TIMEOUT, core.tasks.wait()).await;
        if ended.is_err() {
            tracing::warn!(
                tasks = core.tasks.len(),
                "local cluster did not end in time"
            );
        }
        let removed = tokio::task::spawn_blocking(move || drop(core)).await;
        if let Err(error) = removed {
            tracing::warn!(%error, "work directory not removed");
        }
    }
}

/// The agents' addresses, with the sockets to listen on: where they were before, if nobody is there.
fn take_agent_ports(
    config: &Config,
    before: &[Option<Checkpoint>],
) -> Result<(Vec<SocketAddr>, Vec<TcpSocket>)> {
    let mut addresses = Vec::with_capacity(config.agents.len());
    let mut sockets = Vec::with_capacity(config.agents.len());
    for index in 0..config.agents.len() {
        let before = before.get(index).and_then(Option::as_ref);
        let port = before.and_then(|before| u16::try_from(before.info.port()).ok());
        let kept = port.and_then(|port| ports::bind(port).ok());
        let socket = kept.map_or_else(|| ports::bind(0), Ok)?;
        addresses.push(ports::local_address(&socket)?);
        sockets.push(socket);
    }
    Ok((addresses, sockets))
}

/// Those of the masters: one behind the other if the first is given. The sockets are to be listened on first.
fn take_ports(config: &Config) -> Result<(Vec<MasterPort>, Vec<TcpSocket>)> {
    let mut masters = Vec::with_capacity(config.masters);
    let mut sockets = Vec::with_capacity(config.masters);
    for number in 0..config.masters {
        let wanted = match config.port {
            0 => 0,
            first => first.saturating_add(u16::try_from(number).unwrap_or(u16::MAX)),
        };
        let (port, socket) = Port::take(wanted)?;
        masters.push(MasterPort::new(port));
        sockets.push(socket);
    }
    Ok((masters, sockets))
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        self.core.end();
        self.core.tasks.close();
    }
}
