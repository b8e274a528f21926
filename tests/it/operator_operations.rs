//! Reservations and volumes by an operator's hand.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::OwnCluster;
use crate::executor_role::RUN;
use crate::framework::{Framework, QUIET, amount, info, refuse_for_good, scalar, task};
use crate::http::Answer;
use crate::operator::{Api, JSON};
use crate::recorder::Callback;
use crate::reservations::{one_agent, reserve, reserved, reserved_for};

/// A cluster of one agent, and its master's operator API.
struct Scene {
    cluster: OwnCluster,
    api: Api,
    agent: Value,
}

impl Scene {
    async fn start() -> Self {
        let cluster = one_agent().await;
        let api = Api::of_master(&cluster.address());
        // A master that was just started has no such page yet, then recovers, and then waits for its agent.
        let question = json!({ "type": "GET_AGENTS" }).to_string();
        let agent = loop {
            let answer = api.send(&[JSON], question.as_bytes()).await;
            if answer.status == 200 {
                let agents = answer.json();
                if let Some(agent) = agents.pointer("/get_agents/agents/0") {
                    break agent.clone();
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        Self {
            cluster,
            api,
            agent,
        }
    }

    fn id(&self) -> &Value {
        &self.agent["agent_info"]["id"]
    }

    /// As Mesos names the agent.
    fn name(&self) -> String {
        format!(
            "{} at {} ({})",
            self.id()["value"].as_str().unwrap(),
            self.agent["pid"].as_str().unwrap(),
            self.agent["agent_info"]["hostname"].as_str().unwrap()
        )
    }

    async fn send(&self, kind: &str, mut content: Value) -> Answer {
        content["agent_id"] = self.id().clone();
        let call = json!({ "type": kind, (kind.to_lowercase()): content });
        self.api.send(&[JSON], call.to_string().as_bytes()).await
    }

    async fn accepts(&self, kind: &str, content: Value) {
        let answer = self.send(kind, content).await;
        assert_eq!((answer.status, answer.text()), (202, ""), "{kind}");
    }

    async fn refuses(&self, kind: &str, content: Value, status: u16, text: &str) {
        let answer = self.send(kind, content).await;
        assert_eq!((answer.status, answer.text()), (status, text), "{kind}");
    }

    /// What the agent has, of `name`, each with its reservations' roles.
    async fn total(&self, name: &str) -> Vec<(f64, Vec<String>)> {
        let agents = self.api.ask("GET_AGENTS").await;
        let total = agents["agents"][0]["total_resources"].as_array().unwrap();
        let named = total.iter().filter(|own| own["name"] == name);
        let mut found: Vec<(f64, Vec<String>)> = named
            .map(|own| {
                let reservations = own["reservations"].as_array().cloned().unwrap_or_default();
                let roles = reservations
                    .iter()
                    .map(|own| own["role"].as_str().unwrap().to_owned());
                (own["scalar"]["value"].as_f64().unwrap(), roles.collect())
            })
            .collect();
        found.sort_by(|one, other| one.0.total_cmp(&other.0).then_with(|| one.1.cmp(&other.1)));
        found
    }
}

fn piece(name: &str, value: f64, role: &str) -> Value {
    json!({
        "name": name, "type": "SCALAR", "scalar": { "value": value },
        "reservations": [{ "type": "DYNAMIC", "role": role }],
    })
}

fn volume(id: &str, value: f64, role: &str) -> Value {
    let mut volume = piece("disk", value, role);
    volume["disk"] = json!({
        "persistence": { "id": id }, "volume": { "container_path": "data", "mode": "RW" },
    });
    volume
}

#[tokio::test]
async fn an_operator_reserves_and_unreserves() {
    let scene = Scene::start().await;
    let one = || json!({ "resources": [piece("cpus", 1.0, "web")] });
    scene.accepts("RESERVE_RESOURCES", one()).await;
    let web = vec!["web".to_owned()];
    assert_eq!(
        scene.total("cpus").await,
        [(1.0, web.clone()), (3.0, vec![])]
    );
    scene.accepts("RESERVE_RESOURCES", one()).await;
    assert_eq!(
        scene.total("cpus").await,
        [(2.0, vec![]), (2.0, web.clone())]
    );
    // To another role at once, by what it is now.
    let moved = json!({
        "source": [piece("cpus", 2.0, "web")], "resources": [piece("cpus", 2.0, "db")],
    });
    scene.accepts("RESERVE_RESOURCES", moved).await;
    let two = json!({ "resources": [piece("cpus", 2.0, "db")] });
    scene.accepts("UNRESERVE_RESOURCES", two).await;
    assert_eq!(scene.total("cpus").await, [(4.0, vec![])]);
    scene.cluster.shutdown().await;
}

#[tokio::test]
async fn what_an_operator_cannot_do_is_refused_with_mesos_texts() {
    let scene = Scene::start().await;
    let agent = scene.name();
    let free = json!({ "name": "cpus", "type": "SCALAR", "scalar": { "value": 1.0 } });
    let negative = json!({ "resources": [piece("cpus", -1.0, "web")] });
    let text = "Failed to validate master::Call: Resource 'cpus(reservations: [(DYNAMIC,web)]):-1' is invalid: Invalid scalar resource: value <= 0";
    scene
        .refuses("RESERVE_RESOURCES", negative, 400, text)
        .await;
    let text = format!(
        "Invalid RESERVE operation on agent {agent}: Resource cpus:1 is not dynamically reserved"
    );
    scene
        .refuses(
            "RESERVE_RESOURCES",
            json!({ "resources": [free] }),
            400,
            &text,
        )
        .await;
    let text = "Invalid UNRESERVE operation: Resource cpus:1 is not dynamically reserved";
    scene
        .refuses(
            "UNRESERVE_RESOURCES",
            json!({ "resources": [free] }),
            400,
            text,
        )
        .await;
    let text = "Invalid DESTROY operation: Persistent volumes not found";
    let absent = json!({ "volumes": [volume("absent", 1.0, "web")] });
    scene.refuses("DESTROY_VOLUMES", absent, 400, text).await;
    let not_persistent = json!({ "volumes": [piece("disk", 1.0, "web")] });
    let text = format!(
        "Invalid CREATE operation on agent {agent}: Not a persistent volume: Resource disk(reservations: [(DYNAMIC,web)]):1 does not have DiskInfo"
    );
    scene
        .refuses("CREATE_VOLUMES", not_persistent, 400, &text)
        .await;
    let whole = json!({ "volume": volume("absent", 1.0, "web"), "subtract": { "value": 1.0 } });
    let text = format!(
        "Invalid SHRINK_VOLUME operation on agent {agent}: Value of 'ShrinkVolume.subtract' must be smaller than the size of 'ShrinkVolume.volume'"
    );
    scene.refuses("SHRINK_VOLUME", whole, 400, &text).await;
    let mut nowhere = json!({ "type": "RESERVE_RESOURCES", "reserve_resources": {
        "agent_id": { "value": "nowhere" }, "resources": [piece("cpus", 1.0, "web")],
    }});
    let text = "No agent found with specified ID";
    scene
        .api
        .refuses(&[JSON], &nowhere.to_string(), 400, text)
        .await;
    nowhere["reserve_resources"].take();
    let text = "Failed to validate master::Call: Expecting 'reserve_resources' to be present";
    scene
        .api
        .refuses(&[JSON], &nowhere.to_string(), 400, text)
        .await;
    let too_much = json!({ "resources": [piece("cpus", 5.0, "web")] });
    let answer = scene.send("RESERVE_RESOURCES", too_much).await;
    assert_eq!(answer.status, 409);
    assert!(
        answer.text().ends_with(" does not contain cpus:5"),
        "{answer:?}"
    );
    scene.cluster.shutdown().await;
}

#[tokio::test]
async fn an_operators_volumes_are_made_resized_and_destroyed() {
    let scene = Scene::start().await;
    let disk = json!({ "resources": [piece("disk", 96.0, "web")] });
    scene.accepts("RESERVE_RESOURCES", disk.clone()).await;
    let small = json!({ "volumes": [volume("own", 64.0, "web")] });
    scene.accepts("CREATE_VOLUMES", small.clone()).await;
    let text = format!(
        "Invalid CREATE operation on agent {}: Persistence ID 'own' is not unique",
        scene.name()
    );
    scene.refuses("CREATE_VOLUMES", small, 400, &text).await;
    let grow =
        json!({ "volume": volume("own", 64.0, "web"), "addition": piece("disk", 32.0, "web") });
    scene.accepts("GROW_VOLUME", grow).await;
    let web = vec!["web".to_owned()];
    assert_eq!(
        scene.total("disk").await,
        [(96.0, web.clone()), (4000.0, vec![])]
    );
    let shrink = json!({ "volume": volume("own", 96.0, "web"), "subtract": { "value": 80.0 } });
    scene.accepts("SHRINK_VOLUME", shrink).await;
    assert_eq!(
        scene.total("disk").await,
        [(16.0, web.clone()), (80.0, web), (4000.0, vec![])]
    );
    let answer = scene.send("UNRESERVE_RESOURCES", disk.clone()).await;
    assert_eq!(answer.status, 409, "{answer:?}");
    let volumes = json!({ "volumes": [volume("own", 16.0, "web")] });
    scene.accepts("DESTROY_VOLUMES", volumes).await;
    scene.accepts("UNRESERVE_RESOURCES", disk).await;
    assert_eq!(scene.total("disk").await, [(4096.0, vec![])]);
    // An operator acknowledges nothing: the master does.
    while scene.api.ask("GET_OPERATIONS").await["operations"][0].is_object() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    scene.cluster.shutdown().await;
}

#[tokio::test]
async fn an_operators_reservation_rescinds_the_offers_in_its_way() {
    let scene = Scene::start().await;
    let mut framework = Framework::register(&scene.cluster.address(), info("way")).await;
    let offer = framework.offer().await;
    let one = json!({ "resources": [piece("cpus", 1.0, "web")] });
    scene.accepts("RESERVE_RESOURCES", one.clone()).await;
    let rescinded = framework
        .until("the rescission", |callback| match callback {
            Callback::Rescinded(id) => Some(id.clone()),
            _ => None,
        })
        .await;
    assert_eq!(rescinded, offer.id);
    let less = framework.offer().await;
    assert_eq!(amount(&less.resources, "cpus"), 3.0);
    // What is offered and not in the way stays.
    let disk = json!({ "resources": [piece("cpus", 1.0, "web")] });
    scene.accepts("UNRESERVE_RESOURCES", disk).await;
    let is_rescinded = |callback: &Callback| matches!(callback, Callback::Rescinded(_));
    assert!(framework.is_without(QUIET, is_rescinded).await);
    framework.decline(&[less], refuse_for_good()).await;
    framework.teardown().await;
    scene.cluster.shutdown().await;
}

#[tokio::test]
async fn what_tasks_use_cannot_be_unreserved() {
    let scene = Scene::start().await;
    let mut framework = Framework::register(&scene.cluster.address(), info("busy")).await;
    let role = framework.role();
    let offer = framework.offer().await;
    let own = vec![reserved(scalar("cpus", 1.0), &role)];
    framework
        .finish(&offer, reserve("reserve", own.clone()))
        .await;
    let held = |offer: &mesos_framework::proto::Offer| {
        !reserved_for(&offer.resources, &[&role]).is_empty() && offer.resources.len() > 2
    };
    let offer = framework.offer_where(held).await;
    let mut busy = task("busy", RUN, &offer);
    busy.resources[0] = own[0].clone();
    framework.launch(offer, vec![busy]).await;
    let running = mesos_framework::proto::TaskState::TaskRunning;
    framework.comes_to(&"busy".into(), running).await;
    let content = json!({ "resources": [piece("cpus", 1.0, &role)] });
    let answer = scene.send("UNRESERVE_RESOURCES", content).await;
    assert_eq!(answer.status, 409, "{answer:?}");
    let lacks = format!(" does not contain cpus(reservations: [(DYNAMIC,{role})]):1");
    assert!(answer.text().ends_with(&lacks), "{answer:?}");
    framework.teardown().await;
    scene.cluster.shutdown().await;
}
