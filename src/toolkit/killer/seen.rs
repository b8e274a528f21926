//! What statuses have told of a task that is to be killed. Pure.

use super::KillEnd;
use crate::proto::task_status::Reason;
use crate::proto::{AgentId, TaskState, TaskStatus};

/// What is known of the task.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Seen {
    /// On which agent it is, if that is known.
    pub(super) agent_id: Option<AgentId>,
    pub(super) standing: Standing,
    pub(super) end: Option<KillEnd>,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may be alive: to be killed.
    #[default]
    Alive,
    /// Its agent is unreachable: to be asked for until it is back.
    Away,
    /// The master has said that it does not know the task, and it was not asked for the task on its agent: to be asked so.
    Doubtful,
}

impl Seen {
    /// True if there is anything new.
    pub(super) fn take(&mut self, status: &TaskStatus) -> bool {
        let Ok(state) = TaskState::try_from(status.state) else {
            return false;
        };
        if self.end.is_some() {
            return false;
        }
        let before = self.clone();
        if state.is_live() || self.agent_id.is_none() {
            // What the master answers may name whatever agent it was asked for.
            self.agent_id = status.agent_id.clone().or(self.agent_id.take());
        }
        match self.doubt(state, status) {
            Some(standing) => self.standing = standing,
            None => {
                self.end = KillEnd::certain(state, status).or(Some(KillEnd::Gone(status.clone())))
            }
        }
        *self != before
    }

    /// None if the task has ended by this.
    fn doubt(&self, state: TaskState, status: &TaskStatus) -> Option<Standing> {
        match state {
            _ if state.is_live() => Some(Standing::Alive),
            TaskState::TaskUnreachable => Some(Standing::Away),
            // Of an agent or executor, it is beyond doubt.
            TaskState::TaskLost if is_of_agent(status) => None,
            TaskState::TaskLost if status.unreachable_time.is_some() => Some(Standing::Away),
            TaskState::TaskLost | TaskState::TaskUnknown => {
                let is_answer = status.reason() == Reason::Reconciliation;
                let is_asked_on_agent = is_answer && status.agent_id.is_some();
                let can_be_asked = self.agent_id.is_some();
                (can_be_asked && !is_asked_on_agent).then_some(Standing::Doubtful)
            }
            _ => None,
        }
    }
}

fn is_of_agent(status: &TaskStatus) -> bool {
    status.uuid.as_ref().is_some_and(|uuid| !uuid.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::TimeInfo;
    use crate::toolkit::testing;

    /// What is known after this, of a task whose agent was known or not.
    fn after(agent: Option<&str>, status: &TaskStatus) -> Seen {
        let mut seen = Seen {
            agent_id: agent.map(AgentId::from),
            ..Seen::default()
        };
        seen.take(status);
        seen
    }

    fn on_agent(state: TaskState) -> TaskStatus {
        TaskStatus {
            agent_id: Some("a".into()),
            ..testing::reconciled("t", state)
        }
    }

    #[test]
    fn what_an_executor_tells_is_beyond_doubt() {
        use TaskState::{TaskError, TaskFailed, TaskFinished, TaskKilled, TaskLost};
        let end = |state| after(None, &testing::status("t", "a", state)).end.unwrap();
        assert!(matches!(end(TaskKilled), KillEnd::Killed(_)));
        for state in [TaskFinished, TaskFailed, TaskError] {
            assert!(
                matches!(end(state), KillEnd::EndedOtherwise(_)),
                "{state:?}"
            );
        }
        assert!(matches!(end(TaskLost), KillEnd::Gone(_)));
    }

    #[test]
    fn a_master_that_was_not_asked_for_the_agent_is_not_believed() {
        use TaskState::{TaskLost, TaskUnknown};
        for state in [TaskUnknown, TaskLost] {
            let asked_without = testing::reconciled("t", state);
            assert_eq!(
                after(Some("a"), &asked_without).standing,
                Standing::Doubtful
            );
            // There is nothing better to ask.
            assert!(matches!(
                after(None, &asked_without).end,
                Some(KillEnd::Gone(_))
            ));
            assert!(matches!(
                after(Some("a"), &on_agent(state)).end,
                Some(KillEnd::Gone(_))
            ));
        }
        let disconnected = TaskStatus {
            reason: Some(Reason::AgentDisconnected as i32),
            ..on_agent(TaskLost)
        };
        assert_eq!(after(None, &disconnected).standing, Standing::Doubtful);
    }

    #[test]
    fn a_task_on_an_unreachable_agent_is_away_and_comes_back() {
        let unreachable = on_agent(TaskState::TaskUnreachable);
        let mut lost = on_agent(TaskState::TaskLost);
        lost.unreachable_time = Some(TimeInfo::default());
        for away in [unreachable, lost] {
            let mut seen = after(None, &away);
            assert_eq!((seen.standing, seen.end.clone()), (Standing::Away, None));
            assert_eq!(seen.agent_id, Some("a".into()));
            assert!(!seen.take(&away), "nothing new");
            assert!(seen.take(&on_agent(TaskState::TaskRunning)));
            assert_eq!(seen.standing, Standing::Alive);
        }
    }

    #[test]
    fn the_first_end_stands() {
        let mut seen = after(None, &testing::status("t", "a", TaskState::TaskFinished));
        let end = seen.end.clone();
        assert!(!seen.take(&on_agent(TaskState::TaskGone)));
        assert_eq!(seen.end, end);
    }

    #[test]
    fn a_live_task_is_where_it_says() {
        let seen = after(Some("guessed"), &on_agent(TaskState::TaskRunning));
        assert_eq!(seen.agent_id, Some("a".into()));
        let mut later = testing::status("t", "a", TaskState::TaskRunning);
        later.state = 99;
        assert_eq!(after(None, &later), Seen::default());
    }
}
