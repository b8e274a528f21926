//! Which credential requests carry now.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderValue;
use tokio::time::Instant;

use super::{Credential, CredentialProvider};
use crate::error::{Error, ErrorKind, Result};

/// Where the credential comes from.
#[derive(Clone)]
pub(crate) enum Credentials {
    Fixed(Credential),
    Provider(Arc<dyn CredentialProvider>),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(credential) => credential.fmt(f),
            Self::Provider(_) => f.write_str("CredentialProvider"),
        }
    }
}

/// A credential, as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Held {
    credential: Credential,
    pub(super) header: HeaderValue,
    /// Tells it from those before and after it.
    pub(super) version: u64,
}

impl Held {
    fn new(credential: Credential, version: u64) -> Result<Self> {
        let header = credential.header()?;
        Ok(Self {
            credential,
            header,
            version,
        })
    }
}

/// The credential in use, and where the next one comes from.
#[derive(Debug)]
pub(super) struct Authority {
    source: Option<Credentials>,
    /// For a call, or an attempt to subscribe, with all that the provider is asked for it.
    limit: Duration,
    held: Mutex<Option<Held>>,
    /// Held while the provider is asked, so that it is asked once by all who were refused.
    asking: tokio::sync::Mutex<()>,
}

impl Authority {
    /// [`ErrorKind::Config`] for a fixed credential that cannot be sent.
    pub(super) fn new(source: Option<Credentials>, limit: Duration) -> Result<Self> {
        let held = match &source {
            Some(Credentials::Fixed(credential)) => Some(Held::new(credential.clone(), 0)?),
            Some(Credentials::Provider(_)) | None => None,
        };
        Ok(Self {
            source,
            limit,
            held: Mutex::new(held),
            asking: tokio::sync::Mutex::new(()),
        })
    }

    /// What requests carry now.
    pub(super) fn current(&self) -> Option<Held> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }

    /// Asks for a credential if none was given yet.
    pub(super) async fn obtain(&self, deadline: Instant) -> Result<()> {
        let Some(Credentials::Provider(provider)) = &self.source else {
            return Ok(());
        };
        let obtained = async {
            let _asking = self.asking.lock().await;
            if self.current().is_none() {
                let credential = ask(provider.as_ref(), None).await?;
                self.hold(Held::new(credential, 0)?);
            }
            Ok(())
        };
        self.by(deadline, obtained).await
    }

    /// Sees to another credential than the one of this version, which was refused; false if there is none.
    pub(super) async fn renew(&self, refused: u64, deadline: Instant) -> Result<bool> {
        let Some(Credentials::Provider(provider)) = &self.source else {
            return Ok(false);
        };
        let renewed = async {
            let _asking = self.asking.lock().await;
            let Some(held) = self.current() else {
                return Ok(false);
            };
            if held.version != refused {
                return Ok(true);
            }
            let refused = &held.credential;
            let credential = ask(provider.as_ref(), Some(refused)).await?;
            if credential == *refused {
                return Ok(false);
            }
            tracing::debug!("another credential in place of a refused one");
            self.hold(Held::new(credential, held.version + 1)?);
            Ok(true)
        };
        self.by(deadline, renewed).await
    }

    fn hold(&self, held: Held) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
    }

    /// Also whoever waits for what another one has asked for waits no longer.
    async fn by<T>(&self, deadline: Instant, given: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout_at(deadline, given).await {
            Ok(given) => given,
            Err(_) => {
                let context = format!("no credential from its provider within {:?}", self.limit);
                Err(Error::new(ErrorKind::Timeout, context))
            }
        }
    }
}

async fn ask(
    provider: &dyn CredentialProvider,
    refused: Option<&Credential>,
) -> Result<Credential> {
    let given = provider.credential(refused).await;
    given.map_err(|error| {
        let context = "the credential provider has none";
        Error::caused_by(ErrorKind::Unavailable, context, error)
    })
}
