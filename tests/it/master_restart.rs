//! Masters and agents that die and come back.

use std::time::Duration;

use mesos_framework::proto::{TaskInfo, TaskState};
use mesos_framework::{Connection, ErrorKind};

use tokio::net::TcpStream;

use crate::bare_framework::{JSON, PATH};
use crate::cluster::{Agents, Needs, OwnCluster};
use crate::executor_role::{REREGISTERED, RUN, finish};
use crate::framework::{Framework, PATIENCE, QUIET, info, is_live, refuse};
use crate::http::try_request;
use crate::recorder::Callback;

/// How often a call that may be lost is repeated.
const REPEAT: Duration = Duration::from_millis(500);

/// Ends the master, sees the driver notice, and starts the master again.
async fn master_dies_and_returns(cluster: &mut OwnCluster, framework: &mut Framework) {
    let mut watch = framework.handle.watch_connection();
    cluster.kill_master();
    let is_down = |now: &Connection| !now.is_subscribed() && now.failed_attempts > 0;
    let down = tokio::time::timeout(PATIENCE, watch.until(is_down))
        .await
        .unwrap();
    let why = down.last_error.expect("why it is down");
    assert_eq!(why.kind(), ErrorKind::Connect, "{why}");
    assert!(why.to_string().contains(&cluster.address()), "{why}");
    framework
        .until("disconnected", |callback| match callback {
            Callback::Disconnected => Some(()),
            _ => None,
        })
        .await;
    let refused = framework
        .handle
        .reconcile_tasks(Vec::new())
        .await
        .unwrap_err();
    assert!(refused.is_disconnected(), "{refused}");

    cluster.restart_master().await;
    let id = framework.id.clone();
    framework
        .until("reregistered", |callback| match callback {
            Callback::Reregistered => Some(()),
            Callback::Disconnected | Callback::Registered(_) => panic!("{callback:?}"),
            _ => None,
        })
        .await;
    assert_eq!(framework.handle.framework_id(), Some(id));
    assert!(framework.handle.connection().is_subscribed());
}

/// What the steps of a master's return answer to SUBSCRIBE.
const RETURN: [(u16, &str); 3] = [
    (404, "404 Not Found."),
    (503, "Master has not finished recovery"),
    // With an invalid call, to make no framework.
    (
        400,
        "Failed to parse body into JSON: syntax error at line 1 near: ",
    ),
];

#[tokio::test]
async fn a_master_that_returns_has_no_routes_then_recovers_then_answers() {
    let Some(mut cluster) = OwnCluster::start(Needs::default()).await else {
        return;
    };
    cluster.kill_master();
    let address = cluster.address();
    assert!(TcpStream::connect(&address).await.is_err());
    cluster.restart_master().await;
    let mut seen: Vec<(u16, String)> = Vec::new();
    let answers = async {
        while seen.last().is_none_or(|(status, _)| *status != 400) {
            let answer = try_request(&address, "POST", PATH, &[JSON], b"").await;
            let Some(answer) = answer else {
                continue;
            };
            let answer = (answer.status, answer.text().to_owned());
            if seen.last() != Some(&answer) {
                seen.push(answer);
            }
        }
    };
    tokio::time::timeout(PATIENCE, answers).await.unwrap();
    let seen: Vec<_> = seen
        .iter()
        .map(|(status, text)| (*status, text.as_str()))
        .collect();
    // A real one may be through the second step between two questions.
    let mut steps = RETURN.iter();
    assert!(
        seen.iter().all(|own| steps.any(|step| step == own)),
        "{seen:?}"
    );
    if matches!(cluster, OwnCluster::Embedded(_)) {
        assert_eq!(seen, RETURN);
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn tasks_and_framework_outlive_the_master() {
    let Some(mut cluster) = OwnCluster::start(Needs::default()).await else {
        return;
    };
    let mut framework = Framework::register(&cluster.address(), info("master-restart")).await;
    let task = framework.run("survivor", RUN).await;
    master_dies_and_returns(&mut cluster, &mut framework).await;

    // The master answers nothing on the task before its agent has come back.
    let mut repeat = tokio::time::interval(REPEAT);
    let answer = loop {
        repeat.tick().await;
        let asked = vec![(task.task_id.clone(), Some(task.agent_id.clone()))];
        framework.handle.reconcile_tasks(asked).await.unwrap();
        let status = framework.status(&task.task_id);
        if let Ok(status) = tokio::time::timeout(REPEAT, status).await {
            break status;
        }
    };
    assert_eq!(answer.state(), TaskState::TaskRunning, "{answer:?}");
    framework
        .handle
        .kill_task(task.task_id.clone(), None)
        .await
        .unwrap();
    framework
        .comes_to(&task.task_id, TaskState::TaskKilled)
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn suppression_outlives_the_master() {
    let Some(mut cluster) = OwnCluster::start(Needs::default()).await else {
        return;
    };
    let mut framework = Framework::register(&cluster.address(), info("suppressed")).await;
    let suppressed = framework.handle.suppress_offers(Vec::new()).await.unwrap();
    assert!(suppressed.outcome().await.is_accepted());
    master_dies_and_returns(&mut cluster, &mut framework).await;
    // Another framework gets offers, so the agents are back.
    let mut other = Framework::register(&cluster.address(), info("other")).await;
    let offer = other.offer().await;
    other.decline(&[offer], refuse(0.0)).await;
    other.teardown().await;
    assert!(
        framework
            .is_without(QUIET, |callback| matches!(callback, Callback::Offers(_)))
            .await
    );
    framework.offer().await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_stop_while_the_master_is_away_tears_down_when_it_is_back() {
    let Some(mut cluster) = OwnCluster::start(Needs::default()).await else {
        return;
    };
    let mut framework = Framework::register(&cluster.address(), info("stopped-alone")).await;
    cluster.kill_master();
    framework
        .until("disconnected", |callback| {
            matches!(callback, Callback::Disconnected).then_some(())
        })
        .await;
    framework.handle.stop();
    cluster.restart_master().await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_task_of_a_checkpointing_framework_outlives_its_agent() {
    let needs = Needs {
        agents: Agents::Mortal,
        ..Needs::default()
    };
    let Some(mut cluster) = OwnCluster::start(needs).await else {
        return;
    };
    let mut info = info("agent-restart");
    info.checkpoint = Some(true);
    let mut framework = Framework::register(&cluster.address(), info).await;
    let task = framework.run("checkpointed", RUN).await;
    cluster.restart_agent(0).await;
    framework
        .until("the executor's return", |callback| match callback {
            Callback::Status(status) if status.task_id == task.task_id => {
                assert!(is_live(status.state()), "{status:?}");
                (status.message() == REREGISTERED).then_some(())
            }
            _ => None,
        })
        .await;
    finishes_when_told(&mut framework, &task).await;

    // Else it would wait for its agent a while, when that is gone.
    let executor_id = task.executor.unwrap().executor_id;
    framework
        .handle
        .shutdown_executor(executor_id, task.agent_id)
        .await
        .unwrap();
    framework
        .until("the executor's end", |callback| {
            matches!(callback, Callback::ExecutorLost(..)).then_some(())
        })
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

/// Messages are lost while the executor is between two subscriptions.
async fn finishes_when_told(framework: &mut Framework, task: &TaskInfo) {
    let executor_id = task.executor.clone().unwrap().executor_id;
    let mut repeat = tokio::time::interval(REPEAT);
    let handle = framework.handle.clone();
    let told = async {
        loop {
            repeat.tick().await;
            let (executor_id, agent_id) = (executor_id.clone(), task.agent_id.clone());
            handle
                .send_framework_message(executor_id, agent_id, finish(&task.task_id))
                .await
                .unwrap();
        }
    };
    tokio::select! {
        _ = framework.comes_to(&task.task_id, TaskState::TaskFinished) => {}
        () = told => {}
    }
}
