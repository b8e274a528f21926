//! One line for each call and each event, for whoever reads the log: types and ids, never payloads.

use tracing::field::display;

use crate::local::http::{ApiRequest, Reply};
use crate::proto::FrameworkId;
use crate::proto::scheduler::{Call, Event};

/// A scheduler's call. Without the status if its answer is lost on purpose.
pub(super) fn call(name: &str, framework_id: Option<&FrameworkId>, reply: &Reply) {
    let status = reply.status_code().map(|status| status.as_u16());
    let (framework_id, why) = (framework_id.map(display), reply.refusal());
    tracing::debug!(call = name, framework_id, status, why, "scheduler called");
}

/// The name of a call, and whose it is.
pub(super) fn subject(call: &Call) -> (&'static str, Option<FrameworkId>) {
    let subscribe = call.subscribe.as_ref();
    let subscribed = subscribe.and_then(|own| own.framework_info.id.clone());
    (
        call.r#type().as_str_name(),
        call.framework_id.clone().or(subscribed),
    )
}

/// Any other request.
pub(super) fn page(request: &ApiRequest, reply: &Reply) {
    let status = reply.status_code().map(|status| status.as_u16());
    let (method, path) = (display(&request.method), request.target.path.as_str());
    let why = reply.refusal();
    tracing::debug!(method, path, status, why, "page asked for");
}

/// An event to a scheduler.
pub(super) fn event(framework_id: &FrameworkId, event: &Event) {
    let status = event.update.as_ref().map(|update| &update.status);
    let task_id = status.map(|status| display(&status.task_id));
    let state = status.map(|status| status.state().as_str_name());
    let offers = event.offers.as_ref().map(|own| own.offers.len());
    let offer_id = event.rescind.as_ref().map(|own| display(&own.offer_id));
    tracing::debug!(
        event = event.r#type().as_str_name(),
        %framework_id, task_id, state, offers, offer_id,
        "event sent"
    );
}
