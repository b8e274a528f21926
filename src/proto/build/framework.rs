//! Frameworks.

use std::time::Duration;

use crate::proto::FrameworkInfo;
use crate::proto::framework_info::{Capability, capability};

impl FrameworkInfo {
    /// A framework with those roles, and with what every new one should be capable of: MULTI_ROLE, RESERVATION_REFINEMENT
    /// and PARTITION_AWARE. The driver fills in who runs it, and where.
    ///
    /// `roles`: without any, there are no offers; `*` is that of everybody. To survive a broken connection, it needs a
    /// [`failover`](Self::failover).
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use mesos_framework::proto::FrameworkInfo;
    /// use mesos_framework::proto::framework_info::capability;
    ///
    /// let framework_info = FrameworkInfo::new("batch", ["batch"])
    ///     .failover(Duration::from_secs(7 * 24 * 60 * 60))
    ///     .capability(capability::Type::GpuResources);
    /// assert_eq!(framework_info.capabilities.len(), 4);
    /// ```
    ///
    /// Source: `FrameworkInfo`, mesos.proto; `docs/roles.md` and `docs/reservation.md` of Apache Mesos 1.11.0.
    pub fn new<T: Into<String>>(
        name: impl Into<String>,
        roles: impl IntoIterator<Item = T>,
    ) -> Self {
        let info = Self {
            name: name.into(),
            roles: roles.into_iter().map(Into::into).collect(),
            ..Self::default()
        };
        info.capability(capability::Type::MultiRole)
            .capability(capability::Type::ReservationRefinement)
            .capability(capability::Type::PartitionAware)
    }

    /// Adds a capability.
    #[must_use]
    pub fn capability(mut self, capability: capability::Type) -> Self {
        self.capabilities.push(Capability {
            r#type: Some(capability.into()),
        });
        self
    }

    /// Sets `failover_timeout`: for how long tasks live on without the framework's driver; Mesos's default is no time at
    /// all.
    #[must_use]
    pub fn failover(mut self, timeout: Duration) -> Self {
        self.failover_timeout = Some(timeout.as_secs_f64());
        self
    }

    /// Has agents keep what they know of the framework's tasks, so that these outlive restarts of the agents.
    #[must_use]
    pub fn checkpointing(mut self) -> Self {
        self.checkpoint = Some(true);
        self
    }
}
