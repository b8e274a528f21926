//! Demand: offers only for those roles for which there is work.

use std::time::{Duration, Instant};

use mesos_framework::proto::FrameworkInfo;
use mesos_framework::toolkit::{Demand, OfferLedger};

use crate::allocation::hold_all;
use crate::cluster::{Agents, Needs, OwnCluster};
use crate::framework::{Framework, QUIET, info};
use crate::http::get;
use crate::recorder::Callback;
use crate::tools::{holds_for, observed, observed_with, until};

/// With two roles.
fn two_roles(test: &str) -> FrameworkInfo {
    let mut info = info(test);
    let other = format!("{}-other", info.roles[0]);
    info.roles.push(other);
    info
}

fn tools() -> (OfferLedger, Demand) {
    let ledger = OfferLedger::new();
    let demand = Demand::builder()
        .ledger(&ledger)
        .refuse(Duration::from_secs(1), 0.2)
        .build();
    (ledger, demand)
}

/// The roles of the live offers.
fn offered(ledger: &OfferLedger) -> Vec<String> {
    let all = ledger.offers().into_iter();
    let mut roles: Vec<String> = all.filter_map(|own| own.role).collect();
    roles.sort();
    roles.dedup();
    roles
}

async fn count(address: &str, name: &str) -> f64 {
    let metrics = get(address, "/metrics/snapshot").await.json();
    let count = &metrics[format!("master/messages_{name}")];
    count.as_f64().unwrap_or_else(|| panic!("{name}: {count}"))
}

#[tokio::test]
async fn an_idle_framework_holds_nothing_and_each_role_is_wanted_by_itself() {
    let Some(cluster) = OwnCluster::start(Needs::default()).await else {
        return;
    };
    let (ledger, demand) = tools();
    let framework = observed(&cluster.address(), two_roles("idle"), |own| {
        own.observer(ledger.clone()).observer(demand.clone())
    })
    .await;
    let driver = &framework.handle;
    let [one, other] = &framework.info.roles[..] else {
        panic!("two roles");
    };
    let mut sorted = framework.info.roles.clone();
    sorted.sort();
    until("both roles are suppressed", || {
        driver.suppressed_roles() == sorted
    })
    .await;
    let mut rival = Framework::register(&cluster.address(), info("rival")).await;
    hold_all(&mut rival).await;
    rival.teardown().await;
    until("nothing is held", || ledger.is_empty()).await;
    assert!(holds_for(QUIET, || ledger.is_empty()).await);
    demand.wants(one);
    until("one role is offered", || !ledger.is_empty()).await;
    assert!(holds_for(QUIET, || offered(&ledger) == [one.as_str()]).await);
    assert_eq!(driver.suppressed_roles(), [other.as_str()]);
    // What one role holds goes to the other.
    demand.wants(other);
    demand.has_enough(one);
    until("the other role is offered", || {
        offered(&ledger) == [other.as_str()]
    })
    .await;
    assert_eq!(driver.suppressed_roles(), [one.as_str()]);
    demand.has_enough(other);
    let mut rival = Framework::register(&cluster.address(), info("rival")).await;
    hold_all(&mut rival).await;
    assert!(ledger.is_empty() && demand.wanted().is_empty());
    rival.teardown().await;
    assert!(holds_for(QUIET, || ledger.is_empty()).await);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn suppression_outlives_the_master_and_updates_of_the_framework() {
    let mut cluster = OwnCluster::with(Agents::One).await;
    let (ledger, demand) = tools();
    let info = two_roles("outlives");
    let [one, other] = &info.roles.clone()[..] else {
        panic!("two roles");
    };
    demand.wants(one);
    let suppressed = vec![other.clone()];
    let mut framework = observed_with(
        &cluster.address(),
        info.clone(),
        |own| own.observer(ledger.clone()).observer(demand.clone()),
        |builder| builder.suppressed_roles(suppressed),
    )
    .await;
    let driver = framework.handle.clone();
    until("one role is offered", || offered(&ledger) == [one.as_str()]).await;
    cluster.kill_master();
    until("offers are gone", || ledger.is_empty()).await;
    // What is wanted meanwhile is said by the next SUBSCRIBE.
    demand.wants(other);
    demand.has_enough(one);
    until("that is noted", || {
        driver.suppressed_roles() == [one.as_str()]
    })
    .await;
    cluster.restart_master().await;
    framework
        .sees("the new subscription", |callback| {
            matches!(callback, Callback::Reregistered)
        })
        .await;
    until("the other role is offered", || !ledger.is_empty()).await;
    assert!(holds_for(QUIET, || offered(&ledger) == [other.as_str()]).await);
    // An update that says otherwise is put right.
    let mut renamed = driver.framework_info();
    renamed.name = "renamed".into();
    let update = driver.update_framework(renamed, Vec::new(), None);
    assert!(update.await.unwrap().outcome().await.is_accepted());
    until("the role is suppressed again", || {
        driver.suppressed_roles() == [one.as_str()]
    })
    .await;
    until("only the other role is offered", || {
        offered(&ledger) == [other.as_str()]
    })
    .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn there_are_no_more_revives_than_tokens_whatever_is_wanted() {
    const INTERVAL: Duration = Duration::from_millis(700);
    const BURST: u32 = 2;
    let Some(cluster) = OwnCluster::start(Needs::default()).await else {
        return;
    };
    let address = cluster.address();
    let ledger = OfferLedger::new();
    let demand = Demand::builder()
        .ledger(&ledger)
        .revives(BURST, INTERVAL)
        .build();
    let framework = observed(&address, info("wild"), |own| {
        own.observer(ledger.clone()).observer(demand.clone())
    })
    .await;
    let role = &framework.info.roles[0];
    let started = Instant::now();
    while started.elapsed() < 4 * INTERVAL {
        demand.wants(role);
        demand.wants_anew(role);
        tokio::time::sleep(Duration::from_millis(3)).await;
        demand.has_enough(role);
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    demand.wants(role);
    until("there are offers", || !ledger.is_empty()).await;
    let revives = count(&address, "revive_offers").await;
    let most = f64::from(BURST) + started.elapsed().as_secs_f64() / INTERVAL.as_secs_f64();
    assert!(
        f64::from(BURST) <= revives && revives <= most,
        "{revives} revives, {most} at most"
    );
    assert!(count(&address, "suppress_offers").await <= revives + 1.0);
    // Wanting what is wanted asks for nothing.
    for _ in 0..100 {
        demand.wants(role);
    }
    tokio::time::sleep(2 * INTERVAL).await;
    assert_eq!(count(&address, "revive_offers").await, revives);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn work_of_another_kind_brings_back_what_was_declined() {
    let Some(cluster) = OwnCluster::start(Needs::default()).await else {
        return;
    };
    let demand = Demand::builder()
        .refuse(Duration::from_secs(1000), 0.1)
        .build();
    let mut framework = observed(&cluster.address(), info("another"), |own| {
        own.observer(demand.clone())
    })
    .await;
    let role = framework.info.roles[0].clone();
    demand.wants(&role);
    let driver = framework.handle.clone();
    // Without a ledger, offers are the scheduler's to decline.
    let mut is_offered = false;
    loop {
        let next = tokio::time::timeout(QUIET, framework.recording.next()).await;
        let offers = match next {
            Ok(Callback::Offers(offers)) => offers,
            Ok(_) => continue,
            Err(_) if is_offered => break,
            Err(_) => continue,
        };
        is_offered = true;
        let ids = offers.into_iter().map(|offer| offer.id).collect();
        let told = demand.decline(&driver, ids).await.unwrap().unwrap();
        assert!(told.outcome().await.is_accepted());
    }
    demand.wants(&role);
    let quiet = framework.recording.is_quiet(QUIET).await;
    assert!(quiet, "that is not new");
    demand.wants_anew(&role);
    framework
        .sees("offers", |callback| matches!(callback, Callback::Offers(_)))
        .await;
    let seconds = demand.refusal().refuse_seconds();
    assert!((900.0..=1100.0).contains(&seconds), "{seconds}");
    framework.teardown().await;
    cluster.shutdown().await;
}
