//! Bytes → answers: an incremental HTTP/1.1 decoder of responses to POST. No I/O.

use std::mem::MaybeUninit;

use httparse::{ParserConfig, Response, Status};
use thiserror::Error;

use crate::http::Reply;
use crate::http::body::{Body, MAX_HEAD, Part, framing};

const MAX_HEADERS: usize = 64;

/// Longest part of a body that is kept: Mesos's are a line or two. What is longer is read and dropped.
pub(in crate::http) const MAX_ANSWER: usize = 64 * 1024;

/// Why what came is no answer.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum DecodeError {
    #[error("answer is not HTTP: {0}")]
    NotHttp(httparse::Error),
    #[error("head of an answer is longer than {MAX_HEAD} bytes")]
    TooLong,
    #[error("answer changes the protocol (101)")]
    Upgraded,
}

/// An answer, and whether another may follow on its connection.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) reply: Reply,
    pub(super) is_last: bool,
}

/// The decoder: feed it what has arrived, again and again.
#[derive(Debug, Default)]
pub(super) struct Answers {
    state: State,
    status: u16,
    body: Vec<u8>,
    is_cut: bool,
    is_last: bool,
    /// How many bytes of an unfinished line or head have been looked at.
    seen: usize,
    /// The last head, if it was the whole of an answer: within a second, a peer writes the same one again and again.
    usual: Vec<u8>,
    usual_status: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    Body(Body),
}

impl Answers {
    /// Reads on: how many bytes of `input` are done with, and the answer if one is complete. What is not done with is
    /// to be given again, with more behind it.
    pub(super) fn read(&mut self, input: &[u8]) -> Result<(usize, Option<Answered>), DecodeError> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            let step = match &mut self.state {
                State::Head => self.read_head(rest)?,
                State::Body(Body::Done) => return Ok((used, Some(self.take()))),
                State::Body(body) => match body.step(rest) {
                    Part::Content(length) => {
                        self.keep(&rest[..length]);
                        Some(length)
                    }
                    Part::Framing(length) => Some(length),
                    Part::Unfinished => None,
                    Part::Odd => {
                        self.give_up();
                        Some(0)
                    }
                },
            };
            match step {
                Some(step) => used += step,
                None => return Ok((used, None)),
            }
        }
    }

    /// The connection has ended: an answer whose status is known counts with as much of its body as has arrived, for
    /// the status says the essence.
    pub(super) fn finish(&mut self) -> Option<Reply> {
        let State::Body(body) = self.state else {
            return None;
        };
        self.is_cut |= !matches!(body, Body::UntilClose | Body::Done);
        Some(self.take().reply)
    }

    fn take(&mut self) -> Answered {
        let body = match self.body.is_empty() {
            true => String::new(),
            false => String::from_utf8_lossy(&self.body).into_owned(),
        };
        self.body.clear();
        self.state = State::Head;
        self.seen = 0;
        let reply = Reply {
            status: self.status,
            body,
            is_cut: std::mem::take(&mut self.is_cut),
            ..Reply::default()
        };
        Answered {
            reply,
            is_last: self.is_last,
        }
    }

    /// The status counts; nothing behind it can be made out.
    fn give_up(&mut self) {
        self.is_cut = true;
        self.is_last = true;
        self.state = State::Body(Body::Done);
    }

    fn keep(&mut self, content: &[u8]) {
        let room = MAX_ANSWER.saturating_sub(self.body.len());
        self.body
            .extend_from_slice(&content[..room.min(content.len())]);
    }

    /// A head that is not complete yet is looked at again only when another line has ended.
    fn read_head(&mut self, rest: &[u8]) -> Result<Option<usize>, DecodeError> {
        if !self.usual.is_empty() && rest.starts_with(&self.usual) {
            self.status = self.usual_status;
            self.state = State::Body(Body::Done);
            self.is_last = false;
            self.seen = 0;
            return Ok(Some(self.usual.len()));
        }
        let is_new_line = rest[self.seen.min(rest.len())..].contains(&b'\n');
        self.seen = rest.len();
        if is_new_line {
            let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
            let mut response = Response::new(&mut []);
            let parsed = ParserConfig::default()
                .parse_response_with_uninit_headers(&mut response, rest, &mut headers)
                .map_err(DecodeError::NotHttp)?;
            if let Status::Complete(length) = parsed {
                self.seen = 0;
                self.begin(&response)?;
                if self.state == State::Body(Body::Done) && !self.is_last {
                    self.usual.clear();
                    self.usual.extend_from_slice(&rest[..length]);
                    self.usual_status = self.status;
                }
                return Ok(Some(length));
            }
        }
        match rest.len() > MAX_HEAD {
            true => Err(DecodeError::TooLong),
            false => Ok(None),
        }
    }

    fn begin(&mut self, response: &Response<'_, '_>) -> Result<(), DecodeError> {
        let status = response.code.unwrap_or_default();
        match status {
            // No status of HTTP; what the peer has done is not known.
            ..100 => return Err(DecodeError::NotHttp(httparse::Error::Status)),
            101 => return Err(DecodeError::Upgraded),
            // Interim: the answer is still to come.
            100..=199 => return Ok(()),
            _ => {}
        }
        let framing = framing(status, response.version == Some(0), response.headers);
        self.status = status;
        self.state = State::Body(framing.body);
        self.is_last = framing.is_last;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
