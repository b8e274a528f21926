//! Offers for those roles only for which there is work.

mod bucket;
mod builder;
mod wishes;
mod work;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;

pub use builder::DemandBuilder;

use super::Observer;
use super::worker::Worker;
use crate::driver::Receipt;
use crate::error::Result;
use crate::proto::{Filters, FrameworkId, Offer, OfferId};
use crate::scheduler::SchedulerHandle;
use bucket::Bucket;
use builder::Settings;
use wishes::Wishes;

/// Asks for offers when there is work, and for none when there is not.
///
/// The author says for which roles there is work ([`wants`](Self::wants)) and for which there is none any more
/// ([`has_enough`](Self::has_enough)); roles are independent of each other, and without a word there is no work. All other
/// roles of the framework are suppressed, so that an idle framework costs neither the master nor other frameworks anything.
///
/// - REVIVE is sent only when a suppressed role gets work, or on [`wants_anew`](Self::wants_anew); never for a role that
///   is wanted already. A token bucket bounds how often ([`DemandBuilder::revives`]); what is wanted meanwhile goes with
///   the next one. So whatever the author does, there is no REVIVE loop.
/// - Suppression outlives subscriptions, masters and [`update_framework`](SchedulerHandle::update_framework): the demand
///   holds what it wants against what the driver will say with the next SUBSCRIBE. It never names a role that the framework
///   does not have, for the master would drop the whole call silently.
/// - Calls that the master has not taken are repeated.
/// - Nothing is hoarded. With a ledger ([`DemandBuilder::ledger`]), offers of roles without work are declined out of it at
///   once: those that were on their way, and those that were held when there was work. Without one, offers are the
///   scheduler's to use or to [`decline`](Self::decline).
/// - What is declined stays away for a time with jitter ([`DemandBuilder::refuse`]), so that it does not all come back in
///   one allocation.
///
/// A framework that begins idle is best built with all its roles as
/// [`suppressed_roles`](crate::SchedulerDriverBuilder::suppressed_roles), or it gets offers first.
///
/// Cheap to clone; all clones are one demand, of one driver. It is told through [`Observed`](super::Observed). A task of
/// its own makes the calls; it ends with the driver, or with the last clone.
///
/// # Examples
/// A framework that runs three tasks, one after the other, and is idle in between:
/// ```
/// use std::time::Duration;
///
/// use mesos_framework::proto::{CommandInfo, FrameworkInfo, Offer, TaskInfo, TaskState, TaskStatus};
/// use mesos_framework::resources::Resources;
/// use mesos_framework::toolkit::{Demand, Observed, OfferLedger};
/// use mesos_framework::{Scheduler, SchedulerDriver, SchedulerHandle, async_trait};
///
/// struct OneByOne {
///     ledger: OfferLedger,
///     demand: Demand,
///     launched: usize,
/// }
///
/// impl OneByOne {
///     async fn launch_one(&mut self, driver: &SchedulerHandle) {
///         let wanted = Resources::parse("cpus:0.1;mem:32").expect("it is well formed");
///         for agent in self.ledger.offers() {
///             if !self.demand.is_wanted("*") || !agent.resources.unallocated().contains(&wanted) {
///                 continue; // What nobody wants is declined by the demand.
///             }
///             let task = TaskInfo::new(self.launched.to_string(), agent.agent_id.clone(), wanted.to_protos())
///                 .command(CommandInfo::in_shell("true"));
///             let filters = self.demand.refusal();
///             match self.ledger.launch(driver, agent.offer_ids(), vec![task], filters).await {
///                 Ok(_) => {
///                     self.launched += 1;
///                     self.demand.has_enough("*");
///                 }
///                 Err(error) => println!("{error}"),
///             }
///         }
///     }
/// }
///
/// #[async_trait]
/// impl Scheduler for OneByOne {
///     async fn resource_offers(&mut self, driver: &SchedulerHandle, _: Vec<Offer>) {
///         self.launch_one(driver).await;
///     }
///
///     async fn status_update(&mut self, driver: &SchedulerHandle, status: TaskStatus) {
///         match status.state() {
///             TaskState::TaskFinished if self.launched == 3 => drop(driver.stop()),
///             TaskState::TaskFinished => {
///                 self.demand.wants("*");
///                 // Offers that are live already do not come again.
///                 self.launch_one(driver).await;
///             }
///             _ => {}
///         }
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), mesos_framework::Error> {
/// let ledger = OfferLedger::new();
/// let demand = Demand::builder().ledger(&ledger).build();
/// demand.wants("*");
/// let one_by_one = OneByOne { ledger: ledger.clone(), demand: demand.clone(), launched: 0 };
/// let scheduler = Observed::new(one_by_one).observer(ledger).observer(demand);
/// let framework_info = FrameworkInfo::new("one by one", ["*"]).failover(Duration::from_secs(60));
/// SchedulerDriver::builder(scheduler, framework_info, "local").build()?.run().await?;
/// # Ok(())
/// # }
/// ```
///
/// Source: `SchedulerDriver.reviveOffers` and `suppressOffers`, Java API; `docs/scheduler-http-api.md` of Apache Mesos
/// 1.11.0.
#[derive(Clone, Debug)]
pub struct Demand {
    own: Arc<Own>,
}

#[derive(Debug)]
struct Own {
    shared: Arc<Shared>,
    worker: Worker,
}

/// What the worker needs of the demand.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    wishes: Mutex<Wishes>,
    /// There may be something to do.
    wake: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Demand {
    /// No demand at all, with the default settings and without a ledger.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// No demand at all, to be set up.
    pub fn builder() -> DemandBuilder {
        DemandBuilder::default()
    }

    fn with(settings: Settings) -> Self {
        let bucket = Bucket::new(settings.burst, settings.interval);
        let shared = Arc::new(Shared {
            settings,
            wishes: Mutex::new(Wishes::new(bucket)),
            wake: Notify::new(),
        });
        let worker = Worker::default();
        Self {
            own: Arc::new(Own { shared, worker }),
        }
    }

    /// There is work for `role`: offers of it are wanted, until it [`has_enough`](Self::has_enough).
    ///
    /// Offers of it that are live in the ledger already stay there, and no callback tells of them: look at it, too.
    ///
    /// May be said before the driver starts, and as often as one likes: what is wanted already changes nothing. A role that
    /// the framework does not have (yet) is kept in mind.
    pub fn wants(&self, role: &str) {
        self.change(|wishes| wishes.want(role));
    }

    /// There is work for `role` of another kind than that for which offers were declined: offers of it are wanted, and
    /// what was declined shall be offered again at once.
    ///
    /// Costs the master an allocation, hence at most as often as [`DemandBuilder::revives`] says; several between two of
    /// them are one.
    pub fn wants_anew(&self, role: &str) {
        self.change(|wishes| wishes.want_anew(role));
    }

    /// There is no work for `role` any more: no offers of it are wanted.
    ///
    /// With a ledger, those in it are declined. Some that are on their way may still come.
    pub fn has_enough(&self, role: &str) {
        self.change(|wishes| wishes.has_enough(role));
    }

    /// Whether there is work for `role`.
    #[must_use]
    pub fn is_wanted(&self, role: &str) -> bool {
        self.own.shared.lock().is_wanted(role)
    }

    /// The roles for which there is work, sorted; may be empty.
    #[must_use]
    pub fn wanted(&self) -> Vec<String> {
        self.own.shared.lock().wanted().cloned().collect()
    }

    /// Filters for what is left over or declined: another time, with jitter, at each call. See [`DemandBuilder::refuse`].
    #[must_use]
    pub fn refusal(&self) -> Filters {
        self.own.shared.settings.refusal(fastrand::f64())
    }

    /// Declines offers with [`refusal`](Self::refusal); out of the ledger, if the demand has one. `None` if no offer is
    /// live in it.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`](crate::ErrorKind::Disconnected) without a subscription: then there is nothing to
    /// decline. [`ErrorKind::NotRunning`](crate::ErrorKind::NotRunning) once the driver is stopped or aborted.
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.Decline`, scheduler.proto; `SchedulerDriver.declineOffer`, Java API.
    pub async fn decline(
        &self,
        driver: &SchedulerHandle,
        offer_ids: Vec<OfferId>,
    ) -> Result<Option<Receipt>> {
        self.own.shared.decline(driver, offer_ids).await
    }

    fn change(&self, change: impl FnOnce(&mut Wishes) -> bool) {
        if change(&mut self.own.shared.lock()) {
            self.own.shared.wake.notify_one();
        }
    }

    fn subscribed(&self, driver: &SchedulerHandle) {
        let shared = Arc::clone(&self.own.shared);
        let work = || work::run(shared, driver.clone());
        self.own.worker.start(driver, work, || {});
        self.own.shared.wake.notify_one();
    }
}

impl Shared {
    async fn decline(
        &self,
        driver: &SchedulerHandle,
        offer_ids: Vec<OfferId>,
    ) -> Result<Option<Receipt>> {
        let filters = self.settings.refusal(fastrand::f64());
        match &self.settings.ledger {
            Some(ledger) => ledger.decline(driver, offer_ids, filters).await,
            None if offer_ids.is_empty() => Ok(None),
            None => driver.decline_offers(offer_ids, filters).await.map(Some),
        }
    }
}

impl Default for Demand {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Observer for Demand {
    async fn registered(&self, driver: &SchedulerHandle, _: &FrameworkId) -> Result<()> {
        self.subscribed(driver);
        Ok(())
    }

    async fn reregistered(&self, driver: &SchedulerHandle) -> Result<()> {
        self.subscribed(driver);
        Ok(())
    }

    async fn resource_offers(&self, driver: &SchedulerHandle, _: &[Offer]) -> Result<()> {
        // The user may have changed what is suppressed.
        self.subscribed(driver);
        Ok(())
    }
}
