//! The subscription, as its user sees it.

use std::time::Instant;

use tokio::sync::watch;

use crate::error::Error;

/// How it stands with the subscription: to whom since when, or why not and when next.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connection {
    /// Where it stands.
    pub state: ConnectionState,
    /// Why the last subscription, or attempt at one, ended, or why no leading master could be detected; `None` while nothing
    /// went wrong. Kept when a later one succeeds.
    pub last_error: Option<Error>,
    /// Attempts that failed since the last subscription stood.
    pub failed_attempts: u32,
}

/// Where the subscription stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// The driver has not started.
    Idle,
    /// Nobody is known to lead; the detector goes on looking.
    #[non_exhaustive]
    Detecting {
        /// Since when.
        since: Instant,
    },
    /// SUBSCRIBE is on its way, or is answered and SUBSCRIBED has not come yet.
    #[non_exhaustive]
    Connecting {
        /// To whom: `host:port`, an URL, or `unix:` and a path.
        address: String,
        /// Since when.
        since: Instant,
    },
    /// Subscribed.
    #[non_exhaustive]
    Subscribed {
        /// With whom.
        address: String,
        /// Since when.
        since: Instant,
        /// Number of this subscription among those of the driver, from 1.
        generation: u64,
    },
    /// Between two attempts.
    #[non_exhaustive]
    Waiting {
        /// When the next one begins.
        next_attempt: Instant,
    },
    /// The driver has ended.
    Closed,
}

impl Connection {
    /// Whether there is a subscription.
    #[must_use]
    pub fn is_subscribed(&self) -> bool {
        matches!(self.state, ConnectionState::Subscribed { .. })
    }

    pub(super) fn idle() -> Self {
        Self {
            state: ConnectionState::Idle,
            last_error: None,
            failed_attempts: 0,
        }
    }
}

/// Watches a [`Connection`] change. It misses nothing that lasts, but only the newest of several changes in between.
#[derive(Clone, Debug)]
pub struct ConnectionWatch {
    receiver: watch::Receiver<Connection>,
}

impl ConnectionWatch {
    pub(super) fn new(receiver: watch::Receiver<Connection>) -> Self {
        Self { receiver }
    }

    /// How it stands now.
    #[must_use]
    pub fn current(&self) -> Connection {
        self.receiver.borrow().clone()
    }

    /// Waits for the next change; once the driver has ended and told so, it answers at once.
    ///
    /// # Cancel safety
    /// Dropped before it completes, no change is missed.
    pub async fn changed(&mut self) -> Connection {
        // An error means that driver and handles are gone: the last state stands.
        let _ = self.receiver.changed().await;
        self.receiver.borrow_and_update().clone()
    }

    /// Waits until `is_reached` holds, which it may do at once.
    ///
    /// Answers the connection for which it holds; or the last one, if the driver has ended before.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn until(&mut self, mut is_reached: impl FnMut(&Connection) -> bool) -> Connection {
        let is_over = |now: &Connection| now.state == ConnectionState::Closed;
        let reached = self
            .receiver
            .wait_for(|now| is_reached(now) || is_over(now))
            .await;
        let reached = reached.ok().map(|now| now.clone());
        reached.unwrap_or_else(|| self.current())
    }
}
