//! Executors that the user's factories make in the process of the embedded cluster: no program is started for them.

use std::path::PathBuf;
use std::time::Duration;

use mesos_framework::local::{LocalCluster, LocalClusterBuilder};
use mesos_framework::proto::task_status::{Reason, Source};
use mesos_framework::proto::{
    CommandInfo, ExecutorId, ExecutorInfo, KillPolicy, Offer, TaskId, TaskInfo, TaskState,
    TaskStatus,
};
use mesos_framework::{Executor, ExecutorHandle, SchedulerDriver, Status, async_trait};
use tokio::sync::mpsc;

use crate::cluster::content_type;
use crate::framework::{Framework, info, refuse_for_good, task};
use crate::peer::within;
use crate::recorder::{Callback, recorder_that};

/// A program that nobody has.
const COMMAND: &str = "./no-such-executor --of-the-tests";

/// What the executor does when it gets a task is in the task's data.
struct Player {
    /// Closed when the executor is dropped.
    _alive: Option<mpsc::Sender<()>>,
}

#[async_trait]
impl Executor for Player {
    async fn launch_task(&mut self, driver: &ExecutorHandle, task: TaskInfo) {
        send(driver, &task.task_id, TaskState::TaskRunning).await;
        match task.data.as_deref().unwrap_or_default() {
            b"finish" => send(driver, &task.task_id, TaskState::TaskFinished).await,
            b"stop" => {
                driver.stop();
            }
            b"abort" => {
                driver.abort();
            }
            b"panic" => panic!("as the test wants it"),
            b"hang" => std::future::pending().await,
            _ => {}
        }
    }

    async fn kill_task(&mut self, driver: &ExecutorHandle, task_id: TaskId, _: Option<KillPolicy>) {
        send(driver, &task_id, TaskState::TaskKilled).await;
    }

    async fn shutdown(&mut self, _: &ExecutorHandle) {
        std::future::pending().await
    }
}

async fn send(driver: &ExecutorHandle, task_id: &TaskId, state: TaskState) {
    let status = TaskStatus {
        task_id: task_id.clone(),
        state: state as i32,
        ..TaskStatus::default()
    };
    driver.send_status_update(status).await.unwrap();
}

fn player() -> Player {
    Player { _alive: None }
}

/// A cluster with a framework.
struct Rig {
    cluster: LocalCluster,
    framework: Framework,
}

impl Rig {
    async fn start(
        test: &str,
        settings: impl FnOnce(LocalClusterBuilder) -> LocalClusterBuilder,
    ) -> Self {
        let builder = crate::cluster::local().allocation_interval(Duration::from_millis(50));
        let cluster = settings(builder).start().await.unwrap();
        let framework = Framework::register(&cluster.master_address(), info(test)).await;
        Self { cluster, framework }
    }

    /// A task with this data under an executor named `executor`.
    async fn launch(&mut self, data: &str) -> TaskId {
        let offer = self.framework.offer().await;
        let task = hosted(data, &offer);
        let id = task.task_id.clone();
        self.framework.launch(offer, vec![task]).await;
        id
    }

    /// The raw wait status that the scheduler is told, and the last status of the task before or after that.
    async fn end_of(&mut self, task_id: &TaskId) -> (i32, TaskStatus) {
        let (mut exit, mut last) = (None, None);
        let ended = |callback: &Callback| {
            match callback {
                Callback::ExecutorLost(_, _, status) => exit = *status,
                Callback::Status(status) if status.task_id == *task_id => {
                    last = Some(status.clone()).filter(|own| own.state() == TaskState::TaskFailed);
                }
                _ => {}
            }
            Some((exit?, last.clone()?))
        };
        self.framework.until("the executor's end", ended).await
    }

    async fn end(self) {
        self.framework.teardown().await;
        self.cluster.shutdown().await;
    }
}

fn hosted(data: &str, offer: &Offer) -> TaskInfo {
    let task = task(data, data, offer);
    let command = CommandInfo {
        value: Some(COMMAND.into()),
        ..CommandInfo::default()
    };
    let executor = ExecutorInfo {
        executor_id: "executor".into(),
        name: None,
        command: Some(command),
        ..task.executor.clone().unwrap()
    };
    TaskInfo {
        executor: Some(executor),
        ..task
    }
}

#[tokio::test]
async fn an_executor_of_a_factory_runs_tasks_without_a_program() {
    let directory = std::env::temp_dir().join(format!("hosted-{}", uuid::Uuid::new_v4()));
    let settings = |builder: LocalClusterBuilder| {
        let builder = builder.work_directory(directory.clone());
        builder.executor(COMMAND, player)
    };
    let mut rig = Rig::start("hosted", settings).await;
    let first = rig.launch("finish").await;
    let running = rig.framework.comes_to(&first, TaskState::TaskRunning).await;
    assert_eq!(running.source(), Source::Executor);
    assert_eq!(running.executor_id, Some("executor".into()));
    assert!(running.container_status.unwrap().container_id.is_some());
    rig.framework
        .comes_to(&first, TaskState::TaskFinished)
        .await;
    // The same executor gets the next task.
    let second = rig.launch("run").await;
    rig.framework
        .comes_to(&second, TaskState::TaskRunning)
        .await;
    let kill = rig.framework.handle.kill_task(second.clone(), None);
    kill.await.unwrap();
    rig.framework.comes_to(&second, TaskState::TaskKilled).await;
    let state = rig.cluster.state();
    assert_eq!(state.executors.len(), 1, "{state}");
    let sandbox: PathBuf = directory
        .join("agents/0/work/slaves")
        .join(&state.agents[0].id.as_ref().unwrap().value)
        .join("frameworks")
        .join(&rig.framework.id.value)
        .join("executors/executor/runs/latest");
    assert!(sandbox.join("stdout").is_file());
    rig.end().await;
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn the_end_of_its_driver_is_its_exit_status() {
    let settings = |builder: LocalClusterBuilder| builder.executor(COMMAND, player);
    let mut rig = Rig::start("hosted-ends", settings).await;
    for (data, expected) in [("stop", 0), ("abort", 1 << 8), ("panic", 101 << 8)] {
        let id = rig.launch(data).await;
        let (exit, last) = rig.end_of(&id).await;
        assert_eq!(exit, expected, "{data}");
        assert_eq!(last.reason(), Reason::ExecutorTerminated);
        assert_eq!(last.message(), "Executor terminated");
        assert_eq!(last.source(), Source::Agent);
    }
    rig.end().await;
}

#[tokio::test]
async fn a_killed_executor_is_dropped_in_the_middle_of_a_callback() {
    let (alive, mut dropped) = mpsc::channel(1);
    let settings = |builder: LocalClusterBuilder| {
        builder.executor(COMMAND, move || Player {
            _alive: Some(alive.clone()),
        })
    };
    let mut rig = Rig::start("hosted-killed", settings).await;
    let id = rig.launch("hang").await;
    rig.framework.comes_to(&id, TaskState::TaskRunning).await;
    let executor_id = ExecutorId::from("executor");
    assert!(rig.cluster.kill_executor(&rig.framework.id, &executor_id));
    let (exit, last) = rig.end_of(&id).await;
    assert_eq!(exit, 9);
    assert_eq!(last.message(), "Executor terminated");
    rig.end().await;
    // The cluster held the factory, and with it the last sender.
    assert_eq!(within("the drop", dropped.recv()).await, None);
}

#[tokio::test]
async fn an_executor_that_does_not_shut_down_is_killed_after_the_grace_period() {
    let settings = |builder: LocalClusterBuilder| {
        let builder = builder.executor_shutdown_grace_period(Duration::from_millis(200));
        builder.executor(COMMAND, player)
    };
    let mut rig = Rig::start("hosted-shutdown", settings).await;
    let id = rig.launch("run").await;
    let running = rig.framework.comes_to(&id, TaskState::TaskRunning).await;
    let mut call = mesos_framework::proto::scheduler::Call::default();
    call.r#type = Some(mesos_framework::proto::scheduler::call::Type::Shutdown as i32);
    call.shutdown = Some(mesos_framework::proto::scheduler::call::Shutdown {
        executor_id: "executor".into(),
        agent_id: running.agent_id.unwrap(),
    });
    rig.framework.handle.call(call).await.unwrap();
    let (exit, _) = rig.end_of(&id).await;
    assert_eq!(exit, 9);
    rig.end().await;
}

#[tokio::test]
async fn a_factory_sees_the_launch_and_leaves_others_to_their_programs() {
    let (seen, mut launches) = mpsc::channel(10);
    let settings = |builder: LocalClusterBuilder| {
        let builder = builder.executor_environment("OPERATORS", "own");
        builder.executor_factory(move |launch| {
            let _ = seen.try_send(launch.clone());
            let is_meant = launch.executor_info.executor_id.value == "executor";
            is_meant.then(|| Box::new(player()) as Box<dyn Executor>)
        })
    };
    let mut rig = Rig::start("hosted-factory", settings).await;
    let id = rig.launch("finish").await;
    rig.framework.comes_to(&id, TaskState::TaskFinished).await;
    let launch = within("the launch", launches.recv()).await.unwrap();
    assert_eq!(
        launch.executor_info.command.as_ref().unwrap().value(),
        COMMAND
    );
    assert_eq!(launch.environment["OPERATORS"], "own");
    assert_eq!(launch.environment["MESOS_EXECUTOR_ID"], "executor");
    assert_eq!(*launch.config.framework_id(), rig.framework.id);
    assert!(launch.sandbox().join("stderr").is_file());

    let offer = rig.framework.offer().await;
    let mut other = hosted("other", &offer);
    let executor = other.executor.as_mut().unwrap();
    executor.executor_id = "another".into();
    executor.command.as_mut().unwrap().value = Some("exit 3".into());
    let id = other.task_id.clone();
    rig.framework.launch(offer, vec![other]).await;
    let (exit, _) = rig.end_of(&id).await;
    assert_eq!(exit, 3 << 8);
    rig.end().await;
}

#[tokio::test]
async fn a_factory_that_panics_is_an_executor_that_fails() {
    let settings = |builder: LocalClusterBuilder| {
        builder.executor(COMMAND, || -> Player { panic!("as the test wants it") })
    };
    let mut rig = Rig::start("hosted-panics", settings).await;
    let id = rig.launch("finish").await;
    let (exit, _) = rig.end_of(&id).await;
    assert_eq!(exit, 101 << 8);
    rig.end().await;
}

#[tokio::test]
async fn the_master_string_local_takes_a_cluster_with_factories() {
    let (scheduler, mut recording) = recorder_that(|callback, driver| match callback {
        Callback::Offers(offers) => {
            let offer = offers[0].clone();
            let tasks = vec![hosted("finish", &offer)];
            Box::pin(async move {
                // A later offer's task is refused for its id; nobody looks.
                let launch = driver.launch_tasks(vec![offer.id], tasks, refuse_for_good());
                launch.await.unwrap();
            })
        }
        _ => crate::recorder::nothing(),
    });
    let cluster = crate::cluster::local()
        .allocation_interval(Duration::from_millis(50))
        .executor(COMMAND, player);
    let mut driver = SchedulerDriver::builder(scheduler, info("hosted-local"), "local")
        .content_type(content_type())
        .local_cluster(cluster)
        .build()
        .unwrap();
    driver.start().unwrap();
    recording
        .until("the end of the task", |callback| match callback {
            Callback::Status(status) => (status.state() == TaskState::TaskFinished).then_some(()),
            _ => None,
        })
        .await;
    driver.handle().stop();
    assert_eq!(driver.join().await.unwrap(), Status::Stopped);
}
