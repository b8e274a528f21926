//! Whether tasks can be launched on what is left of an offer.

use super::ids;
use crate::local::master::framework::Framework;
use crate::local::master::state::Offer;
use crate::proto::{
    CommandInfo, ContainerInfo, DurationInfo, Environment, ExecutorInfo, TaskInfo, container_info,
    environment, executor_info,
};
use crate::resources::Resources;

/// Least that an executor of a task group has (`src/slave/constants.hpp`).
const MIN_EXECUTOR_CPUS: f64 = 0.01;
const MIN_EXECUTOR_MEM: f64 = 32.0;

type Check = Result<(), String>;

/// What tasks are checked against.
#[derive(Debug)]
pub(in crate::local::master) struct Launching<'a> {
    pub(in crate::local::master) framework: &'a Framework,
    /// Its resources are what earlier tasks and operations left.
    pub(in crate::local::master) offer: &'a Offer,
}

/// The first resource of `task` or its executor that is none; it spoils the whole operation.
pub(in crate::local::master) fn malformed_resources(task: &TaskInfo) -> Option<String> {
    let executor = task.executor.iter().flat_map(|own| &own.resources);
    let all: Vec<_> = task.resources.iter().chain(executor).cloned().collect();
    Resources::from_protos(&all)
        .err()
        .map(|error| error.to_string())
}

impl Launching<'_> {
    /// Why `task` of a LAUNCH cannot run, if so.
    pub(in crate::local::master) fn check_task(&self, task: &TaskInfo) -> Check {
        self.check_common(task)?;
        if task.command.is_some() == task.executor.is_some() {
            return Err(
                "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"
                    .to_owned(),
            );
        }
        let mut required = Resources::from_unchecked(&task.resources);
        if let Some(executor) = &task.executor {
            if executor.r#type() != executor_info::Type::Custom {
                return Err("'ExecutorInfo.type' must be 'CUSTOM'".to_owned());
            }
            if executor.command.is_none() {
                return Err("'ExecutorInfo.command' must be set".to_owned());
            }
            self.check_executor(executor)?;
            required += &self.new_executor_resources(executor);
        }
        if !self.offer.resources.contains(&required) {
            return Err(format!(
                "Total resources {required} required by task and its executor is more than available {}",
                self.offer.resources
            ));
        }
        Ok(())
    }

    /// Why a task group cannot run, if so.
    pub(in crate::local::master) fn check_group(
        &self,
        executor: &ExecutorInfo,
        tasks: &[TaskInfo],
    ) -> Check {
        let all: Vec<_> = tasks
            .iter()
            .flat_map(|task| &task.resources)
            .cloned()
            .collect();
        let all = [all, executor.resources.clone()].concat();
        Resources::from_protos(&all).map_err(|error| error.to_string())?;
        for (index, task) in tasks.iter().enumerate() {
            self.check_grouped(executor, task)
                .map_err(|why| format!("Task '{}' is invalid: {why}", task.task_id))?;
            if tasks[..index]
                .iter()
                .any(|before| before.task_id == task.task_id)
            {
                return Err(format!(
                    "Task '{0}' is invalid: Task has duplicate ID: {0}",
                    task.task_id
                ));
            }
        }
        self.check_group_executor(executor)?;
        let mut required = self.new_executor_resources(executor);
        for task in tasks {
            required += &Resources::from_unchecked(&task.resources);
        }
        if !self.offer.resources.contains(&required) {
            return Err(format!(
                "Total resources {required} required by task group and its executor are more than available {}",
                self.offer.resources
            ));
        }
        Ok(())
    }

    fn check_grouped(&self, executor: &ExecutorInfo, task: &TaskInfo) -> Check {
        self.check_common(task)?;
        if task.executor.as_ref().is_some_and(|own| own != executor) {
            return Err(format!(
                "The `ExecutorInfo` of task '{}' is different from executor '{}'",
                task.task_id, executor.executor_id
            ));
        }
        if is_docker(task.container.as_ref()) {
            return Err("Docker ContainerInfo is not supported on the task".to_owned());
        }
        Ok(())
    }

    fn check_group_executor(&self, executor: &ExecutorInfo) -> Check {
        if executor.r#type.is_none() {
            return Err("'ExecutorInfo.type' must be set".to_owned());
        }
        if executor.r#type() == executor_info::Type::Unknown {
            return Err("Unknown executor type".to_owned());
        }
        self.check_executor(executor)?;
        if is_docker(executor.container.as_ref()) {
            return Err("Docker ContainerInfo is not supported on the executor".to_owned());
        }
        let resources = Resources::from_unchecked(&executor.resources);
        let id = &executor.executor_id;
        let shown = |name| match resources.scalar(name) {
            0.0 => "None".to_owned(),
            value => value.to_string(),
        };
        if resources.scalar("cpus") < MIN_EXECUTOR_CPUS {
            return Err(format!(
                "Executor '{id}' uses less CPUs ({}) than the minimum required ({MIN_EXECUTOR_CPUS})",
                shown("cpus")
            ));
        }
        if resources.scalar("mem") < MIN_EXECUTOR_MEM {
            return Err(format!(
                "Executor '{id}' uses less memory ({}) than the minimum required (32MB)",
                shown("mem")
            ));
        }
        if resources.scalar("disk") <= 0.0 {
            return Err(format!("Executor '{id}' uses no disk"));
        }
        Ok(())
    }

    /// What holds for every task, grouped or not.
    fn check_common(&self, task: &TaskInfo) -> Check {
        ids::check(&task.task_id.value)?;
        if self.framework.tasks.contains_key(&task.task_id) {
            return Err(format!("Task has duplicate ID: {}", task.task_id));
        }
        if task.agent_id != self.offer.agent_id {
            return Err(format!(
                "Task uses invalid agent {} while agent {} is expected",
                task.agent_id, self.offer.agent_id
            ));
        }
        let grace = task
            .kill_policy
            .as_ref()
            .and_then(|own| own.grace_period.as_ref());
        if is_negative(grace) {
            return Err("Task's 'kill_policy.grace_period' must be non-negative".to_owned());
        }
        if is_negative(task.max_completion_time.as_ref()) {
            return Err("Task's `max_completion_time` must be non-negative".to_owned());
        }
        if task.resources.is_empty() {
            return Err("Task uses no resources".to_owned());
        }
        if let Some(role) = foreign_role(&task.resources, &self.offer.role) {
            return Err(format!(
                "Invalid task resources: The resources have multiple allocation roles ('{role}' and '{}') but only one allocation role is allowed",
                self.offer.role
            ));
        }
        check_command(task.command.as_ref())
            .map_err(|why| format!("Task's `CommandInfo` is invalid: {why}"))
    }

    /// What holds for every executor.
    fn check_executor(&self, executor: &ExecutorInfo) -> Check {
        ids::check(&executor.executor_id.value)?;
        let has_command = executor.command.is_some();
        match executor.r#type() {
            executor_info::Type::Default if has_command => {
                return Err(
                    "'ExecutorInfo.command' must not be set for 'DEFAULT' executor".to_owned(),
                );
            }
            executor_info::Type::Custom if !has_command => {
                return Err("'ExecutorInfo.command' must be set for 'CUSTOM' executor".to_owned());
            }
            _ => {}
        }
        let Some(framework_id) = &executor.framework_id else {
            return Err("'ExecutorInfo.framework_id' must be set".to_owned());
        };
        if *framework_id != self.framework.id {
            return Err(format!(
                "ExecutorInfo has an invalid FrameworkID (Actual: {framework_id} vs Expected: {})",
                self.framework.id
            ));
        }
        if is_negative(executor.shutdown_grace_period.as_ref()) {
            return Err("ExecutorInfo's 'shutdown_grace_period' must be non-negative".to_owned());
        }
        check_command(executor.command.as_ref())
            .map_err(|why| format!("Executor's `CommandInfo` is invalid: {why}"))?;
        self.check_same_executor(executor)
    }

    /// An executor id means the same executor for as long as it runs on the agent.
    fn check_same_executor(&self, executor: &ExecutorInfo) -> Check {
        let key = (self.offer.agent_id.clone(), executor.executor_id.clone());
        let Some(running) = self.framework.executors.get(&key) else {
            return Ok(());
        };
        if is_same(&running.info, executor) {
            return Ok(());
        }
        let line = "-".repeat(60);
        Err(format!(
            "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.\n{line}\nExisting ExecutorInfo:\n{:?}\n{line}\nExecutorInfo:\n{executor:?}\n{line}\n",
            running.info
        ))
    }

    /// What `executor` needs beyond the tasks: nothing if it already runs.
    fn new_executor_resources(&self, executor: &ExecutorInfo) -> Resources {
        let key = (self.offer.agent_id.clone(), executor.executor_id.clone());
        if self.framework.executors.contains_key(&key) {
            Resources::new()
        } else {
            Resources::from_unchecked(&executor.resources)
        }
    }
}

/// Whether two are one: field by field, resources as amounts.
fn is_same(one: &ExecutorInfo, other: &ExecutorInfo) -> bool {
    let resources = |info: &ExecutorInfo| Resources::from_unchecked(&info.resources);
    let (own, others) = (resources(one), resources(other));
    let without = |info: &ExecutorInfo| ExecutorInfo {
        resources: Vec::new(),
        ..info.clone()
    };
    own.contains(&others) && others.contains(&own) && without(one) == without(other)
}

fn is_docker(container: Option<&ContainerInfo>) -> bool {
    container.is_some_and(|container| container.r#type() == container_info::Type::Docker)
}

fn is_negative(duration: Option<&DurationInfo>) -> bool {
    duration.is_some_and(|duration| duration.nanoseconds < 0)
}

fn foreign_role<'a>(resources: &'a [crate::proto::Resource], role: &str) -> Option<&'a str> {
    let mut roles = resources
        .iter()
        .filter_map(|own| own.allocation_info.as_ref());
    roles.find_map(|own| (own.role() != role).then(|| own.role()))
}

fn check_command(command: Option<&CommandInfo>) -> Check {
    let environment = command.and_then(|command| command.environment.as_ref());
    environment.map_or(Ok(()), check_environment)
}

fn check_environment(environment: &Environment) -> Check {
    use environment::variable::Type;
    for variable in &environment.variables {
        let name = &variable.name;
        let why = match variable.r#type.map(Type::try_from) {
            Some(Ok(Type::Secret)) if variable.secret.is_none() => {
                format!("Environment variable '{name}' of type 'SECRET' must have a secret set")
            }
            Some(Ok(Type::Secret)) if variable.value.is_some() => {
                format!("Environment variable '{name}' of type 'SECRET' must not have a value set")
            }
            Some(Ok(Type::Unknown) | Err(_)) => {
                "Environment variable of type 'UNKNOWN' is not allowed".to_owned()
            }
            None | Some(Ok(Type::Value)) if variable.value.is_none() => {
                format!("Environment variable '{name}' of type 'VALUE' must have a value set")
            }
            None | Some(Ok(Type::Value)) if variable.secret.is_some() => {
                format!("Environment variable '{name}' of type 'VALUE' must not have a secret set")
            }
            _ => continue,
        };
        return Err(why);
    }
    Ok(())
}
