//! The messages of the Mesos v1 API, generated from the schema: `mesos.v1` here, each other package in a module of its
//! own name.
//!
//! Field names are those of the schema, type names follow Rust's rules (`TaskID` is [`TaskId`], `URI` is `Uri`). Enum
//! fields hold the raw number (`i32`), so that values of a newer Mesos survive; use `TryFrom` (for instance
//! `TaskState::try_from(status.state)`) to tell an unknown number from a known one, for the getters answer the default
//! for it. Getters (`filters.refuse_seconds()`) answer the schema's default for an unset field.
//!
//! Source: `include/mesos/v1/*.proto` of Apache Mesos 1.11.0.
#![allow(
    missing_docs,
    reason = "the documentation of generated types is the comments of the schema"
)]
#![allow(
    clippy::all,
    rustdoc::invalid_html_tags,
    rustdoc::broken_intra_doc_links,
    reason = "generated code"
)]

#[cfg(feature = "json")]
mod json;
#[cfg(feature = "json")]
pub(crate) use json::from_json;

use std::fmt;

include!(concat!(env!("OUT_DIR"), "/mesos.v1.rs"));

/// The schema in compiled form: an encoded `google.protobuf.FileDescriptorSet` without comments.
///
/// Holds the nine files of the v1 API and what they import. For reflection, for instance with `prost-reflect`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

macro_rules! packages {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        pub mod $name {
            include!(concat!(env!("OUT_DIR"), "/mesos.v1.", stringify!($name), ".rs"));
        }
    )*};
}

packages! {
    /// The scheduler API: what schedulers and masters tell each other.
    scheduler,
    /// The executor API: what executors and agents tell each other.
    executor,
    /// The operator API of masters.
    master,
    /// The operator API of agents.
    agent,
    /// Inverse offers' state, as the allocator keeps it.
    allocator,
    /// Maintenance schedules of machines.
    maintenance,
    /// Quota of roles.
    quota,
    /// The resource provider API.
    resource_provider,
}

macro_rules! ids {
    ($($id:ident),* $(,)?) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.value)
            }
        }

        impl From<&str> for $id {
            fn from(value: &str) -> Self {
                Self { value: value.to_owned() }
            }
        }

        impl From<String> for $id {
            fn from(value: String) -> Self {
                Self { value }
            }
        }
    )*};
}

ids!(
    FrameworkId,
    OfferId,
    AgentId,
    TaskId,
    ExecutorId,
    ResourceProviderId,
    OperationId
);
