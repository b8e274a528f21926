//! Tasks of which nobody knows whether they were launched.

use std::collections::BTreeMap;

use super::calls;
use crate::proto::scheduler::Call;
use crate::proto::{AgentId, TaskId};

/// Tasks whose launch ended as unknown, until the user has been told of them by the master. Under another subscription, a
/// call of before cannot be carried out any more, so what the master answers to RECONCILE then holds.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    tasks: BTreeMap<TaskId, AgentId>,
}

impl Doubts {
    /// The outcome of `call` is unknown. True if it launches anything.
    pub(super) fn add(&mut self, call: &Call) -> bool {
        let tasks = calls::launched_tasks(call);
        for task in &tasks {
            self.tasks
                .insert(task.task_id.clone(), task.agent_id.clone());
        }
        !tasks.is_empty()
    }

    /// The callback for an update of the master's has been made: an update that only arrived may be lost with its
    /// subscription.
    pub(super) fn told(&mut self, task_id: &TaskId) {
        if !self.tasks.is_empty() {
            self.tasks.remove(task_id);
        }
    }

    /// The framework is another one now.
    pub(super) fn clear(&mut self) {
        self.tasks.clear();
    }

    /// Asks for all of them.
    pub(super) fn reconcile(&self) -> Option<Call> {
        let tasks = self.tasks.iter();
        let tasks: Vec<_> = tasks
            .map(|(task_id, agent_id)| (task_id.clone(), Some(agent_id.clone())))
            .collect();
        (!tasks.is_empty()).then(|| calls::reconcile(tasks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Filters, TaskInfo};

    fn launch(id: &str) -> Call {
        let task = TaskInfo {
            task_id: id.into(),
            agent_id: "a".into(),
            ..TaskInfo::default()
        };
        calls::launch(vec!["o".into()], vec![task], Filters::default())
    }

    #[test]
    fn tasks_are_asked_for_until_the_master_tells_of_them() {
        let mut doubts = Doubts::default();
        assert!(!doubts.add(&calls::decline(vec!["o".into()], Filters::default())));
        assert!(doubts.reconcile().is_none());
        assert!(doubts.add(&launch("1")) && doubts.add(&launch("2")));
        doubts.told(&"1".into());
        let tasks = doubts.reconcile().unwrap().reconcile.unwrap().tasks;
        assert_eq!(tasks.len(), 1);
        assert_eq!(tasks[0].task_id, "2".into());
        assert_eq!(tasks[0].agent_id, Some("a".into()));
        doubts.told(&"2".into());
        assert!(doubts.reconcile().is_none());
    }
}
