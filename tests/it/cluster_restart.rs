//! What is left of tasks, updates and operations when everything goes down: an embedded cluster's work directory, and the
//! disks of real masters and agents.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mesos_framework::SchedulerDriverBuilder;
use mesos_framework::local::LocalCluster;
use mesos_framework::proto::task_status::Reason;
use mesos_framework::proto::{CommandInfo, FrameworkInfo, TaskId, TaskInfo, TaskState};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::agents::{agents_word, checkpointing};
use crate::cluster::{Agents, Needs, OwnCluster};
use crate::executor_role::{FINISH, REREGISTERED, RUN, finish};
use crate::framework::{Framework, PATIENCE, info, scalar, task};
use crate::http::{get, request};
use crate::recorder::Callback;
use crate::reservations::{reserve, reserved};
use crate::work_directory::Directory;

/// How long agents wait for executors that come back.
const EXECUTORS_LIMIT: Duration = Duration::from_secs(5);

const ENDED: (TaskState, Reason, &str) = (
    TaskState::TaskFailed,
    Reason::ExecutorTerminated,
    "Executor terminated",
);

async fn start(directory: &Directory) -> LocalCluster {
    let cluster = directory.cluster().agents(1);
    let cluster = cluster.executor_reregistration_timeout(EXECUTORS_LIMIT);
    cluster.start().await.unwrap()
}

fn explicit(builder: SchedulerDriverBuilder) -> SchedulerDriverBuilder {
    builder.explicit_acknowledgements()
}

/// The framework's driver ends, and its tasks live on.
async fn left(mut framework: Framework) -> FrameworkInfo {
    framework.handle.stop_for_failover();
    framework.driver.join().await.unwrap();
    FrameworkInfo {
        id: Some(framework.id),
        ..framework.info
    }
}

/// Has the task finish, which its executor does when told.
async fn finishes(framework: &mut Framework, task: &TaskInfo) {
    let executor_id = task.executor.clone().unwrap().executor_id;
    let (agent_id, message) = (task.agent_id.clone(), finish(&task.task_id));
    let sent = framework
        .handle
        .send_framework_message(executor_id, agent_id, message);
    sent.await.unwrap();
    let finished = TaskState::TaskFinished;
    framework.comes_to(&task.task_id, finished).await;
}

#[tokio::test]
async fn tasks_that_ended_with_their_cluster_have_failed() {
    let directory = Directory::new();
    let first = start(&directory).await;
    let mut framework = Framework::register(&first.master_address(), checkpointing("ended")).await;
    let task = framework.run("ended", RUN).await;
    let command = framework.run_command("command", "exec sleep 1000").await;
    let same = left(framework).await;
    first.shutdown().await;

    let second = start(&directory).await;
    // The master has heard of the framework from the agent.
    let state = second.state();
    let known = state.framework(same.id.as_ref().unwrap()).unwrap();
    assert!(!known.is_connected && known.name == same.name, "{known:?}");
    let mut framework = Framework::register(&second.master_address(), same).await;
    let mut ended = vec![framework.ended().await, framework.ended().await];
    ended.sort();
    assert_eq!(ended, [command.task_id, task.task_id]);
    let next = framework.run("next", FINISH).await;
    let finished = TaskState::TaskFinished;
    framework.comes_to(&next.task_id, finished).await;
    framework.teardown().await;
    second.shutdown().await;
    // Of what is done, nothing is left.
    let third = start(&directory).await;
    assert!(third.state().frameworks.is_empty());
    third.shutdown().await;
}

impl Framework {
    /// The next task of which its agent says that its executor has ended.
    async fn ended(&mut self) -> TaskId {
        let status = self.until("an end", |callback| match callback {
            Callback::Status(status) if status.state() == ENDED.0 => Some(status.clone()),
            _ => None,
        });
        let status = status.await;
        assert_eq!(agents_word(&status), ENDED);
        status.task_id
    }

    /// Runs a task that is only a command, until it runs.
    async fn run_command(&mut self, id: &str, value: &str) -> TaskInfo {
        let offer = self.offer().await;
        let task = TaskInfo {
            executor: None,
            data: None,
            command: Some(CommandInfo {
                value: Some(value.to_owned()),
                ..CommandInfo::default()
            }),
            ..task(id, "", &offer)
        };
        self.launch(offer, vec![task.clone()]).await;
        self.comes_to(&task.task_id, TaskState::TaskRunning).await;
        task
    }
}

#[tokio::test]
async fn updates_that_are_not_acknowledged_outlive_their_cluster() {
    let directory = Directory::new();
    let first = start(&directory).await;
    let address = first.master_address();
    let info = checkpointing("updates");
    let mut framework = Framework::register_with(&address, info, explicit).await;
    let offer = framework.offer().await;
    let task = task("updated", FINISH, &offer);
    framework.launch(offer, vec![task.clone()]).await;
    let starting = framework.status(&task.task_id).await;
    assert_eq!(starting.state(), TaskState::TaskStarting);
    let agent = first.agent_addresses().remove(0);
    let has_all = async {
        while !has_finished(&get(&agent, "/slave(1)/state").await.json()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, has_all).await.unwrap();
    let same = left(framework).await;
    first.shutdown().await;

    let second = start(&directory).await;
    let mut framework = Framework::register_with(&second.master_address(), same, explicit).await;
    let mut status = framework.status(&task.task_id).await;
    assert_eq!(
        (&status.uuid, status.timestamp),
        (&starting.uuid, starting.timestamp)
    );
    for state in [TaskState::TaskRunning, TaskState::TaskFinished] {
        framework.acknowledge(&status).await;
        let before = status.uuid;
        status = loop {
            let next = framework.status(&task.task_id).await;
            if next.uuid != before {
                break next;
            }
        };
        assert_eq!(status.state(), state);
    }
    framework.acknowledge(&status).await;
    framework.teardown().await;
    second.shutdown().await;
}

#[tokio::test]
async fn whatever_is_told_has_been_written_down() {
    let directory = Directory::new();
    let cluster = start(&directory).await;
    let address = cluster.master_address();
    let info = checkpointing("told");
    let mut framework = Framework::register_with(&address, info, explicit).await;
    let file = |path: &str| std::fs::read_to_string(directory.0.join(path)).unwrap();
    for number in 0..5 {
        let offer = framework.offer().await;
        let task = task(&format!("told-{number}"), FINISH, &offer);
        framework.launch(offer, vec![task.clone()]).await;
        loop {
            let status = framework.status(&task.task_id).await;
            let kept = file("agents/0/work/meta/agent.json");
            let uuid = STANDARD.encode(status.uuid.as_ref().unwrap());
            assert!(kept.contains(&uuid), "{status:?}: {kept}");
            framework.acknowledge(&status).await;
            if status.state() == TaskState::TaskFinished {
                break;
            }
        }
        // What operators set, too.
        let role = format!("role-{number}");
        let weights = json!({ "weight_infos": [{ "role": role, "weight": 2.5 }] });
        let call = json!({ "type": "UPDATE_WEIGHTS", "update_weights": weights });
        let headers = [("Content-Type", "application/json")];
        let body = call.to_string();
        let answer = request(&address, "POST", "/api/v1", &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 200);
        assert!(file("master/registry.json").contains(&role), "{role}");
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

/// Whether the agent has all updates of its task.
fn has_finished(agent: &serde_json::Value) -> bool {
    let executor = &agent["frameworks"][0]["executors"][0];
    executor["tasks"][0]["state"] == "TASK_FINISHED"
}

#[tokio::test]
async fn statuses_of_operations_outlive_their_cluster() {
    let directory = Directory::new();
    let first = start(&directory).await;
    let address = first.master_address();
    let mut framework = Framework::register_with(&address, info("operated"), explicit).await;
    let offer = framework.offer().await;
    let own = vec![reserved(scalar("cpus", 1.0), &framework.role())];
    framework.operate(&offer, vec![reserve("kept", own)]).await;
    let told = framework.operation_status().await;
    let same = left(framework).await;
    first.shutdown().await;

    let second = start(&directory).await;
    let mut framework = Framework::register_with(&second.master_address(), same, explicit).await;
    let again = framework.operation_status().await;
    assert_eq!(again, told);
    framework
        .handle
        .acknowledge_operation_status(&again)
        .await
        .unwrap();
    framework.teardown().await;
    second.shutdown().await;
}

/// Names the directory of a cluster that is to run in a process of its own.
const DIRECTORY: &str = "MESOS_FRAMEWORK_KEPT";

/// A cluster that a test can kill, and its master's address.
async fn start_process(directory: &Path) -> (Child, String) {
    let test = concat!(module_path!(), "::runs_as_cluster");
    let (_crate, test) = test.split_once("::").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(DIRECTORY, directory)
        .env_remove(crate::conformance::FILE)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    loop {
        let line = lines.next_line().await.unwrap().expect("it runs");
        if line.starts_with("127.0.0.1:") {
            return (child, line);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_as_cluster() {
    let Some(folder) = std::env::var_os(DIRECTORY) else {
        return;
    };
    // Its owner removes it.
    let directory = std::mem::ManuallyDrop::new(Directory(folder.into()));
    let cluster = start(&directory).await;
    println!("\n{}", cluster.master_address());
    std::future::pending::<()>().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn executors_go_on_under_the_next_cluster_when_theirs_was_killed() {
    crate::conformance::note(crate::conformance::Kind::Embedded);
    let directory = Directory::new();
    let (mut first, address) = start_process(&directory.0).await;
    let mut framework = Framework::register(&address, checkpointing("goes-on")).await;
    let task = framework.run("goes-on", RUN).await;
    let away = framework.run("killed-meanwhile", RUN).await;
    let command = "echo $$ > pid; exec sleep 1000";
    let command = framework.run_command("orphan", command).await;
    let same = left(framework).await;
    let kept = std::fs::read_to_string(directory.0.join("agents/0/work/meta/agent.json"));
    let kept: serde_json::Value = serde_json::from_str(&kept.unwrap()).unwrap();
    first.kill().await.unwrap();
    let executors = kept["frameworks"][0]["executors"].as_array().unwrap();
    assert_eq!(executors.len(), 3, "{kept}");
    let of = |id: &str| {
        let name = format!("executor of {id}");
        let mut own = executors.iter();
        let own = own.find(|own| own["info"]["executor_id"]["value"] == name);
        i32::try_from(own.unwrap()["process"].as_i64().unwrap()).unwrap()
    };
    kill(of("killed-meanwhile"));
    let orphan = orphan(&directory.0.join("agents/0/work")).expect("it wrote its id");
    assert!(is_running(orphan));

    let second = start(&directory).await;
    assert!(!is_running(orphan));
    let mut framework = Framework::register(&second.master_address(), same).await;
    let mut ended = Vec::new();
    let mut has_returned = false;
    while ended.len() < 2 || !has_returned {
        let status = framework.until("a status", |callback| match callback {
            Callback::Status(status) => Some(status.clone()),
            _ => None,
        });
        let status = status.await;
        if status.task_id == task.task_id {
            assert_eq!(status.state(), TaskState::TaskRunning, "{status:?}");
            has_returned |= status.message() == REREGISTERED;
        } else if status.reason() != Reason::Reconciliation && status.state() == ENDED.0 {
            assert_eq!(agents_word(&status), ENDED);
            ended.push(status.task_id);
        }
    }
    ended.sort();
    assert_eq!(ended, [away.task_id, command.task_id]);
    finishes(&mut framework, &task).await;
    framework.teardown().await;
    // A clean end ends it too.
    second.shutdown().await;
    let executor = of("goes-on");
    assert!(!is_running(executor));
}

/// What the command has written into its sandbox.
#[cfg(target_os = "linux")]
fn orphan(folder: &Path) -> Option<i32> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() == "pid" {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                return Some(text.trim().parse().unwrap());
            }
        }
    }
    None
}

#[cfg(target_os = "linux")]
fn kill(id: i32) {
    use nix::sys::signal::{Signal, kill};
    kill(nix::unistd::Pid::from_raw(id), Signal::SIGKILL).unwrap();
}

/// Whether it runs: one that has ended and is not reaped has no environment.
#[cfg(target_os = "linux")]
fn is_running(id: i32) -> bool {
    std::fs::read(format!("/proc/{id}/environ")).is_ok_and(|own| !own.is_empty())
}

#[tokio::test]
async fn executors_go_on_when_master_and_agent_die_together() {
    let needs = Needs {
        agents: Agents::Mortal,
        executor_reregistration: EXECUTORS_LIMIT,
        ..Needs::default()
    };
    let mut cluster = OwnCluster::start(needs).await.unwrap();
    let mut framework = Framework::register(&cluster.address(), checkpointing("both")).await;
    let task = framework.run("both", RUN).await;
    let ended = framework
        .run("ended", crate::executor_role::RUN_WITH_AGENT)
        .await;
    cluster.kill_master();
    cluster.kill_agent(0);
    cluster.restart_master().await;
    cluster.start_agent(0).await;
    let status = framework.comes_to(&ended.task_id, ENDED.0);
    let status = status.await;
    assert_eq!(agents_word(&status), ENDED);
    finishes(&mut framework, &task).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_new_master_takes_a_framework_that_was_torn_down_before() {
    let mut cluster = OwnCluster::with(Agents::Mortal).await;
    let framework = Framework::register(&cluster.address(), info("torn-down")).await;
    let same = FrameworkInfo {
        id: Some(framework.id.clone()),
        ..framework.info.clone()
    };
    framework.teardown().await;
    let refused = Framework::subscribe(&cluster.address(), same.clone(), |own| own).await;
    let refused = refused.err().expect("it was torn down");
    assert!(
        refused.to_string().contains("Framework has been removed"),
        "{refused}"
    );
    // What is completed is in a master's memory only.
    cluster.kill_master();
    cluster.restart_master().await;
    let again = Framework::register(&cluster.address(), same.clone()).await;
    assert_eq!(Some(&again.id), same.id.as_ref());
    again.teardown().await;
    cluster.shutdown().await;
}
