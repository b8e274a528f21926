//! HTTP/1.1 on a listener: one task per connection, requests of one connection in their order.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::gzip;
use super::http::{ApiRequest, Reply};
use super::socket::{Line, Socket};
use super::wire::Wire;

/// Longest request body. Mesos has no limit; this one only keeps a broken client from filling the memory.
const MAX_BODY_SIZE: usize = 256 * 1024 * 1024;

/// Wait after a failed accept, which is mostly for want of file descriptors.
const ACCEPT_RETRY: std::time::Duration = std::time::Duration::from_millis(100);

/// Answers a request; never waits.
pub(super) type Handler = Arc<dyn Fn(&ApiRequest) -> Reply + Send + Sync>;

type ReplyBody = BoxBody<Bytes, Cut>;

/// Why there is no response: somebody wants it so.
#[derive(Debug, thiserror::Error)]
#[error("connection cut")]
pub(super) struct Cut;

/// Serves `listener` until `stop`, which also cuts all its connections where they are.
pub(super) fn serve(
    listener: TcpListener,
    handler: Handler,
    tasks: &TaskTracker,
    stop: CancellationToken,
    wire: Arc<Wire>,
) {
    let connections = tasks.clone();
    tasks.spawn(async move {
        let accepting = accept(listener, handler, connections, stop.clone(), wire);
        stop.run_until_cancelled(accepting).await;
    });
}

async fn accept(
    listener: TcpListener,
    handler: Handler,
    tasks: TaskTracker,
    stop: CancellationToken,
    wire: Arc<Wire>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "connection without nodelay");
                }
                let handler = Arc::clone(&handler);
                let connection = connection(stream, handler, Arc::clone(&wire));
                tasks.spawn(stop.clone().run_until_cancelled_owned(connection));
            }
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// Serves one connection, of whatever kind, until it ends.
pub(super) async fn connection<S>(stream: S, handler: Handler, wire: Arc<Wire>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let line = Arc::<Line>::default();
    let socket = Socket::new(stream, wire, Arc::clone(&line));
    let own = Arc::clone(&line);
    let service =
        service_fn(move |request| respond(Arc::clone(&handler), Arc::clone(&own), request));
    let connection = http1::Builder::new()
        .title_case_headers(true)
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(socket), service);
    if let Some(Err(error)) = line.cut.run_until_cancelled(connection).await {
        tracing::debug!(%error, "connection ended");
    }
}

async fn respond(
    handler: Handler,
    line: Arc<Line>,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Cut> {
    let (parts, body) = request.into_parts();
    let is_compressible = gzip::is_accepted(&parts.headers);
    let reply = match Limited::new(body, MAX_BODY_SIZE).collect().await {
        Ok(body) => match gzip::inflated(&parts.headers, body.to_bytes(), MAX_BODY_SIZE) {
            Ok(body) => handler(&ApiRequest {
                method: parts.method,
                path: plain_path(parts.uri.path()),
                uri: parts.uri,
                headers: parts.headers,
                body,
            }),
            Err(why) => Reply::status(StatusCode::INTERNAL_SERVER_ERROR, why),
        },
        Err(error) => {
            tracing::debug!(%error, "request body not read");
            Reply::status(StatusCode::PAYLOAD_TOO_LARGE, "")
        }
    };
    response(reply, &line, is_compressible)
}

/// The path without trailing slash and with its parentheses literal, as routes are written.
fn plain_path(path: &str) -> String {
    let path = path.replace("%28", "(").replace("%29", ")");
    path.trim_end_matches('/').to_owned()
}

/// An error closes the connection without a response.
fn response(
    reply: Reply,
    line: &Arc<Line>,
    is_compressible: bool,
) -> Result<Response<ReplyBody>, Cut> {
    match reply {
        Reply::Plain {
            status,
            text,
            header,
        } => {
            let is_empty = text.is_empty();
            let body = Full::new(Bytes::from(text)).map_err(never);
            let mut response = Response::new(body.boxed());
            *response.status_mut() = status;
            let headers = response.headers_mut();
            if !is_empty {
                let plain = HeaderValue::from_static("text/plain; charset=utf-8");
                headers.insert(header::CONTENT_TYPE, plain);
            }
            if let Some((name, value)) = header
                && let Ok(value) = HeaderValue::from_str(&value)
            {
                headers.insert(name, value);
            }
            Ok(response)
        }
        Reply::Content { media_type, body } => {
            let deflated = is_compressible.then(|| gzip::deflated(&body)).flatten();
            let is_compressed = deflated.is_some();
            let body = deflated.unwrap_or(body);
            let mut response = Response::new(Full::new(body).map_err(never).boxed());
            let media_type = HeaderValue::from_static(media_type);
            let headers = response.headers_mut();
            if is_compressed {
                let gzip = HeaderValue::from_static("gzip");
                headers.insert(header::CONTENT_ENCODING, gzip);
            }
            headers.insert(header::CONTENT_TYPE, media_type);
            Ok(response)
        }
        Reply::Lost => Err(Cut),
        Reply::Stream {
            content_type,
            stream_id,
            body,
        } => {
            body.attach(line);
            let mut response = Response::new(body.boxed());
            let headers = response.headers_mut();
            let media_type = HeaderValue::from_static(content_type.media_type());
            headers.insert(header::CONTENT_TYPE, media_type);
            if let Some(Ok(id)) = stream_id.map(|id| HeaderValue::from_str(&id)) {
                headers.insert("mesos-stream-id", id);
            }
            Ok(response)
        }
    }
}

fn never(impossible: Infallible) -> Cut {
    match impossible {}
}
