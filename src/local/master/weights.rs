//! Weights of roles: the operator's calls.
//!
//! Source: `src/master/weights_handler.cpp` of Apache Mesos 1.11.0.

use super::allocator::DEFAULT_WEIGHT;
use super::state::Master;
use super::views::Viewer;
use crate::local::acls::AclAction;
use crate::local::http::Reply;
use crate::proto::master::response::GetWeights;
use crate::proto::{OfferId, WeightInfo};
use crate::resources::role;

impl Master {
    /// Weights stated once; others have the default.
    pub(super) fn weight(&self, role: &str) -> f64 {
        let weights = &self.registry.weights;
        weights.get(role).copied().unwrap_or(DEFAULT_WEIGHT)
    }

    /// None at all if nobody set one that the viewer sees.
    pub(super) fn get_weights(&self, viewer: &Viewer<'_>) -> Option<GetWeights> {
        let weights = self.registry.weights.iter();
        let mut weights = weights
            .filter(|(role, _)| viewer.sees_role(role))
            .peekable();
        weights.peek().is_some().then(|| GetWeights {
            weight_infos: weights
                .map(|(role, weight)| WeightInfo {
                    weight: *weight,
                    role: Some(role.clone()),
                })
                .collect(),
        })
    }

    pub(super) fn update_weights(&mut self, infos: Vec<WeightInfo>, by: Option<&str>) -> Reply {
        let mut checked = Vec::with_capacity(infos.len());
        for info in infos {
            let role = info.role().trim().to_owned();
            if let Err(why) = self.check_weight(&role, info.weight) {
                let text = format!("Failed to validate update weights request JSON{why}");
                return Reply::bad_request(text);
            }
            checked.push((role, info.weight));
        }
        let mut roles = checked.iter().map(|(role, _)| role.as_str());
        let may = |role| self.allows(by, AclAction::UpdateWeights, role);
        let is_allowed = match checked.is_empty() {
            true => may(None),
            false => roles.clone().all(|role| may(Some(role))),
        };
        if !is_allowed {
            return Reply::not_allowed();
        }
        let is_used = roles.any(|role| self.is_role_used(role));
        self.registry.weights.extend(checked);
        if is_used {
            let offers: Vec<OfferId> = self.offers.keys().cloned().collect();
            for offer_id in offers {
                self.rescind(&offer_id);
            }
        }
        Reply::ok()
    }

    /// What follows on the request's name, if the weight cannot be set.
    fn check_weight(&self, role: &str, weight: f64) -> Result<(), String> {
        role::validate(role).map_err(|why| format!(": Invalid role '{role}': {why}"))?;
        if !self.is_whitelisted(role) {
            return Err(format!(": Unknown role '{role}'"));
        }
        if weight <= 0.0 {
            return Err(format!(
                " for role '{role}': Invalid weight '{weight}': Weights must be positive"
            ));
        }
        Ok(())
    }
}
