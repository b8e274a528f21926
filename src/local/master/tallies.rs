//! What has happened since a master started, beside calls and the ends of tasks: events, offers, operations, messages of
//! agents, agents that come and go.
//!
//! Source: `src/master/metrics.cpp` of Apache Mesos 1.11.0.

use std::collections::BTreeMap;

use super::agent_removal::{REPLACED, Removal, UNREGISTERED};
use super::framework::Framework;
use super::state::Master;
use crate::local::messages::ToMaster;
use crate::local::tally::Tally;
use crate::proto::offer::operation;
use crate::proto::scheduler::event;
use crate::proto::task_status::{Reason, Source};
use crate::proto::{OperationState, TaskState, TaskStatus};

/// The counters that are there from the start. The last seven stand for what this cluster does not have, as a real one
/// that does not use it.
const NAMED: [&str; 43] = [
    // Seen to stay at 0, although `Master::teardown` counts.
    "messages_unregister_framework",
    "messages_decline_offers",
    "messages_launch_tasks",
    "messages_deactivate_framework",
    "messages_executor_to_framework",
    "messages_exited_executor",
    "messages_operation_status_update",
    "messages_register_framework",
    "messages_register_slave",
    "messages_reregister_framework",
    "messages_reregister_slave",
    "messages_status_update",
    "messages_unregister_slave",
    "messages_update_slave",
    "invalid_executor_to_framework_messages",
    "invalid_framework_to_executor_messages",
    "invalid_operation_status_update_acknowledgements",
    "invalid_operation_status_updates",
    "invalid_status_update_acknowledgements",
    "invalid_status_updates",
    "valid_executor_to_framework_messages",
    "valid_framework_to_executor_messages",
    "valid_operation_status_update_acknowledgements",
    "valid_operation_status_updates",
    "valid_status_update_acknowledgements",
    "valid_status_updates",
    "recovery_slave_removals",
    "slave_registrations",
    "slave_removals",
    "slave_removals/reason_registered",
    "slave_removals/reason_unhealthy",
    "slave_removals/reason_unregistered",
    "slave_reregistrations",
    "slave_unreachable_canceled",
    "slave_unreachable_completed",
    "slave_unreachable_scheduled",
    "dropped_messages",
    "http_cache_hits",
    "messages_authenticate",
    "slave_shutdowns_canceled",
    "slave_shutdowns_completed",
    "slave_shutdowns_scheduled",
    "event_queue_messages",
];

/// The operations that are counted for each framework, those with feedback first: these are counted by their states too.
const OPERATIONS: [operation::Type; 10] = [
    operation::Type::Reserve,
    operation::Type::Unreserve,
    operation::Type::Create,
    operation::Type::Destroy,
    operation::Type::GrowVolume,
    operation::Type::ShrinkVolume,
    operation::Type::CreateDisk,
    operation::Type::DestroyDisk,
    operation::Type::Launch,
    operation::Type::LaunchGroup,
];
const WITH_FEEDBACK: usize = 8;

const STATES: [OperationState; 8] = [
    OperationState::OperationPending,
    OperationState::OperationRecovering,
    OperationState::OperationUnreachable,
    OperationState::OperationFinished,
    OperationState::OperationFailed,
    OperationState::OperationError,
    OperationState::OperationDropped,
    OperationState::OperationGoneByOperator,
];

const EVENTS: [event::Type; 10] = [
    event::Type::Subscribed,
    event::Type::Offers,
    event::Type::InverseOffers,
    event::Type::Rescind,
    event::Type::RescindInverseOffer,
    event::Type::Update,
    event::Type::UpdateOperationStatus,
    event::Type::Message,
    event::Type::Failure,
    event::Type::Error,
];

const ACTIVE: [TaskState; 6] = [
    TaskState::TaskStaging,
    TaskState::TaskStarting,
    TaskState::TaskRunning,
    TaskState::TaskKilling,
    TaskState::TaskUnreachable,
    TaskState::TaskUnknown,
];

/// What a master counts.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    /// By their names behind `master/`.
    pub(super) named: Tally<&'static str>,
    /// Ends of tasks that have a reason.
    reasons: Tally<(TaskState, Source, Reason)>,
    /// Tasks that never were the master's, by the state that was told of them.
    pub(super) refused: Tally<TaskState>,
    /// States that operations came to; those that wait are not in here.
    operations: Tally<(operation::Type, OperationState)>,
    pub(super) allocations: Tally<()>,
}

/// What is counted for each framework.
#[derive(Debug, Default)]
pub(super) struct FrameworkTallies {
    pub(super) events: Tally<event::Type>,
    pub(super) offers: Tally<&'static str>,
    pub(super) operations: Tally<operation::Type>,
}

impl Tallies {
    /// The end of a task.
    pub(super) fn ended(&self, status: &TaskStatus) {
        if let Some(reason) = status.reason {
            let reason = Reason::try_from(reason).unwrap_or_default();
            let what = (status.state(), status.source(), reason);
            self.reasons.note(what);
        }
    }

    /// Something of a kind that can be wrong: `valid_…` or `invalid_…`.
    pub(super) fn validity(&self, what: &str, is_valid: bool) {
        let prefix = if is_valid { "valid_" } else { "invalid_" };
        let mut names = NAMED.into_iter();
        let is_it = |name: &&str| name.strip_prefix(prefix) == Some(what);
        if let Some(name) = names.find(is_it) {
            self.named.note(name);
        }
    }

    /// A message of an agent.
    pub(super) fn received(&self, message: &ToMaster) {
        self.named.note(match message {
            ToMaster::Register(own) if own.info.id.is_none() => "messages_register_slave",
            ToMaster::Register(_) => "messages_reregister_slave",
            ToMaster::Unregister => "messages_unregister_slave",
            ToMaster::Update { .. } => "messages_status_update",
            ToMaster::OperationUpdate { .. } => "messages_operation_status_update",
            ToMaster::ExecutorExited { .. } => "messages_exited_executor",
            ToMaster::Message { .. } => "messages_executor_to_framework",
            ToMaster::Pong => return,
        });
    }

    /// A message of an agent that is not registered.
    pub(super) fn dropped(&self, message: &ToMaster) {
        match message {
            ToMaster::Update { .. } => self.validity("status_updates", false),
            ToMaster::OperationUpdate { .. } => self.validity("operation_status_updates", false),
            ToMaster::Message { .. } => self.validity("executor_to_framework_messages", false),
            _ => {}
        }
    }

    /// An agent that is not heard of.
    pub(super) fn given_up(&self) {
        for name in [
            "slave_unreachable_scheduled",
            "slave_unreachable_completed",
            "slave_removals",
            "slave_removals/reason_unhealthy",
        ] {
            self.named.note(name);
        }
    }

    /// An agent that leaves; those not heard of are [`given_up`](Self::given_up).
    pub(super) fn removed(&self, removal: &Removal) {
        let Removal::Left(why) = removal else {
            return;
        };
        self.named.note("slave_removals");
        match why.as_str() {
            UNREGISTERED => self.named.note("slave_removals/reason_unregistered"),
            REPLACED => self.named.note("slave_removals/reason_registered"),
            _ => {}
        }
    }

    /// A task that does not become one.
    pub(super) fn refused(&self, state: TaskState, reason: Reason) {
        self.refused.note(state);
        self.reasons.note((state, Source::Master, reason));
    }

    pub(super) fn operation(&self, kind: operation::Type, state: OperationState) {
        if state != OperationState::OperationPending {
            self.operations.note((kind, state));
        }
    }
}

impl Framework {
    /// Its own counters, each with its name behind `prefix`.
    pub(super) fn tallied(&self, prefix: &str) -> Vec<(String, f64)> {
        let tallies = &self.tallies;
        let mut all = vec![
            (format!("{prefix}/events"), tallies.events.sum()),
            (format!("{prefix}/operations"), tallies.operations.sum()),
        ];
        for kind in EVENTS.into_iter().chain([event::Type::Heartbeat]) {
            let name = kind.as_str_name().to_lowercase();
            all.push((format!("{prefix}/events/{name}"), tallies.events.of(&kind)));
        }
        for name in ["sent", "accepted", "declined", "rescinded"] {
            all.push((format!("{prefix}/offers/{name}"), tallies.offers.of(&name)));
        }
        for kind in OPERATIONS {
            let name = kind.as_str_name().to_lowercase();
            let count = tallies.operations.of(&kind);
            all.push((format!("{prefix}/operations/{name}"), count));
        }
        for role in self.roles() {
            let is_suppressed = f64::from(u8::from(self.suppressed.contains(&role)));
            all.push((format!("{prefix}/roles/{role}/suppressed"), is_suppressed));
        }
        for state in ACTIVE {
            let name = state.as_str_name().to_lowercase();
            let count = super::metrics::count(self.tasks_in(state));
            all.push((format!("{prefix}/tasks/active/{name}"), count));
        }
        all
    }

    fn tasks_in(&self, state: TaskState) -> usize {
        let tasks = self.tasks.values().map(|task| &task.task);
        let tasks = tasks.chain(&self.unreachable_tasks);
        tasks.filter(|task| task.state() == state).count()
    }
}

impl Master {
    /// All counters of here, each with its name behind `master/`.
    pub(super) fn tallied(&self) -> Vec<(String, f64)> {
        let tallies = &self.tallies;
        let named = NAMED.into_iter();
        let mut all: Vec<(String, f64)> = named
            .map(|name| (name.to_owned(), tallies.named.of(&name)))
            .collect();
        for ((state, source, reason), count) in tallies.reasons.all() {
            let names = [
                state.as_str_name(),
                source.as_str_name(),
                reason.as_str_name(),
            ];
            all.push((names.map(old_name).join("/"), count));
        }
        all.extend(self.operation_states());
        all
    }

    fn operation_states(&self) -> Vec<(String, f64)> {
        let mut counts: BTreeMap<(operation::Type, OperationState), f64> =
            self.tallies.operations.all().into_iter().collect();
        for operation in self.operations.iter() {
            let state = operation.latest_status.state();
            if state == OperationState::OperationPending {
                *counts.entry((operation.info.r#type(), state)).or_default() += 1.0;
            }
        }
        let mut all = Vec::new();
        for state in STATES {
            let own = counts.iter().filter(|((_, own), _)| *own == state);
            let name = state_name(state);
            let count = own.fold(0.0, |sum, (_, count)| sum + count);
            all.push((format!("operations/{name}"), count));
        }
        all.push((
            "operations/total".to_owned(),
            counts.values().fold(0.0, |sum, count| sum + count),
        ));
        for kind in OPERATIONS.into_iter().take(WITH_FEEDBACK) {
            let prefix = format!("operations/{}", kind.as_str_name().to_lowercase());
            let mut total = 0.0;
            for state in STATES {
                let count = counts.get(&(kind, state)).copied().unwrap_or_default();
                total += count;
                all.push((format!("{prefix}/{}", state_name(state)), count));
            }
            all.push((format!("{prefix}/total"), total));
        }
        all
    }
}

/// `finished`.
fn state_name(state: OperationState) -> String {
    let name = state.as_str_name().to_lowercase();
    name.trim_start_matches("operation_").to_owned()
}

/// Metrics have kept the names that agents had.
fn old_name(name: &str) -> String {
    name.to_lowercase().replace("agent", "slave")
}
