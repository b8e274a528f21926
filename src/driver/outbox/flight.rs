//! The calls in flight: as many as the transport takes, answered in the order in which they left.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::Outbox;
use super::state::Entry;
use crate::driver::protocol::Protocol;
use crate::error::{Error, ErrorKind};
use crate::http::{Answer, Calls, Target, Transport, Undelivered};

/// How long calls in flight may still be answered after their subscription is lost; then their outcome is unknown. The
/// next subscription waits for it, so that what never reached the peer is told before.
const GRACE_AFTER_LOSS: Duration = Duration::from_secs(1);

/// Most answers that are taken at a time before calls are sent again.
const BATCH: usize = 64;

/// Calls in flight; dropped, they end as unknown.
struct Flight<P: Protocol> {
    outbox: Arc<Outbox<P>>,
    calls: Box<dyn Calls>,
    /// Generation of the subscription under which calls are sent.
    aimed: Option<u64>,
    /// Oldest first.
    sent: VecDeque<(Entry<P::Call>, u64)>,
    /// Of the oldest calls, not looked at yet.
    answers: Vec<Answer>,
    /// The last call's bytes, kept for their memory.
    body: Vec<u8>,
}

/// Sends what is queued, until the outbox is closed and empty.
pub(in crate::driver) async fn run<P: Protocol>(
    outbox: Arc<Outbox<P>>,
    transport: Arc<dyn Transport>,
) {
    let mut flight = Flight {
        outbox,
        calls: transport.calls(),
        aimed: None,
        sent: VecDeque::new(),
        answers: Vec::new(),
        body: Vec::new(),
    };
    loop {
        // A call may end without being sent, so this comes before the question whether anything is left.
        flight.launch();
        let Some((abandon_at, paused_until)) = flight.deadlines() else {
            return;
        };
        let outbox = Arc::clone(&flight.outbox);
        tokio::select! {
            biased;
            () = poll_fn(|context| flight.poll_answers(context)) => flight.landed(),
            () = outbox.wake.notified() => {}
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
    fn launch(&mut self) {
        while self.calls.has_room() {
            let Some((entry, session)) = self.outbox.take(&mut self.body) else {
                return;
            };
            if self.aimed != Some(session.generation) {
                self.aimed = Some(session.generation);
                let target = Target {
                    path: P::PATH,
                    media_type: self.outbox.content_type.media_type(),
                    stream_id: session.stream_id.clone(),
                };
                self.calls.aim(&session.at, &target);
            }
            self.calls.send(&self.body);
            self.sent.push_back((entry, session.generation));
        }
    }

    /// When to give up what is in flight, and when to go on sending; none if everything is done.
    fn deadlines(&self) -> Option<(Option<Instant>, Option<Instant>)> {
        let mut state = self.outbox.lock();
        if state.closing && state.queue.is_empty() && self.sent.is_empty() {
            return None;
        }
        let abandon_at = match self.sent.is_empty() || state.session.is_some() {
            true => None,
            false => state.lost_at.map(|lost_at| lost_at + GRACE_AFTER_LOSS),
        };
        // A pause that is over must not be waited for again, whether or not anything can be sent now.
        let is_paused = state.is_paused();
        Some((abandon_at, state.paused_until.filter(|_| is_paused)))
    }

    /// Ready with one answer or more.
    fn poll_answers(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.answers.len() < BATCH {
            match self.calls.poll_answer(context) {
                Poll::Ready(answer) => self.answers.push(answer),
                Poll::Pending if self.answers.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(())
    }

    fn landed(&mut self) {
        for answer in self.answers.drain(..) {
            if let Some((entry, generation)) = self.sent.pop_front() {
                self.outbox.settle(entry, generation, answer);
            }
        }
    }

    fn abandon(&mut self, why: &str) {
        let error = Error::new(ErrorKind::Disconnected, why);
        for answer in self.calls.abandon(&error) {
            let Some((entry, generation)) = self.sent.pop_front() else {
                return;
            };
            match answer {
                // Not even what may be repeated is: the next subscription says it, if anything does.
                Err(Undelivered::Unknown(error)) => self.outbox.unknown(entry, generation, error),
                answer => self.outbox.settle(entry, generation, answer),
            }
        }
    }
}

impl<P: Protocol> Drop for Flight<P> {
    fn drop(&mut self) {
        self.abandon("driver ended while the call was in flight");
    }
}
