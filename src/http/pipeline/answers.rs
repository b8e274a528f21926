//! Bytes → answers: an incremental HTTP/1.1 decoder of responses to POST. No I/O.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Response, Status};
use thiserror::Error;

use crate::http::Reply;

/// Longest head, chunk header or trailer that is read, in bytes: Mesos's are about a hundred.
pub(super) const MAX_HEAD: usize = 16 * 1024;

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
    is_last: bool,
    /// How many bytes of an unfinished line or head have been looked at.
    seen: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    /// So many bytes of the body are left.
    Sized(u64),
    /// A chunk's header is next.
    ChunkHeader,
    /// So many bytes of the chunk are left.
    Chunk(u64),
    /// The line end behind a chunk is next.
    ChunkEnd,
    /// Lines up to an empty one.
    Trailer,
    UntilClose,
    Done,
}

/// What a head says of the body that follows.
struct Framing {
    body: State,
    is_last: bool,
}

impl Answers {
    /// Reads on: how many bytes of `input` are done with, and the answer if one is complete. What is not done with is
    /// to be given again, with more behind it.
    pub(super) fn read(&mut self, input: &[u8]) -> Result<(usize, Option<Answered>), DecodeError> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            let step = match self.state {
                State::Head => self.read_head(rest)?,
                State::Done => return Ok((used, Some(self.take()))),
                _ if rest.is_empty() => None,
                State::Sized(left) => {
                    let (step, left) = self.keep(rest, left);
                    self.state = if left == 0 {
                        State::Done
                    } else {
                        State::Sized(left)
                    };
                    Some(step)
                }
                State::Chunk(left) => {
                    let (step, left) = self.keep(rest, left);
                    self.state = if left == 0 {
                        State::ChunkEnd
                    } else {
                        State::Chunk(left)
                    };
                    Some(step)
                }
                State::UntilClose => Some(self.keep(rest, u64::MAX).0),
                State::ChunkHeader => self.read_chunk_header(rest),
                State::ChunkEnd | State::Trailer => self.read_line(rest),
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
        (self.state != State::Head).then(|| self.take().reply)
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
            ..Reply::default()
        };
        Answered {
            reply,
            is_last: self.is_last,
        }
    }

    /// The status counts; nothing behind it can be made out.
    fn give_up(&mut self) {
        self.is_last = true;
        self.state = State::Done;
    }

    fn keep(&mut self, rest: &[u8], left: u64) -> (usize, u64) {
        let step = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
        let room = MAX_ANSWER.saturating_sub(self.body.len()).min(step);
        self.body.extend_from_slice(&rest[..room]);
        (step, left.saturating_sub(step as u64))
    }

    /// A head that is not complete yet is looked at again only when another line has ended.
    fn read_head(&mut self, rest: &[u8]) -> Result<Option<usize>, DecodeError> {
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
        self.state = framing.body;
        self.is_last = framing.is_last;
        Ok(())
    }

    fn read_chunk_header(&mut self, rest: &[u8]) -> Option<usize> {
        match httparse::parse_chunk_size(rest) {
            Ok(Status::Complete((length, 0))) => {
                self.state = State::Trailer;
                Some(length)
            }
            Ok(Status::Complete((length, size))) => {
                self.state = State::Chunk(size);
                Some(length)
            }
            Ok(Status::Partial) if rest.len() <= MAX_HEAD => None,
            Ok(Status::Partial) | Err(_) => {
                self.give_up();
                Some(0)
            }
        }
    }

    fn read_line(&mut self, rest: &[u8]) -> Option<usize> {
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            if rest.len() <= MAX_HEAD {
                return None;
            }
            self.give_up();
            return Some(0);
        };
        let is_empty = matches!(&rest[..end], b"" | b"\r");
        match (self.state, is_empty) {
            (State::Trailer, true) => self.state = State::Done,
            (State::Trailer, false) => {}
            (_, true) => self.state = State::ChunkHeader,
            (_, false) => self.give_up(),
        }
        Some(end + 1)
    }
}

/// RFC 9112, sections 6.3 and 9.3. What contradicts itself ends the connection, so that nothing can be smuggled in.
fn framing(status: u16, is_old: bool, headers: &[Header<'_>]) -> Framing {
    let (mut length, mut coding) = (None, None);
    let (mut closes, mut stays, mut is_odd) = (false, false, false);
    for header in headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            let given = content_length(header.value);
            is_odd |= given.is_none() || (length.is_some() && length != given);
            length = given;
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            is_odd |= coding.is_some();
            coding = Some(header.value.trim_ascii());
        } else if header.name.eq_ignore_ascii_case("connection") {
            for option in header.value.split(|byte| *byte == b',') {
                closes |= option.trim_ascii().eq_ignore_ascii_case(b"close");
                stays |= option.trim_ascii().eq_ignore_ascii_case(b"keep-alive");
            }
        }
    }
    let is_last = closes || (is_old && !stays);
    let of = |body, is_last| Framing { body, is_last };
    match (coding, length) {
        _ if matches!(status, 204 | 304) => of(State::Done, is_last || is_odd),
        _ if is_odd => of(State::Done, true),
        (Some(coding), length) if coding.eq_ignore_ascii_case(b"chunked") => {
            of(State::ChunkHeader, is_last || length.is_some() || is_old)
        }
        (Some(_), _) => of(State::Done, true),
        (None, Some(0)) => of(State::Done, is_last),
        (None, Some(length)) => of(State::Sized(length), is_last),
        (None, None) => of(State::UntilClose, true),
    }
}

/// A number, or a list of the same one.
fn content_length(value: &[u8]) -> Option<u64> {
    let mut numbers = value.split(|byte| *byte == b',').map(|part| {
        let digits = part.trim_ascii();
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
        text.parse::<u64>().ok()
    });
    let first = numbers.next()??;
    numbers.all(|number| number == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests;
