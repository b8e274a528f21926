//! The executor of the tests: this very program, started by an agent with the one test below as its argument.
//!
//! The data of a task says what it does, a message to the executor what it does next.

use std::collections::BTreeSet;

use bytes::Bytes;
use mesos_framework::proto::{
    AgentInfo, CommandInfo, Environment, ExecutorInfo, KillPolicy, TaskId, TaskInfo, TaskState,
    TaskStatus, environment,
};
use mesos_framework::{Executor, ExecutorDriver, ExecutorHandle, async_trait};

use crate::cluster::{self, CONTENT_TYPE};
use crate::framework::scalar;

/// Data of a task that finishes at once.
pub const FINISH: &str = "finish";
/// Data of a task that runs until it is killed, or until the executor gets [`finish`] with its id.
pub const RUN: &str = "run";
/// Message of the status that every running task sends when the executor is subscribed again.
pub const REREGISTERED: &str = "reregistered";

/// Data of a task that tells `count` times that it is running (messages `0`, `1`, …), and finishes.
pub fn updates(count: usize) -> String {
    format!("updates {count}")
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
    };
    let driver = ExecutorDriver::builder(executor).content_type(cluster::content_type());
    driver.build().unwrap().run_blocking().unwrap();
}

struct TestExecutor {
    running: BTreeSet<String>,
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
            (RUN, _) => {
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
            other => panic!("task {task_id} is to do {other:?}"),
        }
    }

    async fn kill_task(&mut self, driver: &ExecutorHandle, task_id: TaskId, _: Option<KillPolicy>) {
        if self.running.remove(&task_id.value) {
            send(driver, &task_id, TaskState::TaskKilled, None).await;
        }
    }

    /// Leaves its tasks to the agent, which tells of their end.
    async fn shutdown(&mut self, _: &ExecutorHandle) {}

    async fn reregistered(&mut self, driver: &ExecutorHandle, _: AgentInfo) {
        for task_id in &self.running {
            let task_id = task_id.as_str().into();
            let message = Some(REREGISTERED.to_owned());
            send(driver, &task_id, TaskState::TaskRunning, message).await;
        }
    }

    async fn framework_message(&mut self, driver: &ExecutorHandle, data: Bytes) {
        let text = String::from_utf8_lossy(&data);
        match text.split_once(' ') {
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
