//! Limits of resources, and who shares his executor's.
//!
//! Source: `validateResourceLimits` and `validateShareCgroups`, `src/master/validation.cpp` of Apache Mesos 1.11.0.

use super::Check;
use super::task::{Known, Launching};
use crate::proto::{ContainerInfo, ExecutorInfo, LinuxInfo, TaskInfo};
use crate::resources::Resources;

/// A limit is not below what is asked for.
pub(super) fn check_limits(task: &TaskInfo) -> Check {
    let own = Resources::from_unchecked(&task.resources);
    let asked = |name: &str| Some(own.scalar(name)).filter(|amount| *amount > 0.0);
    let mut names = task.limits.keys();
    if names.any(|name| name != "cpus" && name != "mem") {
        let why = "Only cpus and mem may be included in a task's resource limits";
        return Err(why.to_owned());
    }
    if let Some(limit) = task.limits.get("cpus") {
        let Some(cpus) = asked("cpus") else {
            let why = "When a CPU limit is specified, a CPU request must also be specified";
            return Err(why.to_owned());
        };
        if limit.value < cpus {
            let why = "The cpu limit must be greater than or equal to the cpu request";
            return Err(why.to_owned());
        }
    }
    if let Some(limit) = task.limits.get("mem") {
        let Some(mem) = asked("mem") else {
            let why = "When a memory limit is specified, a memory request must also be specified";
            return Err(why.to_owned());
        };
        // In whole megabytes.
        if limit.value.trunc() < mem.trunc() {
            let why = "The memory limit must be greater than or equal to the memory request";
            return Err(why.to_owned());
        }
    }
    Ok(())
}

fn stated(container: Option<&ContainerInfo>) -> Option<bool> {
    container?.linux_info.as_ref()?.share_cgroups
}

/// Whether the limits are its executor's; so it is unless told otherwise.
fn shares_cgroups(container: Option<&ContainerInfo>) -> bool {
    stated(container).unwrap_or(true)
}

/// Of a task that has its executor for itself.
pub(super) fn check_alone(task: &TaskInfo) -> Check {
    if stated(task.container.as_ref()) == Some(false) {
        let why = "Only tasks in a task group may have 'share_cgroups' set to 'false'";
        return Err(why.to_owned());
    }
    Ok(())
}

/// An executor has nobody to share with.
pub(super) fn check_executor(executor: &ExecutorInfo) -> Check {
    if stated(executor.container.as_ref()) == Some(true) {
        let why = "The 'share_cgroups' field cannot be set to 'true' on executor containers";
        return Err(why.to_owned());
    }
    Ok(())
}

/// Of a task in a group.
pub(super) fn check_grouped(task: &TaskInfo) -> Check {
    let linux = task
        .container
        .as_ref()
        .and_then(|own| own.linux_info.as_ref());
    if !task.limits.is_empty() && linux.is_none_or(LinuxInfo::share_cgroups) {
        return Err(
            "Resource limits may only be set for tasks within a task group when the 'share_cgroups' field is set to 'false'."
                .to_owned(),
        );
    }
    Ok(())
}

impl<K: Known> Launching<'_, K> {
    /// All tasks of an executor share, or none.
    pub(super) fn check_sharing(&self, executor: &ExecutorInfo, tasks: &[TaskInfo]) -> Check {
        check_executor(executor)?;
        let known = self.known.containers(executor).into_iter();
        let new = tasks.iter().map(|task| task.container.as_ref());
        let mut all = new.chain(known).map(shares_cgroups);
        let first = all.next();
        if all.any(|own| Some(own) != first) {
            return Err(
                "If set, the value of 'share_cgroups' must be the same for all tasks in each task group and under a single executor"
                    .to_owned(),
            );
        }
        Ok(())
    }
}
