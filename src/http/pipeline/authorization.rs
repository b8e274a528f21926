//! What follows when a peer refuses the credential: all calls on their way carry the same, so nothing more is sent until
//! each of them is answered and it is known whether there is another one.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Head, Way};
use crate::error::Result;
use crate::http::{Answer, Reply, Undelivered};

/// Ready when it is known whether there is another credential.
pub(in crate::http) type Renewing = Pin<Box<dyn Future<Output = Result<bool>> + Send>>;

/// How it stands with the credential that calls on their way carry.
pub(super) enum Authorization {
    Good,
    /// It was refused.
    Asking(Renewing),
    /// It was refused, and there is another one.
    Renewed,
    /// It was refused, and there is no other.
    Refused,
}

fn refuses(answer: &Answer) -> bool {
    matches!(answer, Ok(reply) if reply.status == 401)
}

impl Authorization {
    pub(super) fn is_good(&self) -> bool {
        matches!(self, Self::Good)
    }

    pub(super) fn is_renewed(&self) -> bool {
        matches!(self, Self::Renewed)
    }

    /// `reply` has come to a call with `head`.
    pub(super) fn answered(&mut self, reply: &Reply, head: &Head, way: &impl Way) {
        if reply.status == 401
            && self.is_good()
            && let Some(credential) = head.credential
        {
            *self = Self::Asking(way.renew(credential));
        }
    }

    /// Whether `answer` must wait.
    pub(super) fn is_asking_for(&self, answer: &Answer) -> bool {
        matches!(self, Self::Asking(_)) && refuses(answer)
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Self::Asking(renewing) = self {
            *self = match std::task::ready!(renewing.as_mut().poll(context)) {
                Ok(true) => Self::Renewed,
                Ok(false) => Self::Refused,
                Err(error) => {
                    tracing::warn!(%error, "calls were refused for their credential");
                    Self::Refused
                }
            };
        }
        Poll::Ready(())
    }

    /// What `answer` is, as far as it is known now.
    pub(super) fn judge(&self, answer: Answer) -> Answer {
        match answer {
            Ok(reply) if reply.status == 401 => match self {
                Self::Asking(_) | Self::Renewed => Err(Undelivered::Unauthorized(reply)),
                Self::Good | Self::Refused => Ok(reply),
            },
            answer => answer,
        }
    }
}
