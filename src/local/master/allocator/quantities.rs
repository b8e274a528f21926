//! Amounts by name, whatever their reservations: what shares, guarantees and limits are computed with.
//!
//! Source: `src/common/resource_quantities.cpp` of Apache Mesos 1.11.0.

use std::collections::BTreeMap;
use std::fmt;

use crate::proto::{self, value};
use crate::resources::Resources;

/// Steps in one unit of a scalar.
const STEPS: f64 = 1000.0;

/// Thousandths by name; a name that is missing means none. Never negative, no zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::local) struct Quantities(BTreeMap<String, i64>);

/// Thousandths by name; a name that is missing means no limit. Never negative.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::local) struct Limits(BTreeMap<String, i64>);

impl Quantities {
    /// Of the scalars of which `wanted` holds.
    pub(in crate::local::master) fn of_scalars(
        resources: &Resources,
        wanted: impl Fn(&proto::Resource) -> bool,
    ) -> Self {
        let scalars = resources.scalar_amounts();
        Self::sum(scalars.filter(|(kind, _)| wanted(kind)))
    }

    /// Of everything; items of ranges and sets are counted.
    pub(in crate::local::master) fn of_all(
        resources: &Resources,
        wanted: impl Fn(&proto::Resource) -> bool,
    ) -> Self {
        let counts = resources.counts();
        Self::sum(counts.filter(|(kind, _)| wanted(kind)))
    }

    pub(in crate::local::master) fn of_map(map: &BTreeMap<String, value::Scalar>) -> Self {
        let mut sum = Self::default();
        for (name, scalar) in map {
            sum.add_one(name, thousandths(scalar.value));
        }
        sum
    }

    fn sum<'a>(amounts: impl Iterator<Item = (&'a proto::Resource, i64)>) -> Self {
        let mut sum = Self::default();
        for (kind, amount) in amounts {
            sum.add_one(&kind.name, amount);
        }
        sum
    }

    fn add_one(&mut self, name: &str, amount: i64) {
        if amount <= 0 {
            return;
        }
        match self.0.get_mut(name) {
            Some(own) => *own = own.saturating_add(amount),
            None => {
                self.0.insert(name.to_owned(), amount);
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    pub(in crate::local::master) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::local::master) fn contains(&self, other: &Self) -> bool {
        let mut others = other.0.iter();
        others.all(|(name, amount)| self.get(name) >= *amount)
    }

    /// Name and amount, in units.
    pub(in crate::local::master) fn units(&self) -> impl Iterator<Item = (&str, f64)> {
        units(&self.0)
    }

    pub(in crate::local::master) fn to_map(&self) -> BTreeMap<String, value::Scalar> {
        to_map(&self.0)
    }

    /// The largest part of `total` that this is of anything.
    pub(super) fn dominant_share(&self, total: &Self) -> f64 {
        let shares = self.0.iter().map(|(name, own)| match total.get(name) {
            0 => 0.0,
            whole => to_units(*own) / to_units(whole),
        });
        shares.fold(0.0, f64::max)
    }
}

impl std::ops::AddAssign<&Self> for Quantities {
    fn add_assign(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            self.add_one(name, *amount);
        }
    }
}

/// Takes away what is there: never below nothing.
impl std::ops::SubAssign<&Self> for Quantities {
    fn sub_assign(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            if let Some(own) = self.0.get_mut(name) {
                *own -= amount;
            }
        }
        self.0.retain(|_, amount| *amount > 0);
    }
}

impl Limits {
    pub(in crate::local::master) fn of_map(map: &BTreeMap<String, value::Scalar>) -> Self {
        let limits = map.iter();
        Self(
            limits
                .map(|(name, scalar)| (name.clone(), thousandths(scalar.value)))
                .collect(),
        )
    }

    pub(in crate::local::master) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::local::master) fn contains(&self, quantities: &Quantities) -> bool {
        let mut limits = self.0.iter();
        limits.all(|(name, limit)| quantities.get(name) <= *limit)
    }

    /// What is left of `name` once `used` is used; `None`: any amount.
    pub(super) fn room(&self, name: &str, used: &Quantities) -> Option<i64> {
        let limit = self.0.get(name)?;
        Some(limit.saturating_sub(used.get(name)).max(0))
    }

    pub(in crate::local::master) fn units(&self) -> impl Iterator<Item = (&str, f64)> {
        units(&self.0)
    }

    pub(in crate::local::master) fn to_map(&self) -> BTreeMap<String, value::Scalar> {
        to_map(&self.0)
    }
}

fn units(amounts: &BTreeMap<String, i64>) -> impl Iterator<Item = (&str, f64)> {
    let amounts = amounts.iter();
    amounts.map(|(name, amount)| (name.as_str(), to_units(*amount)))
}

fn to_map(amounts: &BTreeMap<String, i64>) -> BTreeMap<String, value::Scalar> {
    let amounts = units(amounts);
    amounts
        .map(|(name, value)| (name.to_owned(), value::Scalar { value }))
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "what is out of range is clamped"
)]
fn thousandths(value: f64) -> i64 {
    (value * STEPS).round() as i64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "as Mesos, which states amounts as doubles"
)]
fn to_units(thousandths: i64) -> f64 {
    thousandths as f64 / STEPS
}

fn write(amounts: &BTreeMap<String, i64>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if amounts.is_empty() {
        return f.write_str("{}");
    }
    for (index, (name, amount)) in units(amounts).enumerate() {
        let separator = if index == 0 { "" } else { "; " };
        write!(f, "{separator}{name}:{amount}")?;
    }
    Ok(())
}

impl fmt::Display for Quantities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(&self.0, f)
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Quantities {
        Quantities::of_all(&Resources::parse(text).unwrap(), |_| true)
    }

    #[test]
    fn the_scarcest_resource_makes_the_share() {
        let total = of("cpus:10;mem:1000");
        assert_eq!(of("cpus:1;mem:500;gold:5").dominant_share(&total), 0.5);
        assert_eq!(Quantities::default().dominant_share(&total), 0.0);
    }

    #[test]
    fn items_are_counted_and_nothing_goes_below_zero() {
        let mut sum = of("cpus:1.5;ports:[1-10];set:{a,b}");
        assert_eq!(sum.to_string(), "cpus:1.5; ports:10; set:2");
        sum -= &of("cpus:2;ports:[1-4]");
        assert_eq!(sum.to_string(), "ports:6; set:2");
        assert_eq!(Quantities::default().to_string(), "{}");
    }

    #[test]
    fn limits_say_nothing_of_other_names() {
        let limits = Limits(BTreeMap::from([("cpus".to_owned(), 1_000)]));
        assert!(limits.contains(&of("cpus:1;mem:5")));
        assert!(!limits.contains(&of("cpus:1.001")));
        assert_eq!(limits.room("cpus", &of("cpus:0.4")), Some(600));
        assert_eq!(limits.room("cpus", &of("cpus:4")), Some(0));
        assert_eq!(limits.room("mem", &of("cpus:4")), None);
    }
}
