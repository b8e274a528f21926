//! Agents that are killed, that leave, and that begin again with what they left on their disk.

use std::time::Duration;

use mesos_framework::proto::task_status::Reason;
use mesos_framework::proto::{CommandInfo, FrameworkInfo, TaskState};
use serde_json::json;

use crate::agents::{agents_word, checkpointing, masters_word, operate};
use crate::cluster::{Agents, Needs, OwnCluster};
use crate::executor_environment::Directory;
use crate::executor_role::{FINISH, REREGISTERED, RUN, RUN_WITH_AGENT, STOP};
use crate::framework::{Framework, PATIENCE, QUIET, info, is_live, refuse, task};
use crate::http::request;
use crate::recorder::Callback;

const EXECUTORS_LIMIT: Duration = Duration::from_secs(5);

/// A cluster, and a framework of it.
async fn start(info: FrameworkInfo) -> (OwnCluster, Framework) {
    let cluster = OwnCluster::with(Agents::Mortal).await;
    let framework = Framework::register(&cluster.address(), info).await;
    (cluster, framework)
}

async fn end(cluster: OwnCluster, framework: Framework) {
    framework.teardown().await;
    cluster.shutdown().await;
}

impl Framework {
    /// Waits until an executor is subscribed again.
    async fn executor_returns(&mut self) {
        self.until("the executor's return", |callback| match callback {
            Callback::Status(status) => {
                assert!(is_live(status.state()), "{status:?}");
                (status.message() == REREGISTERED).then_some(())
            }
            _ => None,
        })
        .await;
    }
}

#[tokio::test]
async fn an_executor_that_is_not_back_in_time_is_killed() {
    let (mut cluster, mut framework) = start(checkpointing("executor-late")).await;
    let task = framework.run("late", RUN).await;
    let executor_id = task.executor.clone().unwrap().executor_id;
    framework
        .handle
        .send_framework_message(executor_id, task.agent_id.clone(), STOP)
        .await
        .unwrap();
    framework
        .until("the executor's answer", |callback| match callback {
            Callback::Message(.., data) => (data == STOP).then_some(()),
            _ => None,
        })
        .await;
    cluster.restart_agent(0).await;
    let (mut status, mut ended) = (None, None);
    while status.is_none() || ended.is_none() {
        framework
            .until("the end", |callback| match callback {
                Callback::Status(own) => {
                    status = Some(own.clone());
                    Some(())
                }
                Callback::ExecutorLost(.., own) => {
                    ended = Some(*own);
                    Some(())
                }
                _ => None,
            })
            .await;
    }
    let status = status.unwrap();
    let reason = Reason::ExecutorReregistrationTimeout;
    let message = "Executor did not reregister within 2secs";
    assert_eq!(agents_word(&status), (TaskState::TaskGone, reason, message));
    assert_eq!(ended, Some(Some(9)));
    end(cluster, framework).await;
}

#[tokio::test]
async fn tasks_without_checkpointing_are_lost_with_their_agent() {
    let (mut cluster, mut framework) = start(info("unchecked")).await;
    let task = framework.run("unchecked", RUN).await;
    cluster.kill_agent(0);
    let status = framework.status(&task.task_id).await;
    let message = "Agent localhost disconnected";
    assert_eq!(
        masters_word(&status),
        (TaskState::TaskLost, Reason::AgentDisconnected, message)
    );
    assert_eq!(
        status.executor_id,
        task.executor.map(|executor| executor.executor_id)
    );
    let asked = framework.reconciled(&task.task_id).await;
    assert_eq!(asked.state(), TaskState::TaskUnknown);
    let asked = framework.reconciled_on(&task.task_id, &task.agent_id).await;
    assert_eq!(asked.state(), TaskState::TaskGone);
    // The agent comes back without it.
    cluster.start_agent(0).await;
    let offer = framework.offer().await;
    assert_eq!(offer.agent_id, task.agent_id);
    assert!(offer.executor_ids.is_empty());
    end(cluster, framework).await;
}

#[tokio::test]
async fn offers_of_an_agent_that_dies_are_rescinded() {
    let (mut cluster, mut framework) = start(info("rescinded")).await;
    let offer = framework.offer().await;
    cluster.kill_agent(0);
    framework.rescinded(&offer.id).await;
    // Its loss is told only when it is given up.
    let is_loss = |callback: &Callback| matches!(callback, Callback::AgentLost(_));
    assert!(framework.is_without(QUIET, is_loss).await);
    end(cluster, framework).await;
}

#[tokio::test]
async fn a_kill_while_the_agent_is_away_is_made_up_for() {
    let (mut cluster, mut framework) = start(checkpointing("kill-later")).await;
    let task = framework.run("killed", RUN).await;
    let offer = framework.offer().await;
    cluster.kill_agent(0);
    framework.rescinded(&offer.id).await;
    let asked = framework.reconciled(&task.task_id).await;
    assert_eq!(asked.state(), TaskState::TaskRunning);
    let receipt = framework
        .handle
        .kill_task(task.task_id.clone(), None)
        .await
        .unwrap();
    assert!(receipt.outcome().await.is_accepted());
    cluster.start_agent(0).await;
    let status = framework
        .comes_to(&task.task_id, TaskState::TaskKilled)
        .await;
    assert_eq!(status.agent_id, Some(task.agent_id));
    end(cluster, framework).await;
}

#[tokio::test]
async fn a_recovering_agent_takes_nothing_but_subscriptions() {
    let needs = Needs {
        agents: Agents::Mortal,
        executor_reregistration: EXECUTORS_LIMIT,
        ..Needs::default()
    };
    let mut cluster = OwnCluster::start(needs).await.unwrap();
    let mut framework = Framework::register(&cluster.address(), checkpointing("recovering")).await;
    let task = framework.run("waits", RUN).await;
    cluster.restart_agent(0).await;
    framework_answers(&cluster, framework.id.value.as_str()).await;
    framework.executor_returns().await;
    framework.kill(&task.task_id).await;
    end(cluster, framework).await;
}

async fn framework_answers(cluster: &OwnCluster, framework_id: &str) {
    let (address, path) = (cluster.agent_address(0), cluster.agent_path(0));
    let executors = format!("{path}/api/v1/executor");
    let call = |kind: &str, framework_id: &str| {
        json!({
            "type": kind, "framework_id": { "value": framework_id },
            "executor_id": { "value": "nobody" }, "subscribe": {}, "message": { "data": "" },
        })
    };
    let not_recovered = (503, "Agent has not finished recovery");
    while tokio::net::TcpStream::connect(&address).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Before it has read its disk, it takes no subscriptions either.
    let mut answer = operate(&address, &executors, call("SUBSCRIBE", "nobody")).await;
    while answer.status == 503 || answer.status == 404 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        answer = operate(&address, &executors, call("SUBSCRIBE", "nobody")).await;
    }
    assert_eq!(
        (answer.status, answer.text()),
        (400, "Framework cannot be found")
    );
    let answer = operate(&address, &executors, call("SUBSCRIBE", framework_id)).await;
    assert_eq!(
        (answer.status, answer.text()),
        (400, "Executor cannot be found")
    );
    let answer = operate(&address, &executors, call("MESSAGE", framework_id)).await;
    assert_eq!((answer.status, answer.text()), not_recovered);
    let answer = operate(&address, &executors, call("HEARTBEAT", framework_id)).await;
    assert_eq!(answer.status, 202);
    let operators = format!("{path}/api/v1");
    let answer = operate(&address, &operators, json!({ "type": "GET_HEALTH" })).await;
    assert_eq!((answer.status, answer.text()), not_recovered);
    let answer = request(&address, "GET", &operators, &[], b"").await;
    assert_eq!((answer.status, answer.text()), not_recovered);
}

#[tokio::test]
async fn an_executor_that_ended_while_its_agent_was_away_has_failed_its_task() {
    let (mut cluster, mut framework) = start(checkpointing("ended-away")).await;
    let task = framework.run("ended", RUN_WITH_AGENT).await;
    cluster.restart_agent(0).await;
    let failed = TaskState::TaskFailed;
    let status = framework.comes_to(&task.task_id, failed).await;
    let reason = Reason::ExecutorTerminated;
    assert_eq!(
        agents_word(&status),
        (failed, reason, "Executor terminated")
    );
    let is_loss = |callback: &Callback| matches!(callback, Callback::ExecutorLost(..));
    assert!(framework.is_without(QUIET, is_loss).await);
    end(cluster, framework).await;
}

#[tokio::test]
async fn updates_that_are_not_acknowledged_survive_a_restart() {
    let mut cluster = OwnCluster::with(Agents::Mortal).await;
    let info = checkpointing("updates-kept");
    let mut framework = Framework::register_with(&cluster.address(), info, |builder| {
        builder.explicit_acknowledgements()
    })
    .await;
    let offer = framework.offer().await;
    let task = task("kept", FINISH, &offer);
    framework.launch(offer, vec![task.clone()]).await;
    let first = framework.status(&task.task_id).await;
    assert_eq!(first.state(), TaskState::TaskStarting);
    cluster.restart_agent(0).await;
    let again = framework.status(&task.task_id).await;
    assert_eq!(
        (&again.uuid, again.timestamp),
        (&first.uuid, first.timestamp)
    );
    let mut seen = Vec::new();
    let mut status = again;
    while seen.last() != Some(&TaskState::TaskFinished) {
        framework.acknowledge(&status).await;
        status = framework.status(&task.task_id).await;
        if seen.last() != Some(&status.state()) && status.uuid != first.uuid {
            seen.push(status.state());
        }
    }
    assert_eq!(seen, [TaskState::TaskRunning, TaskState::TaskFinished]);
    framework.acknowledge(&status).await;
    end(cluster, framework).await;
}

#[tokio::test]
async fn an_agent_that_leaves_in_order_loses_its_tasks() {
    let (mut cluster, mut framework) = start(checkpointing("leaves")).await;
    let task = framework.run("left", RUN).await;
    let offer = framework.offer().await;
    cluster.shut_agent_down(0);
    let status = framework.status(&task.task_id).await;
    let message = "Agent localhost removed: the agent unregistered";
    assert_eq!(
        masters_word(&status),
        (TaskState::TaskLost, Reason::AgentRemoved, message)
    );
    assert_eq!(framework.agent_lost().await, task.agent_id);
    let asked = framework.reconciled_on(&task.task_id, &task.agent_id).await;
    assert_eq!(asked.state(), TaskState::TaskUnknown);
    cluster.agent_ends(0).await;
    // It comes back under its id, with nothing.
    cluster.start_agent(0).await;
    framework.decline(&[offer], refuse(0.0)).await;
    let offer = framework.offer().await;
    assert_eq!(offer.agent_id, task.agent_id);
    assert!(offer.executor_ids.is_empty());
    end(cluster, framework).await;
}

#[tokio::test]
async fn a_launch_that_never_reached_the_agent_is_dropped_when_it_is_back() {
    let (mut cluster, mut framework) = start(checkpointing("launch-lost")).await;
    // The agent knows by now that it is registered.
    framework.run("before", RUN).await;
    let offer = framework.offer().await;
    let task = task("lost", RUN, &offer);
    cluster.partition_agent(0);
    framework.launch(offer, vec![task.clone()]).await;
    let asked = framework.reconciled(&task.task_id).await;
    assert_eq!(asked.state(), TaskState::TaskStaging);
    cluster.kill_agent(0);
    cluster.heal_agent(0);
    cluster.start_agent(0).await;
    let status = framework.status(&task.task_id).await;
    let message = "Reconciliation: task unknown to the agent";
    assert_eq!(
        agents_word(&status),
        (TaskState::TaskDropped, Reason::Reconciliation, message)
    );
    end(cluster, framework).await;
}

#[tokio::test]
async fn an_executor_that_never_subscribed_is_killed_after_a_restart() {
    let (mut cluster, mut framework) = start(checkpointing("waited")).await;
    let offer = framework.offer().await;
    let mut task = task("waited", RUN, &offer);
    // It never subscribes.
    let directory = Directory::new("waited");
    let started = directory.path("started");
    let command = format!("touch '{}'; exec sleep 1000", started.display());
    let executor = task.executor.as_mut().unwrap();
    executor.command = Some(CommandInfo {
        value: Some(command),
        ..CommandInfo::default()
    });
    framework.launch(offer, vec![task.clone()]).await;
    let runs = async {
        while !started.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, runs)
        .await
        .expect("it starts");
    cluster.restart_agent(0).await;
    let status = framework.status(&task.task_id).await;
    let reason = Reason::ExecutorReregistrationTimeout;
    let message = "Executor did not reregister within 2secs";
    assert_eq!(agents_word(&status), (TaskState::TaskGone, reason, message));
    end(cluster, framework).await;
}
