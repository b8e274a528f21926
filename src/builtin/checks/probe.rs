//! One check of each kind.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;

use tokio::net::TcpStream;

use super::{Check, Found, http, kind_of, no_result};
use crate::builtin::process::{Place, variables};
use crate::proto::network_info::Protocol;
use crate::proto::{CheckInfo, CheckStatusInfo, CommandInfo, HealthCheck, check_info};
use crate::proto::{check_status_info as status, health_check};

/// What is done to check a task.
#[derive(Debug)]
pub(super) enum Probe {
    Command(CommandInfo, Place),
    /// A GET of this URL.
    Http(String),
    /// A connection to there.
    Tcp(SocketAddr),
}

impl Probe {
    pub(super) fn of_check(
        check: &CheckInfo,
        place: impl Fn() -> std::io::Result<Place>,
    ) -> Result<Self, String> {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        match (check.r#type(), &check.command, &check.http, check.tcp) {
            (check_info::Type::Command, Some(command), ..) => {
                Self::command(command.command.clone(), place)
            }
            (check_info::Type::Http, _, Some(http), _) => {
                let place = SocketAddr::new(address, port(http.port)?);
                Ok(Self::Http(format!("http://{place}{}", http.path())))
            }
            (check_info::Type::Tcp, .., Some(tcp)) => {
                Ok(Self::Tcp(SocketAddr::new(address, port(tcp.port)?)))
            }
            (kind, ..) => Err(format!("a check of kind {kind:?} without its field")),
        }
    }

    pub(super) fn of_health_check(
        check: &HealthCheck,
        place: impl Fn() -> std::io::Result<Place>,
    ) -> Result<Self, String> {
        use health_check::Type;
        match (check.r#type(), &check.command, &check.http, &check.tcp) {
            (Type::Command, Some(command), ..) => Self::command(command.clone(), place),
            (Type::Http, _, Some(http), _) => {
                let place = SocketAddr::new(loopback(http.protocol()), port(http.port)?);
                let scheme = http.scheme.as_deref().unwrap_or("http");
                Ok(Self::Http(format!("{scheme}://{place}{}", http.path())))
            }
            (Type::Tcp, .., Some(tcp)) => {
                let address = loopback(tcp.protocol());
                Ok(Self::Tcp(SocketAddr::new(address, port(tcp.port)?)))
            }
            _ => Err(format!(
                "a health check of kind {:?} without its field",
                kind_of(check)
            )),
        }
    }

    fn command(
        info: CommandInfo,
        place: impl Fn() -> std::io::Result<Place>,
    ) -> Result<Self, String> {
        let mut place = place().map_err(|error| error.to_string())?;
        place.environment.extend(variables(&info));
        Ok(Self::Command(info, place))
    }
}

impl Check for Probe {
    fn make(&self) -> Pin<Box<dyn Future<Output = Found> + Send + '_>> {
        Box::pin(async {
            match self {
                Self::Command(info, place) => command(info, place).await,
                Self::Http(url) => http::status_of(url).await.map(|code| CheckStatusInfo {
                    http: Some(status::Http {
                        status_code: Some(code.into()),
                    }),
                    ..no_result(check_info::Type::Http)
                }),
                Self::Tcp(address) => {
                    let connection = TcpStream::connect(address).await;
                    Ok(CheckStatusInfo {
                        tcp: Some(status::Tcp {
                            succeeded: Some(connection.is_ok()),
                        }),
                        ..no_result(check_info::Type::Tcp)
                    })
                }
            }
        })
    }
}

/// Runs a command to its end. Dropped before, its whole process group is killed.
async fn command(info: &CommandInfo, place: &Place) -> Found {
    let spawned = place.spawn(info);
    let (mut child, _group) = spawned.map_err(|error| format!("command not executed: {error}"))?;
    let ended = child.wait().await.map_err(|error| error.to_string())?;
    let code = ended
        .code()
        .ok_or_else(|| format!("command ended by {ended}"))?;
    Ok(CheckStatusInfo {
        command: Some(status::Command {
            exit_code: Some(code),
        }),
        ..no_result(check_info::Type::Command)
    })
}

fn loopback(protocol: Protocol) -> IpAddr {
    match protocol {
        Protocol::IPv6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
        Protocol::IPv4 => IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

fn port(number: u32) -> Result<u16, String> {
    u16::try_from(number).map_err(|_| format!("there is no port {number}"))
}
