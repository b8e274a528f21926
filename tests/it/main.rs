//! One suite, by behaviour.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "tests")]

mod backpressure;
mod bad_input;
mod lifecycle;
mod ordering;
mod peer;
mod recorder;
mod redirects;
mod resubscription;
mod schema;
mod support;
