//! Starts a driver's tasks, and ends them in order.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;

use super::connection::ConnectionState;
use super::lifecycle::{Ending, Status, Stop};
use super::link::{self, Link};
use super::options::Options;
use super::outbox;
use super::protocol::{Handler, Persistence, Protocol};
use super::receipt::{Outcome, Receipt};
use super::{Core, dispatch};
use crate::detector::Masters;
use crate::error::{Error, ErrorKind, Result};
use crate::http::Transport;
use crate::subscription::{Limits, Subscription, Wire};

/// What the network side of a driver needs, and what is to be done when it has ended.
pub(crate) struct Ready {
    pub(crate) masters: Masters,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) afterwards: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Runs before anything else of the driver.
pub(crate) type Setup = Pin<Box<dyn Future<Output = Result<Ready>> + Send>>;

/// Starts, stops and joins the tasks of a driver.
pub(crate) struct Engine<P: Protocol, H: Handler<Event = P::Event>> {
    core: Arc<Core<P>>,
    options: Options,
    idle: Option<(H, Setup)>,
    task: Option<JoinHandle<Finished<H>>>,
    handler: Option<H>,
    /// Answered by every `join` after the first.
    failed: Option<Error>,
}

struct Finished<H> {
    result: Result<Status>,
    handler: Option<H>,
}

impl<P: Protocol, H: Handler<Event = P::Event>> Engine<P, H> {
    pub(crate) fn new(core: Arc<Core<P>>, options: Options, handler: H, setup: Setup) -> Self {
        Self {
            core,
            options,
            idle: Some((handler, setup)),
            task: None,
            handler: None,
            failed: None,
        }
    }

    pub(crate) fn start(&mut self) -> Result<Status> {
        if tokio::runtime::Handle::try_current().is_err() {
            let context = "start needs a tokio runtime; run_blocking makes its own";
            return Err(Error::new(ErrorKind::Config, context));
        }
        if self.core.lifecycle.start()
            && let Some((handler, setup)) = self.idle.take()
        {
            let supervisor = Supervisor::new(Arc::clone(&self.core), self.options.clone());
            self.task = Some(tokio::spawn(link::in_span(
                supervisor.run(handler, setup),
                P::PEER,
            )));
        }
        Ok(self.core.lifecycle.status())
    }

    /// Cancel safe.
    pub(crate) async fn join(&mut self) -> Result<Status> {
        let Some(task) = &mut self.task else {
            return match &self.failed {
                Some(error) => Err(error.clone()),
                None => Ok(self.core.lifecycle.status()),
            };
        };
        let finished = task.await.unwrap_or_else(|error| {
            let result = Err(Error::caused_by(
                ErrorKind::NotRunning,
                "runtime ended the driver",
                error,
            ));
            Finished {
                result,
                handler: None,
            }
        });
        self.task = None;
        self.handler = finished.handler;
        self.failed = finished.result.as_ref().err().cloned();
        finished.result
    }

    /// The handler, once joined or if never started; none if a callback panicked.
    pub(crate) fn into_handler(mut self) -> Option<H> {
        let idle = self.idle.take().map(|(handler, _)| handler);
        self.handler.take().or(idle)
    }
}

impl<P: Protocol, H: Handler<Event = P::Event>> Drop for Engine<P, H> {
    fn drop(&mut self) {
        self.core.lifecycle.drop_driver();
    }
}

type Running<'a, T> = Pin<&'a mut (dyn Future<Output = T> + Send)>;

/// The dispatch task, until it is joined.
enum Dispatch<H> {
    Running(JoinHandle<H>),
    Done(Result<H>),
}

struct Supervisor<P: Protocol> {
    core: Arc<Core<P>>,
    options: Options,
    link_done: bool,
    outbox_done: bool,
    /// Why the link ended while the driver was closing.
    link_error: Option<Error>,
    /// False once nothing of the closing driver is worth another SUBSCRIBE: it would throw out whoever has taken the
    /// framework over (`src/master/master.cpp`, Apache Mesos 1.11.0).
    renewable: bool,
}

impl<P: Protocol> Supervisor<P> {
    fn new(core: Arc<Core<P>>, options: Options) -> Self {
        Self {
            core,
            options,
            link_done: false,
            outbox_done: false,
            link_error: None,
            renewable: true,
        }
    }

    async fn run<H: Handler<Event = P::Event>>(mut self, handler: H, setup: Setup) -> Finished<H> {
        let ready = guarded("starting", setup).await;
        let (events, lifecycle) = (
            Arc::clone(&self.core.events),
            Arc::clone(&self.core.lifecycle),
        );
        let ready = match ready {
            Ok(Ok(ready)) => ready,
            Ok(Err(error)) | Err(error) => return self.never_began(handler, error).await,
        };
        let dispatch = dispatch::run(handler, events, lifecycle, self.options.callback_timeout);
        let mut dispatch = Dispatch::Running(tokio::spawn(dispatch));
        let (teardown, ending) = {
            let link = self.link(ready.masters, Arc::clone(&ready.transport));
            let link = guarded("subscribing", link.run()).map(|ended| ended.unwrap_or_else(Some));
            let outbox = outbox::run(Arc::clone(&self.core.outbox), ready.transport);
            let outbox = guarded("sending calls", outbox);
            tokio::pin!(link, outbox);
            let ending = self
                .running(link.as_mut(), outbox.as_mut(), &mut dispatch)
                .await;
            tracing::info!(?ending, "driver ends");
            self.core.events.close();
            let teardown = self.closing(&ending, link.as_mut(), outbox.as_mut()).await;
            (teardown, ending)
        };
        let (handler, panicked) = self.ended(dispatch, &ending).await;
        ready.afterwards.await;
        Finished {
            result: match panicked {
                Some(error) => Err(error),
                None => self.result(ending, teardown).await,
            },
            handler,
        }
    }

    /// The setup has failed: `error` is the only callback.
    async fn never_began<H: Handler<Event = P::Event>>(
        mut self,
        handler: H,
        error: Error,
    ) -> Finished<H> {
        let (events, lifecycle) = (
            Arc::clone(&self.core.events),
            Arc::clone(&self.core.lifecycle),
        );
        lifecycle.fail(error.clone());
        events.close();
        self.core.outbox.close(None);
        self.link_error = Some(error.clone());
        let dispatch = tokio::spawn(dispatch::run(handler, events, lifecycle, None));
        let ending = Ending::Failed(error.clone());
        let (handler, panicked) = self.ended(Dispatch::Running(dispatch), &ending).await;
        let result = match panicked {
            Some(panicked) => Err(panicked),
            // It only made way for the user, who ended the driver.
            None if error.kind() == ErrorKind::NotRunning => Ok(self.core.lifecycle.status()),
            None => Err(error),
        };
        Finished { result, handler }
    }

    /// Nothing is sent any more: tells whoever still waits, and lets the running callback finish.
    async fn ended<H>(
        &mut self,
        dispatch: Dispatch<H>,
        ending: &Ending,
    ) -> (Option<H>, Option<Error>) {
        let context = "driver ended before the call was sent";
        self.core.outbox.give_up(&match self.link_error.take() {
            Some(error) => Error::caused_by(ErrorKind::NotRunning, context, error),
            None => Error::new(ErrorKind::NotRunning, context),
        });
        let callback = self.last_callback(dispatch, ending).await;
        self.core
            .connection
            .send_modify(|connection| connection.state = ConnectionState::Closed);
        callback
    }

    fn link(&self, masters: Masters, transport: Arc<dyn Transport>) -> Link<P> {
        let options = &self.options;
        let limits = Limits {
            reply_timeout: options.call_timeout,
            missed_heartbeats: options.missed_heartbeats,
            backoff: options.backoff.unwrap_or_default(),
        };
        let wire = Wire {
            path: P::PATH,
            content_type: options.content_type,
            max_record_size: options.max_record_size,
        };
        let subscription = Subscription::new(P::PEER, masters, limits, wire, transport);
        Link::new(
            Arc::clone(&self.core),
            subscription,
            options.event_stall_timeout,
        )
    }

    /// Until something ends the driver.
    async fn running<H: Handler<Event = P::Event>>(
        &mut self,
        mut link: Running<'_, Option<Error>>,
        mut outbox: Running<'_, Result<()>>,
        dispatch: &mut Dispatch<H>,
    ) -> Ending {
        let lifecycle = Arc::clone(&self.core.lifecycle);
        let ended = lifecycle.ended();
        tokio::pin!(ended);
        loop {
            tokio::select! {
                biased;
                ending = &mut ended => return ending,
                joined = finished(dispatch) => {
                    if let Err(error) = &joined {
                        lifecycle.panicked(error.clone());
                    }
                    *dispatch = Dispatch::Done(joined);
                    // Whatever it was, no callback can be made any more.
                    lifecycle.abort();
                }
                sent = &mut outbox, if !self.outbox_done => self.outbox_ended(sent),
                end = &mut link, if !self.link_done => self.link_ended(end),
            }
        }
    }

    fn link_ended(&mut self, error: Option<Error>) {
        self.link_done = true;
        match (error, self.core.protocol.persistence()) {
            (Some(error), Persistence::Endless) => self.core.lifecycle.fail(error),
            (error, _) => self.core.events.gave_up(error),
        }
    }

    /// It runs as long as the driver does.
    fn outbox_ended(&mut self, sent: Result<()>) {
        self.outbox_done = true;
        if let Err(error) = sent {
            tracing::warn!(%error, "no further call is sent");
            self.core.lifecycle.fail(error);
        }
    }

    /// Flushes the queued calls, and TEARDOWN behind them.
    async fn closing(
        &mut self,
        ending: &Ending,
        mut link: Running<'_, Option<Error>>,
        mut outbox: Running<'_, Result<()>>,
    ) -> Option<Receipt> {
        let limit = self.options.call_timeout;
        let wants_teardown = matches!(ending, Ending::Stop(Stop::Teardown)) && !self.link_done;
        if wants_teardown && self.core.protocol.teardown().is_none() {
            // A SUBSCRIBE under way may yet register the framework.
            self.until_answered(link.as_mut(), limit).await;
        }
        let teardown = self.core.protocol.teardown().filter(|_| wants_teardown);
        let receipt = self.core.outbox.close(teardown);
        // Without a subscription nothing goes out, unless the next one is waited for: for a teardown, or for updates
        // that the peer has yet to confirm.
        let stops = matches!(ending, Ending::Stop(_));
        let waits =
            receipt.is_some() || (stops && !self.link_done && self.core.protocol.is_pending());
        if !waits && !self.core.outbox.is_subscribed() {
            let why = Error::new(ErrorKind::NotRunning, "driver ended without a subscription");
            self.core.outbox.give_up_queued(&why);
        }
        let settles = matches!(ending, Ending::Stop(_) | Ending::Dropped);
        self.renewable = receipt.is_some() || (settles && self.core.protocol.is_pending());
        if !self.renewable {
            self.core.outbox.renew_no_more();
        }
        if !self.outbox_done && !self.flush(link.as_mut(), outbox.as_mut(), limit).await {
            let context = format!("driver ended before the call was sent, after {limit:?}");
            self.core
                .outbox
                .give_up_queued(&Error::new(ErrorKind::Timeout, context));
            if receipt.is_some() && !self.link_done {
                self.flush(link.as_mut(), outbox.as_mut(), limit).await;
            }
        }
        if settles {
            self.settle(link).await;
        }
        receipt
    }

    async fn until_answered(&mut self, mut link: Running<'_, Option<Error>>, limit: Duration) {
        let mut connection = self.core.watch_connection();
        let answered =
            connection.until(|now| !matches!(now.state, ConnectionState::Connecting { .. }));
        let answered = tokio::time::timeout(limit, answered);
        tokio::pin!(answered);
        tokio::select! {
            _ = &mut answered => {}
            error = &mut link, if !self.link_done => {
                self.link_done = true;
                self.link_error = error;
            }
        }
    }

    /// True when everything queued has ended.
    async fn flush(
        &mut self,
        mut link: Running<'_, Option<Error>>,
        mut outbox: Running<'_, Result<()>>,
        limit: Duration,
    ) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            if self.outbox_done || (self.link_done && !self.core.outbox.is_subscribed()) {
                return false;
            }
            let (core, renewable) = (Arc::clone(&self.core), self.renewable);
            // The end of the stream may be the answer to TEARDOWN: then it must not lead to a new subscription either.
            let subscribing =
                poll_fn(
                    |context| match renewable && !core.outbox.is_tearing_down() {
                        true => link.as_mut().poll(context),
                        false => std::task::Poll::Pending,
                    },
                );
            tokio::select! {
                biased;
                sent = &mut outbox, if !self.outbox_done => {
                    self.outbox_ended(sent);
                    return true;
                }
                error = subscribing, if !self.link_done => {
                    self.link_done = true;
                    self.link_error = error;
                }
                () = tokio::time::sleep_until(deadline) => return false,
            }
        }
    }

    /// Waits for what the peer still has to confirm, as long as it can.
    async fn settle(&mut self, mut link: Running<'_, Option<Error>>) {
        let protocol = Arc::clone(&self.core.protocol);
        if self.link_done || !protocol.is_pending() {
            return;
        }
        tokio::select! {
            () = protocol.settled() => {}
            _ = &mut link => self.link_done = true,
            () = tokio::time::sleep(protocol.settle_limit()) => {
                tracing::warn!(limit = ?protocol.settle_limit(), "driver ends with unconfirmed updates");
            }
        }
    }

    /// Lets the running callback finish; a dropped driver waits only so long.
    async fn last_callback<H>(
        &self,
        dispatch: Dispatch<H>,
        ending: &Ending,
    ) -> (Option<H>, Option<Error>) {
        let joined = match dispatch {
            Dispatch::Running(mut task) if matches!(ending, Ending::Dropped) => {
                match tokio::time::timeout(self.options.call_timeout, &mut task).await {
                    Ok(joined) => joined.map_err(panicked),
                    Err(_) => {
                        tracing::warn!("a callback outlived its dropped driver, and is cancelled");
                        task.abort();
                        return (None, None);
                    }
                }
            }
            Dispatch::Running(task) => task.await.map_err(panicked),
            Dispatch::Done(joined) => joined,
        };
        match joined {
            Ok(handler) => (Some(handler), None),
            Err(error) => (None, Some(error)),
        }
    }

    async fn result(&self, ending: Ending, teardown: Option<Receipt>) -> Result<Status> {
        if let Ending::Failed(error) | Ending::Panicked(error) = ending {
            return Err(error);
        }
        let Some(receipt) = teardown else {
            return Ok(self.core.lifecycle.status());
        };
        match receipt.outcome().await {
            Outcome::Accepted => Ok(self.core.lifecycle.status()),
            Outcome::Refused { status, message } => {
                let context = format!("TEARDOWN refused with {status}: {message}");
                Err(Error::new(ErrorKind::Rejected, context))
            }
            Outcome::NotSent(error) => Err(Error::caused_by(
                error.kind(),
                "TEARDOWN was not sent",
                error,
            )),
            Outcome::Unknown(error) => Err(Error::caused_by(
                error.kind(),
                "outcome of TEARDOWN is unknown",
                error,
            )),
        }
    }
}

async fn finished<H>(dispatch: &mut Dispatch<H>) -> Result<H> {
    match dispatch {
        Dispatch::Running(task) => task.await.map_err(panicked),
        Dispatch::Done(_) => std::future::pending().await,
    }
}

fn panicked(error: JoinError) -> Error {
    if !error.is_panic() {
        return Error::caused_by(ErrorKind::NotRunning, "runtime ended the callbacks", error);
    }
    Error::panicked("a callback", &*error.into_panic())
}

/// What a panic of the user's parts leaves behind in `future` is not used any more.
async fn guarded<T>(what: &str, future: impl Future<Output = T>) -> Result<T> {
    let guarded = AssertUnwindSafe(future).catch_unwind().await;
    guarded.map_err(|panic| Error::panicked(what, &*panic))
}
