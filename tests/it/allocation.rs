//! Who is offered what.

use mesos_framework::proto::framework_info::{Capability, capability};
use mesos_framework::proto::{FrameworkInfo, Offer, Request};
use serde_json::{Value, json};

use crate::bare::{self, Scheduler, with};
use crate::cluster::{Agents, Needs, OwnCluster};
use crate::framework::{Framework, QUIET, amount, info, refuse_for_good};
use crate::peer::within;
use crate::recorder::Callback;

/// Everything that two agents have, in offers that the framework keeps.
pub async fn hold_all(framework: &mut Framework) -> Vec<Offer> {
    within("all there is", async {
        let mut held = Vec::new();
        while total(&held, "cpus") < 8.0 {
            hold_more(framework, &mut held).await;
        }
        held
    })
    .await
}

/// Some offers, and whatever comes until [`QUIET`] has passed without more.
pub async fn hold_what_comes(framework: &mut Framework) -> Vec<Offer> {
    within("offers", async {
        let mut held = Vec::new();
        while held.is_empty() {
            hold_more(framework, &mut held).await;
        }
        held
    })
    .await
}

/// Keeps track of offers until there is quiet: those of an agent that has just registered are taken back and made again.
async fn hold_more(framework: &mut Framework, held: &mut Vec<Offer>) {
    while let Ok(callback) = tokio::time::timeout(QUIET, framework.recording.next()).await {
        match callback {
            Callback::Offers(offers) => held.extend(offers),
            Callback::Rescinded(id) => held.retain(|offer| offer.id != id),
            _ => {}
        }
    }
}

pub fn total(offers: &[Offer], name: &str) -> f64 {
    offers.iter().map(|own| amount(&own.resources, name)).sum()
}

fn is_offers(callback: &Callback) -> bool {
    matches!(callback, Callback::Offers(_))
}

#[tokio::test]
async fn what_one_framework_holds_nobody_else_is_offered() {
    let Some(cluster) = OwnCluster::start(Needs::default()).await else {
        return;
    };
    let mut first = Framework::register(&cluster.address(), info("first")).await;
    let held = hold_all(&mut first).await;
    assert_eq!(held.len(), 2, "one offer of each agent: {held:?}");
    let mut second = Framework::register(&cluster.address(), info("second")).await;
    assert!(second.is_without(QUIET, is_offers).await);
    first.decline(&held, refuse_for_good()).await;
    hold_all(&mut second).await;
    assert!(first.is_without(QUIET, is_offers).await);
    first.teardown().await;
    second.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn requests_for_resources_change_nothing() {
    let Some(cluster) = OwnCluster::start(Needs::default()).await else {
        return;
    };
    let mut framework = Framework::register(&cluster.address(), info("requests")).await;
    let held = hold_all(&mut framework).await;
    framework.decline(&held, refuse_for_good()).await;
    let request = Request::default();
    let receipt = framework.handle.request_resources(vec![request]).await;
    let outcome = receipt.unwrap().outcome().await;
    assert!(matches!(outcome, mesos_framework::Outcome::Accepted));
    assert!(framework.is_without(QUIET, is_offers).await);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn each_of_several_roles_is_offered_for_itself() {
    let Some(cluster) = OwnCluster::start(Needs::default()).await else {
        return;
    };
    let info = FrameworkInfo {
        roles: vec!["top".to_owned(), "top/sub".to_owned()],
        ..info("roles")
    };
    let mut framework = Framework::register(&cluster.address(), info).await;
    let held = hold_all(&mut framework).await;
    let role = |offer: &Offer| offer.allocation_info.clone().unwrap().role().to_owned();
    // An agent for each, since whoever has nothing comes first.
    let mut roles: Vec<String> = held.iter().map(role).collect();
    roles.sort();
    assert_eq!(roles, ["top", "top/sub"]);
    for offer in &held {
        framework
            .decline(std::slice::from_ref(offer), refuse_for_good())
            .await;
    }
    // What one role has refused, the other one is offered.
    let again = hold_all(&mut framework).await;
    for offer in &again {
        let before = held.iter().find(|own| own.agent_id == offer.agent_id);
        assert_ne!(role(before.unwrap()), role(offer));
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn frameworks_without_multi_role_share_by_their_one_role() {
    let Some(cluster) = OwnCluster::start(Needs::default()).await else {
        return;
    };
    #[expect(deprecated, reason = "frameworks without MULTI_ROLE state one `role`")]
    let single = |name: &str| FrameworkInfo {
        role: Some("shared".to_owned()),
        roles: Vec::new(),
        capabilities: vec![Capability {
            r#type: Some(capability::Type::PartitionAware as i32),
        }],
        ..info(name)
    };
    let mut first = Framework::register(&cluster.address(), single("one")).await;
    let held = hold_all(&mut first).await;
    assert!(held.iter().all(|offer| offer.allocation_info.is_none()));
    let mut second = Framework::register(&cluster.address(), single("other")).await;
    first.decline(&held[..1], refuse_for_good()).await;
    // The first one still has half of the cluster.
    let offer = second.next_offer(|_| true).await;
    assert_eq!(offer.agent_id, held[0].agent_id);
    first.teardown().await;
    second.teardown().await;
    cluster.shutdown().await;
}

/// Whether this is offered anything.
async fn is_offered(address: &str, info: &Value) -> bool {
    let mut scheduler = Scheduler::subscribe(address, info).await;
    let offered = tokio::time::timeout(QUIET, scheduler.offer_that(|_| true)).await;
    scheduler.teardown().await;
    offered.is_ok()
}

async fn one_agent(resources: &'static str) -> OwnCluster {
    let needs = Needs {
        agents: Agents::One,
        resources,
        ..Needs::default()
    };
    OwnCluster::start(needs).await.unwrap()
}

#[tokio::test]
async fn an_agent_with_gpus_is_hidden_from_those_who_know_none() {
    let cluster = one_agent("cpus:1;mem:512;gpus:1").await;
    let address = cluster.address();
    let mut info = bare::info("gpus");
    let gpus = json!({ "type": "GPU_RESOURCES" });
    let mut knows = info.clone();
    knows["capabilities"].as_array_mut().unwrap().push(gpus);
    let mut scheduler = Scheduler::subscribe(&address, &knows).await;
    let offer = scheduler.offer_that(|_| true).await;
    let named = |name: &str| {
        let mut all = offer["resources"].as_array().unwrap().iter();
        all.find(|own| own["name"] == name).unwrap()["scalar"]["value"].clone()
    };
    assert_eq!((named("gpus"), named("cpus")), (json!(1.0), json!(1.0)));
    scheduler.teardown().await;
    assert!(!is_offered(&address, &info).await, "not even the cpus");
    info["name"] = json!("another");
    assert!(!is_offered(&address, &info).await);
    cluster.shutdown().await;
}

#[tokio::test]
async fn nothing_is_offered_that_is_smaller_than_the_framework_wants() {
    let cluster = one_agent("cpus:1;mem:512;disk:100").await;
    let address = cluster.address();
    let wants = |quantities: Value| {
        let info = bare::info("wants");
        let role = info["name"].as_str().unwrap().to_owned();
        let least = json!({ "min_allocatable_resources": { "quantities": quantities } });
        with(info, "offer_filters", json!({ role: least }))
    };
    let amounts = |amounts: Value| {
        let amounts = amounts.as_object().unwrap().iter();
        let amounts = amounts.map(|(name, own)| (name.clone(), json!({ "value": own })));
        json!({ "quantities": amounts.collect::<serde_json::Map<_, _>>() })
    };
    for (least, expected) in [
        (json!([]), true),
        (json!([amounts(json!({ "cpus": 1 }))]), true),
        (
            json!([amounts(json!({ "cpus": 1, "mem": 512, "disk": 100 }))]),
            true,
        ),
        (json!([amounts(json!({ "cpus": 1.001 }))]), false),
        (json!([amounts(json!({ "cpus": 1, "mem": 513 }))]), false),
        (json!([amounts(json!({ "gold": 1 }))]), false),
        (
            json!([amounts(json!({ "gold": 1 })), amounts(json!({ "mem": 1 }))]),
            true,
        ),
    ] {
        let offered = is_offered(&address, &wants(least.clone())).await;
        assert_eq!(offered, expected, "{least}");
    }
    cluster.shutdown().await;
}
