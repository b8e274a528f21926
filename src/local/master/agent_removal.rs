//! How the master parts with an agent: one that is not heard of, one that has left, one that an operator gave up.
//!
//! Source: `Master::_removeSlave`, `Master::__removeSlave`, `Master::markGone` and `Master::sendSlaveLost`,
//! `src/master/master.cpp` of Apache Mesos 1.11.0.

use super::counters::count_end;
use super::framework::{Framework, event, is_terminal};
use super::state::{Master, timestamp};
use super::tasks::{Verdict, is_news, remember_status};
use crate::local::messages::ToAgent;
use crate::local::operator;
use crate::proto::framework_info::capability;
use crate::proto::scheduler::event;
use crate::proto::task_status::{Reason, Source};
use crate::proto::{
    AgentId, ExecutorId, FrameworkId, OperationState, OperationStatus, TaskId, TaskState,
    TaskStatus, TimeInfo,
};

/// Why an agent is removed.
#[derive(Clone, Debug)]
pub(super) enum Removal {
    /// It has left, or must: why, for its tasks' statuses.
    Left(String),
    /// It may come back.
    Unreachable { message: String, since: TimeInfo },
    /// It must not come back.
    Gone,
}

/// Why an agent has left, if it said so, or if another one is where it was.
pub(super) const UNREGISTERED: &str = "the agent unregistered";
pub(super) const REPLACED: &str = "a new agent registered at the same address";

/// What every task's status says of an agent that is gone.
pub(super) const GONE: &str = "Agent has been marked gone";

impl Removal {
    /// What the tasks of `framework` become; whether they may come back.
    fn verdict(&self, framework: &Framework, hostname: &str) -> (Verdict, bool) {
        let is_aware = framework.has(capability::Type::PartitionAware);
        let lost = TaskState::TaskLost;
        let (state, reason, message, is_kept) = match self {
            Self::Left(why) => {
                let message = format!("Agent {hostname} removed: {why}");
                (lost, Reason::AgentRemoved, message, false)
            }
            Self::Unreachable { message, .. } => {
                let state = framework.lost_state(TaskState::TaskUnreachable);
                (state, Reason::AgentRemoved, message.clone(), true)
            }
            Self::Gone if is_aware => {
                let reason = Reason::AgentRemovedByOperator;
                (
                    TaskState::TaskGoneByOperator,
                    reason,
                    GONE.to_owned(),
                    false,
                )
            }
            Self::Gone => (lost, Reason::AgentRemoved, GONE.to_owned(), true),
        };
        let verdict = Verdict {
            state,
            reason,
            message,
        };
        (verdict, is_kept)
    }

    fn since(&self) -> Option<TimeInfo> {
        match self {
            Self::Unreachable { since, .. } => Some(*since),
            Self::Left(_) | Self::Gone => None,
        }
    }
}

impl Master {
    /// Removes a registered agent with all that is on it, and tells the frameworks. The registry is left to the caller,
    /// but for an agent that has left.
    pub(super) fn remove_agent(&mut self, agent_id: &AgentId, removal: &Removal) {
        let Some(agent) = self.agents.get(agent_id) else {
            return;
        };
        tracing::info!(%agent_id, ?removal, "agent removed");
        self.tallies.removed(removal);
        let hostname = agent.info.hostname.clone();
        let frameworks: Vec<FrameworkId> = self.frameworks.keys().cloned().collect();
        for framework_id in &frameworks {
            let Some(framework) = self.frameworks.get(framework_id) else {
                continue;
            };
            let (verdict, is_kept) = removal.verdict(framework, &hostname);
            for task_id in self.tasks_on(framework_id, agent_id) {
                let task = self.lose_task(framework_id, &task_id, &verdict, removal.since());
                if let Some(framework) = self.frameworks.get_mut(framework_id)
                    && let Some(task) = task
                {
                    if is_kept {
                        framework.add_unreachable(task);
                    } else {
                        framework.add_completed(task);
                    }
                }
            }
            self.remove_executors(framework_id, agent_id);
            if let Some(framework) = self.frameworks.get_mut(framework_id) {
                framework.filters.forget_inverse(agent_id);
            }
        }
        self.rescind_offers_of(agent_id);
        self.rescind_inverse_of_agent(agent_id);
        self.inverse_offers.forget_answers(agent_id);
        self.lose_operations(agent_id, removal);
        self.agents.remove(agent_id);
        if matches!(removal, Removal::Left(_)) {
            // Of others, operators are not told (`Master::__removeSlave`).
            self.subscribers.agent_removed(agent_id);
            self.registry.agents.remove(agent_id);
            self.registry.draining.remove(agent_id);
            self.registry.deactivated.remove(agent_id);
        }
        self.send_agent_lost(agent_id);
    }

    /// Forgets what was under way on an agent, and tells those who may take it up again, or must not.
    fn lose_operations(&mut self, agent_id: &AgentId, removal: &Removal) {
        let (state, message) = match removal {
            Removal::Left(_) => (None, String::new()),
            Removal::Unreachable { message, .. } => {
                (Some(OperationState::OperationUnreachable), message.clone())
            }
            Removal::Gone => {
                let state = OperationState::OperationGoneByOperator;
                (Some(state), GONE.to_owned())
            }
        };
        for operation in self.operations.take_on(agent_id) {
            if let Some(state) = state {
                self.tallies.operation(operation.info.r#type(), state);
            }
            let framework_id = operation.framework_id.as_ref();
            let framework = framework_id.and_then(|id| self.frameworks.get(id));
            if let (Some(state), Some(framework)) = (state, framework)
                && operation.info.id.is_some()
            {
                framework.send_operation_status(OperationStatus {
                    operation_id: operation.info.id.clone(),
                    state: state.into(),
                    message: Some(message.clone()),
                    agent_id: Some(agent_id.clone()),
                    ..Default::default()
                });
            }
        }
    }

    /// Tells an agent to end, and removes it.
    pub(super) fn shut_agent_down(&mut self, agent_id: &AgentId, cause: &str) {
        let message = cause.to_owned();
        self.send(agent_id, ToAgent::Shutdown { message });
        self.remove_agent(agent_id, &Removal::Left(cause.to_owned()));
    }

    /// Tells all frameworks that an agent is lost.
    pub(super) fn send_agent_lost(&self, agent_id: &AgentId) {
        let mut failure = event(event::Type::Failure);
        failure.failure = Some(event::Failure {
            agent_id: Some(agent_id.clone()),
            ..Default::default()
        });
        for framework in self.frameworks.values() {
            framework.send(&failure);
        }
    }

    /// Forgets that the agent is to be counted on; since when.
    pub(super) fn write_unreachable(&mut self, agent_id: &AgentId) -> TimeInfo {
        let since = operator::time(timestamp());
        self.registry.agents.remove(agent_id);
        self.registry.unreachable.insert(agent_id.clone(), since);
        since
    }

    /// Declares an agent lost for ever, wherever it is.
    pub(super) fn mark_gone(&mut self, agent_id: &AgentId) {
        let now = operator::time(timestamp());
        let was_unreachable = self.registry.unreachable.remove(agent_id).is_some();
        self.registry.agents.remove(agent_id);
        self.registry.draining.remove(agent_id);
        self.registry.deactivated.remove(agent_id);
        self.registry.gone.insert(agent_id.clone(), now);
        if self.agents.contains_key(agent_id) {
            let message = GONE.to_owned();
            self.send(agent_id, ToAgent::Shutdown { message });
            self.remove_agent(agent_id, &Removal::Gone);
        } else if was_unreachable {
            self.give_up_unreachable(agent_id);
        }
    }

    /// The tasks on an unreachable agent will not come back.
    fn give_up_unreachable(&mut self, agent_id: &AgentId) {
        for framework in self.frameworks.values_mut() {
            let (verdict, _) = Removal::Gone.verdict(framework, "");
            for mut task in framework.take_unreachable_on(agent_id) {
                let status = verdict.status(&task, None);
                framework.send_status(status.clone());
                if !is_terminal(task.state()) {
                    task.state = status.state;
                }
                if is_news(&task, &status) {
                    self.subscribers
                        .task_updated(&task, &framework.info, task.state(), &status);
                }
                remember_status(&mut task, status);
                framework.add_completed(task);
            }
        }
    }

    /// Ends a task by the master's word, and hands it out; its resources are free.
    pub(super) fn lose_task(
        &mut self,
        framework_id: &FrameworkId,
        task_id: &TaskId,
        verdict: &Verdict,
        since: Option<TimeInfo>,
    ) -> Option<crate::proto::Task> {
        let framework = self.frameworks.get_mut(framework_id)?;
        let mut task = framework.tasks.remove(task_id)?;
        framework.unbook(&task.role, &task.resources);
        let status = verdict.status(&task.task, since);
        count_end(
            (&mut self.counters, &self.tallies),
            &mut framework.counters,
            &task.task,
            (status.state(), &status),
        );
        if !is_terminal(task.task.state()) {
            task.task.state = status.state;
        }
        if is_news(&task.task, &status) {
            let state = task.task.state();
            self.subscribers
                .task_updated(&task.task, &framework.info, state, &status);
        }
        remember_status(&mut task.task, status.clone());
        framework.send_status(status);
        self.give_back(&task.task.agent_id, &task.resources);
        Some(task.task)
    }

    /// Forgets the executors of a framework on an agent.
    pub(super) fn remove_executors(&mut self, framework_id: &FrameworkId, agent_id: &AgentId) {
        let framework = self.frameworks.get(framework_id);
        let executors = framework.into_iter().flat_map(|own| own.executors.keys());
        let own = executors.filter(|(on, _)| on == agent_id);
        let own: Vec<ExecutorId> = own.map(|(_, executor_id)| executor_id.clone()).collect();
        for executor_id in own {
            self.remove_executor(framework_id, agent_id, executor_id);
        }
    }

    /// Whether there was one to forget.
    pub(super) fn remove_executor(
        &mut self,
        framework_id: &FrameworkId,
        agent_id: &AgentId,
        executor_id: ExecutorId,
    ) -> bool {
        let key = (agent_id.clone(), executor_id);
        let Some(framework) = self.frameworks.get_mut(framework_id) else {
            return false;
        };
        let Some(executor) = framework.executors.remove(&key) else {
            return false;
        };
        framework.unbook(&executor.role, &executor.resources);
        self.give_back(agent_id, &executor.resources);
        true
    }
}

impl Verdict {
    /// What is told of a task that the master has.
    fn status(&self, task: &crate::proto::Task, since: Option<TimeInfo>) -> TaskStatus {
        TaskStatus {
            task_id: task.task_id.clone(),
            agent_id: Some(task.agent_id.clone()),
            executor_id: task.executor_id.clone(),
            state: self.state.into(),
            message: Some(self.message.clone()),
            source: Some(Source::Master.into()),
            reason: Some(self.reason.into()),
            timestamp: Some(timestamp()),
            unreachable_time: since,
            ..Default::default()
        }
    }
}
