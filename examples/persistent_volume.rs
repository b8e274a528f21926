//! A persistent volume: reserved, created, written to by one task, read by the next one, destroyed and given back.
//!
//!     cargo run --example persistent_volume                             # on an embedded cluster
//!     cargo run --example persistent_volume -- 10.0.0.5:5050            # on a real one

use std::time::Duration;

use mesos_framework::proto::offer::Operation;
use mesos_framework::proto::{
    CommandInfo, Filters, FrameworkInfo, Offer, Resource, TaskInfo, TaskState, TaskStatus,
};
use mesos_framework::resources::Resources;
use mesos_framework::{Scheduler, SchedulerDriver, SchedulerHandle, async_trait};

const ROLE: &str = "database";

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Create,
    Read,
    Destroy,
    Done,
}

struct Database {
    step: Step,
    /// A task is on its way.
    is_busy: bool,
}

fn disk() -> Resource {
    Resource::scalar("disk", 64.0).reserved(ROLE, None)
}

fn volume() -> Resource {
    disk().persistent("rows-0", "rows", None)
}

impl Database {
    /// What is done with an offer, if it is of use.
    fn operations(&self, offer: &Offer) -> Option<Vec<Operation>> {
        let offered = Resources::from_unchecked(&offer.resources).unallocated();
        let room = Resources::parse("cpus:0.1;mem:32").ok()?;
        let held = Resources::from_protos(&[volume()]).ok()?;
        let task = |id: &str, command: &str| {
            let resources = (room.clone() + held.clone()).to_protos();
            TaskInfo::new(id, offer.agent_id.clone(), resources)
                .command(CommandInfo::in_shell(command))
        };
        let has_room = offered.contains(&room);
        match self.step {
            // Operations of one call are carried out in their order, each on what the one before has left.
            Step::Create if has_room && offered.scalar("disk") >= 64.0 => Some(vec![
                Operation::reserve([disk()]),
                Operation::create([volume()]),
                Operation::launch([task("writer", "echo 42 > rows/answer")]),
            ]),
            Step::Read if has_room && offered.contains(&held) => {
                Some(vec![Operation::launch([task(
                    "reader",
                    "grep 42 rows/answer",
                )])])
            }
            Step::Destroy if offered.contains(&held) => Some(vec![
                Operation::destroy([volume()]),
                Operation::unreserve([disk()]),
            ]),
            _ => None,
        }
    }
}

#[async_trait]
impl Scheduler for Database {
    async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
        for offer in offers {
            let operations = match self.is_busy {
                true => None,
                false => self.operations(&offer),
            };
            let operations = operations.unwrap_or_default();
            if !operations.is_empty() {
                println!("{:?} on {}", self.step, offer.hostname);
                self.is_busy = true;
            }
            let filters = Filters::refuse(Duration::from_millis(500));
            match driver
                .accept_offers(vec![offer.id], operations, filters)
                .await
            {
                Ok(receipt) if self.step == Step::Destroy && self.is_busy => {
                    println!("given back: {:?}", receipt.outcome().await);
                    self.step = Step::Done;
                    driver.stop();
                }
                Ok(_) => {}
                Err(error) => println!("not sent: {error}"),
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
        match (status.state(), self.step) {
            (TaskState::TaskFinished, Step::Create) => self.step = Step::Read,
            (TaskState::TaskFinished, _) => self.step = Step::Destroy,
            (TaskState::TaskStaging | TaskState::TaskStarting | TaskState::TaskRunning, _) => {
                return;
            }
            _ => drop(driver.abort()),
        }
        self.is_busy = false;
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let master = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "local".to_owned());
    let scheduler = Database {
        step: Step::Create,
        is_busy: false,
    };
    let framework = FrameworkInfo::new("database", [ROLE]).failover(Duration::from_secs(60));
    let mut driver = SchedulerDriver::builder(scheduler, framework, &master).build()?;
    driver.start()?;
    driver.join().await?;
    let scheduler: Database = driver.into_scheduler()?;
    match scheduler.step {
        Step::Done => Ok(()),
        step => Err(format!("ended at {step:?}").into()),
    }
}
