//! Who may do what: what is said to those who may not.

use std::time::Duration;

use mesos_framework::proto::offer::{Operation, operation};
use mesos_framework::proto::task_status::Reason;
use mesos_framework::proto::{
    CommandInfo, ExecutorInfo, FrameworkInfo, OperationState, Resource, TaskInfo, TaskState,
    executor_info, value,
};
use mesos_framework::{Credential, ErrorKind, Outcome};
use serde_json::{Value, json};

use crate::cluster::{Agents, Needs, OwnCluster};
use crate::executor_role::RUN;
use crate::framework::{Framework, info, scalar, task};
use crate::http::{get, request};
use crate::operator::{Api, JSON};
use crate::peer::within;
use crate::reservations::{create, destroy, operation, reserve, reserved, unreserve, volume};

async fn cluster(agents: Agents, acls: &'static str) -> OwnCluster {
    let needs = Needs {
        agents,
        acls,
        ..Needs::default()
    };
    OwnCluster::start(needs).await.unwrap()
}

/// A framework of principal `weak`.
fn weak(test: &str) -> FrameworkInfo {
    FrameworkInfo {
        principal: Some("weak".into()),
        ..info(test)
    }
}

#[tokio::test]
async fn frameworks_subscribe_only_under_roles_that_they_may_have() {
    let acls = r#"{"register_frameworks": [
        {"principals": {"values": ["strong"]}, "roles": {"values": ["ops", "ops/%"]}},
        {"principals": {"type": "NONE"}, "roles": {"values": ["ops", "ops/%"]}}
    ]}"#;
    let cluster = cluster(Agents::None, acls).await;
    let address = cluster.address();
    let with = |principal: &str, roles: &[&str]| FrameworkInfo {
        principal: (!principal.is_empty()).then(|| principal.into()),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        user: "somebody".into(),
        ..info("roles")
    };
    for (principal, roles, shown) in [
        ("weak", &["ops"][..], "ops"),
        ("weak", &["ops/night"], "ops/night"),
        ("", &["free", "ops"], "free, ops"),
    ] {
        let refused = Framework::subscribe(&address, with(principal, roles), |own| own).await;
        let error = refused.err().expect("it is refused");
        assert_eq!(error.kind(), ErrorKind::ErrorEvent, "{error}");
        let text = format!("Not authorized to register framework  with roles {{ {shown} }}");
        assert!(error.to_string().contains(&text), "{error}");
    }
    let strong = with("strong", &["ops", "ops/night"]);
    Framework::register(&address, strong).await.teardown().await;

    let framework = Framework::register(&address, with("weak", &["free"])).await;
    let mut greedy = framework.info.clone();
    greedy.id = Some(framework.id.clone());
    greedy.roles.push("ops".into());
    let call = framework.handle.update_framework(greedy, Vec::new(), None);
    match call.await.unwrap().outcome().await {
        Outcome::Refused {
            status, message, ..
        } => {
            let text = format!(
                "Not authorized to register framework {} with roles {{ free, ops }}",
                framework.id
            );
            assert_eq!((status, message), (403, text));
        }
        other => panic!("not refused: {other:?}"),
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

fn as_user(user: &str) -> CommandInfo {
    CommandInfo {
        value: Some("true".into()),
        user: Some(user.into()),
        ..CommandInfo::default()
    }
}

#[tokio::test]
async fn tasks_run_only_as_users_that_they_may_be() {
    let acls = r#"{"run_tasks": [
        {"principals": {"values": ["strong"]}, "users": {"type": "ANY"}},
        {"principals": {"type": "ANY"}, "users": {"type": "NONE"}}
    ]}"#;
    let cluster = cluster(Agents::One, acls).await;
    let mut stated = weak("users");
    stated.user = "somebody".into();
    let mut framework = Framework::register(&cluster.address(), stated).await;
    let offer = framework.offer().await;
    let own = task("own", "", &offer);
    let mut commanded = task("commanded", "", &offer);
    commanded.executor = None;
    commanded.command = Some(as_user("ann"));
    // What it is like is not looked at.
    commanded.resources.clear();
    let mut executed = task("executed", "", &offer);
    executed.executor.as_mut().unwrap().command = Some(as_user("bob"));
    let tasks = [(own, "somebody"), (commanded, "ann"), (executed, "bob")];
    let launched = tasks.iter().map(|(task, _)| task.clone()).collect();
    framework.launch(offer, launched).await;
    for (task, user) in tasks {
        let status = framework.status(&task.task_id).await;
        assert_eq!(status.state(), TaskState::TaskError, "{status:?}");
        assert_eq!(status.reason(), Reason::TaskUnauthorized);
        let text = format!(
            "Principal 'weak' no authorized to launch task {} of framework {} under user '{user}'",
            task.task_id, framework.id
        );
        assert_eq!(status.message(), text);
        assert_eq!(status.executor_id, None, "{status:?}");
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

fn group(tasks: Vec<TaskInfo>) -> Operation {
    let mut launch = operation("", operation::Type::LaunchGroup);
    let mut group = operation::LaunchGroup {
        executor: ExecutorInfo {
            r#type: Some(executor_info::Type::Default as i32),
            executor_id: "group".into(),
            resources: vec![
                scalar("cpus", 0.1),
                scalar("mem", 32.0),
                scalar("disk", 1.0),
            ],
            ..ExecutorInfo::default()
        },
        ..operation::LaunchGroup::default()
    };
    group.task_group.tasks = tasks;
    launch.launch_group = Some(group);
    launch
}

#[tokio::test]
async fn a_group_runs_only_if_all_its_tasks_may() {
    let acls = r#"{"run_tasks": [
        {"principals": {"type": "NONE"}, "users": {"values": ["ann", "bob"]}}
    ]}"#;
    let cluster = cluster(Agents::One, acls).await;
    let mut framework = Framework::register(&cluster.address(), weak("group")).await;
    let offer = framework.offer().await;
    let users = ["ann", "bob", "carl"];
    let tasks = users.map(|user| TaskInfo {
        executor: None,
        command: Some(as_user(user)),
        ..task(user, "", &offer)
    });
    framework.operate(&offer, vec![group(tasks.to_vec())]).await;
    for task in tasks {
        let status = framework.status(&task.task_id).await;
        assert_eq!(status.state(), TaskState::TaskError, "{status:?}");
        assert_eq!(status.reason(), Reason::TaskGroupUnauthorized);
        let text = format!(
            "Task 'bob' is not authorized tolaunch task bob of framework {} under user 'bob'",
            framework.id
        );
        assert_eq!(status.message(), text);
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

/// Made by `weak`.
fn made(mut resource: Resource) -> Resource {
    for reservation in &mut resource.reservations {
        reservation.principal = Some("weak".into());
    }
    let disk = resource.disk.as_mut();
    if let Some(persistence) = disk.and_then(|disk| disk.persistence.as_mut()) {
        persistence.principal = Some("weak".into());
    }
    resource
}

#[tokio::test]
async fn operations_need_to_be_allowed() {
    let acls = r#"{
        "reserve_resources": [{"principals": {"values": ["weak"]}, "roles": {"type": "NONE"}}],
        "unreserve_resources":
            [{"principals": {"values": ["weak"]}, "reserver_principals": {"type": "NONE"}}],
        "create_volumes": [{"principals": {"values": ["weak"]}, "roles": {"type": "NONE"}}],
        "destroy_volumes":
            [{"principals": {"values": ["weak"]}, "creator_principals": {"type": "NONE"}}],
        "resize_volumes": [{"principals": {"values": ["weak"]}, "roles": {"type": "NONE"}}]
    }"#;
    let cluster = cluster(Agents::One, acls).await;
    let mut framework = Framework::register(&cluster.address(), weak("operations")).await;
    let role = framework.role();
    let offer = framework.offer().await;
    let cpus = || made(reserved(scalar("cpus", 0.5), &role));
    let disk = || made(volume("data", 64.0, &role));
    let shrink = Operation {
        shrink_volume: Some(operation::ShrinkVolume {
            volume: disk(),
            subtract: value::Scalar { value: 1.0 },
        }),
        ..operation("shrink", operation::Type::ShrinkVolume)
    };
    let operations = vec![
        reserve("", vec![cpus()]),
        reserve("reserve", vec![cpus()]),
        unreserve("unreserve", vec![cpus()]),
        unreserve("anybody's", vec![reserved(scalar("cpus", 0.5), &role)]),
        create("create", vec![disk()]),
        shrink,
    ];
    framework.operate(&offer, operations).await;
    let cpus = resource(
        &role,
        r#""name":"cpus","type":"SCALAR","scalar":{"value":0.5}"#,
        "",
    );
    let disk = resource(
        &role,
        r#""name":"disk","type":"SCALAR","scalar":{"value":64.0}"#,
        DISK,
    );
    let on = |value: &str, resource: &str| {
        format!(r#"object {{"value":"{value}","resource":{resource}}}"#)
    };
    for (id, action, object) in [
        ("reserve", "RESERVE_RESOURCES", on(&role, &cpus)),
        ("unreserve", "UNRESERVE_RESOURCES", on("weak", &cpus)),
        ("anybody's", "UNRESERVE_RESOURCES", "ANY object".to_owned()),
        ("create", "CREATE_VOLUME", on(&role, &disk)),
        ("shrink", "RESIZE_VOLUME", on(&role, &disk)),
    ] {
        let text = format!("Principal 'weak' no authorized to perform action {action} on {object}");
        refused(&mut framework, id, &text).await;
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

const DISK: &str = r#","disk":{"persistence":{"id":"data","principal":"weak"},"volume":{"mode":"RW","container_path":"data"}}"#;

/// As Mesos writes a resource of `weak` that is reserved for `role`.
fn resource(role: &str, amount: &str, disk: &str) -> String {
    format!(
        r#"{{{amount},"allocation_info":{{"role":"{role}"}},"reservations":[{{"type":"DYNAMIC","role":"{role}","principal":"weak"}}]{disk}}}"#
    )
}

async fn refused(framework: &mut Framework, id: &str, text: &str) {
    let status = framework.operation_status().await;
    assert_eq!(status.operation_id, Some(id.into()));
    assert_eq!(status.state(), OperationState::OperationError);
    assert_eq!(status.message(), text);
}

#[tokio::test]
async fn a_volume_stays_if_nobody_may_destroy_it() {
    let acls = r#"{"destroy_volumes": [
        {"principals": {"type": "NONE"}, "creator_principals": {"values": ["weak"]}}
    ]}"#;
    let cluster = cluster(Agents::One, acls).await;
    let mut framework = Framework::register(&cluster.address(), weak("volume")).await;
    let role = framework.role();
    let offer = framework.offer().await;
    let bare = made(reserved(scalar("disk", 64.0), &role));
    let disk = made(volume("data", 64.0, &role));
    let operations = vec![
        reserve("", vec![bare]),
        create("", vec![disk.clone()]),
        destroy("destroy", vec![disk]),
    ];
    framework.operate(&offer, operations).await;
    let disk = resource(
        &role,
        r#""name":"disk","type":"SCALAR","scalar":{"value":64.0}"#,
        DISK,
    );
    let text = format!(
        r#"Principal 'weak' no authorized to perform action DESTROY_VOLUME on object {{"value":"weak","resource":{disk}}}"#
    );
    refused(&mut framework, "destroy", &text).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

/// Nobody may do anything as an operator.
const NO_OPERATORS: &str = r#"{
    "teardown_frameworks": [{"principals": {"type": "ANY"}, "framework_principals": {"type": "NONE"}}],
    "reserve_resources": [{"principals": {"type": "ANY"}, "roles": {"type": "NONE"}}],
    "unreserve_resources": [{"principals": {"type": "ANY"}, "reserver_principals": {"type": "NONE"}}],
    "create_volumes": [{"principals": {"type": "ANY"}, "roles": {"type": "NONE"}}],
    "resize_volumes": [{"principals": {"type": "ANY"}, "roles": {"type": "NONE"}}],
    "update_quotas": [{"principals": {"type": "ANY"}, "roles": {"values": ["other"]}}, {"principals": {"type": "NONE"}, "roles": {"type": "ANY"}}],
    "update_weights": [{"principals": {"type": "NONE"}, "roles": {"type": "ANY"}}],
    "update_maintenance_schedules": [{"principals": {"type": "NONE"}, "machines": {"type": "ANY"}}],
    "drain_agents": [{"principals": {"type": "ANY"}, "agents": {"type": "NONE"}}],
    "deactivate_agents": [{"principals": {"type": "ANY"}, "agents": {"type": "NONE"}}],
    "reactivate_agents": [{"principals": {"type": "ANY"}, "agents": {"type": "NONE"}}],
    "mark_agents_gone": [{"principals": {"type": "ANY"}, "agents": {"type": "NONE"}}]
}"#;

const FORBIDDEN: &str = "403 Forbidden.";

#[tokio::test]
async fn operators_need_to_be_allowed() {
    let cluster = cluster(Agents::One, NO_OPERATORS).await;
    let mut framework = Framework::register(&cluster.address(), info("operators")).await;
    let offer = framework.offer().await;
    let api = Api::of_master(&cluster.address());
    let role = framework.role();
    let cpus = json!(reserved(scalar("cpus", 0.5), &role));
    let disk = json!(volume("data", 64.0, &role));
    let agent_id = json!({ "value": offer.agent_id.value });
    let quota = |role: &str| json!({ "role": role, "limits": { "cpus": { "value": 1.0 } } });
    let guarantee = json!({ "role": "r", "guarantee": [scalar("cpus", 0.5)] });
    let window = json!({
        "machine_ids": [{ "hostname": "elsewhere" }],
        "unavailability": { "start": { "nanoseconds": 0 } },
    });
    let refusals = [
        (
            "TEARDOWN",
            json!({ "framework_id": { "value": framework.id.value } }),
        ),
        (
            "RESERVE_RESOURCES",
            json!({ "agent_id": agent_id, "resources": [cpus] }),
        ),
        (
            "UNRESERVE_RESOURCES",
            json!({ "agent_id": agent_id, "resources": [cpus] }),
        ),
        (
            "CREATE_VOLUMES",
            json!({ "agent_id": agent_id, "volumes": [disk] }),
        ),
        (
            "SHRINK_VOLUME",
            json!({ "agent_id": agent_id, "volume": disk, "subtract": { "value": 1.0 } }),
        ),
        (
            "UPDATE_QUOTA",
            json!({ "quota_configs": [quota("other"), quota("more")] }),
        ),
        ("SET_QUOTA", json!({ "quota_request": guarantee })),
        (
            "UPDATE_WEIGHTS",
            json!({ "weight_infos": [{ "role": "r", "weight": 2.0 }] }),
        ),
        ("UPDATE_WEIGHTS", json!({ "weight_infos": [] })),
        (
            "UPDATE_MAINTENANCE_SCHEDULE",
            json!({ "schedule": { "windows": [window] } }),
        ),
        ("DRAIN_AGENT", json!({ "agent_id": { "value": "unknown" } })),
        ("DEACTIVATE_AGENT", json!({ "agent_id": agent_id })),
        ("REACTIVATE_AGENT", json!({ "agent_id": agent_id })),
        ("MARK_AGENT_GONE", json!({ "agent_id": agent_id })),
    ];
    for (kind, part) in refusals {
        api.refuses_change(kind, &part, 403, FORBIDDEN).await;
    }
    // What is wrong in itself is told first, where it is looked at first.
    let unknown = json!({ "framework_id": { "value": "unknown" } });
    let text = "No framework found with specified ID";
    api.refuses_change("TEARDOWN", &unknown, 400, text).await;
    // A plan without machines is nobody's.
    let nothing = json!({ "schedule": { "windows": [] } });
    api.change("UPDATE_MAINTENANCE_SCHEDULE", &nothing).await;
    api.change(
        "UPDATE_QUOTA",
        &json!({ "quota_configs": [quota("other")] }),
    )
    .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_is_reserved_anew_must_be_allowed_for_each_role_on_the_way() {
    let acls = r#"{"reserve_resources": [
        {"principals": {"type": "ANY"}, "roles": {"values": ["team"]}},
        {"principals": {"type": "NONE"}, "roles": {"type": "ANY"}}
    ]}"#;
    let cluster = cluster(Agents::One, acls).await;
    let mut framework = Framework::register(&cluster.address(), info("anew")).await;
    let offer = framework.offer().await;
    let api = Api::of_master(&cluster.address());
    let agent_id = json!({ "value": offer.agent_id.value });
    let team = || reserved(scalar("cpus", 0.5), "team");
    let refined = || reserved(team(), "team/dev");
    let exchange = |from: Resource, to: Resource| json!({ "agent_id": agent_id, "source": [from], "resources": [to] });
    for (from, to) in [
        (scalar("cpus", 0.5), refined()),
        (team(), refined()),
        (team(), reserved(scalar("cpus", 0.5), "other")),
    ] {
        let part = exchange(from, to);
        api.refuses_change("RESERVE_RESOURCES", &part, 403, FORBIDDEN)
            .await;
    }
    // Up to there all is allowed; but nothing is reserved like that.
    for part in [
        exchange(refined(), team()),
        exchange(reserved(scalar("cpus", 0.5), "other"), team()),
    ] {
        let call = json!({ "type": "RESERVE_RESOURCES", "reserve_resources": part }).to_string();
        let answer = api.send(&[JSON], call.as_bytes()).await;
        assert_eq!(answer.status, 409, "{answer:?}");
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn machines_go_down_and_up_only_by_those_who_may() {
    let acls = r#"{
        "start_maintenances": [{"principals": {"type": "ANY"}, "machines": {"type": "NONE"}}],
        "stop_maintenances": [{"principals": {"type": "ANY"}, "machines": {"type": "NONE"}}],
        "get_maintenance_schedules": [{"principals": {"type": "ANY"}, "machines": {"type": "NONE"}}],
        "get_maintenance_statuses": [{"principals": {"type": "NONE"}, "machines": {"type": "ANY"}}]
    }"#;
    let cluster = cluster(Agents::None, acls).await;
    let api = Api::of_master(&cluster.address());
    api.ask_patiently("GET_MASTER").await;
    let machine = json!({ "hostname": "elsewhere" });
    let window = json!({
        "machine_ids": [machine],
        "unavailability": { "start": { "nanoseconds": 0 } },
    });
    let plan = json!({ "schedule": { "windows": [window] } });
    api.change("UPDATE_MAINTENANCE_SCHEDULE", &plan).await;
    let part = json!({ "machines": [machine] });
    api.refuses_change("START_MAINTENANCE", &part, 403, FORBIDDEN)
        .await;
    let text = r#"Machine '{"hostname":"elsewhere"}' is not in DOWN mode and cannot be brought up"#;
    api.refuses_change("STOP_MAINTENANCE", &part, 400, text)
        .await;
    assert_eq!(
        api.ask("GET_MAINTENANCE_SCHEDULE").await,
        json!({ "schedule": {} })
    );
    assert_eq!(
        api.ask("GET_MAINTENANCE_STATUS").await,
        json!({ "status": {} })
    );
    cluster.shutdown().await;
}

/// Of users, `hidden` is not seen, whatever it has; nor is the role `secret`.
const VIEWS: &str = r#"{
    "view_frameworks": [{"principals": {"type": "NONE"}, "users": {"values": ["hidden"]}}],
    "view_tasks": [{"principals": {"type": "NONE"}, "users": {"values": ["hidden"]}}],
    "view_executors": [{"principals": {"type": "NONE"}, "users": {"values": ["hidden"]}}],
    "view_roles": [{"principals": {"type": "NONE"}, "roles": {"values": ["secret"]}}],
    "get_quotas": [{"principals": {"type": "NONE"}, "roles": {"values": ["secret"]}}]
}"#;

fn of_user(user: &str, role: &str) -> FrameworkInfo {
    FrameworkInfo {
        user: user.into(),
        roles: vec![role.into()],
        ..info(user)
    }
}

/// What the values at `pointer` of a list are.
fn each(list: &Value, pointer: &str) -> Vec<String> {
    let entries = list.as_array().into_iter().flatten();
    entries
        .map(|entry| entry.pointer(pointer).unwrap().as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn what_may_not_be_seen_is_left_out() {
    let needs = Needs {
        agents: Agents::One,
        acls: VIEWS,
        resources: "cpus:4;mem:4096;disk:4096;ports:[31000-31999];cpus(secret):1",
        ..Needs::default()
    };
    let cluster = OwnCluster::start(needs).await.unwrap();
    let address = cluster.address();
    let mut seen = Framework::register(&address, of_user("", "public")).await;
    let hidden = Framework::register(&address, of_user("hidden", "secret")).await;
    seen.run("seen", RUN).await;
    let api = Api::of_master(&address);
    let quota = |role: &str| json!({ "role": role, "limits": { "mem": { "value": 2048.0 } } });
    let quotas = json!({ "quota_configs": [quota("public"), quota("secret")] });
    api.change("UPDATE_QUOTA", &quotas).await;
    let weight = |role: &str| json!({ "role": role, "weight": 2.0 });
    let weights = json!({ "weight_infos": [weight("public"), weight("secret")] });
    api.change("UPDATE_WEIGHTS", &weights).await;

    let frameworks = api.ask("GET_FRAMEWORKS").await;
    let id = "/framework_info/id/value";
    assert_eq!(each(&frameworks["frameworks"], id), [seen.id.value.clone()]);
    let tasks = api.ask("GET_TASKS").await;
    let ids = each(&tasks["tasks"], "/task_id/value");
    assert_eq!(ids, ["seen"]);
    let executors = api.ask("GET_EXECUTORS").await;
    let ids = each(&executors["executors"], "/executor_info/executor_id/value");
    assert_eq!(ids, ["executor of seen"]);
    let roles = each(&api.ask("GET_ROLES").await["roles"], "/name");
    assert!(roles.contains(&"public".to_owned()) && !roles.contains(&"secret".to_owned()));
    let weights = api.ask("GET_WEIGHTS").await;
    assert_eq!(each(&weights["weight_infos"], "/role"), ["public"]);
    let quotas = api.ask("GET_QUOTA").await;
    assert_eq!(each(&quotas["status"]["configs"], "/role"), ["public"]);
    assert_eq!(each(&quotas["status"]["infos"], "/role"), ["public"]);
    let agents = api.ask("GET_AGENTS").await;
    let total = agents["agents"][0]["total_resources"].as_array().unwrap();
    assert!(
        !total.iter().any(|own| own["role"] == "secret"),
        "{total:?}"
    );
    assert!(total.iter().any(|own| own["name"] == "cpus"), "{total:?}");

    let state = get(&address, "/state").await.json();
    assert_eq!(each(&state["frameworks"], "/id"), [seen.id.value.clone()]);
    assert_eq!(state["slaves"][0]["reserved_resources"], json!({}));
    let slaves = get(&address, "/slaves").await.json();
    assert_eq!(slaves["slaves"][0]["reserved_resources_full"], json!({}));
    let roles = each(&get(&address, "/roles").await.json()["roles"], "/name");
    assert!(!roles.contains(&"secret".to_owned()), "{roles:?}");
    hidden.teardown().await;
    seen.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn operators_prove_who_they_are_where_they_must() {
    let needs = Needs {
        agents: Agents::None,
        credential: Some(("me", "hunter2")),
        authenticated_operators: true,
        standbys: 1,
        acls: r#"{
            "permissive": false,
            "register_frameworks": [{"principals": {"values": ["me"]}, "roles": {"type": "ANY"}}],
            "update_weights": [{"principals": {"values": ["me"]}, "roles": {"values": ["own/%"]}}],
            "view_roles": [{"principals": {"values": ["me"]}, "roles": {"type": "ANY"}}]
        }"#,
        ..Needs::default()
    };
    let cluster = OwnCluster::start(needs).await.unwrap();
    let address = cluster.address();
    let basic = ("Authorization", "Basic bWU6aHVudGVyMg==");
    let framework = Framework::register_with(&address, info("mine"), |builder| {
        builder.credential(Credential::new("me", "hunter2"))
    })
    .await;
    let pages = [
        ("/api/v1", "mesos-master-readwrite"),
        ("/state", "mesos-master-readonly"),
        ("/roles", "mesos-master-readonly"),
        ("/metrics/snapshot", "mesos-master-readonly"),
    ];
    let addresses = cluster.addresses();
    let standby = &addresses[1];
    // It starts, and then learns who leads.
    within("the standby", async {
        while get(standby, "/redirect").await.status != 307 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let both = pages.map(|page| [(&address, page), (standby, page)]);
    for (address, (path, realm)) in both.into_iter().flatten() {
        let answer = get(address, path).await;
        assert_eq!(
            (answer.status, answer.text()),
            (401, "401 Unauthorized."),
            "{path}"
        );
        let expected = format!("Basic realm=\"{realm}\"");
        assert_eq!(
            answer.header("www-authenticate"),
            Some(expected.as_str()),
            "{path}"
        );
    }
    for (path, status) in [("/health", 200), ("/redirect", 307)] {
        assert_eq!(get(&address, path).await.status, status, "{path}");
        assert_eq!(get(standby, path).await.status, status, "{path}");
    }
    let redirect = request(standby, "GET", "/state", &[basic], b"").await;
    assert_eq!(redirect.status, 307, "{redirect:?}");
    let update = async |role: &str| {
        let weights = json!({ "weight_infos": [{ "role": role, "weight": 2.0 }] });
        let call = json!({ "type": "UPDATE_WEIGHTS", "update_weights": weights }).to_string();
        let answer = request(&address, "POST", "/api/v1", &[JSON, basic], call.as_bytes()).await;
        (answer.status, answer.text().to_owned())
    };
    assert_eq!(update("own/role").await, (200, String::new()));
    assert_eq!(update("own").await, (403, FORBIDDEN.to_owned()));
    // What no rule is about is refused: nobody sees the framework.
    let state = request(&address, "GET", "/state", &[basic], b"").await;
    assert_eq!(state.json()["frameworks"], json!([]));
    framework.teardown().await;
    cluster.shutdown().await;
}
