//! Connections for calls: TCP, TLS above it, or a Unix domain socket.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::tls::Tls;
use crate::address::Address;
use crate::error::{Error, ErrorKind, Result};

/// A connection of whatever kind.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

pub(super) type Connecting<S> = Pin<Box<dyn Future<Output = Result<S>> + Send>>;

/// How connections are made.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    pub(super) timeout: Duration,
    /// Idle time after which the other end is probed.
    pub(super) keepalive: Duration,
    pub(super) tls: Tls,
    /// Where names lead in a test; nowhere yet if it holds none.
    #[cfg(test)]
    pub(super) names: Option<std::sync::Arc<std::sync::Mutex<Option<std::net::IpAddr>>>>,
}

impl Connector {
    pub(super) fn connect(&self, to: &Address) -> Connecting<Box<dyn Duplex>> {
        let (this, to) = (self.clone(), to.clone());
        Box::pin(async move {
            match tokio::time::timeout(this.timeout, this.open(&to)).await {
                Ok(opened) => opened.map_err(|error| {
                    let context = format!("cannot connect to {to}");
                    Error::caused_by(ErrorKind::Connect, context, error)
                }),
                Err(_) => {
                    let context = format!("connecting to {to} took too long");
                    Err(Error::new(ErrorKind::Timeout, context))
                }
            }
        })
    }

    async fn open(&self, to: &Address) -> std::io::Result<Box<dyn Duplex>> {
        #[cfg(unix)]
        if let Some(socket) = to.socket() {
            return Ok(Box::new(tokio::net::UnixStream::connect(socket).await?));
        }
        let url = to.url("/");
        let missing = || std::io::Error::new(std::io::ErrorKind::InvalidInput, "no host");
        let host = match url.host() {
            Some(url::Host::Domain(name)) => name.to_owned(),
            Some(url::Host::Ipv4(ip)) => ip.to_string(),
            Some(url::Host::Ipv6(ip)) => ip.to_string(),
            None => return Err(missing()),
        };
        let port = url.port_or_known_default().ok_or_else(missing)?;
        let stream = self.connect_tcp(&host, port).await?;
        stream.set_nodelay(true)?;
        let keepalive = socket2::TcpKeepalive::new().with_time(self.keepalive);
        socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        match url.scheme() {
            "https" => self.tls.handshake(&host, stream).await,
            _ => Ok(Box::new(stream)),
        }
    }

    /// Tries each address of the host, with its share of the time that is left; the last one has what there is, which is
    /// the caller's to measure.
    async fn connect_tcp(&self, host: &str, port: u16) -> std::io::Result<TcpStream> {
        let deadline = Instant::now().checked_add(self.timeout);
        let addresses = self.addresses(host, port).await?;
        let Some((last, before)) = addresses.split_last() else {
            let kind = std::io::ErrorKind::NotFound;
            return Err(std::io::Error::new(kind, "host has no address"));
        };
        for (at, address) in before.iter().enumerate() {
            let left = deadline.map_or(self.timeout, |end| end - Instant::now());
            let share = left / u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
            let attempt = tokio::time::timeout(share, TcpStream::connect(address));
            if let Ok(Ok(stream)) = attempt.await {
                return Ok(stream);
            }
        }
        TcpStream::connect(last).await
    }

    async fn addresses(&self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        #[cfg(test)]
        if let Some(names) = &self.names {
            let found = *names.lock().expect("nothing panics with it");
            return match found {
                Some(ip) => Ok(vec![SocketAddr::new(ip, port)]),
                None => std::future::pending().await,
            };
        }
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}
