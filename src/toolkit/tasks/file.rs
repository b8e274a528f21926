//! Tasks in a file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::{TaskChange, TaskStore, TrackedTask, journal};
use crate::error::{Error, ErrorKind, Result};

/// How many changes that need not last wait for one that must.
const MAX_WAITING: usize = 1_000;

/// A journal is written anew when it is this long, in bytes, and twice as long as when that was done last.
const WORTH_REWRITING: u64 = 1024 * 1024;

/// Keeps tasks in a file: a journal of changes, which is written anew when it has become long.
///
/// A call that launches, and each end of a task, is brought to the disk (`fsync`) before it counts: hundreds of ends per second
/// is what a disk takes. Other changes are written together with the next of these, or when the store is closed.
///
/// The file has a checksum for every record. What was being written when the machine or the process ended was never confirmed
/// to anybody, and is cut off when the file is opened again; any other damage is an error that names the place, and the file
/// is left alone. Written anew, the journal stands beside it first, and then takes its name, so that one of the two is there
/// whatever happens in between.
///
/// Its folder must exist. While it is open, a file beside it (`.NAME.lock`) is locked: a second store is refused, in this
/// process or another one. Clones share the open file, which is closed with the last of them.
///
/// # Examples
/// ```
/// use mesos_framework::toolkit::{FileTaskStore, TaskTracker};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let folder = std::env::temp_dir().join(format!("task-store-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// # let path = folder.join("tasks");
/// let tracker = TaskTracker::builder().store(FileTaskStore::new(&path)).open().await?;
/// assert_eq!(tracker.counts().total(), 0);
/// # drop(tracker);
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), mesos_framework::Error>(())
/// # }).unwrap();
/// ```
///
/// Source: [`TaskStore`].
#[derive(Clone, Debug)]
pub struct FileTaskStore {
    path: Arc<PathBuf>,
    /// None until it is used. Waits in order, so that changes are written in theirs.
    open: Arc<Mutex<Option<Open>>>,
}

impl FileTaskStore {
    /// A store in the file `path`, which need not exist yet. Touches nothing before it is used.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: Arc::new(path.into()),
            open: Arc::new(Mutex::new(None)),
        }
    }

    /// Runs what waits for the disk where it holds nobody up. It goes on when the future is dropped, before anything later.
    async fn blocking<T: Send + 'static>(
        &self,
        what: &str,
        work: impl FnOnce(&mut Open) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut open = Arc::clone(&self.open).lock_owned().await;
        let path = Arc::clone(&self.path);
        let done = tokio::task::spawn_blocking(move || {
            let open = match &mut *open {
                Some(open) => open,
                closed => closed.insert(Open::new(&path)?),
            };
            work(open)
        });
        let done = done.await;
        let done = done.unwrap_or_else(|error| Err(io::Error::other(error)));
        done.map_err(|error| {
            let context = format!("tasks in {} {what}", self.path.display());
            Error::caused_by(ErrorKind::Store, context, error)
        })
    }
}

#[async_trait]
impl TaskStore for FileTaskStore {
    /// # Errors
    /// [`ErrorKind::Store`]: the file cannot be read, is damaged, or is in use.
    async fn load(&self) -> Result<Vec<TrackedTask>> {
        self.blocking("cannot be read", Open::load).await
    }

    /// # Errors
    /// [`ErrorKind::Store`]: the file cannot be written; what was written of it is taken back. If that is not possible, neither
    /// is anything further.
    async fn store(&self, changes: &[TaskChange]) -> Result<()> {
        let changes = changes.to_vec();
        self.blocking("cannot be written", move |open| open.store(changes))
            .await
    }
}

/// An open journal.
#[derive(Debug)]
struct Open {
    path: PathBuf,
    /// Positioned at its end.
    file: File,
    length: u64,
    /// Changes that need not last, and are not written yet.
    waiting: Vec<TaskChange>,
    /// Of the journal when it was written anew last.
    rewritten: u64,
    /// Something is behind `length` that could not be taken back.
    is_broken: bool,
    /// Locked as long as this lives.
    _lock: File,
}

impl Open {
    fn new(path: &Path) -> io::Result<Self> {
        let lock = lock(&beside(path, "lock")?)?;
        let content = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            content => content?,
        };
        let whole = journal::read(&content).map_err(io::Error::other)?.whole as u64;
        if whole == 0 {
            replace_name(path, &write_beside(path, journal::FORM)?)?;
            sync_folder(path)?;
        }
        let mut open = Self {
            path: path.to_owned(),
            file: append_to(path)?,
            length: whole.max(journal::FORM.len() as u64),
            waiting: Vec::new(),
            rewritten: 0,
            is_broken: false,
            _lock: lock,
        };
        if content.len() as u64 > open.length {
            let cut = content.len() as u64 - open.length;
            tracing::warn!(path = %path.display(), bytes = cut, "record that was not written to its end is cut off");
            open.cut()?;
        }
        Ok(open)
    }

    fn load(&mut self) -> io::Result<Vec<TrackedTask>> {
        self.flush()?;
        let tasks = self.content()?.tasks.into_values();
        Ok(tasks.collect())
    }

    fn store(&mut self, changes: Vec<TaskChange>) -> io::Result<()> {
        let must_last = changes.iter().any(TaskChange::must_last);
        let before = self.waiting.len();
        self.waiting.extend(changes);
        if !must_last && self.waiting.len() < MAX_WAITING {
            return Ok(());
        }
        let stored = self.flush();
        if stored.is_err() {
            self.waiting.truncate(before);
        }
        stored
    }

    /// Writes what waits, as one record: it is read whole, or not at all.
    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.append(&journal::record(&self.waiting))?;
        self.waiting.clear();
        if self.length > WORTH_REWRITING && self.length > 2 * self.rewritten {
            self.rewrite()?;
        }
        Ok(())
    }

    fn content(&self) -> io::Result<journal::Content> {
        journal::read(&fs::read(&self.path)?).map_err(io::Error::other)
    }

    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::other("an earlier failure left it damaged"));
        }
        let written = self.file.write_all(record);
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            self.is_broken = self.cut().is_err();
            return Err(error);
        }
        self.length += record.len() as u64;
        Ok(())
    }

    /// Writes the journal anew, with what still counts. If that cannot be done, it goes on as it is.
    fn rewrite(&mut self) -> io::Result<()> {
        let new = self.content().and_then(|content| {
            let new = journal::journal(content.tasks.values());
            let length = new.len() as u64;
            replace_name(&self.path, &write_beside(&self.path, &new)?)?;
            Ok(length)
        });
        match new {
            Ok(length) => self.length = length,
            Err(error) => {
                let path = self.path.display();
                tracing::warn!(%path, %error, "journal of tasks cannot be written anew");
                // To be tried again when it is twice as long.
                self.rewritten = self.length;
                return Ok(());
            }
        }
        self.rewritten = self.length;
        // What is appended from here on must stand in the file that is found under the name, also after a crash.
        let reopened = sync_folder(&self.path).and_then(|()| append_to(&self.path));
        self.is_broken = reopened.is_err();
        self.file = reopened?;
        Ok(())
    }

    /// Takes back what is behind `length`.
    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.sync_all()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            let path = self.path.display();
            tracing::warn!(%path, %error, "what tasks did last is not stored; it need not be");
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).open(path)
}

/// The file `.NAME.ending` in the folder of `path`.
fn beside(path: &Path, ending: &str) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::other("it names no file"))?;
    let mut own = std::ffi::OsString::from(".");
    own.push(name);
    own.push(".");
    own.push(ending);
    Ok(path.with_file_name(own))
}

/// Not the journal itself is locked, for another file takes its name now and then.
fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another store has opened them")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// A new file beside `path`, on the disk.
fn write_beside(path: &Path, content: &[u8]) -> io::Result<PathBuf> {
    let new = beside(path, &uuid::Uuid::new_v4().to_string())?;
    let mut file = OpenOptions::new().write(true).create_new(true).open(&new)?;
    match file.write_all(content).and_then(|()| file.sync_all()) {
        Ok(()) => Ok(new),
        Err(error) => Err(without(&new, error)),
    }
}

/// Gives a new file the name of `path`.
fn replace_name(path: &Path, new: &Path) -> io::Result<()> {
    fs::rename(new, path).map_err(|error| without(new, error))
}

/// Removes what is not wanted any more. Whatever it was, the first failure is the one to tell.
fn without(new: &Path, error: io::Error) -> io::Error {
    let _ = fs::remove_file(new);
    error
}

/// Brings the new name to the disk.
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
mod tests;
