//! A cluster of the test's own whose agents run commands under the built-in executors, with sandboxes to look into.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mesos_framework::local::{LocalCluster, LocalClusterBuilder};
use mesos_framework::proto::framework_info::{Capability, capability};
use mesos_framework::proto::scheduler::{Call, call};
use mesos_framework::proto::task_status::Source;
use mesos_framework::proto::{
    AgentId, CommandInfo, DurationInfo, ExecutorId, FrameworkInfo, KillPolicy, TaskId, TaskInfo,
    TaskState, TaskStatus,
};

use serde_json::{Value, json};

use crate::cluster::{self, Agents, Needs};
use crate::conformance::{self, Kind};
use crate::framework::{Framework, info, is_live, task};
use crate::http::{get, request};
use crate::kit::Kit;
use crate::peer::within;
use crate::recorder::Callback;

/// Where the agent is.
pub enum Host {
    Real(Box<Kit>),
    Embedded(Box<LocalCluster>),
}

impl Host {
    pub async fn shutdown(self) {
        match self {
            Self::Real(kit) => drop(kit),
            Self::Embedded(cluster) => cluster.shutdown().await,
        }
    }
}

/// The cluster, its directory, and a framework.
pub struct Rig {
    pub host: Host,
    pub framework: Framework,
    pub directory: PathBuf,
}

impl Rig {
    pub async fn start(test: &str) -> Self {
        Self::with(info(test)).await
    }

    pub async fn with(info: FrameworkInfo) -> Self {
        let Some(kit) = std::env::var_os("MESOS_KIT") else {
            return Self::embedded(info, |cluster| cluster).await;
        };
        conformance::note(Kind::RealAgent);
        let needs = Needs {
            agents: Agents::One,
            built_in_executors: true,
            ..Needs::default()
        };
        let kit = Kit::start(kit.into(), needs).await;
        let framework = Framework::register(&kit.address(), info).await;
        Self {
            directory: kit.directory().to_owned(),
            host: Host::Real(Box::new(kit)),
            framework,
        }
    }

    /// For what real agents do not do, or do not let one see.
    pub async fn embedded(
        info: FrameworkInfo,
        settings: impl FnOnce(LocalClusterBuilder) -> LocalClusterBuilder,
    ) -> Self {
        let directory = std::env::temp_dir().join(format!("command-{}", uuid::Uuid::new_v4()));
        let cluster = cluster::local()
            .allocation_interval(Duration::from_millis(50))
            .resources("cpus:4;mem:4096;disk:4096;ports:[31000-31999]")
            .work_directory(directory.clone());
        let cluster = settings(cluster).start().await.unwrap();
        let framework = Framework::register(&cluster.master_address(), info).await;
        Self {
            host: Host::Embedded(Box::new(cluster)),
            framework,
            directory,
        }
    }

    /// Of what a real agent does itself, whosever executor it runs.
    pub fn is_about_the_agent(&self) {
        if matches!(self.host, Host::Real(_)) {
            conformance::note(Kind::Real);
        }
    }

    pub async fn launch(&mut self, command: CommandInfo) -> TaskId {
        self.launch_with(command, |task| task).await
    }

    pub async fn launch_with(
        &mut self,
        command: CommandInfo,
        change: impl FnOnce(TaskInfo) -> TaskInfo,
    ) -> TaskId {
        let offer = self.framework.offer().await;
        let task = change(TaskInfo {
            executor: None,
            command: Some(command),
            ..task("command", "", &offer)
        });
        let id = task.task_id.clone();
        self.framework.launch(offer, vec![task]).await;
        id
    }

    /// All statuses of a task, the last one terminal. Nobody tells of the executor's end.
    pub async fn until_its_end(&mut self, task_id: &TaskId) -> Vec<TaskStatus> {
        let mut statuses = Vec::new();
        let ended = |callback: &Callback| {
            match callback {
                Callback::Status(status) if status.task_id == *task_id => {
                    assert_eq!(status.source(), Source::Executor, "{status:?}");
                    assert_eq!(status.executor_id, Some(task_id.value.as_str().into()));
                    statuses.push(status.clone());
                }
                Callback::ExecutorLost(..) => panic!("{callback:?}"),
                _ => {}
            }
            let last = statuses.last()?;
            (!is_live(last.state())).then_some(())
        };
        self.framework.until("the end of the task", ended).await;
        statuses
    }

    pub async fn kill(&self, task_id: &TaskId) {
        let task_id = task_id.clone();
        self.framework
            .handle
            .kill_task(task_id, None)
            .await
            .unwrap();
    }

    pub async fn kill_within(&self, task_id: &TaskId, seconds: i64) {
        let mut call = Call::default();
        call.r#type = Some(call::Type::Kill as i32);
        call.kill = Some(call::Kill {
            task_id: task_id.clone(),
            agent_id: None,
            kill_policy: Some(policy(seconds)),
        });
        self.framework.handle.call(call).await.unwrap();
    }

    pub async fn shut_down(&self, executor_id: ExecutorId, agent_id: AgentId) {
        self.framework
            .handle
            .shutdown_executor(executor_id, agent_id)
            .await
            .unwrap();
    }

    /// Waits until a task has written a line into the file in its sandbox.
    pub async fn line_of(&self, file: &str) -> String {
        let read = async {
            loop {
                let found = find(&self.directory, file).map(std::fs::read_to_string);
                if let Some(Ok(text)) = found
                    && text.ends_with('\n')
                {
                    return text.trim_end().to_owned();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        within(file, read).await
    }

    pub fn text_of(&self, file: &str) -> String {
        std::fs::read_to_string(self.path_of(file)).unwrap()
    }

    pub fn path_of(&self, file: &str) -> PathBuf {
        find(&self.directory, file).unwrap_or_else(|| panic!("there is no {file}"))
    }

    /// Of the only agent: `slave(1)@127.0.0.1:5051`.
    pub async fn agent_pid(&self) -> String {
        let address = match &self.host {
            Host::Real(kit) => kit.address(),
            Host::Embedded(cluster) => cluster.master_address(),
        };
        let agents = get(&address, "/slaves").await.json();
        agents["slaves"][0]["pid"].as_str().unwrap().to_owned()
    }

    pub async fn end(self) {
        let is_embedded = matches!(self.host, Host::Embedded(_));
        self.framework.teardown().await;
        self.host.shutdown().await;
        if is_embedded {
            std::fs::remove_dir_all(self.directory).unwrap();
        }
    }
}

/// What an agent's operator API answers in JSON, without the envelope.
pub async fn ask_agent(pid: &str, kind: &str) -> Value {
    let (process, address) = pid.split_once('@').unwrap();
    let call = json!({ "type": kind }).to_string();
    let path = format!("/{process}/api/v1");
    let headers = [("Content-Type", "application/json")];
    let answer = request(address, "POST", &path, &headers, call.as_bytes()).await;
    assert_eq!(answer.status, 200, "{kind}: {answer:?}");
    answer.json()[kind.to_lowercase()].take()
}

/// The first file of this name, whose folder is not a link.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    for entry in std::fs::read_dir(folder).ok()? {
        let path = entry.ok()?.path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            if let Some(found) = find(&path, name) {
                return Some(found);
            }
        } else if path.file_name()? == name {
            return Some(path);
        }
    }
    None
}

pub fn shell(line: &str) -> CommandInfo {
    CommandInfo {
        value: Some(line.to_owned()),
        ..CommandInfo::default()
    }
}

pub fn seconds(seconds: i64) -> DurationInfo {
    let nanoseconds = seconds * 1_000_000_000;
    DurationInfo { nanoseconds }
}

pub fn policy(grace: i64) -> KillPolicy {
    KillPolicy {
        grace_period: Some(seconds(grace)),
    }
}

pub fn states(statuses: &[TaskStatus]) -> Vec<TaskState> {
    statuses.iter().map(TaskStatus::state).collect()
}

/// A framework that can do with TASK_KILLING.
pub fn knows_killing(test: &str) -> FrameworkInfo {
    let mut info = info(test);
    info.capabilities.push(Capability {
        r#type: Some(capability::Type::TaskKillingState as i32),
    });
    info
}

pub fn is_alive(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}

/// Waits until a process has ended; whether its parent has reaped it is the parent's affair.
pub async fn has_ended(pid: &str) {
    let status = Path::new("/proc").join(pid).join("status");
    let ended = async {
        while let Ok(text) = std::fs::read_to_string(&status)
            && !text.contains("State:\tZ")
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("the end of a process", ended).await;
}
