//! The master: frameworks, agents, offers, tasks.
//!
//! Source: `src/master/` of Apache Mesos 1.11.0.

mod accept;
mod agent_health;
mod agent_removal;
mod agents;
mod allocator;
mod authorization;
mod calls;
mod constraints;
mod counters;
mod domain;
mod draining;
mod endpoint;
mod fault;
mod filters;
mod framework;
mod inverse_offers;
mod launch;
mod log;
mod machines;
mod maintenance;
mod metrics;
mod offers;
mod operations;
mod operator;
mod operator_stream;
mod pages;
mod patterns;
mod quota;
mod quota_checks;
mod reconcile;
mod report;
mod roles;
mod snapshot;
mod standby;
mod standing;
mod state;
mod subscribe;
mod tallies;
mod tasks;
mod update_framework;
mod validation;
mod views;
mod weights;

pub(super) use endpoint::handler;
pub(super) use framework::is_terminal;
pub(super) use quota_checks::config as check_quota;
pub(super) use standing::Standing;
pub(super) use state::{Master, timestamp};
pub(super) use tasks::{remember_status, task_of};
