//! Whether tasks can be launched on what is left of an offer.

use super::checks::check_checks;
use super::container::{check_command, check_container};
use super::limits;
use super::{Check, ids, resources};
use crate::proto::{
    AgentId, ContainerInfo, DurationInfo, ExecutorInfo, FrameworkId, Resource, TaskId, TaskInfo,
    executor_info,
};
use crate::resources::Resources;

/// What is known beyond the launch itself; by default nothing, so that nothing is held against it.
pub(crate) trait Known {
    /// Why no task can have this id, if so.
    fn task_id(&self, _: &TaskId) -> Check {
        Ok(())
    }

    /// Where tasks are to run.
    fn agent_id(&self) -> Option<&AgentId> {
        None
    }

    /// Why no executor can belong to this framework, if so.
    fn framework_id(&self, _: &FrameworkId) -> Check {
        Ok(())
    }

    /// Why this cannot be the executor of its id, if so.
    fn same_executor(&self, _: &ExecutorInfo) -> Check {
        Ok(())
    }

    /// Whether the executor runs there already.
    fn is_running(&self, _: &ExecutorInfo) -> bool {
        false
    }

    /// The containers of the tasks that run under the executor.
    fn containers(&self, _: &ExecutorInfo) -> Vec<Option<&ContainerInfo>> {
        Vec::new()
    }

    /// What earlier tasks and operations left of the offer.
    fn available(&self) -> Option<&Resources> {
        None
    }
}

/// Tasks are checked, against what is known.
#[derive(Debug)]
pub(crate) struct Launching<'a, K> {
    pub(crate) known: &'a K,
}

/// The first resource of tasks and executors that is none; it spoils the whole operation.
pub(crate) fn malformed<'a>(listed: impl IntoIterator<Item = &'a Resource>) -> Option<String> {
    let all: Vec<Resource> = listed.into_iter().cloned().collect();
    let error = Resources::from_protos(&all).err();
    error.map(|error| error.to_string())
}

impl<K: Known> Launching<'_, K> {
    /// Why `task` of a LAUNCH cannot run, if so.
    pub(crate) fn check_task(&self, task: &TaskInfo) -> Check {
        self.check_common(task)?;
        if task.command.is_some() == task.executor.is_some() {
            return Err(
                "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"
                    .to_owned(),
            );
        }
        let mut required = Resources::from_unchecked(&task.resources);
        if let Some(executor) = &task.executor {
            self.check_executor(executor)?;
            // One that the schema does not know is none.
            let kind = executor.r#type.map(executor_info::Type::try_from);
            if matches!(kind, Some(Ok(kind)) if kind != executor_info::Type::Custom) {
                return Err("'ExecutorInfo.type' must be 'CUSTOM'".to_owned());
            }
            if executor.command.is_none() {
                return Err("'ExecutorInfo.command' must be set".to_owned());
            }
            let own = Resources::from_unchecked(&executor.resources);
            if !own.shared().is_empty() {
                return Err(format!(
                    "Executor resources {own} should not contain any shared resources"
                ));
            }
            limits::check_executor(executor)?;
            required += &self.new_executor_resources(executor);
        }
        check_together(task)?;
        if let Some(available) = self.known.available()
            && !available.contains(&required)
        {
            return Err(format!(
                "Total resources {required} required by task and its executor is more than available {available}"
            ));
        }
        limits::check_alone(task)
    }

    /// What holds for every task, grouped or not.
    pub(super) fn check_common(&self, task: &TaskInfo) -> Check {
        ids::check(&task.task_id.value)?;
        self.known.task_id(&task.task_id)?;
        if let Some(agent_id) = self.known.agent_id()
            && task.agent_id != *agent_id
        {
            return Err(format!(
                "Task uses invalid agent {} while agent {agent_id} is expected",
                task.agent_id
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
        check_checks(task)?;
        if task.resources.is_empty() {
            return Err("Task uses no resources".to_owned());
        }
        check_task_resources(&task.resources)?;
        check_command(task.command.as_ref())
            .map_err(|why| format!("Task's `CommandInfo` is invalid: {why}"))?;
        check_container(task.container.as_ref())
            .map_err(|why| format!("Task's `ContainerInfo` is invalid: {why}"))?;
        limits::check_limits(task)
    }
}

pub(super) fn is_negative(duration: Option<&DurationInfo>) -> bool {
    duration.is_some_and(|duration| duration.nanoseconds < 0)
}

fn check_task_resources(listed: &[Resource]) -> Check {
    resources::usable(listed).map_err(|why| format!("Task uses invalid resources: {why}"))?;
    let all = Resources::from_unchecked(listed);
    resources::unique_persistence_ids(&all)
        .map_err(|why| format!("Task uses duplicate persistence ID: {why}"))?;
    resources::single_role(&all).map_err(|why| format!("Invalid task resources: {why}"))?;
    resources::revocable_apart(&all)
        .map_err(|why| format!("Task mixes revocable and non-revocable resources: {why}"))
}

/// What holds for a task and its executor taken together.
fn check_together(task: &TaskInfo) -> Check {
    let own = Resources::from_unchecked(&task.resources);
    let mut total = own.clone();
    let executors = task.executor.as_ref().map(|executor| &executor.resources);
    let executors = executors.map(|listed| Resources::from_unchecked(listed));
    if let Some(executors) = &executors {
        total += executors;
    }
    resources::usable(&total.to_protos())
        .map_err(|why| format!("Task and its executor use invalid resources: {why}"))?;
    if let Some(executors) = executors
        && resources::overlap(&[own.clone(), executors.clone()])
    {
        let own = resources::listed(&own);
        let executors = resources::listed(&executors);
        return Err(format!(
            "There are overlapping resources in the task resources {own} and executor resources {executors}"
        ));
    }
    resources::unique_persistence_ids(&total)
        .map_err(|why| format!("Task and its executor use duplicate persistence ID: {why}"))?;
    resources::revocable_apart(&total).map_err(|why| {
        format!("Task and its executor mix revocable and non-revocable resources: {why}")
    })
}
