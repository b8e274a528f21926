//! `/slave(N)/api/v1`: the checks in the order in which Mesos makes them, and the calls that are covered.
//!
//! Source: `Http::api`, `src/slave/http.cpp`, and `src/slave/validation.cpp` of Apache Mesos 1.11.0.

use std::sync::Arc;

use hyper::{Method, StatusCode, header};

use super::endpoint::not_recovered;
use super::files;
use super::state::Agent;
use crate::codec::ContentType;
use crate::local::core::Core;
use crate::local::http::{self, ApiRequest, Reply, Wording};
use crate::local::master::is_terminal;
use crate::local::operator::{self, Lists};
use crate::local::world::World;
use crate::proto::agent::response::{
    GetAgent, GetExecutors, GetFrameworks, GetHealth, GetLoggingLevel, GetMetrics, GetOperations,
    GetState, GetTasks, GetVersion, get_executors, get_frameworks,
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
    conversion: "",
};

pub(super) fn answer(core: &Arc<Core>, index: usize, request: &ApiRequest) -> Reply {
    let is_recovering = |world: &World| world.agents.get(index).is_some_and(Agent::is_recovering);
    if core.look(is_recovering) {
        return not_recovered();
    }
    let (kind, call, content_type) = match checked(request) {
        Ok(checked) => checked,
        Err(refusal) => return refusal,
    };
    match files::answer(core, index, &call) {
        Some(Ok(response)) => return operator::content(content_type, &response, LISTS),
        Some(Err(refusal)) => return refusal,
        None => {}
    }
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
fn checked(request: &ApiRequest) -> Result<(call::Type, Call, ContentType), Reply> {
    let is_streamed = |value: &header::HeaderValue| value == "application/recordio";
    let sent = request.headers.get(header::CONTENT_TYPE);
    if request.method == Method::POST
        && sent.is_some_and(is_streamed)
        && !request.headers.contains_key("message-content-type")
    {
        let text = "Expecting 'Message-Content-Type' to be set for streaming requests";
        return Err(Reply::bad_request(text));
    }
    let sent = http::content_type(request, &WORDING)?;
    let accepted = http::acceptable(&request.headers);
    let is_streaming = accepted.is_err() && accepts_recordio(request);
    if accepted.is_err() && !is_streaming {
        let text = format!("Expecting 'Accept' to allow {}", WORDING.content_types);
        return Err(Reply::status(StatusCode::NOT_ACCEPTABLE, text));
    }
    let call: Call = http::read_body(request, sent, &WORDING)?;
    let kind = call.r#type.and_then(|kind| call::Type::try_from(kind).ok());
    let expecting = |what: &str| operator::expecting("agent::Call", what);
    let kind = kind.ok_or_else(|| expecting("type"))?;
    match kind {
        call::Type::GetMetrics if call.get_metrics.is_none() => {
            return Err(expecting("get_metrics"));
        }
        call::Type::ListFiles if call.list_files.is_none() => return Err(expecting("list_files")),
        call::Type::ReadFile if call.read_file.is_none() => return Err(expecting("read_file")),
        _ => {}
    }
    let name = kind.as_str_name();
    let streaming = format!("Streaming response is not supported for {name} call");
    let content_type =
        accepted.map_err(|_| Reply::status(StatusCode::NOT_ACCEPTABLE, streaming))?;
    Ok((kind, call, content_type))
}

fn accepts_recordio(request: &ApiRequest) -> bool {
    let accept = request.headers.get(header::ACCEPT);
    accept.is_some_and(|accept| accept == "application/recordio")
}

impl Agent {
    /// The answer to a question; `None` if it is not covered.
    fn report(&self, kind: call::Type) -> Option<Response> {
        let operations = self.operations.values();
        operator::answers!(kind, {
            GetHealth => get_health: GetHealth { healthy: true },
            GetVersion => get_version: GetVersion { version_info: operator::version() },
            GetState => get_state: GetState {
                get_tasks: Some(self.get_tasks()),
                get_executors: Some(self.get_executors()),
                get_frameworks: Some(self.get_frameworks()),
            },
            GetFrameworks => get_frameworks: self.get_frameworks(),
            GetExecutors => get_executors: self.get_executors(),
            GetTasks => get_tasks: self.get_tasks(),
            GetOperations => get_operations: GetOperations {
                operations: operations.map(|own| own.operation.clone()).collect(),
            },
            GetLoggingLevel => get_logging_level: GetLoggingLevel { level: 0 },
            GetMetrics => get_metrics: GetMetrics { metrics: operator::metrics(self.metrics()) },
            GetAgent => get_agent: GetAgent {
                agent_info: Some(self.info.clone()),
                drain_config: self.drain_config,
                ..Default::default()
            },
        })
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
