//! [`ClusterState`]: what a cluster knows, to look at and to wait for.

use std::fmt;
use std::time::Duration;

use super::cluster::LocalCluster;
use super::world::World;
use crate::error::{Error, ErrorKind, Result};
use crate::proto::{AgentId, DrainState, ExecutorId, FrameworkId, OfferId, TaskId, TaskState};

/// What a [`LocalCluster`] knows at one moment, each list ordered by id but the agents'.
///
/// `Display` gives a summary of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterState {
    /// Whether a master leads. Without one there are neither frameworks nor offers.
    pub is_master_alive: bool,
    /// All masters, in the order of [`LocalCluster::master_addresses`].
    pub masters: Vec<LocalMaster>,
    /// The frameworks that the master has, subscribed or not; none that has been removed.
    pub frameworks: Vec<LocalFramework>,
    /// All agents, in the order of [`LocalCluster::agent_addresses`].
    pub agents: Vec<LocalAgent>,
    /// What the agents that are alive have, until its terminal update is acknowledged; none that the master refused.
    pub tasks: Vec<LocalTask>,
    /// The offers that are out.
    pub offers: Vec<LocalOffer>,
    /// The executors, from the start of their process to its end; none of an agent that is dead.
    pub executors: Vec<LocalExecutor>,
}

/// A master.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalMaster {
    /// Its id, which is another after each of its starts; none while it is dead.
    pub id: Option<String>,
    /// Where it listens while it lives: `127.0.0.1:PORT`.
    pub address: String,
    /// Whether it lives, leading or not.
    pub is_alive: bool,
    /// Whether it leads: at most one does.
    pub is_leading: bool,
}

/// A framework, as the master has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalFramework {
    /// Its id.
    pub id: FrameworkId,
    /// `FrameworkInfo.name`.
    pub name: String,
    /// The roles that it is subscribed to: one or more.
    pub roles: Vec<String>,
    /// Whether it has an event stream.
    pub is_connected: bool,
    /// Those of its roles that take no offers; may be empty.
    pub suppressed_roles: Vec<String>,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalAgent {
    /// Its id, once it has ever been registered.
    pub id: Option<AgentId>,
    /// Where it listens: `127.0.0.1:PORT`.
    pub address: String,
    /// Whether its process runs.
    pub is_alive: bool,
    /// Whether it is registered with the master of now, and connected to it as far as the master knows.
    pub is_connected: bool,
    /// Whether the master has given it up, until it comes back.
    pub is_unreachable: bool,
    /// Whether an operator has declared it lost for ever.
    pub is_gone: bool,
    /// Whether its resources are held back from offers by an operator, also if it drains.
    pub is_deactivated: bool,
    /// How far its draining has come, if it is drained.
    pub drain_state: Option<DrainState>,
    /// All that it has, used or not, in the form of [`Resources::parse`](crate::resources::Resources::parse).
    pub resources: String,
}

/// A task, as its agent has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalTask {
    /// Its id, unique within its framework.
    pub id: TaskId,
    /// Whose it is.
    pub framework_id: FrameworkId,
    /// Where it is.
    pub agent_id: AgentId,
    /// Under which executor; none for a command task.
    pub executor_id: Option<ExecutorId>,
    /// Its newest state, which the scheduler may not have been told yet.
    pub state: TaskState,
    /// Whether an update of it was sent to the scheduler and is not acknowledged.
    pub awaits_acknowledgement: bool,
}

/// An offer that is out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalOffer {
    /// Its id.
    pub id: OfferId,
    /// Who has it.
    pub framework_id: FrameworkId,
    /// Whose resources they are.
    pub agent_id: AgentId,
}

/// An executor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalExecutor {
    /// Its id, unique within its framework and agent.
    pub id: ExecutorId,
    /// Whose it is.
    pub framework_id: FrameworkId,
    /// Where it runs.
    pub agent_id: AgentId,
    /// Whether it is past its first SUBSCRIBE.
    pub is_registered: bool,
}

impl ClusterState {
    /// The framework of this id, if there is one.
    #[must_use]
    pub fn framework(&self, framework_id: &FrameworkId) -> Option<&LocalFramework> {
        let mut frameworks = self.frameworks.iter();
        frameworks.find(|framework| framework.id == *framework_id)
    }

    /// The task of this framework and id, if there is one.
    #[must_use]
    pub fn task(&self, framework_id: &FrameworkId, task_id: &TaskId) -> Option<&LocalTask> {
        let mut tasks = self.tasks.iter();
        tasks.find(|task| task.framework_id == *framework_id && task.id == *task_id)
    }

    fn of(world: &World) -> Self {
        let master = world.master.as_ref();
        let agents = world.agents.iter();
        let mut state = Self {
            is_master_alive: master.is_some(),
            masters: world.master_states(),
            frameworks: master.map_or_else(Vec::new, |master| master.framework_states()),
            agents: agents.map(|agent| agent.state(master)).collect(),
            tasks: world
                .agents
                .iter()
                .flat_map(|own| own.task_states())
                .collect(),
            offers: master.map_or_else(Vec::new, |master| master.offer_states()),
            executors: world
                .agents
                .iter()
                .flat_map(|own| own.executor_states())
                .collect(),
        };
        state.tasks.sort_by(|one, other| one.id.cmp(&other.id));
        state.executors.sort_by(|one, other| one.id.cmp(&other.id));
        state
    }
}

impl fmt::Display for ClusterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connected = self.frameworks.iter().filter(|own| own.is_connected);
        let registered = self.agents.iter().filter(|own| own.is_connected);
        write!(
            f,
            "master {}, {} of {} frameworks connected, {} of {} agents registered, {} offers, {} executors, tasks [",
            if self.is_master_alive {
                "alive"
            } else {
                "dead"
            },
            connected.count(),
            self.frameworks.len(),
            registered.count(),
            self.agents.len(),
            self.offers.len(),
            self.executors.len(),
        )?;
        for (number, task) in self.tasks.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            let waits = if task.awaits_acknowledgement {
                " unacknowledged"
            } else {
                ""
            };
            write!(f, "{comma}{} {}{waits}", task.id, task.state.as_str_name())?;
        }
        f.write_str("]")
    }
}

impl LocalCluster {
    /// What the cluster knows now.
    #[must_use]
    pub fn state(&self) -> ClusterState {
        self.core.look(ClusterState::of)
    }

    /// Waits until `condition` holds of the cluster's state, at most `limit`; the state of which it held.
    ///
    /// `condition` is asked at once, and again after changes; of changes that follow each other closely, only after the
    /// last. It must not wait.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] if it did not hold within `limit`, with a summary of the last state.
    /// # Cancel safety
    /// Dropped before it completes, nothing is left.
    pub async fn until(
        &self,
        limit: Duration,
        mut condition: impl FnMut(&ClusterState) -> bool,
    ) -> Result<ClusterState> {
        let mut changed = self.core.changed.subscribe();
        let reached = async {
            loop {
                let state = self.state();
                if condition(&state) {
                    return state;
                }
                if changed.changed().await.is_err() {
                    // The sender is the cluster's own, which is borrowed here.
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(limit, reached).await.map_err(|_| {
            let context = format!(
                "the local cluster did not get there in {limit:?}: {}",
                self.state()
            );
            Error::new(ErrorKind::Timeout, context)
        })
    }
}
