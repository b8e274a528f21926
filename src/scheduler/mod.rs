//! The scheduler's side: what users implement, and the driver that calls it.

mod beside;
mod calls;
mod doubts;
mod driver;
mod events;
mod framework;
mod handle;
mod identity;
mod protocol;
mod unconnected;

use async_trait::async_trait;
use bytes::Bytes;

pub use driver::{SchedulerDriver, SchedulerDriverBuilder};
pub use handle::SchedulerHandle;
pub use identity::FrameworkRemoval;
pub(crate) use unconnected::UnconnectedScheduler;

use crate::error::Error;
use crate::proto::{
    AgentId, ExecutorId, FrameworkId, InverseOffer, MasterInfo, Offer, OfferId, OperationStatus,
    TaskStatus,
};

/// Decides what runs where.
///
/// Implemented by the framework's author; a [`SchedulerDriver`] calls it. One callback runs at a time, in the order of
/// the events of the subscription, and the next one waits for it: slow work belongs into a task of its own, with a clone
/// of the handle. Calls made through the handle inside a callback leave in the order in which they were made.
///
/// Two callbacks are required: ignored offers keep resources from everybody else, and ignored statuses leak tasks.
///
/// A panic in a callback aborts the driver; [`SchedulerDriver::join`] tells of it.
///
/// Source: `org.apache.mesos.Scheduler`, Java API.
#[async_trait]
pub trait Scheduler: std::any::Any + Send {
    /// Resources are offered: each of one agent, and for one role.
    ///
    /// `offers`: one or more. Each is reserved for this framework until it is used in [`SchedulerHandle::launch_tasks`]
    /// or [`SchedulerHandle::accept_offers`], declined, or rescinded. Offers die with their subscription: after
    /// `disconnected` none of them may be used.
    ///
    /// Source: `Event.Offers`, scheduler.proto; `Scheduler.resourceOffers`, Java API.
    async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>);

    /// The state of a task has changed, or is told anew.
    ///
    /// The same update may come again, with the same `uuid`. It is acknowledged after this callback has returned, unless
    /// the driver was built with explicit acknowledgements; only then the task's next update comes. Updates without an
    /// `uuid`, made by the master or the driver, need no acknowledgement.
    ///
    /// Source: `Event.Update`, scheduler.proto; `Scheduler.statusUpdate`, Java API.
    async fn status_update(&mut self, driver: &SchedulerHandle, status: TaskStatus);

    /// The framework is registered: the first subscription of this driver, or the first one under a new id.
    ///
    /// `framework_id`: to be kept if the framework shall outlive this process. `master_info`: the leading master;
    /// `None` if it did not say. By default, nothing is done.
    ///
    /// Source: `Event.Subscribed`, scheduler.proto; `Scheduler.registered`, Java API.
    async fn registered(
        &mut self,
        driver: &SchedulerHandle,
        framework_id: FrameworkId,
        master_info: Option<MasterInfo>,
    ) {
        let _ = (driver, framework_id, master_info);
    }

    /// The driver is subscribed again after `disconnected`, maybe with another master.
    ///
    /// Offers of before are void; tasks should be reconciled. By default, nothing is done.
    ///
    /// Source: `Event.Subscribed`, scheduler.proto; `Scheduler.reregistered`, Java API.
    async fn reregistered(&mut self, driver: &SchedulerHandle, master_info: Option<MasterInfo>) {
        let _ = (driver, master_info);
    }

    /// The subscription is lost; the driver is already at work on the next one.
    ///
    /// Comes once per lost subscription. By default, nothing is done.
    ///
    /// Source: `Scheduler.disconnected`, Java API.
    async fn disconnected(&mut self, driver: &SchedulerHandle) {
        let _ = driver;
    }

    /// The master says that the framework was removed, and a new one takes its place: only with
    /// [`FrameworkRemoval::RegisterAnew`]. By default, nothing is done.
    ///
    /// `framework_id`: the one that is used up. Its tasks are killed, and nothing more will be told of them. Follows
    /// `disconnected`; `registered` follows, with the new id. Calls that were still queued for it are not sent.
    ///
    /// Source: the error `Framework has been removed` of `src/master/master.cpp`, Apache Mesos 1.11.0.
    async fn framework_removed(&mut self, driver: &SchedulerHandle, framework_id: FrameworkId) {
        let _ = (driver, framework_id);
    }

    /// An offer is no longer valid. By default, nothing is done.
    ///
    /// Not reliable: a launch on a rescinded offer ends with `TASK_LOST` or `TASK_DROPPED`.
    ///
    /// Source: `Event.Rescind`, scheduler.proto; `Scheduler.offerRescinded`, Java API.
    async fn offer_rescinded(&mut self, driver: &SchedulerHandle, offer_id: OfferId) {
        let _ = (driver, offer_id);
    }

    /// An executor has sent a message. Best effort: it may be lost. By default, nothing is done.
    ///
    /// Source: `Event.Message`, scheduler.proto; `Scheduler.frameworkMessage`, Java API.
    async fn framework_message(
        &mut self,
        driver: &SchedulerHandle,
        executor_id: ExecutorId,
        agent_id: AgentId,
        data: Bytes,
    ) {
        let _ = (driver, executor_id, agent_id, data);
    }

    /// The master has removed an agent. Not reliable. By default, nothing is done.
    ///
    /// Source: `Event.Failure` without an executor, scheduler.proto; `Scheduler.slaveLost`, Java API.
    async fn agent_lost(&mut self, driver: &SchedulerHandle, agent_id: AgentId) {
        let _ = (driver, agent_id);
    }

    /// An executor has ended. Not reliable, and it may come before the updates of its tasks. By default, nothing is done.
    ///
    /// `status`: the raw wait status as of `waitpid` (exit code 5 is 1280, signal 9 is 9); −1 or `None` when unknown.
    ///
    /// Source: `Event.Failure` with an executor, scheduler.proto; `Scheduler.executorLost`, Java API.
    async fn executor_lost(
        &mut self,
        driver: &SchedulerHandle,
        executor_id: ExecutorId,
        agent_id: AgentId,
        status: Option<i32>,
    ) {
        let _ = (driver, executor_id, agent_id, status);
    }

    /// The master asks for resources back, because of planned maintenance. By default, nothing is done.
    ///
    /// `inverse_offers`: one or more. Answers ([`SchedulerHandle::accept_inverse_offers`],
    /// [`SchedulerHandle::decline_inverse_offers`]) are advisory.
    ///
    /// Source: `Event.InverseOffers`, scheduler.proto.
    async fn inverse_offers(
        &mut self,
        driver: &SchedulerHandle,
        inverse_offers: Vec<InverseOffer>,
    ) {
        let _ = (driver, inverse_offers);
    }

    /// An inverse offer is no longer valid. By default, nothing is done.
    ///
    /// Source: `Event.RescindInverseOffer`, scheduler.proto.
    async fn inverse_offer_rescinded(
        &mut self,
        driver: &SchedulerHandle,
        inverse_offer_id: OfferId,
    ) {
        let _ = (driver, inverse_offer_id);
    }

    /// The state of an operation that had an id has changed, or is told anew. By default, nothing is done.
    ///
    /// Acknowledged as statuses of tasks are: after this callback has returned, or explicitly
    /// ([`SchedulerHandle::acknowledge_operation_status`]).
    ///
    /// Source: `Event.UpdateOperationStatus`, scheduler.proto.
    async fn operation_status_update(&mut self, driver: &SchedulerHandle, status: OperationStatus) {
        let _ = (driver, status);
    }

    /// The driver has ended because of an error, and is already aborted. The last callback. By default, it is logged.
    ///
    /// [`SchedulerDriver::join`] answers the same error.
    ///
    /// Source: `Event.Error`, scheduler.proto; `Scheduler.error`, Java API.
    async fn error(&mut self, driver: &SchedulerHandle, error: &Error) {
        let _ = driver;
        tracing::error!(%error, "scheduler driver aborted");
    }
}
