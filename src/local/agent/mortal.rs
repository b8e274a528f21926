//! A user's executor that can be killed: what SIGKILL does to a program, as far as that goes within one.

use async_trait::async_trait;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::executor::{Executor, ExecutorHandle};
use crate::proto::{AgentInfo, ExecutorInfo, FrameworkInfo, KillPolicy, TaskId, TaskInfo};

/// Passes callbacks on until it is killed, which drops the executor, in the middle of a callback too.
pub(super) struct Mortal {
    /// `None` once killed.
    executor: Option<Box<dyn Executor>>,
    kill: CancellationToken,
    /// The end of the cluster, which kills as well.
    stop: CancellationToken,
}

impl Mortal {
    pub(super) fn new(
        executor: Box<dyn Executor>,
        kill: CancellationToken,
        stop: CancellationToken,
    ) -> Self {
        Self {
            executor: Some(executor),
            kill,
            stop,
        }
    }

    async fn killed(kill: &CancellationToken, stop: &CancellationToken) {
        tokio::select! {
            () = kill.cancelled() => {}
            () = stop.cancelled() => {}
        }
    }
}

/// `executor.method(…)`, unless it is killed before or meanwhile.
macro_rules! pass_on {
    ($self:ident, $method:ident($($argument:expr),*)) => {
        let Some(executor) = &mut $self.executor else {
            return;
        };
        let is_killed = tokio::select! {
            biased;
            () = Self::killed(&$self.kill, &$self.stop) => true,
            () = executor.$method($($argument),*) => false,
        };
        if is_killed {
            $self.executor = None;
        }
    };
}

#[async_trait]
impl Executor for Mortal {
    async fn launch_task(&mut self, driver: &ExecutorHandle, task: TaskInfo) {
        pass_on!(self, launch_task(driver, task));
    }

    async fn kill_task(
        &mut self,
        driver: &ExecutorHandle,
        task_id: TaskId,
        kill_policy: Option<KillPolicy>,
    ) {
        pass_on!(self, kill_task(driver, task_id, kill_policy));
    }

    async fn shutdown(&mut self, driver: &ExecutorHandle) {
        pass_on!(self, shutdown(driver));
    }

    async fn launch_task_group(&mut self, driver: &ExecutorHandle, tasks: Vec<TaskInfo>) {
        pass_on!(self, launch_task_group(driver, tasks));
    }

    async fn registered(
        &mut self,
        driver: &ExecutorHandle,
        executor_info: ExecutorInfo,
        framework_info: FrameworkInfo,
        agent_info: AgentInfo,
    ) {
        pass_on!(
            self,
            registered(driver, executor_info, framework_info, agent_info)
        );
    }

    async fn reregistered(&mut self, driver: &ExecutorHandle, agent_info: AgentInfo) {
        pass_on!(self, reregistered(driver, agent_info));
    }

    async fn disconnected(&mut self, driver: &ExecutorHandle) {
        pass_on!(self, disconnected(driver));
    }

    async fn framework_message(&mut self, driver: &ExecutorHandle, data: Bytes) {
        pass_on!(self, framework_message(driver, data));
    }

    async fn error(&mut self, driver: &ExecutorHandle, error: &Error) {
        pass_on!(self, error(driver, error));
    }
}
