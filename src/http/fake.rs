//! A [`Transport`] in memory, for tests: a test takes the requests one by one and says what becomes of each.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::{mpsc, oneshot};

use super::{Opened, Opening, Posting, Reply, Request, Transport, Undelivered};
use crate::address::Address;
use crate::error::Result;

/// Requests that may wait for the test.
const UNSEEN: usize = 1000;

/// The way to a [`FakePeer`].
pub(crate) struct FakeTransport {
    window: usize,
    opened: mpsc::Sender<Subscribing>,
    posted: mpsc::Sender<Posted>,
}

/// Who is at the other end.
pub(crate) struct FakePeer {
    opened: mpsc::Receiver<Subscribing>,
    posted: mpsc::Receiver<Posted>,
}

/// A SUBSCRIBE that waits for its answer; dropped, it is never answered.
pub(crate) struct Subscribing {
    pub(crate) request: Request,
    answer: oneshot::Sender<Result<Opened>>,
}

/// A call that waits for its answer; dropped, it is never answered.
pub(crate) struct Posted {
    pub(crate) request: Request,
    answer: oneshot::Sender<Result<Reply, Undelivered>>,
}

/// The chunks of a stream; dropped, the stream ends.
pub(crate) type ChunkSender = mpsc::Sender<Result<Bytes>>;

impl FakePeer {
    pub(crate) fn new(window: usize) -> (Arc<FakeTransport>, Self) {
        let (subscribing, opened) = mpsc::channel(UNSEEN);
        let (posting, posted) = mpsc::channel(UNSEEN);
        let transport = FakeTransport {
            window,
            opened: subscribing,
            posted: posting,
        };
        (Arc::new(transport), Self { opened, posted })
    }

    pub(crate) async fn subscribing(&mut self) -> Subscribing {
        self.opened.recv().await.expect("the transport lives")
    }

    pub(crate) async fn posted(&mut self) -> Posted {
        self.posted.recv().await.expect("the transport lives")
    }

    /// True if no request waits now.
    pub(crate) fn is_idle(&self) -> bool {
        self.opened.is_empty() && self.posted.is_empty()
    }
}

impl Subscribing {
    /// Answers with an event stream, under the stream id `stream`.
    pub(crate) fn stream(self) -> ChunkSender {
        let (sender, receiver) = mpsc::channel(UNSEEN);
        let head = Reply {
            status: 200,
            content_type: Some(self.request.media_type.to_owned()),
            stream_id: Some(Arc::from("stream")),
            ..Reply::default()
        };
        let chunks = futures_util::stream::unfold(receiver, |mut receiver| async move {
            let chunk = receiver.recv().await?;
            Some((chunk, receiver))
        });
        let _ = self.answer.send(Ok(Opened::Stream(head, chunks.boxed())));
        sender
    }
}

impl Posted {
    pub(crate) fn answer(self, status: u16, body: &str) {
        let reply = Reply {
            status,
            body: body.to_owned(),
            ..Reply::default()
        };
        self.end(Ok(reply));
    }

    pub(crate) fn end(self, answer: Result<Reply, Undelivered>) {
        let _ = self.answer.send(answer);
    }
}

impl Transport for FakeTransport {
    fn open(&self, _: &Address, request: Request) -> Opening {
        let (answer, answered) = oneshot::channel();
        let _ = self.opened.try_send(Subscribing { request, answer });
        Box::pin(async move {
            match answered.await {
                Ok(answer) => answer,
                Err(_) => std::future::pending().await,
            }
        })
    }

    fn post(&self, _: &Address, request: Request) -> Posting {
        let (answer, answered) = oneshot::channel();
        let _ = self.posted.try_send(Posted { request, answer });
        Box::pin(async move {
            match answered.await {
                Ok(answer) => answer,
                Err(_) => std::future::pending().await,
            }
        })
    }

    fn window(&self) -> usize {
        self.window
    }
}
