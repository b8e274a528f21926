//! What master and agents tell each other: libprocess messages in Mesos, values here.
//!
//! Source: `src/messages/messages.proto` of Apache Mesos 1.11.0.

use std::time::Duration;

use bytes::Bytes;

use crate::proto::{
    AgentId, AgentInfo, DrainConfig, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo,
    KillPolicy, Operation, OperationStatus, Task, TaskId, TaskInfo, TaskState, TaskStatus,
};
use crate::resources::Resources;

/// From the master to one agent.
#[derive(Clone, Debug)]
pub(super) enum ToAgent {
    Registered(Box<Registered>),
    /// To be answered with a pong.
    Ping {
        /// Whether the master has a connection to the agent.
        is_connected: bool,
    },
    /// Kill all tasks, and take no others.
    Drain {
        config: DrainConfig,
    },
    /// Kill everything, and end.
    Shutdown {
        message: String,
    },
    Run(Box<Run>),
    Kill {
        framework_id: FrameworkId,
        task_id: TaskId,
        kill_policy: Option<KillPolicy>,
    },
    ShutdownExecutor {
        framework_id: FrameworkId,
        executor_id: ExecutorId,
    },
    ShutdownFramework {
        framework_id: FrameworkId,
    },
    UpdateFramework {
        framework: Box<FrameworkInfo>,
    },
    Message {
        framework_id: FrameworkId,
        executor_id: ExecutorId,
        data: Bytes,
    },
    Acknowledge {
        framework_id: FrameworkId,
        task_id: TaskId,
        uuid: Bytes,
    },
    ApplyOperation(Box<Operation>),
    AcknowledgeOperation {
        operation_uuid: Bytes,
        status_uuid: Bytes,
    },
}

/// The master's answer to a registration.
#[derive(Clone, Debug)]
pub(super) struct Registered {
    pub(super) agent_id: AgentId,
    /// Without a ping for so long, the agent is to register again.
    pub(super) ping_timeout: Duration,
    /// Tasks that the master counts on and that the agent did not mention, each with its framework.
    pub(super) unmentioned: Vec<(FrameworkId, FrameworkInfo, TaskId)>,
}

/// A task, or a task group, to be run.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) framework_id: FrameworkId,
    pub(super) framework: FrameworkInfo,
    /// `None` for a command task.
    pub(super) executor: Option<ExecutorInfo>,
    /// One, or all of a group.
    pub(super) tasks: Vec<TaskInfo>,
    pub(super) is_group: bool,
    /// Whether the master counts on the executor being started for this.
    pub(super) launches_executor: bool,
}

/// From an agent to the master.
#[derive(Clone, Debug)]
pub(super) enum ToMaster {
    /// First, or again with an id and everything that lives on the agent.
    Register(Box<Registration>),
    /// The agent is about to end.
    Unregister,
    Pong,
    Update {
        framework_id: FrameworkId,
        status: Box<TaskStatus>,
        /// The task's newest state, which may be ahead of the update.
        latest_state: Option<TaskState>,
    },
    OperationUpdate {
        operation_uuid: Bytes,
        status: Box<OperationStatus>,
    },
    ExecutorExited {
        framework_id: FrameworkId,
        executor_id: ExecutorId,
        /// Raw wait status; −1 if unknown.
        status: i32,
    },
    Message {
        framework_id: FrameworkId,
        executor_id: ExecutorId,
        data: Bytes,
    },
}

/// What an agent says of itself.
#[derive(Clone, Debug)]
pub(super) struct Registration {
    /// With `id` when it was registered before.
    pub(super) info: AgentInfo,
    /// The id of its libprocess process: `slave(1)`.
    pub(super) process: String,
    pub(super) frameworks: Vec<(FrameworkId, FrameworkInfo)>,
    pub(super) executors: Vec<(FrameworkId, ExecutorInfo)>,
    pub(super) tasks: Vec<Task>,
    /// With its reservations and volumes.
    pub(super) total: Resources,
    /// Not acknowledged yet.
    pub(super) operations: Vec<Operation>,
}
