//! What an agent knows, its clock, and its queue of messages to the master.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::sandbox::Launch;
use super::updates::UpdateStream;
use crate::local::config::{Config, HOSTNAME};
use crate::local::messages::{Registration, ToAgent, ToMaster};
use crate::local::stream::EventStream;
use crate::local::timers::Timers;
use crate::proto::executor::Event;
use crate::proto::task_status::Reason;
use crate::proto::{
    AgentId, AgentInfo, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, Task, TaskId,
    TaskInfo,
};

/// An agent. Its methods change state, queue messages and ask for processes; none waits.
#[derive(Debug)]
pub(in crate::local) struct Agent {
    pub(super) config: Arc<Config>,
    pub(super) index: usize,
    pub(super) address: SocketAddr,
    /// With an id once registered, which it keeps.
    pub(super) info: AgentInfo,
    pub(super) now: Instant,
    pub(super) frameworks: BTreeMap<FrameworkId, Framework>,
    /// Until the terminal update is acknowledged. Those of commands have no executor id, as in Mesos.
    pub(super) tasks: BTreeMap<(FrameworkId, TaskId), Task>,
    pub(super) updates: BTreeMap<(FrameworkId, TaskId), UpdateStream>,
    pub(super) timers: Timers<Timer>,
    pub(super) outbox: Vec<ToMaster>,
    pub(super) launches: Vec<Launch>,
}

#[derive(Debug)]
pub(super) struct Framework {
    pub(super) info: FrameworkInfo,
    pub(super) executors: BTreeMap<ExecutorId, Executor>,
    /// Removed by the master: its executors are ending, its updates go nowhere.
    pub(super) is_terminating: bool,
}

/// An executor from the request to run it until its process has ended.
#[derive(Debug)]
pub(super) struct Executor {
    pub(super) info: ExecutorInfo,
    /// Made by the agent for a command task: the master never hears of it.
    pub(super) is_generated: bool,
    pub(super) container_id: String,
    pub(super) state: ExecutorState,
    pub(super) stream: Option<EventStream<Event>>,
    /// Counts subscriptions, so that a heartbeat knows whether it is still meant.
    pub(super) subscriptions: u64,
    /// What it is given once it subscribes, in order.
    pub(super) queued: VecDeque<Queued>,
    /// Whether it was ever given a task.
    pub(super) was_used: bool,
    /// Cancelled to have all its processes killed.
    pub(super) kill: CancellationToken,
    /// Why the agent killed it, for the statuses of its tasks.
    pub(super) cause: Option<(Reason, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExecutorState {
    Registering,
    Running,
    Terminating,
}

/// A task, or a group, that waits for its executor.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) tasks: Vec<TaskInfo>,
    pub(super) is_group: bool,
}

/// One run of an executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::local) struct Run {
    pub(in crate::local) framework_id: FrameworkId,
    pub(in crate::local) executor_id: ExecutorId,
    pub(in crate::local) container_id: String,
}

/// What becomes due.
#[derive(Debug)]
pub(super) enum Timer {
    /// Deliver this update again, if it is still the one in flight.
    Retry(FrameworkId, TaskId, Bytes),
    Registration(Run),
    /// The grace period after SHUTDOWN is over.
    Kill(Run),
    /// On this subscription.
    Heartbeat(Run, u64),
}

impl Agent {
    pub(in crate::local) fn new(config: Arc<Config>, index: usize, address: SocketAddr) -> Self {
        let info = AgentInfo {
            hostname: HOSTNAME.to_owned(),
            port: Some(i32::from(address.port())),
            resources: config.resources.to_protos(),
            attributes: config.attributes.clone(),
            id: None,
            domain: None,
        };
        Self {
            config,
            index,
            address,
            info,
            now: Instant::now(),
            frameworks: BTreeMap::new(),
            tasks: BTreeMap::new(),
            updates: BTreeMap::new(),
            timers: Timers::default(),
            outbox: Vec::new(),
            launches: Vec::new(),
        }
    }

    pub(in crate::local) fn id(&self) -> Option<&AgentId> {
        self.info.id.as_ref()
    }

    /// The id of its libprocess process, and so the prefix of its paths.
    pub(in crate::local) fn process(&self) -> String {
        format!("slave({})", self.index + 1)
    }

    pub(in crate::local) fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    pub(in crate::local) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub(in crate::local) fn take_outbox(&mut self) -> Vec<ToMaster> {
        std::mem::take(&mut self.outbox)
    }

    pub(in crate::local) fn take_launches(&mut self) -> Vec<Launch> {
        std::mem::take(&mut self.launches)
    }

    /// Does what is due.
    pub(in crate::local) fn tick(&mut self) {
        while let Some(timer) = self.timers.pop(self.now) {
            match timer {
                Timer::Retry(framework_id, task_id, uuid) => {
                    self.retry(framework_id, task_id, &uuid);
                }
                Timer::Registration(run) => self.registration_timeout(&run),
                Timer::Kill(run) => {
                    if let Some(executor) = self.executor_of(&run) {
                        executor.kill.cancel();
                    }
                }
                Timer::Heartbeat(run, subscription) => self.heartbeat(run, subscription),
            }
        }
    }

    /// Tells the master, which may be a new one, of itself and of everything that lives here.
    pub(in crate::local) fn register(&mut self) {
        let mut executors = Vec::new();
        let mut frameworks = Vec::new();
        for (id, framework) in &self.frameworks {
            if framework.is_terminating {
                continue;
            }
            frameworks.push((id.clone(), framework.info.clone()));
            let stated = framework.executors.values();
            for executor in stated.filter(|executor| !executor.is_generated) {
                executors.push((id.clone(), executor.info.clone()));
            }
        }
        let registration = Registration {
            info: self.info.clone(),
            process: self.process(),
            frameworks,
            executors,
            tasks: self.tasks.values().cloned().collect(),
        };
        self.outbox.push(ToMaster::Register(Box::new(registration)));
    }

    /// Takes a message of the master.
    pub(in crate::local) fn receive(&mut self, message: ToAgent) {
        match message {
            ToAgent::Registered { agent_id } => {
                self.info.id = Some(agent_id);
                self.resend_updates();
            }
            ToAgent::Run(run) => self.run(*run),
            ToAgent::Kill {
                framework_id,
                task_id,
                kill_policy,
            } => self.kill_task(&framework_id, &task_id, kill_policy),
            ToAgent::ShutdownExecutor {
                framework_id,
                executor_id,
            } => self.shutdown_executor(&framework_id, &executor_id),
            ToAgent::ShutdownFramework { framework_id } => self.shutdown_framework(&framework_id),
            ToAgent::UpdateFramework { framework } => self.update_framework(*framework),
            ToAgent::Message {
                framework_id,
                executor_id,
                data,
            } => self.framework_message(&framework_id, &executor_id, data),
            ToAgent::Acknowledge {
                framework_id,
                task_id,
                uuid,
            } => self.acknowledged(framework_id, task_id, &uuid),
        }
    }

    fn update_framework(&mut self, info: FrameworkInfo) {
        let id = info.id.clone().unwrap_or_default();
        let framework = self.frameworks.get_mut(&id);
        if let Some(framework) = framework.filter(|framework| !framework.is_terminating) {
            framework.info = info;
            self.resend_updates();
        }
    }

    /// The executor, if it is still this run of it.
    pub(super) fn executor_of(&mut self, run: &Run) -> Option<&mut Executor> {
        let framework = self.frameworks.get_mut(&run.framework_id)?;
        let executor = framework.executors.get_mut(&run.executor_id)?;
        (executor.container_id == run.container_id).then_some(executor)
    }

    /// Forgets a framework that has nothing left here.
    pub(super) fn forget_idle(&mut self, framework_id: &FrameworkId) {
        let Some(framework) = self.frameworks.get(framework_id) else {
            return;
        };
        let has_updates = self.updates.keys().any(|(id, _)| id == framework_id);
        if framework.executors.is_empty() && !has_updates {
            self.frameworks.remove(framework_id);
        }
    }
}

impl Executor {
    /// Whether it was never given a task, and never will be one of those it was started for (MESOS-8411).
    pub(super) fn is_needless(&self) -> bool {
        !self.was_used && self.queued.is_empty()
    }
}

impl Framework {
    pub(super) fn new(info: FrameworkInfo) -> Self {
        Self {
            info,
            executors: BTreeMap::new(),
            is_terminating: false,
        }
    }
}
