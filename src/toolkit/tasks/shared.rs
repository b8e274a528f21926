//! What the clones of a tracker share: the tasks, and how they are changed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;

use super::record::TrackedTask;
use super::store::{TaskChange, TaskStore};
use super::table::Tasks;
use super::update::{self, Effect};
use crate::error::Result;
use crate::proto::{AgentId, FrameworkId, TaskId, TaskState, TaskStatus, task_status};

/// The tasks. What is in memory is never ahead of the store, but for what need not last.
pub(super) struct Shared {
    store: Arc<dyn TaskStore>,
    /// How many ended tasks are kept.
    retained: usize,
    state: Mutex<State>,
    /// Held from the decision for a change until it is made, so that changes are stored in their order.
    order: tokio::sync::Mutex<()>,
    /// Counts changes.
    version: watch::Sender<u64>,
}

struct State {
    tasks: Tasks,
    /// Stored, and their launch is not queued yet: the master must not be asked for them.
    unqueued: BTreeSet<TaskId>,
}

impl Shared {
    pub(super) fn new(
        store: Arc<dyn TaskStore>,
        retained: usize,
        stored: Vec<TrackedTask>,
    ) -> Self {
        let mut tasks = Tasks::default();
        for mut task in stored {
            // Whether its launch was sent before the last process ended, nobody knows.
            task.is_unsure = task.status.is_none();
            tasks.put(task);
        }
        Self {
            store,
            retained,
            state: Mutex::new(State {
                tasks,
                unqueued: BTreeSet::new(),
            }),
            order: tokio::sync::Mutex::new(()),
            version: watch::Sender::new(0),
        }
    }

    pub(super) fn inspect<T>(&self, look: impl FnOnce(&Tasks) -> T) -> T {
        look(&self.lock().tasks)
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    pub(super) fn unsettled(&self) -> Vec<(TaskId, Option<AgentId>)> {
        let state = self.lock();
        let open = state.tasks.iter().filter(|task| !task.is_ended());
        let queued = open.filter(|task| !state.unqueued.contains(&task.task_id));
        queued
            .map(|task| (task.task_id.clone(), task.agent_id.clone()))
            .collect()
    }

    /// A status has come.
    pub(super) async fn told(
        &self,
        framework: Option<FrameworkId>,
        status: &TaskStatus,
    ) -> Result<()> {
        let _order = self.order.lock().await;
        let effect = {
            let state = self.lock();
            let before = state.tasks.get(&status.task_id);
            update::effect(before, framework, status, SystemTime::now())
        };
        match effect {
            Effect::None => Ok(()),
            Effect::Details(task) => {
                self.commit(&[TaskChange::Put(task)]);
                Ok(())
            }
            Effect::State(task) => self.change(vec![TaskChange::Put(task)]).await,
        }
    }

    /// These are about to be launched, if `are_new` answers no objection.
    pub(super) async fn staged(
        &self,
        tasks: Vec<TrackedTask>,
        objection: impl FnOnce(&Tasks, &[TrackedTask]) -> Result<()>,
    ) -> Result<()> {
        let _order = self.order.lock().await;
        self.inspect(|tracked| objection(tracked, &tasks))?;
        let ids: Vec<_> = tasks.iter().map(|task| task.task_id.clone()).collect();
        self.lock().unqueued.extend(ids.iter().cloned());
        let stored = self
            .change(tasks.into_iter().map(TaskChange::Put).collect())
            .await;
        if stored.is_err() {
            self.queued(&ids);
        }
        stored
    }

    /// Their launch has been queued, or never will be.
    pub(super) fn queued(&self, task_ids: &[TaskId]) {
        let mut state = self.lock();
        for task_id in task_ids {
            state.unqueued.remove(task_id);
        }
    }

    /// Their launch was not queued. Nobody has heard of them.
    pub(super) async fn withdrawn(&self, task_ids: &[TaskId]) -> Result<()> {
        let _order = self.order.lock().await;
        self.queued(task_ids);
        let forget = task_ids.iter().cloned().map(TaskChange::Forget).collect();
        self.change(forget).await
    }

    /// The master has surely not launched them, unless it has told of them.
    pub(super) async fn never_launched(&self, task_ids: &[TaskId], why: &str) -> Result<()> {
        let dropped = |task: &TrackedTask| {
            // The driver has made up a status of its own for those that were not sent.
            let is_told = task
                .status
                .as_ref()
                .is_some_and(|status| status.reason() != task_status::Reason::MasterDisconnected);
            (!is_told && task.state != TaskState::TaskDropped).then_some(Settled {
                state: TaskState::TaskDropped,
                reason: None,
                message: why.to_owned(),
            })
        };
        self.settle(|tasks| {
            task_ids
                .iter()
                .filter_map(|id| tasks.get(id))
                .filter_map(|task| Some((task.clone(), dropped(task)?)))
                .collect()
        })
        .await
    }

    /// Nobody knows whether these were launched.
    pub(super) async fn unsure(&self, task_ids: &[TaskId]) {
        let _order = self.order.lock().await;
        let untold = self.inspect(|tasks| {
            let tasks = task_ids.iter().filter_map(|id| tasks.get(id));
            tasks
                .filter(|task| task.status.is_none())
                .map(|task| TrackedTask {
                    is_unsure: true,
                    ..task.clone()
                })
                .map(TaskChange::Put)
                .collect::<Vec<_>>()
        });
        // The store takes every task without a status for unsure.
        self.commit(&untold);
    }

    pub(super) async fn registered(&self, framework_id: &FrameworkId) -> Result<()> {
        self.settle(|tasks| {
            let others = tasks.iter().filter(|task| {
                let of = task.framework_id.as_ref();
                !task.is_ended() && of.is_some_and(|of| of != framework_id)
            });
            others
                .map(|task| {
                    let of = task.framework_id.as_ref().map_or("", |id| &id.value);
                    let message = format!("it is a task of framework {of}, not of {framework_id}");
                    let settled = Settled {
                        state: TaskState::TaskLost,
                        reason: None,
                        message,
                    };
                    (task.clone(), settled)
                })
                .collect()
        })
        .await
    }

    pub(super) async fn framework_removed(&self, framework_id: &FrameworkId) -> Result<()> {
        self.settle(|tasks| {
            let own = tasks.iter().filter(|task| {
                let of = task.framework_id.as_ref();
                !task.is_ended() && of.is_none_or(|of| of == framework_id)
            });
            own.map(|task| {
                let settled = Settled {
                    state: TaskState::TaskKilled,
                    reason: Some(task_status::Reason::FrameworkRemoved),
                    message: format!("framework {framework_id} was removed"),
                };
                (task.clone(), settled)
            })
            .collect()
        })
        .await
    }

    pub(super) async fn forget(&self, task_id: &TaskId) -> Result<bool> {
        let _order = self.order.lock().await;
        if self.inspect(|tasks| tasks.get(task_id).is_none()) {
            return Ok(false);
        }
        self.change(vec![TaskChange::Forget(task_id.clone())])
            .await?;
        Ok(true)
    }

    async fn settle(
        &self,
        which: impl FnOnce(&Tasks) -> Vec<(TrackedTask, Settled)>,
    ) -> Result<()> {
        let _order = self.order.lock().await;
        let now = SystemTime::now();
        let settled = self.inspect(which).into_iter().map(|(task, settled)| {
            let Settled {
                state,
                reason,
                message,
            } = settled;
            TaskChange::Put(update::settled(&task, state, reason, message, now))
        });
        self.change(settled.collect()).await
    }

    /// Stores the changes, and then makes them. To be called with `order` held.
    async fn change(&self, mut changes: Vec<TaskChange>) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        changes.extend(self.surplus(&changes));
        self.store.store(&changes).await?;
        self.commit(&changes);
        Ok(())
    }

    /// Ended tasks that are one too many then.
    fn surplus(&self, changes: &[TaskChange]) -> Vec<TaskChange> {
        let state = self.lock();
        let is_new_end = |change: &&TaskChange| match change {
            TaskChange::Put(task) => {
                let before = state.tasks.get(&task.task_id);
                task.is_ended() && !before.is_some_and(TrackedTask::is_ended)
            }
            TaskChange::Forget(_) => false,
        };
        let more = changes.iter().filter(is_new_end).count();
        let surplus = state.tasks.beyond(self.retained, more);
        surplus.into_iter().map(TaskChange::Forget).collect()
    }

    fn commit(&self, changes: &[TaskChange]) {
        if changes.is_empty() {
            return;
        }
        let mut state = self.lock();
        for change in changes {
            match change {
                TaskChange::Put(task) => state.tasks.put(task.clone()),
                TaskChange::Forget(task_id) => {
                    state.tasks.remove(task_id);
                }
            }
        }
        drop(state);
        self.version.send_modify(|version| *version += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In which state a task is settled, and why.
struct Settled {
    state: TaskState,
    reason: Option<task_status::Reason>,
    message: String,
}
