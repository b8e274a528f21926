//! RecordIO: how Mesos frames the messages of a stream. No I/O, no clock.
//!
//! A record is its length in bytes as decimal digits, one line feed, and then that many bytes; nothing separates records
//! and nothing ends the stream. Records have nothing to do with the chunks in which HTTP carries them.
//!
//! Source: `3rdparty/stout/include/stout/recordio.hpp` of Apache Mesos 1.11.0.

use bytes::{Buf as _, BufMut, Bytes, BytesMut};

/// Longest record that is read unless configured otherwise: 64 MiB. Mesos sets no limit of its own.
pub const DEFAULT_MAX_RECORD_SIZE: usize = 64 * 1024 * 1024;

/// Digits of the longest length that fits 64 bits.
const MAX_HEADER_DIGITS: usize = 20;

/// Room that a record begun in one chunk reserves at most before its bytes arrive.
const MAX_EAGER_CAPACITY: usize = 256 * 1024;

/// Why a stream stopped being RecordIO. There is no resynchronising: the stream is lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The length line is not a decimal number.
    #[error("record header {0:?} is not a length")]
    Header(String),
    /// The length line has no end.
    #[error("record header {0:?}… has more than 20 digits")]
    EndlessHeader(String),
    /// The record is longer than the limit.
    #[error("record of {size} bytes is longer than the limit of {limit} bytes")]
    TooLong {
        /// The length that the header states, in bytes.
        size: u64,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The stream ended inside a record.
    #[error("stream ended inside a record, {missing} bytes short")]
    Truncated {
        /// Bytes of the record that did not arrive; 0 if the header itself was cut.
        missing: usize,
    },
}

/// Takes records out of the chunks of a stream, however the stream is cut.
///
/// Feed a chunk, then take records until there is none. Records that lie within one chunk share its memory; only those
/// that cross a border are copied.
///
/// # Examples
/// ```
/// use mesos_framework::recordio::Decoder;
///
/// let mut decoder = Decoder::new(1024);
/// decoder.feed("5\nhel".into());
/// assert_eq!(decoder.next_record()?, None);
/// decoder.feed("lo3\nyou".into());
/// assert_eq!(decoder.next_record()?.as_deref(), Some(&b"hello"[..]));
/// assert_eq!(decoder.next_record()?.as_deref(), Some(&b"you"[..]));
/// decoder.finish()?;
/// # Ok::<(), mesos_framework::recordio::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    /// Bytes fed and not yet looked at.
    chunk: Bytes,
    state: State,
    /// The first error; it is answered for ever.
    failed: Option<DecodeError>,
}

#[derive(Debug)]
enum State {
    Header {
        digits: usize,
        text: [u8; MAX_HEADER_DIGITS],
    },
    Body {
        size: usize,
        begun: Vec<u8>,
    },
}

impl State {
    const START: Self = Self::Header {
        digits: 0,
        text: [0; MAX_HEADER_DIGITS],
    };
}

impl Decoder {
    /// A decoder that refuses records longer than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            chunk: Bytes::new(),
            state: State::START,
            failed: None,
        }
    }

    /// Adds the next chunk of the stream. Records of the chunk before that were not taken yet are kept.
    pub fn feed(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            let mut joined = BytesMut::with_capacity(self.chunk.len() + chunk.len());
            joined.put(std::mem::take(&mut self.chunk));
            joined.put(chunk);
            self.chunk = joined.freeze();
        }
    }

    /// The next whole record, or `None` until more is fed.
    ///
    /// # Errors
    /// [`DecodeError`] when the stream is not RecordIO; from then on always the same.
    pub fn next_record(&mut self) -> Result<Option<Bytes>, DecodeError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let record = self.advance();
        if let Err(error) = &record {
            self.failed = Some(error.clone());
        }
        record
    }

    /// Checks that the stream ends here between two records.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] inside a record.
    pub fn finish(&self) -> Result<(), DecodeError> {
        match &self.state {
            State::Header { digits: 0, .. } if self.chunk.is_empty() => Ok(()),
            State::Header { .. } => Err(DecodeError::Truncated { missing: 0 }),
            State::Body { size, begun } => Err(DecodeError::Truncated {
                missing: size.saturating_sub(begun.len() + self.chunk.len()),
            }),
        }
    }

    fn advance(&mut self) -> Result<Option<Bytes>, DecodeError> {
        if let State::Header { .. } = self.state {
            let Some(size) = self.header()? else {
                return Ok(None);
            };
            if self.chunk.len() >= size {
                return Ok(Some(self.chunk.split_to(size)));
            }
            let begun = Vec::with_capacity(match size {
                ..=MAX_EAGER_CAPACITY => size,
                _ => MAX_EAGER_CAPACITY.min(size / 2),
            });
            self.state = State::Body { size, begun };
        }
        Ok(self.body())
    }

    /// The length of the next record, once its line is complete.
    fn header(&mut self) -> Result<Option<usize>, DecodeError> {
        let State::Header { digits, text } = &mut self.state else {
            return Ok(None);
        };
        let shown = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        let mut read = 0;
        for &byte in &self.chunk {
            read += 1;
            if byte == b'\n' {
                let size = parse_length(&text[..*digits], self.limit)?;
                self.state = State::START;
                self.chunk.advance(read);
                return Ok(Some(size));
            }
            if *digits == MAX_HEADER_DIGITS {
                return Err(DecodeError::EndlessHeader(shown(text)));
            }
            text[*digits] = byte;
            *digits += 1;
            if !byte.is_ascii_digit() {
                return Err(DecodeError::Header(shown(&text[..*digits])));
            }
        }
        self.chunk.clear();
        Ok(None)
    }

    /// Moves what is there into the record begun; the record once it is whole.
    fn body(&mut self) -> Option<Bytes> {
        let State::Body { size, begun } = &mut self.state else {
            return None;
        };
        let missing = *size - begun.len();
        let part = self.chunk.split_to(self.chunk.len().min(missing));
        let wanted = begun.len() + part.len();
        if wanted > begun.capacity() {
            // Doubles up to half of the record, and then takes room for all of it: what is moved and what it is moved to
            // are together never longer than the record.
            let half = *size / 2;
            let capacity = match wanted <= half {
                true => begun.capacity().saturating_mul(2).clamp(wanted, half),
                false => *size,
            };
            begun.reserve_exact(capacity - begun.len());
        }
        begun.extend_from_slice(&part);
        if part.len() < missing {
            return None;
        }
        let record = Bytes::from(std::mem::take(begun));
        self.state = State::START;
        Some(record)
    }
}

fn parse_length(digits: &[u8], limit: usize) -> Result<usize, DecodeError> {
    let text = String::from_utf8_lossy(digits);
    let Ok(size) = text.parse::<u64>() else {
        return Err(DecodeError::Header(text.into_owned()));
    };
    match usize::try_from(size) {
        Ok(size) if size <= limit => Ok(size),
        _ => Err(DecodeError::TooLong { size, limit }),
    }
}

/// Appends `record` to `stream`, framed.
///
/// # Examples
/// ```
/// let mut stream = bytes::BytesMut::new();
/// mesos_framework::recordio::encode(b"hello", &mut stream);
/// assert_eq!(&stream[..], b"5\nhello");
/// ```
pub fn encode(record: &[u8], stream: &mut BytesMut) {
    let header = record.len().to_string();
    stream.reserve(header.len() + 1 + record.len());
    stream.put_slice(header.as_bytes());
    stream.put_u8(b'\n');
    stream.put_slice(record);
}

#[cfg(test)]
mod tests {
    mod hostile;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn decode_all(chunks: &[&[u8]], limit: usize) -> Result<Vec<Vec<u8>>, DecodeError> {
        let mut decoder = Decoder::new(limit);
        let mut records = Vec::new();
        for chunk in chunks {
            decoder.feed(Bytes::copy_from_slice(chunk));
            while let Some(record) = decoder.next_record()? {
                records.push(record.to_vec());
            }
        }
        decoder.finish()?;
        Ok(records)
    }

    #[test]
    fn reads_a_stream_as_a_master_writes_it() {
        let stream: &[u8] = b"20\n{\"type\":\"HEARTBEAT\"}1\nx0\n";
        let records = decode_all(&[stream], 100).unwrap();
        assert_eq!(records, [&b"{\"type\":\"HEARTBEAT\"}"[..], b"x", b""]);
    }

    #[test]
    fn keeps_untaken_records_when_fed_again() {
        let mut decoder = Decoder::new(100);
        decoder.feed("1\na1\n".into());
        decoder.feed("b".into());
        assert_eq!(decoder.next_record().unwrap().unwrap(), "a");
        assert_eq!(decoder.next_record().unwrap().unwrap(), "b");
    }

    #[test]
    fn refuses_headers_that_are_no_length_and_names_them() {
        for (stream, text) in [
            (&b"\nabc"[..], "record header \"\" is not a length"),
            (b"-1\n", "record header \"-\" is not a length"),
            (b"<html>", "record header \"<\" is not a length"),
            (b"12\r\n", "record header \"12\\r\" is not a length"),
            (
                b"18446744073709551616\n",
                "record header \"18446744073709551616\" is not a length",
            ),
            (
                b"000000000000000000000\n",
                "record header \"00000000000000000000\"… has more than 20 digits",
            ),
        ] {
            assert_eq!(decode_all(&[stream], 100).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn refuses_a_length_of_4_gib_without_reserving_it() {
        let error = decode_all(&[b"4294967296\n"], DEFAULT_MAX_RECORD_SIZE).unwrap_err();
        assert_eq!(
            error.to_string(),
            "record of 4294967296 bytes is longer than the limit of 67108864 bytes"
        );
        let mut decoder = Decoder::new(usize::MAX);
        decoder.feed("4294967296\nabc".into());
        assert_eq!(decoder.next_record(), Ok(None));
        let State::Body { begun, .. } = &decoder.state else {
            panic!("inside the record")
        };
        assert!(begun.capacity() <= 2 * MAX_EAGER_CAPACITY);
    }

    #[test]
    fn answers_the_first_error_for_ever() {
        let mut decoder = Decoder::new(100);
        decoder.feed("x".into());
        let error = decoder.next_record().unwrap_err();
        decoder.feed("1\na".into());
        assert_eq!(decoder.next_record(), Err(error));
    }

    #[test]
    fn says_how_much_of_a_cut_record_is_missing() {
        assert_eq!(
            decode_all(&[b"5\nab"], 100),
            Err(DecodeError::Truncated { missing: 3 })
        );
        assert_eq!(
            decode_all(&[b"5"], 100),
            Err(DecodeError::Truncated { missing: 0 })
        );
    }

    proptest! {
        #![proptest_config(crate::tests::cases(256))]

        #[test]
        fn any_split_gives_the_same_records(
            records in vec(vec(any::<u8>(), 0..300), 0..12),
            cuts in vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let mut stream = BytesMut::new();
            for record in &records {
                encode(record, &mut stream);
            }
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            at.extend([0, stream.len()]);
            at.sort_unstable();
            let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            prop_assert_eq!(decode_all(&chunks, 300).unwrap(), records);
        }

        #[test]
        fn arbitrary_bytes_never_panic(chunks in vec(vec(any::<u8>(), 0..40), 0..8)) {
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let _ = decode_all(&chunks, 30);
        }
    }
}
