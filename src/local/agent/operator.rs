//! `/slave(N)/api/v1`: the checks in the order in which Mesos makes them, and the calls that are covered.
//!
//! Source: `Http::api`, `src/slave/http.cpp`, and `src/slave/validation.cpp` of Apache Mesos 1.11.0.

use std::sync::Arc;

use bytes::Bytes;
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

/// What is wrong with the headers of a request to the agent in place `index`; they are looked at before the body comes.
pub(super) fn refusal(core: &Core, index: usize, request: &ApiRequest) -> Option<Reply> {
    let is_recovering = |world: &World| world.agents.get(index).is_some_and(Agent::is_recovering);
    if core.look(is_recovering) {
        return Some(not_recovered());
    }
    forms(request).err()
}

/// How a message, or a stream of messages, is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Whole(ContentType),
    Records(ContentType),
}

const RECORDIO: &str = "application/recordio";

/// Of the request, and of the answer.
fn forms(request: &ApiRequest) -> Result<(Form, Form), Reply> {
    let sent = request.headers.get(header::CONTENT_TYPE);
    let message_type = request.headers.get("message-content-type");
    let is_streamed = sent.is_some_and(|sent| sent == RECORDIO);
    let sent = if request.method == Method::POST && is_streamed {
        let text = "Expecting 'Message-Content-Type' to be set for streaming requests";
        let message_type = message_type.ok_or_else(|| Reply::bad_request(text))?;
        let known = http::known_type(message_type.as_bytes());
        Form::Records(known.ok_or_else(|| {
            let text =
                "Expecting 'Message-Content-Type' of application/json or application/x-protobuf";
            Reply::status(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
        })?)
    } else {
        let sent = http::content_type(request, &WORDING)?;
        if message_type.is_some() {
            let text = "Expecting 'Message-Content-Type' to be not set for non-streaming requests";
            return Err(Reply::status(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
        }
        Form::Whole(sent)
    };
    Ok((sent, accepted(request)?))
}

fn accepted(request: &ApiRequest) -> Result<Form, Reply> {
    let not_acceptable = |text: &str| Err(Reply::status(StatusCode::NOT_ACCEPTABLE, text));
    let headers = &request.headers;
    match http::acceptable(headers) {
        Ok(_) if headers.contains_key("message-accept") => {
            not_acceptable("Expecting 'Message-Accept' to be not set for non-streaming responses")
        }
        Ok(content_type) => Ok(Form::Whole(content_type)),
        Err(_) if !http::is_acceptable(headers, "accept", RECORDIO) => {
            let text = format!("Expecting 'Accept' to allow {}", WORDING.content_types);
            not_acceptable(&text)
        }
        Err(_) => match http::acceptable_in(headers, "message-accept") {
            Some(content_type) => Ok(Form::Records(content_type)),
            None => not_acceptable(
                "Expecting 'Message-Accept' to allow application/json or application/x-protobuf",
            ),
        },
    }
}

/// `Accept` is looked at before the body is.
fn checked(request: &ApiRequest) -> Result<(call::Type, Call, ContentType), Reply> {
    let (sent, accepted) = forms(request)?;
    let call: Call = match sent {
        Form::Whole(sent) => http::read_body(request, sent, &WORDING)?,
        Form::Records(sent) => http::read_message(&first_record(request)?, sent, &WORDING)?,
    };
    let kind = call.r#type.and_then(|kind| call::Type::try_from(kind).ok());
    let expecting = |what: &str| operator::expecting("agent::Call", what);
    let kind = kind.ok_or_else(|| expecting("type"))?;
    if let Some(missing) = missing(kind, &call) {
        return Err(expecting(missing));
    }
    let name = kind.as_str_name();
    if let Form::Records(_) = sent {
        let text = format!("Streaming 'Content-Type' {RECORDIO} is not supported for {name} call");
        return Err(Reply::status(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    match accepted {
        Form::Whole(content_type) => Ok((kind, call, content_type)),
        Form::Records(_) => {
            let text = format!("Streaming response is not supported for {name} call");
            Err(Reply::status(StatusCode::NOT_ACCEPTABLE, text))
        }
    }
}

/// The first of the records that the body is made of.
fn first_record(request: &ApiRequest) -> Result<Bytes, Reply> {
    let body = &request.body;
    let end = body.iter().position(|byte| *byte == b'\n');
    let record = end.and_then(|end| {
        let length = std::str::from_utf8(&body[..end]).ok()?;
        let length: usize = length.parse().ok()?;
        let last = length.checked_add(end + 1)?;
        (last <= body.len()).then(|| body.slice(end + 1..last))
    });
    record.ok_or_else(|| Reply::bad_request("Received EOF while reading request body"))
}

/// The message that a call of this kind must have, and has not.
#[expect(deprecated, reason = "the old calls for nested containers")]
fn missing(kind: call::Type, call: &Call) -> Option<&'static str> {
    use call::Type;
    let (name, is_set) = match kind {
        Type::GetMetrics => ("get_metrics", call.get_metrics.is_some()),
        Type::ListFiles => ("list_files", call.list_files.is_some()),
        Type::ReadFile => ("read_file", call.read_file.is_some()),
        Type::SetLoggingLevel => ("set_logging_level", call.set_logging_level.is_some()),
        Type::LaunchNestedContainer => (
            "launch_nested_container",
            call.launch_nested_container.is_some(),
        ),
        Type::WaitNestedContainer => (
            "wait_nested_container",
            call.wait_nested_container.is_some(),
        ),
        Type::KillNestedContainer => (
            "kill_nested_container",
            call.kill_nested_container.is_some(),
        ),
        Type::RemoveNestedContainer => (
            "remove_nested_container",
            call.remove_nested_container.is_some(),
        ),
        Type::LaunchNestedContainerSession => (
            "launch_nested_container_session",
            call.launch_nested_container_session.is_some(),
        ),
        Type::AttachContainerInput => (
            "attach_container_input",
            call.attach_container_input.is_some(),
        ),
        Type::AttachContainerOutput => (
            "attach_container_output",
            call.attach_container_output.is_some(),
        ),
        Type::LaunchContainer => ("launch_container", call.launch_container.is_some()),
        Type::WaitContainer => ("wait_container", call.wait_container.is_some()),
        Type::KillContainer => ("kill_container", call.kill_container.is_some()),
        Type::RemoveContainer => ("remove_container", call.remove_container.is_some()),
        Type::AddResourceProviderConfig => (
            "add_resource_provider_config",
            call.add_resource_provider_config.is_some(),
        ),
        Type::UpdateResourceProviderConfig => (
            "update_resource_provider_config",
            call.update_resource_provider_config.is_some(),
        ),
        Type::RemoveResourceProviderConfig => (
            "remove_resource_provider_config",
            call.remove_resource_provider_config.is_some(),
        ),
        Type::MarkResourceProviderGone => (
            "mark_resource_provider_gone",
            call.mark_resource_provider_gone.is_some(),
        ),
        _ => return None,
    };
    (!is_set).then_some(name)
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
