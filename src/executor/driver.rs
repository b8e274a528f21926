//! The driver of an executor.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::events::ExecutorHandler;
use super::protocol::ExecutorProtocol;
use super::{Executor, ExecutorConfig, ExecutorHandle};
use crate::backoff::Backoff;
use crate::detector::{FixedAddresses, Masters};
use crate::driver::{Core, Engine, Options, Ready, Setup, Status, block_on, option_setters};
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Credential, Credentials, HttpClient, Transport};

/// An agent that states no wait at all shall not be asked without a pause.
const MIN_BACKOFF: Duration = Duration::from_millis(100);

/// Keeps an [`Executor`] subscribed with its agent, calls it, and sends its statuses and messages.
///
/// Dropping a running driver stops it: the running callback finishes (within `call_timeout`), then the connections close.
///
/// An agent may give its executors a token to prove who they are; the driver sends it by itself. Programs that the executor
/// starts would inherit it: start them with
/// [`ExecutorConfig::inheritable_environment`](ExecutorConfig::inheritable_environment), which is without it.
///
/// Source: `org.apache.mesos.MesosExecutorDriver`, Java API.
///
/// # Examples
/// ```no_run
/// use mesos_framework::proto::{KillPolicy, TaskId, TaskInfo, TaskState, TaskStatus};
/// use mesos_framework::{Executor, ExecutorDriver, ExecutorHandle, async_trait};
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
/// # async fn run() -> mesos_framework::Result<()> {
/// ExecutorDriver::builder(Instant).build()?.run().await?;
/// # Ok(())
/// # }
/// ```
pub struct ExecutorDriver {
    engine: Engine<ExecutorProtocol, ExecutorHandler>,
    handle: ExecutorHandle,
}

impl fmt::Debug for ExecutorDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutorDriver")
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}

impl ExecutorDriver {
    /// Begins a driver for `executor`. The agent is found through the environment, unless a configuration is given.
    pub fn builder(executor: impl Executor) -> ExecutorDriverBuilder {
        ExecutorDriverBuilder {
            executor: Box::new(executor),
            config: None,
            options: Options::default(),
        }
    }

    /// What the executor can do, for use outside its callbacks.
    #[must_use]
    pub fn handle(&self) -> ExecutorHandle {
        self.handle.clone()
    }

    /// Starts the driver, and returns at once: the subscription comes about in the background.
    ///
    /// Answers the status after it: [`Status::Running`] if the driver had not been started, else the one it has.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] outside a tokio runtime.
    ///
    /// Source: `ExecutorDriver.start`, Java API.
    pub fn start(&mut self) -> Result<Status> {
        self.engine.start()
    }

    /// Waits until the driver has ended: no callback runs, updates are acknowledged or given up, connections are closed.
    ///
    /// Answers at once if the driver was never started, with [`Status::NotStarted`].
    ///
    /// # Errors
    /// The error with which `error` was called, or [`ErrorKind::CallbackPanicked`].
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    ///
    /// Source: `ExecutorDriver.join`, Java API.
    pub async fn join(&mut self) -> Result<Status> {
        self.engine.join().await
    }

    /// Starts the driver and waits for its end.
    ///
    /// # Errors
    /// As [`start`](Self::start) and [`join`](Self::join).
    ///
    /// # Cancel safety
    /// Dropping the future drops the driver.
    ///
    /// Source: `ExecutorDriver.run`, Java API.
    pub async fn run(mut self) -> Result<Status> {
        self.start()?;
        self.join().await
    }

    /// As [`run`](Self::run), but stops the driver when `signal` completes.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    /// Dropping the future drops the driver.
    pub async fn run_until(mut self, signal: impl Future<Output = ()>) -> Result<Status> {
        self.start()?;
        tokio::select! {
            ended = self.engine.join() => return ended,
            () = signal => {
                self.handle.stop();
            }
        }
        self.join().await
    }

    /// As [`run`](Self::run), for programs without a runtime: makes one of a single thread.
    ///
    /// # Errors
    /// As [`run`](Self::run); [`ErrorKind::Config`] inside a tokio runtime, or if none can be made.
    pub fn run_blocking(self) -> Result<Status> {
        block_on(self.run())
    }

    /// Hands the executor back, once the driver has ended (or if it was never started).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the driver still runs, if a callback panicked, or if the executor is no `E`.
    pub fn into_executor<E: Executor>(self) -> Result<E> {
        let wrong = |why: &str| {
            Error::new(
                ErrorKind::Config,
                format!("executor cannot be handed back: {why}"),
            )
        };
        let handler = self
            .engine
            .into_handler()
            .ok_or_else(|| wrong("join has not completed, or a callback panicked"))?;
        let executor: Box<dyn std::any::Any> = handler.executor;
        executor
            .downcast()
            .map(|executor| *executor)
            .map_err(|_| wrong("it is of another type"))
    }
}

/// Settings of an [`ExecutorDriver`]; each has a default.
#[must_use = "a builder does nothing until `build` is called"]
pub struct ExecutorDriverBuilder {
    executor: Box<dyn Executor>,
    config: Option<ExecutorConfig>,
    options: Options,
}

impl fmt::Debug for ExecutorDriverBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutorDriverBuilder")
            .field("config", &self.config)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl ExecutorDriverBuilder {
    option_setters!();

    /// Where the agent is and who this executor is; by default, what the environment says.
    pub fn config(mut self, config: ExecutorConfig) -> Self {
        self.config = Some(config);
        self
    }

    /// Makes the driver. Reads the environment and checks the settings; touches no network.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming what is wrong: above all, the environment variable that is missing.
    pub fn build(mut self) -> Result<ExecutorDriver> {
        self.options.check()?;
        let config = self
            .config
            .take()
            .map_or_else(ExecutorConfig::from_environment, Ok)?;
        if let (None, Some(token)) = (&self.options.credentials, &config.token) {
            self.options.credentials = Some(Credentials::Fixed(Credential::bearer(&token.0)));
        }
        // Whoever comes back later is killed by the agent: waits are random up to its limit, from the first.
        let longest = config.subscription_backoff_max.max(MIN_BACKOFF);
        self.options
            .backoff
            .get_or_insert(Backoff::new(longest, longest));
        let client = HttpClient::new(self.options.http(), vec![config.agent.clone()])?;
        Ok(self.over(config, Arc::new(client)))
    }

    fn over(self, config: ExecutorConfig, transport: Arc<dyn Transport>) -> ExecutorDriver {
        let ready = Ready {
            masters: Masters::Fixed(FixedAddresses::one(config.agent.clone())),
            transport,
            afterwards: Box::pin(async {}),
        };
        self.set_up_by(config, Box::pin(async { Ok(ready) }))
    }

    fn set_up_by(self, config: ExecutorConfig, setup: Setup) -> ExecutorDriver {
        let core = Arc::new(Core::new(ExecutorProtocol::new(config), &self.options));
        let handle = ExecutorHandle {
            core: Arc::clone(&core),
        };
        let handler = ExecutorHandler {
            executor: self.executor,
            handle: handle.clone(),
            is_registered: false,
        };
        let engine = Engine::new(core, self.options, handler, setup);
        ExecutorDriver { engine, handle }
    }
}

#[cfg(test)]
mod tests;
