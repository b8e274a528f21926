//! Handle method → call. Pure.

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::proto::scheduler::call::{
    Accept, AcceptInverseOffers, Acknowledge, AcknowledgeOperationStatus, Decline,
    DeclineInverseOffers, Kill, Message, Reconcile, ReconcileOperations, Request, Revive, Shutdown,
    Suppress, Type, UpdateFramework, reconcile, reconcile_operations,
};
use crate::proto::scheduler::{Call, OfferConstraints};
use crate::proto::{
    AgentId, ExecutorId, Filters, FrameworkInfo, KillPolicy, OfferId, OperationStatus,
    Request as ResourceRequest, TaskId, TaskInfo, TaskStatus, offer,
};

fn call(r#type: Type) -> Call {
    Call {
        r#type: Some(r#type as i32),
        ..Call::default()
    }
}

pub(super) fn accept(
    offer_ids: Vec<OfferId>,
    operations: Vec<offer::Operation>,
    filters: Filters,
) -> Call {
    let accept = Accept {
        offer_ids,
        operations,
        filters: Some(filters),
    };
    Call {
        accept: Some(accept),
        ..call(Type::Accept)
    }
}

/// One LAUNCH with all tasks; without tasks, no operation, which declines the offers.
pub(super) fn launch(offer_ids: Vec<OfferId>, tasks: Vec<TaskInfo>, filters: Filters) -> Call {
    let operations = match tasks.is_empty() {
        true => Vec::new(),
        false => vec![offer::Operation {
            r#type: Some(offer::operation::Type::Launch as i32),
            launch: Some(offer::operation::Launch { task_infos: tasks }),
            ..offer::Operation::default()
        }],
    };
    accept(offer_ids, operations, filters)
}

pub(super) fn decline(offer_ids: Vec<OfferId>, filters: Filters) -> Call {
    Call {
        decline: Some(Decline {
            offer_ids,
            filters: Some(filters),
        }),
        ..call(Type::Decline)
    }
}

/// Moves the offers of a DECLINE to the DECLINE before it, if their filters are equal.
pub(super) fn merge_declines(call: &mut Call, next: &mut Call) -> bool {
    let is_decline = |call: &Call| type_of(call) == Some(Type::Decline);
    if !is_decline(call) || !is_decline(next) {
        return false;
    }
    let (Some(decline), Some(next)) = (&mut call.decline, &mut next.decline) else {
        return false;
    };
    if decline.filters != next.filters {
        return false;
    }
    decline.offer_ids.append(&mut next.offer_ids);
    true
}

pub(super) fn accept_inverse(inverse_offer_ids: Vec<OfferId>, filters: Filters) -> Call {
    let accept = AcceptInverseOffers {
        inverse_offer_ids,
        filters: Some(filters),
    };
    Call {
        accept_inverse_offers: Some(accept),
        ..call(Type::AcceptInverseOffers)
    }
}

pub(super) fn decline_inverse(inverse_offer_ids: Vec<OfferId>, filters: Filters) -> Call {
    let decline = DeclineInverseOffers {
        inverse_offer_ids,
        filters: Some(filters),
    };
    Call {
        decline_inverse_offers: Some(decline),
        ..call(Type::DeclineInverseOffers)
    }
}

pub(super) fn revive(roles: Vec<String>) -> Call {
    Call {
        revive: Some(Revive { roles }),
        ..call(Type::Revive)
    }
}

pub(super) fn suppress(roles: Vec<String>) -> Call {
    Call {
        suppress: Some(Suppress { roles }),
        ..call(Type::Suppress)
    }
}

pub(super) fn kill(
    task_id: TaskId,
    agent_id: Option<AgentId>,
    kill_policy: Option<KillPolicy>,
) -> Call {
    Call {
        kill: Some(Kill {
            task_id,
            agent_id,
            kill_policy,
        }),
        ..call(Type::Kill)
    }
}

pub(super) fn shutdown(executor_id: ExecutorId, agent_id: AgentId) -> Call {
    Call {
        shutdown: Some(Shutdown {
            executor_id,
            agent_id,
        }),
        ..call(Type::Shutdown)
    }
}

/// None for a status that needs no acknowledgement.
pub(super) fn acknowledge(status: &TaskStatus) -> Option<Call> {
    let uuid = status.uuid.clone().filter(|uuid| !uuid.is_empty())?;
    let acknowledge = Acknowledge {
        agent_id: status.agent_id.clone()?,
        task_id: status.task_id.clone(),
        uuid,
    };
    Some(Call {
        acknowledge: Some(acknowledge),
        ..call(Type::Acknowledge)
    })
}

/// None for a status that needs no acknowledgement.
pub(super) fn acknowledge_operation(status: &OperationStatus) -> Option<Call> {
    let acknowledge = AcknowledgeOperationStatus {
        agent_id: Some(status.agent_id.clone()?),
        resource_provider_id: status.resource_provider_id.clone(),
        uuid: status.uuid.clone()?.value,
        operation_id: status.operation_id.clone()?,
    };
    Some(Call {
        acknowledge_operation_status: Some(acknowledge),
        ..call(Type::AcknowledgeOperationStatus)
    })
}

pub(super) fn reconcile(tasks: Vec<(TaskId, Option<AgentId>)>) -> Call {
    let tasks = tasks
        .into_iter()
        .map(|(task_id, agent_id)| reconcile::Task { task_id, agent_id });
    Call {
        reconcile: Some(Reconcile {
            tasks: tasks.collect(),
        }),
        ..call(Type::Reconcile)
    }
}

pub(super) fn reconcile_operations(operations: Vec<reconcile_operations::Operation>) -> Call {
    let reconcile = ReconcileOperations { operations };
    Call {
        reconcile_operations: Some(reconcile),
        ..call(Type::ReconcileOperations)
    }
}

pub(super) fn message(executor_id: ExecutorId, agent_id: AgentId, data: Bytes) -> Call {
    Call {
        message: Some(Message {
            agent_id,
            executor_id,
            data,
        }),
        ..call(Type::Message)
    }
}

pub(super) fn request(requests: Vec<ResourceRequest>) -> Call {
    Call {
        request: Some(Request { requests }),
        ..call(Type::Request)
    }
}

pub(super) fn update_framework(
    framework_info: FrameworkInfo,
    suppressed_roles: Vec<String>,
    offer_constraints: Option<OfferConstraints>,
) -> Call {
    let update = UpdateFramework {
        framework_info,
        suppressed_roles,
        offer_constraints,
    };
    Call {
        update_framework: Some(Box::new(update)),
        ..call(Type::UpdateFramework)
    }
}

pub(super) fn teardown() -> Call {
    call(Type::Teardown)
}

/// The type of a call; none if it is missing or of a newer Mesos.
pub(super) fn type_of(call: &Call) -> Option<Type> {
    call.r#type.and_then(|number| Type::try_from(number).ok())
}

/// Refuses what must not be sent as an ordinary call: above all UNKNOWN, of which a master dies
/// (`src/master/metrics.cpp`, Apache Mesos 1.11.0).
pub(super) fn check(call: &Call) -> Result<()> {
    let refuse = |why: &str| {
        Err(Error::new(
            ErrorKind::Config,
            format!("call cannot be sent: {why}"),
        ))
    };
    match type_of(call) {
        None => match call.r#type {
            Some(number) => refuse(&format!("type {number} is not known")),
            None => refuse("it has no type"),
        },
        Some(Type::Unknown) => refuse("type UNKNOWN ends the master that receives it"),
        Some(Type::Subscribe) => refuse("SUBSCRIBE is sent by the driver alone"),
        Some(Type::Accept) => check_accept(call.accept.as_ref()),
        Some(_) => Ok(()),
    }
}

/// An empty task group passes the master, and leaves an executor behind that does not exist (`src/slave/slave.cpp`).
fn check_accept(accept: Option<&Accept>) -> Result<()> {
    let groups = accept
        .into_iter()
        .flat_map(|accept| &accept.operations)
        .filter_map(|operation| operation.launch_group.as_ref());
    for group in groups {
        if group.task_group.tasks.is_empty() {
            let context = format!(
                "call cannot be sent: task group for executor {} is empty",
                group.executor.executor_id
            );
            return Err(Error::new(ErrorKind::Config, context));
        }
    }
    Ok(())
}

pub(super) fn name(call: &Call) -> &'static str {
    type_of(call).map_or("UNKNOWN", |r#type| r#type.as_str_name())
}

/// Offers die with the subscription on which they came.
pub(super) fn names_offers(call: &Call) -> bool {
    matches!(
        type_of(call),
        Some(Type::Accept | Type::Decline | Type::AcceptInverseOffers | Type::DeclineInverseOffers)
    )
}

/// The tasks that a call would launch.
pub(super) fn launched_tasks(call: &Call) -> Vec<&TaskInfo> {
    let operations = call.accept.iter().flat_map(|accept| &accept.operations);
    operations
        .flat_map(|operation| {
            let tasks = operation
                .launch
                .iter()
                .flat_map(|launch| &launch.task_infos);
            tasks.chain(
                operation
                    .launch_group
                    .iter()
                    .flat_map(|group| &group.task_group.tasks),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(call: &Call) -> String {
        let error = check(call).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    }

    #[test]
    fn calls_that_must_not_leave_are_refused() {
        assert_eq!(
            refused(&Call::default()),
            "call cannot be sent: it has no type"
        );
        assert_eq!(
            refused(&Call {
                r#type: Some(0),
                ..Call::default()
            }),
            "call cannot be sent: type UNKNOWN ends the master that receives it"
        );
        assert_eq!(
            refused(&Call {
                r#type: Some(99),
                ..Call::default()
            }),
            "call cannot be sent: type 99 is not known"
        );
        assert_eq!(
            refused(&call(Type::Subscribe)),
            "call cannot be sent: SUBSCRIBE is sent by the driver alone"
        );
        assert!(check(&revive(vec![])).is_ok());
    }

    #[test]
    fn launching_nothing_is_an_accept_without_operations() {
        let call = launch(vec!["o".into()], vec![], Filters::default());
        assert_eq!(call.accept.map(|accept| accept.operations.len()), Some(0));
    }

    #[test]
    fn declines_with_equal_filters_become_one() {
        let filters = |seconds| Filters {
            refuse_seconds: Some(seconds),
        };
        let mut first = decline(vec!["1".into()], filters(5.0));
        let mut second = decline(vec!["2".into(), "3".into()], filters(5.0));
        assert!(merge_declines(&mut first, &mut second));
        let merged = decline(vec!["1".into(), "2".into(), "3".into()], filters(5.0));
        assert_eq!(first, merged);
        let mut longer = decline(vec!["4".into()], filters(6.0));
        let mut unfiltered = decline(vec!["4".into()], filters(5.0));
        unfiltered.decline.as_mut().unwrap().filters = None;
        let accept = accept(vec!["4".into()], vec![], filters(5.0));
        for other in [
            &mut longer,
            &mut unfiltered,
            &mut accept.clone(),
            &mut revive(vec![]),
        ] {
            assert!(!merge_declines(&mut first, other));
        }
        assert_eq!(first, merged);
        assert!(
            longer
                .decline
                .is_some_and(|decline| decline.offer_ids.len() == 1)
        );
    }

    #[test]
    fn only_updates_that_ask_for_it_are_acknowledged() {
        let mut status = TaskStatus {
            agent_id: Some("a".into()),
            ..TaskStatus::default()
        };
        assert!(acknowledge(&status).is_none());
        status.uuid = Some(Bytes::new());
        assert!(acknowledge(&status).is_none());
        status.uuid = Some(Bytes::from_static(&[1; 16]));
        assert!(acknowledge(&status).is_some());
        status.agent_id = None;
        assert!(acknowledge(&status).is_none());
    }

    #[test]
    fn calls_on_offers_are_bound_to_their_subscription() {
        assert!(names_offers(&decline(vec![], Filters::default())));
        assert!(names_offers(&accept_inverse(vec![], Filters::default())));
        assert!(!names_offers(&kill("t".into(), None, None)));
    }
}
