//! A session with ZooKeeper, of which every operation has a bound.

use std::time::Duration;

use zookeeper_client::{
    Acl, Acls, AuthId, Client, CreateMode, CreateOptions, Error as Cause, OneshotWatcher,
    Permission, SessionState, Stat, StateWatcher,
};

use super::ZooKeeperUrl;
use crate::error::{Error, ErrorKind, Result};

/// The session, until it has expired.
pub(crate) struct Session {
    client: Client,
    states: StateWatcher,
    /// Of one operation.
    limit: Duration,
    url: ZooKeeperUrl,
}

impl Session {
    /// Tries each server once.
    pub(crate) async fn connect(url: &ZooKeeperUrl, timeout: Duration) -> Result<Self> {
        let mut connector = Client::connector()
            .with_session_timeout(timeout)
            .with_fail_eagerly();
        if let Some(credential) = url.credential() {
            connector = connector.with_auth("digest", credential.as_bytes());
        }
        let servers = url.servers().split(',').count();
        let limit = timeout.saturating_mul(u32::try_from(servers).unwrap_or(u32::MAX));
        let connected = tokio::time::timeout(limit, connector.connect(url.servers())).await;
        let client = match connected {
            Ok(Ok(client)) => client,
            Ok(Err(cause)) => return Err(failed(url, "cannot be reached", cause)),
            Err(_) => {
                let context = format!("{url} cannot be reached within {limit:?}");
                return Err(Error::new(ErrorKind::Timeout, context));
            }
        };
        let states = client.state_watcher();
        tracing::debug!(%url, session = %client.session_id(), "session with ZooKeeper");
        Ok(Self {
            client,
            states,
            limit: timeout,
            url: url.clone(),
        })
    }

    /// Whether it will never serve again.
    pub(crate) fn is_over(&self) -> bool {
        self.states.peek_state().is_terminated()
    }

    /// Waits until the connection is lost, found again, or the session is over.
    ///
    /// Cancel safe.
    pub(crate) async fn state_changed(&mut self) -> SessionState {
        self.states.changed().await
    }

    /// The children of a znode, if it exists, and what tells of a change.
    pub(crate) async fn children(
        &self,
        path: &str,
    ) -> Result<(Option<Vec<String>>, OneshotWatcher)> {
        loop {
            let listed = self
                .bounded("list", path, self.client.list_and_watch_children(path))
                .await?;
            if let Some((children, watcher)) = listed {
                return Ok((Some(children), watcher));
            }
            let existing = self.client.check_and_watch_stat(path);
            match self.bounded("look for", path, existing).await? {
                Some((None, watcher)) => return Ok((None, watcher)),
                // It exists since, or once more: asked again.
                Some((Some(_), _)) | None => tokio::task::yield_now().await,
            }
        }
    }

    /// What is known of a znode beside its content, if it exists.
    pub(crate) async fn stat(&self, path: &str) -> Result<Option<Stat>> {
        let found = self.bounded("look for", path, self.client.check_stat(path));
        Ok(found.await?.flatten())
    }

    /// The content of a znode, if it exists.
    pub(crate) async fn content(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let found = self.bounded("read", path, self.client.get_data(path));
        Ok(found.await?.map(|(content, _)| content))
    }

    /// The same; `Some(None)` if it is longer than that, in bytes.
    pub(crate) async fn content_up_to(
        &self,
        path: &str,
        longest: usize,
    ) -> Result<Option<Option<Vec<u8>>>> {
        let Some(stat) = self.stat(path).await? else {
            return Ok(None);
        };
        if usize::try_from(stat.data_length).map_or(true, |length| length > longest) {
            return Ok(Some(None));
        }
        Ok(self.content(path).await?.map(Some))
    }

    /// Writes a znode, and makes it and those above it where they are missing.
    pub(crate) async fn put(&self, path: &str, content: &[u8]) -> Result<()> {
        loop {
            let set = self.client.set_data(path, content, None);
            if self.bounded("write", path, set).await?.is_some() {
                return Ok(());
            }
            let owned = [
                Acl::new(Permission::READ, AuthId::anyone()),
                Acl::new(Permission::ALL, AuthId::authed()),
            ];
            let acls = match self.url.credential() {
                Some(_) => Acls::new(&owned),
                None => Acls::anyone_all(),
            };
            let options = CreateMode::Persistent.with_acls(acls);
            if let Some((above, _)) = path.rsplit_once('/').filter(|(above, _)| !above.is_empty()) {
                let made = self.client.mkdir(above, &options);
                self.bounded("make", above, made).await?;
            }
            if self.create(path, content, &options).await? {
                return Ok(());
            }
        }
    }

    /// False if it exists.
    async fn create(
        &self,
        path: &str,
        content: &[u8],
        options: &CreateOptions<'_>,
    ) -> Result<bool> {
        let create = async {
            match self.client.create(path, content, options).await {
                Ok(_) => Ok(true),
                Err(Cause::NodeExists) => Ok(false),
                Err(cause) => Err(cause),
            }
        };
        Ok(self.bounded("make", path, create).await?.unwrap_or(false))
    }

    /// Deletes a znode; it may be gone already.
    pub(crate) async fn delete(&self, path: &str) -> Result<()> {
        let delete = self.client.delete(path, None);
        self.bounded("delete", path, delete).await.map(|_| ())
    }

    /// None if there is no such znode.
    async fn bounded<T>(
        &self,
        what: &str,
        path: &str,
        operation: impl Future<Output = Result<T, Cause>>,
    ) -> Result<Option<T>> {
        let context = || format!("cannot {what} {path} of {}", self.url.servers());
        match tokio::time::timeout(self.limit, operation).await {
            Ok(Ok(done)) => Ok(Some(done)),
            Ok(Err(Cause::NoNode)) => Ok(None),
            Ok(Err(cause)) => Err(Error::caused_by(kind(&cause), context(), cause)),
            Err(_) => {
                let context = format!("{} within {:?}", context(), self.limit);
                Err(Error::new(ErrorKind::Timeout, context))
            }
        }
    }
}

fn failed(url: &ZooKeeperUrl, what: &str, cause: Cause) -> Error {
    Error::caused_by(kind(&cause), format!("{url} {what}"), cause)
}

fn kind(cause: &Cause) -> ErrorKind {
    match cause {
        Cause::NoHosts | Cause::ConnectionLoss => ErrorKind::Connect,
        Cause::SessionExpired | Cause::SessionMoved | Cause::ClientClosed => {
            ErrorKind::Disconnected
        }
        Cause::NoAuth | Cause::AuthFailed => ErrorKind::Unauthorized,
        Cause::Timeout => ErrorKind::Timeout,
        _ => ErrorKind::Unavailable,
    }
}
