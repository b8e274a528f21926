//! What frameworks otherwise write again and again, each tool on its own: none needs another, and all speak the types of
//! the drivers.
//!
//! | tool | what it does |
//! | --- | --- |
//! | [`TaskTracker`] | follows tasks from launch to end, through restarts, and counts none twice |
//! | [`Reconciler`] | asks the master for the tasks' states until each is answered |
//! | [`TaskKiller`] | repeats kills until the task has ended, and tells how |
//! | [`matching`] | what tasks need against what is on offer, and why not |
//! | [`OfferLedger`] | knows the live offers, and sees to it that each is used once and none is hoarded |
//! | [`Demand`] | asks for offers of those roles only for which there is work |
//! | [`Operations`] | carries reservations and volumes to their end, as futures |
//! | [`Maintenance`] | answers when the framework is asked to leave an agent |
//! | [`Jobs`] | tasks that are tried until each has ended well, or has failed too often |
//! | [`Toolbox`] | tracker, reconciler, killer, ledger and demand, put together |
//! | [`testing`] | a driver that records the calls of a scheduler or executor, without any cluster |
//! | [`Observed`], [`Observer`] | have tools told before the scheduler |
//!
//! What is launched and operated on is built with the constructors of the messages themselves
//! ([`TaskInfo::new`](crate::proto::TaskInfo::new), [`CommandInfo::in_shell`](crate::proto::CommandInfo::in_shell),
//! [`ContainerInfo::docker`](crate::proto::ContainerInfo::docker),
//! [`Operation::reserve`](crate::proto::offer::Operation::reserve), …), and checked before it is sent with their `validate`
//! ([`TaskInfo::validate`](crate::proto::TaskInfo::validate), …), in the words of the master.
//!
//! Tools live beside a scheduler: cheap to clone, usable from any task, told of the callbacks that concern them. Whoever
//! wraps the scheduler into [`Observed`] has them told before the scheduler itself, so none can be forgotten; whoever does
//! not calls the methods of [`Observer`] by hand.
//!
//! Source: `docs/app-framework-development-guide.md`, `docs/high-availability-framework-guide.md` and
//! `docs/reconciliation.md` of Apache Mesos 1.11.0, which leave all this to frameworks.

mod demand;
mod jobs;
mod killer;
mod maintenance;
pub mod matching;
mod observer;
mod offer_ledger;
mod operations;
mod reconciler;
mod tasks;
pub mod testing;
mod toolbox;
mod worker;

pub use demand::{Demand, DemandBuilder};
pub use jobs::{Job, JobCounts, JobState, Jobs};
pub use killer::{KillEnd, TaskKiller, TaskKillerBuilder};
pub use maintenance::{Maintenance, MaintenanceAnswer, MaintenanceBuilder};
pub use observer::{Observed, Observer};
pub use offer_ledger::{AgentOffers, OfferLedger, OfferLedgerBuilder, StaleOffer, StaleReason};
pub use operations::{OperationFailure, Operations, OperationsBuilder, PendingOperation};
pub use reconciler::{Reconciler, ReconcilerBuilder, ReconcilerProgress, TaskSource};
pub use tasks::{
    FileTaskStore, LaunchReceipt, MemoryTaskStore, TaskChange, TaskCounts, TaskStore, TaskTracker,
    TaskTrackerBuilder, TaskWatch, Tasks, TrackedTask,
};
pub use toolbox::Toolbox;
