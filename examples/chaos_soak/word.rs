//! What is said of a task, and by whom.

use mesos_framework::proto::task_status::{Reason, Source};
use mesos_framework::proto::{TaskState, TaskStatus};

/// A state, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub state: TaskState,
    source: Option<Source>,
    reason: Option<Reason>,
    pub message: String,
}

impl Word {
    pub fn of(status: &TaskStatus) -> Self {
        Self {
            state: status.state(),
            source: status.source.and_then(|own| own.try_into().ok()),
            reason: status.reason.and_then(|own| own.try_into().ok()),
            message: status.message.clone().unwrap_or_default(),
        }
    }

    /// The answer to a question.
    pub fn is_answer(&self) -> bool {
        self.reason == Some(Reason::Reconciliation)
    }

    /// The driver's own, of a launch that never reached the master.
    pub fn is_of_driver(&self) -> bool {
        self.reason == Some(Reason::MasterDisconnected)
    }

    /// It, and no driver in its name.
    pub fn is_of_master(&self) -> bool {
        self.source == Some(Source::Master) && !self.is_of_driver()
    }

    /// The master's, of all tasks of an agent that it gave up.
    pub fn is_agent_lost(&self) -> bool {
        self.is_of_master()
            && matches!(
                self.reason,
                Some(Reason::AgentRemoved | Reason::AgentDisconnected)
            )
    }

    pub fn is_of_executor(&self) -> bool {
        self.source == Some(Source::Executor) && !self.is_answer()
    }

    /// `TASK_LOST (SOURCE_MASTER, REASON_AGENT_REMOVED)`.
    pub fn kind(&self) -> String {
        let source = self.source.map(|own| own.as_str_name());
        let reason = self.reason.map(|own| own.as_str_name());
        let by: Vec<&str> = source.into_iter().chain(reason).collect();
        format!("{} ({})", self.state.as_str_name(), by.join(", "))
    }

    pub fn is_terminal(&self) -> bool {
        use TaskState::{
            TaskDropped, TaskError, TaskFailed, TaskFinished, TaskGone, TaskGoneByOperator,
            TaskKilled, TaskLost,
        };
        matches!(
            self.state,
            TaskFinished
                | TaskFailed
                | TaskKilled
                | TaskError
                | TaskLost
                | TaskDropped
                | TaskGone
                | TaskGoneByOperator
        )
    }

    /// Answers that there is no such task.
    pub fn denies(&self) -> bool {
        use TaskState::{TaskGone, TaskGoneByOperator, TaskLost, TaskUnknown};
        let is_none = matches!(
            self.state,
            TaskUnknown | TaskGone | TaskLost | TaskGoneByOperator
        );
        is_none && self.is_answer()
    }
}
