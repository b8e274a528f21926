//! Testing schedulers and executors of one's own without any cluster: handles whose calls are written down.
//!
//! [`RecordedDriver`] stands in for a driver: its handle is given to the methods of [`Scheduler`](crate::Scheduler), and
//! what these call is looked at afterwards. What the master would answer, the test says. [`offer`] and [`status`] make
//! what most callbacks are called with. [`RecordedExecutorDriver`] is the same for executors.
//!
//! Nothing happens by itself: no callback is made, and no time passes.
//!
//! # Examples
//! A scheduler that launches one task, and stops when it has finished:
//! ```
//! use mesos_framework::proto::{Offer, TaskInfo, TaskState, TaskStatus};
//! use mesos_framework::toolkit::testing::{self, DriverEnd, RecordedDriver};
//! use mesos_framework::{Scheduler, SchedulerHandle, Status, Stop, async_trait};
//!
//! struct Once {
//!     is_launched: bool,
//! }
//!
//! #[async_trait]
//! impl Scheduler for Once {
//!     async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
//!         for offer in offers {
//!             let task = TaskInfo {
//!                 name: "once".into(),
//!                 task_id: "once".into(),
//!                 agent_id: offer.agent_id,
//!                 resources: offer.resources,
//!                 ..Default::default()
//!             };
//!             let tasks = if self.is_launched { vec![] } else { vec![task] };
//!             self.is_launched = true;
//!             let _ = driver.launch_tasks(vec![offer.id], tasks, Default::default()).await;
//!         }
//!     }
//!
//!     async fn status_update(&mut self, driver: &SchedulerHandle, status: TaskStatus) {
//!         if status.state() == TaskState::TaskFinished {
//!             driver.stop();
//!         }
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let driver = RecordedDriver::new();
//! let mut scheduler = Once { is_launched: false };
//! let offers = vec![
//!     testing::offer("offer-1", "agent-1", "cpus:1;mem:64"),
//!     testing::offer("offer-2", "agent-2", "cpus:1;mem:64"),
//! ];
//! scheduler.resource_offers(&driver.handle(), offers).await;
//!
//! let accepts: Vec<_> = driver.take_calls().into_iter().filter_map(|call| call.accept).collect();
//! let launch = accepts[0].operations[0].launch.as_ref().unwrap();
//! assert_eq!(launch.task_infos[0].agent_id, "agent-1".into());
//! assert!(accepts[1].operations.is_empty(), "which declines the offer");
//!
//! let finished = testing::status("once", "agent-1", TaskState::TaskFinished);
//! scheduler.status_update(&driver.handle(), finished).await;
//! assert_eq!(driver.handle().status(), Status::Stopped);
//! assert!(matches!(driver.end(), Some(DriverEnd::Stopped(Stop::Teardown))));
//! # });
//! ```
//!
//! Source: the mocked drivers with which frameworks are tested in Java (`SchedulerDriver` is an interface there).

mod executor;
mod samples;
mod scheduler;
mod tape;
#[cfg(test)]
mod tests;

pub use executor::RecordedExecutorDriver;
pub use samples::{offer, reconciled, status};
pub use scheduler::RecordedDriver;

use crate::driver::{Ending, Outcome, Stop};
use crate::error::{Error, ErrorKind};

/// What becomes of a recorded call.
///
/// Source: [`Outcome`], which a receipt tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// [`Outcome::Accepted`].
    #[default]
    Accepted,
    /// [`Outcome::Refused`], with this HTTP status and these words of the master's.
    Refused(u16, String),
    /// [`Outcome::NotSent`], because of a lost subscription. A driver would also make up a `TASK_DROPPED` or `TASK_LOST`
    /// for every task of a launch; here, that is for the test to do.
    NotSent,
    /// [`Outcome::Unknown`], because of a lost subscription.
    Unknown,
}

impl Answer {
    fn into_outcome(self) -> Outcome {
        let lost = |context| Error::new(ErrorKind::Disconnected, context);
        match self {
            Self::Accepted => Outcome::Accepted,
            Self::Refused(status, message) => Outcome::Refused { status, message },
            Self::NotSent => Outcome::NotSent(lost("subscription lost before the call was sent")),
            Self::Unknown => {
                Outcome::Unknown(lost("subscription lost while the call was in flight"))
            }
        }
    }
}

/// How a recorded driver has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DriverEnd {
    /// By `stop`, or `stop_for_failover`.
    Stopped(Stop),
    /// By `abort`.
    Aborted,
    /// By `abort_with`, with this error.
    Failed(Error),
}

impl DriverEnd {
    fn of(ending: Ending) -> Self {
        match ending {
            Ending::Stop(how) => Self::Stopped(how),
            Ending::Dropped => Self::Stopped(Stop::ForFailover),
            Ending::Abort => Self::Aborted,
            Ending::Failed(error) | Ending::Panicked(error) => Self::Failed(error),
        }
    }
}
