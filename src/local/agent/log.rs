//! One line for each event to an executor: types and ids, never payloads.

use tracing::field::display;

use crate::proto::ExecutorId;
use crate::proto::executor::Event;

pub(super) fn event(executor_id: &ExecutorId, event: &Event) {
    let launched = event.launch.as_ref().map(|own| &own.task.task_id);
    let killed = event.kill.as_ref().map(|own| &own.task_id);
    let acknowledged = event.acknowledged.as_ref().map(|own| &own.task_id);
    let task_id = launched.or(killed).or(acknowledged).map(display);
    let kind = event.r#type().as_str_name();
    tracing::debug!(event = kind, %executor_id, task_id, "event sent to executor");
}
