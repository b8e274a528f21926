//! Where the framework's id is kept, so that the next process takes the framework over.

mod file;
mod memory;
#[cfg(feature = "zookeeper")]
mod zookeeper;

use std::sync::Arc;

use async_trait::async_trait;

pub use file::FileFrameworkIdStore;
pub use memory::MemoryFrameworkIdStore;
#[cfg(feature = "zookeeper")]
pub use zookeeper::ZooKeeperFrameworkIdStore;

use crate::error::{Error, ErrorKind, Result};
use crate::proto::FrameworkId;

/// Keeps a framework's id beyond the life of its driver.
///
/// A driver with such a store ([`framework_id_store`](crate::SchedulerDriverBuilder::framework_id_store)) loads the id
/// before it subscribes, stores a new one before the first callback, and forgets one that is used up if it shall
/// register anew. One store is for one framework: two drivers with the same id throw each other out.
///
/// Built in are a file, ZooKeeper (feature `zookeeper`) and memory. The driver makes one call at a time.
///
/// # Examples
/// ```
/// use std::sync::Mutex;
///
/// use mesos_framework::proto::FrameworkId;
/// use mesos_framework::{FrameworkIdStore, Result, async_trait};
///
/// /// In a database, say.
/// #[derive(Default)]
/// struct Row(Mutex<Option<String>>);
///
/// #[async_trait]
/// impl FrameworkIdStore for Row {
///     async fn load(&self) -> Result<Option<FrameworkId>> {
///         Ok(self.0.lock().unwrap().clone().map(FrameworkId::from))
///     }
///
///     async fn store(&self, framework_id: &FrameworkId) -> Result<()> {
///         *self.0.lock().unwrap() = Some(framework_id.value.clone());
///         Ok(())
///     }
///
///     async fn forget(&self) -> Result<()> {
///         *self.0.lock().unwrap() = None;
///         Ok(())
///     }
/// }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let row = Row::default();
/// row.store(&"f-1".into()).await.unwrap();
/// assert_eq!(row.load().await.unwrap(), Some("f-1".into()));
/// # });
/// ```
#[async_trait]
pub trait FrameworkIdStore: Send + Sync + 'static {
    /// The id that was stored last; `None` if there is none, or it was forgotten.
    ///
    /// # Errors
    /// Whatever keeps it from knowing. The driver ends, and has called nobody.
    ///
    /// # Cancel safety
    /// An implementation must be cancel safe.
    async fn load(&self) -> Result<Option<FrameworkId>>;

    /// Stores an id in place of the one before. When it returns, the id must outlive the process, or whatever else the
    /// store promises.
    ///
    /// # Errors
    /// Whatever keeps it from that. The driver ends, and has not called `registered`.
    ///
    /// # Cancel safety
    /// Dropped before it completes, the id may be stored or not; the one before must not be lost.
    async fn store(&self, framework_id: &FrameworkId) -> Result<()>;

    /// Forgets the id; it is no error if there is none.
    ///
    /// # Errors
    /// Whatever keeps it from that. The driver ends.
    ///
    /// # Cancel safety
    /// Dropped before it completes, the id may be forgotten or not.
    async fn forget(&self) -> Result<()>;
}

#[async_trait]
impl<S: FrameworkIdStore + ?Sized> FrameworkIdStore for Box<S> {
    async fn load(&self) -> Result<Option<FrameworkId>> {
        (**self).load().await
    }

    async fn store(&self, framework_id: &FrameworkId) -> Result<()> {
        (**self).store(framework_id).await
    }

    async fn forget(&self) -> Result<()> {
        (**self).forget().await
    }
}

#[async_trait]
impl<S: FrameworkIdStore + ?Sized> FrameworkIdStore for Arc<S> {
    async fn load(&self) -> Result<Option<FrameworkId>> {
        (**self).load().await
    }

    async fn store(&self, framework_id: &FrameworkId) -> Result<()> {
        (**self).store(framework_id).await
    }

    async fn forget(&self) -> Result<()> {
        (**self).forget().await
    }
}

/// Longest id, in bytes.
///
/// Source: `src/common/validation.cpp`, Apache Mesos 1.11.0.
const LONGEST: usize = 255;

/// The id that stands in `text`, if it can be one.
///
/// Source: `validateID`, `src/common/validation.cpp`, Apache Mesos 1.11.0.
fn parse(text: &[u8]) -> Result<FrameworkId, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "it is no text")?;
    match text {
        "" => Err("it is empty"),
        "." | ".." => Err("it is no id"),
        text if text.len() > LONGEST => Err("it is too long for an id"),
        text if text
            .chars()
            .any(|c| c.is_control() || c == '/' || c == '\\') =>
        {
            Err("it holds characters that no id has")
        }
        text => Ok(text.into()),
    }
}

/// Whether that can be an id, so that it will be read again once it is stored.
pub(crate) fn can_be_id(id: &FrameworkId) -> bool {
    parse(id.value.as_bytes()).is_ok()
}

fn corrupt(what: &str, why: &str) -> Error {
    Error::new(ErrorKind::Store, format!("{what} is corrupt: {why}"))
}

#[cfg(test)]
mod tests {
    mod hostile;

    use super::*;

    #[test]
    fn only_what_can_be_an_id_is_one() {
        let id = "b3f0c1e2-0f7b-4c4e-8d23-0a54d4a2b7f1-0042";
        assert_eq!(parse(id.as_bytes()), Ok(id.into()));
        for wrong in [
            &b""[..],
            b".",
            b"..",
            b"a/b",
            b"a\nb",
            b"\xff",
            &[b'a'; 256],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
