//! Resources from JSON and to it.
//!
//! Source: `Resources::fromJSON`, `src/common/resources.cpp` of Apache Mesos 1.11.0.
#![allow(deprecated, reason = "`Resource.role` is the older format itself")]

use super::Resources;
use super::format::UNRESERVED;
use crate::error::{Error, ErrorKind, Result};
use crate::proto;

impl Resources {
    /// Reads a JSON array of resources, in either reservation format, as agents take it as `--resources`.
    ///
    /// Unlike [`parse`](Self::parse), it reads everything that there is: volumes, dynamic reservations and what is revocable.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the text is no such array, or as of [`validate`](Self::validate).
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::resources::Resources;
    ///
    /// let text = r#"[{"name": "cpus", "type": "SCALAR", "scalar": {"value": 2}, "role": "web"}]"#;
    /// let cpus = Resources::from_json(text)?;
    /// assert_eq!(cpus, Resources::parse("cpus(web):2")?);
    /// assert_eq!(Resources::from_json(&cpus.to_json())?, cpus);
    /// # Ok::<(), mesos_framework::Error>(())
    /// ```
    ///
    /// Source: `Resources::fromJSON`, `include/mesos/v1/resources.hpp`.
    pub fn from_json(text: &str) -> Result<Self> {
        Self::from_json_for(text, UNRESERVED)
    }

    /// Resources without any role or reservation are reserved for `default_role`.
    pub(super) fn from_json_for(text: &str, default_role: &str) -> Result<Self> {
        let read = proto::from_json::<Vec<proto::Resource>>(text.as_bytes());
        let mut resources = read.map_err(|error| {
            let context = "Some JSON resources were not formatted properly";
            Error::caused_by(ErrorKind::Config, context, error)
        })?;
        for resource in &mut resources {
            if resource.role.is_none() && resource.reservations.is_empty() {
                resource.role = Some(default_role.to_owned());
            }
        }
        Self::from_protos(&resources)
    }

    /// As a JSON array, in the format with reservation refinement.
    ///
    /// Shared volumes come once, however many copies there are.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::json!(self.to_protos()).to_string()
    }
}
