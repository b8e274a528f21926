//! The one place where state is locked, and the task that keeps its time.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::agent::{Agent, Chore, Launch, containers, disk};
use super::config::Config;
use super::listeners::Listeners;
use super::world::World;

/// What all tasks of a cluster share. The work directory goes when the last of them is gone.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) config: Arc<Config>,
    pub(super) listeners: Listeners,
    world: Mutex<World>,
    /// Rung when something became due earlier than the clock's task knows.
    wake: Notify,
    /// Rung after every change of the state.
    pub(super) changed: watch::Sender<()>,
    /// The end of the cluster.
    pub(super) stop: CancellationToken,
    /// Connections, clocks and containers.
    pub(super) tasks: TaskTracker,
    /// Removed at the end, if it is ours.
    temporary: Option<PathBuf>,
}

impl Core {
    pub(super) fn new(
        config: Arc<Config>,
        world: World,
        listeners: Listeners,
        is_temporary: bool,
    ) -> Arc<Self> {
        let temporary = is_temporary.then(|| config.work_directory.clone());
        Arc::new(Self {
            config,
            listeners,
            world: Mutex::new(world),
            wake: Notify::new(),
            changed: watch::Sender::new(()),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            temporary,
        })
    }

    /// Changes the state, and then does what follows from it.
    pub(super) fn run<R>(self: &Arc<Self>, change: impl FnOnce(&mut World) -> R) -> R {
        let (result, launches, is_sooner) = {
            let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
            let before = world.next_deadline();
            world.set_now(Instant::now());
            self.config.wire.gate().change();
            let result = change(&mut world);
            let launches = settle(&mut world);
            let after = world.next_deadline();
            let is_sooner = after.is_some() && before.is_none_or(|before| after < Some(before));
            (result, launches, is_sooner)
        };
        for launch in launches {
            containers::start(self, launch);
        }
        if is_sooner {
            self.wake.notify_one();
        }
        self.changed.send_replace(());
        result
    }

    /// Ends the cluster. What a later one is to recover is as if all machines had gone down now.
    pub(super) fn end(self: &Arc<Self>) {
        if self.temporary.is_none() {
            self.run(World::freeze);
        }
        self.stop.cancel();
    }

    /// Waits until no agent waits for the executors of the one before.
    pub(super) async fn agents_recovered(&self) {
        let mut changed = self.changed.subscribe();
        while self.look(|world| world.agents.iter().any(Agent::is_recovering)) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// Looks at the state.
    pub(super) fn look<R>(&self, at: impl FnOnce(&World) -> R) -> R {
        at(&self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Starts the task that does what is due, until the cluster ends.
    pub(super) fn keep_time(self: &Arc<Self>) {
        let core = Arc::clone(self);
        self.tasks.spawn(async move {
            let stop = core.stop.clone();
            stop.run_until_cancelled(core.tick_for_ever()).await;
        });
    }

    async fn tick_for_ever(self: &Arc<Self>) {
        loop {
            let next = self.run(|world| {
                let config = &self.config;
                world.tick_masters(
                    Instant::now(),
                    config.registration_backoff,
                    config.timeouts.master_recovery,
                );
                world.tick();
                world.next_deadline()
            });
            match next {
                Some(at) => {
                    tokio::select! {
                        () = sleep_until(at) => {}
                        () = self.wake.notified() => {}
                    }
                }
                None => self.wake.notified().await,
            }
        }
    }
}

/// Has everything follow that follows from a change: the processes to start.
///
/// What has to be done to the disk is done here and now, so that it is done in order, and nobody sees what is half done.
fn settle(world: &mut World) -> Vec<Launch> {
    let mut launches = world.settle();
    loop {
        let chores = world.take_chores();
        if chores.is_empty() {
            return launches;
        }
        for Chore { agent, work, next } in chores {
            disk::carry_out(&work);
            if let Some(agent) = world.agents.get_mut(agent) {
                agent.chore_done(next);
            }
        }
        launches.extend(world.settle());
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let Some(directory) = &self.temporary else {
            return;
        };
        if let Err(error) = std::fs::remove_dir_all(directory)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, directory = %directory.display(), "work directory not removed");
        }
    }
}
