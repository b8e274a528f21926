//! What a master writes down for the masters after it.
//!
//! Source: `src/master/registry.proto` of Apache Mesos 1.11.0.

use std::collections::{BTreeMap, BTreeSet};

use super::config::Config;
use crate::proto::maintenance::Schedule;
use crate::proto::quota::QuotaConfig;
use crate::proto::{AgentId, AgentInfo, DrainInfo, MachineInfo, TimeInfo};

/// Outlives every master of the cluster, unless a master is started without it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Registry {
    /// Those that are registered and not removed, as they last described themselves.
    pub(super) agents: BTreeMap<AgentId, AgentInfo>,
    /// Those that are not heard of, and since when.
    pub(super) unreachable: BTreeMap<AgentId, TimeInfo>,
    /// Those that an operator has declared lost for ever, and when.
    pub(super) gone: BTreeMap<AgentId, TimeInfo>,
    /// Those that are being emptied, or are empty.
    pub(super) draining: BTreeMap<AgentId, DrainInfo>,
    /// Those whose resources are not offered, the draining ones among them.
    pub(super) deactivated: BTreeSet<AgentId>,
    /// Of the roles for which somebody set one.
    pub(super) weights: BTreeMap<String, f64>,
    /// None that says nothing.
    pub(super) quotas: BTreeMap<String, QuotaConfig>,
    /// Those that drain or are down.
    pub(super) machines: Vec<MachineInfo>,
    pub(super) schedule: Schedule,
}

impl Registry {
    /// The registry of a new cluster.
    pub(super) fn first(config: &Config) -> Self {
        let quotas = config.quotas.iter();
        Self {
            weights: config.weights.clone(),
            quotas: quotas
                .map(|quota| (quota.role.clone(), quota.clone()))
                .collect(),
            ..Self::default()
        }
    }
}
