//! The operator API's SUBSCRIBE: who listens, and what they are told.
//!
//! Source: `Master::Subscribers`, `src/master/master.cpp`, `Master::ReadOnlyHandler::subscribe`,
//! `src/master/readonly_handler.cpp`, and `protobuf::master::event`, `src/common/protobuf_utils.cpp`, of Apache Mesos
//! 1.11.0.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::framework::Framework;
use super::operator::LISTS;
use super::state::{Master, Timer};
use super::views::Viewer;
use crate::codec::ContentType;
use crate::local::acls::Acls;
use crate::local::core::Core;
use crate::local::http::Reply;
use crate::local::operator;
use crate::local::peer::Peer;
use crate::local::stream::EventStream;
use crate::proto::master::event::{
    AgentAdded, AgentRemoved, FrameworkAdded, FrameworkRemoved, FrameworkUpdated, Subscribed,
    TaskAdded, TaskUpdated,
};
use crate::proto::master::{Event, event};
use crate::proto::{AgentId, FrameworkInfo, Task, TaskState, TaskStatus};

/// Those who are subscribed, the oldest first.
#[derive(Debug)]
pub(super) struct Subscribers {
    acls: Acls,
    streams: VecDeque<Subscriber>,
}

#[derive(Debug)]
struct Subscriber {
    id: Uuid,
    principal: Option<String>,
    content_type: ContentType,
    events: EventStream<Event>,
}

impl Subscriber {
    fn send(&self, event: &Event) {
        if let Some(record) = written(self.content_type, event) {
            self.events.send_record(&record);
        }
    }

    fn viewer<'a>(&'a self, acls: &'a Acls) -> Viewer<'a> {
        Viewer {
            acls,
            principal: self.principal.as_deref(),
            content_type: self.content_type,
        }
    }
}

impl Subscribers {
    pub(super) fn new(acls: Acls) -> Self {
        Self {
            acls,
            streams: VecDeque::new(),
        }
    }

    /// Sends an event to everybody who sees what it is about; it is made only if there is anybody.
    fn send(&self, is_seen_by: impl Fn(&Viewer<'_>) -> bool, event: impl FnOnce() -> Event) {
        let streams = self.streams.iter();
        let mut readers = streams
            .filter(|own| is_seen_by(&own.viewer(&self.acls)))
            .peekable();
        if readers.peek().is_none() {
            return;
        }
        let event = event();
        let mut known: Vec<(ContentType, Bytes)> = Vec::new();
        for subscriber in readers {
            let own = known
                .iter()
                .find(|(own, _)| *own == subscriber.content_type);
            let record = match own {
                Some((_, record)) => record.clone(),
                None => {
                    let Some(record) = written(subscriber.content_type, &event) else {
                        continue;
                    };
                    known.push((subscriber.content_type, record.clone()));
                    record
                }
            };
            subscriber.events.send_record(&record);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    pub(super) fn task_added(&self, task: &Task, info: &FrameworkInfo) {
        self.send(
            |viewer| viewer.sees_framework(info) && viewer.sees_task(task, info),
            || {
                let mut added = event(event::Type::TaskAdded);
                added.task_added = Some(TaskAdded { task: task.clone() });
                added
            },
        );
    }

    /// `state` is the task's newest, which may be ahead of the status.
    pub(super) fn task_updated(
        &self,
        task: &Task,
        info: &FrameworkInfo,
        state: TaskState,
        status: &TaskStatus,
    ) {
        self.send(
            |viewer| viewer.sees_framework(info) && viewer.sees_task(task, info),
            || {
                let mut updated = event(event::Type::TaskUpdated);
                updated.task_updated = Some(TaskUpdated {
                    framework_id: task.framework_id.clone(),
                    status: status.clone(),
                    state: state.into(),
                });
                updated
            },
        );
    }

    pub(super) fn framework_added(&self, framework: &Framework) {
        self.send(
            |viewer| viewer.sees_framework(&framework.info),
            || {
                let mut added = event(event::Type::FrameworkAdded);
                let framework = framework.outline();
                added.framework_added = Some(FrameworkAdded { framework });
                added
            },
        );
    }

    pub(super) fn framework_updated(&self, framework: &Framework) {
        self.send(
            |viewer| viewer.sees_framework(&framework.info),
            || {
                let mut updated = event(event::Type::FrameworkUpdated);
                let framework = framework.outline();
                updated.framework_updated = Some(FrameworkUpdated { framework });
                updated
            },
        );
    }

    pub(super) fn framework_removed(&self, info: &FrameworkInfo) {
        self.send(
            |viewer| viewer.sees_framework(info),
            || {
                let mut removed = event(event::Type::FrameworkRemoved);
                let framework_info = info.clone();
                removed.framework_removed = Some(FrameworkRemoved { framework_info });
                removed
            },
        );
    }

    pub(super) fn agent_removed(&self, agent_id: &AgentId) {
        self.send(
            |_| true,
            || {
                let mut removed = event(event::Type::AgentRemoved);
                let agent_id = agent_id.clone();
                removed.agent_removed = Some(AgentRemoved { agent_id });
                removed
            },
        );
    }
}

/// An event of `kind` without content yet.
fn event(kind: event::Type) -> Event {
    Event {
        r#type: Some(kind.into()),
        ..Default::default()
    }
}

fn written(content_type: ContentType, event: &Event) -> Option<Bytes> {
    match operator::encode(content_type, event, LISTS) {
        Ok(record) => Some(record),
        Err(error) => {
            tracing::warn!(%error, "operators' event not sent");
            None
        }
    }
}

/// Answers with a stream; its end takes the subscriber out.
pub(super) fn subscribe(
    core: &Arc<Core>,
    content_type: ContentType,
    principal: Option<String>,
) -> Reply {
    let subscribed = core.run(|world| {
        let master = world.master.as_mut()?;
        Some(master.subscribe_operator(content_type, principal))
    });
    let Some((id, reply)) = subscribed else {
        return super::operator::no_master();
    };
    let Reply::Stream { body, .. } = reply else {
        return reply;
    };
    let core = Arc::downgrade(core);
    let body = body.on_end(move || {
        if let Some(core) = core.upgrade() {
            core.run(|world| {
                if let Some(master) = &mut world.master {
                    let streams = &mut master.subscribers.streams;
                    streams.retain(|subscriber| subscriber.id != id);
                }
            });
        }
    });
    Reply::Stream {
        content_type,
        stream_id: None,
        body,
    }
}

impl Master {
    /// A subscriber, who first is told all that there is. The oldest one goes if there are too many.
    fn subscribe_operator(
        &mut self,
        content_type: ContentType,
        principal: Option<String>,
    ) -> (Uuid, Reply) {
        let (events, body) = EventStream::new(content_type, &self.config.wire);
        events.belongs_to(Peer::Operators);
        let id = Uuid::new_v4();
        let subscriber = Subscriber {
            id,
            principal,
            content_type,
            events,
        };
        let mut subscribed = event(event::Type::Subscribed);
        subscribed.subscribed = Some(Subscribed {
            get_state: Some(self.get_state(&subscriber.viewer(&self.config.acls))),
            heartbeat_interval_seconds: Some(self.config.heartbeat_interval.as_secs_f64()),
        });
        subscriber.send(&subscribed);
        subscriber.send(&event(event::Type::Heartbeat));
        let most = self.config.max_operator_subscribers;
        if most > 0 && self.subscribers.streams.len() >= most {
            tracing::info!(most, "oldest subscriber of the operator API closed");
            self.subscribers.streams.pop_front();
        }
        self.subscribers.streams.push_back(subscriber);
        self.plan_operator_heartbeat(id);
        let reply = Reply::Stream {
            content_type,
            stream_id: None,
            body,
        };
        (id, reply)
    }

    fn plan_operator_heartbeat(&mut self, id: Uuid) {
        self.schedule(self.config.heartbeat_interval, Timer::OperatorHeartbeat(id));
    }

    pub(super) fn operator_heartbeat(&mut self, id: Uuid) {
        let mut streams = self.subscribers.streams.iter();
        let Some(subscriber) = streams.find(|subscriber| subscriber.id == id) else {
            return;
        };
        if !self.config.wire.are_heartbeats_withheld(&Peer::Operators) {
            subscriber.send(&event(event::Type::Heartbeat));
        }
        self.plan_operator_heartbeat(id);
    }

    /// Tells of an agent that is registered now.
    pub(super) fn tell_agent_added(&self, agent_id: &AgentId) {
        let Some(agent) = self.agents.get(agent_id) else {
            return;
        };
        for subscriber in &self.subscribers.streams {
            let viewer = subscriber.viewer(&self.config.acls);
            let mut added = event(event::Type::AgentAdded);
            let agent = self.agent(&viewer, agent_id, agent);
            added.agent_added = Some(AgentAdded { agent });
            subscriber.send(&added);
        }
    }
}
