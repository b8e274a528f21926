//! Agents coming to this master: for the first time, again, or back from where they were given up.
//!
//! Source: `Master::registerSlave`, `Master::_reregisterSlave` and what follows on them, and
//! `Master::reconcileKnownSlave`, `src/master/master.cpp` of Apache Mesos 1.11.0.

use std::collections::BTreeSet;

use super::agent_health::Pings;
use super::agent_removal::{GONE, REPLACED, Removal};
use super::allocator::Refusals;
use super::framework::{Connection, Framework, is_terminal};
use super::reconcile::told_by_master;
use super::standing::Standing;
use super::state::{Agent, Master, timestamp};
use crate::local::messages::{Registered, Registration, ToAgent};
use crate::proto::task_status::Reason;
use crate::proto::{
    AgentId, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, Resource, Task, TaskId,
    TaskStatus,
};
use crate::resources::Resources;

impl Master {
    pub(super) fn register_agent(&mut self, index: usize, registration: Registration) {
        if self.turns_away(index, &registration.info) {
            return;
        }
        let Some(agent_id) = registration.info.id.clone() else {
            self.admit_new(index, registration);
            return;
        };
        if self.registry.gone.contains_key(&agent_id) {
            tracing::warn!(%agent_id, "agent refused: it is marked gone");
            let message = GONE.to_owned();
            self.send_to(index, ToAgent::Shutdown { message });
        } else if self.agents.contains_key(&agent_id) {
            self.register_known(&agent_id, index, registration);
        } else {
            self.readmit(&agent_id, index, registration);
        }
    }

    fn admit_new(&mut self, index: usize, registration: Registration) {
        if let Some(before) = self.agent_at(index) {
            if self.is_agent_connected(&before) {
                // It has not heard that it is registered.
                self.send_registered(&before, Vec::new());
                return;
            }
            let why = REPLACED.to_owned();
            self.remove_agent(&before, &Removal::Left(why));
        }
        let agent_id = self.new_agent_id();
        self.add_agent(&agent_id, index, registration, None);
        self.tallies.named.note("slave_registrations");
        self.tallies.named.note("messages_update_slave");
        self.send_registered(&agent_id, Vec::new());
    }

    /// Takes an agent back that this master does not count on, or not yet.
    fn readmit(&mut self, agent_id: &AgentId, index: usize, registration: Registration) {
        let standing = self.standing(agent_id);
        if standing != Standing::Recovering {
            let message = match standing {
                Standing::Unreachable(_) => "Unreachable agent re-reregistered",
                _ => "Unknown agent reregistered",
            };
            self.tell_of_return(&registration.tasks, message);
            for framework in self.frameworks.values_mut() {
                framework.take_unreachable_on(agent_id);
            }
        }
        let named: Vec<FrameworkId> = registration.frameworks.iter().map(id_of).collect();
        self.add_agent(agent_id, index, registration, Some(timestamp()));
        self.tallies.named.note("slave_reregistrations");
        self.tallies.named.note("messages_update_slave");
        self.tell_to_drain(agent_id);
        self.send_registered(agent_id, Vec::new());
        self.shut_down_completed(agent_id, &named);
        self.describe_frameworks(agent_id, &named);
    }

    /// Tells the frameworks that are there of tasks that have come back.
    fn tell_of_return(&mut self, tasks: &[Task], message: &str) {
        for task in tasks {
            if let Some(framework) = self.frameworks.get_mut(&task.framework_id) {
                let is_same = |own: &Task| own.task_id == task.task_id;
                framework.completed_tasks.retain(|own| !is_same(own));
                framework.send_status(TaskStatus {
                    message: Some(message.to_owned()),
                    ..told_by_master(task, Reason::AgentReregistered)
                });
            }
        }
    }

    fn add_agent(
        &mut self,
        agent_id: &AgentId,
        index: usize,
        registration: Registration,
        reregistered: Option<f64>,
    ) {
        let mut info = registration.info;
        info.id = Some(agent_id.clone());
        let total = registration.total;
        tracing::info!(%agent_id, resources = %total, "agent registered");
        self.recovering.remove(agent_id);
        self.registry.unreachable.remove(agent_id);
        self.registry.agents.insert(agent_id.clone(), info.clone());
        let agent = Agent {
            index,
            info,
            process: registration.process,
            available: total.not_shared(),
            total,
            registered: timestamp(),
            reregistered,
            is_connected: true,
            is_active: !self.is_deactivated(agent_id),
            killed: BTreeSet::new(),
            pings: Pings::default(),
            observation: 0,
            disconnections: 0,
            drain_started: None,
            refusals: Refusals::default(),
        };
        self.machines.meet(agent.machine());
        self.place_agent(agent_id.clone(), agent);
        self.observe(agent_id);
        // Those of frameworks that nobody knows yet come with them, after the agent.
        let tasks = registration.tasks.into_iter();
        let (tasks, later): (Vec<_>, Vec<_>) =
            tasks.partition(|task| self.frameworks.contains_key(&task.framework_id));
        for task in tasks {
            self.recover_task(agent_id, task);
        }
        self.tell_agent_added(agent_id);
        self.recover_frameworks(registration.frameworks);
        for (framework_id, executor) in registration.executors {
            self.recover_executor(agent_id, &framework_id, executor);
        }
        for task in later {
            self.recover_task(agent_id, task);
        }
        for operation in registration.operations {
            let (kind, state) = (operation.info.r#type(), operation.latest_status.state());
            if self.operations.insert(operation) {
                self.tallies.operation(kind, state);
            }
        }
        self.allocate_on(agent_id);
    }

    /// An agent registers again that this master has never given up.
    fn register_known(&mut self, agent_id: &AgentId, index: usize, registration: Registration) {
        let is_active = !self.is_deactivated(agent_id);
        let Some(agent) = self.agents.get_mut(agent_id) else {
            return;
        };
        tracing::info!(%agent_id, "agent registered again");
        self.tallies.named.note("messages_update_slave");
        agent.index = index;
        agent.process = registration.process;
        agent.reregistered = Some(timestamp());
        agent.is_connected = true;
        agent.is_active = is_active;
        let killed = agent.killed.clone();
        let tasks: BTreeSet<_> = registration.tasks.iter().map(key_of).collect();
        let unmentioned = self.unmentioned(agent_id, &tasks);
        self.send_registered(agent_id, unmentioned);
        self.remove_unmentioned_executors(agent_id, &registration.executors);
        let live = registration.tasks.iter();
        for task in live.filter(|task| !is_terminal(task.state())) {
            if killed.contains(&key_of(task)) {
                let kill = ToAgent::Kill {
                    framework_id: task.framework_id.clone(),
                    task_id: task.task_id.clone(),
                    kill_policy: None,
                };
                self.send_to(index, kill);
            }
        }
        let named: Vec<FrameworkId> = registration.frameworks.iter().map(id_of).collect();
        let mut with_tasks = named.clone();
        with_tasks.retain(|id| tasks.iter().any(|(owner, _)| owner == id));
        self.shut_down_completed(agent_id, &with_tasks);
        self.tell_to_drain(agent_id);
        self.recover_frameworks(registration.frameworks);
        self.describe_frameworks(agent_id, &named);
        self.needs_allocation = true;
    }

    fn unmentioned(
        &self,
        agent_id: &AgentId,
        mentioned: &BTreeSet<(FrameworkId, TaskId)>,
    ) -> Vec<(FrameworkId, FrameworkInfo, TaskId)> {
        let mut unmentioned = Vec::new();
        for framework in self.frameworks.values() {
            for task_id in self.tasks_on(&framework.id, agent_id) {
                if !mentioned.contains(&(framework.id.clone(), task_id.clone())) {
                    unmentioned.push((framework.id.clone(), framework.info.clone(), task_id));
                }
            }
        }
        unmentioned
    }

    fn remove_unmentioned_executors(
        &mut self,
        agent_id: &AgentId,
        mentioned: &[(FrameworkId, ExecutorInfo)],
    ) {
        let mut unmentioned: Vec<(FrameworkId, ExecutorId)> = Vec::new();
        for framework in self.frameworks.values() {
            let executors = framework.executors.keys().filter(|(on, _)| on == agent_id);
            for (_, executor_id) in executors {
                let is_it = |(owner, info): &(FrameworkId, ExecutorInfo)| {
                    *owner == framework.id && info.executor_id == *executor_id
                };
                if !mentioned.iter().any(is_it) {
                    unmentioned.push((framework.id.clone(), executor_id.clone()));
                }
            }
        }
        for (framework_id, executor_id) in unmentioned {
            self.remove_executor(&framework_id, agent_id, executor_id);
        }
    }

    fn send_registered(
        &mut self,
        agent_id: &AgentId,
        unmentioned: Vec<(FrameworkId, FrameworkInfo, TaskId)>,
    ) {
        let registered = Registered {
            agent_id: agent_id.clone(),
            ping_timeout: self.config.timeouts.total_ping(),
            unmentioned,
        };
        self.send(agent_id, ToAgent::Registered(Box::new(registered)));
    }

    /// Ends those of the frameworks that were removed while the agent was away.
    fn shut_down_completed(&mut self, agent_id: &AgentId, named: &[FrameworkId]) {
        for framework_id in named {
            if self.is_completed(framework_id) {
                let framework_id = framework_id.clone();
                self.send(agent_id, ToAgent::ShutdownFramework { framework_id });
            }
        }
    }

    /// Tells an agent how the frameworks it named are described now.
    fn describe_frameworks(&mut self, agent_id: &AgentId, named: &[FrameworkId]) {
        for framework_id in named {
            if let Some(framework) = self.frameworks.get(framework_id) {
                let framework = Box::new(framework.info.clone());
                self.send(agent_id, ToAgent::UpdateFramework { framework });
            }
        }
    }

    fn recover_frameworks(&mut self, frameworks: Vec<(FrameworkId, FrameworkInfo)>) {
        for (id, info) in frameworks {
            if self.is_completed(&id) || self.frameworks.contains_key(&id) {
                continue;
            }
            let recovered = Framework::new(id.clone(), info, Connection::Recovered);
            self.subscribers.framework_added(&recovered);
            self.frameworks.insert(id, recovered);
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
        self.subscribers.task_added(&task, &framework.info);
        framework.add_task(task, &role, resources.clone());
        self.use_up(agent_id, &resources);
    }

    fn use_up(&mut self, agent_id: &AgentId, resources: &Resources) {
        if let Some(agent) = self.agents.get_mut(agent_id) {
            agent.available -= &resources.not_shared().unallocated();
        }
    }
}

fn id_of(named: &(FrameworkId, FrameworkInfo)) -> FrameworkId {
    named.0.clone()
}

fn key_of(task: &Task) -> (FrameworkId, TaskId) {
    (task.framework_id.clone(), task.task_id.clone())
}

/// The role that `resources` are allocated to; all are to the same one.
fn allocation_role(resources: &[Resource]) -> String {
    let mut allocations = resources
        .iter()
        .filter_map(|own| own.allocation_info.as_ref());
    let role = allocations.next().map(|allocation| allocation.role());
    role.unwrap_or("*").to_owned()
}
