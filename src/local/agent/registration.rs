//! How an agent comes to its master, again and again until it is heard.
//!
//! Source: `Slave::doReliableRegistration`, `Slave::registered` and `Slave::reregistered`, `src/slave/slave.cpp` of Apache
//! Mesos 1.11.0.

use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::life::Phase;
use super::state::{Agent, Executor, ExecutorState, Timer};
use super::updates::dropped_state;
use crate::local::config::{REGISTRATION_BACKOFF, REGISTRATION_BACKOFF_MAX};
use crate::local::master::timestamp;
use crate::local::messages::{Registered, Registration, ToMaster};
use crate::proto::task_status::{Reason, Source};
use crate::proto::{FrameworkId, FrameworkInfo, TaskId, TaskStatus};

impl Agent {
    /// Tells the master, which may be a new one, of itself and of everything that lives here; as often as it takes.
    pub(in crate::local) fn register(&mut self) {
        if !matches!(self.phase, Phase::Disconnected | Phase::Running) {
            return;
        }
        self.phase = Phase::Disconnected;
        self.try_to_register(REGISTRATION_BACKOFF * 2);
    }

    /// Tries once, and plans the next time within `backoff`.
    fn try_to_register(&mut self, backoff: Duration) {
        let registration = self.registration();
        self.outbox.push(ToMaster::Register(Box::new(registration)));
        self.registrations += 1;
        let backoff = backoff.min(REGISTRATION_BACKOFF_MAX);
        let timer = Timer::Register(self.registrations, backoff * 2);
        let wait = backoff.mul_f64(fastrand::f64());
        self.timers.schedule(self.now + wait, timer);
    }

    /// The time to try again, unless that has become needless.
    pub(super) fn register_again(&mut self, registration: u64, backoff: Duration) {
        if self.phase == Phase::Disconnected && self.registrations == registration {
            self.try_to_register(backoff);
        }
    }

    fn registration(&self) -> Registration {
        let mut executors = Vec::new();
        let mut frameworks = Vec::new();
        for (id, framework) in &self.frameworks {
            if framework.is_terminating {
                continue;
            }
            frameworks.push((id.clone(), framework.info.clone()));
            // Those that have ended hold nothing.
            let is_stated = |executor: &&Executor| {
                !executor.is_generated && executor.state != ExecutorState::Terminated
            };
            for executor in framework.executors.values().filter(is_stated) {
                executors.push((id.clone(), executor.info.clone()));
            }
        }
        let operations = self.operations.values();
        Registration {
            info: self.info.clone(),
            process: self.process(),
            frameworks,
            executors,
            tasks: self.tasks.values().cloned().collect(),
            total: self.total.clone(),
            operations: operations.map(|own| own.operation.clone()).collect(),
        }
    }

    /// The master has it.
    pub(super) fn registered(&mut self, answer: Registered) {
        if !matches!(self.phase, Phase::Disconnected | Phase::Running) {
            return;
        }
        self.info.id = Some(answer.agent_id);
        self.phase = Phase::Running;
        self.ping_timeout = answer.ping_timeout;
        self.expect_ping();
        self.resend_updates();
        self.resend_operations();
        for (framework_id, framework, task_id) in answer.unmentioned {
            self.tell_of_unknown(framework_id, &framework, task_id);
        }
    }

    /// Tells that a task that the master counts on is not here.
    fn tell_of_unknown(
        &mut self,
        framework_id: FrameworkId,
        framework: &FrameworkInfo,
        task_id: TaskId,
    ) {
        let key = (framework_id, task_id);
        if self.tasks.contains_key(&key) {
            return;
        }
        let status = TaskStatus {
            task_id: key.1.clone(),
            state: dropped_state(framework).into(),
            message: Some("Reconciliation: task unknown to the agent".to_owned()),
            source: Some(Source::Agent.into()),
            reason: Some(Reason::Reconciliation.into()),
            agent_id: self.info.id.clone(),
            timestamp: Some(timestamp()),
            uuid: Some(Bytes::copy_from_slice(Uuid::new_v4().as_bytes())),
            ..Default::default()
        };
        self.queue_update(&key, status);
    }
}
