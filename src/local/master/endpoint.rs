//! `/api/v1/scheduler`: the checks in the order in which Mesos makes them, before and after the framework is looked up.
//!
//! Source: `Master::Http::scheduler`, `src/master/http.cpp` of Apache Mesos 1.11.0.

use std::sync::Arc;

use hyper::StatusCode;

use super::framework::{Connection, Framework};
use super::state::Master;
use super::{log, operator, pages, standby, validation};
use crate::codec::ContentType;
use crate::local::core::Core;
use crate::local::http::{self, ApiRequest, Realm, Reply, is_below, route};
use crate::local::masters::Standing;
use crate::local::server::{Handler, Routes};
use crate::local::wire::{CallFault, Caller};
use crate::proto::scheduler::{Call, call};

const STREAM_ID: &str = "mesos-stream-id";

/// A process of its own, whose name is not the master's.
const METRICS: &str = "/metrics/snapshot";

const ROUTES: [&str; 7] = [
    "/api/v1/scheduler",
    "/api/v1",
    "/health",
    "/state",
    "/slaves",
    "/roles",
    "/tasks",
];

/// A scheduler's call with what its headers said.
#[derive(Debug)]
pub(super) struct SchedulerRequest {
    pub(super) call: Call,
    pub(super) principal: Option<String>,
    pub(super) stream_id: Option<String>,
    /// What a subscriber reads; JSON for calls that have no use for it.
    pub(super) content_type: ContentType,
}

/// The routes of the master in place `index`.
pub(in crate::local) fn handler(core: &Arc<Core>, index: usize) -> Handler {
    let core = Arc::clone(core);
    Routes::new(early, move |request| answer(&core, index, request))
}

/// Where there is nothing, the body is not waited for.
fn early(request: &ApiRequest) -> Option<Reply> {
    if let Some(reply) = http::internal_message(request, "/master") {
        return Some(reply);
    }
    let is_somewhere = routed(&request.path).is_some() || standby::is_redirected(&request.path);
    (!is_somewhere).then(Reply::not_found)
}

fn answer(core: &Arc<Core>, index: usize, request: &ApiRequest) -> Reply {
    if let Some(reply) = http::internal_message(request, "/master") {
        return reply;
    }
    match core.look(|world| world.masters.standing(index)) {
        Standing::Leading => {}
        Standing::Starting => {
            let reply = Reply::not_found();
            log::page(request, &reply);
            return reply;
        }
        Standing::Recovering => {
            let reply = standby::recovering(core, index, request);
            log::page(request, &reply);
            return reply;
        }
        Standing::Follows(leader) => {
            let reply = standby::answer(core, index, request, Some(leader));
            log::page(request, &reply);
            return reply;
        }
        Standing::Leaderless => {
            let reply = standby::answer(core, index, request, None);
            log::page(request, &reply);
            return reply;
        }
    }
    let reply = match routed(&request.path) {
        Some("/api/v1/scheduler") => return scheduler(core, request),
        Some("/health") => Reply::ok(),
        Some("/api/v1") => operator::answer(core, request),
        Some(path) => page(core, request, path),
        None => Reply::not_found(),
    };
    log::page(request, &reply);
    reply
}

fn page(core: &Arc<Core>, request: &ApiRequest, path: &str) -> Reply {
    match reader(core, request, path) {
        Ok(principal) => pages::answer(
            core,
            path,
            request.target.query.as_deref(),
            principal.as_deref(),
        ),
        Err(refusal) => refusal,
    }
}

/// The route of a path, without the master's name.
pub(super) fn routed(path: &str) -> Option<&'static str> {
    if is_below(path, METRICS) {
        return Some(METRICS);
    }
    let path = path.strip_prefix("/master").unwrap_or(path);
    // What is below it would be sent on for ever.
    let is_redirect = path == "/redirect";
    is_redirect
        .then_some("/redirect")
        .or_else(|| route(path, &ROUTES))
}

/// Who wants to see a page. Who asks for nothing but the way, or for a sign of life, need not say it.
pub(super) fn reader(
    core: &Core,
    request: &ApiRequest,
    path: &str,
) -> Result<Option<String>, Reply> {
    match path {
        "/redirect" | "/health" => Ok(None),
        _ => operator(core, request, Realm::ReadOnly),
    }
}

/// The operator that sent the request; `None` if operators are not asked.
pub(super) fn operator(
    core: &Core,
    request: &ApiRequest,
    realm: Realm,
) -> Result<Option<String>, Reply> {
    if !core.config.authenticates_operators {
        return Ok(None);
    }
    http::prove(&request.headers, &core.config.credentials, realm).map(Some)
}

/// One call, with the fault that is laid on it.
fn scheduler(core: &Arc<Core>, request: &ApiRequest) -> Reply {
    match core.config.wire.take_call_fault(Caller::Scheduler) {
        None => carry_out(core, request),
        Some(CallFault::Refuse(status, text)) => Reply::status(status, text),
        Some(CallFault::LoseAnswer) => {
            carry_out(core, request);
            Reply::Lost
        }
    }
}

fn carry_out(core: &Arc<Core>, request: &ApiRequest) -> Reply {
    let checked = match checked(core, request) {
        Ok(checked) => checked,
        Err(refusal) => {
            log::page(request, &refusal);
            return refusal;
        }
    };
    let (name, framework_id) = log::subject(&checked.call);
    let reply = core.run(|world| match &mut world.master {
        Some(master) => master.scheduler_call(checked),
        // The connection is about to be cut.
        None => Reply::status(StatusCode::SERVICE_UNAVAILABLE, "No leader elected"),
    });
    log::call(name, framework_id.as_ref(), &reply);
    let Reply::Stream {
        content_type,
        stream_id: Some(stream_id),
        body,
    } = reply
    else {
        return reply;
    };
    let (core, ended) = (Arc::downgrade(core), stream_id.clone());
    let body = body.on_end(move || {
        if let Some(core) = core.upgrade() {
            core.run(|world| {
                if let Some(master) = &mut world.master {
                    master.stream_ended(&ended);
                }
            });
        }
    });
    Reply::Stream {
        content_type,
        stream_id: Some(stream_id),
        body,
    }
}

fn checked(core: &Core, request: &ApiRequest) -> Result<SchedulerRequest, Reply> {
    let principal = http::authenticate(&request.headers, &core.config.credentials)?;
    let call: Call = http::read_call(request)?;
    validation::call(&call, principal.as_deref())
        .map_err(|why| Reply::bad_request(format!("Failed to validate scheduler::Call: {why}")))?;
    let kind = call.r#type();
    let content_type = match kind {
        call::Type::Subscribe | call::Type::ReconcileOperations => {
            http::acceptable(&request.headers)?
        }
        _ => ContentType::default(),
    };
    let stream_id = request.headers.get(STREAM_ID);
    let stream_id = stream_id.map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
    if kind == call::Type::Subscribe && stream_id.is_some() {
        return Err(Reply::bad_request(
            "Subscribe calls should not include the 'Mesos-Stream-Id' header",
        ));
    }
    Ok(SchedulerRequest {
        call,
        principal,
        stream_id,
        content_type,
    })
}

impl Master {
    fn scheduler_call(&mut self, request: SchedulerRequest) -> Reply {
        if request.call.r#type() == call::Type::Subscribe {
            return self.subscribe(request);
        }
        let framework_id = request.call.framework_id.clone().unwrap_or_default();
        let Some(framework) = self.frameworks.get(&framework_id) else {
            return Reply::bad_request("Framework cannot be found");
        };
        match may_call(framework, &request) {
            Ok(()) => self.call(&framework_id, request.call),
            Err(refusal) => refusal,
        }
    }
}

/// Whether this call comes from the framework's current subscription.
fn may_call(framework: &Framework, request: &SchedulerRequest) -> Result<(), Reply> {
    if let Some(principal) = &request.principal
        && framework.info.principal.as_ref() != Some(principal)
    {
        return Err(Reply::bad_request(format!(
            "Authenticated principal '{principal}' does not match principal '{}' set in `FrameworkInfo`",
            framework.info.principal()
        )));
    }
    let Connection::Connected(stream) = &framework.connection else {
        return Err(Reply::forbidden("Framework is not subscribed"));
    };
    match &request.stream_id {
        None => Err(Reply::bad_request(
            "All non-subscribe calls should include the 'Mesos-Stream-Id' header",
        )),
        Some(stream_id) if *stream_id != stream.id => Err(Reply::bad_request(format!(
            "The stream ID '{stream_id}' included in this request didn't match the stream ID \
             currently associated with framework ID {}",
            framework.id
        ))),
        Some(_) => Ok(()),
    }
}
