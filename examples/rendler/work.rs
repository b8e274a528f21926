//! What scheduler and executors say to each other: which page, and what came of it.

use mesos_framework::proto::{TaskId, TaskInfo, TaskState, TaskStatus};
use mesos_framework::{ExecutorHandle, proto};
use serde_json::{Value, json};

/// What is done with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Crawl,
    Render,
}

impl Kind {
    pub(crate) const fn executor_id(self) -> &'static str {
        match self {
            Self::Crawl => "crawl-executor",
            Self::Render => "render-executor",
        }
    }

    pub(crate) const fn executor_name(self) -> &'static str {
        match self {
            Self::Crawl => "Crawler",
            Self::Render => "Renderer",
        }
    }

    /// Of the `number`th task, crawls and renders counted together.
    pub(crate) fn task_id(self, number: usize) -> TaskId {
        let suffix = match self {
            Self::Crawl => "crwl",
            Self::Render => "rndr",
        };
        format!("{number:05}-{suffix}").into()
    }

    pub(crate) fn task_name(self, number: usize) -> String {
        let kind = match self {
            Self::Crawl => "crawl",
            Self::Render => "render",
        };
        format!("{kind} task {number:05}")
    }
}

/// What came of a page. It travels in the data of the terminal status, which is repeated until it is acknowledged;
/// framework messages may be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Links { url: String, links: Vec<String> },
    Image { url: String, image_url: String },
}

impl Finding {
    /// JSON with sorted keys.
    pub(crate) fn to_data(&self, task_id: &TaskId) -> Vec<u8> {
        let json = match self {
            Self::Links { url, links } => {
                json!({ "links": links, "taskId": task_id.value, "url": url })
            }
            Self::Image { url, image_url } => {
                json!({ "imageUrl": image_url, "taskId": task_id.value, "url": url })
            }
        };
        json.to_string().into_bytes()
    }

    pub(crate) fn of_data(kind: Kind, data: &[u8]) -> Result<Self, String> {
        let json: Value = serde_json::from_slice(data).map_err(|error| error.to_string())?;
        let text = |key: &str| {
            let text = json[key].as_str().map(str::to_owned);
            text.ok_or_else(|| format!("no text in '{key}'"))
        };
        match kind {
            Kind::Crawl => {
                let links = json["links"].as_array().ok_or("no list in 'links'")?;
                let links = links.iter().filter_map(Value::as_str).map(str::to_owned);
                Ok(Self::Links {
                    url: text("url")?,
                    links: links.collect(),
                })
            }
            Kind::Render => Ok(Self::Image {
                url: text("url")?,
                image_url: text("imageUrl")?,
            }),
        }
    }
}

/// Says how a task stands.
pub(crate) async fn report(driver: &ExecutorHandle, status: TaskStatus) {
    if let Err(error) = driver.send_status_update(status).await {
        eprintln!("status not sent: {error}");
    }
}

pub(crate) fn status(task_id: &TaskId, state: TaskState) -> TaskStatus {
    TaskStatus {
        task_id: task_id.clone(),
        state: state as i32,
        ..TaskStatus::default()
    }
}

/// The page that a task is about.
pub(crate) fn url_of(task: &TaskInfo) -> String {
    String::from_utf8_lossy(task.data()).into_owned()
}

/// Carries a task out, and tells of its end: what was found, or why not.
pub(crate) async fn carry_out(
    driver: ExecutorHandle,
    task: TaskInfo,
    work: impl Future<Output = Result<Finding, String>>,
) {
    let found = work.await;
    let status = match found {
        Ok(finding) => TaskStatus {
            data: Some(finding.to_data(&task.task_id).into()),
            ..status(&task.task_id, TaskState::TaskFinished)
        },
        Err(message) => TaskStatus {
            message: Some(message),
            data: task.data.clone(),
            ..status(&task.task_id, TaskState::TaskFailed)
        },
    };
    report(&driver, status).await;
}

/// The running tasks of an executor.
#[derive(Default)]
pub(crate) struct Running {
    tasks: std::collections::HashMap<TaskId, tokio::task::JoinHandle<()>>,
}

impl Running {
    pub(crate) async fn start(
        &mut self,
        driver: &ExecutorHandle,
        task: proto::TaskInfo,
        work: impl Future<Output = Result<Finding, String>> + Send + 'static,
    ) {
        self.tasks.retain(|_, running| !running.is_finished());
        report(driver, status(&task.task_id, TaskState::TaskRunning)).await;
        let id = task.task_id.clone();
        let running = tokio::spawn(carry_out(driver.clone(), task, work));
        self.tasks.insert(id, running);
    }

    pub(crate) async fn kill(&mut self, driver: &ExecutorHandle, task_id: &TaskId) {
        let Some(running) = self.tasks.remove(task_id) else {
            return;
        };
        running.abort();
        // One that was done before it could be interrupted has told its end.
        if running.await.is_err() {
            report(driver, status(task_id, TaskState::TaskKilled)).await;
        }
    }

    pub(crate) async fn kill_all(&mut self, driver: &ExecutorHandle) {
        let ids: Vec<_> = self.tasks.keys().cloned().collect();
        for id in ids {
            self.kill(driver, &id).await;
        }
    }
}
