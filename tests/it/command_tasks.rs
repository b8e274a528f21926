//! Tasks that are a command, under the built-in executor of the embedded cluster. (The tests' real agents come without
//! `mesos-executor`.)

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mesos_framework::local::{LocalCluster, LocalClusterBuilder};
use mesos_framework::proto::framework_info::{Capability, capability};
use mesos_framework::proto::task_status::{Reason, Source};
use mesos_framework::proto::{
    CommandInfo, DurationInfo, Environment, ExecutorId, FrameworkInfo, KillPolicy, TaskId,
    TaskInfo, TaskState, TaskStatus, environment,
};

use crate::framework::{Framework, info, is_live, task};
use crate::peer::within;
use crate::recorder::Callback;

/// A cluster with a directory to look into, and a framework.
struct Rig {
    cluster: LocalCluster,
    framework: Framework,
    directory: PathBuf,
}

impl Rig {
    /// None, after saying so, if the tests are to run on a real master.
    async fn start(test: &str) -> Option<Self> {
        Self::with(info(test)).await
    }

    async fn with(info: FrameworkInfo) -> Option<Self> {
        Self::on(info, |cluster| cluster).await
    }

    async fn on(
        info: FrameworkInfo,
        settings: impl FnOnce(LocalClusterBuilder) -> LocalClusterBuilder,
    ) -> Option<Self> {
        if std::env::var_os("MESOS_MASTER").is_some() {
            println!("skipped: the tests' real agents have no mesos-executor");
            return None;
        }
        let directory = std::env::temp_dir().join(format!("command-{}", uuid::Uuid::new_v4()));
        let cluster = LocalCluster::builder()
            .allocation_interval(Duration::from_millis(50))
            .work_directory(directory.clone());
        let cluster = settings(cluster).start().await.unwrap();
        let framework = Framework::register(&cluster.master_address(), info).await;
        Some(Self {
            cluster,
            framework,
            directory,
        })
    }

    async fn launch(&mut self, command: CommandInfo) -> TaskId {
        self.launch_with(command, |task| task).await
    }

    async fn launch_with(
        &mut self,
        command: CommandInfo,
        change: impl FnOnce(TaskInfo) -> TaskInfo,
    ) -> TaskId {
        let offer = self.framework.offer().await;
        let task = change(TaskInfo {
            executor: None,
            command: Some(command),
            ..task("command", "", &offer)
        });
        let id = task.task_id.clone();
        self.framework.launch(offer, vec![task]).await;
        id
    }

    /// All statuses of a task, the last one terminal. Nobody tells of the executor's end.
    async fn until_its_end(&mut self, task_id: &TaskId) -> Vec<TaskStatus> {
        let mut statuses = Vec::new();
        let ended = |callback: &Callback| {
            match callback {
                Callback::Status(status) if status.task_id == *task_id => {
                    assert_eq!(status.source(), Source::Executor);
                    assert_eq!(status.executor_id, Some(task_id.value.as_str().into()));
                    statuses.push(status.clone());
                }
                Callback::ExecutorLost(..) => panic!("{callback:?}"),
                _ => {}
            }
            let last = statuses.last()?;
            (!is_live(last.state())).then_some(())
        };
        self.framework.until("the end of the task", ended).await;
        statuses
    }

    async fn kill(&self, task_id: &TaskId) {
        let task_id = task_id.clone();
        self.framework
            .handle
            .kill_task(task_id, None)
            .await
            .unwrap();
    }

    async fn kill_within(&self, task_id: &TaskId, seconds: i64) {
        let mut call = mesos_framework::proto::scheduler::Call::default();
        call.r#type = Some(mesos_framework::proto::scheduler::call::Type::Kill as i32);
        call.kill = Some(mesos_framework::proto::scheduler::call::Kill {
            task_id: task_id.clone(),
            agent_id: None,
            kill_policy: Some(policy(seconds)),
        });
        self.framework.handle.call(call).await.unwrap();
    }

    /// Waits until the command has written a line into the file in its sandbox.
    async fn line_of(&self, file: &str) -> String {
        let read = async {
            loop {
                let found = find(&self.directory, file).map(std::fs::read_to_string);
                if let Some(Ok(text)) = found
                    && text.ends_with('\n')
                {
                    return text.trim_end().to_owned();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        within(file, read).await
    }

    fn text_of(&self, file: &str) -> String {
        std::fs::read_to_string(find(&self.directory, file).unwrap()).unwrap()
    }

    async fn end(self) {
        self.framework.teardown().await;
        self.cluster.shutdown().await;
        std::fs::remove_dir_all(self.directory).unwrap();
    }
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    for entry in std::fs::read_dir(folder).ok()? {
        let path = entry.ok()?.path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            if let Some(found) = find(&path, name) {
                return Some(found);
            }
        } else if path.file_name()? == name {
            return Some(path);
        }
    }
    None
}

fn shell(line: &str) -> CommandInfo {
    CommandInfo {
        value: Some(line.to_owned()),
        ..CommandInfo::default()
    }
}

fn seconds(seconds: i64) -> DurationInfo {
    let nanoseconds = seconds * 1_000_000_000;
    DurationInfo { nanoseconds }
}

fn policy(grace: i64) -> KillPolicy {
    KillPolicy {
        grace_period: Some(seconds(grace)),
    }
}

fn states(statuses: &[TaskStatus]) -> Vec<TaskState> {
    statuses.iter().map(TaskStatus::state).collect()
}

fn is_alive(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}

/// Waits until a process has ended; whether its parent has reaped it is the parent's affair.
async fn has_ended(pid: &str) {
    let status = Path::new("/proc").join(pid).join("status");
    let ended = async {
        while let Ok(text) = std::fs::read_to_string(&status)
            && !text.contains("State:\tZ")
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("the end of a process", ended).await;
}

/// Ignores SIGTERM, and says so before it can get one.
const STUBBORN: &str = "trap '' TERM; echo $$ > pid; while :; do sleep 1000; done";

/// The whole life of a command that ends by itself.
async fn ends(test: &str, command: CommandInfo, state: TaskState, message: &str) {
    let Some(mut rig) = Rig::start(test).await else {
        return;
    };
    let task_id = rig.launch(command).await;
    let statuses = rig.until_its_end(&task_id).await;
    let life = [TaskState::TaskStarting, TaskState::TaskRunning, state];
    assert_eq!(states(&statuses), life);
    let last = statuses.last().unwrap();
    assert_eq!(last.message(), message);
    assert_eq!(last.reason, None);
    rig.end().await;
}

#[tokio::test]
async fn a_command_that_exits_with_0_has_finished() {
    let finished = TaskState::TaskFinished;
    ends(
        "zero",
        shell("exit 0"),
        finished,
        "Command exited with status 0",
    )
    .await;
}

#[tokio::test]
async fn a_command_that_exits_with_3_has_failed() {
    let failed = TaskState::TaskFailed;
    ends(
        "three",
        shell("exit 3"),
        failed,
        "Command exited with status 3",
    )
    .await;
}

#[tokio::test]
async fn a_command_that_a_signal_ends_has_failed() {
    let message = "Command terminated with signal User defined signal 1";
    ends(
        "signal",
        shell("kill -USR1 $$"),
        TaskState::TaskFailed,
        message,
    )
    .await;
}

#[tokio::test]
async fn a_command_that_cannot_be_executed_has_failed() {
    let command = CommandInfo {
        shell: Some(false),
        ..shell("/there/is/no/such/program")
    };
    let message = "Command exited with status 1";
    ends("nothing", command, TaskState::TaskFailed, message).await;
}

#[tokio::test]
async fn arguments_are_given_as_they_are() {
    let Some(mut rig) = Rig::start("argv").await else {
        return;
    };
    let arguments = ["own name", "-c", "echo \"$0|$1\"", "$HOME", "a b"];
    let command = CommandInfo {
        shell: Some(false),
        arguments: arguments.map(str::to_owned).into(),
        ..shell("sh")
    };
    let task_id = rig.launch(command).await;
    let last = rig.until_its_end(&task_id).await.pop().unwrap();
    assert_eq!(last.state(), TaskState::TaskFinished, "{last:?}");
    assert_eq!(rig.text_of("stdout"), "$HOME|a b\n");
    rig.end().await;
}

#[tokio::test]
async fn a_command_sees_the_executors_environment_its_role_and_its_own() {
    let Some(mut rig) = Rig::start("environment").await else {
        return;
    };
    let variable = |name: &str, value: &str| environment::Variable {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        ..environment::Variable::default()
    };
    let variables = vec![variable("OWN", "mine"), variable("LIBPROCESS_PORT", "17")];
    let line = "echo $OWN $LIBPROCESS_PORT $MESOS_EXECUTOR_ID $MESOS_ALLOCATION_ROLE [$HOME]; \
                test $PWD = $MESOS_SANDBOX || exit 9; echo wrong >&2";
    let command = CommandInfo {
        environment: Some(Environment { variables }),
        ..shell(line)
    };
    let task_id = rig.launch(command).await;
    let last = rig.until_its_end(&task_id).await.pop().unwrap();
    assert_eq!(last.state(), TaskState::TaskFinished, "{last:?}");
    let role = &rig.framework.info.roles[0];
    assert_eq!(
        rig.text_of("stdout"),
        format!("mine 17 command {role} []\n")
    );
    assert_eq!(rig.text_of("stderr"), "wrong\n");
    rig.end().await;
}

#[tokio::test]
async fn a_killed_command_is_killed_even_if_it_exits_with_0() {
    let Some(mut rig) = Rig::start("killed").await else {
        return;
    };
    let line = "trap 'exit 0' TERM; echo $$ > pid; while :; do sleep 0.01; done";
    let task_id = rig.launch(shell(line)).await;
    rig.line_of("pid").await;
    rig.kill(&task_id).await;
    let statuses = rig.until_its_end(&task_id).await;
    let life = [
        TaskState::TaskStarting,
        TaskState::TaskRunning,
        TaskState::TaskKilled,
    ];
    assert_eq!(states(&statuses), life);
    assert_eq!(statuses[2].message(), "Command exited with status 0");
    rig.end().await;
}

#[tokio::test]
async fn a_framework_that_knows_killing_is_told_of_it() {
    let mut info = info("killing");
    info.capabilities.push(Capability {
        r#type: Some(capability::Type::TaskKillingState as i32),
    });
    let Some(mut rig) = Rig::with(info).await else {
        return;
    };
    let task_id = rig.launch(shell("echo $$ > pid; exec sleep 1000")).await;
    rig.line_of("pid").await;
    rig.kill(&task_id).await;
    let statuses = rig.until_its_end(&task_id).await;
    let life = [
        TaskState::TaskStarting,
        TaskState::TaskRunning,
        TaskState::TaskKilling,
        TaskState::TaskKilled,
    ];
    assert_eq!(states(&statuses), life);
    let message = "Command terminated with signal Terminated";
    assert_eq!(statuses[3].message(), message);
    rig.end().await;
}

#[tokio::test]
async fn what_ignores_sigterm_is_killed_when_its_grace_period_is_over() {
    let Some(mut rig) = Rig::start("grace").await else {
        return;
    };
    let with_policy = |task| TaskInfo {
        kill_policy: Some(policy(1)),
        ..task
    };
    let task_id = rig.launch_with(shell(STUBBORN), with_policy).await;
    let pid = rig.line_of("pid").await;
    let killed = Instant::now();
    rig.kill(&task_id).await;
    let last = rig.until_its_end(&task_id).await.pop().unwrap();
    assert!(killed.elapsed() >= Duration::from_secs(1));
    assert_eq!(last.state(), TaskState::TaskKilled);
    assert_eq!(last.message(), "Command terminated with signal Killed");
    assert!(!is_alive(&pid), "{pid} lives on");
    rig.end().await;
}

#[tokio::test]
async fn another_kill_shortens_the_grace_period() {
    let Some(mut rig) = Rig::start("shorter").await else {
        return;
    };
    let with_policy = |task| TaskInfo {
        kill_policy: Some(policy(3600)),
        ..task
    };
    let task_id = rig.launch_with(shell(STUBBORN), with_policy).await;
    rig.line_of("pid").await;
    rig.kill(&task_id).await;
    rig.kill_within(&task_id, 0).await;
    let last = rig.until_its_end(&task_id).await.pop().unwrap();
    assert_eq!(last.state(), TaskState::TaskKilled);
    assert_eq!(last.message(), "Command terminated with signal Killed");
    rig.end().await;
}

#[tokio::test]
async fn a_command_that_runs_too_long_has_failed() {
    let mut info = info("late");
    info.capabilities.push(Capability {
        r#type: Some(capability::Type::TaskKillingState as i32),
    });
    let Some(mut rig) = Rig::with(info).await else {
        return;
    };
    let limited = |task| TaskInfo {
        max_completion_time: Some(seconds(1)),
        ..task
    };
    let task_id = rig.launch_with(shell(STUBBORN), limited).await;
    let statuses = rig.until_its_end(&task_id).await;
    let life = [
        TaskState::TaskStarting,
        TaskState::TaskRunning,
        TaskState::TaskFailed,
    ];
    assert_eq!(states(&statuses), life);
    let reason = Reason::MaxCompletionTimeReached;
    assert_eq!(statuses[2].reason(), reason);
    assert_eq!(
        statuses[2].message(),
        "Command terminated with signal Killed"
    );
    rig.end().await;
}

#[tokio::test]
async fn a_shut_down_command_is_killed() {
    let Some(mut rig) = Rig::start("shutdown").await else {
        return;
    };
    let task_id = rig.launch(shell("echo $$ > pid; exec sleep 1000")).await;
    rig.line_of("pid").await;
    let agent_id = rig
        .framework
        .comes_to(&task_id, TaskState::TaskRunning)
        .await
        .agent_id
        .unwrap();
    let executor_id = ExecutorId::from(task_id.value.as_str());
    let mut call = mesos_framework::proto::scheduler::Call::default();
    call.r#type = Some(mesos_framework::proto::scheduler::call::Type::Shutdown as i32);
    call.shutdown = Some(mesos_framework::proto::scheduler::call::Shutdown {
        executor_id,
        agent_id,
    });
    rig.framework.handle.call(call).await.unwrap();
    let last = rig.until_its_end(&task_id).await.pop().unwrap();
    assert_eq!(last.state(), TaskState::TaskKilled);
    let message = "Command terminated with signal Terminated";
    assert_eq!(last.message(), message);
    rig.end().await;
}

#[tokio::test]
async fn a_running_commands_executor_is_not_in_offers_and_takes_nothing_of_them() {
    let Some(mut rig) = Rig::start("overhead").await else {
        return;
    };
    let task_id = rig.launch(shell("echo $$ > pid; exec sleep 1000")).await;
    rig.line_of("pid").await;
    let offer = rig.framework.offer().await;
    assert_eq!(offer.executor_ids, []);
    let cpus = crate::framework::amount(&offer.resources, "cpus");
    assert!((cpus - 3.98).abs() < 1e-6, "{cpus}");
    let status = rig.framework.reconciled(&task_id).await;
    assert_eq!(status.state(), TaskState::TaskRunning);
    rig.kill(&task_id).await;
    rig.framework
        .comes_to(&task_id, TaskState::TaskKilled)
        .await;
    rig.end().await;
}

#[tokio::test]
async fn a_command_dies_with_its_cluster() {
    let Some(mut rig) = Rig::start("cluster").await else {
        return;
    };
    let line = "sleep 1000 & echo $! > child; trap '' TERM; echo $$ > pid; wait";
    let task_id = rig.launch(shell(line)).await;
    let pid = rig.line_of("pid").await;
    let child = rig.line_of("child").await;
    let running = TaskState::TaskRunning;
    rig.framework.comes_to(&task_id, running).await;
    assert!(is_alive(&pid) && is_alive(&child));
    rig.framework.handle.abort();
    within("the shutdown", rig.cluster.shutdown()).await;
    // Not even as a zombie.
    assert!(!is_alive(&pid), "{pid} lives on");
    has_ended(&child).await;
    std::fs::remove_dir_all(rig.directory).unwrap();
}

#[tokio::test]
async fn a_dropped_cluster_takes_its_commands_along() {
    let Some(mut rig) = Rig::start("dropped").await else {
        return;
    };
    rig.launch(shell(STUBBORN)).await;
    let pid = rig.line_of("pid").await;
    rig.framework.handle.abort();
    drop(rig.cluster);
    let gone = async {
        while is_alive(&pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("the end of the command", gone).await;
    std::fs::remove_dir_all(rig.directory).unwrap();
}

#[tokio::test]
async fn a_killed_container_ends_its_command() {
    // Without any grace, the agent kills the container behind SHUTDOWN.
    let without_grace =
        |cluster: LocalClusterBuilder| cluster.executor_shutdown_grace_period(Duration::ZERO);
    let Some(mut rig) = Rig::on(info("container"), without_grace).await else {
        return;
    };
    let line = "sleep 1000 & echo $! > child; trap '' TERM; echo $$ > pid; wait; wait";
    rig.launch(shell(line)).await;
    let pid = rig.line_of("pid").await;
    let child = rig.line_of("child").await;
    rig.framework.teardown().await;
    has_ended(&pid).await;
    has_ended(&child).await;
    within("the shutdown", rig.cluster.shutdown()).await;
    assert!(!is_alive(&pid), "{pid} was not reaped");
    std::fs::remove_dir_all(rig.directory).unwrap();
}
