//! What the operator APIs of master and agents share: how an answer is written, and which calls get none.
//!
//! Source: `src/master/http.cpp` and `src/slave/http.cpp` of Apache Mesos 1.11.0.

use hyper::StatusCode;
use serde_json::Value;

use super::config::VERSION;
use super::http::Reply;
use crate::codec::{self, ContentType, WireMessage};
use crate::proto::{Resource, TimeInfo, VersionInfo};
use crate::resources::Resources;

/// Message of an answer, and its lists that Mesos writes in JSON even if they are empty.
pub(super) type Lists = [(&'static str, &'static [&'static str])];

/// `message` in the content type that its reader accepts.
pub(super) fn content<M: WireMessage>(
    content_type: ContentType,
    message: &M,
    lists: &Lists,
) -> Reply {
    if content_type == ContentType::Json {
        return match serde_json::to_value(message) {
            Ok(mut value) => {
                add_lists(&mut value, lists);
                json(&value)
            }
            Err(error) => failed(&error),
        };
    }
    match codec::encode(content_type, message) {
        Ok(body) => Reply::Content {
            media_type: content_type.media_type(),
            body,
        },
        Err(error) => failed(&error),
    }
}

/// A page of JSON.
pub(super) fn json(value: &Value) -> Reply {
    Reply::Content {
        media_type: ContentType::Json.media_type(),
        body: value.to_string().into(),
    }
}

fn failed(error: &dyn std::error::Error) -> Reply {
    Reply::status(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

fn add_lists(value: &mut Value, lists: &Lists) {
    let Value::Object(object) = value else {
        return;
    };
    for (message, names) in lists {
        if let Some(Value::Object(found)) = object.get_mut(*message) {
            for name in *names {
                let list = found.entry(*name);
                list.or_insert_with(|| Value::Array(Vec::new()));
            }
        }
    }
    for inner in object.values_mut() {
        add_lists(inner, lists);
    }
}

/// A call that Mesos has and this cluster has not.
pub(super) fn not_covered(call: &str) -> Reply {
    let text = if call == "UNKNOWN" {
        "501 Not Implemented.".to_owned()
    } else {
        format!("The operator call {call} is not covered by this local cluster")
    };
    Reply::status(StatusCode::NOT_IMPLEMENTED, text)
}

/// What master and agents say of their version; nobody has built them.
pub(super) fn version() -> VersionInfo {
    VersionInfo {
        version: VERSION.to_owned(),
        ..Default::default()
    }
}

/// A time in seconds since the epoch.
pub(super) fn time(seconds: f64) -> TimeInfo {
    #[expect(clippy::cast_possible_truncation, reason = "until the year 2262")]
    let nanoseconds = (seconds * 1e9) as i64;
    TimeInfo { nanoseconds }
}

/// Resources as endpoints show them: each with a role (`ENDPOINT` in `convertResourceFormat`,
/// `src/common/resources_utils.cpp`).
pub(super) fn shown(resources: &Resources) -> Vec<Resource> {
    let mut resources = resources.to_unrefined_protos();
    for resource in &mut resources {
        show_role(resource);
    }
    resources
}

#[expect(deprecated, reason = "endpoints still state one `role`")]
fn show_role(resource: &mut Resource) {
    if resource.reservations.is_empty() {
        resource.role.get_or_insert_with(|| "*".to_owned());
    }
}
