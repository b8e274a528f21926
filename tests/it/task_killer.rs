//! The toolkit's kills of real tasks.

use std::time::Duration;

use mesos_framework::proto::task_status::Reason;
use mesos_framework::proto::{TaskInfo, TaskState};
use mesos_framework::toolkit::{KillEnd, TaskTracker};

use crate::agents::{checkpointing, unaware};
use crate::cluster::{Agents, Cluster, Needs, OwnCluster};
use crate::command_rig::{policy, shell};
use crate::executor_role::{FINISH, RUN, executor};
use crate::framework::{info, task};
use crate::recorder::Callback;
use crate::tools_rig::{Equipped, Tools, soon};

fn state(end: &KillEnd) -> TaskState {
    end.status().state()
}

#[tokio::test]
async fn a_kill_tells_how_the_task_has_ended() {
    let cluster = Cluster::start().await;
    let mut own = Equipped::register(&cluster.address(), info("ends")).await;
    let runs = own.run("runs", RUN).await;
    let end = own.killed(&runs).await;
    assert!(matches!(end, KillEnd::Killed(_)), "{end:?}");
    // It has ended, and there never was the other.
    let end = own.killed(&runs).await;
    assert!(matches!(end, KillEnd::Gone(_)), "{end:?}");
    assert_eq!(state(&end), TaskState::TaskGone);
    let never = TaskInfo {
        task_id: "never".into(),
        ..runs.clone()
    };
    assert_eq!(state(&own.killed(&never).await), TaskState::TaskGone);
    let unknown = own.tools.killer.kill("never".into(), None);
    let end = soon("the kill", unknown).await.unwrap();
    assert_eq!(state(&end), TaskState::TaskUnknown);

    // Faster than the kill.
    let offer = own.framework.offer().await;
    let finishes = task("finishes", FINISH, &offer);
    own.launch(offer, vec![finishes.clone()]).await;
    let end = own.killed(&finishes).await;
    match state(&end) {
        TaskState::TaskFinished => assert!(matches!(end, KillEnd::EndedOtherwise(_))),
        TaskState::TaskKilled => assert!(matches!(end, KillEnd::Killed(_))),
        TaskState::TaskGone => assert!(matches!(end, KillEnd::Gone(_))),
        other => panic!("{other:?}"),
    }
    own.framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn without_partition_awareness_what_is_not_there_is_lost() {
    let cluster = Cluster::start().await;
    let mut own = Equipped::register(&cluster.address(), unaware("lost")).await;
    let offer = own.framework.offer().await;
    let never = task("never", RUN, &offer);
    own.framework.decline(&[offer], Default::default()).await;
    let end = own.killed(&never).await;
    assert!(matches!(end, KillEnd::Gone(_)), "{end:?}");
    assert_eq!(state(&end), TaskState::TaskLost);
    own.framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn kills_that_are_asked_for_while_the_master_is_dead_reach_the_tasks() {
    let mut cluster = OwnCluster::with(Agents::Two).await;
    let tools = Tools::with(
        TaskTracker::new(),
        |reconciler| reconciler,
        |killer| killer.calls_in_flight(2),
    );
    let info = checkpointing("dead-master");
    let mut own = Equipped::register_with(&cluster.address(), info, tools).await;
    // Many tasks of one executor.
    let offer = own.framework.offer().await;
    let shared = executor("executor of many");
    let tasks: Vec<_> = (0..10)
        .map(|number| TaskInfo {
            executor: Some(shared.clone()),
            ..task(&format!("task-{number}"), RUN, &offer)
        })
        .collect();
    own.launch(offer, tasks.clone()).await;
    let tracker = own.tools.tracker.clone();
    let all_run = tracker.until(|tasks| tasks.counts().of(TaskState::TaskRunning) == 10);
    soon("ten tasks", all_run).await;

    cluster.kill_master();
    own.framework
        .until("disconnected", |callback| {
            matches!(callback, Callback::Disconnected).then_some(())
        })
        .await;
    let kills: Vec<_> = tasks
        .into_iter()
        .map(|task| {
            let killer = own.tools.killer.clone();
            tokio::spawn(async move { killer.kill(task.task_id, Some(task.agent_id)).await })
        })
        .collect();
    cluster.restart_master().await;
    for kill in kills {
        let end = soon("the kill", kill).await.unwrap().unwrap();
        assert!(matches!(end, KillEnd::Killed(_)), "{end:?}");
    }
    assert_eq!(own.counts(TaskState::TaskKilled), (10, 10));
    assert!(own.tools.killer.is_empty());
    own.framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_task_on_an_unreachable_agent_is_killed_when_that_is_back() {
    let mut cluster = OwnCluster::with(Agents::One).await;
    for (info, away) in [
        (checkpointing("back"), TaskState::TaskUnreachable),
        (unaware("back-unaware"), TaskState::TaskLost),
    ] {
        let mut own = Equipped::register(&cluster.address(), info).await;
        let task = own.run("away", RUN).await;
        cluster.partition_agent(0);
        own.comes_to(&task.task_id, away).await;
        let kill = tokio::spawn({
            let (killer, task) = (own.tools.killer.clone(), task.clone());
            async move { killer.kill(task.task_id, Some(task.agent_id)).await }
        });
        // A master that is not asked for the agent says the same of a task that there never was.
        for answer in [TaskState::TaskUnknown, TaskState::TaskUnreachable] {
            let told = match away {
                TaskState::TaskLost => away,
                _ => answer,
            };
            let id = &task.task_id;
            let status = own.framework.status_because(id, Reason::Reconciliation);
            assert_eq!(status.await.state(), told);
        }
        assert!(!kill.is_finished());
        cluster.heal_agent(0);
        let end = soon("the kill", kill).await.unwrap().unwrap();
        assert!(matches!(end, KillEnd::Killed(_)), "{end:?}");
        assert_eq!(own.counts(TaskState::TaskKilled), (1, 1));
        own.framework.teardown().await;
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_task_that_takes_its_grace_is_given_none_in_the_end() {
    let needs = Needs {
        agents: Agents::One,
        built_in_executors: true,
        ..Needs::default()
    };
    let cluster = OwnCluster::start(needs).await.unwrap();
    let after = Duration::from_millis(500);
    let tools = Tools::with(
        TaskTracker::new(),
        |reconciler| reconciler,
        |killer| killer.escalate_after(after),
    );
    let mut own = Equipped::register_with(&cluster.address(), info("grace"), tools).await;
    let offer = own.framework.offer().await;
    let stubborn = TaskInfo {
        executor: None,
        command: Some(shell("trap '' TERM; while :; do sleep 0.1; done")),
        kill_policy: Some(policy(3600)),
        ..task("stubborn", "", &offer)
    };
    own.launch(offer, vec![stubborn.clone()]).await;
    own.comes_to(&stubborn.task_id, TaskState::TaskRunning)
        .await;
    let end = own.killed(&stubborn).await;
    assert!(matches!(end, KillEnd::Killed(_)), "{end:?}");
    own.framework.teardown().await;
    cluster.shutdown().await;
}
