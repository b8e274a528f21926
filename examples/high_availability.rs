//! Two schedulers of one framework, or more: one leads, the others stand by, and one of them goes on where it was when the
//! leader dies. ZooKeeper says who leads, and keeps the framework's id and its tasks.
//!
//!     cargo run --features zookeeper --example high_availability -- zk://10.0.0.9:2181/sleeper 10.0.0.5:5050
//!
//! Started twice or more, on as many hosts; also on an embedded cluster, that of the example `local_cluster`. The framework
//! runs a number of tasks, each to its end and not again, whoever leads.
//!
//! Three things keep a leader that does not know yet that it has been replaced from doing harm: its store does not take
//! what it writes, so that it launches nothing; the master has ended its subscription, for another has the framework's id;
//! and it ends itself when it learns that its session with ZooKeeper is over.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesos_framework::proto::framework_info::capability;
use mesos_framework::proto::{CommandInfo, FrameworkId, FrameworkInfo, MasterInfo, Offer};
use mesos_framework::proto::{TaskId, TaskInfo, TaskStatus};
use mesos_framework::resources::Request;
use mesos_framework::toolkit::matching::{Matcher, Needs, PendingTask};
use mesos_framework::toolkit::{Jobs, TaskChange, TaskStore, TaskTracker, Toolbox, TrackedTask};
use mesos_framework::{Error, ErrorKind, Stop, ZooKeeperFrameworkIdStore, async_trait};
use mesos_framework::{Scheduler, SchedulerDriver, SchedulerHandle};
use zookeeper_client::{
    Acls, Client, CreateMode, LockOptions, LockPrefix, OwnedLockClient, SessionState,
};

type Failed = Box<dyn std::error::Error + Send + Sync>;

const ROLE: &str = "*";

/// How long tasks may go on without a leader.
const FAILOVER: Duration = Duration::from_secs(3600);

/// How long ZooKeeper waits for a leader that says nothing, before another one leads.
const SESSION_TIMEOUT: Duration = Duration::from_secs(5);

const USAGE: &str = "\
Usage: high_availability ZK MASTER [TASKS [SECONDS]]

  ZK        zk://host:port,…/path: where the schedulers meet, and what is theirs is kept
  MASTER    host:port of a Mesos master, or zk://…
  TASKS     how many (10)
  SECONDS   that each of them takes (1)

Ctrl-C ends this scheduler, and leaves the framework to the next. When all tasks have finished, the framework ends.";

/// Whoever has it leads. It goes with the session.
type Lock = Arc<OwnedLockClient>;

/// Waits until this process leads. `path`: below which the candidates are.
async fn elected(client: &Client, path: &str) -> Result<Lock, Failed> {
    let election = format!("{path}/election");
    let folders = CreateMode::Persistent.with_acls(Acls::anyone_all());
    let options = LockOptions::new(Acls::anyone_all()).with_ancestor_options(folders)?;
    let prefix = LockPrefix::new_curator(&election, "latch-")?;
    let name = std::process::id().to_string();
    let lock = client.lock(prefix, name.as_bytes(), options).await?;
    Ok(Arc::new(lock.into_owned()))
}

/// Waits for the end of the session, and of the lock with it.
async fn is_over(client: &Client) {
    let mut states = client.state_watcher();
    while !states.peek_state().is_terminated() {
        if states.changed().await == SessionState::Disconnected {
            println!("ZooKeeper cannot be reached; unless that ends soon, another will lead");
        }
    }
}

/// Keeps each task in a znode. Only whoever has the lock writes: ZooKeeper looks at it with every write.
struct ZooKeeperTaskStore {
    lock: Lock,
    folder: String,
    /// Ids of what is stored.
    known: Mutex<BTreeSet<TaskId>>,
}

impl ZooKeeperTaskStore {
    async fn new(lock: &Lock, path: &str) -> Result<Self, Failed> {
        let folder = format!("{path}/tasks");
        let folders = CreateMode::Persistent.with_acls(Acls::anyone_all());
        lock.client().mkdir(&folder, &folders).await?;
        Ok(Self {
            lock: Arc::clone(lock),
            folder,
            known: Mutex::default(),
        })
    }

    fn path(&self, task_id: &TaskId) -> String {
        format!("{}/{task_id}", self.folder)
    }

    async fn read(&self) -> Result<Vec<TrackedTask>, Failed> {
        let mut tasks = Vec::new();
        for name in self.lock.client().list_children(&self.folder).await? {
            let path = self.path(&name.into());
            let (bytes, _) = self.lock.client().get_data(&path).await?;
            tasks.push(TrackedTask::from_bytes(&bytes)?);
        }
        Ok(tasks)
    }

    async fn write(&self, changes: &[TaskChange]) -> Result<(), Failed> {
        let mut known = self.known().clone();
        let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
        // All or nothing, and only with the lock.
        let mut writer = self.lock.new_check_writer();
        for change in changes {
            match change {
                TaskChange::Put(task) => {
                    let (path, bytes) = (self.path(&task.task_id), task.to_bytes());
                    match known.insert(task.task_id.clone()) {
                        true => writer.add_create(&path, &bytes, &options)?,
                        false => writer.add_set_data(&path, &bytes, None)?,
                    }
                }
                TaskChange::Forget(task_id) if known.remove(task_id) => {
                    writer.add_delete(&self.path(task_id), None)?;
                }
                TaskChange::Forget(_) => {}
            }
        }
        writer.commit().await?;
        *self.known() = known;
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeSet<TaskId>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TaskStore for ZooKeeperTaskStore {
    async fn load(&self) -> mesos_framework::Result<Vec<TrackedTask>> {
        let tasks = self.read().await;
        let tasks = tasks.map_err(|cause| failed("tasks cannot be read", cause))?;
        *self.known() = tasks.iter().map(|task| task.task_id.clone()).collect();
        Ok(tasks)
    }

    async fn store(&self, changes: &[TaskChange]) -> mesos_framework::Result<()> {
        let stored = self.write(changes).await;
        stored.map_err(|cause| failed("tasks cannot be written", cause))
    }
}

fn failed(what: &str, cause: Failed) -> Error {
    Error::caused_by(ErrorKind::Store, what, cause)
}

struct Sleeper {
    jobs: Jobs,
    tools: Toolbox,
}

impl Sleeper {
    async fn launch(&self, driver: &SchedulerHandle) {
        let (tools, matcher) = (&self.tools, Matcher::first_fit());
        if let Err(error) = tools.place_jobs(driver, ROLE, &matcher, &self.jobs).await {
            driver.abort_with(error);
        }
    }
}

/// The tasks of the framework. A leader may die between storing one and launching it: then the master says that it is gone,
/// and it is tried again. Two run at a time, so that there is something to take over.
fn jobs(tracker: &TaskTracker, tasks: usize, seconds: f64) -> mesos_framework::Result<Jobs> {
    let needs = Needs::new(Request::new().cpus(0.1).mem(32.0));
    let tasks = (0..tasks).map(|number| {
        let command = CommandInfo::in_shell(format!("sleep {seconds}"));
        let task = TaskInfo::new(format!("task-{number}"), "", []).command(command);
        PendingTask::new(task, needs.clone())
    });
    Ok(Jobs::new(tracker, tasks)?.retries(usize::MAX).at_once(2))
}

#[async_trait]
impl Scheduler for Sleeper {
    async fn registered(&mut self, _: &SchedulerHandle, id: FrameworkId, _: Option<MasterInfo>) {
        println!("registered as {id}");
    }

    async fn resource_offers(&mut self, driver: &SchedulerHandle, _: Vec<Offer>) {
        self.launch(driver).await;
    }

    async fn status_update(&mut self, driver: &SchedulerHandle, status: TaskStatus) {
        println!("{} {}", status.task_id, status.state().as_str_name());
        self.launch(driver).await;
        if self.jobs.counts().is_done() {
            driver.stop();
        }
    }
}

async fn run(given: Vec<String>) -> Result<(), Failed> {
    let mut given = given.into_iter();
    let (zk, master) = (given.next().ok_or(USAGE)?, given.next().ok_or(USAGE)?);
    let tasks = given.next().map_or(Ok(10), |text| text.parse())?;
    let seconds = given.next().map_or(Ok(1.0), |text| text.parse())?;
    let servers = zk.strip_prefix("zk://").ok_or(USAGE)?;
    let (servers, path) = servers.split_at(servers.find('/').ok_or(USAGE)?);

    let connector = Client::connector().with_session_timeout(SESSION_TIMEOUT);
    let client = connector.connect(servers).await?;
    println!("standing by");
    let lock = tokio::select! {
        lock = elected(&client, path) => lock?,
        _ = tokio::signal::ctrl_c() => return Ok(()),
    };

    // What the leader before has left.
    let store = ZooKeeperTaskStore::new(&lock, path).await?;
    let tracker = TaskTracker::builder().store(store).open().await?;
    println!("leading: {:?}", tracker.counts());
    let jobs = jobs(&tracker, tasks, seconds)?;
    if jobs.counts().is_done() {
        return Ok(());
    }
    let tools = Toolbox::new(tracker);
    tools.demand.wants(ROLE);
    let sleeper = Sleeper {
        jobs,
        tools: tools.clone(),
    };
    let framework = FrameworkInfo::new("sleeper", [ROLE])
        .failover(FAILOVER)
        .checkpointing()
        .capability(capability::Type::PartitionAware);
    let over = async {
        tokio::select! {
            () = is_over(&client) => println!("another one leads"),
            _ = tokio::signal::ctrl_c() => println!("another one may lead"),
        }
        Stop::ForFailover
    };
    SchedulerDriver::builder(tools.observe(sleeper), framework, &master)
        .framework_id_store(ZooKeeperFrameworkIdStore::new(&format!(
            "{zk}/framework-id"
        ))?)
        .build()?
        .run_until(over)
        .await?;
    println!("ended: {:?}", tools.tracker.counts());
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match run(std::env::args().skip(1).collect()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
