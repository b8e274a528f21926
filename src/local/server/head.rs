//! A request's line and headers, byte by byte.
//!
//! Source: `http_parser_execute`, `http_parser.c` of http-parser 2.6, and `3rdparty/libprocess/src/decoder.hpp` of Apache
//! Mesos 1.11.0.

use bytes::{Buf as _, BytesMut};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::target::{self, Place, Target};

/// Most bytes before the body (`HTTP_MAX_HEADER_SIZE`).
const MAX_SIZE: usize = 80 * 1024;

/// Highest number of a version.
const MAX_VERSION: u32 = 999;

const METHODS: [&str; 33] = [
    "DELETE",
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "CONNECT",
    "OPTIONS",
    "TRACE",
    "COPY",
    "LOCK",
    "MKCOL",
    "MOVE",
    "PROPFIND",
    "PROPPATCH",
    "SEARCH",
    "UNLOCK",
    "BIND",
    "REBIND",
    "UNBIND",
    "ACL",
    "REPORT",
    "MKACTIVITY",
    "CHECKOUT",
    "MERGE",
    "M-SEARCH",
    "NOTIFY",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "PATCH",
    "PURGE",
    "MKCALENDAR",
    "LINK",
    "UNLINK",
];

/// It is no HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeadError;

/// What comes before a body.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: &'static str,
    pub(super) target: Target,
    /// Of several of one name, the last.
    pub(super) headers: HeaderMap,
    pub(super) is_chunked: bool,
    /// Of a body that is not chunked.
    pub(super) length: u64,
    /// Whether the client wants to go on in another protocol.
    pub(super) is_upgrade: bool,
    /// Whether the connection serves another request.
    pub(super) keeps_alive: bool,
}

/// One head after another.
#[derive(Debug, Default)]
pub(super) struct HeadDecoder {
    state: State,
    size: usize,
    method: Vec<u8>,
    target: Vec<u8>,
    major: u32,
    minor: u32,
    name: Vec<u8>,
    value: Vec<u8>,
    headers: HeaderMap,
    length: Option<u64>,
    is_chunked: bool,
    closes: bool,
    stays: bool,
    has_upgrade: bool,
    connects_upgrade: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Start,
    Method,
    BeforeTarget,
    Target(Place),
    /// Before the version, and so many letters of `HTTP/`.
    Version(usize),
    FirstMajor,
    Major,
    FirstMinor,
    Minor,
    LineEnd,
    NameStart,
    Name,
    BeforeValue,
    /// Behind the carriage return of an empty value, and behind its line.
    EmptyValueEnd,
    EmptyValueEnded,
    Value,
    ValueEnd,
    /// The next line may go on with the value.
    ValueEnded,
    /// Behind the carriage return of the empty line.
    End,
}

/// What a byte brought.
enum Step {
    Next(State),
    /// The same byte once more.
    Again(State),
    Done,
}

impl HeadDecoder {
    /// The head, if all of it is there.
    pub(super) fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Head>, HeadError> {
        while let Some(byte) = input.first().copied() {
            input.advance(1);
            if self.state != State::Start {
                self.size += 1;
            }
            if self.size > MAX_SIZE {
                return Err(HeadError);
            }
            loop {
                match self.step(byte)? {
                    Step::Next(state) => {
                        self.state = state;
                        break;
                    }
                    Step::Again(state) => self.state = state,
                    Step::Done => return std::mem::take(self).finish().map(Some),
                }
            }
        }
        Ok(None)
    }

    fn step(&mut self, byte: u8) -> Result<Step, HeadError> {
        use State::{
            BeforeTarget, BeforeValue, EmptyValueEnd, EmptyValueEnded, End, FirstMajor, FirstMinor,
            LineEnd, Major, Method, Minor, Name, NameStart, Start, Value, ValueEnd, ValueEnded,
        };
        let next = match (self.state, byte) {
            (Start, b'\r' | b'\n') => Start,
            (Start, _) => return Ok(Step::Again(Method)),
            (Method, _) => self.method_byte(byte)?,
            (BeforeTarget, _) => self.before_target(byte)?,
            (State::Target(place), _) => self.target_byte(place, byte)?,
            (State::Version(0), b' ') => State::Version(0),
            (State::Version(0), b'H') => State::Version(1),
            // Of `HTTP/`, only the first letter is looked at.
            (State::Version(4), _) => FirstMajor,
            (State::Version(letters @ 1..4), _) => State::Version(letters + 1),
            (FirstMajor, b'1'..=b'9') => {
                self.major = u32::from(byte - b'0');
                Major
            }
            (Major, b'.') => FirstMinor,
            (Major, b'0'..=b'9') => {
                self.major = version(self.major, byte)?;
                Major
            }
            (FirstMinor, b'0'..=b'9') => {
                self.minor = u32::from(byte - b'0');
                Minor
            }
            (Minor, b'\r') => LineEnd,
            (Minor, b'\n') | (LineEnd, b'\n') => NameStart,
            (Minor, b'0'..=b'9') => {
                self.minor = version(self.minor, byte)?;
                Minor
            }
            (NameStart, b'\r') => End,
            (NameStart, b'\n') => return Ok(Step::Again(End)),
            (NameStart, _) if is_token(byte) => {
                self.name = vec![byte];
                self.value.clear();
                Name
            }
            (Name, b':') => BeforeValue,
            (Name, _) if is_token(byte) => {
                self.name.push(byte);
                Name
            }
            (BeforeValue, b' ' | b'\t') => BeforeValue,
            (BeforeValue, b'\r') => EmptyValueEnd,
            (BeforeValue, b'\n') | (EmptyValueEnd, _) => EmptyValueEnded,
            (BeforeValue, _) => return Ok(Step::Again(Value)),
            (EmptyValueEnded, b' ' | b'\t') => BeforeValue,
            (EmptyValueEnded, _) => {
                self.header(false)?;
                return Ok(Step::Again(NameStart));
            }
            (Value, b'\r') => ValueEnd,
            (Value, b'\n') | (ValueEnd, b'\n') => ValueEnded,
            (Value, _) => {
                self.look_at(byte)?;
                self.value.push(byte);
                Value
            }
            (ValueEnded, b' ' | b'\t') => return Ok(Step::Again(Value)),
            (ValueEnded, _) => {
                self.header(true)?;
                return Ok(Step::Again(NameStart));
            }
            (End, _) => return Ok(Step::Done),
            _ => return Err(HeadError),
        };
        Ok(Step::Next(next))
    }

    fn method_byte(&mut self, byte: u8) -> Result<State, HeadError> {
        if byte == b' ' {
            return match METHODS.iter().any(|own| own.as_bytes() == self.method) {
                true => Ok(State::BeforeTarget),
                false => Err(HeadError),
            };
        }
        self.method.push(byte);
        let mut methods = METHODS.iter();
        match methods.any(|own| own.as_bytes().starts_with(&self.method)) {
            true => Ok(State::Method),
            false => Err(HeadError),
        }
    }

    fn before_target(&mut self, byte: u8) -> Result<State, HeadError> {
        if byte == b' ' {
            return Ok(State::BeforeTarget);
        }
        let first = match self.method == b"CONNECT" {
            true => Place::Server,
            false => Place::Start,
        };
        self.target_byte(first, byte)
    }

    fn target_byte(&mut self, place: Place, byte: u8) -> Result<State, HeadError> {
        match byte {
            b' ' | b'\r' | b'\n' if !place.may_end() => Err(HeadError),
            b' ' => Ok(State::Version(0)),
            b'\r' | b'\n' => {
                // HTTP/0.9, without a version.
                self.minor = 9;
                let is_line_over = byte == b'\n';
                Ok(if is_line_over {
                    State::NameStart
                } else {
                    State::LineEnd
                })
            }
            _ => {
                self.target.push(byte);
                let place = place.after(byte).ok_or(HeadError)?;
                Ok(State::Target(place))
            }
        }
    }

    /// What must not be in a value is refused only where the parser looks: behind the first byte, where it compares values
    /// with what it knows, and at the byte behind that.
    fn look_at(&self, byte: u8) -> Result<(), HeadError> {
        let at = self.value.len();
        let name = self.name.trim_ascii_end();
        if name.eq_ignore_ascii_case(b"content-length") {
            let is_right = byte.is_ascii_digit() || (byte == b' ' && at > 0);
            return match is_right && self.length.is_none() {
                true => Ok(()),
                false => Err(HeadError),
            };
        }
        if at == 0 || !byte.is_ascii_control() || byte == b'\t' {
            return Ok(());
        }
        let own = [&b"connection"[..], b"proxy-connection"];
        let is_compared = own.iter().any(|own| name.eq_ignore_ascii_case(own));
        let mut last = 1;
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let both = self.value.iter().zip(b"chunked");
            last += both
                .take_while(|(own, known)| own.eq_ignore_ascii_case(known))
                .count();
        }
        match is_compared || at <= last {
            true => Err(HeadError),
            false => Ok(()),
        }
    }

    /// Takes note of a header; `has_value`: one that was not left out.
    fn header(&mut self, has_value: bool) -> Result<(), HeadError> {
        let name = String::from_utf8_lossy(&self.name).to_ascii_lowercase();
        if has_value {
            // Here, spaces behind a name are none of it.
            match name.trim_end_matches(' ') {
                "content-length" => self.content_length()?,
                "transfer-encoding" => {
                    let value = self.value.trim_ascii_end();
                    self.is_chunked |= value.eq_ignore_ascii_case(b"chunked");
                }
                "connection" | "proxy-connection" => self.connection(),
                "upgrade" => self.has_upgrade = true,
                _ => {}
            }
        }
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            // With a space in it: nobody asks for it.
            return Ok(());
        };
        let mut value = std::mem::take(&mut self.value);
        for byte in &mut value {
            if byte.is_ascii_control() && *byte != b'\t' {
                *byte = b'?';
            }
        }
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            self.headers.insert(name, value);
        }
        Ok(())
    }

    /// One number, in which there may be spaces.
    fn content_length(&mut self) -> Result<(), HeadError> {
        let starts_well = self.value.first().is_some_and(u8::is_ascii_digit);
        if !starts_well || self.length.is_some() {
            return Err(HeadError);
        }
        let mut length: u64 = 0;
        for byte in self.value.iter().filter(|byte| **byte != b' ') {
            if !byte.is_ascii_digit() || length > (u64::MAX - 10) / 10 {
                return Err(HeadError);
            }
            length = length * 10 + u64::from(byte - b'0');
        }
        self.length = Some(length);
        Ok(())
    }

    fn connection(&mut self) {
        let value = String::from_utf8_lossy(&self.value).to_ascii_lowercase();
        for token in value.split(',') {
            match token.trim_start_matches([' ', '\t']).trim_end_matches(' ') {
                "close" => self.closes = true,
                "keep-alive" => self.stays = true,
                "upgrade" => self.connects_upgrade = true,
                _ => {}
            }
        }
    }

    fn finish(self) -> Result<Head, HeadError> {
        if self.is_chunked && self.length.is_some() {
            return Err(HeadError);
        }
        let mut methods = METHODS.into_iter();
        let method = methods.find(|own| own.as_bytes() == self.method);
        let method = method.ok_or(HeadError)?;
        let is_current = self.major > 0 && self.minor > 0;
        Ok(Head {
            target: target::parse(&self.target).ok_or(HeadError)?,
            is_upgrade: method == "CONNECT" || (self.has_upgrade && self.connects_upgrade),
            keeps_alive: if is_current { !self.closes } else { self.stays },
            method,
            headers: self.headers,
            is_chunked: self.is_chunked,
            length: self.length.unwrap_or_default(),
        })
    }
}

fn version(number: u32, digit: u8) -> Result<u32, HeadError> {
    let number = number * 10 + u32::from(digit - b'0');
    if number > MAX_VERSION {
        return Err(HeadError);
    }
    Ok(number)
}

/// What names are made of, and spaces.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" !#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Option<Head>, HeadError> {
        HeadDecoder::default().decode(&mut BytesMut::from(text))
    }

    /// As a real master took them.
    #[test]
    fn what_is_no_http_is_refused() {
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(MAX_SIZE));
        for wrong in [
            "hello",
            "get / HTTP/1.1\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\n",
            "GET / HTTP/1.1 \r\n\r\n",
            "GET a HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost\r\n\r\n",
            "GET / HTTP/1.1\r\n: x\r\n\r\n",
            "GET / HTTP/1.1\r\n\u{e9}: x\r\n\r\n",
            "GET / HTTP/1.1\r\nX: a\rb\r\n\r\n",
            "GET / HTTP/1.1\r\nX: a\u{1}\r\n\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunke\u{1}\r\n\r\n",
            "GET / HTTP/1.1\r\nConnection: x, y\u{1}\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: x",
            "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            &long,
        ] {
            assert!(head(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn odd_heads_are_taken() {
        for text in [
            "GET /a\r\n\r\n",
            "GET /a Hello1.1\r\n\r\n",
            "GET /a HTTP/1.1\r\nX: ab\u{1}\r\n\r\n",
            "\r\nGET  /a  HTTP/9.9\n\n",
            "PROPFIND /a HTTP/1.1\r\nA b: \u{1}\r\n\r\n",
            "GET /a HTTP/1.1\r\nContent-Length: 2 1\r\n\r\n",
            "GET /a HTTP/1.1\r\nContent-Length: \r\n\r\n",
        ] {
            let head = head(text).ok().flatten();
            assert_eq!(
                head.map(|head| head.target.path).as_deref(),
                Some("/a"),
                "{text}"
            );
        }
    }

    #[test]
    fn headers_are_the_last_of_their_name_with_spaces_behind_them() {
        let text = "GET / HTTP/1.1\r\nAccept: a\r\nACCEPT:\tb\r\n c \r\n\r\n";
        let head = head(text).unwrap().unwrap();
        assert_eq!(head.headers.get("accept").unwrap(), "b c ");
        assert!(head.keeps_alive);
    }

    #[test]
    fn connections_stay_as_version_and_header_have_it() {
        for (version, connection, expected) in [
            ("1.1", "", true),
            ("1.1", "Connection: x, Close\r\n", false),
            ("1.0", "", false),
            ("1.0", "Connection: keep-alive\r\n", true),
            ("2.0", "", false),
        ] {
            let head = head(&format!("GET / HTTP/{version}\r\n{connection}\r\n"));
            assert_eq!(
                head.unwrap().unwrap().keeps_alive,
                expected,
                "{version} {connection}"
            );
        }
    }
}
