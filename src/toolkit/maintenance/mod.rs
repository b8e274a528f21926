//! Inverse offers: what a framework answers when it is asked to leave an agent.

mod builder;
mod work;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;

pub use builder::MaintenanceBuilder;

use super::Observer;
use super::worker::Worker;
use crate::error::Result;
use crate::proto::{FrameworkId, InverseOffer, OfferId};
use crate::scheduler::SchedulerHandle;
use builder::Settings;

/// What a framework says when it is asked to leave an agent before its maintenance. Advisory: the operator sees it, and
/// decides.
///
/// Source: `ACCEPT_INVERSE_OFFERS` and `DECLINE_INVERSE_OFFERS`, scheduler.proto; `docs/maintenance.md` of Apache Mesos
/// 1.11.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MaintenanceAnswer {
    /// The framework will have gone when the maintenance begins.
    Accept,
    /// The framework cannot leave in time.
    Decline,
    /// Nothing yet: the policy is asked again. To the operator, the framework has not answered.
    Wait,
}

/// Answers inverse offers, by a policy.
///
/// The policy is asked about each inverse offer, and says what to answer. As long as it says [`MaintenanceAnswer::Wait`],
/// it is asked again: every few seconds ([`MaintenanceBuilder::review`]) and whenever the author says so
/// ([`review`](Self::review)); until the inverse offer is taken back, or goes with its subscription. So a framework may drain
/// an agent first and accept then.
///
/// An answer ends the inverse offer, and the master makes another one, to which the policy is asked anew, when the time is
/// over for which the answer was given ([`MaintenanceBuilder::ask_again`]). Answers that the master has not taken are given
/// again.
///
/// The policy is called from a task of its own, one call at a time; it should answer at once. If it panics, the driver ends.
/// Cheap to clone; all clones are one, of one driver. It is told through [`Observed`](super::Observed). Its task ends with
/// the driver, or with the last clone.
///
/// # Examples
/// A framework that leaves agents in time: it launches nothing there any more, and accepts once its last task there has
/// ended.
/// ```no_run
/// use std::collections::BTreeMap;
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
///
/// use mesos_framework::proto::{AgentId, Filters, FrameworkInfo, Offer, TaskId, TaskState, TaskStatus};
/// use mesos_framework::toolkit::{Maintenance, MaintenanceAnswer, Observed};
/// use mesos_framework::{Scheduler, SchedulerDriver, SchedulerHandle, async_trait};
///
/// type Tasks = Arc<Mutex<BTreeMap<TaskId, AgentId>>>;
///
/// struct Worker {
///     tasks: Tasks,
///     maintenance: Maintenance,
/// }
///
/// #[async_trait]
/// impl Scheduler for Worker {
///     async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
///         // Tasks go where no maintenance is planned.
///         let (planned, free): (Vec<_>, Vec<_>) = offers.into_iter().partition(|offer| offer.unavailability.is_some());
///         let planned = planned.into_iter().map(|offer| offer.id).collect();
///         let _ = driver.decline_offers(planned, Filters::default()).await;
///         // … launch tasks on `free`, and write them down in `self.tasks`.
///     }
///
///     async fn status_update(&mut self, _: &SchedulerHandle, status: TaskStatus) {
///         if status.state() == TaskState::TaskFinished {
///             self.tasks.lock().expect("nobody panics").remove(&status.task_id);
///             self.maintenance.review();
///         }
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), mesos_framework::Error> {
/// let tasks = Tasks::default();
/// let running = Arc::clone(&tasks);
/// let maintenance = Maintenance::deciding(move |asked| {
///     let running = running.lock().expect("nobody panics");
///     let is_busy = running.values().any(|agent_id| Some(agent_id) == asked.agent_id.as_ref());
///     if is_busy { MaintenanceAnswer::Wait } else { MaintenanceAnswer::Accept }
/// });
/// let scheduler = Observed::new(Worker { tasks, maintenance: maintenance.clone() }).observer(maintenance);
/// let framework_info = FrameworkInfo::new("worker", ["*"]).failover(Duration::from_secs(60));
/// SchedulerDriver::builder(scheduler, framework_info, "10.0.0.5:5050").build()?.run().await?;
/// # Ok(())
/// # }
/// ```
///
/// Source: `INVERSE_OFFERS`, scheduler.proto; `docs/maintenance.md` of Apache Mesos 1.11.0.
#[derive(Clone, Debug)]
pub struct Maintenance {
    own: Arc<Own>,
}

#[derive(Debug)]
struct Own {
    shared: Arc<Shared>,
    worker: Worker,
}

/// What the worker needs.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    /// Those without an answer that the master has taken: at most one of each agent, as the master makes them.
    waiting: Mutex<BTreeMap<OfferId, InverseOffer>>,
    /// The policy is to be asked.
    wake: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<OfferId, InverseOffer>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Maintenance {
    /// Accepts always: for frameworks whose tasks may be killed at any time.
    #[must_use]
    pub fn accepting() -> Self {
        Self::deciding(|_| MaintenanceAnswer::Accept)
    }

    /// Declines always: for frameworks that cannot leave.
    #[must_use]
    pub fn declining() -> Self {
        Self::deciding(|_| MaintenanceAnswer::Decline)
    }

    /// Answers what `policy` says of each inverse offer: its agent (which may be missing), and from when to when it will
    /// not be available.
    #[must_use]
    pub fn deciding(
        policy: impl Fn(&InverseOffer) -> MaintenanceAnswer + Send + Sync + 'static,
    ) -> Self {
        Self::builder(policy).build()
    }

    /// The same, to be set up.
    pub fn builder(
        policy: impl Fn(&InverseOffer) -> MaintenanceAnswer + Send + Sync + 'static,
    ) -> MaintenanceBuilder {
        MaintenanceBuilder::new(Arc::new(policy))
    }

    fn with(settings: Settings) -> Self {
        let shared = Arc::new(Shared {
            settings,
            waiting: Mutex::default(),
            wake: Notify::new(),
        });
        let worker = Worker::default();
        Self {
            own: Arc::new(Own { shared, worker }),
        }
    }

    /// Has the policy asked about all that wait for an answer: something has changed.
    pub fn review(&self) {
        self.own.shared.wake.notify_one();
    }

    /// The inverse offers that wait for an answer: at most one of each agent; may be empty.
    #[must_use]
    pub fn waiting(&self) -> Vec<InverseOffer> {
        self.own.shared.lock().values().cloned().collect()
    }

    fn subscribed(&self, driver: &SchedulerHandle) {
        self.own.shared.lock().clear();
        self.start(driver);
    }

    fn start(&self, driver: &SchedulerHandle) {
        let shared = Arc::clone(&self.own.shared);
        let ended = Arc::clone(&shared);
        let work = || work::run(shared, driver.clone());
        let over = move || ended.lock().clear();
        self.own.worker.start(driver, work, over);
    }
}

#[async_trait]
impl Observer for Maintenance {
    async fn registered(&self, driver: &SchedulerHandle, _: &FrameworkId) -> Result<()> {
        self.subscribed(driver);
        Ok(())
    }

    async fn reregistered(&self, driver: &SchedulerHandle) -> Result<()> {
        self.subscribed(driver);
        Ok(())
    }

    async fn disconnected(&self, _: &SchedulerHandle) -> Result<()> {
        self.own.shared.lock().clear();
        Ok(())
    }

    async fn inverse_offers(
        &self,
        driver: &SchedulerHandle,
        inverse_offers: &[InverseOffer],
    ) -> Result<()> {
        let mut waiting = self.own.shared.lock();
        for new in inverse_offers {
            waiting.retain(|_, old| old.agent_id.is_none() || old.agent_id != new.agent_id);
            waiting.insert(new.id.clone(), new.clone());
        }
        drop(waiting);
        self.start(driver);
        self.review();
        Ok(())
    }

    async fn inverse_offer_rescinded(
        &self,
        _: &SchedulerHandle,
        inverse_offer_id: &OfferId,
    ) -> Result<()> {
        self.own.shared.lock().remove(inverse_offer_id);
        Ok(())
    }
}
