//! Launches: stored, sent, and settled.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use tokio::sync::oneshot;

use super::shared::Shared;
use super::{Tasks, TrackedTask};
use crate::driver::{Outcome, Receipt};
use crate::error::{Error, ErrorKind, Result};
use crate::proto::{Filters, OfferId, TaskId, TaskInfo, offer};
use crate::scheduler::SchedulerHandle;
use crate::toolkit::OfferLedger;

/// Promise of the [`Outcome`] of a launch that a [`TaskTracker`](super::TaskTracker) has queued.
///
/// May be dropped: the tracker heeds the outcome in any case.
///
/// Source: [`Receipt`].
#[derive(Debug)]
pub struct LaunchReceipt {
    outcome: oneshot::Receiver<Outcome>,
}

impl LaunchReceipt {
    /// Waits for the end of the call; the tracker has heeded it by then.
    ///
    /// It always comes: at the latest when the call's time-out has passed after it was sent, or when the driver ends.
    ///
    /// # Cancel safety
    /// Dropping the future drops the receipt; the launch goes its way.
    pub async fn outcome(self) -> Outcome {
        let outcome = self.outcome.await;
        outcome.unwrap_or_else(|_| {
            let context = "the runtime ended before the call did";
            Outcome::Unknown(Error::new(ErrorKind::NotRunning, context))
        })
    }
}

/// The LAUNCH of these tasks.
pub(super) fn operation(tasks: Vec<TaskInfo>) -> offer::Operation {
    offer::Operation {
        r#type: Some(offer::operation::Type::Launch as i32),
        launch: Some(offer::operation::Launch { task_infos: tasks }),
        ..offer::Operation::default()
    }
}

/// What is sent.
pub(in crate::toolkit) type Accept = (Vec<OfferId>, Vec<offer::Operation>, Filters);

/// Runs in a task of its own, so that no launch is stored and then not sent because somebody lost patience.
///
/// `ledger`: out of which the offers are taken; none if they are the caller's.
pub(super) async fn accept(
    shared: &Arc<Shared>,
    ledger: Option<&OfferLedger>,
    driver: &SchedulerHandle,
    (offer_ids, operations, filters): Accept,
) -> Result<LaunchReceipt> {
    let launch = Launch {
        shared: Arc::clone(shared),
        ledger: ledger.cloned(),
        driver: driver.clone(),
        offer_ids,
        operations,
        filters,
    };
    let queued = tokio::spawn(launch.queue()).await;
    queued.unwrap_or_else(|error| {
        let context = "launch was not queued";
        Err(Error::caused_by(ErrorKind::NotRunning, context, error))
    })
}

struct Launch {
    shared: Arc<Shared>,
    ledger: Option<OfferLedger>,
    driver: SchedulerHandle,
    offer_ids: Vec<OfferId>,
    operations: Vec<offer::Operation>,
    filters: Filters,
}

impl Launch {
    async fn queue(self) -> Result<LaunchReceipt> {
        let tasks = self.tasks(SystemTime::now());
        let task_ids: Vec<_> = tasks.iter().map(|task| task.task_id.clone()).collect();
        if !tasks.is_empty() {
            self.shared.staged(tasks, objection).await?;
        }
        let (driver, offer_ids) = (&self.driver, self.offer_ids);
        let (operations, filters) = (self.operations, self.filters);
        let queued = match &self.ledger {
            Some(ledger) => ledger.accept(driver, offer_ids, operations, filters).await,
            None => driver.accept_offers(offer_ids, operations, filters).await,
        };
        match queued {
            Ok(receipt) => {
                self.shared.queued(&task_ids);
                let (told, outcome) = oneshot::channel();
                let shared = Arc::downgrade(&self.shared);
                tokio::spawn(settle(shared, task_ids, receipt, told));
                Ok(LaunchReceipt { outcome })
            }
            Err(error) => {
                if let Err(store) = self.shared.withdrawn(&task_ids).await {
                    tracing::warn!(error = %store, "launch that was not sent stays stored, as unsure");
                }
                Err(error)
            }
        }
    }

    fn tasks(&self, now: SystemTime) -> Vec<TrackedTask> {
        let framework_id = self.driver.framework_id();
        let tracked = |task: &TaskInfo, executor| {
            TrackedTask::launched(task, executor, framework_id.clone(), now)
        };
        let mut tasks = Vec::new();
        for operation in &self.operations {
            if let Some(launch) = &operation.launch {
                tasks.extend(launch.task_infos.iter().map(|task| tracked(task, None)));
            }
            if let Some(group) = &operation.launch_group {
                let executor = Some(&group.executor.executor_id);
                let members = group.task_group.tasks.iter();
                tasks.extend(members.map(|task| tracked(task, executor)));
            }
        }
        tasks
    }
}

/// Ids must be new: what is still told of a task that had one before could not be told apart.
fn objection(tracked: &Tasks, launched: &[TrackedTask]) -> Result<()> {
    let mut seen = BTreeSet::new();
    let refuse = |context| Err(Error::new(ErrorKind::Config, context));
    for TrackedTask { task_id, .. } in launched {
        if let Some(before) = tracked.get(task_id) {
            let state = before.state.as_str_name();
            return refuse(format!(
                "task {task_id} cannot be launched: one of that id is tracked, as {state}"
            ));
        }
        if !seen.insert(task_id) {
            return refuse(format!(
                "task {task_id} cannot be launched twice in one call"
            ));
        }
    }
    Ok(())
}

/// Heeds the outcome. Holds no tracker up that nobody else has any more.
async fn settle(
    shared: Weak<Shared>,
    task_ids: Vec<TaskId>,
    receipt: Receipt,
    told: oneshot::Sender<Outcome>,
) {
    let outcome = receipt.outcome().await;
    if let Some(shared) = shared.upgrade() {
        let never = match &outcome {
            Outcome::Accepted => None,
            Outcome::Refused { status, message } => {
                Some(format!("launch refused with {status}: {message}"))
            }
            Outcome::NotSent(error) => Some(format!("launch not sent: {error}")),
            Outcome::Unknown(error) => {
                tracing::warn!(%error, tasks = task_ids.len(), "nobody knows whether tasks were launched");
                shared.unsure(&task_ids).await;
                None
            }
        };
        if let Some(why) = never {
            tracing::warn!(tasks = task_ids.len(), why, "tasks were not launched");
            if let Err(error) = shared.never_launched(&task_ids, &why).await {
                tracing::warn!(%error, "tasks that were not launched stay stored, as unsure");
            }
        }
    }
    // Nobody may wait for it.
    let _ = told.send(outcome);
}
