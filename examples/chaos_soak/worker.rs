//! The executor: a task takes a moment, and leaves a mark where it began.

use std::error::Error;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mesos_framework::proto::executor::Call;
use mesos_framework::proto::executor::call::Type;
use mesos_framework::proto::{KillPolicy, TaskId, TaskInfo, TaskState, TaskStatus};
use mesos_framework::{
    ContentType, Executor, ExecutorConfig, ExecutorDriver, ExecutorHandle, async_trait,
};

use crate::marks::{self, Report};
use crate::proxy::{Harm, Plan, Proxy};
use crate::settings::EXECUTORS_CALL_TIMEOUT;
use crate::tap::Tap;

/// The longest that a task takes.
const LONGEST: Duration = Duration::from_millis(300);

/// Agents send executors no heartbeats to speak of (one in 30 minutes, `DEFAULT_EXECUTOR_HEARTBEAT_INTERVAL` in
/// `src/slave/constants.hpp`), so an event stream that hangs must go on by itself.
const LONGEST_HANG: Duration = Duration::from_secs(10);

pub struct Worker {
    pub marks: PathBuf,
}

/// As a program of its own, which an agent starts: `MARKS SEED CONTENT-TYPE`. Speaks with the agent through a proxy.
pub async fn main(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let mut next = || arguments.next().ok_or("--executor needs three values");
    let marks = PathBuf::from(next()?);
    let seed: u64 = next()?.parse()?;
    let content_type = match next()?.as_str() {
        "application/json" => ContentType::Json,
        _ => ContentType::Protobuf,
    };
    let pid = std::env::var("MESOS_SLAVE_PID")?;
    let (process, agent) = pid.split_once('@').ok_or("MESOS_SLAVE_PID without an @")?;
    let harm = Arc::new(Harm::default());
    harm.begin();
    let plan = Plan {
        target: agent.to_owned(),
        seed: seed ^ u64::from(std::process::id()),
        longest_hang: LONGEST_HANG,
        // An agent answers 400 to a garbled update, which is then lost as a refused one is.
        is_garbling_calls: false,
    };
    let proxy = Proxy::start(plan, Arc::clone(&harm), subscribes).await?;
    let through_proxy = format!("{process}@{}", proxy.address);
    let config = ExecutorConfig::from_lookup(|name| match name {
        "MESOS_SLAVE_PID" => Some(through_proxy.clone()),
        _ => std::env::var(name).ok(),
    })?;
    let worker = Worker {
        marks: marks.clone(),
    };
    let driver = ExecutorDriver::builder(worker)
        .config(config)
        .call_timeout(EXECUTORS_CALL_TIMEOUT)
        .content_type(content_type)
        .build()?;
    tokio::select! {
        ended = driver.run() => drop(ended?),
        () = report(&marks, &harm) => {}
    }
    Ok(())
}

/// What tells the proxy whether a connection is one of events.
fn subscribes() -> impl FnMut(&[u8]) -> bool + Send + 'static {
    let mut tap = Tap::<Call>::default();
    move |piece| {
        let calls = tap.read(piece).unwrap_or_default();
        calls.iter().any(|call| call.r#type() == Type::Subscribe)
    }
}

/// Tells of the faults as they happen, for an executor may be killed at any time; and heeds the end of the faults. Ends with
/// the soak: a framework that a master was told to end, before it was killed, lives on at the agents.
async fn report(marks: &Path, harm: &Harm) {
    let mut told = Report::default();
    while marks.exists() {
        if marks::is_calm(marks) {
            harm.end();
        }
        let now = Report {
            faults: harm.faults(),
            left_calls: harm.left_calls(),
        };
        if now != told && now.write(marks).is_ok() {
            told = now;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn send(driver: &ExecutorHandle, task_id: &TaskId, state: TaskState) {
    let status = TaskStatus {
        task_id: task_id.clone(),
        state: state as i32,
        ..TaskStatus::default()
    };
    // Refused only when the driver ends, and then the agent tells of the task's end.
    let _ = driver.send_status_update(status).await;
}

#[async_trait]
impl Executor for Worker {
    async fn launch_task(&mut self, driver: &ExecutorHandle, task: TaskInfo) {
        let mark = self.marks.join(&task.task_id.value);
        let made = OpenOptions::new().write(true).create_new(true).open(&mark);
        if made.is_err() {
            marks::note_twice(&self.marks, &task.task_id);
        }
        send(driver, &task.task_id, TaskState::TaskRunning).await;
        let driver = driver.clone();
        tokio::spawn(async move {
            tokio::time::sleep(LONGEST.mul_f64(fastrand::f64())).await;
            send(&driver, &task.task_id, TaskState::TaskFinished).await;
        });
    }

    async fn kill_task(&mut self, driver: &ExecutorHandle, id: TaskId, _: Option<KillPolicy>) {
        send(driver, &id, TaskState::TaskKilled).await;
    }

    async fn shutdown(&mut self, _: &ExecutorHandle) {}
}
