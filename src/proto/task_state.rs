//! What the states of tasks mean.

use super::TaskState;
use super::framework_info::capability;

impl TaskState {
    /// Whether it is the end of a task: no resources are used any more, and no other state should follow.
    ///
    /// `TASK_LOST` is one, too, and yet [`may_return`](Self::may_return): as in Mesos itself, which frees the resources.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::proto::TaskState;
    ///
    /// assert!(TaskState::TaskFinished.is_terminal() && TaskState::TaskLost.is_terminal());
    /// assert!(!TaskState::TaskUnreachable.is_terminal() && TaskState::TaskUnreachable.may_return());
    /// ```
    ///
    /// Source: `isTerminalState`, `src/common/protobuf_utils.cpp`, Apache Mesos 1.11.0.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::TaskFinished
            | Self::TaskFailed
            | Self::TaskKilled
            | Self::TaskError
            | Self::TaskLost
            | Self::TaskDropped
            | Self::TaskGone
            | Self::TaskGoneByOperator => true,
            Self::TaskStaging
            | Self::TaskStarting
            | Self::TaskRunning
            | Self::TaskKilling
            | Self::TaskUnreachable
            | Self::TaskUnknown => false,
        }
    }

    /// Whether the task is on its way or at work, as far as anybody knows: staging, starting, running or being killed.
    ///
    /// Source: `TaskState`, mesos.proto.
    #[must_use]
    pub const fn is_live(self) -> bool {
        self.stage().is_some()
    }

    /// Whether nobody knows what the task does: it may run, and be told of as running again.
    ///
    /// True of `TASK_UNREACHABLE`, `TASK_UNKNOWN` and `TASK_LOST`. A task on an agent that an operator has marked as gone may
    /// still run, too, but nothing will be heard of it.
    ///
    /// Source: `TaskState`, mesos.proto; `docs/high-availability-framework-guide.md`, Apache Mesos 1.11.0.
    #[must_use]
    pub const fn may_return(self) -> bool {
        matches!(
            self,
            Self::TaskUnreachable | Self::TaskUnknown | Self::TaskLost
        )
    }

    /// Whether `self` can be the next thing that is told of a task that was `before`.
    ///
    /// True of a repetition; of anything after a state in which nobody knows what the task does
    /// ([`may_return`](Self::may_return)); and of what comes later in the life of a live task. After any other terminal state,
    /// nothing follows: what comes all the same is out of date, or a mistake of an executor's.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::proto::TaskState::{TaskFinished, TaskLost, TaskRunning, TaskStarting};
    ///
    /// assert!(TaskRunning.may_follow(TaskStarting) && TaskRunning.may_follow(TaskLost));
    /// assert!(!TaskStarting.may_follow(TaskRunning) && !TaskRunning.may_follow(TaskFinished));
    /// ```
    ///
    /// Source: `TaskState`, mesos.proto; `Master::updateTask`, `src/master/master.cpp`, Apache Mesos 1.11.0.
    #[must_use]
    pub const fn may_follow(self, before: Self) -> bool {
        if self as i32 == before as i32 || before.may_return() {
            return true;
        }
        match (self.stage(), before.stage()) {
            (Some(now), Some(before)) => now > before,
            (None, Some(_)) => true,
            (_, None) => false,
        }
    }

    /// The capability without which a framework is never told of this state; `None` if it needs none.
    ///
    /// `PARTITION_AWARE`: frameworks without it are told of `TASK_LOST` in its place
    /// ([`without_partition_awareness`](Self::without_partition_awareness)). `TASK_KILLING_STATE`: nothing is told in its place.
    ///
    /// Source: `FrameworkInfo.Capability.Type`, mesos.proto.
    #[must_use]
    pub const fn required_capability(self) -> Option<capability::Type> {
        match self {
            Self::TaskDropped
            | Self::TaskUnreachable
            | Self::TaskGone
            | Self::TaskGoneByOperator
            | Self::TaskUnknown => Some(capability::Type::PartitionAware),
            Self::TaskKilling => Some(capability::Type::TaskKillingState),
            Self::TaskStaging
            | Self::TaskStarting
            | Self::TaskRunning
            | Self::TaskFinished
            | Self::TaskFailed
            | Self::TaskKilled
            | Self::TaskError
            | Self::TaskLost => None,
        }
    }

    /// Whether only frameworks with the capability `PARTITION_AWARE` are told of it.
    ///
    /// Source: `FrameworkInfo.Capability.Type`, mesos.proto.
    #[must_use]
    pub const fn is_partition_aware_only(self) -> bool {
        matches!(
            self.required_capability(),
            Some(capability::Type::PartitionAware)
        )
    }

    /// What frameworks without the capability `PARTITION_AWARE` are told in its place.
    ///
    /// Source: `FrameworkInfo.Capability.Type`, mesos.proto.
    #[must_use]
    pub const fn without_partition_awareness(self) -> Self {
        match self.is_partition_aware_only() {
            true => Self::TaskLost,
            false => self,
        }
    }

    /// Where in the life of a live task it stands.
    const fn stage(self) -> Option<u8> {
        match self {
            Self::TaskStaging => Some(0),
            Self::TaskStarting => Some(1),
            Self::TaskRunning => Some(2),
            Self::TaskKilling => Some(3),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TaskState::{self, *};

    const LIVE: [TaskState; 4] = [TaskStaging, TaskStarting, TaskRunning, TaskKilling];
    const OPEN: [TaskState; 3] = [TaskUnreachable, TaskUnknown, TaskLost];
    const DONE: [TaskState; 7] = [
        TaskFinished,
        TaskFailed,
        TaskKilled,
        TaskError,
        TaskDropped,
        TaskGone,
        TaskGoneByOperator,
    ];

    fn all() -> Vec<TaskState> {
        [&LIVE[..], &OPEN, &DONE].concat()
    }

    #[test]
    fn every_state_is_live_open_or_done() {
        let known = (0..100).filter_map(|number| TaskState::try_from(number).ok());
        assert_eq!(known.count(), all().len());
        for state in all() {
            let kinds = [
                state.is_live(),
                state.may_return(),
                state.is_terminal() && !state.may_return(),
            ];
            let kinds = kinds.into_iter().filter(|is_so| *is_so).count();
            assert_eq!(kinds, 1, "{state:?}");
        }
    }

    #[test]
    fn nothing_follows_an_end_and_anything_a_doubt() {
        for before in all() {
            for next in all() {
                let may = next.may_follow(before);
                if next == before || OPEN.contains(&before) {
                    assert!(may, "{next:?} after {before:?}");
                } else if DONE.contains(&before) {
                    assert!(!may, "{next:?} after {before:?}");
                } else {
                    let at = |state| LIVE.iter().position(|live| *live == state);
                    let is_later = at(next).is_none_or(|next| Some(next) > at(before));
                    assert_eq!(may, is_later, "{next:?} after {before:?}");
                }
            }
        }
    }

    #[test]
    fn states_of_partition_aware_frameworks_are_lost_to_others() {
        let aware = [
            TaskDropped,
            TaskUnreachable,
            TaskGone,
            TaskGoneByOperator,
            TaskUnknown,
        ];
        for state in all() {
            let told = state.without_partition_awareness();
            assert_eq!(state.is_partition_aware_only(), aware.contains(&state));
            let expected = if aware.contains(&state) {
                TaskLost
            } else {
                state
            };
            assert_eq!(told, expected);
        }
    }
}
