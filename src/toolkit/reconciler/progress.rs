//! How far a reconciler is.

/// How far a [`Reconciler`](super::Reconciler) is with the round that runs, or that was the last.
///
/// Source: `docs/reconciliation.md`, Apache Mesos 1.11.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReconcilerProgress {
    /// Whether a round has come to its end under the subscription that stands.
    pub is_settled: bool,
    /// How many tasks the round has asked for.
    pub asked: usize,
    /// How many of these are not answered yet.
    pub unanswered: usize,
    /// How often it has asked for those that were not answered by then.
    pub attempts: u32,
    /// How many rounds have come to their end, since the reconciler was made.
    pub rounds: u64,
}
