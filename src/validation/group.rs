//! Whether task groups can be launched on what is left of an offer.

use super::container::is_docker;
use super::limits;
use super::task::{Known, Launching};
use super::{Check, resources};
use crate::proto::{ExecutorInfo, HealthCheck, TaskInfo, executor_info, health_check};
use crate::resources::Resources;

/// Least that an executor of a task group has (`src/slave/constants.hpp`).
const MIN_EXECUTOR_CPUS: f64 = 0.01;
const MIN_EXECUTOR_MEM: f64 = 32.0;

impl<K: Known> Launching<'_, K> {
    /// Why a task group cannot run, if so.
    pub(crate) fn check_group(&self, executor: &ExecutorInfo, tasks: &[TaskInfo]) -> Check {
        for (index, task) in tasks.iter().enumerate() {
            self.check_grouped(task)
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
        self.check_group_executor(executor, tasks)?;
        let mut required = self.new_executor_resources(executor);
        for task in tasks {
            required += &Resources::from_unchecked(&task.resources);
        }
        if let Some(available) = self.known.available()
            && !available.contains(&required)
        {
            return Err(format!(
                "Total resources {required} required by task group and its executor are more than available {available}"
            ));
        }
        self.check_sharing(executor, tasks)
    }

    fn check_grouped(&self, task: &TaskInfo) -> Check {
        self.check_common(task)?;
        let container = task.container.as_ref();
        let joins_networks = container.is_some_and(|own| !own.network_infos.is_empty());
        if joins_networks && task.health_check.as_ref().is_some_and(is_over_network) {
            return Err(
                "HTTP and TCP health checks are not supported for nested containers not \
                        joining parent's network"
                    .to_owned(),
            );
        }
        if is_docker(task.container.as_ref()) {
            return Err("Docker ContainerInfo is not supported on the task".to_owned());
        }
        limits::check_grouped(task)
    }

    fn check_group_executor(&self, executor: &ExecutorInfo, tasks: &[TaskInfo]) -> Check {
        self.check_executor(executor)?;
        if executor.r#type.is_none() {
            return Err("'ExecutorInfo.type' must be set".to_owned());
        }
        if executor.r#type() == executor_info::Type::Unknown {
            return Err("Unknown executor type".to_owned());
        }
        if is_docker(executor.container.as_ref()) {
            return Err("Docker ContainerInfo is not supported on the executor".to_owned());
        }
        let differs = |task: &&TaskInfo| task.executor.as_ref().is_some_and(|own| own != executor);
        if let Some(task) = tasks.iter().find(differs) {
            return Err(format!(
                "The `ExecutorInfo` of task '{}' is different from executor '{}'",
                task.task_id, executor.executor_id
            ));
        }
        check_size(executor)?;
        check_together(executor, tasks)
    }
}

/// An executor of a group must be able to live.
fn check_size(executor: &ExecutorInfo) -> Check {
    let resources = Resources::from_unchecked(&executor.resources);
    let id = &executor.executor_id;
    let given = |name| Some(resources.scalar(name)).filter(|value| *value > 0.0);
    let none = || "None".to_owned();
    let cpus = given("cpus");
    if cpus.is_none_or(|cpus| cpus < MIN_EXECUTOR_CPUS) {
        let shown = cpus.map_or_else(none, |cpus| cpus.to_string());
        return Err(format!(
            "Executor '{id}' uses less CPUs ({shown}) than the minimum required ({MIN_EXECUTOR_CPUS})"
        ));
    }
    let mem = given("mem").map(f64::trunc);
    if mem.is_none_or(|mem| mem < MIN_EXECUTOR_MEM) {
        let shown = mem.map_or_else(none, shown_megabytes);
        return Err(format!(
            "Executor '{id}' uses less memory ({shown}) than the minimum required (32MB)"
        ));
    }
    if given("disk").is_none() {
        return Err(format!("Executor '{id}' uses no disk"));
    }
    Ok(())
}

/// Nothing is in bytes.
fn shown_megabytes(mem: f64) -> String {
    match mem {
        0.0 => "0B".to_owned(),
        mem => format!("{mem}MB"),
    }
}

/// What holds for the tasks of a group and their executor taken together.
fn check_together(executor: &ExecutorInfo, tasks: &[TaskInfo]) -> Check {
    let own = Resources::from_unchecked(&executor.resources);
    let listed = tasks.iter().map(|task| &task.resources);
    let mut all: Vec<Resources> = listed.map(|own| Resources::from_unchecked(own)).collect();
    let shown: Vec<String> = all.iter().map(ToString::to_string).collect();
    all.push(own.clone());
    let mut total = Resources::new();
    for resources in &all {
        total += resources;
    }
    resources::unique_persistence_ids(&total)
        .map_err(|why| format!("Task group and executor use duplicate persistence ID: {why}"))?;
    resources::revocable_apart(&total).map_err(|why| {
        format!("Task group and executor mix revocable and non-revocable resources: {why}")
    })?;
    if resources::overlap(&all) {
        let own = resources::listed(&own);
        return Err(format!(
            "There are overlapping resources in the task group's task resources [ {} ] and/or executor resources {own}",
            shown.join(", ")
        ));
    }
    Ok(())
}

fn is_over_network(check: &HealthCheck) -> bool {
    let kind = check.r#type();
    matches!(kind, health_check::Type::Http | health_check::Type::Tcp)
}
