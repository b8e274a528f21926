//! Why a JSON body is refused, in Mesos's words.
//!
//! Source: `3rdparty/stout/include/stout/protobuf.hpp` of Apache Mesos 1.11.0.

use prost_types::field_descriptor_proto::Type;
use serde_json::{Map, Value};

use super::json_text;
use super::schema::{Field, Message, SCHEMA};

/// Why JSON is no message of this name: the first value of a wrong type, else all that is missing.
pub(super) fn conversion(name: &str, value: &Value) -> Option<String> {
    let Value::Object(object) = value else {
        return Some("Expecting a JSON object".to_owned());
    };
    let message = SCHEMA.message(name)?;
    if let Some(why) = wrong_in(message, object) {
        return Some(why);
    }
    let mut missing = Vec::new();
    add_missing(message, object, "", &mut missing);
    let missing_fields = || format!("Missing required fields: {}", missing.join(", "));
    (!missing.is_empty()).then(missing_fields)
}

/// Keys in their order, which is the alphabet's.
fn wrong_in(message: &Message, object: &Map<String, Value>) -> Option<String> {
    object.iter().find_map(|(name, value)| {
        let field = message.field(name)?;
        wrong_value(field, value)
    })
}

fn wrong_value(field: &Field, value: &Value) -> Option<String> {
    let not_expecting = |what: &str| {
        let name = &field.name;
        Some(format!("Not expecting a JSON {what} for field '{name}'"))
    };
    match value {
        Value::Null => None,
        Value::Bool(_) if field.kind == Type::Bool => None,
        Value::Bool(_) => not_expecting("boolean"),
        Value::Number(_) if is_number(field.kind) => None,
        Value::Number(_) => not_expecting("number"),
        Value::Array(values) if field.is_repeated => {
            values.iter().find_map(|value| wrong_value(field, value))
        }
        Value::Array(_) => not_expecting("array"),
        Value::Object(object) => match SCHEMA.message_of(field) {
            Some(entry) if entry.is_map_entry => {
                let value = entry.field("value")?;
                object.values().find_map(|own| wrong_value(value, own))
            }
            Some(message) => wrong_in(message, object),
            None => not_expecting("object"),
        },
        Value::String(text) => wrong_text(field, text),
    }
}

fn wrong_text(field: &Field, text: &str) -> Option<String> {
    let name = &field.name;
    match field.kind {
        Type::String => None,
        Type::Bytes => {
            let wrong = text.bytes().take_while(|byte| *byte != b'=');
            let wrong = wrong.map(char::from).find(|own| !is_base64(*own))?;
            // Mesos names the first byte of a character, which is no text then.
            let shown = if wrong.is_ascii() {
                wrong
            } else {
                char::REPLACEMENT_CHARACTER
            };
            Some(format!(
                "Failed to base64 decode bytes field '{name}': Invalid character '{shown}'"
            ))
        }
        Type::Enum => {
            let is_wrong = field.is_required && !SCHEMA.has_value(field, text);
            is_wrong.then(|| format!("Failed to find enum for '{text}'"))
        }
        Type::Double | Type::Float if matches!(text, "Infinity" | "-Infinity") => None,
        kind if is_number(kind) => not_parsed(field, text, "number", Value::is_number),
        Type::Bool => not_parsed(field, text, "boolean", Value::is_boolean),
        _ => Some(format!("Not expecting a JSON string for field '{name}'")),
    }
}

/// Whether it stands for bits, or is passed over (`isspace` of C).
fn is_base64(byte: char) -> bool {
    byte.is_ascii_alphanumeric() || "+/\x0b".contains(byte) || byte.is_ascii_whitespace()
}

/// Why a string is not the value that it is to be read as.
fn not_parsed(field: &Field, text: &str, what: &str, is: fn(&Value) -> bool) -> Option<String> {
    let why = match json_text::parse(text.as_bytes()) {
        Ok(value) if is(&value) => return None,
        Ok(_) => "Unexpected JSON type parsed".to_owned(),
        Err(why) => why,
    };
    let name = &field.name;
    Some(format!(
        "Failed to parse '{text}' as a JSON {what} for field '{name}': {why}"
    ))
}

fn is_number(kind: Type) -> bool {
    !matches!(
        kind,
        Type::String | Type::Bytes | Type::Bool | Type::Enum | Type::Message | Type::Group
    )
}

/// Those of this message first, then those of what is in it, by number.
fn add_missing(
    message: &Message,
    object: &Map<String, Value>,
    prefix: &str,
    missing: &mut Vec<String>,
) {
    let set = |field: &Field| object.get(&field.name).filter(|value| !value.is_null());
    for field in message.required().filter(|field| set(field).is_none()) {
        missing.push(format!("{prefix}{}", field.name));
    }
    let mut fields: Vec<&Field> = message.fields.iter().collect();
    fields.sort_by_key(|field| field.number);
    for field in fields {
        let (Some(inner), Some(value)) = (SCHEMA.message_of(field), set(field)) else {
            continue;
        };
        let name = &field.name;
        if inner.is_map_entry {
            let held = inner.field("value").and_then(|own| SCHEMA.message_of(own));
            let values = value.as_object().into_iter().flat_map(Map::values);
            let values = values.filter_map(Value::as_object).enumerate();
            for (index, object) in values {
                if let Some(held) = held {
                    add_missing(
                        held,
                        object,
                        &format!("{prefix}{name}[{index}].value."),
                        missing,
                    );
                }
            }
        } else if field.is_repeated {
            let values = value
                .as_array()
                .map_or(std::slice::from_ref(value), Vec::as_slice);
            let values = values.iter().filter_map(Value::as_object).enumerate();
            for (index, object) in values {
                add_missing(inner, object, &format!("{prefix}{name}[{index}]."), missing);
            }
        } else if let Some(object) = value.as_object() {
            add_missing(inner, object, &format!("{prefix}{name}."), missing);
        }
    }
}

/// Leaves of what stands for bytes what Mesos decodes of it: what comes before the padding, without a lone last letter.
pub(super) fn tidy(name: &str, value: &mut Value) {
    if let (Some(message), Value::Object(object)) = (SCHEMA.message(name), value) {
        tidy_in(message, object);
    }
}

fn tidy_in(message: &Message, object: &mut Map<String, Value>) {
    for field in &message.fields {
        if let Some(value) = object.get_mut(&field.name) {
            tidy_value(field, value);
        }
    }
}

fn tidy_value(field: &Field, value: &mut Value) {
    match (value, SCHEMA.message_of(field)) {
        (Value::String(text), _) if field.kind == Type::Bytes => {
            text.truncate(text.find('=').unwrap_or(text.len()));
            text.retain(|letter| letter.is_ascii_alphanumeric() || "+/".contains(letter));
            if text.len() % 4 == 1 {
                text.pop();
            }
        }
        (Value::Array(values), _) => values.iter_mut().for_each(|own| tidy_value(field, own)),
        (Value::Object(object), Some(entry)) if entry.is_map_entry => {
            if let Some(field) = entry.field("value") {
                object.values_mut().for_each(|own| tidy_value(field, own));
            }
        }
        (Value::Object(object), Some(message)) => tidy_in(message, object),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_types_come_before_what_is_missing() {
        let said = |text: &str| {
            let value: Value = serde_json::from_str(text).unwrap();
            conversion("mesos.v1.scheduler.Call", &value)
        };
        assert_eq!(said(r#"{"type":"SUBSCRIBE"}"#), None);
        assert_eq!(
            said(r#"{"subscribe":{"framework_info":{"name":1}}}"#).as_deref(),
            Some("Not expecting a JSON number for field 'name'")
        );
        assert_eq!(
            said(r#"{"subscribe":{"framework_info":{}}}"#).as_deref(),
            Some(
                "Missing required fields: subscribe.framework_info.user, subscribe.framework_info.name"
            )
        );
    }

    #[test]
    fn what_is_no_base64_is_named_by_its_first_byte() {
        let said = |uuid: &str| {
            let value = serde_json::json!({ "acknowledge": {
                "agent_id": { "value": "a" }, "task_id": { "value": "t" }, "uuid": uuid } });
            conversion("mesos.v1.scheduler.Call", &value)
        };
        let invalid = |shown: &str| {
            Some(format!(
                "Failed to base64 decode bytes field 'uuid': Invalid character '{shown}'"
            ))
        };
        for (uuid, shown) in [
            ("A-", "-"),
            ("A\u{e9}", "\u{fffd}"),
            ("A\u{a0}", "\u{fffd}"),
        ] {
            assert_eq!(said(uuid), invalid(shown));
        }
        // What follows on the padding is not looked at.
        for (uuid, decoded) in [
            ("A\u{b}\tA", "AA"),
            ("AAA=\u{e9}", "AAA"),
            ("AAAAA", "AAAA"),
        ] {
            assert_eq!(said(uuid), None);
            let mut value = serde_json::json!({ "acknowledge": { "uuid": uuid } });
            tidy("mesos.v1.scheduler.Call", &mut value);
            assert_eq!(value["acknowledge"]["uuid"], decoded);
        }
    }
}
