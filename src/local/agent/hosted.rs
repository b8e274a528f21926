//! The built-in command executor, in this process: the real driver over the real wire.
//!
//! Only its command is a child process. Source: `src/launcher/executor.cpp` of Apache Mesos 1.11.0.

use std::io;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::containers::furnish;
use super::sandbox::Launch;
use crate::builtin::{CommandExecutor, Place};
use crate::executor::{ExecutorConfig, ExecutorDriver};
use crate::local::core::Core;

/// Raw wait statuses of an executor that ended by itself, failed, or was killed.
const ENDED: i32 = 0;
const FAILED: i32 = 1 << 8;
const KILLED: i32 = 9;

/// How long a killed driver may take to close its connections before it is left to itself.
const CLOSING: Duration = Duration::from_secs(2);

/// From the making of the sandbox until the driver has ended and the command's processes are reaped.
pub(super) async fn run(core: &Core, launch: &Launch) -> io::Result<i32> {
    let (stdout, stderr) = furnish(&launch.sandbox).await?;
    let environment = launch.environment.clone();
    let config = ExecutorConfig::from_lookup(|name| launch.environment.get(name).cloned());
    let (executor, command) = CommandExecutor::new(Place {
        environment,
        directory: launch.sandbox.clone(),
        stdout,
        stderr,
    });
    let builder = ExecutorDriver::builder(executor);
    let driver = config.and_then(|config| builder.config(config).build());
    let mut driver = driver.map_err(io::Error::other)?;
    driver.start().map_err(io::Error::other)?;
    let handle = driver.handle();
    let end = CancellationToken::new();
    let life = async {
        let status = tokio::select! {
            ended = driver.join() => match ended {
                Ok(_) => ENDED,
                Err(error) => {
                    tracing::warn!(%error, executor_id = %launch.run.executor_id, "command executor failed");
                    FAILED
                }
            },
            () = launch.kill.cancelled() => KILLED,
            () = core.stop.cancelled() => KILLED,
        };
        end.cancel();
        if status == KILLED {
            handle.abort();
            let _ = tokio::time::timeout(CLOSING, driver.join()).await;
        }
        status
    };
    let ((), status) = tokio::join!(command.run(handle.clone(), end.clone()), life);
    Ok(status)
}
