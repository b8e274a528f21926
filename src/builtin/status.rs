//! The statuses of one task.
//!
//! Source: `createTaskStatus` and `forward` in `src/launcher/executor.cpp` and `src/launcher/default_executor.cpp` of
//! Apache Mesos 1.11.0.

use std::future::ready;

use futures_util::future::{BoxFuture, FutureExt as _};

use super::checks::no_result;
use crate::executor::ExecutorHandle;
use crate::proto::task_status::Reason;
use crate::proto::{
    CheckStatusInfo, ContainerId, ContainerStatus, TaskInfo, TaskState, TaskStatus,
};

/// Sends the statuses of a task, and knows the last one.
#[derive(Debug)]
pub(super) struct Reporter {
    driver: ExecutorHandle,
    /// What every status has: the task's id, its container, and an empty result if it has a check.
    common: TaskStatus,
    last: TaskStatus,
}

impl Reporter {
    /// `container`: the task's own, if it has one below its executor's.
    pub(super) fn new(
        driver: ExecutorHandle,
        task: &TaskInfo,
        container: Option<ContainerId>,
    ) -> Self {
        let check_status = task.check.as_ref().map(|check| no_result(check.r#type()));
        let common = TaskStatus {
            task_id: task.task_id.clone(),
            check_status,
            container_status: container.map(|container_id| ContainerStatus {
                container_id: Some(container_id),
                ..Default::default()
            }),
            ..Default::default()
        };
        Self {
            driver,
            last: common.clone(),
            common,
        }
    }

    /// A status that says nothing of what was found out before.
    pub(super) fn fresh(&self, state: TaskState) -> TaskStatus {
        TaskStatus {
            state: state.into(),
            ..self.common.clone()
        }
    }

    pub(super) async fn tell(&mut self, state: TaskState) {
        self.send(self.fresh(state)).await;
    }

    /// Waits until there is room for it, and not until the agent has it.
    pub(super) async fn send(&mut self, status: TaskStatus) {
        self.last.clone_from(&status);
        send(&self.driver, status).await;
    }

    /// The same for a last status; what it answers completes when the agent has it, or never will.
    pub(super) async fn send_last(&mut self, status: TaskStatus) -> BoxFuture<'static, ()> {
        match self.driver.send_status_update(status).await {
            Ok(receipt) => receipt.outcome().map(drop).boxed(),
            Err(error) => {
                tracing::warn!(%error, "last status update not sent");
                ready(()).boxed()
            }
        }
    }

    /// The last status again, with the new result of the check.
    pub(super) async fn checked(&mut self, result: CheckStatusInfo) {
        self.send(TaskStatus {
            reason: Some(Reason::TaskCheckStatusUpdated.into()),
            check_status: Some(result),
            ..self.last.clone()
        })
        .await;
    }

    /// The last status again, with the new health.
    pub(super) async fn health_checked(&mut self, is_healthy: bool) {
        self.send(TaskStatus {
            reason: Some(Reason::TaskHealthCheckStatusUpdated.into()),
            healthy: Some(is_healthy),
            ..self.last.clone()
        })
        .await;
    }
}

pub(super) async fn send(driver: &ExecutorHandle, status: TaskStatus) {
    let task_id = status.task_id.clone();
    if let Err(error) = driver.send_status_update(status).await {
        tracing::warn!(%task_id, %error, "status update not sent");
    }
}
