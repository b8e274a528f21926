//! Status updates: one in flight per task, delivered again until acknowledged.
//!
//! Source: `src/slave/task_status_update_manager.cpp` and `Slave::statusUpdate`, `src/slave/slave.cpp` of Apache Mesos
//! 1.11.0.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::command_task;
use super::executors::{container_status, event};
use super::state::{Agent, Timer};
use crate::local::config::UPDATE_RETRY_INTERVAL_MAX;
use crate::local::master::{is_terminal, remember_status, timestamp};
use crate::local::messages::ToMaster;
use crate::proto::executor::event;
use crate::proto::framework_info::{Capability, capability};
use crate::proto::task_status::{Reason, Source};
use crate::proto::{ExecutorId, FrameworkId, TaskId, TaskState, TaskStatus};

/// The updates of one task.
#[derive(Debug, Default)]
pub(super) struct UpdateStream {
    /// The first is in flight.
    pending: VecDeque<TaskStatus>,
    /// All that ever came, to recognise repetitions.
    received: BTreeSet<Bytes>,
    /// Until the one in flight is delivered again.
    interval: Duration,
    /// Nothing is taken after a terminal update.
    is_terminated: bool,
}

impl UpdateStream {
    /// Whether an update is in flight.
    pub(super) fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }
}

impl Agent {
    /// Takes an update of an executor, and acknowledges it to that executor.
    pub(super) fn executor_update(
        &mut self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        mut status: TaskStatus,
    ) {
        let own_id = self.info.id.clone();
        if status.agent_id.is_some() && status.agent_id != own_id {
            tracing::warn!(task_id = %status.task_id, "update for another agent dropped");
            return;
        }
        status.agent_id = own_id;
        let is_known = self.is_task_of(framework_id, executor_id, &status.task_id);
        if is_known {
            status.container_status =
                Some(self.container_status(framework_id, executor_id, status.container_status));
        }
        let task_id = status.task_id.clone();
        let uuid = status.uuid.clone().unwrap_or_default();
        self.take_update(framework_id, status);
        if is_known {
            let mut acknowledged = event(event::Type::Acknowledged);
            acknowledged.acknowledged = Some(event::Acknowledged { task_id, uuid });
            self.send_to_executor(framework_id, executor_id, &acknowledged);
        }
    }

    /// Makes an update for a task that never got as far as its executor, or whose executor is gone.
    pub(super) fn agent_update(
        &mut self,
        framework_id: &FrameworkId,
        task_id: &TaskId,
        state: TaskState,
        reason: Reason,
        message: &str,
    ) {
        let key = (framework_id.clone(), task_id.clone());
        let executor_id = self.tasks.get(&key).map(command_task::executor_id);
        let status = TaskStatus {
            task_id: task_id.clone(),
            state: state.into(),
            message: Some(message.to_owned()),
            source: Some(Source::Agent.into()),
            reason: Some(reason.into()),
            agent_id: self.info.id.clone(),
            executor_id,
            uuid: Some(Bytes::copy_from_slice(Uuid::new_v4().as_bytes())),
            ..Default::default()
        };
        self.take_update(framework_id, status);
    }

    fn take_update(&mut self, framework_id: &FrameworkId, mut status: TaskStatus) {
        let framework = self.frameworks.get(framework_id);
        if framework.is_none_or(|framework| framework.is_terminating) {
            return;
        }
        status.timestamp.get_or_insert_with(timestamp);
        let key = (framework_id.clone(), status.task_id.clone());
        let uuid = status.uuid.clone().unwrap_or_default();
        let stream = self.updates.entry(key.clone()).or_default();
        if stream.is_terminated || !stream.received.insert(uuid) {
            tracing::debug!(task_id = %status.task_id, "repeated update dropped");
            return;
        }
        let state = status.state();
        stream.is_terminated = is_terminal(state);
        let kept = status.clone();
        stream.pending.push_back(status);
        let is_first = stream.pending.len() == 1;
        if let Some(task) = self.tasks.get_mut(&key) {
            task.state = state.into();
            remember_status(task, kept);
        }
        if is_first {
            self.deliver(framework_id, &key.1, self.config.update_retry_interval);
        }
    }

    /// Sends the update in flight, and plans to do so again.
    fn deliver(&mut self, framework_id: &FrameworkId, task_id: &TaskId, interval: Duration) {
        let key = (framework_id.clone(), task_id.clone());
        let Some(stream) = self.updates.get_mut(&key) else {
            return;
        };
        let Some(status) = stream.pending.front().cloned() else {
            return;
        };
        stream.interval = interval;
        let uuid = status.uuid.clone().unwrap_or_default();
        let task = self.tasks.get_mut(&key);
        let latest_state = task.map(|task| {
            task.status_update_state = Some(status.state);
            task.status_update_uuid = Some(uuid.clone());
            task.state()
        });
        self.outbox.push(ToMaster::Update {
            framework_id: framework_id.clone(),
            status: Box::new(status),
            latest_state,
        });
        let timer = Timer::Retry(key.0, key.1, uuid);
        self.timers.schedule(self.now + interval, timer);
    }

    pub(super) fn retry(&mut self, framework_id: FrameworkId, task_id: TaskId, uuid: &Bytes) {
        let key = (framework_id, task_id);
        let Some(stream) = self.updates.get(&key) else {
            return;
        };
        let in_flight = stream.pending.front().and_then(|own| own.uuid.as_ref());
        if in_flight == Some(uuid) {
            let interval = (stream.interval * 2).min(UPDATE_RETRY_INTERVAL_MAX);
            self.deliver(&key.0, &key.1, interval);
        }
    }

    /// Delivers everything that is in flight at once: there may be somebody to hear it now.
    pub(super) fn resend_updates(&mut self) {
        let keys: Vec<_> = self.updates.keys().cloned().collect();
        for (framework_id, task_id) in keys {
            self.deliver(&framework_id, &task_id, self.config.update_retry_interval);
        }
    }

    /// The scheduler has an update: the next one of the task follows, or the task is done.
    pub(super) fn acknowledged(
        &mut self,
        framework_id: FrameworkId,
        task_id: TaskId,
        uuid: &Bytes,
    ) {
        let key = (framework_id, task_id);
        let Some(stream) = self.updates.get_mut(&key) else {
            return;
        };
        let in_flight = stream.pending.front();
        if in_flight.and_then(|own| own.uuid.as_ref()) != Some(uuid) {
            return;
        }
        let Some(status) = stream.pending.pop_front() else {
            return;
        };
        if is_terminal(status.state()) {
            self.updates.remove(&key);
            self.tasks.remove(&key);
            self.forget_idle(&key.0);
        } else {
            self.deliver(&key.0, &key.1, self.config.update_retry_interval);
        }
    }

    /// DROPPED, or LOST for frameworks that do not know it.
    pub(super) fn dropped_state(&self, framework_id: &FrameworkId) -> TaskState {
        let aware = Capability {
            r#type: Some(capability::Type::PartitionAware.into()),
        };
        match self.frameworks.get(framework_id) {
            Some(framework) if framework.info.capabilities.contains(&aware) => {
                TaskState::TaskDropped
            }
            _ => TaskState::TaskLost,
        }
    }

    fn is_task_of(
        &self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        task_id: &TaskId,
    ) -> bool {
        let key = (framework_id.clone(), task_id.clone());
        let task = self.tasks.get(&key);
        task.is_some_and(|task| command_task::executor_id(task) == *executor_id)
    }

    fn container_status(
        &self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        stated: Option<crate::proto::ContainerStatus>,
    ) -> crate::proto::ContainerStatus {
        let framework = self.frameworks.get(framework_id);
        let executor = framework.and_then(|framework| framework.executors.get(executor_id));
        container_status(
            executor.map(|executor| executor.container_id.as_str()),
            stated,
        )
    }
}

#[cfg(test)]
mod tests;
