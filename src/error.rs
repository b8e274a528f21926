//! The one error type of the crate.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Arc<dyn StdError + Send + Sync + 'static>;

/// What went wrong: a kind to act on, and a text that names who, what and how much.
///
/// `Display` prints the whole chain of causes on one line; [`source`](StdError::source) walks it. One pointer wide and
/// cheap to clone, for one error may travel through a callback, a receipt and `join`.
#[derive(Clone)]
pub struct Error {
    inner: Arc<Inner>,
}

struct Inner {
    kind: ErrorKind,
    context: String,
    source: Option<Source>,
}

/// The kinds of [`Error`] that a caller would treat differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration cannot work: a master string, an environment variable, a call that must not be sent.
    Config,
    /// There are not enough resources at hand: more, or other ones, are needed.
    Insufficient,
    /// No connection could be made.
    Connect,
    /// Something took longer than its limit.
    Timeout,
    /// The peer sent what the protocol does not allow: broken framing, undecodable records, a wrong content type.
    Protocol,
    /// The peer is there but cannot serve now: 404, 500, 503, or a redirect that leads nowhere.
    Unavailable,
    /// The peer refused the credentials: 401, or 403 on SUBSCRIBE.
    Unauthorized,
    /// The peer refused the request as such: any other 4xx.
    Rejected,
    /// The peer ended the subscription with an ERROR event.
    ErrorEvent,
    /// The framework is no more. The master says so in an ERROR event, for its id is used up: it was torn down, or came back
    /// after its failover time-out. Or the master has subscribed a framework of another id than was asked for.
    FrameworkRemoved,
    /// The framework's id could not be loaded, stored or forgotten, or what was stored is no id.
    Store,
    /// There is no subscription now.
    Disconnected,
    /// An offer was to be used that is not live any more: see [`StaleOffer`](crate::toolkit::StaleOffer).
    StaleOffer,
    /// An operation came to another end than finished: see [`OperationFailure`](crate::toolkit::OperationFailure).
    OperationFailed,
    /// The driver is not running: not started, stopped or aborted.
    NotRunning,
    /// A callback of the scheduler or executor panicked, or a detector, credential provider or store of the user's.
    CallbackPanicked,
    /// An executor could not subscribe with its agent again within the recovery time-out.
    RecoveryTimeout,
}

impl Error {
    /// An error of that kind, for detectors and stores of one's own.
    ///
    /// `context`: who, what and how much; begins in lower case and ends without a full stop.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self::build(kind, context.into(), None)
    }

    /// The same, with its cause. `context` does not repeat it.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::{Error, ErrorKind};
    ///
    /// let cause = std::io::Error::other("disk full");
    /// let error = Error::caused_by(ErrorKind::Unavailable, "cannot keep the framework's id", cause);
    /// assert_eq!(error.to_string(), "cannot keep the framework's id: disk full");
    /// ```
    pub fn caused_by(
        kind: ErrorKind,
        context: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync + 'static>>,
    ) -> Self {
        Self::build(kind, context.into(), Some(Arc::from(source.into())))
    }

    /// Something of the user's panicked: `what`.
    pub(crate) fn panicked(what: &str, payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let context = format!("{what} panicked: {}", text.unwrap_or("no text"));
        Self::new(ErrorKind::CallbackPanicked, context)
    }

    fn build(kind: ErrorKind, context: String, source: Option<Source>) -> Self {
        let inner = Inner {
            kind,
            context,
            source,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The kind to act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// Whether the same thing may work later without anything being changed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.kind() {
            ErrorKind::Connect
            | ErrorKind::Timeout
            | ErrorKind::Protocol
            | ErrorKind::Unavailable
            | ErrorKind::Disconnected => true,
            ErrorKind::Config
            | ErrorKind::Insufficient
            | ErrorKind::Unauthorized
            | ErrorKind::Rejected
            | ErrorKind::ErrorEvent
            | ErrorKind::FrameworkRemoved
            | ErrorKind::Store
            | ErrorKind::StaleOffer
            | ErrorKind::OperationFailed
            | ErrorKind::NotRunning
            | ErrorKind::CallbackPanicked
            | ErrorKind::RecoveryTimeout => false,
        }
    }

    /// Whether the cause is that there is no subscription now ([`ErrorKind::Disconnected`]).
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.kind() == ErrorKind::Disconnected
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.context)?;
        let mut source = self.source();
        // A nested `Error` prints its own chain.
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = if cause.is::<Self>() {
                None
            } else {
                cause.source()
            };
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.inner.kind)
            .field("context", &self.inner.context)
            .field("source", &self.inner.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_prints_the_chain_once() {
        let io = std::io::Error::other("connection reset");
        let inner = Error::caused_by(ErrorKind::Connect, "cannot reach master 10.0.0.5:5050", io);
        let outer = Error::caused_by(ErrorKind::Disconnected, "subscription lost", inner);
        assert_eq!(
            outer.to_string(),
            "subscription lost: cannot reach master 10.0.0.5:5050: connection reset"
        );
        assert_eq!(outer.kind(), ErrorKind::Disconnected);
        assert!(outer.is_disconnected() && outer.is_retryable());
    }

    #[test]
    fn is_one_pointer_wide_and_shareable() {
        fn shareable<T: Clone + Send + Sync>() {}
        shareable::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
