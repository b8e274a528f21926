//! One framework, as the master knows it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::constraints::Constraints;
use super::counters::Counters;
use super::filters::Filters;
use super::log;
use super::operator_stream::Subscribers;
use super::state::timestamp;
use super::tallies::FrameworkTallies;
use super::tasks::{is_news, remember_status};
use crate::local::config::{MAX_COMPLETED_TASKS, MAX_UNREACHABLE_TASKS};
use crate::local::stream::EventStream;
use crate::proto::framework_info::capability;
use crate::proto::scheduler::{Event, event};
use crate::proto::task_status::{Reason, Source};
use crate::proto::{
    AgentId, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, Task, TaskId, TaskState,
    TaskStatus,
};
use crate::resources::Resources;
use crate::validation::{has_capability, roles};

#[derive(Debug)]
pub(super) struct Framework {
    pub(super) id: FrameworkId,
    /// With the id filled in.
    pub(super) info: FrameworkInfo,
    pub(super) connection: Connection,
    /// Counts disconnections, so that a time-out knows whether it is still meant.
    pub(super) disconnections: u64,
    pub(super) suppressed: BTreeSet<String>,
    /// Which agents are offered to it, by role.
    pub(super) constraints: Constraints,
    pub(super) filters: Filters,
    pub(super) tasks: BTreeMap<TaskId, MasterTask>,
    pub(super) executors: BTreeMap<(AgentId, ExecutorId), MasterExecutor>,
    /// On agents that are not heard of, oldest first, at most [`MAX_UNREACHABLE_TASKS`].
    pub(super) unreachable_tasks: VecDeque<Task>,
    /// Terminal and acknowledged, oldest first, at most [`MAX_COMPLETED_TASKS`].
    pub(super) completed_tasks: VecDeque<Task>,
    /// Seconds since the epoch: first known to this master, last subscribed, removed.
    pub(super) registered: f64,
    pub(super) reregistered: f64,
    pub(super) unregistered: Option<f64>,
    /// Offered or used, by role; without marks of allocation.
    pub(super) allocated: BTreeMap<String, Resources>,
    pub(super) counters: Counters,
    pub(super) tallies: FrameworkTallies,
}

#[derive(Debug)]
pub(super) enum Connection {
    /// Known from an agent only: its scheduler has not come back since this master started.
    Recovered,
    Connected(Stream),
    Disconnected,
}

/// The current subscription.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: String,
    pub(super) events: EventStream<Event>,
}

#[derive(Debug)]
pub(super) struct MasterTask {
    /// `status_update_state` and `status_update_uuid` are those of the update last forwarded.
    pub(super) task: Task,
    pub(super) role: String,
    /// What it holds; nothing once it is terminal.
    pub(super) resources: Resources,
}

#[derive(Debug)]
pub(super) struct MasterExecutor {
    pub(super) info: ExecutorInfo,
    pub(super) role: String,
    pub(super) resources: Resources,
}

impl Framework {
    pub(super) fn new(id: FrameworkId, mut info: FrameworkInfo, connection: Connection) -> Self {
        info.id = Some(id.clone());
        let now = timestamp();
        Self {
            id,
            info,
            connection,
            disconnections: 0,
            suppressed: BTreeSet::new(),
            constraints: Constraints::default(),
            filters: Filters::default(),
            tasks: BTreeMap::new(),
            executors: BTreeMap::new(),
            unreachable_tasks: VecDeque::new(),
            completed_tasks: VecDeque::new(),
            registered: now,
            reregistered: now,
            unregistered: None,
            allocated: BTreeMap::new(),
            counters: Counters::default(),
            tallies: FrameworkTallies::default(),
        }
    }

    pub(super) fn stream_id(&self) -> Option<&str> {
        match &self.connection {
            Connection::Connected(stream) => Some(&stream.id),
            Connection::Recovered | Connection::Disconnected => None,
        }
    }

    /// Sends an event, if somebody is subscribed.
    pub(super) fn send(&self, event: &Event) {
        if let Connection::Connected(stream) = &self.connection {
            log::event(&self.id, event);
            self.tallies.events.note(event.r#type());
            stream.events.send(event);
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        matches!(self.connection, Connection::Connected(_))
    }

    pub(super) fn has(&self, capability: capability::Type) -> bool {
        has_capability(&self.info, capability)
    }

    /// The roles it is subscribed to.
    pub(super) fn roles(&self) -> BTreeSet<String> {
        roles(&self.info)
    }

    /// The roles that count as its: those that it is subscribed to, and those under which it holds something.
    pub(super) fn tracked_roles(&self) -> BTreeSet<String> {
        let mut roles = self.roles();
        let held = self.allocated.iter();
        let held = held.filter(|(_, resources)| !resources.is_empty());
        roles.extend(held.map(|(role, _)| role.clone()));
        roles
    }

    /// The state for "not there any more": `partition_aware`, or LOST for those who do not know it.
    pub(super) fn lost_state(&self, partition_aware: TaskState) -> TaskState {
        if self.has(capability::Type::PartitionAware) {
            partition_aware
        } else {
            TaskState::TaskLost
        }
    }

    /// Remembers a task that will not be heard of again.
    pub(super) fn complete_task(&mut self, task_id: &TaskId) {
        if let Some(task) = self.tasks.remove(task_id) {
            self.add_completed(task.task);
        }
    }

    pub(super) fn add_completed(&mut self, task: Task) {
        if self.completed_tasks.len() == MAX_COMPLETED_TASKS {
            self.completed_tasks.pop_front();
        }
        self.completed_tasks.push_back(task);
    }

    pub(super) fn add_unreachable(&mut self, task: Task) {
        if self.unreachable_tasks.len() == MAX_UNREACHABLE_TASKS {
            self.unreachable_tasks.pop_front();
        }
        self.unreachable_tasks.push_back(task);
    }

    /// The tasks that were on this agent when it was given up.
    pub(super) fn take_unreachable_on(&mut self, agent_id: &AgentId) -> Vec<Task> {
        let all = std::mem::take(&mut self.unreachable_tasks);
        let (own, others): (Vec<Task>, Vec<Task>) =
            all.into_iter().partition(|task| task.agent_id == *agent_id);
        self.unreachable_tasks = others.into();
        own
    }

    /// What is left of it once it is removed: its history.
    ///
    /// Source: `Master::removeFramework`, `src/master/master.cpp` of Apache Mesos 1.11.0.
    pub(super) fn complete(
        &mut self,
        subscribers: &Subscribers,
        mut ended: impl FnMut(&mut Counters, &Task, &TaskStatus),
    ) {
        self.connection = Connection::Disconnected;
        self.unregistered = Some(timestamp());
        self.executors.clear();
        self.allocated.clear();
        let message = format!("Framework {} removed", self.id);
        let tasks = std::mem::take(&mut self.tasks).into_values();
        let unreachable = std::mem::take(&mut self.unreachable_tasks);
        for mut task in tasks.map(|own| own.task).chain(unreachable) {
            let status = removed(&task, &message);
            ended(&mut self.counters, &task, &status);
            if !is_terminal(task.state()) {
                task.state = TaskState::TaskKilled.into();
            }
            if is_news(&task, &status) {
                subscribers.task_updated(&task, &self.info, task.state(), &status);
            }
            remember_status(&mut task, status);
            self.add_completed(task);
        }
    }

    /// Books `resources` as held by this framework under `role`.
    pub(super) fn book(&mut self, role: &str, resources: &Resources) {
        let allocated = self.allocated.entry(role.to_owned()).or_default();
        *allocated += &resources.unallocated();
    }

    pub(super) fn unbook(&mut self, role: &str, resources: &Resources) {
        if let Some(allocated) = self.allocated.get_mut(role) {
            *allocated -= &resources.unallocated();
        }
    }
}

/// The master's own word on a task whose framework is removed.
fn removed(task: &Task, message: &str) -> TaskStatus {
    TaskStatus {
        task_id: task.task_id.clone(),
        agent_id: Some(task.agent_id.clone()),
        state: TaskState::TaskKilled.into(),
        message: Some(message.to_owned()),
        source: Some(Source::Master.into()),
        reason: Some(Reason::FrameworkRemoved.into()),
        timestamp: Some(timestamp()),
        ..Default::default()
    }
}

/// An event of `kind` without content yet.
pub(super) fn event(kind: event::Type) -> Event {
    Event {
        r#type: Some(kind.into()),
        ..Default::default()
    }
}

/// Whether nothing follows on `state` (`src/common/protobuf_utils.cpp`).
pub(in crate::local) fn is_terminal(state: TaskState) -> bool {
    match state {
        TaskState::TaskFinished
        | TaskState::TaskFailed
        | TaskState::TaskKilled
        | TaskState::TaskError
        | TaskState::TaskLost
        | TaskState::TaskDropped
        | TaskState::TaskGone
        | TaskState::TaskGoneByOperator => true,
        TaskState::TaskStaging
        | TaskState::TaskStarting
        | TaskState::TaskRunning
        | TaskState::TaskKilling
        | TaskState::TaskUnreachable
        | TaskState::TaskUnknown => false,
    }
}
