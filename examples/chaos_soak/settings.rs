//! The time-outs that a soak runs with, and the bounds that follow from them.

use std::time::Duration;

use mesos_framework::{Backoff, ContentType, SchedulerDriverBuilder};

/// What breaks several times a second is not worth a longer wait.
const LONGEST_WAIT: Duration = Duration::from_millis(200);

/// Of executors on a real cluster.
pub const EXECUTORS_CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// What a busy machine may add to a bound.
const SLACK: Duration = Duration::from_secs(2);

/// What a seed may take in memory at its peak, the embedded cluster included, in MB.
pub const PEAK_MB: f64 = 128.0;

/// By how much the memory at the end of a seed may exceed that at the end of the first ones, in MB.
pub const GROWTH_MB: f64 = 32.0;

/// Far shorter than the drivers' defaults, so that faults outlast them.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The master's.
    heartbeat_interval: Duration,
    missed_heartbeats: u32,
    pub call_timeout: Duration,
    event_stall_timeout: Duration,
    /// Of every so many status updates, one is handled for longer than the stall time-out.
    pub slow_one_of: u32,
    pub content_type: ContentType,
}

impl Settings {
    /// For an embedded cluster, whose heartbeats come as `heartbeat_interval` says.
    pub fn embedded(heartbeat_interval: Duration, content_type: ContentType) -> Self {
        Self {
            heartbeat_interval,
            missed_heartbeats: 5,
            call_timeout: Duration::from_secs(2),
            event_stall_timeout: Duration::from_secs(1),
            slow_one_of: 1500,
            content_type,
        }
    }

    /// For a real master, whose heartbeats come every 15 s (`DEFAULT_HEARTBEAT_INTERVAL` in `src/master/constants.hpp`).
    pub fn real(content_type: ContentType) -> Self {
        Self {
            heartbeat_interval: Duration::from_secs(15),
            missed_heartbeats: 2,
            call_timeout: Duration::from_secs(5),
            event_stall_timeout: Duration::from_secs(3),
            slow_one_of: 1500,
            content_type,
        }
    }

    pub fn apply(&self, builder: SchedulerDriverBuilder) -> SchedulerDriverBuilder {
        builder
            .backoff(Backoff::new(Duration::from_millis(20), LONGEST_WAIT))
            .call_timeout(self.call_timeout)
            .missed_heartbeats(self.missed_heartbeats)
            .event_stall_timeout(self.event_stall_timeout)
            .event_queue_capacity(8)
            .content_type(self.content_type)
    }

    /// How long a slow callback takes.
    pub fn slow(&self) -> Duration {
        self.event_stall_timeout * 2
    }

    pub fn bounds(&self) -> Bounds {
        Bounds {
            outage: 3 * (self.call_timeout + LONGEST_WAIT) + SLACK,
            silent_stream: self.heartbeat_interval * self.missed_heartbeats + self.slow() + SLACK,
            silent_calls: self.call_timeout + SLACK,
            executors_silent_calls: EXECUTORS_CALL_TIMEOUT + SLACK,
        }
    }
}

/// What must hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Without a subscription while the master can be subscribed with: three attempts in a row that meet a fault and are
    /// never answered.
    pub outage: Duration,
    /// From the moment that an event stream hangs until the driver leaves it: silence begins when all that came before is
    /// read, at most a slow callback later.
    pub silent_stream: Duration,
    /// From the moment that a connection with an unanswered call hangs until the driver leaves it.
    pub silent_calls: Duration,
    /// Likewise of executors on a real cluster.
    pub executors_silent_calls: Duration,
}
