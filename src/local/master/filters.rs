//! Refusals: what was declined is not offered again for a while.
//!
//! Source: `src/master/allocator/mesos/hierarchical.cpp` of Apache Mesos 1.11.0.

use std::time::Duration;

use tokio::time::Instant;

use super::framework::Framework;
use crate::local::config::{DEFAULT_REFUSE, MAX_REFUSE};
use crate::proto::{AgentId, Filters};
use crate::resources::Resources;

/// What a 64-bit number of nanoseconds holds: longer is not a duration for Mesos (`stout/duration.hpp`).
const LONGEST_SECONDS: f64 = 9_223_372_036.0;

/// Holds back offers that have nothing beyond `resources`.
#[derive(Debug)]
pub(super) struct Filter {
    /// Without marks of allocation.
    resources: Resources,
    until: Instant,
}

/// How long `filters` holds offers back; `None`: not at all.
pub(super) fn refusal(
    filters: Option<&Filters>,
    allocation_interval: Duration,
) -> Option<Duration> {
    let seconds = filters.map_or_else(
        || Filters::default().refuse_seconds(),
        Filters::refuse_seconds,
    );
    if seconds == 0.0 {
        return None;
    }
    let period = if (0.0..=LONGEST_SECONDS).contains(&seconds) {
        Duration::try_from_secs_f64(seconds).unwrap_or(DEFAULT_REFUSE)
    } else {
        DEFAULT_REFUSE
    };
    // Shorter than the interval, the next allocation would not see it.
    Some(period.min(MAX_REFUSE).max(allocation_interval))
}

impl Framework {
    pub(super) fn refuse(
        &mut self,
        agent_id: &AgentId,
        role: &str,
        resources: &Resources,
        until: Instant,
    ) {
        let key = (agent_id.clone(), role.to_owned());
        self.filters.entry(key).or_default().push(Filter {
            resources: resources.unallocated(),
            until,
        });
    }

    /// Whether an offer of `resources` is held back now.
    pub(super) fn is_filtered(
        &mut self,
        agent_id: &AgentId,
        role: &str,
        resources: &Resources,
        now: Instant,
    ) -> bool {
        let key = (agent_id.clone(), role.to_owned());
        let Some(filters) = self.filters.get_mut(&key) else {
            return false;
        };
        filters.retain(|filter| now < filter.until);
        filters
            .iter()
            .any(|filter| filter.resources.contains(resources))
    }

    pub(super) fn remove_filters_of(&mut self, role: &str) {
        self.filters.retain(|(_, filtered), _| filtered != role);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_brought_into_their_limits() {
        let interval = Duration::from_secs(1);
        let of = |seconds| {
            let filters = Filters {
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
