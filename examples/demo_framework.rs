//! The demo of the 2015 article "How to Write Your Own Apache Mesos Framework?": a scheduler that launches tasks with a
//! counter as their data, and an executor that sends it back as a message and finishes the task.
//!
//!     cargo run --example demo_framework                                  # on an embedded cluster
//!     cargo run --example demo_framework -- --master 127.0.0.1:5050       # on a real one

use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use mesos_framework::proto::{
    AgentId, CommandInfo, ExecutorId, ExecutorInfo, Filters, FrameworkId, FrameworkInfo,
    KillPolicy, MasterInfo, Offer, OfferId, Resource, TaskId, TaskInfo, TaskState, TaskStatus,
    value,
};
use mesos_framework::{
    Error, Executor, ExecutorDriver, ExecutorHandle, Receipt, Scheduler, SchedulerDriver,
    SchedulerHandle, Status, async_trait,
};

const CPUS: f64 = 1.0;
const MEM: f64 = 128.0;

struct ExampleScheduler {
    executor: ExecutorInfo,
    tasks: u32,
    launched: u32,
    finished: u32,
    messages: u32,
}

#[async_trait]
impl Scheduler for ExampleScheduler {
    async fn registered(&mut self, _: &SchedulerHandle, id: FrameworkId, _: Option<MasterInfo>) {
        println!("Registered with framework id {id}");
    }

    async fn reregistered(&mut self, _: &SchedulerHandle, _: Option<MasterInfo>) {
        println!("Re-registered");
    }

    async fn disconnected(&mut self, _: &SchedulerHandle) {
        println!("Disconnected");
    }

    async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
        println!("Received {} offers", offers.len());
        for offer in offers {
            let fits = scalar(&offer, "cpus") >= CPUS && scalar(&offer, "mem") >= MEM;
            let call = if fits && self.launched < self.tasks {
                let task = self.next_task(&offer);
                driver
                    .launch_tasks(vec![offer.id], vec![task], Filters::default())
                    .await
            } else {
                driver
                    .decline_offers(vec![offer.id], Filters::default())
                    .await
            };
            report(call);
        }
    }

    async fn offer_rescinded(&mut self, _: &SchedulerHandle, offer_id: OfferId) {
        println!("Offer {offer_id} rescinded");
    }

    async fn status_update(&mut self, driver: &SchedulerHandle, status: TaskStatus) {
        println!(
            "Status update: {} from {}",
            status.state().as_str_name(),
            status.task_id
        );
        match status.state() {
            TaskState::TaskFinished => self.finished += 1,
            TaskState::TaskStaging | TaskState::TaskStarting | TaskState::TaskRunning => {}
            _ => {
                println!(
                    "Task {} ended otherwise: {}",
                    status.task_id,
                    status.message()
                );
                driver.abort();
            }
        }
        if self.finished == self.tasks {
            // Messages are best effort: they get two seconds more.
            let driver = driver.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(2)).await;
                driver.stop();
            });
        }
        self.stop_when_done(driver);
    }

    async fn framework_message(
        &mut self,
        driver: &SchedulerHandle,
        from: ExecutorId,
        _: AgentId,
        data: Bytes,
    ) {
        println!(
            "Received message (scheduler): {} from {from}",
            String::from_utf8_lossy(&data)
        );
        self.messages += 1;
        self.stop_when_done(driver);
    }

    async fn agent_lost(&mut self, _: &SchedulerHandle, agent_id: AgentId) {
        println!("Agent {agent_id} lost");
    }

    async fn executor_lost(
        &mut self,
        _: &SchedulerHandle,
        id: ExecutorId,
        _: AgentId,
        status: Option<i32>,
    ) {
        println!("Executor {id} lost, status {status:?}");
    }

    async fn error(&mut self, _: &SchedulerHandle, error: &Error) {
        println!("Error: {error}");
    }
}

impl ExampleScheduler {
    fn next_task(&mut self, offer: &Offer) -> TaskInfo {
        let task_id = TaskId::from(self.launched.to_string());
        self.launched += 1;
        TaskInfo {
            name: format!("task {task_id}"),
            task_id,
            agent_id: offer.agent_id.clone(),
            resources: vec![resource("cpus", CPUS), resource("mem", MEM)],
            data: Some(self.launched.to_string().into()),
            executor: Some(self.executor.clone()),
            ..TaskInfo::default()
        }
    }

    fn is_done(&self) -> bool {
        self.finished == self.tasks && self.messages >= self.tasks
    }

    fn stop_when_done(&self, driver: &SchedulerHandle) {
        if self.is_done() {
            driver.stop();
        }
    }
}

struct ExampleExecutor;

#[async_trait]
impl Executor for ExampleExecutor {
    async fn launch_task(&mut self, driver: &ExecutorHandle, task: TaskInfo) {
        let counter = String::from_utf8_lossy(task.data());
        let state = match counter.parse::<u32>() {
            Ok(counter) => {
                report(driver.send_framework_message(counter.to_string()).await);
                TaskState::TaskFinished
            }
            Err(_) => TaskState::TaskFailed,
        };
        let status = TaskStatus {
            task_id: task.task_id,
            state: state as i32,
            ..TaskStatus::default()
        };
        report(driver.send_status_update(status).await);
    }

    async fn kill_task(&mut self, _: &ExecutorHandle, _: TaskId, _: Option<KillPolicy>) {}

    async fn shutdown(&mut self, _: &ExecutorHandle) {}
}

/// What became of a queued call is logged by the library; what could not be queued is said here.
fn report(call: mesos_framework::Result<Receipt>) {
    if let Err(error) = call {
        println!("Not sent: {error}");
    }
}

fn scalar(offer: &Offer, name: &str) -> f64 {
    let named = offer
        .resources
        .iter()
        .filter(|resource| resource.name == name);
    named
        .filter_map(|resource| resource.scalar.as_ref())
        .map(|scalar| scalar.value)
        .sum()
}

fn resource(name: &str, value: f64) -> Resource {
    let scalar = Some(value::Scalar { value });
    Resource {
        name: name.into(),
        r#type: value::Type::Scalar as i32,
        scalar,
        ..Resource::default()
    }
}

/// The command is this very program, in its executor role.
fn executor_info() -> Result<ExecutorInfo, Box<dyn std::error::Error>> {
    let program = std::env::current_exe()?.display().to_string();
    let arguments = vec![program.clone(), "executor".into()];
    let command = CommandInfo {
        shell: Some(false),
        value: Some(program),
        arguments,
        ..CommandInfo::default()
    };
    let id = "ExampleExecutor";
    Ok(ExecutorInfo {
        executor_id: id.into(),
        name: Some(id.into()),
        command: Some(command),
        ..ExecutorInfo::default()
    })
}

async fn run_framework(master: &str, tasks: u32) -> Result<bool, Box<dyn std::error::Error>> {
    let scheduler = ExampleScheduler {
        executor: executor_info()?,
        tasks,
        launched: 0,
        finished: 0,
        messages: 0,
    };
    let framework = FrameworkInfo {
        name: "framework-example".into(),
        failover_timeout: Some(120_000.0),
        ..FrameworkInfo::default()
    };
    let mut driver = SchedulerDriver::builder(scheduler, framework, master).build()?;
    driver.start()?;
    let status = driver.join().await?;
    let scheduler: ExampleScheduler = driver.into_scheduler()?;
    println!(
        "{:?}: {} tasks finished, {} messages",
        status, scheduler.finished, scheduler.messages
    );
    Ok(status == Status::Stopped && scheduler.is_done())
}

const USAGE: &str = "\
Usage: demo_framework [--master ADDRESS] [--tasks N]

  --master ADDRESS  host:port of a Mesos master, or `local` (the default): an embedded cluster
  --tasks N         how many tasks to run (5)
  --help            this text";

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let (mut master, mut tasks) = ("local".to_owned(), 5);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "executor" => {
                ExecutorDriver::builder(ExampleExecutor)
                    .build()?
                    .run()
                    .await?;
                return Ok(ExitCode::SUCCESS);
            }
            "--master" => master = arguments.next().ok_or(USAGE)?,
            "--tasks" => tasks = arguments.next().ok_or(USAGE)?.parse()?,
            "--help" => {
                println!("{USAGE}");
                return Ok(ExitCode::SUCCESS);
            }
            unknown => return Err(format!("unknown argument {unknown}\n{USAGE}").into()),
        }
    }
    match run_framework(&master, tasks).await? {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(ExitCode::FAILURE),
    }
}
