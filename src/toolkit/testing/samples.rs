//! What callbacks are called with.

use std::time::SystemTime;

use bytes::Bytes;

use crate::proto::task_status::{Reason, Source};
use crate::proto::{Offer, TaskState, TaskStatus};
use crate::resources::Resources;

/// An offer of the agent `agent_id`, of a host that is named like it.
///
/// `resources`: in Mesos's text form, such as `cpus:2;mem:1024;ports:[31000-31099]`.
///
/// # Panics
/// If that is no form of resources.
#[must_use]
pub fn offer(id: &str, agent_id: &str, resources: &str) -> Offer {
    let resources = Resources::parse(resources)
        .unwrap_or_else(|error| panic!("resources of the offer {id}: {error}"));
    Offer {
        id: id.into(),
        framework_id: "framework".into(),
        agent_id: agent_id.into(),
        hostname: agent_id.into(),
        resources: resources.to_protos(),
        ..Offer::default()
    }
}

/// A status as an executor sends it, to be acknowledged: each has an `uuid` of its own.
#[must_use]
pub fn status(task_id: &str, agent_id: &str, state: TaskState) -> TaskStatus {
    let uuid = uuid::Uuid::new_v4();
    TaskStatus {
        agent_id: Some(agent_id.into()),
        source: Some(Source::Executor as i32),
        uuid: Some(Bytes::copy_from_slice(uuid.as_bytes())),
        ..plain(task_id, state)
    }
}

/// A status as the master answers it to RECONCILE: without `uuid`, data or agent.
#[must_use]
pub fn reconciled(task_id: &str, state: TaskState) -> TaskStatus {
    TaskStatus {
        source: Some(Source::Master as i32),
        reason: Some(Reason::Reconciliation as i32),
        ..plain(task_id, state)
    }
}

fn plain(task_id: &str, state: TaskState) -> TaskStatus {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    TaskStatus {
        task_id: task_id.into(),
        state: state as i32,
        timestamp: now.ok().map(|now| now.as_secs_f64()),
        ..TaskStatus::default()
    }
}
