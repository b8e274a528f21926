//! The ledger of offers: which are live, and that each is used once.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use mesos_framework::proto::offer::{Operation, operation};
use mesos_framework::proto::{ExecutorInfo, Filters, OfferId, TaskGroupInfo, TaskInfo, TaskState};
use mesos_framework::toolkit::{AgentOffers, Observed, OfferLedger, StaleOffer, StaleReason};
use mesos_framework::{
    ConnectionState, Error, ErrorKind, Outcome, Receipt, SchedulerDriver, SchedulerHandle,
};
use tokio::sync::Semaphore;

use crate::allocation::hold_all;
use crate::cluster::{Agents, Needs, OwnCluster, local};
use crate::executor_role::RUN;
use crate::framework::{Framework, QUIET, info, is_live, refuse, scalar, task};
use crate::recorder::{Callback, nothing, recorder_that};
use crate::reservations::one_agent;
use crate::tools::{holds_for, observed, observed_with, until, until_live};

/// The one entry of a ledger.
fn single(ledger: &OfferLedger) -> AgentOffers {
    let mut all = ledger.offers();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn stale(launched: Result<Receipt, Error>) -> (OfferId, StaleReason) {
    let error = launched.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StaleOffer, "{error}");
    let stale = StaleOffer::of(&error).unwrap();
    assert!(error.to_string().contains(&stale.offer_id.value), "{error}");
    (stale.offer_id.clone(), stale.reason)
}

/// A task on what an agent offers.
fn task_on(agent: &AgentOffers, id: &str, cpus: f64) -> TaskInfo {
    let mut task = task(id, RUN, &agent.offers[0]);
    task.resources = vec![scalar("cpus", cpus), scalar("mem", 32.0)];
    task
}

async fn is_running(framework: &mut Framework, id: &str) {
    let own = framework.sees("an update", |callback| match callback {
        Callback::Status(status) if status.task_id == id.into() => {
            assert!(is_live(status.state()), "{status:?}");
            status.state() == TaskState::TaskRunning
        }
        _ => false,
    });
    own.await;
}

#[tokio::test]
async fn offers_of_one_agent_are_used_together() {
    let cluster = one_agent().await;
    let ledger = OfferLedger::new();
    let mut framework = observed(&cluster.address(), info("merged"), |own| {
        own.observer(ledger.clone())
    })
    .await;
    until_live(&ledger, 1).await;
    let agent = single(&ledger);
    assert_eq!(agent.role.as_ref(), Some(&framework.info.roles[0]));
    assert_eq!(agent.resources.scalar("cpus"), 4.0);
    let launched = ledger.launch(
        &framework.handle,
        agent.offer_ids(),
        vec![task_on(&agent, "first", 2.0)],
        refuse(0.0),
    );
    assert!(launched.await.unwrap().outcome().await.is_accepted());
    is_running(&mut framework, "first").await;
    until_live(&ledger, 1).await;
    assert!(single(&ledger).resources.scalar("cpus") <= 2.0);
    // What the task has used comes beside what is held.
    let kill = framework.handle.kill_task("first".into(), None);
    assert!(kill.await.unwrap().outcome().await.is_accepted());
    until("all but the executor's is on offer", || {
        let all = ledger.offers();
        all.first()
            .is_some_and(|own| own.resources.scalar("cpus") > 3.8)
    })
    .await;
    let agent = single(&ledger);
    assert!(agent.offers.len() > 1, "{agent:?}");
    let oldest_first = ledger.offers()[0].offer_ids();
    assert_eq!(agent.offer_ids(), oldest_first);
    let launched = ledger.launch(
        &framework.handle,
        agent.offer_ids(),
        vec![task_on(&agent, "second", 3.5)],
        refuse(0.0),
    );
    assert!(launched.await.unwrap().outcome().await.is_accepted());
    is_running(&mut framework, "second").await;
    framework.teardown().await;
    until_live(&ledger, 0).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_stale_offer_is_refused_before_it_is_sent() {
    let mut cluster = OwnCluster::with(Agents::One).await;
    let ledger = OfferLedger::new();
    let mut framework = observed(&cluster.address(), info("stale"), |own| {
        own.observer(ledger.clone())
    })
    .await;
    let driver = framework.handle.clone();
    let launch = async |agent: &AgentOffers, id: &str| {
        let tasks = vec![task_on(agent, id, 0.1)];
        ledger
            .launch(&driver, agent.offer_ids(), tasks, refuse(0.0))
            .await
    };
    until_live(&ledger, 1).await;
    let used = single(&ledger);
    let used_id = used.offers[0].id.clone();
    let first = launch(&used, "first").await.unwrap();
    // Whether the call has arrived or not.
    assert_eq!(
        stale(launch(&used, "twice").await),
        (used_id.clone(), StaleReason::Used)
    );
    assert!(first.outcome().await.is_accepted());
    assert_eq!(
        stale(launch(&used, "twice").await),
        (used_id.clone(), StaleReason::Used)
    );
    is_running(&mut framework, "first").await;
    // One stale offer among live ones keeps these.
    until_live(&ledger, 1).await;
    let live = single(&ledger);
    let both = vec![live.offers[0].id.clone(), used_id.clone()];
    let mixed = ledger.launch(&driver, both, Vec::new(), Filters::default());
    assert_eq!(stale(mixed.await), (used_id, StaleReason::Used));
    assert_eq!(ledger.len(), 1);
    let declined = ledger.decline(&driver, live.offer_ids(), refuse(0.0));
    assert!(
        declined
            .await
            .unwrap()
            .unwrap()
            .outcome()
            .await
            .is_accepted()
    );
    let again = ledger.decline(&driver, live.offer_ids(), refuse(0.0));
    assert!(again.await.unwrap().is_none());
    assert_eq!(
        stale(launch(&live, "declined").await).1,
        StaleReason::Declined
    );
    // The agent goes, and takes its offers with it.
    until_live(&ledger, 1).await;
    let rescinded = single(&ledger);
    cluster.kill_agent(0);
    until_live(&ledger, 0).await;
    let why = stale(launch(&rescinded, "rescinded").await).1;
    assert_eq!(why, StaleReason::Rescinded);
    cluster.start_agent(0).await;
    until_live(&ledger, 1).await;
    let lost = single(&ledger);
    cluster.kill_master();
    until_live(&ledger, 0).await;
    assert_eq!(
        stale(launch(&lost, "lost").await).1,
        StaleReason::Disconnected
    );
    cluster.restart_master().await;
    until_live(&ledger, 1).await;
    let ends = ledger.decline_all(&driver, refuse(1000.0));
    assert!(ends.await.unwrap().unwrap().outcome().await.is_accepted());
    // The master has never heard of any of those tasks.
    while let Ok(callback) = tokio::time::timeout(QUIET, framework.recording.next()).await {
        if let Callback::Status(status) = callback {
            assert_eq!(status.task_id, "first".into(), "{status:?}");
        }
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_is_held_too_long_is_declined() {
    let Some(cluster) = OwnCluster::start(Needs::default()).await else {
        return;
    };
    let ledger = OfferLedger::builder()
        .hold_time(Duration::from_millis(300))
        .filters(refuse(1000.0))
        .build();
    let framework = observed(&cluster.address(), info("held"), |own| {
        own.observer(ledger.clone())
    })
    .await;
    until("there are offers", || !ledger.is_empty()).await;
    let first = ledger.offers().remove(0);
    // Somebody else gets everything, although nothing is used or declined.
    let mut other = Framework::register(&cluster.address(), info("waiting")).await;
    hold_all(&mut other).await;
    assert!(ledger.is_empty());
    let launched = ledger.launch(
        &framework.handle,
        first.offer_ids(),
        Vec::new(),
        Filters::default(),
    );
    assert_eq!(stale(launched.await).1, StaleReason::Expired);
    other.teardown().await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn no_more_is_held_than_there_is_room_for() {
    let Some(cluster) = OwnCluster::start(Needs::default()).await else {
        return;
    };
    let ledger = OfferLedger::builder().capacity(1).build();
    let framework = observed(&cluster.address(), info("full"), |own| {
        own.observer(ledger.clone())
    })
    .await;
    until_live(&ledger, 1).await;
    assert!(holds_for(QUIET, || ledger.len() <= 1).await);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_is_surely_not_carried_out_gives_its_offers_back() {
    let cluster = local().start().await.unwrap();
    let ledger = OfferLedger::new();
    let framework = observed(&cluster.master_address(), info("refused"), |own| {
        own.observer(ledger.clone())
    })
    .await;
    let driver = &framework.handle;
    until_live(&ledger, 1).await;
    let agent = single(&ledger);
    // The driver refuses it.
    let empty_group = Operation {
        r#type: Some(operation::Type::LaunchGroup.into()),
        launch_group: Some(operation::LaunchGroup {
            executor: ExecutorInfo::default(),
            task_group: TaskGroupInfo::default(),
        }),
        ..Operation::default()
    };
    let accepted = ledger.accept(driver, agent.offer_ids(), vec![empty_group], refuse(0.0));
    assert_eq!(accepted.await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(ledger.len(), 1);
    // The master refuses it.
    cluster.refuse_next_call(400, "no").unwrap();
    let tasks = vec![task_on(&agent, "refused", 0.1)];
    let launched = ledger.launch(driver, agent.offer_ids(), tasks, refuse(0.0));
    let outcome = launched.await.unwrap().outcome().await;
    assert!(
        matches!(outcome, Outcome::Refused { status: 400, .. }),
        "{outcome:?}"
    );
    assert_eq!(ledger.len(), 1);
    // Nobody waits for it.
    let dropped = ledger.launch(driver, agent.offer_ids(), Vec::new(), refuse(0.0));
    drop(dropped);
    assert_eq!(ledger.len(), 1);
    // Calls that make no sense.
    let id = agent.offers[0].id.clone();
    for ids in [Vec::new(), vec![id.clone(), id.clone()]] {
        let refused = ledger.launch(driver, ids, Vec::new(), refuse(0.0)).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Config);
    }
    assert_eq!(ledger.get(&id).unwrap().id, id);
    assert_eq!(ledger.take(std::slice::from_ref(&id)).unwrap()[0].id, id);
    assert!(ledger.get(&id).is_none());
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn offers_of_several_agents_are_not_used_together() {
    let Some(cluster) = OwnCluster::start(Needs::default()).await else {
        return;
    };
    let ledger = OfferLedger::new();
    let framework = observed(&cluster.address(), info("several"), |own| {
        own.observer(ledger.clone())
    })
    .await;
    until("both agents offer", || ledger.offers().len() == 2).await;
    let ids: Vec<OfferId> = ledger
        .offers()
        .iter()
        .map(|own| own.offers[0].id.clone())
        .collect();
    let launched = ledger.launch(&framework.handle, ids, Vec::new(), refuse(0.0));
    let error = launched.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error
            .to_string()
            .starts_with("offers are of several agents: "),
        "{error}"
    );
    assert_eq!(ledger.offers().len(), 2);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn whoever_waits_for_room_and_gives_up_leaves_the_offers_live() {
    let cluster = local().start().await.unwrap();
    let ledger = OfferLedger::new();
    let framework = observed_with(
        &cluster.master_address(),
        info("room"),
        |own| own.observer(ledger.clone()),
        |builder| builder.outbox_capacity(1),
    )
    .await;
    let driver = &framework.handle;
    until_live(&ledger, 1).await;
    let agent = single(&ledger);
    // Nobody else runs on this thread meanwhile, so that the one call that there is room for stays where it is.
    let first = driver.revive_offers(Vec::new()).await.unwrap();
    let tasks = vec![task_on(&agent, "waits", 0.1)];
    let launch = ledger.launch(driver, agent.offer_ids(), tasks, refuse(0.0));
    {
        let mut launch = std::pin::pin!(launch);
        let polled = poll_fn(|context| Poll::Ready(launch.as_mut().poll(context)));
        assert!(polled.await.is_pending());
        assert!(ledger.is_empty(), "nobody else may use them meanwhile");
    }
    assert_eq!(ledger.len(), 1);
    assert!(first.outcome().await.is_accepted());
    framework.teardown().await;
    cluster.shutdown().await;
}

fn generation(driver: &SchedulerHandle) -> u64 {
    match driver.connection().state {
        ConnectionState::Subscribed { generation, .. } => generation,
        _ => 0,
    }
}

/// A callback runs, so that nobody is told of the lost subscription, and the next one stands already.
#[tokio::test]
async fn offers_of_a_lost_subscription_are_refused_before_that_is_told() {
    let mut cluster = OwnCluster::with(Agents::One).await;
    let ledger = OfferLedger::new();
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let (scheduler, mut recording) = recorder_that(move |callback, _| {
        let gate = Arc::clone(&opened);
        match callback {
            Callback::Status(_) => Box::pin(async move {
                let _open = gate.acquire().await;
            }),
            _ => nothing(),
        }
    });
    let scheduler = Observed::new(scheduler).observer(ledger.clone());
    let address = cluster.address();
    let mut driver = SchedulerDriver::builder(scheduler, info("late"), &address)
        .build()
        .unwrap();
    driver.start().unwrap();
    let handle = driver.handle();
    until_live(&ledger, 1).await;
    let agent = single(&ledger);
    let asked = vec![("nobody".into(), None)];
    handle.reconcile_tasks(asked).await.unwrap();
    recording
        .until("the callback", |callback| {
            matches!(callback, Callback::Status(_)).then_some(())
        })
        .await;
    cluster.kill_master();
    cluster.restart_master().await;
    until("the next subscription stands", || generation(&handle) == 2).await;
    assert_eq!(ledger.len(), 1, "nobody has told it");
    let tasks = vec![task_on(&agent, "late", 0.1)];
    let launched = ledger.launch(&handle, agent.offer_ids(), tasks, refuse(0.0));
    assert_eq!(stale(launched.await).1, StaleReason::Disconnected);
    gate.add_permits(100);
    recording
        .until("the new subscription", |callback| {
            assert!(!matches!(callback, Callback::Status(_)), "{callback:?}");
            matches!(callback, Callback::Reregistered).then_some(())
        })
        .await;
    until_live(&ledger, 1).await;
    let tasks = vec![task_on(&single(&ledger), "now", 0.1)];
    let launched = ledger.launch(&handle, single(&ledger).offer_ids(), tasks, refuse(0.0));
    assert!(launched.await.unwrap().outcome().await.is_accepted());
    handle.stop();
    driver.join().await.unwrap();
    cluster.shutdown().await;
}
