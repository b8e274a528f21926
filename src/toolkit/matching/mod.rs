//! Which tasks to launch on which offers, and why not.
//!
//! A [`Matcher`] looks at tasks that wait and at offers, and answers what to accept: for each agent the offers, the tasks
//! with their concrete resources and ports, and what is left. It does nothing else: no I/O, no clock, no memory. The same
//! tasks and offers always end in the same way.
//!
//! - What a task needs is in its [`Needs`]: a [`Request`](crate::resources::Request) for resources; [`Operator`]s on
//!   attributes, hostname, region and zone; [`Rule`]s about where other tasks are.
//! - A [`Strategy`] says which of the offers that suit it gets: the first, the fullest, or one among the fewest of its
//!   group.
//! - What is in the way of a task that has no place is in its [`Refusals`]: `short of mem by 96 on 3 offers; attribute rack
//!   on 2`. [`Unplaced`] keeps the latest of each task: the answer to "why is nothing launching?".
//!
//! # Examples
//! Three servers, no two of them on one host, and a job where there is an SSD:
//! ```
//! use mesos_framework::proto::{Offer, TaskInfo};
//! use mesos_framework::resources::{Request, Resources};
//! use mesos_framework::toolkit::matching::{
//!     Field, Matcher, Needs, Operator, PendingTask, Resident, Rule, Unplaced,
//! };
//!
//! # fn offer(id: &str, resources: &str) -> Offer {
//! #     Offer {
//! #         id: id.into(),
//! #         agent_id: format!("agent of {id}").into(),
//! #         hostname: format!("host of {id}"),
//! #         resources: Resources::parse(resources).unwrap().to_protos(),
//! #         ..Default::default()
//! #     }
//! # }
//! # fn task(id: &str) -> TaskInfo {
//! #     TaskInfo { name: id.to_owned(), task_id: id.into(), ..Default::default() }
//! # }
//! // What `resource_offers` was called with.
//! let offers = [
//!     offer("small", "cpus:1;mem:512;ports:[31000-31009]"),
//!     offer("large", "cpus:8;mem:4096;ports:[31000-31009]"),
//! ];
//! let server = Needs::new(Request::new().cpus(0.5).mem(128.0).ports(1))
//!     .group("server")
//!     .rule(Rule::unique(Field::Hostname));
//! let job = Needs::new(Request::new().cpus(2.0).mem(1024.0))
//!     .attribute("disk", Operator::equals("ssd"));
//! let tasks = [
//!     PendingTask::new(task("server-1"), server.clone()),
//!     PendingTask::new(task("server-2"), server.clone()),
//!     PendingTask::new(task("server-3"), server),
//!     PendingTask::new(task("job"), job),
//! ];
//!
//! let running: Vec<Resident> = Vec::new();
//! let placements = Matcher::best_fit().residents(running.clone()).place(&tasks, &offers);
//! for launch in &placements.launches {
//!     // driver.accept_offers(launch.offer_ids.clone(), vec![launch.operation()], filters).await?;
//!     assert_eq!(launch.tasks.len(), 1);
//!     let own = Resources::from_protos(&launch.tasks[0].resources)?;
//!     assert_eq!(own.ports(), [31_000..=31_000]);
//! }
//! // driver.decline_offers(placements.unused.clone(), filters).await?;
//! assert!(placements.unused.is_empty());
//! // Where they are, for the rules of the next call.
//! let running: Vec<Resident> = running.into_iter().chain(placements.residents()).collect();
//! assert_eq!(running.len(), 2);
//!
//! let unplaced = Unplaced::new();
//! unplaced.record(&placements);
//! assert_eq!(
//!     unplaced.to_string(),
//!     "server-3: at most 1 per hostname on 2 offers\njob: attribute disk on 2 offers"
//! );
//! # Ok::<(), mesos_framework::Error>(())
//! ```
//!
//! Source: `docs/app-framework-development-guide.md` of Apache Mesos 1.11.0, which leaves this to frameworks.

mod bin;
mod constraint;
mod matcher;
mod needs;
mod place;
mod placements;
mod refusals;
mod rule;
mod unplaced;
mod value;

pub use constraint::{Constraint, Operator};
pub use matcher::{Matcher, Strategy};
pub use needs::{Needs, PendingTask};
pub use place::{Field, Place, Resident};
pub use placements::{Launch, Placements};
pub use refusals::{Reason, Refusal, Refusals};
pub use rule::Rule;
pub use unplaced::Unplaced;
pub use value::Value;

#[cfg(test)]
mod tests;
