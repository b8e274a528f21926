//! Operations on resources, and how they end.

mod builder;
mod calls;
mod failure;
mod observing;
mod pending;
mod table;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore};

pub use builder::OperationsBuilder;
pub use failure::OperationFailure;
pub use pending::PendingOperation;

use super::worker::Worker;
use builder::Settings;
use table::Table;

/// Operations with feedback, as futures: reservations and volumes, each followed to its end.
///
/// Each operation gets an id of its own, by which Mesos tells of it. It ends well, with the status `OPERATION_FINISHED`, or
/// with an error that carries the last status and Mesos's words ([`OperationFailure`]). Statuses can get lost with a
/// subscription, a master or an agent: so the master is asked again for what has not ended, at once with each new
/// subscription and then ever more rarely ([`OperationsBuilder::reconcile`]). An operation whose agent is unreachable goes
/// on: it ends when the agent is back, or gone for good.
///
/// Operations end with an error, too, when their call was surely not carried out: it is refused
/// ([`ErrorKind::Rejected`](crate::ErrorKind::Rejected)) or not sent ([`ErrorKind::Disconnected`](crate::ErrorKind)), when
/// the framework is removed ([`ErrorKind::FrameworkRemoved`](crate::ErrorKind)), and when the driver ends
/// ([`ErrorKind::NotRunning`](crate::ErrorKind::NotRunning)); what became of one is then unknown.
///
/// Agents must have the feature (capability `AGENT_OPERATION_FEEDBACK`, for their own resources), as those of 1.11 do;
/// otherwise operations end as `OPERATION_ERROR`. The statuses are acknowledged as the driver acknowledges
/// them: with explicit acknowledgements that is the scheduler's task.
///
/// Cheap to clone; all clones are one, of one driver. It is told through [`Observed`](super::Observed). A task of its own
/// asks the master; it ends with the driver, or with the last clone and the last [`PendingOperation`].
///
/// # Examples
/// A framework that reserves half a CPU for its role, and ends:
/// ```
/// use std::time::Duration;
///
/// use mesos_framework::proto::{FrameworkInfo, Offer, Resource, TaskStatus};
/// use mesos_framework::toolkit::{Observed, Operations};
/// use mesos_framework::{Scheduler, SchedulerDriver, SchedulerHandle, async_trait};
///
/// struct Reserver {
///     operations: Operations,
///     is_done: bool,
/// }
///
/// #[async_trait]
/// impl Scheduler for Reserver {
///     async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
///         if std::mem::replace(&mut self.is_done, true) {
///             return;
///         }
///         let (operations, driver, offer) = (self.operations.clone(), driver.clone(), offers[0].clone());
///         // Callbacks wait for each other, so that nothing that needs another callback may be waited for in one.
///         tokio::spawn(async move {
///             let half = Resource::scalar("cpus", 0.5).reserved("service", None);
///             match operations.reserve(&driver, &offer, vec![half]).await {
///                 Ok(status) => println!("reserved: {:?}", status.state()),
///                 Err(error) => println!("{error}"),
///             }
///             driver.stop();
///         });
///     }
///
///     async fn status_update(&mut self, _: &SchedulerHandle, _: TaskStatus) {}
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), mesos_framework::Error> {
/// let operations = Operations::new();
/// let reserver = Reserver { operations: operations.clone(), is_done: false };
/// let framework_info = FrameworkInfo::new("reserver", ["service"]).failover(Duration::from_secs(60));
/// let scheduler = Observed::new(reserver).observer(operations);
/// SchedulerDriver::builder(scheduler, framework_info, "local").build()?.run().await?;
/// # Ok(())
/// # }
/// ```
///
/// Source: `Offer.Operation` and `OperationStatus`, mesos.proto; `RECONCILE_OPERATIONS`, scheduler.proto;
/// `docs/operator-http-api.md` and `docs/reconciliation.md` of Apache Mesos 1.11.0.
#[derive(Clone, Debug)]
pub struct Operations {
    own: Arc<Own>,
}

#[derive(Debug)]
struct Own {
    shared: Arc<Shared>,
    worker: Worker,
}

/// What the worker and calls under way need.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    table: Mutex<Table>,
    room: Arc<Semaphore>,
    /// Something is to be asked for earlier than before.
    wake: Notify,
    /// Whether anything was ever told, without which no operation would end.
    observes: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Operations {
    /// With the default settings, and without a ledger.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// To be set up.
    pub fn builder() -> OperationsBuilder {
        OperationsBuilder::default()
    }

    fn with(settings: Settings) -> Self {
        let shared = Arc::new(Shared {
            table: Mutex::new(Table::new(settings.rhythm, fastrand::f64)),
            room: Arc::new(Semaphore::new(settings.capacity)),
            settings,
            wake: Notify::new(),
            observes: AtomicBool::new(false),
        });
        let worker = Worker::default();
        Self {
            own: Arc::new(Own { shared, worker }),
        }
    }

    /// How many operations have not come to their end.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.own.shared.lock().len()
    }

    fn observes(&self) -> bool {
        self.own.shared.observes.load(Ordering::Relaxed)
    }
}

impl Default for Operations {
    fn default() -> Self {
        Self::new()
    }
}
