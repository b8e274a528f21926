//! What a request gets out of an offer.

use std::iter;

use super::amount::{self, Amount};
use super::entry::Entry;
use super::request::Request;
use super::shortage::{Missing, Shortage, Shortages};
use super::{Resources, kind, ranges};

/// What [`Resources::take`] takes, and what it leaves.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Taken {
    /// What was asked for, as it was offered: for `TaskInfo.resources`.
    pub used: Resources,
    /// The rest. Shared volumes stay, for others may use them, too.
    pub left: Resources,
}

impl Resources {
    /// Takes what `request` asks for: what is reserved first, the most refined reservation before others, then what is
    /// not. Any ports are the lowest that there are.
    ///
    /// A bag that is an offer's, or that of several offers of one agent and role, gives what a task may be launched with.
    /// Neither persistent volumes nor disks with a source are taken for a plain `disk`; nothing revocable unless the
    /// request says so, and then all of a name is or nothing.
    ///
    /// # Errors
    /// All that is missing, and how much of each: nothing is taken.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::resources::{Request, Resources};
    ///
    /// let offer = Resources::parse("cpus:4;mem:512;mem(web):64;ports:[31000-31009]")?;
    /// let taken = offer.take(&Request::new().cpus(1.0).mem(100.0).ports(2).port(31005))?;
    /// assert_eq!(taken.used.ports(), [31000..=31001, 31005..=31005]);
    /// assert_eq!(taken.used.named("mem"), Resources::parse("mem(web):64;mem:36")?);
    /// assert_eq!(taken.left.cpus(), 3.0);
    /// assert_eq!(taken.used + taken.left, offer);
    ///
    /// let short = offer.take(&Request::new().cpus(4.5).mem(672.0)).unwrap_err();
    /// assert_eq!(short.to_string(), "short of cpus by 0.5, mem by 96");
    /// # Ok::<(), mesos_framework::Error>(())
    /// ```
    pub fn take(&self, request: &Request) -> Result<Taken, Shortages> {
        let used = self.pick(request)?;
        let left = self.clone() - &used.not_shared();
        Ok(Taken { used, left })
    }

    /// What [`take`](Self::take) uses.
    pub(crate) fn pick(&self, request: &Request) -> Result<Self, Shortages> {
        let mut picking = Picking {
            whole: self,
            request,
            used: Self::new(),
            short: Vec::new(),
        };
        picking.exactly();
        picking.volumes();
        picking.scalars();
        picking.ranges();
        picking.items();
        if picking.short.is_empty() {
            Ok(picking.used)
        } else {
            Err(picking.short.into())
        }
    }
}

struct Picking<'a> {
    whole: &'a Resources,
    request: &'a Request,
    used: Resources,
    short: Vec<Shortage>,
}

impl Picking<'_> {
    fn exactly(&mut self) {
        if self.request.exactly.is_empty() {
            return;
        }
        match self.whole.find(&self.request.exactly) {
            Ok(found) => self.used += found,
            Err(short) => self.short.extend(short),
        }
    }

    fn volumes(&mut self) {
        for id in &self.request.volumes {
            let mut entries = self.whole.entries.iter();
            let volume = entries.find(|entry| {
                let disk = entry.kind.disk.as_deref();
                disk.and_then(kind::persistence_id) == Some(id) && !self.used.holds(entry)
            });
            match volume {
                Some(entry) => self.used.add_entry(entry.with_amount(entry.amount.clone())),
                None => {
                    let missing = Missing::Volume(id.clone());
                    self.short.push(Shortage::new("disk", missing));
                }
            }
        }
    }

    fn scalars(&mut self) {
        for (name, value) in &self.request.scalars {
            match amount::thousandths(*value) {
                Some(thousandths) if thousandths >= 0 => {
                    self.take(name, &[Wanted::Amount(Amount::Scalar(thousandths))]);
                }
                _ => {
                    let missing = Missing::NoAmount(*value);
                    self.short.push(Shortage::new(name, missing));
                }
            }
        }
    }

    /// Certain ones of a name, and then any others.
    fn ranges(&mut self) {
        let (ranges, counts) = (&self.request.ranges, &self.request.counts);
        for (name, pairs) in ranges {
            let certain = Wanted::Amount(Amount::Ranges(pairs.clone()));
            let any = counts.get(name).map(|count| Wanted::Count(*count));
            let wanted: Vec<_> = iter::once(certain).chain(any).collect();
            self.take(name, &wanted);
        }
        for (name, count) in counts {
            if !ranges.contains_key(name) {
                self.take(name, &[Wanted::Count(*count)]);
            }
        }
    }

    fn items(&mut self) {
        for (name, items) in &self.request.items {
            self.take(name, &[Wanted::Amount(Amount::Set(items.clone()))]);
        }
    }

    /// Takes all that is wanted of `name`, or notes what is missing. What is revocable and what is not cannot be used
    /// together under one name.
    fn take(&mut self, name: &str, wanted: &[Wanted]) {
        let mut used = self.used.called(name);
        let kinds: &[bool] = match used.next().map(|own| own.kind.revocable.is_some()) {
            Some(true) => &[true],
            None if self.request.is_revocable => &[true, false],
            _ => &[false],
        };
        drop(used);
        let mut missing = Vec::new();
        for is_revocable in kinds {
            match self.taken_all(name, wanted, *is_revocable) {
                Ok(used) => {
                    self.used = used;
                    return;
                }
                Err(all) => missing = all,
            }
        }
        let short = missing.into_iter();
        self.short.extend(short.map(|own| Shortage::new(name, own)));
    }

    /// What is used then.
    fn taken_all(
        &self,
        name: &str,
        wanted: &[Wanted],
        is_revocable: bool,
    ) -> Result<Resources, Vec<Missing>> {
        let mut used = self.used.clone();
        let mut missing = Vec::new();
        for wanted in wanted {
            match self.taken(&used, name, wanted.clone(), is_revocable) {
                Ok(taken) => taken.into_iter().for_each(|own| used.add_entry(own)),
                Err(own) => missing.push(own),
            }
        }
        if missing.is_empty() {
            Ok(used)
        } else {
            Err(missing)
        }
    }

    fn taken(
        &self,
        used: &Resources,
        name: &str,
        mut wanted: Wanted,
        is_revocable: bool,
    ) -> Result<Vec<Entry>, Missing> {
        let candidates = self
            .whole
            .called(name)
            .filter(|own| own.kind.disk.is_none() && own.kind.revocable.is_some() == is_revocable);
        let mut candidates: Vec<&Entry> = candidates.collect();
        candidates.sort_by_key(|own| std::cmp::Reverse(own.kind.reservations.len()));
        let mut taken = Vec::new();
        for candidate in candidates {
            if wanted.is_nothing() {
                break;
            }
            let part = wanted.part_of(&free(candidate, used));
            if !part.is_empty() {
                wanted.subtract(&part);
                taken.push(candidate.with_amount(part));
            }
        }
        if wanted.is_nothing() {
            Ok(taken)
        } else {
            Err(wanted.missing())
        }
    }
}

/// What is left of `entry` beside what is used already.
fn free(entry: &Entry, used: &Resources) -> Amount {
    let mut free = entry.amount.clone();
    let used = used.entries.iter();
    for used in used.filter(|used| entry.is_subtractable(used)) {
        free.subtract(&used.amount);
    }
    free
}

impl Resources {
    fn holds(&self, entry: &Entry) -> bool {
        self.entries.iter().any(|own| own.is_subtractable(entry))
    }
}

/// What is still to be taken of one name.
#[derive(Clone)]
enum Wanted {
    Amount(Amount),
    /// So many of ranges.
    Count(u64),
}

impl Wanted {
    fn is_nothing(&self) -> bool {
        match self {
            Self::Amount(amount) => amount.is_empty(),
            Self::Count(count) => *count == 0,
        }
    }

    /// What of it is in `free`; nothing, if that is of another type.
    fn part_of(&self, free: &Amount) -> Amount {
        match (self, free) {
            (Self::Amount(amount), free) => amount.common(free),
            (Self::Count(count), Amount::Ranges(free)) => {
                Amount::Ranges(ranges::lowest(free, *count))
            }
            (Self::Count(_), _) => Amount::Ranges(Vec::new()),
        }
    }

    fn subtract(&mut self, part: &Amount) {
        match (self, part) {
            (Self::Amount(amount), part) => amount.subtract(part),
            (Self::Count(count), Amount::Ranges(part)) => {
                *count = count.saturating_sub(ranges::count(part));
            }
            (Self::Count(_), _) => {}
        }
    }

    fn missing(self) -> Missing {
        match self {
            Self::Amount(Amount::Scalar(thousandths)) => {
                Missing::Scalar(amount::to_float(thousandths))
            }
            Self::Amount(Amount::Ranges(pairs)) => {
                Missing::Ranges(pairs.into_iter().map(|(begin, end)| begin..=end).collect())
            }
            Self::Amount(Amount::Set(items)) => Missing::Items(items),
            Self::Count(count) => Missing::Count(count),
        }
    }
}
