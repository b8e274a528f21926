//! Tasks under executors, and the ends of both.

use std::collections::BTreeMap;

use mesos_framework::proto::{
    AgentId, ExecutorId, ExecutorInfo, Offer, TaskGroupInfo, TaskInfo, TaskState, TaskStatus,
    executor_info,
    offer::{Operation, operation},
    task_status::{Reason, Source},
};

use crate::cluster::Cluster;
use crate::executor_role::{FINISH, RUN, executor, exit, finish};
use crate::framework::{Framework, info, is_live, refuse_for_good, scalar, task};
use crate::recorder::Callback;

#[tokio::test]
async fn a_killed_task_tells_so() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("killed")).await;
    let task = framework.run("killed", RUN).await;
    framework
        .handle
        .kill_task(task.task_id.clone(), None)
        .await
        .unwrap();
    let status = framework
        .comes_to(&task.task_id, TaskState::TaskKilled)
        .await;
    assert_eq!(status.source(), Source::Executor);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn killing_an_unknown_task_answers_as_reconciliation() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("unknown")).await;
    framework
        .handle
        .kill_task("unknown".into(), None)
        .await
        .unwrap();
    let status = framework.status(&"unknown".into()).await;
    assert_eq!(status.state(), TaskState::TaskUnknown);
    assert_eq!(status.reason(), Reason::Reconciliation);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_executor_runs_several_tasks_and_obeys_messages() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("several")).await;
    let offer = framework.offer().await;
    let [one, other] = ["one", "other"].map(|id| TaskInfo {
        executor: Some(executor("both")),
        ..task(id, RUN, &offer)
    });
    let agent_id = offer.agent_id.clone();
    framework
        .launch(offer, vec![one.clone(), other.clone()])
        .await;
    let mut running = 0;
    framework
        .until("two running tasks", |callback| {
            if let Callback::Status(status) = callback
                && status.state() == TaskState::TaskRunning
            {
                running += 1;
            }
            (running == 2).then_some(())
        })
        .await;
    let order = finish(&other.task_id);
    framework
        .handle
        .send_framework_message("both".into(), agent_id.clone(), order)
        .await
        .unwrap();
    framework
        .comes_to(&other.task_id, TaskState::TaskFinished)
        .await;
    assert_eq!(
        framework.reconciled(&one.task_id).await.state(),
        TaskState::TaskRunning
    );

    // It stays, and takes the next task.
    framework.handle.revive_offers(Vec::new()).await.unwrap();
    let offer = framework
        .next_offer(|offer| offer.agent_id == agent_id)
        .await;
    assert_eq!(offer.executor_ids, [ExecutorId::from("both")]);
    let third = TaskInfo {
        executor: Some(executor("both")),
        ..task("third", FINISH, &offer)
    };
    framework.launch(offer, vec![third.clone()]).await;
    framework
        .comes_to(&third.task_id, TaskState::TaskFinished)
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_task_group_runs_under_a_custom_executor() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("group")).await;
    let offer = framework.offer().await;
    let executor = ExecutorInfo {
        framework_id: Some(framework.id.clone()),
        r#type: Some(executor_info::Type::Custom as i32),
        resources: vec![
            scalar("cpus", 0.01),
            scalar("mem", 32.0),
            scalar("disk", 10.0),
        ],
        ..executor("group")
    };
    let tasks = ["left", "right"].map(|id| TaskInfo {
        executor: None,
        ..task(id, FINISH, &offer)
    });
    let operation = launch_group(executor, tasks.to_vec());
    framework
        .handle
        .accept_offers(vec![offer.id], vec![operation], refuse_for_good())
        .await
        .unwrap();
    let mut finished = BTreeMap::new();
    framework
        .until("both tasks' ends", |callback| {
            if let Callback::Status(status) = callback {
                assert_eq!(status.executor_id, Some("group".into()), "{status:?}");
                if status.state() == TaskState::TaskFinished {
                    finished.insert(status.task_id.value.clone(), ());
                }
            }
            (finished.len() == 2).then_some(())
        })
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

fn launch_group(executor: ExecutorInfo, tasks: Vec<TaskInfo>) -> Operation {
    Operation {
        r#type: Some(operation::Type::LaunchGroup as i32),
        launch_group: Some(operation::LaunchGroup {
            executor,
            task_group: TaskGroupInfo { tasks },
        }),
        ..Operation::default()
    }
}

#[tokio::test]
async fn an_executor_that_is_shut_down_loses_its_tasks() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("shut-down")).await;
    let task = framework.run("orphan", RUN).await;
    let executor_id = task.executor.clone().unwrap().executor_id;
    framework
        .handle
        .shutdown_executor(executor_id.clone(), task.agent_id.clone())
        .await
        .unwrap();
    let (lost, status) = executor_end(&mut framework, &task).await;
    assert_eq!(lost, (executor_id, task.agent_id, Some(0)));
    assert_eq!(status.state(), TaskState::TaskFailed);
    assert_eq!(status.reason(), Reason::ExecutorTerminated);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_executor_that_exits_fails_its_tasks_and_tells_its_status() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("exits")).await;
    let task = framework.run("left-behind", RUN).await;
    let executor_id = task.executor.clone().unwrap().executor_id;
    framework
        .handle
        .send_framework_message(executor_id.clone(), task.agent_id.clone(), exit(5))
        .await
        .unwrap();
    let (lost, status) = executor_end(&mut framework, &task).await;
    assert_eq!(lost, (executor_id, task.agent_id, Some(5 << 8)));
    assert_eq!(status.state(), TaskState::TaskFailed);
    assert_eq!(status.reason(), Reason::ExecutorTerminated);
    assert_eq!(status.source(), Source::Agent);
    assert_eq!(status.message(), "Executor terminated");
    assert!(
        status.uuid.is_some(),
        "agents' updates are to be acknowledged"
    );
    framework.teardown().await;
    cluster.shutdown().await;
}

type Lost = (ExecutorId, AgentId, Option<i32>);

/// `executor_lost` and the last status of its task, whichever comes first.
async fn executor_end(framework: &mut Framework, task: &TaskInfo) -> (Lost, TaskStatus) {
    let (mut lost, mut last) = (None, None);
    framework
        .until("the end of executor and task", |callback| {
            match callback {
                Callback::ExecutorLost(executor_id, agent_id, status) => {
                    lost = Some((executor_id.clone(), agent_id.clone(), *status));
                }
                Callback::Status(status) if status.task_id == task.task_id => {
                    last = Some(status.clone());
                }
                _ => {}
            }
            lost.clone().zip(last.clone())
        })
        .await
}

#[tokio::test]
async fn an_executor_that_cannot_start_fails_its_task() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("no-program")).await;
    let offer = framework.offer().await;
    let mut task = task("no-program", FINISH, &offer);
    let command = &mut task.executor.as_mut().unwrap().command.as_mut().unwrap();
    command.value = Some("/nowhere/no-such-program".into());
    framework.launch(offer, vec![task.clone()]).await;
    let status = framework.status(&task.task_id).await;
    assert_eq!(status.state(), TaskState::TaskFailed, "{status:?}");
    assert_eq!(status.source(), Source::Agent);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn invalid_tasks_end_with_the_masters_words() {
    type Spoil = fn(&mut TaskInfo, &Offer);
    let cases: [(&str, Spoil, &str); 5] = [
        ("a/b", |_, _| {}, "'a/b' contains invalid characters"),
        (
            "poor",
            |task, _| task.resources.clear(),
            "Task uses no resources",
        ),
        (
            "both",
            |task, _| {
                let executor = task.executor.clone().unwrap();
                task.command = executor.command;
            },
            "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present",
        ),
        (
            "elsewhere",
            |task, _| task.agent_id = "elsewhere".into(),
            "Task uses invalid agent elsewhere while agent ",
        ),
        (
            "greedy",
            |task, _| task.resources = vec![scalar("cpus", 1e6)],
            "Total resources ",
        ),
    ];
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("invalid")).await;
    for (id, spoil, text) in cases {
        let offer = framework.offer().await;
        let mut task = task(id, FINISH, &offer);
        spoil(&mut task, &offer);
        let foreseen = task.validate_on(std::slice::from_ref(&offer)).unwrap_err();
        framework.launch(offer, vec![task.clone()]).await;
        let status = framework.status(&task.task_id).await;
        assert_eq!(foreseen.to_string(), status.message());
        assert_eq!(status.state(), TaskState::TaskError, "{status:?}");
        assert_eq!(status.reason(), Reason::TaskInvalid);
        assert_eq!(status.source(), Source::Master);
        assert!(
            status.message().contains(text),
            "{id}: {}",
            status.message()
        );
        assert!(status.uuid.is_none());
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_invalid_task_does_not_harm_its_neighbours() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("neighbours")).await;
    let offer = framework.offer().await;
    let mut bad = task("bad", FINISH, &offer);
    bad.resources.clear();
    let good = task("good", FINISH, &offer);
    framework
        .launch(offer, vec![bad.clone(), good.clone()])
        .await;
    let mut ends = BTreeMap::new();
    framework
        .until("both tasks' ends", |callback| {
            if let Callback::Status(status) = callback
                && !is_live(status.state())
            {
                ends.insert(status.task_id.value.clone(), status.state());
            }
            (ends.len() == 2).then_some(())
        })
        .await;
    assert_eq!(
        (ends["bad"], ends["good"]),
        (TaskState::TaskError, TaskState::TaskFinished)
    );
    framework.teardown().await;
    cluster.shutdown().await;
}
