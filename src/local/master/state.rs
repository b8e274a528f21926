//! What a master knows, its clock, and its queue of messages to agents.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use uuid::Uuid;

use super::agent_health::Pings;
use super::agent_removal::{Removal, UNREGISTERED};
use super::allocator::{Memory, Quota, Refusals};
use super::counters::Counters;
use super::framework::Framework;
use super::inverse_offers::InverseOffers;
use super::machines::Machines;
use super::operations::Operations;
use super::operator_stream::Subscribers;
use super::tallies::Tallies;
use crate::local::config::{Config, HOST, HOSTNAME, MAX_COMPLETED_FRAMEWORKS, VERSION};
use crate::local::messages::{ToAgent, ToMaster};
use crate::local::registry::Registry;
use crate::local::timers::Timers;
use crate::proto::master_info::{Capability, capability};
use crate::proto::{
    Address, AgentId, AgentInfo, DomainInfo, FrameworkId, MasterInfo, OfferId, TaskId,
};
use crate::resources::{Resources, is_dynamically_reserved};

/// A master. Its methods change state and queue messages; none waits.
#[derive(Debug)]
pub(in crate::local) struct Master {
    pub(super) config: Arc<Config>,
    pub(super) info: MasterInfo,
    /// Seconds since the epoch.
    pub(super) started: f64,
    /// Likewise; a standby was not elected yet.
    pub(super) elected: Option<f64>,
    pub(super) now: Instant,
    pub(super) frameworks: BTreeMap<FrameworkId, Framework>,
    /// Removed ones, oldest first, at most [`MAX_COMPLETED_FRAMEWORKS`].
    pub(super) completed: VecDeque<Framework>,
    pub(super) agents: BTreeMap<AgentId, Agent>,
    pub(super) registry: Registry,
    /// In the registry, but not registered with this master yet.
    pub(super) recovering: BTreeSet<AgentId>,
    /// Who registered last from each place in the cluster; it may be gone since.
    places: BTreeMap<usize, AgentId>,
    pub(super) offers: BTreeMap<OfferId, Offer>,
    pub(super) operations: Operations,
    /// Of the operator API.
    pub(super) subscribers: Subscribers,
    pub(super) counters: Counters,
    pub(super) tallies: Tallies,
    pub(super) timers: Timers<Timer>,
    /// Whether something called for an allocation of all agents.
    pub(super) needs_allocation: bool,
    /// Counts the observations of agents, so that a ping knows whether it is still meant.
    pub(super) observations: u64,
    pub(super) allocator: Memory,
    /// Also roles whose quota was taken away again while this master lived.
    pub(super) quotas: BTreeMap<String, Quota>,
    pub(super) machines: Machines,
    pub(super) inverse_offers: InverseOffers,
    outbox: Vec<(usize, ToAgent)>,
    next_framework: u64,
    next_agent: u64,
    next_offer: u64,
}

/// What becomes due.
#[derive(Debug)]
pub(super) enum Timer {
    Allocate,
    /// Agents of a former master are not waited for any longer.
    ResumeAllocation,
    /// Of this stream.
    Heartbeat(FrameworkId, String),
    /// Of this subscriber of the operator API.
    OperatorHeartbeat(Uuid),
    OfferTimeout(OfferId),
    InverseOfferTimeout(OfferId),
    /// Of the disconnection with this number.
    Failover(FrameworkId, u64),
    /// The answer to a ping, under the observation with this number.
    Ping(AgentId, u64),
    /// Of the disconnection with this number.
    AgentReregistration(AgentId, u64),
    /// Agents that have not come to this master since its start are given up.
    Recovery,
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
    /// When it came again last, likewise.
    pub(super) reregistered: Option<f64>,
    pub(super) is_connected: bool,
    /// Whether it takes part in the allocation.
    pub(super) is_active: bool,
    /// Tasks that are to be killed, however often it comes back with them.
    pub(super) killed: BTreeSet<(FrameworkId, TaskId)>,
    pub(super) pings: Pings,
    /// The number of its observation.
    pub(super) observation: u64,
    /// Counts broken connections, so that a time-out knows whether it is still meant.
    pub(super) disconnections: u64,
    /// When it was told to drain, likewise in seconds.
    pub(super) drain_started: Option<f64>,
    /// Neither offered nor used; without marks of allocation. Shared volumes are always available, and not in here.
    pub(super) available: Resources,
    /// Of it, by frameworks.
    pub(super) refusals: Refusals,
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

impl Agent {
    /// What the agent writes down: dynamic reservations and persistent volumes of its own (`needCheckpointing`,
    /// `src/common/resources_utils.cpp`).
    pub(super) fn checkpointed(&self) -> Resources {
        let volumes = self.total.persistent_volumes();
        let others = self.total.clone() - volumes.clone();
        let own = others.filter(is_dynamically_reserved) + volumes;
        own.filter(|kind| kind.provider_id.is_none())
    }
}

impl Master {
    /// A master that does not lead.
    pub(in crate::local) fn new(config: Arc<Config>, address: SocketAddr) -> Self {
        Self {
            info: master_info(address, config.domain.clone()),
            subscribers: Subscribers::new(config.acls.clone()),
            config,
            started: timestamp(),
            elected: None,
            now: Instant::now(),
            frameworks: BTreeMap::new(),
            completed: VecDeque::new(),
            agents: BTreeMap::new(),
            recovering: BTreeSet::new(),
            registry: Registry::default(),
            places: BTreeMap::new(),
            offers: BTreeMap::new(),
            operations: Operations::default(),
            counters: Counters::default(),
            tallies: Tallies::default(),
            quotas: BTreeMap::new(),
            machines: Machines::default(),
            inverse_offers: InverseOffers::default(),
            allocator: Memory::default(),
            timers: Timers::default(),
            needs_allocation: false,
            observations: 0,
            outbox: Vec::new(),
            next_framework: 0,
            next_agent: 0,
            next_offer: 0,
        }
    }

    /// Becomes the leader, and recovers `registry`.
    pub(in crate::local) fn lead(&mut self, registry: Registry, now: Instant) {
        self.now = now;
        self.elected = Some(timestamp());
        self.recovering = registry.agents.keys().cloned().collect();
        let quotas = registry.quotas.iter();
        self.quotas = quotas
            .map(|(role, config)| (role.clone(), Quota::of(config)))
            .collect();
        self.machines = Machines::recovered(&registry);
        self.registry = registry;
        self.recover_allocator();
        self.schedule(self.config.allocation_interval, Timer::Allocate);
        self.schedule(self.config.timeouts.agent_reregister, Timer::Recovery);
        tracing::info!(
            id = self.info.id,
            address = self.info.pid(),
            "master elected"
        );
    }

    pub(in crate::local) fn id(&self) -> &str {
        &self.info.id
    }

    pub(in crate::local) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What it wrote down, at its end.
    pub(in crate::local) fn into_registry(self) -> Registry {
        self.registry
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
                Timer::OperatorHeartbeat(id) => self.operator_heartbeat(id),
                Timer::ResumeAllocation => self.resume_allocation(),
                Timer::OfferTimeout(offer_id) => self.rescind(&offer_id),
                Timer::InverseOfferTimeout(offer_id) => self.rescind_inverse(&offer_id),
                Timer::Failover(framework_id, disconnection) => {
                    self.failover_timeout(&framework_id, disconnection);
                }
                Timer::Ping(agent_id, observation) => self.ping_due(agent_id, observation),
                Timer::AgentReregistration(agent_id, disconnection) => {
                    self.agent_reregistration_due(&agent_id, disconnection);
                }
                Timer::Recovery => self.recovery_due(),
            }
        }
    }

    /// Takes a message of the agent in place `index`; from one that is not registered, nothing but its registration.
    pub(in crate::local) fn receive(&mut self, index: usize, message: ToMaster) {
        self.tallies.received(&message);
        let Some(agent_id) = self.agent_at(index) else {
            if let ToMaster::Register(registration) = message {
                self.register_agent(index, *registration);
            } else {
                self.tallies.dropped(&message);
                tracing::debug!(index, "message of an unknown agent dropped");
            }
            return;
        };
        match message {
            ToMaster::Register(registration) => self.register_agent(index, *registration),
            ToMaster::Unregister => {
                let why = UNREGISTERED.to_owned();
                self.remove_agent(&agent_id, &Removal::Left(why));
            }
            ToMaster::Pong => self.pong(&agent_id),
            ToMaster::Update {
                framework_id,
                status,
                latest_state,
            } => self.status_update(&framework_id, *status, latest_state),
            ToMaster::OperationUpdate {
                operation_uuid,
                status,
            } => self.operation_updated(&operation_uuid, *status),
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
        // What lies beyond all clocks never comes.
        if let Some(at) = self.now.checked_add(after) {
            self.timers.schedule(at, timer);
        }
    }

    /// Queues a message; for an agent that is not registered it is lost.
    pub(super) fn send(&mut self, agent_id: &AgentId, message: ToAgent) {
        if let Some(agent) = self.agents.get(agent_id) {
            self.send_to(agent.index, message);
        }
    }

    /// Queues a message for the agent in place `index`, registered or not.
    pub(super) fn send_to(&mut self, index: usize, message: ToAgent) {
        self.outbox.push((index, message));
    }

    pub(super) fn agent_at(&self, index: usize) -> Option<AgentId> {
        let id = self.places.get(&index)?;
        self.agents.contains_key(id).then(|| id.clone())
    }

    pub(super) fn place_agent(&mut self, id: AgentId, agent: Agent) {
        self.places.insert(agent.index, id.clone());
        self.agents.insert(id, agent);
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

fn master_info(address: SocketAddr, domain: Option<DomainInfo>) -> MasterInfo {
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
        domain,
        capabilities: capabilities
            .map(|kind| Capability {
                r#type: Some(kind.into()),
            })
            .to_vec(),
    }
}
