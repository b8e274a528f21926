//! Where the leading master is.

mod file;
mod fixed;
mod leader;
mod masters;
#[cfg(feature = "zookeeper")]
pub(crate) mod zookeeper;

use async_trait::async_trait;

pub(crate) use fixed::FixedAddresses;
pub use leader::LeadingMaster;
pub(crate) use masters::Masters;
#[cfg(feature = "zookeeper")]
pub use zookeeper::ZooKeeperDetector;

use crate::error::Result;

/// Finds the leading master, and says when another one leads.
///
/// Built in are addresses, lists of addresses and files of these, and ZooKeeper (feature `zookeeper`), which master
/// strings ask for. For anything else, such as a service registry or a name whose address changes, implement this and
/// give it to [`SchedulerDriver::builder_with_detector`](crate::SchedulerDriver::builder_with_detector).
///
/// The driver subscribes with the master that is detected, and again when another one is. A subscription that stands is
/// left alone by everything else: by errors, by the news that nobody leads, and by the same master named again.
///
/// Source: `mesos::master::detector::MasterDetector`, Apache Mesos 1.11.0.
///
/// # Examples
/// A master behind a name whose address changes:
/// ```
/// use std::time::Duration;
///
/// use mesos_framework::{Error, ErrorKind, LeadingMaster, MasterDetector, Result, async_trait};
///
/// struct ByName(&'static str);
///
/// #[async_trait]
/// impl MasterDetector for ByName {
///     async fn detect(&mut self, previous: Option<&LeadingMaster>) -> Result<Option<LeadingMaster>> {
///         loop {
///             let found = tokio::net::lookup_host(self.0).await;
///             let mut found = found.map_err(|error| {
///                 Error::caused_by(ErrorKind::Connect, format!("cannot resolve {}", self.0), error)
///             })?;
///             let leader = match found.next() {
///                 Some(address) => Some(LeadingMaster::new(&address.to_string())?),
///                 None => None,
///             };
///             if leader.as_ref() != previous {
///                 return Ok(leader);
///             }
///             tokio::time::sleep(Duration::from_secs(5)).await;
///         }
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let mut detector = ByName("127.0.0.1:5050");
/// let leader = detector.detect(None).await.unwrap().unwrap();
/// assert_eq!(leader.address(), "127.0.0.1:5050");
/// # });
/// ```
#[async_trait]
pub trait MasterDetector: Send + 'static {
    /// Waits until something else than `previous` holds, and answers it: the leading master, or `None` if none leads.
    ///
    /// `previous`: what was answered last; `None` at first. May wait for ever: the driver asks once and keeps the future,
    /// whatever else happens meanwhile, until it answers or the driver ends.
    ///
    /// # Errors
    /// Whatever keeps it from knowing. The driver tells `tracing` and [`Connection::last_error`](crate::Connection), keeps
    /// to the master known before, and asks again: after half a second, and after up to 2 s if it fails again and again.
    /// A panic ends the driver with [`ErrorKind::CallbackPanicked`](crate::ErrorKind::CallbackPanicked).
    ///
    /// # Cancel safety
    /// An implementation must be cancel safe: what a dropped future would have answered, the next call answers. With
    /// `previous` at hand it usually is by itself.
    async fn detect(&mut self, previous: Option<&LeadingMaster>) -> Result<Option<LeadingMaster>>;
}

#[async_trait]
impl<D: MasterDetector + ?Sized> MasterDetector for Box<D> {
    async fn detect(&mut self, previous: Option<&LeadingMaster>) -> Result<Option<LeadingMaster>> {
        (**self).detect(previous).await
    }
}
