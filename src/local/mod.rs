//! A whole Mesos cluster in this process: masters and agents, for trying out, for tests and for demonstrations.
//!
//! Any v1 HTTP client can talk to it: master and agents listen on loopback TCP and speak the real wire. What is covered
//! behaves as Apache Mesos 1.11.0 does, down to status codes and texts:
//!
//! - the scheduler API of the master: subscriptions, failover, offers, filters, `LAUNCH`, `LAUNCH_GROUP`, status updates
//!   and their acknowledgement, reconciliation, kills, messages, teardown;
//! - several masters: one leads, the others redirect to it, take its place when it dies, and come back as standbys; agents
//!   and tasks outlive their leader;
//! - agents with resources, attributes and domains of their own; those of another region than the masters' are offered only
//!   to frameworks that are REGION_AWARE;
//! - the executor API of the agents: executors are child processes in sandboxes, with Mesos's environment variables;
//! - tokens of executors ([`LocalClusterBuilder::executor_tokens`]);
//! - agents' Unix sockets for executors ([`LocalClusterBuilder::executor_domain_sockets`]);
//! - executors without a program: [`LocalClusterBuilder::executor`] has them made by the user's closure, and driven in
//!   this process by the real driver;
//! - tasks that are only a command: their executor, which an agent adds as Mesos does, is hosted in this process, and the
//!   command is a child process in a process group of its own, with the sandbox as its working directory and the files
//!   `stdout` and `stderr` in it;
//! - task groups under executors of type `DEFAULT`, likewise hosted in this process: each task is a child process in a
//!   sandbox of its own, `containers/<container id>` below the executor's;
//! - checks and health checks of both: by commands, HTTP (https needs the program `curl`) and TCP;
//! - the lives of agents: pings, unreachable agents and their return, agents that are killed and recover their executors
//!   from what they checkpointed, leave, drain, are deactivated, or are marked gone;
//! - reservations, static and dynamic, refined or not, and persistent volumes, which are directories linked into the
//!   sandboxes of their users: the operations of `ACCEPT` on them, in order and with Mesos's texts for what is wrong; their
//!   statuses, acknowledgements and reconciliation; shared volumes;
//! - allocation: dominant resource fairness among the roles, which form a tree and have weights, and then among the
//!   frameworks of a role; quota; offer constraints; inverse offers for machines that are about to be maintained. A real
//!   master's gaps are there too: a limit does not reach the roles below. Patterns in constraints are those of the
//!   `regex` crate, translated; how large they may be is told as exactly as it can be without RE2;
//! - refusals: of what is not well formed, in Mesos's words, and of what somebody may not do or see ([`Acls`]);
//! - the operator API as far as it reads state and metrics, its stream of events, the sandboxes' files, weights, quota,
//!   maintenance, `TEARDOWN`, and the calls that drain, deactivate and give up agents, and those on reservations and
//!   volumes; `/state`, `/slaves`, `/roles`, `/tasks`, `/metrics/snapshot` and `/redirect` of the master, `/state` and
//!   `/metrics/snapshot` of agents, all of them also as scripts (`?jsonp=`). Agents are on
//!   one machine, and maintenance takes all of them, unless [`AgentSettings::hostname`] says otherwise. Whoever runs a framework against it can look at it with the tools of a real cluster.
//!   Agents keep no history.
//!
//! What is left out is listed [below](#what-local-leaves-out).
//!
//! # A test of one's own
//!
//! A test starts its cluster, with what it needs, and has its framework subscribe to
//! [`master_address`](LocalCluster::master_address). Ports and directories are the cluster's own, so that tests may run side
//! by side; nothing is left of it after [`shutdown`](LocalCluster::shutdown), or after its drop. [`LocalCluster::state`]
//! shows what it knows, and [`LocalCluster::until`] waits for it to know something: no test has to sleep.
//!
//! ```
//! use std::time::Duration;
//!
//! use mesos_framework::local::LocalCluster;
//! use mesos_framework::proto::{FrameworkInfo, Offer, TaskStatus};
//! use mesos_framework::{Scheduler, SchedulerDriver, SchedulerHandle, async_trait};
//!
//! struct Idle;
//!
//! #[async_trait]
//! impl Scheduler for Idle {
//!     async fn resource_offers(&mut self, _: &SchedulerHandle, _: Vec<Offer>) {}
//!     async fn status_update(&mut self, _: &SchedulerHandle, _: TaskStatus) {}
//! }
//!
//! const LIMIT: Duration = Duration::from_secs(20);
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let cluster = LocalCluster::builder().agents(2).resources("cpus:4;mem:1024").start().await?;
//! let info = FrameworkInfo { name: "idle".into(), failover_timeout: Some(60.0), ..Default::default() };
//! let mut driver = SchedulerDriver::builder(Idle, info, &cluster.master_address()).build()?;
//! driver.start()?;
//!
//! let state = cluster.until(LIMIT, |state| state.offers.len() == 2).await?;
//! assert_eq!(state.frameworks[0].name, "idle");
//! driver.handle().stop();
//! driver.join().await?;
//! assert!(cluster.state().frameworks.is_empty());
//! cluster.shutdown().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What goes wrong
//!
//! A family of methods breaks things: connections, also in the middle of a record, heartbeats, streams, answers, updates,
//! offers, executors, agents, masters; and [`LocalCluster::chaos`] breaks them at random, from a seed. A framework that is to outlive a loss of its connection is tried out like this:
//!
//! ```
//! # use std::time::Duration;
//! # use mesos_framework::local::LocalCluster;
//! # use mesos_framework::proto::{FrameworkInfo, Offer, TaskStatus};
//! # use mesos_framework::{Scheduler, SchedulerDriver, SchedulerHandle, async_trait};
//! # struct Idle;
//! # #[async_trait]
//! # impl Scheduler for Idle {
//! #     async fn resource_offers(&mut self, _: &SchedulerHandle, _: Vec<Offer>) {}
//! #     async fn status_update(&mut self, _: &SchedulerHandle, _: TaskStatus) {}
//! # }
//! # const LIMIT: Duration = Duration::from_secs(20);
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! # let cluster = LocalCluster::builder().start().await?;
//! # let info = FrameworkInfo { name: "idle".into(), failover_timeout: Some(60.0), ..Default::default() };
//! # let mut driver = SchedulerDriver::builder(Idle, info, &cluster.master_address()).build()?;
//! # driver.start()?;
//! let state = cluster.until(LIMIT, |state| state.frameworks.len() == 1).await?;
//! let id = state.frameworks[0].id.clone();
//! cluster.refuse_next_call(503, "come back later")?;
//! assert!(cluster.disconnect_framework(&id));
//! cluster.until(LIMIT, |state| state.framework(&id).is_some_and(|own| !own.is_connected)).await?;
//! // The first try is refused. The second is not.
//! cluster.until(LIMIT, |state| state.framework(&id).is_some_and(|own| own.is_connected)).await?;
//! # driver.handle().stop();
//! # driver.join().await?;
//! # cluster.shutdown().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Several masters
//!
//! [`masters`](LocalClusterBuilder::masters) gives a cluster standbys. [`master_string`](LocalCluster::master_string) names
//! them all, for a driver that is to find whichever leads; a scheduler that knows only one of them is redirected. An election
//! is a matter of a call, or of the time after which a leader's death is noticed.
//!
//! ```
//! # use std::time::Duration;
//! # use mesos_framework::local::LocalCluster;
//! # const LIMIT: Duration = Duration::from_secs(20);
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let cluster = LocalCluster::builder()
//!     .masters(3)
//!     .election_timeout(Duration::from_millis(200))
//!     .start()
//!     .await?;
//! let addresses = cluster.master_addresses();
//! assert_eq!(cluster.master_address(), addresses[0]);
//!
//! cluster.kill_master();
//! let state = cluster.until(LIMIT, |state| state.is_master_alive).await?;
//! assert!(state.masters[1].is_leading && state.agents[0].is_connected);
//!
//! cluster.elect(2)?;
//! assert_eq!(cluster.master_address(), addresses[2]);
//! // Both old leaders come back as standbys.
//! cluster.restart_master().await?;
//! assert!(cluster.state().masters.iter().all(|master| master.is_alive));
//! cluster.shutdown().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # For programs in other languages
//!
//! The example `local_cluster` of this crate is a cluster as a program, with options for masters, agents, ports and the work
//! directory: `cargo run --example local_cluster -- --port 5050 --masters 3`. It logs each call and each event, which the
//! cluster tells `tracing` at `debug` under the target `mesos_framework::local`.
//!
//! # What is kept
//!
//! Nothing, or with [`work_directory`](LocalClusterBuilder::work_directory) the sandboxes, and what a later cluster on the
//! same directory recovers: the masters' registry; the agents' ids and ports, reservations and volumes; operations whose
//! end was not acknowledged; and of frameworks that checkpoint, tasks and status updates.
//!
//! A cluster that is shut down or dropped ends all executors; for the next one, they ended while their agents were away.
//! If the process of the cluster is killed, executors that are programs live on, and the agents of the next cluster wait
//! for them as restarted agents do; so does `start`. Other processes in sandboxes are killed then. (Linux only: elsewhere
//! they count as ended.) Nothing is told, and no executor started, before what led to it is on the disk, so that a kill
//! loses nothing that anybody knows of. (Of what cannot be written, as on a full disk, a warning says so; real agents end.)
//!
#![doc = include_str!("../docs/left_out.md")]

mod access;
mod acl_json;
mod acls;
mod agent;
mod agents;
mod builder;
mod chaos;
mod chaos_fault;
mod chaos_make;
mod chaos_plan;
mod check;
mod cluster;
mod config;
mod core;
mod debug_text;
mod diagnosis;
mod domain_socket;
mod election;
mod fault;
mod gate;
mod gzip;
mod http;
mod json_text;
mod keeper;
mod kept;
mod lasting;
mod listeners;
mod lives;
mod machine;
mod master;
mod masters;
mod messages;
mod operator;
mod peer;
mod ports;
mod protobuf;
mod query;
mod registry;
mod schema;
mod server;
mod settings;
mod shapes;
mod shares;
mod snapshot;
mod socket;
mod store;
mod stream;
mod stream_fault;
mod tally;
#[cfg(test)]
mod tests;
mod timeouts;
mod timers;
mod tokens;
mod wire;
mod world;

pub use acls::{AclAction, AclEntity, Acls};
pub use agent::ExecutorLaunch;
pub use builder::LocalClusterBuilder;
pub use chaos::{Chaos, ChaosOptions};
pub use chaos_fault::ChaosFault;
pub use cluster::LocalCluster;
pub use peer::Peer;
pub use settings::{AgentSettings, Domain};
pub use snapshot::{
    ClusterState, LocalAgent, LocalExecutor, LocalFramework, LocalMaster, LocalOffer, LocalTask,
};
