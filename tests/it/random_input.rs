//! Random bytes and spoiled calls to every API and page: a real master and its agent, and an embedded cluster beside them,
//! are sent the same and must say the same. Without a real one, each is answered, and nothing breaks.

use std::fmt::Write as _;
use std::time::Duration;

use mesos_framework::local::LocalCluster;
use mesos_framework::proto::{TaskState, agent, executor, master, scheduler};
use proptest::prelude::{Strategy, any};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use proptest::{collection, option, sample};
use prost::Message as _;
use serde_json::{Value, json};

use crate::cluster::{Agents, OwnCluster};
use crate::executor_role::FINISH;
use crate::framework::{Framework, PATIENCE, info, task};
use crate::raw_http::{Outcome, Raw};

/// How many requests there are, and where their random numbers begin.
const CASES: &str = "MESOS_RANDOM_CASES";
const SEED: &str = "MESOS_RANDOM_SEED";

const DEFAULT_CASES: u64 = 300;

/// When nothing is expected any more.
const WHILE: Duration = Duration::from_millis(250);

fn number(name: &str, default: u64) -> u64 {
    let own = std::env::var(name).ok();
    own.map_or(default, |own| own.parse().expect("a number"))
}

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
fn calls() -> Vec<Value> {
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

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Master,
    Agent,
}

/// What is sent, as bytes.
#[derive(Debug)]
struct Case {
    place: Place,
    bytes: Vec<u8>,
    /// Whether a real master would end at it, or do what is not done here.
    is_harmful: bool,
}

const APIS: [(Place, &str); 4] = [
    (Place::Master, "/api/v1/scheduler"),
    (Place::Master, "/api/v1"),
    (Place::Agent, "/slave(1)/api/v1/executor"),
    (Place::Agent, "/slave(1)/api/v1"),
];

const PAGES: [(Place, &str); 8] = [
    (Place::Master, "/state"),
    (Place::Master, "/master/slaves"),
    (Place::Master, "/tasks"),
    (Place::Master, "/metrics/snapshot"),
    (Place::Master, "/health"),
    (Place::Agent, "/state"),
    (Place::Agent, "/slave(1)/health"),
    (Place::Agent, "/metrics/snapshot"),
];

/// Content type and body of a call.
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

/// Headers, most of them right.
fn headers() -> impl Strategy<Value = Vec<String>> {
    let media_types = || {
        sample::select(vec![
            "application/json",
            "application/x-protobuf",
            "application/recordio",
            "application/json; charset=utf-8",
            "application/*",
            "*/*",
            "text/html",
            "application/x-protobuf, application/json;q=0",
            "application/json;q=0.0, application/recordio",
            "",
            "\u{e9}",
        ])
    };
    let named = |name: &'static str| {
        option::weighted(
            0.15,
            media_types().prop_map(move |own| format!("{name}: {own}")),
        )
    };
    let others = sample::select(vec![
        "Mesos-Stream-Id: x",
        "Authorization: Basic eDp5",
        "Message-Content-Type: application/json",
        "Message-Accept: application/json",
        "Accept-Encoding: gzip",
        "Connection: keep-alive",
        "X: y",
    ]);
    let others = option::weighted(0.2, others.prop_map(str::to_owned));
    let all = (named("Accept"), named("Content-Type"), others);
    all.prop_map(|(accept, content_type, other)| {
        [accept, content_type, other]
            .into_iter()
            .flatten()
            .collect()
    })
}

/// What follows a path.
fn rests() -> impl Strategy<Value = &'static str> {
    sample::select(vec![
        "", "", "", "", "", "", "/", "//", "/x", "?a=b", "?a=%41&b", "?a=%4", "#x", "/..", "x",
    ])
}

fn is_harmful(body: &[u8]) -> bool {
    let zero = |kind: Option<i32>| kind == Some(0);
    let is_unknown = scheduler::Call::decode(body).is_ok_and(|call| zero(call.r#type))
        || master::Call::decode(body).is_ok_and(|call| zero(call.r#type))
        || agent::Call::decode(body).is_ok_and(|call| zero(call.r#type));
    is_unknown || String::from_utf8_lossy(body).contains("UNKNOWN")
}

fn request(method: &str, path: &str, headers: &[String], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    for header in headers {
        write!(head, "{header}\r\n").unwrap();
    }
    write!(head, "Content-Length: {}\r\n\r\n", body.len()).unwrap();
    [head.as_bytes(), body].concat()
}

fn api_cases() -> impl Strategy<Value = Case> {
    let methods = sample::select(
        vec!["POST"; 12]
            .into_iter()
            .chain(["GET", "PUT"])
            .collect::<Vec<_>>(),
    );
    let all = (
        sample::select(APIS.to_vec()),
        methods,
        rests(),
        headers(),
        bodies(),
    );
    all.prop_map(
        |((place, path), method, rest, mut headers, (is_json, body))| {
            let media_type = if is_json { "json" } else { "x-protobuf" };
            headers.insert(0, format!("Content-Type: application/{media_type}"));
            Case {
                place,
                bytes: request(method, &format!("{path}{rest}"), &headers, &body),
                is_harmful: is_harmful(&body),
            }
        },
    )
}

fn page_cases() -> impl Strategy<Value = Case> {
    let methods = sample::select(vec!["GET", "GET", "GET", "POST", "HEAD"]);
    let all = (sample::select(PAGES.to_vec()), methods, rests(), headers());
    all.prop_map(|((place, path), method, rest, headers)| Case {
        place,
        bytes: request(method, &format!("{path}{rest}"), &headers, b""),
        is_harmful: false,
    })
}

/// Requests whose every byte may be spoiled.
fn raw_cases() -> impl Strategy<Value = Case> {
    let headers = [
        "Host: x".to_owned(),
        "Content-Type: application/json".to_owned(),
    ];
    let health = json!({ "type": "GET_HEALTH" }).to_string();
    let whole = vec![
        request("GET", "/health?a=b", &headers[..1], b""),
        request("POST", "/slave(1)/api/v1", &headers, health.as_bytes()),
        request("POST", "/api/v1", &headers, health.as_bytes()),
        format!(
            "POST /api/v1 HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
             {:x}\r\n{health}\r\n0\r\n\r\n",
            health.len()
        )
        .into_bytes(),
    ];
    let all = (
        any::<bool>(),
        sample::select(whole),
        collection::vec(spoil(), 1..4),
    );
    all.prop_map(|(is_agent, bytes, spoils)| Case {
        place: if is_agent {
            Place::Agent
        } else {
            Place::Master
        },
        bytes: spoiled(bytes, &spoils),
        is_harmful: false,
    })
}

fn cases() -> impl Strategy<Value = Case> {
    proptest::prop_oneof![8 => api_cases(), 1 => page_cases(), 2 => raw_cases()]
}

/// Addresses of a master and its agent.
type Addresses = [String; 2];

/// What an answer is compared by: of one that is all right, not what it says, unless it is the end of a subscription.
async fn outcome(addresses: &Addresses, case: &Case) -> Outcome {
    let address = match case.place {
        Place::Master => &addresses[0],
        Place::Agent => &addresses[1],
    };
    let mut raw = Raw::send(address, &case.bytes).await;
    // A real one tells its metrics only so often in a second.
    let is_limited = String::from_utf8_lossy(&case.bytes).contains("/metrics/snapshot");
    let limit = if is_limited { PATIENCE } else { WHILE };
    let outcome = match raw.answer(limit).await {
        Outcome::Answered {
            status,
            media_type,
            text,
        } => Outcome::Answered {
            text: match (status, raw.error_event().await) {
                (200, Some(error)) => error,
                (200, None) => String::new(),
                _ => normal(&text),
            },
            status,
            media_type,
        },
        other => other,
    };
    drop(raw);
    outcome
}

/// Without what differs from cluster to cluster: uuids.
fn normal(text: &str) -> String {
    let is_uuid = |own: &[char]| {
        let mut own = own.iter().enumerate();
        own.all(|(at, letter)| match at {
            8 | 13 | 18 | 23 => *letter == '-',
            _ => letter.is_ascii_hexdigit(),
        })
    };
    let letters: Vec<char> = text.chars().collect();
    let mut normal = String::new();
    let mut at = 0;
    while at < letters.len() {
        match letters.get(at..at + 36).filter(|own| is_uuid(own)) {
            Some(_) => {
                normal.push_str("UUID");
                at += 36;
            }
            None => {
                normal.push(letters[at]);
                at += 1;
            }
        }
    }
    normal
}

/// Whether these two answers are to one request. What an embedded cluster does not do, it says.
fn agree(real: &Outcome, embedded: &Outcome) -> bool {
    match embedded {
        Outcome::Answered {
            status: 501, text, ..
        } if text.starts_with("The operator call") => {
            matches!(real, Outcome::Answered { .. })
        }
        _ => real == embedded,
    }
}

/// The embedded one, whose agent has the same path.
async fn beside() -> (LocalCluster, Addresses) {
    let cluster = crate::cluster::local().start().await.unwrap();
    let agent = cluster.agent_addresses().swap_remove(0);
    let addresses = [cluster.master_address(), agent];
    (cluster, addresses)
}

#[tokio::test]
async fn whatever_comes_in_is_answered_alike_and_breaks_nothing() {
    let own = OwnCluster::with(Agents::One).await;
    let real = match &own {
        OwnCluster::Real(_) => Some([own.address(), own.agent_address(0)]),
        OwnCluster::Embedded(_) => None,
    };
    until_ready(&own).await;
    let (embedded, addresses) = beside().await;
    let (count, seed) = (number(CASES, DEFAULT_CASES), number(SEED, 1));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let strategy = cases();
    let mut different = Vec::new();
    for _ in 0..count {
        let case = strategy.new_tree(&mut runner).unwrap().current();
        let here = outcome(&addresses, &case).await;
        let Some(real) = real.as_ref().filter(|_| !case.is_harmful) else {
            continue;
        };
        let there = outcome(real, &case).await;
        if !agree(&there, &here) {
            let shown = String::from_utf8_lossy(&case.bytes).into_owned();
            different.push(format!(
                "{shown:?}\n  real:     {there:?}\n  embedded: {here:?}"
            ));
        }
    }
    let all = different.join("\n");
    assert!(
        different.is_empty(),
        "{SEED}={seed}: {} differ\n{all}",
        different.len()
    );
    for address in real.iter().chain([&addresses]) {
        works(&address[0]).await;
    }
    embedded.shutdown().await;
    own.shutdown().await;
}

/// Whether a framework gets its task done there.
async fn works(master: &str) {
    let mut framework = Framework::register(master, info("after")).await;
    let offer = framework.offer().await;
    let task = task("after", FINISH, &offer);
    framework.launch(offer, vec![task.clone()]).await;
    framework
        .comes_to(&task.task_id, TaskState::TaskFinished)
        .await;
    framework.teardown().await;
}

/// Real agents answer other things before they are registered.
async fn until_ready(cluster: &OwnCluster) {
    let ready = async {
        loop {
            let slaves = crate::http::get(&cluster.address(), "/slaves").await;
            if slaves.status == 200 && slaves.json()["slaves"][0]["active"] == true {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ready)
        .await
        .expect("an agent");
}

#[tokio::test]
async fn standbys_and_domain_sockets_answer_whatever_comes_in() {
    let directory = std::env::temp_dir().join(format!("random-{}", uuid::Uuid::new_v4().simple()));
    let cluster = crate::cluster::local()
        .masters(2)
        .work_directory(directory.clone())
        .executor_domain_sockets()
        .start()
        .await
        .unwrap();
    let standby = cluster.master_addresses().swap_remove(1);
    let addresses = [standby, cluster.agent_addresses().swap_remove(0)];
    let mut runner = TestRunner::deterministic();
    let (strategy, raw) = (api_cases(), raw_cases());
    for _ in 0..number(CASES, DEFAULT_CASES) {
        let mut case = strategy.new_tree(&mut runner).unwrap().current();
        case.place = Place::Master;
        let answered = outcome(&addresses, &case).await;
        let shown = String::from_utf8_lossy(&case.bytes).into_owned();
        // Where a query cannot be read, there is no request.
        let is_known = matches!(
            answered,
            Outcome::Answered {
                status: 307 | 404,
                ..
            }
        );
        assert!(is_known || shown.contains("%4 "), "{shown:?}: {answered:?}");
        let raw = raw.new_tree(&mut runner).unwrap().current();
        outcome(&addresses, &raw).await;
        #[cfg(unix)]
        for bytes in [&case.bytes, &raw.bytes] {
            over_socket(&directory.join("agents/0/run/agent.sock"), bytes).await;
        }
    }
    works(&cluster.master_address()).await;
    cluster.shutdown().await;
    std::fs::remove_dir_all(directory).unwrap();
}

/// Sends this to an agent's socket, and waits for the first bytes of an answer, the end, or a while.
#[cfg(unix)]
async fn over_socket(path: &std::path::Path, bytes: &[u8]) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::UnixStream::connect(path).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let read = stream.read_u8();
    let _ = tokio::time::timeout(Duration::from_millis(20), read).await;
}
