//! What a framework can take, by its capabilities.

use std::borrow::Cow;

use crate::local::master::framework::Framework;
use crate::proto;
use crate::proto::framework_info::capability;
use crate::resources::Resources;

#[derive(Clone, Copy, Debug)]
pub(super) struct Traits {
    pub(super) gpus: bool,
    shared: bool,
    revocable: bool,
    refined: bool,
    pub(super) region_aware: bool,
}

impl Traits {
    /// Without what the framework would not understand.
    pub(super) fn of(framework: &Framework) -> Self {
        Self {
            gpus: framework.has(capability::Type::GpuResources),
            shared: framework.has(capability::Type::SharedResources),
            revocable: framework.has(capability::Type::RevocableResources),
            refined: framework.has(capability::Type::ReservationRefinement),
            region_aware: framework.has(capability::Type::RegionAware),
        }
    }

    pub(super) fn strip(self, available: &Resources) -> Cow<'_, Resources> {
        let is_unfit = |kind: &proto::Resource| {
            (!self.shared && kind.shared.is_some())
                || (!self.revocable && kind.revocable.is_some())
                || (!self.refined && kind.reservations.len() > 1)
        };
        if available.any(is_unfit) {
            Cow::Owned(available.filter(|kind| !is_unfit(kind)))
        } else {
            Cow::Borrowed(available)
        }
    }
}
