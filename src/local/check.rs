//! Whether settings can work.

use std::time::Duration;

use super::builder::LocalClusterBuilder;
use super::config::{self, AgentConfig, HOSTNAME};
use super::settings::{AgentSettings, Domain};
use crate::error::{Error, ErrorKind, Result};
use crate::resources::Resources;

/// Longest of all times: a year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl LocalClusterBuilder {
    /// Whether all but the agents can be as it says.
    pub(super) fn check(&self) -> Result<()> {
        if self.masters == 0 {
            return Err(wrong("masters", "must not be zero"));
        }
        let last = usize::from(self.port).saturating_add(self.masters - 1);
        if self.port != 0 && last > usize::from(u16::MAX) {
            return Err(wrong("port", "leaves no ports for all masters"));
        }
        self.check_times()?;
        if self.domain.as_ref().is_some_and(|own| !own.is_complete()) {
            return Err(wrong("domain", "must have a region and a zone"));
        }
        let mut credentials = self.credentials.iter();
        if credentials.any(|(principal, secret)| {
            principal.is_empty() || principal.contains(':') || secret.contains(':')
        }) {
            let why =
                "must have a principal, and no ':', which HTTP basic authentication cannot carry";
            return Err(wrong("credential", why));
        }
        if self.authenticates_operators && self.credentials.is_empty() {
            return Err(wrong("authenticate_operators", "needs a credential"));
        }
        self.acls.check()?;
        let mut variables = self.executor_environment.iter();
        if variables.any(|(name, value)| {
            name.is_empty() || name.contains(['=', '\0']) || value.contains('\0')
        }) {
            let why = "must have names without '=', and no NUL";
            return Err(wrong("executor_environment", why));
        }
        Ok(())
    }

    fn check_times(&self) -> Result<()> {
        let intervals = [
            ("allocation_interval", self.allocation_interval),
            ("heartbeat_interval", self.heartbeat_interval),
            ("update_retry_interval", self.update_retry_interval),
        ];
        if let Some((name, _)) = intervals.iter().find(|(_, interval)| interval.is_zero()) {
            return Err(wrong(name, "must not be zero"));
        }
        let others = [
            ("offer_timeout", self.offer_timeout.unwrap_or_default()),
            ("election_timeout", self.election_timeout),
            ("registration_backoff", self.registration_backoff),
            (
                "executor_registration_timeout",
                self.executor_registration_timeout,
            ),
            (
                "executor_shutdown_grace_period",
                self.executor_shutdown_grace_period,
            ),
        ];
        let mut all = intervals.iter().chain(&others);
        match all.find(|(_, time)| *time > LONGEST) {
            Some((name, _)) => Err(wrong(name, "must be at most a year")),
            None => Ok(()),
        }
    }

    /// The agents that are all alike, then those with settings of their own.
    pub(super) fn agent_configs(&self, have_masters_domain: bool) -> Result<Vec<AgentConfig>> {
        let alike = AgentSettings::new();
        let default = usize::from(self.own_agents.is_empty());
        let alike = std::iter::repeat_n(&alike, self.agents.unwrap_or(default));
        let all = alike.chain(&self.own_agents).enumerate();
        all.map(|(number, own)| {
            if let Some(domain) = &own.domain {
                check_domain(domain, number, have_masters_domain)?;
            }
            self.agent_config(number, own)
        })
        .collect()
    }

    /// An agent with these settings.
    pub(super) fn agent_config(&self, number: usize, own: &AgentSettings) -> Result<AgentConfig> {
        let of = |error, what: &str| {
            let context = format!("{what} of agent {number} of a local cluster");
            Error::caused_by(ErrorKind::Config, context, error)
        };
        let hostname = own.hostname.as_deref().unwrap_or(HOSTNAME);
        if hostname.is_empty() {
            return Err(wrong(
                &format!("hostname of agent {number}"),
                "must not be empty",
            ));
        }
        let resources = own.resources.as_deref().unwrap_or(&self.resources);
        let attributes = own.attributes.as_deref().unwrap_or(&self.attributes);
        Ok(AgentConfig {
            resources: Resources::parse(resources).map_err(|error| of(error, "resources"))?,
            attributes: config::parse_attributes(attributes)
                .map_err(|error| of(error, "attributes"))?,
            hostname: hostname.to_owned(),
            domain: own.domain.as_ref().map(Domain::info),
        })
    }
}

/// A master without a domain never admits an agent with one (`Master::registerSlave`, `src/master/master.cpp` of Apache
/// Mesos 1.11.0).
fn check_domain(domain: &Domain, number: usize, have_masters_domain: bool) -> Result<()> {
    let name = format!("domain of agent {number}");
    if !domain.is_complete() {
        return Err(wrong(&name, "must have a region and a zone"));
    }
    if !have_masters_domain {
        return Err(wrong(&name, "needs the masters to have a domain"));
    }
    Ok(())
}

fn wrong(name: &str, why: &str) -> Error {
    let context = format!("{name} of a local cluster {why}");
    Error::new(ErrorKind::Config, context)
}

#[cfg(test)]
mod tests {
    use super::super::acls::{AclAction, AclEntity, Acls};
    use super::super::cluster::LocalCluster;
    use super::*;

    /// Why such a cluster cannot be.
    fn why(builder: &LocalClusterBuilder) -> String {
        let configured = builder.check().and_then(|()| builder.agent_configs(false));
        let error = configured.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    }

    #[test]
    fn each_error_begins_with_its_setting() {
        let new = LocalCluster::builder;
        let far = Domain::new("away", "a");
        let own = AgentSettings::new;
        let machines = AclEntity::some(["one"]);
        let named = Acls::new().rule(AclAction::StartMaintenances, AclEntity::Any, machines);
        for (builder, expected) in [
            (new().masters(0), "masters "),
            (new().masters(2).port(65535), "port "),
            (
                new().allocation_interval(Duration::ZERO),
                "allocation_interval ",
            ),
            (
                new().heartbeat_interval(Duration::ZERO),
                "heartbeat_interval ",
            ),
            (
                new().update_retry_interval(Duration::ZERO),
                "update_retry_interval ",
            ),
            (new().offer_timeout(Duration::MAX), "offer_timeout "),
            (new().election_timeout(Duration::MAX), "election_timeout "),
            (
                new().registration_backoff(Duration::MAX),
                "registration_backoff ",
            ),
            (
                new().executor_registration_timeout(Duration::MAX),
                "executor_registration_timeout ",
            ),
            (
                new().executor_shutdown_grace_period(Duration::MAX),
                "executor_shutdown_grace_period ",
            ),
            (new().domain(Domain::new("", "a")), "domain "),
            (new().credential("me", "a:b"), "credential "),
            (new().authenticate_operators(), "authenticate_operators "),
            (new().acls(named), "acls "),
            (
                new().executor_environment("A=B", ""),
                "executor_environment ",
            ),
            (new().resources("cpus"), "resources of agent 0 "),
            (new().attributes("rack"), "attributes of agent 0 "),
            (
                new().agents(1).agent(own().resources("cpus")),
                "resources of agent 1 ",
            ),
            (new().agent(own().domain(far)), "domain of agent 0 "),
            (new().agent(own().hostname("")), "hostname of agent 0 "),
        ] {
            let text = why(&builder);
            let expected = format!("{expected}of a local cluster");
            assert!(text.starts_with(&expected), "{text}");
        }
    }

    #[test]
    fn agents_of_their_own_come_behind_those_that_are_alike() {
        let builder = LocalCluster::builder().resources("cpus:1");
        let count = |builder: &LocalClusterBuilder| {
            let agents = builder.agent_configs(true).unwrap();
            let agents = agents.iter().map(|own| own.resources.scalar("cpus"));
            agents.collect::<Vec<_>>()
        };
        assert_eq!(count(&builder), [1.0]);
        let one = builder.agent(AgentSettings::new().resources("cpus:2"));
        assert_eq!(count(&one), [2.0]);
        assert_eq!(count(&one.agents(2)), [1.0, 1.0, 2.0]);
    }
}
