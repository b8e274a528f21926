//! Operations as futures: each comes to its end, whatever happens meanwhile.

use std::time::Duration;

use mesos_framework::proto::{Offer, OperationState, TaskState};
use mesos_framework::toolkit::{OfferLedger, OperationFailure, Operations, PendingOperation};
use mesos_framework::{Error, ErrorKind};
use serde_json::json;

use crate::agents::checkpointing;
use crate::cluster::{OwnCluster, local};
use crate::executor_role::RUN;
use crate::framework::{Framework, PATIENCE, amount, info, is_roomy, refuse, scalar, task};
use crate::operator::Api;
use crate::recorder::Callback;
use crate::reservations::{on_agent, one_agent, reserve, reserved, reserved_for, volume};
use crate::tools::{observed, until};
use crate::volumes::launch;

/// With short waits.
fn operations() -> Operations {
    Operations::builder()
        .filters(refuse(0.0))
        .reconcile(Duration::from_millis(200), Duration::from_secs(1))
        .build()
}

async fn framework(cluster: &OwnCluster, test: &str, operations: &Operations) -> Framework {
    // So that an agent that comes back is the same.
    observed(&cluster.address(), checkpointing(test), |own| {
        own.observer(operations.clone())
    })
    .await
}

/// Begins an operation that the agent does not hear of; the master has it.
async fn begun(
    cluster: &mut OwnCluster,
    operations: &Operations,
    framework: &Framework,
    offer: &Offer,
) -> PendingOperation {
    let own = vec![reserved(scalar("cpus", 1.0), &framework.role())];
    cluster.partition_agent(0);
    let offers = std::slice::from_ref(offer);
    let pending = operations.accept(&framework.handle, offers, vec![reserve("", own)]);
    let pending = pending.await.unwrap().remove(0);
    let api = Api::of_master(&cluster.address());
    let is_known = async {
        while !api.ask("GET_OPERATIONS").await["operations"][0].is_object() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, is_known)
        .await
        .expect("the master knows it");
    pending
}

async fn told(framework: &mut Framework, state: OperationState) {
    let of_state = |callback: &Callback| matches!(callback, Callback::OperationStatus(status) if status.state() == state);
    framework.sees(state.as_str_name(), of_state).await;
}

/// What an operation comes to that the agent may have heard of or not. Answers whether it was carried out.
async fn finished_or_lost(pending: PendingOperation) -> bool {
    use OperationState::{OperationDropped, OperationUnknown};
    match tokio::time::timeout(PATIENCE, pending.end()).await.unwrap() {
        Ok(_) => true,
        Err(error) => {
            let (state, _) = failed(&error);
            assert!(
                matches!(state, OperationDropped | OperationUnknown),
                "{error}"
            );
            false
        }
    }
}

fn failed(error: &Error) -> (OperationState, String) {
    assert_eq!(error.kind(), ErrorKind::OperationFailed, "{error}");
    let failure = OperationFailure::of(error).unwrap();
    assert!(error.to_string().contains(failure.status.message()));
    (failure.state(), failure.status.message().to_owned())
}

#[tokio::test]
async fn a_volume_lives_from_reservation_to_release() {
    let cluster = one_agent().await;
    let operations = operations();
    let mut framework = framework(&cluster, "lives", &operations).await;
    let (driver, role) = (framework.handle.clone(), framework.role());
    let disk = |megabytes| reserved(scalar("disk", megabytes), &role);
    let (small, large) = (volume("own", 64.0, &role), volume("own", 96.0, &role));

    let offer = framework.offer().await;
    let end = operations.reserve(&driver, &offer, vec![disk(96.0)]).await;
    assert_eq!(end.unwrap().state(), OperationState::OperationFinished);
    let offer = framework
        .offer_where(|offer| amount(&reserved_for(&offer.resources, &[&role]), "disk") == 96.0)
        .await;
    let end = operations.create(&driver, &offer, vec![small.clone()]);
    end.await.unwrap();
    let offer = framework.offer_with(&small).await;
    let end = operations.grow_volume(&driver, &offer, small.clone(), disk(32.0));
    end.await.unwrap();
    let offer = framework.offer_with(&large).await;
    let end = operations.shrink_volume(&driver, &offer, large, 32.0);
    end.await.unwrap();
    let offer = framework.offer_with(&small).await;
    let end = operations.destroy(&driver, &offer, vec![small]);
    end.await.unwrap();
    let offer = framework
        .offer_where(|offer| amount(&reserved_for(&offer.resources, &[&role]), "disk") == 96.0)
        .await;
    let end = operations.unreserve(&driver, &offer, vec![disk(96.0)]);
    let status = end.await.unwrap();
    assert_eq!(status.agent_id, Some(offer.agent_id));
    assert!(status.uuid.is_some());
    let offer = framework.offer().await;
    assert!(reserved_for(&offer.resources, &[&role]).is_empty());
    assert_eq!(operations.pending(), 0);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn several_operations_end_each_by_itself_beside_a_launch() {
    let cluster = one_agent().await;
    let operations = operations();
    let mut framework = framework(&cluster, "several", &operations).await;
    let (driver, role) = (framework.handle.clone(), framework.role());
    let offer = framework.offer().await;
    let mut named = reserve("", vec![reserved(scalar("cpus", 0.5), &role)]);
    named.id = Some("named".into());
    let all = vec![
        reserve("", vec![reserved(scalar("mem", 64.0), &role)]),
        launch(vec![task("task", RUN, &offer)]),
        reserve("", vec![reserved(scalar("mem", 64.0), "another")]),
        named,
    ];
    let pending = operations.accept(&driver, std::slice::from_ref(&offer), all);
    let mut pending = pending.await.unwrap();
    assert_eq!(pending.len(), 3, "all but the launch");
    let (last, refused) = (pending.pop().unwrap(), pending.pop().unwrap());
    assert_eq!(last.operation_id(), &"named".into());
    let (state, message) = failed(&refused.end().await.unwrap_err());
    assert_eq!(state, OperationState::OperationError);
    let expected = format!(
        "A reserve operation was attempted for a resource with role 'another', but the resource was allocated to role '{role}'; on agent {}",
        on_agent(&offer)
    );
    assert_eq!(message, expected);
    let status = last.end().await.unwrap();
    assert_eq!(status.operation_id, Some("named".into()));
    pending.pop().unwrap().end().await.unwrap();
    framework
        .comes_to(&"task".into(), TaskState::TaskRunning)
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_it_is_sent() {
    let cluster = local().start().await.unwrap();
    let address = cluster.master_address();
    let ledger = OfferLedger::new();
    let operations = Operations::builder().ledger(&ledger).capacity(1).build();
    let blind = Operations::new();
    let framework = observed(&address, info("nonsense"), |own| {
        own.observer(ledger.clone()).observer(operations.clone())
    })
    .await;
    let (driver, role) = (framework.handle.clone(), framework.role());
    until("there is an offer", || ledger.len() == 1).await;
    let offers = ledger.offers().remove(0).offers;
    let own = || vec![reserved(scalar("cpus", 0.5), &role)];
    let mut with_id = launch(vec![task("task", RUN, &offers[0])]);
    with_id.id = Some("1".into());
    let cases = [
        operations
            .accept(&driver, &[], vec![reserve("", own())])
            .await,
        operations.accept(&driver, &offers, vec![with_id]).await,
        operations
            .accept(
                &driver,
                &offers,
                vec![reserve("1", own()), reserve("2", own())],
            )
            .await,
        blind
            .accept(&driver, &offers, vec![reserve("1", own())])
            .await,
    ];
    for refused in cases {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Config);
    }
    cluster.refuse_next_call(400, "no").unwrap();
    let refused = operations.reserve(&driver, &offers[0], own()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected);
    assert_eq!(refused.to_string(), "operation refused with 400: no");
    // Room and offer have come back each time, and are used now.
    operations
        .reserve(&driver, &offers[0], own())
        .await
        .unwrap();
    let stale = operations.reserve(&driver, &offers[0], own()).await;
    assert_eq!(stale.unwrap_err().kind(), ErrorKind::StaleOffer);
    assert_eq!(operations.pending(), 0);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_used_offer_ends_the_operation_in_mesos_words() {
    let cluster = one_agent().await;
    let operations = operations();
    let mut framework = framework(&cluster, "used", &operations).await;
    let (driver, role) = (framework.handle.clone(), framework.role());
    let offer = framework.offer().await;
    let own = || vec![reserved(scalar("cpus", 0.5), &role)];
    operations.reserve(&driver, &offer, own()).await.unwrap();
    let error = operations
        .reserve(&driver, &offer, own())
        .await
        .unwrap_err();
    let (state, message) = failed(&error);
    assert_eq!(state, OperationState::OperationError);
    let expected = format!(
        "Operation attempted with invalid offers: Offer {} is no longer valid",
        offer.id
    );
    assert_eq!(message, expected);
    framework.teardown().await;
    cluster.shutdown().await;
}

/// The agent stands still, so that the operation cannot be carried out; then everything ends and comes back.
#[tokio::test]
async fn an_operation_ends_though_master_and_agent_are_lost_meanwhile() {
    let mut cluster = one_agent().await;
    let operations = operations();
    let mut framework = framework(&cluster, "lost", &operations).await;
    let role = framework.role();
    let offer = framework.offer().await;
    let pending = begun(&mut cluster, &operations, &framework, &offer).await;
    cluster.kill_master();
    cluster.restart_master().await;
    // The master is asked, and knows of the agent, but not what is there.
    told(&mut framework, OperationState::OperationRecovering).await;
    assert_eq!(operations.pending(), 1);
    cluster.heal_agent(0);
    let is_reserved = finished_or_lost(pending).await;
    let offer = framework.offer_where(is_roomy).await;
    let reserved = amount(&reserved_for(&offer.resources, &[&role]), "cpus");
    assert_eq!(reserved, if is_reserved { 1.0 } else { 0.0 });
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_operation_goes_on_while_its_agent_is_unreachable() {
    let mut cluster = one_agent().await;
    let operations = operations();
    let mut framework = framework(&cluster, "unreachable", &operations).await;
    let offer = framework.offer().await;
    let pending = begun(&mut cluster, &operations, &framework, &offer).await;
    told(&mut framework, OperationState::OperationUnreachable).await;
    assert_eq!(operations.pending(), 1);
    cluster.heal_agent(0);
    finished_or_lost(pending).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_operation_ends_with_its_agent_when_that_is_gone_for_good() {
    let mut cluster = one_agent().await;
    let operations = operations();
    let mut framework = framework(&cluster, "gone", &operations).await;
    let offer = framework.offer().await;
    let pending = begun(&mut cluster, &operations, &framework, &offer).await;
    let api = Api::of_master(&cluster.address());
    let gone = json!({ "agent_id": { "value": offer.agent_id.value } });
    api.change("MARK_AGENT_GONE", &gone).await;
    let (state, _) = failed(&pending.end().await.unwrap_err());
    assert_eq!(state, OperationState::OperationGoneByOperator);
    cluster.heal_agent(0);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn operations_end_with_the_driver() {
    let mut cluster = one_agent().await;
    let operations = operations();
    let mut framework = framework(&cluster, "driver", &operations).await;
    let (driver, role) = (framework.handle.clone(), framework.role());
    let offer = framework.offer().await;
    let pending = begun(&mut cluster, &operations, &framework, &offer).await;
    framework.teardown().await;
    let error = pending.end().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotRunning);
    let own = vec![reserved(scalar("cpus", 1.0), &role)];
    let after = operations.reserve(&driver, &offer, own).await;
    assert_eq!(after.unwrap_err().kind(), ErrorKind::NotRunning);
    assert_eq!(operations.pending(), 0);
    cluster.heal_agent(0);
    cluster.shutdown().await;
}
