//! How messages look in JSON: objects with the field names of the schema as keys.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};

/// A generated message: its table of fields, and access to them by their index there.
pub(super) trait Message: Default {
    /// Full name in the schema.
    const NAME: &'static str;
    /// Names in the schema, which are the keys in JSON; the required ones first.
    const FIELDS: &'static [&'static str] = &[];
    /// How many of `FIELDS` are required; at most 64.
    const REQUIRED: usize = 0;

    fn write<M: SerializeMap>(&self, _to: &mut M) -> Result<(), M::Error> {
        Ok(())
    }

    /// Reads the value of `field`, an index into `FIELDS`, and says whether that sets it.
    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        _field: usize,
        from: &mut A,
    ) -> Result<bool, A::Error> {
        skip(from)
    }
}

pub(super) fn skip<'de, A: MapAccess<'de>>(from: &mut A) -> Result<bool, A::Error> {
    from.next_value::<IgnoredAny>()?;
    Ok(false)
}

pub(super) fn write_object<M: Message, S: Serializer>(
    message: &M,
    to: S,
) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(None)?;
    message.write(&mut map)?;
    map.end()
}

pub(super) fn read_object<'de, M: Message, A: MapAccess<'de>>(
    mut object: A,
) -> Result<M, A::Error> {
    let mut message = M::default();
    let mut missing: u64 = required_bits(M::REQUIRED);
    while let Some(key) = object.next_key_seed(Key(M::FIELDS))? {
        let Some(field) = key else {
            skip(&mut object)?;
            continue;
        };
        let set = message
            .read(field, &mut object)
            .map_err(|error| within(M::FIELDS[field], &error))?;
        if field < M::REQUIRED {
            // The last value of a repeated key counts, also if it is `null`.
            missing = missing & !(1 << field) | u64::from(!set) << field;
        }
    }
    if missing == 0 {
        return Ok(message);
    }
    let name = M::FIELDS[missing.trailing_zeros() as usize];
    Err(A::Error::custom(format_args!(
        "missing required field `{name}` of {}",
        M::NAME
    )))
}

/// Reads a message where nothing else may stand, not even `null`.
pub(super) fn deserialize<'de, M: Message, D: Deserializer<'de>>(from: D) -> Result<M, D::Error> {
    from.deserialize_map(Object(PhantomData))
}

struct Object<M>(PhantomData<fn() -> M>);

impl<'de, M: Message> Visitor<'de> for Object<M> {
    type Value = M;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object ({})", M::NAME)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<M, A::Error> {
        read_object(object)
    }
}

const fn required_bits(count: usize) -> u64 {
    if count == 0 {
        0
    } else {
        u64::MAX >> (u64::BITS as usize - count)
    }
}

/// Prepends where it happened, so that the text of an error is a path: `subscribe: framework_info: missing …`.
pub(super) fn within<E: Error>(name: &str, error: &E) -> E {
    E::custom(format_args!("{name}: {error}"))
}

/// Maps a key to its index in the names, `None` for an unknown one: without an allocation, by one function for all
/// messages.
struct Key(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| *name == key))
    }
}
