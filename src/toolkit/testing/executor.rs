//! Stands in for an executor's driver.

use std::fmt;
use std::sync::Arc;

use super::tape::Tape;
use super::{Answer, DriverEnd};
use crate::error::{Error, ErrorKind};
use crate::executor::{ExecutorConfig, ExecutorHandle, UnconnectedExecutor};
use crate::proto::executor::Call;

/// Stands in for an [`ExecutorDriver`](crate::ExecutorDriver), as [`RecordedDriver`](super::RecordedDriver) does for a
/// scheduler's.
///
/// It runs and is subscribed from the beginning. Nothing is acknowledged.
///
/// # Examples
/// ```
/// use mesos_framework::proto::{KillPolicy, TaskId, TaskInfo, TaskState, TaskStatus};
/// use mesos_framework::toolkit::testing::RecordedExecutorDriver;
/// use mesos_framework::{Executor, ExecutorHandle, async_trait};
///
/// struct Instant;
///
/// #[async_trait]
/// impl Executor for Instant {
///     async fn launch_task(&mut self, driver: &ExecutorHandle, task: TaskInfo) {
///         let state = TaskState::TaskFinished as i32;
///         let status = TaskStatus { task_id: task.task_id, state, ..Default::default() };
///         let _ = driver.send_status_update(status).await;
///     }
///
///     async fn kill_task(&mut self, _: &ExecutorHandle, _: TaskId, _: Option<KillPolicy>) {}
///
///     async fn shutdown(&mut self, _: &ExecutorHandle) {}
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let driver = RecordedExecutorDriver::new();
/// let task = TaskInfo { task_id: "t-1".into(), ..Default::default() };
/// Instant.launch_task(&driver.handle(), task).await;
/// let calls = driver.take_calls();
/// let status = &calls[0].update.as_ref().unwrap().status;
/// assert_eq!((status.state(), status.agent_id.clone()), (TaskState::TaskFinished, Some("agent".into())));
/// # });
/// ```
///
/// Source: `ExecutorDriver`, Java API.
#[derive(Clone)]
pub struct RecordedExecutorDriver {
    inner: Arc<Inner>,
}

struct Inner {
    driver: UnconnectedExecutor,
    tape: Arc<Tape<Call>>,
}

impl fmt::Debug for RecordedExecutorDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedExecutorDriver")
            .field("handle", &self.handle())
            .field("tape", &self.inner.tape)
            .finish()
    }
}

impl Default for RecordedExecutorDriver {
    fn default() -> Self {
        Self::new()
    }
}

impl RecordedExecutorDriver {
    /// The driver of the executor `executor` on the agent `agent`, of the framework `framework`.
    #[must_use]
    pub fn new() -> Self {
        let config = ExecutorConfig::from_lookup(|name| {
            let value = match name {
                "MESOS_SLAVE_PID" => "slave(1)@127.0.0.1:5051",
                "MESOS_SLAVE_ID" => "agent",
                "MESOS_FRAMEWORK_ID" => "framework",
                "MESOS_EXECUTOR_ID" => "executor",
                "MESOS_DIRECTORY" => "/sandbox",
                _ => return None,
            };
            Some(value.to_owned())
        });
        Self::of(config.expect("the variables that are required"))
    }

    /// The driver of the executor that `config` describes.
    #[must_use]
    pub fn of(config: ExecutorConfig) -> Self {
        let tape = Arc::new(Tape::new());
        let recorder = Arc::clone(&tape);
        let driver =
            UnconnectedExecutor::new(config, move |call| recorder.record(call).into_outcome());
        driver.connect();
        Self {
            inner: Arc::new(Inner { driver, tape }),
        }
    }

    /// What the callbacks of an executor are called with.
    #[must_use]
    pub fn handle(&self) -> ExecutorHandle {
        self.inner.driver.handle()
    }

    /// Takes the calls that were recorded and not taken yet, oldest first.
    #[must_use]
    pub fn take_calls(&self) -> Vec<Call> {
        self.inner.tape.take()
    }

    /// Takes the next call, and waits for it if it is not there yet. It waits for ever if none comes.
    ///
    /// # Cancel safety
    /// Dropped before it completes, no call is lost.
    pub async fn next_call(&self) -> Call {
        self.inner.tape.next().await
    }

    /// What becomes of the next call; may be said for several. Goes before [`answer_with`](Self::answer_with).
    pub fn answer_next(&self, answer: Answer) {
        self.inner.tape.answer_next(answer);
    }

    /// What becomes of every further call; by default, all are accepted. `rule` must not use the driver.
    pub fn answer_with(&self, rule: impl FnMut(&Call) -> Answer + Send + 'static) {
        self.inner.tape.answer_with(Box::new(rule));
    }

    /// The subscription is lost. [`Executor::disconnected`](crate::Executor::disconnected) is for the test to call.
    pub fn disconnect(&self) {
        let why = Error::new(
            ErrorKind::Disconnected,
            "the test has ended the subscription",
        );
        self.inner.driver.disconnect(&why);
    }

    /// There is a subscription again; statuses sent meanwhile are recorded.
    /// [`Executor::reregistered`](crate::Executor::reregistered) is for the test to call.
    pub fn reconnect(&self) {
        self.inner.driver.connect();
    }

    /// How the driver has ended; `None` while it runs. `stop` is [`Stop::ForFailover`](crate::Stop::ForFailover).
    #[must_use]
    pub fn end(&self) -> Option<DriverEnd> {
        self.inner.driver.ending().map(DriverEnd::of)
    }
}
