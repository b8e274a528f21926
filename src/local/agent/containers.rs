//! Executors' containers: processes started in their sandboxes, each in a process group of its own, and reaped; or the
//! built-in executor, hosted in this process.
//!
//! Source: `src/slave/containerizer/mesos/launch.cpp` of Apache Mesos 1.11.0, with the POSIX launcher.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use super::hosted;
use super::sandbox::{Launch, Program};
use crate::builtin::process::{self, ProcessGroup, raw_status};
use crate::local::core::Core;
use crate::proto::CommandInfo;

/// Raw wait status of a launcher that could not start its command: exit code 1.
const NOT_STARTED: i32 = 1 << 8;

/// Starts a container, in a task that ends when its processes have been reaped and the agent told.
pub(in crate::local) fn start(core: &Arc<Core>, launch: Launch) {
    let (core, tasks) = (Arc::clone(core), core.tasks.clone());
    tasks.spawn(async move {
        let ended = match &launch.program {
            Program::Child(command) => run(&core, &launch, command).await.map(raw_status),
            Program::CommandExecutor => hosted::run(&core, &launch).await,
        };
        let status = match ended {
            Ok(status) => status,
            Err(error) => {
                tracing::warn!(%error, executor_id = %launch.run.executor_id, "executor not started");
                NOT_STARTED
            }
        };
        core.run(|world| {
            if let Some(agent) = world.agents.get_mut(launch.agent) {
                agent.container_ended(&launch.run, status);
            }
        });
    });
}

/// From the making of the sandbox to the end of the process, whether it ends by itself or is killed.
async fn run(core: &Core, launch: &Launch, info: &CommandInfo) -> io::Result<ExitStatus> {
    let (stdout, mut stderr) = furnish(&launch.sandbox).await?;
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
    tokio::select! {
        status = child.wait() => return status,
        () = launch.kill.cancelled() => {}
        () = core.stop.cancelled() => {}
    }
    group.kill();
    child.start_kill()?;
    child.wait().await
}

/// Makes a sandbox; answers its files for stdout and stderr.
pub(super) async fn furnish(sandbox: &Path) -> io::Result<(File, File)> {
    tokio::fs::create_dir_all(sandbox).await?;
    link_latest(sandbox).await;
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
