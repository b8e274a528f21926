//! The executor that an agent makes up for a command task.
//!
//! Source: `Slave::getExecutorInfo`, `src/slave/slave.cpp` of Apache Mesos 1.11.0.

use std::time::Duration;

use crate::proto::resource::AllocationInfo;
use crate::proto::{
    CommandInfo, DurationInfo, ExecutorId, ExecutorInfo, FrameworkId, Resource, Task, TaskInfo,
    value,
};

/// What the executor itself takes, from the agent and not from the offer: cpus and MB of memory
/// (`DEFAULT_EXECUTOR_CPUS`, `DEFAULT_EXECUTOR_MEM`, `src/slave/constants.hpp`).
const OVERHEAD: [(&str, f64); 2] = [("cpus", 0.1), ("mem", 32.0)];

/// What the executor has to shut down beyond the task's kill grace period: a reap interval and a second.
const SHUTDOWN_RESERVE: Duration = Duration::from_secs(2);

/// Of a longer command, in bytes, as much as [`SHOWN`] is shown.
const LONGEST_SHOWN: usize = 15;
const SHOWN: usize = 12;

/// The program's name in `ExecutorInfo.command`.
const PROGRAM: &str = "mesos-executor";

/// Under which executor a task runs: one of a command, under the one that is named like it.
pub(super) fn executor_id(task: &Task) -> ExecutorId {
    let own = task.executor_id.clone();
    own.unwrap_or_else(|| task.task_id.value.as_str().into())
}

/// The executor of a task that has a command.
#[expect(deprecated, reason = "agents still state the source")]
pub(super) fn command_executor(framework_id: &FrameworkId, task: &TaskInfo) -> ExecutorInfo {
    let command = task.command.clone().unwrap_or_default();
    let grace = task.kill_policy.and_then(|policy| policy.grace_period);
    let reserve = i64::try_from(SHUTDOWN_RESERVE.as_nanos()).unwrap_or(i64::MAX);
    ExecutorInfo {
        executor_id: task.task_id.value.as_str().into(),
        framework_id: Some(framework_id.clone()),
        container: task.container.clone(),
        name: Some(name(&task.task_id.value, &command)),
        source: Some(task.task_id.value.clone()),
        labels: task.labels.clone(),
        discovery: task.discovery.clone(),
        shutdown_grace_period: grace.map(|grace| DurationInfo {
            nanoseconds: grace.nanoseconds.saturating_add(reserve),
        }),
        command: Some(CommandInfo {
            uris: command.uris,
            environment: command.environment,
            user: command.user,
            shell: Some(false),
            value: Some(PROGRAM.to_owned()),
            arguments: vec![PROGRAM.to_owned()],
        }),
        resources: overhead(task),
        ..Default::default()
    }
}

fn overhead(task: &TaskInfo) -> Vec<Resource> {
    let mut allocations = task.resources.iter().map(|own| own.allocation_info.clone());
    let allocation: Option<AllocationInfo> = allocations.next().flatten();
    let resource = |(name, value): (&str, f64)| Resource {
        name: name.to_owned(),
        r#type: value::Type::Scalar.into(),
        scalar: Some(value::Scalar { value }),
        allocation_info: allocation.clone(),
        ..Default::default()
    };
    OVERHEAD.into_iter().map(resource).collect()
}

fn name(task_id: &str, command: &CommandInfo) -> String {
    let shown = match (command.shell(), &command.value) {
        (true, None) => "NO COMMAND".to_owned(),
        (false, None) => "NO EXECUTABLE".to_owned(),
        (true, Some(value)) => format!("sh -c '{}'", shortened(value)),
        (false, Some(value)) => {
            let whole = format!("{value}, {}", command.arguments.join(", "));
            format!("[{}]", shortened(&whole))
        }
    };
    format!("Command Executor (Task: {task_id}) (Command: {shown})")
}

fn shortened(text: &str) -> String {
    if text.len() <= LONGEST_SHOWN {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(SHOWN);
    format!("{}...", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_name_shows_the_command() {
        let shell = |value: &str| CommandInfo {
            value: Some(value.to_owned()),
            ..Default::default()
        };
        let of = |command: &CommandInfo| name("t", command);
        assert_eq!(
            of(&shell("exit 3")),
            "Command Executor (Task: t) (Command: sh -c 'exit 3')"
        );
        assert_eq!(
            of(&shell("echo 0123456789")),
            "Command Executor (Task: t) (Command: sh -c 'echo 0123456789')"
        );
        assert_eq!(
            of(&shell("echo 0123456789a")),
            "Command Executor (Task: t) (Command: sh -c 'echo 0123456...')"
        );
        assert_eq!(
            of(&CommandInfo::default()),
            "Command Executor (Task: t) (Command: NO COMMAND)"
        );
        let argv = CommandInfo {
            shell: Some(false),
            arguments: vec!["true".to_owned()],
            ..shell("true")
        };
        assert_eq!(
            of(&argv),
            "Command Executor (Task: t) (Command: [true, true])"
        );
    }
}
