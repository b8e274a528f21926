//! The default executor: runs task groups, each task in a sandbox of its own below the executor's.
//!
//! Its tasks are child processes; Mesos's own has its agent run them, as nested containers.
//!
//! Source: `src/launcher/default_executor.cpp` of Apache Mesos 1.11.0.

mod container;
mod volumes;

use std::collections::BTreeMap;
use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use container::{Container, Ended, Outside, Started};

use super::kill::{DEFAULT_GRACE_PERIOD, grace_period};
use super::process::Place;
use super::relay::{Launch, Order};
use crate::executor::ExecutorHandle;
use crate::proto::{KillPolicy, TaskId, TaskState};

/// Waits for task groups and runs them, until none is left or the executor is to shut down.
pub(super) async fn run(
    place: Place,
    mut orders: mpsc::Receiver<Order>,
    driver: ExecutorHandle,
    end: CancellationToken,
) {
    let mut groups = Groups::new(place, &driver, &end);
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(order) => groups.obey(order).await,
                // The driver has ended: so will everything else.
                None => end.cancelled().await,
            },
            happening = groups.happening() => match happening {
                Happening::Launched(started) => groups.launched(started).await,
                Happening::Ended(ended) => groups.ended(ended),
                Happening::Settled => break,
            },
            () = end.cancelled() => {}
        }
        if end.is_cancelled() {
            // All containers end by it, too; those that are being launched, with this function.
            while groups.containers.next().await.is_some() {}
            return;
        }
    }
    driver.stop();
}

/// What the executor knows of a task until it has ended.
#[derive(Debug)]
struct Live {
    /// The same number for all tasks of a group.
    group: u64,
    policy: Option<KillPolicy>,
    /// Takes one grace period: what is being killed cannot be killed once more. None before it has been launched.
    kill: Option<mpsc::Sender<Duration>>,
}

impl Live {
    /// Whoever is being killed already, or is not there yet, is left alone.
    fn kill(&self, grace: Duration) {
        if let Some(kill) = &self.kill {
            let _ = kill.try_send(grace);
        }
    }
}

/// All task groups.
struct Groups<'a> {
    place: Arc<Place>,
    driver: &'a ExecutorHandle,
    end: &'a CancellationToken,
    live: BTreeMap<TaskId, Live>,
    /// Groups whose sandboxes are being made.
    launching: FuturesUnordered<BoxFuture<'static, Vec<Started>>>,
    containers: FuturesUnordered<BoxFuture<'static, Ended>>,
    next_group: u64,
    is_shutting_down: bool,
    /// Whether any task ever was: the last statuses of all that end from then on say so.
    is_unhealthy: Arc<AtomicBool>,
    /// Completes when the agent has the last update of the task that ended last. A group that comes before is run.
    last: Option<BoxFuture<'static, ()>>,
}

enum Happening {
    /// All tasks of a group, or why not.
    Launched(Vec<Started>),
    Ended(Ended),
    /// No task is left, and the agent knows it.
    Settled,
}

impl<'a> Groups<'a> {
    fn new(place: Place, driver: &'a ExecutorHandle, end: &'a CancellationToken) -> Self {
        Self {
            place: Arc::new(place),
            driver,
            end,
            live: BTreeMap::new(),
            launching: FuturesUnordered::new(),
            containers: FuturesUnordered::new(),
            next_group: 0,
            is_shutting_down: false,
            is_unhealthy: Arc::default(),
            last: None,
        }
    }

    /// Dropped before it completes, nothing is lost.
    async fn happening(&mut self) -> Happening {
        tokio::select! {
            Some(started) = self.launching.next() => return Happening::Launched(started),
            Some(ended) = self.containers.next() => return Happening::Ended(ended),
            else => {}
        }
        match &mut self.last {
            Some(last) => last.await,
            None => pending().await,
        }
        Happening::Settled
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::LaunchGroup(group) if !self.is_shutting_down => self.launch(group).await,
            Order::LaunchGroup(_) => tracing::debug!("group ignored: shutting down"),
            Order::Kill(task_id, policy) => self.kill(&task_id, policy),
            // Single tasks are not for this executor, and end it.
            Order::Launch(_) | Order::Shutdown => self.shut_down(),
        }
    }

    /// Orders go on meanwhile.
    async fn launch(&mut self, group: Vec<Launch>) {
        let number = self.next_group;
        self.next_group += 1;
        let mut containers = Vec::with_capacity(group.len());
        for launch in group {
            let container = Container::announce(launch, &self.place, self.driver).await;
            let task = container.task();
            let live = Live {
                group: number,
                policy: task.kill_policy,
                kill: None,
            };
            self.live.insert(task.task_id.clone(), live);
            let place = Arc::clone(&self.place);
            containers.push(container.start(place, Arc::clone(&self.is_unhealthy)));
        }
        self.launching.push(Box::pin(join_all(containers)));
    }

    async fn launched(&mut self, group: Vec<Started>) {
        for mut container in group {
            let Some(live) = self.live.get_mut(container.task_id()) else {
                continue;
            };
            let (kill, kills) = mpsc::channel(1);
            live.kill = Some(kill);
            if self.is_shutting_down {
                live.kill(DEFAULT_GRACE_PERIOD);
            } else {
                container.tell_running().await;
            }
            let outside = Outside {
                kills,
                end: self.end.clone(),
            };
            self.containers.push(Box::pin(container.live(outside)));
        }
    }

    /// Whoever is being launched or killed already, or not here any more, is left alone.
    fn kill(&self, task_id: &TaskId, policy: Option<KillPolicy>) {
        if let Some(live) = self.live.get(task_id).filter(|_| !self.is_shutting_down) {
            live.kill(grace_period(policy, live.policy));
        }
    }

    /// Without a look at the tasks' own kill policies.
    fn kill_all<'b>(tasks: impl Iterator<Item = &'b Live>) {
        for live in tasks {
            live.kill(DEFAULT_GRACE_PERIOD);
        }
    }

    fn shut_down(&mut self) {
        self.is_shutting_down = true;
        Self::kill_all(self.live.values());
        if self.live.is_empty() && self.last.is_none() {
            self.last = Some(Box::pin(ready(())));
        }
    }

    /// A task that failed or was killed takes the rest of its group along.
    fn ended(&mut self, ended: Ended) {
        let group = self.live.remove(&ended.task_id).map(|live| live.group);
        let failed = matches!(ended.state, TaskState::TaskFailed | TaskState::TaskKilled);
        if failed && !self.is_shutting_down {
            let rest = self.live.values();
            Self::kill_all(rest.filter(|live| Some(live.group) == group));
        }
        self.last = Some(ended.told);
    }
}
