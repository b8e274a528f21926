//! Runs the shell commands of a file, a task each, and tries again what fails: tracker, reconciler, ledger, demand and
//! killer of the toolkit at work together.
//!
//!     cargo run --example batch -- commands.txt                                        # on an embedded cluster
//!     cargo run --example batch -- commands.txt --master 10.0.0.5:5050 --cpus 0.5      # on a real one
//!
//! What is done is kept in a folder. Killed and started again, it goes on where it was: no command is lost, runs twice at
//! once, or runs again after it has succeeded.

use std::collections::{BTreeMap, HashSet};
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesos_framework::proto::framework_info::capability;
use mesos_framework::proto::{
    AgentId, CommandInfo, FrameworkInfo, Offer, OfferId, TaskId, TaskInfo, TaskState, TaskStatus,
};
use mesos_framework::resources::Resources;
use mesos_framework::toolkit::{
    Demand, FileTaskStore, KillEnd, Observed, OfferLedger, Reconciler, TaskKiller, TaskTracker,
    Tasks, TrackedTask,
};
use mesos_framework::{
    FileFrameworkIdStore, FrameworkRemoval, Scheduler, SchedulerDriver, SchedulerHandle,
    async_trait,
};

type Failed = Box<dyn std::error::Error>;

const ROLE: &str = "*";

/// How long the tasks may go on without this program.
const FAILOVER: Duration = Duration::from_secs(7 * 24 * 3600);

const USAGE: &str = "\
Usage: batch FILE [OPTION VALUE]...

  FILE               a shell command per line; empty lines and those that begin with # are left out
  --master ADDRESS   host:port of a Mesos master, or `local` (the default): an embedded cluster
  --cpus NUMBER      of each command (0.1)
  --mem MEGABYTES    of each command (32)
  --retries COUNT    how often a command that fails is tried again (2)
  --timeout SECONDS  how long a command may run; longer is a failure (no limit)
  --state FOLDER     what is kept (FILE.state); to begin anew, remove it

Exit status: 0 if every command succeeded, 1 if not, 130 after Ctrl-C, which kills what runs.";

struct Options {
    file: PathBuf,
    master: String,
    resources: Resources,
    retries: usize,
    timeout: Option<Duration>,
    state: PathBuf,
}

impl Options {
    fn parse(mut given: impl Iterator<Item = String>) -> Result<Self, Failed> {
        let file = PathBuf::from(
            given
                .next()
                .filter(|file| !file.starts_with("--"))
                .ok_or(USAGE)?,
        );
        let mut values = BTreeMap::new();
        while let Some(name) = given.next() {
            values.insert(name, given.next().ok_or(USAGE)?);
        }
        let mut value =
            |name: &str, default: &str| values.remove(name).unwrap_or_else(|| default.to_owned());
        let (cpus, mem) = (value("--cpus", "0.1"), value("--mem", "32"));
        let timeout = value("--timeout", "");
        let options = Self {
            master: value("--master", "local"),
            resources: Resources::parse(&format!("cpus:{cpus};mem:{mem}"))?,
            retries: value("--retries", "2").parse()?,
            timeout: match timeout.as_str() {
                "" => None,
                seconds => Some(Duration::try_from_secs_f64(seconds.parse()?)?),
            },
            state: value("--state", &format!("{}.state", file.display())).into(),
            file,
        };
        match values.is_empty() {
            true => Ok(options),
            false => Err(USAGE.into()),
        }
    }
}

/// How it stands with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// To be launched, under this attempt's number.
    Waiting(usize),
    /// A task of it may run.
    Busy,
    Succeeded,
    Failed,
}

/// What scheduler, killer and summary look at. All that counts is in the tracker, and so survives a restart.
struct Work {
    commands: Vec<String>,
    retries: usize,
    tracker: TaskTracker,
    /// Tasks of which nobody knew, and of which the killer has learned that they are not there.
    gone: Mutex<HashSet<TaskId>>,
}

impl Work {
    fn gone(&self) -> MutexGuard<'_, HashSet<TaskId>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The command of a task, and the number of its attempt.
    fn command_of(task_id: &TaskId) -> Option<(usize, usize)> {
        let (command, attempt) = task_id.value.split_once('-')?;
        Some((command.parse().ok()?, attempt.parse().ok()?))
    }

    fn standings(&self) -> Vec<Standing> {
        let gone = self.gone();
        self.tracker.inspect(|tasks| {
            let mut attempts: BTreeMap<usize, Vec<(usize, &TrackedTask)>> = BTreeMap::new();
            for task in tasks.iter() {
                if let Some((command, attempt)) = Self::command_of(&task.task_id) {
                    attempts.entry(command).or_default().push((attempt, task));
                }
            }
            let of = |command| {
                self.standing(attempts.get(&command).map_or(&[][..], Vec::as_slice), &gone)
            };
            (0..self.commands.len()).map(of).collect()
        })
    }

    fn standing(&self, attempts: &[(usize, &TrackedTask)], gone: &HashSet<TaskId>) -> Standing {
        let (mut next, mut failures) = (0, 0);
        for (attempt, task) in attempts {
            next = next.max(attempt + 1);
            match task.state {
                TaskState::TaskFinished => return Standing::Succeeded,
                TaskState::TaskFailed | TaskState::TaskError | TaskState::TaskKilled => {
                    failures += 1
                }
                // Not the command's fault: it may never have begun.
                TaskState::TaskDropped | TaskState::TaskGone | TaskState::TaskGoneByOperator => {}
                _ if gone.contains(&task.task_id) => {}
                _ => return Standing::Busy,
            }
        }
        match failures > self.retries {
            true => Standing::Failed,
            false => Standing::Waiting(next),
        }
    }

    /// Commands to be launched, and the number of each one's attempt.
    fn waiting(&self) -> impl Iterator<Item = (usize, usize)> {
        let standings = self.standings().into_iter().enumerate();
        standings.filter_map(|(command, standing)| match standing {
            Standing::Waiting(attempt) => Some((command, attempt)),
            _ => None,
        })
    }

    fn is_done(&self) -> bool {
        let is_done = |own: &Standing| matches!(own, Standing::Succeeded | Standing::Failed);
        self.standings().iter().all(is_done)
    }

    fn show_progress(&self) {
        let standings = self.standings();
        let count =
            |wanted: fn(&Standing) -> bool| standings.iter().filter(|own| wanted(own)).count();
        let succeeded = count(|own| *own == Standing::Succeeded);
        let failed = count(|own| *own == Standing::Failed);
        let busy = count(|own| *own == Standing::Busy);
        let width = 30 * (succeeded + failed) / standings.len().max(1);
        let line = format!(
            "[{}{}] {succeeded} of {} succeeded, {failed} failed, {busy} running",
            "=".repeat(width),
            " ".repeat(30 - width),
            standings.len()
        );
        let mut out = std::io::stdout();
        let _ = match out.is_terminal() {
            true => write!(out, "\r{line} "),
            false => writeln!(out, "{line}"),
        };
        let _ = out.flush();
    }

    fn show_summary(&self) {
        println!(
            "\n{:>5}  {:<10} {:>8} {:>9}  command",
            "line", "end", "attempts", "seconds"
        );
        let tasks: Tasks = self.tracker.snapshot();
        for (at, (command, standing)) in self.commands.iter().zip(self.standings()).enumerate() {
            let own = tasks
                .iter()
                .filter(|task| Self::command_of(&task.task_id).is_some_and(|(own, _)| own == at));
            let (attempts, seconds) = own.fold((0, 0.0), |(attempts, seconds), task| {
                (attempts + 1, seconds + took(task))
            });
            let end = match standing {
                Standing::Succeeded => "succeeded",
                Standing::Failed => "failed",
                Standing::Waiting(_) | Standing::Busy => "unfinished",
            };
            println!(
                "{:>5}  {end:<10} {attempts:>8} {seconds:>9.1}  {command}",
                at + 1
            );
        }
    }
}

fn took(task: &TrackedTask) -> f64 {
    let began = task.launched_at.unwrap_or(task.changed_at);
    task.changed_at
        .duration_since(began)
        .unwrap_or_default()
        .as_secs_f64()
}

struct Batch {
    work: Arc<Work>,
    resources: Resources,
    timeout: Option<Duration>,
    ledger: OfferLedger,
    demand: Demand,
    killer: TaskKiller,
}

impl Batch {
    /// Launches whatever waits, wherever there is room.
    async fn launch(&self, driver: &SchedulerHandle) {
        let waiting: Vec<_> = self.work.waiting().collect();
        let mut waiting = waiting.into_iter().peekable();
        for agent in self.ledger.offers() {
            let (mut room, mut tasks) = (agent.resources.unallocated(), Vec::new());
            while waiting.peek().is_some() && room.contains(&self.resources) {
                room -= &self.resources;
                tasks.extend(waiting.next().map(|next| self.task(next, &agent.agent_id)));
            }
            if let Err(error) = self.launch_on(driver, agent.offer_ids(), tasks).await {
                // They wait still, and other offers will come.
                eprintln!("\nnot launched: {error}");
            }
        }
        match self.work.waiting().next() {
            Some(_) => self.demand.wants(ROLE),
            None => self.demand.has_enough(ROLE),
        }
    }

    async fn launch_on(
        &self,
        driver: &SchedulerHandle,
        offer_ids: Vec<OfferId>,
        tasks: Vec<TaskInfo>,
    ) -> mesos_framework::Result<()> {
        if tasks.is_empty() {
            return self.demand.decline(driver, offer_ids).await.map(drop);
        }
        // Out of the ledger; the tracker stores the tasks before it sends the call.
        self.ledger.take(&offer_ids)?;
        let (tracker, filters) = (&self.work.tracker, self.demand.refusal());
        let launched = tracker.launch(driver, offer_ids, tasks, filters).await;
        launched.map(drop)
    }

    fn task(&self, (command, attempt): (usize, usize), agent_id: &AgentId) -> TaskInfo {
        let text = &self.work.commands[command];
        let id = format!("{command:05}-{attempt}");
        let task = TaskInfo::new(id, agent_id.clone(), self.resources.to_protos())
            .name(text.chars().take(60).collect::<String>())
            .command(CommandInfo::in_shell(text));
        match self.timeout {
            Some(timeout) => task.max_completion_time(timeout),
            None => task,
        }
    }

    /// Nobody knows whether the task runs: it is killed before there is another attempt.
    fn make_sure(&self, status: &TaskStatus) {
        let (killer, work) = (self.killer.clone(), Arc::clone(&self.work));
        let (task_id, agent_id) = (status.task_id.clone(), status.agent_id.clone());
        tokio::spawn(async move {
            if let Ok(KillEnd::Gone(_)) = killer.kill(task_id.clone(), agent_id).await {
                work.gone().insert(task_id);
            }
        });
    }
}

#[async_trait]
impl Scheduler for Batch {
    async fn resource_offers(&mut self, driver: &SchedulerHandle, _: Vec<Offer>) {
        self.launch(driver).await;
    }

    async fn status_update(&mut self, driver: &SchedulerHandle, status: TaskStatus) {
        if let TaskState::TaskLost | TaskState::TaskUnknown = status.state() {
            self.make_sure(&status);
        }
        self.launch(driver).await;
        self.work.show_progress();
        if self.work.is_done() {
            driver.stop();
        }
    }
}

/// Kills what runs, once the user has had enough.
async fn interrupted(tracker: TaskTracker, killer: TaskKiller, driver: SchedulerHandle) {
    if tokio::signal::ctrl_c().await.is_err() {
        return std::future::pending().await;
    }
    println!(
        "\nkilling what runs; Ctrl-C again leaves it running, for the next start to go on with"
    );
    let kills = tracker.unsettled().into_iter().map(|(task_id, agent_id)| {
        let killer = killer.clone();
        tokio::spawn(async move { killer.kill(task_id, agent_id).await })
    });
    let kills: Vec<_> = kills.collect();
    let killed = async {
        for kill in kills {
            let _ = kill.await;
        }
    };
    tokio::select! {
        () = killed => driver.stop(),
        _ = tokio::signal::ctrl_c() => driver.stop_for_failover(),
    };
}

async fn run(options: Options) -> Result<ExitCode, Failed> {
    let text = std::fs::read_to_string(&options.file)
        .map_err(|error| format!("{} cannot be read: {error}", options.file.display()))?;
    let lines = text.lines().map(str::trim);
    let commands: Vec<_> = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    std::fs::create_dir_all(&options.state)?;
    let tracker = TaskTracker::builder()
        .store(FileTaskStore::new(options.state.join("tasks")))
        .retained_tasks(usize::MAX)
        .open()
        .await?;
    let work = Arc::new(Work {
        commands,
        retries: options.retries,
        tracker: tracker.clone(),
        gone: Mutex::default(),
    });
    if !work.is_done() {
        schedule(&options, &work).await?;
    }
    work.show_summary();
    Ok(ExitCode::from(match work.standings() {
        all if all.iter().all(|own| *own == Standing::Succeeded) => 0,
        all if all.contains(&Standing::Failed) && work.is_done() => 1,
        _ => 130,
    }))
}

async fn schedule(options: &Options, work: &Arc<Work>) -> Result<(), Failed> {
    let tracker = work.tracker.clone();
    let (reconciler, killer) = (Reconciler::new(tracker.clone()), TaskKiller::new());
    let ledger = OfferLedger::new();
    let demand = Demand::builder().ledger(&ledger).build();
    demand.wants(ROLE);
    let batch = Batch {
        work: Arc::clone(work),
        resources: options.resources.clone(),
        timeout: options.timeout,
        ledger: ledger.clone(),
        demand: demand.clone(),
        killer: killer.clone(),
    };
    let scheduler = Observed::new(batch)
        .observer(tracker.clone())
        .observer(reconciler)
        .observer(killer.clone())
        .observer(ledger)
        .observer(demand);
    let framework = FrameworkInfo::new("batch", [ROLE])
        .failover(FAILOVER)
        .checkpointing()
        .capability(capability::Type::PartitionAware);
    let mut driver = SchedulerDriver::builder(scheduler, framework, &options.master)
        .framework_id_store(FileFrameworkIdStore::new(
            options.state.join("framework-id"),
        ))
        .framework_removal(FrameworkRemoval::RegisterAnew)
        .build()?;
    driver.start()?;
    let interrupted = tokio::spawn(interrupted(tracker, killer, driver.handle()));
    let ended = driver.join().await;
    interrupted.abort();
    ended?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let ended = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => run(options).await,
        Err(error) => Err(error),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::from(2)
    })
}
