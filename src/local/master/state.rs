//! What a master knows, its clock, and its queue of messages to agents.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use uuid::Uuid;

use super::framework::Framework;
use crate::local::config::{Config, HOST, HOSTNAME, MAX_COMPLETED_FRAMEWORKS, VERSION};
use crate::local::messages::{ToAgent, ToMaster};
use crate::local::timers::Timers;
use crate::proto::master_info::{Capability, capability};
use crate::proto::{Address, AgentId, AgentInfo, FrameworkId, MasterInfo, OfferId};
use crate::resources::Resources;

/// A master. Its methods change state and queue messages; none waits.
#[derive(Debug)]
pub(in crate::local) struct Master {
    pub(super) config: Arc<Config>,
    pub(super) info: MasterInfo,
    /// Seconds since the epoch; it was elected at once.
    pub(super) started: f64,
    pub(super) now: Instant,
    pub(super) frameworks: BTreeMap<FrameworkId, Framework>,
    /// Removed ones, oldest first, at most [`MAX_COMPLETED_FRAMEWORKS`].
    pub(super) completed: VecDeque<Framework>,
    pub(super) agents: BTreeMap<AgentId, Agent>,
    /// In the registry, but not registered with this master yet.
    pub(super) recovering: BTreeSet<AgentId>,
    pub(super) offers: BTreeMap<OfferId, Offer>,
    pub(super) timers: Timers<Timer>,
    pub(super) needs_allocation: bool,
    outbox: Vec<(usize, ToAgent)>,
    next_framework: u64,
    next_agent: u64,
    next_offer: u64,
}

/// What becomes due.
#[derive(Debug)]
pub(super) enum Timer {
    Allocate,
    /// Of this stream.
    Heartbeat(FrameworkId, String),
    OfferTimeout(OfferId),
    /// Of the disconnection with this number.
    Failover(FrameworkId, u64),
}

/// An agent that is registered.
#[derive(Debug)]
pub(super) struct Agent {
    /// Its place in the cluster.
    pub(super) index: usize,
    pub(super) info: AgentInfo,
    /// `slave(1)`.
    pub(super) process: String,
    pub(super) total: Resources,
    /// When it came to this master, in seconds since the epoch.
    pub(super) registered: f64,
    /// Whether it had registered with an earlier one.
    pub(super) was_recovered: bool,
    /// Neither offered nor used; without marks of allocation.
    pub(super) available: Resources,
}

/// An offer that is out.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) framework_id: FrameworkId,
    pub(super) agent_id: AgentId,
    pub(super) role: String,
    /// Marked as allocated to `role`.
    pub(super) resources: Resources,
}

impl Master {
    /// A master that has recovered `registry`: agents known to an earlier master of this cluster.
    pub(in crate::local) fn new(
        config: Arc<Config>,
        address: SocketAddr,
        registry: Vec<AgentId>,
    ) -> Self {
        let now = Instant::now();
        let mut timers = Timers::default();
        timers.schedule(now + config.allocation_interval, Timer::Allocate);
        Self {
            config,
            info: master_info(address),
            started: timestamp(),
            now,
            frameworks: BTreeMap::new(),
            completed: VecDeque::new(),
            agents: BTreeMap::new(),
            recovering: registry.into_iter().collect(),
            offers: BTreeMap::new(),
            timers,
            needs_allocation: false,
            outbox: Vec::new(),
            next_framework: 0,
            next_agent: 0,
            next_offer: 0,
        }
    }

    pub(in crate::local) fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    pub(in crate::local) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub(in crate::local) fn take_outbox(&mut self) -> Vec<(usize, ToAgent)> {
        std::mem::take(&mut self.outbox)
    }

    /// Does what is due.
    pub(in crate::local) fn tick(&mut self) {
        while let Some(timer) = self.timers.pop(self.now) {
            match timer {
                Timer::Allocate => {
                    self.needs_allocation = true;
                    self.schedule(self.config.allocation_interval, Timer::Allocate);
                }
                Timer::Heartbeat(framework_id, stream_id) => {
                    self.heartbeat(framework_id, stream_id);
                }
                Timer::OfferTimeout(offer_id) => self.rescind(&offer_id),
                Timer::Failover(framework_id, disconnection) => {
                    self.failover_timeout(&framework_id, disconnection);
                }
            }
        }
    }

    /// Takes a message of the agent in place `index`.
    pub(in crate::local) fn receive(&mut self, index: usize, message: ToMaster) {
        match message {
            ToMaster::Register(registration) => self.register_agent(index, *registration),
            ToMaster::Update {
                framework_id,
                status,
                latest_state,
            } => self.status_update(&framework_id, *status, latest_state),
            ToMaster::ExecutorExited {
                framework_id,
                executor_id,
                status,
            } => self.executor_exited(index, &framework_id, &executor_id, status),
            ToMaster::Message {
                framework_id,
                executor_id,
                data,
            } => self.executor_message(index, &framework_id, executor_id, data),
        }
    }

    pub(super) fn schedule(&mut self, after: Duration, timer: Timer) {
        self.timers.schedule(self.now + after, timer);
    }

    /// Queues a message; for an agent that is not registered it is lost.
    pub(super) fn send(&mut self, agent_id: &AgentId, message: ToAgent) {
        if let Some(agent) = self.agents.get(agent_id) {
            self.outbox.push((agent.index, message));
        }
    }

    pub(super) fn agent_at(&self, index: usize) -> Option<AgentId> {
        let mut agents = self.agents.iter();
        let found = agents.find(|(_, agent)| agent.index == index);
        found.map(|(id, _)| id.clone())
    }

    pub(super) fn new_framework_id(&mut self) -> FrameworkId {
        let id = format!("{}-{:04}", self.info.id, self.next_framework);
        self.next_framework += 1;
        id.into()
    }

    pub(super) fn new_agent_id(&mut self) -> AgentId {
        let id = format!("{}-S{}", self.info.id, self.next_agent);
        self.next_agent += 1;
        id.into()
    }

    pub(super) fn new_offer_id(&mut self) -> OfferId {
        let id = format!("{}-O{}", self.info.id, self.next_offer);
        self.next_offer += 1;
        id.into()
    }

    pub(super) fn remember_completed(&mut self, framework: Framework) {
        if self.completed.len() == MAX_COMPLETED_FRAMEWORKS {
            self.completed.pop_front();
        }
        self.completed.push_back(framework);
    }

    pub(super) fn is_completed(&self, framework_id: &FrameworkId) -> bool {
        let mut completed = self.completed.iter();
        completed.any(|framework| framework.id == *framework_id)
    }
}

/// Seconds since the epoch, as statuses carry them.
pub(in crate::local) fn timestamp() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

fn master_info(address: SocketAddr) -> MasterInfo {
    let port = address.port();
    let capabilities = [
        capability::Type::AgentUpdate,
        capability::Type::AgentDraining,
        capability::Type::QuotaV2,
    ];
    MasterInfo {
        id: Uuid::new_v4().to_string(),
        // The number that `in_addr` holds, in the machine's byte order.
        ip: u32::from_ne_bytes([127, 0, 0, 1]),
        port: u32::from(port),
        pid: Some(format!("master@{address}")),
        hostname: Some(HOSTNAME.to_owned()),
        version: Some(VERSION.to_owned()),
        address: Some(Address {
            hostname: Some(HOSTNAME.to_owned()),
            ip: Some(HOST.to_owned()),
            port: i32::from(port),
        }),
        domain: None,
        capabilities: capabilities
            .map(|kind| Capability {
                r#type: Some(kind.into()),
            })
            .to_vec(),
    }
}
