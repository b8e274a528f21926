//! Ids in files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::{FrameworkIdStore, LONGEST, corrupt, parse};
use crate::error::{Error, ErrorKind, Result};
use crate::proto::FrameworkId;

/// Keeps the id in a file: one line of text, which ends with a line break.
///
/// A new id is written beside it, brought to the disk, and then takes the file's name, so that the file holds the old id
/// or the new one whatever happens in between. Its folder must exist.
///
/// # Examples
/// ```
/// use mesos_framework::{FileFrameworkIdStore, FrameworkIdStore};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let path = std::env::temp_dir().join(format!("framework-id-{}", std::process::id()));
/// let store = FileFrameworkIdStore::new(&path);
/// store.store(&"f-1".into()).await?;
/// assert_eq!(std::fs::read_to_string(&path).unwrap(), "f-1\n");
/// store.forget().await?;
/// assert_eq!(store.load().await?, None);
/// # Ok::<(), mesos_framework::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct FileFrameworkIdStore {
    path: PathBuf,
}

impl FileFrameworkIdStore {
    /// A store in the file `path`, which need not exist yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Runs what waits for the disk where it holds nobody up. It goes on when the future is dropped.
    async fn blocking<T: Send + 'static>(
        &self,
        what: &str,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let path = self.path.clone();
        let done = tokio::task::spawn_blocking(move || work(&path)).await;
        let done = done.unwrap_or_else(|error| Err(io::Error::other(error)));
        done.map_err(|error| {
            let context = format!("{} {what}", self.describe());
            Error::caused_by(ErrorKind::Store, context, error)
        })
    }

    fn describe(&self) -> String {
        format!("framework id in {}", self.path.display())
    }
}

#[async_trait]
impl FrameworkIdStore for FileFrameworkIdStore {
    /// # Errors
    /// [`ErrorKind::Store`]: the file cannot be read, or holds something else than an id.
    async fn load(&self) -> Result<Option<FrameworkId>> {
        let Some(content) = self.blocking("cannot be read", read).await? else {
            return Ok(None);
        };
        let line = content.strip_suffix(b"\n");
        let id = line
            .ok_or("it does not end with a line break")
            .and_then(parse);
        id.map(Some).map_err(|why| corrupt(&self.describe(), why))
    }

    /// # Errors
    /// [`ErrorKind::Store`]: the file cannot be written.
    async fn store(&self, framework_id: &FrameworkId) -> Result<()> {
        let line = format!("{}\n", framework_id.value);
        self.blocking("cannot be written", move |path| replace(path, &line))
            .await
    }

    /// # Errors
    /// [`ErrorKind::Store`]: the file cannot be removed.
    async fn forget(&self) -> Result<()> {
        self.blocking("cannot be removed", remove).await
    }
}

/// None if there is no file. A byte more than an id has is enough to see that it is none.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut content = Vec::new();
    file.take(LONGEST as u64 + 2).read_to_end(&mut content)?;
    Ok(Some(content))
}

fn replace(path: &Path, line: &str) -> io::Result<()> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::other("it names no file"))?;
    let mut new = std::ffi::OsString::from(".");
    new.push(name);
    new.push(format!(".{}", uuid::Uuid::new_v4()));
    let new = path.with_file_name(new);
    let written = write_new(&new, line).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // Whatever it was, the first failure is the one to tell.
        let _ = fs::remove_file(&new);
    }
    written?;
    sync_folder(path)
}

fn write_new(path: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| sync_folder(path)),
    }
}

/// Brings the new name, or its end, to the disk.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

/// Folders cannot be opened as files elsewhere.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own, gone at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = format!("mesos-framework-identity-{}", uuid::Uuid::new_v4());
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn store(&self) -> FileFrameworkIdStore {
            FileFrameworkIdStore::new(self.0.join("id"))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[tokio::test]
    async fn an_id_is_replaced_and_forgotten_and_nothing_else_is_left() {
        let folder = Folder::new();
        let store = folder.store();
        assert_eq!(store.load().await.unwrap(), None);
        store.forget().await.unwrap();
        for id in ["f-1", "f-2"] {
            store.store(&id.into()).await.unwrap();
            assert_eq!(folder.store().load().await.unwrap(), Some(id.into()));
        }
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
        store.forget().await.unwrap();
        assert_eq!(store.load().await.unwrap(), None);
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_corrupt_file_is_named_and_left_alone() {
        let folder = Folder::new();
        let long = vec![b'a'; 1000];
        for (content, why) in [
            (&b""[..], "it does not end with a line break"),
            (b"f-1", "it does not end with a line break"),
            (b"\n", "it is empty"),
            (b"f-1\nf-2\n", "it holds characters that no id has"),
            (b"\0\0\0\0\n", "it holds characters that no id has"),
            (b"\xff\xfe\n", "it is no text"),
            (&long, "it does not end with a line break"),
        ] {
            let path = folder.0.join("id");
            fs::write(&path, content).unwrap();
            let error = folder.store().load().await.unwrap_err();
            let expected = format!("framework id in {} is corrupt: {why}", path.display());
            assert_eq!(
                (error.kind(), error.to_string()),
                (ErrorKind::Store, expected)
            );
            assert_eq!(fs::read(&path).unwrap(), content);
        }
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_an_error_and_the_old_id_stays() {
        let folder = Folder::new();
        let missing = FileFrameworkIdStore::new(folder.0.join("missing").join("id"));
        let error = missing.store(&"f-1".into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store);
        assert!(error.to_string().contains("missing/id cannot be written: "));
        // A folder in its place cannot be replaced.
        let taken = FileFrameworkIdStore::new(folder.0.join("taken"));
        fs::create_dir(folder.0.join("taken")).unwrap();
        assert!(taken.store(&"f-1".into()).await.is_err());
        assert!(taken.load().await.is_err());
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
    }
}
