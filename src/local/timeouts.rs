//! How long master, agents and executors wait for each other before they draw conclusions.

use std::time::Duration;

use super::builder::LocalClusterBuilder;
use crate::error::{Error, ErrorKind, Result};

/// Longest `--executor_reregistration_timeout` (`src/slave/constants.hpp`).
const MAX_EXECUTOR_REREGISTRATION: Duration = Duration::from_secs(15);

/// Longest `--agent_ping_timeout` (`src/master/constants.hpp`).
const MAX_AGENT_PING: Duration = Duration::from_secs(15 * 60);

/// The settings of that kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub(super) agent_ping: Duration,
    pub(super) max_agent_pings: u32,
    pub(super) agent_reregister: Duration,
    /// From the start of a master until it leads.
    pub(super) master_recovery: Duration,
    /// Between two heartbeats to an executor.
    pub(super) executor_heartbeat: Duration,
    pub(super) executor_reregistration: Duration,
    pub(super) recovery: Duration,
}

impl Default for Timeouts {
    /// As Mesos has them: `src/master/constants.hpp`, `src/slave/constants.hpp`.
    fn default() -> Self {
        Self {
            agent_ping: Duration::from_secs(15),
            max_agent_pings: 5,
            agent_reregister: Duration::from_secs(10 * 60),
            // A real one takes as long as its disk does.
            master_recovery: Duration::ZERO,
            executor_heartbeat: Duration::from_secs(30 * 60),
            executor_reregistration: Duration::from_secs(2),
            recovery: Duration::from_secs(15 * 60),
        }
    }
}

impl Timeouts {
    /// Without a ping for so long, an agent takes the master for lost.
    pub(super) fn total_ping(&self) -> Duration {
        self.agent_ping.saturating_mul(self.max_agent_pings)
    }

    /// What Mesos's programs refuse to start with.
    pub(super) fn check(&self) -> Result<()> {
        let refusal = if self.executor_heartbeat.is_zero() {
            "executor_heartbeat_interval of a local cluster must not be zero"
        } else if self.agent_ping.is_zero() {
            "agent_ping_timeout of a local cluster must not be zero"
        } else if self.agent_ping > MAX_AGENT_PING {
            "agent_ping_timeout of a local cluster must not be longer than 15 minutes"
        } else if self.max_agent_pings == 0 {
            "max_agent_ping_timeouts of a local cluster must not be zero"
        } else if self.executor_reregistration > MAX_EXECUTOR_REREGISTRATION {
            "executor_reregistration_timeout of a local cluster must not be longer than 15 s"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Config, refusal))
    }
}

/// When somebody is given up.
impl LocalClusterBuilder {
    /// Sets the time between two pings of the master to an agent, in which it is to answer: default 15 s, at
    /// most 15 minutes.
    ///
    /// Source: `--agent_ping_timeout` of the master.
    pub fn agent_ping_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.agent_ping = timeout;
        self
    }

    /// Sets how many pings in a row an agent may leave unanswered before it is unreachable: default 5.
    ///
    /// Source: `--max_agent_ping_timeouts` of the master.
    pub fn max_agent_ping_timeouts(mut self, count: u32) -> Self {
        self.timeouts.max_agent_pings = count;
        self
    }

    /// Sets how long an agent may take to register again after a change of the master, or after its connection broke,
    /// before it is unreachable: default 10 minutes.
    ///
    /// Source: `--agent_reregister_timeout` of the master, which a real one does not let be shorter than 10 minutes.
    pub fn agent_reregister_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.agent_reregister = timeout;
        self
    }

    /// Sets how long a master that was started again takes until it leads: default zero.
    ///
    /// In the first half of this time it has no routes, and answers all with 404. In the second half it recovers: 503
    /// `Master has not finished recovery` for schedulers and operators, and no agent can register. A standby that is
    /// elected begins with the second half. At the start of the cluster there is no such time.
    ///
    /// A real master takes some tenths of a second, and more if it has to find others to read its registry with.
    ///
    /// Source: `Master::Http::scheduler` and `Master::Http::api`, `src/master/http.cpp`.
    pub fn master_recovery_time(mut self, time: Duration) -> Self {
        self.timeouts.master_recovery = time;
        self
    }

    /// Sets the time between two HEARTBEAT events to an executor: default 30 minutes, more than zero.
    ///
    /// Source: `DEFAULT_EXECUTOR_HEARTBEAT_INTERVAL`, `src/slave/constants.hpp`, which a real agent cannot change.
    pub fn executor_heartbeat_interval(mut self, interval: Duration) -> Self {
        self.timeouts.executor_heartbeat = interval;
        self
    }

    /// Sets how long an agent that was started again waits for its executors, before it kills those that have not
    /// subscribed: default 2 s, at most 15 s.
    ///
    /// Source: `--executor_reregistration_timeout` of the agent.
    pub fn executor_reregistration_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.executor_reregistration = timeout;
        self
    }

    /// Sets how long executors of checkpointing frameworks look for an agent that is away: default 15 minutes.
    ///
    /// Source: `--recovery_timeout` of the agent.
    pub fn recovery_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.recovery = timeout;
        self
    }
}
