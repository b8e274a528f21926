//! Short constructors and setters for the messages that authors of frameworks write most. What has none is set in the
//! fields, which are all public. Setters are named like their field, but where that is the name of a getter.

mod check;
mod command;
mod container;
mod executor;
mod framework;
mod operation;
mod resource;
mod task;
mod volume;

use std::time::Duration;

use super::{DurationInfo, Filters, Label, Labels};

impl DurationInfo {
    /// A duration; one that 64 bits of nanoseconds do not hold (292 years) is cut to that.
    #[must_use]
    pub fn new(duration: Duration) -> Self {
        let nanoseconds = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        Self { nanoseconds }
    }
}

impl From<Duration> for DurationInfo {
    fn from(duration: Duration) -> Self {
        Self::new(duration)
    }
}

impl Filters {
    /// What is left over or declined is not offered again for that long.
    ///
    /// Mesos makes it the allocation interval (1 s by default) at least, unless it is zero, and 365 days at most.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use mesos_framework::proto::Filters;
    ///
    /// assert_eq!(Filters::refuse(Duration::from_millis(1500)).refuse_seconds, Some(1.5));
    /// ```
    #[must_use]
    pub fn refuse(duration: Duration) -> Self {
        Self {
            refuse_seconds: Some(duration.as_secs_f64()),
        }
    }
}

impl Label {
    /// A label.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: Some(value.into()),
        }
    }
}

/// One more label.
fn push_label(labels: &mut Option<Labels>, key: String, value: String) {
    let labels = labels.get_or_insert_default();
    labels.labels.push(Label::new(key, value));
}

#[cfg(test)]
mod tests;
