//! Ids in ZooKeeper.

use std::time::Duration;

use async_trait::async_trait;

use super::{FrameworkIdStore, LONGEST, corrupt, parse};
use crate::backoff::{Backoff, Delays};
use crate::detector::zookeeper::{Session, ZooKeeperUrl};
use crate::error::{Error, ErrorKind, Result};
use crate::proto::FrameworkId;

/// Of a session, which lives for one operation.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// How often an operation is tried while ZooKeeper cannot be reached.
const ATTEMPTS: usize = 4;

const RETRY: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5));

/// Keeps the id in a znode, which holds nothing else.
///
/// The znode and those above it are made where they are missing. With a credential, everybody may read them and only its
/// owner change them, as the znodes of masters; without, everybody may do everything. An operation that cannot reach
/// ZooKeeper is tried four times, each for at most 10 s and per server.
///
/// # Examples
/// ```no_run
/// # fn example(scheduler: impl mesos_framework::Scheduler) -> mesos_framework::Result<()> {
/// use mesos_framework::{SchedulerDriver, ZooKeeperFrameworkIdStore};
///
/// let store = ZooKeeperFrameworkIdStore::new("zk://user:password@zk1:2181,zk2:2181/frameworks/mine")?;
/// let driver = SchedulerDriver::builder(scheduler, Default::default(), "zk://zk1:2181,zk2:2181/mesos")
///     .framework_id_store(store)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ZooKeeperFrameworkIdStore {
    url: ZooKeeperUrl,
}

impl ZooKeeperFrameworkIdStore {
    /// A store in the znode of `zk://[user:password@]host[:port],…/path`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming what is wrong without repeating any of it.
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self {
            url: ZooKeeperUrl::parse(url)?,
        })
    }

    /// What is read, if anything is.
    async fn perform(&self, operation: Operation<'_>) -> Result<Found> {
        let mut delays = Delays::new(RETRY).take(ATTEMPTS - 1);
        loop {
            let error = match self.attempt(operation).await {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            match delays.next().filter(|_| error.is_retryable()) {
                Some(delay) => tokio::time::sleep(delay).await,
                None => {
                    let context = format!("framework id in {} {}", self.url, operation.failed());
                    return Err(Error::caused_by(ErrorKind::Store, context, error));
                }
            }
        }
    }

    async fn attempt(&self, operation: Operation<'_>) -> Result<Found> {
        let session = Session::connect(&self.url, SESSION_TIMEOUT).await?;
        let path = self.url.path();
        match operation {
            Operation::Load => session.content_up_to(path, LONGEST).await,
            Operation::Store(id) => session.put(path, id.as_bytes()).await.map(|()| None),
            Operation::Forget => session.delete(path).await.map(|()| None),
        }
    }
}

/// None: there is no znode. `Some(None)`: it holds more than an id.
type Found = Option<Option<Vec<u8>>>;

#[derive(Clone, Copy)]
enum Operation<'a> {
    Load,
    Store(&'a str),
    Forget,
}

impl Operation<'_> {
    fn failed(self) -> &'static str {
        match self {
            Self::Load => "cannot be read",
            Self::Store(_) => "cannot be written",
            Self::Forget => "cannot be removed",
        }
    }
}

#[async_trait]
impl FrameworkIdStore for ZooKeeperFrameworkIdStore {
    /// # Errors
    /// [`ErrorKind::Store`]: ZooKeeper cannot be reached, does not allow it, or keeps something else than an id there.
    async fn load(&self) -> Result<Option<FrameworkId>> {
        let found = self.perform(Operation::Load).await?;
        let Some(content) = found else {
            return Ok(None);
        };
        let id = content.ok_or("it is too long for an id");
        id.and_then(|content| parse(&content))
            .map(Some)
            .map_err(|why| {
                let what = format!("framework id in {}", self.url);
                corrupt(&what, why)
            })
    }

    /// # Errors
    /// [`ErrorKind::Store`]: ZooKeeper cannot be reached, or does not allow it.
    async fn store(&self, framework_id: &FrameworkId) -> Result<()> {
        let stored = self.perform(Operation::Store(&framework_id.value)).await;
        stored.map(|_| ())
    }

    /// # Errors
    /// [`ErrorKind::Store`]: ZooKeeper cannot be reached, or does not allow it.
    async fn forget(&self) -> Result<()> {
        self.perform(Operation::Forget).await.map(|_| ())
    }
}
