//! `/slave(N)/api/v1/executor`: the checks in the order in which Mesos makes them.
//!
//! Source: `Http::executor`, `src/slave/http.cpp`, and `src/common/validation.cpp` of Apache Mesos 1.11.0.

use std::sync::Arc;

use hyper::StatusCode;
use uuid::{Uuid, Variant};

use super::state::{Agent, ExecutorState};
use super::{operator, pages};
use crate::codec::ContentType;
use crate::local::core::Core;
use crate::local::http::{self, ApiRequest, Reply};
use crate::local::messages::ToMaster;
use crate::local::peer::Peer;
use crate::local::server::{Handler, Routes};
use crate::local::stream::EventStream;
use crate::local::tokens::Claims;
use crate::local::wire::{CallFault, Caller};
use crate::proto::executor::{Call, call};
use crate::proto::task_status::Source;
use crate::proto::{CheckStatusInfo, TaskState, TaskStatus, check_info};

/// A process of its own, whose name is not the agent's.
const METRICS: &str = "/metrics/snapshot";

const ROUTES: [&str; 4] = ["/api/v1/executor", "/api/v1", "/health", "/state"];

/// The routes of the agent in place `index`.
pub(in crate::local) fn handler(core: &Arc<Core>, index: usize) -> Handler {
    let core = Arc::clone(core);
    // As in `Agent::process`.
    let prefix = format!("/slave({})", index + 1);
    let (early_core, early_prefix) = (Arc::clone(&core), prefix.clone());
    let early = move |request: &ApiRequest| early(&early_core, index, &early_prefix, request);
    Routes::new(early, move |request| {
        if let Some(reply) = http::internal_message(request, &prefix) {
            return reply;
        }
        let path = request.path.as_str();
        let query = request.target.query.as_deref();
        if http::is_below(path, METRICS) {
            return pages::answer(&core, index, METRICS, query);
        }
        let path = path.strip_prefix(prefix.as_str()).unwrap_or(path);
        match http::route(path, &ROUTES) {
            Some("/api/v1/executor") => executor(&core, index, request),
            Some("/health") => Reply::ok(),
            Some("/api/v1") => operator::answer(&core, index, request),
            Some(path) => pages::answer(&core, index, path, query),
            None => Reply::not_found(),
        }
    })
}

/// Where there is nothing, the body is not waited for; neither is it where it may be a stream.
fn early(core: &Core, index: usize, prefix: &str, request: &ApiRequest) -> Option<Reply> {
    if let Some(reply) = http::internal_message(request, prefix) {
        return Some(reply);
    }
    let path = request.path.as_str();
    let own = path.strip_prefix(prefix).unwrap_or(path);
    match http::route(own, &ROUTES) {
        Some("/api/v1") => operator::refusal(core, index, request),
        Some(_) => None,
        None => (!http::is_below(path, METRICS)).then(Reply::not_found),
    }
}

/// One call, with the fault that is laid on it.
fn executor(core: &Arc<Core>, index: usize, request: &ApiRequest) -> Reply {
    match core.config.wire.take_call_fault(Caller::Executor) {
        None => carry_out(core, index, request),
        Some(CallFault::Refuse(status, text)) => Reply::status(status, text),
        Some(CallFault::LoseAnswer) => {
            carry_out(core, index, request);
            Reply::Lost
        }
    }
}

fn carry_out(core: &Arc<Core>, index: usize, request: &ApiRequest) -> Reply {
    let key = core.config.token_key.as_ref();
    let claims = key.map(|key| key.authenticate(&request.headers));
    let claims = match claims.transpose() {
        Ok(claims) => claims,
        Err(refusal) => return refusal,
    };
    let (call, content_type) = match checked(request) {
        Ok(checked) => checked,
        Err(refusal) => return refusal,
    };
    let name = call.r#type().as_str_name();
    let executor_id = call.executor_id.clone();
    let reply = core.run(|world| match world.agents.get_mut(index) {
        Some(agent) => agent.executor_call(call, content_type, claims.as_ref()),
        None => Reply::not_found(),
    });
    let status = reply.status_code().map(|status| status.as_u16());
    let why = reply.refusal();
    tracing::debug!(call = name, %executor_id, status, why, agent = index, "executor called");
    reply
}

/// The call, and what its sender reads if it subscribes.
fn checked(request: &ApiRequest) -> Result<(Call, ContentType), Reply> {
    let call: Call = http::read_call(request)?;
    validate(&call)
        .map_err(|why| Reply::bad_request(format!("Failed to validate Executor::Call: {why}")))?;
    let content_type = if call.r#type() == call::Type::Subscribe {
        http::acceptable(&request.headers)?
    } else {
        ContentType::default()
    };
    Ok((call, content_type))
}

fn validate(call: &Call) -> Result<(), String> {
    let expecting = |what: &str| Err(format!("Expecting '{what}' to be present"));
    // A value that the schema does not know is none.
    let kind = call.r#type.and_then(|kind| call::Type::try_from(kind).ok());
    if kind.is_none() {
        return expecting("type");
    }
    match call.r#type() {
        call::Type::Subscribe if call.subscribe.is_none() => expecting("subscribe"),
        call::Type::Message if call.message.is_none() => expecting("message"),
        call::Type::Update => match &call.update {
            Some(update) => validate_update(call, &update.status),
            None => expecting("update"),
        },
        _ => Ok(()),
    }
}

fn validate_update(call: &Call, status: &TaskStatus) -> Result<(), String> {
    let Some(uuid) = &status.uuid else {
        return Err("Expecting 'uuid' to be present".to_owned());
    };
    let uuid = Uuid::from_slice(uuid).ok();
    let is_uuid =
        |uuid: Uuid| uuid.get_variant() == Variant::RFC4122 && uuid.get_version().is_some();
    if !uuid.is_some_and(is_uuid) {
        return Err("Not a valid UUID".to_owned());
    }
    let own = &call.executor_id;
    if let Some(stated) = status.executor_id.as_ref().filter(|stated| *stated != own) {
        return Err(format!(
            "ExecutorID in Call: {own} does not match ExecutorID in TaskStatus: {stated}"
        ));
    }
    let from = format!("from executor {own} of framework {}", call.framework_id);
    if status.source() != Source::Executor {
        return Err(format!(
            "Received Call {from} with invalid source, expecting 'SOURCE_EXECUTOR'"
        ));
    }
    if status.state() == TaskState::TaskStaging {
        return Err(format!("Received TASK_STAGING {from} which is not allowed"));
    }
    status.check_status.as_ref().map_or(Ok(()), validate_result)
}

/// A result has its kind, and the field of that kind, which may be empty.
fn validate_result(result: &CheckStatusInfo) -> Result<(), String> {
    use check_info::Type;
    let (kind, is_set) = match result.r#type.map(Type::try_from) {
        None => return Err("CheckStatusInfo must specify 'type'".to_owned()),
        Some(Ok(Type::Command)) => ("command", result.command.is_some()),
        Some(Ok(Type::Http)) => ("http", result.http.is_some()),
        Some(Ok(Type::Tcp)) => ("tcp", result.tcp.is_some()),
        Some(Ok(Type::Unknown) | Err(_)) => {
            return Err("'UNKNOWN' is not a valid check's status type".to_owned());
        }
    };
    let name = kind.to_uppercase();
    match is_set {
        true => Ok(()),
        false => Err(format!(
            "Expecting '{kind}' to be set for {name} check's status"
        )),
    }
}

/// The answer while the agent waits for its executors.
pub(super) fn not_recovered() -> Reply {
    let text = "Agent has not finished recovery";
    Reply::status(StatusCode::SERVICE_UNAVAILABLE, text)
}

impl Agent {
    /// `claims`: of the token, if tokens are asked for.
    fn executor_call(
        &mut self,
        call: Call,
        content_type: ContentType,
        claims: Option<&Claims>,
    ) -> Reply {
        let (framework_id, executor_id) = (call.framework_id, call.executor_id);
        let kind = call.r#type.and_then(|kind| call::Type::try_from(kind).ok());
        let kind = kind.unwrap_or(call::Type::Unknown);
        if kind == call::Type::Heartbeat {
            return Reply::accepted();
        }
        if kind != call::Type::Subscribe && self.is_recovering() {
            return not_recovered();
        }
        let Some(framework) = self.frameworks.get(&framework_id) else {
            return Reply::bad_request("Framework cannot be found");
        };
        let Some(executor) = framework.executors.get(&executor_id) else {
            return Reply::bad_request("Executor cannot be found");
        };
        let own = Claims::of(&framework_id, &executor_id, &executor.container_id);
        if claims.is_some_and(|claims| *claims != own) {
            return Reply::forbidden("The token is another executor's");
        }
        let never_subscribed =
            executor.state == ExecutorState::Registering || executor.stream.is_none();
        if kind != call::Type::Subscribe && never_subscribed {
            return Reply::forbidden("Executor is not subscribed");
        }
        match kind {
            call::Type::Subscribe => {
                let (stream, body) = EventStream::new(content_type, &self.config.wire);
                stream.belongs_to(Peer::Executor(framework_id.clone(), executor_id.clone()));
                let subscribe = call.subscribe.unwrap_or_default();
                self.subscribe_executor(&framework_id, &executor_id, subscribe, stream);
                Reply::Stream {
                    content_type,
                    stream_id: None,
                    body,
                }
            }
            call::Type::Update => {
                let update = call.update.unwrap_or_default();
                self.executor_update(&framework_id, &executor_id, update.status);
                Reply::accepted()
            }
            call::Type::Message => {
                self.counters.note("valid_framework_messages");
                self.outbox.push(ToMaster::Message {
                    framework_id,
                    executor_id,
                    data: call.message.unwrap_or_default().data,
                });
                Reply::accepted()
            }
            call::Type::Unknown | call::Type::Heartbeat => Reply::not_implemented(),
        }
    }
}
