//! What a scheduler may say, with Mesos's texts for what it may not: what can be told from the messages alone, or from
//! what is handed over beside them. Used before something is sent, and by the embedded master after.
//!
//! Source: `src/master/validation.cpp` and `src/common/validation.cpp` of Apache Mesos 1.11.0.

mod checks;
mod container;
mod executor;
mod group;
mod ids;
mod limits;
mod messages;
mod operation;
mod resources;
mod roles;
mod task;

#[cfg(feature = "local")]
pub(crate) use ids::check as check_id;
#[cfg(feature = "local")]
pub(crate) use messages::allocate;
pub(crate) use operation::{Requester, resources_of, shape};
#[cfg(feature = "local")]
pub(crate) use roles::{has_capability, roles};
pub(crate) use task::{Known, Launching, malformed};

/// Fine, or why not.
pub(crate) type Check = Result<(), String>;

#[cfg(test)]
mod tests;
