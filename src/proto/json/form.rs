//! How single values look in JSON.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde::Serialize;
use serde::de::{Error, MapAccess, Unexpected};
use serde::ser::{Error as _, Serializer};

use super::field::{One, Written};
use super::object::within;

/// How a `T` is written, and read from each kind of JSON value that may stand for it; the rest is refused.
///
/// The form is a type of its own because one type can have several: an `i32` is a number, or the name of an enum value.
pub(super) trait Form<T>: Sized {
    /// What a reader wants, for error messages.
    const EXPECTED: &'static str;

    fn write<S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error>;

    /// Whether `value` can be written; if not, an optional field and an item of a list are left out.
    fn can_write(_value: &T) -> bool {
        true
    }

    fn from_bool<E: Error>(value: bool) -> Result<T, E> {
        Err(E::invalid_type(Unexpected::Bool(value), &Self::EXPECTED))
    }

    fn from_number<E: Error>(value: Number) -> Result<T, E> {
        Err(E::invalid_type(value.unexpected(), &Self::EXPECTED))
    }

    /// `None`: well-formed, but of no meaning to this schema.
    fn from_text<E: Error>(text: &str) -> Result<Option<T>, E> {
        Err(E::invalid_type(Unexpected::Str(text), &Self::EXPECTED))
    }

    fn from_object<'de, A: MapAccess<'de>>(_object: A) -> Result<T, A::Error> {
        Err(A::Error::invalid_type(Unexpected::Map, &Self::EXPECTED))
    }
}

/// A number of JSON, without loss.
#[derive(Clone, Copy)]
pub(super) enum Number {
    Whole(i128),
    Float(f64),
}

impl Number {
    /// Mesos reads a string as a number wherever it wants one.
    fn parse<E: Error>(text: &str, expected: &'static str) -> Result<Self, E> {
        let number = text.parse::<serde_json::Number>().ok();
        let number = number.and_then(|number| {
            let whole = number.as_i128().map(Self::Whole);
            whole.or_else(|| number.as_f64().map(Self::Float))
        });
        number.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &expected))
    }

    /// The whole number that this is; 5.0 is 5.
    fn whole(self) -> Option<i128> {
        match self {
            Self::Whole(value) => Some(value),
            // Saturates far beyond every integer type of the schema, so that huge floats stay out of range.
            Self::Float(value) => (value.fract() == 0.0).then_some(value as i128),
        }
    }

    fn float(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    fn unexpected(self) -> Unexpected<'static> {
        match self {
            Self::Whole(_) => Unexpected::Other("a whole number"),
            Self::Float(value) => Unexpected::Float(value),
        }
    }
}

/// The form that the Rust type implies.
pub(super) struct Plain;

impl Form<String> for Plain {
    const EXPECTED: &'static str = "a string";

    fn write<S: Serializer>(value: &String, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(value)
    }

    fn from_text<E: Error>(text: &str) -> Result<Option<String>, E> {
        Ok(Some(text.to_owned()))
    }
}

impl Form<bool> for Plain {
    const EXPECTED: &'static str = "true or false";

    fn write<S: Serializer>(value: &bool, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bool(*value)
    }

    fn from_bool<E: Error>(value: bool) -> Result<bool, E> {
        Ok(value)
    }

    fn from_text<E: Error>(text: &str) -> Result<Option<bool>, E> {
        let unexpected =
            |_| E::invalid_value(Unexpected::Str(text), &<Self as Form<bool>>::EXPECTED);
        text.parse().map(Some).map_err(unexpected)
    }
}

macro_rules! integers {
    ($($integer:ident $expected:literal),* $(,)?) => {$(
        impl Form<$integer> for Plain {
            const EXPECTED: &'static str = $expected;

            fn write<S: Serializer>(value: &$integer, to: S) -> Result<S::Ok, S::Error> {
                value.serialize(to)
            }

            fn from_number<E: Error>(value: Number) -> Result<$integer, E> {
                let integer = value.whole().and_then(|value| value.try_into().ok());
                integer.ok_or_else(|| E::invalid_value(value.unexpected(), &<Self as Form<$integer>>::EXPECTED))
            }

            fn from_text<E: Error>(text: &str) -> Result<Option<$integer>, E> {
                Self::from_number(Number::parse(text, <Self as Form<$integer>>::EXPECTED)?).map(Some)
            }
        }
    )*};
}

integers!(
    i32 "a whole number of 32 bits",
    u32 "a whole number of 32 bits without sign",
    i64 "a whole number of 64 bits",
    u64 "a whole number of 64 bits without sign",
);

/// The names of the numbers that JSON cannot write. Mesos reads the infinities so; NaN it writes, but does not read.
const INFINITY: &str = "Infinity";
const MINUS_INFINITY: &str = "-Infinity";
const NAN: &str = "NaN";

impl Form<f64> for Plain {
    const EXPECTED: &'static str = "a number";

    /// Non-finite numbers go out as strings, so that the text stays valid JSON.
    fn write<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        match *value {
            f64::INFINITY => to.serialize_str(INFINITY),
            f64::NEG_INFINITY => to.serialize_str(MINUS_INFINITY),
            value if value.is_nan() => to.serialize_str(NAN),
            value => to.serialize_f64(value),
        }
    }

    fn from_number<E: Error>(value: Number) -> Result<f64, E> {
        Ok(value.float())
    }

    fn from_text<E: Error>(text: &str) -> Result<Option<f64>, E> {
        Ok(Some(match text {
            INFINITY => f64::INFINITY,
            MINUS_INFINITY => f64::NEG_INFINITY,
            NAN => f64::NAN,
            text => Number::parse(text, <Self as Form<f64>>::EXPECTED)?.float(),
        }))
    }
}

/// The standard alphabet; padded when written, in either way when read.
///
/// Source: `3rdparty/stout/include/stout/base64.hpp`, Apache Mesos 1.11.0.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Form<Bytes> for Plain {
    const EXPECTED: &'static str = "a string in base64";

    fn write<S: Serializer>(value: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64.encode(value))
    }

    fn from_text<E: Error>(text: &str) -> Result<Option<Bytes>, E> {
        let dense: Vec<u8> = text.bytes().filter(|byte| !is_space(*byte)).collect();
        let decoded = BASE64.decode(dense).map_err(|error| {
            E::custom(format_args!(
                "expected {} ({error})",
                <Self as Form<Bytes>>::EXPECTED
            ))
        })?;
        Ok(Some(decoded.into()))
    }
}

/// As C's `isspace` has it, which also counts the vertical tab.
const fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// Messages that contain themselves.
impl<T> Form<Box<T>> for Plain
where
    Self: Form<T>,
{
    const EXPECTED: &'static str = <Self as Form<T>>::EXPECTED;

    fn write<S: Serializer>(value: &Box<T>, to: S) -> Result<S::Ok, S::Error> {
        <Self as Form<T>>::write(value, to)
    }

    fn from_object<'de, A: MapAccess<'de>>(object: A) -> Result<Box<T>, A::Error> {
        <Self as Form<T>>::from_object(object).map(Box::new)
    }
}

/// What the generated enums have in common.
pub(super) trait Enum: TryFrom<i32> + Into<i32> {
    fn name(&self) -> &'static str;
    fn from_name(name: &str) -> Option<Self>;
}

/// The raw number of an enum value, written as its name; never as a number, which Mesos refuses.
pub(super) struct Named<E>(PhantomData<E>);

impl<E: Enum> Form<i32> for Named<E> {
    const EXPECTED: &'static str = "the name of an enum value";

    fn write<S: Serializer>(value: &i32, to: S) -> Result<S::Ok, S::Error> {
        let Ok(known) = E::try_from(*value) else {
            let error = format_args!("required enum value {value} has no name in this schema");
            return Err(S::Error::custom(error));
        };
        to.serialize_str(known.name())
    }

    fn can_write(value: &i32) -> bool {
        E::try_from(*value).is_ok()
    }

    fn from_text<R: Error>(text: &str) -> Result<Option<i32>, R> {
        Ok(E::from_name(text).map(Into::into))
    }
}

/// A map from strings to values of form `F`: an object whose keys are free.
pub(super) struct MapOf<F>(PhantomData<F>);

impl<T, F: Form<T>> Form<BTreeMap<String, T>> for MapOf<F> {
    const EXPECTED: &'static str = "an object";

    fn write<S: Serializer>(map: &BTreeMap<String, T>, to: S) -> Result<S::Ok, S::Error> {
        let known = map.iter().filter(|(_, value)| F::can_write(value));
        to.collect_map(known.map(|(key, value)| (key, Written::<F, T>::new(value))))
    }

    fn from_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<BTreeMap<String, T>, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = object.next_key::<String>()? {
            let value = object.next_value_seed(One::<F, T>::lenient());
            let value = value.map_err(|error| within(&key, &error))?;
            // `null` takes back an earlier value of the same key.
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        Ok(map)
    }
}
