//! What an agent answers in JSON to whoever opens a page: `/state`.
//!
//! Source: `Http::state`, `src/slave/http.cpp` of Apache Mesos 1.11.0.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::state::{Agent, Executor, Framework, Run};
use crate::local::config::{AGENT_CAPABILITIES, HOSTNAME, VERSION};
use crate::local::core::Core;
use crate::local::http::Reply;
use crate::local::operator::{self, shown};
use crate::local::query::Query;
use crate::local::shapes::{attributes, split, sums, task};
use crate::proto::framework_info::capability;
use crate::proto::{ExecutorId, FrameworkId, Task};
use crate::resources::Resources;

/// `path` is without the agent's prefix; what follows `?` in the address is in `query`.
pub(super) fn answer(core: &Arc<Core>, index: usize, path: &str, query: Option<&str>) -> Reply {
    let page = core.look(|world| match (world.agents.get(index), path) {
        (Some(agent), "/state") => operator::json(&agent.state_page()),
        (Some(agent), "/metrics/snapshot") => operator::json(&Value::Object(agent.metrics())),
        _ => Reply::not_found(),
    });
    page.into_script(&Query::parse(query.unwrap_or_default()))
}

impl Agent {
    fn state_page(&self) -> Value {
        let (reserved, unreserved) = split(&self.total);
        let sums_by_role: Map<_, _> = reserved
            .iter()
            .map(|(role, resources)| (role.clone(), sums(resources)))
            .collect();
        let full_by_role: Map<_, _> = reserved
            .iter()
            .map(|(role, resources)| (role.clone(), json!(shown(resources))))
            .collect();
        let frameworks = self.frameworks.iter();
        let mut page = json!({
            "version": VERSION,
            "start_time": self.started,
            "id": self.id().map_or("", |id| &id.value),
            "pid": format!("{}@{}", self.process(), self.address()),
            "hostname": self.info.hostname,
            "capabilities": AGENT_CAPABILITIES.map(|kind| kind.as_str_name()),
            "resources": sums(&self.total),
            "reserved_resources": sums_by_role,
            "unreserved_resources": sums(&unreserved),
            "reserved_resources_full": full_by_role,
            "unreserved_resources_full": shown(&unreserved),
            "resource_providers": [],
            "attributes": attributes(&self.info.attributes),
            "master_hostname": HOSTNAME,
            "frameworks": frameworks
                .map(|(id, framework)| self.framework_page(id, framework))
                .collect::<Vec<_>>(),
            "completed_frameworks": [],
        });
        if let Some(domain) = &self.info.domain {
            page["domain"] = json!(domain);
        }
        page
    }

    fn framework_page(&self, id: &FrameworkId, framework: &Framework) -> Value {
        let info = &framework.info;
        let executors = framework.executors.iter();
        let mut page = json!({
            "id": id.value,
            "name": info.name,
            "user": info.user,
            "failover_timeout": info.failover_timeout(),
            "checkpoint": info.checkpoint(),
            "hostname": info.hostname(),
            "executors": executors
                .map(|(executor_id, executor)| self.executor_page(id, executor_id, executor))
                .collect::<Vec<_>>(),
            "completed_executors": [],
        });
        add_roles(&mut page, framework);
        page
    }

    fn executor_page(&self, id: &FrameworkId, executor_id: &ExecutorId, own: &Executor) -> Value {
        let run = Run {
            framework_id: id.clone(),
            executor_id: executor_id.clone(),
            container_id: own.container_id.clone(),
        };
        let directory = self.sandbox(&run);
        let queued = own.queued.iter().flat_map(|queued| &queued.tasks);
        let queued: Vec<_> = queued.map(|task| &task.task_id).collect();
        let is_own = |own: &&Task| super::command_task::executor_id(own) == *executor_id;
        let tasks = self.tasks.iter().filter(|((owner, _), _)| owner == id);
        let tasks: Vec<&Task> = tasks.map(|(_, task)| task).filter(is_own).collect();
        let (waiting, given): (Vec<&Task>, Vec<&Task>) = tasks
            .into_iter()
            .partition(|task| queued.contains(&&task.task_id));
        json!({
            "id": executor_id.value,
            "name": own.info.name(),
            "source": own.info.source(),
            "container": own.container_id,
            "directory": directory.map(|directory| directory.display().to_string()),
            "resources": sums(&Resources::from_unchecked(&own.info.resources)),
            "tasks": given.into_iter().map(task).collect::<Vec<_>>(),
            "queued_tasks": waiting.into_iter().map(task).collect::<Vec<_>>(),
            "completed_tasks": [],
        })
    }
}

/// `role` or `roles`, as the framework states it.
fn add_roles(page: &mut Value, framework: &Framework) {
    let info = &framework.info;
    let mut capabilities = info.capabilities.iter();
    if capabilities.any(|own| own.r#type() == capability::Type::MultiRole) {
        page["roles"] = json!(info.roles);
    } else {
        page["role"] = json!(info.role());
    }
}
