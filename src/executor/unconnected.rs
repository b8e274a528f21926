//! An executor's handle without a network behind it.

use super::protocol::ExecutorProtocol;
use super::{ExecutorConfig, ExecutorHandle};
use crate::driver::{Ending, Outcome, Unconnected};
use crate::error::Error;
use crate::proto::executor::{Call, Event, event};

/// Stands behind a handle in place of a driver.
pub(crate) struct UnconnectedExecutor(Unconnected<ExecutorProtocol>);

impl UnconnectedExecutor {
    /// `stand_in` says what becomes of each call.
    pub(crate) fn new(
        config: ExecutorConfig,
        stand_in: impl FnMut(&Call) -> Outcome + Send + 'static,
    ) -> Self {
        Self(Unconnected::new(ExecutorProtocol::new(config), stand_in))
    }

    pub(crate) fn handle(&self) -> ExecutorHandle {
        ExecutorHandle {
            core: self.0.core(),
        }
    }

    pub(crate) fn connect(&self) {
        self.0.connect(&Event {
            r#type: Some(event::Type::Subscribed as i32),
            subscribed: Some(Box::new(event::Subscribed::default())),
            ..Event::default()
        });
    }

    pub(crate) fn disconnect(&self, why: &Error) {
        self.0.disconnect(why);
    }

    pub(crate) fn ending(&self) -> Option<Ending> {
        self.0.lifecycle().ending()
    }
}
