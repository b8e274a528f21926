//! Schedulers that are killed as SIGKILL does while they launch: this very program, started again and again with the one test
//! below as its argument. What they launch through the tracker, the next one knows.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mesos_framework::proto::{FrameworkInfo, Offer, TaskInfo, TaskState, TaskStatus};
use mesos_framework::toolkit::{FileTaskStore, Observed, Reconciler, TaskTracker};
use mesos_framework::{
    FileFrameworkIdStore, Scheduler, SchedulerDriver, SchedulerHandle, async_trait,
};

use crate::agents::operate;
use crate::cluster::{Cluster, content_type};
use crate::executor_environment::Directory;
use crate::executor_role::{RUN, executor};
use crate::framework::{info, is_roomy, refuse, task};
use crate::tools_rig::{Equipped, SOON, Tools, soon};

/// Where the scheduler keeps its files, and who it is.
const FOLDER: &str = "MESOS_FRAMEWORK_TEST_FOLDER";
const MASTER: &str = "MESOS_FRAMEWORK_TEST_MASTER";
const NAME: &str = "MESOS_FRAMEWORK_TEST_NAME";

/// How many schedulers are killed.
const DEATHS: usize = 6;
/// How much each of them has stored by then, in bytes.
const STORED: u64 = 2_000;
/// How many tasks may be alive.
const ROOM: usize = 40;

fn own_info(name: &str) -> FrameworkInfo {
    FrameworkInfo {
        name: name.to_owned(),
        roles: vec![name.to_owned()],
        ..info("restarts")
    }
}

async fn tracker(folder: &Path) -> TaskTracker {
    let store = FileTaskStore::new(folder.join("tasks"));
    TaskTracker::builder().store(store).open().await.unwrap()
}

#[test]
fn runs_as_scheduler() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let tracker = tracker(&folder).await;
        let reconciler = Reconciler::builder(tracker.clone()).backoff(SOON).build();
        let launcher = Launcher {
            tracker: tracker.clone(),
        };
        let scheduler = Observed::new(launcher)
            .observer(tracker)
            .observer(reconciler);
        let (name, master) = (std::env::var(NAME).unwrap(), std::env::var(MASTER).unwrap());
        let driver = SchedulerDriver::builder(scheduler, own_info(&name), &master)
            .framework_id_store(FileFrameworkIdStore::new(folder.join("framework-id")))
            .content_type(content_type());
        driver.build().unwrap().run().await.unwrap();
    });
}

/// Launches a task on every offer, as long as there is room.
struct Launcher {
    tracker: TaskTracker,
}

#[async_trait]
impl Scheduler for Launcher {
    async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
        for offer in offers {
            let has_room = self.tracker.counts().live() < ROOM && is_roomy(&offer);
            let id = uuid::Uuid::new_v4().to_string();
            let task = TaskInfo {
                // One for all tasks of an agent.
                executor: Some(executor(&format!("executor on {}", offer.agent_id))),
                ..task(&id, RUN, &offer)
            };
            let tasks = if has_room { vec![task] } else { vec![] };
            let launched = self
                .tracker
                .launch(driver, vec![offer.id], tasks, refuse(0.0));
            if let Err(error) = launched.await {
                assert!(error.is_disconnected(), "{error}");
            }
        }
    }

    async fn status_update(&mut self, _: &SchedulerHandle, _: TaskStatus) {}
}

/// Killed at the latest when it is dropped.
struct Process(Child);

impl Process {
    fn start(folder: &Path, master: &str, name: &str) -> Self {
        let test = concat!(module_path!(), "::runs_as_scheduler");
        let (_crate, test) = test.split_once("::").unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([test, "--exact", "--nocapture"])
            .env(FOLDER, folder)
            .env(MASTER, master)
            .env(NAME, name)
            .stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn assert_alive(&mut self) {
        let ended = self.0.try_wait().unwrap();
        assert!(ended.is_none(), "the scheduler has ended: {ended:?}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

#[tokio::test]
async fn no_task_runs_that_the_next_scheduler_does_not_know() {
    let cluster = Cluster::start().await;
    let directory = Directory::new("task-restarts");
    let folder = directory.path("scheduler");
    std::fs::create_dir_all(&folder).unwrap();
    let name = info("restarts").name;
    for _ in 0..DEATHS {
        let journal = folder.join("tasks");
        let until = length(&journal) + STORED;
        let mut process = Process::start(&folder, &cluster.address(), &name);
        let stores = async {
            while length(&journal) < until {
                process.assert_alive();
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        soon("what the scheduler stores", stores).await;
        drop(process);
    }

    let id = std::fs::read_to_string(folder.join("framework-id")).unwrap();
    let id = id.trim_end();
    let last = FrameworkInfo {
        id: Some(id.into()),
        ..own_info(&name)
    };
    let tools = Tools::new(tracker(&folder).await);
    let own = Equipped::register_with(&cluster.address(), last, tools).await;
    own.settled().await;
    let tracker = &own.tools.tracker;
    // A launch that was stored and not sent is gone, one on an offer that was not there any more dropped; all others run.
    let is_told = tracker.until(|tasks| {
        let counts = tasks.counts();
        let ended = counts.of(TaskState::TaskGone) + counts.of(TaskState::TaskDropped);
        counts.of(TaskState::TaskRunning) + ended == tasks.len()
    });
    soon("every task to be settled", is_told).await;
    let tasks = tracker.snapshot();
    println!("{:?} after {DEATHS} deaths", tasks.counts());
    assert!(tasks.iter().all(|task| task.launched_at.is_some()));
    let ended = tasks.counts().ended();
    assert!(ended <= 2 * DEATHS, "{ended} launches had no effect");

    let get_tasks = serde_json::json!({ "type": "GET_TASKS" });
    let answer = operate(&cluster.address(), "/api/v1", get_tasks).await;
    let known = answer.json()["get_tasks"]["tasks"].take();
    let of_master: Vec<_> = known
        .as_array()
        .unwrap()
        .iter()
        .filter(|task| task["framework_id"]["value"] == id)
        .map(|task| task["task_id"]["value"].as_str().unwrap())
        .collect();
    let mut of_tracker: Vec<_> = tasks.in_state(TaskState::TaskRunning).collect();
    assert_eq!(of_master.len(), of_tracker.len());
    of_tracker.retain(|task| !of_master.contains(&task.task_id.value.as_str()));
    assert!(of_tracker.is_empty(), "{of_tracker:?}");
    own.framework.teardown().await;
    cluster.shutdown().await;
}
