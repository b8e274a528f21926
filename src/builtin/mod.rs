//! Mesos's own executors, on the executor driver: the command executor, which runs the one command of a task without an
//! executor of its own, and the default executor, which runs task groups.
//!
//! The embedded cluster hosts them in its process. The functions here run one of them as a program that an agent starts,
//! and so under real agents too.
//!
//! Both check their tasks as Mesos's do (`CheckInfo`, `HealthCheck`): by commands, by HTTP (https needs the program
//! `curl`) and by TCP.
//!
//! Source: `src/launcher/executor.cpp` and `src/launcher/default_executor.cpp` of Apache Mesos 1.11.0.

mod checks;
mod command;
mod default;
mod fetch;
mod kill;
pub(crate) mod process;
mod program;
mod relay;
mod status;
mod task;

pub(crate) use fetch::fetch;
pub(crate) use process::Place;
pub use program::{run_command_executor, run_default_executor};
pub(crate) use relay::{BuiltIn, Kind};
