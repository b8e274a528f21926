//! Tasks and updates that are not acknowledged yet: what the next SUBSCRIBE carries. Pure.
//!
//! The agent declares a task lost that it launched and that is missing from that list, and stores updates handed in with
//! it as if they came now (`src/slave/slave.cpp`, Apache Mesos 1.11.0).

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::proto::executor::call::{Subscribe, Update};
use crate::proto::{TaskId, TaskInfo, TaskState, TaskStatus};

/// The tables.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Received, and no update of theirs acknowledged; in order.
    tasks: Vec<TaskInfo>,
    /// Sent or to be sent, and not acknowledged; in order.
    updates: Vec<Update>,
    /// Tasks whose end is not acknowledged. Updates of others are forwarded by the agent, but never acknowledged.
    live: BTreeSet<TaskId>,
    /// Updates that the last SUBSCRIBE carried, by uuid.
    carried: BTreeSet<Bytes>,
}

impl Pending {
    pub(super) fn launched(&mut self, task: &TaskInfo) {
        self.live.insert(task.task_id.clone());
        self.tasks.retain(|known| known.task_id != task.task_id);
        self.tasks.push(task.clone());
    }

    pub(super) fn update_queued(&mut self, update: &Update) {
        let task_id = &update.status.task_id;
        if self.live.contains(task_id) {
            self.updates.push(update.clone());
        } else {
            tracing::warn!(%task_id, "status update of a task that is not running here: it is sent once, at best");
        }
    }

    pub(super) fn acknowledged(&mut self, task_id: &TaskId, uuid: &[u8]) {
        self.tasks.retain(|task| task.task_id != *task_id);
        self.forget(uuid);
    }

    /// The agent refused it: it would refuse it again.
    pub(super) fn refused(&mut self, update: &Update) {
        self.forget(update.status.uuid());
    }

    fn forget(&mut self, uuid: &[u8]) {
        let Some(at) = self
            .updates
            .iter()
            .position(|update| update.status.uuid() == uuid)
        else {
            return;
        };
        let update = self.updates.remove(at);
        if is_terminal(&update.status) {
            self.live.remove(&update.status.task_id);
        }
    }

    pub(super) fn subscribe(&mut self) -> Subscribe {
        self.carried = self
            .updates
            .iter()
            .filter_map(|update| update.status.uuid.clone())
            .collect();
        Subscribe {
            unacknowledged_tasks: self.tasks.clone(),
            unacknowledged_updates: self.updates.clone(),
        }
    }

    /// Whether the last SUBSCRIBE has already brought this update to the agent.
    pub(super) fn take_carried(&mut self, update: &Update) -> bool {
        update
            .status
            .uuid
            .as_ref()
            .is_some_and(|uuid| self.carried.remove(uuid))
    }

    pub(super) fn has_updates(&self) -> bool {
        !self.updates.is_empty()
    }
}

fn is_terminal(status: &TaskStatus) -> bool {
    matches!(
        TaskState::try_from(status.state),
        Ok(TaskState::TaskFinished
            | TaskState::TaskFailed
            | TaskState::TaskKilled
            | TaskState::TaskError
            | TaskState::TaskLost
            | TaskState::TaskDropped
            | TaskState::TaskGone
            | TaskState::TaskGoneByOperator)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: &str) -> TaskInfo {
        TaskInfo {
            task_id: id.into(),
            ..TaskInfo::default()
        }
    }

    fn update(task_id: &str, state: TaskState, uuid: &'static [u8]) -> Update {
        let status = TaskStatus {
            task_id: task_id.into(),
            state: state as i32,
            uuid: Some(Bytes::from_static(uuid)),
            ..TaskStatus::default()
        };
        Update { status }
    }

    fn lists(pending: &mut Pending) -> (Vec<String>, Vec<Bytes>) {
        let subscribe = pending.subscribe();
        let tasks = subscribe
            .unacknowledged_tasks
            .into_iter()
            .map(|task| task.task_id.value);
        let updates = subscribe
            .unacknowledged_updates
            .into_iter()
            .filter_map(|update| update.status.uuid);
        (tasks.collect(), updates.collect())
    }

    #[test]
    fn a_task_is_listed_until_any_update_of_it_is_acknowledged() {
        let mut pending = Pending::default();
        pending.launched(&task("a"));
        pending.launched(&task("b"));
        pending.update_queued(&update("a", TaskState::TaskRunning, b"1"));
        pending.update_queued(&update("a", TaskState::TaskFinished, b"2"));
        assert_eq!(
            lists(&mut pending),
            (vec!["a".into(), "b".into()], vec!["1".into(), "2".into()])
        );
        pending.acknowledged(&"a".into(), b"1");
        assert_eq!(lists(&mut pending), (vec!["b".into()], vec!["2".into()]));
        pending.acknowledged(&"a".into(), b"2");
        assert!(!pending.has_updates());
    }

    #[test]
    fn updates_of_tasks_that_do_not_run_here_are_not_waited_for() {
        let mut pending = Pending::default();
        pending.update_queued(&update("x", TaskState::TaskRunning, b"1"));
        assert!(!pending.has_updates());
        pending.launched(&task("a"));
        pending.update_queued(&update("a", TaskState::TaskFinished, b"2"));
        pending.acknowledged(&"a".into(), b"2");
        pending.update_queued(&update("a", TaskState::TaskFinished, b"3"));
        assert!(!pending.has_updates());
    }

    #[test]
    fn updates_carried_by_subscribe_are_not_sent_once_more() {
        let mut pending = Pending::default();
        pending.launched(&task("a"));
        let (first, second) = (
            update("a", TaskState::TaskRunning, b"1"),
            update("a", TaskState::TaskFinished, b"2"),
        );
        pending.update_queued(&first);
        pending.subscribe();
        pending.update_queued(&second);
        assert!(pending.take_carried(&first));
        assert!(!pending.take_carried(&second));
    }

    #[test]
    fn a_refused_update_is_not_repeated() {
        let mut pending = Pending::default();
        pending.launched(&task("a"));
        let refused = update("a", TaskState::TaskRunning, b"1");
        pending.update_queued(&refused);
        pending.refused(&refused);
        assert!(!pending.has_updates());
    }
}
