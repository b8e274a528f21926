//! The calls' own connection: requests written back to back, answers matched in order, as Mesos's own library does
//! (`src/scheduler/scheduler.cpp`).
//!
//! A new connection carries one call until the peer has taken one; then as many as the window holds. So a peer that
//! closes the connection behind each answer, and an agent that is still recovering, are sent one call at a time.

mod answers;
mod authorization;
mod connection;

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

pub(super) use answers::MAX_ANSWER;
use authorization::Authorization;
pub(super) use authorization::Renewing;
use connection::{Connection, Read};

use super::connect::{Connecting, Duplex};
use super::{Answer, Calls, Reply, Target, Undelivered};
use crate::address::Address;
use crate::error::{Error, ErrorKind, Result};

/// Bytes that may wait to be written before no further call is taken; a call may be larger.
const MAX_UNWRITTEN: usize = 1024 * 1024;

/// What each request begins with.
pub(super) struct Head {
    /// Up to and without the number in `Content-Length`, which comes last.
    pub(super) bytes: Vec<u8>,
    /// Version of the credential in it.
    pub(super) credential: Option<u64>,
}

/// Without the credential, or anything that may be one.
impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

/// How to reach a peer, and what to say to it.
pub(super) trait Way: Send {
    type Stream: Duplex;

    fn head(&self, to: &Address, target: &Target) -> Result<Head>;

    /// Sees to another credential than the one of this version, which was refused; false if there is none.
    fn renew(&self, refused: u64) -> Renewing;

    fn connect(&self, to: &Address) -> Connecting<Self::Stream>;
}

/// The connection, and the calls on it.
pub(super) struct Pipeline<W: Way> {
    way: W,
    /// How many calls may be without an answer.
    window: usize,
    /// From the sending of a call to the last byte of its answer.
    reply_timeout: Duration,
    aim: Option<(Address, Target)>,
    head: Result<Head>,
    authorization: Authorization,
    line: Line<W::Stream>,
    out: Outgoing,
    /// Oldest first.
    unanswered: VecDeque<Sent>,
    /// Answers that are not told yet, oldest first; all are older than the calls in `unanswered`.
    ready: VecDeque<Answer>,
    /// Whether the peer has taken a call on this connection.
    is_proven: bool,
    /// Whether it has answered one.
    has_answered: bool,
    /// No call is taken: until a quarter of a window that was full is free, so that writes stay large.
    is_full: bool,
    timer: Option<Pin<Box<Sleep>>>,
    /// The time of the calls that are sent between two looks for answers.
    now: Option<Instant>,
}

enum Line<S> {
    Closed,
    Connecting(Connecting<S>),
    Open(Connection<S>),
}

/// A call on its way.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// Where its bytes begin and end, counted from the first of the connection.
    begin: u64,
    end: u64,
    at: Instant,
}

/// Bytes for one connection: credentials among them, so that nothing shows them.
#[derive(Default)]
struct Outgoing {
    buffer: Vec<u8>,
    /// How many of `buffer` are written.
    done: usize,
    /// How many were written before the first of `buffer`.
    before: u64,
}

impl Outgoing {
    /// Bytes that have been written on this connection.
    fn written(&self) -> u64 {
        self.before + self.done as u64
    }

    fn end(&self) -> u64 {
        self.before + self.buffer.len() as u64
    }

    fn unwritten(&self) -> &[u8] {
        &self.buffer[self.done..]
    }

    fn advance(&mut self, written: usize) {
        self.done += written;
        if self.done == self.buffer.len() || self.done >= MAX_UNWRITTEN {
            self.before += self.done as u64;
            self.buffer.drain(..self.done);
            self.done = 0;
        }
    }

    fn clear(&mut self) {
        self.buffer.clear();
        self.done = 0;
        self.before = 0;
    }
}

impl<W: Way> Pipeline<W> {
    pub(super) fn new(way: W, window: usize, reply_timeout: Duration) -> Self {
        let nowhere = Error::new(ErrorKind::Disconnected, "calls have no destination yet");
        Self {
            way,
            window,
            reply_timeout,
            aim: None,
            head: Err(nowhere),
            authorization: Authorization::Good,
            line: Line::Closed,
            out: Outgoing::default(),
            unanswered: VecDeque::new(),
            ready: VecDeque::new(),
            is_proven: false,
            has_answered: false,
            is_full: false,
            timer: None,
            now: None,
        }
    }

    fn describe(&self) -> String {
        let aim = self.aim.as_ref();
        aim.map_or_else(|| "nowhere".into(), |(to, _)| to.to_string())
    }

    /// Goes one step on; pending if there is none.
    fn step(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.line {
            Line::Closed => {
                let aim = self.aim.as_ref().filter(|_| !self.unanswered.is_empty());
                let Some((to, _)) = aim else {
                    return Poll::Pending;
                };
                self.line = Line::Connecting(self.way.connect(to));
                Poll::Ready(())
            }
            Line::Connecting(connecting) => match connecting.as_mut().poll(context) {
                Poll::Ready(Ok(stream)) => {
                    self.line = Line::Open(Connection::new(stream));
                    Poll::Ready(())
                }
                Poll::Ready(Err(error)) => {
                    self.break_off(&error);
                    Poll::Ready(())
                }
                Poll::Pending => self.watch_clock(context),
            },
            Line::Open(_) => self.exchange(context),
        }
    }

    /// Reads before it writes, so that nothing is written to a connection that is known to have ended.
    fn exchange(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Line::Open(connection) = &mut self.line else {
            return Poll::Pending;
        };
        let written = self.out.written();
        let oldest = self.unanswered.front();
        let is_expected = oldest.is_some_and(|oldest| oldest.begin < written);
        match connection.read(is_expected, context) {
            Poll::Ready(Read::Answer(answered)) => {
                self.answered(answered.reply, answered.is_last);
                return Poll::Ready(());
            }
            Poll::Ready(Read::Ended(error)) => {
                let context = format!("connection to {} broke", self.describe());
                self.break_off(&Error::caused_by(ErrorKind::Connect, context, error));
                return Poll::Ready(());
            }
            Poll::Pending => {}
        }
        connection.write(&mut self.out, context);
        self.watch_clock(context)
    }

    fn answered(&mut self, reply: Reply, is_last: bool) {
        // What an agent that recovers, or a master that does not lead, answers to all.
        let is_taken = !matches!(reply.status, 300..=399 | 404 | 500..);
        self.is_proven |= is_taken;
        self.has_answered = true;
        if let Ok(head) = &self.head {
            self.authorization.answered(&reply, head, &self.way);
        }
        self.ready.push_back(Ok(reply));
        let sent = self.unanswered.pop_front();
        // A peer that answers before it has the whole call need not read the rest.
        if is_last || sent.is_some_and(|sent| sent.end > self.out.written()) {
            let context = format!(
                "connection to {} ended with the answer to an earlier call",
                self.describe()
            );
            self.break_off(&Error::new(ErrorKind::Connect, context));
        }
    }

    /// Ready when the oldest call has waited for too long, and the connection is given up for that.
    fn watch_clock(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(oldest) = self.unanswered.front() else {
            return Poll::Pending;
        };
        let Some(due) = oldest.at.checked_add(self.reply_timeout) else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        // It is set again only when it has run out: calls become due in the order in which they were sent.
        while timer.as_mut().poll(context).is_ready() {
            if due <= Instant::now() {
                let error = Error::new(
                    ErrorKind::Timeout,
                    format!(
                        "no answer from {} to call within {:?}",
                        self.describe(),
                        self.reply_timeout
                    ),
                );
                self.break_off(&error);
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }

    /// Gives the connection up. Calls that were written whole may have been carried out, and others were not. These
    /// may go out on another connection if this one has carried anything; else there would be no end of connections.
    fn break_off(&mut self, why: &Error) {
        if let Line::Open(connection) = &mut self.line
            && !self.unanswered.is_empty()
            && let Some(reply) = connection.finish()
        {
            self.unanswered.pop_front();
            self.ready.push_back(Ok(reply));
        }
        let written = self.out.written();
        let has_carried = self.has_answered
            || self
                .unanswered
                .front()
                .is_some_and(|sent| sent.end <= written);
        let ends = self.unanswered.drain(..).map(|sent| {
            Err(match (sent.end <= written, has_carried) {
                (true, _) => Undelivered::Unknown(why.clone()),
                (false, true) => Undelivered::NotWritten,
                (false, false) => Undelivered::NotSent(why.clone()),
            })
        });
        self.ready.extend(ends);
        self.line = Line::Closed;
        self.out.clear();
        self.is_proven = false;
        self.has_answered = false;
        self.count();
    }

    /// What becomes of the oldest call, to which `answer` came.
    fn tell(&mut self, answer: Answer) -> Answer {
        let answer = self.authorization.judge(answer);
        if self.ready.is_empty() && self.unanswered.is_empty() {
            self.authorization = Authorization::Good;
        }
        self.count();
        answer
    }

    /// Whether there is room has changed.
    fn count(&mut self) {
        let in_flight = self.unanswered.len() + self.ready.len();
        let window = if self.is_proven { self.window } else { 1 };
        if in_flight >= window || self.out.unwritten().len() >= MAX_UNWRITTEN {
            self.is_full = true;
        } else if in_flight <= window - window.div_ceil(4) {
            self.is_full = false;
        }
    }
}

impl<W: Way> Calls for Pipeline<W> {
    fn aim(&mut self, to: &Address, target: &Target) {
        let context = "another subscription began while the call was in flight";
        self.break_off(&Error::new(ErrorKind::Disconnected, context));
        self.head = self.way.head(to, target);
        self.aim = Some((to.clone(), target.clone()));
    }

    fn has_room(&self) -> bool {
        !self.is_full && self.authorization.is_good()
    }

    fn send(&mut self, body: &[u8]) {
        match &self.head {
            Ok(head) => {
                let begin = self.out.end();
                self.out.buffer.extend_from_slice(&head.bytes);
                write_number(body.len(), &mut self.out.buffer);
                self.out.buffer.extend_from_slice(b"\r\n\r\n");
                self.out.buffer.extend_from_slice(body);
                let at = *self.now.get_or_insert_with(Instant::now);
                let end = self.out.end();
                self.unanswered.push_back(Sent { begin, end, at });
            }
            Err(error) => {
                let answer = Err(Undelivered::NotSent(error.clone()));
                self.ready.push_back(answer);
            }
        }
        self.count();
    }

    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Answer> {
        self.now = None;
        loop {
            let waits = |answer: &Answer| self.authorization.is_asking_for(answer);
            if self.ready.front().is_some_and(waits) {
                std::task::ready!(self.authorization.poll(context));
                if self.authorization.is_renewed()
                    && let Some((to, target)) = &self.aim
                {
                    self.head = self.way.head(to, target);
                }
            }
            if let Some(answer) = self.ready.pop_front() {
                return Poll::Ready(self.tell(answer));
            }
            std::task::ready!(self.step(context));
        }
    }

    fn abandon(&mut self, why: &Error) -> Vec<Answer> {
        self.break_off(why);
        let mut answers = Vec::new();
        while let Some(answer) = self.ready.pop_front() {
            answers.push(self.tell(answer));
        }
        answers
    }
}

/// In decimal digits: formatting takes several times as long.
fn write_number(number: usize, out: &mut Vec<u8>) {
    let begin = out.len();
    let mut rest = number;
    loop {
        out.push(b"0123456789"[rest % 10]);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out[begin..].reverse();
}

#[cfg(test)]
mod tests;
