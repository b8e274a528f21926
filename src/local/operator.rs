//! What the operator APIs of master and agents share: how an answer is written, and which calls get none.
//!
//! Source: `src/master/http.cpp` and `src/slave/http.cpp` of Apache Mesos 1.11.0.

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Map, Value};

use super::config::VERSION;
use super::http::Reply;
use crate::codec::{self, ContentType, WireMessage};
use crate::error::{Error, ErrorKind, Result};
use crate::proto::{Metric, Resource, TimeInfo, VersionInfo};
use crate::resources::{Resources, to_endpoint};

/// Message of an answer, and its lists that Mesos writes in JSON even if they are empty.
pub(super) type Lists = [(&'static str, &'static [&'static str])];

/// `message` in the content type that its reader accepts.
pub(super) fn content<M: WireMessage>(
    content_type: ContentType,
    message: &M,
    lists: &Lists,
) -> Reply {
    match encode(content_type, message, lists) {
        Ok(body) => Reply::Content {
            media_type: content_type.media_type(),
            body,
        },
        Err(error) => Reply::status(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// `message` as it is written in `content_type`.
pub(super) fn encode<M: WireMessage>(
    content_type: ContentType,
    message: &M,
    lists: &Lists,
) -> Result<Bytes> {
    if content_type == ContentType::Protobuf {
        return codec::encode(content_type, message);
    }
    let mut value = serde_json::to_value(message)
        .map_err(|error| Error::caused_by(ErrorKind::Config, "message has no JSON form", error))?;
    add_lists(&mut value, lists);
    Ok(value.to_string().into())
}

/// A page of JSON.
pub(super) fn json(value: &Value) -> Reply {
    Reply::Content {
        media_type: ContentType::Json.media_type(),
        body: value.to_string().into(),
    }
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

/// The response to a question: by its type, the field that belongs to it and what is in it, which may be nothing; `None`
/// for other types. Responses of master and agents are alike, but not one type.
macro_rules! answers {
    ($kind:expr, { $($type:ident => $field:ident: $content:expr,)* }) => {
        match $kind {
            $(call::Type::$type => Some(Response {
                r#type: Some(response::Type::$type.into()),
                $field: Option::from($content),
                ..Default::default()
            }),)*
            _ => None,
        }
    };
}
pub(super) use answers;

/// A call without something that it must have; `call` is like `master::Call`.
pub(super) fn expecting(call: &str, what: &str) -> Reply {
    Reply::bad_request(format!(
        "Failed to validate {call}: Expecting '{what}' to be present"
    ))
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

/// Metrics as the operator APIs tell them. All of them are at hand, so that a time limit changes nothing.
pub(super) fn metrics(metrics: Map<String, Value>) -> Vec<Metric> {
    let metrics = metrics.into_iter();
    let metrics = metrics.map(|(name, value)| Metric {
        name,
        value: value.as_f64(),
    });
    metrics.collect()
}

/// A time in seconds since the epoch.
pub(super) fn time(seconds: f64) -> TimeInfo {
    #[expect(clippy::cast_possible_truncation, reason = "until the year 2262")]
    let nanoseconds = (seconds * 1e9) as i64;
    TimeInfo { nanoseconds }
}

/// Resources as endpoints show them: in both formats of reservations (`ENDPOINT` in `convertResourceFormat`,
/// `src/common/resources_utils.cpp`).
pub(super) fn shown(resources: &Resources) -> Vec<Resource> {
    let resources = resources.to_protos().into_iter();
    resources.map(to_endpoint).collect()
}
