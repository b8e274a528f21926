//! Runs a shell command as a task, and shows what it writes while it writes it.
//!
//!     cargo run --example tail -- 'for i in 1 2 3; do date; sleep 1; done'                     # on an embedded cluster
//!     cargo run --example tail -- --master 10.0.0.5:5050 'for i in 1 2 3; do date; sleep 1; done'
//!
//! Mesos does not send a task's output to its framework. It is in files of the task's sandbox, which its agent shows to
//! whoever asks: here, to `READ_FILE` of the operator API.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use mesos_framework::proto::agent::{Call, Response, call};
use mesos_framework::proto::{
    CommandInfo, Filters, FrameworkInfo, Offer, TaskInfo, TaskState, TaskStatus, Url,
};
use mesos_framework::resources::Resources;
use mesos_framework::{Scheduler, SchedulerDriver, SchedulerHandle, Stop, async_trait};
use prost::Message as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::rustls::crypto::ring;

type Failed = Box<dyn std::error::Error + Send + Sync>;

const TASK: &str = "tail";

/// How often an agent is asked for more.
const INTERVAL: Duration = Duration::from_millis(200);

/// Bytes of one answer; agents give no more than 16 pages.
const LENGTH: u64 = 65_536;

const USAGE: &str = "\
Usage: tail [--master ADDRESS] COMMAND

  COMMAND            for the shell
  --master ADDRESS   host:port of a Mesos master, or `local` (the default): an embedded cluster

Exit status: 0 if the command has succeeded, 1 if not, 2 if it cannot be known. Ctrl-C kills it.";

struct Tail {
    command: String,
    resources: Resources,
    /// Where the agent of the task is, once the task is launched.
    agent: Option<Url>,
    /// Its last state.
    state: watch::Sender<TaskState>,
    /// Those who follow its files.
    followers: Vec<JoinHandle<Result<(), Failed>>>,
}

#[async_trait]
impl Scheduler for Tail {
    async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
        for offer in offers {
            let offered = Resources::from_unchecked(&offer.resources).unallocated();
            let is_place = self.agent.is_none() && offered.contains(&self.resources);
            let tasks = is_place.then(|| {
                self.agent = offer.url;
                TaskInfo::new(TASK, offer.agent_id, self.resources.to_protos())
                    .command(CommandInfo::in_shell(&self.command))
            });
            // Without a task, this declines.
            let tasks = tasks.into_iter().collect();
            let launched = driver.launch_tasks(vec![offer.id], tasks, Filters::default());
            if let Err(error) = launched.await {
                driver.abort_with(error);
            }
        }
    }

    async fn status_update(&mut self, driver: &SchedulerHandle, status: TaskStatus) {
        let state = status.state();
        eprintln!("{TASK}: {} {}", state.as_str_name(), status.message());
        self.state.send_replace(state);
        if self.followers.is_empty() && state == TaskState::TaskRunning {
            let (Some(agent), Some(framework_id)) = (&self.agent, driver.framework_id()) else {
                return;
            };
            // A command has an executor of its own, which is called like the task. `latest` is its only run.
            let sandbox = format!("/frameworks/{framework_id}/executors/{TASK}/runs/latest");
            for (file, out) in [("stdout", out()), ("stderr", errors())] {
                let file = File {
                    agent: address(agent),
                    path: format!("{sandbox}/{file}"),
                    state: self.state.subscribe(),
                };
                self.followers.push(tokio::spawn(file.follow(out)));
            }
        }
        if !state.is_live() {
            // What it has written last is still to be read. The framework must not go before: its files would, too.
            let followers = std::mem::take(&mut self.followers);
            let driver = driver.clone();
            tokio::spawn(async move {
                for follower in followers {
                    match follower.await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => eprintln!("{TASK}: {error}"),
                        Err(error) => eprintln!("{TASK}: {error}"),
                    }
                }
                driver.stop();
            });
        }
    }
}

type Out = Box<dyn Write + Send>;

fn out() -> Out {
    Box::new(std::io::stdout())
}

fn errors() -> Out {
    Box::new(std::io::stderr())
}

/// The operator API of the agent that made an offer.
fn address(agent: &Url) -> String {
    let (address, path) = (&agent.address, agent.path());
    let host = address.ip.as_deref().unwrap_or(address.hostname());
    format!("{}://{host}:{}{path}/api/v1", agent.scheme, address.port)
}

/// A file of the task's sandbox.
struct File {
    agent: String,
    path: String,
    state: watch::Receiver<TaskState>,
}

impl File {
    /// Writes all of it, until the task has ended and nothing more is there.
    async fn follow(mut self, mut out: Out) -> Result<(), Failed> {
        let client = reqwest::Client::new();
        let mut offset = 0;
        loop {
            // Looked at before reading: what is written before the end is then read.
            let has_ended = !self.state.borrow_and_update().is_live();
            let data = self.read(&client, offset).await?;
            out.write_all(&data)?;
            out.flush()?;
            offset += data.len() as u64;
            if data.is_empty() {
                if has_ended {
                    return Ok(());
                }
                // Whichever is first.
                let _ = tokio::time::timeout(INTERVAL, self.state.changed()).await;
            }
        }
    }

    /// What stands at `offset`; nothing if that is the end.
    async fn read(&self, client: &reqwest::Client, offset: u64) -> Result<Bytes, Failed> {
        let call = Call {
            r#type: Some(call::Type::ReadFile.into()),
            read_file: Some(call::ReadFile {
                path: self.path.clone(),
                offset,
                length: Some(LENGTH),
            }),
            ..Call::default()
        };
        let request = client.post(&self.agent).body(call.encode_to_vec());
        let request = request.header("Content-Type", "application/x-protobuf");
        let answer = request
            .header("Accept", "application/x-protobuf")
            .send()
            .await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        if !status.is_success() {
            let why = String::from_utf8_lossy(&body).into_owned();
            return Err(format!("{} cannot be read: {status} {why}", self.path).into());
        }
        let response = Response::decode(body)?;
        Ok(response.read_file.map(|file| file.data).unwrap_or_default())
    }
}

fn parse(given: Vec<String>) -> Result<(String, String), Failed> {
    match <[String; 3]>::try_from(given) {
        Ok([option, master, command]) if option == "--master" => Ok((master, command)),
        Err(given) => match <[String; 1]>::try_from(given) {
            Ok([command]) if !command.starts_with("--") => Ok(("local".to_owned(), command)),
            _ => Err(USAGE.into()),
        },
        Ok(_) => Err(USAGE.into()),
    }
}

async fn run(given: Vec<String>) -> Result<ExitCode, Failed> {
    let (master, command) = parse(given)?;
    let (state, states) = watch::channel(TaskState::TaskStaging);
    let scheduler = Tail {
        command,
        resources: Resources::parse("cpus:0.1;mem:32")?,
        agent: None,
        state,
        followers: Vec::new(),
    };
    let framework = FrameworkInfo::new("tail", ["*"]).failover(Duration::from_secs(60));
    let driver = SchedulerDriver::builder(scheduler, framework, &master).build()?;
    let interrupt = async {
        match tokio::signal::ctrl_c().await {
            // Which kills the task.
            Ok(()) => Stop::Teardown,
            Err(_) => std::future::pending().await,
        }
    };
    driver.run_until(interrupt).await?;
    match *states.borrow() {
        TaskState::TaskFinished => Ok(ExitCode::SUCCESS),
        state if state.is_live() => Ok(ExitCode::from(2)),
        _ => Ok(ExitCode::FAILURE),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    // The HTTP client wants one, also for http. There is none yet that this would be in the way of.
    let _ = ring::default_provider().install_default();
    let ended = run(std::env::args().skip(1).collect()).await;
    ended.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::from(2)
    })
}
