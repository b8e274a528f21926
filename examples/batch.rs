//! Runs the shell commands of a file, each as a task, and tries again what fails. The toolkit's tools do most of it.
//!
//!     cargo run --example batch -- commands.txt                                        # on an embedded cluster
//!     cargo run --example batch -- commands.txt --master 10.0.0.5:5050 --cpus 0.5      # on a real one
//!
//! What is done is kept in a folder. Killed and started again, it goes on where it was: no command is lost, runs twice at
//! once, or runs again after it has succeeded.

use std::error::Error;
use std::io::{IsTerminal as _, Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use mesos_framework::proto::framework_info::capability;
use mesos_framework::proto::{CommandInfo, FrameworkInfo, Offer, TaskInfo, TaskStatus};
use mesos_framework::resources::Request;
use mesos_framework::toolkit::matching::{Matcher, Needs, PendingTask};
use mesos_framework::toolkit::{FileTaskStore, JobState, Jobs, TaskTracker, Toolbox};
use mesos_framework::{FileFrameworkIdStore, FrameworkRemoval, Stop, async_trait};
use mesos_framework::{Scheduler, SchedulerDriver, SchedulerHandle};
use tokio::signal::ctrl_c;
use tracing_subscriber::EnvFilter;

const ROLE: &str = "*";

/// Runs the shell commands of a file on a Mesos cluster.
///
/// Exit status: 0 if every command succeeded, 1 if not, 2 if it cannot go on, 130 after Ctrl-C, which kills what runs.
#[derive(Parser)]
pub(crate) struct Arguments {
    /// A shell command per line; empty lines and those that begin with # are left out
    file: PathBuf,
    /// Host:port of a Mesos master, or `local`: an embedded cluster
    #[arg(long, default_value = "local")]
    master: String,
    /// CPUs of each command
    #[arg(long, default_value_t = 0.1)]
    cpus: f64,
    /// Memory of each command, in megabytes
    #[arg(long, default_value_t = 32.0)]
    mem: f64,
    /// How often a command that fails is tried again
    #[arg(long, default_value_t = 2)]
    retries: usize,
    /// Folder of what is kept, FILE.state if none is given; to begin anew, remove it
    #[arg(long)]
    state: Option<PathBuf>,
}

/// Each command, under its number.
fn tasks(of: &Arguments) -> Result<Vec<PendingTask>, Box<dyn Error>> {
    let text = std::fs::read_to_string(&of.file)
        .map_err(|error| format!("{} cannot be read: {error}", of.file.display()))?;
    let needs = Needs::new(Request::new().cpus(of.cpus).mem(of.mem));
    let lines = text.lines().map(str::trim);
    let commands = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let tasks = (1..).zip(commands).map(|(number, command)| {
        let task = TaskInfo::new(number.to_string(), "", []).name(command);
        PendingTask::new(task.command(CommandInfo::in_shell(command)), needs.clone())
    });
    Ok(tasks.collect())
}

#[derive(Clone)]
struct Batch {
    jobs: Jobs,
    tools: Toolbox,
}

impl Batch {
    /// Launches what waits, wherever there is room for it.
    async fn launch(&self, driver: &SchedulerHandle) {
        let (tools, matcher) = (&self.tools, Matcher::first_fit());
        if let Err(error) = tools.place_jobs(driver, ROLE, &matcher, &self.jobs).await {
            driver.abort_with(error);
        }
    }

    /// Done at Ctrl-C, once what runs is killed; a second one leaves it running for the next start.
    async fn interrupted(&self) -> Stop {
        ctrl_c().await.expect("signals can be waited for");
        println!("\nkilling what runs; Ctrl-C again leaves it running, for the next start");
        tokio::select! {
            ends = self.tools.kill_all() => ends.map_or(Stop::ForFailover, |_| Stop::Teardown),
            _ = ctrl_c() => Stop::ForFailover,
        }
    }

    /// The table at the end, and the exit status.
    fn summarize(&self) -> u8 {
        println!("\nline  end        attempts  command");
        for job in self.jobs.progress() {
            let (state, attempts, task) = (job.state, job.attempts, &job.task.info);
            let (line, command) = (&task.task_id.value, &task.name);
            println!("{line:>4}  {state:<10} {attempts:>8}  {command}");
        }
        let counts = self.jobs.counts();
        match counts.is_done() {
            true => u8::from(counts.of(JobState::Failed) > 0),
            false => 130,
        }
    }
}

#[async_trait]
impl Scheduler for Batch {
    async fn resource_offers(&mut self, driver: &SchedulerHandle, _: Vec<Offer>) {
        // The ledger has them.
        self.launch(driver).await;
    }

    async fn status_update(&mut self, driver: &SchedulerHandle, _: TaskStatus) {
        // The tracker has stored it.
        self.launch(driver).await;
        let counts = self.jobs.counts();
        let bar = "=".repeat(30 * counts.ended() / counts.total());
        let end = if stdout().is_terminal() { '\r' } else { '\n' };
        // A terminal that is gone is no reason to stop.
        let _ = write!(stdout(), "[{bar:30}] {counts} {end}").and_then(|()| stdout().flush());
        if counts.is_done() {
            driver.stop();
        }
    }
}

/// The program; its exit status.
pub(crate) async fn run(arguments: Arguments) -> Result<u8, Box<dyn Error>> {
    let tasks = tasks(&arguments)?;
    let beside = arguments.file.with_added_extension("state");
    let state = arguments.state.unwrap_or(beside);
    std::fs::create_dir_all(&state)?;
    let tracker = TaskTracker::builder().store(FileTaskStore::new(state.join("tasks")));
    let tracker = tracker.retained_tasks(usize::MAX).open().await?;
    let jobs = Jobs::new(&tracker, tasks)?.retries(arguments.retries);
    jobs.check()?;
    let tools = Toolbox::new(tracker);
    tools.demand.wants(ROLE);
    let batch = Batch { jobs, tools };
    if !batch.jobs.counts().is_done() {
        let framework = FrameworkInfo::new("batch", [ROLE])
            // What runs may go on for a week without this program.
            .failover(Duration::from_secs(7 * 24 * 3600))
            .checkpointing()
            .capability(capability::Type::PartitionAware);
        let scheduler = batch.tools.observe(batch.clone());
        SchedulerDriver::builder(scheduler, framework, &arguments.master)
            .framework_id_store(FileFrameworkIdStore::new(state.join("framework-id")))
            .framework_removal(FrameworkRemoval::RegisterAnew)
            .build()?
            .run_until(batch.interrupted())
            .await?;
    }
    Ok(batch.summarize())
}

#[tokio::main]
async fn main() -> ExitCode {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr);
    log.with_env_filter(EnvFilter::from_default_env()).init();
    let ended = run(Arguments::parse()).await;
    let ended = ended.inspect_err(|error| eprintln!("{error}"));
    ended.unwrap_or(2).into()
}
