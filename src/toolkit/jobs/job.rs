//! How it stands with jobs.

use std::fmt;
use std::sync::Arc;

use crate::proto::TaskState;
use crate::toolkit::matching::PendingTask;

/// How many states there are.
const STATES: usize = 4;

/// What has become of a job; of its attempts, the greatest counts.
///
/// Source: `TaskState`, mesos.proto.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum JobState {
    /// It is to be launched: for the first time, or again.
    Waiting,
    /// It has failed, and is not tried again.
    Failed,
    /// An attempt at it is launched and may run, also on an agent that cannot be reached.
    Launched,
    /// An attempt at it has finished.
    Succeeded,
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Waiting => "Waiting",
            Self::Failed => "Failed",
            Self::Launched => "Launched",
            Self::Succeeded => "Succeeded",
        })
    }
}

/// A job, and how far it is.
///
/// Source: `TaskInfo` and `TaskState`, mesos.proto.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Job {
    /// As it was given, under the job's id.
    pub task: Arc<PendingTask>,
    /// What has become of it.
    pub state: JobState,
    /// How many attempts there were, one that may run among them.
    pub attempts: usize,
    /// How many of these have failed by themselves: `TASK_FAILED` or `TASK_ERROR`.
    pub failures: usize,
}

impl Job {
    pub(super) fn new(task: &Arc<PendingTask>) -> Self {
        Self {
            task: Arc::clone(task),
            state: JobState::Waiting,
            attempts: 0,
            failures: 0,
        }
    }

    /// There was an attempt, and this has become of it.
    pub(super) fn add(&mut self, number: usize, state: TaskState) {
        self.attempts = self.attempts.max(number.saturating_add(1));
        let failed = [TaskState::TaskFailed, TaskState::TaskError].contains(&state);
        self.failures += usize::from(failed);
        self.state = self.state.max(match state {
            TaskState::TaskFinished => JobState::Succeeded,
            TaskState::TaskUnreachable => JobState::Launched,
            state if state.is_live() => JobState::Launched,
            _ => JobState::Waiting,
        });
    }

    /// All attempts are added.
    pub(super) fn judge(&mut self, retries: usize) {
        if self.state == JobState::Waiting && self.failures > retries {
            self.state = JobState::Failed;
        }
    }
}

/// How many jobs there are in which state. Each counts once.
///
/// `Display` says it in one line: `2 of 5 succeeded, 1 failed, 2 running`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    by_state: [usize; STATES],
}

impl JobCounts {
    /// Those in this state.
    #[must_use]
    pub fn of(&self, state: JobState) -> usize {
        self.by_state[state as usize]
    }

    /// Those that have succeeded, or failed for good.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.of(JobState::Succeeded) + self.of(JobState::Failed)
    }

    /// All.
    #[must_use]
    pub fn total(&self) -> usize {
        self.by_state.iter().sum()
    }

    /// Whether all have [`ended`](Self::ended): nothing is left to do.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.ended() == self.total()
    }
}

impl FromIterator<JobState> for JobCounts {
    fn from_iter<I: IntoIterator<Item = JobState>>(states: I) -> Self {
        let mut counts = Self::default();
        for state in states {
            counts.by_state[state as usize] += 1;
        }
        counts
    }
}

impl fmt::Display for JobCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let states = [JobState::Succeeded, JobState::Failed, JobState::Launched];
        let ([succeeded, failed, launched], total) = (states.map(|own| self.of(own)), self.total());
        write!(
            f,
            "{succeeded} of {total} succeeded, {failed} failed, {launched} running"
        )
    }
}
