//! Asks the policy, and answers.

use std::sync::Arc;

use super::{MaintenanceAnswer, Shared};
use crate::driver::{Outcome, Receipt};
use crate::error::Result;
use crate::proto::OfferId;
use crate::scheduler::SchedulerHandle;

/// Runs for ever.
pub(super) async fn run(shared: Arc<Shared>, driver: SchedulerHandle) {
    loop {
        answer(&shared, &driver).await;
        let is_quiet = shared.lock().is_empty();
        tokio::select! {
            () = shared.wake.notified() => {}
            () = tokio::time::sleep(shared.settings.review), if !is_quiet => {}
        }
    }
}

async fn answer(shared: &Shared, driver: &SchedulerHandle) {
    let waiting: Vec<_> = shared.lock().values().cloned().collect();
    let (mut accepted, mut declined) = (Vec::new(), Vec::new());
    for asked in waiting {
        let answer = (shared.settings.policy)(&asked);
        tracing::debug!(inverse_offer = %asked.id, ?answer, "policy of maintenance");
        match answer {
            MaintenanceAnswer::Accept => accepted.push(asked.id),
            MaintenanceAnswer::Decline => declined.push(asked.id),
            MaintenanceAnswer::Wait => {}
        }
    }
    let filters = shared.settings.filters();
    if !accepted.is_empty() {
        let told = driver.accept_inverse_offers(accepted.clone(), filters);
        answered(shared, &accepted, told.await).await;
    }
    if !declined.is_empty() {
        let told = driver.decline_inverse_offers(declined.clone(), filters);
        answered(shared, &declined, told.await).await;
    }
}

/// Those whose answer is not taken are asked about again; without their subscription they are void.
async fn answered(shared: &Shared, ids: &[OfferId], told: Result<Receipt>) {
    let outcome = match told {
        Ok(receipt) => receipt.outcome().await,
        Err(error) => Outcome::NotSent(error),
    };
    if outcome.is_accepted() {
        let mut waiting = shared.lock();
        for id in ids {
            waiting.remove(id);
        }
    } else {
        tracing::debug!(?outcome, "inverse offers not answered");
    }
}
