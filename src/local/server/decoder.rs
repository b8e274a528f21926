//! Requests out of bytes, as leniently and as strictly as the parser of Mesos's servers.
//!
//! Source: `http_parser.c` of http-parser 2.6, which Apache Mesos 1.11.0 is built with (`HTTP_PARSER_STRICT=0`), and
//! `3rdparty/libprocess/src/decoder.hpp`.

use bytes::{Buf as _, Bytes, BytesMut};

use super::head::{Head, HeadDecoder, HeadError};

/// What is not HTTP: nothing behind it can be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// Nobody gets an answer.
    Head,
    /// The request had begun, and is answered.
    Body,
    /// The same: it is longer than can be kept.
    TooLong,
}

/// A whole request.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) head: Head,
    pub(super) body: Bytes,
}

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Decoder {
    /// Longest body.
    limit: usize,
    state: State,
    head: HeadDecoder,
    /// Of the request whose body comes.
    pending: Option<Head>,
    body: BytesMut,
    /// Of what is pending: whether somebody has seen it, and whether it has been answered.
    is_shown: bool,
    is_answered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    /// So many bytes are still to come.
    Body(u64),
    ChunkStart,
    ChunkSize(u64),
    /// Up to the end of the line.
    ChunkExtension(u64),
    /// The byte behind the line's carriage return, whatever it is.
    ChunkSizeEnd(u64),
    Chunk(u64),
    /// The two bytes behind a chunk, whatever they are.
    ChunkEnd,
    ChunkEnded,
    /// Behind the last chunk, and behind a carriage return there.
    Trailer,
    TrailerEnd,
    /// Another protocol follows, which there is not.
    Over,
}

impl Decoder {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            state: State::Head,
            head: HeadDecoder::default(),
            pending: None,
            body: BytesMut::new(),
            is_shown: false,
            is_answered: false,
        }
    }

    /// The next request, if all of it is there. What was read of `input` is gone from it.
    pub(super) fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Incoming>, Broken> {
        while input.has_remaining() {
            match self.state {
                State::Head => {
                    let head = self.head.decode(input).map_err(|HeadError| Broken::Head)?;
                    let Some(head) = head else { continue };
                    if let Some(whole) = self.begin(head) {
                        return Ok(Some(whole));
                    }
                }
                State::Body(left) => {
                    let left = self.take(left, input)?;
                    self.state = State::Body(left);
                    if left == 0
                        && let Some(whole) = self.end()
                    {
                        return Ok(Some(whole));
                    }
                }
                State::Chunk(left) => {
                    let left = self.take(left, input)?;
                    self.state = match left {
                        0 => State::ChunkEnd,
                        left => State::Chunk(left),
                    };
                }
                State::Over => return Err(Broken::Head),
                _ => {
                    let byte = input.get_u8();
                    if self.between_chunks(byte)?
                        && let Some(whole) = self.end()
                    {
                        return Ok(Some(whole));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Gives the request if it has no body.
    fn begin(&mut self, head: Head) -> Option<Incoming> {
        let is_body_next = head.is_chunked || head.length > 0;
        self.state = match (head.is_chunked, head.length) {
            (true, _) => State::ChunkStart,
            (false, length) => State::Body(length),
        };
        let is_connect = head.method == "CONNECT";
        self.pending = Some(head);
        self.is_shown = false;
        (is_connect || !is_body_next).then(|| self.end()).flatten()
    }

    fn end(&mut self) -> Option<Incoming> {
        let head = self.pending.take()?;
        self.state = match head.is_upgrade {
            true => State::Over,
            false => State::Head,
        };
        let body = std::mem::take(&mut self.body).freeze();
        (!std::mem::take(&mut self.is_answered)).then_some(Incoming { head, body })
    }

    /// The head of a request whose body is still to come, once.
    pub(super) fn begun(&mut self) -> Option<&mut Head> {
        let is_new = !std::mem::replace(&mut self.is_shown, true);
        self.pending.as_mut().filter(|_| is_new)
    }

    /// What has begun has its answer: its body is of no interest.
    pub(super) fn answered(&mut self) {
        self.is_answered = true;
    }

    /// What a broken body comes to.
    fn broken_body(&self) -> Broken {
        if self.is_answered {
            Broken::Head
        } else {
            Broken::Body
        }
    }

    /// Takes as much of the body as there is; how much is left.
    fn take(&mut self, left: u64, input: &mut BytesMut) -> Result<u64, Broken> {
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let piece = input.split_to(input.len().min(most));
        let taken = piece.len();
        if self.is_answered {
            return Ok(left - u64::try_from(taken).unwrap_or(left));
        }
        if self.body.len() + taken > self.limit {
            return Err(Broken::TooLong);
        }
        if self.body.is_empty() {
            self.body = piece;
        } else {
            self.body.extend_from_slice(&piece);
        }
        Ok(left - u64::try_from(taken).unwrap_or(left))
    }

    /// Whether the request ends with this byte.
    fn between_chunks(&mut self, byte: u8) -> Result<bool, Broken> {
        self.state = match self.state {
            State::ChunkStart => State::ChunkSize(digit(byte).ok_or(self.broken_body())?),
            State::ChunkSize(size) => match (digit(byte), byte) {
                (Some(_), _) if size > (u64::MAX - 16) / 16 => {
                    return Err(self.broken_body());
                }
                (Some(digit), _) => State::ChunkSize(size * 16 + digit),
                (None, b'\r') => State::ChunkSizeEnd(size),
                (None, b';' | b' ') => State::ChunkExtension(size),
                _ => return Err(self.broken_body()),
            },
            State::ChunkExtension(size) if byte == b'\r' => State::ChunkSizeEnd(size),
            State::ChunkSizeEnd(0) => State::Trailer,
            State::ChunkSizeEnd(size) => State::Chunk(size),
            State::ChunkEnd => State::ChunkEnded,
            State::ChunkEnded => State::ChunkStart,
            State::Trailer if byte == b'\r' => State::TrailerEnd,
            State::Trailer if byte == b'\n' => return Ok(true),
            // libprocess does not expect any.
            State::Trailer => return Err(self.broken_body()),
            State::TrailerEnd => return Ok(true),
            state => state,
        };
        Ok(false)
    }
}

/// What is no ASCII is a zero, for the parser's table ends there.
fn digit(byte: u8) -> Option<u64> {
    match byte {
        0x80.. => Some(0),
        _ => char::from(byte).to_digit(16).map(u64::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths and bodies of all that is read, and how it ended.
    fn read(pieces: &[&[u8]]) -> (Vec<(String, String)>, Option<Broken>) {
        let mut decoder = Decoder::new(100);
        let mut read = Vec::new();
        let mut input = BytesMut::new();
        for piece in pieces {
            input.extend_from_slice(piece);
            loop {
                match decoder.decode(&mut input) {
                    Ok(Some(own)) => {
                        let body = String::from_utf8_lossy(&own.body).into_owned();
                        read.push((own.head.target.path, body));
                    }
                    Ok(None) => break,
                    Err(broken) => return (read, Some(broken)),
                }
            }
        }
        (read, None)
    }

    /// Whole, and byte by byte.
    fn read_both(text: &str) -> (Vec<(String, String)>, Option<Broken>) {
        let whole = read(&[text.as_bytes()]);
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(read(&bytes), whole, "{text}");
        whole
    }

    fn of(path: &str, body: &str) -> (String, String) {
        (path.to_owned(), body.to_owned())
    }

    #[test]
    fn requests_follow_each_other() {
        let text = "POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\n\r\n\r\n\
                    POST /c HTTP/1.1\nTransfer-Encoding: chunked\n\n3;x\r\nabc\r\n1\r\nd\r\n0\r\n\r\nGET /d";
        let expected = vec![of("/a", "abc"), of("/b", ""), of("/c", "abcd")];
        assert_eq!(read_both(text), (expected, None));
    }

    /// As a real master took them.
    #[test]
    fn bodies_that_are_none_break_the_connection() {
        let chunked = "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (body, expected) in [
            ("zz\r\n", Some(Broken::Body)),
            ("3\nabc\n0\n\n", Some(Broken::Body)),
            ("ffffffffffffffffff\r\n", Some(Broken::Body)),
            ("0\r\nX: y\r\n\r\n", Some(Broken::Body)),
            ("65\r\n", None),
        ] {
            let (read, broken) = read_both(&format!("{chunked}{body}"));
            assert_eq!((read.len(), broken), (0, expected), "{body}");
        }
        let long = format!("{chunked}65\r\n{}", "x".repeat(101));
        assert_eq!(read_both(&long).1, Some(Broken::TooLong));
        let lenient = format!("{chunked}3\r\nabcxx0\r\n\r\n");
        assert_eq!(read_both(&lenient), (vec![of("/a", "abc")], None));
    }

    #[test]
    fn nothing_follows_what_asks_for_another_protocol() {
        let text = "GET /a HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n";
        assert_eq!(read_both(text), (vec![of("/a", "")], None));
        let more = format!("{text}x");
        assert_eq!(read_both(&more), (vec![of("/a", "")], Some(Broken::Head)));
    }
}
