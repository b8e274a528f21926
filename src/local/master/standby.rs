//! What a master answers that does not lead, nearly always who does; and one that leads and has not recovered yet.
//!
//! Source: `Master::Http::redirect`, `src/master/http.cpp`, and `ProcessManager::handle` and `http::query`,
//! `3rdparty/libprocess/src/` of Apache Mesos 1.11.0.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::{StatusCode, header};

use super::{endpoint, pages};
use crate::local::config::HOSTNAME;
use crate::local::core::Core;
use crate::local::http::{self, ApiRequest, Realm, Reply, is_below};
use crate::local::query::{Query, decode, encode};
use crate::local::server::Target;

/// Routes that only the leading master serves, and what is below them.
const LEADERS: [&str; 19] = [
    "/api/v1",
    "/create-volumes",
    "/destroy-volumes",
    "/frameworks",
    "/machine/down",
    "/machine/up",
    "/maintenance/schedule",
    "/maintenance/status",
    "/quota",
    "/redirect",
    "/reserve",
    "/roles",
    "/slaves",
    "/state",
    "/state-summary",
    "/tasks",
    "/teardown",
    "/unreserve",
    "/weights",
];

/// The answer of the standby in place `index`, which takes the master at `leader` for the leading one.
pub(super) fn answer(
    core: &Core,
    index: usize,
    request: &ApiRequest,
    leader: Option<SocketAddr>,
) -> Reply {
    let path = request.path.as_str();
    let path = path.strip_prefix("/master").unwrap_or(path);
    let proved = if is_below(path, "/api/v1/scheduler") {
        http::authenticate(&request.headers, &core.config.credentials)
    } else if is_below(path, "/api/v1") {
        endpoint::operator(core, request, Realm::ReadWrite)
    } else {
        endpoint::reader(core, request, path)
    };
    if let Err(refusal) = proved {
        return refusal;
    }
    let route = endpoint::routed(&request.path);
    if route == Some("/health") {
        return Reply::ok();
    }
    if !is_redirected(path) {
        // Metrics and flags are each master's own.
        return core.look(|world| match world.masters.standby(index) {
            Some(master) => master.page(route.unwrap_or(path), &Query::parse(""), None),
            None => Reply::not_found(),
        });
    }
    match leader {
        None => Reply::status(StatusCode::SERVICE_UNAVAILABLE, "No leader elected"),
        Some(leader) => match location(&request.target, leader) {
            None => Reply::not_found(),
            Some(location) => Reply::Plain {
                status: StatusCode::TEMPORARY_REDIRECT,
                text: String::new(),
                header: Some((header::LOCATION, location)),
            },
        },
    }
}

/// Whether `path` is one that only the leading master serves.
pub(super) fn is_redirected(path: &str) -> bool {
    let path = path.strip_prefix("/master").unwrap_or(path);
    LEADERS.iter().any(|route| is_below(path, route))
}

/// The answer of the master in place `index`, which leads and does not know its registry yet. Its pages show what it knows.
pub(super) fn recovering(core: &Arc<Core>, index: usize, request: &ApiRequest) -> Reply {
    let Some(path) = endpoint::routed(&request.path) else {
        return Reply::not_found();
    };
    let proved = match path {
        "/api/v1/scheduler" => http::authenticate(&request.headers, &core.config.credentials),
        "/api/v1" => endpoint::operator(core, request, Realm::ReadWrite),
        _ => endpoint::reader(core, request, path),
    };
    let principal = match proved {
        Ok(principal) => principal,
        Err(refusal) => return refusal,
    };
    match path {
        "/api/v1/scheduler" | "/api/v1" => {
            let text = "Master has not finished recovery";
            Reply::status(StatusCode::SERVICE_UNAVAILABLE, text)
        }
        "/health" => Reply::ok(),
        path => {
            let (query, principal) = (request.target.query.as_deref(), principal.as_deref());
            let page = core.look(|world| {
                let master = world.masters.standby(index)?;
                Some(master.page(path, &Query::parse(query.unwrap_or_default()), principal))
            });
            // It may just have recovered.
            page.unwrap_or_else(|| pages::answer(core, path, query, principal))
        }
    }
}

/// Without scheme. Requests without the master's name have got it by then. None where it would be a loop.
fn location(target: &Target, leader: SocketAddr) -> Option<String> {
    let base = format!("//{HOSTNAME}:{}", leader.port());
    let own = target.path.as_str();
    let (prefix, path) = if is_below(own, "/master") {
        ("", &own["/master".len()..])
    } else {
        ("/master", own)
    };
    if path == "/redirect" {
        return Some(base);
    }
    if path.starts_with("/redirect/") {
        return None;
    }
    let query = target.query.as_deref().map(normal_query);
    let query = query.unwrap_or_default();
    Some(format!("{base}{prefix}{own}{query}"))
}

/// The query as Mesos writes it again; of several parameters, in an order that it does not care about.
fn normal_query(query: &str) -> String {
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    let written: Vec<String> = parameters
        .map(|parameter| match parameter.split_once('=') {
            Some((name, value)) if !value.is_empty() => {
                format!("{}={}", encode(&decode(name)), encode(&decode(value)))
            }
            Some((name, _)) => encode(&decode(name)),
            None => encode(&decode(parameter)),
        })
        .collect();
    if written.is_empty() {
        return String::new();
    }
    format!("?{}", written.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As real standbys answered.
    #[test]
    fn locations_are_protocol_relative_and_carry_path_and_query() {
        let leader = SocketAddr::from(([127, 0, 0, 1], 5050));
        for (target, expected) in [
            ("/api/v1/scheduler", "/master/api/v1/scheduler"),
            ("/master/state", "/master/state"),
            ("/state/", "/master/state/"),
            ("/slaves?a=1", "/master/slaves?a=1"),
            ("/master/state?q=a+b", "/master/state?q=a%20b"),
            ("/master/state?a", "/master/state?a"),
            ("/master/state?x=%C3%A9/", "/master/state?x=%C3%A9%2F"),
            ("/master/tasks?f=1%2F2", "/master/tasks?f=1%2F2"),
            ("/redirect", ""),
            ("/master/redirect", ""),
        ] {
            let (path, query) = match target.split_once('?') {
                Some((path, query)) => (path, Some(query.to_owned())),
                None => (target, None),
            };
            let path = path.to_owned();
            let own = Target { path, query };
            let expected = format!("//localhost:5050{expected}");
            assert_eq!(location(&own, leader), Some(expected), "{target}");
        }
        let below = Target {
            path: "/redirect/".to_owned(),
            query: None,
        };
        assert_eq!(location(&below, leader), None);
    }
}
