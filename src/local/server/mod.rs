//! HTTP/1.1 on a listener: one task per connection, requests of one connection in their order.

mod answer;
mod connection;
mod decoder;
mod head;
mod target;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) use connection::connection;
pub(super) use target::Target;

use super::http::{ApiRequest, Reply};
use super::query;
use super::wire::Wire;

/// Longest request body. Mesos has no limit; this one only keeps a broken client from filling the memory.
const MAX_BODY_SIZE: usize = 256 * 1024 * 1024;

/// Wait after a failed accept, which is mostly for want of file descriptors.
const ACCEPT_RETRY: std::time::Duration = std::time::Duration::from_millis(100);

/// Answers requests; never waits.
pub(super) type Handler = Arc<Routes>;

type Early = dyn Fn(&ApiRequest) -> Option<Reply> + Send + Sync;
type Answer = dyn Fn(&ApiRequest) -> Reply + Send + Sync;

/// What is answered to a request when its headers have come, if that does not depend on its body; and when all has.
pub(super) struct Routes {
    early: Box<Early>,
    answer: Box<Answer>,
}

impl Routes {
    pub(super) fn new(
        early: impl Fn(&ApiRequest) -> Option<Reply> + Send + Sync + 'static,
        answer: impl Fn(&ApiRequest) -> Reply + Send + Sync + 'static,
    ) -> Handler {
        Arc::new(Self {
            early: Box::new(early),
            answer: Box::new(answer),
        })
    }

    /// `request` is without its body.
    pub(super) fn early(&self, request: &ApiRequest) -> Option<Reply> {
        (self.early)(request)
    }

    pub(super) fn answer(&self, request: &ApiRequest) -> Reply {
        (self.answer)(request)
    }
}

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

/// The path as routes are written: without slashes at its end, and what names a process plain. Empty: it is nowhere.
///
/// Source: `ProcessManager::handle`, `3rdparty/libprocess/src/process.cpp`.
fn plain_path(path: &str) -> String {
    if path.contains("/..") {
        return String::new();
    }
    let path = path.trim_matches('/');
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let first = String::from_utf8_lossy(&query::decode(first)).into_owned();
    let is_process = ["master", "metrics"].contains(&first.as_str()) || first.starts_with("slave(");
    let rest = match is_process {
        true => rest.trim_start_matches('/'),
        false => rest,
    };
    match rest {
        "" => format!("/{first}"),
        rest => format!("/{first}/{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::plain_path;

    /// As a real master took them.
    #[test]
    fn paths_begin_with_a_process_or_a_route() {
        for (path, plain) in [
            ("/health", "/health"),
            ("//health//", "/health"),
            ("/m%61ster//state/x", "/master/state/x"),
            ("/slave%281%29/api/v1", "/slave(1)/api/v1"),
            ("/api//v1", "/api//v1"),
            ("/health/..x", ""),
            ("/", "/"),
        ] {
            assert_eq!(plain_path(path), plain, "{path}");
        }
    }
}
