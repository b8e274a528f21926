//! Draining: the end of all tasks, and no others.
//!
//! Source: `Slave::drain` and `Slave::updateDrainStatus`, `src/slave/slave.cpp` of Apache Mesos 1.11.0.

use super::state::Agent;
use super::updates::is_partition_aware;
use crate::proto::task_status::Reason;
use crate::proto::{DrainConfig, FrameworkInfo, KillPolicy, TaskState, TaskStatus};

/// What is told of tasks that come while the agent drains.
pub(super) const REFUSAL: &str = "Task was received while agent was already draining";

impl Agent {
    /// Kills everything. An agent with nothing to kill is drained already.
    pub(super) fn drain(&mut self, config: DrainConfig) {
        if self.frameworks.is_empty() {
            return;
        }
        self.drain_config = Some(config);
        let tasks = self.tasks.iter();
        let tasks: Vec<_> = tasks
            .map(|(key, task)| (key.clone(), limit(task.kill_policy, &config)))
            .collect();
        for ((framework_id, task_id), kill_policy) in tasks {
            self.kill_task(&framework_id, &task_id, kill_policy);
        }
    }

    /// What a status is to say while the agent drains.
    pub(super) fn mark_drained(&self, framework: &FrameworkInfo, status: &mut TaskStatus) {
        let Some(config) = &self.drain_config else {
            return;
        };
        if matches!(
            status.state(),
            TaskState::TaskKilling | TaskState::TaskKilled
        ) {
            status.reason = Some(Reason::AgentDraining.into());
            if config.mark_gone() && is_partition_aware(framework) {
                status.state = TaskState::TaskGoneByOperator.into();
            }
        }
    }

    /// Once nothing is left, the agent takes tasks again.
    pub(super) fn update_drain_status(&mut self) {
        if self.frameworks.is_empty() {
            self.drain_config = None;
        }
    }
}

/// What is to override a task's own policy: the operator's limit, if that is shorter.
fn limit(own: Option<KillPolicy>, config: &DrainConfig) -> Option<KillPolicy> {
    let limit = config.max_grace_period?;
    let own = own.and_then(|own| own.grace_period);
    let is_shorter = own.is_none_or(|own| limit.nanoseconds < own.nanoseconds);
    is_shorter.then_some(KillPolicy {
        grace_period: Some(limit),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::DurationInfo;

    #[test]
    fn the_shorter_grace_period_counts() {
        let policy = |nanoseconds| KillPolicy {
            grace_period: Some(DurationInfo { nanoseconds }),
        };
        let config = DrainConfig {
            max_grace_period: policy(5).grace_period,
            mark_gone: None,
        };
        assert_eq!(limit(Some(policy(9)), &config), Some(policy(5)));
        assert_eq!(limit(Some(policy(5)), &config), None);
        assert_eq!(limit(None, &config), Some(policy(5)));
        assert_eq!(limit(Some(policy(9)), &DrainConfig::default()), None);
    }
}
