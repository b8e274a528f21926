#![doc = include_str!("../README.md")]

mod address;
mod at_hand;
mod backoff;
#[cfg(feature = "local")]
pub mod builtin;
mod codec;
mod detector;
mod driver;
mod error;
mod executor;
mod http;
mod identity;
#[cfg(feature = "local")]
pub mod local;
pub mod proto;
pub mod recordio;
pub mod resources;
mod scheduler;
mod subscription;
#[cfg(test)]
mod tests;
pub mod toolkit;
mod validation;

/// Long pages: what is promised, and how it is built.
pub mod docs {
    #[doc = include_str!("docs/guarantees.md")]
    pub mod guarantees {}

    #[doc = include_str!("docs/design.md")]
    pub mod design {}

    #[cfg(feature = "local")]
    #[doc = include_str!("docs/conformance.md")]
    pub mod conformance {}
}

pub use async_trait::async_trait;
pub use backoff::Backoff;
pub use codec::ContentType;
#[cfg(feature = "zookeeper")]
pub use detector::ZooKeeperDetector;
pub use detector::{LeadingMaster, MasterDetector};
pub use driver::{Connection, ConnectionState, ConnectionWatch, Outcome, Receipt, Status, Stop};
pub use error::{Error, ErrorKind, Result};
pub use executor::{
    Executor, ExecutorConfig, ExecutorDriver, ExecutorDriverBuilder, ExecutorHandle,
};
pub use http::{Credential, CredentialProvider};
#[cfg(feature = "zookeeper")]
pub use identity::ZooKeeperFrameworkIdStore;
pub use identity::{FileFrameworkIdStore, FrameworkIdStore, MemoryFrameworkIdStore};
pub use scheduler::{
    FrameworkRemoval, Scheduler, SchedulerDriver, SchedulerDriverBuilder, SchedulerHandle,
};
