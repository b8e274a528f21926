//! What there is of an agent's machine beside the agent itself, and so outlives it.

use std::collections::{BTreeMap, VecDeque};

use tokio_util::sync::CancellationToken;

use super::agent::Checkpoint;
use super::messages::{ToAgent, ToMaster};

/// Messages that wait in one direction: more than a socket's buffers would hold break the connection.
const MAX_HELD: usize = 10_000;

/// The machine under one agent.
#[derive(Debug, Default)]
pub(super) struct Machine {
    /// Cancelled to end the agent's listener and connections; `None` while there is no agent process.
    pub(super) listener: Option<CancellationToken>,
    /// Whether nothing passes between the agent and the master.
    pub(super) is_partitioned: bool,
    /// What they have said to each other meanwhile, and TCP has yet to deliver.
    pub(super) held: Held,
    /// What the agent that ended has left on its disk.
    pub(super) checkpoint: Option<Checkpoint>,
    /// The containers by their ids.
    containers: BTreeMap<String, Container>,
}

/// Messages that wait for the end of a partition, oldest first.
#[derive(Debug, Default)]
pub(super) struct Held {
    to_agent: VecDeque<ToAgent>,
    to_master: VecDeque<ToMaster>,
    /// There were too many: the connection has broken.
    is_broken: bool,
}

impl Held {
    /// Pings, and the back and forth of registrations, are lost: they are said again.
    pub(super) fn keep_for_agent(&mut self, message: ToAgent) {
        if !matches!(message, ToAgent::Ping { .. } | ToAgent::Registered(_)) {
            self.is_broken |= self.to_agent.len() >= MAX_HELD;
            self.to_agent.push_back(message);
            self.to_agent.truncate(MAX_HELD);
        }
    }

    pub(super) fn keep_for_master(&mut self, message: ToMaster) {
        if !matches!(message, ToMaster::Pong | ToMaster::Register(_)) {
            self.is_broken |= self.to_master.len() >= MAX_HELD;
            self.to_master.push_back(message);
            self.to_master.truncate(MAX_HELD);
        }
    }

    /// What arrives at last; none if the connection has broken.
    pub(super) fn take(&mut self) -> Option<(VecDeque<ToAgent>, VecDeque<ToMaster>)> {
        let held = std::mem::take(self);
        (!held.is_broken).then_some((held.to_agent, held.to_master))
    }
}

/// A container, while its processes run or while there is no agent to be told of their end.
#[derive(Debug)]
struct Container {
    /// Cancelled to have all its processes killed.
    kill: CancellationToken,
    /// Raw wait status, once it has ended.
    status: Option<i32>,
}

/// A container that an agent finds again.
#[derive(Debug)]
pub(super) enum Found {
    Running(CancellationToken),
    /// With this raw wait status; −1 if unknown.
    Ended(i32),
}

impl Machine {
    pub(super) fn container_started(&mut self, container_id: &str, kill: CancellationToken) {
        let status = None;
        let container = Container { kill, status };
        self.containers.insert(container_id.to_owned(), container);
    }

    /// The end of a container; kept in mind only while there is no agent to be told.
    pub(super) fn container_ended(&mut self, container_id: &str, status: i32) {
        if self.checkpoint.is_none() {
            self.containers.remove(container_id);
        } else if let Some(container) = self.containers.get_mut(container_id) {
            container.status = Some(status);
        }
    }

    /// What has become of a container.
    pub(super) fn find(&self, container_id: &str) -> Found {
        match self.containers.get(container_id) {
            None => Found::Ended(-1),
            Some(Container { kill, status: None }) => Found::Running(kill.clone()),
            Some(Container {
                status: Some(status),
                ..
            }) => Found::Ended(*status),
        }
    }

    /// Forgets containers that ended while there was no agent.
    pub(super) fn forget_ended(&mut self) {
        self.containers
            .retain(|_, container| container.status.is_none());
    }
}
