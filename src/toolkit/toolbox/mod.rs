//! The tools that most schedulers want, put together.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::try_join_all;

use super::matching::{Matcher, PendingTask, Placements};
use super::{
    Demand, Jobs, KillEnd, LaunchReceipt, Observed, OfferLedger, Reconciler, TaskKiller,
    TaskTracker,
};
use crate::error::{Error, ErrorKind, Result};
use crate::proto::{AgentId, OfferId, TaskId, TaskInfo, offer};
use crate::scheduler::{Scheduler, SchedulerHandle};

/// Tracker, reconciler, killer, ledger and demand of one framework, put together: what most schedulers begin with.
///
/// It adds only what concerns several of them: launches that are stored by the tracker and use up offers of the ledger
/// ([`launch`](Self::launch), [`accept`](Self::accept)), whole rounds of matching ([`place`](Self::place), and
/// [`place_jobs`](Self::place_jobs) for tasks that are tried until they end well), and an end for everything that runs
/// ([`kill_all`](Self::kill_all)). Everything else is done with the tools themselves, which are its fields; each may be
/// replaced by one with other settings before the driver starts. Clones share the tools.
///
/// # Examples
/// A framework that runs three tasks and ends; with a store for the tracker, it would go on where it was when it is
/// started again:
/// ```
/// use std::time::Duration;
///
/// use mesos_framework::proto::{CommandInfo, FrameworkInfo, Offer, TaskInfo, TaskState, TaskStatus};
/// use mesos_framework::resources::Request;
/// use mesos_framework::toolkit::matching::{Matcher, Needs, PendingTask};
/// use mesos_framework::toolkit::{TaskTracker, Toolbox};
/// use mesos_framework::{Scheduler, SchedulerDriver, SchedulerHandle, async_trait};
///
/// struct Three {
///     tools: Toolbox,
/// }
///
/// impl Three {
///     async fn launch(&self, driver: &SchedulerHandle) {
///         let needs = Needs::new(Request::new().cpus(0.1).mem(32.0));
///         let is_new = |id: &String| self.tools.tracker.get(&id.as_str().into()).is_none();
///         let ids = (1..=3).map(|number| format!("task-{number}")).filter(is_new);
///         let tasks = ids.map(|id| {
///             let task = TaskInfo::new(id, "", []).command(CommandInfo::in_shell("true"));
///             PendingTask::new(task, needs.clone())
///         });
///         let tasks: Vec<_> = tasks.collect();
///         if let Err(error) = self.tools.place(driver, "*", &Matcher::first_fit(), &tasks).await {
///             println!("{error}");
///         }
///     }
/// }
///
/// #[async_trait]
/// impl Scheduler for Three {
///     async fn resource_offers(&mut self, driver: &SchedulerHandle, _: Vec<Offer>) {
///         self.launch(driver).await;
///     }
///
///     async fn status_update(&mut self, driver: &SchedulerHandle, _: TaskStatus) {
///         self.launch(driver).await;
///         if self.tools.tracker.counts().of(TaskState::TaskFinished) == 3 {
///             driver.stop();
///         }
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), mesos_framework::Error> {
/// let tools = Toolbox::new(TaskTracker::new());
/// tools.demand.wants("*");
/// let scheduler = tools.observe(Three { tools: tools.clone() });
/// let framework_info = FrameworkInfo::new("three", ["*"]).failover(Duration::from_secs(60));
/// SchedulerDriver::builder(scheduler, framework_info, "local").build()?.run().await?;
/// # Ok(())
/// # }
/// ```
///
/// Source: `docs/app-framework-development-guide.md` of Apache Mesos 1.11.0, which leaves all this to frameworks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Toolbox {
    /// Follows the tasks.
    pub tracker: TaskTracker,
    /// Asks for the tasks of the tracker.
    pub reconciler: Reconciler,
    /// Kills.
    pub killer: TaskKiller,
    /// Knows the live offers.
    pub ledger: OfferLedger,
    /// Asks for offers, and declines those of the ledger that nobody wants.
    pub demand: Demand,
    /// Whether everything is being killed.
    is_closed: Arc<AtomicBool>,
}

impl Toolbox {
    /// The tools around `tracker`, with their defaults.
    #[must_use]
    pub fn new(tracker: TaskTracker) -> Self {
        let ledger = OfferLedger::new();
        Self {
            reconciler: Reconciler::new(tracker.clone()),
            killer: TaskKiller::new(),
            demand: Demand::builder().ledger(&ledger).build(),
            ledger,
            tracker,
            is_closed: Arc::default(),
        }
    }

    /// Has all of them told before `scheduler`, in the order in which they need one another.
    #[must_use]
    pub fn observe<S: Scheduler>(&self, scheduler: S) -> Observed<S> {
        Observed::new(scheduler)
            .observer(self.tracker.clone())
            .observer(self.reconciler.clone())
            .observer(self.killer.clone())
            .observer(self.ledger.clone())
            .observer(self.demand.clone())
    }

    /// Stores `tasks` in the tracker, and queues their launch on offers of the ledger, as
    /// [`TaskTracker::launch`] and [`OfferLedger::launch`] in one. What they leave is declined with
    /// [`Demand::refusal`].
    ///
    /// # Errors
    /// Those of both; [`ErrorKind::NotRunning`] after [`kill_all`](Self::kill_all). Nothing is sent then, and nothing
    /// tracked.
    ///
    /// # Cancel safety
    /// Dropped before it completes, the launch goes its way all the same.
    ///
    /// Source: `Call.Accept` with `LAUNCH`, scheduler.proto.
    pub async fn launch(
        &self,
        driver: &SchedulerHandle,
        offer_ids: Vec<OfferId>,
        tasks: Vec<TaskInfo>,
    ) -> Result<LaunchReceipt> {
        let launch = (!tasks.is_empty()).then(|| offer::Operation::launch(tasks));
        self.accept(driver, offer_ids, launch.into_iter().collect())
            .await
    }

    /// The same of operations, as [`TaskTracker::accept_offers`] and [`OfferLedger::accept`] in one: for task groups, and
    /// for what comes before a launch.
    ///
    /// # Errors
    /// Those of both; [`ErrorKind::NotRunning`] after [`kill_all`](Self::kill_all). Nothing is sent then, and nothing
    /// tracked.
    ///
    /// # Cancel safety
    /// Dropped before it completes, the call goes its way all the same.
    ///
    /// Source: `Call.Accept`, scheduler.proto.
    pub async fn accept(
        &self,
        driver: &SchedulerHandle,
        offer_ids: Vec<OfferId>,
        operations: Vec<offer::Operation>,
    ) -> Result<LaunchReceipt> {
        if self.is_closed() {
            let context = "nothing is launched any more: all tasks are being killed";
            return Err(Error::new(ErrorKind::NotRunning, context));
        }
        let call = (offer_ids, operations, self.demand.refusal());
        self.tracker
            .accept_offers_of(&self.ledger, driver, call)
            .await
    }

    /// Launches those of `tasks`, all of which are for `role`, that have a place on live offers of it; declines the offers
    /// that are of no use, and wants more of them if tasks are left, and none if not.
    ///
    /// To be called whenever that may have changed, which is in [`Scheduler::resource_offers`] and
    /// [`Scheduler::status_update`]. `tasks`: all that wait; may be empty.
    ///
    /// The answer's [`launches`](Placements::launches) are those that are queued: an offer that turns out to be gone is left
    /// out, and its tasks wait on. A launch that the master does not take makes the role wanted again. After
    /// [`kill_all`](Self::kill_all), nothing has a place, and nothing is wanted.
    ///
    /// # Errors
    /// As [`launch`](Self::launch), but for stale offers: not all of `tasks` were tried then.
    ///
    /// # Cancel safety
    /// Dropped before it completes, some of `tasks` may be launched: the tracker knows them.
    ///
    /// Source: `Call.Accept`, `Call.Decline`, `Call.Revive` and `Call.Suppress`, scheduler.proto.
    pub async fn place(
        &self,
        driver: &SchedulerHandle,
        role: &str,
        matcher: &Matcher,
        tasks: &[PendingTask],
    ) -> Result<Placements> {
        let is_closed = self.is_closed();
        let live = self.ledger.offers().into_iter();
        let of_role = live.filter(|own| own.role.as_deref().is_none_or(|own| own == role));
        let offers = of_role.flat_map(|own| own.offers);
        let offers: Vec<_> = offers.filter(|_| !is_closed).collect();
        let mut placements = matcher.place(tasks, &offers);
        let mut is_enough = is_closed || placements.refused.is_empty();
        for launch in std::mem::take(&mut placements.launches) {
            let (offer_ids, tasks) = (launch.offer_ids.clone(), launch.tasks.clone());
            match self.launch(driver, offer_ids, tasks).await {
                Ok(receipt) => {
                    self.heed(role, receipt);
                    placements.launches.push(launch);
                }
                Err(error) if error.kind() == ErrorKind::StaleOffer => is_enough = false,
                Err(error) => return Err(error),
            }
        }
        match is_enough {
            // Which declines what is not used.
            true => self.demand.has_enough(role),
            false => {
                self.demand.wants(role);
                let unused = placements.unused.clone();
                match self.demand.decline(driver, unused).await {
                    // Without a subscription, there are no offers either.
                    Err(error) if !error.is_disconnected() => return Err(error),
                    Ok(_) | Err(_) => {}
                }
            }
        }
        Ok(placements)
    }

    /// Launches those of `jobs` whose turn it is and that have a place, as [`place`](Self::place) does; and has attempts
    /// killed that run for nothing ([`Jobs::surplus`]).
    ///
    /// `jobs`: of the toolbox's own tracker, all of them for `role`. To be called where `place` is, and not twice at once:
    /// both would launch the same attempts, and the tracker refuses the second. Nobody waits for the kills; those that were
    /// not over when the process ended begin anew with the first call in the next one.
    ///
    /// # Errors
    /// As [`place`](Self::place).
    ///
    /// # Cancel safety
    /// As [`place`](Self::place).
    ///
    /// Source: `Call.Accept`, `Call.Decline`, `Call.Revive`, `Call.Suppress` and `Call.Kill`, scheduler.proto.
    pub async fn place_jobs(
        &self,
        driver: &SchedulerHandle,
        role: &str,
        matcher: &Matcher,
        jobs: &Jobs,
    ) -> Result<Placements> {
        let (surplus, waiting) = jobs.due();
        for (task_id, agent_id) in surplus {
            if !self.killer.is_killing(&task_id) {
                tokio::spawn(kill(self.killer.clone(), task_id, agent_id));
            }
        }
        self.place(driver, role, matcher, &waiting).await
    }

    /// Nobody tells a scheduler of a launch that was refused.
    fn heed(&self, role: &str, receipt: LaunchReceipt) {
        let (demand, role) = (self.demand.clone(), role.to_owned());
        tokio::spawn(async move {
            if !receipt.outcome().await.is_accepted() {
                demand.wants(&role);
            }
        });
    }

    /// Kills all tasks that have not ended, and tells how each has ended. From now on, nothing is launched.
    ///
    /// A task on an agent that cannot be reached is waited for.
    ///
    /// # Errors
    /// As [`TaskKiller::kill`].
    ///
    /// # Cancel safety
    /// Dropped before it completes, no further call is sent. What was sent may still kill tasks.
    pub async fn kill_all(&self) -> Result<BTreeMap<TaskId, KillEnd>> {
        self.is_closed.store(true, Ordering::Relaxed);
        let mut ends = BTreeMap::new();
        // A launch may have been on its way.
        loop {
            let unsettled = self.tracker.unsettled().into_iter();
            let alive = unsettled.filter(|(task_id, _)| !ends.contains_key(task_id));
            let kills = alive.map(|(task_id, agent_id)| async move {
                let end = self.killer.kill(task_id.clone(), agent_id).await;
                end.map(|end| (task_id, end))
            });
            let killed = try_join_all(kills).await?;
            if killed.is_empty() {
                return Ok(ends);
            }
            ends.extend(killed);
        }
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }
}

/// Kills a task for which nobody waits.
async fn kill(killer: TaskKiller, task_id: TaskId, agent_id: Option<AgentId>) {
    if let Err(error) = killer.kill(task_id.clone(), agent_id).await {
        tracing::debug!(%task_id, %error, "surplus attempt was not killed");
    }
}
