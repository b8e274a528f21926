//! What the tool for maintenance answers to inverse offers.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesos_framework::ErrorKind;
use mesos_framework::proto::InverseOffer;
use mesos_framework::toolkit::{Maintenance, MaintenanceAnswer};
use serde_json::json;

use crate::allocation::hold_all;
use crate::cluster::{Needs, OwnCluster};
use crate::framework::{Framework, PATIENCE, QUIET, info};
use crate::maintenance::{machine, schedule, until_answers};
use crate::operator::Api;
use crate::recorder::Callback;
use crate::tools::{holds_for, observed, until};

/// A framework that holds everything, of agents that are to be maintained.
async fn scene(test: &str, maintenance: &Maintenance) -> Option<(OwnCluster, Framework, String)> {
    let cluster = OwnCluster::start(Needs::default()).await?;
    let mut framework = observed(&cluster.address(), info(test), |own| {
        own.observer(maintenance.clone())
    })
    .await;
    let held = hold_all(&mut framework).await;
    let hostname = held[0].hostname.clone();
    let plan = schedule(&[machine(&hostname)]);
    let api = Api::of_master(&cluster.address());
    api.change("UPDATE_MAINTENANCE_SCHEDULE", &plan).await;
    Some((cluster, framework, hostname))
}

#[tokio::test]
async fn answers_are_given_each_time_the_master_asks() {
    let asked: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let ids = Arc::clone(&asked);
    let maintenance = Maintenance::builder(move |own| {
        ids.lock().unwrap().insert(own.id.value.clone());
        MaintenanceAnswer::Accept
    })
    .ask_again(Duration::ZERO)
    .build();
    let Some((cluster, framework, hostname)) = scene("accepting", &maintenance).await else {
        return;
    };
    until_answers(&cluster, &hostname, |answers| {
        answers == ["ACCEPT", "ACCEPT"]
    })
    .await;
    until("it is asked again and again", || {
        asked.lock().unwrap().len() >= 6
    })
    .await;
    until_answers(&cluster, &hostname, |answers| {
        answers == ["ACCEPT", "ACCEPT"]
    })
    .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn whoever_cannot_leave_declines_and_is_left_alone_for_a_while() {
    let maintenance = Maintenance::declining();
    let Some((cluster, mut framework, hostname)) = scene("declining", &maintenance).await else {
        return;
    };
    until_answers(&cluster, &hostname, |answers| {
        answers == ["DECLINE", "DECLINE"]
    })
    .await;
    until("nothing waits", || maintenance.waiting().is_empty()).await;
    // The same answer stands for a minute.
    while let Ok(callback) = tokio::time::timeout(QUIET, framework.recording.next()).await {
        drop(callback);
    }
    assert!(framework.recording.is_quiet(QUIET).await);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_agent_is_drained_before_its_maintenance_is_accepted() {
    let is_drained = Arc::new(AtomicBool::new(false));
    let drained = Arc::clone(&is_drained);
    let policy = move |_: &InverseOffer| match drained.load(Ordering::Relaxed) {
        true => MaintenanceAnswer::Accept,
        false => MaintenanceAnswer::Wait,
    };
    // Only what the author says is looked at.
    let maintenance = Maintenance::builder(policy).review(PATIENCE * 10).build();
    let Some((cluster, framework, hostname)) = scene("draining", &maintenance).await else {
        return;
    };
    until("both wait", || maintenance.waiting().len() == 2).await;
    let agents: BTreeSet<_> = maintenance
        .waiting()
        .into_iter()
        .map(|own| own.agent_id.unwrap().value)
        .collect();
    assert_eq!(agents.len(), 2);
    maintenance.review();
    assert!(holds_for(QUIET, || maintenance.waiting().len() == 2).await);
    until_answers(&cluster, &hostname, |answers| answers.is_empty()).await;
    is_drained.store(true, Ordering::Relaxed);
    maintenance.review();
    until_answers(&cluster, &hostname, |answers| {
        answers == ["ACCEPT", "ACCEPT"]
    })
    .await;
    until("nothing waits", || maintenance.waiting().is_empty()).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn inverse_offers_that_are_taken_back_wait_no_more() {
    let maintenance = Maintenance::deciding(|_| MaintenanceAnswer::Wait);
    let Some((mut cluster, framework, hostname)) = scene("taken-back", &maintenance).await else {
        return;
    };
    until("both wait", || maintenance.waiting().len() == 2).await;
    let api = Api::of_master(&cluster.address());
    let nothing = json!({ "schedule": {} });
    api.change("UPDATE_MAINTENANCE_SCHEDULE", &nothing).await;
    until("nothing waits", || maintenance.waiting().is_empty()).await;
    let plan = schedule(&[machine(&hostname)]);
    api.change("UPDATE_MAINTENANCE_SCHEDULE", &plan).await;
    until("both wait", || maintenance.waiting().len() == 2).await;
    cluster.kill_master();
    until("they went with the subscription", || {
        maintenance.waiting().is_empty()
    })
    .await;
    drop(framework);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_policy_that_panics_ends_the_driver() {
    let maintenance = Maintenance::deciding(|_| panic!("no idea"));
    let Some((cluster, mut framework, _)) = scene("panics", &maintenance).await else {
        return;
    };
    framework
        .sees("the error", |callback| {
            matches!(callback, Callback::Error(_))
        })
        .await;
    let error = framework.driver.join().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CallbackPanicked);
    assert_eq!(error.to_string(), "the task of a tool panicked: no idea");
    cluster.shutdown().await;
}
