//! Write Apache Mesos frameworks in Rust.

mod address;
mod backoff;
mod codec;
mod detector;
mod driver;
mod error;
mod executor;
mod http;
#[cfg(feature = "local")]
pub mod local;
pub mod proto;
pub mod recordio;
pub mod resources;
mod scheduler;
mod subscription;

pub use async_trait::async_trait;
pub use backoff::Backoff;
pub use codec::ContentType;
pub use driver::{Connection, ConnectionState, ConnectionWatch, Outcome, Receipt, Status, Stop};
pub use error::{Error, ErrorKind, Result};
pub use executor::{
    Executor, ExecutorConfig, ExecutorDriver, ExecutorDriverBuilder, ExecutorHandle,
};
pub use http::Credential;
pub use scheduler::{Scheduler, SchedulerDriver, SchedulerDriverBuilder, SchedulerHandle};
