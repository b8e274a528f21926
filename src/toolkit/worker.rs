//! The background task of a tool.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt as _;
use tokio_util::task::AbortOnDropHandle;

use crate::error::{Error, ErrorKind};
use crate::scheduler::SchedulerHandle;

/// Keeps the task of a tool, at most one. It ends with the driver that it is for, or with the tool, whichever is first.
#[derive(Default)]
pub(super) struct Worker(Mutex<Option<Running>>);

struct Running {
    driver: SchedulerHandle,
    _task: AbortOnDropHandle<()>,
}

impl Worker {
    /// Starts `work`, unless it runs for that driver already; one for another driver ends. `over` follows the driver's end.
    ///
    /// `work` must not keep the tool alive. If it panics, it ends the driver as a callback would.
    pub(super) fn start<W: Future<Output = ()> + Send + 'static>(
        &self,
        driver: &SchedulerHandle,
        work: impl FnOnce() -> W,
        over: impl FnOnce() + Send + 'static,
    ) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if running
            .as_ref()
            .is_some_and(|own| own.driver.is_of_same_driver(driver))
        {
            return;
        }
        let work = AssertUnwindSafe(work()).catch_unwind();
        let mut connection = driver.watch_connection();
        let handle = driver.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                ended = work => if let Err(payload) = ended {
                    handle.abort_with(panicked(&*payload));
                },
                // It answers once the driver has ended.
                _ = connection.until(|_| false) => {}
            }
            over();
        });
        *running = Some(Running {
            driver: driver.clone(),
            _task: AbortOnDropHandle::new(task),
        });
    }
}

fn panicked(payload: &(dyn Any + Send)) -> Error {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let context = format!("the task of a tool panicked: {}", text.unwrap_or("no text"));
    Error::new(ErrorKind::CallbackPanicked, context)
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}
