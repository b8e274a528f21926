//! Mesos's own JSON form of the messages, which is not that of protobuf's JSON mapping.
//!
//! - Keys are the field names of the schema. Unknown keys are ignored. `null` is as if the key was not there.
//! - Enums are names, never numbers. A name that the schema does not know leaves an optional field unset, drops out of a
//!   list, and is an error in a required field.
//! - 64-bit integers are numbers; numeric strings are read, too. Bytes are base64, maps and `Duration` are objects.
//! - A repeated field is a list or one bare value. A missing required field is an error.
//!
//! One difference: Mesos also writes unset fields that have a default. Here an unset field stays unset, for the other
//! side could not tell it from one that is set; on reading, such fields are set.
//!
//! Source: `3rdparty/stout/include/stout/protobuf.hpp`, `base64.hpp` and `jsonify.hpp` beside it, Apache Mesos 1.11.0.
// The parent module allows these for what prost generates.
#![warn(clippy::all, clippy::use_self, missing_docs)]

mod field;
mod form;
mod generated;
mod object;
#[cfg(test)]
mod tests;

use serde::de::{DeserializeOwned, Error as _};

/// Reads a message from JSON as Mesos writes it: nothing but white space may follow it.
pub(crate) fn from_json<M: DeserializeOwned>(text: &[u8]) -> Result<M, serde_json::Error> {
    parse(text).or_else(|error| match quote_bare_words(text) {
        Some(quoted) => parse(&quoted),
        None => Err(error),
    })
}

/// One look at the whole text is cheaper than one at each string in it.
fn parse<M: DeserializeOwned>(text: &[u8]) -> Result<M, serde_json::Error> {
    let text = std::str::from_utf8(text).map_err(serde_json::Error::custom)?;
    serde_json::from_str(text)
}

/// The numbers that Mesos may write and JSON does not have.
///
/// Mesos lets RapidJSON write them bare. Its patch puts infinities in quotes, but a Mesos built with an unpatched
/// RapidJSON does not, and NaN is bare in either.
///
/// Source: `RAPIDJSON_WRITE_DEFAULT_FLAGS` of `3rdparty/stout/include/stout/jsonify.hpp`, and
/// `3rdparty/rapidjson-1.1.0.patch`, Apache Mesos 1.11.0.
const BARE_WORDS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];

/// `text` with quotes around each bare word that stands outside of strings; `None` if there is none.
fn quote_bare_words(text: &[u8]) -> Option<Vec<u8>> {
    let mut quoted = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if let Some(word) = BARE_WORDS.iter().find(|word| rest.starts_with(word)) {
            quoted.extend_from_slice(&text[copied..at]);
            quoted.push(b'"');
            quoted.extend_from_slice(word);
            quoted.push(b'"');
            at += word.len();
            copied = at;
        } else {
            at += if rest[0] == b'"' { string_len(rest) } else { 1 };
        }
    }
    if copied == 0 {
        return None;
    }
    quoted.extend_from_slice(&text[copied..]);
    Some(quoted)
}

/// The length of the string literal that `text` starts with, quotes included; of all the rest, if it has no end.
fn string_len(text: &[u8]) -> usize {
    let mut escaped = false;
    let end = text.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}
