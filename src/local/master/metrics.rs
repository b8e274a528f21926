//! `/metrics/snapshot`: some of the master's metrics, under Mesos's names.
//!
//! Source: `src/master/metrics.cpp` of Apache Mesos 1.11.0.

use serde_json::{Map, Value, json};

use super::state::{Agent, Master, timestamp};
use crate::local::shapes::ALWAYS;
use crate::proto::TaskState;
use crate::resources::Resources;

/// What is told of resources that may be taken back.
const REVOCABLE: [&str; 3] = ["total", "used", "percent"];

/// What the allocator tells of.
const SCALARS: [&str; 3] = ["cpus", "mem", "disk"];

impl Master {
    pub(super) fn metrics(&self) -> Map<String, Value> {
        let connected = self.frameworks.values().filter(|own| own.is_connected());
        let (frameworks, connected) = (self.frameworks.len(), connected.count());
        let mut metrics = Map::new();
        let mut set = |name: &str, value: f64| {
            metrics.insert(format!("master/{name}"), json!(value));
        };
        set("elected", f64::from(u8::from(self.elected.is_some())));
        set("uptime_secs", timestamp() - self.started);
        set("frameworks_active", count(connected));
        set("frameworks_connected", count(connected));
        set("frameworks_disconnected", count(frameworks - connected));
        set("frameworks_inactive", count(frameworks - connected));
        let active = self.agents_where(|agent| agent.is_active);
        let connected = self.agents_where(|agent| agent.is_connected);
        set("slaves_active", active);
        set("slaves_connected", connected);
        set("slaves_disconnected", count(self.agents.len()) - connected);
        set("slaves_inactive", count(self.agents.len()) - active);
        set("slaves_unreachable", count(self.registry.unreachable.len()));
        set("outstanding_offers", count(self.offers.len()));
        for (name, value) in self.counted() {
            set(&name, value);
        }
        for (name, state) in [
            ("tasks_staging", TaskState::TaskStaging),
            ("tasks_starting", TaskState::TaskStarting),
            ("tasks_running", TaskState::TaskRunning),
            ("tasks_killing", TaskState::TaskKilling),
        ] {
            set(name, self.tasks_in(state));
        }
        let (mut total, mut used) = (Resources::new(), Resources::new());
        for (id, agent) in &self.agents {
            total += &agent.total;
            used += &self.used_on(id);
        }
        for name in ALWAYS {
            let (total, used) = (total.scalar(name), used.scalar(name));
            set(&format!("{name}_total"), total);
            set(&format!("{name}_used"), used);
            let percent = if total > 0.0 { used / total } else { 0.0 };
            set(&format!("{name}_percent"), percent);
        }
        set(
            "tasks_unreachable",
            self.tasks_in_all(TaskState::TaskUnreachable),
        );
        let subscribers = count(self.subscribers.len());
        set("operator_event_stream_subscribers", subscribers);
        // Nothing ever waits here, and nothing is revocable.
        for name in ["dispatches", "http_requests"] {
            set(&format!("event_queue_{name}"), 0.0);
        }
        for (name, what) in ALWAYS
            .into_iter()
            .flat_map(|name| REVOCABLE.map(|what| (name, what)))
        {
            set(&format!("{name}_revocable_{what}"), 0.0);
        }
        self.add_allocator(&mut metrics);
        metrics
    }

    /// What the allocator counts and has (`src/master/allocator/mesos/metrics.cpp`).
    fn add_allocator(&self, metrics: &mut Map<String, Value>) {
        let mut set = |name: &str, value: f64| {
            metrics.insert(format!("allocator/mesos/{name}"), json!(value));
        };
        set("allocation_runs", self.tallies.allocations.sum());
        let (mut total, mut available) = (Resources::new(), Resources::new());
        for agent in self.agents.values() {
            total += &agent.total;
            available += &agent.available;
        }
        let used = total.clone() - available;
        for name in SCALARS {
            set(&format!("resources/{name}/total"), total.scalar(name));
            let used = used.scalar(name);
            set(&format!("resources/{name}/offered_or_allocated"), used);
        }
    }

    pub(super) fn agents_where(&self, wanted: impl Fn(&Agent) -> bool) -> f64 {
        count(self.agents.values().filter(|agent| wanted(agent)).count())
    }

    /// Those on agents that are not heard of among them.
    fn tasks_in_all(&self, state: TaskState) -> f64 {
        let frameworks = self.frameworks.values();
        let tasks = frameworks.flat_map(|framework| &framework.unreachable_tasks);
        count(tasks.filter(|task| task.state() == state).count())
    }

    fn tasks_in(&self, state: TaskState) -> f64 {
        let frameworks = self.frameworks.values();
        let tasks = frameworks.flat_map(|framework| framework.tasks.values());
        count(tasks.filter(|task| task.task.state() == state).count())
    }
}

#[expect(clippy::cast_precision_loss, reason = "Mesos states counts as doubles")]
pub(super) fn count(count: usize) -> f64 {
    count as f64
}
