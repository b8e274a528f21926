//! RECONCILE, and KILL of what the master does not know.
//!
//! Source: `Master::_reconcileTasks` and `Master::kill`, `src/master/master.cpp` of Apache Mesos 1.11.0.

use super::framework::{Framework, MasterTask};
use super::standing::Standing;
use super::state::{Master, timestamp};
use crate::local::messages::ToAgent;
use crate::proto::scheduler::call;
use crate::proto::task_status::{Reason, Source};
use crate::proto::{AgentId, FrameworkId, Task, TaskId, TaskState, TaskStatus};

impl Master {
    pub(super) fn reconcile(&mut self, framework_id: &FrameworkId, call: &call::Reconcile) {
        let Some(framework) = self.frameworks.get(framework_id) else {
            return;
        };
        if call.tasks.is_empty() {
            for task in framework.tasks.values() {
                framework.send_status(latest(task));
            }
            return;
        }
        for task in &call.tasks {
            if let Some(status) = self.answer(framework, &task.task_id, task.agent_id.as_ref()) {
                framework.send_status(status);
            }
        }
    }

    /// What the master says of one task; nothing while its agent may still come back after this master's start.
    fn answer(
        &self,
        framework: &Framework,
        task_id: &TaskId,
        agent_id: Option<&AgentId>,
    ) -> Option<TaskStatus> {
        if let Some(task) = framework.tasks.get(task_id) {
            return Some(latest(task));
        }
        let standing = match agent_id {
            Some(agent_id) => self.standing(agent_id),
            None if self.recovering.is_empty() => Standing::Unknown,
            None => Standing::Recovering,
        };
        let (state, message) = match standing {
            Standing::Recovering => return None,
            Standing::Registered => (
                TaskState::TaskGone,
                "Reconciliation: Task is unknown to the agent",
            ),
            Standing::Unreachable(_) => (
                TaskState::TaskUnreachable,
                "Reconciliation: Task is unreachable",
            ),
            Standing::Gone => (
                TaskState::TaskGoneByOperator,
                "Reconciliation: Task is gone",
            ),
            Standing::Unknown => (TaskState::TaskUnknown, "Reconciliation: Task is unknown"),
        };
        let unreachable_time = match standing {
            Standing::Unreachable(since) => Some(since),
            _ => None,
        };
        let status = TaskStatus {
            unreachable_time,
            task_id: task_id.clone(),
            agent_id: agent_id.cloned(),
            state: framework.lost_state(state).into(),
            message: Some(message.to_owned()),
            ..told_now(Reason::Reconciliation)
        };
        Some(status)
    }

    pub(super) fn kill(&mut self, framework_id: &FrameworkId, kill: call::Kill) {
        let Some(framework) = self.frameworks.get(framework_id) else {
            return;
        };
        let Some(task) = framework.tasks.get(&kill.task_id) else {
            let status = self.answer(framework, &kill.task_id, kill.agent_id.as_ref());
            if let Some(status) = status {
                framework.send_status(status);
            }
            return;
        };
        let agent_id = task.task.agent_id.clone();
        if kill.agent_id.is_some_and(|given| given != agent_id) {
            tracing::warn!(task_id = %kill.task_id, "kill for another agent dropped");
            return;
        }
        let Some(agent) = self.agents.get_mut(&agent_id) else {
            return;
        };
        let key = (framework_id.clone(), kill.task_id.clone());
        agent.killed.insert(key);
        if !agent.is_connected {
            tracing::info!(%agent_id, task_id = %kill.task_id, "kill kept until the agent is back");
            return;
        }
        let message = ToAgent::Kill {
            framework_id: framework_id.clone(),
            task_id: kill.task_id,
            kill_policy: kill.kill_policy,
        };
        self.send(&agent_id, message);
    }
}

/// What every status has that the master makes.
fn told_now(reason: Reason) -> TaskStatus {
    TaskStatus {
        source: Some(Source::Master.into()),
        reason: Some(reason.into()),
        timestamp: Some(timestamp()),
        ..Default::default()
    }
}

/// The latest state of a task that the master knows.
fn latest(task: &MasterTask) -> TaskStatus {
    TaskStatus {
        message: Some("Reconciliation: Latest task state".to_owned()),
        ..told_by_master(&task.task, Reason::Reconciliation)
    }
}

/// A task's state, with what of the last status is about health and the container.
pub(super) fn told_by_master(task: &Task, reason: Reason) -> TaskStatus {
    let last = task.statuses.last();
    TaskStatus {
        task_id: task.task_id.clone(),
        agent_id: Some(task.agent_id.clone()),
        executor_id: task.executor_id.clone(),
        state: task.state,
        healthy: last.and_then(|last| last.healthy),
        check_status: last.and_then(|last| last.check_status),
        container_status: last.and_then(|last| last.container_status.clone()),
        ..told_now(reason)
    }
}
