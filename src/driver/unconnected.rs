//! A driver's core without a network, for tests of what users write: whoever stands in for the peer is shown each call at
//! once, and says what becomes of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::connection::ConnectionState;
use super::lifecycle::{Ending, Stop};
use super::options::Options;
use super::outbox::Session;
use super::protocol::Protocol;
use super::receipt::Outcome;
use super::{Core, Lifecycle};
use crate::address::Address;
use crate::error::{Error, ErrorKind};

/// Where the peer is said to be. Nobody is ever asked there.
const ADDRESS: &str = "127.0.0.1:5050";

/// Stands in for the peer.
pub(crate) type StandIn<C> = Mutex<Box<dyn FnMut(&C) -> Outcome + Send>>;

/// A running core that no task serves; it ends when this is dropped.
pub(crate) struct Unconnected<P: Protocol> {
    core: Arc<Core<P>>,
    address: Address,
    generation: Mutex<u64>,
}

impl<P: Protocol> Unconnected<P> {
    /// Running, and without a subscription. `stand_in` must not use the driver.
    pub(crate) fn new(
        protocol: P,
        stand_in: impl FnMut(&P::Call) -> Outcome + Send + 'static,
    ) -> Self {
        let mut core = Core::new(protocol, &Options::default());
        core.stand_in = Some(Mutex::new(Box::new(stand_in)));
        core.lifecycle.start();
        Self {
            core: Arc::new(core),
            address: Address::parse(ADDRESS).expect("it is an address"),
            generation: Mutex::new(0),
        }
    }

    pub(crate) fn core(&self) -> Arc<Core<P>> {
        Arc::clone(&self.core)
    }

    pub(crate) fn lifecycle(&self) -> &Lifecycle {
        &self.core.lifecycle
    }

    /// A subscription begins with that event; calls that waited for it are answered.
    pub(crate) fn connect(&self, subscribed: &P::Event) {
        if !self.core.lifecycle.is_running() || self.core.outbox.is_subscribed() {
            return;
        }
        let generation = {
            let mut generation = self.lock();
            *generation += 1;
            *generation
        };
        self.core.protocol.receive(subscribed);
        self.core.outbox.subscribed(Session {
            generation,
            at: self.address.clone(),
            stream_id: None,
        });
        self.core.connection.send_modify(|connection| {
            connection.failed_attempts = 0;
            connection.state = ConnectionState::Subscribed {
                address: ADDRESS.to_owned(),
                since: Instant::now(),
                generation,
            };
        });
        self.core.answer_calls();
    }

    /// The subscription is lost.
    pub(crate) fn disconnect(&self, why: &Error) {
        if !self.core.lifecycle.is_running() || !self.core.outbox.is_subscribed() {
            return;
        }
        // Nothing is queued that this could end.
        let _ = self.core.outbox.lost(why);
        self.core.connection.send_modify(|connection| {
            connection.last_error = Some(why.clone());
            connection.state = ConnectionState::Detecting {
                since: Instant::now(),
            };
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, u64> {
        self.generation
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Protocol> Drop for Unconnected<P> {
    fn drop(&mut self) {
        self.core.lifecycle.drop_driver();
        self.core.ended_unconnected();
    }
}

impl<P: Protocol> Core<P> {
    /// Shows what is queued to whoever stands in for the peer.
    pub(super) fn answer_calls(&self) {
        if let Some(stand_in) = &self.stand_in {
            // One thread at a time, so that a call that was queued is answered when its method returns.
            let mut stand_in = stand_in.lock().unwrap_or_else(PoisonError::into_inner);
            self.outbox.answer(&mut **stand_in);
        }
    }

    /// Does what the supervisor does for a driver with a network.
    pub(super) fn ended_unconnected(&self) {
        let (true, Some(ending)) = (self.stand_in.is_some(), self.lifecycle.ending()) else {
            return;
        };
        let is_closed = |state: &ConnectionState| *state == ConnectionState::Closed;
        if is_closed(&self.connection.borrow().state) {
            return;
        }
        self.events.close();
        let teardown = match ending {
            Ending::Stop(Stop::Teardown) => self.protocol.teardown(),
            _ => None,
        };
        // What became of it is logged, unless it was taken.
        drop(self.outbox.close(teardown));
        self.answer_calls();
        let why = Error::new(ErrorKind::NotRunning, "driver ended without a subscription");
        self.outbox.give_up(&why);
        self.connection
            .send_modify(|connection| connection.state = ConnectionState::Closed);
    }
}
