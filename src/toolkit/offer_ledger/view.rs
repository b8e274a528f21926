//! Offers as one looks at them: those of one agent and role together.

use std::collections::BTreeMap;

use crate::proto::{AgentId, Attribute, Offer, OfferId, Unavailability};
use crate::resources::Resources;

/// What is on offer of one agent to one role: one or more offers, which can be used together.
///
/// Source: `Offer`, mesos.proto; the rules for offers in one ACCEPT, `src/master/validation.cpp` of Apache Mesos 1.11.0.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AgentOffers {
    /// The agent.
    pub agent_id: AgentId,
    /// Its host.
    pub hostname: String,
    /// The role that they are for; `None` if the master did not say, for a framework without MULTI_ROLE.
    pub role: Option<String>,
    /// The offers, oldest first; never empty.
    pub offers: Vec<Offer>,
    /// All their resources together, allocated to the role.
    pub resources: Resources,
}

impl AgentOffers {
    fn new(first: &Offer) -> Self {
        Self {
            agent_id: first.agent_id.clone(),
            hostname: first.hostname.clone(),
            role: role_of(first).map(str::to_owned),
            offers: Vec::new(),
            resources: Resources::new(),
        }
    }

    /// The ids, to be used together.
    #[must_use]
    pub fn offer_ids(&self) -> Vec<OfferId> {
        self.offers.iter().map(|offer| offer.id.clone()).collect()
    }

    /// The agent's attributes; may be empty, and a name may come more than once.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        self.newest().map_or(&[], |offer| &offer.attributes)
    }

    /// When the agent's machine is to be maintained, if it is.
    #[must_use]
    pub fn unavailability(&self) -> Option<Unavailability> {
        self.newest().and_then(|offer| offer.unavailability)
    }

    /// The last word on what is not the resources.
    fn newest(&self) -> Option<&Offer> {
        self.offers.last()
    }
}

/// The role that an offer is for.
pub(in crate::toolkit) fn role_of(offer: &Offer) -> Option<&str> {
    offer.allocation_info.as_ref()?.role.as_deref()
}

/// `offers`: oldest first. So are those of the answer, by their oldest.
pub(super) fn merged<'a>(offers: impl Iterator<Item = &'a Offer>) -> Vec<AgentOffers> {
    let mut places: BTreeMap<(&AgentId, Option<&str>), usize> = BTreeMap::new();
    let mut all: Vec<AgentOffers> = Vec::new();
    for offer in offers {
        let place = *places
            .entry((&offer.agent_id, role_of(offer)))
            .or_insert_with(|| {
                all.push(AgentOffers::new(offer));
                all.len() - 1
            });
        let own = &mut all[place];
        own.resources += &Resources::from_unchecked(&offer.resources);
        own.offers.push(offer.clone());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::resource::AllocationInfo;

    fn offer(id: &str, agent: &str, role: &str, resources: &str) -> Offer {
        let info = AllocationInfo {
            role: Some(role.into()),
        };
        let resources = Resources::parse(resources).unwrap().allocated_to(role);
        Offer {
            id: id.into(),
            agent_id: agent.into(),
            resources: resources.to_protos(),
            allocation_info: Some(info),
            ..Offer::default()
        }
    }

    #[test]
    fn offers_of_one_agent_and_role_are_one() {
        let offers = [
            offer("1", "a", "x", "cpus:1"),
            offer("2", "b", "x", "cpus:1"),
            offer("3", "a", "y", "cpus:1"),
            offer("4", "a", "x", "cpus:0.5;mem:8"),
        ];
        let all = merged(offers.iter());
        let shown: Vec<String> = all
            .iter()
            .map(|own| {
                let ids = own.offer_ids();
                let ids: Vec<&str> = ids.iter().map(|id| id.value.as_str()).collect();
                format!("{} {}: {}", own.agent_id, ids.join("+"), own.resources)
            })
            .collect();
        let expected = [
            "a 1+4: cpus(allocated: x):1.5; mem(allocated: x):8",
            "b 2: cpus(allocated: x):1",
            "a 3: cpus(allocated: y):1",
        ];
        assert_eq!(shown, expected);
    }
}
