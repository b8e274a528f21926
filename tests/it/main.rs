//! One suite, by behaviour.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "tests")]

mod bad_input;
mod cluster;
mod executor_role;
mod executor_tasks;
mod failover;
mod framework;
mod kit;
mod master_restart;
mod messages;
mod offers;
mod peer;
mod recorder;
mod refusals;
mod registration;
mod schema;
mod status_updates;
