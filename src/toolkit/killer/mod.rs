//! Kills that are repeated until the task has ended.

mod attempt;
mod builder;
mod outcome;
mod seen;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::{Semaphore, watch};

pub use builder::TaskKillerBuilder;
pub use outcome::KillEnd;
use seen::Seen;

use super::Observer;
use crate::error::Result;
use crate::proto::{AgentId, FrameworkId, TaskId, TaskStatus};
use crate::scheduler::SchedulerHandle;

/// Kills tasks, and tells how each has ended.
///
/// A single KILL is best effort: it is lost with its connection, with a master that dies, or with an agent that is away. A
/// [`kill`](Self::kill) here is repeated, after growing waits and at every new subscription, until the task is told to have
/// ended, or the master knows of no such task.
///
/// - KILL is sent without an agent, for a master drops it silently if that is not the task's.
/// - A master that does not know the task answers KILL like a question without an agent, and then cannot tell a task on an
///   unreachable agent from one that is not there. So its answer is believed only when it was asked for the task *on its
///   agent*, as given to `kill` or known from a status.
/// - A task on an unreachable agent is waited for: it may run. It is killed when it is back; until then, it is only asked for.
/// - The first calls leave the task its own grace period ([`grace_period`](TaskKillerBuilder::grace_period)); when that does
///   not help for 5 minutes ([`escalate_after`](TaskKillerBuilder::escalate_after)), further ones give it none.
///
/// It is an [`Observer`], and needs to be told of subscriptions and statuses. Nothing runs in the background: a kill goes on as
/// long as its future is polled. At most 64 calls are on their way at a time, however many tasks are to be killed. Clones share
/// everything.
///
/// # Examples
/// ```no_run
/// use mesos_framework::toolkit::{KillEnd, Observed, TaskKiller};
/// use mesos_framework::{Scheduler, SchedulerDriver};
///
/// # async fn run(my_scheduler: impl Scheduler) -> mesos_framework::Result<()> {
/// let killer = TaskKiller::new();
/// let scheduler = Observed::new(my_scheduler).observer(killer.clone());
/// let mut driver = SchedulerDriver::builder(scheduler, Default::default(), "127.0.0.1:5050").build()?;
/// driver.start()?;
///
/// match killer.kill("task-1".into(), Some("agent-1".into())).await? {
///     KillEnd::Killed(_) => println!("killed"),
///     KillEnd::EndedOtherwise(status) => println!("it was faster: {:?}", status.state()),
///     KillEnd::Gone(status) => println!("there is no such task: {:?}", status.state()),
///     _ => {}
/// }
/// # Ok(())
/// # }
/// ```
///
/// Source: `Master::kill`, `src/master/master.cpp`, and `docs/high-availability-framework-guide.md`, Apache Mesos 1.11.0.
#[derive(Clone)]
pub struct TaskKiller {
    shared: Arc<Shared>,
}

/// What clones share.
struct Shared {
    settings: builder::Settings,
    /// One for each call on its way.
    calls: Semaphore,
    link: watch::Sender<Link>,
    targets: Mutex<BTreeMap<TaskId, Target>>,
}

/// The driver, and its subscription.
#[derive(Clone, Debug, Default)]
struct Link {
    /// None before the first subscription.
    driver: Option<SchedulerHandle>,
    is_up: bool,
    /// Counts subscriptions and their losses.
    number: u64,
}

/// A task that is to be killed.
struct Target {
    /// How many wait for its end.
    waiting: usize,
    seen: watch::Sender<Seen>,
    /// Held by the one of them that sends calls.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl fmt::Debug for TaskKiller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskKiller")
            .field("settings", &self.shared.settings)
            .field("tasks", &self.len())
            .finish_non_exhaustive()
    }
}

impl Default for TaskKiller {
    fn default() -> Self {
        Self::new()
    }
}

impl TaskKiller {
    /// A killer with the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Begins a killer with settings.
    pub fn builder() -> TaskKillerBuilder {
        TaskKillerBuilder::default()
    }

    /// Kills a task whose launch has been queued, and waits for its end.
    ///
    /// `agent_id`: the task's; without it, and without a status of the task that tells it meanwhile, a task on an unreachable
    /// agent is taken for gone. It waits for the first subscription, and through all losses of it; there is no limit to the
    /// time that it takes. Of several kills of one task, one sends the calls, and all tell the end.
    ///
    /// # Errors
    /// [`ErrorKind::NotRunning`](crate::ErrorKind::NotRunning) when the driver has ended;
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) if the master refuses the call.
    ///
    /// # Cancel safety
    /// Dropped before it completes, no further call is sent. What was sent may still kill the task.
    pub async fn kill(&self, task_id: TaskId, agent_id: Option<AgentId>) -> Result<KillEnd> {
        let target = self.shared.aim(&task_id, agent_id);
        target.kill().await
    }

    /// Whether somebody waits for this task to be killed.
    #[must_use]
    pub fn is_killing(&self, task_id: &TaskId) -> bool {
        self.shared.targets().contains_key(task_id)
    }

    /// How many tasks are being killed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.targets().len()
    }

    /// Whether no task is being killed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn linked(&self, driver: &SchedulerHandle, is_up: bool) {
        self.shared.link.send_modify(|link| {
            link.driver = Some(driver.clone());
            link.is_up = is_up;
            link.number += 1;
        });
    }
}

impl Shared {
    fn targets(&self) -> MutexGuard<'_, BTreeMap<TaskId, Target>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Observer for TaskKiller {
    async fn registered(&self, driver: &SchedulerHandle, _: &FrameworkId) -> Result<()> {
        self.linked(driver, true);
        Ok(())
    }

    async fn reregistered(&self, driver: &SchedulerHandle) -> Result<()> {
        self.linked(driver, true);
        Ok(())
    }

    async fn disconnected(&self, driver: &SchedulerHandle) -> Result<()> {
        self.linked(driver, false);
        Ok(())
    }

    async fn status_update(&self, _: &SchedulerHandle, status: &TaskStatus) -> Result<()> {
        if let Some(target) = self.shared.targets().get(&status.task_id) {
            target.seen.send_if_modified(|seen| seen.take(status));
        }
        Ok(())
    }
}
