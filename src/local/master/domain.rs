//! Regions: which agents are far from the master.
//!
//! Source: `isRemoteSlave`, `src/master/allocator/mesos/hierarchical.cpp` of Apache Mesos 1.11.0.

use crate::proto::DomainInfo;

/// Whether an agent in the domain `agent` is offered only to frameworks that ask for such.
pub(super) fn is_remote(own: Option<&DomainInfo>, agent: Option<&DomainInfo>) -> bool {
    let region = |domain: Option<&DomainInfo>| {
        let domain = domain?.fault_domain.as_ref()?;
        Some(domain.region.name.clone())
    };
    let agent = region(agent);
    agent.is_some() && agent != region(own)
}
