//! Where the tests of behaviour find a master: the one of `MESOS_MASTER`, or an embedded cluster of the test's own.
//!
//! Tests that end masters or agents need a cluster of their own: of real processes if `MESOS_KIT` names a folder made by
//! `tests/mesos/setup.py`, else embedded as far as that goes.

use std::time::Duration;

use mesos_framework::ContentType;
use mesos_framework::local::{Acls, AgentSettings, Domain, LocalCluster, LocalClusterBuilder};

use crate::conformance::{self, Kind};
use crate::kit::Kit;

/// Which encoding schedulers and executors of the tests speak: `protobuf` (default) or `json`.
pub const CONTENT_TYPE: &str = "MESOS_CONTENT_TYPE";

pub fn content_type() -> ContentType {
    match std::env::var(CONTENT_TYPE).as_deref() {
        Err(_) | Ok("protobuf") => ContentType::Protobuf,
        Ok("json") => ContentType::Json,
        Ok(other) => panic!("{CONTENT_TYPE} is {other:?}, neither protobuf nor json"),
    }
}

/// A cluster of at least two agents, maybe shared with other tests.
pub enum Cluster {
    Given(String),
    Embedded(Box<LocalCluster>),
}

impl Cluster {
    pub async fn start() -> Self {
        match std::env::var("MESOS_MASTER") {
            Ok(address) => {
                conformance::note(Kind::Real);
                Self::Given(address)
            }
            Err(_) => Self::Embedded(embedded(Needs::default()).await),
        }
    }

    pub fn address(&self) -> String {
        match self {
            Self::Given(address) => address.clone(),
            Self::Embedded(local) => local.master_address(),
        }
    }

    pub async fn shutdown(self) {
        if let Self::Embedded(local) = self {
            local.shutdown().await;
        }
    }
}

/// What a test wants of its own cluster.
#[derive(Clone, Copy)]
pub struct Needs {
    pub agents: Agents,
    /// Principal and secret that frameworks must have.
    pub credential: Option<(&'static str, &'static str)>,
    /// Of somebody else.
    pub other_credential: Option<(&'static str, &'static str)>,
    /// Operators of the master must have it, too.
    pub authenticated_operators: bool,
    /// Who may do what, in JSON; empty: everybody everything.
    pub acls: &'static str,
    /// The only roles beside `*`.
    pub roles: &'static [&'static str],
    /// Real agents run command tasks and task groups under this crate's built-in executors, as embedded ones do.
    pub built_in_executors: bool,
    /// How many there are beside the leading one.
    pub standbys: usize,
    /// Master and first agent in region `home`, further agents in region `away`; all in zone `a`.
    pub regions: bool,
    /// How long an executor may take to its first SUBSCRIBE; Mesos's default if zero.
    pub executor_registration: Duration,
    /// How long a restarted agent waits for its executors; Mesos's default if zero.
    pub executor_reregistration: Duration,
    /// How long executors of checkpointing frameworks wait for their agent; long enough for any test if zero.
    pub recovery: Duration,
    /// How long an offer may stay unused; for ever if zero.
    pub offer_timeout: Duration,
    /// Of each agent; empty: [`RESOURCES`].
    pub resources: &'static str,
    /// At most so many streams of the operator API.
    pub operator_subscribers: Option<usize>,
    /// Of every agent, in the form of `--attributes`.
    pub attributes: &'static str,
}

impl Default for Needs {
    fn default() -> Self {
        Self::PLAIN
    }
}

/// What an agent has if the test does not say.
pub const RESOURCES: &str = "cpus:4;mem:4096;disk:4096;ports:[31000-31999]";

impl Needs {
    /// [`Needs::default`], for constants.
    pub const PLAIN: Self = Self {
        agents: Agents::Two,
        credential: None,
        other_credential: None,
        authenticated_operators: false,
        acls: "",
        roles: &[],
        built_in_executors: false,
        standbys: 0,
        regions: false,
        executor_registration: Duration::ZERO,
        executor_reregistration: Duration::ZERO,
        recovery: Duration::ZERO,
        offer_timeout: Duration::ZERO,
        resources: "",
        operator_subscribers: None,
        attributes: "",
    };

    pub fn resources(&self) -> &'static str {
        match self.resources {
            "" => RESOURCES,
            own => own,
        }
    }

    /// Where an agent stands.
    pub fn region(&self, agent: usize) -> &'static str {
        if agent == 0 { "home" } else { "away" }
    }
}

/// Agents of a test's own cluster.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Agents {
    None,
    /// One, which is unreachable after three seconds of silence.
    One,
    /// Two, likewise.
    #[default]
    Two,
    /// One, that the test kills and starts again; it may be silent for long.
    Mortal,
}

impl Agents {
    pub fn count(self) -> usize {
        match self {
            Self::None => 0,
            Self::Two => 2,
            Self::One | Self::Mortal => 1,
        }
    }
}

/// A cluster of one test alone.
pub enum OwnCluster {
    Real(Box<Kit>),
    Embedded(Box<LocalCluster>),
}

impl OwnCluster {
    /// None, after saying so, if there is no such cluster here.
    pub async fn start(needs: Needs) -> Option<Self> {
        match std::env::var_os("MESOS_KIT") {
            Some(folder) => {
                conformance::note(Kind::Real);
                Some(Self::Real(Box::new(Kit::start(folder.into(), needs).await)))
            }
            None => Some(Self::Embedded(embedded(needs).await)),
        }
    }

    /// With that kind of agents and nothing else in particular.
    pub async fn with(agents: Agents) -> Self {
        let needs = Needs {
            agents,
            ..Needs::default()
        };
        Self::start(needs).await.expect("there is always one")
    }

    pub fn address(&self) -> String {
        match self {
            Self::Real(kit) => kit.address(),
            Self::Embedded(local) => local.master_address(),
        }
    }

    /// As SIGKILL does.
    pub fn kill_master(&mut self) {
        match self {
            Self::Real(kit) => kit.kill_master(),
            Self::Embedded(local) => local.kill_master(),
        }
    }

    /// On the same port, with what the old master left behind on its disk.
    pub async fn restart_master(&mut self) {
        match self {
            Self::Real(kit) => kit.start_master().await,
            Self::Embedded(local) => local.restart_master().await.unwrap(),
        }
    }

    /// [`restart_master`](Self::restart_master), with nothing left on the disk of the old one.
    pub async fn restart_master_without_registry(&mut self) {
        match self {
            Self::Real(kit) => {
                kit.kill_master();
                kit.lose_registry();
                kit.start_master().await;
            }
            Self::Embedded(local) => local.restart_master_without_registry().await.unwrap(),
        }
    }

    /// All masters' addresses.
    pub fn addresses(&self) -> Vec<String> {
        match self {
            Self::Real(kit) => kit.addresses(),
            Self::Embedded(local) => local.master_addresses(),
        }
    }

    /// Makes a standby the leader; the leader until now ends.
    pub fn elect(&mut self, index: usize) {
        match self {
            Self::Real(kit) => kit.elect(Some(index)),
            Self::Embedded(local) => local.elect(index).unwrap(),
        }
    }

    /// The leader ends, and there is none.
    pub fn elect_nobody(&mut self) {
        match self {
            Self::Real(kit) => kit.elect(None),
            Self::Embedded(local) => local.elect_nobody(),
        }
    }

    /// Where an agent listens.
    pub fn agent_address(&self, index: usize) -> String {
        match self {
            Self::Real(kit) => kit.agent_address(index),
            Self::Embedded(local) => local.agent_addresses()[index].clone(),
        }
    }

    /// The path of an agent's process: `/slave(1)`.
    pub fn agent_path(&self, index: usize) -> String {
        match self {
            Self::Real(_) => "/slave(1)".to_owned(),
            Self::Embedded(_) => format!("/slave({})", index + 1),
        }
    }

    /// Whether the agent would stand another speaking for this executor now.
    pub fn has_begun(&self, index: usize, framework_id: &str, executor_id: &str) -> bool {
        match self {
            Self::Real(kit) => kit.has_output(index, framework_id, executor_id),
            Self::Embedded(_) => true,
        }
    }

    /// As SIGKILL does.
    pub fn kill_agent(&mut self, index: usize) {
        match self {
            Self::Real(kit) => kit.kill_agent(index),
            Self::Embedded(local) => assert!(local.kill_agent(index)),
        }
    }

    /// On the same port, with what the agent before left behind on its disk.
    pub async fn start_agent(&mut self, index: usize) {
        match self {
            Self::Real(kit) => kit.start_agent(index),
            Self::Embedded(local) => local.restart_agent(index).await.unwrap(),
        }
    }

    /// Killed as SIGKILL does, and started anew.
    pub async fn restart_agent(&mut self, index: usize) {
        self.kill_agent(index);
        self.start_agent(index).await;
    }

    /// As SIGUSR1 does.
    pub fn shut_agent_down(&mut self, index: usize) {
        match self {
            Self::Real(kit) => kit.signal_agent(index, "USR1"),
            Self::Embedded(local) => assert!(local.shutdown_agent(index)),
        }
    }

    /// The agent and the master do not hear each other.
    pub fn partition_agent(&mut self, index: usize) {
        match self {
            Self::Real(kit) => kit.stop_agent(index),
            Self::Embedded(local) => assert!(local.partition_agent(index)),
        }
    }

    pub fn heal_agent(&mut self, index: usize) {
        match self {
            Self::Real(kit) if !kit.is_agent_alive(index) => {}
            Self::Real(kit) => kit.signal_agent(index, "CONT"),
            Self::Embedded(local) => assert!(local.heal_agent(index)),
        }
    }

    /// Waits for the end of an agent's process.
    pub async fn agent_ends(&mut self, index: usize) {
        let ended = async {
            loop {
                let is_alive = match self {
                    Self::Real(kit) => kit.is_agent_alive(index),
                    Self::Embedded(local) => local.state().agents[index].is_alive,
                };
                if !is_alive {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), ended)
            .await
            .expect("the agent ends");
    }

    pub async fn shutdown(self) {
        match self {
            Self::Real(kit) => drop(kit),
            Self::Embedded(local) => local.shutdown().await,
        }
    }
}

/// An embedded cluster for what only such a one can show.
pub fn local() -> LocalClusterBuilder {
    conformance::note(Kind::Embedded);
    LocalCluster::builder()
}

async fn embedded(needs: Needs) -> Box<LocalCluster> {
    let mut builder = local()
        .agents(if needs.regions {
            0
        } else {
            needs.agents.count()
        })
        .resources(needs.resources())
        .masters(1 + needs.standbys)
        .allocation_interval(Duration::from_millis(50))
        .master_recovery_time(Duration::from_millis(200))
        .attributes(needs.attributes)
        .roles(needs.roles);
    if needs.agents != Agents::Mortal {
        builder = builder
            .agent_ping_timeout(Duration::from_secs(1))
            .max_agent_ping_timeouts(3);
    }
    if !needs.executor_registration.is_zero() {
        builder = builder.executor_registration_timeout(needs.executor_registration);
    }
    if !needs.executor_reregistration.is_zero() {
        builder = builder.executor_reregistration_timeout(needs.executor_reregistration);
    }
    if !needs.recovery.is_zero() {
        builder = builder.recovery_timeout(needs.recovery);
    }
    for (principal, secret) in needs.credential.into_iter().chain(needs.other_credential) {
        builder = builder.credential(principal, secret);
    }
    if !needs.offer_timeout.is_zero() {
        builder = builder.offer_timeout(needs.offer_timeout);
    }
    if needs.authenticated_operators {
        builder = builder.authenticate_operators();
    }
    if !needs.acls.is_empty() {
        builder = builder.acls(Acls::parse(needs.acls).unwrap());
    }
    if needs.regions {
        builder = builder.domain(Domain::new("home", "a"));
        for number in 0..needs.agents.count() {
            let region = Domain::new(needs.region(number), "a");
            builder = builder.agent(AgentSettings::new().domain(region));
        }
    }
    if let Some(count) = needs.operator_subscribers {
        builder = builder.max_operator_subscribers(count);
    }
    Box::new(builder.start().await.unwrap())
}
