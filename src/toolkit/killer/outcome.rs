//! How a kill ends.

use crate::proto::{TaskState, TaskStatus};

/// How a task that was to be killed has ended.
///
/// Source: `TaskState`, mesos.proto.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum KillEnd {
    /// It was killed, by this or by somebody else: `TASK_KILLED`.
    Killed(TaskStatus),
    /// It had ended, or did so before it could be killed: `TASK_FINISHED`, `TASK_FAILED` or `TASK_ERROR`.
    EndedOtherwise(TaskStatus),
    /// There is no such task: it was never started (`TASK_DROPPED`), its agent does not know it or was given up for good
    /// (`TASK_GONE`, `TASK_GONE_BY_OPERATOR`), or the master knows neither task nor agent (`TASK_UNKNOWN`); `TASK_LOST` in
    /// place of all of these without the capability `PARTITION_AWARE`. So it is also with a task that had ended before, if the
    /// master has forgotten it.
    Gone(TaskStatus),
}

impl KillEnd {
    /// The status that told it.
    #[must_use]
    pub fn status(&self) -> &TaskStatus {
        match self {
            Self::Killed(status) | Self::EndedOtherwise(status) | Self::Gone(status) => status,
        }
    }

    /// The end that a task has come to with this status, if it is one that is beyond doubt.
    pub(super) fn certain(state: TaskState, status: &TaskStatus) -> Option<Self> {
        let status = || status.clone();
        match state {
            TaskState::TaskKilled => Some(Self::Killed(status())),
            TaskState::TaskFinished | TaskState::TaskFailed | TaskState::TaskError => {
                Some(Self::EndedOtherwise(status()))
            }
            TaskState::TaskDropped | TaskState::TaskGone | TaskState::TaskGoneByOperator => {
                Some(Self::Gone(status()))
            }
            TaskState::TaskStaging
            | TaskState::TaskStarting
            | TaskState::TaskRunning
            | TaskState::TaskKilling
            | TaskState::TaskLost
            | TaskState::TaskUnreachable
            | TaskState::TaskUnknown => None,
        }
    }
}
