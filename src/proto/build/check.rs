//! Checks and health checks.

use std::time::Duration;

use crate::proto::{CheckInfo, CommandInfo, HealthCheck, check_info, health_check};

impl HealthCheck {
    /// Healthy if `command` exits with 0.
    ///
    /// Source: `HealthCheck` of type COMMAND, mesos.proto; `docs/health-checks.md` of Apache Mesos 1.11.0.
    #[must_use]
    pub fn command(command: CommandInfo) -> Self {
        Self {
            command: Some(command),
            ..Self::of(health_check::Type::Command)
        }
    }

    /// Healthy if `GET path` at `port` of 127.0.0.1 is answered with 200 to 399. `path` begins with `/`.
    ///
    /// Source: `HealthCheck` of type HTTP, mesos.proto.
    pub fn http(port: u16, path: impl Into<String>) -> Self {
        Self {
            http: Some(health_check::HttpCheckInfo {
                port: port.into(),
                path: Some(path.into()),
                ..health_check::HttpCheckInfo::default()
            }),
            ..Self::of(health_check::Type::Http)
        }
    }

    /// Healthy if `port` of 127.0.0.1 takes a connection.
    ///
    /// Source: `HealthCheck` of type TCP, mesos.proto.
    #[must_use]
    pub fn tcp(port: u16) -> Self {
        Self {
            tcp: Some(health_check::TcpCheckInfo {
                port: port.into(),
                ..health_check::TcpCheckInfo::default()
            }),
            ..Self::of(health_check::Type::Tcp)
        }
    }

    fn of(kind: health_check::Type) -> Self {
        Self {
            r#type: Some(kind.into()),
            ..Self::default()
        }
    }

    /// Sets how long the first check waits; default 15 s.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay_seconds = Some(delay.as_secs_f64());
        self
    }

    /// Sets how long each further check waits; default 10 s.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval_seconds = Some(interval.as_secs_f64());
        self
    }

    /// Sets after what time a check has failed; default 20 s, and zero means never.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_seconds = Some(timeout.as_secs_f64());
        self
    }

    /// Sets for how long failures do not count; default 10 s.
    #[must_use]
    pub fn grace_period(mut self, grace_period: Duration) -> Self {
        self.grace_period_seconds = Some(grace_period.as_secs_f64());
        self
    }

    /// Sets after how many failures in a row the task is killed; default 3.
    #[must_use]
    pub fn kill_after(mut self, failures: u32) -> Self {
        self.consecutive_failures = Some(failures);
        self
    }
}

impl CheckInfo {
    /// Tells the exit code of `command`.
    ///
    /// Source: `CheckInfo` of type COMMAND, mesos.proto; `docs/health-checks.md` of Apache Mesos 1.11.0.
    #[must_use]
    pub fn command(command: CommandInfo) -> Self {
        Self {
            command: Some(check_info::Command { command }),
            ..Self::of(check_info::Type::Command)
        }
    }

    /// Tells the status of the answer to `GET path` at `port` of 127.0.0.1. `path` begins with `/`.
    ///
    /// Source: `CheckInfo` of type HTTP, mesos.proto.
    pub fn http(port: u16, path: impl Into<String>) -> Self {
        Self {
            http: Some(check_info::Http {
                port: port.into(),
                path: Some(path.into()),
            }),
            ..Self::of(check_info::Type::Http)
        }
    }

    /// Tells whether `port` of 127.0.0.1 takes a connection.
    ///
    /// Source: `CheckInfo` of type TCP, mesos.proto.
    #[must_use]
    pub fn tcp(port: u16) -> Self {
        Self {
            tcp: Some(check_info::Tcp { port: port.into() }),
            ..Self::of(check_info::Type::Tcp)
        }
    }

    fn of(kind: check_info::Type) -> Self {
        Self {
            r#type: Some(kind.into()),
            ..Self::default()
        }
    }

    /// Sets how long the first check waits; default 15 s.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay_seconds = Some(delay.as_secs_f64());
        self
    }

    /// Sets how long each further check waits; default 10 s.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval_seconds = Some(interval.as_secs_f64());
        self
    }

    /// Sets after what time a check has no result; default 20 s, and zero means never.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_seconds = Some(timeout.as_secs_f64());
        self
    }
}
