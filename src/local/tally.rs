//! Counts for metrics.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// How often things have happened. Nothing depends on counts, so that a shared reference is enough to count.
#[derive(Debug)]
pub(super) struct Tally<K>(RefCell<BTreeMap<K, u64>>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(RefCell::new(BTreeMap::new()))
    }
}

impl<K: Ord + Clone> Tally<K> {
    pub(super) fn note(&self, what: K) {
        *self.0.borrow_mut().entry(what).or_default() += 1;
    }

    pub(super) fn of(&self, what: &K) -> f64 {
        float(self.0.borrow().get(what).copied().unwrap_or_default())
    }

    /// Everything that has happened.
    pub(super) fn all(&self) -> Vec<(K, f64)> {
        let counts = self.0.borrow();
        let all = counts.iter();
        all.map(|(what, count)| (what.clone(), float(*count)))
            .collect()
    }

    pub(super) fn sum(&self) -> f64 {
        float(self.0.borrow().values().sum())
    }
}

#[expect(clippy::cast_precision_loss, reason = "Mesos states counts as doubles")]
fn float(count: u64) -> f64 {
    count as f64
}
