//! A framework without a driver: JSON over HTTP, so that a test can say what no driver would.

use mesos_framework::proto::FrameworkId;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::event_stream::EventStream;
use crate::framework::PATIENCE;
use crate::http::{Answer, request};

pub const JSON: (&str, &str) = ("Content-Type", "application/json");
pub const PATH: &str = "/api/v1/scheduler";

/// A subscribed framework.
pub struct Bare {
    pub address: String,
    pub stream: EventStream,
    pub id: FrameworkId,
    stream_id: String,
}

/// The `FrameworkInfo` of a test, with a role of its own.
pub fn bare_info(test: &str) -> Value {
    let name = format!("{test}-{}", uuid::Uuid::new_v4().simple());
    let capabilities = ["MULTI_ROLE", "RESERVATION_REFINEMENT", "PARTITION_AWARE"];
    let capabilities = capabilities.map(|name| json!({ "type": name }));
    json!({
        "user": "", "name": name, "roles": [name], "failover_timeout": 60.0, "capabilities": capabilities,
    })
}

/// A SUBSCRIBE call.
pub fn subscribe(info: &Value) -> Value {
    json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": info } })
}

/// Subscribes as an executor of an agent, whose process has this `path`: `/slave(1)`, on a connection that has been made.
pub async fn subscribe_executor_on(
    stream: TcpStream,
    agent: &str,
    path: &str,
    framework_id: &FrameworkId,
    executor_id: &str,
) -> EventStream {
    let call = json!({
        "type": "SUBSCRIBE", "framework_id": { "value": framework_id.value },
        "executor_id": { "value": executor_id }, "subscribe": {},
    });
    let path = format!("{path}/api/v1/executor");
    let body = call.to_string();
    let stream = EventStream::open_on(stream, agent, &path, &[JSON], body.as_bytes()).await;
    assert_eq!(stream.status(), 200);
    stream
}

impl Bare {
    pub async fn register(address: &str, info: &Value) -> Self {
        let body = subscribe(info).to_string();
        let mut stream = EventStream::open(address, PATH, &[JSON], body.as_bytes()).await;
        assert_eq!(stream.status(), 200);
        let stream_id = stream.header("mesos-stream-id").unwrap().to_owned();
        let first: Value = serde_json::from_slice(&stream.record().await.unwrap()).unwrap();
        let id = first["subscribed"]["framework_id"]["value"].as_str();
        Self {
            address: address.to_owned(),
            id: id.unwrap_or_else(|| panic!("{first}")).into(),
            stream,
            stream_id,
        }
    }

    /// The next event of this type; others are passed over.
    pub async fn next(&mut self, kind: &str) -> Value {
        let found = async {
            loop {
                let record = self.stream.record().await.unwrap();
                let event: Value = serde_json::from_slice(&record).unwrap();
                if event["type"] == kind {
                    return event;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("waited too long for {kind}"))
    }

    /// The next offer, of this agent if one is named; others are declined.
    pub async fn offer(&mut self, agent_id: Option<&Value>) -> Value {
        loop {
            let mut event = self.next("OFFERS").await;
            let mut found = None;
            for offer in event["offers"]["offers"].as_array_mut().unwrap() {
                let is_wanted = agent_id.is_none_or(|own| offer["agent_id"] == *own);
                if found.is_none() && is_wanted {
                    found = Some(offer.take());
                } else {
                    let answer = self
                        .call("DECLINE", json!({ "offer_ids": [offer["id"]] }))
                        .await;
                    assert_eq!(answer.status, 202);
                }
            }
            if let Some(found) = found {
                return found;
            }
        }
    }

    /// A call whose part has the name of its type in lower case.
    pub async fn call(&self, kind: &str, part: Value) -> Answer {
        let mut call = json!({ "type": kind, "framework_id": { "value": self.id.value } });
        call[kind.to_lowercase()] = part;
        let headers = [JSON, ("Mesos-Stream-Id", self.stream_id.as_str())];
        request(
            &self.address,
            "POST",
            PATH,
            &headers,
            call.to_string().as_bytes(),
        )
        .await
    }

    /// ACCEPT with one operation, whose part has the name of its type in lower case; what it leaves is offered again.
    pub async fn accept(&self, offer: &Value, kind: &str, part: Value) {
        let mut operation = json!({ "type": kind });
        operation[kind.to_lowercase()] = part;
        let accept = json!({
            "offer_ids": [offer["id"]], "operations": [operation], "filters": { "refuse_seconds": 0.0 },
        });
        let answer = self.call("ACCEPT", accept).await;
        assert_eq!((answer.status, answer.text()), (202, ""));
    }

    pub async fn teardown(self) {
        let answer = self.call("TEARDOWN", json!({})).await;
        assert_eq!(answer.status, 202);
    }
}
