//! A framework on our drivers under random faults: nothing is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesos_framework::SchedulerDriverBuilder;
use mesos_framework::local::{Chaos, ChaosFault, ChaosOptions, ClusterState, LocalCluster};
use mesos_framework::proto::{Offer, TaskId, TaskState, TaskStatus};

use crate::executor_role::FINISH;
use crate::framework::{Framework, PATIENCE, info, is_live, is_roomy, refuse, task};
use crate::recorder::Callback;
use crate::support::SOON;

/// Pieces of work that a test has done in one go, and faults that must have struck meanwhile: else it has more done.
const WORK: usize = 12;
const FAULTS: u64 = 15;

/// How often the framework asks after its tasks.
const ASKING: Duration = Duration::from_millis(500);

async fn cluster() -> LocalCluster {
    cluster_of(1).await
}

async fn cluster_of(masters: usize) -> LocalCluster {
    crate::cluster::local()
        .agents(2)
        .masters(masters)
        .election_timeout(Duration::from_millis(50))
        .master_recovery_time(Duration::from_millis(40))
        .agent_ping_timeout(Duration::from_millis(300))
        .executor_reregistration_timeout(Duration::from_millis(500))
        .allocation_interval(Duration::from_millis(50))
        .heartbeat_interval(Duration::from_millis(200))
        .update_retry_interval(Duration::from_millis(200))
        .start()
        .await
        .unwrap()
}

/// What a framework knows of its work: each piece is tried, under a new task id, until one try finishes.
#[derive(Default)]
struct Ledger {
    todo: BTreeSet<usize>,
    /// Tries that are out, by task.
    out: BTreeMap<TaskId, usize>,
    /// Of all work that was done before, too.
    tries: usize,
}

impl Ledger {
    fn add_work(&mut self) {
        self.todo = (0..WORK).collect();
    }

    fn is_done(&self) -> bool {
        self.todo.is_empty() && self.out.is_empty()
    }

    /// A try that has ended without success is made again.
    fn note(&mut self, status: &TaskStatus) {
        if is_live(status.state()) {
            return;
        }
        if let Some(piece) = self.out.remove(&status.task_id)
            && status.state() != TaskState::TaskFinished
        {
            self.todo.insert(piece);
        }
    }

    async fn launch(&mut self, framework: &Framework, offer: Offer) {
        let Some(piece) = self.todo.pop_first() else {
            return framework.decline(&[offer], refuse(0.1)).await;
        };
        self.tries += 1;
        let task = task(&format!("piece-{piece}-try-{}", self.tries), FINISH, &offer);
        let task_id = task.task_id.clone();
        let launched = framework
            .handle
            .launch_tasks(vec![offer.id], vec![task], refuse(0.0))
            .await;
        match launched {
            Ok(_) => drop(self.out.insert(task_id, piece)),
            Err(error) => {
                assert!(error.is_disconnected(), "{error}");
                self.todo.insert(piece);
            }
        }
    }

    /// Asks after all that is out: whether a launch has arrived may not be known.
    async fn ask(&self, framework: &Framework) {
        let tasks = self.out.keys().map(|id| (id.clone(), None)).collect();
        if let Err(error) = framework.handle.reconcile_tasks(tasks).await {
            assert!(error.is_disconnected(), "{error}");
        }
    }
}

/// Does all the work.
async fn work(framework: &mut Framework, ledger: &mut Ledger) {
    ledger.add_work();
    let mut asking = tokio::time::interval(ASKING);
    while !ledger.is_done() {
        let callback = tokio::select! {
            callback = framework.recording.next() => callback,
            _ = asking.tick() => {
                ledger.ask(framework).await;
                continue;
            }
        };
        match callback {
            Callback::Offers(offers) => {
                for offer in offers {
                    if is_roomy(&offer) {
                        ledger.launch(framework, offer).await;
                    } else {
                        framework.decline(&[offer], refuse(0.1)).await;
                    }
                }
            }
            Callback::Status(status) => ledger.note(&status),
            Callback::Error(error) => panic!("the driver ended: {error}"),
            _ => {}
        }
    }
}

async fn survives(start: impl FnOnce(&LocalCluster) -> Chaos) {
    survives_on(cluster().await, start).await;
}

async fn survives_on(cluster: LocalCluster, start: impl FnOnce(&LocalCluster) -> Chaos) {
    let mut info = info("chaos");
    info.checkpoint = Some(true);
    let settings = |builder: SchedulerDriverBuilder| builder.backoff(SOON);
    let address = cluster.master_string();
    let mut framework = Framework::register_with(&address, info, settings).await;
    let chaos = start(&cluster);
    let mut ledger = Ledger::default();
    while chaos.faults() < FAULTS {
        let done = tokio::time::timeout(3 * PATIENCE, work(&mut framework, &mut ledger)).await;
        done.unwrap_or_else(|_| panic!("{chaos}: {}", cluster.state()));
    }
    println!("{chaos}, {} tries", ledger.tries);
    chaos.stop().await;
    // An agent forgets a task when its terminal update has been acknowledged.
    let settled = cluster.until(PATIENCE, |state| state.tasks.is_empty());
    settled.await.unwrap();
    assert_eq!(
        framework.handle.framework_id(),
        Some(framework.id.clone()),
        "the framework is the same"
    );
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_framework_does_all_its_work_under_chaos_of_one_seed() {
    survives(|cluster| cluster.chaos(1)).await;
}

#[tokio::test]
async fn a_framework_does_all_its_work_under_chaos_of_another_seed() {
    survives(|cluster| cluster.chaos(0xC0FF_EE00)).await;
}

#[tokio::test]
async fn a_framework_does_all_its_work_under_chaos_of_any_seed() {
    survives(LocalCluster::chaos_random).await;
}

#[tokio::test]
async fn a_framework_does_all_its_work_under_quick_faults_of_the_wire() {
    let options = ChaosOptions::new(3)
        .faults(&[
            ChaosFault::DisconnectInRecord,
            ChaosFault::DisconnectAfter,
            ChaosFault::LoseAnswer,
            ChaosFault::DuplicateUpdate,
            ChaosFault::Split,
            ChaosFault::Delay,
            ChaosFault::LoseExecutorAnswer,
        ])
        .interval(Duration::from_millis(80));
    survives(|cluster| cluster.chaos_with(options)).await;
}

#[tokio::test]
async fn a_framework_does_all_its_work_while_masters_agents_and_executors_die() {
    let options = ChaosOptions::new(11)
        .faults(&ChaosFault::LIVES)
        .interval(Duration::from_millis(300))
        .duration(Duration::from_millis(200));
    let cluster = cluster_of(2).await;
    survives_on(cluster, |cluster| cluster.chaos_with(options)).await;
}

/// Deaths and partitions that last until the end of the chaos.
fn lasting_deaths() -> ChaosOptions {
    ChaosOptions::new(6)
        .faults(&[
            ChaosFault::KillMaster,
            ChaosFault::KillAgent,
            ChaosFault::KillAgent,
            ChaosFault::PartitionAgent,
        ])
        .interval(Duration::from_millis(20))
        .duration(Duration::from_secs(3600))
}

fn is_dead(state: &ClusterState) -> bool {
    !state.is_master_alive && state.agents.iter().all(|agent| !agent.is_alive)
}

fn is_whole(state: &ClusterState) -> bool {
    let masters = state.masters.iter().all(|master| master.is_alive);
    let agents = state.agents.iter();
    masters && state.is_master_alive && agents.clone().all(|agent| agent.is_connected)
}

#[tokio::test]
async fn whom_chaos_has_killed_is_alive_when_it_has_stopped() {
    let cluster = cluster_of(1).await;
    let chaos = cluster.chaos_with(lasting_deaths());
    cluster.until(PATIENCE, is_dead).await.unwrap();
    chaos.stop().await;
    let state = cluster.state();
    assert!(
        state.masters.iter().all(|master| master.is_alive),
        "{state}"
    );
    assert!(state.agents.iter().all(|agent| agent.is_alive), "{state}");
    cluster.until(PATIENCE, is_whole).await.unwrap();
    cluster.shutdown().await;
}

#[tokio::test]
async fn whom_chaos_has_killed_comes_back_when_its_guard_is_dropped() {
    let cluster = cluster_of(1).await;
    let chaos = cluster.chaos_with(lasting_deaths());
    cluster.until(PATIENCE, is_dead).await.unwrap();
    drop(chaos);
    cluster.until(PATIENCE, is_whole).await.unwrap();
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_was_said_during_a_partition_arrives_when_chaos_ends() {
    let cluster = cluster_of(1).await;
    let mut framework = Framework::register(&cluster.master_address(), info("cut-off")).await;
    let offer = framework.offer().await;
    let own = task("late", FINISH, &offer);
    let options = ChaosOptions::new(2)
        .faults(&[ChaosFault::PartitionAgent])
        .interval(Duration::from_millis(5))
        .duration(Duration::from_secs(3600));
    let chaos = cluster.chaos_with(options);
    // Both agents are met by then.
    let met = async {
        while chaos.faults() < 30 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, met).await.unwrap();
    framework.launch(offer, vec![own.clone()]).await;
    assert_eq!(
        framework.reconciled(&own.task_id).await.state(),
        TaskState::TaskStaging
    );
    drop(chaos);
    framework
        .comes_to(&own.task_id, TaskState::TaskFinished)
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn chaos_ends_with_its_guard_and_undoes_its_faults() {
    let cluster = cluster().await;
    let options = ChaosOptions::new(5)
        .faults(&[ChaosFault::Stall, ChaosFault::RefuseCall])
        .interval(Duration::from_millis(10))
        .duration(Duration::from_secs(3600));
    let chaos = cluster.chaos_with(options);
    assert_eq!(chaos.seed(), 5);
    assert!(chaos.to_string().starts_with("chaos from seed 5, "));
    let begun = async {
        while chaos.faults() < 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, begun).await.unwrap();
    chaos.stop().await;
    // Neither is its SUBSCRIBE refused, nor its stream stalled.
    let framework = Framework::register(&cluster.master_address(), info("after")).await;
    framework.teardown().await;
    cluster.shutdown().await;
}
