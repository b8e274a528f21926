//! Executors' subscriptions, what they are sent, and their end.
//!
//! Source: `Slave::subscribe`, `Slave::executorTerminated` and `Slave::registerExecutorTimeout`, `src/slave/slave.cpp` of
//! Apache Mesos 1.11.0.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::command_task;
use super::state::{Agent, ExecutorState, Queued, Run, Timer};
use crate::local::config::{EXECUTOR_HEARTBEAT_INTERVAL, HOST, duration_text};
use crate::local::master::is_terminal;
use crate::local::messages::ToMaster;
use crate::local::stream::EventStream;
use crate::proto::executor::{Event, call, event};
use crate::proto::network_info::IpAddress;
use crate::proto::task_status::Reason;
use crate::proto::{
    ContainerId, ContainerStatus, ExecutorId, FrameworkId, NetworkInfo, TaskGroupInfo, TaskId,
    TaskInfo, TaskState,
};

impl Agent {
    /// Replaces the executor's stream, and tells it what it has to know.
    pub(super) fn subscribe_executor(
        &mut self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        call: call::Subscribe,
        stream: EventStream<Event>,
    ) {
        let framework = self.frameworks.get_mut(framework_id);
        let Some(executor) = framework.and_then(|own| own.executors.get_mut(executor_id)) else {
            return;
        };
        if executor.state == ExecutorState::Terminating {
            // The stream ends with this.
            stream.send(&event(event::Type::Shutdown));
            return;
        }
        executor.stream = None;
        executor.state = ExecutorState::Running;
        executor.subscriptions += 1;
        let subscription = executor.subscriptions;
        let run = Run {
            framework_id: framework_id.clone(),
            executor_id: executor_id.clone(),
            container_id: executor.container_id.clone(),
        };
        let next = self.now + EXECUTOR_HEARTBEAT_INTERVAL;
        self.timers
            .schedule(next, Timer::Heartbeat(run, subscription));
        self.give_up_unknown(framework_id, executor_id, call.unacknowledged_tasks);
        self.welcome(framework_id, executor_id, stream);
        for update in call.unacknowledged_updates {
            self.executor_update(framework_id, executor_id, update.status);
        }
        self.give_queued(framework_id, executor_id);
    }

    /// Takes over the stream, whose first event is SUBSCRIBED; or SHUTDOWN, if all that the executor was started for has
    /// been killed before delivery.
    fn welcome(
        &mut self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        stream: EventStream<Event>,
    ) {
        let agent_info = self.info.clone();
        let Some(framework) = self.frameworks.get_mut(framework_id) else {
            return;
        };
        let framework_info = framework.info.clone();
        let Some(executor) = framework.executors.get_mut(executor_id) else {
            return;
        };
        if executor.is_needless() {
            executor.stream = Some(stream);
            self.shutdown_executor(framework_id, executor_id);
            return;
        }
        let mut subscribed = event(event::Type::Subscribed);
        subscribed.subscribed = Some(event::Subscribed {
            executor_info: executor.info.clone(),
            framework_info,
            agent_info,
            container_id: Some(ContainerId {
                value: executor.container_id.clone(),
                parent: None,
            }),
        });
        stream.send(&subscribed);
        executor.stream = Some(stream);
    }

    /// Gives up tasks that were sent to the executor and that it never got.
    fn give_up_unknown(
        &mut self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        had: Vec<TaskInfo>,
    ) {
        let mut known = self.queued_tasks(framework_id, executor_id);
        known.extend(had.into_iter().map(|task| task.task_id));
        let state = self.dropped_state(framework_id);
        for task_id in self.live_tasks(framework_id, executor_id) {
            let key = (framework_id.clone(), task_id);
            let task = self.tasks.get(&key);
            let is_staging = task.is_some_and(|task| task.state() == TaskState::TaskStaging);
            if is_staging && !known.contains(&key.1) {
                let why = "Task launched during agent restart";
                self.agent_update(framework_id, &key.1, state, Reason::AgentRestarted, why);
            }
        }
    }

    /// Gives a task to an executor that runs, or keeps it for one that will.
    pub(super) fn give(
        &mut self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        queued: Queued,
    ) {
        let framework = self.frameworks.get_mut(framework_id);
        let executor = framework.and_then(|own| own.executors.get_mut(executor_id));
        if let Some(executor) = executor {
            executor.queued.push_back(queued);
            self.give_queued(framework_id, executor_id);
        }
    }

    fn give_queued(&mut self, framework_id: &FrameworkId, executor_id: &ExecutorId) {
        let framework = self.frameworks.get_mut(framework_id);
        let Some(executor) = framework.and_then(|own| own.executors.get_mut(executor_id)) else {
            return;
        };
        if executor.queued.is_empty() || executor.state != ExecutorState::Running {
            return;
        }
        executor.was_used = true;
        let queued = std::mem::take(&mut executor.queued);
        let Some(stream) = &executor.stream else {
            return;
        };
        for Queued { tasks, is_group } in queued {
            if is_group {
                let mut group = event(event::Type::LaunchGroup);
                group.launch_group = Some(event::LaunchGroup {
                    task_group: TaskGroupInfo { tasks },
                });
                stream.send(&group);
                continue;
            }
            for task in tasks {
                let mut launch = event(event::Type::Launch);
                launch.launch = Some(event::Launch { task });
                stream.send(&launch);
            }
        }
    }

    pub(super) fn framework_message(
        &mut self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        data: Bytes,
    ) {
        let framework = self.frameworks.get(framework_id);
        let executor = framework.and_then(|own| own.executors.get(executor_id));
        if executor.is_some_and(|own| own.state == ExecutorState::Running) {
            let mut message = event(event::Type::Message);
            message.message = Some(event::Message { data });
            self.send_to_executor(framework_id, executor_id, &message);
        }
    }

    pub(super) fn heartbeat(&mut self, run: Run, subscription: u64) {
        let Some(executor) = self.executor_of(&run) else {
            return;
        };
        if executor.subscriptions != subscription {
            return;
        }
        if let Some(stream) = &executor.stream {
            stream.send(&event(event::Type::Heartbeat));
        }
        let next = self.now + EXECUTOR_HEARTBEAT_INTERVAL;
        self.timers
            .schedule(next, Timer::Heartbeat(run, subscription));
    }

    pub(super) fn registration_timeout(&mut self, run: &Run) {
        let timeout = duration_text(self.config.executor_registration_timeout);
        let Some(executor) = self.executor_of(run) else {
            return;
        };
        if executor.state == ExecutorState::Registering {
            let why = format!("Executor did not register within {timeout}");
            executor.cause = Some((Reason::ExecutorRegistrationTimeout, why));
            executor.state = ExecutorState::Terminating;
            executor.kill.cancel();
        }
    }

    /// The executor's container has ended with this raw wait status, and so have its tasks.
    pub(in crate::local) fn container_ended(&mut self, run: &Run, status: i32) {
        if self.executor_of(run).is_none() {
            return;
        }
        let framework = self.frameworks.get_mut(&run.framework_id);
        let Some(executor) = framework.and_then(|own| own.executors.remove(&run.executor_id))
        else {
            return;
        };
        if !executor.is_generated {
            self.outbox.push(ToMaster::ExecutorExited {
                framework_id: run.framework_id.clone(),
                executor_id: run.executor_id.clone(),
                status,
            });
        }
        let cause = executor.cause;
        let (reason, why) =
            cause.unwrap_or_else(|| (Reason::ExecutorTerminated, "Executor terminated".to_owned()));
        for task_id in self.live_tasks(&run.framework_id, &run.executor_id) {
            let failed = TaskState::TaskFailed;
            self.agent_update(&run.framework_id, &task_id, failed, reason, &why);
        }
        self.forget_idle(&run.framework_id);
    }

    pub(super) fn send_to_executor(
        &self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        event: &Event,
    ) {
        let framework = self.frameworks.get(framework_id);
        let executor = framework.and_then(|own| own.executors.get(executor_id));
        if let Some(stream) = executor.and_then(|executor| executor.stream.as_ref()) {
            stream.send(event);
        }
    }

    fn live_tasks(&self, framework_id: &FrameworkId, executor_id: &ExecutorId) -> Vec<TaskId> {
        let first = (framework_id.clone(), TaskId::default());
        let own = self.tasks.range(first..);
        own.take_while(|((id, _), _)| id == framework_id)
            .filter(|(_, task)| command_task::executor_id(task) == *executor_id)
            .filter(|(_, task)| !is_terminal(task.state()))
            .map(|((_, task_id), _)| task_id.clone())
            .collect()
    }

    fn queued_tasks(
        &self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
    ) -> BTreeSet<TaskId> {
        let framework = self.frameworks.get(framework_id);
        let executor = framework.and_then(|own| own.executors.get(executor_id));
        let queued = executor.into_iter().flat_map(|own| &own.queued);
        let tasks = queued.flat_map(|queued| &queued.tasks);
        tasks.map(|task| task.task_id.clone()).collect()
    }
}

/// An event of `kind` without content yet.
pub(super) fn event(kind: event::Type) -> Event {
    Event {
        r#type: Some(kind.into()),
        ..Default::default()
    }
}

/// What the agent adds to a status: the container, and its address if the executor states none.
pub(super) fn container_status(
    container_id: Option<&str>,
    stated: Option<ContainerStatus>,
) -> ContainerStatus {
    let mut status = stated.unwrap_or_default();
    if status.container_id.is_none() {
        status.container_id = container_id.map(|value| ContainerId {
            value: value.to_owned(),
            parent: None,
        });
    }
    if status.network_infos.is_empty() {
        status.network_infos = vec![NetworkInfo {
            ip_addresses: vec![IpAddress {
                ip_address: Some(HOST.to_owned()),
                ..Default::default()
            }],
            ..Default::default()
        }];
    }
    status
}
