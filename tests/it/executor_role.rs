//! The executor of the tests: this very program, started by an agent with the one test below as its argument.
//!
//! The data of a task says what it does, a message to the executor what it does next.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use bytes::Bytes;
use mesos_framework::proto::{
    AgentInfo, CommandInfo, Environment, ExecutorInfo, KillPolicy, TaskId, TaskInfo, TaskState,
    TaskStatus, environment,
};
use mesos_framework::{Executor, ExecutorConfig, ExecutorDriver, ExecutorHandle, async_trait};

use crate::cluster::{self, CONTENT_TYPE};
use crate::framework::scalar;

/// Data of a task that finishes at once.
pub const FINISH: &str = "finish";
/// Data of a task that runs until it is killed, or until the executor gets [`finish`] with its id.
pub const RUN: &str = "run";
/// Data of a task that runs likewise, but whose executor exits with code 3 when its agent is lost.
pub const RUN_WITH_AGENT: &str = "run-with-agent";
/// Message of the status that such a task sends when the agent is lost for the first time; then `away 2`, and so on. Only if
/// the executor keeps notes.
pub const AWAY: &str = "away 1";
/// Message: the executor answers with it, and its process stops, as SIGSTOP does.
pub const STOP: &str = "stop";
/// Message of the status that every running task sends when the executor is subscribed again.
pub const REREGISTERED: &str = "reregistered";

/// Data of a task that tells `count` times that it is running (messages `0`, `1`, …), and finishes.
pub fn updates(count: usize) -> String {
    format!("updates {count}")
}

/// Data of a task whose executor starts a program that tells its environment, and that finishes with a message: whether the
/// executor has a token, the names of the program's variables, and whether the token is anywhere among its values.
pub const START: &str = "start";

/// Data of a task that adds `text` to the file at `path` in its sandbox, and finishes with all of it as its message.
pub fn append(path: &str, text: &str) -> String {
    format!("append {path} {text}")
}

/// Data of a task that runs like [`RUN`], under an executor that keeps notes of what becomes of it in the file at `path`:
/// lines of milliseconds and `disconnected`, `shutdown`, or `ended` and how.
pub fn witness(path: &Path) -> String {
    format!("witness {}", path.display())
}

/// [`witness`], and the executor's `shutdown` never returns.
pub fn stubborn(path: &Path) -> String {
    format!("stubborn {}", path.display())
}

/// Message: the executor exits with `code`.
pub fn exit(code: i32) -> String {
    format!("exit {code}")
}

/// Message: the task finishes. Any other message comes back as it is.
pub fn finish(task: &TaskId) -> String {
    format!("finish {task}")
}

/// This program as an executor.
pub fn executor(id: &str) -> ExecutorInfo {
    let program = std::env::current_exe().unwrap().display().to_string();
    let test = concat!(module_path!(), "::runs_as_executor");
    let (_crate, test) = test.split_once("::").unwrap();
    let arguments = [&program, test, "--exact", "--nocapture"];
    let content_type = std::env::var(CONTENT_TYPE).unwrap_or_else(|_| "protobuf".into());
    let variables = vec![environment::Variable {
        name: CONTENT_TYPE.into(),
        value: Some(content_type),
        ..environment::Variable::default()
    }];
    let command = CommandInfo {
        shell: Some(false),
        value: Some(program.clone()),
        arguments: arguments.map(str::to_owned).into(),
        environment: Some(Environment { variables }),
        ..CommandInfo::default()
    };
    ExecutorInfo {
        executor_id: id.into(),
        name: Some(id.into()),
        command: Some(command),
        resources: vec![scalar("cpus", 0.01), scalar("mem", 32.0)],
        ..ExecutorInfo::default()
    }
}

#[test]
fn runs_as_executor() {
    if std::env::var_os("MESOS_EXECUTOR_ID").is_none() {
        return;
    }
    tracing_subscriber::fmt()
        .with_env_filter("mesos_framework=debug")
        .with_writer(std::io::stderr)
        .init();
    let executor = TestExecutor {
        running: BTreeSet::new(),
        needs_agent: false,
        is_stubborn: false,
        losses: 0,
    };
    let driver = ExecutorDriver::builder(executor).content_type(cluster::content_type());
    match driver.build().unwrap().run_blocking() {
        Ok(status) => note(&format!("ended {status:?}")),
        Err(error) if NOTES.get().is_some() => note(&format!("ended {:?}", error.kind())),
        Err(error) => panic!("{error}"),
    }
}

/// The file for the executor's notes, if it keeps any.
static NOTES: OnceLock<PathBuf> = OnceLock::new();

fn note(what: &str) {
    let Some(path) = NOTES.get() else { return };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let line = format!("{} {what}\n", now.unwrap().as_millis());
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.create(true).append(true).open(path).unwrap();
    file.write_all(line.as_bytes()).unwrap();
}

/// A real child, started as users of the library are told to.
fn what_a_child_sees() -> String {
    let mut command = std::process::Command::new("env");
    command.env_clear();
    command.envs(ExecutorConfig::inheritable_environment());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let seen = String::from_utf8_lossy(&output.stdout).into_owned();
    let names = seen.lines().filter_map(|line| line.split_once('='));
    let names: Vec<_> = names.map(|(name, _)| name).collect();
    let token = std::env::var("MESOS_EXECUTOR_AUTHENTICATION_TOKEN");
    let is_seen = token.as_ref().is_ok_and(|token| seen.contains(token));
    format!("{} {is_seen} {}", token.is_ok(), names.join(" "))
}

struct TestExecutor {
    running: BTreeSet<String>,
    /// Whether it exits when the agent is lost.
    needs_agent: bool,
    /// Whether its `shutdown` never returns.
    is_stubborn: bool,
    /// How often the agent was lost.
    losses: usize,
}

#[async_trait]
impl Executor for TestExecutor {
    async fn launch_task(&mut self, driver: &ExecutorHandle, task: TaskInfo) {
        let data = String::from_utf8(task.data().to_vec()).unwrap();
        let task_id = task.task_id;
        send(driver, &task_id, TaskState::TaskStarting, None).await;
        send(driver, &task_id, TaskState::TaskRunning, None).await;
        match data.split_once(' ').unwrap_or((&data, "")) {
            (FINISH, _) => send(driver, &task_id, TaskState::TaskFinished, None).await,
            (RUN | RUN_WITH_AGENT, _) => {
                self.needs_agent |= data == RUN_WITH_AGENT;
                self.running.insert(task_id.value);
            }
            (kind @ ("witness" | "stubborn"), path) => {
                NOTES.set(path.into()).unwrap();
                self.is_stubborn = kind == "stubborn";
                self.running.insert(task_id.value);
            }
            ("updates", count) => {
                for number in 0..count.parse().unwrap() {
                    let number: usize = number;
                    let message = Some(number.to_string());
                    send(driver, &task_id, TaskState::TaskRunning, message).await;
                }
                send(driver, &task_id, TaskState::TaskFinished, None).await;
            }
            (START, _) => {
                let message = Some(what_a_child_sees());
                send(driver, &task_id, TaskState::TaskFinished, message).await;
            }
            ("append", what) => {
                let (path, text) = what.split_once(' ').unwrap();
                let sandbox = std::env::var("MESOS_SANDBOX").unwrap();
                let path = std::path::Path::new(&sandbox).join(path);
                let before = std::fs::read_to_string(&path).unwrap_or_default();
                let all = before + text;
                std::fs::write(&path, &all).unwrap();
                send(driver, &task_id, TaskState::TaskFinished, Some(all)).await;
            }
            other => panic!("task {task_id} is to do {other:?}"),
        }
    }

    async fn kill_task(&mut self, driver: &ExecutorHandle, task_id: TaskId, _: Option<KillPolicy>) {
        if self.running.remove(&task_id.value) {
            send(driver, &task_id, TaskState::TaskKilled, None).await;
        }
    }

    /// Leaves its tasks to the agent, which tells of their end.
    async fn shutdown(&mut self, _: &ExecutorHandle) {
        note("shutdown");
        if self.is_stubborn {
            std::future::pending().await
        }
    }

    async fn reregistered(&mut self, driver: &ExecutorHandle, _: AgentInfo) {
        for task_id in &self.running {
            let task_id = task_id.as_str().into();
            let message = Some(REREGISTERED.to_owned());
            send(driver, &task_id, TaskState::TaskRunning, message).await;
        }
    }

    async fn disconnected(&mut self, driver: &ExecutorHandle) {
        if self.needs_agent {
            std::process::exit(3);
        }
        if NOTES.get().is_none() {
            return;
        }
        self.losses += 1;
        for task_id in &self.running {
            let message = Some(format!("away {}", self.losses));
            send(
                driver,
                &task_id.as_str().into(),
                TaskState::TaskRunning,
                message,
            )
            .await;
        }
        note("disconnected");
    }

    async fn framework_message(&mut self, driver: &ExecutorHandle, data: Bytes) {
        let text = String::from_utf8_lossy(&data);
        match text.split_once(' ') {
            None if text == STOP => {
                let told = driver.send_framework_message(data.clone()).await.unwrap();
                assert!(told.outcome().await.is_accepted());
                let process = std::process::id().to_string();
                let mut kill = std::process::Command::new("kill");
                kill.args(["-s", "STOP", &process]).status().unwrap();
            }
            Some(("exit", code)) => std::process::exit(code.parse().unwrap()),
            Some(("finish", task_id)) => {
                if self.running.remove(task_id) {
                    send(driver, &task_id.into(), TaskState::TaskFinished, None).await;
                }
            }
            _ => {
                driver.send_framework_message(data).await.unwrap();
            }
        }
    }
}

async fn send(
    driver: &ExecutorHandle,
    task_id: &TaskId,
    state: TaskState,
    message: Option<String>,
) {
    let status = TaskStatus {
        task_id: task_id.clone(),
        state: state as i32,
        message,
        ..TaskStatus::default()
    };
    driver.send_status_update(status).await.unwrap();
}
