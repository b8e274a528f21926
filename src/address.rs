//! Where a master or an agent is to be reached.

use std::fmt;
use std::path::PathBuf;

use url::Url;

use crate::error::{Error, ErrorKind, Result};

/// Port of masters, where an URL states none (`MasterInfo.port`).
const MASTER_PORT: u16 = 5050;

const CREDENTIALS: &str = "credentials do not belong here, but into the driver's builder";

/// Whether something stands before a host of `text`, which is an address or several with commas between: it may be a password,
/// and contain whatever else parts them. Mesos writes `master@` before its own.
pub(crate) fn has_credentials(text: &str) -> bool {
    let behind_name = |part: &str| {
        let part = part.trim_start();
        part.strip_prefix("master@").unwrap_or(part).contains('@')
    };
    text.split(',').any(behind_name)
}

/// `text` to be shown: with credentials, only its scheme and what stands behind all of them.
pub(crate) fn redacted(text: &str) -> String {
    if !has_credentials(text) {
        return text.to_owned();
    }
    let scheme = SCHEMES.iter().find(|scheme| text.starts_with(**scheme));
    let host = text.rsplit('@').next().unwrap_or_default();
    format!("{}…@{host}", scheme.unwrap_or(&""))
}

const SCHEMES: [&str; 4] = ["http://", "https://", "zk://", "file://"];

/// Scheme, host and port, and what stands in the path before `/api/v1/…`; or a Unix domain socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Without a path.
    url: Url,
    /// Path before `/api/v1/…`: empty, or beginning but not ending with a slash.
    prefix: String,
    socket: Option<PathBuf>,
    /// False once a redirect left the scheme: credentials stay behind.
    credentials_allowed: bool,
    /// Whether a redirect led there, and neither the configuration nor a detector.
    is_redirected: bool,
}

impl Address {
    /// Parses `host:port`, `master@host:port`, `http://host[:port][/prefix]` or the same with `https`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            let context = format!("address {:?}: {why}", redacted(text));
            Error::new(ErrorKind::Config, context)
        };
        if has_credentials(text) {
            return Err(wrong(CREDENTIALS));
        }
        if text.contains("://") {
            let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
            return Self::from_url(url, states_port(text)).map_err(|why| wrong(&why));
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
        Self::from_url(url, true).map_err(|why| wrong(&why))
    }

    /// `states_port`: the port of `url` counts also where it is the scheme's own, which `url` does not tell.
    fn from_url(mut url: Url, states_port: bool) -> Result<Self, String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("scheme {:?} is not http or https", url.scheme()));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err("host is missing".into());
        }
        if url.port() == Some(0) {
            return Err("port 0 cannot be reached".into());
        }
        // In a path, it may be one that was mistyped.
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        if has_credentials || url.path().contains('@') {
            return Err(CREDENTIALS.into());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("query and fragment have no meaning here".into());
        }
        if url.scheme() == "http" && url.port().is_none() && !states_port {
            let _ = url.set_port(Some(MASTER_PORT));
        }
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path("/");
        Ok(Self {
            url,
            prefix,
            socket: None,
            credentials_allowed: true,
            is_redirected: false,
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
            let to = redacted(location);
            let context = format!("redirect from {self} to {to:?}: {why}");
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
        let states_port = !names_host(location) || states_port(location);
        let to = Self::from_url(url, states_port).map_err(wrong)?;
        let credentials_allowed = self.credentials_allowed && to.url.scheme() == self.url.scheme();
        Ok(Self {
            credentials_allowed,
            is_redirected: true,
            ..to
        })
    }

    /// Whether credentials may go there, as far as redirects are concerned.
    pub(crate) fn credentials_allowed(&self) -> bool {
        self.credentials_allowed
    }

    /// Whether only another peer's redirect says that this is one.
    pub(crate) fn is_redirected(&self) -> bool {
        self.is_redirected
    }

    pub(crate) fn is_same_host(&self, other: &Self) -> bool {
        self.url.host() == other.url.host()
            && self.url.port_or_known_default() == other.url.port_or_known_default()
    }
}

/// Whether the text of a URL states a port: `Url` drops one that is its scheme's own, and so cannot tell `http://host:80`
/// from `http://host`.
fn states_port(text: &str) -> bool {
    let slashes = ['/', '\\'];
    let behind = text.split_once("//").map(|(_, behind)| behind);
    let authority = behind.and_then(|behind| {
        let behind = behind.trim_start_matches(slashes);
        behind.split(['/', '\\', '?', '#']).next()
    });
    let port = authority.and_then(|authority| authority.rsplit_once(':'));
    port.is_some_and(|(_, port)| {
        port.starts_with(|c: char| c.is_ascii_digit()) && !port.ends_with(']')
    })
}

/// Whether a `Location` names a host, or leads to another path of the same one.
fn names_host(location: &str) -> bool {
    let elsewhere = Url::parse("http://elsewhere.invalid:1/").and_then(|base| base.join(location));
    elsewhere.is_ok_and(|url| url.host_str() != Some("elsewhere.invalid") || url.port() != Some(1))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(socket) = &self.socket {
            return write!(f, "unix:{}", socket.display());
        }
        // As a master string has it: a path needs a scheme in front.
        if self.url.scheme() != "http" || !self.prefix.is_empty() {
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
    mod hostile;

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
            ("10.0.0.5:80", "http://10.0.0.5/api/v1/scheduler"),
            ("http://h:80/x", "http://h/x/api/v1/scheduler"),
            ("http://[::80]", "http://[::80]:5050/api/v1/scheduler"),
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
                "http://master:0",
                "address \"http://master:0\": port 0 cannot be reached",
            ),
            (
                "ftp://master",
                "address \"ftp://master\": scheme \"ftp\" is not http or https",
            ),
            (
                "http://a:b@master",
                "address \"http://…@master\": credentials do not belong here, but into the driver's builder",
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
    fn what_stands_before_a_host_is_not_shown() {
        for (text, shown) in [
            ("h:5050", "h:5050"),
            ("master@h:5050", "master@h:5050"),
            ("master@a:1, master@b:2", "master@a:1, master@b:2"),
            ("user:secret@h:5050", "…@h:5050"),
            ("master@user:secret@h:5050", "…@h:5050"),
            ("master@a:1,user:secret@h:5050", "…@h:5050"),
            ("a:1,http://user:secret@h:5050,b:2", "…@h:5050,b:2"),
            ("http://user:secret@h:5050", "http://…@h:5050"),
            ("http://user:sec@ret@h", "http://…@h"),
            ("https://user:sec/ret@h", "https://…@h"),
            ("https://user:sec,ret@h,b", "https://…@h,b"),
            ("user:sec://ret@h", "…@h"),
            ("user:master@h", "…@h"),
            ("master@user:master@h", "…@h"),
            ("zk://user:secret@h/mesos", "zk://…@h/mesos"),
            ("@h", "…@h"),
        ] {
            assert_eq!(redacted(text), shown);
            if shown.contains('…') && !text.contains(',') {
                let error = Address::parse(text).unwrap_err().to_string();
                let reason = error.strip_prefix(&format!("address {shown:?}: ")).unwrap();
                assert!(
                    !reason.contains("sec") && !reason.contains("ret"),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn slashes_at_the_end_make_no_other_address() {
        let address = |text| Address::parse(text).unwrap();
        assert_eq!(address("http://h/x"), address("http://h/x//"));
        assert_eq!(address("http://h/"), address("h:5050"));
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
    fn redirects_to_the_port_of_the_scheme_lead_there() {
        let from = Address::parse("standby:5050").unwrap();
        for (location, to) in [
            ("//leader:80/api/v1/scheduler", "leader:80"),
            ("http://leader:80", "leader:80"),
            ("//leader/api/v1/scheduler", "leader:5050"),
        ] {
            assert_eq!(from.redirected(PATH, location).unwrap().to_string(), to);
        }
        let from = Address::parse("standby:80").unwrap();
        let to = from
            .redirected(PATH, "/elsewhere/api/v1/scheduler")
            .unwrap();
        assert_eq!(to.to_string(), "http://standby:80/elsewhere");
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
