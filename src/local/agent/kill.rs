//! Killing tasks, executors and frameworks.
//!
//! Source: `Slave::killTask`, `Slave::shutdownExecutor` and `Slave::shutdownFramework`, `src/slave/slave.cpp` of Apache
//! Mesos 1.11.0.

use std::time::Duration;

use super::command_task::executor_id;
use super::executors::event;
use super::state::{Agent, ExecutorState, Run, Timer};
use crate::proto::executor::event;
use crate::proto::task_status::Reason;
use crate::proto::{ExecutorId, FrameworkId, KillPolicy, TaskId, TaskState};

impl Agent {
    /// Leaves the killing to the executor, unless it does not have the task yet.
    pub(super) fn kill_task(
        &mut self,
        framework_id: &FrameworkId,
        task_id: &TaskId,
        kill_policy: Option<KillPolicy>,
    ) {
        let key = (framework_id.clone(), task_id.clone());
        let task = self.tasks.get(&key);
        let Some(executor_id) = task.map(executor_id) else {
            return;
        };
        let framework = self.frameworks.get_mut(framework_id);
        let Some(executor) = framework.and_then(|own| own.executors.get_mut(&executor_id)) else {
            return;
        };
        let mut queued = executor.queued.iter();
        let place = queued.position(|own| own.tasks.iter().any(|task| task.task_id == *task_id));
        if let Some(removed) = place.and_then(|place| executor.queued.remove(place)) {
            for task in removed.tasks {
                let reason = Reason::TaskKilledDuringLaunch;
                let why = "Killed before delivery to the executor";
                let state = TaskState::TaskKilled;
                self.agent_update(framework_id, &task.task_id, state, reason, why);
            }
        } else if executor.state == ExecutorState::Running {
            let mut kill = event(event::Type::Kill);
            kill.kill = Some(event::Kill {
                task_id: task_id.clone(),
                kill_policy,
            });
            self.send_to_executor(framework_id, &executor_id, &kill);
        }
    }

    /// Asks an executor to end, and kills it when its grace period is over.
    pub(super) fn shutdown_executor(
        &mut self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
    ) {
        let default_grace = self.config.executor_shutdown_grace_period;
        let framework = self.frameworks.get_mut(framework_id);
        let Some(executor) = framework.and_then(|own| own.executors.get_mut(executor_id)) else {
            return;
        };
        if matches!(
            executor.state,
            ExecutorState::Terminating | ExecutorState::Terminated
        ) {
            return;
        }
        executor.state = ExecutorState::Terminating;
        if let Some(stream) = &executor.stream {
            stream.send(&event(event::Type::Shutdown));
        }
        let own_grace = executor.info.shutdown_grace_period.as_ref();
        let grace = own_grace.map_or(default_grace, |own| {
            Duration::from_nanos(u64::try_from(own.nanoseconds).unwrap_or_default())
        });
        let run = Run {
            framework_id: framework_id.clone(),
            executor_id: executor_id.clone(),
            container_id: executor.container_id.clone(),
        };
        self.timers.schedule(self.now + grace, Timer::Kill(run));
    }

    /// Ends everything of a framework that the master has removed; nobody is told.
    pub(super) fn shutdown_framework(&mut self, framework_id: &FrameworkId) {
        let Some(framework) = self.frameworks.get_mut(framework_id) else {
            return;
        };
        framework.is_terminating = true;
        framework
            .executors
            .retain(|_, executor| executor.state != ExecutorState::Terminated);
        let executors: Vec<ExecutorId> = framework.executors.keys().cloned().collect();
        self.updates.retain(|(id, _), _| id != framework_id);
        self.tasks.retain(|(id, _), _| id != framework_id);
        for executor_id in executors {
            self.shutdown_executor(framework_id, &executor_id);
        }
        self.forget_idle(framework_id);
    }
}
