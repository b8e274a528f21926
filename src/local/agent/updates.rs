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
use super::life::Phase;
use super::metrics;
use super::state::{Agent, Timer};
use crate::local::config::UPDATE_RETRY_INTERVAL_MAX;
use crate::local::master::{is_terminal, remember_status, timestamp};
use crate::local::messages::ToMaster;
use crate::proto::executor::event;
use crate::proto::framework_info::{Capability, capability};
use crate::proto::task_status::{Reason, Source};
use crate::proto::{ExecutorId, FrameworkId, FrameworkInfo, TaskId, TaskState, TaskStatus};

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

/// The updates of one task as they are kept on the disk.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::local) struct CheckpointedUpdates {
    pub(in crate::local) task_id: TaskId,
    /// Not acknowledged, in their order.
    pub(in crate::local) pending: Vec<TaskStatus>,
    /// The uuids of all that ever came.
    pub(in crate::local) received: Vec<Bytes>,
    pub(in crate::local) is_terminated: bool,
}

impl UpdateStream {
    pub(super) fn checkpoint(&self, task_id: &TaskId) -> CheckpointedUpdates {
        CheckpointedUpdates {
            task_id: task_id.clone(),
            pending: self.pending.iter().cloned().collect(),
            received: self.received.iter().cloned().collect(),
            is_terminated: self.is_terminated,
        }
    }

    pub(super) fn recovered(checkpointed: CheckpointedUpdates) -> Self {
        Self {
            pending: checkpointed.pending.into(),
            received: checkpointed.received.into_iter().collect(),
            interval: Duration::ZERO,
            is_terminated: checkpointed.is_terminated,
        }
    }

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
            self.counters.note("invalid_status_updates");
            return;
        }
        status.agent_id = own_id;
        let is_known = self.is_task_of(framework_id, executor_id, &status.task_id);
        if is_known {
            self.has_spoken(framework_id, executor_id);
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
            executor_id,
            ..self.own_status(task_id, state, reason, message)
        };
        self.take_update(framework_id, status);
    }

    /// Refuses a task before anything is done for its executor, which is not named.
    pub(super) fn drop_task(
        &mut self,
        framework_id: &FrameworkId,
        task_id: &TaskId,
        reason: Reason,
        message: &str,
    ) {
        let state = self.dropped_state(framework_id);
        let status = self.own_status(task_id, state, reason, message);
        self.take_update(framework_id, status);
    }

    fn own_status(
        &self,
        task_id: &TaskId,
        state: TaskState,
        reason: Reason,
        message: &str,
    ) -> TaskStatus {
        TaskStatus {
            task_id: task_id.clone(),
            state: state.into(),
            message: Some(message.to_owned()),
            source: Some(Source::Agent.into()),
            reason: Some(reason.into()),
            agent_id: self.info.id.clone(),
            uuid: Some(Bytes::copy_from_slice(Uuid::new_v4().as_bytes())),
            ..Default::default()
        }
    }

    fn take_update(&mut self, framework_id: &FrameworkId, mut status: TaskStatus) {
        let framework = self.frameworks.get(framework_id);
        let Some(framework) = framework.filter(|framework| !framework.is_terminating) else {
            self.counters.note("invalid_status_updates");
            return;
        };
        self.counters.note("valid_status_updates");
        self.mark_drained(&framework.info, &mut status);
        status.timestamp.get_or_insert_with(timestamp);
        let key = (framework_id.clone(), status.task_id.clone());
        self.queue_update(&key, status);
    }

    /// Takes an update into the task's line, unless it has been there before.
    pub(super) fn queue_update(&mut self, key: &(FrameworkId, TaskId), status: TaskStatus) {
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
        if let Some(task) = self.tasks.get_mut(key) {
            if stream.is_terminated {
                metrics::ended(&self.counters, state);
            }
            task.state = state.into();
            remember_status(task, kept);
        }
        if is_terminal(state)
            && let Some(executor_id) = self.tasks.get(key).map(command_task::executor_id)
        {
            self.unlink_volumes(&key.0, &executor_id, &key.1);
        }
        if is_first {
            self.deliver(&key.0, &key.1, self.config.update_retry_interval);
        }
    }

    /// Sends the update in flight, and plans to do so again. An agent that is not registered keeps it until it is.
    fn deliver(&mut self, framework_id: &FrameworkId, task_id: &TaskId, interval: Duration) {
        if self.phase != Phase::Running {
            return;
        }
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
            match self.tasks.remove(&key) {
                Some(task) => self.forget_terminated(&key.0, &command_task::executor_id(&task)),
                None => self.forget_idle(&key.0),
            }
        } else {
            self.deliver(&key.0, &key.1, self.config.update_retry_interval);
        }
    }

    /// DROPPED, or LOST for frameworks that do not know it.
    pub(super) fn dropped_state(&self, framework_id: &FrameworkId) -> TaskState {
        let framework = self.frameworks.get(framework_id);
        framework.map_or(TaskState::TaskLost, |own| dropped_state(&own.info))
    }

    fn has_spoken(&mut self, framework_id: &FrameworkId, executor_id: &ExecutorId) {
        let framework = self.frameworks.get_mut(framework_id);
        if let Some(executor) = framework.and_then(|own| own.executors.get_mut(executor_id)) {
            executor.has_spoken = true;
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

/// DROPPED, or LOST for frameworks that do not know it.
pub(super) fn dropped_state(framework: &FrameworkInfo) -> TaskState {
    if is_partition_aware(framework) {
        TaskState::TaskDropped
    } else {
        TaskState::TaskLost
    }
}

/// GONE, or LOST for frameworks that do not know it.
pub(super) fn gone_state(framework: &FrameworkInfo) -> TaskState {
    if is_partition_aware(framework) {
        TaskState::TaskGone
    } else {
        TaskState::TaskLost
    }
}

pub(super) fn is_partition_aware(framework: &FrameworkInfo) -> bool {
    let aware = Capability {
        r#type: Some(capability::Type::PartitionAware.into()),
    };
    framework.capabilities.contains(&aware)
}

#[cfg(test)]
mod tests;
