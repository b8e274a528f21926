//! One connection: its bytes in and out.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use super::answers::{Answered, Answers};
use super::{Duplex, Outgoing};
use crate::http::Reply;
use crate::http::body::MAX_HEAD;

/// Bytes read at a time; a head or a line must fit in.
const INPUT: usize = 2 * MAX_HEAD;

/// A connection that is open.
pub(super) struct Connection<S> {
    stream: S,
    answers: Answers,
    input: Box<[u8]>,
    /// What of `input` is read and not done with.
    start: usize,
    end: usize,
    is_flushed: bool,
    /// The first failure to write: nothing more is written, and what the peer said before is still read.
    write_error: Option<io::Error>,
}

/// What has been read.
pub(super) enum Read {
    Answer(Answered),
    /// Nothing will follow; why.
    Ended(Box<dyn std::error::Error + Send + Sync>),
}

impl<S: Duplex> Connection<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            answers: Answers::default(),
            input: vec![0; INPUT].into_boxed_slice(),
            start: 0,
            end: 0,
            is_flushed: true,
            write_error: None,
        }
    }

    /// The next answer; `is_expected`: whether the peer has begun to receive a call that it has not answered.
    pub(super) fn read(&mut self, is_expected: bool, context: &mut Context<'_>) -> Poll<Read> {
        loop {
            if self.start < self.end {
                if !is_expected {
                    return Poll::Ready(Read::Ended("peer answers what it was not asked".into()));
                }
                match self.answers.read(&self.input[self.start..self.end]) {
                    Ok((used, answered)) => {
                        self.start += used;
                        if let Some(answered) = answered {
                            return Poll::Ready(Read::Answer(answered));
                        }
                    }
                    Err(error) => return Poll::Ready(Read::Ended(error.into())),
                }
            }
            self.make_room();
            match ready!(self.fill(context)) {
                Ok(0) => return Poll::Ready(Read::Ended(self.ended())),
                Ok(count) => self.end += count,
                Err(error) => return Poll::Ready(Read::Ended(error.into())),
            }
        }
    }

    fn make_room(&mut self) {
        if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    fn fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(&mut self.input[self.end..]);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn ended(&mut self) -> Box<dyn std::error::Error + Send + Sync> {
        match self.write_error.take() {
            Some(error) => error.into(),
            None => "peer closed it".into(),
        }
    }

    /// Writes what can be written now.
    pub(super) fn write(&mut self, out: &mut Outgoing, context: &mut Context<'_>) {
        while self.write_error.is_none() && !out.unwritten().is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, out.unwritten()) {
                Poll::Ready(Ok(0)) => self.write_error = Some(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    out.advance(count);
                    self.is_flushed = false;
                }
                Poll::Ready(Err(error)) => self.write_error = Some(error),
                Poll::Pending => break,
            }
        }
        if self.write_error.is_none() && !self.is_flushed {
            match Pin::new(&mut self.stream).poll_flush(context) {
                Poll::Ready(Ok(())) => self.is_flushed = true,
                Poll::Ready(Err(error)) => self.write_error = Some(error),
                Poll::Pending => {}
            }
        }
    }

    /// What has arrived of an answer whose status is known.
    pub(super) fn finish(&mut self) -> Option<Reply> {
        self.answers.finish()
    }
}
