//! The agents: sandboxes, executors, status updates until they are acknowledged.
//!
//! Source: `src/slave/` of Apache Mesos 1.11.0.

mod checkpoint;
mod command_task;
pub(super) mod containers;
pub(super) mod disk;
mod drain;
mod endpoint;
mod executors;
mod factory;
mod fault;
mod files;
mod hosted;
mod kill;
pub(super) mod leftovers;
mod life;
mod log;
mod metrics;
mod mortal;
mod operations;
mod operator;
mod pages;
mod registration;
mod run;
mod sandbox;
mod snapshot;
mod state;
mod updates;
mod volumes;

pub(super) use checkpoint::{Checkpoint, CheckpointedExecutor, CheckpointedFramework};
pub(super) use disk::Chore;
pub(super) use endpoint::handler;
pub use factory::ExecutorLaunch;
pub(super) use factory::Factories;
pub(super) use sandbox::Launch;
pub(super) use state::{Agent, Run};
pub(super) use updates::CheckpointedUpdates;
