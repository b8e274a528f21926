//! What the driver must know of the API that it speaks.

use std::time::Duration;

use super::queue::Item;
use crate::codec::WireMessage;
use crate::error::{Error, Result};
use crate::proto::FrameworkId;
use crate::subscription::StreamEvent;

/// The scheduler API or the executor API.
pub(crate) trait Protocol: Send + Sync + 'static {
    type Event: StreamEvent;
    type Call: WireMessage;

    /// Who is at the other end: `master`, `agent`.
    const PEER: &'static str;
    /// Path of the endpoint.
    const PATH: &'static str;
    /// Whether events keep their meaning when the subscription that carried them is lost.
    const EVENTS_OUTLIVE_SUBSCRIPTION: bool;

    /// The SUBSCRIBE call of this moment.
    fn subscribe(&self) -> Self::Call;

    /// Why this SUBSCRIBED event of `from` is no answer to the SUBSCRIBE call: it is of another framework.
    fn mismatch(&self, _subscribed: &Self::Event, _from: &str) -> Option<Error> {
        None
    }

    /// An event has arrived; it is before every callback. False: it is not for the user.
    fn receive(&self, event: &Self::Event) -> bool;

    /// A call has been queued.
    fn queued(&self, call: &Self::Call);

    /// A call is about to be sent: fills in the ids. False: the last SUBSCRIBE has already said it. An error: it comes too
    /// late to be sent.
    fn complete(&self, call: &mut Self::Call) -> Result<bool>;

    /// The peer took a call.
    fn accepted(&self, _call: &Self::Call) {}

    /// The peer refused a call.
    fn refused(&self, call: &Self::Call);

    /// Nobody knows whether the peer carried the call out. True: only another subscription can make it certain.
    fn unknown(&self, _call: &Self::Call) -> bool {
        false
    }

    /// A call that asks the peer what became of those; none if nothing is in doubt.
    fn settling(&self) -> Option<Self::Call> {
        None
    }

    /// Makes `next` part of `call`, which it follows, if the peer cannot tell the difference.
    fn merge(_call: &mut Self::Call, _next: &mut Self::Call) -> bool {
        false
    }

    /// Name of the call for logs and errors, as Mesos writes it.
    fn name(call: &Self::Call) -> &'static str;

    /// Whether the call makes sense only under the subscription under which it was queued.
    fn is_bound_to_subscription(call: &Self::Call) -> bool;

    /// Whether the peer takes the call twice as if it came once.
    fn is_repeatable(call: &Self::Call) -> bool;

    /// The peer refuses the framework for good. Answers the id of one that is given up by that, so that the next SUBSCRIBE
    /// makes a new one.
    fn forget_framework(&self, _refusal: &Error) -> Option<FrameworkId> {
        None
    }

    /// Whether the call is about the framework itself, and makes sense also for a new one in its place.
    fn is_about_framework(_call: &Self::Call) -> bool {
        true
    }

    /// Events that tell the user that `call` never reached the peer.
    fn never_sent(&self, call: &Self::Call) -> Vec<Self::Event>;

    /// A call to be sent every now and then.
    fn keepalive(&self) -> Option<(Duration, Self::Call)>;

    /// The call that ends the framework, if there is anything to end.
    fn teardown(&self) -> Option<Self::Call>;

    /// What to do when the subscription is lost, or does not come about.
    fn persistence(&self) -> Persistence;

    /// Whether something is still to be confirmed by the peer before the driver may end.
    fn is_pending(&self) -> bool;

    /// Waits until nothing is.
    fn settled(&self) -> impl Future<Output = ()> + Send;

    /// How long to wait for that.
    fn settle_limit(&self) -> Duration;
}

/// How long to go on subscribing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// For ever. An error that ends it ends the driver.
    Endless,
    /// For this long since the start or the last loss, then the user's `shutdown` runs.
    Limited(Duration),
    /// The first subscription is tried for this long; a lost one is not renewed.
    Once(Duration),
}

/// Makes the user's callbacks.
pub(crate) trait Handler: Send + 'static {
    type Event: Send;

    /// One item, one callback (or none).
    fn handle(&mut self, item: Item<Self::Event>) -> impl Future<Output = ()> + Send;

    /// The last callback.
    fn error(&mut self, error: &Error) -> impl Future<Output = ()> + Send;
}
