//! Calls over reqwest, for what the pipeline cannot go through: proxies of the environment.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::client::Inner;
use super::{Answer, Calls, Target, Undelivered};
use crate::address::Address;
use crate::error::{Error, ErrorKind, Result};

type Posting = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Calls one at a time: awaiting each answer is what keeps the order over a pool of connections.
pub(super) struct OneByOne {
    inner: Arc<Inner>,
    /// One for each aim: what leads to the peer of before must not be used again.
    client: Result<reqwest::Client>,
    aim: Option<(Address, Target)>,
    posting: Option<Posting>,
    /// Answers that are not told yet.
    ready: VecDeque<Answer>,
}

impl OneByOne {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self {
            inner,
            client: Err(nowhere()),
            aim: None,
            posting: None,
            ready: VecDeque::new(),
        }
    }

    fn end(&mut self, why: &Error) {
        if self.posting.take().is_some() {
            self.ready.push_back(Err(Undelivered::Unknown(why.clone())));
        }
    }
}

fn nowhere() -> Error {
    Error::new(ErrorKind::Disconnected, "calls have no destination yet")
}

impl Calls for OneByOne {
    fn aim(&mut self, to: &Address, target: &Target) {
        let context = "another subscription began while the call was in flight";
        self.end(&Error::new(ErrorKind::Disconnected, context));
        self.client = self.inner.proxied_calls();
        self.aim = Some((to.clone(), target.clone()));
    }

    fn has_room(&self) -> bool {
        self.posting.is_none() && self.ready.is_empty()
    }

    fn send(&mut self, body: &[u8]) {
        let Some((to, target)) = self.aim.clone() else {
            return self.ready.push_back(Err(Undelivered::NotSent(nowhere())));
        };
        match self.client.clone() {
            Ok(client) => {
                let (inner, body) = (Arc::clone(&self.inner), Bytes::copy_from_slice(body));
                let posting = async move { inner.post(client, to, target, body).await };
                self.posting = Some(Box::pin(posting));
            }
            Err(error) => self.ready.push_back(Err(Undelivered::NotSent(error))),
        }
    }

    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Answer> {
        if let Some(answer) = self.ready.pop_front() {
            return Poll::Ready(answer);
        }
        let Some(posting) = &mut self.posting else {
            return Poll::Pending;
        };
        let answer = std::task::ready!(posting.as_mut().poll(context));
        self.posting = None;
        Poll::Ready(answer)
    }

    fn abandon(&mut self, why: &Error) -> Vec<Answer> {
        self.end(why);
        self.ready.drain(..).collect()
    }
}
