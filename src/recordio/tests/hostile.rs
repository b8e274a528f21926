//! Streams that no master writes, cut in every way, against a reader that has all of the stream at once.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::*;
use crate::tests::{cases, changed, changes, cut};

const LIMIT: usize = 100;

/// The records of `stream`, and how it ends.
fn read_whole(mut stream: &[u8]) -> (Vec<Vec<u8>>, Result<(), DecodeError>) {
    let mut records = Vec::new();
    loop {
        let shown = |length: usize| String::from_utf8_lossy(&stream[..length]).into_owned();
        let is_end = |byte: &u8| !byte.is_ascii_digit();
        let digits = stream.iter().position(is_end).unwrap_or(stream.len());
        let error = match stream.get(digits) {
            None if stream.is_empty() => return (records, Ok(())),
            _ if digits > 20 => DecodeError::EndlessHeader(shown(20)),
            None => DecodeError::Truncated { missing: 0 },
            Some(b'\n') => match shown(digits).parse::<u64>() {
                Err(_) => DecodeError::Header(shown(digits)),
                Ok(size) if size > LIMIT as u64 => DecodeError::TooLong { size, limit: LIMIT },
                Ok(size) => {
                    let (size, rest) = (size as usize, &stream[digits + 1..]);
                    if size <= rest.len() {
                        records.push(rest[..size].to_vec());
                        stream = &rest[size..];
                        continue;
                    }
                    let missing = size - rest.len();
                    DecodeError::Truncated { missing }
                }
            },
            Some(_) if digits == 20 => DecodeError::EndlessHeader(shown(20)),
            Some(_) => DecodeError::Header(shown(digits + 1)),
        };
        return (records, Err(error));
    }
}

/// The same, of pieces; a record that has begun never takes more room than its limit allows.
fn read_pieces(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Result<(), DecodeError>) {
    let mut decoder = Decoder::new(LIMIT);
    let mut records = Vec::new();
    for piece in pieces {
        decoder.feed(Bytes::copy_from_slice(piece));
        loop {
            let next = decoder.next_record();
            if let State::Body { size, begun } = &decoder.state {
                assert!(begun.capacity() <= *size && *size <= LIMIT);
            }
            match next {
                Ok(Some(record)) => records.push(record.to_vec()),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next_record(), Err(error.clone()));
                    return (records, Err(error));
                }
            }
        }
        assert!(decoder.chunk.is_empty());
    }
    (records, decoder.finish())
}

fn header() -> impl Strategy<Value = Vec<u8>> {
    let odd = [
        "-1\n",
        "-0\n",
        "+5\n",
        " 5\n",
        "5 \n",
        "5\r\n",
        "\n",
        "\0\n",
        "0x5\n",
        "5.0\n",
        "1e2\n",
        "5",
        "100\n",
        "101\n",
        "4294967295\n",
        "4294967296\n",
        "9223372036854775807\n",
        "9223372036854775808\n",
        "18446744073709551615\n",
        "18446744073709551616\n",
        "99999999999999999999\n",
        "00000000000000000005\n",
        "000000000000000000005\n",
        "\u{665}\n",
    ];
    prop_oneof![
        prop::sample::select(odd.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        "[0-9]{1,22}\n?".prop_map(String::into_bytes),
        (0..=LIMIT + 1).prop_map(|size| format!("{size}\n").into_bytes()),
    ]
}

fn piece_of_stream() -> impl Strategy<Value = Vec<u8>> {
    let record = vec(any::<u8>(), 0..=LIMIT).prop_map(|record| {
        let mut framed = BytesMut::new();
        encode(&record, &mut framed);
        framed.to_vec()
    });
    prop_oneof![4 => record, 1 => header(), 1 => vec(any::<u8>(), 0..40)]
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn any_stream_in_any_pieces_gives_what_it_gives_at_once(
        stream in vec(piece_of_stream(), 0..8),
        lengths in vec(0..50_usize, 0..6),
    ) {
        let stream = stream.concat();
        prop_assert_eq!(read_pieces(&cut(&stream, &lengths)), read_whole(&stream));
    }

    #[test]
    fn any_change_of_a_stream_gives_what_it_gives_at_once(
        records in vec(vec(any::<u8>(), 0..=LIMIT), 0..6),
        changes in changes(0..4),
        lengths in vec(0..50_usize, 0..6),
    ) {
        let mut stream = BytesMut::new();
        for record in &records {
            encode(record, &mut stream);
        }
        let stream = changed(stream.to_vec(), &changes);
        prop_assert_eq!(read_pieces(&cut(&stream, &lengths)), read_whole(&stream));
    }

    #[test]
    fn any_header_is_a_length_or_an_error(header in header(), lengths in vec(1..3_usize, 1..4)) {
        prop_assert_eq!(read_pieces(&cut(&header, &lengths)), read_whole(&header));
    }
}

#[test]
fn a_record_that_arrives_in_pieces_takes_no_more_room_than_its_length() {
    for size in [
        MAX_EAGER_CAPACITY + 1,
        2 * MAX_EAGER_CAPACITY - 1,
        3 * MAX_EAGER_CAPACITY + 1,
        9 * MAX_EAGER_CAPACITY,
    ] {
        let mut decoder = Decoder::new(size);
        decoder.feed(format!("{size}\n").into());
        let piece = Bytes::from(vec![7; 1000]);
        let (mut left, mut before) = (size, 0);
        while left > 0 {
            assert_eq!(decoder.next_record(), Ok(None));
            let State::Body { begun, .. } = &decoder.state else {
                panic!("inside the record")
            };
            assert!(begun.capacity() <= size, "{}", begun.capacity());
            // Also while it moves from one place to another.
            let moved = begun.len().saturating_sub(piece.len());
            assert!(begun.capacity() == before || 2 * moved <= size);
            before = begun.capacity();
            let length = left.min(piece.len());
            decoder.feed(piece.slice(..length));
            left -= length;
        }
        assert_eq!(decoder.next_record(), Ok(Some(vec![7; size].into())));
    }
}
