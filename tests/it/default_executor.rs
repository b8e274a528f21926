//! Task groups under an executor of type DEFAULT. On real agents under this crate's default executor.

use std::collections::{BTreeMap, BTreeSet};

use mesos_framework::proto::offer::{Operation, operation};
use mesos_framework::proto::task_status::Reason;
use mesos_framework::proto::{
    CommandInfo, ContainerInfo, Environment, ExecutorInfo, HealthCheck, Offer, TaskGroupInfo,
    TaskId, TaskInfo, TaskState, TaskStatus, container_info, environment, executor_info,
    health_check,
};

use crate::cluster::Cluster;
use crate::command_rig::{Rig, has_ended, knows_killing, policy, seconds, shell, states};
use crate::framework::{Framework, info, is_live, refuse_for_good, scalar, task};
use crate::recorder::Callback;

const EXECUTOR: &str = "default";

const SLEEP: &str = "exec sleep 1000";

pub fn executor(framework: &Framework) -> ExecutorInfo {
    ExecutorInfo {
        executor_id: EXECUTOR.into(),
        r#type: Some(executor_info::Type::Default as i32),
        framework_id: Some(framework.id.clone()),
        resources: vec![
            scalar("cpus", 0.01),
            scalar("mem", 32.0),
            scalar("disk", 16.0),
        ],
        ..ExecutorInfo::default()
    }
}

pub fn command(id: &str, line: &str, offer: &Offer) -> TaskInfo {
    TaskInfo {
        executor: None,
        command: Some(shell(line)),
        ..task(id, "", offer)
    }
}

/// LAUNCH_GROUP.
pub fn grouped(executor: ExecutorInfo, tasks: Vec<TaskInfo>) -> Operation {
    Operation {
        r#type: Some(operation::Type::LaunchGroup as i32),
        launch_group: Some(operation::LaunchGroup {
            executor,
            task_group: TaskGroupInfo { tasks },
        }),
        ..Operation::default()
    }
}

async fn launch(framework: &Framework, offer: Offer, executor: ExecutorInfo, tasks: Vec<TaskInfo>) {
    let group = grouped(executor, tasks);
    let accepted = framework
        .handle
        .accept_offers(vec![offer.id], vec![group], refuse_for_good());
    accepted.await.unwrap();
}

/// A group of commands, each by its id and line, changed as wanted.
pub async fn group(rig: &mut Rig, lines: &[(&str, &str)], change: impl Fn(&mut TaskInfo)) {
    let offer = rig.framework.offer().await;
    let mut tasks: Vec<_> = lines
        .iter()
        .map(|(id, line)| command(id, line, &offer))
        .collect();
    tasks.iter_mut().for_each(change);
    launch(&rig.framework, offer, executor(&rig.framework), tasks).await;
}

/// What a framework is told of its tasks, and of the end of their executor.
#[derive(Default)]
pub struct Story {
    pub statuses: BTreeMap<String, Vec<TaskStatus>>,
    /// The raw wait status.
    end: Option<Option<i32>>,
}

impl Story {
    fn note(&mut self, callback: &Callback) {
        match callback {
            Callback::Status(status) => {
                let id = status.task_id.value.clone();
                self.statuses.entry(id).or_default().push(status.clone());
            }
            Callback::ExecutorLost(id, _, status) => {
                assert_eq!(id.value, EXECUTOR);
                self.end = Some(*status);
            }
            _ => {}
        }
    }

    pub fn states(&self, id: &str) -> Vec<TaskState> {
        states(&self.statuses[id])
    }

    pub fn last(&self, id: &str) -> &TaskStatus {
        self.statuses[id].last().unwrap()
    }

    fn has_ended(&self, id: &str) -> bool {
        let last = self.statuses.get(id).and_then(|own| own.last());
        last.is_some_and(|status| !is_live(status.state()))
    }
}

impl Rig {
    /// All that is told until the executor's end and those of these tasks.
    pub async fn story_of(&mut self, ids: &[&str]) -> Story {
        let mut story = Story::default();
        let told = |callback: &Callback| {
            story.note(callback);
            let is_over = story.end.is_some() && ids.iter().all(|id| story.has_ended(id));
            is_over.then_some(())
        };
        self.framework.until("the end of the executor", told).await;
        story
    }

    /// Until all of these tasks run.
    pub async fn until_running(&mut self, ids: &[&str]) {
        let mut missing: BTreeSet<_> = ids.iter().copied().collect();
        let running = |callback: &Callback| {
            if let Callback::Status(status) = callback
                && status.state() == TaskState::TaskRunning
            {
                missing.remove(status.task_id.value.as_str());
            }
            missing.is_empty().then_some(())
        };
        self.framework.until("running tasks", running).await;
    }
}

const TERMINATED: &str = "Command terminated with signal Terminated";

#[tokio::test]
async fn each_task_of_a_group_runs_in_a_sandbox_of_its_own() {
    let mut rig = Rig::start("sandboxes").await;
    let lines = [
        ("one", "echo of one"),
        ("two", "echo of two >&2; echo > mark"),
    ];
    group(&mut rig, &lines, |_| ()).await;
    let story = rig.story_of(&["one", "two"]).await;
    let life = [
        TaskState::TaskStarting,
        TaskState::TaskRunning,
        TaskState::TaskFinished,
    ];
    let mut containers = BTreeSet::new();
    for id in ["one", "two"] {
        assert_eq!(story.states(id), life);
        assert_eq!(story.last(id).message(), "Command exited with status 0");
        for status in &story.statuses[id] {
            assert_eq!(status.executor_id, Some(EXECUTOR.into()));
            let container = status.container_status.clone().unwrap();
            let container = container.container_id.unwrap();
            let parent = container.parent.unwrap();
            assert_eq!(parent.parent, None);
            containers.insert((id, container.value, parent.value));
        }
    }
    // It ended by itself.
    assert_eq!(story.end, Some(Some(0)));
    assert_eq!(containers.len(), 2);
    let mark = rig.path_of("mark");
    for (id, container, parent) in containers {
        let folder = mark.parent().unwrap().parent().unwrap().join(&container);
        assert!(folder.ends_with(format!("runs/{parent}/containers/{container}")));
        let read = |name| std::fs::read_to_string(folder.join(name)).unwrap();
        let (file, text) = match id {
            "one" => ("stdout", "of one\n"),
            _ => ("stderr", "of two\n"),
        };
        assert_eq!(read(file), text);
        let tasks = folder.parent().unwrap().parent().unwrap().join("tasks");
        assert_eq!(std::fs::read_link(tasks.join(id)).unwrap(), folder);
    }
    rig.end().await;
}

#[tokio::test]
async fn a_failed_task_takes_its_group_along_and_no_other() {
    let mut rig = Rig::start("fails").await;
    group(&mut rig, &[("other", SLEEP)], |_| ()).await;
    rig.until_running(&["other"]).await;
    group(&mut rig, &[("bad", "exit 3"), ("good", SLEEP)], |_| ()).await;
    let mut story = Story::default();
    let ended = |callback: &Callback| {
        story.note(callback);
        (story.has_ended("bad") && story.has_ended("good")).then_some(())
    };
    rig.framework.until("the end of the group", ended).await;
    assert_eq!(story.last("bad").state(), TaskState::TaskFailed);
    assert_eq!(story.last("bad").message(), "Command exited with status 3");
    assert_eq!(story.last("good").state(), TaskState::TaskKilled);
    assert_eq!(story.last("good").message(), TERMINATED);
    assert_eq!(story.last("good").reason, None);
    // The executor lives on for the other group, and is known to the master.
    let other = TaskId::from("other");
    let state = rig.framework.reconciled(&other).await.state();
    assert_eq!(state, TaskState::TaskRunning);
    let offer = rig.framework.offer().await;
    assert_eq!(offer.executor_ids, [EXECUTOR.into()]);
    rig.kill(&other).await;
    let story = rig.story_of(&["other"]).await;
    assert_eq!(story.last("other").state(), TaskState::TaskKilled);
    assert_eq!(story.end, Some(Some(0)));
    rig.end().await;
}

#[tokio::test]
async fn a_task_that_ends_well_leaves_its_group_alone() {
    let mut rig = Rig::start("finishes").await;
    let lines = [("short", "exit 0"), ("long", SLEEP)];
    group(&mut rig, &lines, |_| ()).await;
    let mut story = Story::default();
    let done = |callback: &Callback| {
        story.note(callback);
        let runs = story.statuses.get("long").is_some_and(|own| own.len() == 2);
        (runs && story.has_ended("short")).then_some(())
    };
    rig.framework.until("the end of one task", done).await;
    assert_eq!(story.last("short").state(), TaskState::TaskFinished);
    let long = TaskId::from("long");
    let state = rig.framework.reconciled(&long).await.state();
    assert_eq!(state, TaskState::TaskRunning);
    rig.kill(&long).await;
    let story = rig.story_of(&["long"]).await;
    assert_eq!(story.last("long").state(), TaskState::TaskKilled);
    rig.end().await;
}

#[tokio::test]
async fn a_killed_task_takes_its_group_along() {
    let mut rig = Rig::with(knows_killing("killed")).await;
    let stubborn = "trap '' TERM; echo $$ > pid; while :; do sleep 1000; done";
    group(
        &mut rig,
        &[("stubborn", stubborn), ("meek", SLEEP)],
        |task| {
            task.kill_policy = Some(policy(1));
        },
    )
    .await;
    let pid = rig.line_of("pid").await;
    rig.until_running(&["stubborn", "meek"]).await;
    rig.kill(&"stubborn".into()).await;
    let story = rig.story_of(&["stubborn", "meek"]).await;
    let life = [TaskState::TaskKilling, TaskState::TaskKilled];
    for (id, message) in [
        ("stubborn", "Command terminated with signal Killed"),
        ("meek", TERMINATED),
    ] {
        assert_eq!(story.states(id), life, "{id}");
        assert_eq!(story.last(id).message(), message);
    }
    assert_eq!(story.end, Some(Some(0)));
    has_ended(&pid).await;
    rig.end().await;
}

#[tokio::test]
async fn a_kill_may_override_the_grace_period() {
    let mut rig = Rig::start("override").await;
    let stubborn = "trap '' TERM; echo $$ > pid; while :; do sleep 1000; done";
    group(&mut rig, &[("stubborn", stubborn)], |task| {
        task.kill_policy = Some(policy(3600));
    })
    .await;
    rig.line_of("pid").await;
    rig.kill_within(&"stubborn".into(), 0).await;
    let story = rig.story_of(&["stubborn"]).await;
    assert_eq!(story.last("stubborn").state(), TaskState::TaskKilled);
    rig.end().await;
}

#[tokio::test]
async fn a_task_that_runs_too_long_fails_and_takes_its_group_along() {
    let mut rig = Rig::with(knows_killing("late")).await;
    group(&mut rig, &[("late", SLEEP), ("other", SLEEP)], |task| {
        if task.task_id.value == "late" {
            task.max_completion_time = Some(seconds(1));
        }
    })
    .await;
    let story = rig.story_of(&["late", "other"]).await;
    let life = [
        TaskState::TaskStarting,
        TaskState::TaskRunning,
        TaskState::TaskFailed,
    ];
    assert_eq!(story.states("late"), life);
    let reason = Reason::MaxCompletionTimeReached;
    assert_eq!(story.last("late").reason(), reason);
    assert_eq!(story.last("other").state(), TaskState::TaskKilled);
    rig.end().await;
}

#[tokio::test]
async fn an_unhealthy_task_is_killed_and_all_that_end_after_it_say_so() {
    let mut rig = Rig::start("unhealthy").await;
    // Commands of checks run where their task does, and see what it sees.
    let sick = HealthCheck {
        r#type: Some(health_check::Type::Command as i32),
        command: Some(shell("test $PWD = $MESOS_SANDBOX -a -e well -a $OWN = 1")),
        delay_seconds: Some(0.0),
        interval_seconds: Some(0.05),
        consecutive_failures: Some(1),
        grace_period_seconds: Some(1000.0),
        ..HealthCheck::default()
    };
    group(
        &mut rig,
        &[("sick", "touch well; exec sleep 1000"), ("other", SLEEP)],
        |task| {
            if task.task_id.value == "sick" {
                task.health_check = Some(sick.clone());
                let own = environment::Variable {
                    name: "OWN".into(),
                    value: Some("1".into()),
                    ..environment::Variable::default()
                };
                let variables = vec![own];
                task.command.as_mut().unwrap().environment = Some(Environment { variables });
            }
        },
    )
    .await;
    let well = |callback: &Callback| match callback {
        Callback::Status(status) => status.healthy,
        _ => None,
    };
    assert!(rig.framework.until("health", well).await);
    std::fs::remove_file(rig.path_of("well")).unwrap();
    let story = rig.story_of(&["sick", "other"]).await;
    assert_eq!(
        story.states("sick"),
        [TaskState::TaskRunning, TaskState::TaskKilled]
    );
    let first = &story.statuses["sick"][0];
    assert_eq!(first.healthy, Some(false));
    assert_eq!(first.reason(), Reason::TaskHealthCheckStatusUpdated);
    for id in ["sick", "other"] {
        assert_eq!(story.last(id).state(), TaskState::TaskKilled);
        assert_eq!(story.last(id).healthy, Some(false), "{id}");
    }
    rig.end().await;
}

#[tokio::test]
async fn a_task_sees_its_sandbox_address_and_role_and_nothing_of_the_executors() {
    let mut rig = Rig::start("environment").await;
    let line = "test $PWD = $MESOS_SANDBOX || exit 9; \
                echo [$MESOS_EXECUTOR_ID] [$MESOS_SLAVE_PID] $MESOS_CONTAINER_IP > seen; \
                echo $MESOS_ALLOCATION_ROLE >> seen";
    group(&mut rig, &[("looks", line)], |_| ()).await;
    let story = rig.story_of(&["looks"]).await;
    let last = story.last("looks");
    assert_eq!(last.state(), TaskState::TaskFinished, "{last:?}");
    let role = &rig.framework.info.roles[0];
    assert_eq!(rig.text_of("seen"), format!("[] [] 127.0.0.1\n{role}\n"));
    rig.end().await;
}

#[tokio::test]
async fn a_command_that_cannot_be_executed_fails_and_takes_its_group_along() {
    let mut rig = Rig::start("nothing").await;
    group(&mut rig, &[("nothing", ""), ("other", SLEEP)], |task| {
        if task.task_id.value == "nothing" {
            task.command = Some(CommandInfo {
                shell: Some(false),
                ..shell("/there/is/no/such/program")
            });
        }
    })
    .await;
    let story = rig.story_of(&["nothing", "other"]).await;
    let life = [
        TaskState::TaskStarting,
        TaskState::TaskRunning,
        TaskState::TaskFailed,
    ];
    assert_eq!(story.states("nothing"), life);
    let message = "Command exited with status 1";
    assert_eq!(story.last("nothing").message(), message);
    assert_eq!(story.last("other").state(), TaskState::TaskKilled);
    rig.end().await;
}

#[tokio::test]
async fn a_shut_down_executor_kills_all_its_tasks() {
    let mut rig = Rig::start("shutdown").await;
    group(&mut rig, &[("one", SLEEP), ("two", SLEEP)], |_| ()).await;
    rig.until_running(&["one", "two"]).await;
    let agent_id = rig.framework.reconciled(&"one".into()).await.agent_id;
    rig.shut_down(EXECUTOR.into(), agent_id.unwrap()).await;
    let story = rig.story_of(&["one", "two"]).await;
    for id in ["one", "two"] {
        assert_eq!(story.last(id).state(), TaskState::TaskKilled);
        assert_eq!(story.last(id).message(), TERMINATED);
    }
    assert_eq!(story.end, Some(Some(0)));
    rig.end().await;
}

#[tokio::test]
async fn tasks_of_groups_die_with_their_framework() {
    let mut rig = Rig::start("teardown").await;
    group(
        &mut rig,
        &[("one", "echo $$ > pid; exec sleep 1000")],
        |_| (),
    )
    .await;
    let pid = rig.line_of("pid").await;
    rig.until_running(&["one"]).await;
    rig.framework.teardown().await;
    has_ended(&pid).await;
    rig.host.shutdown().await;
    let _ = std::fs::remove_dir_all(rig.directory);
}

#[tokio::test]
async fn a_malformed_default_executor_is_refused_with_its_group() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("malformed")).await;
    let sound = executor(&framework);
    let docker = ContainerInfo {
        r#type: container_info::Type::Docker as i32,
        docker: Some(container_info::DockerInfo::default()),
        ..ContainerInfo::default()
    };
    let image = ContainerInfo {
        r#type: container_info::Type::Mesos as i32,
        mesos: Some(container_info::MesosInfo {
            image: Some(mesos_framework::proto::Image::default()),
        }),
        ..ContainerInfo::default()
    };
    let with = |container| ExecutorInfo {
        container: Some(container),
        ..sound.clone()
    };
    let commanded = ExecutorInfo {
        command: Some(shell("true")),
        ..sound.clone()
    };
    let cases = [
        (
            commanded,
            "'ExecutorInfo.command' must not be set for 'DEFAULT' executor",
        ),
        (
            with(docker),
            "'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor",
        ),
        (
            with(image),
            "'ExecutorInfo.container.mesos.image' must not be set for 'DEFAULT' executor",
        ),
    ];
    for (number, (executor, message)) in cases.into_iter().enumerate() {
        let offer = framework.offer().await;
        let task = command(&format!("malformed {number}"), "true", &offer);
        let task_id = task.task_id.clone();
        launch(&framework, offer, executor, vec![task]).await;
        let status = framework.status(&task_id).await;
        assert_eq!(status.state(), TaskState::TaskError);
        assert_eq!(status.reason(), Reason::TaskGroupInvalid);
        assert_eq!(status.message(), message);
    }
    framework.teardown().await;
    cluster.shutdown().await;
}
