//! Which tasks there are.

use std::sync::Arc;

use crate::proto::{AgentId, TaskId};
use crate::toolkit::TaskTracker;

/// Says which tasks are to be reconciled: those of which the framework believes that they have not ended, and whose launch has
/// been queued.
///
/// A [`TaskTracker`] is one, and so is every closure that answers such a list.
///
/// Source: `docs/reconciliation.md`, Apache Mesos 1.11.0.
pub trait TaskSource: Send + Sync + 'static {
    /// The tasks of this moment, each with its agent where it is known: without it, a master answers nothing as long as any
    /// agent has not come back to it, and cannot tell a task on an unreachable agent from one that is not there.
    ///
    /// Called once per question, from the reconciler's own task: it must not take long.
    fn unsettled(&self) -> Vec<(TaskId, Option<AgentId>)>;
}

impl TaskSource for TaskTracker {
    fn unsettled(&self) -> Vec<(TaskId, Option<AgentId>)> {
        Self::unsettled(self)
    }
}

impl<F> TaskSource for F
where
    F: Fn() -> Vec<(TaskId, Option<AgentId>)> + Send + Sync + 'static,
{
    fn unsettled(&self) -> Vec<(TaskId, Option<AgentId>)> {
        self()
    }
}

impl<S: TaskSource + ?Sized> TaskSource for Arc<S> {
    fn unsettled(&self) -> Vec<(TaskId, Option<AgentId>)> {
        (**self).unsettled()
    }
}
