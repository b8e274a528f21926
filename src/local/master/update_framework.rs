//! UPDATE_FRAMEWORK, SUPPRESS and REVIVE: what a framework wants to be offered.
//!
//! Source: `Master::updateFramework`, `Master::suppress` and `Master::revive`, `src/master/master.cpp` of Apache Mesos
//! 1.11.0.

use std::collections::BTreeSet;

use super::constraints::Constraints;
use super::state::Master;
use super::subscribe::replace_info;
use super::validation;
use crate::local::http::Reply;
use crate::proto::scheduler::call;
use crate::proto::{FrameworkId, OfferId};

impl Master {
    pub(super) fn update_framework(
        &mut self,
        framework_id: &FrameworkId,
        call: call::UpdateFramework,
    ) -> Reply {
        let info = call.framework_info;
        if let Err(why) = validation::framework(&info, &call.suppressed_roles, &self.config) {
            let text = format!("Supplied FrameworkInfo is not valid: {why}");
            return Reply::bad_request(text);
        }
        let Some(framework) = self.frameworks.get(framework_id) else {
            return Reply::bad_request("Framework cannot be found");
        };
        if let Err(why) = validation::framework_update(&framework.info, &info) {
            let text = format!("FrameworkInfo update is not valid: {why}");
            return Reply::bad_request(text);
        }
        let constraints = match Constraints::of(call.offer_constraints.unwrap_or_default()) {
            Ok(constraints) => constraints,
            Err(why) => {
                let text = format!("'UpdateFramework.offer_constraints' are not valid: {why}");
                return Reply::bad_request(text);
            }
        };
        if let Err(why) = self.may_register(&info) {
            return Reply::forbidden(why);
        }
        let Some(framework) = self.frameworks.get_mut(framework_id) else {
            return Reply::bad_request("Framework cannot be found");
        };
        replace_info(framework, info);
        let roles = framework.roles();
        let suppressed: BTreeSet<String> = call.suppressed_roles.into_iter().collect();
        let gone = |role: &&String| !suppressed.contains(*role) || !roles.contains(*role);
        let revived: BTreeSet<String> = framework.suppressed.iter().filter(gone).cloned().collect();
        framework.filters.revive(&revived);
        framework.filters.keep_roles(&roles);
        framework.suppressed = suppressed;
        framework.constraints = constraints;
        self.rescind_outside(framework_id, &roles);
        self.tell_agents_of(framework_id);
        Reply::ok()
    }

    /// Rescinds what the framework holds under roles that it has left.
    fn rescind_outside(&mut self, framework_id: &FrameworkId, roles: &BTreeSet<String>) {
        let outside: Vec<OfferId> = self
            .offers
            .iter()
            .filter(|(_, offer)| {
                offer.framework_id == *framework_id && !roles.contains(&offer.role)
            })
            .map(|(id, _)| id.clone())
            .collect();
        for offer_id in outside {
            self.rescind(&offer_id);
        }
    }

    /// Offers again for `roles` (all if empty), and forgets what was refused for them.
    pub(super) fn revive(&mut self, framework_id: &FrameworkId, roles: Vec<String>) {
        let Some(roles) = self.own_roles(framework_id, roles) else {
            return;
        };
        if let Some(framework) = self.frameworks.get_mut(framework_id) {
            framework.suppressed.retain(|role| !roles.contains(role));
            framework.filters.revive(&roles);
        }
        self.needs_allocation = true;
    }

    /// Offers nothing more for `roles` (all if empty).
    pub(super) fn suppress(&mut self, framework_id: &FrameworkId, roles: Vec<String>) {
        let Some(roles) = self.own_roles(framework_id, roles) else {
            return;
        };
        if let Some(framework) = self.frameworks.get_mut(framework_id) {
            framework.suppressed.extend(roles);
        }
    }

    /// `roles`, or all of the framework's if empty; `None` if one of them is not the framework's.
    fn own_roles(
        &self,
        framework_id: &FrameworkId,
        roles: Vec<String>,
    ) -> Option<BTreeSet<String>> {
        let own = self.frameworks.get(framework_id)?.roles();
        if roles.is_empty() {
            return Some(own);
        }
        let roles: BTreeSet<String> = roles.into_iter().collect();
        if !roles.is_subset(&own) {
            tracing::warn!(%framework_id, ?roles, "call for foreign roles dropped");
            return None;
        }
        Some(roles)
    }
}
