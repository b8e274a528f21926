//! What is left of a cluster when it has ended: nothing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesos_framework::local::{ExecutorLaunch, LocalCluster};
use mesos_framework::proto::TaskState;

use crate::cluster::local;
use crate::command_rig::{has_ended, shell};
use crate::executor_role::RUN;
use crate::framework::{Framework, PATIENCE, info, task};

/// A cluster under way: its temporary directory, and processes of it.
struct Living {
    cluster: LocalCluster,
    framework: Framework,
    directory: PathBuf,
    processes: Vec<String>,
}

/// A line of a file that may not be written yet.
async fn line_of(file: PathBuf) -> String {
    let read = async {
        loop {
            match std::fs::read_to_string(&file) {
                Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let read = tokio::time::timeout(PATIENCE, read).await;
    read.unwrap_or_else(|_| panic!("nothing in {}", file.display()))
}

impl Living {
    /// With a program as executor, whose process has a child, and the command of a task, which has one, too.
    async fn start() -> Self {
        let sandboxes = Arc::<Mutex<Vec<PathBuf>>>::default();
        let seen = Arc::clone(&sandboxes);
        let cluster = local()
            .allocation_interval(Duration::from_millis(50))
            .executor_factory(move |launch: &ExecutorLaunch| {
                seen.lock().unwrap().push(launch.sandbox().to_owned());
                None
            })
            .start()
            .await
            .unwrap();
        let address = cluster.master_address();
        let mut framework = Framework::register(&address, info("left-behind")).await;
        let children = "sleep 1000 & echo $! > child; echo $$ > own; wait";
        let offer = framework.offer().await;
        let mut program = task("program", RUN, &offer);
        program.executor.as_mut().unwrap().command = Some(shell(children));
        let mut command = task("command", "", &offer);
        command.executor = None;
        command.command = Some(shell(children));
        let command_id = command.task_id.clone();
        framework.launch(offer, vec![program, command]).await;
        framework
            .comes_to(&command_id, TaskState::TaskRunning)
            .await;

        let first = || sandboxes.lock().unwrap().first().cloned();
        let asked = async {
            while first().is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap();
        let sandbox = first().unwrap();
        let executors = sandbox.ancestors().nth(3).unwrap();
        let of_command = executors.join("command").join("runs").join("latest");
        let mut processes = Vec::new();
        for sandbox in [&sandbox, &of_command] {
            for file in ["own", "child"] {
                processes.push(line_of(sandbox.join(file)).await);
            }
        }
        let is_own = |path: &&Path| path.parent() == Some(&std::env::temp_dir());
        let directory = sandbox.ancestors().find(is_own).unwrap().to_owned();
        Self {
            cluster,
            framework,
            directory,
            processes,
        }
    }
}

async fn is_over(directory: &Path, processes: &[String]) {
    for process in processes {
        has_ended(process).await;
    }
    let gone = async {
        while directory.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let gone = tokio::time::timeout(PATIENCE, gone).await;
    gone.unwrap_or_else(|_| panic!("{} is still there", directory.display()));
}

#[tokio::test]
async fn nothing_is_left_after_a_shutdown() {
    let own = Living::start().await;
    assert!(own.directory.is_dir());
    own.cluster.shutdown().await;
    assert!(!own.directory.exists(), "{}", own.directory.display());
    is_over(&own.directory, &own.processes).await;
    own.framework.handle.abort();
}

#[tokio::test]
async fn nothing_is_left_after_a_drop() {
    let own = Living::start().await;
    drop(own.cluster);
    is_over(&own.directory, &own.processes).await;
    own.framework.handle.abort();
}

#[test]
fn nothing_is_left_after_the_end_of_the_runtime() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap()
    };
    let own = runtime();
    let Living {
        cluster,
        framework,
        directory,
        processes,
    } = own.block_on(Living::start());
    drop(own);
    drop((cluster, framework));
    runtime().block_on(is_over(&directory, &processes));
}
