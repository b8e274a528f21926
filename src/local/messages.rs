//! What master and agents tell each other: libprocess messages in Mesos, values here.
//!
//! Source: `src/messages/messages.proto` of Apache Mesos 1.11.0.

use bytes::Bytes;

use crate::proto::{
    AgentId, AgentInfo, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, KillPolicy, Task,
    TaskId, TaskInfo, TaskState, TaskStatus,
};

/// From the master to one agent.
#[derive(Clone, Debug)]
pub(super) enum ToAgent {
    Registered {
        agent_id: AgentId,
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
    Update {
        framework_id: FrameworkId,
        status: Box<TaskStatus>,
        /// The task's newest state, which may be ahead of the update.
        latest_state: Option<TaskState>,
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
}
