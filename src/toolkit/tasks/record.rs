//! What is known of one task.

use std::time::{Duration, SystemTime};

use prost::Message as _;

use crate::error::{Error, ErrorKind, Result};
use crate::proto::{
    AgentId, ExecutorId, FrameworkId, Labels, TaskId, TaskInfo, TaskState, TaskStatus,
};

/// A task as a [`TaskTracker`](super::TaskTracker) knows it.
///
/// Source: `TaskInfo` and `TaskStatus`, mesos.proto.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TrackedTask {
    /// Its id.
    pub task_id: TaskId,
    /// `TaskInfo.name`; empty if the tracker has not launched it.
    pub name: String,
    /// `TaskInfo.labels`, for whatever the framework wants to know of its tasks after a restart.
    pub labels: Option<Labels>,
    /// The framework that has launched it.
    pub framework_id: Option<FrameworkId>,
    /// The agent on which it is. Known of every task that was launched.
    pub agent_id: Option<AgentId>,
    /// Its executor. A task with a command has one that is named like the task; it is known only from its first status.
    pub executor_id: Option<ExecutorId>,
    /// What was told last, and counts: `TASK_STAGING` at first.
    pub state: TaskState,
    /// Whether nobody knows if its launch has reached the master: there was no answer to the call, or no status was stored
    /// before this process began. Ends with its first status, which reconciliation brings about.
    pub is_unsure: bool,
    /// The status that told `state`, without its `data`; `None` before the first.
    pub status: Option<TaskStatus>,
    /// When the launch was stored; `None` if the tracker has not launched it, but learned of it from a status.
    pub launched_at: Option<SystemTime>,
    /// When `state` changed last.
    pub changed_at: SystemTime,
}

impl TrackedTask {
    /// A task that is about to be launched.
    pub(super) fn launched(
        task: &TaskInfo,
        executor_id: Option<&ExecutorId>,
        framework_id: Option<FrameworkId>,
        now: SystemTime,
    ) -> Self {
        let own = task.executor.as_ref().map(|executor| &executor.executor_id);
        Self {
            task_id: task.task_id.clone(),
            name: task.name.clone(),
            labels: task.labels.clone(),
            framework_id,
            agent_id: Some(task.agent_id.clone()),
            executor_id: own.or(executor_id).cloned(),
            state: TaskState::TaskStaging,
            is_unsure: false,
            status: None,
            launched_at: Some(now),
            changed_at: now,
        }
    }

    /// A task that somebody else has launched.
    pub(super) fn adopted(
        task_id: TaskId,
        framework_id: Option<FrameworkId>,
        state: TaskState,
        now: SystemTime,
    ) -> Self {
        Self {
            task_id,
            name: String::new(),
            labels: None,
            framework_id,
            agent_id: None,
            executor_id: None,
            state,
            is_unsure: false,
            status: None,
            launched_at: None,
            changed_at: now,
        }
    }

    /// Whether it has come to a terminal state ([`TaskState::is_terminal`]).
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.state.is_terminal()
    }

    /// Whether an agent or executor has told its state, and not the master or the tracker.
    pub(super) fn is_told_by_agent(&self) -> bool {
        self.status.as_ref().is_some_and(has_uuid)
    }

    /// As bytes, for stores of one's own; without [`is_unsure`](Self::is_unsure), which the next tracker judges anew.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        Stored::of(self).encode_to_vec()
    }

    /// What [`to_bytes`](Self::to_bytes) has made, also in an earlier version.
    ///
    /// # Errors
    /// [`ErrorKind::Store`] if it is something else.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::ErrorKind;
    /// use mesos_framework::toolkit::TrackedTask;
    ///
    /// let error = TrackedTask::from_bytes(b"something else").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Store);
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let stored = Stored::decode(bytes).map_err(|error| {
            Error::caused_by(ErrorKind::Store, "stored task cannot be read", error)
        })?;
        stored.into_task()
    }
}

/// Whether it comes from an agent or executor, and is repeated until it is acknowledged.
pub(super) fn has_uuid(status: &TaskStatus) -> bool {
    status.uuid.as_ref().is_some_and(|uuid| !uuid.is_empty())
}

/// The form in which tasks are stored. Numbers must never be used anew.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Stored {
    #[prost(message, required, tag = "1")]
    task_id: TaskId,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, optional, tag = "3")]
    labels: Option<Labels>,
    #[prost(message, optional, tag = "4")]
    framework_id: Option<FrameworkId>,
    #[prost(message, optional, tag = "5")]
    agent_id: Option<AgentId>,
    #[prost(message, optional, tag = "6")]
    executor_id: Option<ExecutorId>,
    #[prost(int32, required, tag = "7")]
    state: i32,
    #[prost(message, optional, tag = "8")]
    status: Option<TaskStatus>,
    /// Milliseconds since the epoch.
    #[prost(uint64, optional, tag = "9")]
    launched_at: Option<u64>,
    /// Milliseconds since the epoch.
    #[prost(uint64, required, tag = "10")]
    changed_at: u64,
}

impl Stored {
    pub(super) fn of(task: &TrackedTask) -> Self {
        Self {
            task_id: task.task_id.clone(),
            name: task.name.clone(),
            labels: task.labels.clone(),
            framework_id: task.framework_id.clone(),
            agent_id: task.agent_id.clone(),
            executor_id: task.executor_id.clone(),
            state: task.state as i32,
            status: task.status.clone(),
            launched_at: task.launched_at.map(millis),
            changed_at: millis(task.changed_at),
        }
    }

    pub(super) fn into_task(self) -> Result<TrackedTask> {
        let state = TaskState::try_from(self.state).map_err(|error| {
            let context = format!("stored task {:?} cannot be read", self.task_id.value);
            Error::caused_by(ErrorKind::Store, context, error)
        })?;
        if self.task_id.value.is_empty() {
            let context = "stored task cannot be read: it has no id";
            return Err(Error::new(ErrorKind::Store, context));
        }
        Ok(TrackedTask {
            task_id: self.task_id,
            name: self.name,
            labels: self.labels,
            framework_id: self.framework_id,
            agent_id: self.agent_id,
            executor_id: self.executor_id,
            state,
            is_unsure: false,
            status: self.status,
            launched_at: self.launched_at.map(time),
            changed_at: time(self.changed_at),
        })
    }
}

/// 0 on a machine whose clock is before the epoch.
fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis().try_into().unwrap_or(u64::MAX))
}

/// The epoch, if no clock can hold it.
fn time(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_millis(millis))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Label;
    use crate::toolkit::testing;

    fn task() -> TrackedTask {
        let label = Label {
            key: "command".into(),
            value: Some("7".into()),
        };
        let info = TaskInfo {
            name: "name".into(),
            task_id: "t".into(),
            agent_id: "a".into(),
            labels: Some(Labels {
                labels: vec![label],
            }),
            ..TaskInfo::default()
        };
        let now = time(1_700_000_000_123);
        TrackedTask::launched(&info, Some(&"e".into()), Some("f".into()), now)
    }

    #[test]
    fn a_stored_task_comes_back_as_it_was() {
        let staged = task();
        assert_eq!(TrackedTask::from_bytes(&staged.to_bytes()).unwrap(), staged);

        let mut running = task();
        running.state = TaskState::TaskRunning;
        running.status = Some(testing::status("t", "a", TaskState::TaskRunning));
        let back = TrackedTask::from_bytes(&running.to_bytes()).unwrap();
        assert_eq!(back, running);
    }

    #[test]
    fn what_no_task_was_stored_as_is_refused() {
        let mut stored = Stored::of(&task());
        stored.state = 99;
        let error = TrackedTask::from_bytes(&stored.encode_to_vec()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store);
        assert!(
            error
                .to_string()
                .starts_with("stored task \"t\" cannot be read: ")
        );
        for bytes in [&b""[..], b"\xff", &[0; 20]] {
            assert!(TrackedTask::from_bytes(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn no_clock_is_too_strange() {
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(millis(before), 0);
        assert_eq!(time(millis(time(u64::MAX))), time(u64::MAX));
    }
}
