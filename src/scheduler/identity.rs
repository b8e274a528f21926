//! The framework's id beyond the life of its driver.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::identity::FrameworkIdStore;
use crate::proto::FrameworkId;

/// What a driver does when the master says that its framework was removed: torn down by an operator, or back only after
/// its failover time-out. Its tasks are killed, and its id will not be let in again. A master that subscribes a framework of
/// another id than was asked for says the same, for calls under the id asked for will not be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FrameworkRemoval {
    /// The driver ends with an error of the kind [`ErrorKind::FrameworkRemoved`]. The store keeps the id.
    #[default]
    Stop,
    /// The driver forgets the id, tells [`framework_removed`](super::Scheduler::framework_removed), and registers as a new
    /// framework.
    RegisterAnew,
}

/// What masters write in an ERROR event when the id in SUBSCRIBE is used up; and what older ones wrote.
///
/// Source: `Master::subscribe`, `src/master/master.cpp`, Apache Mesos 1.11.0.
const REMOVED: [&str; 3] = [
    "framework has been removed",
    "completed framework",
    "framework id mismatch",
];

/// The kind of error that an ERROR event of the master is.
pub(super) fn kind_of(message: &str) -> ErrorKind {
    let message = message.to_ascii_lowercase();
    match REMOVED.iter().any(|text| message.contains(text)) {
        true => ErrorKind::FrameworkRemoved,
        false => ErrorKind::ErrorEvent,
    }
}

/// Whether an ERROR event of the master says that another SUBSCRIBE with the framework's id was let in.
///
/// Source: `Master::failoverFramework`, `src/master/master.cpp`, Apache Mesos 1.11.0.
pub(super) fn is_taken_over(message: &str) -> bool {
    message.eq_ignore_ascii_case("framework failed over")
}

/// The user's store, if there is one, and what it is known to hold.
#[derive(Clone)]
pub(super) struct Identity {
    store: Option<Arc<dyn FrameworkIdStore>>,
    stored: Arc<Mutex<Option<FrameworkId>>>,
}

impl Identity {
    pub(super) fn new(store: Option<Arc<dyn FrameworkIdStore>>) -> Self {
        Self {
            store,
            stored: Arc::default(),
        }
    }

    pub(super) async fn load(&self) -> Result<Option<FrameworkId>> {
        let Some(store) = &self.store else {
            return Ok(None);
        };
        let loaded = store.load().await;
        let loaded = loaded.map_err(|error| failed("framework id not loaded", error))?;
        let loaded = loaded.filter(|id| !id.value.is_empty());
        self.knows(loaded.clone());
        Ok(loaded)
    }

    /// Returns when the store holds the id.
    pub(super) async fn keep(&self, id: &FrameworkId) -> Result<()> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        if self.holds(id) {
            return Ok(());
        }
        let stored = store.store(id).await;
        stored.map_err(|error| failed(&format!("framework id {id} not stored"), error))?;
        self.knows(Some(id.clone()));
        Ok(())
    }

    pub(super) async fn forget(&self, id: &FrameworkId) -> Result<()> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        let forgotten = store.forget().await;
        forgotten.map_err(|error| failed(&format!("framework id {id} not forgotten"), error))?;
        self.knows(None);
        Ok(())
    }

    /// Whether the store is known to hold that id.
    pub(super) fn holds(&self, id: &FrameworkId) -> bool {
        let stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.as_ref() == Some(id)
    }

    fn knows(&self, id: Option<FrameworkId>) {
        *self.stored.lock().unwrap_or_else(PoisonError::into_inner) = id;
    }
}

/// Whatever the store says, it is the store that failed.
fn failed(context: &str, error: Error) -> Error {
    Error::caused_by(ErrorKind::Store, context, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_used_up_id_is_a_removal() {
        for (message, kind) in [
            ("Framework has been removed", ErrorKind::FrameworkRemoved),
            (
                "Completed framework attempted to re-register",
                ErrorKind::FrameworkRemoved,
            ),
            ("Framework id mismatch", ErrorKind::FrameworkRemoved),
            ("Framework failed over", ErrorKind::ErrorEvent),
            (
                "Changing framework's principal is not allowed.",
                ErrorKind::ErrorEvent,
            ),
            ("", ErrorKind::ErrorEvent),
        ] {
            assert_eq!(kind_of(message), kind, "{message}");
        }
    }

    #[test]
    fn another_subscription_is_told_apart_from_other_errors() {
        assert!(is_taken_over("Framework failed over"));
        assert!(!is_taken_over("Framework has been removed"));
        assert!(!is_taken_over(""));
    }
}
