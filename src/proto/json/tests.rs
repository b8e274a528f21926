//! The rows of Mesos's JSON form, one by one; and messages of every type, there and back.

mod hostile;
mod random;
mod scalars;

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::from_json;
use crate::proto::scheduler::attribute_constraint::{Predicate, Selector, predicate, selector};
use crate::proto::scheduler::{Event, event};
use crate::proto::{
    CapabilityInfo, ContainerId, Filters, FrameworkInfo, Labels, MasterInfo, Resource, TaskInfo,
    TaskStatus, framework_info, master, value,
};

fn read<M: DeserializeOwned>(json: &Json) -> M {
    let text = json.to_string();
    from_json(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn error<M: DeserializeOwned + Debug>(json: &Json) -> String {
    error_of::<M>(json.to_string().as_bytes())
}

fn error_of<M: DeserializeOwned + Debug>(text: &[u8]) -> String {
    from_json::<M>(text).expect_err("refused").to_string()
}

fn write<M: Serialize>(message: &M) -> Json {
    serde_json::to_value(message).expect("has a JSON form")
}

#[track_caller]
fn assert_contains(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} in {text:?}");
}

fn framework() -> FrameworkInfo {
    FrameworkInfo {
        user: "root".to_owned(),
        name: "x".to_owned(),
        ..FrameworkInfo::default()
    }
}

#[test]
fn reads_what_a_master_sends_on_subscription() {
    let text = br#"{"type":"SUBSCRIBED","subscribed":{"framework_id":{"value":"x-0006"},
        "heartbeat_interval_seconds":15.0,"master_info":{"id":"a","ip":16777343,"port":5050,
        "capabilities":[{"type":"AGENT_UPDATE"},{}]}}}"#;
    let event: Event = from_json(text).unwrap();
    assert_eq!(event.r#type(), event::Type::Subscribed);
    let subscribed = event.subscribed.unwrap();
    assert_eq!(subscribed.framework_id.value, "x-0006");
    assert_eq!(subscribed.heartbeat_interval_seconds, Some(15.0));
    let master = subscribed.master_info.unwrap();
    assert_eq!((master.ip, master.port), (16_777_343, 5050));
    let types: Vec<_> = master
        .capabilities
        .iter()
        .map(|capability| capability.r#type)
        .collect();
    assert_eq!(types, [Some(1), None]);
}

#[test]
fn names_are_those_of_the_schema_and_unset_fields_are_left_out() {
    let mut info = framework();
    info.failover_timeout = Some(60.0);
    info.webui_url = Some("http://a/".to_owned());
    info.roles = vec!["a".to_owned()];
    let text = serde_json::to_string(&info).unwrap();
    assert_eq!(
        text,
        r#"{"user":"root","name":"x","failover_timeout":60.0,"roles":["a"],"webui_url":"http://a/"}"#
    );
}

#[test]
fn names_in_camel_case_are_unknown() {
    let filters: Filters = read(&json!({"refuseSeconds": 1.0}));
    assert_eq!(filters.refuse_seconds, None);
}

#[test]
fn unset_fields_that_mesos_writes_with_their_default_are_read() {
    let info: FrameworkInfo = read(&json!({
        "user": "root", "name": "x", "checkpoint": false, "failover_timeout": 0.0, "role": "*"
    }));
    assert_eq!(info.checkpoint, Some(false));
    assert_eq!(info.failover_timeout, Some(0.0));
}

#[test]
fn unknown_keys_are_ignored() {
    let filters: Filters = read(&json!({
        "refuse_seconds": 1.0, "news": {"deep": [1, {"refuse_seconds": null}]}, "": false
    }));
    assert_eq!(
        filters,
        Filters {
            refuse_seconds: Some(1.0)
        }
    );
}

#[test]
fn null_is_as_if_the_key_was_not_there() {
    let info: FrameworkInfo = read(&json!({
        "user": "root", "name": "x", "id": null, "roles": null, "capabilities": [null],
        "offer_filters": null
    }));
    assert_eq!(info, framework());
    assert_contains(
        &error::<FrameworkInfo>(&json!({"user": "root", "name": null})),
        "`name`",
    );
}

#[test]
fn last_value_of_a_repeated_key_counts() {
    let info: FrameworkInfo =
        from_json(br#"{"user":"a","name":"x","roles":["a"],"user":"root","roles":null}"#).unwrap();
    assert_eq!(info, framework());
    assert_contains(
        &error_of::<FrameworkInfo>(br#"{"user":"a","name":"x","user":null}"#),
        "`user`",
    );
}

#[test]
fn missing_required_field_is_named_with_its_place() {
    let message = error::<crate::proto::scheduler::Call>(&json!({
        "type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "root"}}
    }));
    assert_contains(
        &message,
        "subscribe: framework_info: missing required field `name` of mesos.v1.FrameworkInfo",
    );
}

#[test]
fn enums_are_read_by_name_only() {
    let status: TaskStatus = read(
        &json!({"task_id": {"value": "t"}, "state": "TASK_RUNNING", "source": "SOURCE_AGENT"}),
    );
    assert_eq!(status.state(), crate::proto::TaskState::TaskRunning);
    let message = error::<TaskStatus>(&json!({"task_id": {"value": "t"}, "state": 1}));
    assert_contains(
        &message,
        "state: invalid type: a whole number, expected the name of an enum value",
    );
}

#[test]
fn unknown_enum_name_is_unset_or_dropped_or_refused() {
    let optional: framework_info::Capability = read(&json!({"type": "FROM_THE_FUTURE"}));
    assert_eq!(optional.r#type, None);

    let list: CapabilityInfo = read(&json!({"capabilities": ["FROM_THE_FUTURE", "CHOWN"]}));
    assert_eq!(list.capabilities, [1000]);

    let required = json!({"task_id": {"value": "t"}, "state": "TASK_FROM_THE_FUTURE"});
    assert_contains(
        &error::<TaskStatus>(&required),
        "state: unknown enum value `TASK_FROM_THE_FUTURE`",
    );
}

#[test]
fn unknown_enum_number_is_left_out_or_refused() {
    let optional = framework_info::Capability { r#type: Some(77) };
    assert_eq!(write(&optional), json!({}));

    let list = CapabilityInfo {
        capabilities: vec![77, 1000],
    };
    assert_eq!(write(&list), json!({"capabilities": ["CHOWN"]}));
    assert_eq!(
        write(&CapabilityInfo {
            capabilities: vec![77]
        }),
        json!({})
    );

    let variant = Selector {
        selector: Some(selector::Selector::PseudoattributeType(77)),
    };
    assert_eq!(write(&variant), json!({}));

    let required = TaskStatus {
        state: 77,
        ..TaskStatus::default()
    };
    let message = serde_json::to_string(&required).unwrap_err().to_string();
    assert_contains(&message, "required enum value 77");
}

#[test]
fn list_may_be_one_bare_value() {
    let info: FrameworkInfo = read(&json!({
        "user": "root", "name": "x", "roles": "a", "capabilities": {"type": "GPU_RESOURCES"}
    }));
    assert_eq!(info.roles, ["a"]);
    assert_eq!(info.capabilities.len(), 1);
    assert_eq!(
        read::<CapabilityInfo>(&json!({"capabilities": "CHOWN"})).capabilities,
        [1000]
    );
    assert_eq!(
        read::<CapabilityInfo>(&json!({"capabilities": "NEWS"})).capabilities,
        [0; 0]
    );
}

#[test]
fn value_of_the_wrong_kind_is_refused() {
    let message = error::<Event>(&json!({"subscribed": {"framework_id": "x"}}));
    assert_contains(
        &message,
        "subscribed: framework_id: invalid type: string \"x\", expected an object",
    );
    for (json, found) in [
        (
            json!({"user": ["root"], "name": "x"}),
            "invalid type: sequence, expected a string",
        ),
        (
            json!({"user": {}, "name": "x"}),
            "invalid type: map, expected a string",
        ),
        (
            json!({"user": 1, "name": "x"}),
            "invalid type: a whole number, expected a string",
        ),
        (
            json!({"user": true, "name": "x"}),
            "invalid type: boolean `true`, expected a string",
        ),
        (
            json!({"user": "a", "name": "x", "checkpoint": 1}),
            "expected true or false",
        ),
        (
            json!({"user": "a", "name": "x", "checkpoint": "yes"}),
            "expected true or false",
        ),
        (
            json!({"user": "a", "name": "x", "roles": [1]}),
            "expected a string",
        ),
        (
            json!({"user": "a", "name": "x", "roles": [["a"]]}),
            "expected a string",
        ),
    ] {
        assert_contains(&error::<FrameworkInfo>(&json), found);
    }
}

#[test]
fn maps_are_objects() {
    let json = json!({
        "name": "n", "task_id": {"value": "t"}, "agent_id": {"value": "a"},
        "limits": {"cpus": {"value": 1.5}, "mem": {"value": "Infinity"}}
    });
    let task: TaskInfo = read(&json);
    assert_eq!(task.limits.len(), 2);
    assert_eq!(task.limits["mem"].value, f64::INFINITY);
    assert_eq!(write(&task), json);

    let mut none = json.clone();
    none["limits"] = json!({"gone": null});
    assert!(read::<TaskInfo>(&none).limits.is_empty());

    let mut broken = json;
    broken["limits"] = json!({"cpus": {}});
    assert_contains(
        &error::<TaskInfo>(&broken),
        "limits: cpus: missing required field `value`",
    );
}

#[test]
fn members_of_a_oneof_are_plain_keys() {
    let named = Selector {
        selector: Some(selector::Selector::AttributeName("rack".to_owned())),
    };
    assert_eq!(write(&named), json!({"attribute_name": "rack"}));
    assert_eq!(read::<Selector>(&json!({"attribute_name": "rack"})), named);
    assert_eq!(
        read::<Selector>(&json!({"pseudoattribute_type": null, "attribute_name": "rack"})),
        named
    );

    let exists = Predicate {
        predicate: Some(predicate::Predicate::Exists(predicate::Exists {})),
    };
    assert_eq!(write(&exists), json!({"exists": {}}));
    assert_eq!(read::<Predicate>(&json!({"exists": {"news": 1}})), exists);
    assert_eq!(read::<Predicate>(&json!({})), Predicate { predicate: None });
}

#[test]
fn durations_of_protobuf_are_objects() {
    let json = json!({
        "agent_id": {"value": "a"}, "max_grace_period": {"seconds": 3, "nanos": 0}
    });
    let drain: master::call::DrainAgent = read(&json);
    let period = drain.max_grace_period.unwrap();
    assert_eq!((period.seconds, period.nanos), (3, 0));
    assert_eq!(write(&drain), json);

    let sparse: master::call::DrainAgent =
        read(&json!({"agent_id": {"value": "a"}, "max_grace_period": {"nanos": "7"}}));
    assert_eq!(sparse.max_grace_period.unwrap().nanos, 7);
    let text = json!({"agent_id": {"value": "a"}, "max_grace_period": "3s"});
    assert_contains(
        &error::<master::call::DrainAgent>(&text),
        "expected an object",
    );
}

#[test]
fn only_one_object_may_stand_at_the_top() {
    assert_eq!(from_json::<Labels>(b" {} \n").unwrap(), Labels::default());
    for text in [
        "{}x",
        "{}{}",
        "[]",
        "\"a\"",
        "null",
        "1",
        "",
        " ",
        "{",
        "{\"labels\":[}",
    ] {
        error_of::<Labels>(text.as_bytes());
    }
    assert_contains(
        &error_of::<Labels>(b"[]"),
        "expected an object (mesos.v1.Labels)",
    );
    assert_contains(&error_of::<Labels>(b"{}x"), "trailing characters");
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    error_of::<ContainerId>(b"{\"value\":\"\xff\"}");
    error_of::<ContainerId>(b"{\"\xff\":1}");
    error_of::<ContainerId>(b"{\"value\":\"\\ud800\"}");
    error_of::<ContainerId>(b"\xff{NaN}");
}

#[test]
fn nesting_has_a_limit() {
    let nested = |depth: usize| {
        format!(
            "{}{}",
            "{\"value\":\"a\",\"parent\":".repeat(depth),
            "null".to_owned() + &"}".repeat(depth)
        )
    };
    from_json::<ContainerId>(nested(100).as_bytes()).unwrap();
    assert_contains(
        &error_of::<ContainerId>(nested(10_000).as_bytes()),
        "recursion limit exceeded",
    );
}

#[test]
fn recursive_messages_survive() {
    let child = ContainerId {
        value: "child".to_owned(),
        parent: Some(Box::new(ContainerId {
            value: "parent".to_owned(),
            parent: None,
        })),
    };
    assert_eq!(
        write(&child),
        json!({"value": "child", "parent": {"value": "parent"}})
    );
    assert_eq!(read::<ContainerId>(&write(&child)), child);
}

#[test]
fn keywords_of_rust_are_keys_like_any_other() {
    let resource: Resource =
        read(&json!({"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}}));
    assert_eq!(resource.r#type(), value::Type::Scalar);
    assert_eq!(write(&resource)["type"], json!("SCALAR"));
}

#[test]
fn required_field_with_default_is_still_required() {
    assert_contains(&error::<MasterInfo>(&json!({"id": "a", "ip": 1})), "`port`");
}
