//! What a scheduler may say, with Mesos's texts for what it may not.
//!
//! Source: `src/master/validation.cpp` and `src/common/validation.cpp` of Apache Mesos 1.11.0.

mod call;
mod framework;
mod ids;
mod task;

pub(super) use call::call;
pub(super) use framework::{framework, framework_update};
pub(super) use task::{Launching, malformed_resources};

#[cfg(test)]
mod tests;
