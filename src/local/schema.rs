//! What the schema says of messages, where the generated types do not: which fields are required, and what is wrong with
//! a body that is refused, in Mesos's words.
//!
//! Source: `3rdparty/stout/include/stout/protobuf.hpp` of Apache Mesos 1.11.0, and protobuf's own rules.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet};

use super::protobuf::{MAX_DEPTH, take_rest_of_message, take_tag, take_value, take_varint};
use crate::proto::FILE_DESCRIPTOR_SET;

/// The whole schema; the descriptors are the build's own.
pub(super) static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    FileDescriptorSet::decode(FILE_DESCRIPTOR_SET)
        .map(|files| Schema::of(&files))
        .unwrap_or_default()
});

/// Messages and enums by their full names.
#[derive(Debug, Default)]
pub(super) struct Schema {
    messages: BTreeMap<String, Message>,
    enums: BTreeMap<String, BTreeMap<String, i32>>,
}

#[derive(Debug)]
pub(super) struct Message {
    /// In the order in which they are declared.
    pub(super) fields: Vec<Field>,
    pub(super) is_map_entry: bool,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) number: u32,
    pub(super) kind: Type,
    pub(super) is_required: bool,
    pub(super) is_repeated: bool,
    /// Full name of its message or enum.
    type_name: String,
}

impl Schema {
    fn of(files: &FileDescriptorSet) -> Self {
        let mut schema = Self::default();
        for file in &files.file {
            let package = file.package();
            for own in &file.enum_type {
                schema.add_enum(package, own);
            }
            for own in &file.message_type {
                schema.add(package, own);
            }
        }
        schema
    }

    fn add(&mut self, scope: &str, message: &DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        for own in &message.enum_type {
            self.add_enum(&name, own);
        }
        for own in &message.nested_type {
            self.add(&name, own);
        }
        let fields = message.field.iter().map(|field| Field {
            name: field.name().to_owned(),
            number: u32::try_from(field.number()).unwrap_or_default(),
            kind: field.r#type(),
            is_required: field.label() == Label::Required,
            is_repeated: field.label() == Label::Repeated,
            type_name: field.type_name().trim_start_matches('.').to_owned(),
        });
        let options = message.options.as_ref();
        let message = Message {
            fields: fields.collect(),
            is_map_entry: options.is_some_and(|options| options.map_entry()),
        };
        self.messages.insert(name, message);
    }

    fn add_enum(&mut self, scope: &str, own: &EnumDescriptorProto) {
        let values = own.value.iter();
        let values = values.map(|value| (value.name().to_owned(), value.number()));
        let name = format!("{scope}.{}", own.name());
        self.enums.insert(name, values.collect());
    }

    pub(super) fn message(&self, name: &str) -> Option<&Message> {
        self.messages.get(name)
    }

    /// The message that `field` holds.
    pub(super) fn message_of(&self, field: &Field) -> Option<&Message> {
        self.messages.get(&field.type_name)
    }

    /// Whether `field`, of an enum, may have the value of this name.
    pub(super) fn has_value(&self, field: &Field, name: &str) -> bool {
        let values = self.enums.get(&field.type_name);
        values.is_some_and(|values| values.contains_key(name))
    }

    /// The name of a value of `field`, of an enum.
    pub(super) fn value_name(&self, field: &Field, number: i32) -> Option<&str> {
        let values = self.enums.get(&field.type_name)?;
        let own = values.iter().find(|(_, known)| **known == number);
        own.map(|(name, _)| name.as_str())
    }

    /// Whether a message of this name, of which `bytes` are known to be one, has all its required fields; and those in it.
    pub(super) fn is_complete(&self, name: &str, bytes: &[u8]) -> bool {
        let message = self.message(name);
        message.is_none_or(|message| self.has_required(message, bytes).unwrap_or(false))
    }

    /// `None` if the bytes are no message.
    fn has_required(&self, message: &Message, mut bytes: &[u8]) -> Option<bool> {
        let mut missing: Vec<u32> = message.required().map(|field| field.number).collect();
        // Pieces of one message in several places are one message.
        let mut parts: Vec<(&Message, u32, Cow<'_, [u8]>)> = Vec::new();
        while !bytes.is_empty() {
            let (number, wire) = take_tag(&mut bytes)?;
            let value = take_value((number, wire), &mut bytes, 0)?;
            let Some(field) = message.fields.iter().find(|field| field.number == number) else {
                continue;
            };
            if field.kind == Type::Enum && !self.has_number(field, value) {
                continue;
            }
            missing.retain(|required| *required != number);
            let Some(inner) = self
                .message_of(field)
                .filter(|_| wire == WireType::LengthDelimited)
            else {
                continue;
            };
            let known = parts.iter_mut().find(|(_, known, _)| *known == number);
            match known.filter(|_| !field.is_repeated) {
                Some((_, _, part)) => part.to_mut().extend_from_slice(value),
                None => parts.push((inner, number, Cow::Borrowed(value))),
            }
        }
        for (inner, _, part) in &parts {
            if !self.has_required(inner, part)? {
                return Some(false);
            }
        }
        Some(missing.is_empty())
    }

    /// A message of this name without what its fields cannot hold, which protobuf's own library takes for unknown fields;
    /// what is no text is made one. `None` if the bytes are no message.
    pub(super) fn tidied(&self, name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut tidied = Vec::with_capacity(bytes.len());
        self.tidy(self.message(name)?, bytes, &mut tidied, 0)?;
        Some(tidied)
    }

    fn tidy(
        &self,
        message: &Message,
        mut bytes: &[u8],
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        while !bytes.is_empty() {
            let (number, wire) = take_tag(&mut bytes)?;
            let field = message.fields.iter().find(|field| field.number == number);
            let field = field.filter(|field| field.may_be(wire));
            let inner = field.and_then(|field| self.message_of(field));
            let value = match inner {
                Some(_) => take_rest_of_message(&mut bytes)?,
                None => take_value((number, wire), &mut bytes, depth)?,
            };
            let Some(field) = field else {
                continue;
            };
            encode_key(number, wire, out);
            if wire == WireType::Varint {
                tidy_numbers(value, out)?;
                continue;
            }
            if wire != WireType::LengthDelimited {
                out.extend_from_slice(value);
                continue;
            }
            let mut content = Vec::new();
            match inner {
                Some(own) => self.tidy(own, value, &mut content, depth + 1)?,
                None if field.kind == Type::String => {
                    content.extend_from_slice(String::from_utf8_lossy(value).as_bytes());
                }
                None if field.own_wire() == WireType::Varint => tidy_numbers(value, &mut content)?,
                None => content.extend_from_slice(value),
            }
            encode_varint(content.len().try_into().ok()?, out);
            out.extend(content);
        }
        Some(())
    }

    fn has_number(&self, field: &Field, mut value: &[u8]) -> bool {
        let Some(values) = self.enums.get(&field.type_name) else {
            return false;
        };
        let number = take_varint(&mut value).unwrap_or(u64::MAX);
        #[expect(clippy::cast_possible_truncation, reason = "as protobuf does it")]
        let number = number as i32;
        field.is_repeated || values.values().any(|known| *known == number)
    }
}

impl Field {
    /// The wire type of one value.
    fn own_wire(&self) -> WireType {
        match self.kind {
            Type::Double | Type::Fixed64 | Type::Sfixed64 => WireType::SixtyFourBit,
            Type::Float | Type::Fixed32 | Type::Sfixed32 => WireType::ThirtyTwoBit,
            Type::String | Type::Bytes | Type::Message => WireType::LengthDelimited,
            Type::Group => WireType::StartGroup,
            _ => WireType::Varint,
        }
    }

    /// Whether a value of this wire type is one of the field.
    fn may_be(&self, wire: WireType) -> bool {
        let own = self.own_wire();
        let is_packable = self.is_repeated && own != WireType::StartGroup;
        wire == own || (is_packable && wire == WireType::LengthDelimited)
    }
}

impl Message {
    pub(super) fn required(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.is_required)
    }

    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// Numbers, one behind the other, without the bits that do not count.
fn tidy_numbers(mut bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    while !bytes.is_empty() {
        encode_varint(take_varint(&mut bytes)?, out);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::scheduler::{Call, call};

    const CALL: &str = "mesos.v1.scheduler.Call";

    #[test]
    fn required_fields_are_looked_for_in_all_depths() {
        assert!(SCHEMA.is_complete(CALL, b""));
        // framework_id without its value; and with it, in a second piece.
        assert!(!SCHEMA.is_complete(CALL, b"\x0a\x00"));
        assert!(SCHEMA.is_complete(CALL, b"\x0a\x00\x0a\x03\x0a\x01x"));
        let mut whole = Call::default();
        whole.set_type(call::Type::Subscribe);
        whole.subscribe = Some(Box::default());
        assert!(SCHEMA.is_complete(CALL, &whole.encode_to_vec()));
        assert!(!SCHEMA.is_complete("mesos.v1.executor.Call", b""));
    }

    #[test]
    fn an_unknown_value_of_a_required_enum_is_none() {
        let status = "mesos.v1.TaskStatus";
        assert!(SCHEMA.is_complete(status, b"\x0a\x03\x0a\x01t\x10\x01"));
        assert!(!SCHEMA.is_complete(status, b"\x0a\x03\x0a\x01t\x10\x7e"));
    }

    #[test]
    fn groups_are_skipped() {
        assert!(SCHEMA.is_complete(CALL, b"\xfb\x07\x08\x01\xfc\x07"));
        assert!(!SCHEMA.is_complete(CALL, b"\xfb\x07\x08\x01"));
    }

    #[test]
    fn bits_that_do_not_count_are_taken_away() {
        // A message in the place of a number, then `type` in ten bytes, under a tag of six.
        let odd = b"\x08\x01\x90\x80\x80\x80\x80\x01\x82\x80\x80\x80\x80\x80\x80\x80\x80\x7e";
        assert_eq!(SCHEMA.tidied(CALL, odd).unwrap(), b"\x10\x02");
    }
}
