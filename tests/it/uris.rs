//! URIs of executors and of commands: fetched into the sandbox before the start. (The tests' real agents have no
//! `mesos-fetcher`: they can only fail.)

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use mesos_framework::local::LocalCluster;
use mesos_framework::proto::command_info::Uri;
use mesos_framework::proto::task_status::{Reason, Source};
use mesos_framework::proto::{CommandInfo, TaskId, TaskInfo, TaskState, TaskStatus};

use crate::cluster::Cluster;
use crate::framework::{Framework, info, is_live, task};
use crate::recorder::Callback;

fn uri(value: impl Into<String>) -> Uri {
    Uri {
        value: value.into(),
        ..Uri::default()
    }
}

/// A cluster of the test's own, with its files.
struct Rig {
    cluster: LocalCluster,
    framework: Framework,
    directory: PathBuf,
}

impl Rig {
    async fn start(test: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("uris-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(directory.join("source")).unwrap();
        let cluster = crate::cluster::local()
            .allocation_interval(Duration::from_millis(50))
            .work_directory(directory.join("work"));
        let cluster = cluster.start().await.unwrap();
        let framework = Framework::register(&cluster.master_address(), info(test)).await;
        Self {
            cluster,
            framework,
            directory,
        }
    }

    fn source(&self, name: &str) -> PathBuf {
        self.directory.join("source").join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.source(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The end of a task with this command and these URIs.
    async fn run(&mut self, command: &str, uris: Vec<Uri>) -> TaskStatus {
        let offer = self.framework.offer().await;
        let command = CommandInfo {
            value: Some(command.into()),
            uris,
            ..CommandInfo::default()
        };
        let task = TaskInfo {
            executor: None,
            command: Some(command),
            ..task("fetches", "", &offer)
        };
        let id = task.task_id.clone();
        self.framework.launch(offer, vec![task]).await;
        end_of(&mut self.framework, &id).await
    }

    async fn end(self) {
        self.framework.teardown().await;
        self.cluster.shutdown().await;
        std::fs::remove_dir_all(self.directory).unwrap();
    }
}

async fn end_of(framework: &mut Framework, task_id: &TaskId) -> TaskStatus {
    loop {
        let status = framework.status(task_id).await;
        if !is_live(status.state()) {
            return status;
        }
    }
}

fn packed(folder: &Path, program: &str, arguments: &[&str]) {
    let mut command = Command::new(program);
    let status = command.current_dir(folder).args(arguments).status();
    assert!(status.unwrap().success(), "{program}");
}

#[tokio::test]
async fn an_executor_whose_uris_cannot_be_fetched_is_not_launched() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("uris-fail")).await;
    let offer = framework.offer().await;
    let mut task = task("unfetched", "", &offer);
    let command = task.executor.as_mut().unwrap().command.as_mut().unwrap();
    command.uris.push(uri("/no/such/file"));
    let id = task.task_id.clone();
    framework.launch(offer, vec![task]).await;
    let (exit, status) = both_ends(&mut framework, &id).await;
    assert_eq!(status.state(), TaskState::TaskFailed);
    assert_eq!(status.reason(), Reason::ContainerLaunchFailed);
    assert_eq!(status.source(), Source::Agent);
    let begins = "Failed to launch container: ";
    assert!(status.message().starts_with(begins), "{status:?}");
    assert_eq!(exit, Some(9));
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_uri_without_a_path_fails_the_launch() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("uris-malformed")).await;
    let offer = framework.offer().await;
    let mut task = task("malformed", "", &offer);
    let command = task.executor.as_mut().unwrap().command.as_mut().unwrap();
    command.uris.push(uri("http://nowhere"));
    let id = task.task_id.clone();
    framework.launch(offer, vec![task]).await;
    let (_, status) = both_ends(&mut framework, &id).await;
    assert_eq!(status.reason(), Reason::ContainerLaunchFailed);
    assert_eq!(
        status.message(),
        "Failed to launch container: Could not fetch: Malformed URI (missing path): http://nowhere"
    );
    framework.teardown().await;
    cluster.shutdown().await;
}

/// The wait status of the executor, and the last status of the task.
async fn both_ends(framework: &mut Framework, task_id: &TaskId) -> (Option<i32>, TaskStatus) {
    let (mut exit, mut last) = (None, None);
    let seen = |callback: &Callback| {
        match callback {
            Callback::ExecutorLost(_, _, status) => exit = Some(*status),
            Callback::Status(status) if status.task_id == *task_id => last = Some(status.clone()),
            _ => {}
        }
        Some((exit?, last.clone()?))
    };
    framework.until("the end of executor and task", seen).await
}

#[tokio::test]
async fn files_are_copied_renamed_and_made_executable() {
    let mut rig = Rig::start("uris-files").await;
    let plain = rig.write("plain", "text");
    let script = rig.write("script", "#!/bin/sh\nexit 7\n");
    let uris = vec![
        uri(plain.clone()),
        uri(format!("  file://{plain}")),
        Uri {
            output_file: Some("deep/er/renamed".into()),
            ..uri(format!("file://{plain}"))
        },
        Uri {
            executable: Some(true),
            ..uri(script)
        },
    ];
    let command = "test $(cat plain) = text && test $(cat deep/er/renamed) = text && exec ./script";
    let status = rig.run(command, uris).await;
    assert_eq!(status.message(), "Command exited with status 7");
    rig.end().await;
}

#[tokio::test]
async fn archives_are_unpacked_unless_told_otherwise() {
    let mut rig = Rig::start("uris-archives").await;
    let sources = rig.directory.join("source");
    for name in ["a", "b", "c", "d"] {
        rig.write(name, name);
    }
    packed(&sources, "tar", &["-czf", "a.tar.gz", "a"]);
    packed(&sources, "tar", &["-cf", "b.tar", "b"]);
    packed(&sources, "tar", &["-czf", "c.tgz", "c"]);
    packed(&sources, "gzip", &["-k", "d"]);
    let mut uris: Vec<Uri> = ["a.tar.gz", "b.tar", "d.gz"]
        .map(|name| uri(rig.source(name).display().to_string()))
        .into();
    uris.push(Uri {
        extract: Some(false),
        ..uri(rig.source("c.tgz").display().to_string())
    });
    let command = "test $(cat a b d | tr -d '\\n') = abd && test -f c.tgz && test ! -e c";
    let status = rig.run(command, uris).await;
    assert_eq!(status.state(), TaskState::TaskFinished, "{status:?}");
    rig.end().await;
}

#[tokio::test]
async fn what_went_wrong_is_told_in_the_sandbox() {
    let mut rig = Rig::start("uris-wrong").await;
    let missing = rig.source("missing").display().to_string();
    let broken = rig.write("broken.tar.gz", "no archive");
    let network = format!("http://{}/no/such/page", rig.cluster.master_address());
    let wrong = [
        (missing, "Failed to copy"),
        (broken, "Failed to extract archive"),
        (network, "received HTTP return code 404"),
        (
            "hdfs://host/file".to_owned(),
            "Failed to create HDFS client",
        ),
        (
            "no/such/home".to_owned(),
            "Mesos framework home was not specified",
        ),
    ];
    for (value, expected) in wrong {
        let status = rig.run("true", vec![uri(value.clone())]).await;
        assert_eq!(status.state(), TaskState::TaskFailed);
        assert_eq!(status.reason(), Reason::ContainerLaunchFailed);
        let message = status.message();
        let begins = "Failed to launch container: Failed to fetch all URIs for container '";
        assert!(message.starts_with(begins), "{message}");
        assert!(message.ends_with("' with exit status: 256"), "{message}");
        let container = status.message()[begins.len()..].split('\'').next().unwrap();
        let sandbox = rig
            .directory
            .join("work/agents/0/work/slaves")
            .join(&rig.cluster.state().agents[0].id.as_ref().unwrap().value)
            .join("frameworks")
            .join(&rig.framework.id.value)
            .join("executors/fetches/runs")
            .join(container);
        let stderr = std::fs::read_to_string(sandbox.join("stderr")).unwrap();
        assert!(
            stderr.contains(&format!("Failed to fetch '{value}'")),
            "{stderr}"
        );
        assert!(stderr.contains(expected), "{stderr}");
    }
    rig.end().await;
}

#[tokio::test]
async fn web_pages_are_downloaded() {
    let mut rig = Rig::start("uris-http").await;
    let page = format!("http://{}/state", rig.cluster.master_address());
    let status = rig.run("grep -q 1.11.0 state", vec![uri(page)]).await;
    assert_eq!(status.state(), TaskState::TaskFinished, "{status:?}");
    rig.end().await;
}
