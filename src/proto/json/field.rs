//! How fields look in JSON, by their label: what stands behind a key of an object.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};

use super::form::{Form, MapOf, Number};

/// Reads one value; `None` for `null`, and for an enum value that this schema does not know.
pub(super) struct One<F, T> {
    /// Refuse an unknown enum value.
    strict: bool,
    form: PhantomData<fn() -> (F, T)>,
}

impl<F, T> One<F, T> {
    pub(super) const fn lenient() -> Self {
        Self {
            strict: false,
            form: PhantomData,
        }
    }

    const fn strict() -> Self {
        Self {
            strict: true,
            form: PhantomData,
        }
    }
}

impl<'de, T, F: Form<T>> DeserializeSeed<'de> for One<F, T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, T, F: Form<T>> Visitor<'de> for One<F, T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(F::EXPECTED)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        F::from_bool(value).map(Some)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        F::from_number(Number::Whole(value.into())).map(Some)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        F::from_number(Number::Whole(value.into())).map(Some)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        F::from_number(Number::Float(value)).map(Some)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        match F::from_text(text)? {
            None if self.strict => Err(E::custom(format_args!("unknown enum value `{text}`"))),
            value => Ok(value),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        F::from_object(object).map(Some)
    }
}

/// Reads the values of a repeated field: a list, or one value on its own.
struct Many<F, T>(PhantomData<fn() -> (F, T)>);

impl<F, T> Many<F, T> {
    const ITEM: One<F, T> = One::lenient();
}

impl<'de, T, F: Form<T>> DeserializeSeed<'de> for Many<F, T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, T, F: Form<T>> Visitor<'de> for Many<F, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, or a list of such", F::EXPECTED)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Self::ITEM)? {
            values.extend(value);
        }
        Ok(values)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Self::ITEM.visit_bool(value).map(Vec::from_iter)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Self::ITEM.visit_i64(value).map(Vec::from_iter)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Self::ITEM.visit_u64(value).map(Vec::from_iter)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Self::ITEM.visit_f64(value).map(Vec::from_iter)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Self::ITEM.visit_str(text).map(Vec::from_iter)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        Self::ITEM.visit_map(object).map(Vec::from_iter)
    }
}

/// A value that writes itself in form `F`.
pub(super) struct Written<'a, F, T> {
    value: &'a T,
    form: PhantomData<fn() -> F>,
}

impl<'a, F, T> Written<'a, F, T> {
    pub(super) const fn new(value: &'a T) -> Self {
        Self {
            value,
            form: PhantomData,
        }
    }
}

impl<T, F: Form<T>> Serialize for Written<'_, F, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        F::write(self.value, to)
    }
}

/// A list whose items write themselves in form `F`.
struct WrittenList<'a, F, T> {
    values: &'a [T],
    form: PhantomData<fn() -> F>,
}

impl<T, F: Form<T>> Serialize for WrittenList<'_, F, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let known = self.values.iter().filter(|value| F::can_write(value));
        to.collect_seq(known.map(Written::<F, T>::new))
    }
}

/// What generated code does with a field, by its label.
pub(super) trait Field<T>: Form<T> {
    fn write_required<M: SerializeMap>(
        name: &'static str,
        value: &T,
        to: &mut M,
    ) -> Result<(), M::Error> {
        to.serialize_entry(name, &Written::<Self, T>::new(value))
    }

    fn write_optional<M: SerializeMap>(
        name: &'static str,
        value: Option<&T>,
        to: &mut M,
    ) -> Result<(), M::Error> {
        match value {
            Some(value) if Self::can_write(value) => Self::write_required(name, value, to),
            _ => Ok(()),
        }
    }

    fn write_repeated<M: SerializeMap>(
        name: &'static str,
        values: &[T],
        to: &mut M,
    ) -> Result<(), M::Error> {
        if !values.iter().any(Self::can_write) {
            return Ok(());
        }
        to.serialize_entry(
            name,
            &WrittenList::<Self, T> {
                values,
                form: PhantomData,
            },
        )
    }

    fn write_map<M: SerializeMap>(
        name: &'static str,
        map: &BTreeMap<String, T>,
        to: &mut M,
    ) -> Result<(), M::Error> {
        let map = Some(map).filter(|map| !map.is_empty());
        MapOf::<Self>::write_optional(name, map, to)
    }

    fn read_required<'de, A: MapAccess<'de>>(
        field: &mut T,
        from: &mut A,
    ) -> Result<bool, A::Error> {
        let value = from.next_value_seed(One::<Self, T>::strict())?;
        Ok(value.map(|value| *field = value).is_some())
    }

    fn read_optional<'de, A: MapAccess<'de>>(
        field: &mut Option<T>,
        from: &mut A,
    ) -> Result<bool, A::Error> {
        *field = from.next_value_seed(One::<Self, T>::lenient())?;
        Ok(field.is_some())
    }

    fn read_repeated<'de, A: MapAccess<'de>>(
        field: &mut Vec<T>,
        from: &mut A,
    ) -> Result<bool, A::Error> {
        *field = from.next_value_seed(Many::<Self, T>(PhantomData))?;
        Ok(true)
    }

    fn read_map<'de, A: MapAccess<'de>>(
        field: &mut BTreeMap<String, T>,
        from: &mut A,
    ) -> Result<bool, A::Error> {
        let map = from.next_value_seed(One::<MapOf<Self>, _>::lenient())?;
        *field = map.unwrap_or_default();
        Ok(true)
    }

    /// A member of a oneof: of several, the last one counts; one that is `null` does not count.
    fn read_variant<'de, O, A: MapAccess<'de>>(
        oneof: &mut Option<O>,
        variant: fn(T) -> O,
        from: &mut A,
    ) -> Result<bool, A::Error> {
        let value = from.next_value_seed(One::<Self, T>::lenient())?;
        Ok(value.map(|value| *oneof = Some(variant(value))).is_some())
    }
}

impl<T, F: Form<T>> Field<T> for F {}
