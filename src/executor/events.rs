//! Event → callback.

use super::{Executor, ExecutorHandle};
use crate::driver::{Handler, Item, Signal, Stop, StreamEvent};
use crate::error::{Error, ErrorKind};
use crate::proto::executor::{Event, event};

impl StreamEvent for Event {
    /// The agent's heartbeats are half an hour apart: no use for noticing that it is gone.
    fn signal(&self) -> Signal {
        match (self.r#type(), &self.subscribed, &self.error) {
            (event::Type::Subscribed, Some(_), _) => Signal::Subscribed {
                heartbeat: None,
                master_id: None,
            },
            (event::Type::Error, _, error) => Signal::Error {
                kind: ErrorKind::ErrorEvent,
                message: error
                    .as_ref()
                    .map_or_else(String::new, |error| error.message.clone()),
            },
            (event::Type::Subscribed, None, _) => Signal::Malformed("SUBSCRIBED without content"),
            // An agent sends SHUTDOWN instead of SUBSCRIBED to an executor that it has given up
            // (`Slave::subscribe`, `src/slave/slave.cpp`, Apache Mesos 1.11.0).
            (event::Type::Shutdown | event::Type::Heartbeat | event::Type::Unknown, ..) => {
                Signal::Early
            }
            _ => Signal::Event,
        }
    }
}

/// Calls the user's executor.
pub(super) struct ExecutorHandler {
    pub(super) executor: Box<dyn Executor>,
    pub(super) handle: ExecutorHandle,
    pub(super) is_registered: bool,
}

impl Handler for ExecutorHandler {
    type Event = Event;

    async fn handle(&mut self, item: Item<Event>) {
        match item {
            Item::Subscribed(event) => Box::pin(self.subscribed(event)).await,
            Item::Lost => self.executor.disconnected(&self.handle).await,
            Item::Event(event) | Item::MadeUp(event) => self.event(event).await,
            Item::GaveUp(error) => Box::pin(self.shutdown(error)).await,
            // Executors live within a framework.
            Item::FrameworkRemoved(_) => {}
        }
    }

    async fn error(&mut self, error: &Error) {
        self.executor.error(&self.handle, error).await;
    }
}

impl ExecutorHandler {
    async fn subscribed(&mut self, event: Box<Event>) {
        let Some(subscribed) = event.subscribed else {
            return;
        };
        let (executor, handle) = (&mut self.executor, &self.handle);
        if self.is_registered {
            executor.reregistered(handle, subscribed.agent_info).await;
            return;
        }
        self.is_registered = true;
        let (executor_info, framework_info) = (subscribed.executor_info, subscribed.framework_info);
        executor
            .registered(handle, executor_info, framework_info, subscribed.agent_info)
            .await;
    }

    async fn event(&mut self, event: Box<Event>) {
        let r#type = event.r#type();
        tracing::debug!(event = r#type.as_str_name(), "event");
        let (executor, handle) = (&mut self.executor, &self.handle);
        // First, for it may come where nothing else may, whatever it carries.
        if r#type == event::Type::Shutdown {
            Box::pin(self.shutdown(None)).await;
        } else if let Some(launch) = event.launch {
            executor.launch_task(handle, launch.task).await;
        } else if let Some(group) = event.launch_group {
            executor
                .launch_task_group(handle, group.task_group.tasks)
                .await;
        } else if let Some(kill) = event.kill {
            executor
                .kill_task(handle, kill.task_id, kill.kill_policy)
                .await;
        } else if let Some(message) = event.message {
            executor.framework_message(handle, message.data).await;
        } else {
            tracing::warn!(
                event = r#type.as_str_name(),
                "event without its content skipped"
            );
        }
    }

    /// The end: it has the grace period, for then the agent kills the container.
    async fn shutdown(&mut self, why: Option<Error>) {
        let grace = self.handle.core.protocol.config.shutdown_grace_period;
        let by = self.handle.core.protocol.shutting_down();
        let finished = tokio::time::timeout_at(by, self.executor.shutdown(&self.handle)).await;
        let lifecycle = &self.handle.core.lifecycle;
        match (why, finished) {
            (Some(error), _) => lifecycle.fail(error),
            (None, Ok(())) => {
                lifecycle.stop(Stop::ForFailover);
            }
            (None, Err(_)) => {
                let context = format!("shutdown took longer than its grace period of {grace:?}");
                lifecycle.fail(Error::new(ErrorKind::Timeout, context));
            }
        }
    }
}
