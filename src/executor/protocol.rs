//! The executor API, as the driver needs it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::pending::Pending;
use super::{ExecutorConfig, calls};
use crate::driver::{Persistence, Protocol};
use crate::error::{Error, ErrorKind, Result};
use crate::proto::executor::{Call, Event, event};

/// How often HEARTBEAT is sent, so that nothing on the way forgets the connection (`src/executor/executor.cpp`).
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30 * 60);

/// How long the built-in executors wait for the acknowledgement of their last update (`src/launcher/executor.cpp`).
const LAST_ACKNOWLEDGEMENT: Duration = Duration::from_secs(60);

/// How long the first subscription may take: then the agent has given the executor up
/// (`EXECUTOR_REGISTRATION_TIMEOUT`, `src/slave/constants.hpp`).
const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(60);

/// What is known of the executor.
#[derive(Debug)]
pub(crate) struct ExecutorProtocol {
    pub(super) config: ExecutorConfig,
    pending: Mutex<Pending>,
    acknowledged: Notify,
    /// When the grace period of a shutdown is over.
    shutdown_by: Mutex<Option<Instant>>,
}

impl ExecutorProtocol {
    pub(super) fn new(config: ExecutorConfig) -> Self {
        Self {
            config,
            pending: Mutex::new(Pending::default()),
            acknowledged: Notify::new(),
            shutdown_by: Mutex::new(None),
        }
    }

    /// The executor is shutting down, from now on if it was not before; answers when its grace period is over.
    pub(super) fn shutting_down(&self) -> Instant {
        let mut by = self
            .shutdown_by
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *by.get_or_insert_with(|| Instant::now() + self.config.shutdown_grace_period)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Protocol for ExecutorProtocol {
    type Event = Event;
    type Call = Call;

    const PEER: &'static str = "agent";
    const PATH: &'static str = "/api/v1/executor";
    const EVENTS_OUTLIVE_SUBSCRIPTION: bool = true;

    fn subscribe(&self) -> Call {
        Call {
            subscribe: Some(self.pending().subscribe()),
            ..calls::subscribe(&self.config)
        }
    }

    fn receive(&self, event: &Event) -> bool {
        match event.r#type() {
            event::Type::Launch => {
                if let Some(launch) = &event.launch {
                    self.pending().launched(&launch.task);
                }
                true
            }
            event::Type::LaunchGroup => {
                let mut pending = self.pending();
                for task in event
                    .launch_group
                    .iter()
                    .flat_map(|group| &group.task_group.tasks)
                {
                    pending.launched(task);
                }
                true
            }
            event::Type::Acknowledged => {
                if let Some(acknowledged) = &event.acknowledged {
                    self.pending()
                        .acknowledged(&acknowledged.task_id, &acknowledged.uuid);
                    self.acknowledged.notify_one();
                }
                false
            }
            event::Type::Shutdown => {
                // The agent counts from here, whatever callback still runs (`src/slave/slave.cpp`).
                self.shutting_down();
                true
            }
            event::Type::Heartbeat => false,
            event::Type::Unknown => {
                tracing::debug!(r#type = ?event.r#type, "event of unknown type skipped");
                false
            }
            _ => true,
        }
    }

    fn queued(&self, call: &Call) {
        if let Some(update) = &call.update {
            self.pending().update_queued(update);
        }
    }

    fn complete(&self, call: &mut Call) -> Result<bool> {
        let Some(update) = &call.update else {
            return Ok(true);
        };
        let mut pending = self.pending();
        if pending.take_late(update) {
            let context = "the agent has a later status of the task";
            return Err(Error::new(ErrorKind::Rejected, context));
        }
        Ok(!pending.take_carried(update))
    }

    fn accepted(&self, call: &Call) {
        if let Some(update) = &call.update {
            self.pending().accepted(update);
            // Nothing may be left that the agent will acknowledge.
            self.acknowledged.notify_one();
        }
    }

    fn refused(&self, call: &Call) {
        if let Some(update) = &call.update {
            self.pending().refused(update);
            self.acknowledged.notify_one();
        }
    }

    /// An update that is given up goes with the next SUBSCRIBE, and nothing else would lead to one. Without checkpointing
    /// there is none.
    fn unknown(&self, call: &Call) -> bool {
        let update = call.update.as_ref();
        self.config.checkpoint && update.is_some_and(|update| self.pending().holds(update))
    }

    fn name(call: &Call) -> &'static str {
        calls::name(call)
    }

    fn is_bound_to_subscription(_: &Call) -> bool {
        false
    }

    /// The agent drops updates that it has by their uuid, and acknowledges them again.
    fn is_repeatable(call: &Call) -> bool {
        call.update.is_some()
    }

    fn never_sent(&self, _: &Call) -> Vec<Event> {
        Vec::new()
    }

    fn keepalive(&self) -> Option<(Duration, Call)> {
        Some((HEARTBEAT_INTERVAL, calls::heartbeat(&self.config)))
    }

    fn teardown(&self) -> Option<Call> {
        None
    }

    fn persistence(&self) -> Persistence {
        match self.config.checkpoint {
            true => Persistence::Limited(self.config.recovery_timeout),
            false => Persistence::Once(REGISTRATION_TIMEOUT),
        }
    }

    fn is_pending(&self) -> bool {
        self.pending().has_updates()
    }

    async fn settled(&self) {
        while self.is_pending() {
            self.acknowledged.notified().await;
        }
    }

    fn settle_limit(&self) -> Duration {
        let by = *self
            .shutdown_by
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        by.map_or(LAST_ACKNOWLEDGEMENT, |by| {
            by.saturating_duration_since(Instant::now())
        })
    }
}
