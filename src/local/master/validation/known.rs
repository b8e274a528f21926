//! What the master knows of a framework and an offer, which launches are held against.

use crate::local::debug_text::debug_text;
use crate::local::master::framework::Framework;
use crate::local::master::state::Offer;
use crate::proto::{AgentId, ContainerInfo, ExecutorInfo, FrameworkId, Task, TaskId};
use crate::resources::Resources;
use crate::validation::{Check, Known};

/// Where and for whom something is launched.
#[derive(Debug)]
pub(in crate::local::master) struct OnOffer<'a> {
    pub(in crate::local::master) framework: &'a Framework,
    /// Its resources are what earlier tasks and operations left.
    pub(in crate::local::master) offer: &'a Offer,
}

impl Known for OnOffer<'_> {
    fn task_id(&self, task_id: &TaskId) -> Check {
        if self.framework.tasks.contains_key(task_id) {
            return Err(format!("Task has duplicate ID: {task_id}"));
        }
        let mut unreachable = self.framework.unreachable_tasks.iter();
        if unreachable.any(|own| own.task_id == *task_id) {
            return Err(format!(
                "Task reuses the ID of an unreachable task: {task_id}"
            ));
        }
        Ok(())
    }

    fn agent_id(&self) -> Option<&AgentId> {
        Some(&self.offer.agent_id)
    }

    fn framework_id(&self, framework_id: &FrameworkId) -> Check {
        if *framework_id != self.framework.id {
            return Err(format!(
                "ExecutorInfo has an invalid FrameworkID (Actual: {framework_id} vs Expected: {})",
                self.framework.id
            ));
        }
        Ok(())
    }

    /// An executor id means the same executor for as long as it runs on the agent.
    fn same_executor(&self, executor: &ExecutorInfo) -> Check {
        let key = (self.offer.agent_id.clone(), executor.executor_id.clone());
        let Some(running) = self.framework.executors.get(&key) else {
            return Ok(());
        };
        if is_same(&running.info, executor) {
            return Ok(());
        }
        let line = "-".repeat(60);
        let text = |info| debug_text("mesos.v1.ExecutorInfo", info);
        Err(format!(
            "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.\n{line}\nExisting ExecutorInfo:\n{}\n{line}\nExecutorInfo:\n{}\n{line}\n",
            text(&running.info),
            text(executor)
        ))
    }

    fn is_running(&self, executor: &ExecutorInfo) -> bool {
        let key = (self.offer.agent_id.clone(), executor.executor_id.clone());
        self.framework.executors.contains_key(&key)
    }

    fn containers(&self, executor: &ExecutorInfo) -> Vec<Option<&ContainerInfo>> {
        if !self.is_running(executor) {
            return Vec::new();
        }
        let is_own = |task: &&Task| {
            task.agent_id == self.offer.agent_id
                && task.executor_id.as_ref() == Some(&executor.executor_id)
        };
        let known = self.framework.tasks.values().map(|own| &own.task);
        let known = known
            .chain(&self.framework.unreachable_tasks)
            .filter(is_own);
        known.map(|own| own.container.as_ref()).collect()
    }

    fn available(&self) -> Option<&Resources> {
        Some(&self.offer.resources)
    }
}

/// Whether two are one: field by field but for two that Mesos overlooks, resources as amounts.
///
/// Source: `operator==` of `ExecutorInfo`, `src/common/type_utils.cpp`.
fn is_same(one: &ExecutorInfo, other: &ExecutorInfo) -> bool {
    let resources = |info: &ExecutorInfo| Resources::from_unchecked(&info.resources);
    let (own, others) = (resources(one), resources(other));
    let without = |info: &ExecutorInfo| ExecutorInfo {
        resources: Vec::new(),
        labels: None,
        shutdown_grace_period: None,
        ..info.clone()
    };
    own.contains(&others) && others.contains(&own) && without(one) == without(other)
}
