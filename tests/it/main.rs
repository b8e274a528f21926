//! One suite, by behaviour.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "tests")]

mod backpressure;
mod bad_input;
mod executor_calls;
mod executor_ending;
mod executor_environment;
mod executor_recorder;
mod executor_recovery;
mod layers;
mod lifecycle;
mod ordering;
mod peer;
mod recorder;
mod redirects;
mod resubscription;
mod schema;
mod support;
mod tls;
