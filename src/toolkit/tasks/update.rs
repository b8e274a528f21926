//! What a status changes. Pure.

use std::time::SystemTime;

use super::TrackedTask;
use super::record::has_uuid;
use crate::proto::{FrameworkId, TaskState, TaskStatus, task_status};

/// What a status comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    /// Nothing is new.
    None,
    /// The task is so now; it has the state that it had.
    Details(TrackedTask),
    /// The task is so now; its state is another one, or it was not tracked.
    State(TrackedTask),
}

/// `before`: the task, if it is tracked. `framework`: whose tasks are told of.
pub(super) fn effect(
    before: Option<&TrackedTask>,
    framework: Option<FrameworkId>,
    status: &TaskStatus,
    now: SystemTime,
) -> Effect {
    let Ok(state) = TaskState::try_from(status.state) else {
        tracing::warn!(task_id = %status.task_id, state = status.state, "status of unknown state ignored");
        return Effect::None;
    };
    let Some(before) = before else {
        return adopted(framework, status, state, now);
    };
    if is_repeated(before, status) {
        return Effect::None;
    }
    if before.state == state {
        return same_state(before, status);
    }
    if !is_believed(before, status, state) {
        let told = before.state.as_str_name();
        tracing::debug!(task_id = %status.task_id, told, state = state.as_str_name(), "status out of date ignored");
        return Effect::None;
    }
    let mut task = before.clone();
    task.state = state;
    task.changed_at = now;
    learn(&mut task, status);
    task.status = Some(kept(status));
    Effect::State(task)
}

/// A task that the tracker has not launched. Of one that has ended, or that nobody knows, there is nothing to follow: it may
/// have been forgotten.
fn adopted(
    framework: Option<FrameworkId>,
    status: &TaskStatus,
    state: TaskState,
    now: SystemTime,
) -> Effect {
    if !state.is_live() && state != TaskState::TaskUnreachable {
        return Effect::None;
    }
    let mut task = TrackedTask::adopted(status.task_id.clone(), framework, state, now);
    learn(&mut task, status);
    task.status = Some(kept(status));
    Effect::State(task)
}

/// An agent sends an update again, with the same uuid, until it is acknowledged.
fn is_repeated(before: &TrackedTask, status: &TaskStatus) -> bool {
    let last = before.status.as_ref();
    has_uuid(status) && last.is_some_and(|last| last.uuid == status.uuid)
}

/// What the master answers lacks the words of the status that told the state; but it is new about health and the like.
fn same_state(before: &TrackedTask, status: &TaskStatus) -> Effect {
    let mut task = before.clone();
    learn(&mut task, status);
    let new = kept(status);
    task.status = Some(match task.status.take().filter(|_| !has_uuid(status)) {
        Some(told) => TaskStatus {
            healthy: new.healthy.or(told.healthy),
            check_status: new.check_status.or(told.check_status),
            container_status: new.container_status.or(told.container_status),
            unreachable_time: new.unreachable_time.or(told.unreachable_time),
            ..told
        },
        None => new,
    });
    match task == *before {
        true => Effect::None,
        false => Effect::Details(task),
    }
}

/// A terminal state that an agent or executor has told is the end. One that only the master has told gives way to what these
/// tell: it may have spoken before it knew.
fn is_believed(before: &TrackedTask, status: &TaskStatus, state: TaskState) -> bool {
    let is_of_agent = has_uuid(status);
    let is_end = before.is_ended() && before.is_told_by_agent();
    state.may_follow(before.state) || (is_of_agent && !is_end)
}

fn learn(task: &mut TrackedTask, status: &TaskStatus) {
    task.is_unsure = false;
    if let Some(agent_id) = &status.agent_id {
        task.agent_id = Some(agent_id.clone());
    }
    if let Some(executor_id) = &status.executor_id {
        task.executor_id = Some(executor_id.clone());
    }
}

/// `data` may be large, and is the scheduler's.
fn kept(status: &TaskStatus) -> TaskStatus {
    TaskStatus {
        data: None,
        ..status.clone()
    }
}

/// The task, settled here in a state of which no status will come.
pub(super) fn settled(
    before: &TrackedTask,
    state: TaskState,
    reason: Option<task_status::Reason>,
    message: String,
    now: SystemTime,
) -> TrackedTask {
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    let status = TaskStatus {
        task_id: before.task_id.clone(),
        state: state as i32,
        agent_id: before.agent_id.clone(),
        executor_id: before.executor_id.clone(),
        message: Some(message),
        reason: reason.map(|reason| reason as i32),
        timestamp: since.ok().map(|since| since.as_secs_f64()),
        ..TaskStatus::default()
    };
    TrackedTask {
        state,
        is_unsure: false,
        status: Some(status),
        changed_at: now,
        ..before.clone()
    }
}
