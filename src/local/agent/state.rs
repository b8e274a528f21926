//! What an agent knows, its clock, and its queue of messages to the master.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::disk::{Chore, Next};
use super::life::Phase;
use super::metrics::Counters;
use super::operations::AgentOperation;
use super::sandbox::Launch;
use super::updates::UpdateStream;
use crate::local::config::Config;
use crate::local::master::timestamp;
use crate::local::messages::{ToAgent, ToMaster};
use crate::local::stream::EventStream;
use crate::local::timers::Timers;
use crate::proto::executor::Event;
use crate::proto::task_status::Reason;
use crate::proto::{
    AgentId, AgentInfo, DrainConfig, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, Task,
    TaskId, TaskInfo, TaskState,
};
use crate::resources::Resources;

/// An agent. Its methods change state, queue messages and ask for processes; none waits.
#[derive(Debug)]
pub(in crate::local) struct Agent {
    pub(super) config: Arc<Config>,
    pub(super) index: usize,
    pub(super) address: SocketAddr,
    /// With an id once registered, which it keeps.
    pub(super) info: AgentInfo,
    pub(super) now: Instant,
    /// Seconds since the epoch.
    pub(super) started: f64,
    pub(super) frameworks: BTreeMap<FrameworkId, Framework>,
    /// Until the terminal update is acknowledged. Those of commands have no executor id, as in Mesos.
    pub(super) tasks: BTreeMap<(FrameworkId, TaskId), Task>,
    pub(super) updates: BTreeMap<(FrameworkId, TaskId), UpdateStream>,
    /// What it was started with, as reservations and volumes have changed it.
    pub(super) total: Resources,
    /// By uuid, until their end is acknowledged.
    pub(super) operations: BTreeMap<Bytes, AgentOperation>,
    pub(super) counters: Counters,
    pub(super) timers: Timers<Timer>,
    pub(super) phase: Phase,
    /// While there is something left to drain.
    pub(super) drain_config: Option<DrainConfig>,
    /// How long the master may be silent.
    pub(super) ping_timeout: Duration,
    /// Counts pings and attempts to register, so that a timer knows whether it is still meant.
    pub(super) pings: u64,
    pub(super) registrations: u64,
    pub(super) outbox: Vec<ToMaster>,
    pub(super) launches: Vec<Launch>,
    pub(super) chores: Vec<Chore>,
}

#[derive(Debug)]
pub(super) struct Framework {
    pub(super) info: FrameworkInfo,
    pub(super) executors: BTreeMap<ExecutorId, Executor>,
    /// Removed by the master: its executors are ending, its updates go nowhere.
    pub(super) is_terminating: bool,
}

/// An executor from the request to run it until its process has ended and all that is told of it is acknowledged.
#[derive(Debug)]
pub(super) struct Executor {
    pub(super) info: ExecutorInfo,
    /// Made by the agent for a command task: the master never hears of it.
    pub(super) is_generated: bool,
    pub(super) container_id: String,
    /// The id of its process, if it has one of its own and that has started.
    pub(super) process: Option<i32>,
    pub(super) state: ExecutorState,
    pub(super) stream: Option<EventStream<Event>>,
    /// Counts subscriptions, so that a heartbeat knows whether it is still meant.
    pub(super) subscriptions: u64,
    /// What it is given once it subscribes, in order.
    pub(super) queued: VecDeque<Queued>,
    /// Whether it ever told of a task.
    pub(super) has_spoken: bool,
    /// Cancelled to have all its processes killed.
    pub(super) kill: CancellationToken,
    /// Why the agent killed it.
    pub(super) cause: Option<Cause>,
}

/// What the statuses of an executor's tasks say of its end.
#[derive(Debug)]
pub(super) struct Cause {
    pub(super) state: TaskState,
    pub(super) reason: Reason,
    pub(super) message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExecutorState {
    Registering,
    Running,
    Terminating,
    /// Its process has ended; it stays for the updates of its tasks that are not acknowledged.
    Terminated,
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
    /// Deliver this operation's status again, if it was not delivered again since.
    RetryOperation(Bytes, u64),
    Registration(Run),
    /// The grace period after SHUTDOWN is over.
    Kill(Run),
    /// On this subscription.
    Heartbeat(Run, u64),
    /// The wait for executors after a restart is over.
    Recovered,
    /// Try to register again after this one, waiting at most so long for the next.
    Register(u64, Duration),
    /// Nothing was heard of the master since this ping.
    PingTimeout(u64),
}

impl Agent {
    pub(in crate::local) fn new(config: Arc<Config>, index: usize, address: SocketAddr) -> Self {
        let own = config.agents.get(index);
        let own = own.unwrap_or(&config.added_agent).clone();
        let info = AgentInfo {
            hostname: own.hostname,
            port: Some(i32::from(address.port())),
            resources: own.resources.to_protos(),
            attributes: own.attributes,
            id: None,
            domain: own.domain,
        };
        Self {
            ping_timeout: config.timeouts.total_ping(),
            config,
            index,
            address,
            info,
            now: Instant::now(),
            started: timestamp(),
            frameworks: BTreeMap::new(),
            tasks: BTreeMap::new(),
            updates: BTreeMap::new(),
            total: own.resources,
            operations: BTreeMap::new(),
            counters: Counters::default(),
            timers: Timers::default(),
            phase: Phase::Disconnected,
            drain_config: None,
            pings: 0,
            registrations: 0,
            outbox: Vec::new(),
            launches: Vec::new(),
            chores: Vec::new(),
        }
    }

    pub(super) fn is_registered(&self) -> bool {
        self.phase == Phase::Running
    }

    pub(in crate::local) fn id(&self) -> Option<&AgentId> {
        self.info.id.as_ref()
    }

    pub(in crate::local) fn address(&self) -> SocketAddr {
        self.address
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

    pub(in crate::local) fn take_chores(&mut self) -> Vec<Chore> {
        std::mem::take(&mut self.chores)
    }

    /// Goes on once the disk is as it wanted it.
    pub(in crate::local) fn chore_done(&mut self, next: Next) {
        match next {
            Next::Nothing => {}
            Next::Finish(uuid) => self.finish_operation(&uuid),
            Next::Give(framework_id, executor_id) => self.give_linked(&framework_id, &executor_id),
        }
    }

    /// Does what is due.
    pub(in crate::local) fn tick(&mut self) {
        while let Some(timer) = self.timers.pop(self.now) {
            match timer {
                Timer::Retry(framework_id, task_id, uuid) => {
                    self.retry(framework_id, task_id, &uuid);
                }
                Timer::RetryOperation(uuid, delivery) => self.retry_operation(&uuid, delivery),
                Timer::Registration(run) => self.registration_timeout(&run),
                Timer::Kill(run) => {
                    if let Some(executor) = self.executor_of(&run) {
                        executor.kill.cancel();
                    }
                }
                Timer::Heartbeat(run, subscription) => self.heartbeat(run, subscription),
                Timer::Recovered => self.recovered(),
                Timer::Register(registration, backoff) => {
                    self.register_again(registration, backoff);
                }
                Timer::PingTimeout(ping) => self.ping_timeout(ping),
            }
        }
    }

    /// Takes a message of the master.
    pub(in crate::local) fn receive(&mut self, message: ToAgent) {
        if self.phase == Phase::Dead {
            return;
        }
        match message {
            ToAgent::Registered(answer) => self.registered(*answer),
            ToAgent::Ping { is_connected } => self.pinged(is_connected),
            ToAgent::Drain { config } => self.drain(config),
            ToAgent::Shutdown { message } => {
                tracing::info!(agent_id = ?self.id(), why = message, "agent asked to shut down");
                self.shutdown();
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
            ToAgent::ShutdownFramework { framework_id } => {
                if self.phase == Phase::Running {
                    self.shutdown_framework(&framework_id);
                }
            }
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
            ToAgent::ApplyOperation(operation) => self.apply_operation(*operation),
            ToAgent::AcknowledgeOperation {
                operation_uuid,
                status_uuid,
            } => self.operation_acknowledged(&operation_uuid, &status_uuid),
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
        let first = (framework_id.clone(), TaskId::default());
        let mut updates = self.updates.range(first..);
        let has_updates = updates
            .next()
            .is_some_and(|((id, _), _)| id == framework_id);
        if framework.executors.is_empty() && !has_updates {
            self.frameworks.remove(framework_id);
            self.update_drain_status();
        }
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
