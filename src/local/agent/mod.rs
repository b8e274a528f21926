//! The agents: sandboxes, executors, status updates until they are acknowledged.
//!
//! Source: `src/slave/` of Apache Mesos 1.11.0.

mod command_task;
pub(super) mod containers;
mod endpoint;
mod executors;
mod fault;
mod hosted;
mod kill;
mod operator;
mod run;
mod sandbox;
mod snapshot;
mod state;
mod updates;

pub(super) use endpoint::handler;
pub(super) use sandbox::Launch;
pub(super) use state::Agent;
