//! What a scheduler may say, with Mesos's texts for what it may not: what only the master can tell. The rest is
//! [`crate::validation`]'s.
//!
//! Source: `src/master/validation.cpp` and `src/common/validation.cpp` of Apache Mesos 1.11.0.

mod call;
mod framework;
mod known;

pub(super) use call::call;
pub(super) use framework::{framework, framework_update};
pub(super) use known::OnOffer;

#[cfg(test)]
mod tests;
