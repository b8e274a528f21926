//! Agents' Unix sockets for their executors, beside TCP.
//!
//! Source: `Slave::initialize`, `src/slave/slave.cpp`, and `src/common/domain_sockets.hpp` of Apache Mesos 1.11.0.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::builder::LocalClusterBuilder;
use super::config::Config;
use super::core::Core;
use crate::error::{Error, ErrorKind, Result};

/// Name of the file in an agent's runtime directory (`AGENT_EXECUTORS_SOCKET_FILENAME`, `src/slave/constants.hpp`).
const FILE_NAME: &str = "agent.sock";

/// What a path in bytes must stay below, to fit into `sockaddr_un`.
const MAX_PATH_LENGTH: usize = 108;

impl LocalClusterBuilder {
    /// Has agents listen on Unix sockets too, of which executors are told in `MESOS_DOMAIN_SOCKET`. Default: TCP only.
    ///
    /// Over such a socket there is the executor API and the operator API, and nothing else (403). The sockets are made in
    /// the work directory, whose path must leave room for them: 107 bytes is the longest that a socket's can be. Linux and
    /// other Unix systems only.
    ///
    /// Source: `--http_executor_domain_sockets` of the agent.
    pub fn executor_domain_sockets(mut self) -> Self {
        self.executor_domain_sockets = true;
        self
    }
}

impl Config {
    /// The socket of the agent in place `index`, if agents have some.
    pub(super) fn domain_socket(&self, index: usize) -> Option<PathBuf> {
        let mut path = self.work_directory.join("agents");
        path.extend([&index.to_string(), "run", FILE_NAME]);
        self.executor_domain_sockets.then_some(path)
    }
}

fn failed(path: &std::path::Path, error: std::io::Error) -> Error {
    let context = format!("cannot listen on {}", path.display());
    Error::caused_by(ErrorKind::Config, context, error)
}

/// Has the agent in place `index` listen on its socket until `stop`, if it is to have one.
#[cfg(unix)]
pub(super) async fn serve(core: &Arc<Core>, index: usize, stop: CancellationToken) -> Result<()> {
    use std::os::unix::ffi::OsStrExt as _;

    let Some(path) = core.config.domain_socket(index) else {
        return Ok(());
    };
    if path.as_os_str().as_bytes().len() >= MAX_PATH_LENGTH {
        let context = format!(
            "Domain socket location '{}' must have less than {MAX_PATH_LENGTH} characters.",
            path.display()
        );
        return Err(Error::new(ErrorKind::Config, context));
    }
    if let Some(folder) = path.parent() {
        let made = tokio::fs::create_dir_all(folder).await;
        made.map_err(|error| failed(folder, error))?;
    }
    let listener = unix::bind(&path)
        .await
        .map_err(|error| failed(&path, error))?;
    unix::serve(core, index, listener, stop);
    Ok(())
}

#[cfg(not(unix))]
pub(super) async fn serve(core: &Arc<Core>, index: usize, _: CancellationToken) -> Result<()> {
    match core.config.domain_socket(index) {
        None => Ok(()),
        Some(path) => {
            let why = std::io::Error::from(std::io::ErrorKind::Unsupported);
            Err(failed(&path, why))
        }
    }
}

#[cfg(unix)]
mod unix {
    use std::io;
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::net::UnixListener;
    use tokio_util::sync::CancellationToken;

    use crate::local::agent;
    use crate::local::core::Core;
    use crate::local::http::{ApiRequest, Reply};
    use crate::local::server::{Handler, Routes, connection};

    /// Everybody may connect (`DOMAIN_SOCKET_DEFAULT_MODE`).
    const MODE: u32 = 0o666;

    /// Wait after a failed accept, which is mostly for want of file descriptors.
    const ACCEPT_RETRY: Duration = Duration::from_millis(100);

    /// A socket at `path`, in place of what an earlier cluster may have left there.
    pub(super) async fn bind(path: &Path) -> io::Result<UnixListener> {
        let before = tokio::fs::symlink_metadata(path).await;
        if before.is_ok_and(|own| own.file_type().is_socket()) {
            tokio::fs::remove_file(path).await?;
        }
        let listener = UnixListener::bind(path)?;
        let mode = std::fs::Permissions::from_mode(MODE);
        tokio::fs::set_permissions(path, mode).await?;
        Ok(listener)
    }

    pub(super) fn serve(
        core: &Arc<Core>,
        index: usize,
        listener: UnixListener,
        stop: CancellationToken,
    ) {
        let handler = handler(core, index);
        let (tasks, wire) = (core.tasks.clone(), Arc::clone(&core.config.wire));
        let connections = tasks.clone();
        tasks.spawn(stop.clone().run_until_cancelled_owned(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let (handler, wire) = (Arc::clone(&handler), Arc::clone(&wire));
                        let connection = connection(stream, handler, wire);
                        let until = stop.clone().run_until_cancelled_owned(connection);
                        connections.spawn(until);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "connection not accepted");
                        tokio::time::sleep(ACCEPT_RETRY).await;
                    }
                }
            }
        }));
    }

    /// The agent's routes, of which only two are open.
    fn handler(core: &Arc<Core>, index: usize) -> Handler {
        let inner = agent::handler(core, index);
        let prefix = core.look(|world| world.agents.get(index).map(agent::Agent::process));
        let open = prefix.map(|own| [format!("/{own}/api/v1/executor"), format!("/{own}/api/v1")]);
        let refused = move |request: &ApiRequest| {
            let mut open = open.iter().flatten();
            let is_open = open.any(|path| *path == request.path);
            (!is_open).then(|| Reply::forbidden("403 Forbidden."))
        };
        let (refused, also) = (refused.clone(), refused);
        let early = Arc::clone(&inner);
        Routes::new(
            move |request| refused(request).or_else(|| early.early(request)),
            move |request| also(request).unwrap_or_else(|| inner.answer(request)),
        )
    }
}
