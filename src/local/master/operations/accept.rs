//! Operations of an ACCEPT, each on what the ones before it left.
//!
//! Source: `Master::accept` and `Master::_accept`, `src/master/master.cpp` of Apache Mesos 1.11.0.

use crate::local::master::state::{Master, Offer};
use crate::proto::offer::{Operation, operation};
use crate::proto::{AgentId, OfferId, Resource};
use crate::resources::{Conversion, Resources, conversions, upgrade};
use crate::validation::{self, Requester, resources_of};

/// What an ACCEPT works on.
#[derive(Debug)]
pub(in crate::local::master) struct Accepted {
    /// With what is left to be used.
    pub(in crate::local::master) offer: Offer,
    /// What was offered.
    offered: Resources,
    /// Volumes that were resized: nothing more can be done with them in the same call.
    resized: Resources,
    /// Shared volumes, which tasks do not use up.
    pub(in crate::local::master) shared: Resources,
}

impl Accepted {
    pub(in crate::local::master) fn new(offer: Offer) -> Self {
        Self {
            offered: offer.resources.clone(),
            resized: Resources::new(),
            shared: offer.resources.shared(),
            offer,
        }
    }

    /// What is left: that which operations made, and that which nobody wanted.
    pub(in crate::local::master) fn rest(self) -> (Offer, Resources, Resources) {
        let remaining = self.offer.resources.clone();
        let converted = (remaining.clone() + self.resized) - self.offered;
        let declined = remaining - converted.clone();
        (self.offer, converted, declined)
    }
}

impl Master {
    /// The operation, if it is well formed: in the format with reservation refinement, and marked as allocated. What is
    /// in launches is looked at when their turn comes.
    pub(in crate::local::master) fn screen(
        &self,
        offer: &Offer,
        mut operation: Operation,
    ) -> Option<Operation> {
        if matches!(
            operation.r#type(),
            operation::Type::Launch | operation::Type::LaunchGroup
        ) {
            return self.screen_launch(offer, operation);
        }
        let mut result = validation::shape(&operation);
        let reserve = operation.reserve.as_ref();
        if result.is_ok() && reserve.is_some_and(|own| !own.source.is_empty()) {
            let why = "Reservation updates are not yet implemented for the scheduler API.";
            result = Err(why.to_owned());
        }
        if let Err(why) = result {
            if operation.r#type() != operation::Type::Unknown {
                let why = format!("Operation attempted with invalid resources: {why}");
                self.refuse_operation(&offer.framework_id, &operation, &why);
            }
            return None;
        }
        for resource in resources_of(&mut operation) {
            *resource = upgrade(std::mem::take(resource));
            let allocation = resource.allocation_info.get_or_insert_default();
            allocation.role.get_or_insert_with(|| offer.role.clone());
        }
        Some(operation)
    }

    /// Carries out one operation that is not a launch, or reports why not.
    pub(in crate::local::master) fn operate(
        &mut self,
        accepted: &mut Accepted,
        operation: &Operation,
    ) {
        if let Err(why) = self.try_operation(accepted, operation) {
            self.refuse_operation(&accepted.offer.framework_id, operation, &why);
        }
    }

    fn try_operation(
        &mut self,
        accepted: &mut Accepted,
        operation: &Operation,
    ) -> Result<(), String> {
        let agent_id = accepted.offer.agent_id.clone();
        self.check_operation(&accepted.offer, operation)?;
        if let Some(destroy) = &operation.destroy {
            self.rescind_volumes(&agent_id, &destroy.volumes);
        }
        let kind = operation.r#type();
        if matches!(
            kind,
            operation::Type::CreateDisk | operation::Type::DestroyDisk
        ) {
            // No agent of this cluster has a provider's resources, so that none can be offered.
            let mut operation = operation.clone();
            let source: Vec<Resource> = resources_of(&mut operation)
                .into_iter()
                .map(|own| own.clone())
                .collect();
            return Err(format!(
                "Invalid {} Operation: {} does not contain {}",
                kind.as_str_name(),
                accepted.offer.resources,
                Resources::from_unchecked(&source)
            ));
        }
        let conversions = conversions(operation)?;
        if matches!(
            kind,
            operation::Type::GrowVolume | operation::Type::ShrinkVolume
        ) {
            accepted.resize(kind, &conversions)?;
        } else {
            accepted.offer.resources = accepted.offer.resources.converted(&conversions)?;
            if matches!(kind, operation::Type::Create | operation::Type::Destroy) {
                accepted.shared = accepted.offer.resources.shared();
            }
        }
        if let Some(framework) = self.frameworks.get_mut(&accepted.offer.framework_id) {
            for conversion in &conversions {
                framework.unbook(&accepted.offer.role, &conversion.consumed);
                framework.book(&accepted.offer.role, &conversion.converted);
            }
        }
        let framework_id = accepted.offer.framework_id.clone();
        self.begin_operation(
            &agent_id,
            Some(&framework_id),
            operation.clone(),
            &conversions,
        );
        Ok(())
    }

    fn check_operation(&self, offer: &Offer, operation: &Operation) -> Result<(), String> {
        let (Some(agent), Some(framework)) = (
            self.agents.get(&offer.agent_id),
            self.frameworks.get(&offer.framework_id),
        ) else {
            return Err("Agent removed".to_owned());
        };
        let requester = Requester {
            principal: framework.info.principal.as_deref(),
            framework: Some(&framework.info),
            checkpointed: Some(&agent.checkpointed()),
            used: &self.used_on(&offer.agent_id).unallocated(),
        };
        requester.check(operation).map_err(|why| {
            let (id, pid, host) = (&offer.agent_id, agent.pid(), &agent.info.hostname);
            format!("{why}; on agent {id} at {pid} ({host})")
        })?;
        self.may_operate(requester.principal, operation)
    }

    /// Rescinds the agent's offers that hold one of `volumes`.
    fn rescind_volumes(&mut self, agent_id: &AgentId, volumes: &[Resource]) {
        let held = |offer: &Offer| {
            let mut volumes = volumes.iter();
            volumes.any(|volume| {
                let volume = Resources::from_unchecked(std::slice::from_ref(volume));
                offer.agent_id == *agent_id && offer.resources.contains(&volume)
            })
        };
        let holding: Vec<OfferId> = self.offers_where(held).map(|(id, _)| id.clone()).collect();
        for offer_id in holding {
            self.rescind(&offer_id);
        }
    }
}

impl Accepted {
    fn resize(&mut self, kind: operation::Type, conversions: &[Conversion]) -> Result<(), String> {
        for conversion in conversions {
            if !self.offer.resources.contains(&conversion.consumed) {
                return Err(format!(
                    "Invalid {} operation: {} does not contain {}",
                    kind.as_str_name(),
                    self.offer.resources,
                    conversion.consumed
                ));
            }
            self.offer.resources -= &conversion.consumed;
            self.resized += &conversion.converted;
        }
        Ok(())
    }
}
