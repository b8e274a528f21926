//! Weights of roles.

use serde_json::{Value, json};

use crate::allocation::hold_all;
use crate::cluster::{Needs, OwnCluster};
use crate::framework::{Framework, QUIET, info};
use crate::operator::Api;
use crate::recorder::Callback;

fn weights(of: &[(&str, f64)]) -> Value {
    let of = of.iter();
    let of = of.map(|(role, weight)| json!({ "role": role, "weight": weight }));
    json!({ "weight_infos": of.collect::<Vec<_>>() })
}

#[tokio::test]
async fn weights_are_kept_and_shown_also_by_the_next_master() {
    let Some(mut cluster) = OwnCluster::start(Needs::default()).await else {
        return;
    };
    let api = Api::of_master(&cluster.address());
    assert_eq!(api.ask_patiently("GET_WEIGHTS").await, Value::Null);
    api.change("UPDATE_WEIGHTS", &weights(&[(" heavy ", 2.5)]))
        .await;
    assert_eq!(api.ask("GET_WEIGHTS").await, weights(&[("heavy", 2.5)]));
    let roles = api.ask("GET_ROLES").await;
    assert_eq!(roles["roles"], json!([{ "name": "heavy", "weight": 2.5 }]));
    cluster.kill_master();
    cluster.restart_master().await;
    let kept = api.ask_patiently("GET_WEIGHTS").await;
    assert_eq!(kept, weights(&[("heavy", 2.5)]));
    cluster.shutdown().await;
}

#[tokio::test]
async fn weights_that_cannot_be_are_refused() {
    let needs = Needs {
        roles: &["known"],
        ..Needs::default()
    };
    let Some(cluster) = OwnCluster::start(needs).await else {
        return;
    };
    let api = Api::of_master(&cluster.address());
    api.ask_patiently("GET_WEIGHTS").await;
    let prefix = "Failed to validate update weights request JSON";
    for (role, weight, text) in [
        (
            "known",
            0.0,
            " for role 'known': Invalid weight '0': Weights must be positive",
        ),
        (
            "known",
            -1.5,
            " for role 'known': Invalid weight '-1.5': Weights must be positive",
        ),
        ("other", 1.0, ": Unknown role 'other'"),
        (
            "-x",
            1.0,
            ": Invalid role '-x': Role component '-x' is invalid because it starts with a dash",
        ),
    ] {
        let text = format!("{prefix}{text}");
        let part = weights(&[("known", 9.0), (role, weight)]);
        api.refuses_change("UPDATE_WEIGHTS", &part, 400, &text)
            .await;
    }
    let missing = "Failed to validate master::Call: Expecting 'update_weights' to be present";
    api.refuses_change("UPDATE_WEIGHTS", &Value::Null, 400, missing)
        .await;
    assert_eq!(api.ask("GET_WEIGHTS").await, Value::Null, "all or nothing");
    cluster.shutdown().await;
}

#[tokio::test]
async fn offers_are_taken_back_when_a_role_in_use_is_weighed_anew() {
    let Some(cluster) = OwnCluster::start(Needs::default()).await else {
        return;
    };
    let api = Api::of_master(&cluster.address());
    let mut framework = Framework::register(&cluster.address(), info("weighed")).await;
    let held = hold_all(&mut framework).await;
    let is_rescission = |callback: &Callback| matches!(callback, Callback::Rescinded(_));
    api.change("UPDATE_WEIGHTS", &weights(&[("nobody's", 2.0)]))
        .await;
    assert!(framework.is_without(QUIET, is_rescission).await);
    let role = framework.info.roles[0].clone();
    api.change("UPDATE_WEIGHTS", &weights(&[(&role, 2.0)]))
        .await;
    let mut rescinded = Vec::new();
    framework
        .until("both offers taken back", |callback| {
            if let Callback::Rescinded(id) = callback {
                rescinded.push(id.clone());
            }
            (rescinded.len() == held.len()).then_some(())
        })
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}
