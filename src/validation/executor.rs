//! Whether executors are well formed.

use super::container::{check_command, check_container};
use super::task::{Known, Launching, is_negative};
use super::{Check, ids, resources};
use crate::proto::{ContainerInfo, ExecutorInfo, Resource, container_info, executor_info};
use crate::resources::Resources;

impl<K: Known> Launching<'_, K> {
    /// What holds for every executor.
    pub(super) fn check_executor(&self, executor: &ExecutorInfo) -> Check {
        check_type(executor)?;
        ids::check(&executor.executor_id.value)?;
        if is_negative(executor.shutdown_grace_period.as_ref()) {
            return Err("ExecutorInfo's 'shutdown_grace_period' must be non-negative".to_owned());
        }
        check_command(executor.command.as_ref())
            .map_err(|why| format!("Executor's `CommandInfo` is invalid: {why}"))?;
        check_container(executor.container.as_ref())
            .map_err(|why| format!("Executor's `ContainerInfo` is invalid: {why}"))?;
        let Some(framework_id) = &executor.framework_id else {
            return Err("'ExecutorInfo.framework_id' must be set".to_owned());
        };
        self.known.framework_id(framework_id)?;
        check_executor_resources(&executor.resources)?;
        self.known.same_executor(executor)
    }

    /// What `executor` needs beyond the tasks: nothing if it already runs.
    pub(super) fn new_executor_resources(&self, executor: &ExecutorInfo) -> Resources {
        if self.known.is_running(executor) {
            Resources::new()
        } else {
            Resources::from_unchecked(&executor.resources)
        }
    }
}

/// What an executor of its type must and must not have.
fn check_type(executor: &ExecutorInfo) -> Check {
    let has_command = executor.command.is_some();
    let container = executor.container.as_ref();
    let not_mesos = |own: &ContainerInfo| own.r#type() != container_info::Type::Mesos;
    let has_image = |own: &ContainerInfo| own.mesos.as_ref().is_some_and(|own| own.image.is_some());
    let why = match executor.r#type() {
        executor_info::Type::Default if has_command => {
            "'ExecutorInfo.command' must not be set for 'DEFAULT' executor"
        }
        executor_info::Type::Default if container.is_some_and(not_mesos) => {
            "'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor"
        }
        executor_info::Type::Default if container.is_some_and(has_image) => {
            "'ExecutorInfo.container.mesos.image' must not be set for 'DEFAULT' executor"
        }
        executor_info::Type::Custom if !has_command => {
            "'ExecutorInfo.command' must be set for 'CUSTOM' executor"
        }
        _ => return Ok(()),
    };
    Err(why.to_owned())
}

fn check_executor_resources(listed: &[Resource]) -> Check {
    resources::usable(listed).map_err(|why| format!("Executor uses invalid resources: {why}"))?;
    let all = Resources::from_unchecked(listed);
    resources::unique_persistence_ids(&all)
        .map_err(|why| format!("Executor uses duplicate persistence ID: {why}"))?;
    resources::single_role(&all).map_err(|why| format!("Invalid executor resources: {why}"))?;
    resources::revocable_apart(&all)
        .map_err(|why| format!("Executor mixes revocable and non-revocable resources: {why}"))
}
