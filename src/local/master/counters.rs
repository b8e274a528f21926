//! What has happened since a master started, under the names of Mesos's metrics.
//!
//! Source: `src/master/metrics.cpp` of Apache Mesos 1.11.0.

use std::collections::BTreeMap;

use super::framework::{Framework, is_terminal};
use super::state::Master;
use super::tallies::Tallies;
use crate::local::query::encode;
use crate::proto::scheduler::call;
use crate::proto::{FrameworkId, Task, TaskState, TaskStatus};

/// The calls that are counted, with the number of the messages that they stand for if that has a name of its own.
const CALLS: [(call::Type, Option<&str>); 17] = [
    (call::Type::Subscribe, None),
    (call::Type::Teardown, None),
    (call::Type::Accept, None),
    (call::Type::Decline, None),
    (call::Type::AcceptInverseOffers, None),
    (call::Type::DeclineInverseOffers, None),
    (call::Type::Revive, Some("messages_revive_offers")),
    (call::Type::Suppress, Some("messages_suppress_offers")),
    (call::Type::Kill, Some("messages_kill_task")),
    (call::Type::Shutdown, None),
    (
        call::Type::Acknowledge,
        Some("messages_status_update_acknowledgement"),
    ),
    (
        call::Type::AcknowledgeOperationStatus,
        Some("messages_operation_status_update_acknowledgement"),
    ),
    (call::Type::Reconcile, Some("messages_reconcile_tasks")),
    (
        call::Type::ReconcileOperations,
        Some("messages_reconcile_operations"),
    ),
    (call::Type::Message, Some("messages_framework_to_executor")),
    (call::Type::Request, Some("messages_resource_request")),
    (call::Type::UpdateFramework, None),
];

/// The ends of tasks that are counted.
const ENDS: [TaskState; 8] = [
    TaskState::TaskFinished,
    TaskState::TaskFailed,
    TaskState::TaskKilled,
    TaskState::TaskLost,
    TaskState::TaskGone,
    TaskState::TaskGoneByOperator,
    TaskState::TaskError,
    TaskState::TaskDropped,
];

/// How often.
#[derive(Debug, Default)]
pub(super) struct Counters {
    calls: BTreeMap<call::Type, u64>,
    /// Tasks that had been launched, by how they ended.
    ends: BTreeMap<TaskState, u64>,
}

impl Counters {
    fn call(&mut self, kind: call::Type) {
        *self.calls.entry(kind).or_default() += 1;
    }

    fn calls(&self, kind: call::Type) -> f64 {
        float(self.calls.get(&kind).copied().unwrap_or_default())
    }

    fn ends(&self, state: TaskState) -> f64 {
        float(self.ends.get(&state).copied().unwrap_or_default())
    }
}

impl Framework {
    /// Its own counters, each with its name.
    fn counters(&self) -> Vec<(String, f64)> {
        let prefix = format!(
            "frameworks/{}/{}",
            encode(self.info.name.as_bytes()),
            self.id
        );
        let calls = CALLS.iter().map(|(kind, _)| {
            let name = kind.as_str_name().to_lowercase();
            (format!("{prefix}/calls/{name}"), self.counters.calls(*kind))
        });
        let all = float(self.counters.calls.values().sum());
        let ends = ENDS.iter().map(|state| {
            let name = state.as_str_name().to_lowercase();
            let count = self.counters.ends(*state);
            (format!("{prefix}/tasks/terminal/{name}"), count)
        });
        let connected = f64::from(u8::from(self.is_connected()));
        let own = [
            (format!("{prefix}/calls"), all),
            (format!("{prefix}/subscribed"), connected),
        ];
        let more = self.tallied(&prefix);
        let counted = own.into_iter().chain(calls).chain(ends);
        counted.chain(more).collect()
    }
}

impl Master {
    pub(super) fn count_call(&mut self, framework_id: &FrameworkId, kind: call::Type) {
        self.counters.call(kind);
        if let Some(framework) = self.frameworks.get_mut(framework_id) {
            framework.counters.call(kind);
        }
    }

    /// All counters, each with its name behind `master/`.
    pub(super) fn counted(&self) -> Vec<(String, f64)> {
        let calls = CALLS.iter().filter_map(|(kind, name)| {
            let name = (*name)?.to_owned();
            Some((name, self.counters.calls(*kind)))
        });
        let ends = ENDS.iter().map(|state| {
            let name = state.as_str_name().to_lowercase();
            (
                name.replacen("task_", "tasks_", 1),
                self.counters.ends(*state) + self.tallies.refused.of(state),
            )
        });
        let frameworks = self.frameworks.values().chain(&self.completed);
        let frameworks = frameworks.flat_map(Framework::counters);
        let tallied = self.tallied().into_iter();
        let counted = calls.chain(ends).chain(frameworks);
        counted.chain(tallied).collect()
    }
}

/// Counts the end of a task that comes to `latest`, if it had not ended before, while `status` is told of it.
///
/// The master's own counters are by what is told, so that a real master, too, misses the end of a task whose newest state
/// comes with an older update.
pub(super) fn count_end(
    all: (&mut Counters, &Tallies),
    own: &mut Counters,
    task: &Task,
    (latest, status): (TaskState, &TaskStatus),
) {
    if is_terminal(latest) && !is_terminal(task.state()) {
        *own.ends.entry(latest).or_default() += 1;
    }
    if is_over(latest) && !is_over(task.state()) {
        let (counters, tallies) = all;
        tallies.ended(status);
        if is_terminal(status.state()) {
            *counters.ends.entry(status.state()).or_default() += 1;
        }
    }
}

fn is_over(state: TaskState) -> bool {
    is_terminal(state) || state == TaskState::TaskUnreachable
}

#[expect(clippy::cast_precision_loss, reason = "Mesos states counts as doubles")]
fn float(count: u64) -> f64 {
    count as f64
}
