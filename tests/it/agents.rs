//! What the tests about the lives of agents share.

use std::time::Duration;

use mesos_framework::proto::framework_info::capability;
use mesos_framework::proto::scheduler::Call;
use mesos_framework::proto::scheduler::call::{self, reconcile_operations};
use mesos_framework::proto::task_status::{Reason, Source};
use mesos_framework::proto::{
    AgentId, FrameworkInfo, OfferId, OperationStatus, TaskId, TaskState, TaskStatus,
};
use serde_json::{Value, json};

use crate::cluster::OwnCluster;
use crate::framework::{Framework, PATIENCE, info};
use crate::http::{Answer, try_request};
use crate::recorder::Callback;

const JSON: &[(&str, &str)] = &[("Content-Type", "application/json")];

/// A framework that outlives its agents.
pub fn checkpointing(test: &str) -> FrameworkInfo {
    FrameworkInfo {
        checkpoint: Some(true),
        ..info(test)
    }
}

/// One that knows no state but TASK_LOST for what is not there.
pub fn unaware(test: &str) -> FrameworkInfo {
    let mut info = checkpointing(test);
    let aware = Some(capability::Type::PartitionAware as i32);
    info.capabilities.retain(|own| own.r#type != aware);
    info
}

impl OwnCluster {
    /// The answer of the master's operator API.
    pub async fn operate(&self, call: Value) -> Answer {
        loop {
            let answer = operate(&self.address(), "/api/v1", call.clone()).await;
            // A real master listens before it has its routes.
            if answer.text() != "404 Not Found." && answer.status != 503 {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Such an answer is this, as text.
    pub async fn operates(&self, call: Value, status: u16, text: &str) {
        let answer = self.operate(call.clone()).await;
        assert_eq!((answer.status, answer.text()), (status, text), "{call}");
    }

    /// What the master tells of `kind`.
    pub async fn asked(&self, kind: &str) -> Value {
        let answer = self.operate(json!({ "type": kind })).await;
        answer.json()[kind.to_lowercase()].take()
    }

    /// What the master tells of an agent, once `wanted` holds of it.
    pub async fn agent_that(&self, id: &AgentId, wanted: impl Fn(&Value) -> bool) -> Value {
        self.eventually("GET_AGENTS", |agents| {
            let agents = agents["agents"].as_array()?;
            let is_it = |agent: &&Value| agent["agent_info"]["id"]["value"] == id.value;
            agents.iter().find(is_it).filter(|own| wanted(own)).cloned()
        })
        .await
    }

    /// What the master tells of `kind`, asked until `wanted` answers something.
    pub async fn eventually<T>(&self, kind: &str, wanted: impl Fn(&Value) -> Option<T>) -> T {
        let asked = async {
            loop {
                if let Some(found) = wanted(&self.asked(kind).await) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asked)
            .await
            .unwrap_or_else(|_| panic!("waited too long for something of {kind}"))
    }

    /// The number of an agent that listens at `port`.
    pub async fn index_of(&self, id: &AgentId) -> usize {
        let agent = self.agent_that(id, |_| true).await;
        let address = agent["pid"].as_str().unwrap().split_once('@').unwrap().1;
        let mut indices = 0..2;
        let index = indices.find(|index| self.agent_address(*index) == address);
        index.expect("it is one of two")
    }
}

pub async fn operate(address: &str, path: &str, call: Value) -> Answer {
    let call = call.to_string();
    loop {
        let answer = try_request(address, "POST", path, JSON, call.as_bytes()).await;
        if let Some(answer) = answer {
            return answer;
        }
    }
}

/// A call about one agent.
pub fn about(kind: &str, id: &AgentId) -> Value {
    json!({ "type": kind, kind.to_lowercase(): { "agent_id": { "value": id.value } } })
}

impl Framework {
    /// The loss of an agent; in between come no other losses.
    pub async fn agent_lost(&mut self) -> AgentId {
        self.until("the loss of the agent", |callback| match callback {
            Callback::AgentLost(agent_id) => Some(agent_id.clone()),
            _ => None,
        })
        .await
    }

    /// The rescission of an offer.
    pub async fn rescinded(&mut self, id: &OfferId) {
        self.until("the rescission", |callback| match callback {
            Callback::Rescinded(offer_id) => (offer_id == id).then_some(()),
            _ => None,
        })
        .await;
    }

    /// The next status of a task for this reason.
    pub async fn status_because(&mut self, task_id: &TaskId, reason: Reason) -> TaskStatus {
        self.until(
            &format!("{reason:?} of {task_id}"),
            |callback| match callback {
                Callback::Status(status)
                    if status.task_id == *task_id && status.reason() == reason =>
                {
                    Some(status.clone())
                }
                _ => None,
            },
        )
        .await
    }

    /// The master's answer on a task of which its agent is named.
    pub async fn reconciled_on(&mut self, task_id: &TaskId, agent_id: &AgentId) -> TaskStatus {
        let asked = vec![(task_id.clone(), Some(agent_id.clone()))];
        self.handle.reconcile_tasks(asked).await.unwrap();
        self.status_because(task_id, Reason::Reconciliation).await
    }

    /// The master's answer on an operation that nobody knows, on this agent.
    pub async fn operation_on(&mut self, agent_id: Option<&AgentId>) -> OperationStatus {
        let operation = reconcile_operations::Operation {
            operation_id: "unknown".into(),
            agent_id: agent_id.cloned(),
            ..Default::default()
        };
        let call = Call {
            r#type: Some(call::Type::ReconcileOperations as i32),
            reconcile_operations: Some(call::ReconcileOperations {
                operations: vec![operation],
            }),
            ..Default::default()
        };
        let receipt = self.handle.call(call).await.unwrap();
        assert!(receipt.outcome().await.is_accepted());
        self.until("the status of the operation", |callback| match callback {
            Callback::OperationStatus(status) => Some(status.clone()),
            _ => None,
        })
        .await
    }

    /// Acknowledges a status, and waits until the master has taken that.
    pub async fn acknowledge(&self, status: &TaskStatus) {
        let receipt = self.handle.acknowledge_status_update(status).await;
        if let Some(receipt) = receipt.unwrap() {
            assert!(receipt.outcome().await.is_accepted());
        }
    }

    /// Kills a task, and waits for its end.
    pub async fn kill(&mut self, task_id: &TaskId) {
        self.handle.kill_task(task_id.clone(), None).await.unwrap();
        self.comes_to(task_id, TaskState::TaskKilled).await;
    }
}

/// What the master itself says of a task: state, reason and message.
pub fn masters_word(status: &TaskStatus) -> (TaskState, Reason, &str) {
    assert_eq!(status.source(), Source::Master, "{status:?}");
    assert_eq!(status.uuid, None, "{status:?}");
    assert!(status.agent_id.is_some(), "{status:?}");
    (status.state(), status.reason(), status.message())
}

/// What an agent says of a task.
pub fn agents_word(status: &TaskStatus) -> (TaskState, Reason, &str) {
    assert_eq!(status.source(), Source::Agent, "{status:?}");
    assert!(status.uuid.is_some(), "{status:?}");
    (status.state(), status.reason(), status.message())
}
