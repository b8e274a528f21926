//! Makes the calls of a demand.

use std::collections::BTreeSet;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::wishes::{Said, Step};
use crate::driver::{Outcome, Receipt};
use crate::error::{ErrorKind, Result};
use crate::proto::Offer;
use crate::scheduler::SchedulerHandle;
use crate::toolkit::OfferLedger;
use crate::toolkit::offer_ledger::role_of;

/// When a call that the master did not take is repeated.
const REPEAT_AFTER: Duration = Duration::from_secs(5);

/// How long nothing is tried when a call could not even be queued: without a subscription, and with a full outbox.
const PAUSE: Duration = Duration::from_secs(1);

/// So many calls under way are enough: while there is no subscription, none ends, and the outbox is not to be filled.
const MAX_UNDER_WAY: usize = 8;

/// Roles of a call, and what became of it.
type Ending = Pin<Box<dyn Future<Output = (Vec<String>, Outcome)> + Send>>;

struct Work {
    shared: Arc<Shared>,
    driver: SchedulerHandle,
    /// At most [`MAX_UNDER_WAY`], and one.
    under_way: FuturesUnordered<Ending>,
    paused_until: Option<Instant>,
}

/// Runs for ever.
pub(super) async fn run(shared: Arc<Shared>, driver: SchedulerHandle) {
    let mut changes = shared.settings.ledger.as_ref().map(OfferLedger::changes);
    let mut work = Work {
        shared,
        driver,
        under_way: FuturesUnordered::new(),
        paused_until: None,
    };
    loop {
        let again = match work.under_way.len() < MAX_UNDER_WAY {
            true => work.step().await,
            false => None,
        };
        let shared = Arc::clone(&work.shared);
        tokio::select! {
            () = shared.wake.notified() => {}
            () = changed(changes.as_mut()) => {}
            () = until(again) => {}
            Some((roles, outcome)) = work.under_way.next() => work.ended(roles, &outcome),
        }
    }
}

async fn changed(changes: Option<&mut watch::Receiver<u64>>) {
    match changes {
        Some(changes) => match changes.changed().await {
            Ok(()) => {}
            // The ledger is kept by the settings; it cannot be gone.
            Err(_) => pending().await,
        },
        None => pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

impl Work {
    /// Does what there is to do; answers when there is more.
    async fn step(&mut self) -> Option<Instant> {
        self.paused_until = self.paused_until.filter(|until| *until > Instant::now());
        if self.paused_until.is_some() {
            return self.paused_until;
        }
        let said = Said {
            roles: self.driver.roles().into_iter().collect(),
            suppressed: self.driver.suppressed_roles().into_iter().collect(),
        };
        let step = self.shared.lock().step(&said, Instant::now());
        let Step {
            suppress,
            revive,
            again,
        } = step;
        // First, or what is declined would be offered again.
        if !suppress.is_empty() {
            tracing::debug!(roles = ?suppress, "no work: offers suppressed");
            let told = self.driver.suppress_offers(suppress.clone()).await;
            self.told(suppress, told);
        }
        self.decline_unwanted(&said.roles).await;
        if !revive.is_empty() {
            tracing::debug!(roles = ?revive, "work: offers revived");
            let told = self.driver.revive_offers(revive.clone()).await;
            self.told(revive, told);
        }
        self.paused_until.into_iter().chain(again).min()
    }

    fn told(&mut self, roles: Vec<String>, told: Result<Receipt>) {
        match told {
            Ok(receipt) => {
                let ending = async move { (roles, receipt.outcome().await) };
                self.under_way.push(Box::pin(ending));
            }
            Err(error) => {
                self.paused_until = Some(Instant::now() + PAUSE);
                self.ended(roles, &Outcome::NotSent(error));
            }
        }
    }

    fn ended(&mut self, roles: Vec<String>, outcome: &Outcome) {
        match outcome {
            Outcome::Accepted => return,
            Outcome::NotSent(why) if why.kind() == ErrorKind::NotRunning => return,
            _ => {}
        }
        tracing::warn!(?roles, ?outcome, "demand not heard; it is repeated");
        let repeat_at = Instant::now() + REPEAT_AFTER;
        self.shared.lock().not_heard(roles, repeat_at);
        self.shared.wake.notify_one();
    }

    async fn decline_unwanted(&mut self, roles: &BTreeSet<String>) {
        let Some(ledger) = &self.shared.settings.ledger else {
            return;
        };
        let unwanted = {
            let wishes = self.shared.lock();
            // Without MULTI_ROLE there is one role, and offers do not say so.
            let only = roles.iter().next().map(String::as_str);
            let is_unwanted = |offer: &Offer| {
                let role = role_of(offer).or(only);
                role.is_some_and(|role| !wishes.is_wanted(role))
            };
            ledger.ids_where(is_unwanted)
        };
        if unwanted.is_empty() {
            return;
        }
        // Without a subscription, the offers went with it.
        if let Err(error) = self.shared.decline(&self.driver, unwanted).await {
            tracing::debug!(%error, "unwanted offers are void");
        }
    }
}
