//! One callback at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::lifecycle::{Ending, Lifecycle};
use super::protocol::Handler;
use super::queue::EventQueue;
use crate::at_hand::at_hand;
use crate::error::{Error, ErrorKind};

/// A callback that runs longer is warned of, each time this passes.
const SLOW_CALLBACK: Duration = Duration::from_secs(30);

/// Makes callbacks until the queue is closed; answers the handler.
pub(super) async fn run<H: Handler>(
    mut handler: H,
    events: Arc<EventQueue<H::Event>>,
    lifecycle: Arc<Lifecycle>,
    timeout: Option<Duration>,
) -> H {
    while let Some(item) = events.next().await {
        if !lifecycle.is_running() {
            break;
        }
        if let Err(error) = watched(handler.handle(item), timeout).await {
            lifecycle.fail(error);
            break;
        }
    }
    if let Some(Ending::Failed(error)) = lifecycle.ending() {
        handler.error(&error).await;
    }
    handler
}

async fn watched(
    callback: impl Future<Output = ()>,
    timeout: Option<Duration>,
) -> Result<(), Error> {
    tokio::pin!(callback);
    // Most callbacks never wait: without a time-out, no clock is read for them.
    let started = timeout.map(|_| Instant::now());
    if at_hand(callback.as_mut()).await.is_some() {
        return Ok(());
    }
    let started = started.unwrap_or_else(Instant::now);
    loop {
        let elapsed = started.elapsed();
        let wait = timeout.map_or(SLOW_CALLBACK, |timeout| {
            SLOW_CALLBACK.min(timeout.saturating_sub(elapsed))
        });
        if tokio::time::timeout(wait, &mut callback).await.is_ok() {
            return Ok(());
        }
        let elapsed = started.elapsed();
        if let Some(timeout) = timeout.filter(|timeout| elapsed >= *timeout) {
            return Err(Error::new(
                ErrorKind::Timeout,
                format!("a callback took longer than {timeout:?}"),
            ));
        }
        tracing::warn!(
            ?elapsed,
            "a callback is still running; events wait behind it"
        );
    }
}
