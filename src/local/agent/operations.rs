//! Operations that the master wants done, and their statuses: delivered again until acknowledged.
//!
//! Source: `Slave::applyOperation` and `Slave::operationStatusAcknowledgement`, `src/slave/slave.cpp`, and
//! `src/status_update_manager/` of Apache Mesos 1.11.0.

use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::disk::{Chore, Next, Work};
use super::state::{Agent, Timer};
use super::volumes;
use crate::local::config::UPDATE_RETRY_INTERVAL_MAX;
use crate::local::messages::ToMaster;
use crate::proto::{self, Operation, OperationState, OperationStatus};
use crate::resources::{Conversion, Resources, conversions};

/// An operation until its end is acknowledged.
#[derive(Debug)]
pub(super) struct AgentOperation {
    pub(super) operation: Operation,
    /// Until its status is delivered again.
    interval: Duration,
    /// Counts deliveries, so that a retry knows whether it is still meant.
    deliveries: u64,
}

impl Agent {
    /// Changes what this agent has; the operation is finished once its disk has followed.
    pub(super) fn apply_operation(&mut self, operation: Operation) {
        let uuid = operation.uuid.value.clone();
        let converted = conversions(&operation.info).and_then(|conversions| {
            let conversions: Vec<Conversion> =
                conversions.iter().map(Conversion::unallocated).collect();
            self.total.converted(&conversions)
        });
        let total = match converted {
            Ok(total) => total,
            Err(why) => {
                tracing::error!(why, "operation not possible");
                return;
            }
        };
        let before = std::mem::replace(&mut self.total, total);
        let operation = AgentOperation {
            operation,
            interval: self.config.update_retry_interval,
            deliveries: 0,
        };
        self.operations.insert(uuid.clone(), operation);
        let work = self.changed_volumes(&before);
        if work.is_empty() {
            self.finish_operation(&uuid);
        } else {
            self.chores.push(Chore {
                agent: self.index,
                work,
                next: Next::Finish(uuid),
            });
        }
    }

    /// What has to be done to the disk now that `before` has become the total.
    fn changed_volumes(&self, before: &Resources) -> Vec<Work> {
        let directory = self.work_directory();
        let old = volumes::paths(&directory, before);
        let new = volumes::paths(&directory, &self.total);
        let made = new.difference(&old).cloned().map(Work::Make);
        let removed = old.difference(&new).cloned().map(Work::Remove);
        made.chain(removed).collect()
    }

    /// Tells of an operation's success, until somebody has heard it.
    pub(super) fn finish_operation(&mut self, uuid: &Bytes) {
        let agent_id = self.info.id.clone();
        let Some(known) = self.operations.get_mut(uuid) else {
            return;
        };
        let status = OperationStatus {
            operation_id: known.operation.info.id.clone(),
            state: OperationState::OperationFinished.into(),
            uuid: Some(proto::Uuid {
                value: Bytes::copy_from_slice(Uuid::new_v4().as_bytes()),
            }),
            agent_id,
            ..Default::default()
        };
        known.operation.latest_status = status.clone();
        known.operation.statuses.push(status);
        self.deliver_operation(uuid, self.config.update_retry_interval);
    }

    fn deliver_operation(&mut self, uuid: &Bytes, interval: Duration) {
        let Some(known) = self.operations.get_mut(uuid) else {
            return;
        };
        let Some(status) = known.operation.statuses.last() else {
            return;
        };
        known.interval = interval;
        known.deliveries += 1;
        self.outbox.push(ToMaster::OperationUpdate {
            operation_uuid: uuid.clone(),
            status: Box::new(status.clone()),
        });
        let timer = Timer::RetryOperation(uuid.clone(), known.deliveries);
        self.timers.schedule(self.now + interval, timer);
    }

    pub(super) fn retry_operation(&mut self, uuid: &Bytes, delivery: u64) {
        let Some(known) = self.operations.get(uuid) else {
            return;
        };
        if known.deliveries == delivery {
            let interval = (known.interval * 2).min(UPDATE_RETRY_INTERVAL_MAX);
            self.deliver_operation(uuid, interval);
        }
    }

    /// Delivers everything that was not acknowledged at once: there may be somebody to hear it now.
    pub(super) fn resend_operations(&mut self) {
        let uuids: Vec<Bytes> = self.operations.keys().cloned().collect();
        for uuid in uuids {
            self.deliver_operation(&uuid, self.config.update_retry_interval);
        }
    }

    /// Takes back what an agent before this one had on its disk; what it had not finished is finished now.
    pub(super) fn recover_operations(&mut self, operations: Vec<Operation>) {
        for operation in operations {
            let uuid = operation.uuid.value.clone();
            let is_finished = !operation.statuses.is_empty();
            let operation = AgentOperation {
                operation,
                interval: self.config.update_retry_interval,
                deliveries: 0,
            };
            self.operations.insert(uuid.clone(), operation);
            if !is_finished {
                self.finish_operation(&uuid);
            }
        }
    }

    pub(super) fn operation_acknowledged(&mut self, uuid: &Bytes, status_uuid: &Bytes) {
        let known = self.operations.get(uuid);
        let last = known.and_then(|known| known.operation.statuses.last());
        let last = last.and_then(|last| last.uuid.as_ref());
        if last.is_some_and(|last| last.value == *status_uuid) {
            self.operations.remove(uuid);
        }
    }
}
