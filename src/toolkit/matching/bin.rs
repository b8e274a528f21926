//! What one agent offers to one role.

use std::collections::HashMap;
use std::sync::Arc;

use super::needs::{Needs, PendingTask};
use super::place::Place;
use super::refusals::Refusal;
use super::rule::{Census, Rule};
use crate::proto::{ExecutorInfo, Offer, OfferId, TaskInfo};
use crate::resources::Resources;

/// All offers of one agent that are allocated to one role, and what is done with them.
#[derive(Debug)]
pub(super) struct Bin {
    pub(super) place: Arc<Place>,
    pub(super) role: Option<String>,
    pub(super) offer_ids: Vec<OfferId>,
    has_maintenance: bool,
    pub(super) left: Resources,
    /// By id: those that run already, and those launched here as they were given resources.
    executors: HashMap<String, Option<ExecutorInfo>>,
    /// With the groups they belong to.
    pub(super) tasks: Vec<(TaskInfo, String)>,
}

/// How a task would fit in.
#[derive(Debug)]
pub(super) struct Fit {
    pub(super) used: Resources,
    /// An executor to be launched, with what it uses.
    executor: Option<(ExecutorInfo, Resources)>,
}

/// Merges the offers of each agent and role, in the order of the first ones. One that is there twice counts once.
pub(super) fn bins(offers: &[Offer]) -> Vec<Bin> {
    let mut bins: Vec<Bin> = Vec::new();
    let mut known = HashMap::new();
    for offer in offers {
        let info = offer.allocation_info.as_ref();
        let role = info.and_then(|own| own.role.clone());
        let key = (offer.agent_id.value.clone(), role.clone());
        let at = *known.entry(key).or_insert_with(|| {
            bins.push(Bin::new(offer, role));
            bins.len() - 1
        });
        bins[at].merge(offer);
    }
    bins
}

impl Bin {
    fn new(offer: &Offer, role: Option<String>) -> Self {
        Self {
            place: Arc::new(Place::from(offer)),
            role,
            offer_ids: Vec::new(),
            has_maintenance: false,
            left: Resources::new(),
            executors: HashMap::new(),
            tasks: Vec::new(),
        }
    }

    fn merge(&mut self, offer: &Offer) {
        if self.offer_ids.contains(&offer.id) {
            return;
        }
        self.offer_ids.push(offer.id.clone());
        self.left += Resources::from_unchecked(&offer.resources);
        self.has_maintenance |= offer.unavailability.is_some();
        for id in &offer.executor_ids {
            self.executors.insert(id.value.clone(), None);
        }
    }

    /// How the task fits in, or all that is in the way at the first hurdle. `rules`: of the task, with the fewest that any
    /// value has.
    pub(super) fn fit(
        &self,
        task: &PendingTask,
        rules: &[(&Rule, u32)],
        census: &Census,
    ) -> Result<Fit, Vec<Refusal>> {
        let needs = &task.needs;
        if let (Some(wanted), Some(own)) = (&needs.role, &self.role)
            && wanted != own
        {
            return Err(vec![Refusal::Role]);
        }
        let mut refusals = self.unlike(needs);
        if refusals.is_empty() {
            refusals = self.unruly(needs, rules, census);
        }
        if refusals.is_empty() {
            self.resources(task)
        } else {
            Err(refusals)
        }
    }

    fn unlike(&self, needs: &Needs) -> Vec<Refusal> {
        let constraints = needs.constraints.iter();
        let unlike = constraints.filter(|own| !own.holds_of(&self.place));
        let mut refusals: Vec<Refusal> = unlike.cloned().map(Refusal::Constraint).collect();
        if needs.is_lasting && self.has_maintenance {
            refusals.push(Refusal::Maintenance);
        }
        refusals
    }

    fn unruly(&self, needs: &Needs, rules: &[(&Rule, u32)], census: &Census) -> Vec<Refusal> {
        let broken = rules.iter().filter(|(rule, fewest)| {
            let (group, field) = rule.subject(&needs.group);
            !rule.holds_at(&self.place, census.counts(group, field), *fewest)
        });
        broken
            .map(|(rule, _)| Refusal::Rule(Rule::clone(rule)))
            .collect()
    }

    fn resources(&self, task: &PendingTask) -> Result<Fit, Vec<Refusal>> {
        let mut short = Vec::new();
        let new = task.info.executor.as_ref();
        let new = new.filter(|own| !self.executors.contains_key(&own.executor_id.value));
        let mut executor = None;
        if let Some(info) = new {
            match self.left.find(&self.wanted_by(info)) {
                Ok(used) => executor = Some((info.clone(), used)),
                Err(missing) => short.extend(missing),
            }
        }
        let request = &task.needs.request;
        let picked = match &executor {
            Some((_, used)) => (self.left.clone() - used).pick(request),
            None => self.left.pick(request),
        };
        match picked {
            Ok(used) if short.is_empty() => return Ok(Fit { used, executor }),
            Ok(_) => {}
            Err(missing) => short.extend(missing),
        }
        Err(short.into_iter().map(Refusal::Short).collect())
    }

    /// What an executor wants, allocated as what there is.
    fn wanted_by(&self, executor: &ExecutorInfo) -> Resources {
        let wanted = Resources::from_unchecked(&executor.resources).unallocated();
        match &self.role {
            Some(role) if !self.left.allocations().is_empty() => wanted.allocated_to(role),
            _ => wanted,
        }
    }

    /// Gives the task what it fits in with.
    pub(super) fn place(&mut self, task: &PendingTask, fit: Fit) {
        let mut info = task.info.clone();
        info.agent_id = self.place.agent_id.clone();
        info.resources = fit.used.to_protos();
        // Others may use shared volumes, too.
        self.left -= &fit.used.not_shared();
        if let Some((mut executor, used)) = fit.executor {
            self.left -= &used;
            executor.resources = used.to_protos();
            let id = executor.executor_id.value.clone();
            self.executors.insert(id, Some(executor));
        }
        if let Some(own) = &mut info.executor
            && let Some(Some(launched)) = self.executors.get(&own.executor_id.value)
        {
            own.resources.clone_from(&launched.resources);
        }
        self.tasks.push((info, task.needs.group.clone()));
    }
}
