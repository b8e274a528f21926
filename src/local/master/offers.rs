//! Offers: making them, and the ways in which they end.
//!
//! Source: `Master::offer`, `Master::decline` and `Master::removeOffer`, `src/master/master.cpp` of Apache Mesos 1.11.0.

use super::accept::DECLINES;
use super::allocator::Allotment;
use super::filters::refusal;
use super::framework::event;
use super::state::{Agent, Master, Offer, Timer};
use crate::local::config::HOST;
use crate::proto::framework_info::capability;
use crate::proto::resource::AllocationInfo;
use crate::proto::scheduler::{call, event};
use crate::proto::{self, Address, AgentId, ExecutorId, Filters, FrameworkId, OfferId, Url};
use crate::resources::Resources;

impl Master {
    /// An offer of what was booked, to be sent.
    pub(super) fn make_offer(&mut self, allotment: Allotment) -> Option<proto::Offer> {
        let offer_id = self.new_offer_id();
        let Allotment {
            framework_id,
            agent_id,
            role,
            resources,
        } = allotment;
        let agent = self.agents.get(&agent_id)?;
        let framework = self.frameworks.get(&framework_id)?;
        let is_multi_role = framework.has(capability::Type::MultiRole);
        let allocated = resources.allocated_to(&role);
        let shown = if is_multi_role {
            &allocated
        } else {
            &resources
        };
        let is_refined = framework.has(capability::Type::ReservationRefinement);
        let first = (agent_id.clone(), ExecutorId::default());
        let executors = framework.executors.range(first..);
        let offer = proto::Offer {
            id: offer_id.clone(),
            framework_id: framework_id.clone(),
            agent_id: agent_id.clone(),
            hostname: agent.info.hostname.clone(),
            url: Some(agent.url()),
            domain: agent.info.domain.clone(),
            resources: if is_refined {
                shown.to_protos()
            } else {
                shown.to_unrefined_protos()
            },
            attributes: agent.info.attributes.clone(),
            executor_ids: executors
                .map(|((on, id), _)| (on, id))
                .take_while(|(on, _)| **on == agent_id)
                .map(|(_, id)| id.clone())
                .collect(),
            unavailability: self.unavailability_of(agent),
            allocation_info: is_multi_role.then(|| AllocationInfo {
                role: Some(role.clone()),
            }),
        };
        let kept = Offer {
            framework_id,
            agent_id,
            role,
            resources: allocated,
        };
        self.offers.insert(offer_id.clone(), kept);
        if let Some(timeout) = self.config.offer_timeout {
            self.schedule(timeout, Timer::OfferTimeout(offer_id));
        }
        Some(offer)
    }

    pub(super) fn send_offers(&mut self, framework_id: &FrameworkId, offers: Vec<proto::Offer>) {
        if let Some(framework) = self.frameworks.get(framework_id) {
            tracing::debug!(%framework_id, offers = offers.len(), "offers sent");
            offers
                .iter()
                .for_each(|_| framework.tallies.offers.note("sent"));
            let mut event = event(event::Type::Offers);
            event.offers = Some(event::Offers { offers });
            framework.send(&event);
        }
    }

    pub(super) fn decline(&mut self, framework_id: &FrameworkId, decline: &call::Decline) {
        self.tallies.named.note(DECLINES);
        for offer_id in &decline.offer_ids {
            let offer = self.offers.get(offer_id);
            if offer.is_none_or(|offer| offer.framework_id != *framework_id) {
                continue;
            }
            if let Some(offer) = self.offers.remove(offer_id) {
                if let Some(framework) = self.frameworks.get(framework_id) {
                    framework.tallies.offers.note("declined");
                }
                self.release(&offer, &offer.resources, decline.filters.as_ref());
            }
        }
    }

    /// Gives back `resources` of an offer that is no longer out, and holds them back as the scheduler wishes.
    pub(super) fn release(
        &mut self,
        offer: &Offer,
        resources: &Resources,
        filters: Option<&Filters>,
    ) {
        if resources.is_empty() {
            return;
        }
        self.give_back(&offer.agent_id, resources);
        let refusal = refusal(filters, self.config.allocation_interval);
        let Some(framework) = self.frameworks.get_mut(&offer.framework_id) else {
            return;
        };
        framework.unbook(&offer.role, resources);
        if let Some(period) = refusal
            && let Some(agent) = self.agents.get_mut(&offer.agent_id)
        {
            let filters = &mut framework.filters;
            let desk = filters.desk_or(&offer.role, || self.allocator.new_desk());
            let times = (self.now, self.now + period);
            agent.refusals.add(desk, resources.unallocated(), times);
        }
    }

    /// Takes an offer back without filter, if it is still out.
    pub(super) fn take_back(&mut self, offer_id: &OfferId) -> Option<Offer> {
        let offer = self.offers.remove(offer_id)?;
        self.give_back(&offer.agent_id, &offer.resources);
        if let Some(framework) = self.frameworks.get_mut(&offer.framework_id) {
            framework.unbook(&offer.role, &offer.resources);
        }
        Some(offer)
    }

    /// Takes an offer back and says so.
    pub(super) fn rescind(&mut self, offer_id: &OfferId) {
        if let Some(offer) = self.take_back(offer_id) {
            self.send_rescind(&offer, offer_id);
        }
    }

    /// The same, as if it had been declined with `filters`.
    pub(super) fn rescind_refused(&mut self, offer_id: &OfferId, filters: &Filters) {
        if let Some(offer) = self.offers.remove(offer_id) {
            self.release(&offer, &offer.resources, Some(filters));
            self.send_rescind(&offer, offer_id);
        }
    }

    fn send_rescind(&self, offer: &Offer, offer_id: &OfferId) {
        if let Some(framework) = self.frameworks.get(&offer.framework_id) {
            framework.tallies.offers.note("rescinded");
            let mut event = event(event::Type::Rescind);
            event.rescind = Some(event::Rescind {
                offer_id: offer_id.clone(),
            });
            framework.send(&event);
        }
    }

    /// Takes all offers and inverse offers of a framework back, without a word: the subscription that had them is over.
    pub(super) fn remove_offers_of(&mut self, framework_id: &FrameworkId) {
        let own: Vec<OfferId> = self
            .offers
            .iter()
            .filter(|(_, offer)| offer.framework_id == *framework_id)
            .map(|(id, _)| id.clone())
            .collect();
        for offer_id in own {
            self.take_back(&offer_id);
        }
        self.inverse_offers.remove_framework(framework_id);
    }

    /// Makes `resources` available on their agent again; shared ones always were.
    pub(super) fn give_back(&mut self, agent_id: &AgentId, resources: &Resources) {
        if let Some(agent) = self.agents.get_mut(agent_id) {
            agent.available += &resources.not_shared().unallocated();
        }
    }
}

impl Agent {
    /// Where it listens.
    pub(super) fn url(&self) -> Url {
        Url {
            scheme: "http".to_owned(),
            address: Address {
                hostname: Some(self.info.hostname.clone()),
                ip: Some(HOST.to_owned()),
                port: self.info.port(),
            },
            path: Some(format!("/{}", self.process)),
            ..Default::default()
        }
    }
}
