//! Persistent volumes: directories below the agent's work directory, linked into the sandboxes of those that use them.
//!
//! Source: `src/slave/paths.cpp` and `src/slave/containerizer/mesos/isolators/filesystem/posix.cpp` of Apache Mesos
//! 1.11.0.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::disk::{Chore, Next, Work};
use super::state::{Agent, Executor, Run};
use crate::proto::resource::disk_info::source;
use crate::proto::{ExecutorId, FrameworkId, Resource, TaskId};
use crate::resources::{Resources, reservation_role};

/// A volume, and where somebody looks for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::local) struct Link {
    pub(in crate::local) volume: PathBuf,
    pub(in crate::local) link: PathBuf,
}

/// Where the persistent volumes among `resources` are.
pub(super) fn paths(work_directory: &Path, resources: &Resources) -> BTreeSet<PathBuf> {
    let volumes = resources.persistent_volumes().to_protos();
    let paths = volumes.iter();
    paths
        .filter_map(|volume| path(work_directory, volume))
        .collect()
}

/// Roles have slashes in them, directories' names have not; and no role has a space in it.
fn path(work_directory: &Path, volume: &Resource) -> Option<PathBuf> {
    let disk = volume.disk.as_ref()?;
    let id = &disk.persistence.as_ref()?.id;
    let root = match &disk.source {
        None => work_directory.to_owned(),
        Some(source) => match source.r#type() {
            source::Type::Path => work_directory.join(source.path.as_ref()?.root.as_ref()?),
            source::Type::Mount => {
                return Some(work_directory.join(source.mount.as_ref()?.root.as_ref()?));
            }
            source::Type::Block | source::Type::Raw | source::Type::Unknown => return None,
        },
    };
    let role = reservation_role(volume)?.replace('/', " ");
    let mut path = root.join("volumes").join("roles");
    path.extend([role.as_str(), id.as_str()]);
    Some(path)
}

/// How `resources` are to be seen in `sandbox`. Paths with slashes in them are left out, as Mesos does.
fn links(work_directory: &Path, sandbox: &Path, resources: &Resources) -> BTreeSet<Link> {
    let volumes = resources.persistent_volumes().to_protos();
    let links = volumes.iter().filter_map(|volume| {
        let mounted = volume.disk.as_ref()?.volume.as_ref()?;
        let name = mounted.container_path.as_str();
        if name.is_empty() || name == "." || name == ".." || name.contains('/') {
            tracing::warn!(name, "volume not linked into its sandbox");
            return None;
        }
        Some(Link {
            volume: path(work_directory, volume)?,
            link: sandbox.join(name),
        })
    });
    links.collect()
}

impl Agent {
    /// What the volumes of a new executor and of the tasks that wait for it are to be seen as.
    pub(super) fn first_links(&self, run: &Run, executor: &Executor) -> Vec<Link> {
        let mut resources = Resources::from_unchecked(&executor.info.resources);
        let waiting = executor.queued.iter().flat_map(|queued| &queued.tasks);
        for task in waiting {
            resources += &Resources::from_unchecked(&task.resources);
        }
        let Some(sandbox) = self.sandbox(run) else {
            return Vec::new();
        };
        let links = links(&self.work_directory(), &sandbox, &resources);
        links.into_iter().collect()
    }

    /// Those of an executor and its live tasks, where it runs.
    fn links_of(&self, framework_id: &FrameworkId, executor_id: &ExecutorId) -> BTreeSet<Link> {
        let framework = self.frameworks.get(framework_id);
        let Some(executor) = framework.and_then(|own| own.executors.get(executor_id)) else {
            return BTreeSet::new();
        };
        let run = Run {
            framework_id: framework_id.clone(),
            executor_id: executor_id.clone(),
            container_id: executor.container_id.clone(),
        };
        let Some(sandbox) = self.sandbox(&run) else {
            return BTreeSet::new();
        };
        let mut resources = Resources::from_unchecked(&executor.info.resources);
        for task_id in self.live_tasks(framework_id, executor_id) {
            if let Some(task) = self.tasks.get(&(framework_id.clone(), task_id)) {
                resources += &Resources::from_unchecked(&task.resources);
            }
        }
        links(&self.work_directory(), &sandbox, &resources)
    }

    /// Whether the executor, or a task that waits for it, has a volume: looked at first, for nearly none has.
    fn brings_volumes(&self, framework_id: &FrameworkId, executor_id: &ExecutorId) -> bool {
        let framework = self.frameworks.get(framework_id);
        let Some(executor) = framework.and_then(|own| own.executors.get(executor_id)) else {
            return false;
        };
        let queued = executor.queued.iter().flat_map(|queued| &queued.tasks);
        let queued = queued.flat_map(|task| &task.resources);
        let mut all = executor.info.resources.iter().chain(queued);
        all.any(|own| {
            let disk = own.disk.as_ref();
            disk.is_some_and(|disk| disk.persistence.is_some())
        })
    }

    /// Has volumes linked into the executor's sandbox before it is given its tasks; whether there are any.
    pub(super) fn link_volumes(
        &mut self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
    ) -> bool {
        if !self.brings_volumes(framework_id, executor_id) {
            return false;
        }
        let links = self.links_of(framework_id, executor_id);
        if links.is_empty() {
            return false;
        }
        self.chores.push(Chore {
            agent: self.index,
            work: links.into_iter().map(Work::Link).collect(),
            next: Next::Give(framework_id.clone(), executor_id.clone()),
        });
        true
    }

    /// Takes away the links of a task that has ended, while its executor lives on.
    pub(super) fn unlink_volumes(
        &mut self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        task_id: &TaskId,
    ) {
        let key = (framework_id.clone(), task_id.clone());
        let framework = self.frameworks.get(framework_id);
        let executor = framework.and_then(|own| own.executors.get(executor_id));
        let (Some(executor), Some(task)) = (executor, self.tasks.get(&key)) else {
            return;
        };
        let run = Run {
            framework_id: framework_id.clone(),
            executor_id: executor_id.clone(),
            container_id: executor.container_id.clone(),
        };
        let resources = Resources::from_unchecked(&task.resources).persistent_volumes();
        let Some(sandbox) = self.sandbox(&run).filter(|_| !resources.is_empty()) else {
            return;
        };
        let own = links(&self.work_directory(), &sandbox, &resources);
        let others = self.links_of(framework_id, executor_id);
        let needless: Vec<Work> = own.difference(&others).cloned().map(Work::Unlink).collect();
        if !needless.is_empty() {
            self.chores.push(Chore {
                agent: self.index,
                work: needless,
                next: Next::Nothing,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::resource::DiskInfo;
    use crate::proto::resource::disk_info::Persistence;

    #[test]
    fn a_volume_is_kept_by_role_and_id() {
        let mut volume = Resources::parse("disk(a/b):1")
            .unwrap()
            .to_protos()
            .remove(0);
        volume.disk = Some(Box::new(DiskInfo {
            persistence: Some(Persistence {
                id: "data".to_owned(),
                principal: None,
            }),
            ..Default::default()
        }));
        let found = path(Path::new("agent"), &volume);
        let expected = PathBuf::from("agent/volumes/roles/a b/data");
        assert_eq!(found, Some(expected));
    }
}
