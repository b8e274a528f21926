//! What users check before they send it.

use super::{Check, Known, Launching, Requester, limits, malformed, shape};
use crate::error::{Error, ErrorKind, Result};
use crate::proto::offer::{Operation, operation};
use crate::proto::{
    AgentId, ExecutorInfo, FrameworkId, FrameworkInfo, Offer, Resource, TaskGroupInfo, TaskInfo,
};
use crate::resources::Resources;

/// What a user knows: nothing, or the offers.
#[derive(Default)]
struct Told<'a> {
    agent_id: Option<&'a AgentId>,
    framework_id: Option<&'a FrameworkId>,
    available: Option<Resources>,
}

impl Known for Told<'_> {
    fn agent_id(&self) -> Option<&AgentId> {
        self.agent_id
    }

    fn framework_id(&self, framework_id: &FrameworkId) -> Check {
        match self.framework_id {
            Some(own) if own != framework_id => Err(format!(
                "ExecutorInfo has an invalid FrameworkID (Actual: {framework_id} vs Expected: {own})"
            )),
            _ => Ok(()),
        }
    }

    fn available(&self) -> Option<&Resources> {
        self.available.as_ref()
    }
}

impl<'a> Told<'a> {
    /// `offers`: of one agent and role.
    fn by(offers: &'a [Offer]) -> Self {
        let mut available = Resources::new();
        for offer in offers {
            available += &Resources::from_unchecked(&offer.resources);
        }
        let first = offers.first();
        Self {
            agent_id: first.map(|offer| &offer.agent_id),
            framework_id: first.map(|offer| &offer.framework_id),
            available: Some(available),
        }
    }
}

/// The role that resources without a mark get: that of the offers, or what the others are marked with.
fn role_for<'a>(offers: &'a [Offer], listed: impl Iterator<Item = &'a Resource>) -> String {
    let offered = offers.first().and_then(|own| own.allocation_info.as_ref());
    let marked = listed.filter_map(|own| own.allocation_info.as_ref());
    let mut roles = offered.into_iter().chain(marked);
    let role = roles.find_map(|own| own.role.clone());
    role.unwrap_or_else(|| "*".to_owned())
}

/// Marks `resources` as allocated to `role`, where the scheduler left that out; in the format with reservation refinement.
pub(crate) fn allocate(resources: &mut [Resource], role: &str) {
    for resource in resources {
        *resource = crate::resources::upgrade(std::mem::take(resource));
        let info = resource.allocation_info.get_or_insert_default();
        if info.role.is_none() {
            info.role = Some(role.to_owned());
        }
    }
}

/// The master's words are the whole text.
fn told(check: Check) -> Result<()> {
    check.map_err(|why| Error::new(ErrorKind::Config, why))
}

impl TaskInfo {
    /// Checks what the master would refuse, as far as the task itself tells, for a launch outside of a group.
    ///
    /// What the master fills in may be missing: the allocation of resources, and the framework of the executor. Whether the
    /// id is taken, the agent is right, and the resources are there, the task does not tell; for the latter two see
    /// [`validate_on`](Self::validate_on).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with the message that the status TASK_ERROR would have.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::proto::{CommandInfo, HealthCheck, Resource, TaskInfo};
    ///
    /// let task = TaskInfo::new("a/b", "agent", [Resource::scalar("cpus", 1.0)]).command(CommandInfo::in_shell("true"));
    /// let refused = task.validate().unwrap_err();
    /// assert_eq!(refused.to_string(), "'a/b' contains invalid characters");
    ///
    /// let task = TaskInfo::new("a", "agent", [Resource::scalar("cpus", 1.0)])
    ///     .command(CommandInfo::in_shell("true"))
    ///     .health_check(HealthCheck::http(80, "ok"));
    /// let refused = task.validate().unwrap_err().to_string();
    /// assert_eq!(
    ///     refused,
    ///     "Task uses invalid health check: The path 'ok' of HTTP health check must start with '/'"
    /// );
    /// ```
    ///
    /// Source: `task::validate`, `src/master/validation.cpp` of Apache Mesos 1.11.0.
    pub fn validate(&self) -> Result<()> {
        told(check_task(self, &[], &Told::default()))
    }

    /// [`validate`](Self::validate), for a launch on all of `offers`: also that the task is for their agent, and that it and
    /// its executor fit. (An executor that runs already takes nothing; leave it out of what is checked then.)
    ///
    /// `offers`: one or more, of one agent and role.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    ///
    /// Source: `task::validate`, `src/master/validation.cpp` of Apache Mesos 1.11.0.
    pub fn validate_on(&self, offers: &[Offer]) -> Result<()> {
        told(check_task(self, offers, &Told::by(offers)))
    }
}

fn check_task(task: &TaskInfo, offers: &[Offer], known: &Told<'_>) -> Check {
    let executor = task.executor.as_ref();
    let executors = executor.into_iter().flat_map(|own| &own.resources);
    let listed = task.resources.iter().chain(executors);
    if let Some(why) = malformed(listed.clone()) {
        return Err(why);
    }
    let role = role_for(offers, listed);
    let mut task = task.clone();
    allocate(&mut task.resources, &role);
    if let Some(executor) = &mut task.executor {
        allocate(&mut executor.resources, &role);
        // The master fills these in.
        let own = known.framework_id.cloned().unwrap_or_default();
        executor.framework_id.get_or_insert(own);
        if executor.command.is_some() {
            let custom = crate::proto::executor_info::Type::Custom;
            executor.r#type.get_or_insert(custom.into());
        }
    }
    Launching { known }.check_task(&task)
}

impl ExecutorInfo {
    /// Checks what the master would refuse, as far as the executor itself tells, for whatever launch. Groups ask for more:
    /// see [`TaskGroupInfo::validate`].
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with the message that the status TASK_ERROR would have.
    ///
    /// Source: `executor::validate`, `src/master/validation.cpp` of Apache Mesos 1.11.0.
    pub fn validate(&self) -> Result<()> {
        told(check_executor(self))
    }
}

fn check_executor(executor: &ExecutorInfo) -> Check {
    if let Some(why) = malformed(&executor.resources) {
        return Err(why);
    }
    let mut own = executor.clone();
    let role = role_for(&[], executor.resources.iter());
    allocate(&mut own.resources, &role);
    own.framework_id.get_or_insert_default();
    let known = &Told::default();
    Launching { known }.check_executor(&own)?;
    limits::check_executor(&own)
}

impl TaskGroupInfo {
    /// Checks what the master would refuse of a launch of this group under `executor`, as far as these tell.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with the message that the statuses TASK_ERROR would have; and for a group without tasks, which
    /// the driver refuses.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::proto::{CommandInfo, ExecutorInfo, Resource, TaskGroupInfo, TaskInfo};
    ///
    /// let task = TaskInfo::new("one", "agent", [Resource::scalar("cpus", 1.0)]).command(CommandInfo::in_shell("true"));
    /// let executor = ExecutorInfo::of_mesos("group", "framework", [Resource::scalar("cpus", 0.1), Resource::scalar("mem", 32.0)]);
    /// let refused = TaskGroupInfo::new([task]).validate(&executor).unwrap_err();
    /// assert_eq!(refused.to_string(), "Executor 'group' uses no disk");
    /// ```
    ///
    /// Source: `task::group::validate`, `src/master/validation.cpp` of Apache Mesos 1.11.0.
    pub fn validate(&self, executor: &ExecutorInfo) -> Result<()> {
        told(check_group(self, executor, &[], &Told::default()))
    }

    /// [`validate`](Self::validate), for a launch on all of `offers`: also that the tasks are for their agent, and that they
    /// and their executor fit.
    ///
    /// `offers`: one or more, of one agent and role.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    ///
    /// Source: `task::group::validate`, `src/master/validation.cpp` of Apache Mesos 1.11.0.
    pub fn validate_on(&self, executor: &ExecutorInfo, offers: &[Offer]) -> Result<()> {
        told(check_group(self, executor, offers, &Told::by(offers)))
    }
}

fn check_group(
    group: &TaskGroupInfo,
    executor: &ExecutorInfo,
    offers: &[Offer],
    known: &Told<'_>,
) -> Check {
    if group.tasks.is_empty() {
        return Err(format!(
            "task group for executor {} is empty",
            executor.executor_id
        ));
    }
    let own = group.tasks.iter().flat_map(|task| &task.resources);
    let listed = own.chain(&executor.resources);
    if let Some(why) = malformed(listed.clone()) {
        return Err(why);
    }
    let role = role_for(offers, listed);
    let (mut executor, mut tasks) = (executor.clone(), group.tasks.clone());
    allocate(&mut executor.resources, &role);
    for task in &mut tasks {
        allocate(&mut task.resources, &role);
        if let Some(own) = &mut task.executor {
            allocate(&mut own.resources, &role);
        }
    }
    Launching { known }.check_group(&executor, &tasks)
}

impl Operation {
    /// Checks what the master would refuse of this operation, as far as it and the framework tell.
    ///
    /// `role`: that of the offer. What the agent has, what is in use and what is left of the offer the operation does not
    /// tell.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with the message that `OPERATION_ERROR` would have, but for the name of the agent at its end; of
    /// launches, with that of the first task that would be refused.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::proto::offer::Operation;
    /// use mesos_framework::proto::{FrameworkInfo, Resource};
    ///
    /// let framework_info = FrameworkInfo::new("database", ["database"]);
    /// let reserve = Operation::reserve([Resource::scalar("cpus", 1.0)]);
    /// let refused = reserve.validate(&framework_info, "database").unwrap_err();
    /// assert_eq!(
    ///     refused.to_string(),
    ///     "Resource cpus(allocated: database):1 is not dynamically reserved"
    /// );
    /// let reserve = Operation::reserve([Resource::scalar("cpus", 1.0).reserved("database", None)]);
    /// reserve.validate(&framework_info, "database")?;
    /// # Ok::<(), mesos_framework::Error>(())
    /// ```
    ///
    /// Source: `operation::validate`, `src/master/validation.cpp` of Apache Mesos 1.11.0.
    pub fn validate(&self, framework_info: &FrameworkInfo, role: &str) -> Result<()> {
        told(check_operation(self, framework_info, role))
    }
}

fn check_operation(own: &Operation, info: &FrameworkInfo, role: &str) -> Check {
    let kind = own.r#type();
    if matches!(kind, operation::Type::Launch | operation::Type::LaunchGroup) {
        return check_launch(own);
    }
    let invalid = |why| format!("Operation attempted with invalid resources: {why}");
    shape(own).map_err(invalid)?;
    if own
        .reserve
        .as_ref()
        .is_some_and(|own| !own.source.is_empty())
    {
        let why = "Reservation updates are not yet implemented for the scheduler API.";
        return Err(invalid(why.to_owned()));
    }
    let mut own = own.clone();
    for resource in super::resources_of(&mut own) {
        allocate(std::slice::from_mut(resource), role);
    }
    let requester = Requester {
        principal: info.principal.as_deref(),
        framework: Some(info),
        checkpointed: None,
        used: &Resources::new(),
    };
    requester.check(&own)
}

fn check_launch(own: &Operation) -> Check {
    let name = own.r#type().as_str_name();
    if own.id.is_some() {
        return Err(format!("The `id` field cannot be set on {name} operations"));
    }
    let known = &Told::default();
    match (&own.launch, &own.launch_group) {
        (Some(launch), None) => {
            let mut tasks = launch.task_infos.iter();
            tasks.try_for_each(|task| check_task(task, &[], known))
        }
        (None, Some(group)) => check_group(&group.task_group, &group.executor, &[], known),
        _ => Err(format!("{name} without what belongs to it")),
    }
}
