//! What the master answers in JSON to whoever opens a page: `/state`, `/slaves`, `/tasks`, `/metrics/snapshot`; and
//! `/redirect`.
//!
//! Source: `src/master/http.cpp` and `src/master/readonly_handler.cpp` of Apache Mesos 1.11.0.

use std::sync::Arc;

use hyper::{StatusCode, header};
use serde_json::{Map, Value, json};

use super::framework::Framework;
use super::metrics::count;
use super::shapes::{attributes, executor, split, sums, task};
use super::state::{Agent, Master, Offer};
use crate::local::config::{AGENT_CAPABILITIES, HOST, HOSTNAME, VERSION};
use crate::local::core::Core;
use crate::local::http::Reply;
use crate::local::operator::{self, shown};
use crate::proto::framework_info::capability;
use crate::proto::{AgentId, Task};

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
            "activated_slaves": count(self.agents.len()),
            "deactivated_slaves": 0.0,
            "unreachable_slaves": 0.0,
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
}

/// `role` or `roles`, as the framework states it.
fn add_roles(page: &mut Value, framework: &Framework) {
    let mut roles = framework.roles();
    if framework.has(capability::Type::MultiRole) {
        page["roles"] = json!(roles);
    } else {
        page["role"] = json!(roles.pop_first());
    }
}
