//! Messages in both forms that nobody writes: random bytes, and valid messages with something wrong in them.

use std::fmt::Debug;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::random::{MAX_DEPTH, Random};
use crate::ErrorKind;
use crate::codec::{ContentType, WireMessage, decode, encode};
use crate::proto::{ContainerId, Labels, executor, scheduler};
use crate::tests::{Change, cases, changed, changes};

/// Does something with the type of message that the number stands for, one of those that come or go on the wire.
macro_rules! with_type {
    ($number:expr, $do:ident($($argument:expr),*)) => {
        match $number % 4 {
            0 => $do::<scheduler::Event>("mesos.v1.scheduler.Event", $($argument),*),
            1 => $do::<scheduler::Call>("mesos.v1.scheduler.Call", $($argument),*),
            2 => $do::<executor::Event>("mesos.v1.executor.Event", $($argument),*),
            _ => $do::<executor::Call>("mesos.v1.executor.Call", $($argument),*),
        }
    };
}

/// Whatever `record` is, it is a message or an error of the protocol; and a message goes on as it came.
fn check<M: WireMessage + Debug>(_: &str, content_type: ContentType, record: &[u8]) {
    let message: M = match decode(content_type, record) {
        Ok(message) => *message,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::Protocol),
    };
    for other in [ContentType::Protobuf, ContentType::Json] {
        // Only a required enum value that has no name cannot be written, and none comes from JSON.
        let written = match encode(other, &message) {
            Ok(written) => written,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Config);
                assert!(error.to_string().contains("has no name"), "{error}");
                assert_eq!(content_type, ContentType::Protobuf);
                continue;
            }
        };
        let back: M = *decode(other, &written).expect("what was written is read");
        // By its bytes, for NaN is not equal to itself.
        assert_eq!(encode(other, &back).unwrap(), written);
    }
    // Nothing in it keeps it from being logged.
    let _ = format!("{message:?}");
}

/// A valid record: of one kind mostly, else with everything that there is.
fn record(name: &str, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    match seed % 4 {
        0 => random.message(name, MAX_DEPTH - 2),
        _ => random.of_one_kind(name, MAX_DEPTH - 2),
    }
}

fn record_in_json<M: WireMessage>(name: &str, seed: u64) -> String {
    let message: M = *decode(ContentType::Protobuf, &record(name, seed)).unwrap();
    let json = encode(ContentType::Json, &message).unwrap();
    String::from_utf8(json.to_vec()).unwrap()
}

fn check_changed<M: WireMessage + Debug>(name: &str, seed: u64, changes: &[(Index, Change)]) {
    let record = changed(record(name, seed), changes);
    check::<M>(name, ContentType::Protobuf, &record);
}

fn check_changed_json<M: WireMessage + Debug>(name: &str, seed: u64, changes: &[(Index, Change)]) {
    let text = record_in_json::<M>(name, seed).into_bytes();
    check::<M>(name, ContentType::Json, &changed(text, changes));
}

fn check_replaced_json<M: WireMessage + Debug>(name: &str, seed: u64, changes: &[(Index, &str)]) {
    let text = replaced(&record_in_json::<M>(name, seed), changes);
    check::<M>(name, ContentType::Json, text.as_bytes());
}

/// JSON put in place of a value, or before a key.
const ODD: [&str; 32] = [
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "1e308",
    "1e999",
    "-1e999",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999999999999999",
    "4294967296",
    "NaN",
    "Infinity",
    "-Infinity",
    "\"NaN\"",
    "\"\"",
    "\"NO_SUCH_NAME\"",
    "\"1e400\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\"=\"",
    "{}",
    "[]",
    "[[]]",
    "[null,{}]",
    "{\"value\":null}",
    "\"type\":\"ERROR\"",
    "\"type\":null,",
    "\"x\":[[[{}]]],",
];

/// The text with its tokens at these places replaced.
fn replaced(text: &str, changes: &[(Index, &str)]) -> String {
    let mut tokens: Vec<&str> = tokens(text);
    for (at, odd) in changes {
        let at = at.index(tokens.len());
        // What ends with a comma comes before the other keys of an object, so that keys are there twice.
        match tokens[..=at].iter().rposition(|token| *token == "{") {
            Some(object) if odd.ends_with(',') => tokens.insert(object + 1, odd),
            _ => tokens[at] = odd,
        }
    }
    tokens.concat()
}

fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => super::super::string_len(rest.as_bytes()),
            '{' | '}' | '[' | ']' | ',' | ':' => 1,
            _ => rest
                .find(['{', '}', '[', ']', ',', ':', '"'])
                .unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after;
    }
    tokens
}

fn json_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        prop::sample::select(ODD.to_vec()).prop_map(str::to_owned),
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"type\":",
            "\"update\":",
            "\"status\":",
            "\"offers\":"
        ])
        .prop_map(str::to_owned),
        "\\PC{0,4}",
    ];
    vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn any_bytes_are_a_message_or_an_error(number in 0..4_u8, bytes in vec(any::<u8>(), 0..64)) {
        with_type!(number, check(ContentType::Protobuf, &bytes));
        with_type!(number, check(ContentType::Json, &bytes));
    }

    #[test]
    fn any_json_is_a_message_or_an_error(number in 0..4_u8, text in json_text()) {
        with_type!(number, check(ContentType::Json, text.as_bytes()));
    }

    #[test]
    fn any_change_of_a_message_gives_a_message_or_an_error(
        number in 0..4_u8,
        seed: u64,
        changes in changes(0..6),
    ) {
        with_type!(number, check_changed(seed, &changes));
    }

    #[test]
    fn any_change_of_the_bytes_of_json_gives_a_message_or_an_error(
        number in 0..4_u8,
        seed: u64,
        changes in changes(0..6),
    ) {
        with_type!(number, check_changed_json(seed, &changes));
    }

    #[test]
    fn any_change_of_a_message_in_json_gives_a_message_or_an_error(
        number in 0..4_u8,
        seed: u64,
        changes in vec((any::<Index>(), prop::sample::select(ODD.to_vec())), 1..5),
    ) {
        with_type!(number, check_replaced_json(seed, &changes));
    }
}

/// Runs it where there is little room for recursion.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(512 * 1024);
    thread.spawn(test).unwrap().join().unwrap();
}

#[test]
fn nothing_nests_so_deep_that_the_stack_ends() {
    on_a_small_stack(|| {
        // A container within a container, and so on.
        let mut record = Vec::new();
        for _ in 0..5000 {
            let mut outer = vec![0x0a, 0, 0x12];
            prost::encoding::encode_varint(record.len() as u64, &mut outer);
            outer.extend(&record);
            record = outer;
        }
        let error = decode::<ContainerId>(ContentType::Protobuf, &record).unwrap_err();
        assert!(error.to_string().contains("recursion limit"), "{error}");
        // Groups, which the schema has none of, within an unknown field.
        let groups = vec![0x7b; 100_000];
        decode::<ContainerId>(ContentType::Protobuf, &groups).unwrap_err();
        for (opens, closes) in [("[", "]"), ("{\"a\":", "}"), ("[{\"parent\":", "}]")] {
            let nested = |depth| format!("{}1{}", opens.repeat(depth), closes.repeat(depth));
            for key in ["labels", "unknown", "parent", "value"] {
                let text = format!("{{\"{key}\":{}}}", nested(100_000));
                let _ = decode::<Labels>(ContentType::Json, text.as_bytes());
                let _ = decode::<ContainerId>(ContentType::Json, text.as_bytes());
            }
            decode::<ContainerId>(ContentType::Json, nested(100_000).as_bytes()).unwrap_err();
        }
    });
}
