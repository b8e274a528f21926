//! Runs the shell commands of a file, each as a task, and tries again what fails. The toolkit's tools do most of it.
//!
//!     cargo run --example batch -- commands.txt                                        # on an embedded cluster
//!     cargo run --example batch -- commands.txt --master 10.0.0.5:5050 --cpus 0.5      # on a real one
//!
//! What is done is kept in a folder. Killed and started again, it goes on where it was: no command is lost, runs twice at
//! once, or runs again after it has succeeded.

use std::io::{IsTerminal as _, Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use mesos_framework::proto::framework_info::capability;
use mesos_framework::proto::{CommandInfo, FrameworkInfo, TaskInfo, TaskState};
use mesos_framework::proto::{Offer, TaskId, TaskStatus};
use mesos_framework::resources::Request;
use mesos_framework::toolkit::matching::{Matcher, Needs, PendingTask};
use mesos_framework::toolkit::{FileTaskStore, TaskTracker, Toolbox, TrackedTask};
use mesos_framework::{FileFrameworkIdStore, FrameworkRemoval, Stop, async_trait};
use mesos_framework::{Scheduler, SchedulerDriver, SchedulerHandle};

type Failed = Box<dyn std::error::Error>;

const ROLE: &str = "*";

/// How long tasks may go on without this program.
const FAILOVER: Duration = Duration::from_secs(7 * 24 * 3600);

/// For how many commands room is looked for at once.
const AT_A_TIME: usize = 1_000;

const USAGE: &str = "\
Usage: batch FILE [OPTION VALUE]...

  FILE               a shell command per line; empty lines and those that begin with # are left out
  --master ADDRESS   host:port of a Mesos master, or `local` (the default): an embedded cluster
  --cpus NUMBER      of each command (0.1)
  --mem MEGABYTES    of each command (32)
  --retries COUNT    how often a command that fails is tried again (2)
  --state FOLDER     what is kept (FILE.state); to begin anew, remove it

Exit status: 0 if every command succeeded, 1 if not, 2 if it cannot go on, 130 after Ctrl-C, which kills what runs.";

/// How it stands with a command; of its attempts, the greatest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    #[default]
    Waiting,
    Failed,
    /// A task of it may run.
    Busy,
    Succeeded,
}

#[derive(Clone, Copy, Default)]
struct Progress {
    standing: Standing,
    attempts: usize,
    failures: usize,
}

#[derive(Clone)]
struct Batch {
    commands: Arc<[String]>,
    needs: Needs,
    retries: usize,
    tools: Toolbox,
}

impl Batch {
    /// How far each command is. Only the tracker knows; what it knows is stored, for the next process.
    fn progress(&self) -> Vec<Progress> {
        let mut all = vec![Progress::default(); self.commands.len()];
        self.tools.tracker.inspect(|tasks| {
            for task in tasks.iter() {
                let Some(own) = all.get_mut(command_of(&task.task_id)) else {
                    continue;
                };
                own.attempts += 1;
                let states = [TaskState::TaskFailed, TaskState::TaskError];
                own.failures += usize::from(states.contains(&task.state));
                own.standing = own.standing.max(match task.state {
                    TaskState::TaskFinished => Standing::Succeeded,
                    TaskState::TaskUnreachable => Standing::Busy,
                    state if state.is_live() => Standing::Busy,
                    _ if own.failures > self.retries => Standing::Failed,
                    // Failed, but not too often; or through no fault of its own: killed by Ctrl-C, gone with its agent.
                    _ => Standing::Waiting,
                });
            }
        });
        all
    }

    /// Launches what waits, wherever there is room for it.
    async fn launch(&self, driver: &SchedulerHandle, all: &[Progress]) {
        let waiting = (0..all.len()).filter(|at| all[*at].standing == Standing::Waiting);
        let tasks = waiting.take(AT_A_TIME).map(|at| {
            let text = &self.commands[at];
            let task = TaskInfo::new(task_id(at, all[at].attempts), "", []).name(text);
            PendingTask::new(
                task.command(CommandInfo::in_shell(text)),
                self.needs.clone(),
            )
        });
        let (tasks, matcher) = (tasks.collect::<Vec<_>>(), Matcher::first_fit());
        if let Err(error) = self.tools.place(driver, ROLE, &matcher, &tasks).await {
            driver.abort_with(error);
        }
    }

    /// Done at Ctrl-C, once what runs is killed; a second one leaves it running for the next start.
    async fn interrupted(&self) -> Stop {
        if tokio::signal::ctrl_c().await.is_err() {
            return std::future::pending().await;
        }
        println!("\nkilling what runs; Ctrl-C again leaves it running, for the next start");
        tokio::select! {
            ends = self.tools.kill_all() => ends.map_or(Stop::ForFailover, |_| Stop::Teardown),
            _ = tokio::signal::ctrl_c() => Stop::ForFailover,
        }
    }

    /// The table at the end, and the exit status.
    fn summarize(&self) -> u8 {
        println!("\nline  end        attempts  command");
        let all = self.progress();
        for (at, (own, command)) in all.iter().zip(&*self.commands).enumerate() {
            let (end, attempts) = (format!("{:?}", own.standing), own.attempts);
            println!("{:>4}  {end:<10} {attempts:>8}  {command}", at + 1);
        }
        match is_done(&all) {
            true => u8::from(count(&all, Standing::Failed) > 0),
            false => 130,
        }
    }
}

#[async_trait]
impl Scheduler for Batch {
    async fn resource_offers(&mut self, driver: &SchedulerHandle, _: Vec<Offer>) {
        // The ledger has them.
        self.launch(driver, &self.progress()).await;
    }

    async fn status_update(&mut self, driver: &SchedulerHandle, status: TaskStatus) {
        // The tracker has stored it.
        let all = self.progress();
        let command = command_of(&status.task_id);
        let attempts = all.get(command).map_or(0, |own| own.attempts);
        if status.state().is_live() && status.task_id != task_id(command, attempts.max(1) - 1) {
            // The master had forgotten it, and another attempt has taken its place.
            let killer = self.tools.killer.clone();
            tokio::spawn(async move { killer.kill(status.task_id, status.agent_id).await });
        }
        self.launch(driver, &all).await;
        show(&all);
        if is_done(&all) {
            driver.stop();
        }
    }
}

/// Attempts at a command are counted, so that each is a task of its own.
fn task_id(command: usize, attempt: usize) -> TaskId {
    format!("{command:05}-{attempt}").into()
}

/// Other tasks than those of [`task_id`] are nowhere.
fn command_of(task_id: &TaskId) -> usize {
    let command = task_id.value.split('-').next();
    command.and_then(|at| at.parse().ok()).unwrap_or(usize::MAX)
}

fn count(all: &[Progress], standing: Standing) -> usize {
    all.iter().filter(|own| own.standing == standing).count()
}

fn is_done(all: &[Progress]) -> bool {
    count(all, Standing::Succeeded) + count(all, Standing::Failed) == all.len()
}

fn show(all: &[Progress]) {
    let states = [Standing::Succeeded, Standing::Failed, Standing::Busy];
    let ([done, failed, busy], total) = (states.map(|own| count(all, own)), all.len());
    let bar = "=".repeat(30 * (done + failed) / total);
    let line = format!("[{bar:30}] {done} of {total} succeeded, {failed} failed, {busy} running");
    match stdout().is_terminal() {
        true => print!("\r{line} "),
        false => println!("{line}"),
    }
    // A terminal that is gone is no reason to stop.
    let _ = stdout().flush();
}

/// Takes an option and its value out of the arguments.
fn option<T: FromStr>(given: &mut Vec<String>, name: &str, default: T) -> Result<T, Failed> {
    let Some(at) = given.iter().position(|own| own == name) else {
        return Ok(default);
    };
    let value = given.drain(at..given.len().min(at + 2)).nth(1);
    let value = value.ok_or(USAGE)?.parse();
    value.map_err(|_| format!("{name} cannot be that\n{USAGE}").into())
}

/// The program; its exit status.
pub(crate) async fn run(mut given: Vec<String>) -> Result<u8, Failed> {
    let file = given.first().ok_or(USAGE)?.clone();
    let master = option(&mut given, "--master", "local".to_owned())?;
    let cpus = option(&mut given, "--cpus", 0.1)?;
    let mem = option(&mut given, "--mem", 32.0)?;
    let retries = option(&mut given, "--retries", 2)?;
    let state: PathBuf = option(&mut given, "--state", format!("{file}.state").into())?;
    if given != [file.as_str()] || file.starts_with("--") {
        return Err(USAGE.into());
    }
    let text = std::fs::read_to_string(&file);
    let text = text.map_err(|error| format!("{file} cannot be read: {error}"))?;
    let lines = text.lines().map(str::trim);
    let commands = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let commands: Arc<[String]> = commands.map(str::to_owned).collect();

    std::fs::create_dir_all(&state)?;
    let store = FileTaskStore::new(state.join("tasks"));
    let tracker = TaskTracker::builder().store(store);
    let tracker = tracker.retained_tasks(usize::MAX).open().await?;
    let is_of = |task: &TrackedTask| commands.get(command_of(&task.task_id)) == Some(&task.name);
    if !tracker.inspect(|tasks| tasks.iter().all(is_of)) {
        return Err(format!("{file} has changed since {} was written", state.display()).into());
    }
    let batch = Batch {
        commands,
        needs: Needs::new(Request::new().cpus(cpus).mem(mem)),
        retries,
        tools: Toolbox::new(tracker),
    };
    if !is_done(&batch.progress()) {
        let framework = FrameworkInfo::new("batch", [ROLE])
            .failover(FAILOVER)
            .checkpointing()
            .capability(capability::Type::PartitionAware);
        batch.tools.demand.wants(ROLE);
        let scheduler = batch.tools.observe(batch.clone());
        SchedulerDriver::builder(scheduler, framework, &master)
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
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    log.with_writer(std::io::stderr).init();
    let ended = run(std::env::args().skip(1).collect()).await;
    ExitCode::from(ended.unwrap_or_else(|error| {
        eprintln!("{error}");
        2
    }))
}
