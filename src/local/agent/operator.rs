//! `/slave(N)/api/v1`: the checks in the order in which Mesos makes them, and the calls that are covered.
//!
//! Source: `Http::api`, `src/slave/http.cpp`, and `src/slave/validation.cpp` of Apache Mesos 1.11.0.

use std::sync::Arc;

use hyper::{StatusCode, header};

use super::state::Agent;
use crate::codec::ContentType;
use crate::local::core::Core;
use crate::local::http::{self, ApiRequest, Reply, Wording};
use crate::local::master::is_terminal;
use crate::local::operator::{self, Lists};
use crate::proto::agent::response::{
    GetAgent, GetExecutors, GetFrameworks, GetHealth, GetState, GetTasks, GetVersion,
    get_executors, get_frameworks,
};
use crate::proto::agent::{Call, Response, call, response};
use crate::proto::{FrameworkId, TaskId};

const LISTS: &Lists = &[
    ("get_executors", &["executors", "completed_executors"]),
    ("get_frameworks", &["frameworks", "completed_frameworks"]),
    (
        "get_tasks",
        &[
            "pending_tasks",
            "queued_tasks",
            "launched_tasks",
            "terminated_tasks",
            "completed_tasks",
        ],
    ),
];

const WORDING: Wording = Wording {
    content_types: "application/json or application/x-protobuf or application/recordio",
    message: "a protobuf object",
};

pub(super) fn answer(core: &Arc<Core>, index: usize, request: &ApiRequest) -> Reply {
    let (kind, content_type) = match checked(request) {
        Ok(checked) => checked,
        Err(refusal) => return refusal,
    };
    core.run(|world| {
        let agent = world.agents.get(index);
        let response = agent.map(|agent| agent.report(kind));
        match response {
            Some(Some(response)) => operator::content(content_type, &response, LISTS),
            Some(None) => operator::not_covered(kind.as_str_name()),
            None => Reply::not_found(),
        }
    })
}

/// `Accept` is looked at before the body is.
fn checked(request: &ApiRequest) -> Result<(call::Type, ContentType), Reply> {
    let sent = http::content_type(request, &WORDING)?;
    let accepted = http::acceptable(&request.headers);
    let is_streaming = accepted.is_err() && accepts_recordio(request);
    if accepted.is_err() && !is_streaming {
        let text = format!("Expecting 'Accept' to allow {}", WORDING.content_types);
        return Err(Reply::status(StatusCode::NOT_ACCEPTABLE, text));
    }
    let call: Call = http::read_body(request, sent, &WORDING)?;
    let kind = call.r#type.and_then(|kind| call::Type::try_from(kind).ok());
    let kind = kind.ok_or_else(|| {
        Reply::bad_request("Failed to validate agent::Call: Expecting 'type' to be present")
    })?;
    let name = kind.as_str_name();
    let streaming = format!("Streaming response is not supported for {name} call");
    let content_type =
        accepted.map_err(|_| Reply::status(StatusCode::NOT_ACCEPTABLE, streaming))?;
    Ok((kind, content_type))
}

fn accepts_recordio(request: &ApiRequest) -> bool {
    let accept = request.headers.get(header::ACCEPT);
    accept.is_some_and(|accept| accept == "application/recordio")
}

impl Agent {
    /// The answer to a question; `None` if it is not covered.
    fn report(&self, kind: call::Type) -> Option<Response> {
        let mut response = Response::default();
        let kind = match kind {
            call::Type::GetHealth => {
                response.get_health = Some(GetHealth { healthy: true });
                response::Type::GetHealth
            }
            call::Type::GetVersion => {
                let version_info = operator::version();
                response.get_version = Some(GetVersion { version_info });
                response::Type::GetVersion
            }
            call::Type::GetState => {
                response.get_state = Some(GetState {
                    get_tasks: Some(self.get_tasks()),
                    get_executors: Some(self.get_executors()),
                    get_frameworks: Some(self.get_frameworks()),
                });
                response::Type::GetState
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
            call::Type::GetAgent => {
                response.get_agent = Some(GetAgent {
                    agent_info: Some(self.info.clone()),
                    ..Default::default()
                });
                response::Type::GetAgent
            }
            _ => return None,
        };
        response.r#type = Some(kind.into());
        Some(response)
    }

    fn get_frameworks(&self) -> GetFrameworks {
        let frameworks = self.frameworks.values();
        let frameworks = frameworks.map(|framework| get_frameworks::Framework {
            framework_info: framework.info.clone(),
        });
        GetFrameworks {
            frameworks: frameworks.collect(),
            ..Default::default()
        }
    }

    fn get_executors(&self) -> GetExecutors {
        let frameworks = self.frameworks.values();
        let executors = frameworks.flat_map(|framework| framework.executors.values());
        let executors = executors.map(|executor| get_executors::Executor {
            executor_info: executor.info.clone(),
        });
        GetExecutors {
            executors: executors.collect(),
            ..Default::default()
        }
    }

    /// Tasks that wait for their executor, that it has, and that have ended without all being acknowledged.
    fn get_tasks(&self) -> GetTasks {
        let mut tasks = GetTasks::default();
        for ((framework_id, task_id), task) in &self.tasks {
            let list = if is_terminal(task.state()) {
                &mut tasks.terminated_tasks
            } else if self.is_queued(framework_id, task_id) {
                &mut tasks.queued_tasks
            } else {
                &mut tasks.launched_tasks
            };
            list.push(task.clone());
        }
        tasks
    }

    fn is_queued(&self, framework_id: &FrameworkId, task_id: &TaskId) -> bool {
        let framework = self.frameworks.get(framework_id);
        let mut executors = framework.iter().flat_map(|own| own.executors.values());
        executors.any(|executor| {
            let mut queued = executor.queued.iter().flat_map(|queued| &queued.tasks);
            queued.any(|task| task.task_id == *task_id)
        })
    }
}
