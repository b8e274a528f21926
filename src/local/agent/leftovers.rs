//! What an earlier cluster in the same work directory has left running, because its process was killed.
//!
//! Executors that are programs of frameworks that checkpoint are waited for, as a restarted agent waits for its own; all
//! other processes in sandboxes are orphans, and are killed (`MesosContainerizerProcess::_recover`,
//! `src/slave/containerizer/mesos/containerizer.cpp` of Apache Mesos 1.11.0). Processes are told by the sandbox in their
//! environment, so that this works on Linux only: elsewhere nothing is found.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::checkpoint::Checkpoint;
use super::state::Run;
use crate::builtin::process;
use crate::local::core::Core;

/// Which variable of an executor's environment names its sandbox.
const SANDBOX: &[u8] = b"MESOS_SANDBOX=";

/// How often it is looked whether a process that is nobody's child here still runs (`MIN_REAP_INTERVAL`,
/// `3rdparty/libprocess/src/reap.cpp`).
const REAP_INTERVAL: Duration = Duration::from_millis(100);

/// Raw wait status of a process killed here. That of others is their parent's to know: −1.
const KILLED: i32 = 9;
const UNKNOWN: i32 = -1;

/// An executor that outlived its cluster.
#[derive(Debug)]
pub(in crate::local) struct Leftover {
    pub(in crate::local) agent: usize,
    pub(in crate::local) run: Run,
    /// Cancelled to have all its processes killed.
    pub(in crate::local) kill: CancellationToken,
    process: i32,
}

/// The executors among `agents` that still run. All other processes in sandboxes below `directory` are killed.
pub(in crate::local) fn sort_out(directory: &Path, agents: &[Option<Checkpoint>]) -> Vec<Leftover> {
    let mut found = Vec::new();
    for (agent, checkpoint) in agents.iter().enumerate() {
        found.extend(checkpoint.iter().flat_map(|own| left_by(agent, own)));
    }
    // Nobody was there before: nothing is looked for.
    if agents.iter().any(Option::is_some) {
        let kept = found.iter().map(|left| left.run.container_id.as_str());
        kill_orphans(&directory.join("agents"), &kept.collect());
    }
    found
}

/// The executors of an agent that still run.
fn left_by(agent: usize, checkpoint: &Checkpoint) -> Vec<Leftover> {
    let mut left = Vec::new();
    for framework in &checkpoint.frameworks {
        for executor in &framework.executors {
            let Some(process) = executor.process else {
                continue;
            };
            if runs_in(process, &executor.container_id) {
                left.push(Leftover {
                    agent,
                    run: Run {
                        framework_id: framework.id.clone(),
                        executor_id: executor.info.executor_id.clone(),
                        container_id: executor.container_id.clone(),
                    },
                    kill: CancellationToken::new(),
                    process,
                });
            }
        }
    }
    left
}

/// Kills whatever runs in sandboxes in `directory`, but those of the containers `kept`.
fn kill_orphans(directory: &Path, kept: &BTreeSet<&str>) {
    for (process, sandbox) in sandboxed() {
        let mut parts = sandbox.iter().filter_map(OsStr::to_str);
        if !sandbox.starts_with(directory) || parts.any(|part| kept.contains(part)) {
            continue;
        }
        tracing::info!(process, sandbox = %sandbox.display(), "orphan killed");
        kill(process);
    }
}

#[cfg(unix)]
fn kill(id: i32) {
    if let Err(error) = process::kill_stranger(id) {
        tracing::debug!(%error, id, "an orphan has ended by itself");
    }
}

#[cfg(not(unix))]
fn kill(_: i32) {}

/// All processes in sandboxes, by their ids.
fn sandboxed() -> Vec<(i32, PathBuf)> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter_map(|id: i32| Some((id, sandbox_of(id)?)))
        .collect()
}

/// In which sandbox a process runs, if it is alive and in one.
#[cfg(unix)]
fn sandbox_of(id: i32) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;

    // Empty for those that have ended and are not reaped, closed for those of other users.
    let environment = std::fs::read(format!("/proc/{id}/environ")).ok()?;
    let mut variables = environment.split(|byte| *byte == 0);
    let value = variables.find_map(|variable| variable.strip_prefix(SANDBOX))?;
    Some(PathBuf::from(OsStr::from_bytes(value)))
}

#[cfg(not(unix))]
fn sandbox_of(_: i32) -> Option<PathBuf> {
    None
}

fn runs_in(process: i32, container_id: &str) -> bool {
    let sandbox = sandbox_of(process);
    sandbox.is_some_and(|sandbox| sandbox.ends_with(container_id))
}

/// Waits for the end of an executor that is no child of this process, and has it killed when that is wanted.
pub(in crate::local) fn watch(core: &Arc<Core>, left: Leftover) {
    let (core, tasks) = (Arc::clone(core), core.tasks.clone());
    tasks.spawn(async move {
        let status = end_of(&core, &left).await;
        core.run(|world| world.container_ended(left.agent, &left.run, status));
    });
}

#[cfg(unix)]
async fn end_of(core: &Core, left: &Leftover) -> i32 {
    // Kills when dropped: after the end, what the executor has left in its group.
    let group = process::ProcessGroup::led_by(left.process);
    tokio::select! {
        () = gone(left) => return UNKNOWN,
        () = left.kill.cancelled() => {}
        () = core.stop.cancelled() => {}
    }
    group.kill();
    gone(left).await;
    KILLED
}

#[cfg(not(unix))]
async fn end_of(_: &Core, _: &Leftover) -> i32 {
    UNKNOWN
}

async fn gone(left: &Leftover) {
    while runs_in(left.process, &left.run.container_id) {
        tokio::time::sleep(REAP_INTERVAL).await;
    }
}
