//! How operations are followed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

use super::{Operations, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::proto::{AgentId, FrameworkId, OperationStatus};
use crate::scheduler::SchedulerHandle;
use crate::toolkit::Observer;

impl Operations {
    fn subscribed(&self, driver: &SchedulerHandle) {
        self.own.shared.observes.store(true, Ordering::Relaxed);
        self.own.shared.lock().resubscribed(Instant::now());
        self.own.shared.wake.notify_one();
        self.start(driver);
    }

    pub(super) fn start(&self, driver: &SchedulerHandle) {
        let shared = Arc::clone(&self.own.shared);
        let ended = Arc::clone(&shared);
        let work = || reconcile(shared, driver.clone());
        let over = move || {
            let context = "driver ended before the operation did";
            let error = Error::new(ErrorKind::NotRunning, context);
            ended.lock().fail_all(&error);
        };
        self.own.worker.start(driver, work, over);
    }
}

/// Asks for what has not ended, for ever.
async fn reconcile(shared: Arc<Shared>, driver: SchedulerHandle) {
    loop {
        let (asked, next) = shared.lock().due(Instant::now());
        if !asked.is_empty() {
            tracing::debug!(operations = asked.len(), "operations are reconciled");
            // Without a subscription, all are asked for with the next one.
            if let Err(error) = driver.reconcile_operations(asked).await {
                tracing::debug!(%error, "operations not reconciled");
            }
        }
        let due = async {
            match next {
                Some(next) => sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = shared.wake.notified() => {}
        }
    }
}

#[async_trait]
impl Observer for Operations {
    async fn registered(&self, driver: &SchedulerHandle, _: &FrameworkId) -> Result<()> {
        self.subscribed(driver);
        Ok(())
    }

    async fn reregistered(&self, driver: &SchedulerHandle) -> Result<()> {
        self.subscribed(driver);
        Ok(())
    }

    async fn framework_removed(&self, _: &SchedulerHandle, id: &FrameworkId) -> Result<()> {
        let context = format!("framework {id} was removed before the operation ended");
        let error = Error::new(ErrorKind::FrameworkRemoved, context);
        self.own.shared.lock().fail_all(&error);
        Ok(())
    }

    async fn agent_lost(&self, _: &SchedulerHandle, agent_id: &AgentId) -> Result<()> {
        self.own.shared.lock().agent_lost(agent_id, Instant::now());
        self.own.shared.wake.notify_one();
        Ok(())
    }

    async fn operation_status_update(
        &self,
        _: &SchedulerHandle,
        status: &OperationStatus,
    ) -> Result<()> {
        self.own.shared.observes.store(true, Ordering::Relaxed);
        self.own.shared.lock().told(status);
        Ok(())
    }

    async fn error(&self, _: &SchedulerHandle, error: &Error) {
        let context = "driver ended before the operation did";
        let error = Error::caused_by(ErrorKind::NotRunning, context, error.clone());
        self.own.shared.lock().fail_all(&error);
    }
}
