//! HTTP: posts calls and opens event streams. Knows bytes and headers, no messages.

mod authority;
mod body;
mod client;
mod connect;
mod credential;
#[cfg(test)]
pub(crate) mod fake;
mod one_by_one;
mod pipeline;
mod reply;
mod stream;
mod tls;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use tokio::time::Instant;

use crate::address::Address;
use crate::error::{Error, Result};

pub(crate) use authority::Credentials;
pub(crate) use client::{HttpClient, HttpConfig};
pub use credential::{Credential, CredentialProvider};
pub(crate) use reply::{CallVerdict, Reply, SubscribeVerdict};
pub(crate) use tls::{ClientCertificate, TlsConfig};

/// A SUBSCRIBE.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Path of the endpoint, without the address's prefix: `/api/v1/scheduler`.
    pub(crate) path: &'static str,
    /// Media type of the body, and of the records of the stream that is asked for.
    pub(crate) media_type: &'static str,
    pub(crate) body: Bytes,
    /// By when there is an answer, whole but for the records of a stream.
    pub(crate) deadline: Instant,
}

/// What all calls of a subscription have in common.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Path of the endpoint, without the address's prefix.
    pub(crate) path: &'static str,
    /// Media type of the bodies.
    pub(crate) media_type: &'static str,
    /// `Mesos-Stream-Id`; schedulers have one.
    pub(crate) stream_id: Option<Arc<str>>,
}

/// The records of a subscription, in chunks as they arrive.
pub(crate) type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// The answer to SUBSCRIBE.
pub(crate) enum Opened {
    /// 200: the head, and the stream that follows it.
    Stream(Reply, Chunks),
    /// Anything else.
    Answer(Reply),
    /// None: the request went out, in part at least, and may still arrive.
    Unanswered(Error),
}

/// How a call without an answer ended.
#[derive(Clone, Debug)]
pub(crate) enum Undelivered {
    /// The peer cannot be reached; it surely never had the call whole, and so cannot have carried it out.
    NotSent(Error),
    /// Neither had it the call whole here, for the connection ended behind earlier calls; another one may carry it.
    NotWritten,
    /// The peer refused the credential, as it says here, and there is another one now.
    Unauthorized(Reply),
    /// The peer may have carried it out.
    Unknown(Error),
}

/// An answer to a call, or none.
pub(crate) type Answer = Result<Reply, Undelivered>;

pub(crate) type Opening = Pin<Box<dyn Future<Output = Result<Opened>> + Send>>;

/// The way to a peer.
pub(crate) trait Transport: Send + Sync + 'static {
    /// Posts SUBSCRIBE, on a connection of its own.
    fn open(&self, to: &Address, request: Request) -> Opening;

    /// A way for all other calls, apart from the streams.
    fn calls(&self) -> Box<dyn Calls>;
}

/// Posts calls, which reach the peer in the order of [`Calls::send`]; answers come in the same order.
pub(crate) trait Calls: Send {
    /// Where calls go from now on, on a new connection. Calls without an answer end first.
    fn aim(&mut self, to: &Address, target: &Target);

    /// Whether another call may be sent now.
    fn has_room(&self) -> bool;

    /// Takes a call on its way, as soon as answers are asked for. Only if there is room.
    fn send(&mut self, body: &[u8]);

    /// Writes and reads what can be written and read, and gives the answer to the oldest call without one.
    ///
    /// To be polled also while there is none, so that the end of an idle connection is noticed.
    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Answer>;

    /// Gives up every call without an answer, oldest first, and the connection.
    fn abandon(&mut self, why: &Error) -> Vec<Answer>;
}
