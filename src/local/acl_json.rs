//! The JSON form of [`Acls`], and the names that Mesos has for its parts.
//!
//! Source: `include/mesos/authorizer/acls.proto` of Apache Mesos 1.11.0.

use serde_json::{Map, Value};

use super::acls::{AclAction, AclEntity, Acls, Objects};
use crate::error::{Error, ErrorKind, Result};

/// Mesos's names for an action.
#[derive(Debug)]
pub(super) struct Names {
    /// The field with its rules.
    field: &'static str,
    /// The type of a rule.
    pub(super) message: &'static str,
    /// A rule's field beside `principals`.
    object: &'static str,
    /// What the authorizer calls it.
    pub(super) action: &'static str,
    pub(super) objects: Objects,
}

/// Of rules that would be about what this cluster does not have or does not refuse.
const NOT_COVERED: [&str; 30] = [
    "get_endpoints",
    "access_sandboxes",
    "access_mesos_logs",
    "view_flags",
    "launch_nested_containers_as_user",
    "launch_nested_containers_under_parent_with_user",
    "kill_nested_containers",
    "wait_nested_containers",
    "launch_nested_container_sessions_as_user",
    "launch_nested_container_sessions_under_parent_with_user",
    "attach_containers_input",
    "attach_containers_output",
    "view_containers",
    "set_log_level",
    "remove_nested_containers",
    "register_agents",
    "launch_standalone_containers",
    "kill_standalone_containers",
    "wait_standalone_containers",
    "remove_standalone_containers",
    "view_standalone_containers",
    "modify_resource_provider_configs",
    "mark_resource_providers_gone",
    "view_resource_providers",
    "prune_images",
    "create_block_disks",
    "destroy_block_disks",
    "create_mount_disks",
    "destroy_mount_disks",
    "destroy_raw_disks",
];

const fn names(
    field: &'static str,
    message: &'static str,
    object: &'static str,
    action: &'static str,
    objects: Objects,
) -> Names {
    Names {
        field,
        message,
        object,
        action,
        objects,
    }
}

#[rustfmt::skip]
pub(super) fn of(action: AclAction) -> Names {
    use AclAction as A;
    use Objects::{All, Names, Roles};
    match action {
        A::RegisterFrameworks => names("register_frameworks", "RegisterFramework", "roles", "REGISTER_FRAMEWORK", Roles),
        A::RunTasks => names("run_tasks", "RunTask", "users", "RUN_TASK", Names),
        A::TeardownFrameworks => names("teardown_frameworks", "TeardownFramework", "framework_principals", "TEARDOWN_FRAMEWORK", Names),
        A::ReserveResources => names("reserve_resources", "ReserveResources", "roles", "RESERVE_RESOURCES", Roles),
        A::UnreserveResources => names("unreserve_resources", "UnreserveResources", "reserver_principals", "UNRESERVE_RESOURCES", Names),
        A::CreateVolumes => names("create_volumes", "CreateVolume", "roles", "CREATE_VOLUME", Roles),
        A::DestroyVolumes => names("destroy_volumes", "DestroyVolume", "creator_principals", "DESTROY_VOLUME", Names),
        A::ResizeVolumes => names("resize_volumes", "ResizeVolume", "roles", "RESIZE_VOLUME", Roles),
        A::GetQuotas => names("get_quotas", "GetQuota", "roles", "GET_QUOTA", Roles),
        A::UpdateQuotas => names("update_quotas", "UpdateQuota", "roles", "UPDATE_QUOTA", Roles),
        A::ViewRoles => names("view_roles", "ViewRole", "roles", "VIEW_ROLE", Roles),
        A::UpdateWeights => names("update_weights", "UpdateWeight", "roles", "UPDATE_WEIGHT", Roles),
        A::ViewFrameworks => names("view_frameworks", "ViewFramework", "users", "VIEW_FRAMEWORK", Names),
        A::ViewTasks => names("view_tasks", "ViewTask", "users", "VIEW_TASK", Names),
        A::ViewExecutors => names("view_executors", "ViewExecutor", "users", "VIEW_EXECUTOR", Names),
        A::UpdateMaintenanceSchedules => names("update_maintenance_schedules", "UpdateMaintenanceSchedule", "machines", "UPDATE_MAINTENANCE_SCHEDULE", All),
        A::GetMaintenanceSchedules => names("get_maintenance_schedules", "GetMaintenanceSchedule", "machines", "GET_MAINTENANCE_SCHEDULE", All),
        A::StartMaintenances => names("start_maintenances", "StartMaintenance", "machines", "START_MAINTENANCE", All),
        A::StopMaintenances => names("stop_maintenances", "StopMaintenance", "machines", "STOP_MAINTENANCE", All),
        A::GetMaintenanceStatuses => names("get_maintenance_statuses", "GetMaintenanceStatus", "machines", "GET_MAINTENANCE_STATUS", All),
        A::DrainAgents => names("drain_agents", "DrainAgent", "agents", "DRAIN_AGENT", All),
        A::DeactivateAgents => names("deactivate_agents", "DeactivateAgent", "agents", "DEACTIVATE_AGENT", All),
        A::ReactivateAgents => names("reactivate_agents", "ReactivateAgent", "agents", "REACTIVATE_AGENT", All),
        A::MarkAgentsGone => names("mark_agents_gone", "MarkAgentGone", "agents", "MARK_AGENT_GONE", All),
    }
}

pub(super) fn parse(json: &str) -> Result<Acls> {
    let value: Value = serde_json::from_str(json)
        .map_err(|error| Error::caused_by(ErrorKind::Config, "acls are not JSON", error))?;
    read(&value).map_err(|why| Error::new(ErrorKind::Config, format!("acls {why}")))
}

fn read(value: &Value) -> std::result::Result<Acls, String> {
    let object = value.as_object().ok_or("are no JSON object")?;
    let mut acls = Acls::new();
    for (field, value) in object {
        if field == "permissive" {
            match value.as_bool() {
                Some(true) => {}
                Some(false) => acls = acls.restrictive(),
                None => return Err("have a 'permissive' that is neither true nor false".to_owned()),
            }
            continue;
        }
        let mut known = AclAction::ALL.into_iter();
        let Some(action) = known.find(|action| of(*action).field == field) else {
            let why = if NOT_COVERED.contains(&field.as_str()) {
                "not covered by this local cluster"
            } else {
                "unknown"
            };
            return Err(format!("have rules '{field}', which are {why}"));
        };
        let rules = value
            .as_array()
            .ok_or_else(|| format!("have a '{field}' that is no list"))?;
        for rule in rules {
            let rule = rule.as_object();
            let rule = rule.ok_or_else(|| format!("have a rule in '{field}' that is no object"))?;
            let part = |name: &str| {
                entity(rule, name).map_err(|why| format!("have a rule in '{field}' {why}"))
            };
            acls = acls.rule(action, part("principals")?, part(of(action).object)?);
        }
    }
    Ok(acls)
}

fn entity(rule: &Map<String, Value>, name: &str) -> std::result::Result<AclEntity, String> {
    let wrong = |what: &str| format!("whose '{name}' {what}");
    let part = rule.get(name).and_then(Value::as_object);
    let part = part.ok_or_else(|| wrong("are missing, or no object"))?;
    match part.get("type").map(Value::as_str) {
        Some(Some("ANY")) => return Ok(AclEntity::Any),
        Some(Some("NONE")) => return Ok(AclEntity::None),
        None | Some(Some("SOME")) => {}
        Some(_) => return Err(wrong("have another type than SOME, ANY and NONE")),
    }
    let no_values = Vec::new();
    let values = match part.get("values") {
        Some(Value::Array(values)) => values,
        Some(_) => return Err(wrong("have values that are no list")),
        None => &no_values,
    };
    let values = values
        .iter()
        .map(|value| value.as_str().map(str::to_owned).ok_or(()))
        .collect::<std::result::Result<Vec<String>, ()>>();
    let values = values.map_err(|()| wrong("have a value that is no text"))?;
    Ok(AclEntity::Some(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(json: &str) -> String {
        parse(json).unwrap_err().to_string()
    }

    #[test]
    fn every_action_is_read_by_its_name() {
        for action in AclAction::ALL {
            let names = of(action);
            let json = format!(
                r#"{{"permissive": false, "{}": [{{"principals": {{"values": ["p"]}}, "{}": {{"type": "ANY"}}}}]}}"#,
                names.field, names.object
            );
            let expected =
                Acls::new()
                    .restrictive()
                    .rule(action, AclEntity::some(["p"]), AclEntity::Any);
            assert_eq!(parse(&json).unwrap(), expected);
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        assert!(why("{").contains("acls are not JSON"));
        assert!(why(r#"{"get_endpoints": []}"#).contains("'get_endpoints', which are not covered"));
        assert!(why(r#"{"run_task": []}"#).contains("'run_task', which are unknown"));
        let rule = r#"{"run_tasks": [{"principals": {"type": "ANY"}, "roles": {"type": "ANY"}}]}"#;
        assert!(why(rule).contains("a rule in 'run_tasks' whose 'users' are missing"));
        let kind = r#"{"run_tasks": [{"principals": {"type": "ALL"}, "users": {"type": "ANY"}}]}"#;
        assert!(why(kind).contains("another type than SOME, ANY and NONE"));
    }
}
