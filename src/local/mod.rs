//! A whole Mesos cluster in this process: one master and its agents, for trying out, for tests and for demonstrations.
//!
//! Any v1 HTTP client can talk to it: master and agents listen on loopback TCP and speak the real wire. What is covered
//! behaves as Apache Mesos 1.11.0 does, down to status codes and texts:
//!
//! - the scheduler API of the master: subscriptions, failover, offers, filters, `LAUNCH`, `LAUNCH_GROUP`, status updates
//!   and their acknowledgement, reconciliation, kills, messages, teardown;
//! - the executor API of the agents: executors are child processes in sandboxes, with Mesos's environment variables;
//! - tasks that are only a command: their executor, which an agent adds as Mesos does, is hosted in this process, and the
//!   command is a child process in a process group of its own, with the sandbox as its working directory and the files
//!   `stdout` and `stderr` in it;
//! - the operator API as far as it reads state, and `TEARDOWN`; `/state`, `/slaves`, `/tasks`, `/metrics/snapshot` and
//!   `/redirect` of the master. Whoever runs a framework against it can look at it with the tools of a real cluster.
//!   Agents keep no history, and nobody is asked for a credential.
//!
//! Not covered in this version: the default executor, checks and health checks of command tasks (they are not carried
//! out), URIs, containers, switching users, operations on reservations and volumes (they are refused), quota,
//! maintenance, the operator API's other calls (501).
//!
//! For tests, [`LocalCluster::state`] shows what the cluster knows, [`LocalCluster::until`] waits for it to know something,
//! and a family of methods breaks things: connections, heartbeats, answers, executors, the master.
//!
//! # Examples
//! ```
//! use mesos_framework::local::LocalCluster;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let cluster = LocalCluster::builder().agents(2).start().await?;
//! assert!(cluster.master_address().starts_with("127.0.0.1:"));
//! assert_eq!(cluster.agent_addresses().len(), 2);
//! cluster.shutdown().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod agent;
mod builder;
mod cluster;
mod config;
mod core;
mod fault;
mod http;
mod master;
mod messages;
mod operator;
mod server;
mod snapshot;
mod stream;
#[cfg(test)]
mod tests;
mod timers;
mod wire;
mod world;

pub use builder::LocalClusterBuilder;
pub use cluster::LocalCluster;
pub use snapshot::{
    ClusterState, LocalAgent, LocalExecutor, LocalFramework, LocalOffer, LocalTask,
};
