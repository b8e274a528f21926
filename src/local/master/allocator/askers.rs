//! Who may be offered something in one allocation.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::Memory;
use super::quantities::Quantities;
use super::refusals::{Desk, Refusals};
use super::sorter::FrameworkSorter;
use crate::local::master::framework::Framework;
use crate::proto::FrameworkId;
use crate::resources::Resources;

#[derive(Debug)]
pub(super) struct Role {
    pub(super) name: String,
    /// By number.
    pub(super) askers: FrameworkSorter,
    /// To all frameworks, when the cycle began.
    pub(super) allocated: Quantities,
}

/// A framework under one of its roles.
#[derive(Debug)]
struct Asker {
    framework: usize,
    /// Its place among all desks, if it has one.
    desk: Option<usize>,
}

/// Each framework under each role for which it takes offers, by number.
#[derive(Debug)]
pub(super) struct Askers {
    all: Vec<Asker>,
    /// Of all frameworks, in order.
    desks: Vec<Desk>,
    /// By place of the desk: who refused all that is free on the agent looked at.
    refused: Vec<bool>,
}

impl Askers {
    fn new(frameworks: &[&mut Framework]) -> Self {
        let desks = frameworks.iter().flat_map(|own| own.filters.desks());
        let mut desks: Vec<Desk> = desks.collect();
        desks.sort_unstable();
        Self {
            all: Vec::new(),
            refused: vec![false; desks.len()],
            desks,
        }
    }

    fn add(&mut self, framework: usize, desk: Option<Desk>) -> usize {
        let desk = desk.and_then(|desk| self.desks.binary_search(&desk).ok());
        self.all.push(Asker { framework, desk });
        self.all.len() - 1
    }

    pub(super) fn framework(&self, asker: usize) -> usize {
        self.all[asker].framework
    }

    pub(super) fn desk(&self, asker: usize) -> Option<Desk> {
        self.all[asker].desk.map(|at| self.desks[at])
    }

    /// Looks at an agent on which this is free: whether there is anybody who did not refuse all of it.
    pub(super) fn look_at(
        &mut self,
        refusals: &mut Refusals,
        free: &Resources,
        now: Instant,
    ) -> bool {
        self.refused.fill(false);
        refusals.note_refused(&self.desks, free, now, &mut self.refused);
        (0..self.all.len()).any(|asker| !self.has_refused(asker))
    }

    /// Whether it refused what was free on the agent looked at last, and with it what is left.
    pub(super) fn has_refused(&self, asker: usize) -> bool {
        self.all[asker].desk.is_some_and(|at| self.refused[at])
    }
}

/// Every role that somebody is subscribed to or holds something under, and those who take offers.
pub(super) fn roles(
    frameworks: &[&mut Framework],
    memory: &mut Memory,
    total: &Quantities,
) -> (Vec<Role>, Askers) {
    let mut askers = Askers::new(frameworks);
    let mut roles: BTreeMap<String, Role> = BTreeMap::new();
    let mut counts: BTreeMap<String, BTreeMap<FrameworkId, u64>> = BTreeMap::new();
    for (index, framework) in frameworks.iter().enumerate() {
        let subscribed = framework.roles();
        for name in framework.tracked_roles() {
            let known = memory.framework_counts.get(&name);
            let count = known.and_then(|known| known.get(&framework.id)).copied();
            let role = roles.entry(name.clone()).or_insert_with(|| Role {
                name: name.clone(),
                askers: FrameworkSorter::default(),
                allocated: Quantities::default(),
            });
            let allocated = framework.allocated.get(&name);
            let allocated = allocated.map(|own| Quantities::of_scalars(own, |_| true));
            let allocated = allocated.unwrap_or_default();
            role.allocated += &allocated;
            let takes_offers = framework.is_connected() && !framework.suppressed.contains(&name);
            if takes_offers && subscribed.contains(&name) {
                let id = &framework.id.value;
                let asker = askers.add(index, framework.filters.desk(&name));
                role.askers.add(asker, id, allocated, count.unwrap_or(0));
            }
            if let Some(count) = count {
                let kept = counts.entry(name).or_default();
                kept.insert(framework.id.clone(), count);
            }
        }
    }
    memory.framework_counts = counts;
    let mut roles: Vec<Role> = roles.into_values().collect();
    for role in &mut roles {
        role.askers.sort(total);
    }
    (roles, askers)
}
