//! The messages of the Mesos v1 API, generated from the schema: `mesos.v1` here, each other package in a module of its
//! own name.
//!
//! Field names are those of the schema, type names follow Rust's rules (`TaskID` is [`TaskId`], `URI` is `Uri`). Enum
//! fields hold the raw number (`i32`), so that values of a newer Mesos survive; use `TryFrom` (for instance
//! `TaskState::try_from(status.state)`) to tell an unknown number from a known one, for the getters answer the default
//! for it. Getters (`filters.refuse_seconds()`) answer the schema's default for an unset field.
//!
//! What authors of frameworks write most has short constructors and setters, which stand with the types: for instance
//! [`TaskInfo::new`], [`Resource::scalar`], [`CommandInfo::in_shell`], [`ContainerInfo::docker`], [`HealthCheck::http`] and
//! [`offer::Operation::launch`]. Setters are named like their field, but where that is the name of a getter.
//!
//! Source: `include/mesos/v1/*.proto` of Apache Mesos 1.11.0.
#![allow(
    missing_docs,
    reason = "the documentation of generated types is the comments of the schema"
)]
#![allow(
    clippy::all,
    clippy::use_self,
    rustdoc::invalid_html_tags,
    rustdoc::broken_intra_doc_links,
    reason = "generated code"
)]

mod build;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "json")]
pub(crate) use json::from_json;
mod task_state;

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

#[cfg(test)]
mod tests {
    //! What a newer Mesos may send, in bytes written by hand: a key is `field number << 3 | wire type`.

    use prost::Message as _;

    use super::{CapabilityInfo, Filters, TaskState, TaskStatus, framework_info};

    #[test]
    fn unknown_fields_of_every_wire_type_are_skipped() {
        let bytes = [
            &[0xf8, 0x01, 0x96, 0x01][..],         // 31: varint 150
            &[0xf9, 0x01, 1, 2, 3, 4, 5, 6, 7, 8], // 31: 64 bits
            &[0xfa, 0x01, 3, b'n', b'e', b'w'],    // 31: 3 bytes
            &[0x09, 0, 0, 0, 0, 0, 0, 0x14, 0x40], // 1, refuse_seconds: 5.0
            &[0xfb, 0x01, 0x08, 0x01, 0xfc, 0x01], // 31: a group that holds 1: varint 1
            &[0xfd, 0x01, 1, 2, 3, 4],             // 31: 32 bits
            &[0xf8, 0xff, 0xff, 0xff, 0x0f, 0x00], // 536870911, the highest number: varint 0
        ]
        .concat();
        let filters = Filters::decode(&*bytes).unwrap();
        assert_eq!(
            filters,
            Filters {
                refuse_seconds: Some(5.0)
            }
        );
    }

    #[test]
    fn unknown_enum_values_keep_their_number() {
        let optional = framework_info::Capability::decode(&[0x08, 77][..]).unwrap();
        assert_eq!(optional.r#type, Some(77));
        assert_eq!(optional.r#type(), framework_info::capability::Type::Unknown);
        assert_eq!(
            optional.encode_to_vec(),
            [0x08, 77],
            "and go out as they came"
        );

        let list = CapabilityInfo::decode(&[0x08, 77, 0x08, 0xe8, 0x07][..]).unwrap();
        assert_eq!(list.capabilities, [77, 1000]);

        // 1, task_id: { 1, value: "t" }; 2, state: 77
        let required = TaskStatus::decode(&[0x0a, 3, 0x0a, 1, b't', 0x10, 77][..]).unwrap();
        assert_eq!(required.task_id.value, "t");
        assert_eq!(TaskState::try_from(required.state).ok(), None);
    }

    #[test]
    fn packed_lists_are_read_like_plain_ones() {
        let list = CapabilityInfo::decode(&[0x0a, 3, 77, 0xe8, 0x07][..]).unwrap();
        assert_eq!(list.capabilities, [77, 1000]);
    }
}
