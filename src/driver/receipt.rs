//! What became of a call.

use std::fmt;

use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind};

/// The end of a call.
#[derive(Clone, Debug)]
#[must_use]
#[non_exhaustive]
pub enum Outcome {
    /// The peer took the call: 202 (200 for UPDATE_FRAMEWORK).
    ///
    /// Mesos means by it that the call was well formed and came from the subscribed scheduler or executor, not that the
    /// thing was done: that is told by events.
    Accepted,
    /// The peer refused the call; it had no effect.
    #[non_exhaustive]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Mesos's words.
        message: String,
    },
    /// The call never left: it had no effect. The error says why.
    NotSent(Error),
    /// The call was sent and no answer came: it may have been carried out. The error says why.
    Unknown(Error),
}

impl Outcome {
    /// Whether the peer took the call.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted)
    }

    fn log(&self, call: &'static str) {
        match self {
            Self::Accepted => {}
            Self::Refused { status, message } => {
                tracing::warn!(call, status, answer = message, "call refused")
            }
            Self::NotSent(error) => tracing::warn!(call, %error, "call not sent"),
            Self::Unknown(error) => tracing::warn!(call, %error, "outcome of call unknown"),
        }
    }
}

/// Promise of the [`Outcome`] of a queued call.
///
/// Dropped without being asked, it logs every outcome but `Accepted` at `warn`.
#[derive(Debug)]
pub struct Receipt {
    call: &'static str,
    answer: oneshot::Receiver<Outcome>,
    asked: bool,
}

impl Receipt {
    /// Waits for the end of the call.
    ///
    /// It always comes: at the latest when the call's time-out has passed after it was sent, or when the driver ends.
    ///
    /// # Cancel safety
    /// Dropping the future drops the receipt; the call goes its way.
    pub async fn outcome(mut self) -> Outcome {
        let outcome = (&mut self.answer).await;
        self.asked = true;
        outcome
            .unwrap_or_else(|_| Outcome::Unknown(Error::new(ErrorKind::NotRunning, "driver ended")))
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if self.asked {
            return;
        }
        self.answer.close();
        if let Ok(outcome) = self.answer.try_recv() {
            outcome.log(self.call);
        }
    }
}

/// Is told the outcome of a call before its receipt is. Must not block.
pub(crate) type Watcher = Box<dyn FnOnce(&Outcome) + Send>;

/// The other end of a [`Receipt`]; without one, outcomes are logged.
pub(super) struct Promise {
    call: &'static str,
    answer: Option<oneshot::Sender<Outcome>>,
    watcher: Option<Watcher>,
}

impl fmt::Debug for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise")
            .field("call", &self.call)
            .finish_non_exhaustive()
    }
}

impl Promise {
    pub(super) fn with_receipt(call: &'static str) -> (Self, Receipt) {
        let (sender, answer) = oneshot::channel();
        (
            Self {
                call,
                answer: Some(sender),
                watcher: None,
            },
            Receipt {
                call,
                answer,
                asked: false,
            },
        )
    }

    pub(super) fn unasked(call: &'static str) -> Self {
        Self {
            call,
            answer: None,
            watcher: None,
        }
    }

    pub(super) fn watched(self, watcher: Option<Watcher>) -> Self {
        Self { watcher, ..self }
    }

    pub(super) fn call(&self) -> &'static str {
        self.call
    }

    pub(super) fn keep(self, outcome: Outcome) {
        tracing::debug!(
            call = self.call,
            accepted = outcome.is_accepted(),
            "call ended"
        );
        if let Some(watcher) = self.watcher {
            watcher(&outcome);
        }
        match self.answer {
            Some(answer) => {
                if let Err(outcome) = answer.send(outcome) {
                    outcome.log(self.call);
                }
            }
            None => outcome.log(self.call),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Traced;

    fn outcomes() -> [(Outcome, Option<&'static str>); 4] {
        let error = || Error::new(ErrorKind::Disconnected, "gone");
        let refused = Outcome::Refused {
            status: 400,
            message: "Framework cannot be found".into(),
        };
        [
            (Outcome::Accepted, None),
            (
                refused,
                Some(r#"call refused call="KILL" status=400 answer="Framework cannot be found""#),
            ),
            (
                Outcome::NotSent(error()),
                Some(r#"call not sent call="KILL" error=gone"#),
            ),
            (
                Outcome::Unknown(error()),
                Some(r#"outcome of call unknown call="KILL" error=gone"#),
            ),
        ]
    }

    fn assert_warned(traced: &Traced, expected: Option<&str>) {
        let warned = traced.lines("WARN");
        let expected = expected.map(|text| format!("WARN {text}"));
        assert_eq!(warned, Vec::from_iter(expected));
    }

    #[test]
    fn a_dropped_receipt_logs_all_but_accepted_at_warn() {
        for dropped_first in [true, false] {
            for (outcome, expected) in outcomes() {
                let traced = Traced::new();
                let (promise, receipt) = Promise::with_receipt("KILL");
                if dropped_first {
                    drop(receipt);
                    promise.keep(outcome);
                } else {
                    promise.keep(outcome);
                    drop(receipt);
                }
                assert_warned(&traced, expected);
            }
        }
    }

    #[test]
    fn calls_of_the_librarys_own_are_logged_likewise() {
        for (outcome, expected) in outcomes() {
            let traced = Traced::new();
            Promise::unasked("KILL").keep(outcome);
            assert_warned(&traced, expected);
        }
    }

    #[tokio::test]
    async fn a_receipt_that_is_asked_logs_nothing() {
        for (outcome, _) in outcomes() {
            let traced = Traced::new();
            let (promise, receipt) = Promise::with_receipt("KILL");
            promise.keep(outcome);
            let _ = receipt.outcome().await;
            assert_warned(&traced, None);
        }
    }
}
