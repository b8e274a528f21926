#![doc = include_str!("../README.md")]

mod address;
mod backoff;
#[cfg(feature = "local")]
mod builtin;
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

/// Long pages: what is promised, and how it is built.
pub mod docs {
    #[doc = include_str!("docs/guarantees.md")]
    pub mod guarantees {}

    #[doc = include_str!("docs/design.md")]
    pub mod design {}
}

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
