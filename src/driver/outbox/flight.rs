//! The calls in flight: as many as the transport takes, answered in the order in which they left.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use tokio::time::Instant;

use super::state::Entry;
use super::{Answer, Outbox};
use crate::driver::protocol::Protocol;
use crate::driver::receipt::Outcome;
use crate::error::{Error, ErrorKind};
use crate::http::{Posting, Transport};

/// How long calls in flight may still be answered after their subscription is lost; then their outcome is unknown. The
/// next subscription waits for it, so that what never reached the peer is told before.
const GRACE_AFTER_LOSS: Duration = Duration::from_secs(1);

/// Calls in flight; dropped, they end as unknown.
struct Flight<P: Protocol> {
    outbox: Arc<Outbox<P>>,
    transport: Arc<dyn Transport>,
    /// Oldest first, as `answers`.
    sent: VecDeque<(Entry<P::Call>, u64)>,
    answers: FuturesOrdered<Posting>,
}

/// Sends what is queued, until the outbox is closed and empty.
pub(in crate::driver) async fn run<P: Protocol>(
    outbox: Arc<Outbox<P>>,
    transport: Arc<dyn Transport>,
) {
    let mut flight = Flight {
        outbox,
        transport,
        sent: VecDeque::new(),
        answers: FuturesOrdered::new(),
    };
    loop {
        // A call may end without being sent, so this comes before the question whether anything is left.
        flight.launch();
        if flight.is_done() {
            return;
        }
        let abandon_at = flight.abandon_at();
        let paused_until = flight.outbox.lock().paused_until;
        tokio::select! {
            biased;
            Some(answer) = flight.answers.next(), if !flight.sent.is_empty() => flight.landed(answer),
            () = flight.outbox.wake.notified() => {}
            () = until(abandon_at) => flight.abandon("subscription lost while the call was in flight"),
            () = until(paused_until) => {}
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

impl<P: Protocol> Flight<P> {
    fn is_done(&self) -> bool {
        let state = self.outbox.lock();
        state.closing && state.queue.is_empty() && self.sent.is_empty()
    }

    fn launch(&mut self) {
        while self.sent.len() < self.transport.window() {
            let Some((entry, session, request)) = self.outbox.take() else {
                return;
            };
            self.answers
                .push_back(self.transport.post(&session.at, request));
            self.sent.push_back((entry, session.generation));
        }
    }

    fn abandon_at(&self) -> Option<Instant> {
        let state = self.outbox.lock();
        match self.sent.is_empty() || state.session.is_some() {
            true => None,
            false => state.lost_at.map(|lost_at| lost_at + GRACE_AFTER_LOSS),
        }
    }

    fn landed(&mut self, answer: Answer) {
        if let Some((entry, generation)) = self.sent.pop_front() {
            self.outbox.settle(entry, generation, answer);
        }
    }

    fn abandon(&mut self, why: &str) {
        self.answers = FuturesOrdered::new();
        for (entry, _) in self.sent.drain(..) {
            let error = Error::new(ErrorKind::Disconnected, why);
            self.outbox.ended(entry, Outcome::Unknown(error));
        }
    }
}

impl<P: Protocol> Drop for Flight<P> {
    fn drop(&mut self) {
        self.abandon("driver ended while the call was in flight");
    }
}
