//! What a cluster is started with, and the constants of Mesos that nobody sets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::acls::Acls;
use super::agent::Factories;
use super::timeouts::Timeouts;
use super::tokens::TokenKey;
use super::wire::Wire;
use crate::error::{Error, ErrorKind, Result};
use crate::proto::quota::QuotaConfig;
use crate::proto::{Attribute, DomainInfo, agent_info, value};
use crate::resources::Resources;

/// Version that master and agents state.
pub(super) const VERSION: &str = "1.11.0";

/// Loopback address of everything.
pub(super) const HOST: &str = "127.0.0.1";

/// Name of the machine as master and agents state it: what a reverse look-up of [`HOST`] gives.
pub(super) const HOSTNAME: &str = "localhost";

/// What agents say that they can do.
pub(super) const AGENT_CAPABILITIES: [agent_info::capability::Type; 8] = [
    agent_info::capability::Type::MultiRole,
    agent_info::capability::Type::HierarchicalRole,
    agent_info::capability::Type::ReservationRefinement,
    agent_info::capability::Type::ResourceProvider,
    agent_info::capability::Type::ResizeVolume,
    agent_info::capability::Type::AgentOperationFeedback,
    agent_info::capability::Type::AgentDraining,
    agent_info::capability::Type::TaskResourceLimits,
];

/// Completed frameworks that a master remembers (`--max_completed_frameworks`, `src/master/constants.hpp`).
pub(super) const MAX_COMPLETED_FRAMEWORKS: usize = 50;

/// Completed tasks of one framework that a master remembers (`--max_completed_tasks_per_framework`).
pub(super) const MAX_COMPLETED_TASKS: usize = 1000;

/// Refusal when a scheduler states none or nonsense (`mesos.proto`, `Filters`).
pub(super) const DEFAULT_REFUSE: Duration = Duration::from_secs(5);

/// Longest refusal (`src/master/allocator/mesos/hierarchical.cpp`).
pub(super) const MAX_REFUSE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Longest wait between two deliveries of an update (`src/slave/constants.hpp`).
pub(super) const UPDATE_RETRY_INTERVAL_MAX: Duration = Duration::from_secs(10 * 60);

/// Tasks of one framework on unreachable agents that a master remembers (`--max_unreachable_tasks_per_framework`).
pub(super) const MAX_UNREACHABLE_TASKS: usize = 1000;

/// First and longest wait, at most, of an agent that asks to be registered and is not answered
/// (`--registration_backoff_factor`, `REGISTER_RETRY_INTERVAL_MAX`, `src/slave/constants.hpp`).
pub(super) const REGISTRATION_BACKOFF: Duration = Duration::from_secs(1);
pub(super) const REGISTRATION_BACKOFF_MAX: Duration = Duration::from_secs(60);

/// What one agent is.
#[derive(Clone, Debug, Default)]
pub(super) struct AgentConfig {
    pub(super) resources: Resources,
    pub(super) attributes: Vec<Attribute>,
    pub(super) hostname: String,
    pub(super) domain: Option<DomainInfo>,
}

/// `DEFAULT_MAX_OPERATOR_EVENT_STREAM_SUBSCRIBERS`, `src/master/constants.hpp`.
pub(super) const MAX_OPERATOR_SUBSCRIBERS: usize = 1000;

/// Bytes that may wait for the reader of a stream.
pub(super) const DEFAULT_STREAM_LIMIT: usize = 64 * 1024 * 1024;

/// Everything settable, checked.
#[derive(Clone, Debug)]
pub(super) struct Config {
    /// How many, one or more.
    pub(super) masters: usize,
    pub(super) domain: Option<DomainInfo>,
    /// Until standbys notice that the leading master has died.
    pub(super) election_timeout: Duration,
    /// Longest time until an agent registers with a new leading master.
    pub(super) registration_backoff: Duration,
    pub(super) agents: Vec<AgentConfig>,
    /// One that comes later.
    pub(super) added_agent: AgentConfig,
    pub(super) allocation_interval: Duration,
    pub(super) heartbeat_interval: Duration,
    pub(super) offer_timeout: Option<Duration>,
    pub(super) port: u16,
    pub(super) work_directory: PathBuf,
    /// Principal → secret; empty: nobody is asked.
    pub(super) credentials: BTreeMap<String, String>,
    /// Whether operators, too, must prove who they are.
    pub(super) authenticates_operators: bool,
    /// `--acls`.
    pub(super) acls: Acls,
    /// `--roles`: the only roles that may subscribe, beside `*`.
    pub(super) roles: Option<BTreeSet<String>>,
    /// `--weights`.
    pub(super) weights: BTreeMap<String, f64>,
    pub(super) quotas: Vec<QuotaConfig>,
    pub(super) executor_registration_timeout: Duration,
    pub(super) executor_shutdown_grace_period: Duration,
    pub(super) update_retry_interval: Duration,
    pub(super) timeouts: Timeouts,
    pub(super) executor_environment: BTreeMap<String, String>,
    pub(super) executor_domain_sockets: bool,
    /// Signs executors' tokens; none: they have none.
    pub(super) token_key: Option<TokenKey>,
    /// Who makes executors in place of programs.
    pub(super) factories: Factories,
    /// `--max_operator_event_stream_subscribers`.
    pub(super) max_operator_subscribers: usize,
    /// What is done to the wire while the cluster runs; the same for all.
    pub(super) wire: Arc<Wire>,
}

/// Reads `--attributes`: pieces `name:value` between semicolons.
pub(super) fn parse_attributes(text: &str) -> Result<Vec<Attribute>> {
    let pieces = text.split(';').map(str::trim);
    pieces
        .filter(|piece| !piece.is_empty())
        .map(|piece| match piece.split_once(':') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok(attribute(name.trim(), value.trim()))
            }
            _ => {
                let context =
                    format!("attribute '{piece}' cannot be read: expecting '<name>:<value>'");
                Err(Error::new(ErrorKind::Config, context))
            }
        })
        .collect()
}

/// A number makes a scalar, `[a-b]` ranges, `{a,b}` a set, anything else a text.
fn attribute(name: &str, text: &str) -> Attribute {
    let mut attribute = Attribute {
        name: name.to_owned(),
        ..Default::default()
    };
    if let Ok(resources) = Resources::parse(&format!("{name}:{text}"))
        && let Some(resource) = resources.to_protos().pop()
    {
        attribute.r#type = resource.r#type;
        attribute.scalar = resource.scalar;
        attribute.ranges = resource.ranges;
        attribute.set = resource.set;
    } else if let Ok(value) = text.parse() {
        attribute.r#type = value::Type::Scalar.into();
        attribute.scalar = Some(value::Scalar { value });
    } else {
        attribute.r#type = value::Type::Text.into();
        attribute.text = Some(value::Text {
            value: text.to_owned(),
        });
    }
    attribute
}

/// Mesos's text of a duration: the largest unit that gives a whole number (`stout/duration.hpp`).
pub(super) fn duration_text(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let units: [(u128, &str); 8] = [
        (7 * 24 * 3_600 * 1_000_000_000, "weeks"),
        (24 * 3_600 * 1_000_000_000, "days"),
        (3_600 * 1_000_000_000, "hrs"),
        (60 * 1_000_000_000, "mins"),
        (1_000_000_000, "secs"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    if nanos == 0 {
        return "0ns".to_owned();
    }
    let whole = units.iter().find(|(size, _)| nanos.is_multiple_of(*size));
    whole.map_or_else(
        || format!("{nanos}ns"),
        |(size, unit)| format!("{}{unit}", nanos / size),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_scalars_ranges_sets_or_text() {
        let read = parse_attributes("rack:a;level:10;ports:[1-2];zones:{a,b}").unwrap();
        let types: Vec<i32> = read.iter().map(|attribute| attribute.r#type).collect();
        assert_eq!(types, [3, 0, 1, 2]);
        let error = parse_attributes("rack").unwrap_err();
        assert!(error.to_string().contains("'rack'"), "{error}");
    }

    #[test]
    fn durations_have_the_largest_whole_unit() {
        assert_eq!(duration_text(Duration::from_secs(5)), "5secs");
        assert_eq!(duration_text(Duration::from_secs(60)), "1mins");
        assert_eq!(duration_text(Duration::from_millis(1500)), "1500ms");
    }
}
