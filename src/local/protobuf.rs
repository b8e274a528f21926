//! The bytes of protobuf messages, read as Mesos's own library reads them, which takes more than the format allows.
//!
//! Source: `coded_stream.cc` and `wire_format.cc` of protobuf 3.5.0, which Apache Mesos 1.11.0 is built with.

use prost::encoding::WireType;

/// How deep messages and groups may stand in each other (`default_recursion_limit_` of `coded_stream.h`).
pub(super) const MAX_DEPTH: usize = 100;

/// Bytes of the longest number.
const MAX_VARINT: usize = 10;

/// Number of a field, and what follows. Of a tag, 32 bits count.
#[expect(clippy::cast_possible_truncation, reason = "as the library does it")]
pub(super) fn take_tag(bytes: &mut &[u8]) -> Option<(u32, WireType)> {
    let tag = take_varint(bytes)? as u32;
    let number = tag >> 3;
    let wire = WireType::try_from(u64::from(tag & 7)).ok()?;
    (number > 0).then_some((number, wire))
}

/// A number; of its last possible byte, one bit counts.
pub(super) fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for (at, byte) in bytes.iter().take(MAX_VARINT).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            *bytes = &bytes[at + 1..];
            return Some(number);
        }
    }
    None
}

/// The bytes of one value of field `number`, without the length before it. `depth`: of what it stands in.
pub(super) fn take_value<'a>(
    (number, wire): (u32, WireType),
    bytes: &mut &'a [u8],
    depth: usize,
) -> Option<&'a [u8]> {
    let length = match wire {
        WireType::Varint => {
            let before = *bytes;
            take_varint(bytes)?;
            return Some(&before[..before.len() - bytes.len()]);
        }
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        WireType::LengthDelimited => take_length(bytes)?,
        WireType::StartGroup => return skip_group(number, bytes, depth + 1),
        WireType::EndGroup => return None,
    };
    let (value, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(value)
}

/// Of a length, 32 bits count, and none is negative.
#[expect(clippy::cast_possible_truncation, reason = "as the library does it")]
fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let length = take_varint(bytes)? as u32;
    usize::try_from(length.cast_signed()).ok()
}

/// The bytes of a message with its length before it; if there are fewer, all there are.
pub(super) fn take_rest_of_message<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = i32::try_from(take_varint(bytes)?).ok()?;
    let length = usize::try_from(length).ok()?;
    let (value, rest) = bytes.split_at(length.min(bytes.len()));
    *bytes = rest;
    Some(value)
}

/// Skips a group, which no field of the schema is: up to its own end.
fn skip_group<'a>(number: u32, bytes: &mut &'a [u8], depth: usize) -> Option<&'a [u8]> {
    if depth > MAX_DEPTH {
        return None;
    }
    loop {
        match take_tag(bytes)? {
            (own, WireType::EndGroup) => return (own == number).then_some(&[]),
            tag => drop(take_value(tag, bytes, depth)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_beyond_those_that_count_are_not_looked_at() {
        // Field 1 with bits 32 to 34 set, and in ten bytes.
        for tag in [
            b"\x8a\x80\x80\x80\x70".as_slice(),
            b"\x8a\x80\x80\x80\x80\xff\xff\xff\xff\x7f",
        ] {
            let mut bytes = tag;
            let taken = take_tag(&mut bytes);
            assert_eq!(taken, Some((1, WireType::LengthDelimited)));
            assert!(bytes.is_empty());
        }
        let mut most = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f".as_slice();
        assert_eq!(take_varint(&mut most), Some(u64::MAX));
        assert_eq!(take_varint(&mut [0x80; 11].as_slice()), None);
        assert_eq!(take_tag(&mut b"\x80\x00".as_slice()), None);
        let string = (1, WireType::LengthDelimited);
        let mut text = b"\x81\x80\x80\x80\x10x".as_slice();
        assert_eq!(take_value(string, &mut text, 0), Some(b"x".as_slice()));
        let mut negative = b"\x81\x80\x80\x80\x08x".as_slice();
        assert_eq!(take_value(string, &mut negative, 0), None);
    }

    #[test]
    fn messages_may_be_cut_and_nothing_else() {
        assert_eq!(
            take_rest_of_message(&mut b"\x05ab".as_slice()),
            Some(b"ab".as_slice())
        );
        let too_long = b"\x80\x80\x80\x80\x08ab";
        assert_eq!(take_rest_of_message(&mut too_long.as_slice()), None);
        let string = (1, WireType::LengthDelimited);
        assert_eq!(take_value(string, &mut b"\x05ab".as_slice(), 0), None);
    }

    #[test]
    fn groups_end_where_they_began_and_are_not_too_deep() {
        let group = |depth: usize| [vec![0x0b; depth], vec![0x0c; depth]].concat();
        let is_one = |bytes: &[u8]| {
            let mut rest = &bytes[1..];
            take_value((1, WireType::StartGroup), &mut rest, 0).is_some() && rest.is_empty()
        };
        assert!(is_one(&group(MAX_DEPTH)));
        assert!(!is_one(&group(MAX_DEPTH + 1)));
        assert!(!is_one(b"\x0b\x14"));
        assert!(!is_one(b"\x0b"));
    }
}
