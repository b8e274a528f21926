//! A service that leaves an agent before its maintenance: it moves, and tells the operator that it has gone.
//!
//!     cargo run --example maintenance                                    # on an embedded cluster of two machines
//!     cargo run --example maintenance -- 10.0.0.5:5050                   # on a real one, of two machines at least
//!
//! The example is its own operator, too: it plans the maintenance of whatever machine the service runs on, waits until the
//! service agrees, and takes the plan back. Nothing is really maintained.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use mesos_framework::local::{AgentSettings, LocalCluster};
use mesos_framework::proto::{
    AgentId, CommandInfo, FrameworkInfo, InverseOffer, Offer, TaskInfo, TaskState, TaskStatus,
};
use mesos_framework::resources::Request;
use mesos_framework::toolkit::matching::{Matcher, Needs, PendingTask};
use mesos_framework::toolkit::{Maintenance, MaintenanceAnswer, TaskTracker, Toolbox};
use mesos_framework::{
    ConnectionState, Scheduler, SchedulerDriver, SchedulerHandle, Stop, async_trait,
};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_rustls::rustls::crypto::ring;

type Failed = Box<dyn std::error::Error>;

const ROLE: &str = "*";

struct Service {
    tools: Toolbox,
    maintenance: Maintenance,
    /// Agents that are to be left.
    leaving: BTreeSet<AgentId>,
    /// How the operator names the machines of agents.
    machines: BTreeMap<AgentId, Value>,
    /// The machine that the service runs on.
    runs_on: watch::Sender<Option<Value>>,
}

impl Service {
    /// Has one task run where no maintenance is planned.
    async fn launch(&self, driver: &SchedulerHandle) {
        let number = self.tools.tracker.counts().total();
        let is_served = self.tools.tracker.inspect(|tasks| {
            let mut lasting = tasks.iter().filter(|task| !self.is_leaving(&task.agent_id));
            lasting.any(|task| task.state.is_live())
        });
        let command = CommandInfo::in_shell("sleep 3600");
        let task = TaskInfo::new(format!("service-{number}"), "", []).command(command);
        let needs = Needs::new(Request::new().cpus(0.1).mem(32.0)).lasting();
        let tasks = [PendingTask::new(task, needs)];
        let tasks = if is_served { &[] } else { &tasks[..] };
        match self
            .tools
            .place(driver, ROLE, &Matcher::first_fit(), tasks)
            .await
        {
            Ok(placements) => {
                for (task_id, why) in placements.refused {
                    println!("service: no place for {task_id}: {why}");
                }
            }
            Err(error) => drop(driver.abort_with(error)),
        }
    }

    fn is_leaving(&self, agent_id: &Option<AgentId>) -> bool {
        agent_id
            .as_ref()
            .is_some_and(|own| self.leaving.contains(own))
    }

    /// Kills the tasks that have been replaced.
    fn leave(&self) {
        let old = self.tools.tracker.unsettled().into_iter();
        for (task_id, agent_id) in old.filter(|(_, agent_id)| self.is_leaving(agent_id)) {
            let killer = self.tools.killer.clone();
            tokio::spawn(async move { killer.kill(task_id, agent_id).await });
        }
    }
}

#[async_trait]
impl Scheduler for Service {
    async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
        for offer in offers {
            let address = offer.url.map(|url| url.address).unwrap_or_default();
            let machine = json!({ "hostname": offer.hostname, "ip": address.ip });
            self.machines.insert(offer.agent_id, machine);
        }
        self.launch(driver).await;
    }

    async fn inverse_offers(&mut self, driver: &SchedulerHandle, asked: Vec<InverseOffer>) {
        for agent_id in asked.into_iter().filter_map(|own| own.agent_id) {
            println!("service: asked to leave {agent_id}");
            self.leaving.insert(agent_id);
        }
        // The new task comes first, so that the service goes on.
        self.launch(driver).await;
    }

    async fn status_update(&mut self, driver: &SchedulerHandle, status: TaskStatus) {
        println!(
            "service: {} {}",
            status.task_id,
            status.state().as_str_name()
        );
        if status.state() == TaskState::TaskRunning && !self.is_leaving(&status.agent_id) {
            let agent_id = status.agent_id.unwrap_or_default();
            self.runs_on
                .send_replace(self.machines.get(&agent_id).cloned());
            self.leave();
        }
        self.launch(driver).await;
        // Whether the service has gone is looked at again.
        self.maintenance.review();
    }
}

/// What the framework answers: it has gone, or not yet.
fn policy(tracker: &TaskTracker, asked: &InverseOffer) -> MaintenanceAnswer {
    let Some(agent_id) = &asked.agent_id else {
        return MaintenanceAnswer::Decline;
    };
    let is_there = tracker.inspect(|tasks| tasks.on_agent(agent_id).any(|task| !task.is_ended()));
    match is_there {
        true => MaintenanceAnswer::Wait,
        false => MaintenanceAnswer::Accept,
    }
}

/// Calls the operator API of the leading master.
async fn call(driver: &SchedulerHandle, kind: &str, fields: Value) -> Result<Value, Failed> {
    let ConnectionState::Subscribed { address, .. } = driver.connection().state else {
        return Err("no master leads".into());
    };
    let mut body = json!({ "type": kind });
    body[kind.to_lowercase()] = fields;
    let request = reqwest::Client::new().post(format!("http://{address}/api/v1"));
    let request = request.header("Content-Type", "application/json");
    let request = request.header("Accept", "application/json");
    let answer = request.body(body.to_string()).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    match status.is_success() {
        true if text.is_empty() => Ok(Value::Null),
        true => Ok(serde_json::from_str(&text)?),
        false => Err(format!("{kind}: {status} {text}").into()),
    }
}

/// Plans maintenance of the machine that the service runs on, until the service has agreed to it.
async fn operate(
    driver: &SchedulerHandle,
    mut runs_on: watch::Receiver<Option<Value>>,
) -> Result<(), Failed> {
    let machine = runs_on.wait_for(Option::is_some).await?.clone();
    let machine = machine.unwrap_or_default();
    let before = call(driver, "GET_MAINTENANCE_SCHEDULE", Value::Null).await?;
    let before = before["get_maintenance_schedule"]["schedule"].clone();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let start = now + Duration::from_secs(3600);
    let window = json!({
        "machine_ids": [machine],
        "unavailability": {
            "start": { "nanoseconds": u64::try_from(start.as_nanos())? },
            "duration": { "nanoseconds": 3_600_000_000_000_u64 },
        },
    });
    let mut schedule = before.clone();
    match schedule["windows"].as_array_mut() {
        Some(windows) => windows.push(window),
        None => schedule = json!({ "windows": [window] }),
    }
    println!("operator: in an hour, {machine} will be maintained");
    let schedule = json!({ "schedule": schedule });
    call(driver, "UPDATE_MAINTENANCE_SCHEDULE", schedule).await?;
    let agreed = until_agreed(driver, &machine).await;
    call(
        driver,
        "UPDATE_MAINTENANCE_SCHEDULE",
        json!({ "schedule": before }),
    )
    .await?;
    println!("operator: the plan is taken back");
    agreed
}

async fn until_agreed(driver: &SchedulerHandle, machine: &Value) -> Result<(), Failed> {
    loop {
        let status = call(driver, "GET_MAINTENANCE_STATUS", Value::Null).await?;
        let draining = &status["get_maintenance_status"]["status"]["draining_machines"];
        let draining = draining.as_array().into_iter().flatten();
        let mut answers = draining
            .filter(|own| own["id"] == *machine)
            .flat_map(|own| own["statuses"].as_array().into_iter().flatten())
            .map(|own| own["status"].as_str().unwrap_or_default());
        if answers.any(|answer| answer == "ACCEPT") {
            println!("operator: the service has gone from {machine}");
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    // The operator's HTTP client wants one, also for http. There is none yet that this would be in the way of.
    let _ = ring::default_provider().install_default();
    let master = std::env::args().nth(1);
    let master = master.unwrap_or_else(|| "local".to_owned());
    let tools = Toolbox::new(TaskTracker::new());
    tools.demand.wants(ROLE);
    let tracker = tools.tracker.clone();
    let maintenance = Maintenance::deciding(move |asked| policy(&tracker, asked));
    let (sender, runs_on) = watch::channel(None);
    let scheduler = tools.observe(Service {
        tools: tools.clone(),
        maintenance: maintenance.clone(),
        leaving: BTreeSet::new(),
        machines: BTreeMap::new(),
        runs_on: sender,
    });
    let framework = FrameworkInfo::new("service", [ROLE]).failover(Duration::from_secs(60));
    let machine = |name| AgentSettings::new().hostname(name);
    let cluster = LocalCluster::builder()
        .agent(machine("one"))
        .agent(machine("two"));
    let driver = SchedulerDriver::builder(scheduler.observer(maintenance), framework, &master)
        // Which only counts for `local`.
        .local_cluster(cluster)
        .build()?;
    let handle = driver.handle();
    let mut result = Ok(());
    let operator = async {
        result = operate(&handle, runs_on).await;
        Stop::Teardown
    };
    driver.run_until(operator).await?;
    result
}
