//! What proves who a framework is.

use std::fmt;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};

/// Proof of identity, sent as `Authorization` header with every request.
///
/// Its `Debug` form hides the secret.
///
/// Source: `Credential`, mesos.proto; `docs/authentication.md`, Apache Mesos 1.11.0.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Basic { principal: String, secret: String },
    Bearer { token: String },
}

impl Credential {
    /// A principal and its secret (HTTP basic authentication), as masters ask of frameworks.
    ///
    /// A colon in either is refused by Mesos; building the driver says so.
    pub fn new(principal: impl Into<String>, secret: impl Into<String>) -> Self {
        Self(Kind::Basic {
            principal: principal.into(),
            secret: secret.into(),
        })
    }

    /// A token (HTTP bearer authentication), as agents ask of executors.
    pub fn bearer(token: impl Into<String>) -> Self {
        Self(Kind::Bearer {
            token: token.into(),
        })
    }

    /// The principal, if it is one with a secret.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        match &self.0 {
            Kind::Basic { principal, .. } => Some(principal),
            Kind::Bearer { .. } => None,
        }
    }

    /// The header; [`ErrorKind::Config`] for what the header or Mesos cannot carry.
    pub(super) fn header(&self) -> Result<reqwest::header::HeaderValue> {
        let text = match &self.0 {
            Kind::Basic { principal, secret } => {
                if principal.contains(':') || secret.contains(':') {
                    let context = format!(
                        "credential of principal {principal:?} has a colon, which Mesos refuses"
                    );
                    return Err(Error::new(ErrorKind::Config, context));
                }
                format!(
                    "Basic {}",
                    base64(format!("{principal}:{secret}").as_bytes())
                )
            }
            Kind::Bearer { token } => format!("Bearer {token}"),
        };
        let mut header = reqwest::header::HeaderValue::from_str(&text).map_err(|_| {
            Error::new(
                ErrorKind::Config,
                "token has characters that no HTTP header can carry",
            )
        })?;
        header.set_sensitive(true);
        Ok(header)
    }
}

/// Where credentials come from that do not stay the same: tokens that expire, secrets that are changed.
///
/// It is asked before the first SUBSCRIBE, and again whenever a peer answers 401; in between, what it gave is kept. A
/// SUBSCRIBE that was refused is then sent once more, and calls that were refused go out again in their order. If it
/// answers what was refused, the refusal stands, and a refused SUBSCRIBE ends the driver.
///
/// An error from it is like a peer that cannot be reached: the driver waits and tries again. So is an answer that does not
/// come in time: what is asked for an attempt to subscribe is part of the `call_timeout` of that attempt. One that panics ends
/// the driver.
///
/// # Examples
/// ```
/// use mesos_framework::{Credential, CredentialProvider, async_trait};
///
/// struct TokenFile(std::path::PathBuf);
///
/// #[async_trait]
/// impl CredentialProvider for TokenFile {
///     async fn credential(
///         &self,
///         _refused: Option<&Credential>,
///     ) -> Result<Credential, Box<dyn std::error::Error + Send + Sync>> {
///         Ok(Credential::bearer(std::fs::read_to_string(&self.0)?.trim()))
///     }
/// }
/// ```
#[async_trait]
pub trait CredentialProvider: Send + Sync + 'static {
    /// The credential to use from now on. `refused`: the one in use, to which a peer has answered 401.
    ///
    /// # Errors
    /// Why there is none now; its text must hold no secret, for it is logged.
    async fn credential(
        &self,
        refused: Option<&Credential>,
    ) -> Result<Credential, Box<dyn std::error::Error + Send + Sync>>;
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Basic { principal, .. } => {
                write!(f, "Credential(principal {principal:?}, secret hidden)")
            }
            Kind::Bearer { .. } => write!(f, "Credential(token hidden)"),
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_secrets() {
        let shown = format!(
            "{:?} {:?}",
            Credential::new("me", "hunter2"),
            Credential::bearer("abc.def")
        );
        assert_eq!(
            shown,
            "Credential(principal \"me\", secret hidden) Credential(token hidden)"
        );
    }

    #[test]
    fn headers_are_basic_or_bearer_and_sensitive() {
        let header = Credential::new("me", "hunter2").header().unwrap();
        assert_eq!(header.to_str().unwrap(), "Basic bWU6aHVudGVyMg==");
        assert!(header.is_sensitive());
        let error = Credential::new("me", "a:b").header().unwrap_err();
        assert_eq!(
            error.to_string(),
            "credential of principal \"me\" has a colon, which Mesos refuses"
        );
        assert!(Credential::bearer("a\nb").header().is_err());
    }
}
