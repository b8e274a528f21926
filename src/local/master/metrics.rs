//! `/metrics/snapshot`: some of the master's metrics, under Mesos's names.
//!
//! Source: `src/master/metrics.cpp` of Apache Mesos 1.11.0.

use serde_json::{Map, Value, json};

use super::shapes::ALWAYS;
use super::state::{Master, timestamp};
use crate::proto::TaskState;
use crate::resources::Resources;

impl Master {
    pub(super) fn metrics(&self) -> Value {
        let connected = self.frameworks.values().filter(|own| own.is_connected());
        let (frameworks, connected) = (self.frameworks.len(), connected.count());
        let mut metrics = Map::new();
        let mut set = |name: &str, value: f64| {
            metrics.insert(format!("master/{name}"), json!(value));
        };
        set("elected", 1.0);
        set("uptime_secs", timestamp() - self.started);
        set("frameworks_active", count(connected));
        set("frameworks_connected", count(connected));
        set("frameworks_disconnected", count(frameworks - connected));
        set("frameworks_inactive", count(frameworks - connected));
        set("slaves_active", count(self.agents.len()));
        set("slaves_connected", count(self.agents.len()));
        set("slaves_disconnected", 0.0);
        set("slaves_inactive", 0.0);
        set("outstanding_offers", count(self.offers.len()));
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
        Value::Object(metrics)
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
