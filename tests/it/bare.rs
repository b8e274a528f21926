//! Schedulers and executors without a driver, in JSON: they say what no driver would.

use std::collections::VecDeque;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cluster::OwnCluster;
use crate::event_stream::EventStream;
use crate::framework::PATIENCE;
use crate::http::{Answer, request};

/// The path of a scheduler's calls.
pub const SCHEDULER: &str = "/api/v1/scheduler";
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// The only executor of a bare scheduler.
pub const EXECUTOR: &str = "executor";

/// A framework in a role of its own.
pub fn info(test: &str) -> Value {
    let name = format!("{test}-{}", Uuid::new_v4().simple());
    json!({ "user": user(), "name": name, "roles": [name], "failover_timeout": 30.0, "capabilities": [
        { "type": "MULTI_ROLE" }, { "type": "RESERVATION_REFINEMENT" }, { "type": "PARTITION_AWARE" },
    ] })
}

/// As whom real agents run executors.
#[cfg(unix)]
fn user() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid());
    user.unwrap().expect("we have a name").name
}

#[cfg(not(unix))]
fn user() -> String {
    "nobody".to_owned()
}

/// A framework in no role, which is offered nothing.
pub fn idle(test: &str) -> Value {
    with(info(test), "roles", json!([]))
}

/// The same with another value in one field.
pub fn with(mut message: Value, field: &str, value: Value) -> Value {
    message[field] = value;
    message
}

pub fn subscribe(info: &Value) -> Value {
    let mut call = json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": info } });
    if let Some(id) = info.get("id") {
        call["framework_id"] = id.clone();
    }
    call
}

pub fn id(value: &str) -> Value {
    json!({ "value": value })
}

/// 16 bytes that Mesos takes, in base64.
pub fn uuid() -> String {
    STANDARD.encode(Uuid::new_v4().as_bytes())
}

/// `cpus` and `mem`.
pub fn resources(cpus: f64, mem: f64) -> Value {
    let scalar = |name: &str, value: f64| json!({ "name": name, "type": "SCALAR", "scalar": { "value": value } });
    json!([scalar("cpus", cpus), scalar("mem", mem)])
}

/// The next event of this type; others before it are passed over.
pub async fn next(events: &mut EventStream, kind: &str) -> Value {
    let found = async {
        loop {
            let event = any(events).await;
            if event["type"] == kind {
                return event;
            }
        }
    };
    in_time(kind, found).await
}

/// The next event that is no heartbeat.
pub async fn any(events: &mut EventStream) -> Value {
    let found = async {
        loop {
            let record = events.record().await.expect("the stream goes on");
            let event: Value = serde_json::from_slice(&record).unwrap();
            if event["type"] != "HEARTBEAT" {
                return event;
            }
        }
    };
    in_time("an event", found).await
}

async fn in_time<T>(what: &str, coming: impl Future<Output = T>) -> T {
    let come = tokio::time::timeout(PATIENCE, coming).await;
    come.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// Headers of somebody with a name and a password, who needs none if this is `None`.
pub fn authorization(credential: Option<(&str, &str)>) -> Option<String> {
    let (principal, secret) = credential?;
    let text = format!("{principal}:{secret}");
    let text = STANDARD.encode(text);
    Some(format!("Basic {text}"))
}

/// Posts a scheduler's call with these headers beside its content type.
pub async fn post(address: &str, headers: &[(&str, &str)], call: &Value) -> Answer {
    let headers = [&[JSON], headers].concat();
    request(
        address,
        "POST",
        SCHEDULER,
        &headers,
        call.to_string().as_bytes(),
    )
    .await
}

/// Opens a scheduler's stream, or is refused one; a real master listens before it has its routes.
async fn open(address: &str, headers: &[(&str, &str)], body: &str) -> EventStream {
    let opened = async {
        loop {
            let events = EventStream::open(address, SCHEDULER, headers, body.as_bytes()).await;
            if ![404, 503].contains(&events.status()) {
                return events;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    in_time("a master that is ready", opened).await
}

/// A subscribed scheduler.
pub struct Scheduler {
    pub address: String,
    pub id: String,
    pub stream_id: String,
    pub events: EventStream,
    /// Events that came while others were waited for.
    passed: VecDeque<Value>,
    authorization: Option<String>,
}

impl Scheduler {
    pub async fn subscribe(address: &str, info: &Value) -> Self {
        Self::subscribe_as(address, info, None).await
    }

    pub async fn subscribe_as(
        address: &str,
        info: &Value,
        credential: Option<(&str, &str)>,
    ) -> Self {
        let authorization = authorization(credential);
        let mut headers = vec![JSON];
        headers.extend(
            authorization
                .iter()
                .map(|own| ("Authorization", own.as_str())),
        );
        let body = subscribe(info).to_string();
        let mut events = open(address, &headers, &body).await;
        assert_eq!(events.status(), 200);
        let stream_id = events.header("mesos-stream-id").unwrap().to_owned();
        let first = any(&mut events).await;
        let id = &first["subscribed"]["framework_id"]["value"];
        Self {
            address: address.to_owned(),
            id: id.as_str().unwrap_or_else(|| panic!("{first}")).to_owned(),
            stream_id,
            events,
            passed: VecDeque::new(),
            authorization,
        }
    }

    /// The next event of this type; others before it are kept.
    pub async fn next(&mut self, kind: &str) -> Value {
        let is_it = |event: &Value| event["type"] == kind;
        if let Some(place) = self.passed.iter().position(is_it) {
            return self.passed.remove(place).expect("it is there");
        }
        let found = async {
            loop {
                let event = any(&mut self.events).await;
                if is_it(&event) {
                    return event;
                }
                self.passed.push_back(event);
            }
        };
        in_time(kind, found).await
    }

    /// Whether an event of this type came while others were waited for.
    pub fn has_passed(&self, kind: &str) -> bool {
        self.passed.iter().any(|event| event["type"] == kind)
    }

    /// Its call with its id, and its stream's unless `stream_id` is another's or none's.
    pub async fn call_on(&self, stream_id: Option<&str>, call: &Value) -> Answer {
        let call = with(call.clone(), "framework_id", id(&self.id));
        let mut headers = Vec::new();
        headers.extend(stream_id.map(|own| ("Mesos-Stream-Id", own)));
        let own = self.authorization.iter();
        headers.extend(own.map(|own| ("Authorization", own.as_str())));
        post(&self.address, &headers, &call).await
    }

    pub async fn call(&self, call: &Value) -> Answer {
        self.call_on(Some(&self.stream_id), call).await
    }

    /// A call that is taken, whatever becomes of it.
    pub async fn send(&self, call: &Value) {
        let answer = self.call(call).await;
        assert_eq!((answer.status, answer.text()), (202, ""), "{call}");
    }

    /// The next offer for which `wanted` holds; others that come with it or before are declined for good.
    pub async fn offer_that(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            loop {
                let event = self.next("OFFERS").await;
                let offers = event["offers"]["offers"].as_array().unwrap().clone();
                let place = offers.iter().position(&wanted);
                for (number, offer) in offers.iter().enumerate() {
                    if Some(number) != place {
                        self.decline(offer, 24.0 * 3600.0).await;
                    }
                }
                if let Some(place) = place {
                    return offers[place].clone();
                }
            }
        };
        in_time("such an offer", found).await
    }

    pub async fn decline(&self, offer: &Value, seconds: f64) {
        let filters = json!({ "refuse_seconds": seconds });
        let decline = json!({ "offer_ids": [offer["id"]], "filters": filters });
        self.send(&json!({ "type": "DECLINE", "decline": decline }))
            .await;
    }

    /// Launches tasks on offers, and has the rest back at once.
    pub async fn launch(&self, offers: &[&Value], tasks: Value) {
        let offer_ids: Vec<&Value> = offers.iter().map(|offer| &offer["id"]).collect();
        self.launch_on(json!(offer_ids), tasks).await;
    }

    pub async fn launch_on(&self, offer_ids: Value, tasks: Value) {
        let launch = json!({ "type": "LAUNCH", "launch": { "task_infos": tasks } });
        let accept = json!({
            "offer_ids": offer_ids, "operations": [launch], "filters": { "refuse_seconds": 0.0 }
        });
        self.send(&json!({ "type": "ACCEPT", "accept": accept }))
            .await;
    }

    /// The next status of any task.
    pub async fn status(&mut self) -> Value {
        self.next("UPDATE").await["update"]["status"].take()
    }

    pub async fn acknowledge(&self, status: &Value) {
        let acknowledge = json!({
            "agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"]
        });
        self.send(&json!({ "type": "ACKNOWLEDGE", "acknowledge": acknowledge }))
            .await;
    }

    pub async fn kill(&self, task_id: &str) {
        let kill = json!({ "task_id": id(task_id) });
        self.send(&json!({ "type": "KILL", "kill": kill })).await;
    }

    pub async fn teardown(self) {
        self.send(&json!({ "type": "TEARDOWN" })).await;
    }
}

/// A task for an offer, whose executor does nothing by itself: the test speaks for it.
pub fn task(task_id: &str, offer: &Value) -> Value {
    let executor = json!({
        "executor_id": id(EXECUTOR), "resources": resources(0.1, 32.0),
        "command": { "value": "exec sleep 60" },
    });
    json!({
        "name": task_id, "task_id": id(task_id), "agent_id": offer["agent_id"],
        "resources": resources(0.1, 32.0), "executor": executor,
    })
}

/// Who speaks for an executor.
pub struct Executor {
    address: String,
    path: String,
    framework_id: String,
    pub events: EventStream,
}

/// The way to the executors' API of the agent in place 0.
pub fn executor_api(cluster: &OwnCluster) -> (String, String) {
    let path = format!("{}/api/v1/executor", cluster.agent_path(0));
    (cluster.agent_address(0), path)
}

/// Posts an executor's call.
pub async fn post_executor((address, path): &(String, String), call: &Value) -> Answer {
    request(address, "POST", path, &[JSON], call.to_string().as_bytes()).await
}

fn executor_call(framework_id: &str, mut call: Value) -> Value {
    call["framework_id"] = id(framework_id);
    call["executor_id"] = id(EXECUTOR);
    call
}

impl Executor {
    /// Subscribes with nothing pending, as often as the agent does not know the executor yet; what comes first is left to
    /// be read.
    pub async fn subscribe(cluster: &OwnCluster, framework_id: &str) -> Self {
        Self::subscribe_with(cluster, framework_id, json!({})).await
    }

    /// The same with something pending.
    pub async fn subscribe_with(cluster: &OwnCluster, framework_id: &str, pending: Value) -> Self {
        let (address, path) = executor_api(cluster);
        let call = json!({ "type": "SUBSCRIBE", "subscribe": pending });
        let body = executor_call(framework_id, call).to_string();
        let known = async {
            loop {
                if cluster.has_begun(0, framework_id, EXECUTOR) {
                    let opened = EventStream::try_open(&address, &path, &[JSON], body.as_bytes());
                    if let Some(events) = opened.await.filter(|own| own.status() == 200) {
                        return events;
                    }
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        Self {
            events: in_time("an agent that knows the executor", known).await,
            address,
            path,
            framework_id: framework_id.to_owned(),
        }
    }

    /// [`subscribe`](Self::subscribe), up to the launch of its first task.
    pub async fn start(cluster: &OwnCluster, framework_id: &str) -> Self {
        let mut executor = Self::subscribe(cluster, framework_id).await;
        next(&mut executor.events, "SUBSCRIBED").await;
        next(&mut executor.events, "LAUNCH").await;
        executor
    }

    pub async fn call(&self, call: Value) -> Answer {
        let call = executor_call(&self.framework_id, call);
        let api = (self.address.clone(), self.path.clone());
        post_executor(&api, &call).await
    }

    /// A status that is as it should be.
    pub fn status(&self, task_id: &str, state: &str) -> Value {
        json!({
            "task_id": id(task_id), "state": state, "source": "SOURCE_EXECUTOR", "uuid": uuid(),
            "executor_id": id(EXECUTOR),
        })
    }

    pub async fn update(&self, status: &Value) -> Answer {
        let call = json!({ "type": "UPDATE", "update": { "status": status } });
        self.call(call).await
    }

    pub async fn tell(&self, task_id: &str, state: &str) {
        let answer = self.update(&self.status(task_id, state)).await;
        assert_eq!((answer.status, answer.text()), (202, ""));
    }
}
