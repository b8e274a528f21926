//! Where a master or an agent is to be reached.

use std::fmt;
use std::path::PathBuf;

use url::Url;

use crate::error::{Error, ErrorKind, Result};

/// Port of masters, where an URL states none (`MasterInfo.port`).
const MASTER_PORT: u16 = 5050;

/// Scheme, host and port, and what stands in the path before `/api/v1/…`; or a Unix domain socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    url: Url,
    /// Path before `/api/v1/…`: empty, or beginning but not ending with a slash.
    prefix: String,
    socket: Option<PathBuf>,
    /// False once a redirect left the scheme: credentials stay behind.
    credentials_allowed: bool,
}

impl Address {
    /// Parses `host:port`, `master@host:port`, `http://host[:port][/prefix]` or the same with `https`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| Error::new(ErrorKind::Config, format!("address {text:?}: {why}"));
        if text.contains("://") {
            let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
            return Self::from_url(url).map_err(|why| wrong(&why));
        }
        let authority = text.strip_prefix("master@").unwrap_or(text);
        let port = authority
            .rsplit_once(':')
            .map(|(_, port)| port)
            .filter(|port| !port.is_empty());
        let Some(port) = port.filter(|port| !port.ends_with(']')) else {
            return Err(wrong("expected host:port"));
        };
        if !port.parse::<u16>().is_ok_and(|port| port > 0) {
            return Err(wrong(&format!(
                "port {port:?} is not a number from 1 to 65535"
            )));
        }
        let url = Url::parse(&format!("http://{authority}"))
            .map_err(|error| wrong(&error.to_string()))?;
        if url.path() != "/" {
            return Err(wrong("expected host:port; a path needs http:// in front"));
        }
        Self::from_url(url).map_err(|why| wrong(&why))
    }

    fn from_url(mut url: Url) -> Result<Self, String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("scheme {:?} is not http or https", url.scheme()));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err("host is missing".into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("credentials do not belong here, but into the driver's builder".into());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("query and fragment have no meaning here".into());
        }
        if url.scheme() == "http" && url.port().is_none() && !stated_port_80(&url) {
            let _ = url.set_port(Some(MASTER_PORT));
        }
        let prefix = url.path().trim_end_matches('/').to_owned();
        Ok(Self {
            url,
            prefix,
            socket: None,
            credentials_allowed: true,
        })
    }

    /// The agent behind a Unix domain socket; the host only fills the `Host` header.
    #[cfg_attr(
        not(unix),
        expect(dead_code, reason = "Unix domain sockets exist on Unix only")
    )]
    pub(crate) fn over_socket(mut self, socket: PathBuf) -> Self {
        self.socket = Some(socket);
        self
    }

    pub(crate) fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.trim_end_matches('/').to_owned();
        self
    }

    #[cfg_attr(
        not(unix),
        expect(dead_code, reason = "Unix domain sockets exist on Unix only")
    )]
    pub(crate) fn socket(&self) -> Option<&PathBuf> {
        self.socket.as_ref()
    }

    /// The URL of `path` (for instance `/api/v1/scheduler`) there.
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.prefix));
        url
    }

    /// Where a 307 for `path` with this `Location` leads. The scheme may be missing from it, as Mesos writes it.
    pub(crate) fn redirected(&self, path: &str, location: &str) -> Result<Self> {
        let wrong = |why: String| {
            let context = format!("redirect from {self} to {location:?}: {why}");
            Error::new(ErrorKind::Unavailable, context)
        };
        let mut url = self
            .url(path)
            .join(location)
            .map_err(|error| wrong(error.to_string()))?;
        let prefix = url.path().strip_suffix(path).unwrap_or_default().to_owned();
        url.set_query(None);
        url.set_fragment(None);
        url.set_path(&prefix);
        let to = Self::from_url(url).map_err(wrong)?;
        let credentials_allowed = self.credentials_allowed && to.url.scheme() == self.url.scheme();
        Ok(Self {
            credentials_allowed,
            ..to
        })
    }

    /// Whether credentials may go there, as far as redirects are concerned.
    pub(crate) fn credentials_allowed(&self) -> bool {
        self.credentials_allowed
    }

    pub(crate) fn is_same_host(&self, other: &Self) -> bool {
        self.url.host() == other.url.host()
            && self.url.port_or_known_default() == other.url.port_or_known_default()
    }
}

/// `url` drops a port that is the scheme's own: tells `http://host:80` from `http://host`.
fn stated_port_80(url: &Url) -> bool {
    url.as_str().contains(":80/")
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(socket) = &self.socket {
            return write!(f, "unix:{}", socket.display());
        }
        if self.url.scheme() != "http" {
            write!(f, "{}://", self.url.scheme())?;
        }
        f.write_str(self.url.host_str().unwrap_or_default())?;
        if let Some(port) = self.url.port_or_known_default() {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/api/v1/scheduler";

    fn url(text: &str) -> String {
        Address::parse(text).unwrap().url(PATH).to_string()
    }

    #[test]
    fn forms_give_urls() {
        for (text, expected) in [
            ("10.0.0.5:5050", "http://10.0.0.5:5050/api/v1/scheduler"),
            (
                "master@10.0.0.5:5050",
                "http://10.0.0.5:5050/api/v1/scheduler",
            ),
            ("[::1]:5050", "http://[::1]:5050/api/v1/scheduler"),
            (
                "http://mesos.example.com",
                "http://mesos.example.com:5050/api/v1/scheduler",
            ),
            (
                "https://mesos.example.com/dcos/mesos/",
                "https://mesos.example.com/dcos/mesos/api/v1/scheduler",
            ),
        ] {
            assert_eq!(url(text), expected);
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        for (text, why) in [
            ("", "address \"\": expected host:port"),
            ("master", "address \"master\": expected host:port"),
            ("[::1]", "address \"[::1]\": expected host:port"),
            (
                "master:http",
                "address \"master:http\": port \"http\" is not a number from 1 to 65535",
            ),
            (
                "master:0",
                "address \"master:0\": port \"0\" is not a number from 1 to 65535",
            ),
            (
                "ftp://master",
                "address \"ftp://master\": scheme \"ftp\" is not http or https",
            ),
            (
                "http://a:b@master",
                "address \"http://a:b@master\": credentials do not belong here, but into the driver's builder",
            ),
        ] {
            let error = Address::parse(text).unwrap_err();
            assert_eq!(
                (error.kind(), error.to_string().as_str()),
                (ErrorKind::Config, why)
            );
        }
    }

    #[test]
    fn redirects_keep_the_scheme_that_mesos_leaves_out() {
        let from = Address::parse("https://standby:5050").unwrap();
        let to = from
            .redirected(PATH, "//leader:5050/api/v1/scheduler")
            .unwrap();
        assert_eq!(
            to.url(PATH).as_str(),
            "https://leader:5050/api/v1/scheduler"
        );
        assert!(to.credentials_allowed());
    }

    #[test]
    fn credentials_stay_behind_when_a_redirect_leaves_the_scheme() {
        let from = Address::parse("https://standby:5050").unwrap();
        let to = from
            .redirected(PATH, "http://leader:5050/api/v1/scheduler")
            .unwrap();
        assert!(!to.credentials_allowed());
        let back = to
            .redirected(PATH, "https://standby:5050/api/v1/scheduler")
            .unwrap();
        assert!(!back.credentials_allowed());
    }
}
