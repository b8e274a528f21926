//! Write Apache Mesos frameworks in Rust.

mod codec;
mod error;
#[cfg(feature = "local")]
pub mod local;
pub mod proto;
pub mod recordio;
pub mod resources;

pub use codec::ContentType;
pub use error::{Error, ErrorKind, Result};
