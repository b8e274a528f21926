//! A [`Transport`] in memory, for tests: a test takes the requests one by one and says what becomes of each.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::{mpsc, oneshot};

use super::{Answer, Calls, Opened, Opening, Reply, Request, Target, Transport, Undelivered};
use crate::address::Address;
use crate::error::{Error, Result};

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
    pub(crate) to: Address,
    pub(crate) request: Request,
    answer: oneshot::Sender<Result<Opened>>,
}

/// A call that waits for its answer; dropped, it is never answered.
pub(crate) struct Posted {
    pub(crate) stream_id: Option<Arc<str>>,
    pub(crate) body: Bytes,
    answer: oneshot::Sender<Answer>,
}

/// What the transport asks for.
pub(crate) enum Asked {
    Subscribe(Subscribing),
    Call(Posted),
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

    /// The next request, whichever it is; none when the transport is gone.
    pub(crate) async fn request(&mut self) -> Option<Asked> {
        tokio::select! {
            biased;
            Some(subscribing) = self.opened.recv() => Some(Asked::Subscribe(subscribing)),
            Some(posted) = self.posted.recv() => Some(Asked::Call(posted)),
            else => None,
        }
    }

    /// True if no request waits now.
    pub(crate) fn is_idle(&self) -> bool {
        self.opened.is_empty() && self.posted.is_empty()
    }
}

impl Subscribing {
    /// Answers with this, and no stream.
    pub(crate) fn answer(self, answer: Result<Reply>) {
        let _ = self.answer.send(answer.map(Opened::Answer));
    }

    /// Whether nobody waits for the answer any more.
    pub(crate) fn is_given_up(&self) -> bool {
        self.answer.is_closed()
    }

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

    pub(crate) fn end(self, answer: Answer) {
        let _ = self.answer.send(answer);
    }
}

impl Transport for FakeTransport {
    fn open(&self, to: &Address, request: Request) -> Opening {
        let (answer, answered) = oneshot::channel();
        let _ = self.opened.try_send(Subscribing {
            to: to.clone(),
            request,
            answer,
        });
        Box::pin(async move {
            match answered.await {
                Ok(answer) => answer,
                Err(_) => std::future::pending().await,
            }
        })
    }

    fn calls(&self) -> Box<dyn Calls> {
        Box::new(FakeCalls {
            window: self.window,
            posted: self.posted.clone(),
            stream_id: None,
            unanswered: VecDeque::new(),
        })
    }
}

struct FakeCalls {
    window: usize,
    posted: mpsc::Sender<Posted>,
    stream_id: Option<Arc<str>>,
    /// None: it is never answered.
    unanswered: VecDeque<Option<oneshot::Receiver<Answer>>>,
}

impl Calls for FakeCalls {
    fn aim(&mut self, _: &Address, target: &Target) {
        assert!(self.unanswered.is_empty(), "calls of before in flight");
        self.stream_id.clone_from(&target.stream_id);
    }

    fn has_room(&self) -> bool {
        self.unanswered.len() < self.window
    }

    fn send(&mut self, body: &[u8]) {
        let (answer, answered) = oneshot::channel();
        let _ = self.posted.try_send(Posted {
            stream_id: self.stream_id.clone(),
            body: Bytes::copy_from_slice(body),
            answer,
        });
        self.unanswered.push_back(Some(answered));
    }

    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Answer> {
        let Some(oldest) = self.unanswered.front_mut() else {
            return Poll::Pending;
        };
        let Some(answered) = oldest else {
            return Poll::Pending;
        };
        match Pin::new(answered).poll(context) {
            Poll::Ready(Ok(answer)) => {
                self.unanswered.pop_front();
                Poll::Ready(answer)
            }
            Poll::Ready(Err(_)) => {
                *oldest = None;
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn abandon(&mut self, why: &Error) -> Vec<Answer> {
        let unanswered = self.unanswered.drain(..);
        unanswered
            .map(|_| Err(Undelivered::Unknown(why.clone())))
            .collect()
    }
}
