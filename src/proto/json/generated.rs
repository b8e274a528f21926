//! The impls that the build script writes from the schema, and the glue around them.
#![expect(deprecated, reason = "deprecated fields are on the wire all the same")]

#[cfg(test)]
use std::fmt::Debug;

use prost_types::Duration;
#[cfg(test)]
use serde::de::DeserializeOwned;
use serde::de::{Deserialize, Deserializer, MapAccess};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::field::Field;
use super::form::{Enum, Form, Named, Plain};
use super::object::{Message, deserialize, read_object, skip, write_object};

macro_rules! forms {
    ($($message:ty),* $(,)?) => {$(
        impl Form<$message> for Plain {
            const EXPECTED: &'static str = "an object";

            fn write<S: Serializer>(value: &$message, to: S) -> Result<S::Ok, S::Error> {
                write_object(value, to)
            }

            fn from_object<'de, A: MapAccess<'de>>(object: A) -> Result<$message, A::Error> {
                read_object(object)
            }
        }
    )*};
}

macro_rules! objects {
    ($($message:ty),* $(,)?) => {
        forms! { $($message),* }
        $(
            impl Serialize for $message {
                fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                    write_object(self, to)
                }
            }

            impl<'de> Deserialize<'de> for $message {
                fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                    deserialize(from)
                }
            }
        )*

        #[cfg(test)]
        pub(super) fn each_message(check: &mut impl Check) {
            $(check.check::<$message>();)*
        }
    };
}

/// Something to do with every message of the schema.
#[cfg(test)]
pub(super) trait Check {
    fn check<M>(&mut self)
    where
        M: Message + prost::Message + Serialize + DeserializeOwned + PartialEq + Debug;
}

macro_rules! enums {
    ($($name:ty),* $(,)?) => {$(
        impl Enum for $name {
            fn name(&self) -> &'static str {
                self.as_str_name()
            }

            fn from_name(name: &str) -> Option<Self> {
                Self::from_str_name(name)
            }
        }
    )*};
}

include!(concat!(env!("OUT_DIR"), "/json.rs"));

forms!(Duration);

/// To Mesos a message like any other, not the `"3s"` of protobuf's JSON mapping. Its fields always have a value.
impl Message for Duration {
    const NAME: &'static str = "google.protobuf.Duration";
    const FIELDS: &'static [&'static str] = &["seconds", "nanos"];

    fn write<M: SerializeMap>(&self, to: &mut M) -> Result<(), M::Error> {
        Plain::write_required("seconds", &self.seconds, to)?;
        Plain::write_required("nanos", &self.nanos, to)
    }

    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        field: usize,
        from: &mut A,
    ) -> Result<bool, A::Error> {
        match field {
            0 => Plain::read_required(&mut self.seconds, from),
            _ => Plain::read_required(&mut self.nanos, from),
        }
    }
}
