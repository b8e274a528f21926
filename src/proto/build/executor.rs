//! Executors.

use std::time::Duration;

use bytes::Bytes;

use super::push_label;
use crate::proto::{
    CommandInfo, ContainerInfo, ExecutorId, ExecutorInfo, FrameworkId, Resource, executor_info,
};

impl ExecutorInfo {
    /// An executor of one's own: `command` is a program that runs an [`ExecutorDriver`](crate::ExecutorDriver).
    ///
    /// `resources`: what it needs beside its tasks. The same id on the same agent must always mean the same executor, in
    /// every field.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::proto::command_info::Uri;
    /// use mesos_framework::proto::{CommandInfo, ExecutorInfo, Resource};
    ///
    /// let command = CommandInfo::in_shell("./crawler")
    ///     .uri(Uri { executable: Some(true), ..Uri::new("http://files.example/crawler") });
    /// let resources = [Resource::scalar("cpus", 0.1), Resource::scalar("mem", 32.0)];
    /// let executor = ExecutorInfo::custom("crawler", command, resources);
    /// executor.validate()?;
    /// # Ok::<(), mesos_framework::Error>(())
    /// ```
    ///
    /// Source: `ExecutorInfo` of type CUSTOM, mesos.proto.
    pub fn custom(
        executor_id: impl Into<ExecutorId>,
        command: CommandInfo,
        resources: impl IntoIterator<Item = Resource>,
    ) -> Self {
        Self {
            r#type: Some(executor_info::Type::Custom.into()),
            executor_id: executor_id.into(),
            command: Some(command),
            resources: resources.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Mesos's own executor of task groups.
    ///
    /// `framework_id`: must be said for groups. `resources`: what it needs beside its tasks, at least 0.01 `cpus`, 32 `mem`
    /// and some `disk`.
    ///
    /// Source: `ExecutorInfo` of type DEFAULT, mesos.proto; `docs/nested-container-and-task-group.md` of Apache Mesos
    /// 1.11.0.
    pub fn of_mesos(
        executor_id: impl Into<ExecutorId>,
        framework_id: impl Into<FrameworkId>,
        resources: impl IntoIterator<Item = Resource>,
    ) -> Self {
        Self {
            r#type: Some(executor_info::Type::Default.into()),
            executor_id: executor_id.into(),
            framework_id: Some(framework_id.into()),
            resources: resources.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Sets the framework, which is filled in where it is missing, but not for task groups.
    #[must_use]
    pub fn framework_id(mut self, framework_id: impl Into<FrameworkId>) -> Self {
        self.framework_id = Some(framework_id.into());
        self
    }

    /// Sets in what the executor runs.
    #[must_use]
    pub fn container(mut self, container: ContainerInfo) -> Self {
        self.container = Some(container);
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

    /// Sets how long the executor may take to end before it is killed; the agent's default is 5 s.
    #[must_use]
    pub fn shutdown_grace_period(mut self, grace_period: Duration) -> Self {
        self.shutdown_grace_period = Some(grace_period.into());
        self
    }
}
