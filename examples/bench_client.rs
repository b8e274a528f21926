//! A scheduler that others can measure: how much it costs to launch tasks, and to read a stream.
//!
//!     bench_client tasks HOST:PORT N PER_ACCEPT EXECUTOR_COMMAND     # N no-op tasks on a real cluster
//!     bench_client firehose HOST:PORT                                # counts events until the message `bench-done`
//!
//! `BENCH_CODEC=json` chooses JSON. `BENCH_CALLBACK_MS` (default 0) is how long each callback of a status takes. Build it
//! in release mode; `benches/peers/` runs it beside its peers.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mesos_framework::proto::{
    AgentId, CommandInfo, ExecutorId, ExecutorInfo, Filters, FrameworkInfo, Offer, Resource,
    TaskInfo, TaskState, TaskStatus, value,
};
use mesos_framework::{
    ContentType, Outcome, Receipt, Scheduler, SchedulerDriver, SchedulerHandle, async_trait,
};

type Failed = Box<dyn std::error::Error>;

const USAGE: &str = "\
Usage: bench_client tasks HOST:PORT N PER_ACCEPT EXECUTOR_COMMAND
       bench_client firehose HOST:PORT";

/// What one task takes.
const CPUS: f64 = 0.01;
const MEM: f64 = 1.0;
/// What the executor takes.
const EXECUTOR_CPUS: f64 = 0.1;
const EXECUTOR_MEM: f64 = 64.0;

fn refuse(seconds: f64) -> Filters {
    Filters {
        refuse_seconds: Some(seconds),
    }
}

fn scalar(name: &str, value: f64) -> Resource {
    Resource {
        name: name.into(),
        r#type: value::Type::Scalar as i32,
        scalar: Some(value::Scalar { value }),
        ..Resource::default()
    }
}

fn amount(resources: &[Resource], name: &str) -> f64 {
    let named = resources.iter().filter(|resource| resource.name == name);
    let scalars = named.filter_map(|resource| resource.scalar.as_ref());
    scalars.map(|scalar| scalar.value).sum()
}

/// How long a callback of a status takes.
async fn work(callback: Duration) {
    if !callback.is_zero() {
        tokio::time::sleep(callback).await;
    }
}

fn is_terminal(state: TaskState) -> bool {
    !matches!(
        state,
        TaskState::TaskStaging
            | TaskState::TaskStarting
            | TaskState::TaskRunning
            | TaskState::TaskKilling
            | TaskState::TaskUnreachable
            | TaskState::TaskUnknown
    )
}

/// Launches as many tasks as are left, wherever they fit.
struct Tasks {
    executor: ExecutorInfo,
    callback: Duration,
    tasks: usize,
    per_accept: usize,
    launched: usize,
    ended: usize,
    failed: usize,
    updates: usize,
    begun: Option<Instant>,
    /// From the first offers to the answer to the acknowledgement of the last terminal update.
    took: Duration,
}

impl Tasks {
    fn fitting(&self, offer: &Offer) -> usize {
        let cpus = (amount(&offer.resources, "cpus") - EXECUTOR_CPUS) / CPUS;
        let mem = amount(&offer.resources, "mem") - EXECUTOR_MEM;
        // A float of 0.3 / 0.1 must not lose one.
        let fits = (cpus + 1e-6).min(mem / MEM).max(0.0) as usize;
        fits.min(self.per_accept).min(self.tasks - self.launched)
    }

    fn next_task(&mut self, offer: &Offer) -> TaskInfo {
        let id = format!("task-{:07}", self.launched);
        self.launched += 1;
        TaskInfo {
            name: id.clone(),
            task_id: id.into(),
            agent_id: offer.agent_id.clone(),
            resources: vec![scalar("cpus", CPUS), scalar("mem", MEM)],
            executor: Some(self.executor.clone()),
            ..TaskInfo::default()
        }
    }

    /// Stops once everything has ended, and the last acknowledgement was answered.
    async fn finish(&mut self, driver: &SchedulerHandle, acknowledgement: Option<Receipt>) {
        if let Some(receipt) = acknowledgement {
            let outcome = receipt.outcome().await;
            if !matches!(outcome, Outcome::Accepted) {
                eprintln!("the last acknowledgement: {outcome:?}");
                self.failed += 1;
            }
        }
        self.took = self.begun.map(|begun| begun.elapsed()).unwrap_or_default();
        driver.stop();
    }
}

#[async_trait]
impl Scheduler for Tasks {
    async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
        self.begun.get_or_insert_with(Instant::now);
        for offer in offers {
            let all_are_launched = self.launched == self.tasks;
            let tasks: Vec<_> = (0..self.fitting(&offer))
                .map(|_| self.next_task(&offer))
                .collect();
            let sent = match all_are_launched {
                true => driver.decline_offers(vec![offer.id], refuse(3600.0)).await,
                false => {
                    driver
                        .launch_tasks(vec![offer.id], tasks, refuse(0.0))
                        .await
                }
            };
            if let Err(error) = sent {
                eprintln!("not sent: {error}");
            }
        }
    }

    async fn status_update(&mut self, driver: &SchedulerHandle, status: TaskStatus) {
        self.updates += 1;
        work(self.callback).await;
        if is_terminal(status.state()) {
            self.ended += 1;
            self.failed += usize::from(status.state() != TaskState::TaskFinished);
        }
        match driver.acknowledge_status_update(&status).await {
            Ok(receipt) if self.ended == self.tasks => self.finish(driver, receipt).await,
            // What is not accepted is logged.
            Ok(receipt) => drop(receipt),
            Err(error) => eprintln!("not acknowledged: {error}"),
        }
    }
}

/// Counts what comes.
#[derive(Default)]
struct Firehose {
    callback: Duration,
    offers: u64,
    cpus: f64,
    updates: u64,
    is_done: bool,
}

#[async_trait]
impl Scheduler for Firehose {
    async fn resource_offers(&mut self, _: &SchedulerHandle, offers: Vec<Offer>) {
        for offer in &offers {
            self.offers += 1;
            self.cpus += amount(&offer.resources, "cpus");
        }
    }

    async fn status_update(&mut self, _: &SchedulerHandle, _: TaskStatus) {
        self.updates += 1;
        work(self.callback).await;
    }

    async fn framework_message(
        &mut self,
        driver: &SchedulerHandle,
        _: ExecutorId,
        _: AgentId,
        data: Bytes,
    ) {
        if data == "bench-done" {
            self.is_done = true;
            driver.stop_for_failover();
        }
    }
}

fn framework() -> FrameworkInfo {
    FrameworkInfo {
        user: "root".into(),
        failover_timeout: Some(0.0),
        ..FrameworkInfo::new("bench", ["*"])
    }
}

fn content_type() -> Result<ContentType, Failed> {
    match std::env::var("BENCH_CODEC").as_deref() {
        Err(_) | Ok("protobuf") => Ok(ContentType::Protobuf),
        #[cfg(feature = "json")]
        Ok("json") => Ok(ContentType::Json),
        Ok(other) => Err(format!("BENCH_CODEC is {other}, and neither protobuf nor json").into()),
    }
}

fn callback() -> Result<Duration, Failed> {
    match std::env::var("BENCH_CALLBACK_MS") {
        Ok(text) => Ok(Duration::from_millis(text.parse()?)),
        Err(_) => Ok(Duration::ZERO),
    }
}

async fn run_tasks(arguments: &[String]) -> Result<ExitCode, Failed> {
    let [master, tasks, per_accept, command] = arguments else {
        return Err(USAGE.into());
    };
    let executor = ExecutorInfo {
        executor_id: "bench".into(),
        command: Some(CommandInfo {
            value: Some(command.clone()),
            ..CommandInfo::default()
        }),
        resources: vec![scalar("cpus", EXECUTOR_CPUS), scalar("mem", EXECUTOR_MEM)],
        ..ExecutorInfo::default()
    };
    let scheduler = Tasks {
        executor,
        callback: callback()?,
        tasks: tasks.parse()?,
        per_accept: per_accept.parse()?,
        launched: 0,
        ended: 0,
        failed: 0,
        updates: 0,
        begun: None,
        took: Duration::ZERO,
    };
    // The last acknowledgement is to be waited for.
    let mut driver = SchedulerDriver::builder(scheduler, framework(), master)
        .content_type(content_type()?)
        .explicit_acknowledgements()
        .build()?;
    driver.start()?;
    driver.join().await?;
    let done: Tasks = driver.into_scheduler()?;
    println!(
        r#"{{"tasks":{},"failed":{},"updates":{},"wall_s":{:.3}}}"#,
        done.ended,
        done.failed,
        done.updates,
        done.took.as_secs_f64()
    );
    Ok(ExitCode::from(u8::from(done.failed > 0)))
}

async fn run_firehose(arguments: &[String]) -> Result<ExitCode, Failed> {
    let [master] = arguments else {
        return Err(USAGE.into());
    };
    let scheduler = Firehose {
        callback: callback()?,
        ..Firehose::default()
    };
    let mut driver = SchedulerDriver::builder(scheduler, framework(), master)
        .content_type(content_type()?)
        .build()?;
    driver.start()?;
    driver.join().await?;
    let seen: Firehose = driver.into_scheduler()?;
    println!(
        r#"{{"offers":{},"updates":{},"cpus":{}}}"#,
        seen.offers, seen.updates, seen.cpus
    );
    Ok(ExitCode::from(u8::from(!seen.is_done)))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((mode, rest)) if mode == "tasks" => run_tasks(rest).await,
        Some((mode, rest)) if mode == "firehose" => run_firehose(rest).await,
        _ => Err(USAGE.into()),
    }
}
