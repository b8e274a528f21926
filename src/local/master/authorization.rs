//! Whether somebody may do something, and how it is said that he may not.
//!
//! Source: `src/master/authorization.cpp` and its users in `src/master/master.cpp` of Apache Mesos 1.11.0.

use std::collections::BTreeSet;

use super::framework::Framework;
use super::state::Master;
use super::tasks::user_of;
use crate::local::acl_json;
use crate::local::acls::AclAction;
use crate::proto::offer::{Operation, operation};
use crate::proto::{FrameworkInfo, Resource, TaskInfo};
use crate::resources::reservation_role;
use crate::validation::roles;

/// Something that one must be allowed to do.
#[derive(Debug)]
struct Asked {
    action: AclAction,
    /// What the rules are about, and the resource; `None` is anything.
    object: Option<(String, Resource)>,
}

impl Master {
    pub(super) fn allows(
        &self,
        principal: Option<&str>,
        action: AclAction,
        object: Option<&str>,
    ) -> bool {
        self.config.acls.allows(principal, action, object)
    }

    /// Whether a framework may have its roles, every one of them.
    pub(super) fn may_register(&self, info: &FrameworkInfo) -> Result<(), String> {
        let roles = roles(info);
        let principal = info.principal.as_deref();
        let may = |role: &String| self.allows(principal, AclAction::RegisterFrameworks, Some(role));
        // A framework without roles asks for nothing that a rule could be about.
        let is_allowed = match roles.is_empty() {
            true => self.config.acls.is_permissive(),
            false => roles.iter().all(may),
        };
        if is_allowed {
            return Ok(());
        }
        let id = info.id.as_ref().map_or("", |id| id.value.as_str());
        let roles: Vec<String> = roles.into_iter().collect();
        Err(format!(
            "Not authorized to register framework {id} with roles {{ {} }}",
            roles.join(", ")
        ))
    }

    /// Whether a framework may run `task` as its user; if not, what it would do.
    fn may_run(&self, framework: &Framework, task: &TaskInfo) -> Result<(), String> {
        let user = user_of(task).unwrap_or(&framework.info.user);
        let principal = framework.info.principal.as_deref();
        if self.allows(principal, AclAction::RunTasks, Some(user)) {
            return Ok(());
        }
        Err(format!(
            "launch task {} of framework {} under user '{user}'",
            task.task_id, framework.id
        ))
    }

    pub(super) fn may_launch(&self, framework: &Framework, task: &TaskInfo) -> Result<(), String> {
        self.may_run(framework, task).map_err(|what| {
            format!(
                "Principal '{}' no authorized to {what}",
                framework.info.principal()
            )
        })
    }

    /// Names the last of those that must not run. (The space that is missing is missing there, too.)
    pub(super) fn may_launch_group(
        &self,
        framework: &Framework,
        tasks: &[TaskInfo],
    ) -> Result<(), String> {
        let mut refusals = tasks.iter().rev().filter_map(|task| {
            let refusal = self.may_run(framework, task).err()?;
            Some(format!(
                "Task '{}' is not authorized to{refusal}",
                task.task_id
            ))
        });
        refusals.next().map_or(Ok(()), Err)
    }

    /// Whether `principal` may carry out an operation whose resources are in the format with reservation refinement.
    pub(super) fn may_operate(
        &self,
        principal: Option<&str>,
        operation: &Operation,
    ) -> Result<(), String> {
        let refused = asked(operation).into_iter().find(|asked| {
            let object = asked.object.as_ref().map(|(value, _)| value.as_str());
            !self.allows(principal, asked.action, object)
        });
        let Some(refused) = refused else {
            return Ok(());
        };
        let action = acl_json::of(refused.action).action;
        let object = refused.object.map_or_else(
            || "ANY object".to_owned(),
            |(value, resource)| format!("object {}", shown(&value, &resource)),
        );
        Err(format!(
            "Principal '{}' no authorized to perform action {action} on {object}",
            principal.unwrap_or_default()
        ))
    }
}

/// Everything that an operation needs to be allowed.
fn asked(operation: &Operation) -> Vec<Asked> {
    if let Some(reserve) = &operation.reserve {
        return match reserve.source.is_empty() {
            true => by_role(AclAction::ReserveResources, &reserve.resources),
            false => exchanged(reserve),
        };
    }
    if let Some(unreserve) = &operation.unreserve {
        return given_up(&unreserve.resources);
    }
    if let Some(create) = &operation.create {
        return or_anything(
            AclAction::CreateVolumes,
            by_role(AclAction::CreateVolumes, &create.volumes),
        );
    }
    if let Some(destroy) = &operation.destroy {
        let volumes = destroy.volumes.iter().filter_map(|volume| {
            let persistence = volume.disk.as_ref()?.persistence.as_ref()?;
            let creator = persistence.principal().to_owned();
            Some(Asked {
                action: AclAction::DestroyVolumes,
                object: Some((creator, volume.clone())),
            })
        });
        return or_anything(AclAction::DestroyVolumes, volumes.collect());
    }
    let grown = operation.grow_volume.as_ref().map(|own| &own.volume);
    let shrunk = operation.shrink_volume.as_ref().map(|own| &own.volume);
    let resized = grown.or(shrunk).map(std::slice::from_ref);
    by_role(AclAction::ResizeVolumes, resized.unwrap_or_default())
}

/// Each role once.
fn by_role(action: AclAction, resources: &[Resource]) -> Vec<Asked> {
    let mut seen = BTreeSet::new();
    let roles = resources.iter().filter_map(|resource| {
        let role = reservation_role(resource).unwrap_or("*").to_owned();
        seen.insert(role.clone()).then(|| Asked {
            action,
            object: Some((role, resource.clone())),
        })
    });
    roles.collect()
}

fn or_anything(action: AclAction, asked: Vec<Asked>) -> Vec<Asked> {
    match asked.is_empty() {
        true => vec![Asked {
            action,
            object: None,
        }],
        false => asked,
    }
}

/// Reservations with a principal by it, those without together.
fn given_up(resources: &[Resource]) -> Vec<Asked> {
    let action = AclAction::UnreserveResources;
    let principal = |resource: &Resource| resource.reservations.last()?.principal.clone();
    let mut asked: Vec<Asked> = resources
        .iter()
        .filter_map(|resource| {
            Some(Asked {
                action,
                object: Some((principal(resource)?, resource.clone())),
            })
        })
        .collect();
    if resources
        .iter()
        .any(|resource| principal(resource).is_none())
    {
        asked.push(Asked {
            action,
            object: None,
        });
    }
    asked
}

/// From what is reserved to what is to be: down to the reservations that both have, and up again.
fn exchanged(reserve: &operation::Reserve) -> Vec<Asked> {
    let reservations = |all: &[Resource]| {
        let first = all.first();
        first.map_or_else(Vec::new, |own| own.reservations.clone())
    };
    let (before, after) = (
        reservations(&reserve.source),
        reservations(&reserve.resources),
    );
    let pairs = before.iter().zip(&after);
    let common = pairs.take_while(|(one, other)| one == other).count();
    let mut asked = Vec::new();
    let mut source = reserve.source.clone();
    for _ in common..before.len() {
        asked.extend(given_up(&source));
        for resource in &mut source {
            resource.reservations.pop();
        }
    }
    for reservation in &after[common..] {
        for resource in &mut source {
            resource.reservations.push(reservation.clone());
        }
        asked.extend(by_role(AclAction::ReserveResources, &source));
    }
    asked
}

/// As Mesos writes what its authorizer is asked about.
fn shown(value: &str, resource: &Resource) -> String {
    let value = serde_json::to_string(value).unwrap_or_default();
    let resource = serde_json::to_string(resource).unwrap_or_default();
    format!("{{\"value\":{value},\"resource\":{resource}}}")
}
