//! What a task asks for.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use super::amount;
use super::{Resources, ranges};

/// Amounts by name, for [`Resources::take`]: of whichever reservation they are, and which ports they may be.
///
/// Empty at first. A scalar or a count that is set again replaces what was said before; ranges, items and volumes add up.
/// What is 0 asks for nothing.
///
/// # Examples
/// ```
/// use mesos_framework::resources::Request;
///
/// let request = Request::new().cpus(0.5).mem(128.0).ports(2).port(8080);
/// assert_eq!(request.to_string(), "cpus:0.5; mem:128; ports:[8080-8080]; ports:2 of any");
/// ```
///
/// Source: `TaskInfo.resources`, mesos.proto.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    pub(super) scalars: BTreeMap<String, f64>,
    /// How many numbers of ranges, whichever.
    pub(super) counts: BTreeMap<String, u64>,
    /// Joined.
    pub(super) ranges: BTreeMap<String, Vec<ranges::Pair>>,
    pub(super) items: BTreeMap<String, Vec<String>>,
    /// Ids of persistent volumes.
    pub(super) volumes: Vec<String>,
    pub(super) exactly: Resources,
    pub(super) is_revocable: bool,
}

impl Request {
    /// Asks for nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// [`scalar`](Self::scalar) of `cpus`; fractions are usual.
    #[must_use]
    pub fn cpus(self, cpus: f64) -> Self {
        self.scalar("cpus", cpus)
    }

    /// [`scalar`](Self::scalar) of `mem`.
    #[must_use]
    pub fn mem(self, megabytes: f64) -> Self {
        self.scalar("mem", megabytes)
    }

    /// [`scalar`](Self::scalar) of `disk`: of the agent's own disk, in MB (2^20 bytes).
    ///
    /// Disks with a source and persistent volumes are asked for by [`exactly`](Self::exactly) and
    /// [`volume`](Self::volume).
    #[must_use]
    pub fn disk(self, megabytes: f64) -> Self {
        self.scalar("disk", megabytes)
    }

    /// [`scalar`](Self::scalar) of `gpus`, which are whole.
    #[must_use]
    pub fn gpus(self, gpus: u32) -> Self {
        self.scalar("gpus", f64::from(gpus))
    }

    /// So much of the scalar called `name`, with three decimals; `mem` and `disk` are in MB (2^20 bytes).
    #[must_use]
    pub fn scalar(mut self, name: &str, value: f64) -> Self {
        self.scalars.insert(name.to_owned(), value);
        self
    }

    /// [`any_of`](Self::any_of) `ports`.
    #[must_use]
    pub fn ports(self, count: u64) -> Self {
        self.any_of("ports", count)
    }

    /// Exactly this one of `ports`; several may be asked for.
    #[must_use]
    pub fn port(self, port: u64) -> Self {
        self.range("ports", port..=port)
    }

    /// So many numbers of the ranges called `name`, whichever, beside those of [`range`](Self::range).
    #[must_use]
    pub fn any_of(mut self, name: &str, count: u64) -> Self {
        self.counts.insert(name.to_owned(), count);
        self
    }

    /// All numbers in `range` of the ranges called `name`.
    #[must_use]
    pub fn range(mut self, name: &str, range: RangeInclusive<u64>) -> Self {
        let pairs = self.ranges.entry(name.to_owned()).or_default();
        pairs.push(range.into_inner());
        *pairs = ranges::merged(std::mem::take(pairs));
        self
    }

    /// These items of the set called `name`.
    #[must_use]
    pub fn items<T: Into<String>>(
        mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
    ) -> Self {
        let own = self.items.entry(name.to_owned()).or_default();
        for item in items {
            let item = item.into();
            if !own.contains(&item) {
                own.push(item);
            }
        }
        self
    }

    /// The persistent volume of this id, as a whole.
    #[must_use]
    pub fn volume(mut self, id: impl Into<String>) -> Self {
        self.volumes.push(id.into());
        self
    }

    /// Also `resources`, of their very kinds but for reservations, as [`Resources::find`] finds them: a MOUNT disk, say.
    #[must_use]
    pub fn exactly(mut self, resources: &Resources) -> Self {
        self.exactly += resources;
        self
    }

    /// Scalars, ranges and items may also be revocable ones: for each name those alone if they are enough, else none of
    /// them, for a task must not have both under one name.
    #[must_use]
    pub fn revocable(mut self) -> Self {
        self.is_revocable = true;
        self
    }
}

/// `cpus:0.5; ports:2 of any`; `{}` if nothing is asked for.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pieces = Vec::new();
        for (name, value) in &self.scalars {
            pieces.push(format!("{name}:{}", amount::shown_scalar(*value)));
        }
        for (name, pairs) in &self.ranges {
            let ranges = amount::Amount::Ranges(pairs.clone());
            pieces.push(format!("{name}:{ranges}"));
        }
        for (name, count) in &self.counts {
            pieces.push(format!("{name}:{count} of any"));
        }
        for (name, items) in &self.items {
            pieces.push(format!("{name}:{{{}}}", items.join(", ")));
        }
        for id in &self.volumes {
            pieces.push(format!("volume '{id}'"));
        }
        if !self.exactly.is_empty() {
            pieces.push(self.exactly.to_string());
        }
        if pieces.is_empty() {
            return f.write_str("{}");
        }
        f.write_str(&pieces.join("; "))
    }
}
