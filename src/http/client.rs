//! [`Transport`] over reqwest.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryFutureExt as _};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, USER_AGENT,
};

use super::{Credential, Opened, Opening, Posting, Reply, Request, Transport, Undelivered, tls};
use crate::address::Address;
use crate::error::{Error, ErrorKind, Result};

const STREAM_ID: &str = "Mesos-Stream-Id";

/// Longest body of an answer that is read: Mesos's are a line or two.
const MAX_ANSWER: usize = 64 * 1024;

/// Probes of an idle connection, so that a peer that vanished is noticed where there are no heartbeats to watch.
const TCP_KEEPALIVE: Duration = Duration::from_secs(15);

#[derive(Clone, Debug)]
pub(crate) struct HttpConfig {
    pub(crate) connect_timeout: Duration,
    /// From the last byte of a request to the last one of its answer.
    pub(crate) reply_timeout: Duration,
    pub(crate) user_agent: String,
    pub(crate) credential: Option<Credential>,
    /// Whether the credential goes to configured hosts only, and not to where these redirect.
    pub(crate) confine_credential: bool,
    pub(crate) root_certificates: Vec<Vec<u8>>,
    /// Whether `http_proxy` and its like in the environment are obeyed.
    pub(crate) proxy_from_environment: bool,
}

/// The event stream and the calls have a client each: calls never share the subscription's connection, for the master
/// would write their answers into the middle of the stream (`3rdparty/libprocess/src/http_proxy.cpp`).
#[derive(Debug)]
pub(crate) struct HttpClient {
    streams: reqwest::Client,
    calls: reqwest::Client,
    config: HttpConfig,
    authorization: Option<HeaderValue>,
    configured: Vec<Address>,
}

impl HttpClient {
    /// A way to the `configured` peers, and to where they redirect.
    pub(crate) fn new(config: HttpConfig, configured: Vec<Address>) -> Result<Self> {
        let authorization = config
            .credential
            .as_ref()
            .map(Credential::header)
            .transpose()?;
        let streams = build(&config, &configured)?;
        let calls = build(&config, &configured)?;
        Ok(Self {
            streams,
            calls,
            config,
            authorization,
            configured,
        })
    }

    /// The credential goes along on the same scheme only, and where it is confined, to the configured hosts only.
    fn may_see_credential(&self, to: &Address) -> bool {
        to.credentials_allowed()
            && (!self.config.confine_credential
                || self.configured.iter().any(|known| known.is_same_host(to)))
    }

    fn headers(&self, to: &Address, request: &Request) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(request.media_type));
        headers.insert(ACCEPT, HeaderValue::from_static(request.media_type));
        if let Some(stream_id) = &request.stream_id {
            let value = HeaderValue::from_str(stream_id).map_err(|_| {
                Error::new(
                    ErrorKind::Protocol,
                    format!("stream id {stream_id:?} from {to} cannot be a header"),
                )
            })?;
            headers.insert(STREAM_ID, value);
        }
        if let Some(authorization) = self
            .authorization
            .as_ref()
            .filter(|_| self.may_see_credential(to))
        {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        Ok(headers)
    }

    fn post_with(
        &self,
        client: &reqwest::Client,
        to: &Address,
        request: Request,
    ) -> Result<reqwest::RequestBuilder> {
        let headers = self.headers(to, &request)?;
        Ok(client
            .post(to.url(request.path))
            .headers(headers)
            .body(request.body))
    }
}

fn build(config: &HttpConfig, configured: &[Address]) -> Result<reqwest::Client> {
    let wrong = |error: reqwest::Error| {
        Error::caused_by(ErrorKind::Config, "HTTP client cannot be made", error)
    };
    let agent = HeaderValue::from_str(&config.user_agent).map_err(|_| {
        Error::new(
            ErrorKind::Config,
            format!("user agent {:?} cannot be a header", config.user_agent),
        )
    })?;
    let mut builder = reqwest::Client::builder()
        .default_headers(HeaderMap::from_iter([(USER_AGENT, agent)]))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(config.connect_timeout)
        .tcp_keepalive(TCP_KEEPALIVE);
    if !config.proxy_from_environment {
        builder = builder.no_proxy();
    }
    #[cfg(unix)]
    if let Some(socket) = configured.iter().find_map(Address::socket) {
        builder = builder.unix_socket(socket.clone());
    }
    let https = configured
        .iter()
        .any(|address| address.url("/").scheme() == "https");
    tls::configure(builder, &config.root_certificates, https)?
        .build()
        .map_err(wrong)
}

impl Transport for HttpClient {
    fn open(&self, to: &Address, request: Request) -> Opening {
        let posted = self.post_with(&self.streams, to, request);
        let (to, limit) = (to.clone(), self.config.reply_timeout);
        Box::pin(async move {
            let reply = tokio::time::timeout(limit, posted?.send());
            let response = reply
                .await
                .map_err(|_| no_answer(&to, "SUBSCRIBE", limit))?
                .map_err(|error| exchange_failed(&to, error))?;
            let mut head = head(&response);
            if head.status == 200 {
                let from = to.clone();
                let chunks = response
                    .bytes_stream()
                    .map(move |chunk| chunk.map_err(|error| stream_failed(&from, error)));
                return Ok(Opened::Stream(head, Box::pin(chunks)));
            }
            let body = tokio::time::timeout(limit, body_text(response));
            head.body = body.await.map_err(|_| no_answer(&to, "SUBSCRIBE", limit))?;
            Ok(Opened::Answer(head))
        })
    }

    fn post(&self, to: &Address, request: Request) -> Posting {
        let posted = self.post_with(&self.calls, to, request);
        let (to, limit) = (to.clone(), self.config.reply_timeout);
        Box::pin(async move {
            let sent = posted.map_err(Undelivered::NotSent)?;
            let answered = async {
                let response = sent
                    .send()
                    .await
                    .map_err(|error| match error.is_connect() {
                        true => Undelivered::NotSent(exchange_failed(&to, error)),
                        false => Undelivered::Unknown(exchange_failed(&to, error)),
                    })?;
                let mut reply = head(&response);
                reply.body = body_text(response).await;
                Ok(reply)
            };
            tokio::time::timeout(limit, answered)
                .map_err(|_| Undelivered::Unknown(no_answer(&to, "call", limit)))
                .await?
        })
    }

    /// Awaiting each answer is what keeps the order over a pool of connections.
    fn window(&self) -> usize {
        1
    }
}

fn head(response: &reqwest::Response) -> Reply {
    let text = |name: &str| {
        let value = response.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    Reply {
        status: response.status().as_u16(),
        content_type: text(CONTENT_TYPE.as_str()),
        location: text(LOCATION.as_str()),
        stream_id: text(STREAM_ID).map(Arc::from),
        body: String::new(),
    }
}

/// The body, cut at [`MAX_ANSWER`]; what could be read of it where it breaks, for the status already says the essence.
async fn body_text(mut response: reqwest::Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            body.truncate(MAX_ANSWER);
            break;
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}

fn no_answer(to: &Address, what: &str, limit: Duration) -> Error {
    Error::new(
        ErrorKind::Timeout,
        format!("no answer from {to} to {what} within {limit:?}"),
    )
}

fn exchange_failed(to: &Address, error: reqwest::Error) -> Error {
    let (kind, context) = match (error.is_connect(), error.is_timeout()) {
        (true, true) => (
            ErrorKind::Timeout,
            format!("connecting to {to} took too long"),
        ),
        (true, false) => (ErrorKind::Connect, format!("cannot connect to {to}")),
        (false, true) => (ErrorKind::Timeout, format!("no answer from {to} in time")),
        (false, false) => (ErrorKind::Connect, format!("connection to {to} broke")),
    };
    Error::caused_by(kind, context, error.without_url())
}

fn stream_failed(from: &Address, error: reqwest::Error) -> Error {
    let context = format!("event stream from {from} broke");
    Error::caused_by(ErrorKind::Connect, context, error.without_url())
}
