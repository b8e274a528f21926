//! One task of a group, and its sandbox.
//!
//! Source: `DefaultExecutor::_launchGroup` and `__launchGroup`, `src/launcher/default_executor.cpp`, and
//! `src/slave/containerizer/mesos/paths.cpp` of Apache Mesos 1.11.0.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::volumes;
use crate::builtin::checks::Checks;
use crate::builtin::fetch::fetch;
use crate::builtin::process::{DEFAULT_PATH, Place, Process, Whom, variables};
use crate::builtin::relay::Launch;
use crate::builtin::status::Reporter;
use crate::builtin::task::{Parts, Running, role};
use crate::executor::ExecutorHandle;
use crate::proto::{CommandInfo, ContainerId, TaskId, TaskInfo, TaskState, TaskStatus};

/// A task that has been announced and not started.
pub(super) struct Container {
    id: String,
    launch: Launch,
    reporter: Reporter,
}

/// A task that has been started, or whose sandbox could not be made.
pub(super) struct Started {
    task_id: TaskId,
    running: Result<Running, (Reporter, String)>,
}

/// What comes to a task from outside.
pub(super) struct Outside {
    pub(super) kills: mpsc::Receiver<Duration>,
    /// Its processes are to be killed; nobody is told.
    pub(super) end: CancellationToken,
}

/// A task that has ended.
pub(super) struct Ended {
    pub(super) task_id: TaskId,
    pub(super) state: TaskState,
    /// Completes when the agent has answered the last update.
    pub(super) told: BoxFuture<'static, ()>,
}

impl Container {
    /// A container below the executor's, whose sandbox is `executor`, for a task that is starting.
    pub(super) async fn announce(
        launch: Launch,
        executor: &Place,
        driver: &ExecutorHandle,
    ) -> Self {
        let id = Uuid::new_v4().to_string();
        let container = ContainerId {
            value: id.clone(),
            parent: Some(Box::new(ContainerId {
                value: name_of(&executor.directory),
                parent: None,
            })),
        };
        let mut reporter = Reporter::new(driver.clone(), &launch.task, Some(container));
        reporter.tell(TaskState::TaskStarting).await;
        Self {
            id,
            launch,
            reporter,
        }
    }

    pub(super) fn task(&self) -> &TaskInfo {
        &self.launch.task
    }

    /// Makes its sandbox, brings its URIs there, and starts its command.
    pub(super) async fn start(
        self,
        executor: Arc<Place>,
        is_unhealthy: Arc<AtomicBool>,
    ) -> Started {
        let task_id = self.launch.task.task_id.clone();
        let running = match self.furnished(&executor).await {
            Ok((place, checks)) => Ok(self.run(place, checks, is_unhealthy)),
            Err(why) => Err((self.reporter, why)),
        };
        Started { task_id, running }
    }

    /// Where its command runs, with all that it finds there; or why its container cannot be launched.
    async fn furnished(&self, executor: &Place) -> Result<(Place, Checks), String> {
        let placed = self.place(executor).await;
        let (mut place, checks) =
            placed.map_err(|error| format!("Failed to create nested sandbox: {error}"))?;
        volumes::link(&self.launch.task, &place.directory, &executor.directory).await?;
        let command = self.launch.task.command.as_ref();
        let uris = command.map_or(&[][..], |command| &command.uris);
        let id = format!("{}.{}", name_of(&executor.directory), self.id);
        fetch(&id, &place.directory, uris, &mut place.stderr).await?;
        Ok((place, checks))
    }

    fn command(&self) -> CommandInfo {
        self.launch.task.command.clone().unwrap_or_default()
    }

    async fn place(&self, executor: &Place) -> io::Result<(Place, Checks)> {
        let directory = executor.directory.join("containers").join(&self.id);
        tokio::fs::create_dir_all(&directory).await?;
        let stderr = executor.stderr.try_clone()?;
        let place = Place {
            environment: self.environment(executor, &directory),
            stdout: output(&directory, "stdout").await?,
            stderr: output(&directory, "stderr").await?,
            directory,
        };
        link(executor, &place.directory, &self.launch.task.task_id).await;
        // What commands of checks write is in the executor's log.
        let checks = Checks::of(&self.launch.task, || {
            Ok(Place {
                environment: place.environment.clone(),
                directory: place.directory.clone(),
                stdout: stderr.try_clone()?,
                stderr: stderr.try_clone()?,
            })
        });
        Ok((place, checks))
    }

    /// Nothing of the executor's own.
    fn environment(&self, executor: &Place, sandbox: &Path) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::new();
        let mut set = |name: &str, value: String| environment.insert(name.to_owned(), value);
        set("PATH", DEFAULT_PATH.to_owned());
        set("MESOS_SANDBOX", sandbox.display().to_string());
        environment.extend(variables(&self.command()));
        let mut set = |name: &str, value: String| environment.insert(name.to_owned(), value);
        let address = executor.environment.get("LIBPROCESS_IP").cloned();
        if let Some(address) = address {
            set("MESOS_CONTAINER_IP", address);
        }
        set("MESOS_ALLOCATION_ROLE", role(&self.launch.task));
        environment
    }

    fn run(self, place: Place, checks: Checks, is_unhealthy: Arc<AtomicBool>) -> Running {
        let command = self.command();
        let parts = Parts {
            process: Process::start(&command, place),
            checks,
            reporter: self.reporter,
            is_unhealthy,
            whom: Whom::Leader,
        };
        Running::new(parts, &self.launch, Instant::now())
    }
}

impl Started {
    pub(super) fn task_id(&self) -> &TaskId {
        &self.task_id
    }

    pub(super) async fn tell_running(&mut self) {
        if let Ok(running) = &mut self.running {
            running.reporter().tell(TaskState::TaskRunning).await;
        }
    }

    /// Runs it to its end, and tells of that.
    pub(super) async fn live(self, outside: Outside) -> Ended {
        let last = match self.running {
            Ok(running) => until_its_end(running, outside).await,
            Err((reporter, why)) => {
                let failed = reporter.fresh(TaskState::TaskFailed);
                let message = Some(why);
                Some((reporter, TaskStatus { message, ..failed }))
            }
        };
        let (state, told): (_, BoxFuture<'static, ()>) = match last {
            Some((mut reporter, last)) => (last.state(), reporter.send_last(last).await),
            None => (TaskState::TaskKilled, Box::pin(std::future::ready(()))),
        };
        Ended {
            task_id: self.task_id,
            state,
            told,
        }
    }
}

/// Answers the last status, to be sent; `None` if the task was ended from outside.
async fn until_its_end(
    mut running: Running,
    mut outside: Outside,
) -> Option<(Reporter, TaskStatus)> {
    loop {
        tokio::select! {
            happening = running.happening() => {
                if let Some(last) = running.react(happening).await {
                    return Some((running.into_reporter(), last));
                }
            }
            Some(grace) = outside.kills.recv() => {
                // It may be killed already, for bad health or after too long a time.
                if !running.is_being_killed() {
                    running.kill_within(grace).await;
                }
            }
            () = outside.end.cancelled() => {
                running.destroy().await;
                return None;
            }
        }
    }
}

/// The id of a container, which is the name of its sandbox.
fn name_of(sandbox: &Path) -> String {
    let name = sandbox.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

async fn output(directory: &Path, name: &str) -> io::Result<File> {
    let mut options = tokio::fs::OpenOptions::new();
    let file = options.create(true).append(true);
    Ok(file.open(directory.join(name)).await?.into_std().await)
}

/// `tasks/<task id>` in the executor's sandbox leads to the task's, for people.
async fn link(executor: &Place, sandbox: &Path, task_id: &TaskId) {
    let tasks: PathBuf = executor.directory.join("tasks");
    #[cfg(unix)]
    let linked = async {
        tokio::fs::create_dir_all(&tasks).await?;
        tokio::fs::symlink(sandbox, tasks.join(&task_id.value)).await
    };
    #[cfg(not(unix))]
    let linked = async {
        let _ = sandbox;
        tokio::fs::create_dir_all(&tasks).await
    };
    if let Err(error) = linked.await {
        tracing::debug!(%error, %task_id, "link not made");
    }
}
