//! Bytes → bodies: where the content of an HTTP/1.1 message stands, by its framing. No I/O.

use httparse::{Header, Status};

/// Longest head, chunk header or trailer that is read, in bytes: Mesos's are about a hundred.
pub(super) const MAX_HEAD: usize = 16 * 1024;

/// What comes next in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes are left.
    Sized(u64),
    /// A chunk's header.
    ChunkHeader,
    /// So many bytes of the chunk are left.
    Chunk(u64),
    /// The line end behind a chunk.
    ChunkEnd,
    /// Lines up to an empty one.
    Trailer,
    UntilClose,
    Done,
}

/// What the next bytes of a body are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// So many of them are content.
    Content(usize),
    /// So many of them are not.
    Framing(usize),
    /// More are needed to tell; what was given is to be given again.
    Unfinished,
    /// Nothing behind this can be made out.
    Odd,
}

/// What a head says of the body that follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framing {
    pub(super) body: Body,
    /// Whether nothing follows the body on its connection.
    pub(super) is_last: bool,
}

impl Body {
    /// Goes on by what it answers of `rest`. Not to be asked once it is done.
    pub(super) fn step(&mut self, rest: &[u8]) -> Part {
        if rest.is_empty() {
            return Part::Unfinished;
        }
        match *self {
            Self::Sized(left) => self.content(rest, left, Self::Sized, Self::Done),
            Self::Chunk(left) => self.content(rest, left, Self::Chunk, Self::ChunkEnd),
            Self::UntilClose => Part::Content(rest.len()),
            Self::ChunkHeader => self.chunk_header(rest),
            Self::ChunkEnd | Self::Trailer => self.line(rest),
            Self::Done => Part::Odd,
        }
    }

    fn content(&mut self, rest: &[u8], left: u64, more: fn(u64) -> Self, end: Self) -> Part {
        let step = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
        *self = match left - step as u64 {
            0 => end,
            left => more(left),
        };
        Part::Content(step)
    }

    fn chunk_header(&mut self, rest: &[u8]) -> Part {
        match httparse::parse_chunk_size(rest) {
            Ok(Status::Complete((length, size))) => {
                *self = match size {
                    0 => Self::Trailer,
                    size => Self::Chunk(size),
                };
                Part::Framing(length)
            }
            Ok(Status::Partial) if rest.len() <= MAX_HEAD => Part::Unfinished,
            Ok(Status::Partial) | Err(_) => Part::Odd,
        }
    }

    fn line(&mut self, rest: &[u8]) -> Part {
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            return match rest.len() {
                ..=MAX_HEAD => Part::Unfinished,
                _ => Part::Odd,
            };
        };
        let is_empty = matches!(&rest[..end], b"" | b"\r");
        match (*self, is_empty) {
            (Self::Trailer, true) => *self = Self::Done,
            (Self::Trailer, false) => {}
            (_, true) => *self = Self::ChunkHeader,
            (_, false) => return Part::Odd,
        }
        Part::Framing(end + 1)
    }
}

/// RFC 9112, sections 6.3 and 9.3. What contradicts itself ends the connection, so that nothing can be smuggled in.
pub(super) fn framing(status: u16, is_old: bool, headers: &[Header<'_>]) -> Framing {
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
        _ if matches!(status, 204 | 304) => of(Body::Done, is_last || is_odd),
        _ if is_odd => of(Body::Done, true),
        (Some(coding), length) if coding.eq_ignore_ascii_case(b"chunked") => {
            of(Body::ChunkHeader, is_last || length.is_some() || is_old)
        }
        (Some(_), _) => of(Body::Done, true),
        (None, Some(0)) => of(Body::Done, is_last),
        (None, Some(length)) => of(Body::Sized(length), is_last),
        (None, None) => of(Body::UntilClose, true),
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
