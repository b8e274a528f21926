//! Executors' containers: processes started in their sandboxes, each in a process group of its own, and reaped; or the
//! built-in executor and the user's, hosted in this process.
//!
//! Source: `src/slave/containerizer/mesos/launch.cpp` of Apache Mesos 1.11.0, with the POSIX launcher.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use super::sandbox::{Launch, Program};
use super::{disk, hosted};
use crate::builtin::fetch;
use crate::builtin::process::{self, ProcessGroup, raw_status};
use crate::local::core::Core;
use crate::proto::CommandInfo;

/// Raw wait status of a launcher that could not start its command: exit code 1.
const NOT_STARTED: i32 = 1 << 8;

/// Raw wait status of a container whose launcher was killed, as it is when a launch fails.
const KILLED: i32 = 9;

/// Starts a container, in a task that ends when its processes have been reaped and the agent told.
pub(in crate::local) fn start(core: &Arc<Core>, launch: Launch) {
    let (core, tasks) = (Arc::clone(core), core.tasks.clone());
    tasks.spawn(async move {
        core.config.wire.gate().passed().await;
        let ended = match &launch.program {
            Program::Child(command) => custom(&core, &launch, command).await,
            Program::BuiltIn(kind) => match fetched(&core, &launch).await {
                Ok(None) => hosted::run(&core, &launch, *kind).await,
                Ok(Some(status)) => Ok(status),
                Err(error) => Err(error),
            },
        };
        let status = match ended {
            Ok(status) => status,
            Err(error) => {
                tracing::warn!(%error, executor_id = %launch.run.executor_id, "executor not started");
                NOT_STARTED
            }
        };
        core.run(|world| world.container_ended(launch.agent, &launch.run, status));
    });
}

/// An executor of the framework's: of the user's factories, or a program.
async fn custom(core: &Arc<Core>, launch: &Launch, command: &CommandInfo) -> io::Result<i32> {
    if let Some(status) = hosted::run_custom(core, launch).await? {
        return Ok(status);
    }
    if let Some(status) = fetched(core, launch).await? {
        return Ok(status);
    }
    run(core, launch, command).await.map(raw_status)
}

/// Brings the container's URIs into its sandbox. The raw wait status of the container, if it ends with that: because it
/// is killed, or because they cannot be brought.
async fn fetched(core: &Arc<Core>, launch: &Launch) -> io::Result<Option<i32>> {
    let command = launch.executor.command.as_ref();
    let uris = command.map_or(&[][..], |command| &command.uris);
    if uris.is_empty() {
        return Ok(None);
    }
    let (_, mut stderr) = furnish(launch).await?;
    let container_id = &launch.run.container_id;
    let result = tokio::select! {
        result = fetch(container_id, &launch.sandbox, uris, &mut stderr) => result,
        () = launch.kill.cancelled() => return Ok(Some(KILLED)),
        () = core.stop.cancelled() => return Ok(Some(KILLED)),
    };
    let Err(why) = result else {
        return Ok(None);
    };
    core.run(|world| {
        if let Some(agent) = world.agents.get_mut(launch.agent) {
            agent.launch_failed(&launch.run, &why);
        }
    });
    Ok(Some(KILLED))
}

/// From the making of the sandbox to the end of the process, whether it ends by itself or is killed.
async fn run(core: &Arc<Core>, launch: &Launch, info: &CommandInfo) -> io::Result<ExitStatus> {
    let (stdout, mut stderr) = furnish(launch).await?;
    let mut command = process::command(info, &launch.sandbox);
    command
        .env_clear()
        .envs(&launch.environment)
        .current_dir(&launch.sandbox)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr.try_clone()?)
        .kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            // A line of a few bytes into a local file.
            writeln!(stderr, "Failed to execute command: {error}")?;
            return Err(error);
        }
    };
    let group = ProcessGroup::of(&child);
    let process = child.id().and_then(|id| i32::try_from(id).ok());
    core.run(|world| {
        if let Some(agent) = world.agents.get_mut(launch.agent) {
            agent.process_started(&launch.run, process);
        }
    });
    tokio::select! {
        status = child.wait() => return status,
        () = launch.kill.cancelled() => {}
        () = core.stop.cancelled() => {}
    }
    group.kill();
    child.start_kill()?;
    child.wait().await
}

/// Makes a sandbox with the volumes in it; answers its files for stdout and stderr.
pub(super) async fn furnish(launch: &Launch) -> io::Result<(File, File)> {
    let sandbox = &launch.sandbox;
    tokio::fs::create_dir_all(sandbox).await?;
    link_latest(sandbox).await;
    disk::link_all(&launch.volumes).await?;
    Ok((
        output(sandbox, "stdout").await?,
        output(sandbox, "stderr").await?,
    ))
}

async fn output(sandbox: &Path, name: &str) -> io::Result<File> {
    let mut options = tokio::fs::OpenOptions::new();
    let file = options.create(true).append(true).open(sandbox.join(name));
    Ok(file.await?.into_std().await)
}

/// `latest` beside the runs; people's convenience only.
async fn link_latest(sandbox: &Path) {
    #[cfg(unix)]
    if let Some(runs) = sandbox.parent() {
        let link = runs.join("latest");
        let _ = tokio::fs::remove_file(&link).await;
        if let Err(error) = tokio::fs::symlink(sandbox, &link).await {
            tracing::debug!(%error, link = %link.display(), "link not made");
        }
    }
    #[cfg(not(unix))]
    let _ = sandbox;
}
