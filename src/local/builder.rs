//! [`LocalClusterBuilder`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::cluster::LocalCluster;
use super::config::{self, Config};
use crate::error::{Error, ErrorKind, Result};
use crate::resources::Resources;

/// What every agent offers unless told otherwise.
const DEFAULT_RESOURCES: &str = "cpus:4;mem:4096;disk:8192;ports:[31000-31999]";

/// Collects what a [`LocalCluster`] is started with; made by [`LocalCluster::builder`].
///
/// Nothing is checked and nothing happens before [`start`](Self::start).
#[derive(Clone, Debug)]
#[must_use]
pub struct LocalClusterBuilder {
    agents: usize,
    resources: String,
    attributes: String,
    allocation_interval: Duration,
    heartbeat_interval: Duration,
    offer_timeout: Option<Duration>,
    port: u16,
    work_directory: Option<PathBuf>,
    credentials: BTreeMap<String, String>,
    roles: Vec<String>,
    executor_registration_timeout: Duration,
    executor_shutdown_grace_period: Duration,
    update_retry_interval: Duration,
    executor_environment: BTreeMap<String, String>,
}

impl LocalClusterBuilder {
    pub(super) fn new() -> Self {
        Self {
            agents: 1,
            resources: DEFAULT_RESOURCES.to_owned(),
            attributes: String::new(),
            allocation_interval: Duration::from_secs(1),
            heartbeat_interval: Duration::from_secs(15),
            offer_timeout: None,
            port: 0,
            work_directory: None,
            credentials: BTreeMap::new(),
            roles: Vec::new(),
            executor_registration_timeout: Duration::from_secs(60),
            executor_shutdown_grace_period: Duration::from_secs(5),
            update_retry_interval: Duration::from_secs(10),
            executor_environment: BTreeMap::new(),
        }
    }

    /// Sets how many agents there are: default 1; 0 gives a master that never offers anything.
    pub fn agents(mut self, count: usize) -> Self {
        self.agents = count;
        self
    }

    /// Sets what each agent offers, in the form of [`Resources::parse`].
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

    /// Sets the master's port on 127.0.0.1. Default: any free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets where sandboxes are made. The directory is created if needed, and kept at the end. Default: a temporary
    /// directory, which is removed at the end.
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

    /// Starts the cluster: when this returns, the master takes subscriptions and all agents are registered.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if resources, attributes or an interval of zero cannot work, if the work directory cannot be
    /// made, a port is taken, or outside a tokio runtime.
    /// # Cancel safety
    /// Dropped before it completes, no cluster is left.
    pub async fn start(self) -> Result<LocalCluster> {
        let intervals = [
            ("allocation_interval", self.allocation_interval),
            ("heartbeat_interval", self.heartbeat_interval),
            ("update_retry_interval", self.update_retry_interval),
        ];
        if let Some((name, _)) = intervals.iter().find(|(_, interval)| interval.is_zero()) {
            let context = format!("{name} of a local cluster must not be zero");
            return Err(Error::new(ErrorKind::Config, context));
        }
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
        let roles = self.roles.into_iter().chain(["*".to_owned()]);
        let roles: std::collections::BTreeSet<String> = roles.collect();
        Ok(Config {
            agents: self.agents,
            resources: Resources::parse(&self.resources)?,
            attributes: config::parse_attributes(&self.attributes)?,
            allocation_interval: self.allocation_interval,
            heartbeat_interval: self.heartbeat_interval,
            offer_timeout: self.offer_timeout,
            port: self.port,
            work_directory: self.work_directory.unwrap_or_else(temporary),
            credentials: self.credentials,
            // Only `*` left means that none was given.
            roles: (roles.len() > 1).then_some(roles),
            executor_registration_timeout: self.executor_registration_timeout,
            executor_shutdown_grace_period: self.executor_shutdown_grace_period,
            update_retry_interval: self.update_retry_interval,
            executor_environment: self.executor_environment,
            wire: Arc::default(),
        })
    }
}
