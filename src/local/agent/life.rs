//! An agent's process: what it does in which phase, and how it ends.
//!
//! Source: `Slave::ping`, `Slave::pingTimeout`, `Slave::shutdown` and `Slave::finalize`, `src/slave/slave.cpp` of Apache
//! Mesos 1.11.0.

use std::sync::Arc;

use super::checkpoint::Checkpoint;
use super::state::{Agent, Timer};
use crate::local::messages::ToMaster;
use crate::proto::FrameworkId;

/// What an agent is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is no process.
    Dead,
    /// Started again; waits for its executors.
    Recovering,
    /// Looks for the master.
    Disconnected,
    /// Registered.
    Running,
    /// Told to end; waits for the end of its executors.
    Terminating,
}

impl Agent {
    pub(in crate::local) fn is_recovering(&self) -> bool {
        self.phase == Phase::Recovering
    }

    /// Whether everything is done that was to be done before its end.
    pub(in crate::local) fn is_finished(&self) -> bool {
        self.phase == Phase::Terminating && self.frameworks.is_empty()
    }

    /// Ends at once, with nothing left but what is on its disk.
    pub(in crate::local) fn end(&mut self) -> Checkpoint {
        let frameworks = self.frameworks.values();
        let executors = frameworks.flat_map(|framework| framework.executors.values());
        for stream in executors.filter_map(|executor| executor.stream.as_ref()) {
            stream.cut();
        }
        let checkpoint = self.checkpoint();
        let mut left = Self::new(Arc::clone(&self.config), self.index, self.address);
        left.info = self.info.clone();
        left.phase = Phase::Dead;
        *self = left;
        checkpoint
    }

    /// Answers the master, and learns from it that it has to register again if the master has lost the connection.
    pub(super) fn pinged(&mut self, is_connected: bool) {
        self.outbox.push(ToMaster::Pong);
        self.expect_ping();
        if !is_connected && self.phase == Phase::Running {
            tracing::info!(agent_id = ?self.id(), "disconnected for the master: registering again");
            self.register();
        }
    }

    /// From now on, the master is lost if it is not heard of for long.
    pub(super) fn expect_ping(&mut self) {
        self.pings += 1;
        let timer = Timer::PingTimeout(self.pings);
        self.timers.schedule(self.now + self.ping_timeout, timer);
    }

    pub(super) fn ping_timeout(&mut self, ping: u64) {
        if ping == self.pings {
            tracing::info!(agent_id = ?self.id(), "no pings of the master: registering again");
            self.register();
        }
    }

    /// Ends in order, by its own will: the master is told. False if it is dead.
    pub(in crate::local) fn unregister(&mut self) -> bool {
        if self.phase == Phase::Dead {
            return false;
        }
        if self.info.id.is_some() {
            self.outbox.push(ToMaster::Unregister);
        }
        self.shutdown();
        true
    }

    /// Ends in order: all executors are shut down first.
    pub(super) fn shutdown(&mut self) {
        self.phase = Phase::Terminating;
        let frameworks: Vec<FrameworkId> = self.frameworks.keys().cloned().collect();
        for framework_id in frameworks {
            self.shutdown_framework(&framework_id);
        }
    }
}
