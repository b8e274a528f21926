//! What is to happen when: the only clock of the cluster's state.

use std::collections::BTreeMap;

use tokio::time::Instant;

/// Things due later. Nothing is taken back: whoever receives a due thing checks whether it still applies.
#[derive(Debug)]
pub(super) struct Timers<T> {
    /// The number keeps things of one instant in the order in which they were scheduled.
    due: BTreeMap<(Instant, u64), T>,
    next_number: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self {
            due: BTreeMap::new(),
            next_number: 0,
        }
    }
}

impl<T> Timers<T> {
    pub(super) fn schedule(&mut self, at: Instant, what: T) {
        self.due.insert((at, self.next_number), what);
        self.next_number += 1;
    }

    /// When the next thing is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// The first thing due by `now`.
    pub(super) fn pop(&mut self, now: Instant) -> Option<T> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn gives_what_is_due_in_order() {
        let now = Instant::now();
        let mut timers = Timers::default();
        timers.schedule(now + Duration::from_secs(2), "late");
        timers.schedule(now, "first");
        timers.schedule(now, "second");
        assert_eq!(timers.next(), Some(now));
        assert_eq!(timers.pop(now), Some("first"));
        assert_eq!(timers.pop(now), Some("second"));
        assert_eq!(timers.pop(now), None);
        assert_eq!(timers.pop(now + Duration::from_secs(2)), Some("late"));
    }
}
