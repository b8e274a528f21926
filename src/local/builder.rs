//! [`LocalClusterBuilder`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::acls::Acls;
use super::agent::Factories;
use super::cluster::LocalCluster;
use super::config::{Config, DEFAULT_STREAM_LIMIT, MAX_OPERATOR_SUBSCRIBERS};
use super::settings::{AgentSettings, Domain};
use super::shares;
use super::timeouts::Timeouts;
use super::tokens::TokenKey;
use super::wire::Wire;
use crate::error::{Error, ErrorKind, Result};

/// What every agent offers unless told otherwise.
const DEFAULT_RESOURCES: &str = "cpus:4;mem:4096;disk:8192;ports:[31000-31999]";

/// Collects what a [`LocalCluster`] is started with; made by [`LocalCluster::builder`].
///
/// Nothing is checked and nothing happens before [`start`](Self::start).
#[derive(Clone, Debug)]
#[must_use]
pub struct LocalClusterBuilder {
    pub(super) masters: usize,
    pub(super) domain: Option<Domain>,
    pub(super) election_timeout: Duration,
    pub(super) registration_backoff: Duration,
    pub(super) agents: Option<usize>,
    pub(super) own_agents: Vec<AgentSettings>,
    pub(super) resources: String,
    pub(super) attributes: String,
    pub(super) allocation_interval: Duration,
    pub(super) heartbeat_interval: Duration,
    pub(super) offer_timeout: Option<Duration>,
    pub(super) port: u16,
    work_directory: Option<PathBuf>,
    pub(super) credentials: BTreeMap<String, String>,
    pub(super) authenticates_operators: bool,
    pub(super) acls: Acls,
    roles: Vec<String>,
    pub(super) weights: BTreeMap<String, f64>,
    pub(super) quotas: BTreeMap<String, (String, String)>,
    pub(super) executor_registration_timeout: Duration,
    pub(super) executor_shutdown_grace_period: Duration,
    pub(super) update_retry_interval: Duration,
    pub(super) timeouts: Timeouts,
    pub(super) executor_environment: BTreeMap<String, String>,
    pub(super) factories: Factories,
    pub(super) executor_domain_sockets: bool,
    pub(super) token_key: Option<TokenKey>,
    pub(super) stream_limit: usize,
    pub(super) max_operator_subscribers: usize,
}

impl LocalClusterBuilder {
    pub(super) fn new() -> Self {
        Self {
            masters: 1,
            domain: None,
            election_timeout: Duration::from_secs(10),
            registration_backoff: Duration::ZERO,
            agents: None,
            own_agents: Vec::new(),
            resources: DEFAULT_RESOURCES.to_owned(),
            attributes: String::new(),
            allocation_interval: Duration::from_secs(1),
            heartbeat_interval: Duration::from_secs(15),
            offer_timeout: None,
            port: 0,
            work_directory: None,
            credentials: BTreeMap::new(),
            authenticates_operators: false,
            acls: Acls::new(),
            roles: Vec::new(),
            weights: BTreeMap::new(),
            quotas: BTreeMap::new(),
            executor_registration_timeout: Duration::from_secs(60),
            executor_shutdown_grace_period: Duration::from_secs(5),
            update_retry_interval: Duration::from_secs(10),
            timeouts: Timeouts::default(),
            executor_environment: BTreeMap::new(),
            factories: Factories::default(),
            executor_domain_sockets: false,
            token_key: None,
            stream_limit: DEFAULT_STREAM_LIMIT,
            max_operator_subscribers: MAX_OPERATOR_SUBSCRIBERS,
        }
    }

    /// Sets how many masters there are: default 1. One leads, the others are standbys; at the start the first leads.
    pub fn masters(mut self, count: usize) -> Self {
        self.masters = count;
        self
    }

    /// Sets where the masters stand: all in one region, and here in one zone. Default nowhere.
    ///
    /// Source: `--domain` of the master.
    pub fn domain(mut self, domain: Domain) -> Self {
        self.domain = Some(domain);
        self
    }

    /// Sets after how long standbys notice that the leading master has died, and one of them leads: default 10 s.
    ///
    /// Source: `--zk_session_timeout` of the master.
    pub fn election_timeout(mut self, timeout: Duration) -> Self {
        self.election_timeout = timeout;
        self
    }

    /// Sets the longest time until an agent registers with a newly elected master: each waits a random part of it.
    /// Default zero: at once. At the start of the cluster, and of a master that nobody precedes, there is no wait.
    ///
    /// Source: `--registration_backoff_factor` of the agent, which is 1 s by default.
    pub fn registration_backoff(mut self, longest: Duration) -> Self {
        self.registration_backoff = longest;
        self
    }

    /// Sets how many agents there are that are all alike: default 1, or 0 if there is one of its [own
    /// settings](Self::agent). 0 in all gives a master that never offers anything.
    pub fn agents(mut self, count: usize) -> Self {
        self.agents = Some(count);
        self
    }

    /// Adds an agent with settings of its own. Such agents come behind those that are all alike, in the order in which
    /// they were added.
    pub fn agent(mut self, settings: AgentSettings) -> Self {
        self.own_agents.push(settings);
        self
    }

    /// Sets what each agent offers, in the form of [`Resources::parse`](crate::resources::Resources::parse).
    ///
    /// Default `cpus:4;mem:4096;disk:8192;ports:[31000-31999]`. Whether the machine has it is not looked at.
    ///
    /// Source: `--resources` of the agent.
    pub fn resources(mut self, resources: &str) -> Self {
        resources.clone_into(&mut self.resources);
        self
    }

    /// Sets each agent's attributes: pieces `name:value` between `;` (`rack:a;level:2`). Default none.
    ///
    /// Source: `--attributes` of the agent.
    pub fn attributes(mut self, attributes: &str) -> Self {
        attributes.clone_into(&mut self.attributes);
        self
    }

    /// Sets how often free resources are offered: default 1 s. It is also the shortest filter of a declined offer.
    ///
    /// Source: `--allocation_interval` of the master.
    pub fn allocation_interval(mut self, interval: Duration) -> Self {
        self.allocation_interval = interval;
        self
    }

    /// Sets the time between two HEARTBEAT events to a scheduler: default 15 s.
    ///
    /// Source: `DEFAULT_HEARTBEAT_INTERVAL`, `src/master/constants.hpp`, which a real master cannot change.
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.heartbeat_interval = interval;
        self
    }

    /// Sets after how long an offer that nobody used is rescinded. Default: never.
    ///
    /// Source: `--offer_timeout` of the master.
    pub fn offer_timeout(mut self, timeout: Duration) -> Self {
        self.offer_timeout = Some(timeout);
        self
    }

    /// Sets the first master's port on 127.0.0.1; further masters have the ports behind it. Default: any free ones.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets where sandboxes are made. The directory is created if needed, and kept at the end. Default: a temporary
    /// directory, which is removed at the end.
    ///
    /// A cluster that is started on the directory of one before recovers its registry and its agents: they have their ids,
    /// and their ports unless somebody else has taken them. Executors end with their cluster, and tasks of frameworks that
    /// checkpoint have then failed; of others, asked for such a task, the master says that it is gone. Only if this process
    /// is killed, executors live on, and go on under the next cluster if their frameworks checkpoint. Agents must have the
    /// resources, attributes, hostnames and domains that they had.
    pub fn work_directory(mut self, directory: PathBuf) -> Self {
        self.work_directory = Some(directory);
        self
    }

    /// Adds a principal and its secret. Once there is one, every scheduler must authenticate (HTTP basic). Default none.
    ///
    /// Source: `--authenticate_http_frameworks` and `--credentials` of the master.
    pub fn credential(mut self, principal: &str, secret: &str) -> Self {
        self.credentials
            .insert(principal.to_owned(), secret.to_owned());
        self
    }

    /// Sets the only roles that frameworks may subscribe to, beside `*`. Default, and if empty: all.
    ///
    /// Source: `--roles` of the master.
    pub fn roles(mut self, roles: &[&str]) -> Self {
        self.roles = roles.iter().map(|role| (*role).to_owned()).collect();
        self
    }

    /// Sets how long an executor may take from its start to its first SUBSCRIBE: default 60 s.
    ///
    /// Source: `--executor_registration_timeout` of the agent.
    pub fn executor_registration_timeout(mut self, timeout: Duration) -> Self {
        self.executor_registration_timeout = timeout;
        self
    }

    /// Sets how long an executor has from SHUTDOWN until it is killed, unless its `ExecutorInfo` says otherwise: default
    /// 5 s.
    ///
    /// Source: `--executor_shutdown_grace_period` of the agent.
    pub fn executor_shutdown_grace_period(mut self, period: Duration) -> Self {
        self.executor_shutdown_grace_period = period;
        self
    }

    /// Sets when an unacknowledged status update is delivered again first: default 10 s; then the time doubles, up to 10
    /// minutes.
    ///
    /// Source: `STATUS_UPDATE_RETRY_INTERVAL_MIN`, `src/slave/constants.hpp`, which a real agent cannot change.
    pub fn update_retry_interval(mut self, interval: Duration) -> Self {
        self.update_retry_interval = interval;
        self
    }

    /// Adds an environment variable for every executor. Executors inherit nothing from this process.
    ///
    /// Source: `--executor_environment_variables` of the agent.
    pub fn executor_environment(mut self, name: &str, value: &str) -> Self {
        self.executor_environment
            .insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets how many bytes may wait for the reader of an event stream, of a scheduler's, an executor's or an operator's:
    /// default 64 MiB. A stream that would have more is cut.
    ///
    /// A record that nothing waits before passes whatever its size. What the reader's socket holds is not counted.
    ///
    /// A departure from Mesos, which buffers without bound (MESOS-7748).
    pub fn stream_limit(mut self, bytes: usize) -> Self {
        self.stream_limit = bytes;
        self
    }

    /// Sets how many streams of events the operator API has at most: default 1000. One more closes the oldest.
    ///
    /// Source: `--max_operator_event_stream_subscribers` of the master.
    pub fn max_operator_subscribers(mut self, count: usize) -> Self {
        self.max_operator_subscribers = count;
        self
    }

    /// Starts the cluster: when this returns, the master takes subscriptions and all agents are registered. On the work
    /// directory of an earlier cluster that had tasks, agents wait for their executors first, as long as
    /// [`executor_reregistration_timeout`](Self::executor_reregistration_timeout) says.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming it, if a setting cannot work: resources, attributes, a weight or a quota that cannot be
    /// read, acls that name what cannot be told apart, an interval of zero, no master, an agent with a domain without the masters having one, a port that is taken, a work directory
    /// that cannot be made, is in use, or holds damaged files or agents of other resources (the text says which file, and
    /// what is wrong). Likewise outside a tokio runtime.
    /// # Cancel safety
    /// Dropped before it completes, no cluster is left.
    pub async fn start(self) -> Result<LocalCluster> {
        self.check()?;
        self.timeouts.check()?;
        if tokio::runtime::Handle::try_current().is_err() {
            let context = "a local cluster needs a tokio runtime";
            return Err(Error::new(ErrorKind::Config, context));
        }
        let is_temporary = self.work_directory.is_none();
        let config = self.checked()?;
        LocalCluster::start(config, is_temporary).await
    }

    pub(super) fn checked(self) -> Result<Config> {
        let temporary = || {
            let name = format!("mesos-framework-{}", uuid::Uuid::new_v4());
            std::env::temp_dir().join(name)
        };
        let agents = self.agent_configs(self.domain.is_some())?;
        let added_agent = self.agent_config(agents.len(), &AgentSettings::new())?;
        let roles = self.roles.into_iter().chain(["*".to_owned()]);
        let roles: std::collections::BTreeSet<String> = roles.collect();
        Ok(Config {
            agents,
            added_agent,
            masters: self.masters,
            domain: self.domain.as_ref().map(Domain::info),
            election_timeout: self.election_timeout,
            registration_backoff: self.registration_backoff,
            allocation_interval: self.allocation_interval,
            heartbeat_interval: self.heartbeat_interval,
            offer_timeout: self.offer_timeout,
            port: self.port,
            work_directory: absolute(&self.work_directory.unwrap_or_else(temporary))?,
            credentials: self.credentials,
            authenticates_operators: self.authenticates_operators,
            acls: self.acls,
            // Only `*` left means that none was given.
            roles: (roles.len() > 1).then_some(roles),
            weights: shares::checked_weights(self.weights)?,
            quotas: shares::checked_quotas(&self.quotas)?,
            executor_registration_timeout: self.executor_registration_timeout,
            executor_shutdown_grace_period: self.executor_shutdown_grace_period,
            update_retry_interval: self.update_retry_interval,
            timeouts: self.timeouts,
            executor_environment: self.executor_environment,
            factories: self.factories,
            executor_domain_sockets: self.executor_domain_sockets,
            token_key: self.token_key,
            max_operator_subscribers: self.max_operator_subscribers,
            wire: Arc::new(Wire::new(self.stream_limit)),
        })
    }
}

/// Sandboxes are told to executors by paths that mean the same wherever they run.
fn absolute(directory: &Path) -> Result<PathBuf> {
    std::path::absolute(directory).map_err(|error| {
        let context = format!("work directory {} of a local cluster", directory.display());
        Error::caused_by(ErrorKind::Config, context, error)
    })
}
