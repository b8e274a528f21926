//! What roles are guaranteed at least and get at most, and how much of it they use.
//!
//! Source: `src/master/allocator/mesos/hierarchical.cpp` of Apache Mesos 1.11.0.

use std::collections::BTreeMap;

use super::quantities::{Limits, Quantities};
use crate::local::master::framework::Framework;
use crate::proto;
use crate::proto::quota::QuotaConfig;
use crate::resources::{Resources, is_role_or_above};

/// The quota of one role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::local) struct Quota {
    pub(in crate::local::master) guarantees: Quantities,
    pub(in crate::local::master) limits: Limits,
}

impl Quota {
    pub(in crate::local) fn of(config: &QuotaConfig) -> Self {
        Self {
            guarantees: Quantities::of_map(&config.guarantees),
            limits: Limits::of_map(&config.limits),
        }
    }

    /// Whether it says nothing.
    pub(in crate::local) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether quota is about it.
pub(super) fn is_plain(kind: &proto::Resource) -> bool {
    kind.reservations.is_empty() && kind.revocable.is_none()
}

/// The role that it is reserved for.
pub(in crate::local::master) fn reserved_for(kind: &proto::Resource) -> Option<&str> {
    kind.reservations
        .last()
        .map(|reservation| reservation.role())
}

/// What is held back so that guarantees can be kept.
#[derive(Debug, Default)]
pub(super) struct Headroom {
    /// What is missing of the guarantees.
    pub(super) required: Quantities,
    /// Free, neither reserved nor revocable.
    pub(super) available: Quantities,
}

/// The accounts of one allocation.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    quotas: BTreeMap<String, Account>,
    pub(super) headroom: Headroom,
}

/// A role with quota.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) quota: Quota,
    /// Reservations, used or not, and what else is used or offered; of the role and those below it.
    pub(super) consumed: Quantities,
}

impl Account {
    pub(super) fn unsatisfied(&self) -> Quantities {
        let mut unsatisfied = self.quota.guarantees.clone();
        unsatisfied -= &self.consumed;
        unsatisfied
    }
}

/// What accounts are made of.
pub(super) struct Ledger<'a, 'f, I> {
    pub(super) quotas: &'a BTreeMap<String, Quota>,
    pub(super) frameworks: &'a [&'f mut Framework],
    /// Total and available resources of every agent.
    pub(super) agents: I,
    pub(super) total: &'a Quantities,
}

impl<'a, I: Iterator<Item = (&'a Resources, &'a Resources)>> Ledger<'a, '_, I> {
    pub(super) fn open(self) -> Accounts {
        let quotas = self.quotas.iter().filter(|(_, quota)| !quota.is_default());
        let mut accounts = Accounts {
            quotas: quotas
                .map(|(role, quota)| {
                    let account = Account {
                        quota: quota.clone(),
                        consumed: Quantities::default(),
                    };
                    (role.clone(), account)
                })
                .collect(),
            headroom: Headroom::default(),
        };
        if accounts.quotas.is_empty() {
            return accounts;
        }
        accounts.headroom.available = self.total.clone();
        // Reserved or revocable and free is no headroom; reserved counts for its role in any case.
        for (total, available) in self.agents {
            for (role, account) in &mut accounts.quotas {
                let is_own = |kind: &proto::Resource| {
                    reserved_for(kind).is_some_and(|reserved| is_role_or_above(role, reserved))
                };
                account.consumed += &Quantities::of_scalars(total, is_own);
            }
            let bound = Quantities::of_scalars(available, |kind| !is_plain(kind));
            accounts.headroom.available -= &bound;
        }
        for framework in self.frameworks {
            for (role, resources) in &framework.allocated {
                let plain = Quantities::of_scalars(resources, is_plain);
                accounts.headroom.available -= &Quantities::of_scalars(resources, |_| true);
                let top = role.split('/').next().unwrap_or(role);
                if let Some(account) = accounts.quotas.get_mut(top) {
                    account.consumed += &plain;
                }
            }
        }
        for account in accounts.quotas.values() {
            accounts.headroom.required += &account.unsatisfied();
        }
        accounts
    }
}

impl Accounts {
    pub(super) fn has_guarantees(&self) -> bool {
        let mut accounts = self.quotas.values();
        accounts.any(|account| !account.quota.guarantees.is_empty())
    }

    pub(super) fn get(&self, role: &str) -> Option<&Account> {
        self.quotas.get(role)
    }

    /// `resources` as far as neither the role's limits nor the guarantees of others forbid. `promised` is the role's
    /// already.
    pub(super) fn permitted(
        &self,
        role: &str,
        resources: &Resources,
        promised: &Quantities,
    ) -> Resources {
        let mut permitted = resources.shrunk(|_| None);
        if let Some(account) = self.get(role)
            && !account.quota.limits.is_empty()
        {
            let mut used = account.consumed.clone();
            used += promised;
            permitted = permitted.shrunk(|name| account.quota.limits.room(name, &used));
        }
        if !self.headroom.required.is_empty() {
            let mut surplus = self.headroom.available.clone();
            surplus -= &self.headroom.required;
            permitted = permitted.shrunk(|name| Some(surplus.get(name)));
        }
        permitted
    }

    /// Whether anything may be forbidden to the role.
    pub(super) fn restrict(&self, role: &str) -> bool {
        let account = self.get(role);
        !self.headroom.required.is_empty()
            || account.is_some_and(|account| !account.quota.limits.is_empty())
    }

    /// Books what the role gets; `guaranteed` is the part that its guarantee was made for.
    pub(super) fn consume(&mut self, role: &str, consumed: &Quantities, guaranteed: &Quantities) {
        if self.quotas.is_empty() {
            return;
        }
        if let Some(account) = self.quotas.get_mut(role) {
            account.consumed += consumed;
        }
        self.headroom.required -= guaranteed;
        self.headroom.available -= consumed;
    }
}
