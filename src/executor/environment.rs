//! `MESOS_*` variables → [`ExecutorConfig`].

use std::cell::Cell;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::address::Address;
use crate::error::{Error, ErrorKind, Result};
use crate::proto::{AgentId, ExecutorId, FrameworkId};

/// Defaults of the agent's flags (`src/slave/constants.hpp`, Apache Mesos 1.11.0).
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(15 * 60);
const SUBSCRIPTION_BACKOFF_MAX: Duration = Duration::from_secs(2);
const SHUTDOWN_GRACE_PERIOD: Duration = Duration::from_secs(5);

/// The longest duration that Mesos can hold; it can be added to any time of day.
const LONGEST: Duration = Duration::from_nanos(i64::MAX as u64);

/// The variable with the executor's secret.
const TOKEN: &str = "MESOS_EXECUTOR_AUTHENTICATION_TOKEN";

/// What an agent tells an executor through its environment.
///
/// Source: `executorEnvironment` in `src/slave/slave.cpp`, Apache Mesos 1.11.0.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutorConfig {
    pub(super) agent: Address,
    pub(super) agent_id: AgentId,
    pub(super) framework_id: FrameworkId,
    pub(super) executor_id: ExecutorId,
    pub(super) directory: PathBuf,
    pub(super) checkpoint: bool,
    pub(super) recovery_timeout: Duration,
    pub(super) subscription_backoff_max: Duration,
    pub(super) shutdown_grace_period: Duration,
    pub(super) token: Option<Token>,
}

/// A secret; its `Debug` form hides it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(pub(super) String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(hidden)")
    }
}

impl ExecutorConfig {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming the variable that is missing or wrong.
    pub fn from_environment() -> Result<Self> {
        Self::from_os_lookup(|name| std::env::var_os(name))
    }

    /// What is no text is not as if it was not there.
    fn from_os_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let no_text = Cell::new(None);
        let config = Self::from_lookup(|name| {
            let value = lookup(name)?.into_string();
            value.map_err(|_| no_text.set(Some(name.to_owned()))).ok()
        });
        match no_text.take() {
            Some(name) => Err(Error::new(
                ErrorKind::Config,
                format!("environment variable {name} is no Unicode text"),
            )),
            None => config,
        }
    }

    /// Reads variables through `lookup`, which answers the value of a name.
    ///
    /// Required: `MESOS_SLAVE_PID`, `MESOS_SLAVE_ID`, `MESOS_FRAMEWORK_ID`, `MESOS_EXECUTOR_ID`, `MESOS_DIRECTORY`.
    /// Heeded: `MESOS_CHECKPOINT` (default 0), `MESOS_RECOVERY_TIMEOUT` (15 mins), `MESOS_SUBSCRIPTION_BACKOFF_MAX`
    /// (2 secs), `MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD` (5 secs), `MESOS_EXECUTOR_AUTHENTICATION_TOKEN`,
    /// `MESOS_DOMAIN_SOCKET`, and `LIBPROCESS_SSL_ENABLED` for https.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming the variable that is missing or wrong.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let required = |name: &str| {
            lookup(name).filter(|value| !value.is_empty()).ok_or_else(|| {
                let context = format!("environment variable {name} is not set: executors are started by a Mesos agent");
                Error::new(ErrorKind::Config, context)
            })
        };
        let duration = |name: &str, default: Duration| match lookup(name) {
            Some(text) => parse_duration(&text)
                .ok_or_else(|| wrong(name, &text, "is not a duration such as 5secs")),
            None => Ok(default),
        };
        let secure = flag(
            "LIBPROCESS_SSL_ENABLED",
            lookup("LIBPROCESS_SSL_ENABLED").as_deref(),
        )?;
        let agent = agent_address(&required("MESOS_SLAVE_PID")?, secure)?;
        Ok(Self {
            agent: match lookup("MESOS_DOMAIN_SOCKET").filter(|path| !path.is_empty()) {
                Some(socket) => over_socket(agent, socket)?,
                None => agent,
            },
            agent_id: required("MESOS_SLAVE_ID")?.into(),
            framework_id: required("MESOS_FRAMEWORK_ID")?.into(),
            executor_id: required("MESOS_EXECUTOR_ID")?.into(),
            directory: required("MESOS_DIRECTORY")?.into(),
            checkpoint: flag("MESOS_CHECKPOINT", lookup("MESOS_CHECKPOINT").as_deref())?,
            recovery_timeout: duration("MESOS_RECOVERY_TIMEOUT", RECOVERY_TIMEOUT)?,
            subscription_backoff_max: duration(
                "MESOS_SUBSCRIPTION_BACKOFF_MAX",
                SUBSCRIPTION_BACKOFF_MAX,
            )?,
            shutdown_grace_period: duration(
                "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD",
                SHUTDOWN_GRACE_PERIOD,
            )?,
            token: lookup(TOKEN).filter(|token| !token.is_empty()).map(Token),
        })
    }

    /// The environment of this process as programs that it starts should see it: without
    /// `MESOS_EXECUTOR_AUTHENTICATION_TOKEN`, with which they could speak for the executor.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::ExecutorConfig;
    ///
    /// let mut command = std::process::Command::new("true");
    /// command.env_clear().envs(ExecutorConfig::inheritable_environment());
    /// # assert!(command.get_envs().all(|(name, _)| name != "MESOS_EXECUTOR_AUTHENTICATION_TOKEN"));
    /// ```
    ///
    /// Source: `src/executor/executor.cpp`, Apache Mesos 1.11.0, whose library takes the variable out of the process.
    pub fn inheritable_environment() -> impl Iterator<Item = (OsString, OsString)> {
        std::env::vars_os().filter(|(name, _)| name != TOKEN)
    }

    /// The agent's id.
    #[must_use]
    pub fn agent_id(&self) -> &AgentId {
        &self.agent_id
    }

    /// The framework's id.
    #[must_use]
    pub fn framework_id(&self) -> &FrameworkId {
        &self.framework_id
    }

    /// The executor's id.
    #[must_use]
    pub fn executor_id(&self) -> &ExecutorId {
        &self.executor_id
    }

    /// The sandbox, as a path on the agent's host.
    #[must_use]
    pub fn directory(&self) -> &std::path::Path {
        &self.directory
    }

    /// Whether the framework checkpoints: then the executor outlives a restart of its agent.
    #[must_use]
    pub fn is_checkpointing(&self) -> bool {
        self.checkpoint
    }

    /// How long a lost agent is waited for, with checkpointing.
    #[must_use]
    pub fn recovery_timeout(&self) -> Duration {
        self.recovery_timeout
    }

    /// How long `shutdown` may take.
    #[must_use]
    pub fn shutdown_grace_period(&self) -> Duration {
        self.shutdown_grace_period
    }
}

fn wrong(name: &str, text: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("environment variable {name}={text:?} {why}"),
    )
}

/// The address and the path prefix are both in the pid, `slave(1)@10.0.0.1:5051`: agents may share a port.
fn agent_address(pid: &str, secure: bool) -> Result<Address> {
    let refuse = |why: &str| wrong("MESOS_SLAVE_PID", pid, why);
    let Some((process, authority)) = pid
        .split_once('@')
        .filter(|(process, _)| !process.is_empty())
    else {
        return Err(refuse("is not of the form slave(1)@host:port"));
    };
    // A pid's authority is nothing but host and port.
    if authority.contains(['/', '@']) {
        return Err(refuse("is not of the form slave(1)@host:port"));
    }
    let because = |error| {
        let context = refuse("is wrong").to_string();
        Error::caused_by(ErrorKind::Config, context, error)
    };
    Address::parse(authority).map_err(because)?;
    let scheme = if secure { "https" } else { "http" };
    let agent = Address::parse(&format!("{scheme}://{authority}")).map_err(because)?;
    Ok(agent.with_prefix(&format!("/{process}")))
}

#[cfg(unix)]
fn over_socket(agent: Address, socket: String) -> Result<Address> {
    Ok(agent.over_socket(socket.into()))
}

#[cfg(not(unix))]
fn over_socket(_: Address, socket: String) -> Result<Address> {
    Err(wrong(
        "MESOS_DOMAIN_SOCKET",
        &socket,
        "cannot be used: domain sockets need Unix",
    ))
}

fn flag(name: &str, value: Option<&str>) -> Result<bool> {
    match value {
        None | Some("" | "0" | "false") => Ok(false),
        Some("1" | "true") => Ok(true),
        Some(other) => Err(wrong(name, other, "is not 0 or 1")),
    }
}

/// Mesos's text form: a number, maybe with a fraction, and a unit; at most what Mesos can hold, 2^63 nanoseconds
/// (`3rdparty/stout/include/stout/duration.hpp`).
fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let nanos = match unit {
        "ns" => 1.0,
        "us" => 1e3,
        "ms" => 1e6,
        "secs" => 1e9,
        "mins" => 60e9,
        "hrs" => 3600e9,
        "days" => 86_400e9,
        "weeks" => 604_800e9,
        _ => return None,
    };
    let seconds = number.trim().parse::<f64>().ok()? * nanos / 1e9;
    let duration = Duration::try_from_secs_f64(seconds).ok()?;
    (duration <= LONGEST).then_some(duration)
}

#[cfg(test)]
mod tests {
    mod hostile;

    use super::*;

    const REQUIRED: [(&str, &str); 5] = [
        ("MESOS_SLAVE_PID", "slave(1)@10.0.0.1:5051"),
        ("MESOS_SLAVE_ID", "agent-1"),
        ("MESOS_FRAMEWORK_ID", "framework-1"),
        ("MESOS_EXECUTOR_ID", "executor-1"),
        ("MESOS_DIRECTORY", "/sandbox"),
    ];

    fn config(more: &[(&str, &str)], without: &str) -> Result<ExecutorConfig> {
        ExecutorConfig::from_lookup(|name| {
            let found = more
                .iter()
                .chain(&REQUIRED)
                .find(|(known, _)| *known == name && *known != without);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn defaults_are_those_of_the_agent() {
        let config = config(&[], "").unwrap();
        assert_eq!(
            config.agent.url("/api/v1/executor").as_str(),
            "http://10.0.0.1:5051/slave(1)/api/v1/executor"
        );
        assert!(!config.is_checkpointing());
        assert_eq!(config.shutdown_grace_period(), Duration::from_secs(5));
        assert_eq!(config.recovery_timeout(), Duration::from_secs(900));
    }

    #[test]
    fn each_missing_variable_is_named() {
        for (name, _) in REQUIRED {
            let error = config(&[], name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert_eq!(
                error.to_string(),
                format!(
                    "environment variable {name} is not set: executors are started by a Mesos agent"
                )
            );
        }
    }

    #[test]
    fn everything_that_the_agent_may_set_is_heeded() {
        let config = config(
            &[
                ("MESOS_CHECKPOINT", "1"),
                ("MESOS_RECOVERY_TIMEOUT", "1.5mins"),
                ("MESOS_SUBSCRIPTION_BACKOFF_MAX", "500ms"),
                ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "3secs"),
                ("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", "abc"),
                ("LIBPROCESS_SSL_ENABLED", "true"),
            ],
            "",
        )
        .unwrap();
        assert!(config.is_checkpointing());
        assert_eq!(config.recovery_timeout(), Duration::from_secs(90));
        assert_eq!(config.subscription_backoff_max, Duration::from_millis(500));
        assert_eq!(config.shutdown_grace_period(), Duration::from_secs(3));
        assert_eq!(
            config.agent.url("/x").as_str(),
            "https://10.0.0.1:5051/slave(1)/x"
        );
        assert!(!format!("{config:?}").contains("abc"));
    }

    #[test]
    fn nonsense_is_refused_with_its_variable() {
        for (name, value, text) in [
            (
                "MESOS_SLAVE_PID",
                "10.0.0.1:5051",
                "is not of the form slave(1)@host:port",
            ),
            (
                "MESOS_SLAVE_PID",
                "slave(1)@10.0.0.1",
                "is wrong: address \"10.0.0.1\": expected host:port",
            ),
            ("MESOS_CHECKPOINT", "yes", "is not 0 or 1"),
            (
                "MESOS_RECOVERY_TIMEOUT",
                "15",
                "is not a duration such as 5secs",
            ),
            (
                "MESOS_RECOVERY_TIMEOUT",
                "-1secs",
                "is not a duration such as 5secs",
            ),
            // More than Mesos, or a clock, can hold.
            (
                "MESOS_RECOVERY_TIMEOUT",
                "15251weeks",
                "is not a duration such as 5secs",
            ),
            (
                "MESOS_SLAVE_PID",
                "slave(1)@http://10.0.0.1:5051",
                "is not of the form slave(1)@host:port",
            ),
            (
                "MESOS_SLAVE_PID",
                "slave(1)@master@10.0.0.1:5051",
                "is not of the form slave(1)@host:port",
            ),
        ] {
            let error = config(&[(name, value)], "").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert_eq!(
                error.to_string(),
                format!("environment variable {name}={value:?} {text}")
            );
        }
    }
}
