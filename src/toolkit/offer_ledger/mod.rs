//! Which offers a framework has.

mod book;
mod builder;
mod calls;
mod loan;
mod observing;
mod stale;
mod view;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

pub use builder::OfferLedgerBuilder;
pub use stale::{StaleOffer, StaleReason};
pub use view::AgentOffers;
pub(super) use view::role_of;

use super::worker::Worker;
use crate::error::Result;
use crate::proto::{Offer, OfferId};
use book::Book;
use builder::Settings;

/// The live offers of a framework, each of which is used at most once.
///
/// Offers come into it as the driver tells of them. They leave it when they are used or declined through it
/// ([`launch`](Self::launch), [`accept`](Self::accept), [`decline`](Self::decline)), when they are rescinded, when their
/// agent or the subscription is lost, and when they have been held for too long: then the ledger declines them, for as long
/// as nobody does, the master keeps what is on offer from all other frameworks.
///
/// A call that names an offer which is not live any more is refused before it is sent, with an error that names the offer
/// ([`StaleOffer`]); Mesos would lose its tasks. Offers are taken out as the call is made, so that two tasks of the program
/// never use the same, and come back if the call surely was not carried out.
///
/// Cheap to clone; all clones are one ledger, of one driver. It is told through [`Observed`](super::Observed). A task of
/// its own declines what is held too long; it ends with the driver, or with the last clone.
///
/// # Examples
/// A scheduler that launches one task per agent, from whatever is on offer there:
/// ```
/// use std::time::Duration;
///
/// use mesos_framework::proto::{CommandInfo, Filters, FrameworkInfo, Offer, TaskInfo, TaskState, TaskStatus};
/// use mesos_framework::resources::Resources;
/// use mesos_framework::toolkit::{Observed, OfferLedger};
/// use mesos_framework::{Scheduler, SchedulerDriver, SchedulerHandle, async_trait};
///
/// struct Greeter {
///     ledger: OfferLedger,
///     launched: usize,
/// }
///
/// #[async_trait]
/// impl Scheduler for Greeter {
///     async fn resource_offers(&mut self, driver: &SchedulerHandle, _: Vec<Offer>) {
///         let wanted = Resources::parse("cpus:0.1;mem:32").expect("it is well formed");
///         // What the ledger has may be more than what has just come.
///         for agent in self.ledger.offers() {
///             let fits = agent.resources.unallocated().contains(&wanted) && self.launched == 0;
///             let tasks = fits.then(|| {
///                 TaskInfo::new("greet", agent.agent_id.clone(), wanted.to_protos())
///                     .command(CommandInfo::in_shell("echo hello"))
///             });
///             let tasks: Vec<TaskInfo> = tasks.into_iter().collect();
///             self.launched += tasks.len();
///             // Without tasks, this declines.
///             if let Err(error) = self.ledger.launch(driver, agent.offer_ids(), tasks, Filters::default()).await {
///                 println!("{error}");
///             }
///         }
///     }
///
///     async fn status_update(&mut self, driver: &SchedulerHandle, status: TaskStatus) {
///         if status.state() == TaskState::TaskFinished {
///             driver.stop();
///         }
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), mesos_framework::Error> {
/// let ledger = OfferLedger::new();
/// let scheduler = Observed::new(Greeter { ledger: ledger.clone(), launched: 0 }).observer(ledger.clone());
/// let framework_info = FrameworkInfo::new("greeter", ["*"]).failover(Duration::from_secs(60));
/// SchedulerDriver::builder(scheduler, framework_info, "local").build()?.run().await?;
/// assert!(ledger.is_empty(), "offers end with the subscription");
/// # Ok(())
/// # }
/// ```
///
/// Source: `docs/app-framework-development-guide.md` of Apache Mesos 1.11.0, which leaves this to frameworks.
#[derive(Clone, Debug)]
pub struct OfferLedger {
    own: Arc<Own>,
}

#[derive(Debug)]
struct Own {
    shared: Arc<Shared>,
    worker: Worker,
}

/// What the worker and calls under way need of the ledger.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    book: Mutex<Book>,
    /// Counts the changes.
    changes: watch::Sender<u64>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        let answer = change(&mut self.lock());
        self.changes.send_modify(|count| *count += 1);
        answer
    }
}

impl OfferLedger {
    /// An empty ledger with the default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// An empty ledger, to be set up.
    pub fn builder() -> OfferLedgerBuilder {
        OfferLedgerBuilder::default()
    }

    fn with(settings: Settings) -> Self {
        let shared = Arc::new(Shared {
            settings,
            book: Mutex::default(),
            changes: watch::Sender::new(0),
        });
        let worker = Worker::default();
        Self {
            own: Arc::new(Own { shared, worker }),
        }
    }

    /// All live offers, those of one agent and role together: whoever has the oldest offer comes first. May be empty.
    #[must_use]
    pub fn offers(&self) -> Vec<AgentOffers> {
        view::merged(self.lock().offers())
    }

    /// A live offer.
    #[must_use]
    pub fn get(&self, offer_id: &OfferId) -> Option<Offer> {
        self.lock().get(offer_id).cloned()
    }

    /// How many offers are live.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no offer is live.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes offers out, all or none, to be used without the ledger; the answer is in the order of `offer_ids`.
    ///
    /// Whoever takes them is to use or decline them. The driver's loss of its subscription is not noticed before
    /// `disconnected`: [`launch`](Self::launch) and [`accept`](Self::accept) know of it at once.
    ///
    /// # Errors
    /// [`ErrorKind::StaleOffer`](crate::ErrorKind::StaleOffer) for one that is not live.
    pub fn take(&self, offer_ids: &[OfferId]) -> Result<Vec<Offer>> {
        let taken = self.own.shared.change(|book| {
            let taken = book.take(offer_ids)?;
            book.settle(offer_ids, StaleReason::Used);
            Ok::<_, StaleOffer>(taken)
        });
        Ok(taken?)
    }

    /// The ids of those live offers for which `wanted` holds, oldest first.
    pub(super) fn ids_where(&self, wanted: impl Fn(&Offer) -> bool) -> Vec<OfferId> {
        let book = self.lock();
        let wanted = book.offers().filter(|offer| wanted(offer));
        wanted.map(|offer| offer.id.clone()).collect()
    }

    /// Is told of every change.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.own.shared.changes.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.own.shared.lock()
    }
}

impl Default for OfferLedger {
    fn default() -> Self {
        Self::new()
    }
}
