//! Tasks that the master wants run.
//!
//! Source: `Slave::_run` and `Slave::__run`, `src/slave/slave.cpp` of Apache Mesos 1.11.0.

use std::collections::VecDeque;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::command_task::command_executor;
use super::state::{Agent, Executor, ExecutorState, Framework, Queued, Run, Timer};
use crate::local::master::task_of;
use crate::local::messages::{self, ToMaster};
use crate::proto::task_status::Reason;
use crate::proto::{ExecutorInfo, FrameworkId, TaskId, TaskState, executor_info};

const DEFAULT_EXECUTOR: &str = "The default executor is not covered by this version of the local \
                                cluster: use an executor of type CUSTOM";
const URIS: &str = "URIs are not covered by this version of the local cluster";

/// The executor that tasks are to run under.
struct Requested {
    info: ExecutorInfo,
    /// By this agent, for a command task.
    is_generated: bool,
}

impl Requested {
    fn of(run: &messages::Run) -> Option<Self> {
        if let Some(info) = run.executor.clone() {
            let is_generated = false;
            return Some(Self { info, is_generated });
        }
        Some(Self {
            info: command_executor(&run.framework_id, run.tasks.first()?),
            is_generated: true,
        })
    }
}

impl Agent {
    pub(super) fn run(&mut self, run: messages::Run) {
        let id = run.framework_id.clone();
        let framework = self.frameworks.entry(id.clone());
        let framework = framework.or_insert_with(|| Framework::new(run.framework.clone()));
        if framework.is_terminating {
            return;
        }
        let Some(executor) = Requested::of(&run) else {
            return;
        };
        framework.info = run.framework;
        let executor_id = executor.info.executor_id.clone();
        let stated_id = run.executor.as_ref().map(|own| &own.executor_id);
        let mut task_ids = Vec::with_capacity(run.tasks.len());
        for task in &run.tasks {
            let kept = task_of(task, &id, stated_id, TaskState::TaskStaging);
            self.tasks.insert((id.clone(), task.task_id.clone()), kept);
            task_ids.push(task.task_id.clone());
        }
        let queued = Queued {
            tasks: run.tasks,
            is_group: run.is_group,
        };
        let state = self
            .frameworks
            .get(&id)
            .and_then(|framework| framework.executors.get(&executor_id))
            .map(|executor| executor.state);
        let why = match (state, run.launches_executor) {
            (Some(ExecutorState::Terminating), _) => "Executor terminating",
            (Some(_), true) => "Master wants to launch executor, but one already exists",
            (None, false) => "No executor is expected to launch and there is none running",
            (Some(_), false) => {
                self.give(&id, &executor_id, queued);
                return;
            }
            (None, true) => {
                self.start_executor(&id, executor, queued);
                return;
            }
        };
        let state = self.dropped_state(&id);
        self.refuse(&id, &task_ids, state, Reason::ExecutorTerminated, why);
    }

    fn refuse(
        &mut self,
        framework_id: &FrameworkId,
        task_ids: &[TaskId],
        state: TaskState,
        reason: Reason,
        why: &str,
    ) {
        for task_id in task_ids {
            self.agent_update(framework_id, task_id, state, reason, why);
        }
    }

    fn start_executor(&mut self, framework_id: &FrameworkId, requested: Requested, first: Queued) {
        let Requested { info, is_generated } = requested;
        let run = Run {
            framework_id: framework_id.clone(),
            executor_id: info.executor_id.clone(),
            container_id: Uuid::new_v4().to_string(),
        };
        let command = info.command.clone().unwrap_or_default();
        let refusal = if info.r#type() == executor_info::Type::Default {
            Some(DEFAULT_EXECUTOR)
        } else if command.uris.is_empty() {
            None
        } else {
            Some(URIS)
        };
        if let Some(why) = refusal {
            // Mesos gets as far as a container whose launch fails; nobody knows its status.
            let ids: Vec<_> = first.tasks.into_iter().map(|task| task.task_id).collect();
            if !is_generated {
                self.outbox.push(ToMaster::ExecutorExited {
                    framework_id: framework_id.clone(),
                    executor_id: run.executor_id,
                    status: -1,
                });
            }
            let reason = Reason::ContainerLaunchFailed;
            self.refuse(framework_id, &ids, TaskState::TaskFailed, reason, why);
            return;
        }
        let executor = Executor {
            info,
            is_generated,
            container_id: run.container_id.clone(),
            state: ExecutorState::Registering,
            stream: None,
            subscriptions: 0,
            queued: VecDeque::from([first]),
            was_used: false,
            kill: CancellationToken::new(),
            cause: None,
        };
        let launch = self.launch(&run, &executor);
        self.launches.extend(launch);
        if let Some(framework) = self.frameworks.get_mut(framework_id) {
            framework
                .executors
                .insert(run.executor_id.clone(), executor);
        }
        let deadline = self.now + self.config.executor_registration_timeout;
        self.timers.schedule(deadline, Timer::Registration(run));
    }
}
