//! `zk://…`.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// The servers, a path on them, and a proof of identity.
///
/// Source: `zookeeper::URL`, `include/mesos/zookeeper/url.hpp`, Apache Mesos 1.11.0.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ZooKeeperUrl {
    /// One or more, with commas between.
    servers: String,
    /// Begins but does not end with a slash, and is more than that.
    path: String,
    /// `user:password`.
    credential: Option<String>,
}

impl ZooKeeperUrl {
    /// Parses `zk://[user:password@]host[:port],…/path`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        // What was to be the host may be a password, so that no part of it is repeated.
        let wrong = |why: &str| Error::new(ErrorKind::Config, format!("master zk://…: {why}"));
        let rest = text.trim().strip_prefix("zk://");
        let rest = rest.ok_or_else(|| wrong("expected zk://host:port,…/path"))?;
        let (credential, rest) = match rest.rsplit_once('@') {
            Some((credential, rest)) => (Some(credential), rest),
            None => (None, rest),
        };
        if credential.is_some_and(|credential| !credential.contains(':')) {
            return Err(wrong("expected user:password before the last @"));
        }
        let (servers, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if !servers.split(',').all(is_server) {
            return Err(wrong("expected host:port, or several with commas between"));
        }
        let path = path.trim_end_matches('/');
        if path.is_empty() {
            return Err(wrong("expected a path behind the servers"));
        }
        if !path.split('/').skip(1).all(is_node) {
            return Err(wrong("the path cannot be that of a znode"));
        }
        Ok(Self {
            servers: servers.to_owned(),
            path: path.to_owned(),
            credential: credential.map(ToOwned::to_owned),
        })
    }

    pub(crate) fn servers(&self) -> &str {
        &self.servers
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn credential(&self) -> Option<&str> {
        self.credential.as_deref()
    }
}

fn is_server(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_host = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            !host.is_empty() && host.chars().all(allowed)
        }
    };
    is_host && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn is_node(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.chars().any(char::is_control)
}

/// Without the credential.
impl fmt::Display for ZooKeeperUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "zk://{}{}", self.servers, self.path)
    }
}

impl fmt::Debug for ZooKeeperUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    mod hostile;

    use super::*;

    #[test]
    fn servers_path_and_credential_are_taken_apart() {
        for (text, servers, path, credential) in [
            ("zk://h:2181/mesos", "h:2181", "/mesos", None),
            ("zk://a:1,b:2,[::1]:3/x/y/", "a:1,b:2,[::1]:3", "/x/y", None),
            ("zk://h/mesos", "h", "/mesos", None),
            (
                "zk://me:p@ss:w/,rd@h:1/m",
                "h:1",
                "/m",
                Some("me:p@ss:w/,rd"),
            ),
        ] {
            let url = ZooKeeperUrl::parse(text).unwrap();
            assert_eq!(
                (url.servers(), url.path(), url.credential()),
                (servers, path, credential)
            );
            assert_eq!(url.to_string(), format!("zk://{servers}{path}"));
            assert!(!format!("{url:?}").contains("rd@"));
        }
    }

    #[test]
    fn nonsense_is_refused_without_repeating_it() {
        for (text, why) in [
            ("zk:/h/m", "expected zk://host:port,…/path"),
            ("zk://h:2181", "expected a path behind the servers"),
            ("zk://h:2181/", "expected a path behind the servers"),
            (
                "zk://me@h:2181/m",
                "expected user:password before the last @",
            ),
            (
                "zk:///m",
                "expected host:port, or several with commas between",
            ),
            (
                "zk://a:1,,b:2/m",
                "expected host:port, or several with commas between",
            ),
            (
                "zk://a:0/m",
                "expected host:port, or several with commas between",
            ),
            (
                "zk://a b:1/m",
                "expected host:port, or several with commas between",
            ),
            ("zk://a:1/m//n", "the path cannot be that of a znode"),
            ("zk://a:1/m/../n", "the path cannot be that of a znode"),
        ] {
            let error = ZooKeeperUrl::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert_eq!(error.to_string(), format!("master zk://…: {why}"));
        }
    }
}
