//! Whether a call is well formed.

use bytes::Bytes;
use uuid::{Uuid, Variant};

use crate::proto::scheduler::{Call, call};

/// Why `call` is not well formed, if so.
pub(in crate::local::master) fn call(call: &Call, principal: Option<&str>) -> Result<(), String> {
    // A value that the schema does not know is none.
    let kind = call.r#type.and_then(|kind| call::Type::try_from(kind).ok());
    if kind.is_none() {
        return expecting("type");
    }
    if call.r#type() == call::Type::Subscribe {
        return subscribe(call, principal);
    }
    let framework_id = call.framework_id.as_ref();
    if framework_id.is_none_or(|id| id.value.is_empty()) {
        return expecting("framework_id");
    }
    present(call)?;
    if let Some(acknowledge) = &call.acknowledge
        && call.r#type() == call::Type::Acknowledge
    {
        check_uuid(&acknowledge.uuid)?;
    }
    if let Some(acknowledge) = &call.acknowledge_operation_status
        && call.r#type() == call::Type::AcknowledgeOperationStatus
    {
        check_uuid(&acknowledge.uuid)?;
        if acknowledge.agent_id.is_none() {
            return expecting("agent_id");
        }
    }
    if let Some(update) = &call.update_framework
        && call.r#type() == call::Type::UpdateFramework
        && update.framework_info.id != call.framework_id
    {
        return Err("'framework_id' differs from 'update_framework.framework_info.id'".to_owned());
    }
    Ok(())
}

/// Whether the part that belongs to the type is there.
fn present(call: &Call) -> Result<(), String> {
    let (is_present, name) = match call.r#type() {
        call::Type::Accept => (call.accept.is_some(), "accept"),
        call::Type::Decline => (call.decline.is_some(), "decline"),
        call::Type::AcceptInverseOffers => (
            call.accept_inverse_offers.is_some(),
            "accept_inverse_offers",
        ),
        call::Type::DeclineInverseOffers => (
            call.decline_inverse_offers.is_some(),
            "decline_inverse_offers",
        ),
        call::Type::Kill => (call.kill.is_some(), "kill"),
        call::Type::Shutdown => (call.shutdown.is_some(), "shutdown"),
        call::Type::Acknowledge => (call.acknowledge.is_some(), "acknowledge"),
        call::Type::AcknowledgeOperationStatus => (
            call.acknowledge_operation_status.is_some(),
            "acknowledge_operation_status",
        ),
        call::Type::Reconcile => (call.reconcile.is_some(), "reconcile"),
        call::Type::ReconcileOperations => {
            (call.reconcile_operations.is_some(), "reconcile_operations")
        }
        call::Type::Message => (call.message.is_some(), "message"),
        call::Type::Request => (call.request.is_some(), "request"),
        call::Type::UpdateFramework => (call.update_framework.is_some(), "update_framework"),
        call::Type::Unknown
        | call::Type::Subscribe
        | call::Type::Teardown
        | call::Type::Revive
        | call::Type::Suppress => (true, ""),
    };
    if is_present { Ok(()) } else { expecting(name) }
}

fn subscribe(call: &Call, principal: Option<&str>) -> Result<(), String> {
    let Some(subscribe) = &call.subscribe else {
        return expecting("subscribe");
    };
    let info = &subscribe.framework_info;
    let value = |id: &Option<crate::proto::FrameworkId>| {
        id.as_ref().map(|id| id.value.clone()).unwrap_or_default()
    };
    if value(&info.id) != value(&call.framework_id) {
        return Err("'framework_id' differs from 'subscribe.framework_info.id'".to_owned());
    }
    match (principal, &info.principal) {
        (Some(authenticated), Some(stated)) if authenticated != stated => Err(format!(
            "Authenticated principal '{authenticated}' does not match principal '{stated}' set in `FrameworkInfo`"
        )),
        _ => Ok(()),
    }
}

fn expecting(what: &str) -> Result<(), String> {
    Err(format!("Expecting '{what}' to be present"))
}

/// Whether `uuid` is 16 bytes of a variant and version that RFC 4122 knows.
fn check_uuid(uuid: &Bytes) -> Result<(), String> {
    match Uuid::from_slice(uuid) {
        Ok(uuid) if uuid.get_variant() == Variant::RFC4122 && uuid.get_version().is_some() => {
            Ok(())
        }
        _ => Err("Not a valid UUID".to_owned()),
    }
}
