//! Handle method → call. Pure.

use std::time::SystemTime;

use bytes::Bytes;

use super::ExecutorConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::proto::executor::Call;
use crate::proto::executor::call::{Message, Type, Update};
use crate::proto::{TaskState, TaskStatus, task_status};

fn call(config: &ExecutorConfig, r#type: Type) -> Call {
    Call {
        executor_id: config.executor_id.clone(),
        framework_id: config.framework_id.clone(),
        r#type: Some(r#type as i32),
        ..Call::default()
    }
}

pub(super) fn subscribe(config: &ExecutorConfig) -> Call {
    call(config, Type::Subscribe)
}

pub(super) fn heartbeat(config: &ExecutorConfig) -> Call {
    call(config, Type::Heartbeat)
}

pub(super) fn message(config: &ExecutorConfig, data: Bytes) -> Call {
    Call {
        message: Some(Message { data }),
        ..call(config, Type::Message)
    }
}

/// Fills in what the agent asks for, or would leave out on the way to the scheduler (`src/slave/http.cpp` and
/// `src/common/validation.cpp`, Apache Mesos 1.11.0).
pub(super) fn update(config: &ExecutorConfig, mut status: TaskStatus) -> Result<Call> {
    if status.task_id.value.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            "status update without a task id",
        ));
    }
    match TaskState::try_from(status.state) {
        Ok(TaskState::TaskStaging) => {
            let context = format!(
                "status update of task {}: TASK_STAGING is not for executors to send",
                status.task_id
            );
            return Err(Error::new(ErrorKind::Config, context));
        }
        Ok(_) => {}
        Err(_) => {
            let context = format!(
                "status update of task {}: state {} is not known",
                status.task_id, status.state
            );
            return Err(Error::new(ErrorKind::Config, context));
        }
    }
    status.uuid = Some(Bytes::copy_from_slice(uuid::Uuid::new_v4().as_bytes()));
    status.source = Some(task_status::Source::Executor as i32);
    status.executor_id = Some(config.executor_id.clone());
    status.agent_id = Some(config.agent_id.clone());
    status.timestamp = status.timestamp.or_else(now);
    Ok(Call {
        update: Some(Update { status }),
        ..call(config, Type::Update)
    })
}

/// Seconds since the epoch; none on a machine whose clock is before it.
fn now() -> Option<f64> {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .map(|since| since.as_secs_f64())
}

pub(super) fn name(call: &Call) -> &'static str {
    call.r#type().as_str_name()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ExecutorConfig {
        ExecutorConfig::from_lookup(|name| match name {
            "MESOS_SLAVE_PID" => Some("slave(1)@10.0.0.1:5051".into()),
            "MESOS_SLAVE_ID" => Some("agent".into()),
            "MESOS_FRAMEWORK_ID" => Some("framework".into()),
            "MESOS_EXECUTOR_ID" => Some("executor".into()),
            "MESOS_DIRECTORY" => Some("/sandbox".into()),
            _ => None,
        })
        .unwrap()
    }

    fn status(state: i32) -> TaskStatus {
        TaskStatus {
            task_id: "t".into(),
            state,
            ..TaskStatus::default()
        }
    }

    #[test]
    fn everything_that_the_agent_checks_is_filled_in() {
        let filled = |call: Call| call.update.unwrap().status;
        let first = filled(update(&config(), status(TaskState::TaskRunning as i32)).unwrap());
        let second = filled(update(&config(), status(TaskState::TaskRunning as i32)).unwrap());
        assert_eq!(first.uuid().len(), 16);
        assert_ne!(first.uuid, second.uuid);
        assert_eq!(first.source(), task_status::Source::Executor);
        assert_eq!(first.executor_id, Some("executor".into()));
        assert_eq!(first.agent_id, Some("agent".into()));
        assert!(first.timestamp.is_some_and(|timestamp| timestamp > 1.7e9));
    }

    #[test]
    fn what_the_agent_would_refuse_is_refused_here() {
        for (state, text) in [
            (
                TaskState::TaskStaging as i32,
                "status update of task t: TASK_STAGING is not for executors to send",
            ),
            (99, "status update of task t: state 99 is not known"),
        ] {
            let error = update(&config(), status(state)).unwrap_err();
            assert_eq!(
                (error.kind(), error.to_string().as_str()),
                (ErrorKind::Config, text)
            );
        }
    }
}
