//! What agents keep of frameworks that checkpoint, as JSON for their files and back.

use std::path::Path;

use serde_json::{Value, json};

use super::agent::{CheckpointedExecutor, CheckpointedFramework, CheckpointedUpdates};
use super::store::{field, optional};
use crate::error::Result;
use crate::proto::Uuid;

/// For the file of an agent.
pub(super) fn written(frameworks: &[CheckpointedFramework]) -> Vec<Value> {
    let frameworks = frameworks.iter().map(|framework| {
        json!({
            "id": framework.id,
            "info": framework.info,
            "executors": framework.executors.iter().map(executor).collect::<Vec<_>>(),
            "tasks": framework.tasks,
            "updates": framework.updates.iter().map(updates).collect::<Vec<_>>(),
        })
    });
    frameworks.collect()
}

fn executor(own: &CheckpointedExecutor) -> Value {
    json!({
        "info": own.info,
        "is_generated": own.is_generated,
        "container_id": own.container_id,
        "process": own.process,
        "has_spoken": own.has_spoken,
    })
}

fn updates(own: &CheckpointedUpdates) -> Value {
    let received = own.received.iter().map(|value| Uuid {
        value: value.clone(),
    });
    json!({
        "task_id": own.task_id,
        "pending": own.pending,
        "received": received.collect::<Vec<_>>(),
        "is_terminated": own.is_terminated,
    })
}

/// From the file of an agent at `path`; none if it was written by a version that kept none.
pub(super) fn frameworks(path: &Path, content: &Value) -> Result<Vec<CheckpointedFramework>> {
    let frameworks = list(path, content, "frameworks")?;
    let frameworks = frameworks.iter().map(|own| {
        let executors = list(path, own, "executors")?;
        let updates = list(path, own, "updates")?;
        Ok(CheckpointedFramework {
            id: field(path, own, "id")?,
            info: field(path, own, "info")?,
            executors: executors
                .iter()
                .map(|own| executor_of(path, own))
                .collect::<Result<_>>()?,
            tasks: field(path, own, "tasks")?,
            updates: updates
                .iter()
                .map(|own| updates_of(path, own))
                .collect::<Result<_>>()?,
        })
    });
    frameworks.collect()
}

fn executor_of(path: &Path, own: &Value) -> Result<CheckpointedExecutor> {
    Ok(CheckpointedExecutor {
        info: field(path, own, "info")?,
        is_generated: field(path, own, "is_generated")?,
        container_id: field(path, own, "container_id")?,
        process: field(path, own, "process")?,
        has_spoken: field(path, own, "has_spoken")?,
    })
}

fn updates_of(path: &Path, own: &Value) -> Result<CheckpointedUpdates> {
    let received: Vec<Uuid> = field(path, own, "received")?;
    Ok(CheckpointedUpdates {
        task_id: field(path, own, "task_id")?,
        pending: field(path, own, "pending")?,
        received: received.into_iter().map(|uuid| uuid.value).collect(),
        is_terminated: field(path, own, "is_terminated")?,
    })
}

fn list(path: &Path, content: &Value, name: &str) -> Result<Vec<Value>> {
    optional(path, content, name)
}
