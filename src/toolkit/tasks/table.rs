//! All tasks of a framework.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::TrackedTask;
use crate::proto::{AgentId, TaskId, TaskState};

/// How many states there are: their numbers are 0 to 13.
const STATES: usize = 14;

/// How many tasks there are in which state. Each counts once.
///
/// # Examples
/// ```
/// use mesos_framework::proto::TaskState;
/// use mesos_framework::toolkit::TaskTracker;
///
/// let counts = TaskTracker::new().counts();
/// assert_eq!((counts.of(TaskState::TaskRunning), counts.total()), (0, 0));
/// ```
///
/// Source: `TaskState`, mesos.proto.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskCounts {
    by_state: [usize; STATES],
    unsure: usize,
}

impl TaskCounts {
    /// Those in this state.
    #[must_use]
    pub fn of(&self, state: TaskState) -> usize {
        self.by_state.get(state as usize).copied().unwrap_or(0)
    }

    /// Those that are staging, starting, running or being killed ([`TaskState::is_live`]).
    #[must_use]
    pub fn live(&self) -> usize {
        self.those(TaskState::is_live)
    }

    /// Those of which nobody knows what they do ([`TaskState::may_return`]): unreachable, unknown or lost.
    #[must_use]
    pub fn may_return(&self) -> usize {
        self.those(TaskState::may_return)
    }

    /// Those that have ended ([`TaskState::is_terminal`]), lost ones among them, and are not forgotten yet.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.those(TaskState::is_terminal)
    }

    /// Those of `TASK_STAGING` whose launch may not have reached the master ([`TrackedTask::is_unsure`]).
    #[must_use]
    pub fn unsure(&self) -> usize {
        self.unsure
    }

    /// All.
    #[must_use]
    pub fn total(&self) -> usize {
        self.by_state.iter().sum()
    }

    fn those(&self, are_counted: fn(TaskState) -> bool) -> usize {
        self.states()
            .filter(|(state, _)| are_counted(*state))
            .map(|(_, count)| count)
            .sum()
    }

    fn states(&self) -> impl Iterator<Item = (TaskState, usize)> {
        (0..).zip(self.by_state).filter_map(|(number, count)| {
            let state = TaskState::try_from(number).ok()?;
            Some((state, count))
        })
    }

    fn add(&mut self, task: &TrackedTask) {
        self.by_state[task.state as usize] += 1;
        self.unsure += usize::from(task.is_unsure);
    }

    fn subtract(&mut self, task: &TrackedTask) {
        self.by_state[task.state as usize] -= 1;
        self.unsure -= usize::from(task.is_unsure);
    }
}

impl fmt::Debug for TaskCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("TaskCounts");
        for (state, count) in self.states().filter(|(_, count)| *count > 0) {
            shown.field(state.as_str_name(), &count);
        }
        shown.field("unsure", &self.unsure).finish()
    }
}

/// The tasks of a framework, at one time.
///
/// A copy of a [`TaskTracker`](super::TaskTracker)'s; or the tracker's own, where it shows them to a closure.
///
/// Source: `TaskStatus`, mesos.proto.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    by_id: BTreeMap<TaskId, Arc<TrackedTask>>,
    counts: TaskCounts,
    /// Those that have ended, the one that ended first at first.
    ended: BTreeSet<(SystemTime, TaskId)>,
}

impl Tasks {
    /// The task of this id.
    #[must_use]
    pub fn get(&self, task_id: &TaskId) -> Option<&TrackedTask> {
        self.by_id.get(task_id).map(|task| &**task)
    }

    /// All, by their ids.
    pub fn iter(&self) -> impl Iterator<Item = &TrackedTask> {
        self.by_id.values().map(|task| &**task)
    }

    /// Those on this agent.
    pub fn on_agent(&self, agent_id: &AgentId) -> impl Iterator<Item = &TrackedTask> {
        self.iter()
            .filter(move |task| task.agent_id.as_ref() == Some(agent_id))
    }

    /// Those in this state.
    pub fn in_state(&self, state: TaskState) -> impl Iterator<Item = &TrackedTask> {
        self.iter().filter(move |task| task.state == state)
    }

    /// How many there are in which state.
    #[must_use]
    pub fn counts(&self) -> TaskCounts {
        self.counts
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn put(&mut self, task: TrackedTask) {
        self.remove(&task.task_id.clone());
        self.counts.add(&task);
        if task.is_ended() {
            self.ended.insert((task.changed_at, task.task_id.clone()));
        }
        self.by_id.insert(task.task_id.clone(), Arc::new(task));
    }

    pub(super) fn remove(&mut self, task_id: &TaskId) -> bool {
        let Some(task) = self.by_id.remove(task_id) else {
            return false;
        };
        self.counts.subtract(&task);
        self.ended.remove(&(task.changed_at, task_id.clone()));
        true
    }

    /// The ended tasks beyond the last `retained`, after `more` further ones will have ended.
    pub(super) fn beyond(&self, retained: usize, more: usize) -> Vec<TaskId> {
        let surplus = (self.ended.len() + more).saturating_sub(retained);
        let oldest = self.ended.iter().take(surplus);
        oldest.map(|(_, task_id)| task_id.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn task(id: &str, state: TaskState, second: u64) -> TrackedTask {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        TrackedTask::adopted(id.into(), None, state, at)
    }

    #[test]
    fn each_task_counts_once_whatever_becomes_of_it() {
        use TaskState::{TaskFinished, TaskKilling, TaskLost, TaskRunning, TaskUnreachable};
        let mut tasks = Tasks::default();
        for (second, state) in [
            TaskRunning,
            TaskUnreachable,
            TaskRunning,
            TaskLost,
            TaskFinished,
        ]
        .into_iter()
        .enumerate()
        {
            tasks.put(task("t", state, second as u64));
            let counts = tasks.counts();
            assert_eq!((counts.total(), counts.of(state)), (1, 1), "{counts:?}");
        }
        tasks.put(task("u", TaskKilling, 0));
        let counts = tasks.counts();
        assert_eq!(
            (counts.live(), counts.ended(), counts.may_return()),
            (1, 1, 0)
        );
        assert_eq!(
            format!("{counts:?}"),
            "TaskCounts { TASK_FINISHED: 1, TASK_KILLING: 1, unsure: 0 }"
        );
        assert!(tasks.remove(&"t".into()) && !tasks.remove(&"t".into()));
        assert_eq!(tasks.counts().total(), 1);
    }

    #[test]
    fn what_ended_first_is_forgotten_first() {
        let mut tasks = Tasks::default();
        for (second, id) in ["c", "a", "b"].into_iter().enumerate() {
            tasks.put(task(id, TaskState::TaskFinished, second as u64));
        }
        tasks.put(task("d", TaskState::TaskRunning, 0));
        assert_eq!(tasks.beyond(3, 0), []);
        assert_eq!(tasks.beyond(2, 1), ["c".into(), "a".into()]);
        // It came back.
        tasks.put(task("c", TaskState::TaskRunning, 9));
        assert_eq!(tasks.beyond(0, 0), ["a".into(), "b".into()]);
    }
}
