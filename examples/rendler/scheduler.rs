//! The scheduler: which pages are still to be done, and what is known of the others.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mesos_framework::proto::{
    AgentId, CommandInfo, ExecutorInfo, Filters, FrameworkId, FrameworkInfo, MasterInfo, Offer,
    Resource, TaskId, TaskInfo, TaskState, TaskStatus, value,
};
use mesos_framework::{Error, Scheduler, SchedulerHandle, async_trait};

use crate::graph::Results;
use crate::work::{Finding, Kind};

/// What a task takes.
const CPUS: f64 = 0.1;
const MEM: f64 = 32.0;

/// How often a page is tried.
const ATTEMPTS: u32 = 5;

/// How long what is not needed now stays away, in seconds: a page may be found any moment.
const REFUSE: Filters = Filters {
    refuse_seconds: Some(0.5),
};

pub(crate) fn framework() -> FrameworkInfo {
    FrameworkInfo {
        name: "RENDLER".into(),
        failover_timeout: Some(60.0),
        ..FrameworkInfo::default()
    }
}

/// A task that has not ended.
struct Doing {
    kind: Kind,
    url: String,
    agent_id: AgentId,
    is_running: bool,
}

pub(crate) struct Rendler {
    executors: [ExecutorInfo; 2],
    /// Where pictures are copied to: sandboxes do not last.
    images: PathBuf,
    limit: usize,
    crawl_queue: VecDeque<String>,
    render_queue: VecDeque<String>,
    /// Every page that was ever queued.
    processed: HashSet<String>,
    results: Results,
    attempts: HashMap<(Kind, String), u32>,
    doing: HashMap<TaskId, Doing>,
    created: usize,
    failed: usize,
    /// No further page is queued.
    is_limit_reached: bool,
    is_stopping: Arc<AtomicBool>,
}

impl Rendler {
    pub(crate) fn new(
        seed: &str,
        limit: usize,
        renderer: Option<&str>,
        images: PathBuf,
        is_stopping: Arc<AtomicBool>,
    ) -> std::io::Result<Self> {
        let seed = url::Url::parse(seed).map_or_else(|_| seed.to_owned(), String::from);
        Ok(Self {
            executors: [
                executor(Kind::Crawl, None)?,
                executor(Kind::Render, renderer)?,
            ],
            images,
            limit,
            crawl_queue: VecDeque::from([seed.clone()]),
            render_queue: VecDeque::from([seed.clone()]),
            processed: HashSet::from([seed]),
            results: Results::default(),
            attempts: HashMap::new(),
            doing: HashMap::new(),
            created: 0,
            failed: 0,
            is_limit_reached: false,
            is_stopping,
        })
    }

    pub(crate) const fn results(&self) -> &Results {
        &self.results
    }

    pub(crate) fn summary(&self, output: &Path) -> String {
        format!(
            "{}: {} pages rendered, {} links; {} tasks, {} given up",
            output.display(),
            self.results.images.len(),
            self.results.edges.len(),
            self.created,
            self.failed
        )
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    fn is_done(&self) -> bool {
        let is_idle = self.crawl_queue.is_empty() && self.render_queue.is_empty();
        self.doing.is_empty() && (is_idle || self.is_stopping())
    }

    fn running(&self) -> usize {
        self.doing.values().filter(|task| task.is_running).count()
    }

    fn show_progress(&self) {
        println!(
            "Queue length: {} crawl, {} render; Tasks: {} running, {} failed",
            self.crawl_queue.len(),
            self.render_queue.len(),
            self.running(),
            self.failed
        );
    }

    /// As many tasks as fit, a crawl and a render in turn.
    fn tasks_for(&mut self, offer: &Offer) -> Vec<TaskInfo> {
        let mut tasks = Vec::new();
        for _ in 0..tasks_that_fit(offer) / 2 {
            let crawl = self.crawl_queue.pop_front();
            tasks.extend(crawl.map(|url| self.task(Kind::Crawl, url, offer)));
            let render = self.render_queue.pop_front();
            tasks.extend(render.map(|url| self.task(Kind::Render, url, offer)));
        }
        tasks
    }

    fn task(&mut self, kind: Kind, url: String, offer: &Offer) -> TaskInfo {
        let number = self.created;
        self.created += 1;
        let task_id = kind.task_id(number);
        let doing = Doing {
            kind,
            url: url.clone(),
            agent_id: offer.agent_id.clone(),
            is_running: false,
        };
        self.doing.insert(task_id.clone(), doing);
        TaskInfo {
            name: kind.task_name(number),
            task_id,
            agent_id: offer.agent_id.clone(),
            resources: vec![scalar("cpus", CPUS), scalar("mem", MEM)],
            executor: Some(self.executors[usize::from(kind == Kind::Render)].clone()),
            data: Some(url.into_bytes().into()),
            ..TaskInfo::default()
        }
    }

    fn found(&mut self, finding: Finding) {
        match finding {
            Finding::Links { url, links } => {
                for link in links {
                    self.results.edges.insert((url.clone(), link.clone()));
                    self.is_limit_reached |= self.limit > 0 && self.limit <= self.processed.len();
                    if !self.is_limit_reached && self.processed.insert(link.clone()) {
                        self.crawl_queue.push_back(link.clone());
                        self.render_queue.push_back(link);
                    }
                }
            }
            Finding::Image { url, image_url } => {
                let image_url = self.keep(&image_url).unwrap_or_else(|error| {
                    eprintln!("{image_url} cannot be copied: {error}");
                    image_url
                });
                self.results.images.insert(url, image_url);
            }
        }
    }

    /// Copies a picture out of its sandbox; its new URL.
    fn keep(&self, image_url: &str) -> std::io::Result<String> {
        let sandboxed = Path::new(image_url.strip_prefix("file:///").unwrap_or(image_url));
        std::fs::create_dir_all(&self.images)?;
        let kept = self
            .images
            .canonicalize()?
            .join(sandboxed.file_name().unwrap_or_default());
        std::fs::copy(sandboxed, &kept)?;
        Ok(format!("file:///{}", kept.display()))
    }

    /// Tries a page again, unless it was tried often enough.
    fn retry(&mut self, task: Doing, why: &str) {
        let page = (task.kind, task.url);
        let attempts = self.attempts.entry(page.clone()).or_insert(1);
        let (kind, url) = page;
        if *attempts >= ATTEMPTS {
            self.failed += 1;
            println!("Given up after {ATTEMPTS} attempts: {why}");
            return;
        }
        *attempts += 1;
        match kind {
            Kind::Crawl => self.crawl_queue.push_back(url),
            Kind::Render => self.render_queue.push_back(url),
        }
    }

    fn finished(&mut self, task_id: &TaskId, status: &TaskStatus) {
        let Some(task) = self.doing.get(task_id) else {
            // Told again; what was found is known.
            return;
        };
        let is_answer = status.uuid.as_ref().is_none_or(|uuid| uuid.is_empty());
        if is_answer {
            // Reconciliation tells the state and not the data. The update itself is sent until it is acknowledged.
            return;
        }
        let found = Finding::of_data(task.kind, status.data());
        let Some(task) = self.doing.remove(task_id) else {
            return;
        };
        match found {
            Ok(finding) => self.found(finding),
            Err(error) => self.retry(task, &format!("{task_id} finished without result: {error}")),
        }
    }

    fn stop_if_done(&self, driver: &SchedulerHandle) {
        if self.is_done() {
            driver.stop();
        }
    }
}

#[async_trait]
impl Scheduler for Rendler {
    async fn registered(&mut self, _: &SchedulerHandle, id: FrameworkId, _: Option<MasterInfo>) {
        println!("Registered with framework id {id}");
    }

    async fn reregistered(&mut self, driver: &SchedulerHandle, _: Option<MasterInfo>) {
        let tasks = self.doing.iter();
        let tasks: Vec<_> = tasks
            .map(|(id, task)| (id.clone(), Some(task.agent_id.clone())))
            .collect();
        if !tasks.is_empty()
            && let Err(error) = driver.reconcile_tasks(tasks).await
        {
            eprintln!("not asked for: {error}");
        }
    }

    async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
        self.show_progress();
        for offer in offers {
            let tasks = match self.is_stopping() {
                true => Vec::new(),
                false => self.tasks_for(&offer),
            };
            let sent = match tasks.is_empty() {
                true => driver.decline_offers(vec![offer.id], REFUSE).await,
                false => driver.launch_tasks(vec![offer.id], tasks, REFUSE).await,
            };
            if let Err(error) = sent {
                // Its subscription is gone, and reconciliation will tell of its tasks.
                eprintln!("not sent: {error}");
            }
        }
        self.stop_if_done(driver);
    }

    async fn status_update(&mut self, driver: &SchedulerHandle, status: TaskStatus) {
        let task_id = status.task_id.clone();
        match TaskState::try_from(status.state) {
            Ok(TaskState::TaskStaging | TaskState::TaskStarting | TaskState::TaskKilling) => {}
            Ok(TaskState::TaskRunning) => {
                if let Some(task) = self.doing.get_mut(&task_id) {
                    task.is_running = true;
                }
            }
            Ok(TaskState::TaskFinished) => self.finished(&task_id, &status),
            Ok(state) => {
                if let Some(task) = self.doing.remove(&task_id) {
                    let why = format!("{task_id}: {}: {}", state.as_str_name(), status.message());
                    self.retry(task, &why);
                }
            }
            Err(unknown) => eprintln!("{task_id}: {unknown}"),
        }
        self.stop_if_done(driver);
    }

    /// What has finished there and was not told of will not be: the data is gone with the agent.
    async fn agent_lost(&mut self, _: &SchedulerHandle, agent_id: AgentId) {
        let lost = |_: &TaskId, task: &mut Doing| task.agent_id == agent_id;
        let lost: Vec<_> = self.doing.extract_if(lost).collect();
        for (task_id, task) in lost {
            self.retry(task, &format!("{task_id}: agent {agent_id} was lost"));
        }
    }

    async fn error(&mut self, _: &SchedulerHandle, error: &Error) {
        eprintln!("Error: {error}");
    }
}

/// The command is this very program, in the role of that executor.
fn executor(kind: Kind, renderer: Option<&str>) -> std::io::Result<ExecutorInfo> {
    let program = std::env::current_exe()?.display().to_string();
    let mut arguments = vec![program.clone(), kind.executor_id().to_owned()];
    if let Some(renderer) = renderer {
        arguments.extend(["--renderer".to_owned(), renderer.to_owned()]);
    }
    let command = CommandInfo {
        shell: Some(false),
        value: Some(program),
        arguments,
        ..CommandInfo::default()
    };
    Ok(ExecutorInfo {
        executor_id: kind.executor_id().into(),
        name: Some(kind.executor_name().into()),
        command: Some(command),
        ..ExecutorInfo::default()
    })
}

fn tasks_that_fit(offer: &Offer) -> usize {
    let amount = |name: &str| {
        let named = offer.resources.iter().filter(|own| own.name == name);
        let scalars = named.filter_map(|own| own.scalar.as_ref());
        scalars.map(|scalar| scalar.value).sum::<f64>()
    };
    // Mesos computes with three decimals.
    let cpus = (amount("cpus") * 1000.0).round() / (CPUS * 1000.0);
    (cpus + 1e-6).min(amount("mem") / MEM).max(0.0) as usize
}

fn scalar(name: &str, value: f64) -> Resource {
    Resource {
        name: name.into(),
        r#type: value::Type::Scalar as i32,
        scalar: Some(value::Scalar { value }),
        ..Resource::default()
    }
}
