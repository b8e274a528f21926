//! Which operations have not come to their end, and when to ask for them. No I/O, no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::failure::OperationFailure;
use crate::error::{Error, Result};
use crate::proto::scheduler::call::reconcile_operations;
use crate::proto::{
    AgentId, OperationId, OperationState, OperationStatus, ResourceProviderId, offer,
};

pub(super) type Answer = oneshot::Sender<Result<OperationStatus>>;

/// An operation on its way.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) operation: offer::operation::Type,
    pub(super) agent_id: AgentId,
    pub(super) provider_id: Option<ResourceProviderId>,
    pub(super) answer: Answer,
    /// Room among those that are followed at once.
    pub(super) _room: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct Followed {
    entry: Entry,
    /// When it is asked for; `None` while its ACCEPT is on its way.
    due: Option<Instant>,
    /// How often it was asked for since anything was known of it.
    asked: u32,
    /// How often nobody knew of it, one after the other.
    unknown: u32,
}

/// How often one asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    pub(super) first: Duration,
    pub(super) max: Duration,
    /// So many answers that nobody knows of an operation are its end.
    pub(super) unknown: u32,
}

impl Rhythm {
    /// Between a half of the doubled wait and all of it. `random`: in [0, 1).
    fn wait(&self, asked: u32, random: f64) -> Duration {
        let wait = self.first.saturating_mul(2_u32.saturating_pow(asked));
        wait.min(self.max).mul_f64(0.5 + random / 2.0)
    }
}

#[derive(Debug)]
pub(super) struct Table {
    rhythm: Rhythm,
    all: BTreeMap<OperationId, Followed>,
    random: fn() -> f64,
}

impl Table {
    pub(super) fn new(rhythm: Rhythm, random: fn() -> f64) -> Self {
        Self {
            rhythm,
            all: BTreeMap::new(),
            random,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn contains(&self, id: &OperationId) -> bool {
        self.all.contains_key(id)
    }

    pub(super) fn add(&mut self, id: OperationId, entry: Entry) {
        let followed = Followed {
            entry,
            due: None,
            asked: 0,
            unknown: 0,
        };
        self.all.insert(id, followed);
    }

    /// Forgets an operation whose end nobody waits for. (Another one may have its id by now.)
    pub(super) fn forget(&mut self, id: &OperationId) {
        let is_alone = |own: &Followed| own.entry.answer.is_closed();
        if self.all.get(id).is_some_and(is_alone) {
            self.all.remove(id);
        }
    }

    /// Its ACCEPT has arrived, or may have.
    pub(super) fn sent(&mut self, id: &OperationId, now: Instant) {
        let wait = self.rhythm.wait(0, (self.random)());
        if let Some(own) = self.all.get_mut(id) {
            own.due = Some(now + wait);
        }
    }

    /// Ends an operation without a status.
    pub(super) fn fail(&mut self, id: &OperationId, error: &Error) {
        if let Some(own) = self.all.remove(id) {
            own.end(Err(error.clone()));
        }
    }

    pub(super) fn fail_all(&mut self, error: &Error) {
        for own in std::mem::take(&mut self.all).into_values() {
            own.end(Err(error.clone()));
        }
    }

    /// There is a new subscription: statuses may have been lost with the old one.
    pub(super) fn resubscribed(&mut self, now: Instant) {
        self.ask_now(now, |_| true);
    }

    pub(super) fn agent_lost(&mut self, agent_id: &AgentId, now: Instant) {
        self.ask_now(now, |entry| entry.agent_id == *agent_id);
    }

    fn ask_now(&mut self, now: Instant, wanted: impl Fn(&Entry) -> bool) {
        for own in self.all.values_mut() {
            if own.due.is_some() && wanted(&own.entry) {
                own.due = Some(now);
                own.asked = 0;
            }
        }
    }

    /// What is to be asked for at `now`, and when the next is.
    pub(super) fn due(
        &mut self,
        now: Instant,
    ) -> (Vec<reconcile_operations::Operation>, Option<Instant>) {
        let mut asked = Vec::new();
        for (id, own) in &mut self.all {
            if own.due.is_none_or(|due| due > now) {
                continue;
            }
            own.asked = own.asked.saturating_add(1);
            own.due = Some(now + self.rhythm.wait(own.asked, (self.random)()));
            asked.push(reconcile_operations::Operation {
                operation_id: id.clone(),
                agent_id: Some(own.entry.agent_id.clone()),
                resource_provider_id: own.entry.provider_id.clone(),
            });
        }
        (asked, self.all.values().filter_map(|own| own.due).min())
    }

    /// A status has come.
    pub(super) fn told(&mut self, status: &OperationStatus) {
        let Some(id) = &status.operation_id else {
            return;
        };
        let Some(own) = self.all.get_mut(id) else {
            return;
        };
        let is_over = match OperationState::try_from(status.state) {
            Ok(
                OperationState::OperationFinished
                | OperationState::OperationFailed
                | OperationState::OperationError
                | OperationState::OperationDropped
                | OperationState::OperationGoneByOperator,
            ) => true,
            Ok(OperationState::OperationUnknown) => {
                own.unknown += 1;
                own.unknown >= self.rhythm.unknown
            }
            Ok(
                OperationState::OperationPending
                | OperationState::OperationUnreachable
                | OperationState::OperationRecovering,
            ) => {
                own.unknown = 0;
                false
            }
            // Of a newer Mesos.
            Ok(OperationState::OperationUnsupported) | Err(_) => false,
        };
        if is_over && let Some(own) = self.all.remove(id) {
            own.come_to(status);
        }
    }
}

impl Followed {
    fn come_to(self, status: &OperationStatus) {
        let end = match status.state() {
            OperationState::OperationFinished => Ok(status.clone()),
            _ => Err(Error::from(OperationFailure {
                operation: self.entry.operation,
                status: status.clone(),
            })),
        };
        self.end(end);
    }

    fn end(self, end: Result<OperationStatus>) {
        // Whoever asked may be gone.
        let _ = self.entry.answer.send(end);
    }
}

#[cfg(test)]
mod tests;
