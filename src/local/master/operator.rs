//! `/api/v1`: the checks in the order in which Mesos makes them, and the calls that are covered.
//!
//! Source: `Master::Http::api`, `src/master/http.cpp`, and `src/master/validation.cpp` of Apache Mesos 1.11.0.

mod operations;
mod required;

use std::sync::Arc;

use hyper::StatusCode;

use super::state::Master;
use super::views::Viewer;
use super::{endpoint, operator_stream};
use crate::codec::ContentType;
use crate::local::acls::AclAction;
use crate::local::core::Core;
use crate::local::http::{self, ApiRequest, Realm, Reply};
use crate::local::operator::{self, Lists};
use crate::proto::master::{Call, Response, call, response};

pub(super) const LISTS: &Lists = &[
    ("get_agents", &["agents", "recovered_agents"]),
    ("get_executors", &["executors"]),
    ("get_frameworks", &["frameworks", "completed_frameworks"]),
    (
        "get_tasks",
        &["tasks", "unreachable_tasks", "completed_tasks"],
    ),
];

pub(super) fn answer(core: &Arc<Core>, request: &ApiRequest) -> Reply {
    match answer_or_refuse(core, request) {
        Ok(reply) | Err(reply) => reply,
    }
}

fn answer_or_refuse(core: &Arc<Core>, request: &ApiRequest) -> Result<Reply, Reply> {
    let principal = endpoint::operator(core, request, Realm::ReadWrite)?;
    let (kind, call, content_type) = checked(request)?;
    if kind == call::Type::Subscribe {
        return Ok(operator_stream::subscribe(core, content_type, principal));
    }
    let by = principal.as_deref();
    core.run(|world| {
        let master = world.master.as_mut().ok_or_else(no_master)?;
        let response = master.report(kind, &master.viewer(by, content_type));
        Ok(match response {
            Some(response) => operator::content(content_type, &response, LISTS),
            None => master
                .write(kind, call, by)
                .unwrap_or_else(|| operator::not_covered(kind.as_str_name())),
        })
    })
}

/// The connection is about to be cut.
pub(super) fn no_master() -> Reply {
    Reply::status(StatusCode::SERVICE_UNAVAILABLE, "No leader elected")
}

fn checked(request: &ApiRequest) -> Result<(call::Type, Call, ContentType), Reply> {
    let call: Call = http::read_call(request)?;
    let expecting = |what: &str| operator::expecting("master::Call", what);
    let kind = call.r#type.and_then(|kind| call::Type::try_from(kind).ok());
    let kind = kind.ok_or_else(|| expecting("type"))?;
    if let Some(missing) = required::missing(kind, &call) {
        return Err(expecting(missing));
    }
    operations::validate(kind, &call)
        .map_err(|why| Reply::bad_request(format!("Failed to validate master::Call: {why}")))?;
    let content_type = http::acceptable(&request.headers)?;
    if matches!(kind, call::Type::ListFiles | call::Type::ReadFile) {
        // A master without a log directory has no files.
        return Err(Reply::status(StatusCode::NOT_FOUND, ""));
    }
    Ok((kind, call, content_type))
}

impl Master {
    /// Carries out a call that changes something; `None` if it is not covered.
    #[expect(deprecated, reason = "the old calls for quota")]
    fn write(&mut self, kind: call::Type, call: Call, by: Option<&str>) -> Option<Reply> {
        let reply = match kind {
            call::Type::Teardown => self.operator_teardown(call, by),
            call::Type::ReserveResources
            | call::Type::UnreserveResources
            | call::Type::CreateVolumes
            | call::Type::DestroyVolumes
            | call::Type::GrowVolume
            | call::Type::ShrinkVolume => self.operator_operation(call, by),
            call::Type::UpdateWeights => {
                self.update_weights(call.update_weights.unwrap_or_default().weight_infos, by)
            }
            call::Type::UpdateQuota => self.update_quota(call.update_quota.unwrap_or_default(), by),
            call::Type::SetQuota => {
                self.set_quota(&call.set_quota.unwrap_or_default().quota_request, by)
            }
            call::Type::RemoveQuota => {
                self.remove_quota(&call.remove_quota.unwrap_or_default().role, by)
            }
            call::Type::UpdateMaintenanceSchedule => {
                let call = call.update_maintenance_schedule.unwrap_or_default();
                self.update_maintenance_schedule(call.schedule, by)
            }
            call::Type::StartMaintenance => {
                self.start_maintenance(&call.start_maintenance.unwrap_or_default().machines, by)
            }
            call::Type::StopMaintenance => {
                self.stop_maintenance(&call.stop_maintenance.unwrap_or_default().machines, by)
            }
            _ => return self.agent_call(kind, &call, by),
        };
        Some(reply)
    }

    fn operator_teardown(&mut self, call: Call, by: Option<&str>) -> Reply {
        let framework_id = call.teardown.unwrap_or_default().framework_id;
        let Some(framework) = self.frameworks.get(&framework_id) else {
            return Reply::bad_request("No framework found with specified ID");
        };
        let owner = framework.info.principal.as_deref();
        if !self.allows(by, AclAction::TeardownFrameworks, owner) {
            return Reply::not_allowed();
        }
        self.teardown(&framework_id);
        Reply::ok()
    }

    /// The answer to a question; `None` if it is not covered.
    fn report(&self, kind: call::Type, viewer: &Viewer<'_>) -> Option<Response> {
        operator::answers!(kind, {
            GetHealth => get_health: response::GetHealth { healthy: true },
            GetVersion => get_version: response::GetVersion {
                version_info: operator::version(),
            },
            GetState => get_state: self.get_state(viewer),
            GetAgents => get_agents: self.get_agents(viewer),
            GetFrameworks => get_frameworks: self.get_frameworks(viewer),
            GetExecutors => get_executors: self.get_executors(viewer),
            GetTasks => get_tasks: self.get_tasks(viewer),
            GetOperations => get_operations: response::GetOperations {
                operations: self.seen_operations(viewer),
            },
            GetRoles => get_roles: self.get_roles(viewer),
            GetLoggingLevel => get_logging_level: response::GetLoggingLevel { level: 0 },
            GetMetrics => get_metrics: response::GetMetrics {
                metrics: operator::metrics(self.metrics()),
            },
            GetWeights => get_weights: self.get_weights(viewer),
            GetQuota => get_quota: response::GetQuota {
                status: self.quota_status(viewer),
            },
            GetMaintenanceStatus => get_maintenance_status: response::GetMaintenanceStatus {
                status: self.maintenance_status(viewer),
            },
            GetMaintenanceSchedule => get_maintenance_schedule: response::GetMaintenanceSchedule {
                schedule: self.maintenance_schedule(viewer),
            },
            GetMaster => get_master: response::GetMaster {
                master_info: Some(self.info.clone()),
                start_time: Some(self.started),
                elected_time: self.elected,
            },
        })
    }
}
