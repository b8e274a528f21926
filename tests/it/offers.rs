//! Offers: what they say, and how they are kept away.

use std::time::{Duration, Instant};

use mesos_framework::proto::{Offer, Resource, TaskInfo, TaskState, task_status::Reason};

use crate::cluster::Cluster;
use crate::executor_role::{FINISH, RUN, executor};
use crate::framework::{Framework, QUIET, amount, info, refuse, scalar, task};
use crate::recorder::Callback;

#[tokio::test]
async fn an_offer_is_of_one_agent_and_for_a_role_of_the_framework() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("offers")).await;
    let offer = framework.offer().await;
    assert_eq!(offer.framework_id, framework.id);
    assert!(!offer.agent_id.value.is_empty() && !offer.hostname.is_empty());
    let allocation = offer.allocation_info.as_ref().unwrap();
    assert_eq!(allocation.role(), framework.info.roles[0]);
    for resource in &offer.resources {
        let allocation = resource.allocation_info.as_ref().unwrap();
        assert_eq!(allocation.role(), framework.info.roles[0]);
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_was_refused_for_a_while_stays_away_that_long() {
    const WHILE: Duration = Duration::from_secs(3);
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("refused")).await;
    let mut refused = framework.offer().await;
    let mut since = Instant::now();
    framework
        .decline(&[refused.clone()], refuse(WHILE.as_secs_f64()))
        .await;
    let agent_id = refused.agent_id.clone();
    loop {
        let again = framework
            .next_offer(|offer| offer.agent_id == agent_id)
            .await;
        if is_within(&again.resources, &refused.resources) {
            assert!(since.elapsed() >= WHILE, "after {:?}", since.elapsed());
            break;
        }
        // Somebody else's tasks have ended meanwhile: what is more than was refused may come.
        (refused, since) = (again, Instant::now());
        framework
            .decline(&[refused.clone()], refuse(WHILE.as_secs_f64()))
            .await;
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

fn is_within(these: &[Resource], those: &[Resource]) -> bool {
    ["cpus", "mem", "disk"]
        .iter()
        .all(|name| amount(these, name) <= amount(those, name) + 1e-6)
}

#[tokio::test]
async fn what_was_refused_for_no_time_comes_back() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("returned")).await;
    let mut offer = framework.offer().await;
    for _ in 0..3 {
        framework.decline(&[offer.clone()], refuse(0.0)).await;
        let agent_id = offer.agent_id.clone();
        offer = framework
            .next_offer(|again| again.agent_id == agent_id)
            .await;
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn accepting_without_operations_declines() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("nothing")).await;
    let offer = framework.offer().await;
    let accepted = framework
        .handle
        .accept_offers(vec![offer.id.clone()], Vec::new(), refuse(0.0))
        .await
        .unwrap();
    assert!(accepted.outcome().await.is_accepted());
    let again = framework
        .next_offer(|again| again.agent_id == offer.agent_id)
        .await;
    let launched = framework
        .handle
        .launch_tasks(vec![again.id.clone()], Vec::new(), refuse(0.0))
        .await
        .unwrap();
    assert!(launched.outcome().await.is_accepted());
    framework
        .next_offer(|again| again.agent_id == offer.agent_id)
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn suppressed_offers_stay_away_until_revived() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("suppressed")).await;
    let offer = framework.next_offer(|_| true).await;
    let suppressed = framework.handle.suppress_offers(Vec::new()).await.unwrap();
    assert!(suppressed.outcome().await.is_accepted());
    framework.decline(&[offer], refuse(0.0)).await;
    settle(&mut framework).await;
    // Nothing is filtered, so that only the suppression keeps offers away.
    assert!(is_without_offers(&mut framework).await);
    framework.offer().await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn roles_suppressed_from_the_start_get_no_offers_until_revived() {
    let cluster = Cluster::start().await;
    let mut info = info("quiet");
    let (loud, quiet) = (
        format!("{}.loud", info.name),
        format!("{}.quiet", info.name),
    );
    info.roles = vec![loud.clone(), quiet.clone()];
    let suppressed = [quiet.clone()];
    let mut framework = Framework::register_with(&cluster.address(), info, |builder| {
        builder.suppressed_roles(suppressed)
    })
    .await;
    let of = |offer: &Offer| {
        offer
            .allocation_info
            .clone()
            .unwrap_or_default()
            .role()
            .to_owned()
    };
    for _ in 0..3 {
        let offer = framework.next_offer(|_| true).await;
        assert_eq!(of(&offer), loud);
        framework.decline(&[offer], refuse(0.0)).await;
    }
    framework
        .handle
        .revive_offers(vec![quiet.clone()])
        .await
        .unwrap();
    framework.handle.suppress_offers(vec![loud]).await.unwrap();
    framework.next_offer(|offer| of(offer) == quiet).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

/// Offers that were on their way come in; they are given back so that they would come again.
async fn settle(framework: &mut Framework) {
    while !is_without_offers(framework).await {}
}

async fn is_without_offers(framework: &mut Framework) -> bool {
    let offers = framework.until("offers", |callback| match callback {
        Callback::Offers(offers) => Some(offers.clone()),
        _ => None,
    });
    match tokio::time::timeout(QUIET, offers).await {
        Err(_) => true,
        Ok(offers) => {
            framework.decline(&offers, refuse(0.0)).await;
            false
        }
    }
}

#[tokio::test]
async fn offers_of_one_agent_are_used_together() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("together")).await;
    let first = framework.run("first", RUN).await;
    framework.handle.revive_offers(Vec::new()).await.unwrap();
    let is_there = |offer: &Offer| offer.agent_id == first.agent_id;
    let rest = framework.next_offer(is_there).await;
    // What the task had comes apart from the rest, for that is held.
    framework
        .handle
        .kill_task(first.task_id.clone(), None)
        .await
        .unwrap();
    framework
        .comes_to(&first.task_id, TaskState::TaskKilled)
        .await;
    framework.handle.revive_offers(Vec::new()).await.unwrap();
    let freed = framework.next_offer(is_there).await;
    let mut second = task("second", FINISH, &rest);
    let cpus = amount(&rest.resources, "cpus") + amount(&freed.resources, "cpus");
    second.resources = vec![scalar("cpus", cpus)];
    second.executor = first.executor.clone();
    framework
        .handle
        .launch_tasks(vec![rest.id, freed.id], vec![second.clone()], refuse(0.0))
        .await
        .unwrap();
    framework
        .comes_to(&second.task_id, TaskState::TaskFinished)
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn offers_of_two_agents_are_not_used_together() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("apart")).await;
    let one = framework.offer().await;
    framework.handle.revive_offers(Vec::new()).await.unwrap();
    let other = framework
        .next_offer(|offer| offer.agent_id != one.agent_id)
        .await;
    let task = task("astride", FINISH, &one);
    let offer_ids = vec![one.id, other.id];
    framework
        .handle
        .launch_tasks(offer_ids, vec![task.clone()], refuse(0.0))
        .await
        .unwrap();
    let status = framework.status(&task.task_id).await;
    assert_eq!(status.state(), TaskState::TaskDropped);
    assert_eq!(status.reason(), Reason::InvalidOffers);
    assert!(
        status.message().starts_with(
            "Task launched with invalid offers: Aggregated offers must belong to one single agent"
        ),
        "{}",
        status.message()
    );
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_used_offer_drops_the_tasks_of_the_next_launch() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("used")).await;
    let offer = framework.offer().await;
    let first = task("first", FINISH, &offer);
    let second = TaskInfo {
        executor: Some(executor("another executor")),
        ..task("second", FINISH, &offer)
    };
    framework.launch(offer.clone(), vec![first.clone()]).await;
    framework.launch(offer.clone(), vec![second.clone()]).await;
    let status = framework
        .until("the second task's end", |callback| match callback {
            Callback::Status(status) if status.task_id == second.task_id => Some(status.clone()),
            _ => None,
        })
        .await;
    assert_eq!(status.state(), TaskState::TaskDropped);
    assert_eq!(status.reason(), Reason::InvalidOffers);
    let expected = format!(
        "Task launched with invalid offers: Offer {} is no longer valid",
        offer.id
    );
    assert_eq!(status.message(), expected);
    assert!(
        status.uuid.is_none(),
        "masters' updates are not to be acknowledged"
    );
    framework
        .comes_to(&first.task_id, TaskState::TaskFinished)
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}
