//! A framework for a test: with a name and a role of its own, for the cluster may be shared. It keeps no offer that it does
//! not need: above all, none while it waits for one of another agent, or two tests may wait for each other. (Only the one
//! test that is about offers of two agents does.)

use std::time::Duration;

use mesos_framework::proto::{
    Filters, FrameworkId, FrameworkInfo, Offer, Resource, TaskId, TaskInfo, TaskState, TaskStatus,
    framework_info::{Capability, capability},
    task_status::Reason,
    value,
};
use mesos_framework::{Error, SchedulerDriver, SchedulerDriverBuilder, SchedulerHandle, Status};

use crate::cluster::content_type;
use crate::executor_role::executor;
use crate::recorder::{Callback, Recorder, Recording, recorder};

/// Longest wait for what involves processes on a busy machine, and other frameworks.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long nothing may happen where nothing must: many allocations of the tests' clusters.
pub const QUIET: Duration = Duration::from_millis(1500);

/// What a task of a test takes.
const CPUS: f64 = 0.02;
const MEM: f64 = 16.0;

pub fn scalar(name: &str, value: f64) -> Resource {
    Resource {
        name: name.into(),
        r#type: value::Type::Scalar as i32,
        scalar: Some(value::Scalar { value }),
        ..Resource::default()
    }
}

/// How much of `name` there is.
pub fn amount(resources: &[Resource], name: &str) -> f64 {
    let named = resources.iter().filter(|resource| resource.name == name);
    named
        .filter_map(|resource| resource.scalar.as_ref())
        .map(|scalar| scalar.value)
        .sum()
}

pub fn refuse(seconds: f64) -> Filters {
    Filters {
        refuse_seconds: Some(seconds),
    }
}

/// Until revived.
pub fn refuse_for_good() -> Filters {
    refuse(24.0 * 3600.0)
}

/// A framework with a name and a role of its own.
pub fn info(test: &str) -> FrameworkInfo {
    let name = format!("{test}-{}", uuid::Uuid::new_v4().simple());
    let capabilities = [
        capability::Type::MultiRole,
        capability::Type::ReservationRefinement,
        capability::Type::PartitionAware,
    ];
    FrameworkInfo {
        roles: vec![name.clone()],
        name,
        failover_timeout: Some(30.0),
        capabilities: capabilities
            .map(|capability| Capability {
                r#type: Some(capability as i32),
            })
            .into(),
        ..FrameworkInfo::default()
    }
}

/// A task on the resources of `offer`, under an executor that is named like it.
pub fn task(id: &str, data: impl Into<String>, offer: &Offer) -> TaskInfo {
    TaskInfo {
        name: id.into(),
        task_id: id.into(),
        agent_id: offer.agent_id.clone(),
        resources: vec![scalar("cpus", CPUS), scalar("mem", MEM)],
        executor: Some(executor(&format!("executor of {id}"))),
        data: Some(data.into().into()),
        ..TaskInfo::default()
    }
}

/// A framework that has started, and may not be registered yet.
pub struct Starting {
    pub driver: SchedulerDriver,
    pub recording: Recording,
    info: FrameworkInfo,
}

impl Starting {
    pub fn new(
        info: FrameworkInfo,
        builder: impl FnOnce(Recorder, FrameworkInfo) -> SchedulerDriverBuilder,
    ) -> Result<Self, Error> {
        let (scheduler, recording) = recorder();
        let builder = builder(scheduler, info.clone());
        let mut driver = builder.content_type(content_type()).build()?;
        driver.start()?;
        Ok(Self {
            driver,
            recording,
            info,
        })
    }

    /// The id, or the error that the driver ended with.
    pub async fn registered(&mut self) -> Result<FrameworkId, Error> {
        self.recording
            .until("registered", |callback| match callback {
                Callback::Registered(id) => Some(Ok(id)),
                Callback::Error(error) => Some(Err(error)),
                other => panic!("before registered: {other:?}"),
            })
            .await
    }

    pub fn into_framework(self, id: FrameworkId) -> Framework {
        Framework {
            handle: self.driver.handle(),
            driver: self.driver,
            recording: self.recording,
            id,
            info: self.info,
        }
    }
}

/// A subscribed framework.
pub struct Framework {
    pub driver: SchedulerDriver,
    pub handle: SchedulerHandle,
    pub recording: Recording,
    pub id: FrameworkId,
    pub info: FrameworkInfo,
}

impl Framework {
    pub async fn register(address: &str, info: FrameworkInfo) -> Self {
        Self::register_with(address, info, |builder| builder).await
    }

    pub async fn register_with(
        address: &str,
        info: FrameworkInfo,
        settings: impl FnOnce(SchedulerDriverBuilder) -> SchedulerDriverBuilder,
    ) -> Self {
        Self::subscribe(address, info, settings)
            .await
            .unwrap_or_else(|error| panic!("not registered: {error}"))
    }

    /// A framework, or the error that its driver ended with.
    pub async fn subscribe(
        address: &str,
        info: FrameworkInfo,
        settings: impl FnOnce(SchedulerDriverBuilder) -> SchedulerDriverBuilder,
    ) -> Result<Self, Error> {
        let mut starting = Starting::new(info, |scheduler, info| {
            settings(SchedulerDriver::builder(scheduler, info, address))
        })?;
        let id = starting.registered().await?;
        Ok(starting.into_framework(id))
    }

    /// The first callback for which `wanted` answers something. Offers that it does not want are declined for good.
    pub async fn until<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&Callback) -> Option<T>,
    ) -> T {
        let found = async {
            loop {
                let callback = self.recording.until(what, Some).await;
                if let Some(found) = wanted(&callback) {
                    return found;
                }
                match callback {
                    Callback::Offers(offers) => self.decline(&offers, refuse_for_good()).await,
                    Callback::Error(error) => panic!("{what} never came: {error}"),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, found)
            .await
            .unwrap_or_else(|_| panic!("waited too long for {what}"))
    }

    /// True if for `quiet` nothing comes for which `unwanted` holds. Offers are declined for good.
    pub async fn is_without(
        &mut self,
        quiet: Duration,
        mut unwanted: impl FnMut(&Callback) -> bool,
    ) -> bool {
        let seen = self.until("what must not come", |callback| {
            unwanted(callback).then_some(())
        });
        tokio::time::timeout(quiet, seen).await.is_err()
    }

    /// Without a subscription there is nothing to decline: its offers went with it.
    pub async fn decline(&self, offers: &[Offer], filters: Filters) {
        let offer_ids = offers.iter().map(|offer| offer.id.clone()).collect();
        if let Err(error) = self.handle.decline_offers(offer_ids, filters).await {
            assert!(error.is_disconnected(), "{error}");
        }
    }

    /// An offer of those that come next for which `wanted` holds; the others are declined for good.
    pub async fn next_offer(&mut self, mut wanted: impl FnMut(&Offer) -> bool) -> Offer {
        let mut offers = self
            .until("an offer", |callback| match callback {
                Callback::Offers(offers) if offers.iter().any(&mut wanted) => Some(offers.clone()),
                _ => None,
            })
            .await;
        let position = offers.iter().position(wanted).unwrap();
        let offer = offers.swap_remove(position);
        if !offers.is_empty() {
            self.decline(&offers, refuse_for_good()).await;
        }
        offer
    }

    /// An offer with room for the tasks of a test, whatever was declined before.
    pub async fn offer(&mut self) -> Offer {
        self.handle.revive_offers(Vec::new()).await.unwrap();
        self.next_offer(is_roomy).await
    }

    pub async fn launch(&self, offer: Offer, tasks: Vec<TaskInfo>) {
        self.handle
            .launch_tasks(vec![offer.id], tasks, refuse_for_good())
            .await
            .unwrap();
    }

    /// Runs a task until it says that it is running.
    pub async fn run(&mut self, id: &str, data: &str) -> TaskInfo {
        let offer = self.offer().await;
        let task = task(id, data, &offer);
        task.validate_on(std::slice::from_ref(&offer)).unwrap();
        self.launch(offer, vec![task.clone()]).await;
        self.comes_to(&task.task_id, TaskState::TaskRunning).await;
        task
    }

    /// The next status of a task.
    pub async fn status(&mut self, task_id: &TaskId) -> TaskStatus {
        self.until(
            &format!("a status of {task_id}"),
            |callback| match callback {
                Callback::Status(status) if status.task_id == *task_id => Some(status.clone()),
                _ => None,
            },
        )
        .await
    }

    /// The update with which a task comes to `state`; other ones before it must not be terminal.
    pub async fn comes_to(&mut self, task_id: &TaskId, state: TaskState) -> TaskStatus {
        loop {
            let status = self.status(task_id).await;
            if status.state() == state && status.reason() != Reason::Reconciliation {
                return status;
            }
            assert!(
                is_live(status.state()),
                "{task_id} did not come to {state:?}: {status:?}"
            );
        }
    }

    /// What the master answers on a task when asked.
    pub async fn reconciled(&mut self, task_id: &TaskId) -> TaskStatus {
        let asked = vec![(task_id.clone(), None)];
        self.handle.reconcile_tasks(asked).await.unwrap();
        self.until(&format!("the answer on {task_id}"), |callback| {
            reconciliation(callback).filter(|status| status.task_id == *task_id)
        })
        .await
    }

    /// Tears the framework down.
    pub async fn teardown(mut self) {
        self.handle.stop();
        let ended = tokio::time::timeout(PATIENCE, self.driver.join()).await;
        let ended = ended.expect("the driver ends").unwrap();
        assert_eq!(ended, Status::Stopped);
    }
}

/// The status, if it is the answer to a question.
pub fn reconciliation(callback: &Callback) -> Option<TaskStatus> {
    match callback {
        Callback::Status(status) if status.reason() == Reason::Reconciliation => {
            Some(status.clone())
        }
        _ => None,
    }
}

pub fn is_live(state: TaskState) -> bool {
    use TaskState::{TaskKilling, TaskRunning, TaskStaging, TaskStarting};
    matches!(
        state,
        TaskStaging | TaskStarting | TaskRunning | TaskKilling
    )
}

/// Whether a test's tasks fit in.
pub fn is_roomy(offer: &Offer) -> bool {
    amount(&offer.resources, "cpus") >= 0.3 && amount(&offer.resources, "mem") >= 192.0
}
