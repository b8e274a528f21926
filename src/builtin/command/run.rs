//! The child process from its start to its end.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::kill::{Kill, grace_period, shutdown_grace_period};
use super::{Launch, Order, send};
use crate::builtin::process::{self, ProcessGroup};
use crate::executor::ExecutorHandle;
use crate::proto::task_status::Reason;
use crate::proto::{TaskInfo, TaskState, TaskStatus};

/// What a launcher makes of a command that cannot be executed: it tells so on stderr and exits with 1
/// (`src/slave/containerizer/mesos/launch.cpp`).
const NOT_EXECUTED: &str = "Command exited with status 1";

/// Where the command runs.
#[derive(Debug)]
pub(crate) struct Place {
    /// The executor's own, which the command gets with what its task adds. Nothing else is inherited.
    pub(crate) environment: BTreeMap<String, String>,
    /// The sandbox.
    pub(crate) directory: PathBuf,
    pub(crate) stdout: File,
    pub(crate) stderr: File,
}

/// The part of the command executor that owns the child process.
#[derive(Debug)]
pub(crate) struct CommandRun {
    place: Place,
    orders: mpsc::Receiver<Order>,
}

impl CommandRun {
    pub(super) fn new(place: Place, orders: mpsc::Receiver<Order>) -> Self {
        Self { place, orders }
    }

    /// Waits for the task, runs its command, and stops the driver behind the last update.
    ///
    /// When `end` is cancelled, the process group is killed and reaped, and nobody is told. Dropping the future kills
    /// the group too, and leaves the reaping to the runtime.
    pub(crate) async fn run(mut self, driver: ExecutorHandle, end: CancellationToken) {
        let launch = tokio::select! {
            launch = self.launch() => launch,
            () = end.cancelled() => None,
        };
        let Some(launch) = launch else {
            return;
        };
        let task_id = launch.task.task_id.clone();
        send(&driver, status(&launch.task, TaskState::TaskStarting)).await;
        // It counts from here.
        let limit = launch.task.max_completion_time.map(|limit| {
            Instant::now()
                + Duration::from_nanos(u64::try_from(limit.nanoseconds).unwrap_or_default())
        });
        let spawned = self.place.spawn(&launch.task);
        send(&driver, status(&launch.task, TaskState::TaskRunning)).await;
        let (child, group) = match spawned {
            Ok(spawned) => spawned,
            Err(error) => {
                tracing::debug!(%task_id, %error, "command not executed");
                self.place.complain(&error);
                let failed = status(&launch.task, TaskState::TaskFailed);
                let message = Some(NOT_EXECUTED.to_owned());
                send(&driver, TaskStatus { message, ..failed }).await;
                driver.stop();
                return;
            }
        };
        let running = Running {
            child,
            group,
            launch: *launch,
            limit,
            kill: None,
            has_timed_out: false,
            driver: &driver,
        };
        if let Some(last) = running.until_its_end(&mut self.orders, &end).await {
            send(&driver, last).await;
            driver.stop();
        }
    }

    /// The task; `None` if the executor is to end without one.
    async fn launch(&mut self) -> Option<Box<Launch>> {
        loop {
            match self.orders.recv().await? {
                Order::Launch(launch) => return Some(launch),
                Order::Shutdown => return None,
                // Of a task that is not here yet: the agent kills those itself.
                Order::Kill(_) => {}
            }
        }
    }
}

impl Place {
    fn spawn(&self, task: &TaskInfo) -> io::Result<(Child, ProcessGroup)> {
        let info = task.command.clone().unwrap_or_default();
        let mut environment = self.environment.clone();
        let mut roles = task
            .resources
            .iter()
            .filter_map(|own| own.allocation_info.as_ref());
        if let Some(role) = roles.next() {
            environment.insert("MESOS_ALLOCATION_ROLE".to_owned(), role.role().to_owned());
        }
        environment.extend(process::variables(&info));
        let mut command = process::command(&info, &self.directory);
        command
            .env_clear()
            .envs(environment)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(self.stdout.try_clone()?)
            .stderr(self.stderr.try_clone()?)
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn()?;
        let group = ProcessGroup::of(&child);
        Ok((child, group))
    }

    fn complain(&mut self, error: &io::Error) {
        // A line of a few bytes into a local file.
        if let Err(error) = writeln!(self.stderr, "Failed to execute command: {error}") {
            tracing::debug!(%error, "stderr not written");
        }
    }
}

/// A command that runs.
#[derive(Debug)]
struct Running<'a> {
    child: Child,
    group: ProcessGroup,
    launch: Launch,
    /// When it is killed for running too long; `None` without such a limit, and once a kill is under way.
    limit: Option<Instant>,
    kill: Option<Kill>,
    has_timed_out: bool,
    driver: &'a ExecutorHandle,
}

impl Running<'_> {
    /// Answers the last status; `None` if it was ended from outside.
    async fn until_its_end(
        mut self,
        orders: &mut mpsc::Receiver<Order>,
        end: &CancellationToken,
    ) -> Option<TaskStatus> {
        loop {
            let deadline = self.deadline();
            tokio::select! {
                ended = self.child.wait() => return Some(self.last_status(ended)),
                () = end.cancelled() => {
                    self.destroy().await;
                    return None;
                }
                Some(order) = orders.recv() => self.obey(order).await,
                () = until(deadline) => self.due(),
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.kill
            .as_ref()
            .map_or(self.limit, |kill| kill.escalates_at())
    }

    async fn obey(&mut self, order: Order) {
        let grace = match order {
            Order::Kill(policy) => grace_period(policy, self.launch.task.kill_policy),
            Order::Shutdown => shutdown_grace_period(self.driver.config().shutdown_grace_period()),
            Order::Launch(_) => return,
        };
        if let Some(kill) = &mut self.kill {
            kill.again(grace);
            return;
        }
        if self.launch.tells_killing {
            send(
                self.driver,
                status(&self.launch.task, TaskState::TaskKilling),
            )
            .await;
        }
        self.begin_kill(grace);
    }

    fn begin_kill(&mut self, grace: Duration) {
        self.limit = None;
        self.group.terminate();
        self.kill = Some(Kill::new(Instant::now(), grace));
    }

    fn due(&mut self) {
        if let Some(kill) = &mut self.kill {
            kill.escalated();
            self.kill_now();
        } else {
            self.has_timed_out = true;
            self.begin_kill(Duration::ZERO);
        }
    }

    fn kill_now(&mut self) {
        self.group.kill();
        if let Err(error) = self.child.start_kill() {
            tracing::debug!(%error, "process has already ended");
        }
    }

    async fn destroy(&mut self) {
        self.kill_now();
        if let Err(error) = self.child.wait().await {
            tracing::warn!(%error, "process not reaped");
        }
    }

    fn last_status(&self, ended: io::Result<ExitStatus>) -> TaskStatus {
        let ended = ended.ok();
        let ending = ended.and_then(process::ending);
        let is_success = ended.is_some_and(|status| status.success());
        let state = if ending.is_none() || self.has_timed_out {
            TaskState::TaskFailed
        } else if self.kill.is_some() {
            TaskState::TaskKilled
        } else if is_success {
            TaskState::TaskFinished
        } else {
            TaskState::TaskFailed
        };
        let timed_out = self.has_timed_out && ending.is_some();
        let message = ending.map_or_else(
            || "Failed to get exit status for Command".to_owned(),
            |ending| format!("Command {ending}"),
        );
        TaskStatus {
            message: Some(message),
            reason: timed_out.then(|| Reason::MaxCompletionTimeReached.into()),
            ..status(&self.launch.task, state)
        }
    }
}

fn status(task: &TaskInfo, state: TaskState) -> TaskStatus {
    TaskStatus {
        task_id: task.task_id.clone(),
        state: state.into(),
        ..Default::default()
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
