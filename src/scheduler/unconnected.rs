//! A scheduler's handle without a network behind it.

use std::collections::BTreeSet;

use super::protocol::SchedulerProtocol;
use super::{FrameworkRemoval, SchedulerHandle};
use crate::driver::{Ending, Outcome, Unconnected};
use crate::error::Error;
use crate::proto::scheduler::{Call, Event, event};
use crate::proto::{FrameworkId, FrameworkInfo};

/// Stands behind a handle in place of a driver.
pub(crate) struct UnconnectedScheduler(Unconnected<SchedulerProtocol>);

impl UnconnectedScheduler {
    /// `stand_in` says what becomes of each call.
    pub(crate) fn new(
        info: FrameworkInfo,
        stand_in: impl FnMut(&Call) -> Outcome + Send + 'static,
    ) -> Self {
        let removal = FrameworkRemoval::default();
        let protocol = SchedulerProtocol::new(info, BTreeSet::new(), None, removal);
        Self(Unconnected::new(protocol, stand_in))
    }

    pub(crate) fn handle(&self) -> SchedulerHandle {
        SchedulerHandle {
            core: self.0.core(),
        }
    }

    pub(crate) fn connect(&self, framework_id: FrameworkId) {
        let subscribed = event::Subscribed {
            framework_id,
            ..event::Subscribed::default()
        };
        self.0.connect(&Event {
            r#type: Some(event::Type::Subscribed as i32),
            subscribed: Some(Box::new(subscribed)),
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
