//! Faults of the embedded cluster, and our drivers under them.

use std::time::Duration;

use mesos_framework::local::{ClusterState, LocalCluster, LocalClusterBuilder};
use mesos_framework::proto::{TaskInfo, TaskState};
use mesos_framework::{Connection, ErrorKind, Outcome, SchedulerDriverBuilder};

use crate::executor_role::{FINISH, REREGISTERED, RUN};
use crate::framework::{Framework, PATIENCE, QUIET, info, refuse_for_good, task};
use crate::recorder::Callback;
use crate::support::{SOON, outcome};

/// Heartbeats of the tests that miss them.
const HEARTBEAT: Duration = Duration::from_millis(100);

async fn cluster(
    settings: impl FnOnce(LocalClusterBuilder) -> LocalClusterBuilder,
) -> LocalCluster {
    let builder = crate::cluster::local().allocation_interval(Duration::from_millis(50));
    settings(builder).start().await.unwrap()
}

async fn register(cluster: &LocalCluster, test: &str) -> Framework {
    let settings = |builder: SchedulerDriverBuilder| builder.backoff(SOON);
    Framework::register_with(&cluster.master_address(), info(test), settings).await
}

/// Runs a task, and waits until the driver has acknowledged all that was said of it.
async fn run(cluster: &LocalCluster, framework: &mut Framework, id: &str) -> TaskInfo {
    let task = framework.run(id, RUN).await;
    acknowledged(cluster, framework, &task).await;
    task
}

/// The task is running, and its last update acknowledged.
async fn acknowledged(cluster: &LocalCluster, framework: &Framework, task: &TaskInfo) {
    let is_done = |state: &ClusterState| {
        let task = state.task(&framework.id, &task.task_id);
        task.is_some_and(|own| own.state == TaskState::TaskRunning && !own.awaits_acknowledgement)
    };
    cluster.until(PATIENCE, is_done).await.unwrap();
}

/// The subscription is lost and renewed, under the same id.
async fn renewed(framework: &mut Framework) {
    disconnected(framework).await;
    reregistered(framework).await;
}

async fn disconnected(framework: &mut Framework) {
    framework
        .until("disconnected", |callback| {
            assert!(!matches!(callback, Callback::Registered(_)));
            matches!(callback, Callback::Disconnected).then_some(())
        })
        .await;
}

async fn reregistered(framework: &mut Framework) {
    framework
        .until("reregistered", |callback| {
            assert!(!matches!(callback, Callback::Registered(_)));
            matches!(callback, Callback::Reregistered).then_some(())
        })
        .await;
    assert_eq!(framework.handle.framework_id(), Some(framework.id.clone()));
}

#[tokio::test]
async fn the_state_tells_what_there_is() {
    let cluster = cluster(|builder| builder.agents(2)).await;
    let mut framework = register(&cluster, "seen").await;
    let task = run(&cluster, &mut framework, "seen").await;
    let state = cluster.state();
    assert!(state.is_master_alive);
    let own = state.framework(&framework.id).unwrap();
    assert!(own.is_connected);
    assert_eq!(own.name, framework.info.name);
    assert_eq!(own.roles, framework.info.roles);
    assert!(own.suppressed_roles.is_empty());
    let addresses: Vec<_> = state.agents.iter().map(|own| own.address.clone()).collect();
    assert_eq!(addresses, cluster.agent_addresses());
    assert!(state.agents.iter().all(|agent| agent.is_connected));
    assert!(state.agents[0].resources.contains("cpus"));
    let own = state.task(&framework.id, &task.task_id).unwrap();
    assert_eq!(own.agent_id, task.agent_id);
    assert_eq!(state.executors.len(), 1);
    assert!(state.executors[0].is_registered);
    assert_eq!(own.executor_id.as_ref(), Some(&state.executors[0].id));

    framework.handle.suppress_offers(Vec::new()).await.unwrap();
    let roles = framework.info.roles.clone();
    cluster
        .until(PATIENCE, |state| {
            let own = state.framework(&framework.id);
            own.is_some_and(|own| own.suppressed_roles == roles)
        })
        .await
        .unwrap();
    framework.teardown().await;
    let is_empty = |state: &ClusterState| {
        state.frameworks.is_empty() && state.tasks.is_empty() && state.executors.is_empty()
    };
    cluster.until(PATIENCE, is_empty).await.unwrap();
    cluster.kill_master();
    assert!(!cluster.state().is_master_alive);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_state_that_does_not_come_is_a_timeout_with_the_last_one() {
    let cluster = cluster(|builder| builder.agents(2)).await;
    let limit = Duration::from_millis(20);
    let error = cluster.until(limit, |_| false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let text = error.to_string();
    assert!(text.contains("20ms"), "{text}");
    assert!(text.contains("2 of 2 agents registered"), "{text}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_cut_connection_costs_neither_id_nor_tasks() {
    let cluster = cluster(|builder| builder).await;
    let mut framework = register(&cluster, "cut").await;
    let task = run(&cluster, &mut framework, "kept").await;
    let tasks = cluster.state().tasks;
    assert!(cluster.disconnect_framework(&framework.id));
    renewed(&mut framework).await;
    assert_eq!(cluster.state().tasks, tasks);
    let answer = framework.reconciled(&task.task_id).await;
    assert_eq!(answer.state(), TaskState::TaskRunning);
    assert!(!cluster.disconnect_framework(&"nobody".into()));
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_update_lost_with_the_connection_comes_again_and_is_acknowledged() {
    let cluster = cluster(|builder| builder).await;
    let mut framework = register(&cluster, "unheard").await;
    let offer = framework.offer().await;
    let task = task("unheard", RUN, &offer);
    cluster.stall_streams();
    framework.launch(offer, vec![task.clone()]).await;
    cluster
        .until(PATIENCE, |state| !state.executors.is_empty())
        .await
        .unwrap();
    assert!(cluster.disconnect_framework(&framework.id));
    cluster.resume_streams();
    renewed(&mut framework).await;
    acknowledged(&cluster, &framework, &task).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn without_heartbeats_the_subscription_is_renewed() {
    let cluster = cluster(|builder| builder.heartbeat_interval(HEARTBEAT)).await;
    let mut framework = register(&cluster, "heartless").await;
    // Offers count as life.
    framework.handle.suppress_offers(Vec::new()).await.unwrap();
    cluster.withhold_heartbeats();
    disconnected(&mut framework).await;
    cluster.resume_heartbeats();
    reregistered(&mut framework).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_stalled_stream_is_given_up_and_renewed() {
    let cluster = cluster(|builder| builder.heartbeat_interval(HEARTBEAT)).await;
    let mut framework = register(&cluster, "stalled").await;
    cluster.stall_streams();
    disconnected(&mut framework).await;
    cluster.resume_streams();
    reregistered(&mut framework).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn bytes_one_by_one_change_nothing() {
    let cluster = cluster(|builder| builder).await;
    cluster.split_writes();
    let mut framework = register(&cluster, "split").await;
    let task = run(&cluster, &mut framework, "split").await;
    let killed = framework.handle.kill_task(task.task_id.clone(), None);
    assert!(outcome(killed.await.unwrap()).await.is_accepted());
    framework
        .comes_to(&task.task_id, TaskState::TaskKilled)
        .await;
    cluster.join_writes();
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn garbage_ends_the_subscription_and_says_so() {
    let cluster = cluster(|builder| builder).await;
    let mut framework = register(&cluster, "garbage").await;
    let mut watch = framework.handle.watch_connection();
    assert!(cluster.send_garbage(&framework.id));
    let is_told = |now: &Connection| now.last_error.is_some();
    let told = tokio::time::timeout(PATIENCE, watch.until(is_told)).await;
    let error = told.unwrap().last_error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    renewed(&mut framework).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_refused_call_comes_back_with_the_text() {
    let cluster = cluster(|builder| builder).await;
    let framework = register(&cluster, "refused").await;
    cluster.refuse_next_call(400, "not today").unwrap();
    let refused = framework.handle.reconcile_tasks(Vec::new()).await.unwrap();
    match outcome(refused).await {
        Outcome::Refused {
            status, message, ..
        } => assert_eq!((status, message.as_str()), (400, "not today")),
        other => panic!("{other:?}"),
    }
    let next = framework.handle.reconcile_tasks(Vec::new()).await.unwrap();
    assert!(outcome(next).await.is_accepted());
    let error = cluster.refuse_next_call(100, "").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_refused_acknowledgement_is_made_again() {
    let cluster = cluster(|builder| builder.update_retry_interval(HEARTBEAT)).await;
    let mut framework = register(&cluster, "unthanked").await;
    let offer = framework.offer().await;
    let task = task("unthanked", RUN, &offer);
    // So that no acknowledgement comes before the refusal is asked for.
    cluster.stall_streams();
    let launched =
        framework
            .handle
            .launch_tasks(vec![offer.id], vec![task.clone()], refuse_for_good());
    assert!(outcome(launched.await.unwrap()).await.is_accepted());
    cluster.refuse_next_call(503, "busy").unwrap();
    cluster.resume_streams();
    acknowledged(&cluster, &framework, &task).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_lost_answer_leaves_the_outcome_unknown() {
    let cluster = cluster(|builder| builder).await;
    let mut framework = register(&cluster, "unanswered").await;
    let task = run(&cluster, &mut framework, "unanswered").await;
    cluster.lose_next_answer();
    let kill = framework.handle.kill_task(task.task_id.clone(), None);
    let outcome = outcome(kill.await.unwrap()).await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    framework
        .comes_to(&task.task_id, TaskState::TaskKilled)
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_duplicated_update_is_delivered_and_acknowledged_twice() {
    let cluster = cluster(|builder| builder).await;
    let mut framework = register(&cluster, "twice").await;
    cluster.duplicate_next_update();
    let offer = framework.offer().await;
    let task = task("twice", FINISH, &offer);
    framework.launch(offer, vec![task.clone()]).await;
    let first = framework.status(&task.task_id).await;
    let second = framework.status(&task.task_id).await;
    assert_eq!(first.state(), TaskState::TaskStarting);
    assert_eq!(first, second);
    framework
        .comes_to(&task.task_id, TaskState::TaskFinished)
        .await;
    cluster
        .until(PATIENCE, |state| state.tasks.is_empty())
        .await
        .unwrap();
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn rescinded_offers_are_told_of_and_made_again() {
    let cluster = cluster(|builder| builder).await;
    let mut framework = register(&cluster, "rescinded").await;
    let offer = framework.offer().await;
    cluster.rescind_all_offers();
    framework
        .until("the end of the offer", |callback| {
            matches!(callback, Callback::Rescinded(id) if *id == offer.id).then_some(())
        })
        .await;
    let next = framework.offer().await;
    assert_ne!(next.id, offer.id);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_killed_executor_is_lost_with_its_task() {
    let cluster = cluster(|builder| builder).await;
    let mut framework = register(&cluster, "killed").await;
    let task = run(&cluster, &mut framework, "killed").await;
    let executor_id = task.executor.unwrap().executor_id;
    assert!(cluster.kill_executor(&framework.id, &executor_id));
    let (lost, status) = framework
        .until("the executor's end", |callback| match callback {
            Callback::ExecutorLost(id, _, status) => Some((id.clone(), *status)),
            _ => None,
        })
        .await;
    assert_eq!((lost, status), (executor_id.clone(), Some(9)));
    framework
        .comes_to(&task.task_id, TaskState::TaskFailed)
        .await;
    assert!(!cluster.kill_executor(&framework.id, &executor_id));
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_disconnected_executor_subscribes_again() {
    let cluster = cluster(|builder| builder).await;
    let mut info = info("executor-cut");
    info.checkpoint = Some(true);
    let mut framework = Framework::register(&cluster.master_address(), info).await;
    let task = run(&cluster, &mut framework, "cut").await;
    let executor_id = task.executor.unwrap().executor_id;
    assert!(cluster.disconnect_executor(&framework.id, &executor_id));
    loop {
        let status = framework.status(&task.task_id).await;
        assert_eq!(status.state(), TaskState::TaskRunning, "{status:?}");
        if status.message() == REREGISTERED {
            break;
        }
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn everything_that_lasts_or_waits_ends_when_faults_are_cleared() {
    let cluster = cluster(|builder| builder).await;
    let mut framework = register(&cluster, "cleared").await;
    cluster.withhold_heartbeats();
    cluster.stall_streams();
    cluster.split_writes();
    cluster.delay_writes(PATIENCE);
    assert!(cluster.partition_agent(0));
    cluster.refuse_next_call(500, "not now").unwrap();
    cluster.lose_next_answer();
    cluster.refuse_next_executor_call(500, "not now").unwrap();
    cluster.lose_next_executor_answer();
    cluster.duplicate_next_update();
    cluster.clear_faults();
    let offer = framework.offer().await;
    let task = task("undisturbed", FINISH, &offer);
    framework.launch(offer, vec![task.clone()]).await;
    for state in [
        TaskState::TaskStarting,
        TaskState::TaskRunning,
        TaskState::TaskFinished,
    ] {
        let status = framework.status(&task.task_id).await;
        assert_eq!(status.state(), state);
    }
    let is_disturbed = |callback: &Callback| !matches!(callback, Callback::Offers(_));
    assert!(framework.is_without(QUIET, is_disturbed).await);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_was_said_during_a_partition_arrives_when_faults_are_cleared() {
    let cluster = cluster(|builder| builder).await;
    let mut framework = register(&cluster, "healed").await;
    let offer = framework.offer().await;
    let own = task("late", FINISH, &offer);
    assert!(cluster.partition_agent(0));
    framework.launch(offer, vec![own.clone()]).await;
    let asked = framework.reconciled(&own.task_id).await;
    assert_eq!(asked.state(), TaskState::TaskStaging);
    cluster.clear_faults();
    framework
        .comes_to(&own.task_id, TaskState::TaskFinished)
        .await;
    // Nothing of it is left for the end of a later one.
    assert!(cluster.partition_agent(0));
    assert!(cluster.heal_agent(0));
    let is_late = |callback: &Callback| matches!(callback, Callback::Status(_));
    assert!(framework.is_without(QUIET, is_late).await);
    framework.teardown().await;
    cluster.shutdown().await;
}
