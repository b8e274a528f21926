//! The executor's side: what users implement, and the driver that calls it.

mod calls;
mod driver;
mod environment;
mod events;
mod handle;
mod pending;
mod protocol;
mod unconnected;

use async_trait::async_trait;
use bytes::Bytes;

pub use driver::{ExecutorDriver, ExecutorDriverBuilder};
pub use environment::ExecutorConfig;
pub use handle::ExecutorHandle;
pub(crate) use unconnected::UnconnectedExecutor;

use crate::error::Error;
use crate::proto::{AgentInfo, ExecutorInfo, FrameworkInfo, KillPolicy, TaskId, TaskInfo};

/// Runs tasks on an agent.
///
/// Implemented by the framework's author, in the program that `ExecutorInfo.command` starts; an [`ExecutorDriver`] calls
/// it. One callback runs at a time: the work of a task belongs into a tokio task or process of its own, with a clone of
/// the handle.
///
/// A panic in a callback aborts the driver; [`ExecutorDriver::join`] tells of it.
///
/// Source: `org.apache.mesos.Executor`, Java API.
#[async_trait]
pub trait Executor: std::any::Any + Send {
    /// A task is to be run.
    ///
    /// `task`: as the scheduler launched it, with `data`. A status should be sent soon, and a terminal one at the end.
    ///
    /// Source: `Event.Launch`, executor.proto; `Executor.launchTask`, Java API.
    async fn launch_task(&mut self, driver: &ExecutorHandle, task: TaskInfo);

    /// A task is to be killed: to be answered with `TASK_KILLED`, or whatever terminal status came first.
    ///
    /// May name a task that is unknown or has ended: then there is nothing to do. `kill_policy`: overrides the task's.
    ///
    /// Source: `Event.Kill`, executor.proto; `Executor.killTask`, Java API.
    async fn kill_task(
        &mut self,
        driver: &ExecutorHandle,
        task_id: TaskId,
        kill_policy: Option<KillPolicy>,
    );

    /// Everything is to end: tasks should be killed, and their last statuses sent.
    ///
    /// Called when the agent asks for it, when the agent is lost and the framework does not checkpoint, and when the
    /// agent does not come back within the recovery time-out. It has the shutdown grace period (5 s by default); then
    /// the agent kills the container. When it has returned, the driver stops, after the last updates are acknowledged.
    ///
    /// Source: `Event` SHUTDOWN, executor.proto; `Executor.shutdown`, Java API.
    async fn shutdown(&mut self, driver: &ExecutorHandle);

    /// A group of tasks is to be run, all or none. By default, [`launch_task`](Self::launch_task) is called for each.
    ///
    /// `tasks`: one or more, in the order of the scheduler.
    ///
    /// Source: `Event.LaunchGroup`, executor.proto.
    async fn launch_task_group(&mut self, driver: &ExecutorHandle, tasks: Vec<TaskInfo>) {
        for task in tasks {
            self.launch_task(driver, task).await;
        }
    }

    /// The executor is registered with its agent: the first subscription. By default, nothing is done.
    ///
    /// Source: `Event.Subscribed`, executor.proto; `Executor.registered`, Java API.
    async fn registered(
        &mut self,
        driver: &ExecutorHandle,
        executor_info: ExecutorInfo,
        framework_info: FrameworkInfo,
        agent_info: AgentInfo,
    ) {
        let _ = (driver, executor_info, framework_info, agent_info);
    }

    /// The driver is subscribed again after the agent was restarted (checkpointing frameworks only). By default, nothing
    /// is done.
    ///
    /// Source: `Event.Subscribed`, executor.proto; `Executor.reregistered`, Java API.
    async fn reregistered(&mut self, driver: &ExecutorHandle, agent_info: AgentInfo) {
        let _ = (driver, agent_info);
    }

    /// The connection to the agent is lost. With checkpointing, tasks should go on: the driver subscribes again. By
    /// default, nothing is done.
    ///
    /// Source: `Executor.disconnected`, Java API.
    async fn disconnected(&mut self, driver: &ExecutorHandle) {
        let _ = driver;
    }

    /// The scheduler has sent a message. Best effort: it may be lost. By default, nothing is done.
    ///
    /// Source: `Event.Message`, executor.proto; `Executor.frameworkMessage`, Java API.
    async fn framework_message(&mut self, driver: &ExecutorHandle, data: Bytes) {
        let _ = (driver, data);
    }

    /// The driver has ended because of an error, and is already aborted. The last callback. By default, it is logged.
    ///
    /// Source: `Event.Error`, executor.proto; `Executor.error`, Java API.
    async fn error(&mut self, driver: &ExecutorHandle, error: &Error) {
        let _ = driver;
        tracing::error!(%error, "executor driver aborted");
    }
}
