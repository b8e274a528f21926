//! Executors of the user's making: who makes one for a launch, if anybody does.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::executor::{Executor, ExecutorConfig};
use crate::local::builder::LocalClusterBuilder;
use crate::proto::ExecutorInfo;

/// An executor about to be started: what its program would find in its `ExecutorInfo` and in its environment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExecutorLaunch {
    /// As the framework launched it.
    pub executor_info: ExecutorInfo,
    /// The whole environment: the agent's variables, the operator's and `CommandInfo.environment`.
    pub environment: BTreeMap<String, String>,
    /// What [`ExecutorConfig::from_lookup`] makes of the environment: agent, ids, times.
    pub config: ExecutorConfig,
}

impl ExecutorLaunch {
    /// The sandbox. It exists, with the files `stdout` and `stderr` in it, which nobody writes for an executor that is no
    /// program.
    #[must_use]
    pub fn sandbox(&self) -> &Path {
        self.config.directory()
    }
}

type Factory = dyn Fn(&ExecutorLaunch) -> Option<Box<dyn Executor>> + Send + Sync;

/// The factories of a cluster, in the order in which they are asked.
#[derive(Clone, Default)]
pub(in crate::local) struct Factories(Vec<Arc<Factory>>);

impl Factories {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the first factory makes that wants the launch. Runs the user's code.
    pub(super) fn make(&self, launch: &ExecutorLaunch) -> Option<Box<dyn Executor>> {
        self.0.iter().find_map(|factory| factory(launch))
    }
}

impl fmt::Debug for Factories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Factories({})", self.0.len())
    }
}

/// Executors without programs.
impl LocalClusterBuilder {
    /// Runs every executor with this command in this process: `make` makes it, and no program is started.
    ///
    /// `command`: the whole `CommandInfo.value` of the executors meant. All else is as for a program: the executor is
    /// driven by a real [`ExecutorDriver`](crate::ExecutorDriver) over the agent's HTTP API, has a container and a sandbox,
    /// and is shut down and killed as programs are. Its URIs are not fetched, for they are what a program is brought by.
    ///
    /// | its end | its wait status |
    /// | --- | --- |
    /// | the driver stopped | exited with 0 |
    /// | the driver aborted, or ended with an error | exited with 1 |
    /// | a callback, or `make`, panicked | exited with 101, as Rust's programs do |
    /// | killed | terminated by signal 9 |
    ///
    /// Killing drops the executor at the next point where a callback waits. Tasks and threads that it started itself live
    /// on: they are its own to end, when it is dropped.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::local::LocalCluster;
    /// use mesos_framework::proto::{KillPolicy, TaskId, TaskInfo, TaskState, TaskStatus};
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
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let cluster = LocalCluster::builder().executor("./my-executor", || Instant).start().await?;
    /// // Executors whose command is `./my-executor` are made by the closure now.
    /// cluster.shutdown().await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn executor<E: Executor>(
        self,
        command: &str,
        make: impl Fn() -> E + Send + Sync + 'static,
    ) -> Self {
        let command = command.to_owned();
        self.executor_factory(move |launch| {
            let own = launch.executor_info.command.as_ref();
            let is_meant = own.is_some_and(|own| own.value() == command);
            is_meant.then(|| Box::new(make()) as Box<dyn Executor>)
        })
    }

    /// As [`executor`](Self::executor), for whatever executors `make` answers one; for the others, their program is
    /// started.
    ///
    /// Asked at every start of an executor of type `CUSTOM`, after the factories added before. It must not wait.
    pub fn executor_factory(
        mut self,
        make: impl Fn(&ExecutorLaunch) -> Option<Box<dyn Executor>> + Send + Sync + 'static,
    ) -> Self {
        self.factories.0.push(Arc::new(make));
        self
    }
}
