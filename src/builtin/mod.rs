//! Mesos's own executors, on the executor driver: so far, the command executor.

mod command;
pub(crate) mod process;

pub(crate) use command::{CommandExecutor, Place};
