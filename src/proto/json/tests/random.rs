//! Random messages of every type of the schema, made as bytes of protobuf from the descriptors.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::LazyLock;

use proptest::prelude::*;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorSet,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::generated::{Check, each_message};
use super::super::object::Message;
use super::from_json;
use crate::proto::FILE_DESCRIPTOR_SET;

/// Optional messages stop nesting here; required ones go on, but never lead back to themselves.
pub(super) const MAX_DEPTH: usize = 4;

proptest! {
    #![proptest_config(crate::tests::cases(32))]

    #[test]
    fn every_message_survives(seed: u64) {
        each_message(&mut Survival(Random::new(seed)));
    }
}

struct Survival(Random);

impl Check for Survival {
    fn check<M>(&mut self)
    where
        M: Message + prost::Message + Serialize + DeserializeOwned + PartialEq + Debug,
    {
        let message = M::decode(&*self.0.message(M::NAME, 0)).expect("random bytes decode");
        let json = serde_json::to_vec(&message).expect("a random message has a JSON form");
        let text = || String::from_utf8_lossy(&json);
        match from_json::<M>(&json) {
            Ok(back) => assert!(
                back == message,
                "{} changed: {message:?}\n{back:?}\n{}",
                M::NAME,
                text()
            ),
            Err(error) => panic!("{} does not read back: {error}\n{}", M::NAME, text()),
        }
    }
}

/// The schema, by full names.
#[derive(Default)]
struct Schema {
    messages: BTreeMap<String, DescriptorProto>,
    enums: BTreeMap<String, EnumDescriptorProto>,
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let mut schema = Schema::default();
    let descriptors = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    for file in descriptors.file {
        schema.declare(file.package(), &file.message_type, &file.enum_type);
    }
    schema
});

impl Schema {
    fn declare(
        &mut self,
        scope: &str,
        messages: &[DescriptorProto],
        enums: &[EnumDescriptorProto],
    ) {
        for declared in enums {
            self.enums
                .insert(format!("{scope}.{}", declared.name()), declared.clone());
        }
        for message in messages {
            let name = format!("{scope}.{}", message.name());
            self.declare(&name, &message.nested_type, &message.enum_type);
            self.messages.insert(name, message.clone());
        }
    }
}

pub(super) struct Random {
    dice: fastrand::Rng,
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            dice: fastrand::Rng::with_seed(seed),
        }
    }

    /// A message of this name, as protobuf; the deeper it is said to be, the smaller it is.
    pub(super) fn message(&mut self, name: &str, depth: usize) -> Vec<u8> {
        let message = &SCHEMA.messages[name];
        let mut oneofs = BTreeSet::new();
        let mut bytes = Vec::new();
        for field in &message.field {
            let one_too_many = field
                .oneof_index
                .is_some_and(|oneof| oneofs.contains(&oneof));
            let count = if one_too_many {
                0
            } else {
                self.count(field, depth)
            };
            if count > 0 {
                oneofs.extend(field.oneof_index);
            }
            for _ in 0..count {
                self.field(field, depth, &mut bytes);
            }
        }
        bytes
    }

    /// A message of this name as peers write it: with a type and the content that goes with it, and no other.
    pub(super) fn of_one_kind(&mut self, name: &str, depth: usize) -> Vec<u8> {
        let types = &SCHEMA.enums[&format!("{name}.Type")].value;
        let kind = &types[self.dice.usize(..types.len())];
        let named = |field: &FieldDescriptorProto, kind: &EnumValueDescriptorProto| {
            field.name() == kind.name().to_ascii_lowercase()
        };
        let mut bytes = Vec::new();
        for field in &SCHEMA.messages[name].field {
            let count = match field.name() {
                "type" => {
                    encode_key(field_tag(field), WireType::Varint, &mut bytes);
                    encode_varint(i64::from(kind.number()).cast_unsigned(), &mut bytes);
                    0
                }
                _ if named(field, kind) => 1,
                _ if types.iter().any(|kind| named(field, kind)) => 0,
                _ => self.count(field, depth),
            };
            for _ in 0..count {
                self.field(field, depth, &mut bytes);
            }
        }
        bytes
    }

    fn count(&mut self, field: &FieldDescriptorProto, depth: usize) -> usize {
        match field.label() {
            Label::Required => 1,
            _ if field.r#type() == Type::Message && depth >= MAX_DEPTH => 0,
            Label::Optional => self.dice.usize(..2),
            Label::Repeated => self.dice.usize(..3),
        }
    }

    fn field(&mut self, field: &FieldDescriptorProto, depth: usize, to: &mut Vec<u8>) {
        let tag = field_tag(field);
        let mut varint = |value| {
            encode_key(tag, WireType::Varint, to);
            encode_varint(value, to);
        };
        let type_name = field.type_name().trim_start_matches('.');
        let bytes = match field.r#type() {
            Type::Bool => return varint(self.dice.u64(..2)),
            // Negative numbers are extended to 64 bits.
            Type::Int32 => return varint(i64::from(self.dice.i32(..)).cast_unsigned()),
            Type::Uint32 => return varint(self.dice.u32(..).into()),
            Type::Int64 | Type::Uint64 => return varint(self.dice.u64(..)),
            Type::Enum => return varint(self.enum_number(type_name)),
            Type::Double => {
                encode_key(tag, WireType::SixtyFourBit, to);
                return to.extend(self.double().to_le_bytes());
            }
            Type::String => self.string().into_bytes(),
            Type::Bytes => (0..self.dice.usize(..9))
                .map(|_| self.dice.u8(..))
                .collect(),
            Type::Message => self.message(type_name, depth + 1),
            other => unreachable!("the schema has no {other:?}"),
        };
        encode_key(tag, WireType::LengthDelimited, to);
        encode_varint(bytes.len() as u64, to);
        to.extend(bytes);
    }

    fn enum_number(&mut self, name: &str) -> u64 {
        let values = &SCHEMA.enums[name].value;
        let number = values[self.dice.usize(..values.len())].number();
        i64::from(number).cast_unsigned()
    }

    /// Any double but NaN, which is not equal to itself.
    fn double(&mut self) -> f64 {
        const EDGES: [f64; 6] = [
            0.0,
            -0.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN_POSITIVE,
        ];
        let any = f64::from_bits(self.dice.u64(..));
        match self.dice.usize(..2 * EDGES.len()) {
            edge if edge < EDGES.len() => EDGES[edge],
            _ if any.is_nan() => 0.1,
            _ => any,
        }
    }

    fn string(&mut self) -> String {
        const CHARS: [char; 10] = ['a', '"', '\\', '/', '\n', '\0', 'ä', '\u{2028}', '🦀', 'N'];
        let words = ["", "NaN", "\"Infinity", "-Infinity\\"];
        let word = words[self.dice.usize(..words.len())];
        let chars = (0..self.dice.usize(..5)).map(|_| CHARS[self.dice.usize(..CHARS.len())]);
        chars.chain(word.chars()).collect()
    }
}

fn field_tag(field: &FieldDescriptorProto) -> u32 {
    u32::try_from(field.number()).unwrap()
}
