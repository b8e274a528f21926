//! What became of a call.

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
                tracing::warn!(call, status, message, "call refused")
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

/// The other end of a [`Receipt`]; without one, outcomes are logged.
#[derive(Debug)]
pub(super) struct Promise {
    call: &'static str,
    answer: Option<oneshot::Sender<Outcome>>,
}

impl Promise {
    pub(super) fn with_receipt(call: &'static str) -> (Self, Receipt) {
        let (sender, answer) = oneshot::channel();
        (
            Self {
                call,
                answer: Some(sender),
            },
            Receipt {
                call,
                answer,
                asked: false,
            },
        )
    }

    pub(super) fn unasked(call: &'static str) -> Self {
        Self { call, answer: None }
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
