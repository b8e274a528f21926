//! The executor that makes pictures of pages.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use mesos_framework::proto::{KillPolicy, TaskId, TaskInfo};
use mesos_framework::{Executor, ExecutorHandle, async_trait};
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::work::{Finding, Running, url_of};

/// Longest time for one picture.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser is a heavy thing: so many at a time, whatever the offers say.
const AT_A_TIME: usize = 2;

/// What headless Chromium is called.
const CHROMIUM: [&str; 5] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
];

/// Where Chromium is.
pub(crate) fn find_chromium() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .flat_map(|folder| CHROMIUM.map(|name| folder.join(name)))
        .find(|program| program.is_file())
        .ok_or_else(|| {
            format!(
                "no Chromium to render with: none of {} is in PATH (Debian has it in the package `chromium`; \
                 --renderer COMMAND names another program)",
                CHROMIUM.join(", ")
            )
        })
}

pub(crate) struct Renderer {
    /// Called with the URL and the file to be written; Chromium if there is none.
    command: Option<String>,
    running: Running,
    room: Arc<Semaphore>,
}

impl Renderer {
    pub(crate) fn new(command: Option<String>) -> Self {
        Self {
            command,
            running: Running::default(),
            room: Arc::new(Semaphore::new(AT_A_TIME)),
        }
    }
}

#[async_trait]
impl Executor for Renderer {
    async fn launch_task(&mut self, driver: &ExecutorHandle, task: TaskInfo) {
        let (url, command) = (url_of(&task), self.command.clone());
        let room = Arc::clone(&self.room);
        let work = async move {
            let _place = room.acquire().await.map_err(|error| error.to_string())?;
            render(url, command).await
        };
        self.running.start(driver, task, work).await;
    }

    async fn kill_task(&mut self, driver: &ExecutorHandle, id: TaskId, _: Option<KillPolicy>) {
        self.running.kill(driver, &id).await;
    }

    async fn shutdown(&mut self, driver: &ExecutorHandle) {
        self.running.kill_all(driver).await;
    }
}

/// A picture of the page, in the sandbox.
async fn render(url: String, command: Option<String>) -> Result<Finding, String> {
    let sandbox = std::env::current_dir().map_err(|error| format!("no sandbox: {error}"))?;
    let name = uuid::Uuid::new_v4().simple().to_string();
    let file = sandbox.join(format!("{name}.png"));
    let profile = sandbox.join(format!("{name}.profile"));
    let made = run(match command {
        Some(command) => custom(&command, &url, &file),
        None => chromium(&find_chromium()?, &url, &file, &profile),
    })
    .await;
    // Chromium may not have made one.
    let _ = tokio::fs::remove_dir_all(&profile).await;
    made.map_err(|why| format!("{url} cannot be rendered: {why}"))?;
    match tokio::fs::metadata(&file).await {
        Ok(made) if made.len() > 0 => Ok(Finding::Image {
            image_url: format!("file:///{}", file.display()),
            url,
        }),
        _ => Err(format!("{url} was rendered, but there is no picture")),
    }
}

fn chromium(program: &Path, url: &str, file: &Path, profile: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .arg("--headless=new")
        .args([
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--no-first-run",
        ])
        .arg("--window-size=1024,768")
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--screenshot={}", file.display()))
        .arg(url);
    command
}

fn custom(command: &str, url: &str, file: &Path) -> Command {
    let mut shell = Command::new("sh");
    // The command may have arguments of its own; URL and file come as two more.
    shell
        .args(["-c", &format!("{command} \"$@\""), "sh", url])
        .arg(file);
    shell
}

async fn run(mut command: Command) -> Result<(), String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let child = command
        .spawn()
        .map_err(|error| format!("the renderer cannot be started: {error}"))?;
    match tokio::time::timeout(PATIENCE, child.wait_with_output()).await {
        Err(_) => Err(format!("the renderer took longer than {PATIENCE:?}")),
        Ok(Err(error)) => Err(format!("the renderer was lost: {error}")),
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.trim().lines().last().unwrap_or_default();
            Err(format!("the renderer ended with {}: {last}", output.status))
        }
    }
}
