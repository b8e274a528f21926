//! Executors in this process: the real driver over the real wire.
//!
//! The built-in executors, of which only the commands of their tasks are child processes (`src/launcher/executor.cpp` and
//! `src/launcher/default_executor.cpp` of Apache Mesos 1.11.0); and what the user's factories make.

use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::containers::furnish;
use super::factory::ExecutorLaunch;
use super::mortal::Mortal;
use super::sandbox::Launch;
use crate::builtin::{BuiltIn, Kind, Place};
use crate::driver::Status;
use crate::error::{ErrorKind, Result};
use crate::executor::{ExecutorConfig, ExecutorDriver};
use crate::local::core::Core;
use crate::local::tokens;

/// Raw wait statuses: exited with 0, with 1 and, as a Rust program that panicked, with 101; killed by SIGKILL.
const ENDED: i32 = 0;
const FAILED: i32 = 1 << 8;
const PANICKED: i32 = 101 << 8;
const KILLED: i32 = 9;

/// How long a killed driver may take to close its connections before it is left to itself.
const CLOSING: Duration = Duration::from_secs(2);

/// From the making of the sandbox until the end of what the user's factories make of `launch`; `None` if they make
/// nothing of it.
pub(super) async fn run_custom(core: &Core, launch: &Launch) -> io::Result<Option<i32>> {
    let factories = &core.config.factories;
    if factories.is_empty() {
        return Ok(None);
    }
    let (_, mut stderr) = furnish(launch).await?;
    let described = match config(launch) {
        Ok(config) => ExecutorLaunch {
            executor_info: launch.executor.clone(),
            environment: launch.environment.clone(),
            config,
        },
        Err(error) => {
            // Its program will find that out by itself.
            tracing::warn!(%error, executor_id = %launch.run.executor_id, "no factory asked");
            return Ok(None);
        }
    };
    let executor = match catch_unwind(AssertUnwindSafe(|| factories.make(&described))) {
        Ok(Some(executor)) => Mortal::new(executor, launch.kill.clone(), core.stop.clone()),
        Ok(None) => return Ok(None),
        Err(_) => {
            writeln!(stderr, "the executor's factory panicked")?;
            return Ok(Some(PANICKED));
        }
    };
    let builder = ExecutorDriver::builder(executor).config(described.config);
    let driver = builder.build().map_err(io::Error::other)?;
    Ok(Some(live(core, launch, driver, &mut stderr).await))
}

/// From the making of the sandbox until the driver has ended and the commands' processes are reaped.
pub(super) async fn run(core: &Core, launch: &Launch, kind: Kind) -> io::Result<i32> {
    let (stdout, stderr) = furnish(launch).await?;
    let mut own_stderr = stderr.try_clone()?;
    let mut environment = launch.environment.clone();
    // The commands are not to speak for their executor.
    environment.remove(tokens::VARIABLE);
    let place = Place {
        environment,
        directory: launch.sandbox.clone(),
        stdout,
        stderr,
    };
    let (executor, tasks) = BuiltIn::new(kind, place);
    let builder = ExecutorDriver::builder(executor);
    let driver = config(launch).and_then(|config| builder.config(config).build());
    let driver = driver.map_err(io::Error::other)?;
    let handle = driver.handle();
    let end = CancellationToken::new();
    let ends = end.clone().drop_guard();
    let life = async {
        let status = live(core, launch, driver, &mut own_stderr).await;
        drop(ends);
        status
    };
    let ((), status) = tokio::join!(tasks.run(handle, end), life);
    Ok(status)
}

fn config(launch: &Launch) -> Result<ExecutorConfig> {
    ExecutorConfig::from_lookup(|name| launch.environment.get(name).cloned())
}

/// Runs the driver until it ends or is killed; the raw wait status of the program that it stands for.
async fn live(
    core: &Core,
    launch: &Launch,
    mut driver: ExecutorDriver,
    stderr: &mut std::fs::File,
) -> i32 {
    let ended = match driver.start() {
        Ok(_) => tokio::select! {
            ended = driver.join() => ended,
            () = launch.kill.cancelled() => return killed(driver).await,
            () = core.stop.cancelled() => return killed(driver).await,
        },
        Err(error) => Err(error),
    };
    let error = match ended {
        Ok(Status::Aborted) => return FAILED,
        Ok(_) => return ENDED,
        Err(error) => error,
    };
    tracing::warn!(%error, executor_id = %launch.run.executor_id, "executor failed");
    if let Err(error) = writeln!(stderr, "{error}") {
        tracing::warn!(%error, "the executor's stderr cannot be written");
    }
    match error.kind() {
        ErrorKind::CallbackPanicked => PANICKED,
        _ => FAILED,
    }
}

async fn killed(mut driver: ExecutorDriver) -> i32 {
    driver.handle().abort();
    if tokio::time::timeout(CLOSING, driver.join()).await.is_err() {
        tracing::debug!("a killed executor's driver closes behind it");
    }
    KILLED
}
