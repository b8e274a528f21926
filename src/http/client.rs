//! [`Transport`]: event streams and calls, each over connections of our own; over reqwest through proxies.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryFutureExt as _};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, USER_AGENT,
};
use tokio::time::Instant;

use super::authority::{Authority, Credentials};
use super::connect::{Connecting, Connector, Duplex};
use super::one_by_one::OneByOne;
use super::pipeline::{Head, MAX_ANSWER, Pipeline, Renewing, Way};
use super::stream::Incoming;
use super::tls::{Tls, TlsConfig};
use super::{Answer, Calls, Opened, Opening, Reply, Request, Target, Transport, Undelivered};
use crate::address::Address;
use crate::error::{Error, ErrorKind, Result};

pub(super) const STREAM_ID: &str = "Mesos-Stream-Id";

/// Probes of an idle connection, so that a peer that vanished is noticed where there are no heartbeats to watch.
const TCP_KEEPALIVE: Duration = Duration::from_secs(15);

#[derive(Clone, Debug)]
pub(crate) struct HttpConfig {
    pub(crate) connect_timeout: Duration,
    /// From the sending of a request to the last byte of its answer.
    pub(crate) reply_timeout: Duration,
    /// How many calls may be without an answer.
    pub(crate) window: usize,
    pub(crate) user_agent: String,
    pub(crate) credentials: Option<Credentials>,
    /// Whether the credential goes to configured hosts only, and not to where these redirect.
    pub(crate) confine_credential: bool,
    pub(crate) tls: TlsConfig,
    /// Whether `http_proxy` and its like in the environment are obeyed.
    pub(crate) proxy_from_environment: bool,
}

/// The event stream and the calls have a way each: calls never share the subscription's connection, for the master
/// would write their answers into the middle of the stream (`3rdparty/libprocess/src/http_proxy.cpp`).
#[derive(Debug)]
pub(crate) struct HttpClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    /// For event streams, where a proxy of the environment stands in between.
    proxied: Option<reqwest::Client>,
    connector: Connector,
    config: HttpConfig,
    user_agent: HeaderValue,
    authority: Authority,
    configured: Vec<Address>,
}

impl HttpClient {
    /// A way to the `configured` peers, and to where they redirect.
    pub(crate) fn new(config: HttpConfig, configured: Vec<Address>) -> Result<Self> {
        let mut urls = configured.iter().map(|address| address.url("/"));
        let https = urls.any(|url| url.scheme() == "https");
        let tls = Tls::new(&config.tls, https)?;
        Self::over(config, configured, tls)
    }

    /// A way to peers that become known later, maybe over https.
    pub(crate) fn for_detected(config: HttpConfig) -> Result<Self> {
        let tls = Tls::new(&config.tls, true).or_else(|error| {
            // Those over plain http can still be reached.
            tracing::debug!(%error, "no root certificates");
            Tls::new(&config.tls, false)
        })?;
        Self::over(config, Vec::new(), tls)
    }

    fn over(config: HttpConfig, configured: Vec<Address>, tls: Tls) -> Result<Self> {
        let authority = Authority::new(config.credentials.clone(), config.reply_timeout)?;
        let user_agent = HeaderValue::from_str(&config.user_agent).map_err(|_| {
            let context = format!("user agent {:?} cannot be a header", config.user_agent);
            Error::new(ErrorKind::Config, context)
        })?;
        let proxied = match config.proxy_from_environment && is_proxy_in_environment() {
            true => Some(built(streams(&config, &tls, &configured))?),
            false => None,
        };
        let connector = Connector {
            timeout: config.connect_timeout,
            keepalive: TCP_KEEPALIVE,
            tls,
            #[cfg(test)]
            names: None,
        };
        let inner = Inner {
            proxied,
            connector,
            config,
            user_agent,
            authority,
            configured,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}

/// Whether there is a proxy that reqwest would use.
fn is_proxy_in_environment() -> bool {
    let names = ["http_proxy", "https_proxy", "all_proxy"];
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    names
        .iter()
        .any(|name| is_set(name) || is_set(&name.to_ascii_uppercase()))
}

impl Inner {
    /// The credential goes along on the same scheme only, and where it is confined, to the configured hosts only.
    fn may_see_credential(&self, to: &Address) -> bool {
        to.credentials_allowed()
            && (!self.config.confine_credential
                || !to.is_redirected()
                || self.configured.iter().any(|known| known.is_same_host(to)))
    }

    /// And the version of the credential among them.
    fn headers(
        &self,
        to: &Address,
        media_type: &'static str,
        stream_id: Option<&str>,
    ) -> Result<(HeaderMap, Option<u64>)> {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, self.user_agent.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(ACCEPT, HeaderValue::from_static(media_type));
        if let Some(stream_id) = stream_id {
            let value = HeaderValue::from_str(stream_id).map_err(|_| {
                Error::new(
                    ErrorKind::Protocol,
                    format!("stream id {stream_id:?} from {to} cannot be a header"),
                )
            })?;
            headers.insert(STREAM_ID, value);
        }
        let held = self.authority.current();
        let held = held.filter(|_| self.may_see_credential(to));
        let version = held.as_ref().map(|held| held.version);
        if let Some(held) = held {
            headers.insert(AUTHORIZATION, held.header);
        }
        Ok((headers, version))
    }

    /// Whether there is another credential now than the one that `reply` refuses.
    async fn is_renewed(
        &self,
        reply: &Reply,
        refused: Option<u64>,
        deadline: Instant,
    ) -> Result<bool> {
        match refused {
            Some(refused) if reply.status == 401 => self.authority.renew(refused, deadline).await,
            _ => Ok(false),
        }
    }

    /// For the calls of one subscription, through a proxy.
    pub(super) fn proxied_calls(&self) -> Result<reqwest::Client> {
        built(client(&self.config, &self.connector.tls, &self.configured))
    }

    /// Posts a call through a proxy.
    pub(super) async fn post(
        &self,
        client: reqwest::Client,
        to: Address,
        target: Target,
        body: Bytes,
    ) -> Answer {
        let limit = self.config.reply_timeout;
        let answered = async {
            let headers = self.headers(&to, target.media_type, target.stream_id.as_deref());
            let (headers, credential) = headers.map_err(Undelivered::NotSent)?;
            let request = client.post(to.url(target.path)).headers(headers);
            let response =
                request
                    .body(body)
                    .send()
                    .await
                    .map_err(|error| match error.is_connect() {
                        true => Undelivered::NotSent(exchange_failed(&to, error)),
                        false => Undelivered::Unknown(exchange_failed(&to, error)),
                    })?;
            let mut reply = head(&response);
            read_text(response, &mut reply).await;
            Ok((reply, credential))
        };
        let (reply, credential) = tokio::time::timeout(limit, answered)
            .map_err(|_| Undelivered::Unknown(no_answer(&to, "call", limit)))
            .await??;
        let deadline = Instant::now() + limit;
        match self.is_renewed(&reply, credential, deadline).await {
            Ok(true) => Err(Undelivered::Unauthorized(reply)),
            Ok(false) => Ok(reply),
            Err(error) => {
                tracing::warn!(%error, "a call was refused for its credential");
                Ok(reply)
            }
        }
    }

    /// All of it ends by the deadline of the request.
    async fn subscribe(&self, to: &Address, request: &Request) -> Result<Opened> {
        self.authority.obtain(request.deadline).await?;
        let (opened, credential) = self.open_stream(to, request).await?;
        let Opened::Answer(head) = &opened else {
            return Ok(opened);
        };
        if !self.is_renewed(head, credential, request.deadline).await? {
            return Ok(opened);
        }
        let (opened, _) = self.open_stream(to, request).await?;
        Ok(opened)
    }

    /// And the version of the credential that was sent.
    async fn open_stream(&self, to: &Address, request: &Request) -> Result<(Opened, Option<u64>)> {
        let (headers, credential) = self.headers(to, request.media_type, None)?;
        let mut is_sent = self.proxied.is_some();
        let answered = async {
            match &self.proxied {
                Some(client) => open_proxied(client, to, request, headers).await,
                None => self.open_own(to, request, &headers, &mut is_sent).await,
            }
        };
        let opened = tokio::time::timeout_at(request.deadline, answered).await;
        let opened = opened.unwrap_or_else(|_| {
            let late = no_answer(to, "SUBSCRIBE", self.config.reply_timeout);
            match is_sent {
                true => Ok(Opened::Unanswered(late)),
                false => Err(late),
            }
        });
        Ok((opened?, credential))
    }

    async fn open_own(
        &self,
        to: &Address,
        request: &Request,
        headers: &HeaderMap,
        is_sent: &mut bool,
    ) -> Result<Opened> {
        let mut posted = request_head(&to.url(request.path), headers);
        posted.extend_from_slice(format!("{}\r\n\r\n", request.body.len()).as_bytes());
        posted.extend_from_slice(&request.body);
        let stream = self.connector.connect(to).await?;
        *is_sent = true;
        let (mut head, incoming) = match Incoming::post(stream, &posted).await {
            Ok(answered) => answered,
            Err(error) => {
                let context = format!("connection to {to} broke");
                let broke = Error::caused_by(ErrorKind::Connect, context, error);
                return Ok(Opened::Unanswered(broke));
            }
        };
        if head.status != 200 {
            incoming.read_text(&mut head, MAX_ANSWER).await;
            return Ok(Opened::Answer(head));
        }
        let from = to.clone();
        let chunks = incoming.map(move |chunk| chunk.map_err(|error| stream_failed(&from, error)));
        Ok(Opened::Stream(head, Box::pin(chunks)))
    }
}

async fn open_proxied(
    client: &reqwest::Client,
    to: &Address,
    request: &Request,
    headers: HeaderMap,
) -> Result<Opened> {
    let posted = client.post(to.url(request.path)).headers(headers);
    let response = posted.body(request.body.clone()).send().await;
    let response = match response {
        Ok(response) => response,
        Err(error) if error.is_connect() => return Err(exchange_failed(to, error)),
        Err(error) => return Ok(Opened::Unanswered(exchange_failed(to, error))),
    };
    let mut head = head(&response);
    if head.status != 200 {
        read_text(response, &mut head).await;
        return Ok(Opened::Answer(head));
    }
    let from = to.clone();
    let chunks = response
        .bytes_stream()
        .map(move |chunk| chunk.map_err(|error| stream_failed(&from, error.without_url())));
    Ok(Opened::Stream(head, Box::pin(chunks)))
}

/// What a request begins with, up to and without the number in `Content-Length`.
fn request_head(url: &url::Url, headers: &HeaderMap) -> Vec<u8> {
    let host = url.host_str().unwrap_or_default();
    let mut head = format!("POST {} HTTP/1.1\r\nHost: {host}", url.path()).into_bytes();
    if let Some(port) = url.port() {
        head.extend_from_slice(format!(":{port}").as_bytes());
    }
    for (name, value) in headers {
        head.extend_from_slice(b"\r\n");
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
    }
    head.extend_from_slice(b"\r\nContent-Length: ");
    head
}

impl Way for Arc<Inner> {
    type Stream = Box<dyn Duplex>;

    fn head(&self, to: &Address, target: &Target) -> Result<Head> {
        let (headers, credential) =
            self.headers(to, target.media_type, target.stream_id.as_deref())?;
        Ok(Head {
            bytes: request_head(&to.url(target.path), &headers),
            credential,
        })
    }

    fn renew(&self, refused: u64) -> Renewing {
        let inner = Self::clone(self);
        let deadline = Instant::now() + inner.config.reply_timeout;
        Box::pin(async move { inner.authority.renew(refused, deadline).await })
    }

    fn connect(&self, to: &Address) -> Connecting<Self::Stream> {
        self.connector.connect(to)
    }
}

fn client(config: &HttpConfig, tls: &Tls, configured: &[Address]) -> reqwest::ClientBuilder {
    let mut builder = reqwest::Client::builder()
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
    #[cfg(not(unix))]
    let _ = configured;
    tls.configure(builder)
}

/// Each attempt resolves the name and connects anew: it may lead elsewhere by then, while the peer of before keeps its
/// connection open.
fn streams(config: &HttpConfig, tls: &Tls, configured: &[Address]) -> reqwest::ClientBuilder {
    client(config, tls, configured).pool_max_idle_per_host(0)
}

fn built(builder: reqwest::ClientBuilder) -> Result<reqwest::Client> {
    let context = "HTTP client cannot be made";
    let built = builder.build();
    built.map_err(|error| Error::caused_by(ErrorKind::Config, context, error))
}

impl Transport for HttpClient {
    fn open(&self, to: &Address, request: Request) -> Opening {
        let (inner, to) = (Arc::clone(&self.inner), to.clone());
        Box::pin(async move { inner.subscribe(&to, &request).await })
    }

    fn calls(&self) -> Box<dyn Calls> {
        let (inner, config) = (Arc::clone(&self.inner), &self.inner.config);
        match config.proxy_from_environment && is_proxy_in_environment() {
            true => Box::new(OneByOne::new(inner)),
            false => Box::new(Pipeline::new(inner, config.window, config.reply_timeout)),
        }
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
        ..Reply::default()
    }
}

/// Reads the body into `reply`, up to [`MAX_ANSWER`]; what could be read of it where it breaks, for the status already says
/// the essence.
async fn read_text(mut response: reqwest::Response, reply: &mut Reply) {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(_) => {
                reply.is_cut = true;
                break;
            }
        }
        if body.len() > MAX_ANSWER {
            body.truncate(MAX_ANSWER);
            break;
        }
    }
    reply.body = String::from_utf8_lossy(&body).into_owned();
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

fn stream_failed(
    from: &Address,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    let context = format!("event stream from {from} broke");
    Error::caused_by(ErrorKind::Connect, context, error)
}

#[cfg(test)]
mod tests;
