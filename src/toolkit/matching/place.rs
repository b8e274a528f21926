//! Where agents are.

use std::fmt;
use std::sync::Arc;

use super::value::Value;
use crate::proto::{AgentId, Attribute, DomainInfo, Offer, TaskId};

/// What is known of an agent: all that constraints and rules look at.
///
/// Source: `Offer`, mesos.proto.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Place {
    /// The agent.
    pub agent_id: AgentId,
    /// Of the machine, as the agent says.
    pub hostname: String,
    /// Names may repeat; may be empty.
    pub attributes: Vec<Attribute>,
    /// Region and zone, if the agent has any.
    pub domain: Option<DomainInfo>,
}

impl Place {
    /// An agent of which no more is known than its id. As soon as it makes an offer, it is known what is in that.
    #[must_use]
    pub fn of_agent(agent_id: impl Into<AgentId>) -> Self {
        Self {
            agent_id: agent_id.into(),
            hostname: String::new(),
            attributes: Vec::new(),
            domain: None,
        }
    }

    fn region(&self) -> Option<&str> {
        let domain = self.domain.as_ref()?.fault_domain.as_ref()?;
        Some(&domain.region.name)
    }

    fn zone(&self) -> Option<&str> {
        let domain = self.domain.as_ref()?.fault_domain.as_ref()?;
        Some(&domain.zone.name)
    }
}

impl From<&Offer> for Place {
    fn from(offer: &Offer) -> Self {
        Self {
            agent_id: offer.agent_id.clone(),
            hostname: offer.hostname.clone(),
            attributes: offer.attributes.clone(),
            domain: offer.domain.clone(),
        }
    }
}

/// A task that has its place already: rules count it.
#[derive(Clone, Debug, PartialEq)]
pub struct Resident {
    /// The task.
    pub task_id: TaskId,
    /// The group of its [`Needs`](super::Needs); empty if it named none.
    pub group: String,
    /// Its agent.
    pub place: Arc<Place>,
}

impl Resident {
    /// A task of `group` at `place`.
    #[must_use]
    pub fn new(
        task_id: impl Into<TaskId>,
        group: impl Into<String>,
        place: impl Into<Arc<Place>>,
    ) -> Self {
        Self {
            task_id: task_id.into(),
            group: group.into(),
            place: place.into(),
        }
    }
}

/// By what agents are told apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Field {
    /// The agent itself.
    AgentId,
    /// Its machine's name.
    Hostname,
    /// The region of its domain.
    Region,
    /// The zone of its domain. Rules tell zones of one name in different regions apart.
    Zone,
    /// The attribute of this name. Where the name repeats, constraints look at all, rules at the first.
    Attribute(String),
}

impl Field {
    /// The attribute called `name`.
    #[must_use]
    pub fn attribute(name: impl Into<String>) -> Self {
        Self::Attribute(name.into())
    }

    /// All values that `place` has of it.
    pub(super) fn values(&self, place: &Place) -> Vec<Value> {
        let text = match self {
            Self::AgentId => Some(place.agent_id.value.as_str()),
            Self::Hostname => Some(place.hostname.as_str()).filter(|own| !own.is_empty()),
            Self::Region => place.region(),
            Self::Zone => place.zone(),
            Self::Attribute(name) => {
                let own = place.attributes.iter().filter(|own| own.name == *name);
                return own.filter_map(Value::of).collect();
            }
        };
        text.into_iter().map(Value::from).collect()
    }

    /// What rules count by; `None` if the place has no such value.
    pub(super) fn key(&self, place: &Place) -> Option<String> {
        match self {
            Self::Zone => Some(format!("{}/{}", place.region()?, place.zone()?)),
            _ => Some(self.values(place).first()?.to_string()),
        }
    }
}

/// `hostname`, `attribute rack`.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AgentId => f.write_str("agent"),
            Self::Hostname => f.write_str("hostname"),
            Self::Region => f.write_str("region"),
            Self::Zone => f.write_str("zone"),
            Self::Attribute(name) => write!(f, "attribute {name}"),
        }
    }
}
