//! Where the tests of behaviour find a master: the one of `MESOS_MASTER`, or an embedded cluster of the test's own.
//!
//! Tests that end masters or agents need a cluster of their own: of real processes if `MESOS_KIT` names a folder made by
//! `tests/mesos/setup.py`, else embedded as far as that goes.

use std::time::Duration;

use mesos_framework::ContentType;
use mesos_framework::local::LocalCluster;

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
            Ok(address) => Self::Given(address),
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
#[derive(Clone, Copy, Default)]
pub struct Needs {
    pub agents: Agents,
    /// Principal and secret that frameworks must have.
    pub credential: Option<(&'static str, &'static str)>,
    /// The only roles beside `*`.
    pub roles: &'static [&'static str],
}

/// Agents of a test's own cluster.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Agents {
    None,
    #[default]
    Two,
    /// One, that the test kills and starts again.
    Mortal,
}

impl Agents {
    pub fn count(self) -> usize {
        match self {
            Self::None => 0,
            Self::Two => 2,
            Self::Mortal => 1,
        }
    }
}

/// A cluster of one test alone.
pub enum OwnCluster {
    Real(Kit),
    Embedded(Box<LocalCluster>),
}

impl OwnCluster {
    /// None, after saying so, if there is no such cluster here.
    pub async fn start(needs: Needs) -> Option<Self> {
        match std::env::var_os("MESOS_KIT") {
            Some(folder) => Some(Self::Real(Kit::start(folder.into(), needs).await)),
            None if needs.agents == Agents::Mortal => {
                println!("skipped: MESOS_KIT is not set, and embedded agents do not restart");
                None
            }
            None => Some(Self::Embedded(embedded(needs).await)),
        }
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

    /// The one agent, killed as SIGKILL does, and started anew with what it left behind on its disk.
    pub fn restart_agent(&mut self) {
        match self {
            Self::Real(kit) => kit.restart_agent(),
            Self::Embedded(_) => unreachable!("not started for mortal agents"),
        }
    }

    pub async fn shutdown(self) {
        match self {
            Self::Real(kit) => drop(kit),
            Self::Embedded(local) => local.shutdown().await,
        }
    }
}

async fn embedded(needs: Needs) -> Box<LocalCluster> {
    let mut builder = LocalCluster::builder()
        .agents(needs.agents.count())
        .resources("cpus:4;mem:4096;disk:4096;ports:[31000-31999]")
        .allocation_interval(Duration::from_millis(50))
        .roles(needs.roles);
    if let Some((principal, secret)) = needs.credential {
        builder = builder.credential(principal, secret);
    }
    Box::new(builder.start().await.unwrap())
}
