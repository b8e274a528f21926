//! An executor that writes down what happens to it, and the agent's side of its conversation.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use mesos_framework::proto::executor::call::{Subscribe, Type, Update};
use mesos_framework::proto::executor::{Call, Event, event};
use mesos_framework::proto::{
    AgentInfo, ExecutorInfo, FrameworkInfo, KillPolicy, TaskGroupInfo, TaskId, TaskInfo, TaskState,
    TaskStatus,
};
use mesos_framework::{
    Error, Executor, ExecutorConfig, ExecutorDriver, ExecutorHandle, async_trait,
};
use tokio::sync::mpsc;

use crate::peer::{Incoming, Peer, Stream, within};

/// One callback.
#[derive(Clone, Debug)]
pub enum Callback {
    Registered(Box<(ExecutorInfo, FrameworkInfo, AgentInfo)>),
    Reregistered(AgentInfo),
    Disconnected,
    Launch(TaskId),
    Kill(TaskId, Option<KillPolicy>),
    Message(Bytes),
    Shutdown,
    Error(Error),
}

impl Callback {
    /// The name, and the task where there is one: for comparing whole histories.
    pub fn brief(&self) -> String {
        match self {
            Self::Registered(_) => "registered".into(),
            Self::Reregistered(_) => "reregistered".into(),
            Self::Disconnected => "disconnected".into(),
            Self::Launch(task_id) => format!("launch {task_id}"),
            Self::Kill(task_id, _) => format!("kill {task_id}"),
            Self::Message(_) => "message".into(),
            Self::Shutdown => "shutdown".into(),
            Self::Error(_) => "error".into(),
        }
    }
}

type Reaction = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the executor does within a callback, once it is written down.
type React = Box<dyn Fn(ExecutorHandle, Callback) -> Reaction + Send + Sync>;

/// The executor.
pub struct Recorder {
    sender: mpsc::Sender<Callback>,
    react: React,
}

/// What the executor has written down.
pub struct Recording(mpsc::Receiver<Callback>);

/// An executor that does nothing else.
pub fn recorder() -> (Recorder, Recording) {
    recorder_that(|_, _| async {})
}

/// An executor that does this within its callbacks.
pub fn recorder_that<F: Future<Output = ()> + Send + 'static>(
    react: impl Fn(ExecutorHandle, Callback) -> F + Send + Sync + 'static,
) -> (Recorder, Recording) {
    let (sender, receiver) = mpsc::channel(1000);
    let react: React = Box::new(move |driver, callback| Box::pin(react(driver, callback)));
    (Recorder { sender, react }, Recording(receiver))
}

impl Recorder {
    async fn note(&self, driver: &ExecutorHandle, callback: Callback) {
        // The test may have seen enough.
        let _ = self.sender.send(callback.clone()).await;
        (self.react)(driver.clone(), callback).await;
    }
}

impl Recording {
    pub async fn next(&mut self) -> Callback {
        within("a callback", self.0.recv())
            .await
            .expect("no further callback: the executor is gone")
    }

    /// The next callbacks are these, in this order.
    pub async fn expect(&mut self, briefs: &[&str]) {
        for brief in briefs {
            assert_eq!(self.next().await.brief(), *brief);
        }
    }

    /// Everything that is still to come, once the driver has ended.
    pub fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.0.try_recv().ok())
            .map(|callback| callback.brief())
            .collect()
    }

    /// True if nothing is written down now.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[async_trait]
impl Executor for Recorder {
    async fn launch_task(&mut self, driver: &ExecutorHandle, task: TaskInfo) {
        self.note(driver, Callback::Launch(task.task_id)).await;
    }

    async fn kill_task(
        &mut self,
        driver: &ExecutorHandle,
        task_id: TaskId,
        policy: Option<KillPolicy>,
    ) {
        self.note(driver, Callback::Kill(task_id, policy)).await;
    }

    async fn shutdown(&mut self, driver: &ExecutorHandle) {
        self.note(driver, Callback::Shutdown).await;
    }

    async fn registered(
        &mut self,
        driver: &ExecutorHandle,
        executor: ExecutorInfo,
        framework: FrameworkInfo,
        agent: AgentInfo,
    ) {
        let infos = Box::new((executor, framework, agent));
        self.note(driver, Callback::Registered(infos)).await;
    }

    async fn reregistered(&mut self, driver: &ExecutorHandle, agent: AgentInfo) {
        self.note(driver, Callback::Reregistered(agent)).await;
    }

    async fn disconnected(&mut self, driver: &ExecutorHandle) {
        self.note(driver, Callback::Disconnected).await;
    }

    async fn framework_message(&mut self, driver: &ExecutorHandle, data: Bytes) {
        self.note(driver, Callback::Message(data)).await;
    }

    async fn error(&mut self, driver: &ExecutorHandle, error: &Error) {
        self.note(driver, Callback::Error(error.clone())).await;
    }
}

/// The variables that make an executor outlive its agent, with waits that suit a test.
pub const CHECKPOINT: [(&str, &str); 2] = [
    ("MESOS_CHECKPOINT", "1"),
    ("MESOS_SUBSCRIPTION_BACKOFF_MAX", "20ms"),
];

/// What an agent at this address tells its executor; `more` overrides.
pub fn config(address: &str, more: &[(&str, &str)]) -> ExecutorConfig {
    ExecutorConfig::from_lookup(|name| {
        if let Some((_, value)) = more.iter().find(|(known, _)| *known == name) {
            return Some((*value).to_owned());
        }
        match name {
            "MESOS_SLAVE_PID" => Some(format!("slave(1)@{address}")),
            "MESOS_SLAVE_ID" => Some("agent-1".into()),
            "MESOS_FRAMEWORK_ID" => Some("framework-1".into()),
            "MESOS_EXECUTOR_ID" => Some("executor-1".into()),
            "MESOS_DIRECTORY" => Some("/sandbox".into()),
            "MESOS_SUBSCRIPTION_BACKOFF_MAX" => Some("20ms".into()),
            _ => None,
        }
    })
    .unwrap()
}

/// A started driver of this executor with this agent.
pub fn start(executor: Recorder, address: &str, more: &[(&str, &str)]) -> ExecutorDriver {
    let builder = ExecutorDriver::builder(executor).config(config(address, more));
    let mut driver = builder.build().unwrap();
    driver.start().unwrap();
    driver
}

/// Started, subscribed and registered, with these tasks launched.
pub async fn running(
    (executor, mut recording): (Recorder, Recording),
    more: &[(&str, &str)],
    tasks: &[&str],
) -> (Peer, ExecutorDriver, Recording, Stream) {
    let mut peer = Peer::bind().await;
    let driver = start(executor, peer.address(), more);
    let (_, stream) = subscribe(&mut peer).await;
    recording.expect(&["registered"]).await;
    for task in tasks {
        stream.send(&launch(task)).await;
        recording.expect(&[&format!("launch {task}")]).await;
    }
    (peer, driver, recording, stream)
}

/// The next request, which is a SUBSCRIBE, and what it carries.
pub async fn subscribe_call(peer: &mut Peer) -> (Subscribe, Incoming) {
    let incoming = peer.next().await;
    let call = incoming.executor_call();
    assert_eq!(call.r#type(), Type::Subscribe);
    (
        call.subscribe.expect("the submessage is required"),
        incoming,
    )
}

/// The next request, which is a SUBSCRIBE, answered with SUBSCRIBED.
pub async fn subscribe(peer: &mut Peer) -> (Subscribe, Stream) {
    let (carried, incoming) = subscribe_call(peer).await;
    let stream = incoming.stream();
    stream.send(&subscribed()).await;
    (carried, stream)
}

/// The next request, which is an UPDATE, taken by the agent.
pub async fn update(peer: &mut Peer) -> TaskStatus {
    let incoming = peer.next().await;
    let status = status_of(&incoming.executor_call());
    incoming.accept();
    status
}

pub fn status_of(call: &Call) -> TaskStatus {
    assert_eq!(call.r#type(), Type::Update);
    call.update.clone().expect("an update has a status").status
}

/// Tasks and updates of a SUBSCRIBE, in brief.
pub fn carried(subscribe: &Subscribe) -> (Vec<String>, Vec<String>) {
    let tasks = subscribe.unacknowledged_tasks.iter();
    let updates = subscribe.unacknowledged_updates.iter();
    (
        tasks.map(|task| task.task_id.to_string()).collect(),
        updates.map(|Update { status }| brief(status)).collect(),
    )
}

/// Task and state.
pub fn brief(status: &TaskStatus) -> String {
    format!("{} {}", status.task_id, status.state().as_str_name())
}

pub fn status(task_id: &str, state: TaskState) -> TaskStatus {
    TaskStatus {
        task_id: task_id.into(),
        state: state as i32,
        ..TaskStatus::default()
    }
}

/// Waits until the driver knows that the subscription is lost.
pub async fn lost(driver: &ExecutorHandle) {
    let mut watch = driver.watch_connection();
    within("the loss", watch.until(|now| !now.is_subscribed())).await;
}

fn event_of(r#type: event::Type) -> Event {
    Event {
        r#type: Some(r#type as i32),
        ..Event::default()
    }
}

pub fn subscribed() -> Event {
    let subscribed = event::Subscribed {
        executor_info: ExecutorInfo {
            executor_id: "executor-1".into(),
            ..ExecutorInfo::default()
        },
        framework_info: FrameworkInfo {
            name: "framework".into(),
            ..FrameworkInfo::default()
        },
        agent_info: AgentInfo {
            hostname: "host".into(),
            ..AgentInfo::default()
        },
        container_id: None,
    };
    Event {
        subscribed: Some(Box::new(subscribed)),
        ..event_of(event::Type::Subscribed)
    }
}

fn task(task_id: &str) -> TaskInfo {
    TaskInfo {
        name: task_id.into(),
        task_id: task_id.into(),
        agent_id: "agent-1".into(),
        ..TaskInfo::default()
    }
}

pub fn launch(task_id: &str) -> Event {
    let task = task(task_id);
    Event {
        launch: Some(event::Launch { task }),
        ..event_of(event::Type::Launch)
    }
}

pub fn launch_group(task_ids: &[&str]) -> Event {
    let tasks = task_ids.iter().map(|task_id| task(task_id)).collect();
    let task_group = TaskGroupInfo { tasks };
    Event {
        launch_group: Some(event::LaunchGroup { task_group }),
        ..event_of(event::Type::LaunchGroup)
    }
}

pub fn kill(task_id: &str, kill_policy: Option<KillPolicy>) -> Event {
    let task_id = task_id.into();
    Event {
        kill: Some(event::Kill {
            task_id,
            kill_policy,
        }),
        ..event_of(event::Type::Kill)
    }
}

pub fn acknowledged(status: &TaskStatus) -> Event {
    let acknowledged = event::Acknowledged {
        task_id: status.task_id.clone(),
        uuid: status.uuid.clone().expect("the driver fills it in"),
    };
    Event {
        acknowledged: Some(acknowledged),
        ..event_of(event::Type::Acknowledged)
    }
}

pub fn message(data: &'static [u8]) -> Event {
    let data = Bytes::from_static(data);
    Event {
        message: Some(event::Message { data }),
        ..event_of(event::Type::Message)
    }
}

pub fn shutdown() -> Event {
    event_of(event::Type::Shutdown)
}

pub fn heartbeat() -> Event {
    event_of(event::Type::Heartbeat)
}

pub fn error(message: &str) -> Event {
    let message = message.into();
    Event {
        error: Some(event::Error { message }),
        ..event_of(event::Type::Error)
    }
}

/// How long nothing must happen, where that is the point.
pub const QUIET: Duration = Duration::from_millis(100);
