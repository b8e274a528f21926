//! One suite, by behaviour.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "tests")]

mod backpressure;
mod bad_input;
mod cluster;
mod command_tasks;
mod ending;
mod executor_calls;
mod executor_ending;
mod executor_environment;
mod executor_recorder;
mod executor_recovery;
mod executor_role;
mod executor_tasks;
mod failover;
mod faults;
mod framework;
mod http;
mod kit;
mod layers;
mod lifecycle;
mod master_restart;
mod messages;
mod offers;
mod operator;
mod ordering;
mod peer;
mod recorder;
mod redirects;
mod refusals;
mod registration;
mod resubscription;
mod schema;
mod status_updates;
mod support;
mod tls;
