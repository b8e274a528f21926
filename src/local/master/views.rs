//! What somebody gets to see.
//!
//! Source: `ObjectApprovers`, `src/common/http.hpp`, and its users in `src/master/readonly_handler.cpp` of Apache Mesos
//! 1.11.0.

use super::framework::Framework;
use super::state::Master;
use crate::codec::ContentType;
use crate::local::acls::{AclAction, Acls};
use crate::proto::{ExecutorInfo, FrameworkInfo, Operation, Resource, Task};
use crate::resources::conversions;

/// Somebody who looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Viewer<'a> {
    pub(super) acls: &'a Acls,
    pub(super) principal: Option<&'a str>,
    /// How it is written for him.
    pub(super) content_type: ContentType,
}

impl Viewer<'_> {
    pub(super) fn may(&self, action: AclAction, object: Option<&str>) -> bool {
        self.acls.allows(self.principal, action, object)
    }

    pub(super) fn sees_framework(&self, info: &FrameworkInfo) -> bool {
        self.may(AclAction::ViewFrameworks, Some(&info.user))
    }

    /// Of a framework that is seen.
    pub(super) fn sees_task(&self, task: &Task, info: &FrameworkInfo) -> bool {
        let user = task.user.as_ref().unwrap_or(&info.user);
        self.may(AclAction::ViewTasks, Some(user))
    }

    /// Likewise.
    pub(super) fn sees_executor(&self, executor: &ExecutorInfo, info: &FrameworkInfo) -> bool {
        let command = executor.command.as_ref();
        let own = command.and_then(|command| command.user.as_ref());
        let user = own.unwrap_or(&info.user);
        self.may(AclAction::ViewExecutors, Some(user))
    }

    pub(super) fn sees_role(&self, role: &str) -> bool {
        self.may(AclAction::ViewRoles, Some(role))
    }

    /// Whether all roles that it is reserved for or allocated to may be seen.
    #[expect(deprecated, reason = "endpoints show the old format, too")]
    pub(super) fn sees_resource(&self, resource: &Resource) -> bool {
        let own = resource.role.as_deref().filter(|role| *role != "*");
        let reserved = resource.reservations.iter().map(|own| own.role());
        let allocated = resource.allocation_info.iter().map(|own| own.role());
        let mut roles = own.into_iter().chain(reserved).chain(allocated);
        roles.all(|role| self.sees_role(role))
    }

    pub(super) fn seen(&self, mut resources: Vec<Resource>) -> Vec<Resource> {
        resources.retain(|resource| self.sees_resource(resource));
        resources
    }

    pub(super) fn sees_operation(&self, operation: &Operation) -> bool {
        let conversions = conversions(&operation.info).unwrap_or_default();
        let mut consumed = conversions.iter().flat_map(|own| own.consumed.to_protos());
        consumed.all(|resource| self.sees_resource(&resource))
    }
}

impl Master {
    pub(super) fn seen_operations(&self, viewer: &Viewer<'_>) -> Vec<Operation> {
        let operations = self.operations.iter();
        let seen = operations.filter(|own| viewer.sees_operation(own));
        seen.cloned().collect()
    }

    pub(super) fn viewer<'a>(
        &'a self,
        principal: Option<&'a str>,
        content_type: ContentType,
    ) -> Viewer<'a> {
        Viewer {
            acls: &self.config.acls,
            principal,
            content_type,
        }
    }

    /// Those who are there and those who are gone.
    pub(super) fn seen_frameworks<'a>(
        &'a self,
        viewer: &'a Viewer<'_>,
    ) -> impl Iterator<Item = &'a Framework> {
        let frameworks = self.frameworks.values();
        frameworks.filter(|own| viewer.sees_framework(&own.info))
    }

    pub(super) fn seen_completed<'a>(
        &'a self,
        viewer: &'a Viewer<'_>,
    ) -> impl Iterator<Item = &'a Framework> {
        let completed = self.completed.iter();
        completed.filter(|own| viewer.sees_framework(&own.info))
    }
}
