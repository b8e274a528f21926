//! Messages as protobuf's C++ library writes them for people, which Mesos quotes in some of its refusals.
//!
//! Source: `TextFormat::Printer` of protobuf 3.5, which Apache Mesos 1.11.0 is built with.

use prost::Message as Encoded;
use prost::encoding::WireType;
use prost_types::field_descriptor_proto::Type;

use super::protobuf::{take_tag, take_value, take_varint};
use super::schema::{Field, Message, SCHEMA};

/// Digits of a double that are always right, and those that always suffice (`DBL_DIG`, and two more).
const DIGITS: usize = 15;
const ENOUGH_DIGITS: usize = 17;

/// A message of this full name: a line per field, in the order of their numbers.
pub(super) fn debug_text(name: &str, message: &impl Encoded) -> String {
    let mut text = String::new();
    if let Some(shape) = SCHEMA.message(name) {
        write_message(&mut text, shape, &message.encode_to_vec(), 0);
    }
    text
}

/// The bytes are our own, whose fields stand in the order of their numbers.
fn write_message(text: &mut String, shape: &Message, mut bytes: &[u8], depth: usize) {
    while let Some((number, wire, value)) = take_field(&mut bytes) {
        let field = shape.fields.iter().find(|own| own.number == number);
        let Some(field) = field else {
            continue;
        };
        let indent = "  ".repeat(depth);
        match (SCHEMA.message_of(field), wire) {
            (Some(inner), WireType::LengthDelimited) => {
                text.push_str(&format!("{indent}{} {{\n", field.name));
                write_message(text, inner, value, depth + 1);
                text.push_str(&format!("{indent}}}\n"));
            }
            _ => {
                if let Some(value) = value_text(field, value) {
                    text.push_str(&format!("{indent}{}: {value}\n", field.name));
                }
            }
        }
    }
}

fn take_field<'a>(bytes: &mut &'a [u8]) -> Option<(u32, WireType, &'a [u8])> {
    if bytes.is_empty() {
        return None;
    }
    let (number, wire) = take_tag(bytes)?;
    Some((number, wire, take_value((number, wire), bytes, 0)?))
}

/// None for what is no value of the field: a number that its enum does not have.
fn value_text(field: &Field, value: &[u8]) -> Option<String> {
    let text = match field.kind {
        Type::String | Type::Bytes => format!("\"{}\"", escaped(value)),
        Type::Double => double_text(f64::from_le_bytes(value.try_into().ok()?)),
        Type::Float => f32::from_le_bytes(value.try_into().ok()?).to_string(),
        Type::Fixed64 => u64::from_le_bytes(value.try_into().ok()?).to_string(),
        Type::Sfixed64 => i64::from_le_bytes(value.try_into().ok()?).to_string(),
        Type::Fixed32 => u32::from_le_bytes(value.try_into().ok()?).to_string(),
        Type::Sfixed32 => i32::from_le_bytes(value.try_into().ok()?).to_string(),
        kind => return varint_text(field, kind, take_varint(&mut &*value)?),
    };
    Some(text)
}

fn varint_text(field: &Field, kind: Type, value: u64) -> Option<String> {
    let signed = value.cast_signed();
    let zigzag = (value >> 1).cast_signed() ^ -(value & 1).cast_signed();
    let text = match kind {
        Type::Bool => (value != 0).to_string(),
        Type::Enum => SCHEMA
            .value_name(field, i32::try_from(signed).ok()?)?
            .to_owned(),
        Type::Uint32 | Type::Uint64 => value.to_string(),
        Type::Sint32 | Type::Sint64 => zigzag.to_string(),
        _ => signed.to_string(),
    };
    Some(text)
}

/// As in C, with octal numbers for all that is not printable ASCII.
fn escaped(bytes: &[u8]) -> String {
    let escape = |byte: &u8| match byte {
        b'\n' => "\\n".to_owned(),
        b'\r' => "\\r".to_owned(),
        b'\t' => "\\t".to_owned(),
        b'"' => "\\\"".to_owned(),
        b'\'' => "\\'".to_owned(),
        b'\\' => "\\\\".to_owned(),
        b' '..=b'~' => char::from(*byte).to_string(),
        byte => format!("\\{byte:03o}"),
    };
    bytes.iter().map(escape).collect()
}

/// With as many digits as it takes to read the same number again: 15, else 17.
fn double_text(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        let text = if value > 0.0 { "inf" } else { "-inf" };
        return text.to_owned();
    }
    let short = general(value, DIGITS);
    match short.parse::<f64>() {
        Ok(read) if read.to_bits() == value.to_bits() => short,
        _ => general(value, ENOUGH_DIGITS),
    }
}

/// `%.{digits}g` of C.
fn general(value: f64, digits: usize) -> String {
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    let whole = i32::try_from(digits).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= whole {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(mantissa), exponent.unsigned_abs());
    }
    let decimals = usize::try_from(whole - 1 - exponent).unwrap_or_default();
    trimmed(&format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{ExecutorInfo, KillPolicy, Resource, TaskInfo, executor_info, value};

    #[test]
    fn fields_stand_in_the_order_of_their_numbers() {
        let mut info = ExecutorInfo {
            executor_id: "e".into(),
            name: Some("a \"name\"\n\u{e9}".to_owned()),
            data: Some(vec![0, 1, 0xff].into()),
            resources: vec![Resource {
                name: "cpus".to_owned(),
                scalar: Some(value::Scalar { value: 0.1 }),
                ..Default::default()
            }],
            ..Default::default()
        };
        info.set_type(executor_info::Type::Custom);
        let expected = "executor_id {\n  value: \"e\"\n}\ndata: \"\\000\\001\\377\"\nresources {\n  \
                        name: \"cpus\"\n  type: SCALAR\n  scalar {\n    value: 0.1\n  }\n}\n\
                        name: \"a \\\"name\\\"\\n\\303\\251\"\ntype: CUSTOM\n";
        assert_eq!(debug_text("mesos.v1.ExecutorInfo", &info), expected);
    }

    #[test]
    fn empty_messages_have_braces_and_unknown_enum_values_no_line() {
        let task = TaskInfo {
            kill_policy: Some(KillPolicy::default()),
            ..Default::default()
        };
        let text = debug_text("mesos.v1.TaskInfo", &task);
        assert!(text.ends_with("kill_policy {\n}\n"), "{text}");
        let info = ExecutorInfo {
            r#type: Some(99),
            ..Default::default()
        };
        let text = debug_text("mesos.v1.ExecutorInfo", &info);
        assert!(!text.contains("type"), "{text}");
    }

    #[test]
    fn doubles_have_as_many_digits_as_they_need() {
        for (value, text) in [
            (32.0, "32"),
            (0.1, "0.1"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e15, "1e+15"),
            (123_456_789_012_345.0, "123456789012345"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (-2.5, "-2.5"),
            (0.0, "0"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(double_text(value), text);
        }
    }
}
