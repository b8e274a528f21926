//! Tasks and executors from their launch to their end.
//!
//! Source: `Master::addTask`, `Master::statusUpdate`, `Master::updateTask` and `Master::acknowledge`,
//! `src/master/master.cpp` of Apache Mesos 1.11.0.

use bytes::Bytes;

use super::counters::count_end;
use super::framework::{Framework, MasterExecutor, MasterTask, event, is_terminal};
use super::state::{Master, timestamp};
use crate::local::messages::ToAgent;
use crate::proto::scheduler::{call, event};
use crate::proto::task_status::{Reason, Source};
use crate::proto::{
    AgentId, ExecutorId, ExecutorInfo, FrameworkId, Task, TaskInfo, TaskState, TaskStatus,
};
use crate::resources::Resources;

/// An update that the master makes itself: without uuid, not to be acknowledged.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) state: TaskState,
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Framework {
    pub(super) fn send_status(&self, status: TaskStatus) {
        let mut event = event(event::Type::Update);
        event.update = Some(event::Update { status });
        self.send(&event);
    }

    /// Tells that `task` will not run; Mesos does not name its executor.
    pub(super) fn send_verdict(&self, task: &TaskInfo, verdict: &Verdict) {
        self.send_status(TaskStatus {
            task_id: task.task_id.clone(),
            agent_id: Some(task.agent_id.clone()),
            state: verdict.state.into(),
            message: Some(verdict.message.clone()),
            source: Some(Source::Master.into()),
            reason: Some(verdict.reason.into()),
            timestamp: Some(timestamp()),
            ..Default::default()
        });
    }

    /// Takes over a task; its resources stay booked under `role`.
    pub(super) fn add_task(&mut self, task: Task, role: &str, resources: Resources) {
        let task = MasterTask {
            role: role.to_owned(),
            resources,
            task,
        };
        self.tasks.insert(task.task.task_id.clone(), task);
    }

    pub(super) fn add_executor(
        &mut self,
        agent_id: &AgentId,
        info: ExecutorInfo,
        role: &str,
        resources: Resources,
    ) {
        let key = (agent_id.clone(), info.executor_id.clone());
        let executor = MasterExecutor {
            info,
            role: role.to_owned(),
            resources,
        };
        self.executors.insert(key, executor);
    }
}

impl Master {
    /// Forwards an update, and remembers what it says.
    pub(super) fn status_update(
        &mut self,
        framework_id: &FrameworkId,
        status: TaskStatus,
        latest_state: Option<TaskState>,
    ) {
        let Some(framework) = self.frameworks.get_mut(framework_id) else {
            tracing::debug!(%framework_id, "update of an unknown framework dropped");
            self.tallies.named.note("invalid_status_updates");
            return;
        };
        let is_connected = framework.is_connected();
        framework.send_status(status.clone());
        if self.config.wire.take_duplicate() {
            framework.send_status(status.clone());
        }
        let task = framework.tasks.get_mut(&status.task_id);
        self.tallies
            .validity("status_updates", is_connected && task.is_some());
        let Some(task) = task else {
            return;
        };
        let state = status.state();
        task.task.status_update_state = Some(state.into());
        task.task.status_update_uuid.clone_from(&status.uuid);
        let latest = latest_state.unwrap_or(state);
        count_end(
            (&mut self.counters, &self.tallies),
            &mut framework.counters,
            &task.task,
            (latest, &status),
        );
        if !is_terminal(task.task.state()) {
            task.task.state = latest.into();
        }
        if is_news(&task.task, &status) {
            let state = task.task.state();
            self.subscribers
                .task_updated(&task.task, &framework.info, state, &status);
        }
        remember_status(&mut task.task, status);
        if is_terminal(latest) {
            let resources = std::mem::take(&mut task.resources);
            let (agent_id, role) = (task.task.agent_id.clone(), task.role.clone());
            framework.unbook(&role, &resources);
            self.give_back(&agent_id, &resources);
        }
    }

    /// Passes an acknowledgement on, unless it is for something that the master has not seen.
    pub(super) fn acknowledge(
        &mut self,
        framework_id: &FrameworkId,
        acknowledge: call::Acknowledge,
    ) {
        let is_valid = self.passed_on(framework_id, acknowledge).is_some();
        let what = "status_update_acknowledgements";
        self.tallies.validity(what, is_valid);
    }

    fn passed_on(
        &mut self,
        framework_id: &FrameworkId,
        acknowledge: call::Acknowledge,
    ) -> Option<()> {
        let framework = self.frameworks.get_mut(framework_id)?;
        let agent = self.agents.get_mut(&acknowledge.agent_id);
        let agent = agent.filter(|agent| agent.is_connected)?;
        // An update for a task that the executor made up has no task here; its acknowledgement is dropped too.
        let task = framework.tasks.get(&acknowledge.task_id)?;
        let uuid = task.task.status_update_uuid.as_ref()?;
        let is_last = is_terminal(task.task.status_update_state()) && *uuid == acknowledge.uuid;
        if is_last {
            framework.complete_task(&acknowledge.task_id);
            let key = (framework_id.clone(), acknowledge.task_id.clone());
            agent.killed.remove(&key);
        }
        let message = ToAgent::Acknowledge {
            framework_id: framework_id.clone(),
            task_id: acknowledge.task_id,
            uuid: acknowledge.uuid,
        };
        self.send(&acknowledge.agent_id, message);
        self.check_drained(&acknowledge.agent_id);
        Some(())
    }

    /// An executor has ended: its resources are free, and its scheduler is told.
    pub(super) fn executor_exited(
        &mut self,
        index: usize,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        status: i32,
    ) {
        let Some(agent_id) = self.agent_at(index) else {
            return;
        };
        self.remove_executor(framework_id, &agent_id, executor_id.clone());
        let Some(framework) = self.frameworks.get(framework_id) else {
            return;
        };
        let mut failure = event(event::Type::Failure);
        failure.failure = Some(event::Failure {
            agent_id: Some(agent_id),
            executor_id: Some(executor_id.clone()),
            status: Some(status),
        });
        framework.send(&failure);
    }

    pub(super) fn executor_message(
        &mut self,
        index: usize,
        framework_id: &FrameworkId,
        executor_id: ExecutorId,
        data: Bytes,
    ) {
        let agent_id = self.agent_at(index);
        let framework = self.frameworks.get(framework_id);
        let is_valid = framework.is_some_and(Framework::is_connected);
        let what = "executor_to_framework_messages";
        self.tallies.validity(what, agent_id.is_some() && is_valid);
        if let (Some(agent_id), Some(framework)) = (agent_id, framework) {
            let mut event = event(event::Type::Message);
            event.message = Some(event::Message {
                agent_id,
                executor_id,
                data,
            });
            framework.send(&event);
        }
    }
}

/// Whether subscribers of the operator API are told: of every new state, and of what checks say.
pub(super) fn is_news(task: &Task, status: &TaskStatus) -> bool {
    let is_check = matches!(
        status.reason(),
        Reason::TaskCheckStatusUpdated | Reason::TaskHealthCheckStatusUpdated
    );
    is_check
        || task
            .statuses
            .last()
            .is_none_or(|last| last.state != status.state)
}

/// Takes `status` into the task's history, in place of the last one if that told of the same state; without its payload.
pub(in crate::local) fn remember_status(task: &mut Task, mut status: TaskStatus) {
    status.data = None;
    let is_repetition = |last: &mut TaskStatus| last.state == status.state;
    task.statuses.pop_if(is_repetition);
    task.statuses.push(status);
}

/// The user as whom a task runs, if it or its executor says so.
pub(super) fn user_of(task: &TaskInfo) -> Option<&str> {
    let own = task.command.as_ref().and_then(|own| own.user.as_deref());
    let executor = task.executor.as_ref();
    let command = executor.and_then(|executor| executor.command.as_ref());
    own.or(command.and_then(|command| command.user.as_deref()))
}

/// What the master, and the agent, keep of a task that is launched.
pub(in crate::local) fn task_of(
    task: &TaskInfo,
    framework_id: &FrameworkId,
    executor_id: Option<&ExecutorId>,
    state: TaskState,
) -> Task {
    Task {
        name: task.name.clone(),
        task_id: task.task_id.clone(),
        framework_id: framework_id.clone(),
        executor_id: executor_id.cloned(),
        agent_id: task.agent_id.clone(),
        state: state.into(),
        resources: task.resources.clone(),
        labels: task.labels.clone(),
        discovery: task.discovery.clone(),
        container: task.container.clone(),
        health_check: task.health_check.clone(),
        kill_policy: task.kill_policy,
        limits: task.limits.clone(),
        user: user_of(task).map(str::to_owned),
        ..Default::default()
    }
}
