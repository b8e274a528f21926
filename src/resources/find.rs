//! Amounts in whatever reservation they are.

use super::entry::Entry;
use super::reservations::{reservation_role, unreserved};
use super::shortage::{Shortage, Shortages};
use super::{Resources, kind};

impl Resources {
    /// Where the amounts of `wanted` are in here, whatever they are reserved for: first those reserved for the same role as
    /// what is wanted, then unreserved ones, then any. All else about a kind must agree: disk, revocability, provider,
    /// allocation.
    ///
    /// What it answers is contained in `self`, and has the amounts of `wanted` without their reservations. (Mesos's own
    /// may answer more than there is if two wanted resources differ in their reservations only, and gives up where more
    /// than one kind of a step, or a part of ranges, would have to be taken.)
    ///
    /// # Errors
    /// What of `wanted` is not there.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::resources::Resources;
    ///
    /// let offer = Resources::parse("cpus:4;cpus(web):1;mem:512")?;
    /// let found = offer.find(&Resources::parse("cpus(web):3;mem:100")?)?;
    /// assert_eq!(found, Resources::parse("cpus(web):1;cpus:2;mem:100")?);
    /// let short = offer.find(&Resources::parse("cpus:6")?).unwrap_err();
    /// assert_eq!(short.to_string(), "short of cpus by 1");
    /// # Ok::<(), mesos_framework::Error>(())
    /// ```
    ///
    /// Source: `Resources::find`, `src/common/resources.cpp`.
    pub fn find(&self, wanted: &Self) -> Result<Self, Shortages> {
        let mut search = Search {
            left: self.clone(),
            found: Self::new(),
        };
        let short: Vec<Shortage> = wanted
            .entries
            .iter()
            .filter_map(|wanted| search.take(wanted).err())
            .collect();
        if short.is_empty() {
            Ok(search.found)
        } else {
            Err(short.into())
        }
    }
}

#[derive(Clone)]
struct Search {
    left: Resources,
    found: Resources,
}

/// Whether a part of ranges or a set may be taken where neither that which is there nor that which is missing contains the
/// other.
#[derive(Clone, Copy, PartialEq)]
enum Parts {
    No,
    Yes,
}

impl Search {
    /// As Mesos does, or else of whatever parts there are.
    fn take(&mut self, wanted: &Entry) -> Result<(), Shortage> {
        let mut attempt = self.clone();
        let taken = attempt.take_of(wanted, Parts::No).or_else(|_| {
            attempt.clone_from(self);
            attempt.take_of(wanted, Parts::Yes)
        });
        *self = attempt;
        taken
    }

    fn take_of(&mut self, wanted: &Entry, parts: Parts) -> Result<(), Shortage> {
        let role = reservation_role(&wanted.kind);
        let mut missing = unreserved(wanted);
        if role.is_some() {
            let is_for_role = |entry: &Entry| reservation_role(&entry.kind) == role;
            self.take_from(&mut missing, is_for_role, parts);
        }
        let is_free = |entry: &Entry| entry.kind.reservations.is_empty();
        self.take_from(&mut missing, is_free, parts);
        self.take_from(&mut missing, |_| true, parts);
        if missing.is_empty() {
            return Ok(());
        }
        Err(Shortage::of(&missing, None))
    }

    fn take_from(&mut self, missing: &mut Entry, is_next: impl Fn(&Entry) -> bool, parts: Parts) {
        let candidates = self.left.entries.iter();
        let candidates = candidates.filter(|own| {
            is_next(own) && kind::is_same_but_for_reservations(&own.kind, &missing.kind)
        });
        // A copy, for what is taken from changes.
        let candidates: Vec<Entry> = candidates.cloned().collect();
        for candidate in candidates {
            if missing.is_empty() {
                return;
            }
            let wanted = reserved_like(&candidate, missing);
            let must_be_whole = candidate.is_shared() || kind::is_whole(&candidate.kind);
            let taken = if candidate.contains(&wanted) {
                wanted
            } else if must_be_whole {
                continue;
            } else if parts == Parts::Yes || wanted.contains(&candidate) {
                wanted.with_amount(wanted.amount.common(&candidate.amount))
            } else {
                continue;
            };
            self.left.subtract_entry(&taken);
            missing.amount.subtract(&taken.amount);
            self.found.add_entry(taken);
        }
    }
}

/// `entry`, which is not reserved, with the reservations of `other`.
fn reserved_like(other: &Entry, entry: &Entry) -> Entry {
    if other.kind.reservations.is_empty() {
        return entry.clone();
    }
    entry.changed(|kind| kind.reservations.clone_from(&other.kind.reservations))
}
