//! What an executor can do.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::protocol::ExecutorProtocol;
use super::{ExecutorConfig, calls};
use crate::driver::{Connection, ConnectionWatch, Core, Receipt, Status, Stop, Unsubscribed};
use crate::error::Result;
use crate::proto::TaskStatus;

/// What an executor can do: send statuses and messages, and end the driver.
///
/// Cheap to clone, and usable from any task. Methods queue their call and return: `Ok` means queued, in the order in
/// which the futures of these methods completed, and the [`Receipt`] tells what became of it.
///
/// Source: `org.apache.mesos.ExecutorDriver`, Java API.
#[derive(Clone)]
pub struct ExecutorHandle {
    pub(super) core: Arc<Core<ExecutorProtocol>>,
}

impl fmt::Debug for ExecutorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutorHandle")
            .field("executor_id", &self.config().executor_id)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl ExecutorHandle {
    /// Queues a status of a task.
    ///
    /// `status`: `task_id` and `state` suffice. The driver fills in `uuid`, `source`, `executor_id` and `agent_id`, and
    /// `timestamp` where it is unset. Statuses of one task reach the scheduler in order, at least once.
    ///
    /// It is kept until the agent acknowledges it, and repeated with every subscription until then; without one it
    /// waits for the next.
    ///
    /// # Errors
    /// [`ErrorKind::NotRunning`](crate::ErrorKind::NotRunning) once stopped or aborted;
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for `TASK_STAGING`, an unknown state or an empty task id;
    /// [`ErrorKind::Disconnected`](crate::ErrorKind::Disconnected) if the outbox is full while there is no subscription.
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.Update`, executor.proto; `ExecutorDriver.sendStatusUpdate`, Java API.
    pub async fn send_status_update(&self, status: TaskStatus) -> Result<Receipt> {
        let call = calls::update(self.config(), status)?;
        self.core.submit(call, Unsubscribed::Keep).await
    }

    /// Sends bytes to the scheduler. Best effort: never retried.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`](crate::ErrorKind::Disconnected) without a subscription;
    /// [`ErrorKind::NotRunning`](crate::ErrorKind::NotRunning) once stopped or aborted.
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.Message`, executor.proto; `ExecutorDriver.sendFrameworkMessage`, Java API.
    pub async fn send_framework_message(&self, data: impl Into<Bytes> + Send) -> Result<Receipt> {
        let call = calls::message(self.config(), data.into());
        self.core.submit(call, Unsubscribed::Refuse).await
    }

    /// What the agent has told about this executor.
    #[must_use]
    pub fn config(&self) -> &ExecutorConfig {
        &self.core.protocol.config
    }

    /// How it stands with the subscription: to whom since when, or why not and when next.
    #[must_use]
    pub fn connection(&self) -> Connection {
        self.core.connection()
    }

    /// Watches the connection change.
    #[must_use]
    pub fn watch_connection(&self) -> ConnectionWatch {
        self.core.watch_connection()
    }

    /// The life of the driver.
    #[must_use]
    pub fn status(&self) -> Status {
        self.core.lifecycle.status()
    }

    /// Stops the driver. Never waits: the running callback finishes, no other starts, queued calls are sent, and the
    /// last updates are waited for until the agent has acknowledged them (at most 60 s).
    /// [`join`](super::ExecutorDriver::join) waits for all that.
    ///
    /// Source: `ExecutorDriver.stop`, Java API.
    pub fn stop(&self) -> Status {
        self.core.stop(Stop::ForFailover)
    }

    /// Ends the driver at once: the running callback finishes, no other starts, queued calls are sent; nothing is waited
    /// for.
    ///
    /// Source: `ExecutorDriver.abort`, Java API.
    pub fn abort(&self) -> Status {
        self.core.abort()
    }
}
