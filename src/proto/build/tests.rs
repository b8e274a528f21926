use std::time::Duration;

use super::super::container_info::docker_info::Network;
use super::super::offer::{Operation, operation};
use super::super::resource::disk_info::source;
use super::super::{
    CheckInfo, CommandInfo, ContainerInfo, DurationInfo, ExecutorInfo, FrameworkInfo, HealthCheck,
    Image, KillPolicy, NetworkInfo, Resource, Secret, TaskGroupInfo, TaskInfo, Volume,
};

#[test]
fn durations_are_cut_to_what_mesos_can_say() {
    assert_eq!(DurationInfo::new(Duration::MAX).nanoseconds, i64::MAX);
    let second: DurationInfo = Duration::from_secs(1).into();
    assert_eq!(second.nanoseconds, 1_000_000_000);
}

#[test]
fn the_first_argument_is_the_program() {
    let command = CommandInfo::argv(["ls", "-l"]);
    assert_eq!(command.value.as_deref(), Some("ls"));
    assert_eq!(command.arguments, ["ls", "-l"]);
    assert!(!command.shell());
    assert_eq!(CommandInfo::argv(Vec::<String>::new()).value, None);
}

/// In the JSON that Mesos reads: types and parts belong together.
#[cfg(feature = "json")]
mod in_json {
    use serde_json::{Value, json};

    use super::*;

    fn shown(message: &impl serde::Serialize) -> Value {
        serde_json::to_value(message).unwrap()
    }

    #[test]
    fn resources_and_commands_are_what_mesos_expects() {
        let disk = Resource::scalar("disk", 64.0).reserved("db", Some("me"));
        assert_eq!(
            shown(&disk.clone().persistent("id", "data", Some("me")).shared()),
            json!({
                "name": "disk", "type": "SCALAR", "scalar": { "value": 64.0 },
                "reservations": [{ "type": "DYNAMIC", "role": "db", "principal": "me" }],
                "disk": {
                    "persistence": { "id": "id", "principal": "me" },
                    "volume": { "mode": "RW", "container_path": "data" },
                },
                "shared": {},
            })
        );
        assert_eq!(
            shown(&Resource::set("zones", ["a", "b"])),
            json!({ "name": "zones", "type": "SET", "set": { "item": ["a", "b"] } })
        );
        let command = CommandInfo::in_shell("x")
            .env("A", "1")
            .secret_env("B", Secret::reference("store", Some("key")))
            .run_as("nobody");
        assert_eq!(
            shown(&command),
            json!({
                "shell": true, "value": "x", "user": "nobody",
                "environment": { "variables": [
                    { "name": "A", "type": "VALUE", "value": "1" },
                    { "name": "B", "type": "SECRET",
                      "secret": { "type": "REFERENCE", "reference": { "name": "store", "key": "key" } } },
                ] },
            })
        );
    }

    #[test]
    fn containers_are_what_mesos_expects() {
        let container = ContainerInfo::docker("image")
            .docker_network(Network::User)
            .network(NetworkInfo::named("net"))
            .port_mapping(31000, 80, "tcp")
            .force_pull_image();
        assert_eq!(
            shown(&container),
            json!({
                "type": "DOCKER", "network_infos": [{ "name": "net" }],
                "docker": {
                    "image": "image", "network": "USER", "force_pull_image": true,
                    "port_mappings": [{ "host_port": 31000, "container_port": 80, "protocol": "tcp" }],
                },
            })
        );
        let container = ContainerInfo::mesos()
            .docker_image("image")
            .share_cgroups(false)
            .network(NetworkInfo::named("net").port_mapping(31000, 80, "udp"));
        assert_eq!(
            shown(&container),
            json!({
                "type": "MESOS",
                "mesos": { "image": { "type": "DOCKER", "docker": { "name": "image" } } },
                "linux_info": { "share_cgroups": false },
                "network_infos": [{
                    "name": "net",
                    "port_mappings": [{ "host_port": 31000, "container_port": 80, "protocol": "udp" }],
                }],
            })
        );
    }

    #[test]
    fn volumes_are_what_mesos_expects() {
        let volumes = [
            (
                Volume::of_host("/a", "/b").read_only(),
                json!({ "mode": "RO", "container_path": "/b", "host_path": "/a" }),
            ),
            (
                Volume::of_sandbox("a", "/b"),
                json!({ "mode": "RW", "container_path": "/b", "source": {
                "type": "SANDBOX_PATH", "sandbox_path": { "type": "SELF", "path": "a" } } }),
            ),
            (
                Volume::of_executor_sandbox("a", "b"),
                json!({ "mode": "RW", "container_path": "b", "source": {
                "type": "SANDBOX_PATH", "sandbox_path": { "type": "PARENT", "path": "a" } } }),
            ),
            (
                Volume::of_docker("rexray", "a", "/b"),
                json!({ "mode": "RW", "container_path": "/b", "source": {
                "type": "DOCKER_VOLUME", "docker_volume": { "driver": "rexray", "name": "a" } } }),
            ),
            (
                Volume::of_secret(Secret::value("s"), "b"),
                json!({ "mode": "RO", "container_path": "b", "source": {
                "type": "SECRET", "secret": { "type": "VALUE", "value": { "data": "cw==" } } } }),
            ),
            (
                Volume::of_image(Image::appc("a"), "/b"),
                json!({ "mode": "RW", "container_path": "/b",
                    "image": { "type": "APPC", "appc": { "name": "a" } } }),
            ),
        ];
        for (volume, expected) in volumes {
            assert_eq!(shown(&volume), expected);
        }
    }

    #[test]
    fn checks_are_what_mesos_expects() {
        let check = HealthCheck::http(80, "/ok")
            .delay(Duration::from_secs(1))
            .interval(Duration::from_secs(2))
            .timeout(Duration::from_secs(3))
            .grace_period(Duration::from_secs(4))
            .kill_after(5);
        assert_eq!(
            shown(&check),
            json!({
                "type": "HTTP", "http": { "port": 80, "path": "/ok" }, "delay_seconds": 1.0,
                "interval_seconds": 2.0, "timeout_seconds": 3.0, "grace_period_seconds": 4.0,
                "consecutive_failures": 5,
            })
        );
        assert_eq!(
            shown(&HealthCheck::command(CommandInfo::in_shell("x"))),
            json!({ "type": "COMMAND", "command": { "shell": true, "value": "x" } })
        );
        assert_eq!(
            shown(&HealthCheck::tcp(1)),
            json!({ "type": "TCP", "tcp": { "port": 1 } })
        );
        assert_eq!(
            shown(&CheckInfo::command(CommandInfo::in_shell("x")).delay(Duration::ZERO)),
            json!({ "type": "COMMAND", "command": { "command": { "shell": true, "value": "x" } },
                "delay_seconds": 0.0 })
        );
        assert_eq!(
            shown(&CheckInfo::http(80, "/").interval(Duration::from_secs(1))),
            json!({ "type": "HTTP", "http": { "port": 80, "path": "/" }, "interval_seconds": 1.0 })
        );
        assert_eq!(
            shown(&CheckInfo::tcp(80).timeout(Duration::from_secs(1))),
            json!({ "type": "TCP", "tcp": { "port": 80 }, "timeout_seconds": 1.0 })
        );
    }

    #[test]
    fn executors_tasks_and_frameworks_are_what_mesos_expects() {
        let executor = ExecutorInfo::of_mesos("e", "f", [Resource::scalar("cpus", 0.1)])
            .container(ContainerInfo::mesos())
            .payload("x")
            .label("a", "b")
            .shutdown_grace_period(Duration::from_secs(1));
        assert_eq!(
            shown(&executor),
            json!({
                "type": "DEFAULT", "executor_id": { "value": "e" }, "framework_id": { "value": "f" },
                "resources": [{ "name": "cpus", "type": "SCALAR", "scalar": { "value": 0.1 } }],
                "container": { "type": "MESOS", "mesos": {} }, "data": "eA==",
                "labels": { "labels": [{ "key": "a", "value": "b" }] },
                "shutdown_grace_period": { "nanoseconds": 1_000_000_000 },
            })
        );
        let task = TaskInfo::new("t", "a", [])
            .name("n")
            .executor(ExecutorInfo::custom("e", CommandInfo::argv(["x"]), []).framework_id("f"))
            .check(CheckInfo::tcp(1))
            .kill_policy(KillPolicy::grace_period(Duration::from_secs(1)))
            .payload("x")
            .limit("mem", f64::INFINITY)
            .max_completion_time(Duration::from_secs(1));
        let second = json!({ "nanoseconds": 1_000_000_000 });
        assert_eq!(
            shown(&task),
            json!({
                "name": "n", "task_id": { "value": "t" }, "agent_id": { "value": "a" },
                "executor": {
                    "type": "CUSTOM", "executor_id": { "value": "e" }, "framework_id": { "value": "f" },
                    "command": { "shell": false, "value": "x", "arguments": ["x"] },
                },
                "check": { "type": "TCP", "tcp": { "port": 1 } },
                "kill_policy": { "grace_period": second },
                "data": "eA==", "limits": { "mem": { "value": "Infinity" } },
                "max_completion_time": second,
            })
        );
        let info = FrameworkInfo::new("f", ["a"])
            .failover(Duration::from_secs(1))
            .checkpointing();
        assert_eq!(
            shown(&info),
            json!({
                "user": "", "name": "f", "roles": ["a"], "failover_timeout": 1.0, "checkpoint": true,
                "capabilities": [
                    { "type": "MULTI_ROLE" }, { "type": "RESERVATION_REFINEMENT" }, { "type": "PARTITION_AWARE" },
                ],
            })
        );
    }
}

#[test]
fn operations_carry_what_belongs_to_their_type() {
    let resource = || Resource::scalar("disk", 1.0);
    let group = TaskGroupInfo::new([TaskInfo::new("t", "a", [])]);
    let all = [
        Operation::launch([TaskInfo::new("t", "a", [])]),
        Operation::launch_group(ExecutorInfo::of_mesos("e", "f", []), group),
        Operation::reserve([resource()]),
        Operation::unreserve([resource()]),
        Operation::create([resource()]),
        Operation::destroy([resource()]),
        Operation::grow_volume(resource(), resource()),
        Operation::shrink_volume(resource(), 1.0),
        Operation::create_disk(resource(), source::Type::Mount, Some("fast")),
        Operation::destroy_disk(resource()),
    ];
    for operation in all {
        let parts = [
            (operation.launch.is_some(), operation::Type::Launch),
            (
                operation.launch_group.is_some(),
                operation::Type::LaunchGroup,
            ),
            (operation.reserve.is_some(), operation::Type::Reserve),
            (operation.unreserve.is_some(), operation::Type::Unreserve),
            (operation.create.is_some(), operation::Type::Create),
            (operation.destroy.is_some(), operation::Type::Destroy),
            (operation.grow_volume.is_some(), operation::Type::GrowVolume),
            (
                operation.shrink_volume.is_some(),
                operation::Type::ShrinkVolume,
            ),
            (operation.create_disk.is_some(), operation::Type::CreateDisk),
            (
                operation.destroy_disk.is_some(),
                operation::Type::DestroyDisk,
            ),
        ];
        for (is_there, kind) in parts {
            assert_eq!(is_there, operation.r#type() == kind, "{operation:?}");
        }
        assert_eq!(operation.id, None);
        assert_eq!(operation.id("1").id, Some("1".into()));
    }
}
