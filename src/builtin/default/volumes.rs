//! What the tasks of a group share: folders of their executor's sandbox, linked into theirs.
//!
//! Source: `DefaultExecutor::_launchGroup`, `src/launcher/default_executor.cpp`, and
//! `src/slave/containerizer/mesos/isolators/volume/sandbox_path.cpp` of Apache Mesos 1.11.0, where nothing can be mounted.

use std::path::Path;

use crate::proto::volume::source::{SandboxPath, Type, sandbox_path};
use crate::proto::{TaskInfo, Volume, container_info, volume};

/// Links what `task` shares into `sandbox`, which is below that of the executor; or why its container cannot be launched.
pub(super) async fn link(task: &TaskInfo, sandbox: &Path, executor: &Path) -> Result<(), String> {
    let container = task.container.as_ref();
    let stated = container.map_or(&[][..], |container| &container.volumes);
    let disks = disks(task);
    let is_mesos =
        container.is_none_or(|container| container.r#type() == container_info::Type::Mesos);
    if !is_mesos {
        return Err("Only support MESOS containers".to_owned());
    }
    for volume in stated.iter().chain(&disks) {
        if let Some(path) = shared(volume)? {
            let path = checked(volume, path)?;
            link_one(volume, path, sandbox, executor).await?;
        }
    }
    Ok(())
}

/// The task's persistent volumes are in the executor's sandbox, where its agent has them, and seen in the task's under the
/// same name.
fn disks(task: &TaskInfo) -> Vec<Volume> {
    let disks = task.resources.iter().filter_map(|own| own.disk.as_ref());
    let volumes = disks.filter_map(|disk| disk.volume.as_ref());
    let parent = |volume: &Volume| {
        let mut path = SandboxPath {
            path: volume.container_path.clone(),
            ..Default::default()
        };
        path.set_type(sandbox_path::Type::Parent);
        let mut source = volume::Source {
            sandbox_path: Some(path),
            ..Default::default()
        };
        source.set_type(Type::SandboxPath);
        Volume {
            mode: volume.mode,
            container_path: volume.container_path.clone(),
            source: Some(source),
            ..Default::default()
        }
    };
    volumes.map(parent).collect()
}

/// What is shared, if `volume` is of that kind. A relative path of the host's is the old way to say so.
fn shared(volume: &Volume) -> Result<Option<SandboxPath>, String> {
    let source = volume.source.as_ref();
    if let Some(source) = source.filter(|source| source.r#type() == Type::SandboxPath) {
        let path = source.sandbox_path.clone().unwrap_or_default();
        if path.path.starts_with('/') {
            return Err(format!(
                "Path '{}' in SANDBOX_PATH volume is absolute",
                path.path
            ));
        }
        return Ok(Some(path));
    }
    let relative = volume.host_path.as_ref();
    let relative = relative.filter(|path| !path.starts_with('/'));
    Ok(relative.map(|path| {
        let mut own = SandboxPath {
            path: path.clone(),
            ..Default::default()
        };
        own.set_type(sandbox_path::Type::Self_);
        own
    }))
}

/// A path within the executor's sandbox. One within the task's own would have to be mounted.
fn checked(volume: &Volume, path: SandboxPath) -> Result<SandboxPath, String> {
    let why = if volume.container_path.starts_with('/') {
        "The 'linux' launcher and 'filesystem/linux' isolator must be enabled to support SANDBOX_PATH volume with absolute container path"
    } else {
        match path.r#type() {
            sandbox_path::Type::Parent => return Ok(path),
            sandbox_path::Type::Self_ => {
                "'container_path' is relative for SANDBOX_PATH volume SELF type"
            }
            sandbox_path::Type::Unknown => "Unknown SANDBOX_PATH volume type",
        }
    };
    Err(why.to_owned())
}

async fn link_one(
    volume: &Volume,
    path: SandboxPath,
    sandbox: &Path,
    executor: &Path,
) -> Result<(), String> {
    let source = executor.join(&path.path);
    let target = sandbox.join(&volume.container_path);
    if !source.exists() {
        let made = tokio::fs::create_dir_all(&source).await;
        made.map_err(|error| {
            format!(
                "Failed to create the directory '{}' in the sandbox: {error}",
                source.display()
            )
        })?;
    }
    #[cfg(unix)]
    let linked = tokio::fs::symlink(&source, &target).await;
    #[cfg(not(unix))]
    let linked: std::io::Result<()> = Err(std::io::ErrorKind::Unsupported.into());
    linked.map_err(|error| {
        format!(
            "Failed to symlink '{}' -> '{}': {error}",
            source.display(),
            target.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(kind: sandbox_path::Type, path: &str, container_path: &str) -> Volume {
        let mut shared = SandboxPath {
            path: path.to_owned(),
            ..Default::default()
        };
        shared.set_type(kind);
        let mut source = volume::Source {
            sandbox_path: Some(shared),
            ..Default::default()
        };
        source.set_type(Type::SandboxPath);
        Volume {
            container_path: container_path.to_owned(),
            source: Some(source),
            ..Default::default()
        }
    }

    fn judged(volume: &Volume) -> Result<Option<String>, String> {
        let shared = shared(volume)?;
        let path = shared.map(|path| checked(volume, path)).transpose()?;
        Ok(path.map(|path| path.path))
    }

    #[test]
    fn only_what_links_can_show_is_shared() {
        use sandbox_path::Type::{Parent, Self_, Unknown};
        let parent = judged(&volume(Parent, "data", "seen"));
        assert_eq!(parent, Ok(Some("data".to_owned())));
        for (volume, why) in [
            (
                volume(Parent, "/data", "seen"),
                "Path '/data' in SANDBOX_PATH",
            ),
            (
                volume(Parent, "data", "/seen"),
                "The 'linux' launcher and 'filesystem/linux'",
            ),
            (
                volume(Self_, "data", "seen"),
                "'container_path' is relative",
            ),
            (volume(Unknown, "data", "seen"), "Unknown SANDBOX_PATH"),
        ] {
            let refused = judged(&volume).unwrap_err();
            assert!(refused.starts_with(why), "{refused}");
        }
        let of_host = |path: &str| Volume {
            host_path: Some(path.to_owned()),
            container_path: "seen".to_owned(),
            ..Default::default()
        };
        assert_eq!(judged(&of_host("/data")), Ok(None));
        assert!(judged(&of_host("data")).is_err());
    }
}
