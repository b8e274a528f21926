//! Executors' subscriptions, what they are sent, and their end.
//!
//! Source: `Slave::subscribe`, `Slave::executorTerminated` and `Slave::registerExecutorTimeout`, `src/slave/slave.cpp` of
//! Apache Mesos 1.11.0.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::command_task;
use super::log;
use super::state::{Agent, Cause, ExecutorState, Queued, Run, Timer};
use crate::local::config::{HOST, duration_text};
use crate::local::master::is_terminal;
use crate::local::messages::ToMaster;
use crate::local::peer::Peer;
use crate::local::stream::EventStream;
use crate::proto::executor::{Event, call, event};
use crate::proto::network_info::IpAddress;
use crate::proto::task_status::Reason;
use crate::proto::{
    ContainerId, ContainerStatus, ExecutorId, FrameworkId, NetworkInfo, Task, TaskGroupInfo,
    TaskId, TaskInfo, TaskState,
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
        if matches!(
            executor.state,
            ExecutorState::Terminating | ExecutorState::Terminated
        ) {
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
        self.plan_heartbeat(run, subscription);
        self.give_up_unknown(framework_id, executor_id, call.unacknowledged_tasks);
        self.welcome(framework_id, executor_id, stream);
        for update in call.unacknowledged_updates {
            self.executor_update(framework_id, executor_id, update.status);
        }
        self.give_queued(framework_id, executor_id);
    }

    /// Takes over the stream, whose first event is SUBSCRIBED; or SHUTDOWN, if nothing is left of what the executor was
    /// started for.
    fn welcome(
        &mut self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        stream: EventStream<Event>,
    ) {
        let agent_info = self.info.clone();
        let is_needless = self.is_needless(framework_id, executor_id);
        let Some(framework) = self.frameworks.get_mut(framework_id) else {
            return;
        };
        let framework_info = framework.info.clone();
        let Some(executor) = framework.executors.get_mut(executor_id) else {
            return;
        };
        if is_needless {
            executor.stream = Some(stream);
            self.shutdown_executor(framework_id, executor_id);
            return;
        }
        let mut subscribed = event(event::Type::Subscribed);
        subscribed.subscribed = Some(Box::new(event::Subscribed {
            executor_info: executor.info.clone(),
            framework_info,
            agent_info,
            container_id: Some(ContainerId {
                value: executor.container_id.clone(),
                parent: None,
            }),
        }));
        log::event(executor_id, &subscribed);
        stream.send(&subscribed);
        executor.stream = Some(stream);
    }

    /// Whether it has no task, and never told of one (MESOS-8411).
    pub(super) fn is_needless(&self, framework_id: &FrameworkId, executor_id: &ExecutorId) -> bool {
        let framework = self.frameworks.get(framework_id);
        let executor = framework.and_then(|own| own.executors.get(executor_id));
        executor.is_some_and(|own| !own.has_spoken)
            && self.live_tasks(framework_id, executor_id).is_empty()
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
        let framework = self.frameworks.get(framework_id);
        let Some(executor) = framework.and_then(|own| own.executors.get(executor_id)) else {
            return;
        };
        if executor.queued.is_empty() || executor.state != ExecutorState::Running {
            return;
        }
        if !self.link_volumes(framework_id, executor_id) {
            self.give_linked(framework_id, executor_id);
        }
    }

    /// Gives an executor what waits for it.
    pub(super) fn give_linked(&mut self, framework_id: &FrameworkId, executor_id: &ExecutorId) {
        let framework = self.frameworks.get_mut(framework_id);
        let Some(executor) = framework.and_then(|own| own.executors.get_mut(executor_id)) else {
            return;
        };
        if executor.queued.is_empty() || executor.state != ExecutorState::Running {
            return;
        }
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
                log::event(executor_id, &group);
                stream.send(&group);
                continue;
            }
            for task in tasks {
                let mut launch = event(event::Type::Launch);
                launch.launch = Some(event::Launch { task });
                log::event(executor_id, &launch);
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
        let is_valid = executor.is_some_and(|own| own.state == ExecutorState::Running);
        self.counters.note(if is_valid {
            "valid_framework_messages"
        } else {
            "invalid_framework_messages"
        });
        if is_valid {
            let mut message = event(event::Type::Message);
            message.message = Some(event::Message { data });
            self.send_to_executor(framework_id, executor_id, &message);
        }
    }

    pub(super) fn heartbeat(&mut self, run: Run, subscription: u64) {
        let reader = Peer::Executor(run.framework_id.clone(), run.executor_id.clone());
        let is_withheld = self.config.wire.are_heartbeats_withheld(&reader);
        let Some(executor) = self.executor_of(&run) else {
            return;
        };
        if executor.subscriptions != subscription {
            return;
        }
        if let Some(stream) = executor.stream.as_ref().filter(|_| !is_withheld) {
            stream.send(&event(event::Type::Heartbeat));
        }
        self.plan_heartbeat(run, subscription);
    }

    fn plan_heartbeat(&mut self, run: Run, subscription: u64) {
        let next = self.now + self.config.timeouts.executor_heartbeat;
        self.timers
            .schedule(next, Timer::Heartbeat(run, subscription));
    }

    /// The executor runs as this process.
    pub(super) fn process_started(&mut self, run: &Run, process: Option<i32>) {
        if let Some(executor) = self.executor_of(run) {
            executor.process = process;
        }
    }

    pub(super) fn registration_timeout(&mut self, run: &Run) {
        let timeout = duration_text(self.config.executor_registration_timeout);
        let Some(executor) = self.executor_of(run) else {
            return;
        };
        if executor.state == ExecutorState::Registering {
            let why = format!("Executor did not register within {timeout}");
            executor.cause = Some(Cause {
                state: TaskState::TaskFailed,
                reason: Reason::ExecutorRegistrationTimeout,
                message: why,
            });
            executor.state = ExecutorState::Terminating;
            executor.kill.cancel();
        }
    }

    /// The executor's container cannot be launched; its end follows.
    pub(in crate::local) fn launch_failed(&mut self, run: &Run, why: &str) {
        self.counters.note("container_launch_errors");
        if let Some(executor) = self.executor_of(run) {
            executor.cause = Some(Cause {
                state: TaskState::TaskFailed,
                reason: Reason::ContainerLaunchFailed,
                message: format!("Failed to launch container: {why}"),
            });
        }
    }

    /// The executor's container has ended with this raw wait status, and so have its tasks.
    pub(in crate::local) fn container_ended(&mut self, run: &Run, status: i32) {
        let Some(executor) = self.executor_of(run) else {
            return;
        };
        executor.state = ExecutorState::Terminated;
        executor.stream = None;
        executor.queued.clear();
        let (is_generated, cause) = (executor.is_generated, executor.cause.take());
        self.counters.note("executors_terminated");
        // While it recovers, an agent knows no master to tell.
        if !is_generated && !self.is_recovering() {
            self.outbox.push(ToMaster::ExecutorExited {
                framework_id: run.framework_id.clone(),
                executor_id: run.executor_id.clone(),
                status,
            });
        }
        let cause = cause.unwrap_or_else(|| Cause {
            state: TaskState::TaskFailed,
            reason: Reason::ExecutorTerminated,
            message: "Executor terminated".to_owned(),
        });
        let (id, why) = (&run.framework_id, &cause.message);
        for task_id in self.live_tasks(id, &run.executor_id) {
            self.agent_update(id, &task_id, cause.state, cause.reason, why);
        }
        self.forget_terminated(id, &run.executor_id);
    }

    /// Forgets an executor that has ended, once nothing is left to be acknowledged of its tasks; and its framework with
    /// its last.
    pub(super) fn forget_terminated(
        &mut self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
    ) {
        let has_tasks = self.tasks_of(framework_id, executor_id).next().is_some();
        if let Some(framework) = self.frameworks.get_mut(framework_id)
            && let Some(executor) = framework.executors.get(executor_id)
            && executor.state == ExecutorState::Terminated
            && !has_tasks
        {
            framework.executors.remove(executor_id);
        }
        self.forget_idle(framework_id);
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
            log::event(executor_id, event);
            stream.send(event);
        }
    }

    pub(super) fn live_tasks(
        &self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
    ) -> Vec<TaskId> {
        self.tasks_of(framework_id, executor_id)
            .filter(|task| !is_terminal(task.state()))
            .map(|task| task.task_id.clone())
            .collect()
    }

    fn tasks_of(
        &self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
    ) -> impl Iterator<Item = &Task> {
        let first = (framework_id.clone(), TaskId::default());
        let own = self.tasks.range(first..);
        own.take_while(move |((id, _), _)| id == framework_id)
            .map(|(_, task)| task)
            .filter(move |task| command_task::executor_id(task) == *executor_id)
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
