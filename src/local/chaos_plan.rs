//! Which fault comes when: a sequence that its seed alone decides.

use std::time::Duration;

use super::chaos::ChaosOptions;
use super::chaos_fault::ChaosFault;

/// The endless sequence; empty if there is no kind of fault to choose from.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    random: fastrand::Rng,
    options: &'a ChaosOptions,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Since the one before.
    pub(super) wait: Duration,
    pub(super) fault: ChaosFault,
    /// How long it lasts, if it does.
    pub(super) duration: Duration,
    /// Chooses whom it meets, and how far it goes.
    pub(super) number: u64,
}

impl<'a> Plan<'a> {
    pub(super) fn new(options: &'a ChaosOptions) -> Self {
        Self {
            random: fastrand::Rng::with_seed(options.seed),
            options,
        }
    }

    /// Between a tenth of `longest` and all of it.
    fn time(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(0.1 + 0.9 * self.random.f64())
    }
}

impl Iterator for Plan<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let fault = *self.random.choice(&self.options.faults)?;
        Some(Step {
            wait: self.time(self.options.interval),
            fault,
            duration: self.time(self.options.duration),
            number: self.random.u64(..),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(options: &ChaosOptions) -> Vec<Step> {
        Plan::new(options).take(100).collect()
    }

    #[test]
    fn the_seed_decides_everything() {
        let options = ChaosOptions::new(7);
        assert_eq!(steps(&options), steps(&options.clone()));
        assert_ne!(steps(&options), steps(&ChaosOptions::new(8)));
    }

    #[test]
    fn only_the_faults_asked_for_are_made_and_in_time() {
        let options = ChaosOptions::new(1)
            .faults(&[ChaosFault::Stall, ChaosFault::Rescind])
            .without(ChaosFault::Rescind)
            .interval(Duration::from_millis(50));
        for step in steps(&options) {
            assert_eq!(step.fault, ChaosFault::Stall);
            assert!(step.wait >= Duration::from_millis(5));
            assert!(step.wait <= Duration::from_millis(50));
        }
        assert!(steps(&ChaosOptions::new(1).faults(&[])).is_empty());
    }
}
