//! Executors' processes: started in their sandboxes, each in a process group of its own, and reaped.
//!
//! Source: `src/slave/containerizer/mesos/launch.cpp` of Apache Mesos 1.11.0, with the POSIX launcher.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use tokio::process::{Child, Command};

use super::sandbox::Launch;
use crate::local::core::Core;
use crate::proto::CommandInfo;

/// Raw wait status of a launcher that could not start its command: exit code 1.
const NOT_STARTED: i32 = 1 << 8;

/// Starts a process, in a task that ends when the process has been reaped and the agent told.
pub(in crate::local) fn start(core: &Arc<Core>, launch: Launch) {
    let (core, tasks) = (Arc::clone(core), core.tasks.clone());
    tasks.spawn(async move {
        let status = match run(&core, &launch).await {
            Ok(status) => raw_status(status),
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
async fn run(core: &Core, launch: &Launch) -> io::Result<ExitStatus> {
    tokio::fs::create_dir_all(&launch.sandbox).await?;
    link_latest(&launch.sandbox).await;
    let stdout = output(&launch.sandbox, "stdout").await?;
    let mut stderr = output(&launch.sandbox, "stderr").await?;
    let mut command = command(&launch.command, &launch.sandbox);
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

async fn output(sandbox: &Path, name: &str) -> io::Result<std::fs::File> {
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

/// `/bin/sh -c <value>`, or the executable with its whole argv.
fn command(info: &CommandInfo, sandbox: &Path) -> Command {
    if info.shell() {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(info.value());
        return command;
    }
    // A relative executable is looked for in the working directory first, then in PATH.
    let local = sandbox.join(info.value());
    let mut command = if local.is_file() {
        Command::new(local)
    } else {
        Command::new(info.value())
    };
    let mut arguments = info.arguments.iter();
    if let Some(name) = arguments.next() {
        #[cfg(unix)]
        command.arg0(name);
        #[cfg(not(unix))]
        let _ = name;
    }
    command.args(arguments);
    command
}

#[cfg(unix)]
fn raw_status(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.into_raw()
}

#[cfg(not(unix))]
fn raw_status(status: ExitStatus) -> i32 {
    status.code().map_or(-1, |code| code << 8)
}

/// Kills a whole process group when dropped, so that nothing an executor started outlives it, not even when the runtime
/// ends first.
#[derive(Debug)]
struct ProcessGroup {
    #[cfg(unix)]
    id: Option<nix::unistd::Pid>,
}

impl ProcessGroup {
    #[cfg(unix)]
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self {
            id: id.map(nix::unistd::Pid::from_raw),
        }
    }

    #[cfg(not(unix))]
    fn of(_: &Child) -> Self {
        Self {}
    }

    fn kill(&self) {
        #[cfg(unix)]
        if let Some(id) = self.id {
            // Fails when nobody is left in the group, which is what is wanted.
            let _ = nix::sys::signal::killpg(id, nix::sys::signal::Signal::SIGKILL);
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.kill();
    }
}
