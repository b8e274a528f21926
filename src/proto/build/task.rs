//! Tasks, and groups of them.

use std::time::Duration;

use bytes::Bytes;

use super::push_label;
use crate::proto::{
    AgentId, CheckInfo, CommandInfo, ContainerInfo, ExecutorInfo, HealthCheck, KillPolicy,
    Resource, TaskGroupInfo, TaskId, TaskInfo, value,
};

impl TaskInfo {
    /// A task for an agent, named like its id. To be launched, it needs a [`command`](Self::command) or an
    /// [`executor`](Self::executor), unless it is one of a group.
    ///
    /// `resources`: at least one. `mesos_framework::resources` computes with them.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use mesos_framework::proto::{CommandInfo, ContainerInfo, HealthCheck, KillPolicy, Resource, TaskInfo};
    ///
    /// let resources = [Resource::scalar("cpus", 0.5), Resource::scalar("mem", 128.0)];
    /// let task = TaskInfo::new("web-1", "agent of the offer", resources)
    ///     .name("web")
    ///     .command(CommandInfo::argv(["httpd", "-f", "-p", "8080"]))
    ///     .container(ContainerInfo::mesos().docker_image("busybox:1.36"))
    ///     .health_check(HealthCheck::http(8080, "/").interval(Duration::from_secs(5)))
    ///     .kill_policy(KillPolicy::grace_period(Duration::from_secs(20)))
    ///     .label("tier", "front");
    /// task.validate()?;
    ///
    /// let neither = TaskInfo::new("web-2", "agent of the offer", task.resources);
    /// assert_eq!(
    ///     neither.validate().unwrap_err().to_string(),
    ///     "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"
    /// );
    /// # Ok::<(), mesos_framework::Error>(())
    /// ```
    ///
    /// Source: `TaskInfo`, mesos.proto.
    pub fn new(
        task_id: impl Into<TaskId>,
        agent_id: impl Into<AgentId>,
        resources: impl IntoIterator<Item = Resource>,
    ) -> Self {
        let task_id = task_id.into();
        Self {
            name: task_id.value.clone(),
            task_id,
            agent_id: agent_id.into(),
            resources: resources.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Sets the name, which need not be unique.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets what Mesos's own executor runs.
    #[must_use]
    pub fn command(mut self, command: CommandInfo) -> Self {
        self.command = Some(command);
        self
    }

    /// Sets the executor that runs the task.
    #[must_use]
    pub fn executor(mut self, executor: ExecutorInfo) -> Self {
        self.executor = Some(executor);
        self
    }

    /// Sets in what the command runs.
    #[must_use]
    pub fn container(mut self, container: ContainerInfo) -> Self {
        self.container = Some(container);
        self
    }

    /// Sets the check of whose failure the task is killed.
    #[must_use]
    pub fn health_check(mut self, health_check: HealthCheck) -> Self {
        self.health_check = Some(health_check);
        self
    }

    /// Sets the check whose result is only told.
    #[must_use]
    pub fn check(mut self, check: CheckInfo) -> Self {
        self.check = Some(check);
        self
    }

    /// Sets how the task is killed.
    #[must_use]
    pub fn kill_policy(mut self, kill_policy: KillPolicy) -> Self {
        self.kill_policy = Some(kill_policy);
        self
    }

    /// Sets `data`: what only the executor understands.
    #[must_use]
    pub fn payload(mut self, data: impl Into<Bytes>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        push_label(&mut self.labels, key.into(), value.into());
        self
    }

    /// Sets a limit above what is asked for, of `cpus` or `mem` (MB); `f64::INFINITY` for none.
    ///
    /// Source: `TaskInfo.limits`, mesos.proto, which needs agents with cgroups.
    #[must_use]
    pub fn limit(mut self, name: impl Into<String>, value: f64) -> Self {
        self.limits.insert(name.into(), value::Scalar { value });
        self
    }

    /// Sets after what time the task is killed, and fails.
    #[must_use]
    pub fn max_completion_time(mut self, limit: Duration) -> Self {
        self.max_completion_time = Some(limit.into());
        self
    }
}

impl TaskGroupInfo {
    /// A group of tasks, which start together or not at all, and end together unless they all finish.
    ///
    /// `tasks`: one at least; without executors of their own.
    ///
    /// Source: `TaskGroupInfo`, mesos.proto; `docs/nested-container-and-task-group.md` of Apache Mesos 1.11.0.
    pub fn new(tasks: impl IntoIterator<Item = TaskInfo>) -> Self {
        Self {
            tasks: tasks.into_iter().collect(),
        }
    }
}

impl KillPolicy {
    /// Between the request to end (SIGTERM) and the end by force (SIGKILL); Mesos's executors give 3 s by default.
    ///
    /// Source: `KillPolicy.grace_period`, mesos.proto.
    #[must_use]
    pub fn grace_period(grace_period: Duration) -> Self {
        Self {
            grace_period: Some(grace_period.into()),
        }
    }
}
