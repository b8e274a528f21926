//! The embedded cluster: how soon it offers something, what a task costs, and what an allocation costs as it grows.
//!
//!     cargo bench --bench local_cluster                # everything
//!     cargo bench --bench local_cluster -- tasks       # one of start, tasks, allocation
//!
//! Prints milliseconds, resident megabytes, and ratios: of tasks to a floor measured in the same run, of allocations to
//! the next smaller cluster.

#[path = "support/process.rs"]
mod process;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mesos_framework::local::{LocalCluster, LocalClusterBuilder};
use mesos_framework::proto::framework_info::{Capability, capability};
use mesos_framework::proto::{
    CommandInfo, ExecutorInfo, Filters, FrameworkInfo, KillPolicy, Offer, Resource, TaskId,
    TaskInfo, TaskState, TaskStatus, value,
};
use mesos_framework::{
    Executor, ExecutorHandle, Scheduler, SchedulerDriver, SchedulerHandle, async_trait,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

const STARTS: usize = 9;
const TASKS: usize = 10_000;
/// Tasks of one LAUNCH.
const BATCH: usize = 500;
/// How long an allocation is watched.
const WATCHED: Duration = Duration::from_secs(4);
const INTERVAL: Duration = Duration::from_millis(200);

fn main() {
    let wanted = std::env::args().nth(1).filter(|own| !own.starts_with("--"));
    let Some(wanted) = wanted else {
        // A process each: what one has used is no burden on the next.
        for part in ["start", "tasks", "allocation"] {
            let program = std::env::current_exe().expect("this program has a path");
            let status = Command::new(program).arg(part).status();
            assert!(status.is_ok_and(|status| status.success()), "{part}");
        }
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        match wanted.as_str() {
            "start" => start().await,
            "tasks" => tasks().await,
            "allocation" => allocation().await,
            other => panic!("no part {other:?}: start, tasks or allocation"),
        }
    });
}

/// From `start()` to the first offer that a scheduler sees.
async fn start() {
    let mut cold = 0.0;
    let mut times = Vec::new();
    for round in 0..STARTS {
        let begun = Instant::now();
        let cluster = LocalCluster::builder().start().await.expect("a cluster");
        let seen = Arc::new(Notify::new());
        let scheduler = FirstOffer(Arc::clone(&seen));
        let mut driver = driver(scheduler, &cluster, "first");
        seen.notified().await;
        let time = milliseconds(begun.elapsed());
        if round == 0 {
            cold = time;
        }
        times.push(time);
        driver.handle().stop();
        driver.join().await.expect("the driver ends");
        cluster.shutdown().await;
    }
    println!(
        "start_to_first_offer_ms   first {cold:.1}   median {:.1}",
        median(times)
    );
}

/// No-op tasks, one terminal update each, under one executor in this process.
async fn tasks() {
    let floor = round_trips(2 * TASKS).await;
    let before = process::megabytes("VmRSS");
    let begun = Instant::now();
    let cluster = LocalCluster::builder()
        .resources("cpus:10000;mem:1000000;disk:1000000")
        .allocation_interval(Duration::from_millis(10))
        .executor("./bench-executor", || Finisher);
    let cluster = cluster.start().await.expect("a cluster");
    let ended = Arc::new(Notify::new());
    let scheduler = Launcher {
        launched: 0,
        finished: 0,
        ended: Arc::clone(&ended),
    };
    let mut driver = driver(scheduler, &cluster, "tasks");
    ended.notified().await;
    let time = begun.elapsed().as_secs_f64();
    driver.handle().stop();
    driver.join().await.expect("the driver ends");
    cluster.shutdown().await;
    println!(
        "tasks                     {TASKS} in {time:.2} s   per_s {:.0}   floor (2 round trips each) {floor:.2} s   ratio {:.1}",
        number(TASKS) / time,
        time / floor
    );
    println!(
        "resident_mb               peak {:.1}   before {before:.1}",
        process::megabytes("VmHWM")
    );
}

/// What an allocation costs the process, when nobody takes anything, as frameworks and agents double: first with every
/// agent refused by everybody, then with every agent offered, and declined, each time.
async fn allocation() {
    println!(
        "{:>7} {:>11} {:>16} {:>7} {:>16} {:>7} {:>12} {:>12}",
        "agents",
        "frameworks",
        "refused_cpu_ms",
        "ratio",
        "offered_cpu_ms",
        "ratio",
        "start_ms",
        "resident_mb"
    );
    let mut last: Option<(f64, f64)> = None;
    for (agents, frameworks) in [(250, 25), (250, 50), (500, 50), (500, 100), (1000, 100)] {
        let begun = Instant::now();
        let builder = LocalCluster::builder().agents(agents);
        let cluster = settled(builder).await;
        let started = milliseconds(begun.elapsed());
        let refused = cycle(&cluster, agents, frameworks, 1e6).await;
        cluster.shutdown().await;
        let cluster = settled(LocalCluster::builder().agents(agents)).await;
        let offered = cycle(&cluster, agents, frameworks, 0.0).await;
        let memory = process::megabytes("VmRSS");
        cluster.shutdown().await;
        let (before_refused, before_offered) = last.unwrap_or((refused, offered));
        println!(
            "{agents:>7} {frameworks:>11} {refused:>16.2} {:>7.2} {offered:>16.2} {:>7.2} {started:>12.0} {memory:>12.0}",
            refused / before_refused,
            offered / before_offered
        );
        last = Some((refused, offered));
    }
}

async fn settled(builder: LocalClusterBuilder) -> LocalCluster {
    let builder = builder.allocation_interval(INTERVAL);
    builder.start().await.expect("a cluster")
}

/// CPU milliseconds of one allocation, with all that follows from it in this process.
async fn cycle(cluster: &LocalCluster, agents: usize, frameworks: usize, refuse: f64) -> f64 {
    let declined = Arc::new(AtomicUsize::new(0));
    let mut drivers = Vec::new();
    for number in 0..frameworks {
        let scheduler = Decliner {
            refuse,
            declined: Arc::clone(&declined),
        };
        drivers.push(driver(scheduler, cluster, &format!("f{number}")));
    }
    // Refused: until everybody has refused every agent once. Offered: until every agent was offered a few times.
    let expected = if refuse > 0.0 {
        agents * frameworks
    } else {
        4 * agents
    };
    while declined.load(Ordering::Relaxed) < expected {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(INTERVAL).await;
    let (cpu, begun, before) = (
        1000.0 * process::cpu_seconds(),
        Instant::now(),
        declined.load(Ordering::Relaxed),
    );
    tokio::time::sleep(WATCHED).await;
    let spent = 1000.0 * process::cpu_seconds() - cpu;
    let cycles = if refuse > 0.0 {
        begun.elapsed().as_secs_f64() / INTERVAL.as_secs_f64()
    } else {
        number(declined.load(Ordering::Relaxed) - before) / number(agents)
    };
    for driver in &mut drivers {
        driver.handle().stop();
    }
    for driver in &mut drivers {
        driver.join().await.expect("the driver ends");
    }
    spent / cycles
}

fn driver(scheduler: impl Scheduler, cluster: &LocalCluster, name: &str) -> SchedulerDriver {
    let info = FrameworkInfo {
        name: name.into(),
        roles: vec![name.into()],
        capabilities: vec![Capability {
            r#type: Some(capability::Type::MultiRole as i32),
        }],
        failover_timeout: Some(60.0),
        ..FrameworkInfo::default()
    };
    let address = cluster.master_address();
    let mut driver = SchedulerDriver::builder(scheduler, info, &address)
        .build()
        .expect("a driver");
    driver.start().expect("it starts");
    driver
}

struct FirstOffer(Arc<Notify>);

#[async_trait]
impl Scheduler for FirstOffer {
    async fn resource_offers(&mut self, _: &SchedulerHandle, _: Vec<Offer>) {
        self.0.notify_one();
    }

    async fn status_update(&mut self, _: &SchedulerHandle, _: TaskStatus) {}
}

struct Decliner {
    refuse: f64,
    declined: Arc<AtomicUsize>,
}

#[async_trait]
impl Scheduler for Decliner {
    async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
        let ids: Vec<_> = offers.into_iter().map(|offer| offer.id).collect();
        let count = ids.len();
        let filters = Filters {
            refuse_seconds: Some(self.refuse),
        };
        // Only a driver that was stopped meanwhile takes no call.
        if driver.decline_offers(ids, filters).await.is_ok() {
            self.declined.fetch_add(count, Ordering::Relaxed);
        }
    }

    async fn status_update(&mut self, _: &SchedulerHandle, _: TaskStatus) {}
}

struct Launcher {
    launched: usize,
    finished: usize,
    ended: Arc<Notify>,
}

#[async_trait]
impl Scheduler for Launcher {
    async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
        for offer in offers {
            let count = BATCH.min(TASKS - self.launched).min(room(&offer));
            let tasks = (0..count).map(|at| task(self.launched + at, &offer));
            let filters = Filters {
                refuse_seconds: Some(0.0),
            };
            let launch = driver.launch_tasks(vec![offer.id.clone()], tasks.collect(), filters);
            if launch.await.is_err() {
                return;
            }
            self.launched += count;
        }
    }

    async fn status_update(&mut self, _: &SchedulerHandle, status: TaskStatus) {
        assert_eq!(status.state(), TaskState::TaskFinished, "{status:?}");
        self.finished += 1;
        if self.finished == TASKS {
            self.ended.notify_one();
        }
    }
}

/// How many tasks fit in, under a new executor.
fn room(offer: &Offer) -> usize {
    let amount = |name: &str| {
        let own = offer.resources.iter().find(|own| own.name == name);
        own.and_then(|own| own.scalar).map_or(0.0, |own| own.value)
    };
    let fitting = (10.0 * amount("cpus") - 1.0).min(amount("mem") - 32.0);
    (0..TASKS).take_while(|own| number(*own) < fitting).count()
}

fn task(number: usize, offer: &Offer) -> TaskInfo {
    let executor = ExecutorInfo {
        executor_id: "bench".into(),
        command: Some(CommandInfo {
            value: Some("./bench-executor".into()),
            ..CommandInfo::default()
        }),
        resources: vec![scalar("cpus", 0.1), scalar("mem", 32.0)],
        ..ExecutorInfo::default()
    };
    TaskInfo {
        name: "no-op".into(),
        task_id: format!("task-{number}").into(),
        agent_id: offer.agent_id.clone(),
        resources: vec![scalar("cpus", 0.1), scalar("mem", 1.0)],
        executor: Some(executor),
        ..TaskInfo::default()
    }
}

fn scalar(name: &str, value: f64) -> Resource {
    Resource {
        name: name.into(),
        r#type: value::Type::Scalar as i32,
        scalar: Some(value::Scalar { value }),
        ..Resource::default()
    }
}

struct Finisher;

#[async_trait]
impl Executor for Finisher {
    async fn launch_task(&mut self, driver: &ExecutorHandle, task: TaskInfo) {
        let status = TaskStatus {
            task_id: task.task_id,
            state: TaskState::TaskFinished as i32,
            ..TaskStatus::default()
        };
        driver.send_status_update(status).await.expect("queued");
    }

    async fn kill_task(&mut self, _: &ExecutorHandle, _: TaskId, _: Option<KillPolicy>) {}

    async fn shutdown(&mut self, _: &ExecutorHandle) {}
}

/// Seconds of so many exchanges of a few hundred bytes over loopback, one after another: what calls cost at least.
async fn round_trips(count: usize) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("nodelay");
        let mut request = [0; 400];
        while stream.read_exact(&mut request).await.is_ok() {
            stream.write_all(&[0; 100]).await.expect("an answer");
        }
    });
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("nodelay");
    let mut answer = [0; 100];
    let begun = Instant::now();
    for _ in 0..count {
        stream.write_all(&[0; 400]).await.expect("a request");
        stream.read_exact(&mut answer).await.expect("an answer");
    }
    let time = begun.elapsed().as_secs_f64();
    drop(stream);
    peer.await.expect("the peer ends");
    time
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
