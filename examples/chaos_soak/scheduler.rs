//! The scheduler: launches tasks on what it is offered, and asks after those of which it hears nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesos_framework::proto::framework_info::{Capability, capability};
use mesos_framework::proto::{
    ExecutorInfo, Filters, FrameworkInfo, Offer, Resource, TaskId, TaskInfo, TaskStatus, value,
};
use mesos_framework::{Error, Outcome, Scheduler, SchedulerHandle, async_trait};

use crate::ledger::Ledger;
use crate::settings::Settings;

/// Tasks of one launch, and those without an end at a time.
const BATCH: usize = 10;
const AT_ONCE: usize = 100;

/// What a task takes.
const CPUS: f64 = 0.01;
const MEM: f64 = 8.0;

/// The ledger, which callbacks, reconciler and proxy share.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<Mutex<Ledger>>);

impl Shared {
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct Soaked {
    pub shared: Shared,
    pub executor: ExecutorInfo,
    pub tasks: usize,
    pub launched: usize,
    /// In front of the tasks' numbers.
    pub prefix: String,
    pub settings: Settings,
}

/// Every other two of seeds know of partitions, so that the ends which a master makes up differ.
pub fn framework(seed: u64) -> FrameworkInfo {
    let capabilities = [
        capability::Type::MultiRole,
        capability::Type::PartitionAware,
    ];
    let capabilities = match seed / 2 % 2 {
        0 => &capabilities[..],
        _ => &capabilities[..1],
    };
    let capable = |own: &capability::Type| Capability {
        r#type: Some(*own as i32),
    };
    FrameworkInfo {
        name: format!("soak of seed {seed}"),
        roles: vec!["soak".to_owned()],
        checkpoint: Some(true),
        failover_timeout: Some(600.0),
        capabilities: capabilities.iter().map(capable).collect(),
        ..FrameworkInfo::default()
    }
}

pub fn scalar(name: &str, value: f64) -> Resource {
    Resource {
        name: name.to_owned(),
        r#type: value::Type::Scalar as i32,
        scalar: Some(value::Scalar { value }),
        ..Resource::default()
    }
}

/// How many tasks the offer has room for, beside a new executor.
fn room(offer: &Offer) -> usize {
    let amount = |name: &str| {
        let own = offer.resources.iter().find(|own| own.name == name);
        own.and_then(|own| own.scalar).map_or(0.0, |own| own.value)
    };
    let fits = |tasks: &usize| {
        let tasks = u32::try_from(*tasks).map_or(f64::MAX, f64::from);
        amount("cpus") >= 0.1 + CPUS * tasks && amount("mem") >= 32.0 + MEM * tasks
    };
    (1..=BATCH).take_while(fits).count()
}

impl Soaked {
    fn task(&mut self, offer: &Offer) -> TaskInfo {
        self.launched += 1;
        let task_id = TaskId::from(format!("{}-{}", self.prefix, self.launched));
        self.shared.ledger().launched(&task_id, &offer.agent_id);
        TaskInfo {
            name: task_id.value.clone(),
            task_id,
            agent_id: offer.agent_id.clone(),
            resources: vec![scalar("cpus", CPUS), scalar("mem", MEM)],
            executor: Some(self.executor.clone()),
            ..TaskInfo::default()
        }
    }

    /// Long enough for an early acknowledgement to be seen on its way; now and then too long for the driver.
    fn pause(&self) -> Duration {
        if fastrand::u32(..self.settings.slow_one_of) == 0 {
            return self.settings.slow();
        }
        Duration::from_millis(match fastrand::u8(..) {
            0 => 50,
            _ => fastrand::u64(0..2),
        })
    }

    async fn use_offer(&mut self, driver: &SchedulerHandle, offer: Offer) {
        let open = self.shared.ledger().open();
        let count = room(&offer)
            .min(self.tasks - self.launched)
            .min(AT_ONCE.saturating_sub(open));
        let filters = Filters {
            refuse_seconds: Some(0.1),
        };
        if count == 0 {
            // Disconnected: then the offer is gone anyway.
            let _ = driver.decline_offers(vec![offer.id], filters).await;
            return;
        }
        let tasks: Vec<TaskInfo> = (0..count).map(|_| self.task(&offer)).collect();
        let ids: Vec<TaskId> = tasks.iter().map(|task| task.task_id.clone()).collect();
        let launch = driver.launch_tasks(vec![offer.id], tasks, filters).await;
        let shared = self.shared.clone();
        match launch {
            Err(_) => never_began(&shared, &ids, "the driver did not take it"),
            Ok(receipt) => drop(tokio::spawn(async move {
                // What was not sent comes back as an update; what is unknown is asked for.
                if let Outcome::Refused { .. } = receipt.outcome().await {
                    never_began(&shared, &ids, "the master refused it");
                }
            })),
        }
    }
}

fn never_began(shared: &Shared, ids: &[TaskId], why: &'static str) {
    let mut ledger = shared.ledger();
    for id in ids {
        ledger.never_began(id, why);
    }
}

#[async_trait]
impl Scheduler for Soaked {
    async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
        for offer in offers {
            self.use_offer(driver, offer).await;
        }
    }

    async fn status_update(&mut self, _: &SchedulerHandle, status: TaskStatus) {
        self.shared.ledger().begin(&status);
        tokio::time::sleep(self.pause()).await;
        self.shared.ledger().end(&status);
    }

    async fn error(&mut self, _: &SchedulerHandle, error: &Error) {
        let what = format!("the driver gave up: {error}");
        self.shared.ledger().wrong(what);
    }
}
