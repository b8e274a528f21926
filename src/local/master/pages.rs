//! What the master answers in JSON to whoever opens a page: `/state`, `/slaves`, `/tasks`, `/metrics/snapshot`; and
//! `/redirect`.
//!
//! Source: `src/master/http.cpp`, `src/master/readonly_handler.cpp` and `src/common/http.cpp` of Apache Mesos 1.11.0.

use std::sync::Arc;

use hyper::{StatusCode, header};
use serde_json::{Map, Value, json};

use super::framework::Framework;
use super::state::{Agent, Master, Offer, timestamp};
use crate::local::config::{AGENT_CAPABILITIES, HOST, HOSTNAME, VERSION};
use crate::local::core::Core;
use crate::local::http::Reply;
use crate::local::operator::{self, shown};
use crate::proto::{AgentId, Attribute, ExecutorInfo, Resource, Task, TaskState, value};
use crate::resources::Resources;

/// Scalars that are always stated.
const ALWAYS: [&str; 4] = ["cpus", "gpus", "mem", "disk"];

/// Longest answer of `/tasks` (`TASK_LIMIT`, `src/master/constants.hpp`).
const TASK_LIMIT: usize = 100;

/// `path` is without the prefix `/master`.
pub(super) fn answer(core: &Arc<Core>, path: &str) -> Reply {
    core.run(|world| match &world.master {
        Some(master) => master.page(path),
        // The connection is about to be cut.
        None => Reply::status(StatusCode::SERVICE_UNAVAILABLE, "No leader elected"),
    })
}

impl Agent {
    pub(super) fn pid(&self) -> String {
        format!("{}@{HOST}:{}", self.process, self.info.port())
    }
}

impl Master {
    fn page(&self, path: &str) -> Reply {
        match path {
            "/state" => operator::json(&self.state_page()),
            "/slaves" => operator::json(&self.slaves_page()),
            "/tasks" => operator::json(&self.tasks_page()),
            "/metrics/snapshot" => operator::json(&self.metrics()),
            "/redirect" => Reply::Plain {
                status: StatusCode::TEMPORARY_REDIRECT,
                text: String::new(),
                header: Some((header::LOCATION, format!("//{HOSTNAME}:{}", self.info.port))),
            },
            _ => Reply::not_found(),
        }
    }

    fn state_page(&self) -> Value {
        let info = &self.info;
        let capabilities = info.capabilities.iter();
        let capabilities: Vec<_> = capabilities
            .map(|capability| capability.r#type().as_str_name())
            .collect();
        let agents = self.agents.iter();
        let frameworks = self.frameworks.values();
        let completed = self.completed.iter();
        json!({
            "version": VERSION,
            "start_time": self.started,
            "elected_time": self.started,
            "id": info.id,
            "pid": info.pid(),
            "hostname": HOSTNAME,
            "capabilities": capabilities,
            "activated_slaves": self.agents.len(),
            "deactivated_slaves": 0,
            "unreachable_slaves": 0,
            "leader": info.pid(),
            "leader_info": {
                "id": info.id, "pid": info.pid(), "port": info.port, "hostname": HOSTNAME,
            },
            "slaves": agents.map(|(id, agent)| self.slave(id, agent)).collect::<Vec<_>>(),
            "recovered_slaves": self.recovered_slaves(),
            "frameworks": frameworks.map(|framework| self.framework(framework)).collect::<Vec<_>>(),
            "completed_frameworks": completed.map(|framework| self.framework(framework)).collect::<Vec<_>>(),
            "orphan_tasks": [],
            "unregistered_frameworks": [],
        })
    }

    fn recovered_slaves(&self) -> Vec<Value> {
        let recovering = self.recovering.iter();
        recovering.map(|id| json!({ "id": id.value })).collect()
    }

    fn slave(&self, id: &AgentId, agent: &Agent) -> Value {
        let (reserved, unreserved) = split(&agent.total);
        let reserved: Map<_, _> = reserved
            .iter()
            .map(|(role, resources)| (role.clone(), sums(resources)))
            .collect();
        let mut slave = json!({
            "id": id.value,
            "hostname": agent.info.hostname,
            "port": agent.info.port(),
            "attributes": attributes(&agent.info.attributes),
            "pid": agent.pid(),
            "registered_time": agent.registered,
            "resources": sums(&agent.total),
            "used_resources": sums(&self.used_on(id)),
            "offered_resources": sums(&self.offered(|offer| offer.agent_id == *id)),
            "reserved_resources": reserved,
            "unreserved_resources": sums(&unreserved),
            "active": true,
            "deactivated": false,
            "version": VERSION,
            "capabilities": AGENT_CAPABILITIES.map(|kind| kind.as_str_name()),
        });
        if agent.was_recovered {
            slave["reregistered_time"] = json!(agent.registered);
        }
        slave
    }

    fn slaves_page(&self) -> Value {
        let slaves = self.agents.iter().map(|(id, agent)| {
            let mut slave = self.slave(id, agent);
            let (reserved, unreserved) = split(&agent.total);
            let reserved: Map<_, _> = reserved
                .iter()
                .map(|(role, resources)| (role.clone(), json!(shown(resources))))
                .collect();
            slave["reserved_resources_full"] = Value::Object(reserved);
            slave["unreserved_resources_full"] = json!(shown(&unreserved));
            slave["used_resources_full"] = json!(shown(&self.used_on(id)));
            let offered = self.offered(|offer| offer.agent_id == *id);
            slave["offered_resources_full"] = json!(shown(&offered));
            slave
        });
        json!({ "slaves": slaves.collect::<Vec<_>>(), "recovered_slaves": self.recovered_slaves() })
    }

    /// The newest first.
    fn tasks_page(&self) -> Value {
        let all = self.frameworks.values().chain(&self.completed);
        let mut tasks: Vec<&Task> = all
            .flat_map(|framework| {
                let live = framework.tasks.values().map(|task| &task.task);
                live.chain(&framework.completed_tasks)
            })
            .collect();
        let first = |task: &Task| {
            task.statuses
                .first()
                .map_or(f64::MAX, |own| own.timestamp())
        };
        tasks.sort_by(|one, other| first(other).total_cmp(&first(one)));
        let tasks = tasks.into_iter().take(TASK_LIMIT);
        json!({ "tasks": tasks.map(task).collect::<Vec<_>>() })
    }

    fn framework(&self, framework: &Framework) -> Value {
        let info = &framework.info;
        let own = |offer: &Offer| offer.framework_id == framework.id;
        let (used, offered) = (framework.used(None), self.offered(own));
        let capabilities = info.capabilities.iter();
        let capabilities: Vec<_> = capabilities
            .map(|capability| capability.r#type().as_str_name())
            .collect();
        let tasks = framework.tasks.values();
        let executors = framework.executors.iter();
        let offers = self.offers_where(own).map(|(id, offer)| {
            json!({
                "id": id.value, "framework_id": framework.id.value,
                "allocation_info": { "role": offer.role },
                "slave_id": offer.agent_id.value, "resources": sums(&offer.resources),
            })
        });
        let mut page = json!({
            "id": framework.id.value,
            "name": info.name,
            "used_resources": sums(&used),
            "offered_resources": sums(&offered),
            "resources": sums(&(used + offered)),
            "capabilities": capabilities,
            "hostname": info.hostname(),
            "webui_url": info.webui_url(),
            "active": framework.is_connected(),
            "connected": framework.is_connected(),
            "recovered": framework.is_recovered(),
            "user": info.user,
            "failover_timeout": info.failover_timeout(),
            "checkpoint": info.checkpoint(),
            "registered_time": framework.registered,
            "unregistered_time": framework.unregistered.unwrap_or_default(),
            "tasks": tasks.map(|own| task(&own.task)).collect::<Vec<_>>(),
            "unreachable_tasks": [],
            "completed_tasks": framework.completed_tasks.iter().map(task).collect::<Vec<_>>(),
            "offers": offers.collect::<Vec<_>>(),
            "executors": executors
                .map(|((agent_id, _), own)| executor(agent_id, framework, &own.info))
                .collect::<Vec<_>>(),
            "offer_constraints": {},
        });
        add_roles(&mut page, framework);
        page
    }

    fn metrics(&self) -> Value {
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
fn count(count: usize) -> f64 {
    count as f64
}

/// `role` or `roles`, as the framework states it.
fn add_roles(page: &mut Value, framework: &Framework) {
    let mut roles = framework.roles();
    if framework.has(crate::proto::framework_info::capability::Type::MultiRole) {
        page["roles"] = json!(roles);
    } else {
        page["role"] = json!(roles.pop_first());
    }
}

fn task(task: &Task) -> Value {
    let statuses = task.statuses.iter().map(|status| {
        let mut shown = json!({
            "state": status.state().as_str_name(), "timestamp": status.timestamp(),
        });
        if let Some(container) = &status.container_status {
            shown["container_status"] = json!(container);
        }
        if let Some(healthy) = status.healthy {
            shown["healthy"] = json!(healthy);
        }
        shown
    });
    let allocation = task.resources.first();
    let allocation = allocation.and_then(|resource| resource.allocation_info.as_ref());
    json!({
        "id": task.task_id.value,
        "name": task.name,
        "framework_id": task.framework_id.value,
        "executor_id": task.executor_id.as_ref().map_or("", |id| &id.value),
        "slave_id": task.agent_id.value,
        "state": task.state().as_str_name(),
        "resources": sums(&Resources::from_unchecked(&task.resources)),
        "role": allocation.map_or("*", |allocation| allocation.role()),
        "statuses": statuses.collect::<Vec<_>>(),
    })
}

fn executor(agent_id: &AgentId, framework: &Framework, info: &ExecutorInfo) -> Value {
    let mut page = json!({
        "executor_id": info.executor_id.value,
        "name": info.name(),
        "framework_id": framework.id.value,
        "resources": sums(&Resources::from_unchecked(&info.resources)),
        "slave_id": agent_id.value,
    });
    if let Some(command) = &info.command {
        page["command"] = json!({
            "shell": command.shell(), "value": command.value(), "argv": command.arguments, "uris": [],
        });
    }
    page
}

/// Reserved ones by role, and the others.
fn split(resources: &Resources) -> (Vec<(String, Resources)>, Resources) {
    let mut reserved: std::collections::BTreeMap<String, Vec<Resource>> = Default::default();
    let mut others = Vec::new();
    for resource in resources.to_protos() {
        match resource.reservations.last() {
            Some(reservation) => {
                let role = reservation.role().to_owned();
                reserved.entry(role).or_default().push(resource);
            }
            None => others.push(resource),
        }
    }
    let reserved = reserved
        .into_iter()
        .map(|(role, own)| (role, Resources::from_unchecked(&own)));
    (reserved.collect(), Resources::from_unchecked(&others))
}

/// Amounts by name, whatever their kind.
fn sums(resources: &Resources) -> Value {
    let mut sums = Map::new();
    for name in ALWAYS.into_iter().chain(resources.scalar_names()) {
        sums.insert(name.to_owned(), json!(resources.scalar(name)));
    }
    for resource in resources.to_protos() {
        let text = match (&resource.ranges, &resource.set) {
            (Some(ranges), _) => ranges_text(ranges),
            (_, Some(set)) => format!("{{{}}}", set.item.join(", ")),
            _ => continue,
        };
        sums.insert(resource.name, json!(text));
    }
    Value::Object(sums)
}

fn ranges_text(ranges: &value::Ranges) -> String {
    let ranges = ranges.range.iter();
    let ranges: Vec<_> = ranges
        .map(|range| format!("{}-{}", range.begin, range.end))
        .collect();
    format!("[{}]", ranges.join(", "))
}

fn attributes(attributes: &[Attribute]) -> Value {
    let attributes = attributes.iter().map(|own| {
        let shown = match (&own.scalar, &own.ranges, &own.text) {
            (Some(scalar), ..) => json!(scalar.value),
            (_, Some(ranges), _) => json!(ranges_text(ranges)),
            (.., Some(text)) => json!(text.value),
            _ => json!(
                own.set
                    .as_ref()
                    .map(|set| format!("{{{}}}", set.item.join(", ")))
            ),
        };
        (own.name.clone(), shown)
    });
    Value::Object(attributes.collect())
}
