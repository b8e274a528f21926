//! What schedulers and executors share: the tasks, start, stop and join.

mod asking;
mod connection;
mod dispatch;
mod lifecycle;
mod link;
mod options;
mod outbox;
mod protocol;
mod queue;
mod receipt;
mod supervisor;
#[cfg(test)]
pub(crate) mod tests;
mod unconnected;

use std::sync::Arc;

use tokio::sync::watch;

pub use connection::{Connection, ConnectionState, ConnectionWatch};
pub(crate) use lifecycle::{Ending, Lifecycle};
pub use lifecycle::{Status, Stop};
pub(crate) use options::{Options, option_setters};
pub(crate) use outbox::{Terms, Unsubscribed};
pub(crate) use protocol::{Handler, Persistence, Protocol};
pub(crate) use queue::Item;
pub(crate) use receipt::Watcher;
pub use receipt::{Outcome, Receipt};
pub(crate) use supervisor::{Engine, Ready, Setup};
pub(crate) use unconnected::Unconnected;

pub(crate) use crate::subscription::{Signal, StreamEvent, heartbeat_interval};

use crate::codec::ContentType;
use crate::error::{Error, ErrorKind, Result};
use outbox::Outbox;
use queue::EventQueue;

/// What a driver, its handles and its tasks share.
pub(crate) struct Core<P: Protocol> {
    pub(crate) protocol: Arc<P>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    events: Arc<EventQueue<P::Event>>,
    outbox: Arc<Outbox<P>>,
    connection: watch::Sender<Connection>,
    content_type: ContentType,
    /// Answers calls in place of the peer; none in drivers with a network.
    stand_in: Option<unconnected::StandIn<P::Call>>,
}

impl<P: Protocol> Core<P> {
    pub(crate) fn new(protocol: P, options: &Options) -> Self {
        let protocol = Arc::new(protocol);
        let events = Arc::new(EventQueue::new(options.event_queue_capacity));
        let content_type = options.content_type;
        let outbox = Outbox::new(
            Arc::clone(&protocol),
            Arc::clone(&events),
            content_type,
            options.outbox_capacity,
        );
        Self {
            protocol,
            lifecycle: Arc::new(Lifecycle::new()),
            events,
            outbox: Arc::new(outbox),
            connection: watch::Sender::new(Connection::idle()),
            content_type,
            stand_in: None,
        }
    }

    /// Queues a call, in the order in which these futures complete.
    pub(crate) async fn submit(
        &self,
        call: impl Into<Box<P::Call>> + Send,
        terms: impl Into<Terms> + Send,
    ) -> Result<Receipt> {
        self.check_running()?;
        let receipt = self.outbox.submit(call, terms).await?;
        self.answer_calls();
        Ok(receipt)
    }

    /// Queues a call of the library's own, as [`submit`](Self::submit) does. Nobody is told what becomes of it.
    pub(crate) async fn submit_unasked(&self, call: Box<P::Call>) -> Result<()> {
        self.check_running()?;
        self.outbox.submit_unasked(call).await?;
        self.answer_calls();
        Ok(())
    }

    /// Stops the driver with TEARDOWN, and answers the receipt of that call.
    pub(crate) fn teardown(&self) -> Result<Receipt> {
        self.check_running()?;
        let receipt = self.outbox.expect_teardown("TEARDOWN")?;
        self.stop(Stop::Teardown);
        Ok(receipt)
    }

    pub(crate) fn stop(&self, how: Stop) -> Status {
        let status = self.lifecycle.stop(how);
        self.ended_unconnected();
        status
    }

    pub(crate) fn abort(&self) -> Status {
        self.lifecycle.abort();
        self.ended_unconnected();
        self.lifecycle.status()
    }

    pub(crate) fn fail(&self, error: Error) -> Status {
        self.lifecycle.fail(error);
        self.ended_unconnected();
        self.lifecycle.status()
    }

    fn check_running(&self) -> Result<()> {
        match self.lifecycle.is_running() {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::NotRunning, "driver is not running")),
        }
    }

    pub(crate) fn connection(&self) -> Connection {
        self.connection.borrow().clone()
    }

    pub(crate) fn watch_connection(&self) -> ConnectionWatch {
        ConnectionWatch::new(self.connection.subscribe())
    }
}

/// Runs `future` on a runtime of its own, with a single thread.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    if tokio::runtime::Handle::try_current().is_ok() {
        let context = "run_blocking cannot be used inside a tokio runtime; use run";
        return Err(Error::new(ErrorKind::Config, context));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .map_err(|error| {
            Error::caused_by(ErrorKind::Config, "no tokio runtime can be made", error)
        })?
        .block_on(future)
}
