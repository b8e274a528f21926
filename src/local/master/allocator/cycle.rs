//! One allocation: each agent in turn is offered to the roles, and within a role to the frameworks, in their order.
//!
//! Sorters are made once and kept in order as resources are given away, and what was refused of an agent is read once from
//! end to end, so that an allocation costs no more than a short look at each pair of agent and framework.
//!
//! Source: `HierarchicalAllocatorProcess::__generateOffers`, `src/master/allocator/mesos/hierarchical.cpp` of Apache
//! Mesos 1.11.0.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::askers::{Askers, Role, roles};
use super::quantities::Quantities;
use super::quota::{Accounts, Ledger, is_plain, reserved_for};
use super::sorter::{RoleSorter, SortedRole};
use super::traits::Traits;
use super::{Allotment, Memory};
use crate::local::master::domain::is_remote;
use crate::local::master::framework::Framework;
use crate::local::master::state::{Agent, Master};
use crate::proto::{self, AgentId, value};
use crate::resources::Resources;

/// An offer has at least so many CPUs, or so much memory (`--min_allocatable_resources`).
const MIN_CPUS: f64 = 0.01;
const MIN_MEM: f64 = 32.0;

/// First guarantees are served, then everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Guarantees,
    All,
}

/// An agent whose resources are to be given away.
#[derive(Debug)]
struct Candidate<'a> {
    id: &'a AgentId,
    agent: &'a mut Agent,
    has_gpus: bool,
    /// In another region than the master.
    is_remote: bool,
    /// Shared volumes not given away in this cycle: each goes to one framework at a time, however many hold it.
    shared: Resources,
}

impl Candidate<'_> {
    fn is_used_up(&self) -> bool {
        self.agent.available.is_empty() && self.shared.is_empty()
    }

    fn free(&self) -> Cow<'_, Resources> {
        with_shared(&self.agent.available, &self.shared)
    }

    /// Whether there is anybody who did not refuse all that is free.
    fn is_wanted(&mut self, askers: &mut Askers, now: Instant) -> bool {
        let free = with_shared(&self.agent.available, &self.shared);
        askers.look_at(&mut self.agent.refusals, &free, now)
    }
}

fn with_shared<'r>(available: &'r Resources, shared: &Resources) -> Cow<'r, Resources> {
    if shared.is_empty() {
        Cow::Borrowed(available)
    } else {
        Cow::Owned(available.clone() + shared.clone())
    }
}

/// What a framework would get of an agent.
#[derive(Debug)]
struct Portion<'a> {
    resources: Cow<'a, Resources>,
    /// The part that makes up for an unsatisfied guarantee.
    guaranteed: Quantities,
}

#[derive(Debug)]
pub(super) struct Cycle<'a> {
    now: Instant,
    agents: Vec<Candidate<'a>>,
    frameworks: Vec<&'a mut Framework>,
    traits: Vec<Traits>,
    roles: Vec<Role>,
    askers: Askers,
    sorter: RoleSorter,
    total: Quantities,
    accounts: Accounts,
    /// By framework, role and agent.
    made: BTreeMap<(usize, usize, usize), Resources>,
}

impl<'a> Cycle<'a> {
    /// Gives the free resources of `candidates` away, and books them.
    pub(super) fn run(master: &'a mut Master, candidates: &BTreeSet<AgentId>) -> Vec<Allotment> {
        let mut total = Quantities::default();
        for agent in master.agents.values() {
            total += &Quantities::of_scalars(&agent.total, |_| true);
        }
        let frameworks: Vec<&mut Framework> = master.frameworks.values_mut().collect();
        let ledger = Ledger {
            quotas: &master.quotas,
            frameworks: &frameworks,
            agents: master
                .agents
                .values()
                .map(|agent| (&agent.total, &agent.available)),
            total: &total,
        };
        let accounts = ledger.open();
        let agents = master.agents.iter_mut();
        let agents = agents.filter(|(id, agent)| agent.is_active && candidates.contains(*id));
        let domain = master.info.domain.as_ref();
        let memory = &mut master.allocator;
        let (roles, askers) = roles(&frameworks, memory, &total);
        let sorted = roles.iter().map(|role| SortedRole {
            name: &role.name,
            allocated: &role.allocated,
        });
        let sorted: Vec<SortedRole> = sorted.collect();
        let weights = &master.registry.weights;
        let sorter = RoleSorter::new(&sorted, total.clone(), weights, &memory.role_counts);
        let mut cycle = Cycle {
            now: master.now,
            agents: agents
                .map(|(id, agent)| Candidate {
                    id,
                    has_gpus: agent.total.scalar("gpus") > 0.0,
                    is_remote: is_remote(domain, agent.info.domain.as_ref()),
                    shared: agent.total.shared(),
                    agent,
                })
                .collect(),
            traits: frameworks.iter().map(|own| Traits::of(own)).collect(),
            frameworks,
            roles,
            askers,
            sorter,
            total,
            accounts,
            made: BTreeMap::new(),
        };
        if cycle.accounts.has_guarantees() {
            cycle.stage(Stage::Guarantees);
        }
        cycle.stage(Stage::All);
        cycle.end(memory)
    }

    fn stage(&mut self, stage: Stage) {
        let mut agents: Vec<usize> = (0..self.agents.len()).collect();
        // So that no agent is always the first to be given away.
        fastrand::shuffle(&mut agents);
        for agent in agents {
            let candidate = &mut self.agents[agent];
            if candidate.is_used_up() || !candidate.is_wanted(&mut self.askers, self.now) {
                continue;
            }
            for role in self.sorter.order().iter() {
                if self.agents[agent].is_used_up() {
                    break;
                }
                if stage == Stage::All || self.is_owed(*role) {
                    self.serve(stage, agent, *role);
                }
            }
        }
    }

    fn is_owed(&self, role: usize) -> bool {
        let account = self.accounts.get(&self.roles[role].name);
        account.is_some_and(|account| !account.unsatisfied().is_empty())
    }

    /// Offers the agent to the frameworks of a role.
    fn serve(&mut self, stage: Stage, agent: usize, role: usize) {
        let order = self.roles[role].askers.order();
        for asker in order.iter().copied() {
            // Who refused all that was free refused every part of it.
            if self.askers.has_refused(asker) {
                continue;
            }
            if stage == Stage::Guarantees && !self.is_owed(role) {
                break;
            }
            let name = &self.roles[role].name;
            let candidate = &self.agents[agent];
            let free = candidate.free();
            let available = available_to(&free, name);
            if available.is_empty() {
                break;
            }
            if let Some(portion) = self.portion(stage, (asker, role, agent), &available) {
                let (resources, guaranteed) = (portion.resources.into_owned(), portion.guaranteed);
                self.give((asker, role, agent), &resources, &guaranteed);
            }
        }
    }

    /// What the framework would get of what is `available` to its role, if it is worth an offer.
    fn portion<'r>(
        &self,
        stage: Stage,
        (asker, role, agent): (usize, usize, usize),
        available: &'r Resources,
    ) -> Option<Portion<'r>> {
        let (candidate, role) = (&self.agents[agent], &self.roles[role].name);
        let framework = self.askers.framework(asker);
        let traits = self.traits[framework];
        let framework = &*self.frameworks[framework];
        if (candidate.has_gpus && !traits.gpus)
            || (candidate.is_remote && !traits.region_aware)
            || !is_allocatable(available, framework, role)
            || framework.constraints.exclude(role, &candidate.agent.info)
        {
            return None;
        }
        let available = traits.strip(available);
        let portion = match stage {
            Stage::Guarantees => self.guaranteed_portion(role, &available)?,
            Stage::All => self.plain_portion(role, available),
        };
        let is_wanted = is_allocatable(&portion.resources, framework, role)
            && self.askers.desk(asker).is_none_or(|desk| {
                let refusals = &candidate.agent.refusals;
                !refusals.hold_back(desk, &portion.resources, self.now)
            });
        is_wanted.then_some(portion)
    }

    /// What helps towards the role's guarantees, with whatever else may go along.
    fn guaranteed_portion(&self, role: &str, available: &Resources) -> Option<Portion<'static>> {
        let unsatisfied = self.accounts.get(role)?.unsatisfied();
        let plain = available.filter(|kind| is_scalar(kind) && is_plain(kind));
        let guaranteed = plain.shrunk(|name| Some(unsatisfied.get(name)));
        if guaranteed.is_empty() {
            return None;
        }
        let quantities = Quantities::of_scalars(&guaranteed, |_| true);
        let rest = plain - guaranteed.clone();
        let mut resources = guaranteed;
        resources += &available.filter(|kind| {
            reserved_for(kind) == Some(role) || !is_scalar(kind) || kind.revocable.is_some()
        });
        resources += &self.accounts.permitted(role, &rest, &quantities);
        Some(Portion {
            resources: Cow::Owned(resources),
            guaranteed: quantities,
        })
    }

    fn plain_portion<'r>(&self, role: &str, available: Cow<'r, Resources>) -> Portion<'r> {
        let resources = if self.accounts.restrict(role) {
            let plain = available.filter(|kind| is_scalar(kind) && is_plain(kind));
            let mut resources = available.filter(|kind| !is_scalar(kind) || !is_plain(kind));
            resources += &self
                .accounts
                .permitted(role, &plain, &Quantities::default());
            Cow::Owned(resources)
        } else {
            available
        };
        Portion {
            resources,
            guaranteed: Quantities::default(),
        }
    }

    fn give(
        &mut self,
        place: (usize, usize, usize),
        resources: &Resources,
        guaranteed: &Quantities,
    ) {
        let (asker, role, agent) = place;
        let framework = self.askers.framework(asker);
        let quantities = Quantities::of_scalars(resources, |_| true);
        let candidate = &mut self.agents[agent];
        candidate.agent.available -= &resources.not_shared();
        candidate.shared -= &resources.shared();
        self.frameworks[framework].book(&self.roles[role].name, resources);
        self.sorter.allocated(role, &quantities);
        let Role { name, askers, .. } = &mut self.roles[role];
        askers.allocated(asker, &quantities, &self.total);
        let consumed = Quantities::of_scalars(resources, is_plain);
        self.accounts.consume(name, &consumed, guaranteed);
        *self.made.entry((framework, role, agent)).or_default() += resources;
    }

    fn end(self, memory: &mut Memory) -> Vec<Allotment> {
        let made = self.made.into_iter();
        let made = made.map(|((framework, role, agent), resources)| Allotment {
            framework_id: self.frameworks[framework].id.clone(),
            agent_id: self.agents[agent].id.clone(),
            role: self.roles[role].name.clone(),
            resources,
        });
        let made = made.collect();
        memory.role_counts = self.sorter.into_counts();
        for role in self.roles {
            let counts = role.askers.counts();
            let counts = counts.map(|(asker, count)| {
                let framework = self.askers.framework(asker);
                (self.frameworks[framework].id.clone(), count)
            });
            let known = memory.framework_counts.entry(role.name).or_default();
            known.extend(counts);
        }
        made
    }
}

/// What of `available` the role may use.
fn available_to<'r>(available: &'r Resources, role: &str) -> Cow<'r, Resources> {
    if available.any(|kind| !kind.reservations.is_empty()) {
        Cow::Owned(available.allocatable_to(role))
    } else {
        Cow::Borrowed(available)
    }
}

fn is_scalar(kind: &proto::Resource) -> bool {
    kind.r#type == i32::from(value::Type::Scalar)
}

/// Whether `resources` are enough to be worth an offer, by the framework's own minimum if it has one for `role`.
fn is_allocatable(resources: &Resources, framework: &Framework, role: &str) -> bool {
    if resources.is_empty() {
        return false;
    }
    let filters = framework.info.offer_filters.get(role);
    match filters.and_then(|filters| filters.min_allocatable_resources.as_ref()) {
        None => resources.scalar("cpus") >= MIN_CPUS || resources.scalar("mem") >= MIN_MEM,
        Some(minimum) => {
            let alternatives = &minimum.quantities;
            alternatives.is_empty()
                || alternatives.iter().any(|alternative| {
                    let mut quantities = alternative.quantities.iter();
                    quantities.all(|(name, least)| resources.scalar(name) >= least.value)
                })
        }
    }
}
