//! Tasks to offers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::bin::{Bin, Fit, bins};
use super::needs::PendingTask;
use super::place::{Field, Resident};
use super::placements::{Launch, Placements};
use super::refusals::{Refusal, Refusals};
use super::rule::{Census, Rule};
use crate::proto::Offer;
use crate::resources::Resources;

/// How many refused sorts of tasks are remembered, so that the next of the same sort need not be tried again.
const REMEMBERED: usize = 16;

/// Which of the offers that suit a task it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// The first.
    FirstFit,
    /// The one in which the least is left over of the scalars that the task uses, so that large rooms stay for large tasks.
    BestFit,
    /// One where the fewest tasks of the task's group are, by a field; of those, the one in which the most is left over.
    Spread(Field),
}

/// Places tasks on offers; without I/O, and the same tasks and offers always in the same way.
///
/// Tasks are placed one after another, as they are given; so give the most urgent or largest first. Offers of one agent that
/// are allocated to one role are merged. What is reserved is used first, as
/// [`Resources::take`](crate::resources::Resources::take) does.
#[derive(Clone, Debug)]
pub struct Matcher {
    strategy: Strategy,
    residents: Vec<Resident>,
}

impl Matcher {
    /// A matcher that knows of no tasks yet.
    #[must_use]
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            residents: Vec::new(),
        }
    }

    /// [`Strategy::FirstFit`].
    #[must_use]
    pub fn first_fit() -> Self {
        Self::new(Strategy::FirstFit)
    }

    /// [`Strategy::BestFit`].
    #[must_use]
    pub fn best_fit() -> Self {
        Self::new(Strategy::BestFit)
    }

    /// [`Strategy::Spread`].
    #[must_use]
    pub fn spread(field: Field) -> Self {
        Self::new(Strategy::Spread(field))
    }

    /// Tasks that have their places already, which rules and spreading count. Those whose agent makes an offer are where
    /// that says.
    #[must_use]
    pub fn residents(mut self, residents: impl IntoIterator<Item = Resident>) -> Self {
        self.residents.extend(residents);
        self
    }

    /// Places those of `tasks` for which there is room and that suit.
    ///
    /// Both may be empty. `offers`: of any agents and roles. Each task that has no place is told why.
    ///
    /// Source: `Call.Accept`, scheduler.proto.
    #[must_use]
    pub fn place(&self, tasks: &[PendingTask], offers: &[Offer]) -> Placements {
        let bins = bins(offers);
        let whole = bins.iter().map(|own| own.left.clone()).collect::<Vec<_>>();
        let mut placing = Placing {
            strategy: &self.strategy,
            census: Census::new(self.known_residents(&bins)),
            scales: scales(&whole),
            bins,
            refused: Vec::new(),
        };
        let mut refused = Vec::new();
        for task in tasks {
            if let Err(why) = placing.place(task) {
                refused.push((task.info.task_id.clone(), why));
            }
        }
        placing.end(refused)
    }

    fn known_residents(&self, bins: &[Bin]) -> Vec<Resident> {
        let places = bins
            .iter()
            .map(|own| (own.place.agent_id.value.as_str(), &own.place));
        let places: HashMap<_, _> = places.collect();
        let mut residents = self.residents.clone();
        for resident in &mut residents {
            if let Some(place) = places.get(resident.place.agent_id.value.as_str()) {
                resident.place = Arc::clone(place);
            }
        }
        residents
    }
}

/// The most of each scalar that any of them has.
fn scales(bins: &[Resources]) -> BTreeMap<String, f64> {
    let mut scales: BTreeMap<String, f64> = BTreeMap::new();
    for resources in bins {
        for name in resources.scalar_names() {
            let scale = scales.entry(name.to_owned()).or_default();
            *scale = scale.max(resources.scalar(name));
        }
    }
    scales
}

struct Placing<'a> {
    strategy: &'a Strategy,
    census: Census,
    scales: BTreeMap<String, f64>,
    bins: Vec<Bin>,
    /// Since the last task that was placed.
    refused: Vec<(&'a PendingTask, Arc<Refusals>)>,
}

impl<'a> Placing<'a> {
    fn place(&mut self, task: &'a PendingTask) -> Result<(), Arc<Refusals>> {
        let mut remembered = self.refused.iter();
        if let Some((_, why)) = remembered.find(|(other, _)| is_alike(other, task)) {
            return Err(Arc::clone(why));
        }
        match self.choose(task) {
            Ok((at, fit)) => {
                self.bins[at].place(task, fit);
                self.census.add(Resident::new(
                    task.info.task_id.clone(),
                    task.needs.group.clone(),
                    Arc::clone(&self.bins[at].place),
                ));
                self.refused.clear();
                Ok(())
            }
            Err(refusals) => {
                let why = Arc::new(refusals.sorted());
                if self.refused.len() < REMEMBERED {
                    self.refused.push((task, Arc::clone(&why)));
                }
                Err(why)
            }
        }
    }

    /// Which bin the task gets, and how it fits in there.
    fn choose(&mut self, task: &PendingTask) -> Result<(usize, Fit), Refusals> {
        let rules = self.rules_of(task);
        let invalid = what_is_wrong(task);
        let mut refusals = Refusals::default();
        let mut best: Option<(Score, usize, Fit)> = None;
        for (at, bin) in self.bins.iter().enumerate() {
            if let Some(why) = &invalid {
                refusals.add(vec![Refusal::Invalid(why.clone())]);
                continue;
            }
            match bin.fit(task, &rules, &self.census) {
                Ok(fit) if *self.strategy == Strategy::FirstFit => return Ok((at, fit)),
                Ok(fit) => {
                    let score = self.score(task, bin, &fit);
                    if best
                        .as_ref()
                        .is_none_or(|(other, ..)| score.is_below(other))
                    {
                        best = Some((score, at, fit));
                    }
                }
                Err(why) => refusals.add(why),
            }
        }
        best.map(|(_, at, fit)| (at, fit)).ok_or(refusals)
    }

    /// The task's rules, and the fewest that any value has of what each counts.
    fn rules_of<'t>(&mut self, task: &'t PendingTask) -> Vec<(&'t Rule, u32)> {
        let group = &task.needs.group;
        if let Strategy::Spread(field) = self.strategy {
            self.census.watch(group, field);
        }
        let rules = task.needs.rules.iter();
        rules
            .map(|rule| {
                let (group, field) = rule.subject(group);
                self.census.watch(group, field);
                (rule, self.fewest(group, field))
            })
            .collect()
    }

    fn fewest(&self, group: &str, field: &Field) -> u32 {
        let counts = self.census.counts(group, field);
        let offered = self.bins.iter().filter_map(|bin| field.key(&bin.place));
        let values: BTreeSet<String> = offered.chain(counts.keys().cloned()).collect();
        let counts = values
            .iter()
            .map(|own| counts.get(own).copied().unwrap_or(0));
        counts.min().unwrap_or(0)
    }

    fn score(&self, task: &PendingTask, bin: &Bin, fit: &Fit) -> Score {
        let left = self.left_over(bin, fit);
        match self.strategy {
            Strategy::FirstFit | Strategy::BestFit => Score { tasks: 0, left },
            Strategy::Spread(field) => {
                let counts = self.census.counts(&task.needs.group, field);
                let key = field.key(&bin.place);
                let tasks = key.map_or(u32::MAX, |own| counts.get(&own).copied().unwrap_or(0));
                Score { tasks, left: -left }
            }
        }
    }

    /// How much would be left of the scalars that are used, where 1 is as much of one as any offer had.
    fn left_over(&self, bin: &Bin, fit: &Fit) -> f64 {
        let names = fit.used.scalar_names();
        let left = names.map(|name| {
            let scale = self.scales.get(name).copied().unwrap_or(1.0);
            (bin.left.scalar(name) - fit.used.scalar(name)) / scale
        });
        left.sum()
    }

    fn end(self, refused: Vec<(crate::proto::TaskId, Arc<Refusals>)>) -> Placements {
        let mut placements = Placements {
            launches: Vec::new(),
            unused: Vec::new(),
            refused,
        };
        for bin in self.bins {
            if bin.tasks.is_empty() {
                placements.unused.extend(bin.offer_ids);
                continue;
            }
            let (tasks, groups) = bin.tasks.into_iter().unzip();
            placements.launches.push(Launch {
                offer_ids: bin.offer_ids,
                role: bin.role,
                place: bin.place,
                tasks,
                left: bin.left,
                groups,
            });
        }
        placements
    }
}

/// The lowest is the best.
#[derive(Clone, Copy, Debug)]
struct Score {
    tasks: u32,
    left: f64,
}

impl Score {
    fn is_below(self, other: &Self) -> bool {
        (self.tasks, self.left) < (other.tasks, other.left)
    }
}

/// Whether one has no place for the reasons for which the other has none.
fn is_alike(one: &PendingTask, other: &PendingTask) -> bool {
    one.needs == other.needs && one.info.executor == other.info.executor
}

/// Why no offer could suit the task, if so.
fn what_is_wrong(task: &PendingTask) -> Option<String> {
    if *task.needs.request() == crate::resources::Request::new() {
        return Some("the task asks for no resources".to_owned());
    }
    let executor = task.info.executor.as_ref()?;
    let invalid = Resources::validate(&executor.resources).err()?;
    Some(format!("its executor's resources are not valid: {invalid}"))
}
