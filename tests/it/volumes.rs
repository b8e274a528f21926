//! Persistent volumes: made, used, resized, shared and destroyed.

use mesos_framework::proto::framework_info::{Capability, capability};
use mesos_framework::proto::offer::{Operation, operation};
use mesos_framework::proto::resource::SharedInfo;
use mesos_framework::proto::task_status::Reason;
use mesos_framework::proto::{
    FrameworkInfo, Offer, OperationState, Resource, TaskInfo, TaskState, value, volume,
};

use crate::executor_role::{RUN, append};
use crate::framework::{Framework, info, scalar, task};
use crate::recorder::Callback;
use crate::reservations::{
    create, destroy, on_agent, one_agent, operation, reserve, reserved, volume,
};

pub fn launch(tasks: Vec<TaskInfo>) -> Operation {
    Operation {
        launch: Some(operation::Launch { task_infos: tasks }),
        ..operation("", operation::Type::Launch)
    }
}

/// A task that uses `volume`.
pub fn user(id: &str, data: impl Into<String>, offer: &Offer, volume: &Resource) -> TaskInfo {
    let mut task = task(id, data, offer);
    task.resources.push(volume.clone());
    task
}

fn holds(offer: &Offer, volume: &Resource) -> bool {
    let id = |resource: &Resource| {
        resource
            .disk
            .as_ref()
            .and_then(|own| own.persistence.clone())
    };
    let mut resources = offer.resources.iter();
    resources.any(|own| id(own) == id(volume) && own.scalar == volume.scalar)
}

impl Framework {
    /// An offer with `volume` and room for tasks beside it.
    pub async fn offer_with(&mut self, volume: &Resource) -> Offer {
        self.handle.revive_offers(Vec::new()).await.unwrap();
        let roomy = |offer: &Offer| {
            let mut names = offer.resources.iter().map(|own| own.name.as_str());
            holds(offer, volume) && names.any(|name| name == "cpus")
        };
        self.next_offer(roomy).await
    }

    pub async fn written(&mut self, id: &str) -> String {
        let status = self.comes_to(&id.into(), TaskState::TaskFinished).await;
        status.message().to_owned()
    }
}

#[tokio::test]
async fn a_volume_keeps_its_files_until_it_is_destroyed() {
    let cluster = one_agent().await;
    let mut framework = Framework::register(&cluster.address(), info("files")).await;
    let role = framework.role();
    let own = volume("files", 64.0, &role);
    let offer = framework.offer().await;
    let disk = reserved(scalar("disk", 64.0), &role);
    let first = user("first", append("data/file", "a"), &offer, &own);
    let operations = vec![
        reserve("reserve", vec![disk.clone()]),
        create("create", vec![own.clone()]),
        launch(vec![first]),
    ];
    framework.operate(&offer, operations).await;
    assert_eq!(framework.written("first").await, "a");
    let offer = framework.offer_with(&own).await;
    let second = user("second", append("data/file", "b"), &offer, &own);
    framework.launch(offer, vec![second]).await;
    assert_eq!(framework.written("second").await, "ab");
    let offer = framework.offer_with(&own).await;
    let third = user("third", append("data/file", "c"), &offer, &own);
    let operations = vec![
        destroy("destroy", vec![own.clone()]),
        create("again", vec![own.clone()]),
        launch(vec![third]),
    ];
    framework.operate(&offer, operations).await;
    assert_eq!(framework.written("third").await, "c");
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn volumes_of_a_wrong_shape_are_not_created() {
    let cluster = one_agent().await;
    let mut framework = Framework::register(&cluster.address(), info("shapes")).await;
    let role = framework.role();
    let good = || volume("id", 1.0, &role);
    let offer = framework.offer().await;
    let marks = format!("(allocated: {role})(reservations: [(DYNAMIC,{role})])");
    let changed = |change: fn(&mut Resource)| {
        let mut volume = good();
        change(&mut volume);
        volume
    };
    let cases = [
        (changed(|own| own.reservations.clear()), "Invalid resources: Invalid DiskInfo: Persistent volumes cannot be created from unreserved resources".to_owned()),
        (changed(|own| own.disk.as_mut().unwrap().volume = None), "Invalid resources: Invalid DiskInfo: Expecting 'volume' to be set for persistent volume".to_owned()),
        (changed(|own| own.disk.as_mut().unwrap().volume.as_mut().unwrap().host_path = Some("/x".into())), "Invalid resources: Invalid DiskInfo: Expecting 'host_path' to be unset for persistent volume".to_owned()),
        (changed(|own| own.disk.as_mut().unwrap().persistence.as_mut().unwrap().id = "a/b".into()), "Invalid resources: Invalid DiskInfo: Invalid persistence ID for persistent volume: 'a/b' contains invalid characters".to_owned()),
        (changed(|own| own.disk.as_mut().unwrap().persistence = None), "Invalid resources: Invalid DiskInfo: Non-persistent volume not supported".to_owned()),
        (changed(|own| own.disk.as_mut().unwrap().volume.as_mut().unwrap().mode = volume::Mode::Ro as i32), "Not a persistent volume: Read-only persistent volume not supported".to_owned()),
        ({ let mut own = volume("other", 1.0, &role); own.shared = Some(SharedInfo {}); own }, format!("Create volume operation for 'disk{marks}[other:data]<SHARED>:1' has been attempted by framework '{}' with no SHARED_RESOURCES capability", framework.id)),
    ];
    let mut operations = vec![
        reserve("", vec![reserved(scalar("disk", 2.0), &role)]),
        create("", vec![good()]),
    ];
    for (number, (volume, _)) in cases.iter().enumerate() {
        operations.push(create(&number.to_string(), vec![volume.clone()]));
    }
    operations.push(create("twice", vec![good()]));
    let agent = on_agent(&offer);
    framework.operate(&offer, operations).await;
    let mut texts: Vec<String> = cases.into_iter().map(|(_, text)| text).collect();
    texts.push("Persistence ID 'id' is not unique".to_owned());
    for text in texts {
        let status = framework.operation_status().await;
        assert_eq!(status.state(), OperationState::OperationError);
        assert_eq!(status.message(), format!("{text}; on agent {agent}"));
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_volume_grows_and_shrinks() {
    let cluster = one_agent().await;
    let mut framework = Framework::register(&cluster.address(), info("sizes")).await;
    let role = framework.role();
    let own = volume("sizes", 64.0, &role);
    let offer = framework.offer().await;
    let disk = vec![reserved(scalar("disk", 96.0), &role)];
    let operations = vec![reserve("", disk), create("create", vec![own.clone()])];
    framework.operate(&offer, operations).await;
    assert_eq!(
        framework.operation_status().await.state(),
        OperationState::OperationFinished
    );
    let offer = framework.offer_with(&own).await;
    let grow = Operation {
        grow_volume: Some(operation::GrowVolume {
            volume: own.clone(),
            addition: reserved(scalar("disk", 32.0), &role),
        }),
        ..operation("grow", operation::Type::GrowVolume)
    };
    framework.finish(&offer, grow).await;
    let grown = volume("sizes", 96.0, &role);
    let offer = framework.offer_with(&grown).await;
    let shrink = Operation {
        shrink_volume: Some(operation::ShrinkVolume {
            volume: grown.clone(),
            subtract: value::Scalar { value: 80.0 },
        }),
        ..operation("shrink", operation::Type::ShrinkVolume)
    };
    framework.finish(&offer, shrink).await;
    let shrunk = volume("sizes", 16.0, &role);
    let offer = framework.offer_with(&shrunk).await;
    framework
        .finish(&offer, destroy("destroy", vec![shrunk]))
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn tasks_use_only_volumes_that_are_there_and_each_once() {
    let cluster = one_agent().await;
    let mut framework = Framework::register(&cluster.address(), info("used")).await;
    let role = framework.role();
    let own = volume("used", 8.0, &role);
    let offer = framework.offer().await;
    let missing = user("missing", RUN, &offer, &own);
    let mut double = user("double", RUN, &offer, &own);
    double.resources.push(own.clone());
    let mut bare = task("bare", RUN, &offer);
    let mut unreserved = own.clone();
    unreserved.reservations.clear();
    bare.resources.push(unreserved);
    framework.launch(offer, vec![missing, double, bare]).await;
    let status = framework.status(&"missing".into()).await;
    assert_eq!(status.reason(), Reason::TaskInvalid);
    assert!(
        status.message().starts_with("Total resources "),
        "{status:?}"
    );
    let texts = [
        (
            "double",
            "Task uses duplicate persistence ID: Persistence ID 'used' is not unique",
        ),
        (
            "bare",
            "Task uses invalid resources: Invalid DiskInfo: Persistent volumes cannot be created from unreserved resources",
        ),
    ];
    for (id, text) in texts {
        let status = framework.status(&id.into()).await;
        assert_eq!(status.state(), TaskState::TaskError);
        assert_eq!(status.message(), text);
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

/// One of the frameworks of `role` that can share volumes.
fn sharing(test: &str, role: &str) -> FrameworkInfo {
    let mut info = info(test);
    info.capabilities.push(Capability {
        r#type: Some(capability::Type::SharedResources as i32),
    });
    if !role.is_empty() {
        info.roles = vec![role.to_owned()];
    }
    info
}

fn shared(id: &str, megabytes: f64, role: &str) -> Resource {
    let mut shared = volume(id, megabytes, role);
    shared.shared = Some(SharedInfo {});
    shared
}

#[tokio::test]
async fn a_shared_volume_is_used_by_several_and_not_destroyed_meanwhile() {
    let cluster = one_agent().await;
    let mut framework = Framework::register(&cluster.address(), sharing("shared", "")).await;
    let role = framework.role();
    let own = shared("shared", 8.0, &role);
    let offer = framework.offer().await;
    let users = ["one", "other"].map(|id| user(id, RUN, &offer, &own));
    let operations = vec![
        reserve("", vec![reserved(scalar("disk", 8.0), &role)]),
        create("create", vec![own.clone()]),
        launch(users.to_vec()),
    ];
    framework.operate(&offer, operations).await;
    let mut running = std::collections::BTreeSet::new();
    while running.len() < 2 {
        let status = framework.until("both users", |callback| match callback {
            Callback::Status(status) => Some(status.clone()),
            _ => None,
        });
        let status = status.await;
        if status.state() == TaskState::TaskRunning {
            running.insert(status.task_id.value);
        }
    }
    // It is offered although it is in use.
    let offer = framework.offer_with(&own).await;
    framework
        .operate(&offer, vec![destroy("early", vec![own.clone()])])
        .await;
    let early = framework.operation_status().await;
    assert_eq!(early.state(), OperationState::OperationError);
    let text = format!("Persistent volumes in use; on agent {}", on_agent(&offer));
    assert_eq!(early.message(), text);
    for id in ["one", "other"] {
        let kill = framework.handle.kill_task(id.into(), None);
        kill.await.unwrap();
        framework.comes_to(&id.into(), TaskState::TaskKilled).await;
    }
    let offer = framework.offer_with(&own).await;
    framework.finish(&offer, destroy("late", vec![own])).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn destroying_a_volume_rescinds_the_other_offers_of_it() {
    let cluster = one_agent().await;
    let address = cluster.address();
    let mut framework = Framework::register(&address, sharing("destroyer", "")).await;
    let role = framework.role();
    let own = shared("rescinded", 8.0, &role);
    let offer = framework.offer().await;
    let operations = vec![
        reserve("", vec![reserved(scalar("disk", 8.0), &role)]),
        create("create", vec![own.clone()]),
        launch(vec![task("task", RUN, &offer)]),
    ];
    framework.operate(&offer, operations).await;
    framework
        .comes_to(&"task".into(), TaskState::TaskRunning)
        .await;
    let mut other = Framework::register(&address, sharing("holder", &role)).await;
    // All but the task's, and the volume.
    let held = other.offer_with(&own).await;
    framework
        .handle
        .kill_task("task".into(), None)
        .await
        .unwrap();
    framework
        .comes_to(&"task".into(), TaskState::TaskKilled)
        .await;
    let offer = framework.offer_with(&own).await;
    framework
        .finish(&offer, destroy("destroy", vec![own]))
        .await;
    let rescinded = other
        .until("the rescission", |callback| match callback {
            Callback::Rescinded(id) => Some(id.clone()),
            _ => None,
        })
        .await;
    assert_eq!(rescinded, held.id);
    other.teardown().await;
    framework.teardown().await;
    cluster.shutdown().await;
}
