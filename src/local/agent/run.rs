//! Tasks that the master wants run.
//!
//! Source: `Slave::_run` and `Slave::__run`, `src/slave/slave.cpp` of Apache Mesos 1.11.0.

use std::collections::VecDeque;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::command_task::command_executor;
use super::drain::REFUSAL;
use super::life::Phase;
use super::state::{Agent, Executor, ExecutorState, Framework, Queued, Run, Timer};
use crate::local::master::task_of;
use crate::local::messages::{self, ToMaster};
use crate::proto::task_status::Reason;
use crate::proto::{
    ExecutorId, ExecutorInfo, FrameworkId, TaskId, TaskInfo, TaskState, container_info,
};

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

/// Why the limits of a task cannot be kept, if it has some: there are no cgroups here.
///
/// Source: `Slave::validateResourceLimitsAndIsolators`, `src/slave/slave.cpp`.
fn unlimitable(task: &TaskInfo) -> Option<&'static str> {
    let container = task.container.as_ref();
    if container.is_some_and(|own| own.r#type() == container_info::Type::Docker) {
        return None;
    }
    if task.limits.contains_key("cpus") {
        return Some(
            "CPU limits can only be set on tasks launched in Mesos containers when the agent has loaded the 'cgroups/cpu' isolator",
        );
    }
    task.limits.contains_key("mem").then_some(
        "Memory limits can only be set on tasks launched in Mesos containers when the agent has loaded the 'cgroups/mem' isolator",
    )
}

impl Agent {
    pub(super) fn run(&mut self, run: messages::Run) {
        if matches!(self.phase, Phase::Recovering | Phase::Terminating) {
            return;
        }
        if run.tasks.is_empty() {
            // The master goes on counting the executor of such a group.
            tracing::warn!(framework_id = %run.framework_id, "task group ignored: it has no tasks");
            return;
        }
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
        if let Some(why) = run.tasks.iter().find_map(unlimitable) {
            for task_id in &task_ids {
                self.drop_task(&id, task_id, Reason::GcError, why);
            }
            return;
        }
        if self.drain_config.is_some() {
            let (state, reason) = (self.dropped_state(&id), Reason::AgentDraining);
            self.refuse(&id, &task_ids, state, reason, REFUSAL);
            if run.launches_executor && !executor.is_generated {
                self.executor_never_started(id, executor_id);
            }
            return;
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
            (Some(_), true) => "Master wants to launch executor, but one already exists",
            (Some(ExecutorState::Terminating), false) => "Executor terminating",
            (Some(ExecutorState::Terminated), false) => "Executor terminated",
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
        if run.launches_executor && !executor.is_generated {
            self.executor_never_started(id, executor_id);
        }
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

    /// Tells the end of an executor that the master counts on; nobody knows its status.
    fn executor_never_started(&mut self, framework_id: FrameworkId, executor_id: ExecutorId) {
        self.outbox.push(ToMaster::ExecutorExited {
            framework_id,
            executor_id,
            status: -1,
        });
    }

    fn start_executor(&mut self, framework_id: &FrameworkId, requested: Requested, first: Queued) {
        let Requested { info, is_generated } = requested;
        let run = Run {
            framework_id: framework_id.clone(),
            executor_id: info.executor_id.clone(),
            container_id: Uuid::new_v4().to_string(),
        };
        let executor = Executor {
            info,
            is_generated,
            container_id: run.container_id.clone(),
            process: None,
            state: ExecutorState::Registering,
            stream: None,
            subscriptions: 0,
            queued: VecDeque::from([first]),
            has_spoken: false,
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
