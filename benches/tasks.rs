//! No-op tasks from the first offer to the last acknowledgement: each is told to run and to have finished, by an executor
//! in a process of its own.
//!
//!     cargo bench --bench tasks                                    # on an embedded cluster, in a process of its own
//!     MESOS_MASTER=HOST:PORT cargo bench --bench tasks             # on a real one; its agent is on this machine
//!     TASKS=2000 PER_ACCEPT=200 cargo bench --bench tasks          # the defaults
//!
//! Prints tasks per second, the scheduler's CPU per task, and its ratio to a floor: as many bare exchanges over loopback
//! as the scheduler has of calls and events. Linux only: CPU is read from /proc.

#![allow(clippy::unwrap_used, reason = "a bench")]

#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/process.rs"]
mod process;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use cluster::Cluster;
use mesos_framework::proto::{
    CommandInfo, ExecutorInfo, Filters, FrameworkInfo, KillPolicy, Offer, Resource, TaskId,
    TaskInfo, TaskState, TaskStatus,
};
use mesos_framework::{
    Executor, ExecutorDriver, ExecutorHandle, Scheduler, SchedulerDriver, SchedulerHandle,
    async_trait,
};

/// Set by the command of the executor, which is this program, too.
const EXECUTOR: &str = "BENCH_EXECUTOR";
const ROUNDS: usize = 3;
/// What one task takes, and what the executor does.
const CPUS: f64 = 0.01;
const MEM: f64 = 1.0;
const EXECUTOR_CPUS: f64 = 0.1;
const EXECUTOR_MEM: f64 = 32.0;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    if std::env::var_os(EXECUTOR).is_some() {
        let driver = ExecutorDriver::builder(NoOp).build().unwrap();
        runtime.block_on(driver.run()).unwrap();
        return;
    }
    let is_cluster = cluster::served(&runtime, |builder| {
        let builder = builder.resources("cpus:1.1;mem:65536;disk:65536");
        builder.allocation_interval(Duration::from_millis(20))
    });
    if is_cluster {
        return;
    }
    let tasks = setting("TASKS", 2_000);
    let per_accept = setting("PER_ACCEPT", 200);
    let cluster = Cluster::start();
    println!("   tasks  tasks_per_s  cpu_us_per_task  floor_us  ratio");
    for _ in 0..ROUNDS {
        let (seconds, cpu) = runtime.block_on(launch(&cluster.master, tasks, per_accept));
        // Two events and two acknowledgements.
        let floor = exchanges(2 * tasks);
        let of_each = 1e6 / number(tasks);
        println!(
            "{tasks:>8} {:>12.0} {:>16.0} {:>9.0} {:>6.1}",
            number(tasks) / seconds,
            cpu * of_each,
            floor * of_each,
            cpu / floor
        );
    }
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// Seconds from the first offers to the end, and of them on a processor.
async fn launch(master: &str, tasks: usize, per_accept: usize) -> (f64, f64) {
    let program = std::env::current_exe().unwrap();
    let executor = ExecutorInfo {
        executor_id: "bench".into(),
        command: Some(CommandInfo {
            value: Some(format!("{EXECUTOR}=1 exec {}", program.display())),
            ..CommandInfo::default()
        }),
        resources: vec![
            Resource::scalar("cpus", EXECUTOR_CPUS),
            Resource::scalar("mem", EXECUTOR_MEM),
        ],
        ..ExecutorInfo::default()
    };
    let scheduler = Launcher {
        executor,
        tasks,
        per_accept,
        launched: 0,
        ended: 0,
        begun: None,
        took: (0.0, 0.0),
    };
    let framework = FrameworkInfo::new("tasks", ["*"]);
    let mut driver = SchedulerDriver::builder(scheduler, framework, master)
        .explicit_acknowledgements()
        .build()
        .unwrap();
    driver.start().unwrap();
    driver.join().await.unwrap();
    driver.into_scheduler::<Launcher>().unwrap().took
}

struct Launcher {
    executor: ExecutorInfo,
    tasks: usize,
    per_accept: usize,
    launched: usize,
    ended: usize,
    begun: Option<(Instant, f64)>,
    took: (f64, f64),
}

impl Launcher {
    /// As many as fit in beside a new executor.
    fn fitting(&self, offer: &Offer) -> usize {
        let amount = |name: &str| {
            let named = offer
                .resources
                .iter()
                .filter(|resource| resource.name == name);
            named
                .filter_map(|resource| Some(resource.scalar.as_ref()?.value))
                .sum::<f64>()
        };
        let cpus = (amount("cpus") - EXECUTOR_CPUS + 1e-6) / CPUS;
        let fitting = cpus.min((amount("mem") - EXECUTOR_MEM) / MEM);
        let most = self.per_accept.min(self.tasks - self.launched);
        (0..most)
            .take_while(|count| number(count + 1) <= fitting)
            .count()
    }

    fn next_task(&mut self, offer: &Offer) -> TaskInfo {
        let name = format!("task-{:07}", self.launched);
        self.launched += 1;
        TaskInfo {
            task_id: name.clone().into(),
            name,
            agent_id: offer.agent_id.clone(),
            resources: vec![Resource::scalar("cpus", CPUS), Resource::scalar("mem", MEM)],
            executor: Some(self.executor.clone()),
            ..TaskInfo::default()
        }
    }
}

#[async_trait]
impl Scheduler for Launcher {
    async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
        self.begun
            .get_or_insert_with(|| (Instant::now(), process::cpu_seconds()));
        for offer in offers {
            let left = self.tasks > self.launched;
            let fitting = self.fitting(&offer);
            let tasks: Vec<_> = (0..fitting).map(|_| self.next_task(&offer)).collect();
            let refuse_seconds = Some(if left { 0.0 } else { 3600.0 });
            let filters = Filters { refuse_seconds };
            driver
                .launch_tasks(vec![offer.id], tasks, filters)
                .await
                .unwrap();
        }
    }

    async fn status_update(&mut self, driver: &SchedulerHandle, status: TaskStatus) {
        let receipt = driver.acknowledge_status_update(&status).await.unwrap();
        match status.state() {
            TaskState::TaskRunning => return,
            TaskState::TaskFinished => self.ended += 1,
            _ => panic!("{status:?}"),
        }
        if self.ended == self.tasks {
            assert!(receipt.unwrap().outcome().await.is_accepted());
            let (begun, cpu) = self.begun.unwrap();
            self.took = (begun.elapsed().as_secs_f64(), process::cpu_seconds() - cpu);
            driver.stop();
        }
    }
}

struct NoOp;

#[async_trait]
impl Executor for NoOp {
    async fn launch_task(&mut self, driver: &ExecutorHandle, task: TaskInfo) {
        for state in [TaskState::TaskRunning, TaskState::TaskFinished] {
            let status = TaskStatus {
                task_id: task.task_id.clone(),
                state: state as i32,
                ..TaskStatus::default()
            };
            driver.send_status_update(status).await.unwrap();
        }
    }

    async fn kill_task(&mut self, _: &ExecutorHandle, _: TaskId, _: Option<KillPolicy>) {}

    async fn shutdown(&mut self, _: &ExecutorHandle) {}
}

/// Seconds on a processor that so many exchanges take, of the size of an update and its acknowledgement.
fn exchanges(count: usize) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    let (out, back) = ([1; 400], [1; 300]);
    let begun = process::cpu_seconds();
    for _ in 0..count {
        let mut buffer = [0; 400];
        far.write_all(&out).unwrap();
        near.read_exact(&mut buffer).unwrap();
        near.write_all(&back).unwrap();
        far.read_exact(&mut buffer[..300]).unwrap();
    }
    // Half of it is the other side's.
    (process::cpu_seconds() - begun) / 2.0
}
