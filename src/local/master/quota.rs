//! Quota of roles: the operator's calls.
//!
//! Source: `src/master/quota_handler.cpp` of Apache Mesos 1.11.0.
#![allow(
    deprecated,
    reason = "SET_QUOTA, REMOVE_QUOTA and the old form in answers"
)]

use std::collections::BTreeSet;

use hyper::StatusCode;

use super::allocator::{Limits, Quantities, Quota};
use super::quota_checks;
use super::state::{Master, Offer};
use super::views::Viewer;
use crate::local::acls::AclAction;
use crate::local::http::Reply;
use crate::proto::master::call::UpdateQuota;
use crate::proto::quota::{QuotaConfig, QuotaInfo, QuotaRequest, QuotaStatus};
use crate::proto::{AgentId, OfferId, Resource, value};
use crate::resources::{Resources, is_role_or_above};

impl Master {
    pub(super) fn quota_status(&self, viewer: &Viewer<'_>) -> QuotaStatus {
        let seen = |(role, _): &(&String, &Quota)| viewer.may(AclAction::GetQuotas, Some(role));
        let configs = self.quotas.iter().filter(seen);
        let configs = configs.map(|(role, quota)| QuotaConfig {
            role: role.clone(),
            guarantees: quota.guarantees.to_map(),
            limits: quota.limits.to_map(),
        });
        let infos = self.quotas.iter().filter(seen);
        let infos = infos.map(|(role, quota)| QuotaInfo {
            role: Some(role.clone()),
            principal: None,
            guarantee: quota.guarantees.units().map(scalar).collect(),
        });
        QuotaStatus {
            infos: infos.collect(),
            configs: configs.collect(),
        }
    }

    pub(super) fn update_quota(&mut self, call: UpdateQuota, by: Option<&str>) -> Reply {
        let is_forced = call.force();
        let configs = call.quota_configs;
        let checked = configs.iter().try_for_each(|config| self.check(config));
        let checked = checked.and_then(|()| self.check_all(&configs, is_forced));
        if let Err(why) = checked {
            return Reply::bad_request(why);
        }
        if !configs.iter().all(|own| self.may_set(by, &own.role)) {
            return Reply::not_allowed();
        }
        for config in &configs {
            self.set(config);
        }
        for config in &configs {
            self.enforce_limits(config);
        }
        Reply::ok()
    }

    fn may_set(&self, by: Option<&str>, role: &str) -> bool {
        self.allows(by, AclAction::UpdateQuotas, Some(role))
    }

    fn check(&self, config: &QuotaConfig) -> Result<(), String> {
        let role = &config.role;
        if !self.is_whitelisted(role) {
            return Err(format!(
                "Invalid QuotaConfig: '{role}' is not on the roles whitelist"
            ));
        }
        if role.contains('/') {
            return Err(format!(
                "Updating quota on nested role '{role}' is not supported yet"
            ));
        }
        quota_checks::config(config).map_err(|why| format!("Invalid QuotaConfig: {why}"))
    }

    /// Whether these quotas suit what is used and what there is.
    fn check_all(&self, configs: &[QuotaConfig], is_forced: bool) -> Result<(), String> {
        if is_forced {
            return Ok(());
        }
        for config in configs {
            let consumed = self.breakdown(&config.role).consumed;
            let limits = Limits::of_map(&config.limits);
            if !limits.contains(&consumed) {
                return Err(format!(
                    "Invalid QuotaConfig: Role '{}' is already consuming '{consumed}'; this is more than the requested limits '{limits}' (use 'force' flag to bypass this check)",
                    config.role
                ));
            }
        }
        self.check_capacity(configs).map_err(|(guarantees, capacity)| {
            format!(
                "Invalid QuotaConfig: total quota guarantees '{guarantees}' exceed cluster capacity '{capacity}' (use 'force' flag to bypass this check)"
            )
        })
    }

    /// The sum of all guarantees, and what there is, if that is less.
    fn check_capacity(&self, configs: &[QuotaConfig]) -> Result<(), (Quantities, Quantities)> {
        let changed: BTreeSet<&String> = configs.iter().map(|config| &config.role).collect();
        let mut guarantees = Quantities::default();
        let kept = self
            .quotas
            .iter()
            .filter(|(role, _)| !changed.contains(role));
        for (_, quota) in kept {
            guarantees += &quota.guarantees;
        }
        for config in configs {
            guarantees += &Quantities::of_map(&config.guarantees);
        }
        let mut capacity = Quantities::default();
        for agent in self.agents.values() {
            capacity += &Quantities::of_scalars(&agent.total, |kind| kind.revocable.is_none());
        }
        if capacity.contains(&guarantees) {
            Ok(())
        } else {
            Err((guarantees, capacity))
        }
    }

    fn set(&mut self, config: &QuotaConfig) {
        let quota = Quota::of(config);
        let (role, quotas) = (config.role.clone(), &mut self.registry.quotas);
        if quota.is_default() {
            quotas.remove(&role);
        } else {
            quotas.insert(role.clone(), config.clone());
        }
        self.quotas.insert(role, quota);
    }

    /// Takes back offers until the role is within its limits, and until others have given back enough for its guarantee.
    fn enforce_limits(&mut self, config: &QuotaConfig) {
        let quota = Quota::of(config);
        let breakdown = self.breakdown(&config.role);
        let mut used = breakdown.consumed;
        used += &breakdown.offered;
        let (own, others): (Vec<_>, Vec<_>) = self
            .offers
            .iter()
            .map(|(id, offer)| (id.clone(), offer.clone()))
            .partition(|(_, offer)| is_role_or_above(&config.role, &offer.role));
        for (id, offer) in own {
            if quota.limits.contains(&used) {
                break;
            }
            used -= &amounts(&offer);
            self.rescind(&id);
        }
        for (id, offer) in others {
            if used.contains(&quota.guarantees) {
                break;
            }
            used += &amounts(&offer);
            self.rescind(&id);
        }
    }

    /// SET_QUOTA, the old way.
    pub(super) fn set_quota(&mut self, request: &QuotaRequest, by: Option<&str>) -> Reply {
        let config = match self.checked_request(request) {
            Ok(config) => config,
            Err(why) => return Reply::bad_request(why),
        };
        if !self.may_set(by, &config.role) {
            return Reply::not_allowed();
        }
        let capacity = self.check_capacity(std::slice::from_ref(&config));
        if let Err((guarantees, capacity)) = capacity
            && !request.force()
        {
            let text = format!(
                "Quota guarantees overcommit the cluster (use 'force' to bypass this check): Total quota guarantees '{guarantees}' exceed cluster capacity '{capacity}'"
            );
            return Reply::status(StatusCode::CONFLICT, text);
        }
        self.set(&config);
        self.make_room(&config.role, &Resources::from_unchecked(&request.guarantee));
        Reply::ok()
    }

    fn checked_request(&self, request: &QuotaRequest) -> Result<QuotaConfig, String> {
        let failed = |why: String| format!("Failed to validate set quota request: {why}");
        let config = quota_checks::request(request).map_err(failed)?;
        let role = &config.role;
        if !self.is_whitelisted(role) {
            return Err(failed(format!("Unknown role '{role}'")));
        }
        if self.quotas.contains_key(role) {
            return Err(failed(format!(
                "Cannot set quota for role '{role}' which already has quota"
            )));
        }
        if let Some((parent, _)) = role.rsplit_once('/') {
            let guarantees = Quantities::of_map(&config.guarantees);
            let name = parent.rsplit('/').next().unwrap_or(parent);
            let of_parent = self.quotas.get(parent).map(|quota| &quota.guarantees);
            if of_parent.is_none_or(|own| !own.contains(&guarantees)) {
                let own = of_parent.cloned().unwrap_or_default();
                return Err(failed(format!(
                    "Invalid quota configuration. Parent role '{name}' with guarantees ({own}) does not contain the sum of its children's guarantees ({guarantees})"
                )));
            }
            return Err(format!(
                "Setting quota on nested role '{role}' is not supported yet"
            ));
        }
        Ok(config)
    }

    /// Takes back all offers of one agent after the other, until enough is free, and each framework of the role may get
    /// an agent.
    fn make_room(&mut self, role: &str, wanted: &Resources) {
        let frameworks = self.frameworks.values();
        let frameworks = frameworks.filter(|own| own.is_connected());
        let frameworks = frameworks
            .filter(|own| own.tracked_roles().contains(role))
            .count();
        let (mut rescinded, mut visited) = (Resources::new(), 0);
        let agents: Vec<AgentId> = self.agents.keys().cloned().collect();
        for agent_id in agents {
            if rescinded.contains(wanted) && visited >= frameworks {
                break;
            }
            let offers = self.offers_where(|offer| offer.agent_id == agent_id);
            let offers: Vec<OfferId> = offers.map(|(id, _)| id.clone()).collect();
            visited += usize::from(!offers.is_empty());
            for offer_id in offers {
                if let Some(offer) = self.offers.get(&offer_id) {
                    rescinded += &offer.resources.unallocated();
                }
                self.rescind(&offer_id);
            }
        }
    }

    /// REMOVE_QUOTA, the old way. A real master dies of a role without quota.
    pub(super) fn remove_quota(&mut self, role: &str, by: Option<&str>) -> Reply {
        if !self.quotas.contains_key(role) {
            let text = format!("Failed to remove quota: Role '{role}' has no quota set");
            return Reply::bad_request(text);
        }
        if !self.may_set(by, role) {
            return Reply::not_allowed();
        }
        self.quotas.remove(role);
        self.registry.quotas.remove(role);
        Reply::ok()
    }
}

fn amounts(offer: &Offer) -> Quantities {
    Quantities::of_all(&offer.resources, |_| true)
}

fn scalar((name, value): (&str, f64)) -> Resource {
    Resource {
        name: name.to_owned(),
        r#type: value::Type::Scalar.into(),
        scalar: Some(value::Scalar { value }),
        ..Default::default()
    }
}
