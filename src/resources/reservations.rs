//! The stack of reservations on each resource.

use super::Resources;
use super::entry::Entry;
use super::validate::validate;
use crate::error::{Error, ErrorKind, Result};
use crate::proto;
use crate::proto::resource::{ReservationInfo, reservation_info};

impl Resources {
    /// The same amounts with `reservation` on top of the reservations that each has: what RESERVE makes of them.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the first resource on which it cannot be, and why: only a `DYNAMIC` reservation, whose
    /// role is below that of the one before it, is valid on top of another.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::proto::resource::{ReservationInfo, reservation_info};
    /// use mesos_framework::resources::Resources;
    ///
    /// let free = Resources::parse("cpus:1")?;
    /// let reserved = free.push_reservation(&ReservationInfo {
    ///     r#type: Some(reservation_info::Type::Dynamic.into()),
    ///     role: Some("web".to_owned()),
    ///     ..Default::default()
    /// })?;
    /// assert_eq!(reserved.to_string(), "cpus(reservations: [(DYNAMIC,web)]):1");
    /// assert_eq!(reserved.pop_reservation()?, free);
    /// # Ok::<(), mesos_framework::Error>(())
    /// ```
    ///
    /// Source: `Resources::pushReservation`, `include/mesos/v1/resources.hpp`.
    pub fn push_reservation(&self, reservation: &ReservationInfo) -> Result<Self> {
        let push = |entry: &Entry| {
            let reserved = entry.changed(|kind| kind.reservations.push(reservation.clone()));
            validate(&reserved.to_proto()).map(|()| reserved)
        };
        self.each(push, "cannot be reserved")
    }

    /// The same amounts without the reservation on top: what UNRESERVE makes of them.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the first resource that is not reserved.
    ///
    /// Source: `Resources::popReservation`, `include/mesos/v1/resources.hpp`.
    pub fn pop_reservation(&self) -> Result<Self> {
        let pop = |entry: &Entry| {
            if entry.kind.reservations.is_empty() {
                return Err("it is not reserved".to_owned());
            }
            Ok(entry.changed(|kind| {
                kind.reservations.pop();
            }))
        };
        self.each(pop, "cannot be unreserved")
    }

    /// The same amounts with no other reservation than `reservation`; `None`: without any, as
    /// [`to_unreserved`](Self::to_unreserved).
    ///
    /// # Errors
    /// As of [`push_reservation`](Self::push_reservation).
    ///
    /// Source: `Resources::flatten` of Mesos before reservations were refined.
    pub fn flatten(&self, reservation: Option<&ReservationInfo>) -> Result<Self> {
        let flat = self.to_unreserved();
        match reservation {
            Some(reservation) => flat.push_reservation(reservation),
            None => Ok(flat),
        }
    }

    /// The same amounts without any reservation.
    ///
    /// Source: `Resources::toUnreserved`, `include/mesos/v1/resources.hpp`.
    #[must_use]
    pub fn to_unreserved(&self) -> Self {
        let mut sum = Self::new();
        for entry in &self.entries {
            sum.add_entry(unreserved(entry));
        }
        sum
    }

    fn each(
        &self,
        change: impl Fn(&Entry) -> std::result::Result<Entry, String>,
        what: &str,
    ) -> Result<Self> {
        let mut sum = Self::new();
        for entry in &self.entries {
            let changed = change(entry).map_err(|why| {
                let context = format!("resource '{entry}' {what}: {why}");
                Error::new(ErrorKind::Config, context)
            })?;
            sum.add_entry(changed);
        }
        Ok(sum)
    }
}

/// The same without reservations.
pub(super) fn unreserved(entry: &Entry) -> Entry {
    if entry.kind.reservations.is_empty() {
        entry.clone()
    } else {
        entry.changed(|kind| kind.reservations.clear())
    }
}

/// The role that `kind` is reserved for, as the reservation on top says.
pub(crate) fn reservation_role(kind: &proto::Resource) -> Option<&str> {
    kind.reservations.last().map(ReservationInfo::role)
}

pub(crate) fn is_dynamically_reserved(kind: &proto::Resource) -> bool {
    let last = kind.reservations.last();
    last.is_some_and(|last| last.r#type() == reservation_info::Type::Dynamic)
}
