//! The ports of a cluster: taken for good, listened on while their owner lives.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Result};

/// How long a restarting master waits for its port, whose last listener ends in a task of its own.
const REBIND_TIMEOUT: Duration = Duration::from_secs(5);
const REBIND_RETRY: Duration = Duration::from_millis(5);

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A port on loopback whose owner may die and come back.
#[derive(Debug)]
pub(super) struct Port {
    address: SocketAddr,
    /// Bound without listening, so that nobody else gets the port meanwhile.
    _reservation: Option<TcpSocket>,
}

impl Port {
    /// Takes `port`, or any free one if that is 0; with the socket to listen on first.
    pub(super) fn take(port: u16) -> Result<(Self, TcpSocket)> {
        let socket = bind(port)?;
        let address = local_address(&socket)?;
        let port = Self {
            address,
            _reservation: bind(address.port()).ok(),
        };
        Ok((port, socket))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens again, once the listener before has gone.
    pub(super) async fn listen_again(&self) -> Result<TcpListener> {
        listen_again(self.address.port()).await
    }
}

/// Listens on a port, once the listener before has gone.
pub(super) async fn listen_again(port: u16) -> Result<TcpListener> {
    let deadline = Instant::now() + REBIND_TIMEOUT;
    loop {
        match bind(port).and_then(listen) {
            Err(_) if Instant::now() < deadline => tokio::time::sleep(REBIND_RETRY).await,
            result => return result,
        }
    }
}

pub(super) fn bind(port: u16) -> Result<TcpSocket> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let bound = TcpSocket::new_v4().and_then(|socket| {
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    });
    bound.map_err(|error| no_listener(&address, error))
}

pub(super) fn local_address(socket: &TcpSocket) -> Result<SocketAddr> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket
        .local_addr()
        .map_err(|error| no_listener(&any, error))
}

pub(super) fn listen(socket: TcpSocket) -> Result<TcpListener> {
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
