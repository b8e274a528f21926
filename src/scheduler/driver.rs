//! The driver of a scheduler.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::events::{Acknowledgements, SchedulerHandler};
use super::framework;
use super::identity::Identity;
use super::protocol::SchedulerProtocol;
use super::{FrameworkRemoval, Scheduler, SchedulerHandle};
#[cfg(feature = "local")]
use crate::detector::FixedAddresses;
use crate::detector::{MasterDetector, Masters};
use crate::driver::{Core, Engine, Options, Ready, Setup, Status, Stop, block_on, option_setters};
use crate::error::{Error, ErrorKind, Result};
use crate::http::HttpClient;
use crate::identity::FrameworkIdStore;
#[cfg(feature = "local")]
use crate::local::{LocalCluster, LocalClusterBuilder};
use crate::proto::FrameworkInfo;
use crate::proto::scheduler::OfferConstraints;

/// Keeps a [`Scheduler`] subscribed with the leading master, calls it, and sends its calls.
///
/// Dropping a running driver, or the future of [`run`](Self::run), is
/// [`stop_for_failover`](SchedulerHandle::stop_for_failover): the running callback finishes (within `call_timeout`),
/// then the connections close.
///
/// Source: `org.apache.mesos.MesosSchedulerDriver`, Java API.
///
/// # Examples
/// ```no_run
/// use mesos_framework::proto::{FrameworkInfo, Offer, TaskStatus};
/// use mesos_framework::{Scheduler, SchedulerDriver, SchedulerHandle, async_trait};
///
/// struct Idle;
///
/// #[async_trait]
/// impl Scheduler for Idle {
///     async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
///         let offer_ids = offers.into_iter().map(|offer| offer.id).collect();
///         let _ = driver.decline_offers(offer_ids, Default::default()).await;
///     }
///
///     async fn status_update(&mut self, _: &SchedulerHandle, status: TaskStatus) {
///         println!("{} is {:?}", status.task_id, status.state());
///     }
/// }
///
/// # async fn run() -> mesos_framework::Result<()> {
/// let info = FrameworkInfo { name: "idle".into(), failover_timeout: Some(60.0), ..Default::default() };
/// SchedulerDriver::builder(Idle, info, "127.0.0.1:5050").build()?.run().await?;
/// # Ok(())
/// # }
/// ```
pub struct SchedulerDriver {
    engine: Engine<SchedulerProtocol, SchedulerHandler>,
    handle: SchedulerHandle,
}

impl fmt::Debug for SchedulerDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchedulerDriver")
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}

impl SchedulerDriver {
    /// Begins a driver for `scheduler`.
    ///
    /// `framework_info`: an empty `user` and a missing `hostname` are filled in with this process's; `id` takes an
    /// existing framework over. `failover_timeout` should be set: it is 0 by default, and then the master kills all
    /// tasks when the connection breaks.
    ///
    /// `master`: one of
    /// - `host:port`, `http://host[:port][/prefix]`, `https://…`, or several of these with commas between;
    /// - `zk://[user:password@]host:port,…/path`: whoever ZooKeeper says is leading (feature `zookeeper`; see
    ///   [`ZooKeeperDetector`](crate::ZooKeeperDetector));
    /// - `file:///path`: what stands in that file, which is one of these; `build` reads it, once;
    /// - `local` for an embedded cluster of the driver's own (feature `local`).
    pub fn builder(
        scheduler: impl Scheduler,
        framework_info: FrameworkInfo,
        master: &str,
    ) -> SchedulerDriverBuilder {
        let master = Master::String(master.to_owned());
        SchedulerDriverBuilder::new(Box::new(scheduler), framework_info, master)
    }

    /// Begins a driver for `scheduler` that subscribes with the master that `detector` finds.
    ///
    /// For `framework_info`, see [`builder`](Self::builder).
    pub fn builder_with_detector(
        scheduler: impl Scheduler,
        framework_info: FrameworkInfo,
        detector: impl MasterDetector,
    ) -> SchedulerDriverBuilder {
        let master = Master::Detector(Box::new(detector));
        SchedulerDriverBuilder::new(Box::new(scheduler), framework_info, master)
    }

    /// What the scheduler can do, for use outside its callbacks.
    #[must_use]
    pub fn handle(&self) -> SchedulerHandle {
        self.handle.clone()
    }

    /// Starts the driver, and returns at once: the subscription comes about in the background.
    ///
    /// Answers the status after it: [`Status::Running`] if the driver had not been started, else the one it has.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] outside a tokio runtime.
    ///
    /// Source: `SchedulerDriver.start`, Java API.
    pub fn start(&mut self) -> Result<Status> {
        self.engine.start()
    }

    /// Waits until the driver has ended: no callback runs, queued calls are sent or given up, connections are closed.
    ///
    /// Answers at once if the driver was never started, with [`Status::NotStarted`].
    ///
    /// # Errors
    /// The error with which `error` was called; [`ErrorKind::CallbackPanicked`]; or what became of a TEARDOWN that the
    /// master did not take.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    ///
    /// Source: `SchedulerDriver.join`, Java API.
    pub async fn join(&mut self) -> Result<Status> {
        self.engine.join().await
    }

    /// Starts the driver and waits for its end.
    ///
    /// # Errors
    /// As [`start`](Self::start) and [`join`](Self::join).
    ///
    /// # Cancel safety
    /// Dropping the future drops the driver.
    ///
    /// Source: `SchedulerDriver.run`, Java API.
    pub async fn run(mut self) -> Result<Status> {
        self.start()?;
        self.join().await
    }

    /// As [`run`](Self::run), but stops the driver when `signal` completes, in the way that it answers.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    /// Dropping the future drops the driver.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(driver: mesos_framework::SchedulerDriver) -> mesos_framework::Result<()> {
    /// use mesos_framework::Stop;
    ///
    /// let ctrl_c = async {
    ///     tokio::signal::ctrl_c().await.ok();
    ///     Stop::Teardown
    /// };
    /// driver.run_until(ctrl_c).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run_until(mut self, signal: impl Future<Output = Stop>) -> Result<Status> {
        self.start()?;
        tokio::select! {
            ended = self.engine.join() => return ended,
            how = signal => {
                self.handle.core.lifecycle.stop(how);
            }
        }
        self.join().await
    }

    /// As [`run`](Self::run), for programs without a runtime: makes one of a single thread.
    ///
    /// # Errors
    /// As [`run`](Self::run); [`ErrorKind::Config`] inside a tokio runtime, or if none can be made.
    pub fn run_blocking(self) -> Result<Status> {
        block_on(self.run())
    }

    /// Hands the scheduler back, once the driver has ended (or if it was never started).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the driver still runs, if a callback panicked, or if the scheduler is no `S`.
    pub fn into_scheduler<S: Scheduler>(self) -> Result<S> {
        let wrong = |why: &str| {
            Error::new(
                ErrorKind::Config,
                format!("scheduler cannot be handed back: {why}"),
            )
        };
        let handler = self
            .engine
            .into_handler()
            .ok_or_else(|| wrong("join has not completed, or a callback panicked"))?;
        let scheduler: Box<dyn std::any::Any> = handler.scheduler;
        scheduler
            .downcast()
            .map(|scheduler| *scheduler)
            .map_err(|_| wrong("it is of another type"))
    }
}

/// Settings of a [`SchedulerDriver`]; each has a default.
#[must_use = "a builder does nothing until `build` is called"]
pub struct SchedulerDriverBuilder {
    scheduler: Box<dyn Scheduler>,
    framework_info: FrameworkInfo,
    master: Master,
    suppressed_roles: BTreeSet<String>,
    offer_constraints: Option<OfferConstraints>,
    acknowledgements: Acknowledgements,
    store: Option<Arc<dyn FrameworkIdStore>>,
    removal: FrameworkRemoval,
    options: Options,
    #[cfg(feature = "local")]
    local_cluster: Option<LocalClusterBuilder>,
}

/// Where the master is: as the user says it.
enum Master {
    String(String),
    Detector(Box<dyn MasterDetector>),
    #[cfg(test)]
    Ready(Ready),
}

impl fmt::Debug for SchedulerDriverBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchedulerDriverBuilder")
            .field("framework_info", &self.framework_info)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl SchedulerDriverBuilder {
    fn new(scheduler: Box<dyn Scheduler>, framework_info: FrameworkInfo, master: Master) -> Self {
        Self {
            scheduler,
            framework_info,
            master,
            suppressed_roles: BTreeSet::new(),
            offer_constraints: None,
            acknowledgements: Acknowledgements::Implicit,
            store: None,
            removal: FrameworkRemoval::default(),
            options: Options::default(),
            #[cfg(feature = "local")]
            local_cluster: None,
        }
    }

    option_setters!();

    /// Roles for which no offers are wanted at first; none by default.
    pub fn suppressed_roles<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        self.suppressed_roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// Which agents' offers are wanted, by role; all by default.
    pub fn offer_constraints(mut self, constraints: OfferConstraints) -> Self {
        self.offer_constraints = Some(constraints);
        self
    }

    /// Leaves the acknowledgement of statuses to [`SchedulerHandle::acknowledge_status_update`]; by default each is
    /// acknowledged after its callback has returned.
    pub fn explicit_acknowledgements(mut self) -> Self {
        self.acknowledgements = Acknowledgements::Explicit;
        self
    }

    /// Keeps the framework's id there. By default it is kept nowhere, and each driver without `FrameworkInfo.id` registers a
    /// new framework.
    ///
    /// The id is loaded when the driver starts; `FrameworkInfo.id`, if it is set, goes before it. A new id is stored before
    /// any callback is made. If either fails, the driver ends with an error of the kind [`ErrorKind::Store`].
    pub fn framework_id_store(mut self, store: impl FrameworkIdStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// What to do when the master says that the framework was removed; by default, the driver ends.
    pub fn framework_removal(mut self, removal: FrameworkRemoval) -> Self {
        self.removal = removal;
        self
    }

    /// How many heartbeats of the master may be missed before the subscription is given up; default 5 (of 15 s each).
    pub fn missed_heartbeats(mut self, heartbeats: u32) -> Self {
        self.options.missed_heartbeats = heartbeats;
        self
    }

    /// How long events may stay unread behind a slow callback before the subscription is given up and renewed; default
    /// 75 s. The master keeps unread events in memory without bound (MESOS-7748).
    pub fn event_stall_timeout(mut self, timeout: Duration) -> Self {
        self.options.event_stall_timeout = timeout;
        self
    }

    /// What the cluster of the master string `local` is started with. Without effect on other master strings. By default
    /// one agent, and an allocation every 100 ms.
    #[cfg(feature = "local")]
    pub fn local_cluster(mut self, cluster: LocalClusterBuilder) -> Self {
        self.local_cluster = Some(cluster);
        self
    }

    /// Makes the driver. Checks the settings; touches no network.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming what is wrong.
    pub fn build(mut self) -> Result<SchedulerDriver> {
        self.check()?;
        let master = std::mem::replace(&mut self.master, Master::String(String::new()));
        let setup = match master {
            #[cfg(feature = "local")]
            Master::String(master) if master == "local" => {
                local(self.local_cluster.take(), &self.options)
            }
            #[cfg(not(feature = "local"))]
            Master::String(master) if master == "local" => return Err(no_local()),
            Master::String(master) => remote(Masters::parse(&master)?, &self.options)?,
            Master::Detector(detector) => remote(Masters::Detected(detector), &self.options)?,
            #[cfg(test)]
            Master::Ready(ready) => Box::pin(async { Ok(ready) }),
        };
        Ok(self.set_up_by(setup))
    }

    fn check(&mut self) -> Result<()> {
        self.options.check()?;
        self.framework_info = framework::completed(std::mem::take(&mut self.framework_info))?;
        let timeout = self.framework_info.failover_timeout;
        if let Some(timeout) = timeout.filter(|timeout| *timeout > 0.0) {
            // As Java's driver: back well inside the failover time-out (`src/sched/sched.cpp`, Apache Mesos 1.11.0).
            let tenth = Duration::try_from_secs_f64(timeout / 10.0).unwrap_or(Duration::MAX);
            let backoff = self.options.backoff.unwrap_or_default();
            self.options.backoff = Some(backoff.capped(tenth));
        }
        Ok(())
    }

    fn set_up_by(self, setup: Setup) -> SchedulerDriver {
        let given = self.framework_info.id.clone();
        let protocol = SchedulerProtocol::new(
            self.framework_info,
            self.suppressed_roles,
            self.offer_constraints,
            self.removal,
        );
        let core = Arc::new(Core::new(protocol, &self.options));
        let identity = Identity::new(self.store);
        let handle = SchedulerHandle {
            core: Arc::clone(&core),
        };
        let handler = SchedulerHandler {
            scheduler: self.scheduler,
            handle: handle.clone(),
            acknowledgements: self.acknowledgements,
            given,
            registered_as: None,
            identity: identity.clone(),
        };
        let setup = known_by(identity, Arc::clone(&core), setup);
        SchedulerDriver {
            engine: Engine::new(core, self.options, handler, setup),
            handle,
        }
    }
}

/// Loads the framework's id before anything else. A driver that ends meanwhile does not wait for it.
fn known_by(identity: Identity, core: Arc<Core<SchedulerProtocol>>, setup: Setup) -> Setup {
    Box::pin(async move {
        let loaded = tokio::select! {
            loaded = identity.load() => loaded?,
            _ = core.lifecycle.ended() => {
                let context = "driver ended before the framework's id was loaded";
                return Err(Error::new(ErrorKind::NotRunning, context));
            }
        };
        if let Some(id) = loaded {
            core.protocol.take_over(id);
        }
        setup.await
    })
}

fn remote(masters: Masters, options: &Options) -> Result<Setup> {
    let client = match &masters {
        Masters::Fixed(fixed) => HttpClient::new(options.http(), fixed.addresses().to_vec())?,
        Masters::Detected(_) => HttpClient::for_detected(options.http())?,
    };
    let ready = Ready {
        masters,
        transport: Arc::new(client),
        afterwards: Box::pin(async {}),
    };
    Ok(Box::pin(async { Ok(ready) }))
}

/// A cluster of the driver's own: started before anything else, and ended when the driver has.
#[cfg(feature = "local")]
fn local(cluster: Option<LocalClusterBuilder>, options: &Options) -> Setup {
    /// Offers come faster than a real master's, for whoever tries things out.
    const ALLOCATION_INTERVAL: Duration = Duration::from_millis(100);

    let http = options.http();
    let quick = || LocalCluster::builder().allocation_interval(ALLOCATION_INTERVAL);
    let cluster = cluster.unwrap_or_else(quick);
    Box::pin(async move {
        let cluster = cluster.start().await?;
        let masters = FixedAddresses::parse(&cluster.master_address())?;
        let client = HttpClient::new(http, masters.addresses().to_vec())?;
        let afterwards = Box::pin(async move { cluster.shutdown().await });
        Ok(Ready {
            masters: Masters::Fixed(masters),
            transport: Arc::new(client),
            afterwards,
        })
    })
}

#[cfg(not(feature = "local"))]
fn no_local() -> Error {
    let context = "master \"local\" needs the feature `local` of mesos-framework";
    Error::new(ErrorKind::Config, context)
}

#[cfg(test)]
mod tests;
