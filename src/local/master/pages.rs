//! What the master answers in JSON to whoever opens a page: `/state`, `/slaves`, `/tasks`, `/metrics/snapshot`; and
//! `/redirect`.
//!
//! Source: `src/master/http.cpp` and `src/master/readonly_handler.cpp` of Apache Mesos 1.11.0.

use std::sync::Arc;

use hyper::{StatusCode, header};
use serde_json::{Map, Value, json};

use super::framework::Framework;
use super::metrics::count;
use super::state::{Agent, Master, Offer};
use super::views::Viewer;
use crate::codec::ContentType;
use crate::local::config::{AGENT_CAPABILITIES, HOST, HOSTNAME, VERSION};
use crate::local::core::Core;
use crate::local::http::Reply;
use crate::local::operator::{self, shown};
use crate::local::query::Query;
use crate::local::shapes::{attributes, executor, split, sums, task};
use crate::proto::framework_info::capability;
use crate::proto::{AgentId, Task};

/// Longest answer of `/tasks` (`TASK_LIMIT`, `src/master/constants.hpp`).
const TASK_LIMIT: usize = 100;

/// `path` is without the prefix `/master`; what follows `?` in the address is in `query`.
pub(super) fn answer(
    core: &Arc<Core>,
    path: &str,
    query: Option<&str>,
    principal: Option<&str>,
) -> Reply {
    core.run(|world| match &world.master {
        Some(master) => master.page(path, &Query::parse(query.unwrap_or_default()), principal),
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
    pub(super) fn page(&self, path: &str, query: &Query, principal: Option<&str>) -> Reply {
        let viewer = &self.viewer(principal, ContentType::Json);
        let page = match path {
            "/state" => operator::json(&self.state_page(viewer)),
            "/slaves" => operator::json(&self.slaves_page(query, viewer)),
            "/roles" => operator::json(&self.roles_page(viewer)),
            "/tasks" => operator::json(&self.tasks_page(query, viewer)),
            "/metrics/snapshot" => operator::json(&Value::Object(self.metrics())),
            "/redirect" => Reply::Plain {
                status: StatusCode::TEMPORARY_REDIRECT,
                text: String::new(),
                header: Some((header::LOCATION, format!("//{HOSTNAME}:{}", self.info.port))),
            },
            _ => Reply::not_found(),
        };
        page.into_script(query)
    }

    fn state_page(&self, viewer: &Viewer<'_>) -> Value {
        let info = &self.info;
        let capabilities = info.capabilities.iter();
        let capabilities: Vec<_> = capabilities
            .map(|capability| capability.r#type().as_str_name())
            .collect();
        let agents = self.agents.iter();
        let frameworks = self.seen_frameworks(viewer);
        let completed = self.seen_completed(viewer);
        let mut page = json!({
            "version": VERSION,
            "start_time": self.started,
            "elected_time": self.elected,
            "id": info.id,
            "pid": info.pid(),
            "hostname": HOSTNAME,
            "capabilities": capabilities,
            "activated_slaves": self.agents_where(|agent| agent.is_active),
            "deactivated_slaves": self.agents_where(|agent| !agent.is_active),
            "unreachable_slaves": count(self.registry.unreachable.len()),
            "leader": info.pid(),
            "leader_info": {
                "id": info.id, "pid": info.pid(), "port": info.port, "hostname": HOSTNAME,
            },
            "slaves": agents.map(|(id, agent)| self.slave(viewer, id, agent)).collect::<Vec<_>>(),
            "recovered_slaves": self.recovered_slaves(),
            "frameworks": frameworks.map(|framework| self.framework(viewer, framework)).collect::<Vec<_>>(),
            "completed_frameworks": completed.map(|framework| self.framework(viewer, framework)).collect::<Vec<_>>(),
            "orphan_tasks": [],
            "unregistered_frameworks": [],
        });
        if let Some(domain) = &info.domain {
            page["domain"] = json!(domain);
            page["leader_info"]["domain"] = json!(domain);
        }
        page
    }

    fn recovered_slaves(&self) -> Vec<Value> {
        let recovering = self.recovering.iter();
        recovering.map(|id| json!({ "id": id.value })).collect()
    }

    fn slave(&self, viewer: &Viewer<'_>, id: &AgentId, agent: &Agent) -> Value {
        let (reserved, unreserved) = split(&agent.total);
        let reserved: Map<_, _> = reserved
            .iter()
            .filter(|(role, _)| viewer.sees_role(role))
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
            "active": agent.is_active,
            "deactivated": self.is_deactivated(id),
            "version": VERSION,
            "capabilities": AGENT_CAPABILITIES.map(|kind| kind.as_str_name()),
        });
        if let Some(domain) = &agent.info.domain {
            slave["domain"] = json!(domain);
        }
        if let Some(at) = agent.reregistered {
            slave["reregistered_time"] = json!(at);
        }
        if let Some(info) = self.drain_info(id) {
            slave["drain_info"] = json!(info);
        }
        if let Some(at) = agent.drain_started {
            slave["estimated_drain_start_time_seconds"] = json!(at.floor());
        }
        slave
    }

    /// One agent, if `slave_id` says which.
    fn slaves_page(&self, query: &Query, viewer: &Viewer<'_>) -> Value {
        let slaves = self.agents.iter();
        let slaves = slaves.filter(|(id, _)| query.accepts("slave_id", &id.value));
        let slaves = slaves.map(|(id, agent)| {
            let mut slave = self.slave(viewer, id, agent);
            let shown = |resources: &_| viewer.seen(shown(resources));
            let (reserved, unreserved) = split(&agent.total);
            let reserved: Map<_, _> = reserved
                .iter()
                .filter(|(role, _)| viewer.sees_role(role))
                .map(|(role, resources)| (role.clone(), json!(shown(resources))))
                .collect();
            slave["reserved_resources_full"] = Value::Object(reserved);
            slave["unreserved_resources_full"] = json!(shown(&unreserved));
            slave["used_resources_full"] = json!(shown(&self.used_on(id)));
            let offered = self.offered(|offer| offer.agent_id == *id);
            slave["offered_resources_full"] = json!(shown(&offered));
            slave
        });
        let slaves: Vec<Value> = slaves.collect();
        let mut recovered = self.recovered_slaves();
        recovered.retain(|own| query.accepts("slave_id", own["id"].as_str().unwrap_or_default()));
        json!({ "slaves": slaves, "recovered_slaves": recovered })
    }

    /// By `framework_id` and `task_id`; `limit` of them behind the first `offset`, the newest first or by `order=asc` last.
    fn tasks_page(&self, query: &Query, viewer: &Viewer<'_>) -> Value {
        let all = self
            .seen_frameworks(viewer)
            .chain(self.seen_completed(viewer));
        let all = all.filter(|own| query.accepts("framework_id", &own.id.value));
        let mut tasks: Vec<&Task> = all
            .flat_map(|framework| {
                let live = framework.tasks.values().map(|task| &task.task);
                let lost = live.chain(&framework.unreachable_tasks);
                let all = lost.chain(&framework.completed_tasks);
                all.filter(|task| viewer.sees_task(task, &framework.info))
            })
            .filter(|task| query.accepts("task_id", &task.task_id.value))
            .collect();
        // Those of which nothing is known yet come first in either order.
        let first = |task: &Task| task.statuses.first().map(|own| own.timestamp());
        let is_ascending = query.get("order") == Some("asc");
        tasks.sort_by(|one, other| match (first(one), first(other)) {
            (Some(one), Some(other)) if is_ascending => one.total_cmp(&other),
            (Some(one), Some(other)) => other.total_cmp(&one),
            (one, other) => one.is_some().cmp(&other.is_some()),
        });
        let offset = query.number("offset").unwrap_or(0);
        let limit = query.number("limit").unwrap_or(TASK_LIMIT);
        let tasks = tasks.into_iter().skip(offset).take(limit);
        json!({ "tasks": tasks.map(task).collect::<Vec<_>>() })
    }

    fn framework(&self, viewer: &Viewer<'_>, framework: &Framework) -> Value {
        let info = &framework.info;
        let seen = |tasks: Vec<&Task>| {
            let tasks = tasks.into_iter();
            let tasks = tasks.filter(|task| viewer.sees_task(task, info));
            tasks.map(task).collect::<Vec<_>>()
        };
        let own = |offer: &Offer| offer.framework_id == framework.id;
        let (used, offered) = (framework.used(None), self.offered(own));
        let capabilities = info.capabilities.iter();
        let capabilities: Vec<_> = capabilities
            .map(|capability| capability.r#type().as_str_name())
            .collect();
        let tasks = framework.tasks.values().map(|own| &own.task);
        let executors = framework.executors.iter();
        let executors = executors.filter(|(_, own)| viewer.sees_executor(&own.info, info));
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
            "tasks": seen(tasks.collect()),
            "unreachable_tasks": seen(framework.unreachable_tasks.iter().collect()),
            "completed_tasks": seen(framework.completed_tasks.iter().collect()),
            "offers": offers.collect::<Vec<_>>(),
            "executors": executors
                .map(|((agent_id, _), own)| executor(agent_id, &framework.id, &own.info))
                .collect::<Vec<_>>(),
            "offer_constraints": json!(framework.constraints.stated()),
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
