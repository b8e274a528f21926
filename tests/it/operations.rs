//! Operations that are reported: their statuses, until they are acknowledged.

use std::time::Duration;

use mesos_framework::proto::scheduler::call::reconcile_operations;
use mesos_framework::proto::{OperationState, OperationStatus};

use crate::cluster::{Agents, OwnCluster};
use crate::framework::{Framework, amount, info, scalar};
use crate::operator::Api;
use crate::recorder::Callback;
use crate::reservations::{one_agent, reserve, reserved, reserved_for};

/// Mesos delivers again after 10 s first.
const BEFORE_RETRY: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_finished_operation_is_told_with_agent_and_uuid() {
    let cluster = one_agent().await;
    let mut framework = Framework::register(&cluster.address(), info("told")).await;
    let offer = framework.offer().await;
    let own = vec![reserved(scalar("cpus", 1.0), &framework.role())];
    framework.operate(&offer, vec![reserve("told", own)]).await;
    let status = framework.operation_status().await;
    assert_eq!(status.uuid.as_ref().unwrap().value.len(), 16);
    let expected = OperationStatus {
        operation_id: Some("told".into()),
        state: OperationState::OperationFinished as i32,
        agent_id: Some(offer.agent_id),
        uuid: status.uuid.clone(),
        ..OperationStatus::default()
    };
    assert_eq!(status, expected);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_status_is_sent_until_it_is_acknowledged() {
    let cluster = one_agent().await;
    let address = cluster.address();
    let settings =
        |builder: mesos_framework::SchedulerDriverBuilder| builder.explicit_acknowledgements();
    let mut framework = Framework::register_with(&address, info("repeated"), settings).await;
    let offer = framework.offer().await;
    let own = vec![reserved(scalar("cpus", 1.0), &framework.role())];
    framework
        .operate(&offer, vec![reserve("repeated", own)])
        .await;
    let first = framework.operation_status().await;
    let since = std::time::Instant::now();
    let again = framework.operation_status().await;
    assert!(since.elapsed() > BEFORE_RETRY, "{:?}", since.elapsed());
    assert_eq!(first, again);
    let api = Api::of_master(&address);
    let known = api.ask("GET_OPERATIONS").await;
    let [known] = known["operations"].as_array().unwrap().as_slice() else {
        panic!("{known}");
    };
    assert_eq!(known["framework_id"]["value"], framework.id.value);
    assert_eq!(known["agent_id"]["value"], offer.agent_id.value);
    assert_eq!(known["info"]["type"], "RESERVE");
    assert_eq!(known["info"]["id"]["value"], "repeated");
    assert_eq!(known["latest_status"]["state"], "OPERATION_FINISHED");
    assert_eq!(known["statuses"].as_array().unwrap().len(), 1);
    framework
        .handle
        .acknowledge_operation_status(&again)
        .await
        .unwrap();
    let agents = api.ask("GET_AGENTS").await;
    let agent = Api::of_agent(agents["agents"][0]["pid"].as_str().unwrap());
    for api in [api, agent] {
        while api.ask("GET_OPERATIONS").await["operations"][0].is_object() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

fn asked(id: &str, agent_id: Option<&str>) -> reconcile_operations::Operation {
    reconcile_operations::Operation {
        operation_id: id.into(),
        agent_id: agent_id.map(Into::into),
        resource_provider_id: None,
    }
}

#[tokio::test]
async fn operations_are_reconciled() {
    let cluster = one_agent().await;
    let address = cluster.address();
    let settings =
        |builder: mesos_framework::SchedulerDriverBuilder| builder.explicit_acknowledgements();
    let mut framework = Framework::register_with(&address, info("reconciled"), settings).await;
    let offer = framework.offer().await;
    let agent = offer.agent_id.value.as_str();
    let own = vec![reserved(scalar("cpus", 1.0), &framework.role())];
    framework.operate(&offer, vec![reserve("known", own)]).await;
    let mut latest = framework.operation_status().await;
    latest.uuid = None;
    let all = vec![
        asked("known", None),
        asked("x", None),
        asked("x", Some(agent)),
        asked("x", Some("nowhere")),
    ];
    framework.handle.reconcile_operations(all).await.unwrap();
    assert_eq!(framework.operation_status().await, latest);
    let answers = [
        (None, "Operation is unknown and no 'agent_id' was provided"),
        (Some(agent), "Operation is unknown"),
        (Some("nowhere"), "Both operation and agent are unknown"),
    ];
    for (agent_id, message) in answers {
        let expected = OperationStatus {
            operation_id: Some("x".into()),
            state: OperationState::OperationUnknown as i32,
            message: Some(format!("Reconciliation: {message}")),
            agent_id: agent_id.map(Into::into),
            ..OperationStatus::default()
        };
        assert_eq!(framework.operation_status().await, expected);
    }
    framework
        .handle
        .reconcile_operations(Vec::new())
        .await
        .unwrap();
    assert_eq!(framework.operation_status().await, latest);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn reservations_and_statuses_outlive_the_master() {
    let mut cluster = one_agent().await;
    let address = cluster.address();
    let settings =
        |builder: mesos_framework::SchedulerDriverBuilder| builder.explicit_acknowledgements();
    let mut framework = Framework::register_with(&address, info("outlive"), settings).await;
    let role = framework.role();
    let offer = framework.offer().await;
    let own = vec![reserved(scalar("cpus", 1.0), &role)];
    framework
        .operate(&offer, vec![reserve("outlive", own)])
        .await;
    let told = framework.operation_status().await;
    cluster.kill_master();
    cluster.restart_master().await;
    // An offer comes only once agent and framework have both come back.
    let held = |callback: &Callback| match callback {
        Callback::Offers(offers) => offers
            .iter()
            .find(|offer| amount(&reserved_for(&offer.resources, &[&role]), "cpus") == 1.0)
            .cloned(),
        _ => None,
    };
    let offer = framework.until("the reservation", held).await;
    assert_eq!(offer.agent_id, told.agent_id.clone().unwrap());
    // If the agent came back before the framework, nobody heard it then, and it comes again.
    let again = framework.operation_status().await;
    assert_eq!(again, told);
    let asked = vec![asked("outlive", None)];
    framework.handle.reconcile_operations(asked).await.unwrap();
    let latest = OperationStatus {
        uuid: None,
        ..told.clone()
    };
    let answer = framework.until("the answer", |callback| match callback {
        Callback::OperationStatus(status) if status.uuid.is_none() => Some(status.clone()),
        _ => None,
    });
    assert_eq!(answer.await, latest);
    framework
        .handle
        .acknowledge_operation_status(&told)
        .await
        .unwrap();
    let api = Api::of_master(&address);
    while api.ask("GET_OPERATIONS").await["operations"][0].is_object() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_operation_is_recovering_until_its_agent_is_back() {
    let mut cluster = OwnCluster::with(Agents::Mortal).await;
    let mut framework = Framework::register(&cluster.address(), info("recovering")).await;
    let offer = framework.offer().await;
    cluster.kill_agent(0);
    cluster.kill_master();
    cluster.restart_master().await;
    framework
        .until("the new subscription", |callback| {
            matches!(callback, Callback::Reregistered).then_some(())
        })
        .await;
    let agent = offer.agent_id.value.as_str();
    let all = vec![asked("lost", Some(agent))];
    framework.handle.reconcile_operations(all).await.unwrap();
    let expected = OperationStatus {
        operation_id: Some("lost".into()),
        state: OperationState::OperationRecovering as i32,
        message: Some("Reconciliation: Agent is recovered but has not re-registered".into()),
        agent_id: Some(agent.into()),
        ..OperationStatus::default()
    };
    assert_eq!(framework.operation_status().await, expected);
    cluster.start_agent(0).await;
    framework.offer().await;
    framework.teardown().await;
    cluster.shutdown().await;
}
