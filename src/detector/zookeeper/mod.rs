//! The leading master, as ZooKeeper says.

mod session;
mod url;
mod znodes;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use zookeeper_client::{OneshotWatcher, SessionState};

pub(crate) use session::Session;
pub(crate) use url::ZooKeeperUrl;

use super::{LeadingMaster, MasterDetector};
use crate::backoff::{Backoff, Delays};
use crate::error::{Error, ErrorKind, Result};

/// Asked of the server, which may give another.
///
/// Source: `MASTER_DETECTOR_ZK_SESSION_TIMEOUT`, `src/master/constants.hpp`, Apache Mesos 1.11.0.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// Between attempts to connect, and to read what could not be read.
const RETRY: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5));

/// A watch that says nothing for so long is not trusted any more (MESOS-9426).
const RECHECK: Duration = Duration::from_secs(60);

/// Finds the leading master by the znodes that masters write into ZooKeeper.
///
/// The master with the lowest sequence number leads, whether its znode is `json.info_…` or `info_…`. While ZooKeeper
/// cannot be reached, the master known last goes on being taken for the leader. A session that has expired is followed
/// by another. Malformed znodes are told as errors of the kind [`ErrorKind::Protocol`], until they change.
///
/// The master string `zk://…` stands for such a detector with its defaults.
///
/// Source: `src/master/detector/zookeeper.cpp`, Apache Mesos 1.11.0.
///
/// # Examples
/// ```no_run
/// # fn example(scheduler: impl mesos_framework::Scheduler) -> mesos_framework::Result<()> {
/// use mesos_framework::{SchedulerDriver, ZooKeeperDetector};
///
/// let detector = ZooKeeperDetector::new("zk://user:password@zk1:2181,zk2:2181/mesos")?.https();
/// let driver = SchedulerDriver::builder_with_detector(scheduler, Default::default(), detector).build()?;
/// # Ok(())
/// # }
/// ```
pub struct ZooKeeperDetector {
    url: ZooKeeperUrl,
    session_timeout: Duration,
    over_https: bool,
    session: Option<Session>,
    /// Of the election's znode. None: it is to be read.
    watcher: Option<OneshotWatcher>,
    /// The failure that was told, so that it is not told again.
    told: Option<String>,
    delays: Delays,
    /// Whether a wait is due before the next attempt.
    has_failed: bool,
}

impl fmt::Debug for ZooKeeperDetector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZooKeeperDetector")
            .field("url", &self.url)
            .field("session_timeout", &self.session_timeout)
            .field("over_https", &self.over_https)
            .finish_non_exhaustive()
    }
}

impl ZooKeeperDetector {
    /// Detects at `zk://[user:password@]host[:port],…/path`: the servers (port 2181 where none is stated), and the znode
    /// of the masters' election. The credential, everything before the last `@`, is used for digest authentication.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming what is wrong without repeating any of it.
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self {
            url: ZooKeeperUrl::parse(url)?,
            session_timeout: SESSION_TIMEOUT,
            over_https: false,
            session: None,
            watcher: None,
            told: None,
            delays: Delays::new(RETRY),
            has_failed: false,
        })
    }

    /// Reaches the leading master over https, under its host name. By default over http, under its address: the znodes
    /// do not say which.
    #[must_use]
    pub fn https(mut self) -> Self {
        self.over_https = true;
        self
    }

    /// The time-out of sessions to ask for, and the longest time of each operation; default 10 s. At least 1 ms.
    #[must_use]
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.session_timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Reads the election's znode when it is due: at first, and after each change.
    async fn observe(&mut self) -> Result<Option<LeadingMaster>> {
        if std::mem::take(&mut self.has_failed) {
            let delay = self.delays.next().unwrap_or_default();
            tokio::time::sleep(delay).await;
        }
        let observed = match self.changed().await {
            Ok(()) => self.read().await,
            Err(error) => Err(error),
        };
        match &observed {
            Ok(_) => self.delays.reset(),
            // What masters wrote stays as it is until the watch fires.
            Err(error) if error.kind() == ErrorKind::Protocol => {}
            Err(_) => {
                self.watcher = None;
                self.has_failed = true;
            }
        }
        observed
    }

    /// Waits for a change, if nothing is due. Afterwards there is a session.
    async fn changed(&mut self) -> Result<()> {
        let watcher = self.watcher.take();
        let Some(session) = self.session.as_mut().filter(|session| !session.is_over()) else {
            self.session = Some(Session::connect(&self.url, self.session_timeout).await?);
            return Ok(());
        };
        let Some(watcher) = watcher else {
            return Ok(());
        };
        let fired = async { watcher.changed().await.session_state };
        tokio::pin!(fired);
        let state = tokio::select! {
            state = &mut fired => state,
            state = session.state_changed() => state,
            () = tokio::time::sleep(RECHECK) => return Ok(()),
        };
        match state {
            SessionState::SyncConnected | SessionState::ConnectedReadOnly => Ok(()),
            SessionState::Disconnected => Err(self.lost("connection to")),
            _ => {
                self.session = None;
                Err(self.lost("session with"))
            }
        }
    }

    fn lost(&self, what: &str) -> Error {
        let context = format!("{what} {} lost", self.url);
        Error::new(ErrorKind::Disconnected, context)
    }

    async fn read(&mut self) -> Result<Option<LeadingMaster>> {
        let Some(session) = &self.session else {
            return Err(self.lost("session with"));
        };
        loop {
            let (children, watcher) = session.children(self.url.path()).await?;
            // Also if the znode of the leader is no good, the next one is not to be missed.
            self.watcher = Some(watcher);
            let children = children.unwrap_or_default();
            let Some(name) = znodes::leader(&children) else {
                return Ok(None);
            };
            znodes::form(name)?;
            let path = format!("{}/{name}", self.url.path());
            let found = match session.stat(&path).await? {
                Some(stat) => {
                    znodes::check_length(name, usize::try_from(stat.data_length).unwrap_or(0))?;
                    session.content(&path).await?
                }
                None => None,
            };
            // It may have gone since.
            if let Some(content) = found {
                return znodes::master(name, &content, self.over_https).map(Some);
            }
        }
    }
}

#[async_trait]
impl MasterDetector for ZooKeeperDetector {
    async fn detect(&mut self, previous: Option<&LeadingMaster>) -> Result<Option<LeadingMaster>> {
        loop {
            match self.observe().await {
                Ok(leader) => {
                    self.told = None;
                    if leader.as_ref() != previous {
                        tracing::info!(url = %self.url, ?leader, "leading master detected");
                        return Ok(leader);
                    }
                }
                Err(error) => {
                    let text = error.to_string();
                    if self.told.as_ref() != Some(&text) {
                        self.told = Some(text);
                        return Err(error);
                    }
                }
            }
        }
    }
}
