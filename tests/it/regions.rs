//! Agents in other regions than the master's.

use std::collections::BTreeSet;

use mesos_framework::proto::framework_info::{Capability, capability};
use mesos_framework::proto::{FrameworkInfo, Offer};

use crate::cluster::{Needs, OwnCluster};
use crate::framework::{Framework, QUIET, info};
use crate::http::get;
use crate::recorder::Callback;

const REGIONS: Needs = Needs {
    regions: true,
    ..Needs::PLAIN
};

fn region_aware(test: &str) -> FrameworkInfo {
    let mut info = info(test);
    info.capabilities.push(Capability {
        r#type: Some(capability::Type::RegionAware as i32),
    });
    info
}

fn region(offer: &Offer) -> &str {
    let domain = offer.domain.as_ref().unwrap().fault_domain.as_ref();
    let domain = domain.unwrap();
    assert_eq!(domain.zone.name, "a");
    &domain.region.name
}

#[tokio::test]
async fn only_region_aware_frameworks_are_offered_remote_agents() {
    let Some(cluster) = OwnCluster::start(REGIONS).await else {
        return;
    };
    let mut near = Framework::register(&cluster.address(), info("near")).await;
    let offer = near.next_offer(|_| true).await;
    assert_eq!(region(&offer), "home");
    near.decline(&[offer], crate::framework::refuse_for_good())
        .await;
    let is_away = |callback: &Callback| match callback {
        Callback::Offers(offers) => offers.iter().any(|offer| region(offer) == "away"),
        _ => false,
    };
    assert!(near.is_without(QUIET, is_away).await);

    let mut far = Framework::register(&cluster.address(), region_aware("far")).await;
    let offer = far.next_offer(|offer| region(offer) == "away").await;
    far.decline(&[offer], crate::framework::refuse_for_good())
        .await;
    near.teardown().await;
    far.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn operators_see_where_master_and_agents_stand() {
    let Some(cluster) = OwnCluster::start(REGIONS).await else {
        return;
    };
    let mut framework = Framework::register(&cluster.address(), region_aware("seen")).await;
    let mut seen = BTreeSet::new();
    framework
        .until("offers of both agents", |callback| {
            if let Callback::Offers(offers) = callback {
                seen.extend(offers.iter().map(|offer| region(offer).to_owned()));
            }
            (seen.len() == 2).then_some(())
        })
        .await;
    let master = serde_json::json!({
        "fault_domain": { "region": { "name": "home" }, "zone": { "name": "a" } },
    });
    let state = get(&cluster.address(), "/state").await.json();
    assert_eq!(state["domain"], master);
    assert_eq!(state["leader_info"]["domain"], master);
    let mut regions: Vec<_> = state["slaves"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| agent["domain"]["fault_domain"]["region"]["name"].as_str())
        .collect();
    regions.sort_unstable();
    assert_eq!(regions, [Some("away"), Some("home")]);
    framework.teardown().await;
    cluster.shutdown().await;
}
