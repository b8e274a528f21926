//! What the driver must know of the API that it speaks.

use std::time::Duration;

use async_trait::async_trait;

use super::queue::Item;
use crate::codec::WireMessage;
use crate::error::Error;
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

    /// An event has arrived; it is before every callback. False: it is not for the user.
    fn receive(&self, event: &Self::Event) -> bool;

    /// A call has been queued.
    fn queued(&self, call: &Self::Call);

    /// A call is about to be sent: fills in the ids. False: the last SUBSCRIBE has already said it.
    fn complete(&self, call: &mut Self::Call) -> bool;

    /// The peer took a call.
    fn accepted(&self, _call: &Self::Call) {}

    /// The peer refused a call.
    fn refused(&self, call: &Self::Call);

    /// Name of the call for logs and errors, as Mesos writes it.
    fn name(call: &Self::Call) -> &'static str;

    /// Whether the call makes sense only under the subscription under which it was queued.
    fn is_bound_to_subscription(call: &Self::Call) -> bool;

    /// Whether the peer takes the call twice as if it came once.
    fn is_repeatable(call: &Self::Call) -> bool;

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
#[async_trait]
pub(crate) trait Handler: Send + 'static {
    type Event: Send;

    /// One item, one callback (or none).
    async fn handle(&mut self, item: Item<Self::Event>);

    /// The last callback.
    async fn error(&mut self, error: &Error);
}
