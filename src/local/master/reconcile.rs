//! RECONCILE, and KILL of what the master does not know.
//!
//! Source: `Master::_reconcileTasks` and `Master::kill`, `src/master/master.cpp` of Apache Mesos 1.11.0.

use super::framework::{Framework, MasterTask};
use super::state::{Master, timestamp};
use crate::local::messages::ToAgent;
use crate::proto::scheduler::call;
use crate::proto::task_status::{Reason, Source};
use crate::proto::{AgentId, FrameworkId, TaskId, TaskState, TaskStatus};

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
        let is_recovering = match agent_id {
            Some(agent_id) => self.recovering.contains(agent_id),
            None => !self.recovering.is_empty(),
        };
        if is_recovering {
            return None;
        }
        let (state, message) = match agent_id {
            Some(agent_id) if self.agents.contains_key(agent_id) => (
                TaskState::TaskGone,
                "Reconciliation: Task is unknown to the agent",
            ),
            _ => (TaskState::TaskUnknown, "Reconciliation: Task is unknown"),
        };
        let status = TaskStatus {
            task_id: task_id.clone(),
            agent_id: agent_id.cloned(),
            state: framework.lost_state(state).into(),
            message: Some(message.to_owned()),
            ..reconciliation()
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
        let message = ToAgent::Kill {
            framework_id: framework_id.clone(),
            task_id: kill.task_id,
            kill_policy: kill.kill_policy,
        };
        self.send(&agent_id, message);
    }
}

fn reconciliation() -> TaskStatus {
    TaskStatus {
        source: Some(Source::Master.into()),
        reason: Some(Reason::Reconciliation.into()),
        timestamp: Some(timestamp()),
        ..Default::default()
    }
}

/// The latest state, with what of the last status is about health and the container.
fn latest(task: &MasterTask) -> TaskStatus {
    let task = &task.task;
    let last = task.statuses.last();
    TaskStatus {
        task_id: task.task_id.clone(),
        agent_id: Some(task.agent_id.clone()),
        executor_id: task.executor_id.clone(),
        state: task.state,
        message: Some("Reconciliation: Latest task state".to_owned()),
        healthy: last.and_then(|last| last.healthy),
        check_status: last.and_then(|last| last.check_status),
        container_status: last.and_then(|last| last.container_status.clone()),
        ..reconciliation()
    }
}
