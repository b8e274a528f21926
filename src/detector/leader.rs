//! The leading master, as detectors name it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use crate::address::Address;
use crate::error::{Error, ErrorKind, Result};
use crate::proto::MasterInfo;

/// A master that leads: where to subscribe, and which run of a master it is.
///
/// Two are equal if both are: a master that was restarted on the same address is another one, if its id is known.
#[derive(Clone, PartialEq, Eq)]
pub struct LeadingMaster {
    address: Address,
    id: Option<String>,
}

impl fmt::Debug for LeadingMaster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeadingMaster")
            .field("address", &format_args!("{}", self.address))
            .field("id", &self.id)
            .finish()
    }
}

impl LeadingMaster {
    /// The master at `address`: `host:port`, `http://host[:port][/prefix]` or `https://…`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming what is wrong.
    ///
    /// # Examples
    /// ```
    /// let leader = mesos_framework::LeadingMaster::new("http://mesos.example.com")?;
    /// assert_eq!(leader.address(), "mesos.example.com:5050");
    /// # Ok::<(), mesos_framework::Error>(())
    /// ```
    pub fn new(address: &str) -> Result<Self> {
        let address = Address::parse(address)?;
        Ok(Self { address, id: None })
    }

    /// The master that tells of itself in this way, reached over http.
    ///
    /// The address is that of `address.ip` and `address.port`, else of `pid`, else of `ip` and `port`, else of `hostname`.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] if it states no address that can be used.
    ///
    /// Source: `MasterInfo`, mesos.proto; `src/common/protobuf_utils.cpp`, Apache Mesos 1.11.0.
    pub fn from_info(info: &MasterInfo) -> Result<Self> {
        let found = from_address(info)
            .or_else(|| from_pid(info))
            .or_else(|| from_ip(info))
            .or_else(|| from_hostname(info));
        Self::with(found, "http", info)
    }

    /// The same, reached over https: under its name, which its certificate states, if it has one.
    ///
    /// # Errors
    /// As [`from_info`](Self::from_info).
    pub fn from_info_over_https(info: &MasterInfo) -> Result<Self> {
        let found = from_hostname(info)
            .or_else(|| from_address(info))
            .or_else(|| from_pid(info))
            .or_else(|| from_ip(info));
        Self::with(found, "https", info)
    }

    fn with(found: Option<(String, u32)>, scheme: &str, info: &MasterInfo) -> Result<Self> {
        let nowhere = |why: &str| {
            let context = format!("master {:?} cannot be reached: {why}", short(&info.id));
            Error::new(ErrorKind::Protocol, context)
        };
        let (host, port) = found.ok_or_else(|| nowhere("it states no address"))?;
        if !(1..=u32::from(u16::MAX)).contains(&port) {
            return Err(nowhere(&format!("its port is {port}")));
        }
        let url = format!("{scheme}://{host}:{port}");
        let address = Address::parse(&url).map_err(|error| nowhere(&short(&error.to_string())))?;
        let id = Some(info.id.clone()).filter(|id| !id.is_empty());
        Ok(Self { address, id })
    }

    /// Says which run of a master it is: `MasterInfo.id`. Unknown by default.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Where it is, in the form of a master string.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// `MasterInfo.id`, if it is known.
    #[must_use]
    pub fn master_id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether who answers from `address`, and says to be of that id, is this master.
    pub(crate) fn is_at(&self, address: &Address, id: Option<&str>) -> bool {
        match (self.master_id(), id) {
            (Some(own), Some(other)) => own == other,
            _ => self.address.is_same_host(address),
        }
    }

    pub(crate) fn into_address(self) -> Address {
        self.address
    }
}

/// What others wrote, as far as it belongs into a message.
pub(super) fn short(text: &str) -> String {
    const LONGEST: usize = 200;
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn host_of(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

fn from_address(info: &MasterInfo) -> Option<(String, u32)> {
    let address = info.address.as_ref()?;
    let ip: IpAddr = address.ip.as_deref()?.parse().ok()?;
    Some((host_of(ip), u32::try_from(address.port).ok()?))
}

fn from_pid(info: &MasterInfo) -> Option<(String, u32)> {
    let (_, location) = info.pid.as_deref()?.split_once('@')?;
    let (host, port) = location.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some((host_of(host.parse().ok()?), port.parse().ok()?))
}

/// The number is the address in network byte order, read as a little-endian one.
fn from_ip(info: &MasterInfo) -> Option<(String, u32)> {
    let ip = Ipv4Addr::from(info.ip.to_le_bytes());
    (info.ip != 0).then(|| (ip.to_string(), info.port))
}

fn from_hostname(info: &MasterInfo) -> Option<(String, u32)> {
    let address = info.address.as_ref();
    let port = address.and_then(|address| u32::try_from(address.port).ok());
    let named = address.and_then(|address| address.hostname.as_deref());
    let host = named.or(info.hostname.as_deref())?;
    let host = match host.parse::<IpAddr>() {
        Ok(ip) => host_of(ip),
        Err(_) => host.to_owned(),
    };
    // Nothing that would be more than a host in an URL.
    let is_allowed =
        |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':');
    let is_host = || Address::parse(&format!("https://{host}:1")).is_ok();
    let is_host = host.chars().all(is_allowed) && is_host();
    is_host.then(|| (host, port.unwrap_or(info.port)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto;

    fn info() -> MasterInfo {
        MasterInfo {
            id: "m-1".into(),
            // 10.0.0.1
            ip: 0x0100_000a,
            port: 5051,
            pid: Some("master@10.0.0.2:5052".into()),
            hostname: Some("host.example.com".into()),
            address: Some(proto::Address {
                hostname: Some("name.example.com".into()),
                ip: Some("10.0.0.3".into()),
                port: 5053,
            }),
            ..MasterInfo::default()
        }
    }

    fn address(info: &MasterInfo) -> String {
        LeadingMaster::from_info(info).unwrap().address()
    }

    #[test]
    fn the_address_is_taken_from_the_best_source() {
        let mut info = info();
        assert_eq!(address(&info), "10.0.0.3:5053");
        let over_https = LeadingMaster::from_info_over_https(&info).unwrap();
        assert_eq!(over_https.address(), "https://name.example.com:5053");
        for no_name in ["", "no name", "a:b", "\u{d81}", "1.2.3.4.5"] {
            let mut info = info.clone();
            info.address.as_mut().unwrap().hostname = Some(no_name.into());
            let over_https = LeadingMaster::from_info_over_https(&info).unwrap();
            assert_eq!(over_https.address(), "https://10.0.0.3:5053");
        }
        info.address = None;
        assert_eq!(address(&info), "10.0.0.2:5052");
        info.pid = None;
        assert_eq!(address(&info), "10.0.0.1:5051");
        info.ip = 0;
        assert_eq!(address(&info), "host.example.com:5051");
        assert_eq!(
            LeadingMaster::from_info(&info).unwrap().master_id(),
            Some("m-1")
        );
    }

    #[test]
    fn version_6_of_ip_stands_in_the_address_or_pid() {
        let mut info = info();
        info.address.as_mut().unwrap().ip = Some("::1".into());
        assert_eq!(address(&info), "[::1]:5053");
        info.address = None;
        info.pid = Some("master@[fe80::1]:5052".into());
        assert_eq!(address(&info), "[fe80::1]:5052");
    }

    #[test]
    fn an_info_that_leads_nowhere_says_so() {
        let nowhere = MasterInfo {
            id: "m".into(),
            ..MasterInfo::default()
        };
        let no_port = MasterInfo {
            ip: 0x0100_007f,
            port: 0,
            ..nowhere.clone()
        };
        let nonsense = MasterInfo {
            hostname: Some("no such/host".into()),
            port: 5050,
            ..nowhere.clone()
        };
        for (info, why) in [
            (
                nowhere,
                "master \"m\" cannot be reached: it states no address",
            ),
            (no_port, "master \"m\" cannot be reached: its port is 0"),
            (
                nonsense,
                "master \"m\" cannot be reached: it states no address",
            ),
        ] {
            let error = LeadingMaster::from_info(&info).unwrap_err();
            assert_eq!(
                (error.kind(), error.to_string().as_str()),
                (ErrorKind::Protocol, why)
            );
        }
    }

    #[test]
    fn it_is_known_by_its_id_or_else_by_its_address() {
        let leader = LeadingMaster::new("a:1").unwrap();
        let (here, there) = (
            Address::parse("a:1").unwrap(),
            Address::parse("b:1").unwrap(),
        );
        assert!(leader.is_at(&here, Some("m-1")) && !leader.is_at(&there, None));
        let leader = leader.id("m-1");
        assert!(leader.is_at(&there, Some("m-1")) && leader.is_at(&here, None));
        assert!(!leader.is_at(&here, Some("m-2")));
    }
}
