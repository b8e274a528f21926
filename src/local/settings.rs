//! [`AgentSettings`] and [`Domain`]: what makes one agent different from another.

use crate::proto::DomainInfo;
use crate::proto::domain_info::FaultDomain;
use crate::proto::domain_info::fault_domain::{RegionInfo, ZoneInfo};

/// Settings of one agent, for [`agent`](super::LocalClusterBuilder::agent).
///
/// What is not set is as the builder has it for all agents.
///
/// # Examples
/// ```
/// use mesos_framework::local::{AgentSettings, Domain, LocalCluster};
///
/// let home = Domain::new("europe", "a");
/// let builder = LocalCluster::builder()
///     .domain(home.clone())
///     .agents(2)
///     .agent(AgentSettings::new().resources("cpus:32;mem:65536;gpus:2").attributes("rack:b").domain(home))
///     .agent(AgentSettings::new().domain(Domain::new("asia", "a")));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct AgentSettings {
    pub(super) resources: Option<String>,
    pub(super) attributes: Option<String>,
    pub(super) hostname: Option<String>,
    pub(super) domain: Option<Domain>,
}

/// Where a master or an agent stands: a zone of a region.
///
/// Source: `--domain` of master and agent; `DomainInfo.FaultDomain`, mesos.proto.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    region: String,
    zone: String,
}

impl AgentSettings {
    /// An agent like all others.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what this agent offers, in the form of [`Resources::parse`](crate::resources::Resources::parse).
    pub fn resources(mut self, resources: &str) -> Self {
        self.resources = Some(resources.to_owned());
        self
    }

    /// Sets this agent's attributes: pieces `name:value` between `;`.
    pub fn attributes(mut self, attributes: &str) -> Self {
        self.attributes = Some(attributes.to_owned());
        self
    }

    /// Sets what this agent calls its host: default `localhost`. To the master, agents whose hosts have different names are on
    /// machines of their own, so that maintenance of one leaves the others alone. All can be reached at 127.0.0.1 only.
    ///
    /// Source: `--hostname` of the agent.
    pub fn hostname(mut self, hostname: &str) -> Self {
        self.hostname = Some(hostname.to_owned());
        self
    }

    /// Sets where this agent stands. The master must have a domain too.
    ///
    /// An agent of another region than the master's is remote: only frameworks with the capability REGION_AWARE get offers
    /// of it.
    pub fn domain(mut self, domain: Domain) -> Self {
        self.domain = Some(domain);
        self
    }
}

impl Domain {
    /// The zone `zone` of the region `region`; neither may be empty.
    #[must_use]
    pub fn new(region: &str, zone: &str) -> Self {
        Self {
            region: region.to_owned(),
            zone: zone.to_owned(),
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        !self.region.is_empty() && !self.zone.is_empty()
    }

    pub(super) fn info(&self) -> DomainInfo {
        DomainInfo {
            fault_domain: Some(FaultDomain {
                region: RegionInfo {
                    name: self.region.clone(),
                },
                zone: ZoneInfo {
                    name: self.zone.clone(),
                },
            }),
        }
    }
}
