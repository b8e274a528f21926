//! What those beside a scheduler may ask of its driver: how the framework is known, and calls on terms of their own.

use std::sync::Arc;

use super::{SchedulerHandle, calls};
use crate::driver::{ConnectionState, Receipt, Terms, Unsubscribed, Watcher};
use crate::error::Result;
use crate::proto::{Filters, FrameworkInfo, OfferId, offer};

impl SchedulerHandle {
    /// The framework as the next subscription will make it known: with what the driver has filled in, and after all
    /// [`update_framework`](Self::update_framework) that the master has not refused.
    ///
    /// To be changed and given to `update_framework`, together with [`suppressed_roles`](Self::suppressed_roles).
    ///
    /// Source: `Call.Subscribe.framework_info`, scheduler.proto.
    #[must_use]
    pub fn framework_info(&self) -> FrameworkInfo {
        self.core.protocol.framework_info()
    }

    /// The roles for which no offers are wanted, as the next subscription will say: after all
    /// [`suppress_offers`](Self::suppress_offers), [`revive_offers`](Self::revive_offers) and
    /// [`update_framework`](Self::update_framework) until now. Sorted, each once; empty if offers of all roles are wanted.
    ///
    /// Source: `Call.Subscribe.suppressed_roles`, scheduler.proto.
    #[must_use]
    pub fn suppressed_roles(&self) -> Vec<String> {
        self.core.protocol.suppressed_roles()
    }

    /// The framework's roles, whichever way it says them.
    pub(crate) fn roles(&self) -> Vec<String> {
        self.core.protocol.roles()
    }

    /// The number of the subscription that stands.
    pub(crate) fn generation(&self) -> Option<u64> {
        match self.connection().state {
            ConnectionState::Subscribed { generation, .. } => Some(generation),
            _ => None,
        }
    }

    pub(crate) fn is_of_same_driver(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.core, &other.core)
    }

    /// As [`accept_offers`](Self::accept_offers), under the subscription of that generation only, and with a watcher of
    /// its outcome.
    pub(crate) async fn accept_offers_under(
        &self,
        (offer_ids, operations, filters): (Vec<OfferId>, Vec<offer::Operation>, Filters),
        generation: Option<u64>,
        watcher: Watcher,
    ) -> Result<Receipt> {
        let call = calls::accept(offer_ids, operations, filters);
        calls::check(&call)?;
        let terms = Terms {
            unsubscribed: Unsubscribed::Refuse,
            generation,
            watcher: Some(watcher),
        };
        self.core.submit(call, terms).await
    }
}
