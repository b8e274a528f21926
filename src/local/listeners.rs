//! The listeners of masters and agents: ended and begun again with them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

use super::agent;
use super::core::Core;
use super::domain_socket;
use super::master;
use super::ports::{Port, bind, listen, listen_again, local_address};
use super::registry::Registry;
use super::server;
use super::world::World;
use crate::error::{Error, ErrorKind, Result};

/// The ports of a cluster.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) masters: Vec<MasterPort>,
    /// Sockets on the agents' ports that do not listen, so that nobody else gets them while the agents are dead.
    agent_reservations: Mutex<Vec<TcpSocket>>,
}

/// Where a master listens while it lives.
#[derive(Debug)]
pub(super) struct MasterPort {
    pub(super) port: Port,
    /// Cancelled to end listener and connections; `None` while the master is dead.
    serving: Mutex<Option<CancellationToken>>,
}

impl MasterPort {
    pub(super) fn new(port: Port) -> Self {
        Self {
            port,
            serving: Mutex::new(None),
        }
    }
}

impl Listeners {
    pub(super) fn new(masters: Vec<MasterPort>) -> Self {
        Self {
            masters,
            agent_reservations: Mutex::new(Vec::new()),
        }
    }
}

/// Masters.
impl Core {
    /// Has the master in place `index` live, and answer on `listener`; it takes `recovery` to lead if it is to.
    pub(super) fn start_master(
        self: &Arc<Self>,
        index: usize,
        listener: TcpListener,
        recovery: Duration,
    ) {
        let Some(own) = self.listeners.masters.get(index) else {
            return;
        };
        let config = &self.config;
        self.run(|world| world.start_master(index, config, recovery));
        let token = self.stop.child_token();
        let handler = master::handler(self, index);
        let wire = Arc::clone(&config.wire);
        server::serve(listener, handler, &self.tasks, token.clone(), wire);
        *own.serving.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
    }

    /// Cuts the leading master's connections, and has new ones refused, before it ends.
    pub(super) fn silence_leader(&self) {
        let leading = self.look(|world| world.masters.leading());
        let own = leading.and_then(|index| self.listeners.masters.get(index));
        let serving = own.map(|own| own.serving.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(token) = serving.and_then(|mut serving| serving.take()) {
            token.cancel();
        }
    }

    pub(super) fn kill_master(self: &Arc<Self>) {
        let timeout = self.config.election_timeout;
        self.silence_leader();
        self.run(|world| world.kill_master(timeout));
    }

    /// Before anybody else can lead with it.
    pub(super) fn kill_master_and_registry(self: &Arc<Self>) {
        let config = &self.config;
        self.silence_leader();
        self.run(|world| {
            world.kill_master(config.election_timeout);
            world.registry = Registry::first(config);
        });
    }

    /// Starts the masters that are dead.
    pub(super) async fn start_dead_masters(self: &Arc<Self>) -> Result<()> {
        for (index, own) in self.listeners.masters.iter().enumerate() {
            if !self.look(|world| world.masters.is_alive(index)) {
                let listener = own.port.listen_again().await?;
                self.start_master(index, listener, self.config.timeouts.master_recovery);
            }
        }
        Ok(())
    }

    /// Makes a living master the leading one.
    pub(super) fn elect(self: &Arc<Self>, index: usize) {
        let config = &self.config;
        let backoff = config.registration_backoff;
        let recovery = config.timeouts.master_recovery;
        self.silence_leader();
        self.run(|world| world.elect(index, backoff, recovery));
    }
}

/// Agents.
impl Core {
    /// Starts an agent again, which is killed first if it is alive.
    pub(super) async fn restart_agent(self: &Arc<Self>, index: usize) -> Result<()> {
        self.run(|world| world.end_agent(index));
        let Some(address) = self.look(|world| world.address_of(index)) else {
            let context = format!("the local cluster has no agent {index}");
            return Err(Error::new(ErrorKind::Config, context));
        };
        let listener = listen_again(address.port()).await?;
        self.run(|world| world.revive_agent(index));
        self.serve_agent(index, listener).await
    }

    /// Listens on `socket`, and keeps its port for the time when the agent is dead.
    pub(super) fn reserve_and_listen(&self, socket: TcpSocket) -> Result<TcpListener> {
        let port = local_address(&socket)?.port();
        let reservation = bind(port).ok();
        let mut reservations = self
            .listeners
            .agent_reservations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        reservations.extend(reservation);
        listen(socket)
    }

    pub(super) async fn serve_agent(
        self: &Arc<Self>,
        index: usize,
        listener: TcpListener,
    ) -> Result<()> {
        let token = self.stop.child_token();
        let handler = agent::handler(self, index);
        let wire = Arc::clone(&self.config.wire);
        self.run(|world: &mut World| {
            if let Some(machine) = world.machines.get_mut(index) {
                machine.listener = Some(token.clone());
            }
        });
        server::serve(listener, handler, &self.tasks, token.clone(), wire);
        domain_socket::serve(self, index, token).await
    }
}
