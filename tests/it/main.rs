//! One suite, by behaviour.

#![allow(missing_docs, unreachable_pub, reason = "tests")]

mod bad_input;
mod peer;
mod recorder;
mod schema;
mod tls;
