//! How tools learn what happens.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{Error, Result};
use crate::proto::{
    AgentId, ExecutorId, FrameworkId, InverseOffer, MasterInfo, Offer, OfferId, OperationStatus,
    TaskStatus,
};
use crate::scheduler::{Scheduler, SchedulerHandle};

/// Is told what a scheduler is told, before it: the callbacks of [`Scheduler`] by reference.
///
/// By default, nothing is done. What an observer answers with an error ends the driver
/// ([`SchedulerHandle::abort_with`]), and the scheduler is not called: a status that could not be stored, say, is then not
/// acknowledged either, and comes again.
///
/// # Examples
/// A tool of one's own, which counts the tasks that have ended:
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// use mesos_framework::proto::{Offer, TaskState, TaskStatus};
/// use mesos_framework::toolkit::testing::{self, RecordedDriver};
/// use mesos_framework::toolkit::{Observed, Observer};
/// use mesos_framework::{Result, Scheduler, SchedulerHandle, async_trait};
///
/// #[derive(Clone, Default)]
/// struct Ends(Arc<AtomicUsize>);
///
/// #[async_trait]
/// impl Observer for Ends {
///     async fn status_update(&self, _: &SchedulerHandle, status: &TaskStatus) -> Result<()> {
///         let is_end = status.state().is_terminal();
///         self.0.fetch_add(usize::from(is_end), Ordering::Relaxed);
///         Ok(())
///     }
/// }
///
/// struct Idle;
///
/// #[async_trait]
/// impl Scheduler for Idle {
///     async fn resource_offers(&mut self, _: &SchedulerHandle, _: Vec<Offer>) {}
///     async fn status_update(&mut self, _: &SchedulerHandle, _: TaskStatus) {}
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let ends = Ends::default();
/// // What a driver is built with.
/// let mut scheduler = Observed::new(Idle).observer(ends.clone());
///
/// let driver = RecordedDriver::new();
/// for state in [TaskState::TaskRunning, TaskState::TaskFinished] {
///     let status = testing::status("task", "agent", state);
///     scheduler.status_update(&driver.handle(), status).await;
/// }
/// assert_eq!(ends.0.load(Ordering::Relaxed), 1);
/// # });
/// ```
///
/// Source: `org.apache.mesos.Scheduler`, Java API.
#[async_trait]
pub trait Observer: Send + Sync + 'static {
    /// As [`Scheduler::registered`].
    ///
    /// # Errors
    /// Whatever shall end the driver.
    async fn registered(&self, driver: &SchedulerHandle, framework_id: &FrameworkId) -> Result<()> {
        let _ = (driver, framework_id);
        Ok(())
    }

    /// As [`Scheduler::reregistered`].
    ///
    /// # Errors
    /// Whatever shall end the driver.
    async fn reregistered(&self, driver: &SchedulerHandle) -> Result<()> {
        let _ = driver;
        Ok(())
    }

    /// As [`Scheduler::disconnected`].
    ///
    /// # Errors
    /// Whatever shall end the driver.
    async fn disconnected(&self, driver: &SchedulerHandle) -> Result<()> {
        let _ = driver;
        Ok(())
    }

    /// As [`Scheduler::framework_removed`].
    ///
    /// # Errors
    /// Whatever shall end the driver.
    async fn framework_removed(
        &self,
        driver: &SchedulerHandle,
        framework_id: &FrameworkId,
    ) -> Result<()> {
        let _ = (driver, framework_id);
        Ok(())
    }

    /// As [`Scheduler::resource_offers`].
    ///
    /// # Errors
    /// Whatever shall end the driver.
    async fn resource_offers(&self, driver: &SchedulerHandle, offers: &[Offer]) -> Result<()> {
        let _ = (driver, offers);
        Ok(())
    }

    /// As [`Scheduler::offer_rescinded`].
    ///
    /// # Errors
    /// Whatever shall end the driver.
    async fn offer_rescinded(&self, driver: &SchedulerHandle, offer_id: &OfferId) -> Result<()> {
        let _ = (driver, offer_id);
        Ok(())
    }

    /// As [`Scheduler::status_update`].
    ///
    /// # Errors
    /// Whatever shall end the driver.
    async fn status_update(&self, driver: &SchedulerHandle, status: &TaskStatus) -> Result<()> {
        let _ = (driver, status);
        Ok(())
    }

    /// As [`Scheduler::agent_lost`].
    ///
    /// # Errors
    /// Whatever shall end the driver.
    async fn agent_lost(&self, driver: &SchedulerHandle, agent_id: &AgentId) -> Result<()> {
        let _ = (driver, agent_id);
        Ok(())
    }

    /// As [`Scheduler::executor_lost`].
    ///
    /// # Errors
    /// Whatever shall end the driver.
    async fn executor_lost(
        &self,
        driver: &SchedulerHandle,
        executor_id: &ExecutorId,
        agent_id: &AgentId,
    ) -> Result<()> {
        let _ = (driver, executor_id, agent_id);
        Ok(())
    }

    /// As [`Scheduler::inverse_offers`].
    ///
    /// # Errors
    /// Whatever shall end the driver.
    async fn inverse_offers(
        &self,
        driver: &SchedulerHandle,
        inverse_offers: &[InverseOffer],
    ) -> Result<()> {
        let _ = (driver, inverse_offers);
        Ok(())
    }

    /// As [`Scheduler::inverse_offer_rescinded`].
    ///
    /// # Errors
    /// Whatever shall end the driver.
    async fn inverse_offer_rescinded(
        &self,
        driver: &SchedulerHandle,
        inverse_offer_id: &OfferId,
    ) -> Result<()> {
        let _ = (driver, inverse_offer_id);
        Ok(())
    }

    /// As [`Scheduler::operation_status_update`].
    ///
    /// # Errors
    /// Whatever shall end the driver.
    async fn operation_status_update(
        &self,
        driver: &SchedulerHandle,
        status: &OperationStatus,
    ) -> Result<()> {
        let _ = (driver, status);
        Ok(())
    }

    /// As [`Scheduler::error`]: the driver has ended. Nothing that is answered could end it again.
    async fn error(&self, driver: &SchedulerHandle, error: &Error) {
        let _ = (driver, error);
    }
}

/// A scheduler whose tools are told everything first; [`Observer`] has an example.
///
/// [`Self::scheduler`] is the one that [`SchedulerDriver::join`](crate::SchedulerDriver::join) leaves behind, for
/// [`SchedulerDriver::into_scheduler`](crate::SchedulerDriver::into_scheduler).
pub struct Observed<S> {
    /// The scheduler itself, which is told last.
    pub scheduler: S,
    /// Told in the order in which they came.
    observers: Vec<Arc<dyn Observer>>,
}

impl<S> Observed<S> {
    /// A scheduler without tools yet.
    #[must_use]
    pub fn new(scheduler: S) -> Self {
        Self {
            scheduler,
            observers: Vec::new(),
        }
    }

    /// One more tool, told after those before it and before the scheduler. Keep a clone of it for the scheduler.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }
}

impl<S: fmt::Debug> fmt::Debug for Observed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observed")
            .field("scheduler", &self.scheduler)
            .field("observers", &self.observers.len())
            .finish()
    }
}

/// Tells every observer; the callback ends here when one of them fails, or has ended the driver.
macro_rules! tell {
    ($self:ident, $driver:ident, $method:ident($($argument:expr),*)) => {
        for observer in &$self.observers {
            if let Err(error) = observer.$method($driver, $($argument),*).await {
                $driver.abort_with(error);
                return;
            }
        }
    };
}

#[async_trait]
impl<S: Scheduler> Scheduler for Observed<S> {
    async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
        tell!(self, driver, resource_offers(&offers));
        self.scheduler.resource_offers(driver, offers).await;
    }

    async fn status_update(&mut self, driver: &SchedulerHandle, status: TaskStatus) {
        tell!(self, driver, status_update(&status));
        self.scheduler.status_update(driver, status).await;
    }

    async fn registered(
        &mut self,
        driver: &SchedulerHandle,
        framework_id: FrameworkId,
        master_info: Option<MasterInfo>,
    ) {
        tell!(self, driver, registered(&framework_id));
        self.scheduler
            .registered(driver, framework_id, master_info)
            .await;
    }

    async fn reregistered(&mut self, driver: &SchedulerHandle, master_info: Option<MasterInfo>) {
        tell!(self, driver, reregistered());
        self.scheduler.reregistered(driver, master_info).await;
    }

    async fn disconnected(&mut self, driver: &SchedulerHandle) {
        tell!(self, driver, disconnected());
        self.scheduler.disconnected(driver).await;
    }

    async fn framework_removed(&mut self, driver: &SchedulerHandle, framework_id: FrameworkId) {
        tell!(self, driver, framework_removed(&framework_id));
        self.scheduler.framework_removed(driver, framework_id).await;
    }

    async fn offer_rescinded(&mut self, driver: &SchedulerHandle, offer_id: OfferId) {
        tell!(self, driver, offer_rescinded(&offer_id));
        self.scheduler.offer_rescinded(driver, offer_id).await;
    }

    async fn framework_message(
        &mut self,
        driver: &SchedulerHandle,
        executor_id: ExecutorId,
        agent_id: AgentId,
        data: Bytes,
    ) {
        self.scheduler
            .framework_message(driver, executor_id, agent_id, data)
            .await;
    }

    async fn agent_lost(&mut self, driver: &SchedulerHandle, agent_id: AgentId) {
        tell!(self, driver, agent_lost(&agent_id));
        self.scheduler.agent_lost(driver, agent_id).await;
    }

    async fn executor_lost(
        &mut self,
        driver: &SchedulerHandle,
        executor_id: ExecutorId,
        agent_id: AgentId,
        status: Option<i32>,
    ) {
        tell!(self, driver, executor_lost(&executor_id, &agent_id));
        self.scheduler
            .executor_lost(driver, executor_id, agent_id, status)
            .await;
    }

    async fn inverse_offers(
        &mut self,
        driver: &SchedulerHandle,
        inverse_offers: Vec<InverseOffer>,
    ) {
        tell!(self, driver, inverse_offers(&inverse_offers));
        self.scheduler.inverse_offers(driver, inverse_offers).await;
    }

    async fn inverse_offer_rescinded(
        &mut self,
        driver: &SchedulerHandle,
        inverse_offer_id: OfferId,
    ) {
        tell!(self, driver, inverse_offer_rescinded(&inverse_offer_id));
        self.scheduler
            .inverse_offer_rescinded(driver, inverse_offer_id)
            .await;
    }

    async fn operation_status_update(&mut self, driver: &SchedulerHandle, status: OperationStatus) {
        tell!(self, driver, operation_status_update(&status));
        self.scheduler.operation_status_update(driver, status).await;
    }

    async fn error(&mut self, driver: &SchedulerHandle, error: &Error) {
        for observer in &self.observers {
            observer.error(driver, error).await;
        }
        self.scheduler.error(driver, error).await;
    }
}
