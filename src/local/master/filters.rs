//! Refusals: what was declined is not offered again for a while.
//!
//! Source: `src/master/allocator/mesos/hierarchical.cpp` of Apache Mesos 1.11.0.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::allocator::Desk;
use crate::local::config::{DEFAULT_REFUSE, MAX_REFUSE};
use crate::proto::{self, AgentId};

/// What a 64-bit number of nanoseconds holds: longer is not a duration for Mesos (`stout/duration.hpp`).
const LONGEST_SECONDS: f64 = 9_223_372_036.0;

/// What a framework does not want to be offered.
#[derive(Debug, Default)]
pub(super) struct Filters {
    /// By role: under which number agents keep what was refused of them. Without it, all of that counts no more.
    desks: BTreeMap<String, Desk>,
    /// Until when no inverse offer for an agent is wanted.
    inverse: HashMap<AgentId, Instant>,
}

impl Filters {
    /// The desk of `role`, or `new` as the first one.
    pub(super) fn desk_or(&mut self, role: &str, new: impl FnOnce() -> Desk) -> Desk {
        match self.desks.get(role) {
            Some(desk) => *desk,
            None => *self.desks.entry(role.to_owned()).or_insert_with(new),
        }
    }

    pub(super) fn desk(&self, role: &str) -> Option<Desk> {
        self.desks.get(role).copied()
    }

    pub(super) fn desks(&self) -> impl Iterator<Item = Desk> {
        self.desks.values().copied()
    }

    pub(super) fn refuse_inverse(&mut self, agent_id: &AgentId, until: Instant) {
        let known = self.inverse.entry(agent_id.clone()).or_insert(until);
        *known = until.max(*known);
    }

    pub(super) fn refuses_inverse(&self, agent_id: &AgentId, now: Instant) -> bool {
        self.inverse.get(agent_id).is_some_and(|until| now < *until)
    }

    pub(super) fn revive(&mut self, roles: &BTreeSet<String>) {
        self.inverse.clear();
        self.desks.retain(|role, _| !roles.contains(role));
    }

    /// Forgets what was refused under other roles.
    pub(super) fn keep_roles(&mut self, roles: &BTreeSet<String>) {
        self.desks.retain(|role, _| roles.contains(role));
    }

    pub(super) fn forget_inverse(&mut self, agent_id: &AgentId) {
        self.inverse.remove(agent_id);
    }
}

/// How long `filters` holds offers back; `None`: not at all.
pub(super) fn refusal(
    filters: Option<&proto::Filters>,
    allocation_interval: Duration,
) -> Option<Duration> {
    // Shorter than the interval, the next allocation would not see it.
    inverse_refusal(filters).map(|period| period.max(allocation_interval))
}

/// How long `filters` holds inverse offers back; `None`: not at all.
pub(super) fn inverse_refusal(filters: Option<&proto::Filters>) -> Option<Duration> {
    let seconds = filters.map_or_else(
        || proto::Filters::default().refuse_seconds(),
        proto::Filters::refuse_seconds,
    );
    if seconds == 0.0 {
        return None;
    }
    let period = if (0.0..=LONGEST_SECONDS).contains(&seconds) {
        Duration::try_from_secs_f64(seconds).unwrap_or(DEFAULT_REFUSE)
    } else {
        DEFAULT_REFUSE
    };
    Some(period.min(MAX_REFUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_brought_into_their_limits() {
        let interval = Duration::from_secs(1);
        let of = |seconds| {
            let filters = proto::Filters {
                refuse_seconds: Some(seconds),
            };
            refusal(Some(&filters), interval)
        };
        assert_eq!(refusal(None, interval), Some(DEFAULT_REFUSE));
        assert_eq!(of(0.0), None);
        assert_eq!(of(0.1), Some(interval));
        assert_eq!(of(-1.0), Some(DEFAULT_REFUSE));
        assert_eq!(of(f64::NAN), Some(DEFAULT_REFUSE));
        assert_eq!(of(1e9), Some(MAX_REFUSE));
        assert_eq!(of(1e30), Some(DEFAULT_REFUSE));
        assert_eq!(of(60.0), Some(Duration::from_secs(60)));
    }
}
