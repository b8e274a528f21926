//! [`LocalCluster`].

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::agent::{self, Agent};
use super::builder::LocalClusterBuilder;
use super::config::Config;
use super::core::Core;
use super::master::{self, Master};
use super::server;
use super::world::World;
use crate::error::{Error, ErrorKind, Result};

/// Longest time that [`LocalCluster::shutdown`] takes.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a restarting master waits for its port, whose last listener ends in a task of its own.
const REBIND_TIMEOUT: Duration = Duration::from_secs(5);
const REBIND_RETRY: Duration = Duration::from_millis(5);

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// One master and its agents, running in this process until dropped or shut down.
///
/// Everything listens on 127.0.0.1; each agent has a port of its own. Works on every kind of tokio runtime, which must
/// live at least as long as the cluster is to be of use.
///
/// Dropping it ends it like [`shutdown`](Self::shutdown), without waiting: executors are killed and the files removed
/// while the runtime still runs, or when it is dropped.
#[derive(Debug)]
pub struct LocalCluster {
    pub(super) core: Arc<Core>,
    /// Cancelled to end the master's listener and connections; `None` while it is dead.
    master: Mutex<Option<CancellationToken>>,
    master_address: SocketAddr,
    /// Bound to the master's port without listening, so that nobody else gets the port while the master is dead.
    _reservation: Option<TcpSocket>,
    agent_addresses: Vec<SocketAddr>,
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
        let master_socket = bind(config.port)?;
        let master_address = local_address(&master_socket)?;
        let reservation = bind(master_address.port()).ok();
        let mut sockets = Vec::with_capacity(config.agents);
        let mut addresses = Vec::with_capacity(config.agents);
        for _ in 0..config.agents {
            let socket = bind(0)?;
            addresses.push(local_address(&socket)?);
            sockets.push(socket);
        }
        let agents = addresses.iter().enumerate();
        let world = World {
            master: Some(Master::new(Arc::clone(&config), master_address, Vec::new())),
            agents: agents
                .map(|(index, address)| Agent::new(Arc::clone(&config), index, *address))
                .collect(),
        };
        let core = Core::new(config, world, is_temporary);
        let cluster = Self {
            core: Arc::clone(&core),
            master: Mutex::new(None),
            master_address,
            _reservation: reservation,
            agent_addresses: addresses,
        };
        core.run(|world| world.agents.iter_mut().for_each(Agent::register));
        for (index, socket) in sockets.into_iter().enumerate() {
            let handler = agent::handler(&core, index);
            let (stop, wire) = (core.stop.clone(), Arc::clone(&core.config.wire));
            server::serve(listen(socket)?, handler, &core.tasks, stop, wire);
        }
        cluster.serve_master(listen(master_socket)?);
        core.keep_time();
        Ok(cluster)
    }

    /// Where the master listens: `127.0.0.1:PORT`, which is also a master string for frameworks.
    #[must_use]
    pub fn master_address(&self) -> String {
        self.master_address.to_string()
    }

    /// Where the agents listen, one address each, in their order.
    #[must_use]
    pub fn agent_addresses(&self) -> Vec<String> {
        let addresses = self.agent_addresses.iter();
        addresses.map(SocketAddr::to_string).collect()
    }

    /// Ends the master as SIGKILL would: all its connections are cut and its memory is gone.
    ///
    /// Until [`restart_master`](Self::restart_master), connections to its port are refused; agents and executors live on.
    /// Does nothing while the master is dead.
    pub fn kill_master(&self) {
        let mut master = self.master.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = master.take() {
            token.cancel();
            self.core.run(|world| world.master = None);
        }
    }

    /// Starts a master on the same port, with a new id and no memory but for the agents that were registered.
    ///
    /// When this returns, the agents have registered again and told of their tasks; frameworks must subscribe with their
    /// ids. A master that is alive is killed first.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if somebody else has taken the port.
    /// # Cancel safety
    /// Dropped before it completes, the master is dead; call it again.
    pub async fn restart_master(&self) -> Result<()> {
        self.kill_master();
        let listener = self.listen_again().await?;
        let address = self.master_address;
        let config = Arc::clone(&self.core.config);
        self.core.run(|world| {
            let agents = world.agents.iter();
            let registry = agents.filter_map(Agent::id).cloned().collect();
            let mut master = Master::new(config, address, registry);
            master.set_now(Instant::now());
            world.master = Some(master);
            world.agents.iter_mut().for_each(Agent::register);
        });
        self.serve_master(listener);
        Ok(())
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

    fn serve_master(&self, listener: TcpListener) {
        let token = self.core.stop.child_token();
        let handler = master::handler(&self.core);
        let wire = Arc::clone(&self.core.config.wire);
        server::serve(listener, handler, &self.core.tasks, token.clone(), wire);
        *self.master.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
    }

    /// Listens on the master's port again, once the listener before has gone.
    async fn listen_again(&self) -> Result<TcpListener> {
        let port = self.master_address.port();
        let deadline = Instant::now() + REBIND_TIMEOUT;
        loop {
            match bind(port).and_then(listen) {
                Err(_) if Instant::now() < deadline => tokio::time::sleep(REBIND_RETRY).await,
                result => return result,
            }
        }
    }
}

fn bind(port: u16) -> Result<TcpSocket> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let bound = TcpSocket::new_v4().and_then(|socket| {
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    });
    bound.map_err(|error| no_listener(&address, error))
}

fn local_address(socket: &TcpSocket) -> Result<SocketAddr> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket
        .local_addr()
        .map_err(|error| no_listener(&any, error))
}

fn listen(socket: TcpSocket) -> Result<TcpListener> {
    let address = local_address(&socket)?;
    let listener = socket.listen(BACKLOG);
    listener.map_err(|error| no_listener(&address, error))
}

fn no_listener(address: &SocketAddr, error: std::io::Error) -> Error {
    Error::caused_by(
        ErrorKind::Config,
        format!("cannot listen on {address}"),
        error,
    )
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        self.core.stop.cancel();
        self.core.tasks.close();
    }
}
