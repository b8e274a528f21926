//! Numbers of a ledger.

use std::fmt;

/// What it counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub tasks: usize,
    pub finished: usize,
    /// Terminal states other than finished.
    pub otherwise: usize,
    /// Launches that the master refused, or of which it knows nothing after all faults.
    pub never_began: usize,
    pub updates: usize,
    /// Updates that came again, with the same uuid.
    pub repeated: usize,
    pub acknowledgements: usize,
    /// Tasks whose end only reconciliation told.
    pub reconciled: usize,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.tasks += other.tasks;
        self.finished += other.finished;
        self.otherwise += other.otherwise;
        self.never_began += other.never_began;
        self.updates += other.updates;
        self.repeated += other.repeated;
        self.acknowledgements += other.acknowledgements;
        self.reconciled += other.reconciled;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} tasks: {} finished, {} ended otherwise, {} never began, {} ends told by reconciliation alone; \
             {} updates, {} repeated, {} acknowledgements",
            self.tasks,
            self.finished,
            self.otherwise,
            self.never_began,
            self.reconciled,
            self.updates,
            self.repeated,
            self.acknowledgements,
        )
    }
}
