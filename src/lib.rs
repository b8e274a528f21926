//! Write Apache Mesos frameworks in Rust.

mod codec;
mod error;
pub mod proto;
pub mod recordio;

pub use codec::ContentType;
pub use error::{Error, ErrorKind, Result};
