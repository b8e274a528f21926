//! Tasks and updates that are not acknowledged yet: what the next SUBSCRIBE carries. Pure.
//!
//! The agent declares a task lost that it launched and that is missing from that list, and stores updates handed in with
//! it as if they came now (`src/slave/slave.cpp`, Apache Mesos 1.11.0).

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use bytes::Bytes;
use prost::Message;

use crate::proto::executor::call::{Subscribe, Update};
use crate::proto::{TaskId, TaskInfo, TaskState, TaskStatus};

/// The tables.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Received, and no update of theirs acknowledged; in order.
    tasks: InOrder<TaskId, Encoded<TaskInfo>>,
    /// Sent or to be sent, and not acknowledged; by uuid, in order.
    updates: InOrder<Bytes, Update>,
    /// Tasks whose end is not acknowledged. Updates of others are forwarded by the agent, but never acknowledged.
    live: BTreeSet<TaskId>,
    /// Updates that the last SUBSCRIBE carried, by uuid.
    carried: BTreeSet<Bytes>,
    /// Updates that the agent took, of those that it has not acknowledged; by uuid.
    taken: BTreeSet<Bytes>,
    /// Queued updates of tasks of which the agent took a later one; by uuid.
    late: BTreeSet<Bytes>,
}

impl Pending {
    pub(super) fn launched(&mut self, task: &TaskInfo) {
        self.live.insert(task.task_id.clone());
        self.tasks.push(task.task_id.clone(), Encoded::of(task));
    }

    pub(super) fn update_queued(&mut self, update: &Update) {
        let task_id = &update.status.task_id;
        if self.live.contains(task_id) {
            let uuid = update.status.uuid.clone().unwrap_or_default();
            self.updates.push(uuid, update.clone());
        } else {
            tracing::warn!(%task_id, "status update of a task that is not running here: it is sent once, at best");
        }
    }

    pub(super) fn acknowledged(&mut self, task_id: &TaskId, uuid: &[u8]) {
        self.tasks.remove(task_id);
        self.overtake(task_id, uuid);
        self.forget(uuid);
    }

    /// The agent took it.
    pub(super) fn accepted(&mut self, update: &Update) {
        let uuid = update.status.uuid();
        if self.updates.number(uuid).is_some() {
            self.taken.insert(Bytes::copy_from_slice(uuid));
            self.overtake(&update.status.task_id, uuid);
        }
    }

    /// What the agent was not ready to take before this update, of the same task, now comes too late: it would forward that
    /// the task runs after it has ended.
    fn overtake(&mut self, task_id: &TaskId, uuid: &[u8]) {
        let Some(number) = self.updates.number(uuid) else {
            return;
        };
        let earlier = self.updates.before(number);
        let earlier = earlier.filter(|own| own.status.task_id == *task_id);
        let uuids = earlier.filter_map(|own| own.status.uuid.clone());
        let late: Vec<Bytes> = uuids.filter(|uuid| !self.taken.contains(uuid)).collect();
        for uuid in late {
            tracing::warn!(%task_id, "status update comes after a later one: it is not sent");
            self.updates.remove(&uuid);
            self.late.insert(uuid);
        }
    }

    /// The agent refused it: it would refuse it again.
    pub(super) fn refused(&mut self, update: &Update) {
        self.forget(update.status.uuid());
    }

    fn forget(&mut self, uuid: &[u8]) {
        self.taken.remove(uuid);
        let Some(update) = self.updates.remove(uuid) else {
            return;
        };
        if is_terminal(&update.status) {
            self.live.remove(&update.status.task_id);
        }
    }

    pub(super) fn subscribe(&mut self) -> Subscribe {
        self.carried = self
            .updates
            .values()
            .filter_map(|update| update.status.uuid.clone())
            .collect();
        Subscribe {
            unacknowledged_tasks: self.tasks.values().filter_map(Encoded::get).collect(),
            unacknowledged_updates: self.updates.values().cloned().collect(),
        }
    }

    /// Whether the last SUBSCRIBE has already brought this update to the agent.
    pub(super) fn take_carried(&mut self, update: &Update) -> bool {
        let Some(uuid) = self.carried.take(update.status.uuid()) else {
            return false;
        };
        if self.updates.number(&uuid).is_some() {
            self.taken.insert(uuid);
        }
        true
    }

    /// Whether the agent has a later update of the same task.
    pub(super) fn take_late(&mut self, update: &Update) -> bool {
        self.late.remove(update.status.uuid())
    }

    /// Whether the next SUBSCRIBE carries it.
    pub(super) fn holds(&self, update: &Update) -> bool {
        self.updates.number(update.status.uuid()).is_some()
    }

    pub(super) fn has_updates(&self) -> bool {
        self.updates.values().next().is_some()
    }
}

/// A message as bytes: a task takes kilobytes as a value, and a tenth of that encoded.
#[derive(Debug)]
struct Encoded<M>(Box<[u8]>, PhantomData<fn() -> M>);

impl<M: Message + Default> Encoded<M> {
    fn of(message: &M) -> Self {
        Self(message.encode_to_vec().into_boxed_slice(), PhantomData)
    }

    fn get(&self) -> Option<M> {
        let message = M::decode(&*self.0);
        debug_assert!(message.is_ok(), "own bytes are readable");
        message.ok()
    }
}

/// Values in the order in which they came, each found by its key: there may be thousands.
#[derive(Debug)]
struct InOrder<K, V> {
    values: BTreeMap<u64, V>,
    numbers: BTreeMap<K, u64>,
    next: u64,
}

impl<K, V> Default for InOrder<K, V> {
    fn default() -> Self {
        Self {
            values: BTreeMap::new(),
            numbers: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<K: Ord, V> InOrder<K, V> {
    /// Adds a value at the end, in place of what had its key.
    fn push(&mut self, key: K, value: V) {
        if let Some(before) = self.numbers.insert(key, self.next) {
            self.values.remove(&before);
        }
        self.values.insert(self.next, value);
        self.next += 1;
    }

    fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let number = self.numbers.remove(key)?;
        self.values.remove(&number)
    }

    fn values(&self) -> impl Iterator<Item = &V> {
        self.values.values()
    }

    fn number<Q: Ord + ?Sized>(&self, key: &Q) -> Option<u64>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.numbers.get(key).copied()
    }

    fn before(&self, number: u64) -> impl Iterator<Item = &V> {
        self.values.range(..number).map(|(_, value)| value)
    }
}

fn is_terminal(status: &TaskStatus) -> bool {
    TaskState::try_from(status.state).is_ok_and(TaskState::is_terminal)
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
    fn an_update_behind_which_the_agent_took_another_of_its_task_comes_too_late() {
        let mut pending = Pending::default();
        pending.launched(&task("a"));
        pending.launched(&task("b"));
        let (first, other, last) = (
            update("a", TaskState::TaskRunning, b"1"),
            update("b", TaskState::TaskRunning, b"2"),
            update("a", TaskState::TaskFinished, b"3"),
        );
        for own in [&first, &other, &last] {
            pending.update_queued(own);
        }
        pending.accepted(&last);
        assert_eq!(lists(&mut pending).1, ["2", "3"]);
        assert!(pending.take_late(&first) && !pending.take_late(&other));
        assert!(!pending.take_late(&first), "once");
    }

    #[test]
    fn updates_that_the_agent_took_in_order_are_all_pending() {
        let mut pending = Pending::default();
        pending.launched(&task("a"));
        let (first, last) = (
            update("a", TaskState::TaskRunning, b"1"),
            update("a", TaskState::TaskFinished, b"2"),
        );
        pending.update_queued(&first);
        pending.update_queued(&last);
        pending.accepted(&first);
        pending.accepted(&last);
        assert_eq!(lists(&mut pending).1, ["1", "2"]);
    }

    #[test]
    fn an_update_that_a_subscription_brought_is_not_late() {
        let mut pending = Pending::default();
        pending.launched(&task("a"));
        let (first, last) = (
            update("a", TaskState::TaskRunning, b"1"),
            update("a", TaskState::TaskFinished, b"2"),
        );
        pending.update_queued(&first);
        pending.subscribe();
        assert!(!pending.take_late(&first) && pending.take_carried(&first));
        pending.update_queued(&last);
        pending.accepted(&last);
        assert_eq!(lists(&mut pending).1, ["1", "2"]);
    }

    #[test]
    fn an_acknowledged_update_makes_those_before_it_late_even_if_its_answer_is_read_after_that() {
        let mut pending = Pending::default();
        pending.launched(&task("a"));
        let (first, last) = (
            update("a", TaskState::TaskRunning, b"1"),
            update("a", TaskState::TaskFinished, b"2"),
        );
        pending.update_queued(&first);
        pending.update_queued(&last);
        pending.acknowledged(&"a".into(), b"2");
        pending.accepted(&last);
        assert!(!pending.has_updates() && pending.take_late(&first));
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
