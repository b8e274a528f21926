//! One allocation: each agent in turn is offered to the roles, and within a role to the frameworks, in their order.
//!
//! Sorters are made once and kept in order as resources are given away, so that an allocation costs no more than a look
//! at each pair of agent and framework.
//!
//! Source: `HierarchicalAllocatorProcess::__generateOffers`, `src/master/allocator/mesos/hierarchical.cpp` of Apache
//! Mesos 1.11.0.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::quantities::Quantities;
use super::quota::{Accounts, Ledger, is_plain, reserved_for};
use super::sorter::{FrameworkSorter, RoleSorter, SortedRole};
use super::{Allotment, Memory};
use crate::local::master::domain::is_remote;
use crate::local::master::framework::Framework;
use crate::local::master::state::{Agent, Master};
use crate::proto::framework_info::capability;
use crate::proto::{self, AgentId, FrameworkId, value};
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
        if self.shared.is_empty() {
            Cow::Borrowed(&self.agent.available)
        } else {
            Cow::Owned(self.agent.available.clone() + self.shared.clone())
        }
    }
}

/// What a framework can take.
#[derive(Clone, Copy, Debug)]
struct Traits {
    gpus: bool,
    shared: bool,
    revocable: bool,
    refined: bool,
    region_aware: bool,
}

#[derive(Debug)]
struct Role {
    name: String,
    frameworks: FrameworkSorter,
    /// To all frameworks, when the cycle began.
    allocated: Quantities,
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
        let roles = roles(&frameworks, memory, &total);
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
            traits: frameworks.iter().map(|own| traits(own)).collect(),
            frameworks,
            roles,
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
            if self.agents[agent].is_used_up() {
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
        let order = self.roles[role].frameworks.order();
        for framework in order.iter() {
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
            if let Some(portion) = self.portion(stage, (*framework, role, agent), &available) {
                let (resources, guaranteed) = (portion.resources.into_owned(), portion.guaranteed);
                self.give((*framework, role, agent), &resources, &guaranteed);
            }
        }
    }

    /// What the framework would get of what is `available` to its role, if it is worth an offer.
    fn portion<'r>(
        &self,
        stage: Stage,
        (framework, role, agent): (usize, usize, usize),
        available: &'r Resources,
    ) -> Option<Portion<'r>> {
        let (candidate, role) = (&self.agents[agent], &self.roles[role].name);
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
            && !framework.is_filtered(candidate.id, role, &portion.resources, self.now);
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
        let (framework, role, agent) = place;
        let quantities = Quantities::of_scalars(resources, |_| true);
        let candidate = &mut self.agents[agent];
        candidate.agent.available -= &resources.not_shared();
        candidate.shared -= &resources.shared();
        self.frameworks[framework].book(&self.roles[role].name, resources);
        self.sorter.allocated(role, &quantities);
        let Role {
            name, frameworks, ..
        } = &mut self.roles[role];
        frameworks.allocated(framework, &quantities, &self.total);
        let consumed = Quantities::of_scalars(resources, is_plain);
        self.accounts.consume(name, &consumed, guaranteed);
        *self.made.entry(place).or_default() += resources;
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
            let counts = role.frameworks.counts();
            let counts = counts.map(|(own, count)| (self.frameworks[own].id.clone(), count));
            let known = memory.framework_counts.entry(role.name).or_default();
            known.extend(counts);
        }
        made
    }
}

impl Traits {
    /// Without what the framework would not understand.
    fn strip(self, available: &Resources) -> Cow<'_, Resources> {
        let is_unfit = |kind: &proto::Resource| {
            (!self.shared && kind.shared.is_some())
                || (!self.revocable && kind.revocable.is_some())
                || (!self.refined && kind.reservations.len() > 1)
        };
        if available.any(is_unfit) {
            Cow::Owned(available.filter(|kind| !is_unfit(kind)))
        } else {
            Cow::Borrowed(available)
        }
    }
}

fn traits(framework: &Framework) -> Traits {
    Traits {
        gpus: framework.has(capability::Type::GpuResources),
        shared: framework.has(capability::Type::SharedResources),
        revocable: framework.has(capability::Type::RevocableResources),
        refined: framework.has(capability::Type::ReservationRefinement),
        region_aware: framework.has(capability::Type::RegionAware),
    }
}

/// Every role that somebody is subscribed to or holds something under, with those who take offers.
fn roles(frameworks: &[&mut Framework], memory: &mut Memory, total: &Quantities) -> Vec<Role> {
    let mut roles: BTreeMap<String, Role> = BTreeMap::new();
    let mut counts: BTreeMap<String, BTreeMap<FrameworkId, u64>> = BTreeMap::new();
    for (index, framework) in frameworks.iter().enumerate() {
        let subscribed = framework.roles();
        for name in framework.tracked_roles() {
            let known = memory.framework_counts.get(&name);
            let count = known.and_then(|known| known.get(&framework.id)).copied();
            let role = roles.entry(name.clone()).or_insert_with(|| Role {
                name: name.clone(),
                frameworks: FrameworkSorter::default(),
                allocated: Quantities::default(),
            });
            let allocated = framework.allocated.get(&name);
            let allocated = allocated.map(|own| Quantities::of_scalars(own, |_| true));
            let allocated = allocated.unwrap_or_default();
            role.allocated += &allocated;
            let takes_offers = framework.is_connected() && !framework.suppressed.contains(&name);
            if takes_offers && subscribed.contains(&name) {
                let id = &framework.id.value;
                role.frameworks
                    .add(index, id, allocated, count.unwrap_or(0));
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
        role.frameworks.sort(total);
    }
    roles
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
