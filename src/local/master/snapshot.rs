//! What of a master a test may see.

use super::state::Master;
use crate::local::snapshot::{LocalFramework, LocalOffer};

impl Master {
    pub(in crate::local) fn framework_states(&self) -> Vec<LocalFramework> {
        let frameworks = self.frameworks.values();
        frameworks
            .map(|framework| LocalFramework {
                id: framework.id.clone(),
                name: framework.info.name.clone(),
                roles: framework.roles().into_iter().collect(),
                is_connected: framework.is_connected(),
                suppressed_roles: framework.suppressed.iter().cloned().collect(),
            })
            .collect()
    }

    pub(in crate::local) fn offer_states(&self) -> Vec<LocalOffer> {
        let offers = self.offers.iter();
        offers
            .map(|(id, offer)| LocalOffer {
                id: id.clone(),
                framework_id: offer.framework_id.clone(),
                agent_id: offer.agent_id.clone(),
            })
            .collect()
    }

    /// Whether the agent in place `index` is registered and connected.
    pub(in crate::local) fn has_agent_at(&self, index: usize) -> bool {
        let agent_id = self.agent_at(index);
        agent_id.is_some_and(|agent_id| self.is_agent_connected(&agent_id))
    }
}
