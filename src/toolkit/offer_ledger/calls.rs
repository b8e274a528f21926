//! The calls that use offers up.

use super::OfferLedger;
use super::loan::Loan;
use super::view::role_of;
use crate::driver::{Outcome, Receipt, Watcher};
use crate::error::{Error, ErrorKind, Result};
use crate::proto::{Filters, OfferId, TaskInfo, offer};
use crate::scheduler::SchedulerHandle;

impl OfferLedger {
    /// Queues a launch of `tasks` on the resources of `offer_ids`, which are used up by it.
    ///
    /// `offer_ids`: one or more, all of one agent and role: those of an [`AgentOffers`](super::AgentOffers) are. `tasks`:
    /// may be empty, which declines the offers. What the tasks leave over is declined with `filters`.
    ///
    /// The offers are live again if the call is surely not carried out while their subscription stands: it is refused, or
    /// this method fails or is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::StaleOffer`] for an offer that is not live, or whose subscription is lost; see
    /// [`StaleOffer`](super::StaleOffer). [`ErrorKind::Config`] for no offers, the same offer twice, or offers of several
    /// agents or roles. [`ErrorKind::NotRunning`] once the driver is stopped or aborted.
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued, and the offers are live.
    ///
    /// Source: `SchedulerDriver.launchTasks`, Java API; `Call.Accept`, scheduler.proto.
    pub async fn launch(
        &self,
        driver: &SchedulerHandle,
        offer_ids: Vec<OfferId>,
        tasks: Vec<TaskInfo>,
        filters: Filters,
    ) -> Result<Receipt> {
        let launch = (!tasks.is_empty()).then(|| offer::Operation::launch(tasks));
        let operations = launch.into_iter().collect();
        self.accept(driver, offer_ids, operations, filters).await
    }

    /// Queues `operations` on the resources of `offer_ids`, as [`launch`](Self::launch) queues tasks.
    ///
    /// `operations`: applied in order; none declines the offers.
    ///
    /// # Errors
    /// As [`launch`](Self::launch); [`ErrorKind::Config`] for an empty task group, too.
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued, and the offers are live.
    ///
    /// Source: `SchedulerDriver.acceptOffers`, Java API; `Call.Accept`, scheduler.proto.
    pub async fn accept(
        &self,
        driver: &SchedulerHandle,
        offer_ids: Vec<OfferId>,
        operations: Vec<offer::Operation>,
        filters: Filters,
    ) -> Result<Receipt> {
        let call = (offer_ids, operations, filters);
        self.accept_watched(driver, call, Box::new(|_| {})).await
    }

    /// [`accept`](Self::accept), with a watcher of the outcome.
    pub(in crate::toolkit) async fn accept_watched(
        &self,
        driver: &SchedulerHandle,
        call: (Vec<OfferId>, Vec<offer::Operation>, Filters),
        watcher: Watcher,
    ) -> Result<Receipt> {
        let loan = self.lend(call.0.clone())?;
        let own = loan.watcher();
        let watcher = Box::new(move |outcome: &Outcome| {
            own(outcome);
            watcher(outcome);
        });
        let sent = driver.accept_offers_under(call, loan.generation, watcher);
        match sent.await {
            Ok(receipt) => {
                loan.queued();
                Ok(receipt)
            }
            Err(error) => Err(loan.failed(error)),
        }
    }

    /// Gives offers back; what they hold is not offered again for `filters.refuse_seconds` (seconds; default 5.0).
    ///
    /// `offer_ids`: any number, of any agents. Those that are not live are left out; `None` if none is.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] without a subscription: then there is nothing to give back.
    /// [`ErrorKind::NotRunning`] once the driver is stopped or aborted.
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued, and the offers are live.
    ///
    /// Source: `SchedulerDriver.declineOffer`, Java API; `Call.Decline`, scheduler.proto.
    pub async fn decline(
        &self,
        driver: &SchedulerHandle,
        mut offer_ids: Vec<OfferId>,
        filters: Filters,
    ) -> Result<Option<Receipt>> {
        offer_ids.sort_unstable();
        offer_ids.dedup();
        let live = {
            let book = self.lock();
            offer_ids.retain(|id| book.get(id).is_some());
            offer_ids
        };
        if live.is_empty() {
            return Ok(None);
        }
        let loan = match Loan::take(&self.own.shared, live.clone()) {
            Ok(loan) => loan,
            // Somebody else was faster with one of them.
            Err(_) => return Box::pin(self.decline(driver, live, filters)).await,
        };
        let receipt = driver.decline_offers(live, filters).await?;
        loan.declined();
        Ok(Some(receipt))
    }

    /// [`decline`](Self::decline) of everything that is live.
    ///
    /// # Errors
    /// As [`decline`](Self::decline).
    ///
    /// # Cancel safety
    /// As [`decline`](Self::decline).
    pub async fn decline_all(
        &self,
        driver: &SchedulerHandle,
        filters: Filters,
    ) -> Result<Option<Receipt>> {
        let offer_ids = self.ids_where(|_| true);
        self.decline(driver, offer_ids, filters).await
    }

    /// Offers that can be used together.
    fn lend(&self, offer_ids: Vec<OfferId>) -> Result<Loan> {
        let refuse = |why: String| Err(Error::new(ErrorKind::Config, why));
        if offer_ids.is_empty() {
            return refuse("no offers to use".to_owned());
        }
        let mut again = offer_ids.iter().enumerate();
        if let Some((_, id)) = again.find(|(at, id)| offer_ids[..*at].contains(id)) {
            return refuse(format!("offer {id} is named twice"));
        }
        let loan = Loan::take(&self.own.shared, offer_ids)?;
        let first = &loan.offers[0];
        for other in &loan.offers {
            if other.agent_id != first.agent_id {
                return refuse(format!(
                    "offers are of several agents: {} of {}, and {} of {}",
                    first.id, first.agent_id, other.id, other.agent_id
                ));
            }
            if role_of(other) != role_of(first) {
                let role = |offer| role_of(offer).unwrap_or("*");
                return refuse(format!(
                    "offers are for several roles: {} for {}, and {} for {}",
                    first.id,
                    role(first),
                    other.id,
                    role(other)
                ));
            }
        }
        Ok(loan)
    }
}
