//! What was placed, and what was not.

use std::sync::Arc;

use super::place::{Place, Resident};
use super::refusals::Refusals;
use crate::proto::offer::{Operation, operation};
use crate::proto::{AgentId, OfferId, TaskId, TaskInfo};
use crate::resources::Resources;

/// Where [`Matcher::place`](super::Matcher::place) has found places, and where not.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Placements {
    /// One ACCEPT each; in the order of the offers.
    pub launches: Vec<Launch>,
    /// Offers in which nothing is placed.
    pub unused: Vec<OfferId>,
    /// Tasks that have no place, in the order in which they were given, and why.
    pub refused: Vec<(TaskId, Arc<Refusals>)>,
}

impl Placements {
    /// Why the task has no place; `None` if it has one, or was not among them.
    #[must_use]
    pub fn why_not(&self, task_id: &TaskId) -> Option<&Refusals> {
        let mut refused = self.refused.iter();
        refused.find(|(id, _)| id == task_id).map(|(_, why)| &**why)
    }

    /// The tasks that have a place now, for the [`Matcher::residents`](super::Matcher::residents) of later calls.
    pub fn residents(&self) -> impl Iterator<Item = Resident> {
        self.launches.iter().flat_map(Launch::residents)
    }
}

/// Tasks on one agent: what to accept its offers with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Launch {
    /// The offers, all of this agent and role: at least one.
    pub offer_ids: Vec<OfferId>,
    /// The role they are allocated to, if they say so.
    pub role: Option<String>,
    /// Where it is.
    pub place: Arc<Place>,
    /// The tasks, with their agent and resources, in the order in which they were given: at least one.
    pub tasks: Vec<TaskInfo>,
    /// What the tasks leave of the offers: what the ACCEPT declines.
    pub left: Resources,
    /// Of the tasks.
    pub(super) groups: Vec<String>,
}

impl Launch {
    /// The agent.
    #[must_use]
    pub fn agent_id(&self) -> &AgentId {
        &self.place.agent_id
    }

    /// The LAUNCH of the tasks, for [`SchedulerHandle::accept_offers`](crate::SchedulerHandle::accept_offers).
    #[must_use]
    pub fn operation(&self) -> Operation {
        Operation {
            r#type: Some(operation::Type::Launch.into()),
            launch: Some(operation::Launch {
                task_infos: self.tasks.clone(),
            }),
            ..Default::default()
        }
    }

    /// The tasks, for rules of later ones.
    pub fn residents(&self) -> impl Iterator<Item = Resident> {
        let tasks = self.tasks.iter().zip(&self.groups);
        tasks.map(|(task, group)| {
            Resident::new(task.task_id.clone(), group.clone(), Arc::clone(&self.place))
        })
    }
}
