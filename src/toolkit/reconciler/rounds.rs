//! One round after another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::{ReconcilerProgress, TaskSource};
use crate::backoff::{Backoff, Delays, spread};
use crate::driver::{ConnectionState, Outcome};
use crate::error::{Error, ErrorKind, Result};
use crate::proto::{AgentId, TaskId};
use crate::scheduler::SchedulerHandle;

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) backoff: Backoff,
    pub(super) interval: Duration,
    pub(super) tasks_per_call: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
            interval: Duration::from_secs(15 * 60),
            tasks_per_call: 1_000,
        }
    }
}

/// What the reconciler and its task share.
pub(super) struct Shared {
    /// None once nobody has the reconciler any more.
    source: Mutex<Option<Arc<dyn TaskSource>>>,
    settings: Settings,
    /// Those of the round that are not answered yet.
    unanswered: Mutex<BTreeMap<TaskId, Option<AgentId>>>,
    /// The last of them was answered.
    answered: Notify,
    view: watch::Sender<View>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct View {
    progress: ReconcilerProgress,
    is_subscribed: bool,
    has_ended: bool,
    /// Counts the reasons to begin a round, and the losses of a subscription.
    turn: u64,
    /// Counts the drivers.
    epoch: u64,
}

/// The driver has ended: no further question can be asked.
struct Over;

impl Shared {
    pub(super) fn new(source: Arc<dyn TaskSource>, settings: Settings) -> Self {
        Self {
            source: Mutex::new(Some(source)),
            settings,
            unanswered: Mutex::new(BTreeMap::new()),
            answered: Notify::new(),
            view: watch::Sender::new(View::default()),
        }
    }

    pub(super) fn progress(&self) -> ReconcilerProgress {
        self.view.borrow().progress
    }

    pub(super) async fn settled(&self) -> Result<()> {
        let mut view = self.view.subscribe();
        let reached = view.wait_for(|view| view.has_ended || view.progress.is_settled);
        // The sender is here.
        let has_ended = reached.await.is_ok_and(|view| view.has_ended);
        match has_ended {
            true => Err(Error::new(ErrorKind::NotRunning, "driver ended")),
            false => Ok(()),
        }
    }

    /// Another driver has its first subscription; answers its number.
    pub(super) fn registered(&self) -> u64 {
        self.turn(|view| {
            view.is_subscribed = true;
            view.has_ended = false;
            view.epoch += 1;
        });
        self.epoch()
    }

    pub(super) fn subscribed(&self) {
        self.turn(|view| view.is_subscribed = true);
    }

    pub(super) fn unsubscribed(&self) {
        self.turn(|view| view.is_subscribed = false);
    }

    pub(super) fn begin_anew(&self) {
        self.turn(|_| {});
    }

    pub(super) fn epoch(&self) -> u64 {
        self.view.borrow().epoch
    }

    /// The driver of that number has ended.
    pub(super) fn ended(&self, epoch: u64) {
        if self.epoch() == epoch {
            self.turn(|view| {
                view.is_subscribed = false;
                view.has_ended = true;
            });
        }
    }

    /// What was settled is not any more.
    fn turn(&self, change: impl FnOnce(&mut View)) {
        self.view.send_modify(|view| {
            change(view);
            view.turn += 1;
            view.progress.is_settled = false;
        });
    }

    /// A status of a task has come.
    pub(super) fn told(&self, task_id: &TaskId) {
        let left = {
            let mut unanswered = self.lock();
            if unanswered.remove(task_id).is_none() {
                return;
            }
            unanswered.len()
        };
        self.note(|progress| progress.unanswered = left);
        if left == 0 {
            self.answered.notify_one();
        }
    }

    fn note(&self, change: impl FnOnce(&mut ReconcilerProgress)) {
        self.view.send_modify(|view| change(&mut view.progress));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TaskId, Option<AgentId>>> {
        self.unanswered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the source go, before the task has ended that would ask it.
    pub(super) fn let_go(&self) {
        self.source().take();
    }

    fn source(&self) -> MutexGuard<'_, Option<Arc<dyn TaskSource>>> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listed(&self) -> BTreeMap<TaskId, Option<AgentId>> {
        let source = self.source().clone();
        let tasks = source.map(|source| source.unsettled());
        tasks.into_iter().flatten().collect()
    }

    fn begin(&self) {
        let tasks = self.listed();
        let asked = tasks.len();
        *self.lock() = tasks;
        self.note(|progress| {
            progress.asked = asked;
            progress.unanswered = asked;
            progress.attempts = 0;
        });
    }

    /// The tasks to ask for: those without an answer that have not ended or been forgotten meanwhile.
    fn to_ask(&self) -> Vec<(TaskId, Option<AgentId>)> {
        let listed = self.listed();
        let mut unanswered = self.lock();
        unanswered.retain(|task_id, _| listed.contains_key(task_id));
        for (task_id, agent_id) in unanswered.iter_mut() {
            if let Some(known) = listed.get(task_id) {
                agent_id.clone_from(known);
            }
        }
        let left = unanswered.len();
        let tasks = unanswered.clone();
        drop(unanswered);
        self.note(|progress| progress.unanswered = left);
        tasks.into_iter().collect()
    }
}

/// Works until the driver has ended, or another one has taken its place.
pub(super) async fn run(shared: Arc<Shared>, driver: SchedulerHandle, epoch: u64) {
    let mut connection = driver.watch_connection();
    tokio::select! {
        _ = connection.until(|now| now.state == ConnectionState::Closed) => {}
        () = turns(&shared, &driver) => {}
    }
    shared.ended(epoch);
}

/// A round at each turn, and now and then after it.
async fn turns(shared: &Shared, driver: &SchedulerHandle) {
    let mut view = shared.view.subscribe();
    loop {
        let now = *view.borrow_and_update();
        let work = async {
            if now.is_subscribed {
                let Over = rounds(shared, driver).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            next = view.wait_for(|view| view.turn != now.turn) => if next.is_err() { return },
            () = work => {}
        }
    }
}

async fn rounds(shared: &Shared, driver: &SchedulerHandle) -> Over {
    loop {
        if let Err(over) = round(shared, driver).await {
            return over;
        }
        shared.note(|progress| {
            progress.is_settled = true;
            progress.rounds += 1;
        });
        tracing::debug!(tasks = shared.progress().asked, "tasks reconciled");
        tokio::time::sleep(spread(shared.settings.interval)).await;
    }
}

async fn round(shared: &Shared, driver: &SchedulerHandle) -> Result<(), Over> {
    shared.begin();
    let mut delays = Delays::half_random(shared.settings.backoff);
    loop {
        let tasks = shared.to_ask();
        let wait = delays.next().unwrap_or_default();
        if tasks.is_empty() {
            match ask(driver, Vec::new()).await? {
                Asked::Yes => return Ok(()),
                Asked::No => tokio::time::sleep(wait).await,
            }
            continue;
        }
        shared.note(|progress| progress.attempts += 1);
        for some in tasks.chunks(shared.settings.tasks_per_call) {
            if let Asked::No = ask(driver, some.to_vec()).await? {
                break;
            }
        }
        // Those without an answer are asked for again when it is over.
        let _ = tokio::time::timeout(wait, all_answered(shared)).await;
    }
}

async fn all_answered(shared: &Shared) {
    while !shared.lock().is_empty() {
        shared.answered.notified().await;
    }
}

enum Asked {
    Yes,
    /// It is to be asked again, later.
    No,
}

async fn ask(
    driver: &SchedulerHandle,
    tasks: Vec<(TaskId, Option<AgentId>)>,
) -> Result<Asked, Over> {
    let receipt = match driver.reconcile_tasks(tasks).await {
        Ok(receipt) => receipt,
        Err(error) if error.kind() == ErrorKind::NotRunning => return Err(Over),
        Err(error) => {
            tracing::debug!(%error, "RECONCILE not queued");
            return Ok(Asked::No);
        }
    };
    match receipt.outcome().await {
        Outcome::Accepted => return Ok(Asked::Yes),
        Outcome::Refused { status, message } => {
            tracing::warn!(status, message, "RECONCILE refused");
        }
        Outcome::NotSent(error) | Outcome::Unknown(error) => {
            tracing::debug!(%error, "RECONCILE has no answer");
        }
    }
    Ok(Asked::No)
}
