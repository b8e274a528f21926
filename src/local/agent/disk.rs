//! What agents have done to the disk, in order and at once: no state changes meanwhile.
//!
//! Source: `Slave::syncCheckpointedResources`, `src/slave/slave.cpp` of Apache Mesos 1.11.0.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::volumes::Link;
use crate::proto::{ExecutorId, FrameworkId};

/// Work for the disk, and what the agent does when it is done.
#[derive(Debug)]
pub(in crate::local) struct Chore {
    /// The agent's place.
    pub(in crate::local) agent: usize,
    pub(in crate::local) work: Vec<Work>,
    pub(in crate::local) next: Next,
}

#[derive(Debug)]
pub(in crate::local) enum Work {
    /// A volume's directory; one that is there is taken as it is.
    Make(PathBuf),
    /// A volume with everything in it.
    Remove(PathBuf),
    Link(Link),
    Unlink(Link),
}

#[derive(Debug)]
pub(in crate::local) enum Next {
    Nothing,
    /// The operation with this uuid has succeeded.
    Finish(Bytes),
    /// The executor gets the tasks that wait for it.
    Give(FrameworkId, ExecutorId),
}

/// Does the work. Failures are logged; a real agent ends with the first.
pub(in crate::local) fn carry_out(work: &[Work]) {
    for piece in work {
        let result = match piece {
            Work::Make(path) => std::fs::create_dir_all(path),
            Work::Remove(path) => unless_missing(std::fs::remove_dir_all(path)),
            Work::Link(link) => make_link(link),
            Work::Unlink(link) => unless_missing(std::fs::remove_file(&link.link)),
        };
        if let Err(error) = result {
            tracing::error!(%error, ?piece, "volume not ready");
        }
    }
}

/// Links volumes into a sandbox that was just made.
pub(super) async fn link_all(links: &[Link]) -> io::Result<()> {
    for link in links {
        tokio::fs::create_dir_all(&link.volume).await?;
        make_link(link)?;
    }
    Ok(())
}

/// Before the sandbox is made there is nothing to link into: whoever makes it links.
fn make_link(link: &Link) -> io::Result<()> {
    let sandbox = link.link.parent();
    if sandbox.is_none_or(|sandbox| !sandbox.exists()) {
        return Ok(());
    }
    if std::fs::read_link(&link.link).is_ok_and(|known| known == link.volume) {
        return Ok(());
    }
    symlink(&link.volume, &link.link)
}

#[cfg(unix)]
fn symlink(volume: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(volume, link)
}

#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn unless_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
