//! Executors whose agent is killed: what of theirs arrives when it is back, and how long they live when it is not.

use std::path::Path;
use std::time::{Duration, Instant};

use mesos_framework::proto::{DurationInfo, TaskInfo, TaskState};

use crate::agents::checkpointing;
use crate::cluster::{Agents, Needs, OwnCluster};
use crate::executor_environment::Directory;
use crate::executor_role::{AWAY, REREGISTERED, finish, stubborn, witness};
use crate::framework::{Framework, PATIENCE, info, task};
use crate::recorder::Callback;

const RECOVERY: Duration = Duration::from_secs(3);
const GRACE: Duration = Duration::from_secs(2);
/// How much longer than promised something may take on a busy machine.
const SLACK: Duration = Duration::from_secs(5);

async fn start() -> OwnCluster {
    OwnCluster::with(Agents::Mortal).await
}

/// When the executor noted this for the `nth` time, in time since some moment.
async fn noted(notes: &Path, what: &str, nth: usize) -> Duration {
    let found = async {
        loop {
            let all = std::fs::read_to_string(notes).unwrap_or_default();
            let mut lines = all.lines().filter_map(|line| line.split_once(' '));
            if let Some((millis, _)) = lines.by_ref().filter(|(_, noted)| *noted == what).nth(nth) {
                return Duration::from_millis(millis.parse().unwrap());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    found.unwrap_or_else(|_| {
        let all = std::fs::read_to_string(notes);
        panic!("waited too long for {what:?} in {all:?}")
    })
}

/// For the table of measurements in `src/docs/guarantees.md`.
fn measured(what: &str, took: Duration) {
    println!("measured: {what}: {:.2} s", took.as_secs_f64());
}

/// Asserts that `took` is `promised`, but for rounding and a busy machine.
fn assert_took(what: &str, took: Duration, promised: Duration) {
    measured(what, took);
    let early = promised - Duration::from_millis(100);
    assert!(
        took >= early && took <= promised + SLACK,
        "{took:?}, not {promised:?}"
    );
}

impl Framework {
    /// Runs a task under an executor with a grace period of its own.
    async fn run_with_grace(&mut self, id: &str, data: String, grace: Duration) -> TaskInfo {
        let offer = self.offer().await;
        let mut task = task(id, data, &offer);
        let executor = task.executor.as_mut().unwrap();
        executor.shutdown_grace_period = Some(DurationInfo {
            nanoseconds: grace.as_nanos() as i64,
        });
        self.launch(offer, vec![task.clone()]).await;
        self.comes_to(&task.task_id, TaskState::TaskRunning).await;
        task
    }
}

#[tokio::test]
async fn updates_made_while_the_agent_is_away_arrive_once_and_in_order() {
    let (mut cluster, directory) = (start().await, Directory::new("away"));
    let notes = directory.path("notes");
    let mut framework = Framework::register(&cluster.address(), checkpointing("away")).await;
    let task = framework.run("away", &witness(&notes)).await;
    let mut seen: Vec<(String, bytes::Bytes)> = Vec::new();
    let mut until = async |framework: &mut Framework, end: &dyn Fn(&str, TaskState) -> bool| {
        framework
            .until("the updates", |callback| match callback {
                Callback::Status(status) => {
                    let (message, uuid) = (status.message().to_owned(), status.uuid.clone()?);
                    // The agent repeats what is not acknowledged, under the same uuid; maybe what came before, too.
                    let is_new = seen.iter().all(|(_, known)| *known != uuid);
                    if is_new && (!message.is_empty() || status.state() != TaskState::TaskRunning) {
                        seen.push((message.clone(), uuid));
                    }
                    end(&message, status.state()).then_some(())
                }
                _ => None,
            })
            .await;
    };
    for nth in 0..2 {
        cluster.kill_agent(0);
        noted(&notes, "disconnected", nth).await;
        cluster.start_agent(0).await;
        let started = Instant::now();
        until(&mut framework, &|message, _| message == REREGISTERED).await;
        measured("back after the agent's restart", started.elapsed());
    }
    let executor_id = task.executor.clone().unwrap().executor_id;
    let message = finish(&task.task_id);
    let sent = framework
        .handle
        .send_framework_message(executor_id, task.agent_id.clone(), message);
    sent.await.unwrap();
    until(&mut framework, &|_, state| state == TaskState::TaskFinished).await;
    let messages: Vec<_> = seen.iter().map(|(message, _)| message.as_str()).collect();
    assert_eq!(messages, [AWAY, REREGISTERED, "away 2", REREGISTERED, ""]);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_executor_without_checkpointing_ends_with_its_agent() {
    let (mut cluster, directory) = (start().await, Directory::new("unchecked"));
    let notes = directory.path("notes");
    let mut framework = Framework::register(&cluster.address(), info("unchecked-end")).await;
    framework.run("unchecked", &witness(&notes)).await;
    cluster.kill_agent(0);
    let lost = noted(&notes, "disconnected", 0).await;
    noted(&notes, "shutdown", 0).await;
    let ended = noted(&notes, "ended Stopped", 0).await;
    measured("end without checkpointing", ended - lost);
    assert!(ended - lost <= SLACK, "{:?}", ended - lost);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_executor_waits_for_its_agent_as_long_as_the_recovery_timeout() {
    let needs = Needs {
        agents: Agents::Mortal,
        recovery: RECOVERY,
        ..Needs::default()
    };
    let mut cluster = OwnCluster::start(needs).await.unwrap();
    let directory = Directory::new("recovery");
    let notes = directory.path("notes");
    let mut framework = Framework::register(&cluster.address(), checkpointing("recovery")).await;
    framework.run("waits", &witness(&notes)).await;
    cluster.kill_agent(0);
    let lost = noted(&notes, "disconnected", 0).await;
    let shutdown = noted(&notes, "shutdown", 0).await;
    assert_took("recovery time-out", shutdown - lost, RECOVERY);
    let ended = noted(&notes, "ended RecoveryTimeout", 0).await;
    measured("end after the recovery time-out", ended - shutdown);
    assert!(ended - shutdown <= SLACK, "{:?}", ended - shutdown);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_that_hangs_without_an_agent_ends_with_the_grace_period() {
    let (mut cluster, directory) = (start().await, Directory::new("hangs"));
    let notes = directory.path("notes");
    let mut framework = Framework::register(&cluster.address(), info("hangs")).await;
    framework
        .run_with_grace("hangs", stubborn(&notes), GRACE)
        .await;
    cluster.kill_agent(0);
    let shutdown = noted(&notes, "shutdown", 0).await;
    let ended = noted(&notes, "ended Timeout", 0).await;
    assert_took("grace period without an agent", ended - shutdown, GRACE);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_that_hangs_is_over_when_the_agent_says_so_at_the_latest() {
    let (cluster, directory) = (start().await, Directory::new("hangs-too"));
    let notes = directory.path("notes");
    let mut framework = Framework::register(&cluster.address(), info("hangs-too")).await;
    let task = framework
        .run_with_grace("hangs", stubborn(&notes), GRACE)
        .await;
    let executor_id = task.executor.clone().unwrap().executor_id;
    let begun = Instant::now();
    let sent = framework
        .handle
        .shutdown_executor(executor_id.clone(), task.agent_id.clone());
    sent.await.unwrap();
    noted(&notes, "shutdown", 0).await;
    framework
        .until("the executor's end", |callback| match callback {
            Callback::ExecutorLost(lost, ..) => (*lost == executor_id).then_some(()),
            _ => None,
        })
        .await;
    assert_took("grace period by the agent", begun.elapsed(), GRACE);
    framework.teardown().await;
    cluster.shutdown().await;
}
