//! What of an agent a test may see.

use super::state::{Agent, ExecutorState};
use crate::local::snapshot::{LocalAgent, LocalExecutor, LocalTask};
use crate::resources::Resources;

impl Agent {
    pub(in crate::local) fn state(&self, is_connected: bool) -> LocalAgent {
        LocalAgent {
            id: self.info.id.clone(),
            address: self.address.to_string(),
            is_connected,
            resources: Resources::from_unchecked(&self.info.resources).to_string(),
        }
    }

    pub(in crate::local) fn task_states(&self) -> impl Iterator<Item = LocalTask> {
        self.tasks.iter().map(|(key, task)| LocalTask {
            id: task.task_id.clone(),
            framework_id: task.framework_id.clone(),
            agent_id: task.agent_id.clone(),
            executor_id: task.executor_id.clone(),
            state: task.state(),
            awaits_acknowledgement: self.updates.get(key).is_some_and(|own| own.is_waiting()),
        })
    }

    pub(in crate::local) fn executor_states(&self) -> impl Iterator<Item = LocalExecutor> {
        self.frameworks
            .iter()
            .flat_map(|(framework_id, framework)| {
                let executors = framework.executors.iter();
                executors.map(|(executor_id, executor)| LocalExecutor {
                    id: executor_id.clone(),
                    framework_id: framework_id.clone(),
                    agent_id: self.info.id.clone().unwrap_or_default(),
                    is_registered: executor.state != ExecutorState::Registering,
                })
            })
    }
}
