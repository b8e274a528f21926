//! Messages made by the short constructors, carried out by both clusters.

use std::time::Duration;

use mesos_framework::proto::offer::Operation;
use mesos_framework::proto::{
    CommandInfo, ExecutorInfo, HealthCheck, KillPolicy, Offer, OperationState, Resource,
    TaskGroupInfo, TaskInfo, TaskState,
};

use crate::command_rig::Rig;
use crate::executor_role::{append, executor};
use crate::framework::{Framework, info};
use crate::reservations::one_agent;

fn resources() -> [Resource; 2] {
    [Resource::scalar("cpus", 0.1), Resource::scalar("mem", 32.0)]
}

fn task(id: &str, offer: &Offer) -> TaskInfo {
    TaskInfo::new(id, offer.agent_id.clone(), resources())
}

#[tokio::test]
async fn commands_run_in_a_shell_and_without() {
    let mut rig = Rig::start("short").await;
    let framework = &mut rig.framework;
    let offer = framework.offer().await;
    let in_shell = CommandInfo::in_shell(r#"test "$GREETING" = hello"#).env("GREETING", "hello");
    let tasks = [
        task("shell", &offer).command(in_shell),
        task("argv", &offer).command(CommandInfo::argv(["test", "a b", "=", "a b"])),
    ];
    for task in &tasks {
        task.validate_on(std::slice::from_ref(&offer)).unwrap();
    }
    framework.launch(offer, tasks.to_vec()).await;
    let mut finished = 0;
    while finished < 2 {
        let status = framework.until("an update", |callback| match callback {
            crate::recorder::Callback::Status(status) => Some(status.clone()),
            _ => None,
        });
        let status = status.await;
        assert_ne!(status.state(), TaskState::TaskFailed, "{status:?}");
        finished += usize::from(status.state() == TaskState::TaskFinished);
    }
    rig.framework.teardown().await;
    rig.host.shutdown().await;
}

#[tokio::test]
async fn a_group_runs_under_the_executor_of_mesos() {
    let mut rig = Rig::start("group").await;
    let framework = &mut rig.framework;
    let offer = framework.offer().await;
    let of_executor = resources()
        .into_iter()
        .chain([Resource::scalar("disk", 16.0)]);
    let executor = ExecutorInfo::of_mesos("group", framework.id.clone(), of_executor);
    let healthy = HealthCheck::command(CommandInfo::argv(["true"]))
        .delay(Duration::ZERO)
        .interval(Duration::from_millis(100));
    let group = TaskGroupInfo::new([
        task("one", &offer)
            .command(CommandInfo::in_shell("exec sleep 1000"))
            .health_check(healthy)
            .kill_policy(KillPolicy::grace_period(Duration::from_secs(1))),
        task("other", &offer).command(CommandInfo::in_shell("exec sleep 1000")),
    ]);
    group
        .validate_on(&executor, std::slice::from_ref(&offer))
        .unwrap();
    let launch = Operation::launch_group(executor, group);
    launch
        .validate(&framework.info, &framework.info.roles[0])
        .unwrap();
    framework.operate(&offer, vec![launch]).await;
    framework
        .until("that it is healthy", |callback| match callback {
            crate::recorder::Callback::Status(status) if status.task_id == "one".into() => {
                assert_ne!(status.state(), TaskState::TaskError, "{status:?}");
                status.healthy.filter(|healthy| *healthy)
            }
            _ => None,
        })
        .await;
    let killed = framework.handle.kill_task("one".into(), None);
    killed.await.unwrap();
    framework
        .comes_to(&"one".into(), TaskState::TaskKilled)
        .await;
    rig.framework.teardown().await;
    rig.host.shutdown().await;
}

#[tokio::test]
async fn a_task_writes_into_a_volume_that_is_made_beside_it() {
    let cluster = one_agent().await;
    let mut framework = Framework::register(&cluster.address(), info("built")).await;
    let role = framework.role();
    let offer = framework.offer().await;
    let disk = Resource::scalar("disk", 32.0).reserved(&role, None);
    let volume = disk.clone().persistent("own", "data", None);
    let resources = resources().into_iter().chain([volume.clone()]);
    let writer = TaskInfo::new("writer", offer.agent_id.clone(), resources)
        .executor(executor("writer"))
        .payload(append("data/file", "a"));
    let operations = [
        Operation::reserve([disk]),
        Operation::create([volume.clone()]).id("created"),
        Operation::launch([writer]),
    ];
    for operation in &operations {
        operation.validate(&framework.info, &role).unwrap();
    }
    framework.operate(&offer, operations.into()).await;
    // Neither of the two waits for the other.
    let (mut is_created, mut is_written) = (false, false);
    while !(is_created && is_written) {
        let told = framework.until("news", |callback| match callback {
            crate::recorder::Callback::OperationStatus(status) => {
                assert_eq!(status.state(), OperationState::OperationFinished);
                Some(true)
            }
            crate::recorder::Callback::Status(status) => {
                assert_ne!(status.state(), TaskState::TaskError, "{status:?}");
                (status.state() == TaskState::TaskFinished).then_some(false)
            }
            _ => None,
        });
        match told.await {
            true => is_created = true,
            false => is_written = true,
        }
    }
    let offer = framework.offer_with(&volume).await;
    framework
        .finish(&offer, Operation::destroy([volume]).id("destroyed"))
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}
