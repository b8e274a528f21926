//! Stands in for a scheduler's driver.

use std::fmt;
use std::sync::Arc;

use super::tape::Tape;
use super::{Answer, DriverEnd};
use crate::error::{Error, ErrorKind};
use crate::proto::scheduler::Call;
use crate::proto::{FrameworkId, FrameworkInfo};
use crate::scheduler::{SchedulerHandle, UnconnectedScheduler};

/// The framework's id, unless the test says another.
const FRAMEWORK_ID: &str = "framework";

/// Stands in for a [`SchedulerDriver`](crate::SchedulerDriver): its handle's calls are recorded, and answered as the test
/// says.
///
/// It runs and is subscribed from the beginning. Its handle behaves as a driver's does: it answers
/// [`ErrorKind::Disconnected`] and [`ErrorKind::NotRunning`] when it should, keeps what is stored for the next subscription,
/// and checks calls. A call is recorded, with the framework's id in it, before its method returns. Memory is not bounded: what
/// a test does not take is kept.
///
/// Clones share everything; dropping the last one ends it as `stop_for_failover` does.
///
/// # Examples
/// ```
/// use mesos_framework::toolkit::testing::{Answer, RecordedDriver};
/// use mesos_framework::{ErrorKind, Outcome};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let driver = RecordedDriver::new();
/// let handle = driver.handle();
/// driver.answer_next(Answer::Refused(400, "Failed to validate".into()));
/// let receipt = handle.revive_offers(vec!["web".into()]).await?;
/// assert!(matches!(receipt.outcome().await, Outcome::Refused { status: 400, .. }));
/// assert_eq!(driver.take_calls()[0].revive.as_ref().unwrap().roles, ["web"]);
///
/// driver.disconnect();
/// let error = handle.kill_task("t-1".into(), None).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Disconnected);
/// # Ok::<(), mesos_framework::Error>(())
/// # }).unwrap();
/// ```
///
/// Source: `SchedulerDriver`, Java API.
#[derive(Clone)]
pub struct RecordedDriver {
    inner: Arc<Inner>,
}

struct Inner {
    driver: UnconnectedScheduler,
    tape: Arc<Tape<Call>>,
    framework_id: FrameworkId,
}

impl fmt::Debug for RecordedDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedDriver")
            .field("handle", &self.handle())
            .field("tape", &self.inner.tape)
            .finish()
    }
}

impl Default for RecordedDriver {
    fn default() -> Self {
        Self::new()
    }
}

impl RecordedDriver {
    /// The driver of a framework of which nothing is said but its id, `framework`.
    #[must_use]
    pub fn new() -> Self {
        Self::of(FrameworkInfo::default())
    }

    /// The driver of that framework. Its id, if it has none, is `framework`.
    #[must_use]
    pub fn of(framework_info: FrameworkInfo) -> Self {
        let framework_id = framework_info.id.clone();
        let framework_id = framework_id.unwrap_or_else(|| FRAMEWORK_ID.into());
        let tape = Arc::new(Tape::new());
        let recorder = Arc::clone(&tape);
        let driver = UnconnectedScheduler::new(framework_info, move |call| {
            recorder.record(call).into_outcome()
        });
        driver.connect(framework_id.clone());
        let inner = Inner {
            driver,
            tape,
            framework_id,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// What the callbacks of a scheduler are called with.
    #[must_use]
    pub fn handle(&self) -> SchedulerHandle {
        self.inner.driver.handle()
    }

    /// Takes the calls that were recorded and not taken yet, oldest first.
    ///
    /// `stop` is recorded as TEARDOWN, if there is a subscription; `stop_for_failover` and `abort` are no calls
    /// ([`end`](Self::end) tells of them).
    #[must_use]
    pub fn take_calls(&self) -> Vec<Call> {
        self.inner.tape.take()
    }

    /// Takes the next call, and waits for it if it is not there yet: for what calls in the background. It waits for ever if
    /// none comes.
    ///
    /// # Cancel safety
    /// Dropped before it completes, no call is lost.
    pub async fn next_call(&self) -> Call {
        self.inner.tape.next().await
    }

    /// What becomes of the next call; may be said for several. Goes before [`answer_with`](Self::answer_with).
    pub fn answer_next(&self, answer: Answer) {
        self.inner.tape.answer_next(answer);
    }

    /// What becomes of every further call; by default, all are accepted. `rule` must not use the driver.
    pub fn answer_with(&self, rule: impl FnMut(&Call) -> Answer + Send + 'static) {
        self.inner.tape.answer_with(Box::new(rule));
    }

    /// The subscription is lost. [`Scheduler::disconnected`](crate::Scheduler::disconnected) is for the test to call.
    pub fn disconnect(&self) {
        let why = Error::new(
            ErrorKind::Disconnected,
            "the test has ended the subscription",
        );
        self.inner.driver.disconnect(&why);
    }

    /// There is a subscription again; what was stored for it is recorded. [`Scheduler::reregistered`](crate::Scheduler::reregistered)
    /// is for the test to call.
    pub fn reconnect(&self) {
        self.inner.driver.connect(self.inner.framework_id.clone());
    }

    /// How the driver has ended; `None` while it runs.
    #[must_use]
    pub fn end(&self) -> Option<DriverEnd> {
        self.inner.driver.ending().map(DriverEnd::of)
    }
}
