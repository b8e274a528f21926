//! What a scheduler can do.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::calls;
use super::protocol::SchedulerProtocol;
use crate::driver::{Connection, ConnectionWatch, Core, Receipt, Status, Stop, Unsubscribed};
use crate::error::{Error, ErrorKind, Result};
use crate::proto::scheduler::call::{Type, reconcile_operations};
use crate::proto::scheduler::{Call, OfferConstraints};
use crate::proto::{
    AgentId, ExecutorId, Filters, FrameworkId, FrameworkInfo, KillPolicy, OfferId, OperationStatus,
    Request, TaskId, TaskInfo, TaskStatus, offer,
};

/// What a scheduler can do: every call of the scheduler API, and the end of the driver.
///
/// Cheap to clone, and usable from any task. Methods that call the master queue the call and return: `Ok` means queued,
/// in the order in which the futures of these methods completed, and the [`Receipt`] tells what became of it. When
/// 1,024 calls (see `outbox_capacity`) are queued or in flight, they wait for room.
///
/// All of them answer [`ErrorKind::NotRunning`] when the driver is not running, and all but `revive_offers`,
/// `suppress_offers` and `update_framework` answer [`ErrorKind::Disconnected`] when there is no subscription. Dropped
/// before it completes, a method has queued nothing.
///
/// Source: `org.apache.mesos.SchedulerDriver`, Java API.
#[derive(Clone)]
pub struct SchedulerHandle {
    pub(super) core: Arc<Core<SchedulerProtocol>>,
}

impl fmt::Debug for SchedulerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchedulerHandle")
            .field("framework_id", &self.framework_id())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl SchedulerHandle {
    /// Queues a launch of `tasks` on the resources of `offer_ids`.
    ///
    /// `offer_ids`: one or more, all of the same agent, each used once. `tasks`: may be empty, which declines the
    /// offers. What the tasks leave over is declined for `filters.refuse_seconds` (seconds; default 5.0).
    ///
    /// A launch that never reaches the master comes back as a status update: `TASK_DROPPED`, or `TASK_LOST` without the
    /// capability PARTITION_AWARE.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] without a subscription; [`ErrorKind::NotRunning`] once stopped or aborted.
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.Accept` with `LAUNCH`, scheduler.proto; `SchedulerDriver.launchTasks`, Java API.
    pub async fn launch_tasks(
        &self,
        offer_ids: Vec<OfferId>,
        tasks: Vec<TaskInfo>,
        filters: Filters,
    ) -> Result<Receipt> {
        self.call(calls::launch(offer_ids, tasks, filters)).await
    }

    /// Queues `operations` on the resources of `offer_ids`.
    ///
    /// `offer_ids`: one or more, all of the same agent and role. `operations`: any, applied in order; none declines the
    /// offers. It is no transaction: an operation that fails does not stop the next. Operations with an id are told of
    /// by [`operation_status_update`](super::Scheduler::operation_status_update).
    ///
    /// # Errors
    /// As [`launch_tasks`](Self::launch_tasks); [`ErrorKind::Config`] for an empty task group.
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.Accept`, scheduler.proto; `SchedulerDriver.acceptOffers`, Java API.
    pub async fn accept_offers(
        &self,
        offer_ids: Vec<OfferId>,
        operations: Vec<offer::Operation>,
        filters: Filters,
    ) -> Result<Receipt> {
        self.call(calls::accept(offer_ids, operations, filters))
            .await
    }

    /// Gives offers back; what they hold is not offered again for `filters.refuse_seconds` (seconds; default 5.0).
    ///
    /// `offer_ids`: any number, of any agents; unknown ones are ignored by the master.
    ///
    /// # Errors
    /// As [`launch_tasks`](Self::launch_tasks).
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.Decline`, scheduler.proto; `SchedulerDriver.declineOffer`, Java API.
    pub async fn decline_offers(
        &self,
        offer_ids: Vec<OfferId>,
        filters: Filters,
    ) -> Result<Receipt> {
        self.call(calls::decline(offer_ids, filters)).await
    }

    /// Asks for offers again: ends suppression, and removes all filters.
    ///
    /// `roles`: those meant; empty means all of the framework's. Without a subscription it is stored, and sent with the
    /// next one.
    ///
    /// # Errors
    /// [`ErrorKind::NotRunning`] once stopped or aborted.
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.Revive`, scheduler.proto; `SchedulerDriver.reviveOffers`, Java API.
    pub async fn revive_offers(&self, roles: Vec<String>) -> Result<Receipt> {
        self.call(calls::revive(roles)).await
    }

    /// Asks for no further offers, until revived. Later subscriptions keep to it.
    ///
    /// `roles`: those meant; empty means all of the framework's. Without a subscription it is stored, and sent with the
    /// next one. Offers already on their way may still come.
    ///
    /// # Errors
    /// [`ErrorKind::NotRunning`] once stopped or aborted.
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.Suppress`, scheduler.proto; `SchedulerDriver.suppressOffers`, Java API.
    pub async fn suppress_offers(&self, roles: Vec<String>) -> Result<Receipt> {
        self.call(calls::suppress(roles)).await
    }

    /// Asks for a task to be killed. Best effort: to be repeated until a terminal status comes.
    ///
    /// `agent_id`: may be left out, and should be unless it is surely right: with a wrong one the master drops the call
    /// silently. A task that the master does not know is answered as by [`reconcile_tasks`](Self::reconcile_tasks).
    ///
    /// # Errors
    /// As [`launch_tasks`](Self::launch_tasks).
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.Kill`, scheduler.proto; `SchedulerDriver.killTask`, Java API.
    pub async fn kill_task(&self, task_id: TaskId, agent_id: Option<AgentId>) -> Result<Receipt> {
        self.call(calls::kill(task_id, agent_id, None)).await
    }

    /// As [`kill_task`](Self::kill_task), with a grace period that overrides the task's own.
    ///
    /// # Errors
    /// As [`launch_tasks`](Self::launch_tasks).
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.Kill.kill_policy`, scheduler.proto.
    pub async fn kill_task_with_policy(
        &self,
        task_id: TaskId,
        agent_id: Option<AgentId>,
        kill_policy: KillPolicy,
    ) -> Result<Receipt> {
        self.call(calls::kill(task_id, agent_id, Some(kill_policy)))
            .await
    }

    /// Asks for an executor to be shut down, with all its tasks: these end as `TASK_FAILED` unless it says otherwise.
    ///
    /// Unknown executors and agents are ignored by the master.
    ///
    /// # Errors
    /// As [`launch_tasks`](Self::launch_tasks).
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.Shutdown`, scheduler.proto.
    pub async fn shutdown_executor(
        &self,
        executor_id: ExecutorId,
        agent_id: AgentId,
    ) -> Result<Receipt> {
        self.call(calls::shutdown(executor_id, agent_id)).await
    }

    /// Acknowledges a status of a driver with explicit acknowledgements, when it is safely stored.
    ///
    /// Answers `None` for a status that needs none (it has no `uuid` or no agent).
    ///
    /// # Errors
    /// As [`launch_tasks`](Self::launch_tasks). The agent sends the update again until it is acknowledged.
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.Acknowledge`, scheduler.proto; `SchedulerDriver.acknowledgeStatusUpdate`, Java API.
    pub async fn acknowledge_status_update(&self, status: &TaskStatus) -> Result<Option<Receipt>> {
        self.call_if_any(calls::acknowledge(status)).await
    }

    /// Acknowledges the status of an operation, as [`acknowledge_status_update`](Self::acknowledge_status_update) does
    /// that of a task.
    ///
    /// # Errors
    /// As [`launch_tasks`](Self::launch_tasks).
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.AcknowledgeOperationStatus`, scheduler.proto.
    pub async fn acknowledge_operation_status(
        &self,
        status: &OperationStatus,
    ) -> Result<Option<Receipt>> {
        self.call_if_any(calls::acknowledge_operation(status)).await
    }

    async fn call_if_any(&self, call: Option<Call>) -> Result<Option<Receipt>> {
        match call {
            Some(call) => self.call(call).await.map(Some),
            None => Ok(None),
        }
    }

    /// Asks for the latest state of tasks; answers come as status updates without an `uuid`.
    ///
    /// `tasks`: each with its agent where known; empty asks for all tasks that the master knows of the framework. There
    /// is no end marker, and no answer for tasks on agents that are not back yet after a master failover: to be
    /// repeated, one at a time and with growing waits.
    ///
    /// # Errors
    /// As [`launch_tasks`](Self::launch_tasks).
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.Reconcile`, scheduler.proto; `SchedulerDriver.reconcileTasks`, Java API.
    pub async fn reconcile_tasks(&self, tasks: Vec<(TaskId, Option<AgentId>)>) -> Result<Receipt> {
        self.call(calls::reconcile(tasks)).await
    }

    /// Asks for the latest state of operations; answers come as operation status updates without an `uuid`.
    ///
    /// `operations`: empty asks for all that the master knows of the framework.
    ///
    /// # Errors
    /// As [`launch_tasks`](Self::launch_tasks).
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.ReconcileOperations`, scheduler.proto.
    pub async fn reconcile_operations(
        &self,
        operations: Vec<reconcile_operations::Operation>,
    ) -> Result<Receipt> {
        self.call(calls::reconcile_operations(operations)).await
    }

    /// Sends bytes to an executor. Best effort: never retried, and dropped silently where there is no such executor.
    ///
    /// # Errors
    /// As [`launch_tasks`](Self::launch_tasks).
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.Message`, scheduler.proto; `SchedulerDriver.sendFrameworkMessage`, Java API.
    pub async fn send_framework_message(
        &self,
        executor_id: ExecutorId,
        agent_id: AgentId,
        data: impl Into<Bytes> + Send,
    ) -> Result<Receipt> {
        self.call(calls::message(executor_id, agent_id, data.into()))
            .await
    }

    /// Hints at what the framework could use. The allocator of Mesos only logs it.
    ///
    /// # Errors
    /// As [`launch_tasks`](Self::launch_tasks).
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.Request`, scheduler.proto; `SchedulerDriver.requestResources`, Java API.
    pub async fn request_resources(&self, requests: Vec<Request>) -> Result<Receipt> {
        self.call(calls::request(requests)).await
    }

    /// Replaces the FrameworkInfo, the suppressed roles and the offer constraints together. Later subscriptions keep to
    /// it, unless the master refuses it.
    ///
    /// `framework_info`: whole; its `id` is filled in. `user`, `checkpoint` and `principal` cannot be changed.
    /// `suppressed_roles`: empty means none. `offer_constraints`: `None` means none. Without a subscription it is
    /// stored, and sent with the next one.
    ///
    /// # Errors
    /// [`ErrorKind::NotRunning`] once stopped or aborted; [`ErrorKind::Config`] for another framework's id.
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.UpdateFramework`, scheduler.proto; `SchedulerDriver.updateFramework`, Java API.
    pub async fn update_framework(
        &self,
        framework_info: FrameworkInfo,
        suppressed_roles: Vec<String>,
        offer_constraints: Option<OfferConstraints>,
    ) -> Result<Receipt> {
        self.call(calls::update_framework(
            framework_info,
            suppressed_roles,
            offer_constraints,
        ))
        .await
    }

    /// Agrees to leave: the framework will have gone from the agents when their maintenance begins. Advisory.
    ///
    /// # Errors
    /// As [`launch_tasks`](Self::launch_tasks).
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.AcceptInverseOffers`, scheduler.proto.
    pub async fn accept_inverse_offers(
        &self,
        inverse_offer_ids: Vec<OfferId>,
        filters: Filters,
    ) -> Result<Receipt> {
        self.call(calls::accept_inverse(inverse_offer_ids, filters))
            .await
    }

    /// Says that the framework cannot leave in time. Advisory.
    ///
    /// # Errors
    /// As [`launch_tasks`](Self::launch_tasks).
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.DeclineInverseOffers`, scheduler.proto.
    pub async fn decline_inverse_offers(
        &self,
        inverse_offer_ids: Vec<OfferId>,
        filters: Filters,
    ) -> Result<Receipt> {
        self.call(calls::decline_inverse(inverse_offer_ids, filters))
            .await
    }

    /// Queues any call; the framework id is filled in. What the master answers is the receipt's outcome.
    ///
    /// TEARDOWN is [`stop`](Self::stop), with the answer in the receipt.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for SUBSCRIBE, UNKNOWN, a missing type or one that this library does not know,
    /// and for an empty task group; else as the method of that call.
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call`, scheduler.proto.
    pub async fn call(&self, call: Call) -> Result<Receipt> {
        calls::check(&call)?;
        let unsubscribed = match calls::type_of(&call) {
            Some(Type::Revive | Type::Suppress) => Unsubscribed::Keep,
            Some(Type::UpdateFramework) => {
                self.check_update(&call)?;
                Unsubscribed::Keep
            }
            Some(Type::Teardown) => return self.core.teardown(),
            _ => Unsubscribed::Refuse,
        };
        self.core.submit(Box::new(call), unsubscribed).await
    }

    fn check_update(&self, call: &Call) -> Result<()> {
        let given = call
            .update_framework
            .as_ref()
            .and_then(|update| update.framework_info.id.as_ref());
        let given = given.filter(|id| !id.value.is_empty());
        match (given, self.framework_id()) {
            (Some(given), known) if known.as_ref() != Some(given) => {
                let known = known.map_or_else(|| "none yet".to_owned(), |id| id.value);
                let context = format!(
                    "update of framework {given} by a driver whose framework id is {known}"
                );
                Err(Error::new(ErrorKind::Config, context))
            }
            _ => Ok(()),
        }
    }

    /// How it stands with the subscription: to whom since when, or why not and when next.
    #[must_use]
    pub fn connection(&self) -> Connection {
        self.core.connection()
    }

    /// Watches the connection change.
    #[must_use]
    pub fn watch_connection(&self) -> ConnectionWatch {
        self.core.watch_connection()
    }

    /// The framework's id, once it is known: given to the builder, or by the master.
    #[must_use]
    pub fn framework_id(&self) -> Option<FrameworkId> {
        self.core.protocol.framework_id()
    }

    /// The life of the driver.
    #[must_use]
    pub fn status(&self) -> Status {
        self.core.lifecycle.status()
    }

    /// Stops the driver and tears the framework down: its tasks and executors are killed.
    ///
    /// Never waits. The running callback finishes, no other starts; calls that are queued are sent, and TEARDOWN behind
    /// them. Without a subscription the driver subscribes once more for it, for at most `call_timeout`.
    /// [`join`](super::SchedulerDriver::join) waits for all that. Answers the status after it; on an aborted driver
    /// only the status changes, and [`Status::Aborted`] is answered.
    ///
    /// Source: `SchedulerDriver.stop(false)`, Java API; `Call` TEARDOWN, scheduler.proto.
    pub fn stop(&self) -> Status {
        self.core.stop(Stop::Teardown)
    }

    /// Stops the driver and lets the framework and its tasks live on, for at most `FrameworkInfo.failover_timeout`,
    /// until another driver takes its id over.
    ///
    /// As [`stop`](Self::stop), without TEARDOWN.
    ///
    /// Source: `SchedulerDriver.stop(true)`, Java API.
    pub fn stop_for_failover(&self) -> Status {
        self.core.stop(Stop::ForFailover)
    }

    /// Ends the driver at once: the running callback finishes, no other starts, queued calls are sent, no TEARDOWN.
    ///
    /// The subscription closes, so the master begins to count the failover time-out. Answers the status after it.
    ///
    /// Source: `SchedulerDriver.abort`, Java API.
    pub fn abort(&self) -> Status {
        self.core.abort()
    }

    /// As [`abort`](Self::abort), because of an error of the user's own: [`error`](super::Scheduler::error) is called with
    /// it, as the last callback, and [`join`](super::SchedulerDriver::join) answers it.
    pub fn abort_with(&self, error: Error) -> Status {
        self.core.fail(error)
    }
}
