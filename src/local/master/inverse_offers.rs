//! Inverse offers: frameworks are asked to leave agents whose machines are about to be maintained.
//!
//! Source: `Master::inverseOffer`, `src/master/master.cpp`, and `HierarchicalAllocatorProcess::generateInverseOffers`,
//! `src/master/allocator/mesos/hierarchical.cpp`, of Apache Mesos 1.11.0.

use std::collections::{BTreeMap, BTreeSet};

use super::filters::inverse_refusal;
use super::framework::{Framework, event};
use super::state::{Master, Timer, timestamp};
use crate::local::operator::time;
use crate::proto::allocator::{InverseOfferStatus, inverse_offer_status};
use crate::proto::scheduler::event;
use crate::proto::{AgentId, Filters, FrameworkId, InverseOffer, OfferId};

#[derive(Debug, Default)]
pub(super) struct InverseOffers {
    /// Those that are out: at most one of each framework and agent.
    out: BTreeMap<OfferId, InverseOffer>,
    /// What frameworks answered last, by agent.
    answers: BTreeMap<AgentId, BTreeMap<FrameworkId, InverseOfferStatus>>,
}

impl InverseOffers {
    fn is_out(&self, framework_id: &FrameworkId, agent_id: &AgentId) -> bool {
        let mut out = self.out.values();
        out.any(|own| own.framework_id == *framework_id && own.agent_id.as_ref() == Some(agent_id))
    }

    pub(super) fn answers(&self, agent_id: &AgentId) -> impl Iterator<Item = &InverseOfferStatus> {
        let answers = self.answers.get(agent_id);
        answers.into_iter().flat_map(BTreeMap::values)
    }

    pub(super) fn forget_answers(&mut self, agent_id: &AgentId) {
        self.answers.remove(agent_id);
    }

    fn ids_where(&self, wanted: impl Fn(&InverseOffer) -> bool) -> Vec<OfferId> {
        let out = self.out.iter().filter(|(_, own)| wanted(own));
        out.map(|(id, _)| id.clone()).collect()
    }

    /// Forgets those of a framework without a word.
    pub(super) fn remove_framework(&mut self, framework_id: &FrameworkId) {
        self.out.retain(|_, own| own.framework_id != *framework_id);
    }

    /// Those that a framework has.
    pub(super) fn of_framework(
        &self,
        framework_id: &FrameworkId,
    ) -> impl Iterator<Item = &InverseOffer> {
        let out = self.out.values();
        out.filter(move |own| own.framework_id == *framework_id)
    }
}

impl Framework {
    /// Whether it is offered or uses anything of the agent, but for offers.
    fn uses(&self, agent_id: &AgentId) -> bool {
        let mut tasks = self.tasks.values();
        let mut executors = self.executors.keys();
        executors.any(|(on, _)| on == agent_id)
            || tasks.any(|task| task.task.agent_id == *agent_id && !task.resources.is_empty())
    }
}

impl Master {
    /// Asks whoever has something on agents that will not be available, unless it was asked already or does not want to
    /// be for now.
    pub(super) fn make_inverse_offers(&mut self, candidates: &BTreeSet<AgentId>) {
        let mut made: BTreeMap<FrameworkId, Vec<InverseOffer>> = BTreeMap::new();
        for agent_id in candidates {
            let agent = self.agents.get(agent_id);
            let when = agent.and_then(|agent| Some((agent.url(), self.unavailability_of(agent)?)));
            let Some((url, unavailability)) = when else {
                continue;
            };
            for framework_id in self.concerned(agent_id) {
                let inverse_offer = InverseOffer {
                    id: self.new_offer_id(),
                    url: Some(url.clone()),
                    framework_id: framework_id.clone(),
                    agent_id: Some(agent_id.clone()),
                    unavailability,
                    resources: Vec::new(),
                };
                made.entry(framework_id).or_default().push(inverse_offer);
            }
        }
        for (framework_id, inverse_offers) in made {
            self.send_inverse_offers(&framework_id, inverse_offers);
        }
    }

    fn send_inverse_offers(&mut self, framework_id: &FrameworkId, made: Vec<InverseOffer>) {
        for own in &made {
            let id = own.id.clone();
            self.inverse_offers.out.insert(id.clone(), own.clone());
            if let Some(timeout) = self.config.offer_timeout {
                self.schedule(timeout, Timer::InverseOfferTimeout(id));
            }
        }
        if let Some(framework) = self.frameworks.get(framework_id) {
            tracing::debug!(%framework_id, inverse_offers = made.len(), "inverse offers sent");
            let mut event = event(event::Type::InverseOffers);
            event.inverse_offers = Some(event::InverseOffers {
                inverse_offers: made,
            });
            framework.send(&event);
        }
    }

    /// Who is to be asked to leave the agent.
    fn concerned(&self, agent_id: &AgentId) -> Vec<FrameworkId> {
        let offered = self.offers_where(|offer| offer.agent_id == *agent_id);
        let offered: BTreeSet<&FrameworkId> =
            offered.map(|(_, offer)| &offer.framework_id).collect();
        let frameworks = self.frameworks.values().filter(|framework| {
            framework.is_connected()
                && (offered.contains(&framework.id) || framework.uses(agent_id))
                && !framework.filters.refuses_inverse(agent_id, self.now)
                && !self.inverse_offers.is_out(&framework.id, agent_id)
        });
        frameworks.map(|framework| framework.id.clone()).collect()
    }

    /// Notes the answer to inverse offers that are still out, and asks again once the filter is over.
    pub(super) fn answer_inverse_offers(
        &mut self,
        ids: &[OfferId],
        status: inverse_offer_status::Status,
        filters: Option<&Filters>,
    ) {
        let refusal = inverse_refusal(filters);
        for id in ids {
            let Some(answered) = self.inverse_offers.out.remove(id) else {
                tracing::warn!(%id, "answer to an inverse offer that is not out dropped");
                continue;
            };
            let (framework_id, agent_id) =
                (answered.framework_id, answered.agent_id.unwrap_or_default());
            if let (Some(period), Some(framework)) =
                (refusal, self.frameworks.get_mut(&framework_id))
            {
                let until = self.now + period;
                framework.filters.refuse_inverse(&agent_id, until);
            }
            let answer = InverseOfferStatus {
                status: status.into(),
                framework_id: framework_id.clone(),
                timestamp: time(timestamp()),
            };
            let answers = self.inverse_offers.answers.entry(agent_id).or_default();
            answers.insert(framework_id, answer);
        }
    }

    pub(super) fn rescind_inverse_of_agent(&mut self, agent_id: &AgentId) {
        let is_own = |own: &InverseOffer| own.agent_id.as_ref() == Some(agent_id);
        for id in self.inverse_offers.ids_where(is_own) {
            self.rescind_inverse(&id);
        }
    }

    /// Takes an inverse offer back and says so, if it is still out.
    pub(super) fn rescind_inverse(&mut self, id: &OfferId) {
        let Some(rescinded) = self.inverse_offers.out.remove(id) else {
            return;
        };
        if let Some(framework) = self.frameworks.get(&rescinded.framework_id) {
            let mut event = event(event::Type::RescindInverseOffer);
            event.rescind_inverse_offer = Some(event::RescindInverseOffer {
                inverse_offer_id: id.clone(),
            });
            framework.send(&event);
        }
    }
}
