//! What of an agent a test may see.

use super::life::Phase;
use super::state::{Agent, ExecutorState};
use crate::local::master::{Master, Standing};
use crate::local::snapshot::{LocalAgent, LocalExecutor, LocalTask};

impl Agent {
    /// What `master` says of it included.
    pub(in crate::local) fn state(&self, master: Option<&Master>) -> LocalAgent {
        let id = self.info.id.as_ref();
        let standing = master.zip(id).map(|(master, id)| master.standing(id));
        let drain = master
            .zip(id)
            .and_then(|(master, id)| master.drain_info(id));
        let has = |own: fn(&Standing) -> bool| standing.as_ref().is_some_and(own);
        LocalAgent {
            id: self.info.id.clone(),
            address: self.address.to_string(),
            is_alive: self.phase != Phase::Dead,
            is_connected: master.is_some_and(|master| master.has_agent_at(self.index)),
            is_unreachable: has(|own| matches!(own, Standing::Unreachable(_))),
            is_gone: has(|own| *own == Standing::Gone),
            is_deactivated: master
                .zip(id)
                .is_some_and(|(master, id)| master.is_deactivated(id)),
            drain_state: drain.map(|drain| drain.state()),
            resources: self.total.to_string(),
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
                let executors = executors.filter(|(_, own)| own.state != ExecutorState::Terminated);
                executors.map(|(executor_id, executor)| LocalExecutor {
                    id: executor_id.clone(),
                    framework_id: framework_id.clone(),
                    agent_id: self.info.id.clone().unwrap_or_default(),
                    is_registered: executor.state != ExecutorState::Registering,
                })
            })
    }
}
