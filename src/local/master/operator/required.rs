//! The part that a call of each type must have.
//!
//! Source: `validation::master::call::validate`, `src/master/validation.cpp` of Apache Mesos 1.11.0.

use crate::proto::master::{Call, call};

/// The part that belongs to the type and is not there.
#[expect(deprecated, reason = "the old calls for quota")]
pub(super) fn missing(kind: call::Type, call: &Call) -> Option<&'static str> {
    use call::Type;
    let (is_present, name) = match kind {
        Type::Teardown => (call.teardown.is_some(), "teardown"),
        Type::GetMetrics => (call.get_metrics.is_some(), "get_metrics"),
        Type::SetLoggingLevel => (call.set_logging_level.is_some(), "set_logging_level"),
        Type::ListFiles => (call.list_files.is_some(), "list_files"),
        Type::ReadFile => (call.read_file.is_some(), "read_file"),
        Type::ReserveResources => (call.reserve_resources.is_some(), "reserve_resources"),
        Type::UnreserveResources => (call.unreserve_resources.is_some(), "unreserve_resources"),
        Type::CreateVolumes => (call.create_volumes.is_some(), "create_volumes"),
        Type::DestroyVolumes => (call.destroy_volumes.is_some(), "destroy_volumes"),
        Type::GrowVolume => (call.grow_volume.is_some(), "grow_volume"),
        Type::ShrinkVolume => (call.shrink_volume.is_some(), "shrink_volume"),
        Type::UpdateWeights => (call.update_weights.is_some(), "update_weights"),
        Type::UpdateQuota => (call.update_quota.is_some(), "update_quota"),
        Type::SetQuota => (call.set_quota.is_some(), "set_quota"),
        Type::RemoveQuota => (call.remove_quota.is_some(), "remove_quota"),
        Type::UpdateMaintenanceSchedule => (
            call.update_maintenance_schedule.is_some(),
            "update_maintenance_schedule",
        ),
        Type::StartMaintenance => (call.start_maintenance.is_some(), "start_maintenance"),
        Type::StopMaintenance => (call.stop_maintenance.is_some(), "stop_maintenance"),
        Type::MarkAgentGone => (call.mark_agent_gone.is_some(), "mark_agent_gone"),
        Type::DrainAgent => (call.drain_agent.is_some(), "drain_agent"),
        Type::DeactivateAgent => (call.deactivate_agent.is_some(), "deactivate_agent"),
        Type::ReactivateAgent => (call.reactivate_agent.is_some(), "reactivate_agent"),
        _ => return None,
    };
    (!is_present).then_some(name)
}
