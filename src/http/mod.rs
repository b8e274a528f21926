//! HTTP: posts calls and opens event streams. Knows bytes and headers, no messages.

mod client;
mod credential;
#[cfg(test)]
pub(crate) mod fake;
mod reply;
mod tls;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;

use crate::address::Address;
use crate::error::{Error, Result};

pub(crate) use client::{HttpClient, HttpConfig};
pub use credential::Credential;
pub(crate) use reply::{CallVerdict, Reply, SubscribeVerdict};

/// A POST to a master or agent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Path of the endpoint, without the address's prefix: `/api/v1/scheduler`.
    pub(crate) path: &'static str,
    /// Media type of the body, and of the records of the stream that a subscription asks for.
    pub(crate) media_type: &'static str,
    /// `Mesos-Stream-Id`: on every scheduler call but SUBSCRIBE.
    pub(crate) stream_id: Option<Arc<str>>,
    pub(crate) body: Bytes,
}

/// The records of a subscription, in chunks as they arrive.
pub(crate) type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// The answer to SUBSCRIBE.
pub(crate) enum Opened {
    /// 200: the head, and the stream that follows it.
    Stream(Reply, Chunks),
    /// Anything else.
    Answer(Reply),
}

/// How a call without an answer ended.
#[derive(Clone, Debug)]
pub(crate) enum Undelivered {
    /// Surely not one byte of it reached the peer.
    NotSent(Error),
    /// The peer may have carried it out.
    Unknown(Error),
}

pub(crate) type Opening = Pin<Box<dyn Future<Output = Result<Opened>> + Send>>;
pub(crate) type Posting = Pin<Box<dyn Future<Output = Result<Reply, Undelivered>> + Send>>;

/// The way to a peer.
pub(crate) trait Transport: Send + Sync + 'static {
    /// Posts SUBSCRIBE, on a connection of its own.
    fn open(&self, to: &Address, request: Request) -> Opening;

    /// Posts any other call. Calls reach the peer in the order of these calls of `post`, of which at most
    /// [`Transport::window`] may be unanswered at a time; answers come in the same order.
    fn post(&self, to: &Address, request: Request) -> Posting;

    /// How many calls may be in flight.
    fn window(&self) -> usize;
}
