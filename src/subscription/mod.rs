//! One subscription after another: detect, connect, subscribe, read, lose, wait. The decisions are in [`state`]; this is
//! the I/O around it.

mod liveness;
mod state;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::time::Instant;

pub(crate) use liveness::heartbeat_interval;
pub(crate) use state::Limits;
use state::{Action, Input, Machine};

use crate::address::Address;
use crate::codec::{self, ContentType, WireMessage};
use crate::detector::Detector;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Chunks, Opened, Opening, Reply, Request, SubscribeVerdict, Transport};
use crate::recordio::Decoder;

/// What an event means for the subscription that carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// It stands from now on.
    Subscribed { heartbeat: Option<Duration> },
    /// The peer ends it for good, and says why.
    Error(String),
    /// Nothing.
    Event,
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
    /// Subscribed: calls go there, under this stream id.
    Subscribed {
        at: Address,
        stream_id: Option<Arc<str>>,
        event: E,
    },
    /// Any other event.
    Event(E),
    /// Over for good.
    Ended(Error),
}

/// How to subscribe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    pub(crate) path: &'static str,
    pub(crate) content_type: ContentType,
    pub(crate) max_record_size: usize,
}

/// The subscription of a driver, through all its losses.
pub(crate) struct Subscription<E> {
    machine: Machine,
    io: Io,
    /// Decoded and not yet told.
    ready: VecDeque<E>,
    wire: Wire,
    transport: Arc<dyn Transport>,
    peer: &'static str,
}

enum Io {
    Idle,
    Opening(Opening),
    Reading {
        chunks: Chunks,
        decoder: Decoder,
        stream_id: Option<Arc<str>>,
    },
    /// The stream broke after records that are still to be told.
    Broken(Option<Error>),
}

impl<E: StreamEvent> Subscription<E> {
    pub(crate) fn new(
        peer: &'static str,
        detector: Box<dyn Detector>,
        limits: Limits,
        wire: Wire,
        transport: Arc<dyn Transport>,
    ) -> Self {
        let machine = Machine::new(peer, detector, limits, Instant::now());
        Self {
            machine,
            io: Io::Idle,
            ready: VecDeque::new(),
            wire,
            transport,
            peer,
        }
    }

    /// Goes on to the next thing worth telling. `subscribe` writes the SUBSCRIBE call, each time anew.
    ///
    /// Cancel safe: nothing is lost when the future is dropped.
    pub(crate) async fn next(
        &mut self,
        subscribe: &mut (dyn FnMut() -> Result<Bytes> + Send),
    ) -> Step<E> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                if let Some(step) = self.tell(event) {
                    return step;
                }
                continue;
            }
            let input = self.wait_for_input().await;
            let action = self.machine.handle(input, Instant::now());
            if let Some(step) = self.act(action, subscribe) {
                return step;
            }
        }
    }

    /// Gives the current subscription up, if there is one, and begins another.
    pub(crate) fn renew(&mut self, why: Error) -> Option<Step<E>> {
        let action = self.machine.handle(Input::Failed(why), Instant::now());
        self.act(action, &mut || Ok(Bytes::new()))
    }

    async fn wait_for_input(&mut self) -> Input {
        let deadline = self.machine.deadline();
        tokio::select! {
            // What has arrived is read before silence is judged.
            biased;
            input = self.io.progress(self.wire, self.peer, self.machine.peer_address(), &mut self.ready) => input,
            () = sleep_until(deadline) => Input::Tick,
        }
    }

    fn tell(&mut self, event: E) -> Option<Step<E>> {
        let now = Instant::now();
        match event.signal() {
            Signal::Event => Some(Step::Event(event)),
            Signal::Subscribed { heartbeat } => {
                self.machine.handle(Input::Subscribed { heartbeat }, now);
                let at = self.machine.peer_address()?.clone();
                let stream_id = match &self.io {
                    Io::Reading { stream_id, .. } => stream_id.clone(),
                    Io::Idle | Io::Opening(_) | Io::Broken(_) => None,
                };
                Some(Step::Subscribed {
                    at,
                    stream_id,
                    event,
                })
            }
            Signal::Error(message) => {
                let context = format!("{} says: {message}", self.describe_peer());
                let action = self.machine.handle(
                    Input::Refused(Error::new(ErrorKind::ErrorEvent, context)),
                    now,
                );
                self.act(action, &mut || Ok(Bytes::new()))
            }
        }
    }

    fn describe_peer(&self) -> String {
        let address = self
            .machine
            .peer_address()
            .map(|address| format!(" {address}"));
        format!("{}{}", self.peer, address.unwrap_or_default())
    }

    fn act(
        &mut self,
        action: Action,
        subscribe: &mut (dyn FnMut() -> Result<Bytes> + Send),
    ) -> Option<Step<E>> {
        match action {
            Action::Continue => None,
            Action::Connect { to, lost } => {
                self.ready.clear();
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
                    stream_id: None,
                    body,
                };
                self.io = Io::Opening(self.transport.open(&to, request));
                Some(Step::Connecting { to, lost })
            }
            Action::Wait { until, lost } => {
                self.ready.clear();
                self.io = Io::Idle;
                Some(Step::Waiting { until, lost })
            }
            Action::End(error) => {
                self.ready.clear();
                self.io = Io::Idle;
                Some(Step::Ended(error))
            }
        }
    }
}

impl Io {
    async fn progress<E: StreamEvent>(
        &mut self,
        wire: Wire,
        peer: &'static str,
        address: Option<&Address>,
        ready: &mut VecDeque<E>,
    ) -> Input {
        match self {
            Self::Idle => std::future::pending().await,
            Self::Broken(error) => match error.take() {
                Some(error) => Input::Failed(error),
                None => std::future::pending().await,
            },
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
                    Some(Ok(chunk)) => match read(decoder, chunk, wire.content_type, ready) {
                        Ok(()) => Input::Heard,
                        Err(error) => {
                            *self = Self::Broken(Some(broken(&who(), error)));
                            Input::Heard
                        }
                    },
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

fn read<E: StreamEvent>(
    decoder: &mut Decoder,
    chunk: Bytes,
    content_type: ContentType,
    ready: &mut VecDeque<E>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    decoder.feed(chunk);
    while let Some(record) = decoder.next_record()? {
        tracing::trace!(bytes = record.len(), "record");
        ready.push_back(codec::decode(content_type, record)?);
    }
    Ok(())
}

fn broken(who: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
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
