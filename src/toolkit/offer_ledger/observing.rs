//! How a ledger learns of offers, and lets go of them.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

use super::{OfferLedger, Shared, StaleReason};
use crate::error::{Error, Result};
use crate::proto::{AgentId, FrameworkId, Offer, OfferId};
use crate::scheduler::SchedulerHandle;
use crate::toolkit::Observer;

impl OfferLedger {
    /// A subscription stands. What comes until it is lost came under this one: if it was lost already, nothing will.
    fn subscribed(&self, driver: &SchedulerHandle) {
        self.own.shared.change(|book| {
            book.clear();
            book.generation = driver.generation();
        });
        self.start(driver);
    }

    fn start(&self, driver: &SchedulerHandle) {
        let shared = Arc::clone(&self.own.shared);
        let work = || decline_expired(Arc::clone(&shared), driver.clone());
        let ended = Arc::clone(&shared);
        let over = move || ended.change(super::Book::clear);
        self.own.worker.start(driver, work, over);
    }
}

/// Declines what is held too long, for ever.
async fn decline_expired(shared: Arc<Shared>, driver: SchedulerHandle) {
    let mut changes = shared.changes.subscribe();
    loop {
        changes.borrow_and_update();
        let hold_time = shared.settings.hold_time;
        let oldest = shared.lock().oldest();
        match oldest {
            Some(since) => tokio::select! {
                () = sleep_until(since + hold_time) => {
                    let until = Instant::now().checked_sub(hold_time);
                    let expired = shared.expire(until);
                    decline(&shared, &driver, expired).await;
                }
                _ = changes.changed() => {}
            },
            // Its sender is in `shared`.
            None => {
                let _ = changes.changed().await;
            }
        }
    }
}

async fn decline(shared: &Shared, driver: &SchedulerHandle, expired: Vec<OfferId>) {
    if expired.is_empty() {
        return;
    }
    tracing::debug!(offers = expired.len(), "offers held too long are declined");
    let filters = shared.settings.filters;
    // Without a subscription there is nothing to decline: offers went with it.
    if let Err(error) = driver.decline_offers(expired, filters).await {
        tracing::debug!(%error, "offers held too long are void");
    }
}

impl Shared {
    fn expire(&self, until: Option<Instant>) -> Vec<OfferId> {
        self.change(|book| book.expire(until, self.settings.capacity))
    }
}

#[async_trait]
impl Observer for OfferLedger {
    async fn registered(&self, driver: &SchedulerHandle, _: &FrameworkId) -> Result<()> {
        self.subscribed(driver);
        Ok(())
    }

    async fn reregistered(&self, driver: &SchedulerHandle) -> Result<()> {
        self.subscribed(driver);
        Ok(())
    }

    async fn disconnected(&self, _: &SchedulerHandle) -> Result<()> {
        self.own.shared.change(super::Book::clear);
        Ok(())
    }

    async fn resource_offers(&self, driver: &SchedulerHandle, offers: &[Offer]) -> Result<()> {
        let now = Instant::now();
        let beyond = self.own.shared.change(|book| {
            for offer in offers {
                book.add(offer.clone(), now);
            }
            book.expire(None, self.own.shared.settings.capacity)
        });
        self.start(driver);
        decline(&self.own.shared, driver, beyond).await;
        Ok(())
    }

    async fn offer_rescinded(&self, _: &SchedulerHandle, offer_id: &OfferId) -> Result<()> {
        self.own
            .shared
            .change(|book| book.remove(offer_id, StaleReason::Rescinded));
        Ok(())
    }

    async fn agent_lost(&self, _: &SchedulerHandle, agent_id: &AgentId) -> Result<()> {
        self.own.shared.change(|book| book.remove_agent(agent_id));
        Ok(())
    }

    async fn error(&self, _: &SchedulerHandle, _: &Error) {
        self.own.shared.change(super::Book::clear);
    }
}
