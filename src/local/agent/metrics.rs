//! `/metrics/snapshot` of an agent: what it has, and what has happened since its process started.
//!
//! Source: `src/slave/metrics.cpp` of Apache Mesos 1.11.0.

use serde_json::{Map, Value, json};

use super::state::{Agent, ExecutorState};
use crate::local::master::{is_terminal, timestamp};
use crate::local::shapes::ALWAYS;
use crate::local::tally::Tally;
use crate::proto::TaskState;
use crate::resources::Resources;

/// The counters. The last two stand for what cannot happen here: nothing is revocable, and a disk that cannot be read
/// fails the start.
const NAMED: [&str; 13] = [
    "container_launch_errors",
    "executors_terminated",
    "invalid_framework_messages",
    "invalid_status_updates",
    "tasks_failed",
    "tasks_finished",
    "tasks_gone",
    "tasks_killed",
    "tasks_lost",
    "valid_framework_messages",
    "valid_status_updates",
    "executors_preempted",
    "recovery_errors",
];

/// What is told of resources that may be taken back: there are none.
const REVOCABLE: [&str; 3] = ["total", "used", "percent"];

/// What an agent counts, by the names behind `slave/`.
pub(super) type Counters = Tally<&'static str>;

/// Counts the end of a task.
pub(super) fn ended(counters: &Counters, state: TaskState) {
    let name = match state {
        TaskState::TaskFinished => "tasks_finished",
        TaskState::TaskFailed => "tasks_failed",
        TaskState::TaskKilled => "tasks_killed",
        TaskState::TaskLost => "tasks_lost",
        TaskState::TaskGone => "tasks_gone",
        _ => return,
    };
    counters.note(name);
}

impl Agent {
    pub(super) fn metrics(&self) -> Map<String, Value> {
        let mut metrics = Map::new();
        let mut set = |name: &str, value: f64| {
            metrics.insert(format!("slave/{name}"), json!(value));
        };
        let is_registered = f64::from(u8::from(self.is_registered()));
        set("registered", is_registered);
        set("uptime_secs", timestamp() - self.started);
        set("frameworks_active", count(self.frameworks.len()));
        for (name, state) in [
            ("executors_registering", ExecutorState::Registering),
            ("executors_running", ExecutorState::Running),
            ("executors_terminating", ExecutorState::Terminating),
        ] {
            let frameworks = self.frameworks.values();
            let executors = frameworks.flat_map(|framework| framework.executors.values());
            set(
                name,
                count(executors.filter(|own| own.state == state).count()),
            );
        }
        for (name, state) in [
            ("tasks_staging", TaskState::TaskStaging),
            ("tasks_starting", TaskState::TaskStarting),
            ("tasks_running", TaskState::TaskRunning),
            ("tasks_killing", TaskState::TaskKilling),
        ] {
            let tasks = self.tasks.values();
            set(
                name,
                count(tasks.filter(|task| task.state() == state).count()),
            );
        }
        let used = self.used();
        for name in ALWAYS {
            let (total, used) = (self.total.scalar(name), used.scalar(name));
            set(&format!("{name}_total"), total);
            set(&format!("{name}_used"), used);
            let percent = if total > 0.0 { used / total } else { 0.0 };
            set(&format!("{name}_percent"), percent);
        }
        for name in ALWAYS {
            for what in REVOCABLE {
                set(&format!("{name}_revocable_{what}"), 0.0);
            }
        }
        for name in NAMED {
            set(name, self.counters.of(&name));
        }
        metrics
    }

    /// What executors and live tasks hold.
    fn used(&self) -> Resources {
        let mut used = Resources::new();
        let frameworks = self.frameworks.values();
        for executor in frameworks.flat_map(|framework| framework.executors.values()) {
            used += &Resources::from_unchecked(&executor.info.resources);
        }
        for task in self
            .tasks
            .values()
            .filter(|task| !is_terminal(task.state()))
        {
            used += &Resources::from_unchecked(&task.resources);
        }
        used
    }
}

#[expect(clippy::cast_precision_loss, reason = "Mesos states counts as doubles")]
fn count(count: usize) -> f64 {
    count as f64
}
