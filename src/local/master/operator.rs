//! `/api/v1`: the checks in the order in which Mesos makes them, and the calls that are covered.
//!
//! Source: `Master::Http::api`, `src/master/http.cpp`, and `src/master/validation.cpp` of Apache Mesos 1.11.0.

use std::sync::Arc;

use hyper::StatusCode;

use super::state::Master;
use crate::codec::ContentType;
use crate::local::core::Core;
use crate::local::http::{self, ApiRequest, Reply};
use crate::local::operator::{self, Lists};
use crate::proto::master::{Call, Response, call, response};

const LISTS: &Lists = &[
    ("get_agents", &["agents", "recovered_agents"]),
    ("get_executors", &["executors"]),
    ("get_frameworks", &["frameworks", "completed_frameworks"]),
    (
        "get_tasks",
        &["tasks", "unreachable_tasks", "completed_tasks"],
    ),
];

pub(super) fn answer(core: &Arc<Core>, request: &ApiRequest) -> Reply {
    let (kind, call, content_type) = match checked(request) {
        Ok(checked) => checked,
        Err(refusal) => return refusal,
    };
    core.run(|world| match &mut world.master {
        Some(master) if kind == call::Type::Teardown => master.operator_teardown(call),
        Some(master) => match master.report(kind) {
            Some(response) => operator::content(content_type, &response, LISTS),
            None => operator::not_covered(kind.as_str_name()),
        },
        // The connection is about to be cut.
        None => Reply::status(StatusCode::SERVICE_UNAVAILABLE, "No leader elected"),
    })
}

fn checked(request: &ApiRequest) -> Result<(call::Type, Call, ContentType), Reply> {
    let call: Call = http::read_call(request)?;
    let expecting = |what: &str| {
        Reply::bad_request(format!(
            "Failed to validate master::Call: Expecting '{what}' to be present"
        ))
    };
    let kind = call.r#type.and_then(|kind| call::Type::try_from(kind).ok());
    let kind = kind.ok_or_else(|| expecting("type"))?;
    if kind == call::Type::Teardown && call.teardown.is_none() {
        return Err(expecting("teardown"));
    }
    let content_type = http::acceptable(&request.headers)?;
    Ok((kind, call, content_type))
}

impl Master {
    fn operator_teardown(&mut self, call: Call) -> Reply {
        let framework_id = call.teardown.unwrap_or_default().framework_id;
        if !self.frameworks.contains_key(&framework_id) {
            return Reply::bad_request("No framework found with specified ID");
        }
        self.teardown(&framework_id);
        Reply::ok()
    }

    /// The answer to a question; `None` if it is not covered.
    fn report(&self, kind: call::Type) -> Option<Response> {
        let mut response = Response::default();
        let kind = match kind {
            call::Type::GetHealth => {
                response.get_health = Some(response::GetHealth { healthy: true });
                response::Type::GetHealth
            }
            call::Type::GetVersion => {
                let version_info = operator::version();
                response.get_version = Some(response::GetVersion { version_info });
                response::Type::GetVersion
            }
            call::Type::GetState => {
                response.get_state = Some(self.get_state());
                response::Type::GetState
            }
            call::Type::GetAgents => {
                response.get_agents = Some(self.get_agents());
                response::Type::GetAgents
            }
            call::Type::GetFrameworks => {
                response.get_frameworks = Some(self.get_frameworks());
                response::Type::GetFrameworks
            }
            call::Type::GetExecutors => {
                response.get_executors = Some(self.get_executors());
                response::Type::GetExecutors
            }
            call::Type::GetTasks => {
                response.get_tasks = Some(self.get_tasks());
                response::Type::GetTasks
            }
            call::Type::GetOperations => {
                // None was ever made.
                response.get_operations = Some(response::GetOperations::default());
                response::Type::GetOperations
            }
            call::Type::GetRoles => {
                response.get_roles = Some(self.get_roles());
                response::Type::GetRoles
            }
            call::Type::GetMaster => {
                response.get_master = Some(response::GetMaster {
                    master_info: Some(self.info.clone()),
                    start_time: Some(self.started),
                    elected_time: Some(self.started),
                });
                response::Type::GetMaster
            }
            _ => return None,
        };
        response.r#type = Some(kind.into());
        Some(response)
    }
}
