//! Tasks, groups and executors that are not well formed, with Mesos's words.

use bytes::Bytes;
use mesos_framework::ErrorKind;
use mesos_framework::proto::container_info::DockerInfo;
use mesos_framework::proto::offer::Operation;
use mesos_framework::proto::resource::{DiskInfo, RevocableInfo, disk_info};
use mesos_framework::proto::task_status::{Reason, Source};
use mesos_framework::proto::volume::source;
use mesos_framework::proto::{
    CommandInfo, ContainerInfo, Environment, ExecutorInfo, LinuxInfo, Offer, Parameter, Resource,
    Secret, TaskGroupInfo, TaskInfo, TaskState, Volume, container_info, environment, executor_info,
    secret, value, volume,
};

use crate::cluster::{Agents, OwnCluster};
use crate::command_rig::shell;
use crate::framework::{Framework, info, scalar, task};
use crate::reservations::{reserved, volume as persistent};

type Spoil = Box<dyn Fn(&mut TaskInfo)>;

/// A way to spoil a task, and what is said of it.
fn case(text: &str, spoil: impl Fn(&mut TaskInfo) + 'static) -> (Spoil, String) {
    (Box::new(spoil), text.to_owned())
}

async fn start(test: &str) -> (OwnCluster, Framework) {
    let cluster = OwnCluster::with(Agents::One).await;
    let framework = Framework::register(&cluster.address(), info(test)).await;
    (cluster, framework)
}

/// Launches a task for each case, spoiled its way, and compares what is told.
async fn all_are_invalid(test: &str, cases: Vec<(Spoil, String)>) {
    let (cluster, mut framework) = start(test).await;
    let offer = framework.offer().await;
    let (id, role) = (framework.id.value.clone(), framework.role());
    let mut tasks = Vec::new();
    let mut texts = Vec::new();
    for (number, (spoil, text)) in cases.into_iter().enumerate() {
        let mut task = task(&number.to_string(), "", &offer);
        spoil(&mut task);
        let text = text.replace("{framework}", &id).replace("{role}", &role);
        let foreseen = task.validate_on(std::slice::from_ref(&offer)).unwrap_err();
        assert_eq!(foreseen.kind(), ErrorKind::Config);
        assert_eq!(foreseen.to_string(), text, "before it is sent");
        tasks.push(task);
        texts.push(text);
    }
    framework.launch(offer, tasks.clone()).await;
    for (task, text) in tasks.iter().zip(texts) {
        let status = framework.status(&task.task_id).await;
        assert_eq!(status.message(), text);
        assert_eq!(status.state(), TaskState::TaskError, "{text}");
        assert_eq!(status.reason(), Reason::TaskInvalid, "{text}");
        assert_eq!(status.executor_id, None, "{text}");
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

fn with_variable(variable: environment::Variable) -> CommandInfo {
    CommandInfo {
        environment: Some(Environment {
            variables: vec![variable],
        }),
        ..shell("true")
    }
}

fn secret_variable(secret: Secret) -> environment::Variable {
    environment::Variable {
        name: "KEY".into(),
        r#type: Some(environment::variable::Type::Secret as i32),
        secret: Some(secret),
        ..environment::Variable::default()
    }
}

fn secret(kind: secret::Type, reference: bool, value: Option<&'static [u8]>) -> Secret {
    Secret {
        r#type: Some(kind as i32),
        reference: reference.then(|| secret::Reference {
            name: "door".into(),
            ..secret::Reference::default()
        }),
        value: value.map(|data| secret::Value {
            data: Bytes::from_static(data),
        }),
    }
}

fn command(task: &mut TaskInfo, command: CommandInfo) {
    task.executor = None;
    task.command = Some(command);
}

#[tokio::test]
async fn secrets_in_the_environment_must_be_what_they_say() {
    use secret::Type::{Reference, Value};
    let wrong = "Environment variable 'KEY' specifies an invalid secret: ";
    let cases = [
        (
            secret(Reference, false, None),
            format!("{wrong}Secret of type REFERENCE must have the 'reference' field set"),
        ),
        (
            secret(Reference, true, Some(b"x")),
            format!(
                "{wrong}Secret 'door' of type REFERENCE must not have the 'value' field set"
            ),
        ),
        (
            secret(Value, true, None),
            format!("{wrong}Secret of type VALUE must have the 'value' field set"),
        ),
        (
            secret(Value, true, Some(b"x")),
            format!("{wrong}Secret of type VALUE must not have the 'reference' field set"),
        ),
        (
            secret(Value, false, Some(b"a\0b")),
            "Environment variable 'KEY' specifies a secret containing null bytes, which is not allowed in the environment"
                .to_owned(),
        ),
    ];
    let mut all = Vec::new();
    for (secret, text) in cases {
        let variable = secret_variable(secret);
        let (one, other) = (variable.clone(), variable);
        all.push(case(
            &format!("Task's `CommandInfo` is invalid: {text}"),
            move |task| command(task, with_variable(one.clone())),
        ));
        all.push(case(
            &format!("Executor's `CommandInfo` is invalid: {text}"),
            move |task| {
                let executor = task.executor.as_mut().unwrap();
                executor.command = Some(with_variable(other.clone()));
            },
        ));
    }
    all_are_invalid("secrets", all).await;
}

fn mesos(volumes: Vec<Volume>) -> ContainerInfo {
    ContainerInfo {
        r#type: container_info::Type::Mesos as i32,
        volumes,
        ..ContainerInfo::default()
    }
}

fn mounted() -> Volume {
    Volume {
        container_path: "data".into(),
        mode: volume::Mode::Rw as i32,
        ..Volume::default()
    }
}

fn from_source(kind: source::Type) -> Volume {
    Volume {
        source: Some(volume::Source {
            r#type: Some(kind as i32),
            ..volume::Source::default()
        }),
        ..mounted()
    }
}

/// Containers that cannot be, and what is said of them.
fn containers() -> Vec<(ContainerInfo, &'static str)> {
    let two = Volume {
        host_path: Some("/tmp".into()),
        ..from_source(source::Type::SandboxPath)
    };
    let mut half = from_source(source::Type::CsiVolume);
    half.source.as_mut().unwrap().csi_volume = Some(source::CsiVolume {
        plugin_name: "plugin".into(),
        ..source::CsiVolume::default()
    });
    let mut containers: Vec<(ContainerInfo, &str)> = [
        (
            mounted(),
            "Only one of them should be set: 'host_path', 'image' and 'source'",
        ),
        (
            two,
            "Only one of them should be set: 'host_path', 'image' and 'source'",
        ),
        (
            from_source(source::Type::DockerVolume),
            "'source.docker_volume' is not set for DOCKER_VOLUME volume",
        ),
        (
            from_source(source::Type::HostPath),
            "'source.host_path' is not set for HOST_PATH volume",
        ),
        (
            from_source(source::Type::SandboxPath),
            "'source.sandbox_path' is not set for SANDBOX_PATH volume",
        ),
        (
            from_source(source::Type::Secret),
            "'source.secret' is not set for SECRET volume",
        ),
        (
            from_source(source::Type::CsiVolume),
            "'source.csi_volume' is not set for CSI volume",
        ),
        (
            half,
            "'source.csi_volume.static_provisioning' is not set for CSI volume",
        ),
        (
            from_source(source::Type::Unknown),
            "'source.type' is unknown",
        ),
    ]
    .into_iter()
    .map(|(volume, text)| (mesos(vec![volume]), text))
    .collect();
    let docker = |docker| ContainerInfo {
        r#type: container_info::Type::Docker as i32,
        docker,
        ..ContainerInfo::default()
    };
    let named = DockerInfo {
        image: "image".into(),
        parameters: vec![Parameter {
            key: "name".into(),
            value: "mine".into(),
        }],
        ..DockerInfo::default()
    };
    let text = "DockerInfo 'docker' is not set for DOCKER typed ContainerInfo";
    containers.push((docker(None), text));
    let text = "Parameter in DockerInfo must not be 'name'";
    containers.push((docker(Some(named)), text));
    containers
}

#[tokio::test]
async fn containers_must_be_well_formed() {
    let mut all = Vec::new();
    for (number, (container, text)) in containers().into_iter().enumerate() {
        let text = match number {
            0..=8 => format!("Invalid volume: {text}"),
            _ => text.to_owned(),
        };
        let (one, other) = (container.clone(), container);
        all.push(case(
            &format!("Task's `ContainerInfo` is invalid: {text}"),
            move |task| task.container = Some(one.clone()),
        ));
        all.push(case(
            &format!("Executor's `ContainerInfo` is invalid: {text}"),
            move |task| task.executor.as_mut().unwrap().container = Some(other.clone()),
        ));
    }
    all_are_invalid("containers", all).await;
}

fn sharing(share_cgroups: bool) -> ContainerInfo {
    ContainerInfo {
        linux_info: Some(LinuxInfo {
            share_cgroups: Some(share_cgroups),
            ..LinuxInfo::default()
        }),
        ..mesos(Vec::new())
    }
}

fn ports(begin: u64, end: u64) -> Resource {
    Resource {
        name: "ports".into(),
        r#type: value::Type::Ranges as i32,
        ranges: Some(value::Ranges {
            range: vec![value::Range { begin, end }],
        }),
        ..Resource::default()
    }
}

fn revocable(name: &str) -> Resource {
    Resource {
        revocable: Some(RevocableInfo {}),
        ..scalar(name, 0.1)
    }
}

/// What is said of ports that a task and its executor both want.
fn overlapping_ports() -> String {
    let shown = |name: &str, amount: &str| {
        format!(r#"{{"allocation_info":{{"role":"{{role}}"}},"name":"{name}",{amount}}}"#)
    };
    format!(
        "There are overlapping resources in the task resources [{},{},{}] and executor resources [{}]",
        shown("cpus", r#""scalar":{"value":0.02},"type":"SCALAR""#),
        shown("mem", r#""scalar":{"value":16.0},"type":"SCALAR""#),
        shown(
            "ports",
            r#""ranges":{"range":[{"begin":31000,"end":31010}]},"type":"RANGES""#
        ),
        shown(
            "ports",
            r#""ranges":{"range":[{"begin":31010,"end":31020}]},"type":"RANGES""#
        ),
    )
}

#[tokio::test]
async fn a_task_and_its_executor_must_get_along() {
    let executors = |task: &mut TaskInfo, resources: Vec<Resource>| {
        task.executor.as_mut().unwrap().resources = resources;
    };
    let wrong_volume = DiskInfo {
        persistence: Some(disk_info::Persistence {
            id: "id".into(),
            ..disk_info::Persistence::default()
        }),
        ..DiskInfo::default()
    };
    let all = vec![
        case(&overlapping_ports(), move |task| {
            task.resources.push(ports(31000, 31010));
            executors(task, vec![ports(31010, 31020)]);
        }),
        case(
            "Executor mixes revocable and non-revocable resources: Cannot use both revocable and non-revocable 'cpus' at the same time",
            move |task| executors(task, vec![scalar("cpus", 0.1), revocable("cpus")]),
        ),
        case(
            "Task and its executor mix revocable and non-revocable resources: Cannot use both revocable and non-revocable 'cpus' at the same time",
            move |task| executors(task, vec![revocable("cpus")]),
        ),
        case(
            "Executor uses invalid resources: Invalid DiskInfo: Persistent volumes cannot be created from unreserved resources",
            move |task| {
                let mut disk = scalar("disk", 1.0);
                disk.disk = Some(wrong_volume.clone());
                executors(task, vec![disk]);
            },
        ),
        case(
            "Task and its executor use duplicate persistence ID: Persistence ID 'id' is not unique",
            move |task| {
                task.resources.push(persistent("id", 1.0, "r"));
                executors(task, vec![persistent("id", 2.0, "r")]);
            },
        ),
        case(
            "The 'share_cgroups' field cannot be set to 'true' on executor containers",
            |task| task.executor.as_mut().unwrap().container = Some(sharing(true)),
        ),
        case(
            "Only tasks in a task group may have 'share_cgroups' set to 'false'",
            |task| task.container = Some(sharing(false)),
        ),
        case("'ExecutorInfo.type' must be 'CUSTOM'", |task| {
            let executor = task.executor.as_mut().unwrap();
            executor.command = None;
            executor.r#type = Some(executor_info::Type::Default as i32);
        }),
        case(
            "'ExecutorInfo.command' must be set for 'CUSTOM' executor",
            |task| {
                let executor = task.executor.as_mut().unwrap();
                executor.command = None;
                executor.r#type = Some(executor_info::Type::Custom as i32);
            },
        ),
        case("'ExecutorInfo.command' must be set", |task| {
            let executor = task.executor.as_mut().unwrap();
            executor.command = None;
            executor.r#type = None;
        }),
        case("'ExecutorInfo.type' must be 'CUSTOM'", |task| {
            let executor = task.executor.as_mut().unwrap();
            executor.r#type = Some(executor_info::Type::Unknown as i32);
        }),
        // The executor itself is looked at first.
        case("ID must not be empty", |task| {
            let executor = task.executor.as_mut().unwrap();
            executor.executor_id = "".into();
            executor.command = None;
            executor.r#type = Some(executor_info::Type::Default as i32);
        }),
    ];
    all_are_invalid("together", all).await;
}

fn limit(task: &mut TaskInfo, name: &str, value: f64) {
    task.limits.insert(name.into(), value::Scalar { value });
}

#[tokio::test]
async fn limits_are_not_below_what_is_asked_for() {
    let all = vec![
        case(
            "Only cpus and mem may be included in a task's resource limits",
            |task| {
                limit(task, "cpus", 0.001);
                limit(task, "disk", 64.0);
            },
        ),
        case(
            "The cpu limit must be greater than or equal to the cpu request",
            |task| limit(task, "cpus", 0.001),
        ),
        case(
            "The memory limit must be greater than or equal to the memory request",
            |task| {
                limit(task, "cpus", f64::INFINITY);
                limit(task, "mem", 15.9);
            },
        ),
        case(
            "When a CPU limit is specified, a CPU request must also be specified",
            |task| {
                task.resources.remove(0);
                limit(task, "cpus", 1.0);
            },
        ),
        case(
            "When a memory limit is specified, a memory request must also be specified",
            |task| {
                task.resources.remove(1);
                limit(task, "mem", 1.0);
            },
        ),
    ];
    all_are_invalid("limits", all).await;
}

#[tokio::test]
async fn an_agent_without_cgroups_takes_no_tasks_with_limits() {
    let (cluster, mut framework) = start("unlimited").await;
    let offer = framework.offer().await;
    let mut tasks = ["cpus", "mem"].map(|name| {
        let mut task = task(name, "", &offer);
        limit(&mut task, name, 64.0);
        task
    });
    command(&mut tasks[1], shell("true"));
    framework.launch(offer, tasks.to_vec()).await;
    for (task, kind) in tasks.iter().zip(["CPU", "Memory"]) {
        let status = framework.status(&task.task_id).await;
        let text = format!(
            "{kind} limits can only be set on tasks launched in Mesos containers when the agent has loaded the 'cgroups/{}' isolator",
            if kind == "CPU" { "cpu" } else { "mem" }
        );
        assert_eq!(status.message(), text);
        assert_eq!(status.state(), TaskState::TaskDropped);
        assert_eq!(status.reason(), Reason::GcError);
        assert_eq!(status.source(), Source::Agent);
        assert_eq!(status.executor_id, None);
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

/// A group's executor that is well formed.
fn sound(framework: &Framework) -> ExecutorInfo {
    ExecutorInfo {
        executor_id: "group".into(),
        r#type: Some(executor_info::Type::Default as i32),
        framework_id: Some(framework.id.clone()),
        resources: vec![
            scalar("cpus", 0.01),
            scalar("mem", 32.0),
            scalar("disk", 16.0),
        ],
        ..ExecutorInfo::default()
    }
}

/// Two tasks of a group.
fn members(number: usize, offer: &Offer) -> Vec<TaskInfo> {
    let members = [format!("{number}-one"), format!("{number}-two")];
    let member = |id: String| TaskInfo {
        executor: None,
        command: Some(shell("true")),
        ..task(&id, "", offer)
    };
    members.map(member).to_vec()
}

type SpoilGroup = fn(&mut ExecutorInfo, &mut Vec<TaskInfo>);

const GROUPS: &[(SpoilGroup, &str)] = &[
    (
        |executor, _| executor.r#type = None,
        "'ExecutorInfo.type' must be set",
    ),
    (
        |executor, _| {
            executor.r#type = None;
            executor.executor_id = "".into();
        },
        "ID must not be empty",
    ),
    (
        |executor, _| executor.resources[0] = scalar("cpus", 0.001),
        "Executor 'group' uses less CPUs (0.001) than the minimum required (0.01)",
    ),
    (
        |executor, _| {
            executor.resources.remove(0);
        },
        "Executor 'group' uses less CPUs (None) than the minimum required (0.01)",
    ),
    (
        |executor, _| executor.resources[1] = scalar("mem", 16.5),
        "Executor 'group' uses less memory (16MB) than the minimum required (32MB)",
    ),
    (
        |executor, _| {
            executor.resources.remove(1);
        },
        "Executor 'group' uses less memory (None) than the minimum required (32MB)",
    ),
    (
        |executor, _| {
            executor.resources.remove(2);
        },
        "Executor 'group' uses no disk",
    ),
    (
        |_, tasks| tasks[1].container = Some(sharing(false)),
        "If set, the value of 'share_cgroups' must be the same for all tasks in each task group and under a single executor",
    ),
    (
        |executor, _| executor.container = Some(sharing(true)),
        "The 'share_cgroups' field cannot be set to 'true' on executor containers",
    ),
    (
        |_, tasks| {
            tasks[0].resources.push(ports(31000, 31010));
            tasks[1].resources.push(ports(31005, 31005));
        },
        "There are overlapping resources in the task group's task resources [ cpus{all}:0.02; mem{all}:16; ports{all}:[31000-31010], cpus{all}:0.02; mem{all}:16; ports{all}:[31005-31005] ] and/or executor resources [{own},\"name\":\"cpus\",\"scalar\":{\"value\":0.01},\"type\":\"SCALAR\"},{own},\"name\":\"mem\",\"scalar\":{\"value\":32.0},\"type\":\"SCALAR\"},{own},\"name\":\"disk\",\"scalar\":{\"value\":16.0},\"type\":\"SCALAR\"}]",
    ),
    (
        |_, tasks| tasks[0].resources = vec![revocable("cpus")],
        "Task group and executor mix revocable and non-revocable resources: Cannot use both revocable and non-revocable 'cpus' at the same time",
    ),
    (
        |_, tasks| {
            tasks[0].resources.push(persistent("id", 1.0, "r"));
            tasks[1].resources.push(persistent("id", 2.0, "r"));
        },
        "Task group and executor use duplicate persistence ID: Persistence ID 'id' is not unique",
    ),
    (
        |_, tasks| tasks[1].resources.clear(),
        "Task '{number}-two' is invalid: Task uses no resources",
    ),
    (
        |_, tasks| {
            let docker = container_info::Type::Docker as i32;
            let mut container = sharing(true);
            container.r#type = docker;
            container.docker = Some(DockerInfo {
                image: "image".into(),
                ..DockerInfo::default()
            });
            tasks[0].container = Some(container);
        },
        "Task '{number}-one' is invalid: Docker ContainerInfo is not supported on the task",
    ),
    (
        |_, tasks| tasks[0].container = Some(mesos(vec![mounted()])),
        "Task '{number}-one' is invalid: Task's `ContainerInfo` is invalid: Invalid volume: Only one of them should be set: 'host_path', 'image' and 'source'",
    ),
    (
        |_, tasks| limit(&mut tasks[0], "mem", 32.0),
        "Task '{number}-one' is invalid: Resource limits may only be set for tasks within a task group when the 'share_cgroups' field is set to 'false'.",
    ),
    (
        |_, tasks| limit(&mut tasks[0], "mem", 1.0),
        "Task '{number}-one' is invalid: The memory limit must be greater than or equal to the memory request",
    ),
    (
        |_, tasks| {
            tasks[0].resources = vec![reserved(scalar("cpus", -1.0), "r")];
        },
        "Resource 'cpus(reservations: [(DYNAMIC,r)]):-1' is invalid: Invalid scalar resource: value <= 0",
    ),
];

#[tokio::test]
async fn a_group_must_be_well_formed_and_get_along() {
    let (cluster, mut framework) = start("groups").await;
    let offer = framework.offer().await;
    let all = format!("(allocated: {})", framework.role());
    let own = format!(r#"{{"allocation_info":{{"role":"{}"}}"#, framework.role());
    let mut operations = Vec::new();
    let mut expected = Vec::new();
    for (number, (spoil, text)) in GROUPS.iter().enumerate() {
        let (mut executor, mut tasks) = (sound(&framework), members(number, &offer));
        spoil(&mut executor, &mut tasks);
        let text = text.replace("{number}", &number.to_string());
        let text = text.replace("{own}", &own);
        let text = text.replace("{all}", &all);
        expected.push((tasks.clone(), text.clone()));
        let group = TaskGroupInfo::new(tasks);
        let foreseen = group.validate_on(&executor, std::slice::from_ref(&offer));
        assert_eq!(foreseen.unwrap_err().to_string(), text, "before it is sent");
        operations.push(Operation::launch_group(executor, group));
    }
    framework.operate(&offer, operations).await;
    // What is malformed is told before anything is tried.
    let malformed = expected.pop();
    for (tasks, text) in malformed.into_iter().chain(expected) {
        for task in tasks {
            let status = framework.status(&task.task_id).await;
            assert_eq!(status.message(), text);
            assert_eq!(status.state(), TaskState::TaskError, "{text}");
            assert_eq!(status.reason(), Reason::TaskGroupInvalid, "{text}");
            assert_eq!(status.executor_id, None, "{text}");
        }
    }
    framework.teardown().await;
    cluster.shutdown().await;
}
