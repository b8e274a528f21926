//! Requests and replies, and the checks that both endpoints make, with Mesos's statuses and texts.
//!
//! Source: `src/master/http.cpp` and `src/slave/http.cpp` of Apache Mesos 1.11.0.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{self, HeaderMap};
use hyper::{Method, StatusCode};

use super::diagnosis;
use super::json_text;
use super::query::Query;
use super::schema::SCHEMA;
use super::server::Target;
use super::stream::EventBody;
use crate::codec::{self, ContentType, WireMessage};
use crate::proto;

/// A request whose body has arrived.
#[derive(Debug)]
pub(super) struct ApiRequest {
    pub(super) method: Method,
    /// As routes are written.
    pub(super) path: String,
    /// As it came.
    pub(super) target: Target,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What goes back.
#[derive(Debug)]
pub(super) enum Reply {
    /// A whole response; the text may be empty.
    Plain {
        status: StatusCode,
        text: String,
        /// A header that belongs to the status: `Allow`, `WWW-Authenticate`.
        header: Option<(header::HeaderName, String)>,
    },
    /// A whole response that is not plain text.
    Content {
        media_type: &'static str,
        body: Bytes,
    },
    /// A subscription.
    Stream {
        content_type: ContentType,
        /// Schedulers get one, executors do not.
        stream_id: Option<String>,
        body: EventBody,
    },
    /// None: the connection closes.
    Lost,
}

impl Reply {
    /// None if there is no answer.
    pub(super) fn status_code(&self) -> Option<StatusCode> {
        match self {
            Self::Plain { status, .. } => Some(*status),
            Self::Content { .. } | Self::Stream { .. } => Some(StatusCode::OK),
            Self::Lost => None,
        }
    }

    /// The text of one that says no.
    pub(super) fn refusal(&self) -> Option<&str> {
        match self {
            Self::Plain { status, text, .. } if status.as_u16() >= 400 => Some(text),
            _ => None,
        }
    }

    /// JSON as a script that calls the function that a page's address names (`?jsonp=`), if it names one.
    ///
    /// Source: `OK(JSON::Proxy&&, …)`, `3rdparty/libprocess/include/process/http.hpp`.
    pub(super) fn into_script(self, query: &Query) -> Self {
        match (self, query.get("jsonp")) {
            (Self::Content { body, .. }, Some(function)) => Self::Content {
                media_type: "text/javascript",
                body: [function.as_bytes(), b"(", &body, b")"].concat().into(),
            },
            (own, _) => own,
        }
    }

    pub(super) fn status(status: StatusCode, text: impl Into<String>) -> Self {
        Self::Plain {
            status,
            text: text.into(),
            header: None,
        }
    }

    pub(super) fn accepted() -> Self {
        Self::status(StatusCode::ACCEPTED, "")
    }

    pub(super) fn ok() -> Self {
        Self::status(StatusCode::OK, "")
    }

    pub(super) fn bad_request(text: impl Into<String>) -> Self {
        Self::status(StatusCode::BAD_REQUEST, text)
    }

    pub(super) fn forbidden(text: impl Into<String>) -> Self {
        Self::status(StatusCode::FORBIDDEN, text)
    }

    /// By the rules of who may do what.
    pub(super) fn not_allowed() -> Self {
        Self::forbidden("403 Forbidden.")
    }

    pub(super) fn not_implemented() -> Self {
        Self::status(StatusCode::NOT_IMPLEMENTED, "501 Not Implemented.")
    }

    /// To what turned out not to be HTTP when its body came.
    pub(super) fn undecodable() -> Self {
        let text = "failed to decode body";
        Self::status(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    pub(super) fn not_found() -> Self {
        Self::status(StatusCode::NOT_FOUND, "404 Not Found.")
    }
}

/// Whether `path` is `route` or below it: routes take that, too.
pub(super) fn is_below(path: &str, route: &str) -> bool {
    let rest = path.strip_prefix(route);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Of routes, the one that `path` leads to; longer ones stand before those above them.
pub(super) fn route<'a>(path: &str, routes: &[&'a str]) -> Option<&'a str> {
    routes.iter().copied().find(|route| is_below(path, route))
}

/// The answer to what Mesos takes for a message between its own processes: nobody waits for what comes of it.
///
/// Source: `ProcessManager::handle`, `3rdparty/libprocess/src/process.cpp`.
pub(super) fn internal_message(request: &ApiRequest, process: &str) -> Option<Reply> {
    let agent = request.headers.get(header::USER_AGENT);
    let is_internal = request.headers.contains_key("libprocess-from")
        || agent.is_some_and(|agent| agent.as_bytes().starts_with(b"libprocess/"));
    if !is_internal || request.method != Method::POST {
        return None;
    }
    let path = request.path.strip_prefix(process);
    let is_own = path.is_some_and(|rest| rest.starts_with('/'));
    Some(if is_own {
        Reply::accepted()
    } else {
        Reply::not_found()
    })
}

/// The media types that both endpoints read and write; JSON first, as Mesos prefers it.
fn content_types() -> impl Iterator<Item = ContentType> {
    #[cfg(feature = "json")]
    let json = Some(ContentType::Json);
    #[cfg(not(feature = "json"))]
    let json = None;
    json.into_iter().chain([ContentType::Protobuf])
}

/// What refusals say where Mesos's endpoints differ.
#[derive(Debug)]
pub(super) struct Wording {
    pub(super) content_types: &'static str,
    pub(super) message: &'static str,
    /// Before what is wrong with JSON that is no such message.
    pub(super) conversion: &'static str,
}

/// A call of one of the APIs.
pub(super) trait ApiCall: WireMessage {
    /// Full name of the message.
    const NAME: &'static str;
}

impl ApiCall for proto::scheduler::Call {
    const NAME: &'static str = "mesos.v1.scheduler.Call";
}

impl ApiCall for proto::executor::Call {
    const NAME: &'static str = "mesos.v1.executor.Call";
}

impl ApiCall for proto::master::Call {
    const NAME: &'static str = "mesos.v1.master.Call";
}

impl ApiCall for proto::agent::Call {
    const NAME: &'static str = "mesos.v1.agent.Call";
}

/// Of all endpoints but the agent's operator API.
const WORDING: Wording = Wording {
    content_types: "application/json or application/x-protobuf",
    message: "Call protobuf",
    conversion: "Failed to convert JSON into Call protobuf: ",
};

/// Method, content type and body of a call.
pub(super) fn read_call<M: ApiCall>(request: &ApiRequest) -> Result<M, Reply> {
    let content_type = content_type(request, &WORDING)?;
    read_body(request, content_type, &WORDING)
}

/// Method and content type of a call.
pub(super) fn content_type(request: &ApiRequest, wording: &Wording) -> Result<ContentType, Reply> {
    if request.method != Method::POST {
        let text = format!(
            "405 Method Not Allowed. Expecting one of {{ 'POST' }}, but received '{}'.",
            request.method
        );
        return Err(Reply::Plain {
            status: StatusCode::METHOD_NOT_ALLOWED,
            text,
            header: Some((header::ALLOW, "POST".to_owned())),
        });
    }
    let Some(media_type) = request.headers.get(header::CONTENT_TYPE) else {
        let text = "Expecting 'Content-Type' to be present";
        return Err(Reply::bad_request(text));
    };
    let mut known = content_types();
    let content_type = known.find(|known| known.media_type() == media_type);
    content_type.ok_or_else(|| {
        let text = format!("Expecting 'Content-Type' of {}", wording.content_types);
        Reply::status(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
    })
}

/// Body of a call.
pub(super) fn read_body<M: ApiCall>(
    request: &ApiRequest,
    content_type: ContentType,
    wording: &Wording,
) -> Result<M, Reply> {
    read_message(&request.body, content_type, wording)
}

/// A call out of bytes.
pub(super) fn read_message<M: ApiCall>(
    body: &[u8],
    content_type: ContentType,
    wording: &Wording,
) -> Result<M, Reply> {
    let read = codec::decode(content_type, body);
    let read = match read {
        // Protobuf's generated types do not know what is required.
        Ok(call) if content_type != ContentType::Protobuf => Ok(*call),
        Ok(call) if SCHEMA.is_complete(M::NAME, body) => Ok(*call),
        Ok(_) => Err(unreadable(wording)),
        Err(error) => {
            let error: crate::Error = error;
            tracing::debug!(?content_type, size = body.len(), %error, "call read once more");
            match content_type {
                #[cfg(feature = "json")]
                ContentType::Json => read_odd_json(body, wording),
                ContentType::Protobuf => read_odd_protobuf(body, wording),
            }
        }
    };
    read.map_err(Reply::bad_request)
}

fn unreadable(wording: &Wording) -> String {
    format!("Failed to parse body into {}", wording.message)
}

/// What only Mesos's own library takes: values of another kind than their fields', which count for nothing.
fn read_odd_protobuf<M: ApiCall>(body: &[u8], wording: &Wording) -> Result<M, String> {
    let tidied = SCHEMA.tidied(M::NAME, body);
    let tidied = tidied.filter(|tidied| SCHEMA.is_complete(M::NAME, tidied));
    let call = tidied.and_then(|tidied| codec::decode(ContentType::Protobuf, &tidied).ok());
    let call: Box<M> = call.ok_or_else(|| unreadable(wording))?;
    Ok(*call)
}

/// What only Mesos's own parser takes, or why it does not.
#[cfg(feature = "json")]
fn read_odd_json<M: ApiCall>(body: &[u8], wording: &Wording) -> Result<M, String> {
    let value = json_text::parse(body);
    let mut value = value.map_err(|why| format!("Failed to parse body into JSON: {why}"))?;
    let why = diagnosis::conversion(M::NAME, &value);
    diagnosis::tidy(M::NAME, &mut value);
    let call = match why {
        Some(why) => Err(why),
        // Nothing that Mesos would refuse: our own words then.
        None => serde_json::from_value(value).map_err(|error| error.to_string()),
    };
    call.map_err(|why| format!("{}{why}", wording.conversion))
}

/// The content type of exactly this name.
pub(super) fn known_type(media_type: &[u8]) -> Option<ContentType> {
    let mut known = content_types();
    known.find(|known| known.media_type().as_bytes() == media_type)
}

/// What the subscriber reads; JSON unless it is not accepted.
pub(super) fn acceptable(headers: &HeaderMap) -> Result<ContentType, Reply> {
    acceptable_in(headers, "accept").ok_or_else(|| {
        Reply::status(
            StatusCode::NOT_ACCEPTABLE,
            "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'",
        )
    })
}

/// The same of the header of this name.
pub(super) fn acceptable_in(headers: &HeaderMap, name: &str) -> Option<ContentType> {
    let mut known = content_types();
    known.find(|known| is_acceptable(headers, name, known.media_type()))
}

/// Whether the header of this name allows `media_type`, as one that is not there does.
pub(super) fn is_acceptable(headers: &HeaderMap, name: &str, media_type: &str) -> bool {
    let accept = headers.get(name);
    accept.is_none_or(|accept| accepts(&String::from_utf8_lossy(accept.as_bytes()), media_type))
}

/// Whether one of the ranges in `accept` covers `media_type`; a quality only counts as zero or not.
fn accepts(accept: &str, media_type: &str) -> bool {
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let is_refused = parts.any(|parameter| {
            let quality = parameter.strip_prefix("q=");
            quality.is_some_and(|quality| quality.parse() == Ok(0.0))
        });
        let is_covered = name == media_type || name == "application/*" || name == "*/*";
        is_covered && !is_refused
    })
}

/// What a master has people prove themselves for (`src/master/constants.hpp`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Realm {
    Scheduler,
    ReadOnly,
    ReadWrite,
}

impl Realm {
    fn name(self) -> &'static str {
        match self {
            Self::Scheduler => "mesos-master-scheduler",
            Self::ReadOnly => "mesos-master-readonly",
            Self::ReadWrite => "mesos-master-readwrite",
        }
    }
}

/// The principal that the request proves to be, `None` when nobody is asked (`credentials` is empty).
pub(super) fn authenticate(
    headers: &HeaderMap,
    credentials: &BTreeMap<String, String>,
) -> Result<Option<String>, Reply> {
    if credentials.is_empty() {
        return Ok(None);
    }
    prove(headers, credentials, Realm::Scheduler).map(Some)
}

/// The principal that the request must prove to be.
pub(super) fn prove(
    headers: &HeaderMap,
    credentials: &BTreeMap<String, String>,
    realm: Realm,
) -> Result<String, Reply> {
    match basic_credential(headers) {
        Some((principal, secret)) if credentials.get(&principal) == Some(&secret) => Ok(principal),
        _ => Err(Reply::Plain {
            status: StatusCode::UNAUTHORIZED,
            text: "401 Unauthorized.".to_owned(),
            header: Some((
                header::WWW_AUTHENTICATE,
                format!("Basic realm=\"{}\"", realm.name()),
            )),
        }),
    }
}

/// A `:` in the secret is not supported, as in `3rdparty/libprocess/src/authenticator.cpp`.
fn basic_credential(headers: &HeaderMap) -> Option<(String, String)> {
    let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let decoded = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (principal, secret) = decoded.split_once(':')?;
    (!secret.contains(':')).then(|| (principal.to_owned(), secret.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn protobuf_is_written_only_where_json_is_not_accepted() {
        let chosen = |accept: &str| acceptable(&headers(header::ACCEPT, accept)).ok();
        assert_eq!(
            chosen("application/x-protobuf"),
            Some(ContentType::Protobuf)
        );
        let without_json = "application/x-protobuf, application/json;q=0";
        assert_eq!(chosen(without_json), Some(ContentType::Protobuf));
        assert_eq!(chosen("text/html"), None);
        #[cfg(feature = "json")]
        assert_eq!(chosen("*/*"), Some(ContentType::Json));
    }

    #[test]
    fn basic_credentials_are_compared_whole() {
        let credentials = BTreeMap::from([("me".to_owned(), "secret".to_owned())]);
        let ask = |value: &str| {
            let reply = authenticate(&headers(header::AUTHORIZATION, value), &credentials);
            reply.ok().flatten()
        };
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(ask(&basic("me:secret")).as_deref(), Some("me"));
        assert_eq!(ask(&basic("me:other")), None);
        assert_eq!(ask(&basic("me:secret:more")), None);
        assert_eq!(ask("Bearer x"), None);
        assert!(authenticate(&HeaderMap::new(), &credentials).is_err());
        assert_eq!(
            authenticate(&HeaderMap::new(), &BTreeMap::new()).ok(),
            Some(None)
        );
    }
}
