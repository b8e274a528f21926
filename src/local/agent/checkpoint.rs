//! What an agent leaves on its disk, and how the next one begins with it.
//!
//! Source: `src/slave/state.hpp`, `Slave::recover`, `Framework::recoverExecutor`, `Executor::recoverTask` and
//! `Slave::reregisterExecutorTimeout`, `src/slave/slave.cpp` of Apache Mesos 1.11.0.

use std::collections::VecDeque;

use tokio_util::sync::CancellationToken;

use super::life::Phase;
use super::state::{Agent, Cause, Executor, ExecutorState, Framework, Run, Timer};
use super::updates::{CheckpointedUpdates, UpdateStream, gone_state};
use crate::local::config::duration_text;
use crate::local::machine::Found;
use crate::proto::task_status::Reason;
use crate::proto::{
    AgentInfo, DrainConfig, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, Operation, Task,
};
use crate::resources::Resources;

/// What outlives an agent's process: plain data. Of frameworks that do not checkpoint, nothing does.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::local) struct Checkpoint {
    /// With an id if it was ever registered.
    pub(in crate::local) info: AgentInfo,
    pub(in crate::local) drain_config: Option<DrainConfig>,
    /// With reservations and volumes.
    pub(in crate::local) total: Resources,
    pub(in crate::local) operations: Vec<Operation>,
    pub(in crate::local) frameworks: Vec<CheckpointedFramework>,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::local) struct CheckpointedFramework {
    pub(in crate::local) id: FrameworkId,
    pub(in crate::local) info: FrameworkInfo,
    pub(in crate::local) executors: Vec<CheckpointedExecutor>,
    pub(in crate::local) tasks: Vec<Task>,
    pub(in crate::local) updates: Vec<CheckpointedUpdates>,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::local) struct CheckpointedExecutor {
    pub(in crate::local) info: ExecutorInfo,
    pub(in crate::local) is_generated: bool,
    pub(in crate::local) container_id: String,
    /// The id of its process; of those hosted in this process, and of those not started yet, none.
    pub(in crate::local) process: Option<i32>,
    /// Whether it ever told of a task.
    pub(in crate::local) has_spoken: bool,
}

impl Agent {
    pub(in crate::local) fn checkpoint(&self) -> Checkpoint {
        let frameworks = self.frameworks.iter();
        let kept = frameworks.filter(|(_, framework)| framework.info.checkpoint());
        let operations = self.operations.values();
        Checkpoint {
            info: self.info.clone(),
            drain_config: self.drain_config,
            total: self.total.clone(),
            operations: operations.map(|own| own.operation.clone()).collect(),
            frameworks: kept
                .map(|(id, framework)| self.checkpoint_framework(id, framework))
                .collect(),
        }
    }

    fn checkpoint_framework(
        &self,
        id: &FrameworkId,
        framework: &Framework,
    ) -> CheckpointedFramework {
        let executors = framework.executors.values();
        let executors = executors.filter(|own| own.state != ExecutorState::Terminated);
        let tasks = self.tasks.iter().filter(|((owner, _), _)| owner == id);
        let updates = self.updates.iter().filter(|((owner, _), _)| owner == id);
        CheckpointedFramework {
            id: id.clone(),
            info: framework.info.clone(),
            executors: executors
                .map(|executor| CheckpointedExecutor {
                    info: executor.info.clone(),
                    is_generated: executor.is_generated,
                    container_id: executor.container_id.clone(),
                    process: executor.process,
                    has_spoken: executor.has_spoken,
                })
                .collect(),
            tasks: tasks
                .map(|(_, task)| Task {
                    status_update_state: None,
                    status_update_uuid: None,
                    ..task.clone()
                })
                .collect(),
            updates: updates
                .map(|((_, task_id), stream)| stream.checkpoint(task_id))
                .collect(),
        }
    }

    /// Begins with what an agent of an earlier cluster has left, which may have been at another port.
    pub(in crate::local) fn recover(
        &mut self,
        checkpoint: Checkpoint,
        find: impl Fn(&str) -> Found,
    ) {
        let info = AgentInfo {
            id: checkpoint.info.id.clone(),
            ..self.info.clone()
        };
        self.revive(Checkpoint { info, ..checkpoint }, find);
    }

    /// Begins with what the agent before has left, waiting for its executors. `find` tells what has become of a
    /// container.
    pub(in crate::local) fn revive(
        &mut self,
        checkpoint: Checkpoint,
        find: impl Fn(&str) -> Found,
    ) {
        self.phase = Phase::Recovering;
        self.info = checkpoint.info;
        self.drain_config = checkpoint.drain_config;
        self.total = checkpoint.total;
        self.recover_operations(checkpoint.operations);
        let mut ended = Vec::new();
        for framework in checkpoint.frameworks {
            self.recover_framework(framework, &find, &mut ended);
        }
        for (run, status) in ended {
            self.container_ended(&run, status);
        }
        if self.frameworks.is_empty() {
            self.recovered();
        } else {
            let limit = self.config.timeouts.executor_reregistration;
            self.timers.schedule(self.now + limit, Timer::Recovered);
        }
    }

    fn recover_framework(
        &mut self,
        checkpointed: CheckpointedFramework,
        find: &impl Fn(&str) -> Found,
        ended: &mut Vec<(Run, i32)>,
    ) {
        let id = checkpointed.id;
        if checkpointed.executors.is_empty() && checkpointed.updates.is_empty() {
            return;
        }
        let mut framework = Framework::new(checkpointed.info);
        for executor in checkpointed.executors {
            let executor_id = executor.info.executor_id.clone();
            let kill = match find(&executor.container_id) {
                Found::Running(kill) => kill,
                Found::Ended(status) => {
                    let run = run(&id, &executor_id, &executor.container_id);
                    ended.push((run, status));
                    CancellationToken::new()
                }
            };
            framework
                .executors
                .insert(executor_id, recovered(executor, kill));
        }
        self.frameworks.insert(id.clone(), framework);
        for task in checkpointed.tasks {
            self.tasks.insert((id.clone(), task.task_id.clone()), task);
        }
        for updates in checkpointed.updates {
            let key = (id.clone(), updates.task_id.clone());
            self.updates.insert(key, UpdateStream::recovered(updates));
        }
    }

    /// The wait for executors is over: those that are not back are killed, and the master may know.
    pub(super) fn recovered(&mut self) {
        if self.phase != Phase::Recovering {
            return;
        }
        let waited = duration_text(self.config.timeouts.executor_reregistration);
        for framework in self.frameworks.values_mut() {
            let state = gone_state(&framework.info);
            for executor in framework.executors.values_mut() {
                if executor.state == ExecutorState::Registering {
                    executor.state = ExecutorState::Terminating;
                    executor.cause = Some(Cause {
                        state,
                        reason: Reason::ExecutorReregistrationTimeout,
                        message: format!("Executor did not reregister within {waited}"),
                    });
                    executor.kill.cancel();
                }
            }
        }
        if let Some(config) = self.drain_config {
            self.drain(config);
        }
        self.phase = Phase::Disconnected;
        self.register();
    }
}

fn run(framework_id: &FrameworkId, executor_id: &ExecutorId, container_id: &str) -> Run {
    Run {
        framework_id: framework_id.clone(),
        executor_id: executor_id.clone(),
        container_id: container_id.to_owned(),
    }
}

fn recovered(checkpointed: CheckpointedExecutor, kill: CancellationToken) -> Executor {
    Executor {
        info: checkpointed.info,
        is_generated: checkpointed.is_generated,
        container_id: checkpointed.container_id,
        process: checkpointed.process,
        state: ExecutorState::Registering,
        stream: None,
        subscriptions: 0,
        queued: VecDeque::new(),
        has_spoken: checkpointed.has_spoken,
        kill,
        cause: None,
    }
}
