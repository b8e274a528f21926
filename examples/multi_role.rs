//! A framework with two roles: what is offered to one is used for that one.
//!
//!     cargo run --example multi_role                                    # on an embedded cluster
//!     cargo run --example multi_role -- 10.0.0.5:5050                   # on a real one

use std::collections::BTreeSet;
use std::time::Duration;

use mesos_framework::proto::{
    CommandInfo, Filters, FrameworkInfo, Offer, TaskInfo, TaskState, TaskStatus,
};
use mesos_framework::resources::Resources;
use mesos_framework::{Scheduler, SchedulerDriver, SchedulerHandle, async_trait};

/// Operators give each its share of the cluster: by quota, by weight, by reservations.
const ROLES: [&str; 2] = ["service", "batch"];

struct MultiRole {
    /// What one task takes.
    wanted: Resources,
    /// Roles without a task yet.
    idle: BTreeSet<&'static str>,
    finished: usize,
}

#[async_trait]
impl Scheduler for MultiRole {
    async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
        for offer in offers {
            // Each offer is for one role, and its resources say so.
            let role = offer.allocation_info.as_ref().map_or("*", |own| own.role());
            let offered = Resources::from_unchecked(&offer.resources).unallocated();
            let idle = self.idle.iter().find(|own| **own == role).copied();
            let sent = match idle.filter(|_| offered.contains(&self.wanted)) {
                Some(role) => {
                    println!("{role}: a task on {} of {offered}", offer.hostname);
                    self.idle.remove(role);
                    let task = TaskInfo::new(role, offer.agent_id, self.wanted.to_protos())
                        .command(CommandInfo::in_shell(format!("echo working for {role}")));
                    driver
                        .launch_tasks(vec![offer.id], vec![task], Filters::default())
                        .await
                }
                None => {
                    driver
                        .decline_offers(vec![offer.id], Filters::default())
                        .await
                }
            };
            if let Err(error) = sent {
                println!("not sent: {error}");
            }
            if idle.is_some() {
                // This role has what it needs; the other may still wait.
                let suppressed = driver.suppress_offers(vec![role.to_owned()]).await;
                suppressed.map_or_else(|error| println!("not sent: {error}"), drop);
            }
        }
    }

    async fn status_update(&mut self, driver: &SchedulerHandle, status: TaskStatus) {
        println!(
            "{}: {:?} {}",
            status.task_id,
            status.state(),
            status.message()
        );
        match status.state() {
            TaskState::TaskFinished => self.finished += 1,
            TaskState::TaskStaging | TaskState::TaskStarting | TaskState::TaskRunning => {}
            _ => drop(driver.abort()),
        }
        if self.finished == ROLES.len() {
            driver.stop();
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let master = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "local".to_owned());
    let scheduler = MultiRole {
        wanted: Resources::parse("cpus:0.1;mem:32")?,
        idle: ROLES.into(),
        finished: 0,
    };
    let framework = FrameworkInfo::new("multi-role", ROLES).failover(Duration::from_secs(60));
    let mut driver = SchedulerDriver::builder(scheduler, framework, &master).build()?;
    driver.start()?;
    driver.join().await?;
    let scheduler: MultiRole = driver.into_scheduler()?;
    match scheduler.finished == ROLES.len() {
        true => Ok(()),
        false => Err("a task did not finish".into()),
    }
}
