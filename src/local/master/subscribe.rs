//! SUBSCRIBE, and everything that ends a subscription.
//!
//! Source: `Master::subscribe`, `Master::_subscribe` and `Master::failoverFramework`, `src/master/master.cpp` of Apache
//! Mesos 1.11.0.

use std::time::Duration;

use uuid::Uuid;

use super::constraints::Constraints;
use super::counters::count_end;
use super::endpoint::SchedulerRequest;
use super::filters::Filters;
use super::framework::{Connection, Framework, Stream, event};
use super::state::{Master, Timer, timestamp};
use super::{log, validation};
use crate::local::http::Reply;
use crate::local::messages::ToAgent;
use crate::local::peer::Peer;
use crate::local::stream::EventStream;
use crate::proto::scheduler::{Event, call, event};
use crate::proto::{FrameworkId, FrameworkInfo};

impl Master {
    /// Answers with a stream, whose first event is SUBSCRIBED, or ERROR at once followed by the end.
    pub(super) fn subscribe(&mut self, request: SchedulerRequest) -> Reply {
        let mut subscribe = request.call.subscribe.unwrap_or_default();
        if subscribe.framework_info.principal.is_none() {
            subscribe.framework_info.principal = request.principal;
        }
        let (events, body) = EventStream::new(request.content_type, &self.config.wire);
        let stream_id = Uuid::new_v4().to_string();
        match self.may_subscribe(&subscribe) {
            Ok((framework_id, constraints)) => {
                let stream = Stream {
                    id: stream_id.clone(),
                    events,
                };
                self.subscribed(framework_id, *subscribe, stream, constraints);
            }
            Err(why) => events.send(&error(why)),
        }
        Reply::Stream {
            content_type: request.content_type,
            stream_id: Some(stream_id),
            body,
        }
    }

    /// The id that it asks for, if any, and its constraints; or why it cannot have them.
    fn may_subscribe(
        &self,
        call: &call::Subscribe,
    ) -> Result<(Option<FrameworkId>, Constraints), String> {
        let info = &call.framework_info;
        validation::framework(info, &call.suppressed_roles, &self.config)?;
        let framework_id = info.id.clone().filter(|id| !id.value.is_empty());
        if framework_id
            .as_ref()
            .is_some_and(|id| self.is_completed(id))
        {
            return Err("Framework has been removed".to_owned());
        }
        let constraints = Constraints::of(call.offer_constraints.clone().unwrap_or_default())?;
        self.may_register(info)?;
        let Some(framework_id) = framework_id else {
            return Ok((None, constraints));
        };
        if let Some(framework) = self.frameworks.get(&framework_id)
            && !matches!(framework.connection, Connection::Recovered)
            && framework.info.principal != info.principal
        {
            return Err("Changing framework's principal is not allowed.".to_owned());
        }
        Ok((Some(framework_id), constraints))
    }

    fn subscribed(
        &mut self,
        framework_id: Option<FrameworkId>,
        call: call::Subscribe,
        stream: Stream,
        constraints: Constraints,
    ) {
        let name = match framework_id {
            None => "messages_register_framework",
            Some(_) => "messages_reregister_framework",
        };
        self.tallies.named.note(name);
        let framework_id = framework_id.unwrap_or_else(|| self.new_framework_id());
        let is_known = self.frameworks.contains_key(&framework_id);
        if is_known {
            self.remove_offers_of(&framework_id);
            self.resubscribed(&framework_id, call.framework_info);
        } else {
            tracing::info!(%framework_id, name = call.framework_info.name, "framework added");
            let connection = Connection::Disconnected;
            let framework = Framework::new(framework_id.clone(), call.framework_info, connection);
            self.frameworks.insert(framework_id.clone(), framework);
        }
        self.count_call(&framework_id, call::Type::Subscribe);
        let mut subscribed = event(event::Type::Subscribed);
        subscribed.subscribed = Some(Box::new(event::Subscribed {
            framework_id: framework_id.clone(),
            heartbeat_interval_seconds: Some(self.config.heartbeat_interval.as_secs_f64()),
            master_info: Some(self.info.clone()),
        }));
        log::event(&framework_id, &subscribed);
        let reader = Peer::Scheduler(framework_id.clone());
        stream.events.belongs_to(reader);
        stream.events.send(&subscribed);
        let stream_id = stream.id.clone();
        if let Some(framework) = self.frameworks.get_mut(&framework_id) {
            framework.suppressed = call.suppressed_roles.into_iter().collect();
            framework.constraints = constraints;
            framework.connection = Connection::Connected(stream);
            framework.tallies.events.note(event::Type::Subscribed);
        }
        self.heartbeat(framework_id.clone(), stream_id);
        if is_known {
            self.tell_agents_of(&framework_id);
        } else if let Some(framework) = self.frameworks.get(&framework_id) {
            self.subscribers.framework_added(framework);
        }
        self.needs_allocation = true;
    }

    /// Whoever subscribes last has the framework.
    fn resubscribed(&mut self, framework_id: &FrameworkId, info: FrameworkInfo) {
        let Some(framework) = self.frameworks.get_mut(framework_id) else {
            return;
        };
        tracing::info!(%framework_id, "framework subscribed again");
        framework.send(&error("Framework failed over".to_owned()));
        replace_info(framework, info);
        framework.reregistered = timestamp();
    }

    /// Has the agents that run something of the framework take over its new description, and tells operators.
    pub(super) fn tell_agents_of(&mut self, framework_id: &FrameworkId) {
        let Some(framework) = self.frameworks.get(framework_id) else {
            return;
        };
        self.subscribers.framework_updated(framework);
        let info = framework.info.clone();
        let agents: Vec<_> = self.agents.keys().cloned().collect();
        for agent_id in agents {
            let framework = Box::new(info.clone());
            self.send(&agent_id, ToAgent::UpdateFramework { framework });
        }
    }

    /// Sends a heartbeat on this stream, if it is still the framework's, and plans the next.
    pub(super) fn heartbeat(&mut self, framework_id: FrameworkId, stream_id: String) {
        let Some(framework) = self.frameworks.get(&framework_id) else {
            return;
        };
        if framework.stream_id() == Some(&stream_id) {
            let reader = Peer::Scheduler(framework_id.clone());
            if !self.config.wire.are_heartbeats_withheld(&reader) {
                framework.send(&event(event::Type::Heartbeat));
            }
            let timer = Timer::Heartbeat(framework_id, stream_id);
            self.schedule(self.config.heartbeat_interval, timer);
        }
    }

    /// The scheduler is gone without TEARDOWN: its offers are taken back, its tasks kept for the failover time-out.
    pub(super) fn stream_ended(&mut self, stream_id: &str) {
        let mut frameworks = self.frameworks.values_mut();
        let Some(framework) = frameworks.find(|framework| framework.stream_id() == Some(stream_id))
        else {
            return;
        };
        framework.connection = Connection::Disconnected;
        framework.filters = Filters::default();
        framework.disconnections += 1;
        let framework_id = framework.id.clone();
        let timeout = framework.info.failover_timeout();
        let timeout = Duration::try_from_secs_f64(timeout).unwrap_or_default();
        let disconnection = framework.disconnections;
        tracing::info!(%framework_id, ?timeout, "framework disconnected");
        self.remove_offers_of(&framework_id);
        if timeout.is_zero() {
            self.teardown(&framework_id);
        } else {
            self.schedule(timeout, Timer::Failover(framework_id, disconnection));
        }
    }

    pub(super) fn failover_timeout(&mut self, framework_id: &FrameworkId, disconnection: u64) {
        let framework = self.frameworks.get(framework_id);
        let is_still_gone = framework.is_some_and(|framework| {
            framework.disconnections == disconnection && !framework.is_connected()
        });
        if is_still_gone {
            self.teardown(framework_id);
        }
    }

    /// Removes a framework: its stream ends, its executors are shut down, its id is spent.
    pub(super) fn teardown(&mut self, framework_id: &FrameworkId) {
        self.remove_offers_of(framework_id);
        let Some(mut framework) = self.frameworks.remove(framework_id) else {
            return;
        };
        tracing::info!(%framework_id, "framework removed");
        for ((agent_id, _), executor) in &framework.executors {
            self.give_back(agent_id, &executor.resources);
        }
        for task in framework.tasks.values() {
            self.give_back(&task.task.agent_id, &task.resources);
        }
        let agents: Vec<_> = self.agents.keys().cloned().collect();
        for agent_id in agents {
            let framework_id = framework_id.clone();
            self.send(&agent_id, ToAgent::ShutdownFramework { framework_id });
        }
        framework.complete(&self.subscribers, |own, task, status| {
            let all = (&mut self.counters, &self.tallies);
            count_end(all, own, task, (status.state(), status));
        });
        self.subscribers.framework_removed(&framework.info);
        self.remember_completed(framework);
    }
}

/// Takes over what may change; `user` and `checkpoint` stay as they were.
pub(super) fn replace_info(framework: &mut Framework, mut info: FrameworkInfo) {
    info.id = Some(framework.id.clone());
    info.user.clone_from(&framework.info.user);
    info.checkpoint = framework.info.checkpoint;
    framework.info = info;
}

fn error(message: String) -> Event {
    let mut event = event(event::Type::Error);
    event.error = Some(event::Error { message });
    event
}
