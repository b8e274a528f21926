//! Operations that are refused, with Mesos's texts.

use mesos_framework::proto::offer::{Operation, operation};
use mesos_framework::proto::resource::{RevocableInfo, disk_info};
use mesos_framework::proto::{OperationState, OperationStatus, value};

use crate::framework::{Framework, info, refuse_for_good, scalar};
use crate::reservations::{
    create, destroy, on_agent, one_agent, operation, reserve, reserved, unreserve, volume,
};

fn error(id: &str, message: String) -> OperationStatus {
    OperationStatus {
        operation_id: Some(id.into()),
        state: OperationState::OperationError as i32,
        message: Some(message),
        ..OperationStatus::default()
    }
}

#[tokio::test]
async fn operations_on_a_dead_offer_are_errors() {
    let cluster = one_agent().await;
    let mut framework = Framework::register(&cluster.address(), info("dead")).await;
    let offer = framework.offer().await;
    framework
        .decline(std::slice::from_ref(&offer), refuse_for_good())
        .await;
    let own = vec![reserved(scalar("cpus", 1.0), &framework.role())];
    let silent = reserve("", own.clone());
    framework
        .operate(&offer, vec![silent, reserve("dead", own)])
        .await;
    let status = framework.operation_status().await;
    let message = format!(
        "Operation attempted with invalid offers: Offer {} is no longer valid",
        offer.id
    );
    assert_eq!(status, error("dead", message));
    framework.teardown().await;
    cluster.shutdown().await;
}

/// Operations that are malformed, and how.
fn malformed_operations(role: &str) -> Vec<(Operation, String)> {
    let cpus = || scalar("cpus", 1.0);
    let own = || reserved(cpus(), role);
    let malformed = "Operation attempted with invalid resources: ";
    let mut sourced = reserve("", vec![own()]);
    sourced.reserve.as_mut().unwrap().source = vec![cpus()];
    vec![
        (
            operation("", operation::Type::Reserve),
            format!(
                "{malformed}A RESERVE offer operation must have the Offer.Operation.reserve field set."
            ),
        ),
        (
            operation("", operation::Type::GrowVolume),
            format!(
                "{malformed}A GROW_VOLUME operation must have the Offer.Operation.grow_volume field set"
            ),
        ),
        (
            reserve("", vec![reserved(scalar("cpus", -1.0), role)]),
            format!(
                "{malformed}Resource 'cpus(reservations: [(DYNAMIC,{role})]):-1' is invalid: Invalid scalar resource: value <= 0"
            ),
        ),
        (
            reserve("", vec![reserved(cpus(), "*")]),
            format!(
                "{malformed}Resource 'cpus(reservations: [(DYNAMIC,*)]):1' is invalid: Invalid reservation: role \"*\" cannot be reserved"
            ),
        ),
        (
            reserve("", vec![reserved(own(), "elsewhere")]),
            format!(
                "{malformed}Resource 'cpus(reservations: [(DYNAMIC,{role}),(DYNAMIC,elsewhere)]):1' is invalid: Invalid refined reservation: role 'elsewhere' is not a refinement of '{role}'"
            ),
        ),
        (
            sourced,
            format!(
                "{malformed}Reservation updates are not yet implemented for the scheduler API."
            ),
        ),
    ]
}

/// Operations that cannot be, and why. `{on}` stands for the agent.
fn impossible_operations(role: &str) -> Vec<(Operation, String)> {
    let cpus = || scalar("cpus", 1.0);
    let own = || reserved(cpus(), role);
    let all = format!("(allocated: {role})");
    let on = "; on agent {on}";
    let mut revocable = own();
    revocable.revocable = Some(RevocableInfo {});
    let [disk, destroyed_disk] = disk_operations();
    vec![
        (
            reserve("", vec![]),
            format!("Invalid resources: The resources have multiple resource providers: {on}"),
        ),
        (
            reserve("", vec![cpus()]),
            format!("Resource cpus{all}:1 is not dynamically reserved{on}"),
        ),
        (
            reserve("", vec![reserved(cpus(), "elsewhere")]),
            format!(
                "A reserve operation was attempted for a resource with role 'elsewhere', but the resource was allocated to role '{role}'{on}"
            ),
        ),
        (
            reserve("", vec![revocable]),
            format!(
                "Invalid resources: Invalid ReservationInfo: Dynamically reserved resource cpus{all}(reservations: [(DYNAMIC,{role})]){{REV}}:1 cannot be created from revocable resources{on}"
            ),
        ),
        (
            unreserve("", vec![cpus()]),
            format!("Resource cpus{all}:1 is not dynamically reserved{on}"),
        ),
        (
            unreserve("", vec![volume("id", 1.0, role)]),
            format!(
                "A dynamically reserved persistent volume disk{all}(reservations: [(DYNAMIC,{role})])[id:data]:1 cannot be unreserved directly. Please destroy the persistent volume first then unreserve the resource{on}"
            ),
        ),
        (
            create("", vec![own()]),
            format!(
                "Not a persistent volume: Resource cpus{all}(reservations: [(DYNAMIC,{role})]):1 does not have DiskInfo{on}"
            ),
        ),
        (
            destroy("", vec![volume("id", 1.0, role)]),
            format!("Persistent volumes not found{on}"),
        ),
        (
            disk,
            format!("'source' is not managed by a resource provider{on}"),
        ),
        (
            destroyed_disk,
            format!("'source' is not managed by a resource provider{on}"),
        ),
    ]
}

/// Operations on disks of providers, which agents of these clusters have not.
fn disk_operations() -> [Operation; 2] {
    let disk = Operation {
        create_disk: Some(operation::CreateDisk {
            source: scalar("disk", 1.0),
            target_type: disk_info::source::Type::Mount as i32,
            target_profile: None,
        }),
        ..operation("", operation::Type::CreateDisk)
    };
    let destroyed_disk = Operation {
        destroy_disk: Some(operation::DestroyDisk {
            source: scalar("disk", 1.0),
        }),
        ..operation("", operation::Type::DestroyDisk)
    };
    [disk, destroyed_disk]
}

#[tokio::test]
async fn invalid_operations_tell_what_is_wrong() {
    let cluster = one_agent().await;
    let mut framework = Framework::register(&cluster.address(), info("invalid")).await;
    let role = framework.role();
    let offer = framework.offer().await;
    let agent = on_agent(&offer);
    let mut invalid = malformed_operations(&role);
    invalid.extend(impossible_operations(&role));
    for (number, (operation, _)) in invalid.iter_mut().enumerate() {
        operation.id = Some(number.to_string().as_str().into());
    }
    for (operation, text) in &invalid {
        // What the agent has nobody knows before.
        let expected = text.trim_end_matches("; on agent {on}");
        let foreseen = operation.validate(&framework.info, &role);
        match expected {
            "Persistent volumes not found" => assert!(foreseen.is_ok()),
            _ => assert_eq!(foreseen.unwrap_err().to_string(), expected),
        }
    }
    let (operations, texts): (Vec<_>, Vec<_>) = invalid.into_iter().unzip();
    framework.operate(&offer, operations).await;
    let mut told: Vec<OperationStatus> = Vec::new();
    for _ in &texts {
        told.push(framework.operation_status().await);
    }
    let number = |status: &OperationStatus| -> usize {
        status.operation_id.as_ref().unwrap().value.parse().unwrap()
    };
    // What is malformed is told before anything is tried.
    let order: Vec<usize> = told.iter().map(number).collect();
    assert!(order.is_sorted(), "{order:?}");
    for (status, text) in told.iter().zip(texts) {
        let id = number(status).to_string();
        assert_eq!(*status, error(&id, text.replace("{on}", &agent)));
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_the_offer_lacks_cannot_be_reserved_and_the_rest_goes_on() {
    let cluster = one_agent().await;
    let mut framework = Framework::register(&cluster.address(), info("lacking")).await;
    let role = framework.role();
    let offer = framework.offer().await;
    let own = vec![reserved(scalar("cpus", 1.0), &role)];
    let too_much = vec![reserved(scalar("cpus", 5.0), &role)];
    let operations = vec![
        reserve("", vec![scalar("cpus", 1.0)]),
        reserve("lacking", too_much),
        reserve("fine", own),
    ];
    framework.operate(&offer, operations).await;
    let refused = framework.operation_status().await;
    assert_eq!(refused.operation_id, Some("lacking".into()));
    assert_eq!(refused.state(), OperationState::OperationError);
    let lacks = format!(" does not contain cpus(allocated: {role}):5");
    assert!(refused.message().ends_with(&lacks), "{refused:?}");
    let done = framework.operation_status().await;
    assert_eq!(done.operation_id, Some("fine".into()));
    assert_eq!(done.state(), OperationState::OperationFinished);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn volumes_are_resized_only_as_mesos_allows() {
    let cluster = one_agent().await;
    let mut framework = Framework::register(&cluster.address(), info("resized")).await;
    let role = framework.role();
    let offer = framework.offer().await;
    let agent = on_agent(&offer);
    let own = volume("id", 64.0, &role);
    let shrink = |id: &str, subtract: f64| Operation {
        shrink_volume: Some(operation::ShrinkVolume {
            volume: own.clone(),
            subtract: value::Scalar { value: subtract },
        }),
        ..operation(id, operation::Type::ShrinkVolume)
    };
    let grow = |id: &str, addition| Operation {
        grow_volume: Some(operation::GrowVolume {
            volume: own.clone(),
            addition,
        }),
        ..operation(id, operation::Type::GrowVolume)
    };
    let operations = [
        shrink("nothing", 0.0),
        shrink("all", 64.0),
        grow("unreserved", scalar("disk", 1.0)),
        shrink("unknown", 1.0),
    ];
    let foreseen = operations
        .clone()
        .map(|own| own.validate(&framework.info, &role));
    framework.operate(&offer, operations.into()).await;
    let texts = [
        (
            "nothing",
            "Value of 'ShrinkVolume.subtract' must be greater than zero",
        ),
        (
            "all",
            "Value of 'ShrinkVolume.subtract' must be smaller than the size of 'ShrinkVolume.volume'",
        ),
        (
            "unreserved",
            "Incompatible resources in the 'GrowVolume.volume' and 'GrowVolume.addition' fields",
        ),
    ];
    assert!(
        foreseen[3].is_ok(),
        "whether the volume is there nobody knows before"
    );
    for ((id, text), foreseen) in texts.into_iter().zip(foreseen) {
        assert_eq!(foreseen.unwrap_err().to_string(), text);
        let message = format!("{text}; on agent {agent}");
        assert_eq!(framework.operation_status().await, error(id, message));
    }
    let unknown = framework.operation_status().await;
    let message = unknown.message();
    assert!(
        message.starts_with("Invalid SHRINK_VOLUME operation: "),
        "{message}"
    );
    assert!(message.contains(" does not contain disk("), "{message}");
    framework.teardown().await;
    cluster.shutdown().await;
}
