//! Tasks that are tried until they end well.

mod job;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

pub use job::{Job, JobCounts, JobState};

use super::matching::{Needs, PendingTask};
use super::{TaskTracker, TrackedTask};
use crate::error::{Error, ErrorKind, Result};
use crate::proto::{AgentId, TaskId};

/// How often a job that fails is tried again if the user does not say.
const RETRIES: usize = 2;

/// For how many jobs that need the same a place is looked for at a time.
const AT_A_TIME: usize = 1_000;

/// Work that each shall end well once, and is tried again until it does: what batches are made of.
///
/// A job is a task under an id of the job's. Each attempt at it is a task of its own, whose id is the job's, a hyphen and
/// the number of the attempt: `build-0`, then `build-1`. Nothing is kept here. How it stands with jobs is read off the
/// [`TaskTracker`] every time, so a framework whose tracker has a store goes on where it was when it is started again with
/// the same jobs.
///
/// - While an attempt may run, there is no other: also not while its agent cannot be reached.
/// - A job has succeeded once an attempt has finished (`TASK_FINISHED`).
/// - An attempt that fails by itself (`TASK_FAILED`, `TASK_ERROR`) is followed by at most [`retries`](Self::retries) others.
///   What ends otherwise (killed, dropped, gone with its agent, lost) does not count as a failure, and is tried again.
/// - An attempt that was taken for lost may come back when another has taken its place, and is then [`surplus`](Self::surplus).
///
/// [`Toolbox::place_jobs`](super::Toolbox::place_jobs) launches what waits and kills what is surplus. The tracker must retain
/// the ends of the attempts ([`retained_tasks`](super::TaskTrackerBuilder::retained_tasks)), or what it has forgotten runs
/// again. Each look goes through all of its tasks: made for thousands of jobs, not for millions.
///
/// Clones share the jobs.
///
/// # Examples
/// The example `batch` is a whole program.
/// ```
/// use mesos_framework::proto::{CommandInfo, TaskInfo, TaskState};
/// use mesos_framework::resources::Request;
/// use mesos_framework::toolkit::matching::{Needs, PendingTask};
/// use mesos_framework::toolkit::testing::{RecordedDriver, status};
/// use mesos_framework::toolkit::{Jobs, Observer, TaskTracker};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let needs = Needs::new(Request::new().cpus(1.0).mem(64.0));
/// let build = TaskInfo::new("build", "", []).command(CommandInfo::in_shell("make"));
/// let tracker = TaskTracker::new();
/// let jobs = Jobs::new(&tracker, [PendingTask::new(build, needs)])?.retries(1);
/// assert_eq!(jobs.waiting()[0].info.task_id.value, "build-0");
///
/// let driver = RecordedDriver::new();
/// for (id, state) in [
///     ("build-0", TaskState::TaskRunning),
///     ("build-0", TaskState::TaskFailed),
///     ("build-1", TaskState::TaskRunning),
/// ] {
///     tracker.status_update(&driver.handle(), &status(id, "agent", state)).await?;
/// }
/// assert!(jobs.waiting().is_empty());
/// assert_eq!(jobs.counts().to_string(), "0 of 1 succeeded, 0 failed, 1 running");
/// # Ok::<(), mesos_framework::Error>(())
/// # }).unwrap();
/// ```
///
/// Source: `docs/app-framework-development-guide.md` of Apache Mesos 1.11.0, which leaves it to frameworks to try again.
#[derive(Clone, Debug)]
pub struct Jobs {
    tracker: TaskTracker,
    list: Arc<List>,
    retries: usize,
    at_once: usize,
}

/// What clones share.
#[derive(Debug, Default)]
struct List {
    jobs: Vec<Arc<PendingTask>>,
    /// Of each job, the number of its needs: the same for those that need the same.
    needs: Vec<usize>,
    /// Where each job is, by its id.
    places: HashMap<String, usize>,
}

impl Jobs {
    /// Jobs, each a task under the id of the job, whose attempts `tracker` follows. They are launched in this order; there may
    /// be none.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if two have the same id.
    pub fn new(tracker: &TaskTracker, jobs: impl IntoIterator<Item = PendingTask>) -> Result<Self> {
        let (mut list, mut sorts) = (List::default(), Vec::<Needs>::new());
        for job in jobs {
            let id = job.info.task_id.value.clone();
            if let Some(_other) = list.places.insert(id, list.jobs.len()) {
                let context = format!("job {} cannot be given twice", job.info.task_id);
                return Err(Error::new(ErrorKind::Config, context));
            }
            let sort = sorts.iter().position(|own| *own == job.needs);
            list.needs.push(sort.unwrap_or(sorts.len()));
            if sort.is_none() {
                sorts.push(job.needs.clone());
            }
            list.jobs.push(Arc::new(job));
        }
        Ok(Self {
            tracker: tracker.clone(),
            list: Arc::new(list),
            retries: RETRIES,
            at_once: usize::MAX,
        })
    }

    /// How often a job that fails is tried again; default 2.
    #[must_use]
    pub fn retries(mut self, retries: usize) -> Self {
        self.retries = retries;
        self
    }

    /// How many run at a time at most; default: as many as find a place. A job whose turn it is counts while it waits for
    /// its place.
    #[must_use]
    pub fn at_once(mut self, jobs: usize) -> Self {
        self.at_once = jobs;
        self
    }

    /// How far each job is, in the order in which they were given.
    #[must_use]
    pub fn progress(&self) -> Vec<Job> {
        self.look().jobs
    }

    /// How many jobs there are in which state.
    #[must_use]
    pub fn counts(&self) -> JobCounts {
        let jobs = self.progress().into_iter();
        jobs.map(|job| job.state).collect()
    }

    /// The next attempts at the jobs whose turn it is, to be placed, and launched through the tracker.
    ///
    /// In the order of the jobs; of those that need the same, 1,000 at most, for more do not find a place at a time.
    #[must_use]
    pub fn waiting(&self) -> Vec<PendingTask> {
        self.waiting_of(&self.look())
    }

    /// The attempts that run for nothing, each with its agent: another one has succeeded, or has taken its place.
    #[must_use]
    pub fn surplus(&self) -> Vec<(TaskId, Option<AgentId>)> {
        self.look().surplus()
    }

    /// What is [`surplus`](Self::surplus), and what is [`waiting`](Self::waiting), in one look.
    pub(super) fn due(&self) -> (Vec<(TaskId, Option<AgentId>)>, Vec<PendingTask>) {
        let look = self.look();
        (look.surplus(), self.waiting_of(&look))
    }

    fn look(&self) -> Look {
        let jobs = self.list.jobs.iter().map(Job::new).collect();
        let mut look = Look {
            jobs,
            live: Vec::new(),
        };
        self.tracker.inspect(|tasks| {
            for task in tasks.iter() {
                if let Some((at, number)) = self.attempt(&task.task_id) {
                    look.add(task, at, number);
                }
            }
        });
        for job in &mut look.jobs {
            job.judge(self.retries);
        }
        look
    }

    fn waiting_of(&self, look: &Look) -> Vec<PendingTask> {
        let launched = look.jobs.iter().map(|job| job.state);
        let launched = launched.filter(|state| *state == JobState::Launched);
        let room = self.at_once.saturating_sub(launched.count());
        let mut alike = vec![0; look.jobs.len()];
        let of_all = look.jobs.iter().zip(&self.list.needs);
        let waiting = of_all.filter(|(job, _)| job.state == JobState::Waiting);
        let waiting = waiting.filter(|(_, needs)| {
            alike[**needs] += 1;
            alike[**needs] <= AT_A_TIME
        });
        let next = waiting.take(room).map(|(job, _)| {
            let mut task = PendingTask::clone(&job.task);
            task.info.task_id = format!("{}-{}", task.info.task_id, job.attempts).into();
            task
        });
        next.collect()
    }

    /// The job at which the task is an attempt, as it was given.
    #[must_use]
    pub fn job_of(&self, task_id: &TaskId) -> Option<&PendingTask> {
        let (at, _) = self.attempt(task_id)?;
        Some(&*self.list.jobs[at])
    }

    /// Checks that all tasks of the tracker are attempts at these jobs, and named like them. For frameworks without other
    /// tasks that read their jobs anew when they are started again: these are the jobs of the last time, but for new ones.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], which names a task that is no such attempt.
    pub fn check(&self) -> Result<()> {
        let is_other = |task: &&TrackedTask| {
            let job = self.job_of(&task.task_id);
            job.is_none_or(|job| job.info.name != task.name)
        };
        let other = self
            .tracker
            .inspect(|tasks| tasks.iter().find(is_other).cloned());
        let Some(TrackedTask { task_id, name, .. }) = other else {
            return Ok(());
        };
        let context = format!(
            "these are not the jobs of the last time: task {task_id}, named {name:?}, is of none of them"
        );
        Err(Error::new(ErrorKind::Config, context))
    }

    /// Where the job is, and which attempt it is.
    fn attempt(&self, task_id: &TaskId) -> Option<(usize, usize)> {
        let (job, number) = task_id.value.rsplit_once('-')?;
        let at = self.list.places.get(job)?;
        Some((*at, number.parse().ok()?))
    }
}

/// How it stands with jobs at one time.
struct Look {
    jobs: Vec<Job>,
    live: Vec<Attempt>,
}

/// An attempt that is at work.
struct Attempt {
    /// Where its job is.
    at: usize,
    number: usize,
    task: (TaskId, Option<AgentId>),
}

impl Look {
    fn add(&mut self, task: &TrackedTask, at: usize, number: usize) {
        self.jobs[at].add(number, task.state);
        if task.state.is_live() {
            let task = (task.task_id.clone(), task.agent_id.clone());
            self.live.push(Attempt { at, number, task });
        }
    }

    fn surplus(&self) -> Vec<(TaskId, Option<AgentId>)> {
        let is_surplus = |own: &&Attempt| {
            let job = &self.jobs[own.at];
            job.state == JobState::Succeeded || own.number.saturating_add(1) < job.attempts
        };
        let surplus = self.live.iter().filter(is_surplus);
        surplus.map(|own| own.task.clone()).collect()
    }
}
