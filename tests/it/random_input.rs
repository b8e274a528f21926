//! Random bytes and spoiled calls to every API of the embedded cluster: each is answered, and nothing breaks.

use mesos_framework::proto::{agent, executor, master, scheduler};
use proptest::prelude::{Strategy, any};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use proptest::{collection, sample};
use prost::Message as _;
use serde_json::json;

use crate::event_stream::EventStream;
use crate::executor_role::FINISH;
use crate::framework::{Framework, info, task};
use mesos_framework::proto::TaskState;

/// Bodies per API.
const CASES: usize = 150;

/// All that Mesos answers.
const STATUSES: [u16; 12] = [200, 202, 307, 400, 401, 403, 404, 405, 406, 415, 501, 503];

/// What is done to a body: at a place (a share of its length), and with what.
#[derive(Clone, Debug)]
enum Spoil {
    Replace(f64, u8),
    Insert(f64, Vec<u8>),
    Cut(f64),
    Repeat(f64),
}

fn spoil() -> impl Strategy<Value = Spoil> {
    let place = || 0.0..1.0_f64;
    proptest::prop_oneof![
        (place(), any::<u8>()).prop_map(|(at, byte)| Spoil::Replace(at, byte)),
        (place(), collection::vec(any::<u8>(), 1..8))
            .prop_map(|(at, bytes)| Spoil::Insert(at, bytes)),
        place().prop_map(Spoil::Cut),
        place().prop_map(Spoil::Repeat),
    ]
}

fn spoiled(mut body: Vec<u8>, spoils: &[Spoil]) -> Vec<u8> {
    for spoil in spoils {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "below the length"
        )]
        let place = |at: &f64| (body.len() as f64 * at) as usize;
        match spoil {
            Spoil::Replace(at, byte) => {
                let at = place(at);
                if let Some(own) = body.get_mut(at) {
                    *own = *byte;
                }
            }
            Spoil::Insert(at, bytes) => {
                let at = place(at);
                body.splice(at..at, bytes.iter().copied());
            }
            Spoil::Cut(at) => body.truncate(place(at)),
            Spoil::Repeat(at) => {
                let tail = body[place(at)..].to_vec();
                body.extend(tail);
            }
        }
    }
    body
}

/// Well-formed calls in JSON, without their ids.
fn calls() -> Vec<serde_json::Value> {
    let id = json!({ "value": "x" });
    let info = json!({ "user": "nobody", "name": "x", "roles": ["a"], "failover_timeout": 0.5,
        "capabilities": [{ "type": "MULTI_ROLE" }] });
    let status = json!({ "task_id": id, "state": "TASK_RUNNING", "source": "SOURCE_EXECUTOR",
        "uuid": "AAAAAAAAQACAAAAAAAAAAA==" });
    let cpus = json!({ "name": "cpus", "type": "SCALAR", "scalar": { "value": 1.0 } });
    let task = json!({ "name": "x", "task_id": id, "agent_id": id, "resources": [cpus],
        "command": { "value": "true" } });
    let launch = json!({ "type": "LAUNCH", "launch": { "task_infos": [task] } });
    vec![
        json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": info } }),
        json!({ "type": "ACCEPT", "accept": { "offer_ids": [id], "operations": [launch] } }),
        json!({ "type": "ACKNOWLEDGE", "acknowledge": { "agent_id": id, "task_id": id,
            "uuid": "AAAAAAAAQACAAAAAAAAAAA==" } }),
        json!({ "type": "RECONCILE", "reconcile": { "tasks": [{ "task_id": id }] } }),
        json!({ "type": "UPDATE", "executor_id": id, "update": { "status": status } }),
        json!({ "type": "SUBSCRIBE", "executor_id": id, "subscribe": {} }),
        json!({ "type": "GET_STATE" }),
        json!({ "type": "UNKNOWN" }),
        json!({ "type": "TEARDOWN", "teardown": { "framework_id": id } }),
        json!({ "type": "GET_METRICS", "get_metrics": { "timeout": { "nanoseconds": 1 } } }),
        json!({ "type": "READ_FILE", "read_file": { "path": "/x", "offset": 0 } }),
    ]
}

/// The same in protobuf, as each API reads them.
fn encoded() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for kind in 0..20 {
        all.push(
            scheduler::Call {
                r#type: Some(kind),
                ..Default::default()
            }
            .encode_to_vec(),
        );
        all.push(
            master::Call {
                r#type: Some(kind),
                ..Default::default()
            }
            .encode_to_vec(),
        );
        all.push(
            agent::Call {
                r#type: Some(kind),
                ..Default::default()
            }
            .encode_to_vec(),
        );
    }
    let mut subscribe = scheduler::Call::default();
    subscribe.set_type(scheduler::call::Type::Subscribe);
    subscribe.subscribe = Some(Box::new(scheduler::call::Subscribe {
        framework_info: info("random"),
        ..Default::default()
    }));
    all.push(subscribe.encode_to_vec());
    let update = executor::Call {
        executor_id: "x".into(),
        framework_id: "x".into(),
        r#type: Some(executor::call::Type::Update.into()),
        ..Default::default()
    };
    all.push(update.encode_to_vec());
    all
}

fn bodies() -> impl Strategy<Value = (bool, Vec<u8>)> {
    let spoils = || collection::vec(spoil(), 0..4);
    let json: Vec<Vec<u8>> = calls()
        .iter()
        .map(|call| call.to_string().into_bytes())
        .collect();
    let spoiled_json = (sample::select(json), spoils());
    let spoiled_protobuf = (sample::select(encoded()), spoils());
    proptest::prop_oneof![
        1 => (any::<bool>(), collection::vec(any::<u8>(), 0..64)),
        3 => spoiled_json.prop_map(|(body, spoils)| (true, spoiled(body, &spoils))),
        3 => spoiled_protobuf.prop_map(|(body, spoils)| (false, spoiled(body, &spoils))),
    ]
}

#[tokio::test]
async fn whatever_comes_in_is_answered_and_breaks_nothing() {
    let cluster = crate::cluster::local().start().await.unwrap();
    let (master, agent) = (cluster.master_address(), &cluster.agent_addresses()[0]);
    let apis = [
        (master.as_str(), "/api/v1/scheduler"),
        (master.as_str(), "/api/v1"),
        (agent.as_str(), "/slave(1)/api/v1/executor"),
        (agent.as_str(), "/slave(1)/api/v1"),
    ];
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::default()
    });
    let strategy = bodies();
    for _ in 0..CASES {
        let (is_json, body) = strategy.new_tree(&mut runner).unwrap().current();
        let media_type = if is_json {
            "application/json"
        } else {
            "application/x-protobuf"
        };
        for (address, path) in apis {
            let headers = [("Content-Type", media_type)];
            let answer = EventStream::open(address, path, &headers, &body).await;
            let shown = String::from_utf8_lossy(&body);
            assert!(
                STATUSES.contains(&answer.status()),
                "{path} {shown}: {}",
                answer.status()
            );
        }
    }
    let mut framework = Framework::register(&master, info("after")).await;
    let offer = framework.offer().await;
    let task = task("after", FINISH, &offer);
    framework.launch(offer, vec![task.clone()]).await;
    framework
        .comes_to(&task.task_id, TaskState::TaskFinished)
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}
