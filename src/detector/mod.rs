//! Where the leading master is.

mod fixed;

pub(crate) use fixed::FixedAddresses;

use crate::address::Address;

/// Proposes where to subscribe.
pub(crate) trait Detector: Send + 'static {
    /// Where to try now.
    fn candidate(&self) -> Address;

    /// The candidate did not work: go on to the next. True when all were tried once, and a wait is due.
    fn failed(&mut self) -> bool;

    /// The candidate worked: a new round begins with it.
    fn worked(&mut self);
}
