use bytes::Bytes;

use super::*;
use crate::local::LocalCluster;
use crate::proto::framework_info::{Capability, capability};
use crate::proto::scheduler::{Call, call as part};
use crate::proto::{FrameworkInfo, TaskId};

fn multi_role(roles: &[&str]) -> FrameworkInfo {
    FrameworkInfo {
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        capabilities: vec![Capability {
            r#type: Some(capability::Type::MultiRole.into()),
        }],
        ..Default::default()
    }
}

fn refusal(info: &FrameworkInfo, suppressed: &[&str]) -> String {
    let builder = LocalCluster::builder().roles(&["a", "b"]);
    let config = builder.checked().unwrap();
    let suppressed: Vec<String> = suppressed.iter().map(|role| (*role).to_owned()).collect();
    framework(info, &suppressed, &config)
        .err()
        .unwrap_or_default()
}

#[test]
#[expect(deprecated, reason = "`role` has its own rules")]
fn roles_are_checked_in_mesos_words() {
    let of = |roles: &[&str]| refusal(&multi_role(roles), &[]);
    assert_eq!(of(&["a", "b", "*"]), "");
    assert_eq!(
        of(&["a", "c"]),
        "Roles { c } are not present in the master's --roles"
    );
    let duplicates = "'FrameworkInfo.roles' contains duplicate items: { a }";
    assert_eq!(of(&["a", "a"]), duplicates);
    let slash = "'FrameworkInfo.roles' contains invalid role: Role '/a' cannot start with a slash";
    assert_eq!(of(&["/a"]), slash);
    assert_eq!(
        refusal(&multi_role(&["a"]), &["b"]),
        "Suppressed role 'b' is not contained in the list of roles"
    );
    let mut both = multi_role(&["a"]);
    both.role = Some("a".to_owned());
    assert!(refusal(&both, &[]).starts_with("'FrameworkInfo.role' must not be set"));
    both.capabilities.clear();
    assert!(refusal(&both, &[]).starts_with("'FrameworkInfo.roles' must not be set"));
}

#[test]
fn time_outs_must_be_durations() {
    let mut info = multi_role(&["a"]);
    info.failover_timeout = Some(-5.0);
    assert_eq!(refusal(&info, &[]), "");
    info.failover_timeout = Some(1e30);
    let why = refusal(&info, &[]);
    assert!(why.starts_with("The framework failover_timeout ("), "{why}");
}

#[test]
fn calls_name_what_they_lack() {
    let of = |call_: &Call| call(call_, None).err().unwrap_or_default();
    let kind = |kind: part::Type| Call {
        framework_id: Some("f".into()),
        r#type: Some(kind.into()),
        ..Default::default()
    };
    assert_eq!(of(&Call::default()), "Expecting 'type' to be present");
    assert_eq!(
        of(&kind(part::Type::Accept)),
        "Expecting 'accept' to be present"
    );
    assert_eq!(of(&kind(part::Type::Teardown)), "");
    let mut acknowledge = kind(part::Type::Acknowledge);
    acknowledge.acknowledge = Some(part::Acknowledge {
        agent_id: "a".into(),
        task_id: TaskId::from("t"),
        uuid: Bytes::from_static(b"0123456789abcdef"),
    });
    assert_eq!(of(&acknowledge), "Not a valid UUID");
    let mut subscribe = kind(part::Type::Subscribe);
    subscribe.subscribe = Some(Box::default());
    assert_eq!(
        of(&subscribe),
        "'framework_id' differs from 'subscribe.framework_info.id'"
    );
}
