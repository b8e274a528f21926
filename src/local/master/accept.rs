//! ACCEPT: offers used up, tasks launched, the rest declined.
//!
//! Source: `Master::accept` and `Master::_accept`, `src/master/master.cpp`, and `src/master/validation.cpp` of Apache
//! Mesos 1.11.0.

use std::collections::BTreeSet;

use super::operations::Accepted;
use super::state::{Master, Offer};
use super::tasks::Verdict;
use crate::proto::offer::{Operation, operation};
use crate::proto::scheduler::call;
use crate::proto::task_status::Reason;
use crate::proto::{Filters, FrameworkId, OfferId, TaskState};

/// For what is to be offered again at once.
const NO_FILTER: Filters = Filters {
    refuse_seconds: Some(0.0),
};

/// What launches, and launches of nothing, count as.
const LAUNCHES: &str = "messages_launch_tasks";
pub(super) const DECLINES: &str = "messages_decline_offers";

impl Master {
    pub(super) fn accept(&mut self, framework_id: &FrameworkId, accept: call::Accept) {
        self.count_launches(&accept.operations);
        match self.check_offers(framework_id, &accept.offer_ids) {
            Ok(()) => {
                let Some(offer) = self.use_offers(&accept.offer_ids) else {
                    return;
                };
                let operations = accept.operations.into_iter();
                let screened = operations.filter_map(|operation| self.screen(&offer, operation));
                let screened: Vec<Operation> = screened.collect();
                let mut accepted = Accepted::new(offer);
                for operation in screened {
                    self.apply(&mut accepted, operation);
                }
                let (offer, converted, declined) = accepted.rest();
                self.release(&offer, &converted, Some(&NO_FILTER));
                self.release(&offer, &declined, accept.filters.as_ref());
            }
            Err(why) => {
                // Whosever they are, as Mesos does; nobody is told.
                for offer_id in &accept.offer_ids {
                    self.take_back(offer_id);
                }
                self.refuse(framework_id, accept.operations, &why);
            }
        }
    }

    /// A launch of nothing counts as a way to decline.
    fn count_launches(&self, operations: &[Operation]) {
        for launch in operations.iter().filter_map(|own| own.launch.as_ref()) {
            self.tallies.named.note(if launch.task_infos.is_empty() {
                DECLINES
            } else {
                LAUNCHES
            });
        }
    }

    /// Why these offers cannot be accepted together, if so.
    fn check_offers(&self, framework_id: &FrameworkId, ids: &[OfferId]) -> Result<(), String> {
        if ids.is_empty() {
            return Err("No offers specified".to_owned());
        }
        let mut seen = BTreeSet::new();
        if let Some(id) = ids.iter().find(|id| !seen.insert(*id)) {
            return Err(format!("Duplicate offer {id} in offer list"));
        }
        if let Some(id) = ids.iter().find(|id| !self.offers.contains_key(*id)) {
            return Err(format!("Offer {id} is no longer valid"));
        }
        let offers: Vec<(&OfferId, &Offer)> = ids
            .iter()
            .filter_map(|id| self.offers.get_key_value(id))
            .collect();
        for (id, offer) in &offers {
            if offer.framework_id != *framework_id {
                return Err(format!(
                    "Offer {id} has invalid framework {} while framework {framework_id} is expected",
                    offer.framework_id
                ));
            }
        }
        let Some(((_, first), others)) = offers.split_first() else {
            return Ok(());
        };
        if let Some((id, offer)) = others.iter().find(|(_, own)| own.role != first.role) {
            // The quotes stay open in Mesos, too.
            return Err(format!(
                "Aggregated offers must be allocated to the same role. Offer {id} uses role '{} but another is using role '{}",
                offer.role, first.role
            ));
        }
        if let Some((id, offer)) = others
            .iter()
            .find(|(_, own)| own.agent_id != first.agent_id)
        {
            return Err(format!(
                "Aggregated offers must belong to one single agent. Offer {id} uses agent {} and agent {}",
                offer.agent_id, first.agent_id
            ));
        }
        Ok(())
    }

    /// Uses checked offers up: one offer with all their resources, which stay booked.
    fn use_offers(&mut self, ids: &[OfferId]) -> Option<Offer> {
        let mut used = ids.iter().filter_map(|id| self.offers.remove(id));
        let mut sum = used.next()?;
        let mut count = 1;
        for offer in used {
            sum.resources += &offer.resources;
            count += 1;
        }
        if let Some(framework) = self.frameworks.get(&sum.framework_id) {
            (0..count).for_each(|_| framework.tallies.offers.note("accepted"));
        }
        Some(sum)
    }

    /// Carries out one operation on what is left of the offer.
    fn apply(&mut self, accepted: &mut Accepted, operation: Operation) {
        match operation.r#type() {
            operation::Type::Launch => {
                let tasks = operation.launch.unwrap_or_default().task_infos;
                self.launch(accepted, tasks);
            }
            operation::Type::LaunchGroup => {
                let group = operation.launch_group.unwrap_or_default();
                self.launch_group(&mut accepted.offer, group);
            }
            operation::Type::Unknown => tracing::warn!("unknown operation dropped"),
            operation::Type::Reserve
            | operation::Type::Unreserve
            | operation::Type::Create
            | operation::Type::Destroy
            | operation::Type::GrowVolume
            | operation::Type::ShrinkVolume
            | operation::Type::CreateDisk
            | operation::Type::DestroyDisk => self.operate(accepted, &operation),
        }
    }

    /// Answers the operations of an ACCEPT whose offers are not valid.
    fn refuse(&self, framework_id: &FrameworkId, operations: Vec<Operation>, why: &str) {
        let Some(framework) = self.frameworks.get(framework_id) else {
            return;
        };
        let dropped = Verdict {
            state: framework.lost_state(TaskState::TaskDropped),
            reason: Reason::InvalidOffers,
            message: format!("Task launched with invalid offers: {why}"),
        };
        for operation in operations {
            let tasks = match operation.r#type() {
                operation::Type::Launch => operation.launch.unwrap_or_default().task_infos,
                operation::Type::LaunchGroup => {
                    operation.launch_group.unwrap_or_default().task_group.tasks
                }
                _ => {
                    let why = format!("Operation attempted with invalid offers: {why}");
                    self.refuse_operation(framework_id, &operation, &why);
                    continue;
                }
            };
            for task in tasks {
                self.tallies.refused(dropped.state, dropped.reason);
                framework.send_verdict(&task, &dropped);
            }
        }
    }
}
