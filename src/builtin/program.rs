//! The built-in executors as programs that an agent starts.

use std::fs::{File, OpenOptions};
use std::io;

use tokio_util::sync::CancellationToken;

use super::process::Place;
use super::relay::{BuiltIn, Kind};
use crate::error::{Error, ErrorKind, Result};
use crate::executor::{ExecutorConfig, ExecutorDriver};

/// Runs the command executor in this process, as the agent that started it says in the environment, until its task has
/// ended.
///
/// What an agent starts as `mesos-executor` for a task that is only a command. It speaks HTTP: agents must have
/// `--http_command_executor`. Containers with an image of their own are not covered.
///
/// # Errors
/// [`ErrorKind::Config`] without an agent's environment or outside a tokio runtime; else as
/// [`ExecutorDriver::join`].
/// # Cancel safety
/// Dropped before it completes, the command and all of its process group are killed.
///
/// Source: `src/launcher/executor.cpp` of Apache Mesos 1.11.0.
pub async fn run_command_executor() -> Result<()> {
    run(Kind::Command).await
}

/// Runs the default executor in this process, as the agent that started it says in the environment, until the tasks of
/// all its groups have ended.
///
/// What an agent starts as `mesos-default-executor` for executors of type `DEFAULT`. Its tasks are child processes of
/// this one, not containers of the agent's.
///
/// # Errors
/// [`ErrorKind::Config`] without an agent's environment or outside a tokio runtime; else as
/// [`ExecutorDriver::join`].
/// # Cancel safety
/// Dropped before it completes, all tasks are killed with their process groups.
///
/// Source: `src/launcher/default_executor.cpp` of Apache Mesos 1.11.0.
pub async fn run_default_executor() -> Result<()> {
    run(Kind::Default).await
}

async fn run(kind: Kind) -> Result<()> {
    let config = ExecutorConfig::from_environment()?;
    let place = place(&config).map_err(|error| {
        let context = format!("sandbox {}", config.directory().display());
        Error::caused_by(ErrorKind::Config, context, error)
    })?;
    let (executor, run) = BuiltIn::new(kind, place);
    let mut driver = ExecutorDriver::builder(executor).config(config).build()?;
    driver.start()?;
    let handle = driver.handle();
    let end = CancellationToken::new();
    let ended = async {
        let ended = driver.join().await;
        end.cancel();
        ended
    };
    let ((), ended) = tokio::join!(run.run(handle, end.clone()), ended);
    ended.map(drop)
}

/// What this process was given.
fn place(config: &ExecutorConfig) -> io::Result<Place> {
    let directory = config.directory().to_owned();
    let output = |name: &str| -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).append(true).open(directory.join(name))
    };
    let environment = ExecutorConfig::inheritable_environment();
    let environment = environment.filter_map(|(name, value)| {
        // What is no text was never set by an agent.
        Some((name.into_string().ok()?, value.into_string().ok()?))
    });
    Ok(Place {
        environment: environment.collect(),
        stdout: output("stdout")?,
        stderr: output("stderr")?,
        directory,
    })
}
