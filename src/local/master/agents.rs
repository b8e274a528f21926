//! Agents coming to this master, for the first time or with what they already run.
//!
//! Source: `Master::registerSlave` and `Master::reregisterSlave`, `src/master/master.cpp` of Apache Mesos 1.11.0.

use super::framework::{Connection, Framework, is_terminal};
use super::state::{Agent, Master, timestamp};
use crate::local::messages::{Registration, ToAgent};
use crate::proto::{AgentId, ExecutorInfo, FrameworkId, FrameworkInfo, Resource, Task};
use crate::resources::Resources;

impl Master {
    pub(super) fn register_agent(&mut self, index: usize, registration: Registration) {
        let Registration {
            mut info,
            process,
            frameworks,
            executors,
            tasks,
        } = registration;
        let was_recovered = info.id.is_some();
        let agent_id = info.id.clone().unwrap_or_else(|| self.new_agent_id());
        info.id = Some(agent_id.clone());
        let total = Resources::from_unchecked(&info.resources);
        tracing::info!(%agent_id, resources = %total, "agent registered");
        let agent = Agent {
            index,
            info,
            process,
            available: total.clone(),
            total,
            registered: timestamp(),
            was_recovered,
        };
        self.recovering.remove(&agent_id);
        self.agents.insert(agent_id.clone(), agent);
        self.recover_frameworks(frameworks);
        for (framework_id, executor) in executors {
            self.recover_executor(&agent_id, &framework_id, executor);
        }
        for task in tasks {
            self.recover_task(&agent_id, task);
        }
        let id = agent_id.clone();
        self.send(&agent_id, ToAgent::Registered { agent_id: id });
        self.needs_allocation = true;
    }

    fn recover_frameworks(&mut self, frameworks: Vec<(FrameworkId, FrameworkInfo)>) {
        for (id, info) in frameworks {
            if !self.is_completed(&id) {
                let recovered = || Framework::new(id.clone(), info, Connection::Recovered);
                self.frameworks.entry(id.clone()).or_insert_with(recovered);
            }
        }
    }

    fn recover_executor(
        &mut self,
        agent_id: &AgentId,
        framework_id: &FrameworkId,
        executor: ExecutorInfo,
    ) {
        let Some(framework) = self.frameworks.get_mut(framework_id) else {
            return;
        };
        let resources = Resources::from_unchecked(&executor.resources);
        let role = allocation_role(&executor.resources);
        framework.book(&role, &resources);
        framework.add_executor(agent_id, executor, &role, resources.clone());
        self.use_up(agent_id, &resources);
    }

    fn recover_task(&mut self, agent_id: &AgentId, task: Task) {
        let Some(framework) = self.frameworks.get_mut(&task.framework_id) else {
            return;
        };
        let role = allocation_role(&task.resources);
        let resources = if is_terminal(task.state()) {
            Resources::new()
        } else {
            Resources::from_unchecked(&task.resources)
        };
        framework.book(&role, &resources);
        framework.add_task(task, &role, resources.clone());
        self.use_up(agent_id, &resources);
    }

    fn use_up(&mut self, agent_id: &AgentId, resources: &Resources) {
        if let Some(agent) = self.agents.get_mut(agent_id) {
            agent.available -= &resources.unallocated();
        }
    }
}

/// The role that `resources` are allocated to; all are to the same one.
fn allocation_role(resources: &[Resource]) -> String {
    let mut allocations = resources
        .iter()
        .filter_map(|own| own.allocation_info.as_ref());
    let role = allocations.next().map(|allocation| allocation.role());
    role.unwrap_or("*").to_owned()
}
