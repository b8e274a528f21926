//! One kind of resource and how much of it there is.

use std::fmt;
use std::sync::Arc;

use super::amount::{self, Amount};
use super::{format, kind};
use crate::proto::{self, value};

#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The resource without its value, in the format with reservation refinement. Bags that are made of each other share
    /// it.
    pub(super) kind: Arc<proto::Resource>,
    pub(super) amount: Amount,
    /// How many hold a shared resource; 1 for any other.
    copies: u32,
}

impl Entry {
    pub(super) fn from_proto(resource: &proto::Resource) -> Option<Self> {
        let amount = Amount::of(resource)?;
        let kind = format::upgrade(without_value(resource));
        Some(Self {
            kind: Arc::new(kind),
            amount,
            copies: 1,
        })
    }

    /// Copies are not told of.
    pub(super) fn to_proto(&self) -> proto::Resource {
        let mut resource = proto::Resource::clone(&self.kind);
        self.amount.write_to(&mut resource);
        resource
    }

    /// The same, but for how its kind is changed.
    pub(super) fn changed(&self, change: impl FnOnce(&mut proto::Resource)) -> Self {
        let mut changed = self.clone();
        change(Arc::make_mut(&mut changed.kind));
        changed
    }

    /// So much of the same kind.
    pub(super) fn with_amount(&self, amount: Amount) -> Self {
        Self {
            kind: Arc::clone(&self.kind),
            amount,
            copies: 1,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.copies == 0 || self.amount.is_empty()
    }

    pub(super) fn is_shared(&self) -> bool {
        self.kind.shared.is_some()
    }

    /// How many hold it.
    pub(super) fn copies(&self) -> u32 {
        self.copies
    }

    /// Whether both make one entry.
    pub(super) fn is_addable(&self, other: &Self) -> bool {
        if self.is_shared() {
            self.is_subtractable(other)
        } else {
            kind::is_same(&self.kind, &other.kind) && !kind::is_whole(&self.kind)
        }
    }

    pub(super) fn is_subtractable(&self, other: &Self) -> bool {
        let must_equal = self.is_shared() || kind::is_whole(&self.kind);
        kind::is_same(&self.kind, &other.kind) && (!must_equal || self.amount == other.amount)
    }

    pub(super) fn contains(&self, other: &Self) -> bool {
        self.is_subtractable(other)
            && if self.is_shared() {
                self.copies >= other.copies
            } else {
                self.amount.contains(&other.amount)
            }
    }

    pub(super) fn add(&mut self, other: &Self) {
        if self.is_shared() {
            self.copies = self.copies.saturating_add(other.copies);
        } else {
            self.amount.add(&other.amount);
        }
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        if self.is_shared() {
            self.copies = self.copies.saturating_sub(other.copies);
        } else {
            self.amount.subtract(&other.amount);
        }
    }
}

/// A copy without its value, which may be long.
#[expect(deprecated, reason = "the older reservation format is read, too")]
fn without_value(resource: &proto::Resource) -> proto::Resource {
    proto::Resource {
        provider_id: resource.provider_id.clone(),
        name: resource.name.clone(),
        r#type: resource.r#type,
        scalar: None,
        ranges: None,
        set: None,
        role: resource.role.clone(),
        allocation_info: resource.allocation_info.clone(),
        reservation: resource.reservation.clone(),
        reservations: resource.reservations.clone(),
        disk: resource.disk.clone(),
        revocable: resource.revocable,
        shared: resource.shared,
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", Kind(&self.kind), self.amount)?;
        if self.is_shared() {
            write!(f, "<{}>", self.copies)?;
        }
        Ok(())
    }
}

/// One resource as it came, in the text in which Mesos prints it; it need not be valid.
pub(crate) fn shown(resource: &proto::Resource) -> String {
    struct Shown<'a>(&'a proto::Resource);
    impl fmt::Display for Shown<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}:", Kind(self.0))?;
            write_value(self.0, f)
        }
    }
    Shown(resource).to_string()
}

/// As it came: neither joined nor sorted.
fn write_value(resource: &proto::Resource, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value::Type::try_from(resource.r#type) {
        Ok(value::Type::Ranges) => {
            let ranges = resource.ranges.as_ref();
            amount::write_ranges(&ranges.map(amount::pairs).unwrap_or_default(), f)
        }
        Ok(value::Type::Set) => {
            let items = resource.set.as_ref().map(|set| set.item.join(", "));
            write!(f, "{{{}}}", items.unwrap_or_default())
        }
        _ => {
            let scalar = resource.scalar.as_ref();
            let steps = scalar.map_or(0, |scalar| amount::to_thousandths(scalar.value));
            f.write_str(&amount::shown_scalar(amount::to_float(steps)))
        }
    }
}

/// Name and marks of a resource.
pub(super) struct Kind<'a>(pub(super) &'a proto::Resource);

impl fmt::Display for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        format::write_kind(self.0, f)
    }
}
