//! Maintenance of machines, and the inverse offers that announce it.

use mesos_framework::local::{AgentSettings, ClusterState};
use mesos_framework::proto::{InverseOffer, TaskState, task_status::Reason};
use serde_json::{Value, json};

use crate::allocation::hold_all;
use crate::cluster::{self, Needs, OwnCluster};
use crate::executor_role::RUN;
use crate::framework::{Framework, PATIENCE, QUIET, info, refuse, refuse_for_good};
use crate::operator::Api;
use crate::recorder::Callback;

/// Nanoseconds since the epoch, far away.
const START: i64 = 4_000_000_000_000_000_000;
const HOUR: i64 = 3_600_000_000_000;

pub fn machine(hostname: &str) -> Value {
    json!({ "hostname": hostname, "ip": "127.0.0.1" })
}

pub fn schedule(machines: &[Value]) -> Value {
    let unavailability = json!({
        "start": { "nanoseconds": START }, "duration": { "nanoseconds": HOUR },
    });
    let window = json!({ "machine_ids": machines, "unavailability": unavailability });
    json!({ "schedule": { "windows": [window] } })
}

fn machines(of: &[Value]) -> Value {
    json!({ "machines": of })
}

/// A framework that holds everything, and what its agents' host is called.
async fn scene(test: &str) -> Option<(OwnCluster, Api, Framework, String)> {
    let cluster = OwnCluster::start(Needs::default()).await?;
    let api = Api::of_master(&cluster.address());
    let mut framework = Framework::register(&cluster.address(), info(test)).await;
    let held = hold_all(&mut framework).await;
    let hostname = held[0].hostname.clone();
    Some((cluster, api, framework, hostname))
}

/// The next inverse offer for the agent of `before`.
async fn asked_again(framework: &mut Framework, before: &InverseOffer) -> InverseOffer {
    framework
        .until("the same agent asked for again", |callback| {
            let Callback::InverseOffers(inverse_offers) = callback else {
                return None;
            };
            let same = |own: &&InverseOffer| own.agent_id == before.agent_id;
            inverse_offers.iter().find(same).cloned()
        })
        .await
}

fn ids(of: &[InverseOffer]) -> Vec<mesos_framework::proto::OfferId> {
    of.iter().map(|own| own.id.clone()).collect()
}

/// The answers that are known of the one machine, once they are as `wanted`: the master asks its allocator for them.
pub async fn until_answers(cluster: &OwnCluster, hostname: &str, wanted: impl Fn(&[&str]) -> bool) {
    cluster
        .eventually("GET_MAINTENANCE_STATUS", |status| {
            let draining = &status["status"]["draining_machines"];
            assert_eq!(draining[0]["id"], machine(hostname), "{status}");
            let answers = draining[0]["statuses"].as_array().into_iter().flatten();
            let answers: Vec<_> = answers.map(|own| own["status"].as_str().unwrap()).collect();
            wanted(&answers).then_some(())
        })
        .await;
}

#[tokio::test]
async fn planned_maintenance_is_announced_and_asked_for_again() {
    let Some((cluster, api, mut framework, hostname)) = scene("announced").await else {
        return;
    };
    let task = framework.info.name.clone();
    let plan = schedule(&[machine(&hostname)]);
    api.change("UPDATE_MAINTENANCE_SCHEDULE", &plan).await;
    assert_eq!(api.ask("GET_MAINTENANCE_SCHEDULE").await, plan);
    // What was offered without knowing of it is taken back, and offered anew.
    framework
        .until("an offer taken back", |callback| {
            matches!(callback, Callback::Rescinded(_)).then_some(())
        })
        .await;
    let mut announced = false;
    let asked = loop {
        match framework.recording.next().await {
            // One that was on its way when the plan came says nothing of it, and is taken back, too.
            Callback::Offers(offers) => {
                if let Some(when) = &offers[0].unavailability {
                    assert_eq!(when.start.nanoseconds, START);
                    assert_eq!(when.duration.unwrap().nanoseconds, HOUR);
                    announced = true;
                }
            }
            Callback::InverseOffers(asked) => break asked,
            _ => {}
        }
    };
    assert!(announced, "offers come before inverse offers");
    assert_eq!(asked[0].framework_id, framework.id);
    assert_eq!(asked[0].unavailability.start.nanoseconds, START);
    assert!(asked[0].agent_id.is_some() && asked[0].url.is_some());
    assert!(
        asked[0].resources.is_empty(),
        "{task}: the whole agent is meant"
    );
    framework
        .handle
        .accept_inverse_offers(ids(&asked), refuse(0.0))
        .await
        .unwrap();
    let again = asked_again(&mut framework, &asked[0]).await;
    assert_ne!(again.id, asked[0].id);
    until_answers(&cluster, &hostname, |answers| answers.contains(&"ACCEPT")).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn maintenance_of_a_machine_leaves_agents_on_other_machines_alone() {
    let agent = |hostname| AgentSettings::new().hostname(hostname);
    let cluster = cluster::local().agent(agent("one")).agent(agent("two"));
    let cluster = cluster.start().await.unwrap();
    let address = cluster.master_address();
    let mut framework = Framework::register(&address, info("one-of-two")).await;
    let held = hold_all(&mut framework).await;
    let of_one = held.iter().find(|offer| offer.hostname == "one").unwrap();
    let address_of_one = of_one.url.as_ref().unwrap().address.hostname();
    assert_eq!(address_of_one, "one");
    let plan = schedule(&[machine("one")]);
    let api = Api::of_master(&address);
    api.change("UPDATE_MAINTENANCE_SCHEDULE", &plan).await;
    let mut asked = Vec::new();
    while asked.is_empty() {
        // What is on offer of the other is taken back and offered anew, too.
        if let Callback::InverseOffers(more) = framework.recording.next().await {
            asked.extend(more);
        }
    }
    let agents: Vec<_> = asked.into_iter().map(|own| own.agent_id.unwrap()).collect();
    assert_eq!(agents, std::slice::from_ref(&of_one.agent_id));
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_refused_inverse_offer_stays_away_until_the_framework_revives() {
    let Some((cluster, api, mut framework, hostname)) = scene("refused").await else {
        return;
    };
    let plan = schedule(&[machine(&hostname)]);
    api.change("UPDATE_MAINTENANCE_SCHEDULE", &plan).await;
    // Offers stay where they are, so both agents are asked for.
    let mut asked = Vec::new();
    while asked.len() < 2 {
        if let Callback::InverseOffers(more) = framework.recording.next().await {
            asked.extend(more);
        }
    }
    framework
        .handle
        .decline_inverse_offers(ids(&asked), refuse_for_good())
        .await
        .unwrap();
    let again = tokio::time::timeout(QUIET, async {
        loop {
            if let Callback::InverseOffers(more) = framework.recording.next().await {
                break more;
            }
        }
    });
    assert!(again.await.is_err(), "they were refused");
    until_answers(&cluster, &hostname, |answers| {
        answers == ["DECLINE", "DECLINE"]
    })
    .await;
    framework.handle.revive_offers(Vec::new()).await.unwrap();
    let again = framework
        .recording
        .until("inverse offers", |callback| match callback {
            Callback::InverseOffers(more) => Some(more),
            _ => None,
        });
    let again = again.await;
    assert!(asked.iter().all(|own| own.id != again[0].id));
    // Without the plan, nobody need leave.
    api.change("UPDATE_MAINTENANCE_SCHEDULE", &json!({ "schedule": {} }))
        .await;
    framework
        .until("the inverse offer taken back", |callback| match callback {
            Callback::InverseOfferRescinded(id) if *id == again[0].id => Some(()),
            _ => None,
        })
        .await;
    assert_eq!(
        api.ask("GET_MAINTENANCE_STATUS").await,
        json!({ "status": {} })
    );
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn agents_of_a_machine_that_goes_down_are_removed_with_their_tasks() {
    let Some((cluster, api, framework, hostname)) = scene("down").await else {
        return;
    };
    framework.teardown().await;
    let mut framework = Framework::register(&cluster.address(), info("down")).await;
    let task = framework.run("down", RUN).await;
    let plan = schedule(&[machine(&hostname)]);
    api.change("UPDATE_MAINTENANCE_SCHEDULE", &plan).await;
    api.change("START_MAINTENANCE", &machines(&[machine(&hostname)]))
        .await;
    let (mut lost, mut updates) = (Vec::new(), Vec::new());
    framework
        .until("both agents lost", |callback| {
            match callback {
                Callback::AgentLost(id) => lost.push(id.clone()),
                Callback::Status(status) => updates.push(status.clone()),
                _ => {}
            }
            (lost.len() == 2).then_some(())
        })
        .await;
    let [status] = &updates[..] else {
        panic!("one update of the one task: {updates:?}");
    };
    assert_eq!(status.state(), TaskState::TaskLost);
    assert_eq!(status.reason(), Reason::AgentRemoved);
    let text = format!("Agent {hostname} removed: Operator initiated 'Machine DOWN'");
    assert_eq!(status.message(), text);
    assert!(status.uuid.is_none());
    assert!(lost.contains(&task.agent_id));
    let status = api.ask("GET_MAINTENANCE_STATUS").await;
    assert_eq!(
        status["status"],
        json!({ "down_machines": [machine(&hostname)] })
    );
    let agents = api.ask("GET_AGENTS").await;
    assert_eq!(agents["agents"], json!([]));
    // It stays down for the plan's sake.
    let text = format!(
        "Machine '{}' is deactivated and cannot be removed from the schedule",
        machine(&hostname)
    );
    let nothing = json!({ "schedule": {} });
    api.refuses_change("UPDATE_MAINTENANCE_SCHEDULE", &nothing, 400, &text)
        .await;
    api.change("STOP_MAINTENANCE", &machines(&[machine(&hostname)]))
        .await;
    for (kind, empty) in [
        ("GET_MAINTENANCE_STATUS", json!({ "status": {} })),
        ("GET_MAINTENANCE_SCHEDULE", json!({ "schedule": {} })),
    ] {
        assert_eq!(api.ask(kind).await, empty);
    }
    if let OwnCluster::Embedded(local) = &cluster {
        for index in 0..2 {
            let has_ended = |state: &ClusterState| !state.agents[index].is_alive;
            local.until(PATIENCE, has_ended).await.unwrap();
            local.restart_agent(index).await.unwrap();
        }
        framework.run("again", RUN).await;
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn plans_that_cannot_be_are_refused() {
    let Some((cluster, api, framework, hostname)) = scene("plans").await else {
        return;
    };
    let (here, other) = (machine(&hostname), json!({ "hostname": "other" }));
    let shown = other.to_string();
    let negative = json!({ "schedule": { "windows": [{
        "machine_ids": [other],
        "unavailability": { "start": { "nanoseconds": START }, "duration": { "nanoseconds": -1 } },
    }]}});
    let twice = format!("Machine '{shown}' appears more than once in the schedule");
    for (part, text) in [
        (
            schedule(&[]),
            "List of machines in the maintenance window is empty",
        ),
        (
            schedule(&[json!({})]),
            "Both 'hostname' and 'ip' for a machine are empty",
        ),
        (
            schedule(&[json!({ "ip": "here" })]),
            "Failed to parse IPv4: here",
        ),
        (schedule(&[other.clone(), other.clone()]), &twice),
        (negative, "Unavailability 'duration' is negative"),
    ] {
        api.refuses_change("UPDATE_MAINTENANCE_SCHEDULE", &part, 400, text)
            .await;
    }
    let unknown = format!("Machine '{shown}' is not part of a maintenance schedule");
    let up = format!("Machine '{here}' is not in DRAINING mode and cannot be brought down");
    let not_down = format!("Machine '{here}' is not in DOWN mode and cannot be brought up");
    for (kind, part, text) in [
        (
            "START_MAINTENANCE",
            machines(&[]),
            "List of machines is empty",
        ),
        (
            "START_MAINTENANCE",
            machines(std::slice::from_ref(&other)),
            &unknown,
        ),
        (
            "START_MAINTENANCE",
            machines(std::slice::from_ref(&here)),
            &up,
        ),
        (
            "STOP_MAINTENANCE",
            machines(std::slice::from_ref(&other)),
            &unknown,
        ),
        (
            "STOP_MAINTENANCE",
            machines(std::slice::from_ref(&here)),
            &not_down,
        ),
        (
            "STOP_MAINTENANCE",
            machines(&[other.clone(), other]),
            &twice,
        ),
    ] {
        api.refuses_change(kind, &part, 400, text).await;
    }
    let missing = "Failed to validate master::Call: Expecting 'start_maintenance' to be present";
    api.refuses_change("START_MAINTENANCE", &Value::Null, 400, missing)
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_agent_that_is_to_be_maintained_is_not_drained() {
    let Some((cluster, api, framework, hostname)) = scene("both").await else {
        return;
    };
    let plan = schedule(&[machine(&hostname)]);
    api.change("UPDATE_MAINTENANCE_SCHEDULE", &plan).await;
    let agents = api.ask("GET_AGENTS").await;
    let id = &agents["agents"][0]["agent_info"]["id"];
    let text = format!(
        "Agent {} is part of a maintenance schedule under Machine {hostname} (127.0.0.1)",
        id["value"].as_str().unwrap()
    );
    let part = json!({ "agent_id": id });
    api.refuses_change("DRAIN_AGENT", &part, 400, &text).await;
    framework.teardown().await;
    cluster.shutdown().await;
}
