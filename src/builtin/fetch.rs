//! URIs brought into the sandbox before the program starts. Archives are unpacked, and URLs read, by the programs that do
//! that everywhere: `tar`, `unzip`, `gunzip` and `curl`. Nothing is cached.
//!
//! Source: `src/slave/containerizer/fetcher.cpp` and `src/launcher/fetcher.cpp` of Apache Mesos 1.11.0, whose program
//! `mesos-fetcher` this stands for.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::proto::command_info::Uri;

/// Raw wait status of a fetcher that failed: exit code 1.
const FAILED: i32 = 1 << 8;

/// What can be unpacked into a folder, and by whom.
const ARCHIVES: [(&str, Unpacker); 8] = [
    (".tar", Unpacker::Tar),
    (".tgz", Unpacker::Tar),
    (".tar.gz", Unpacker::Tar),
    (".tbz2", Unpacker::Tar),
    (".tar.bz2", Unpacker::Tar),
    (".txz", Unpacker::Tar),
    (".tar.xz", Unpacker::Tar),
    (".zip", Unpacker::Unzip),
];

/// URLs that Mesos reads itself; others are the Hadoop client's.
const NET_SCHEMES: [&str; 4] = ["http://", "https://", "ftp://", "ftps://"];

/// Sources of the machine itself.
const LOCAL_SCHEMES: [&str; 2] = ["file://localhost", "file://"];

#[derive(Clone, Copy)]
enum Unpacker {
    Tar,
    Unzip,
}

/// Brings all `uris` into a container's sandbox, one after another; or why it cannot be launched. What is done, and what
/// went wrong, is told in the sandbox's `stderr`.
pub(crate) async fn fetch(
    container_id: &str,
    sandbox: &Path,
    uris: &[Uri],
    stderr: &mut File,
) -> Result<(), String> {
    for uri in uris {
        base_name(&uri.value).map_err(|why| format!("Could not fetch: {why}"))?;
    }
    for uri in uris {
        let line = match fetch_one(sandbox, uri, stderr).await {
            Ok(path) => format!("Fetched '{}' to '{}'", uri.value, path.display()),
            Err(why) => {
                tell(stderr, &format!("Failed to fetch '{}': {why}", uri.value));
                return Err(format!(
                    "Failed to fetch all URIs for container '{container_id}' with exit status: {FAILED}"
                ));
            }
        };
        tell(stderr, &line);
    }
    Ok(())
}

fn tell(stderr: &mut File, line: &str) {
    if let Err(error) = writeln!(stderr, "{line}") {
        tracing::warn!(%error, line, "a sandbox's stderr cannot be written");
    }
}

async fn fetch_one(sandbox: &Path, uri: &Uri, stderr: &File) -> Result<PathBuf, String> {
    let name = match &uri.output_file {
        Some(name) => name.clone(),
        None => base_name(&uri.value)?,
    };
    let path = sandbox.join(&name);
    if let Some(folder) = path.parent() {
        let made = tokio::fs::create_dir_all(folder).await;
        made.map_err(|error| {
            format!(
                "Unable to create subdirectory {} in sandbox: {error}",
                folder.display()
            )
        })?;
    }
    let source = uri.value.trim_start();
    match local_path(source)? {
        Some(source) => copy(&source, &path).await?,
        None if NET_SCHEMES.iter().any(|own| source.starts_with(own)) => {
            download(source, &path).await?;
        }
        None => return Err("Failed to create HDFS client: none is configured".to_owned()),
    }
    if uri.executable() {
        make_executable(&path).await?;
    } else if uri.extract() {
        extract(&path, sandbox, stderr).await?;
    }
    Ok(path)
}

/// What stands behind the last slash.
fn base_name(uri: &str) -> Result<String, String> {
    if uri.contains(['\\', '\'', '\0']) {
        return Err("Illegal characters in URI".to_owned());
    }
    let Some((_, rest)) = uri.split_once("://").filter(|(scheme, _)| scheme.len() > 1) else {
        let trimmed = uri.trim_end_matches('/');
        let name = trimmed.rsplit('/').next().unwrap_or_default();
        return Ok(if name.is_empty() { "." } else { name }.to_owned());
    };
    match rest.split_once('/') {
        Some((_, path)) if !path.is_empty() => {
            Ok(path.rsplit('/').next().unwrap_or_default().to_owned())
        }
        _ => Err(format!("Malformed URI (missing path): {uri}")),
    }
}

/// The file that `uri` names on this machine, if it is none of a network.
fn local_path(uri: &str) -> Result<Option<PathBuf>, String> {
    let stripped = LOCAL_SCHEMES.iter().find_map(|own| uri.strip_prefix(own));
    match stripped {
        Some(path) if !path.starts_with('/') => {
            Err("File URI only supports absolute paths".to_owned())
        }
        Some(path) => Ok(Some(path.into())),
        None if uri.contains("://") => Ok(None),
        None if uri.starts_with('/') => Ok(Some(uri.into())),
        None => Err(
            "A relative path was passed for the resource but the Mesos framework home was not \
             specified. Please either provide this config option or avoid using a relative path"
                .to_owned(),
        ),
    }
}

async fn copy(source: &Path, path: &Path) -> Result<(), String> {
    if source.is_dir() {
        return Err("`source` was a directory".to_owned());
    }
    let copied = tokio::fs::copy(source, path).await;
    copied
        .map(drop)
        .map_err(|error| format!("Failed to copy '{}': {error}", source.display()))
}

async fn download(url: &str, path: &Path) -> Result<(), String> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--location", "--globoff"]);
    curl.args(["--write-out", "%{http_code}", "--output"]);
    curl.arg(path).arg("--").arg(url);
    let failed = |why: &str| format!("Error downloading resource: {}", why.trim_end());
    let ended = curl.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = ended.map_err(|error| failed(&format!("curl: {error}")))?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr)));
    }
    let code = String::from_utf8_lossy(&output.stdout);
    let (protocol, wanted) = if url.starts_with("ftp") {
        ("FTP", "226")
    } else {
        ("HTTP", "200")
    };
    if code == wanted {
        return Ok(());
    }
    Err(format!(
        "Error downloading resource, received {protocol} return code {code}"
    ))
}

async fn make_executable(path: &Path) -> Result<(), String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o755);
        let changed = tokio::fs::set_permissions(path, mode).await;
        changed
            .map_err(|error| format!("Failed to chmod executable '{}': {error}", path.display()))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Unpacks `path` into the sandbox, beside itself. What is no archive by its name stays as it is.
async fn extract(path: &Path, sandbox: &Path, stderr: &File) -> Result<(), String> {
    let name = path.to_string_lossy();
    let archive = ARCHIVES.iter().find(|(ending, _)| name.ends_with(ending));
    let mut command = match archive {
        Some((_, Unpacker::Tar)) => program(
            "tar",
            [OsStr::new("-C"), sandbox.as_ref(), "-xf".as_ref()],
            path,
        ),
        Some((_, Unpacker::Unzip)) => program(
            "unzip",
            ["-oq".as_ref(), "-d".as_ref(), sandbox.as_os_str()],
            path,
        ),
        None => match name.strip_suffix(".gz") {
            Some(unpacked) => gunzip(path, sandbox, Path::new(unpacked))?,
            None => return Ok(()),
        },
    };
    let failed = |why: &str| {
        format!(
            "Failed to extract archive '{name}' to '{}': {why}",
            sandbox.display()
        )
    };
    let stderr = stderr
        .try_clone()
        .map_err(|error| failed(&error.to_string()))?;
    command.stderr(stderr).kill_on_drop(true);
    match command.status().await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(&status.to_string())),
        Err(error) => Err(failed(&error.to_string())),
    }
}

fn program(name: &str, arguments: [&OsStr; 3], last: &Path) -> Command {
    let mut command = Command::new(name);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    // `-d` of unzip stands behind the archive.
    if name == "unzip" {
        command.arg(arguments[0]).arg(last).args(&arguments[1..]);
    } else {
        command.args(arguments).arg(last);
    }
    command
}

fn gunzip(path: &Path, sandbox: &Path, unpacked: &Path) -> Result<Command, String> {
    let failed = |error: std::io::Error| format!("Failed to extract '{}': {error}", path.display());
    let packed = File::open(path).map_err(failed)?;
    let target = sandbox.join(unpacked.file_name().unwrap_or_default());
    let target = File::create(target).map_err(failed)?;
    let mut command = Command::new("gunzip");
    command.args(["-d", "-c"]).stdin(packed).stdout(target);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_what_stands_behind_the_last_slash() {
        let of = |uri: &str| base_name(uri).unwrap_or_else(|why| why);
        assert_eq!(of("http://host/a/b.tgz?x=1"), "b.tgz?x=1");
        assert_eq!(of("file:///a/b"), "b");
        assert_eq!(of("/a/b/"), "b");
        assert_eq!(
            of("http://host"),
            "Malformed URI (missing path): http://host"
        );
        assert_eq!(
            of("http://host/"),
            "Malformed URI (missing path): http://host/"
        );
        assert_eq!(of("a'b"), "Illegal characters in URI");
    }

    #[test]
    fn files_of_this_machine_are_told_from_urls() {
        let path = |path: &str| Ok(Some(PathBuf::from(path)));
        assert_eq!(local_path("/a/b"), path("/a/b"));
        assert_eq!(local_path("file:///a"), path("/a"));
        assert_eq!(local_path("file://localhost/a"), path("/a"));
        assert_eq!(local_path("http://host/a"), Ok(None));
        assert!(local_path("file://a").is_err());
        assert!(local_path("a/b").is_err());
    }
}
