//! How pages show single things: resources by name, tasks, executors.
//!
//! Source: `src/common/http.cpp` of Apache Mesos 1.11.0.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::proto::{AgentId, Attribute, ExecutorInfo, FrameworkId, Resource, Task, value};
use crate::resources::Resources;

/// Scalars that are always stated.
pub(super) const ALWAYS: [&str; 4] = ["cpus", "gpus", "mem", "disk"];

pub(super) fn task(task: &Task) -> Value {
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
    json!({
        "id": task.task_id.value,
        "name": task.name,
        "framework_id": task.framework_id.value,
        "executor_id": task.executor_id.as_ref().map_or("", |id| &id.value),
        "slave_id": task.agent_id.value,
        "state": task.state().as_str_name(),
        "resources": sums(&Resources::from_unchecked(&task.resources)),
        "role": task.resources.first().map_or("*", allocation_role),
        "statuses": statuses.collect::<Vec<_>>(),
    })
}

fn allocation_role(resource: &Resource) -> &str {
    let allocation = resource.allocation_info.as_ref();
    allocation.map_or("*", |allocation| allocation.role())
}

pub(super) fn executor(
    agent_id: &AgentId,
    framework_id: &FrameworkId,
    info: &ExecutorInfo,
) -> Value {
    let mut page = json!({
        "executor_id": info.executor_id.value,
        "name": info.name(),
        "framework_id": framework_id.value,
        "resources": sums(&Resources::from_unchecked(&info.resources)),
        "slave_id": agent_id.value,
    });
    if let Some(role) = info.resources.first().map(allocation_role) {
        page["role"] = json!(role);
    }
    if let Some(command) = &info.command {
        page["command"] = json!({
            "shell": command.shell(), "value": command.value(), "argv": command.arguments, "uris": [],
        });
        if let Some(environment) = &command.environment {
            page["command"]["environment"] = json!(environment);
        }
    }
    page
}

/// Reserved ones by role, and the others.
pub(super) fn split(resources: &Resources) -> (Vec<(String, Resources)>, Resources) {
    let mut reserved: BTreeMap<String, Vec<Resource>> = BTreeMap::new();
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
pub(super) fn sums(resources: &Resources) -> Value {
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

pub(super) fn attributes(attributes: &[Attribute]) -> Value {
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
