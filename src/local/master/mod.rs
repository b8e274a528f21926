//! The master: frameworks, agents, offers, tasks.
//!
//! Source: `src/master/` of Apache Mesos 1.11.0.

mod accept;
mod agents;
mod allocator;
mod calls;
mod endpoint;
mod fault;
mod filters;
mod framework;
mod metrics;
mod offers;
mod operator;
mod pages;
mod reconcile;
mod report;
mod shapes;
mod snapshot;
mod state;
mod subscribe;
mod tasks;
mod update_framework;
mod validation;

pub(super) use endpoint::handler;
pub(super) use framework::is_terminal;
pub(super) use state::{Master, timestamp};
pub(super) use tasks::{remember_status, task_of};
