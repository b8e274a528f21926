//! LIST_FILES and READ_FILE: the sandboxes, under their real paths and under `/frameworks/…`.
//!
//! Source: `src/files/files.cpp`, and `src/slave/paths.cpp` for the paths, of Apache Mesos 1.11.0.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;

use super::state::Agent;
use crate::local::core::Core;
use crate::local::http::Reply;
use crate::proto::agent::{Call, Response, call, response};
use crate::proto::{FileInfo, TimeInfo};

/// Most bytes of one READ_FILE: 16 pages.
const MAX_READ: u64 = 16 * 4096;

/// The answer to a call about files, which are looked at without holding anything up but this connection; `None` to
/// another call.
pub(super) fn answer(
    core: &Arc<Core>,
    index: usize,
    call: &Call,
) -> Option<Result<Response, Reply>> {
    let resolve = |path: &str| {
        let resolved = core.look(|world| world.agents.get(index)?.resolve(path));
        // Who is asked for what is not there says no more than that.
        resolved.ok_or_else(|| Reply::status(StatusCode::NOT_FOUND, ""))
    };
    match call.r#type() {
        call::Type::ListFiles => {
            let path = &call.list_files.as_ref()?.path;
            Some(resolve(path).map(|resolved| list(path, &resolved)))
        }
        call::Type::ReadFile => {
            let wanted = call.read_file.as_ref()?;
            Some(resolve(&wanted.path).and_then(|resolved| read(wanted, &resolved)))
        }
        _ => None,
    }
}

impl Agent {
    /// The real path of something in a sandbox; `None` if there is no such thing.
    fn resolve(&self, path: &str) -> Option<PathBuf> {
        let path = Path::new(path);
        let is_plain = path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        if !is_plain {
            return None;
        }
        let mine = self.agent_directory()?;
        let (inside, is_real) = match path.strip_prefix(&mine) {
            Ok(inside) => (inside, true),
            Err(_) => (path.strip_prefix("/").ok()?, false),
        };
        // frameworks/ID/executors/ID/runs/ID is a sandbox.
        let parts: Vec<_> = inside.iter().collect();
        let is_sandbox = parts.len() >= 6
            && parts[0] == "frameworks"
            && parts[2] == "executors"
            && parts[4] == "runs"
            && (is_real || parts[5] == "latest");
        if !is_sandbox {
            return None;
        }
        // A link out of the sandbox leads nowhere.
        let real = fs::canonicalize(mine.join(inside)).ok()?;
        let mine = fs::canonicalize(mine).ok()?;
        real.starts_with(mine).then_some(real)
    }
}

/// What is in a directory, by name; nothing is in a file.
fn list(path: &str, directory: &Path) -> Response {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        match fs::metadata(entry.path()) {
            Ok(metadata) => {
                let shown = Path::new(path).join(&name).display().to_string();
                found.insert(name, file_info(shown, &metadata));
            }
            Err(error) => tracing::debug!(%error, ?name, "file gone before it was listed"),
        }
    }
    Response {
        r#type: Some(response::Type::ListFiles.into()),
        list_files: Some(response::ListFiles {
            file_infos: found.into_values().collect(),
        }),
        ..Default::default()
    }
}

#[cfg(unix)]
fn file_info(path: String, metadata: &Metadata) -> FileInfo {
    use nix::unistd::{Gid, Group, Uid, User};
    use std::os::unix::fs::MetadataExt as _;
    let user = User::from_uid(Uid::from_raw(metadata.uid())).ok().flatten();
    let group = Group::from_gid(Gid::from_raw(metadata.gid()))
        .ok()
        .flatten();
    let uid = metadata.uid().to_string();
    let gid = metadata.gid().to_string();
    FileInfo {
        path,
        nlink: i32::try_from(metadata.nlink()).ok(),
        size: Some(metadata.size()),
        mtime: Some(TimeInfo {
            nanoseconds: metadata.mtime().saturating_mul(1_000_000_000),
        }),
        mode: Some(metadata.mode()),
        uid: Some(user.map_or(uid, |user| user.name)),
        gid: Some(group.map_or(gid, |group| group.name)),
    }
}

#[cfg(not(unix))]
fn file_info(path: String, metadata: &Metadata) -> FileInfo {
    FileInfo {
        path,
        size: Some(metadata.len()),
        ..Default::default()
    }
}

fn read(wanted: &call::ReadFile, path: &Path) -> Result<Response, Reply> {
    if path.is_dir() {
        return Err(Reply::bad_request("Cannot read a directory.\n"));
    }
    let (size, data) = piece(wanted, path).map_err(|error| {
        let text = format!("Failed to open file at '{}': {error}.\n", path.display());
        Reply::status(StatusCode::INTERNAL_SERVER_ERROR, text)
    })?;
    Ok(Response {
        r#type: Some(response::Type::ReadFile.into()),
        read_file: Some(response::ReadFile { size, data }),
        ..Default::default()
    })
}

/// The size of the whole file, and the part that is wanted.
fn piece(wanted: &call::ReadFile, path: &Path) -> io::Result<(u64, Bytes)> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    if wanted.offset >= size {
        return Ok((size, Bytes::new()));
    }
    let rest = size - wanted.offset;
    let length = wanted.length.unwrap_or(rest).min(MAX_READ);
    file.seek(SeekFrom::Start(wanted.offset))?;
    let mut data = Vec::new();
    file.take(length).read_to_end(&mut data)?;
    Ok((size, data.into()))
}
