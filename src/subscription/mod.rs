//! One subscription after another: detect, connect, subscribe, read, lose, wait. The decisions are in [`state`]; this is
//! the I/O around it.

mod detection;
mod liveness;
mod state;
mod unanswered;

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::time::Instant;

use detection::{Answer, Detection};
pub(crate) use liveness::heartbeat_interval;
pub(crate) use state::Limits;
use state::{Action, Input, Machine};

use crate::address::Address;
use crate::at_hand::at_hand;
use crate::codec::{self, ContentType, WireMessage};
use crate::detector::Masters;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Chunks, Opened, Opening, Reply, Request, SubscribeVerdict, Transport};
use crate::recordio::Decoder;

/// What an event means for the subscription that carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// It stands from now on.
    Subscribed {
        heartbeat: Option<Duration>,
        /// Which run of a master it is, if it says.
        master_id: Option<String>,
    },
    /// The peer ends it for good, and says why.
    Error { kind: ErrorKind, message: String },
    /// Another SUBSCRIBE took its place, somebody else's or one of this driver that arrived late, and the peer says so.
    TakenOver { message: String },
    /// Nothing, but it comes only where there is a subscription.
    Event,
    /// Nothing, and it may come before SUBSCRIBED.
    Early,
    /// No peer sends that: why not.
    Malformed(&'static str),
}

/// An event of a stream.
pub(crate) trait StreamEvent: WireMessage {
    fn signal(&self) -> Signal;
}

/// What the outside learns.
#[derive(Debug)]
pub(crate) enum Step<E> {
    /// SUBSCRIBE goes out; `lost` says why the subscription or attempt before ended.
    Connecting { to: Address, lost: Option<Error> },
    /// Nothing goes on until then.
    Waiting { until: Instant, lost: Option<Error> },
    /// Nobody is known to lead, and nothing goes on until somebody does.
    Detecting { lost: Option<Error> },
    /// The detector failed. Whatever stands goes on standing.
    NotDetected(Error),
    /// Subscribed: calls go there, under this stream id.
    Subscribed {
        at: Address,
        stream_id: Option<Arc<str>>,
        event: Box<E>,
    },
    /// Any other event.
    Event(Box<E>),
    /// Over for good.
    Ended(Error),
}

/// Why a stream is no good.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// How to subscribe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    pub(crate) path: &'static str,
    pub(crate) content_type: ContentType,
    pub(crate) max_record_size: usize,
}

/// Writes the SUBSCRIBE call.
type Subscribe<'a> = &'a mut (dyn FnMut() -> Result<Bytes> + Send);

/// The subscription of a driver, through all its losses.
pub(crate) struct Subscription<E> {
    machine: Machine,
    detection: Detection,
    io: Io,
    wire: Wire,
    transport: Arc<dyn Transport>,
    peer: &'static str,
    /// Whether bytes came that the machine does not know of yet.
    has_heard: bool,
    event: PhantomData<fn() -> E>,
}

enum Io {
    Idle,
    Opening(Opening),
    Reading {
        chunks: Chunks,
        decoder: Decoder,
        stream_id: Option<Arc<str>>,
    },
}

impl<E: StreamEvent> Subscription<E> {
    pub(crate) fn new(
        peer: &'static str,
        masters: Masters,
        limits: Limits,
        wire: Wire,
        transport: Arc<dyn Transport>,
    ) -> Self {
        let (detection, candidates) = Detection::new(masters);
        let machine = Machine::new(peer, candidates, limits, Instant::now());
        Self {
            machine,
            detection,
            io: Io::Idle,
            wire,
            transport,
            peer,
            has_heard: false,
            event: PhantomData,
        }
    }

    /// Begins anew after the end, because what the peer refused will not be asked for again.
    pub(crate) fn start_over(&mut self, why: Error) -> Option<Step<E>> {
        let action = self.machine.handle(Input::StartOver(why), Instant::now());
        self.act(action, &mut || Ok(Bytes::new()))
    }

    /// Goes on to the next thing worth telling. `subscribe` writes the SUBSCRIBE call, each time anew.
    ///
    /// Cancel safe: nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self, subscribe: Subscribe<'_>) -> Step<E> {
        loop {
            let step = match self.io.next_event(self.wire.content_type) {
                Some(Ok(event)) => self.tell(event, subscribe),
                Some(Err(error)) => self.broken(error, subscribe),
                None => match self.wait_for_input().await {
                    Ok(Input::Heard) => {
                        self.has_heard = true;
                        None
                    }
                    Ok(input) => {
                        let action = self.machine.handle(input, Instant::now());
                        self.act(action, subscribe)
                    }
                    Err(error) => Some(Step::NotDetected(error)),
                },
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// Gives the current subscription up, if there is one, and begins another.
    pub(crate) fn renew(&mut self, why: Error) -> Option<Step<E>> {
        if !self.machine.is_subscribed() {
            return None;
        }
        let action = self.machine.handle(Input::Failed(why), Instant::now());
        // After a subscription that stood there is a wait, so that nothing is to be said yet.
        self.act(action, &mut || Ok(Bytes::new()))
    }

    /// The error is the detector's.
    async fn wait_for_input(&mut self) -> Result<Input> {
        // As long as something has arrived, no clock is looked at.
        let arrived = self
            .io
            .progress(self.wire, self.peer, self.machine.peer_address());
        if let Some(input) = at_hand(arrived).await {
            return Ok(input);
        }
        if std::mem::take(&mut self.has_heard) {
            self.machine.handle(Input::Heard, Instant::now());
        }
        let deadline = self.machine.deadline();
        tokio::select! {
            // What has arrived is read before silence is judged.
            biased;
            input = self.io.progress(self.wire, self.peer, self.machine.peer_address()) => Ok(input),
            answer = self.detection.next() => match answer {
                Answer::Detected(leader) => Ok(Input::Detected(leader)),
                Answer::Failed(error) => Err(error),
                Answer::Panicked(error) => Ok(Input::Refused(error)),
            },
            () = sleep_until(deadline) => Ok(Input::Tick),
        }
    }

    fn tell(&mut self, event: Box<E>, subscribe: Subscribe<'_>) -> Option<Step<E>> {
        match event.signal() {
            Signal::Event if !self.machine.is_subscribed() => {
                self.broken("an event came before SUBSCRIBED", subscribe)
            }
            Signal::Subscribed { .. } if self.machine.is_subscribed() => {
                self.broken("SUBSCRIBED came twice", subscribe)
            }
            Signal::Malformed(why) => self.broken(why, subscribe),
            Signal::Event | Signal::Early => Some(Step::Event(event)),
            Signal::Subscribed {
                heartbeat,
                master_id,
            } => {
                let stands = Input::Subscribed {
                    heartbeat,
                    master_id,
                };
                self.machine.handle(stands, Instant::now());
                let at = self.machine.peer_address()?.clone();
                let stream_id = match &self.io {
                    Io::Reading { stream_id, .. } => stream_id.clone(),
                    Io::Idle | Io::Opening(_) => None,
                };
                Some(Step::Subscribed {
                    at,
                    stream_id,
                    event,
                })
            }
            Signal::Error { kind, message } => {
                let context = format!("{} says: {message}", self.describe_peer());
                let refused = Input::Refused(Error::new(kind, context));
                let action = self.machine.handle(refused, Instant::now());
                self.act(action, subscribe)
            }
            Signal::TakenOver { message } => {
                let context = format!("{} says: {message}", self.describe_peer());
                let taken = Input::TakenOver(Error::new(ErrorKind::ErrorEvent, context));
                let action = self.machine.handle(taken, Instant::now());
                self.act(action, subscribe)
            }
        }
    }

    /// The peer broke the protocol: the stream is lost.
    fn broken(&mut self, why: impl Into<Cause>, subscribe: Subscribe<'_>) -> Option<Step<E>> {
        let error = broken(&self.describe_peer(), why);
        let action = self.machine.handle(Input::Failed(error), Instant::now());
        self.act(action, subscribe)
    }

    fn describe_peer(&self) -> String {
        let address = self
            .machine
            .peer_address()
            .map(|address| format!(" {address}"));
        format!("{}{}", self.peer, address.unwrap_or_default())
    }

    fn act(&mut self, action: Action, subscribe: Subscribe<'_>) -> Option<Step<E>> {
        match action {
            Action::Continue => None,
            Action::Connect { to, deadline, lost } => {
                let body = match subscribe() {
                    Ok(body) => body,
                    Err(error) => {
                        let ended = self.machine.handle(Input::Refused(error), Instant::now());
                        return self.act(ended, subscribe);
                    }
                };
                let (path, media_type) = (self.wire.path, self.wire.content_type.media_type());
                let request = Request {
                    path,
                    media_type,
                    body,
                    deadline,
                };
                self.io = Io::Opening(self.transport.open(&to, request));
                Some(Step::Connecting { to, lost })
            }
            Action::Wait { until, lost } => {
                self.io = Io::Idle;
                Some(Step::Waiting { until, lost })
            }
            Action::Detect { lost } => {
                self.io = Io::Idle;
                Some(Step::Detecting { lost })
            }
            Action::End(error) => {
                self.io = Io::Idle;
                Some(Step::Ended(error))
            }
        }
    }
}

impl Io {
    /// The next event of those whose bytes have arrived. Decoded one by one: a chunk of short records would take many
    /// times its size.
    fn next_event<E: StreamEvent>(
        &mut self,
        content_type: ContentType,
    ) -> Option<Result<Box<E>, Cause>> {
        let Self::Reading { decoder, .. } = self else {
            return None;
        };
        let record = match decoder.next_record() {
            Ok(record) => record?,
            Err(error) => return Some(Err(error.into())),
        };
        tracing::trace!(bytes = record.len(), "record");
        Some(codec::decode(content_type, &record).map_err(Into::into))
    }

    async fn progress(
        &mut self,
        wire: Wire,
        peer: &'static str,
        address: Option<&Address>,
    ) -> Input {
        match self {
            Self::Idle => std::future::pending().await,
            Self::Opening(opening) => {
                let opened = opening.await;
                self.opened(opened, wire, address)
            }
            Self::Reading {
                chunks, decoder, ..
            } => {
                let who = || {
                    address.map_or_else(|| peer.to_owned(), |address| format!("{peer} {address}"))
                };
                match chunks.next().await {
                    Some(Ok(chunk)) => {
                        decoder.feed(chunk);
                        Input::Heard
                    }
                    Some(Err(error)) => Input::Failed(error),
                    None => Input::Failed(match decoder.finish() {
                        Ok(()) => Error::new(
                            ErrorKind::Disconnected,
                            format!("{} ended the event stream", who()),
                        ),
                        Err(error) => broken(&who(), error),
                    }),
                }
            }
        }
    }

    fn opened(&mut self, opened: Result<Opened>, wire: Wire, address: Option<&Address>) -> Input {
        // Whatever it was, the request is over; a future that is done must not be polled again.
        *self = Self::Idle;
        let Some(from) = address else {
            return Input::Tick;
        };
        let judge =
            |reply: &Reply| reply.judge_subscribe(from, wire.path, wire.content_type.media_type());
        let (verdict, stream) = match opened {
            Ok(Opened::Stream(head, chunks)) => (judge(&head), Some((chunks, head.stream_id))),
            Ok(Opened::Answer(reply)) => (judge(&reply), None),
            Ok(Opened::Unanswered(error)) => return Input::Unanswered(error),
            Err(error) => return Input::Failed(error),
        };
        match verdict {
            SubscribeVerdict::Accepted => {
                if let Some((chunks, stream_id)) = stream {
                    let decoder = Decoder::new(wire.max_record_size);
                    *self = Self::Reading {
                        chunks,
                        decoder,
                        stream_id,
                    };
                }
                Input::Opened
            }
            SubscribeVerdict::Redirected(to) => Input::Redirected(to),
            SubscribeVerdict::NotReady(error) => Input::Failed(error),
            SubscribeVerdict::Odd(error) => Input::Odd(error),
            SubscribeVerdict::Refused(error) => Input::Refused(error),
        }
    }
}

fn broken(who: &str, error: impl Into<Cause>) -> Error {
    Error::caused_by(
        ErrorKind::Protocol,
        format!("{who} broke the event stream"),
        error,
    )
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
