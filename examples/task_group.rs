//! A task group: two tasks that are launched together, on one agent, all or none, and see each other's files.
//!
//!     cargo run --example task_group                                    # on an embedded cluster
//!     cargo run --example task_group -- 10.0.0.5:5050                   # on a real one

use std::time::Duration;

use mesos_framework::proto::offer::Operation;
use mesos_framework::proto::{
    CommandInfo, ExecutorInfo, Filters, FrameworkInfo, Offer, Resource, TaskGroupInfo, TaskInfo,
    TaskState, TaskStatus,
};
use mesos_framework::resources::Resources;
use mesos_framework::{Scheduler, SchedulerDriver, SchedulerHandle, async_trait};

/// The tasks' sandboxes lie below that of their executor, which one may write to and the other read from.
const WRITES: &str = "echo hello from the first > ../../shared";
const READS: &str = "until [ -s ../../shared ]; do sleep 0.1; done; cat ../../shared";

struct Group {
    is_launched: bool,
    finished: usize,
}

impl Group {
    fn group(driver: &SchedulerHandle, offer: &Offer) -> Option<Operation> {
        let of_executor = [("cpus", 0.1), ("mem", 32.0), ("disk", 16.0)];
        let of_executor = of_executor.map(|(name, value)| Resource::scalar(name, value));
        // Groups are run by Mesos's own executor, which is to be told whose it is.
        let executor = ExecutorInfo::of_mesos("pair", driver.framework_id()?, of_executor);
        let task = |id: &str, command: &str| {
            let resources = vec![Resource::scalar("cpus", 0.1), Resource::scalar("mem", 32.0)];
            TaskInfo::new(id, offer.agent_id.clone(), resources)
                .command(CommandInfo::in_shell(command))
        };
        let group = TaskGroupInfo::new([task("writer", WRITES), task("reader", READS)]);
        Some(Operation::launch_group(executor, group))
    }
}

#[async_trait]
impl Scheduler for Group {
    async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
        for offer in offers {
            let offered = Resources::from_unchecked(&offer.resources);
            let is_enough = offered.scalar("cpus") >= 0.3 && offered.scalar("mem") >= 96.0;
            let group = (is_enough && !self.is_launched).then(|| Self::group(driver, &offer));
            let operations: Vec<_> = group.flatten().into_iter().collect();
            self.is_launched |= !operations.is_empty();
            // Without operations, this declines.
            let sent = driver.accept_offers(vec![offer.id], operations, Filters::default());
            sent.await
                .map_or_else(|error| println!("not sent: {error}"), drop);
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
        if self.finished == 2 {
            driver.stop();
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let master = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "local".to_owned());
    let scheduler = Group {
        is_launched: false,
        finished: 0,
    };
    let framework = FrameworkInfo::new("task-group", ["*"]).failover(Duration::from_secs(60));
    let mut driver = SchedulerDriver::builder(scheduler, framework, &master).build()?;
    driver.start()?;
    driver.join().await?;
    let scheduler: Group = driver.into_scheduler()?;
    match scheduler.finished {
        2 => Ok(()),
        finished => Err(format!("{finished} of 2 tasks finished").into()),
    }
}
