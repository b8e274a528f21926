//! What frameworks say of themselves.

use std::collections::BTreeSet;

use crate::proto::FrameworkInfo;
use crate::proto::framework_info::capability;

pub(crate) fn has_capability(info: &FrameworkInfo, capability: capability::Type) -> bool {
    let mut own = info.capabilities.iter();
    own.any(|own| own.r#type == Some(capability.into()))
}

/// The roles of `info`, whichever of the two fields states them.
#[expect(deprecated, reason = "frameworks without MULTI_ROLE state one `role`")]
pub(crate) fn roles(info: &FrameworkInfo) -> BTreeSet<String> {
    if has_capability(info, capability::Type::MultiRole) {
        info.roles.iter().cloned().collect()
    } else {
        let role = info.role.clone().unwrap_or_else(|| "*".to_owned());
        BTreeSet::from([role])
    }
}
