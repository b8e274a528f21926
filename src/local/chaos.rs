//! [`Chaos`]: faults at random, from a seed.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::chaos_fault::ChaosFault;
use super::chaos_make::{Broken, Dead, make, mend, revive};
use super::chaos_plan::Plan;
use super::cluster::LocalCluster;
use super::core::Core;

/// Which faults [`LocalCluster::chaos_with`] makes, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ChaosOptions {
    pub(super) seed: u64,
    pub(super) faults: Vec<ChaosFault>,
    pub(super) interval: Duration,
    pub(super) duration: Duration,
}

impl ChaosOptions {
    /// All kinds of faults, each as likely, at most every 200 ms; those that last do so for at most 200 ms.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            faults: ChaosFault::ALL.to_vec(),
            interval: Duration::from_millis(200),
            duration: Duration::from_millis(200),
        }
    }

    /// Sets which kinds of faults there are. One that is named twice is twice as likely; none at all makes no chaos.
    pub fn faults(mut self, faults: &[ChaosFault]) -> Self {
        self.faults = faults.to_vec();
        self
    }

    /// Takes one kind of fault out.
    pub fn without(mut self, fault: ChaosFault) -> Self {
        self.faults.retain(|known| *known != fault);
        self
    }

    /// Sets the longest time from one fault to the next: default 200 ms, at least 1 ms. The shortest is a tenth of it.
    pub fn interval(mut self, longest: Duration) -> Self {
        self.interval = longest.max(Duration::from_millis(1));
        self
    }

    /// Sets how long a fault lasts at most, of those that last: default 200 ms. The shortest time is a tenth of it.
    pub fn duration(mut self, longest: Duration) -> Self {
        self.duration = longest;
        self
    }
}

/// Random faults while it lives; made by [`LocalCluster::chaos`].
///
/// The same seed and options give the same faults in the same order with the same waits between them, in the same version
/// of this crate. Which connection one of them meets also depends on who is connected at that moment.
///
/// Dropped, or ended with the cluster, it undoes everything as [`LocalCluster::clear_faults`] does, and whatever it killed
/// is started again; the latter takes a moment, which [`stop`](Self::stop) waits for. `Display` tells the seed and how many
/// faults there were.
#[derive(Debug)]
#[must_use = "chaos ends when this is dropped"]
pub struct Chaos {
    seed: u64,
    core: Weak<Core>,
    runtime: Handle,
    stop: CancellationToken,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Held while a fault is made, so that none is made after the end.
    is_active: Mutex<bool>,
    count: AtomicU64,
    dead: Dead,
}

impl Shared {
    fn is_active(&self) -> MutexGuard<'_, bool> {
        self.is_active
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl LocalCluster {
    /// Makes faults at random until the guard is dropped: the defaults of [`ChaosOptions`], from this seed.
    pub fn chaos(&self, seed: u64) -> Chaos {
        self.chaos_with(ChaosOptions::new(seed))
    }

    /// The same from a random seed, which is printed so that a run can be repeated.
    pub fn chaos_random(&self) -> Chaos {
        self.chaos(fastrand::u64(..))
    }

    /// Makes faults at random until the guard is dropped, as `options` have it.
    ///
    /// The seed is printed to the standard output, and told to `tracing`.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn chaos_with(&self, options: ChaosOptions) -> Chaos {
        let chaos = Chaos {
            seed: options.seed,
            core: Arc::downgrade(&self.core),
            runtime: Handle::current(),
            stop: self.core.stop.child_token(),
            shared: Arc::new(Shared {
                is_active: Mutex::new(true),
                count: AtomicU64::new(0),
                dead: Dead::default(),
            }),
        };
        println!("{chaos}");
        tracing::info!(seed = options.seed, "chaos begins");
        let run = run(Arc::clone(&self.core), options, Arc::clone(&chaos.shared));
        let stop = chaos.stop.clone();
        self.core.tasks.spawn(stop.run_until_cancelled_owned(run));
        chaos
    }
}

impl Chaos {
    /// What the same chaos can be made from again.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How many faults there were so far, counting those that met nobody.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.shared.count.load(Ordering::SeqCst)
    }

    /// Ends it, as dropping it does. When this returns, all that it killed has been started again.
    ///
    /// # Cancel safety
    /// Dropped before it completes, the rest happens in the background.
    pub async fn stop(mut self) {
        if let Some(revived) = self.end()
            && let Err(error) = revived.await
        {
            tracing::warn!(%error, "chaos: not everything was started again");
        }
    }

    /// Makes no more faults, and undoes those there are; completes when everybody is alive. None if that was done before.
    fn end(&mut self) -> Option<JoinHandle<Option<()>>> {
        let mut is_active = self.shared.is_active();
        if !std::mem::take(&mut *is_active) {
            return None;
        }
        self.stop.cancel();
        let core = self.core.upgrade()?;
        core.clear_faults();
        tracing::info!(seed = self.seed, faults = self.faults(), "chaos ends");
        let (own, shared) = (Arc::clone(&core), Arc::clone(&self.shared));
        let revive = async move { shared.dead.revive(&own).await };
        let revive = core.stop.clone().run_until_cancelled_owned(revive);
        Some(core.tasks.spawn_on(revive, &self.runtime))
    }
}

impl fmt::Display for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "chaos from seed {}, {} faults so far",
            self.seed,
            self.faults()
        )
    }
}

impl Drop for Chaos {
    fn drop(&mut self) {
        // It goes on without being waited for.
        let _ = self.end();
    }
}

/// One step after the other; those that last overlap with the next ones.
async fn run(core: Arc<Core>, options: ChaosOptions, shared: Arc<Shared>) {
    let mut ends: Vec<(Instant, Broken)> = Vec::new();
    let mut next = Instant::now();
    for step in Plan::new(&options) {
        next += step.wait;
        ends.sort_unstable();
        while ends.first().is_some_and(|(end, _)| *end <= next) {
            let (end, broken) = ends.remove(0);
            sleep_until(end).await;
            if broken.is_death() {
                revive(&core, &shared.dead, broken).await;
            } else if ends.iter().all(|(_, other)| *other != broken) && *shared.is_active() {
                // What the same fault has done once more is undone with that.
                mend(&core, broken);
            }
        }
        sleep_until(next).await;
        let is_active = shared.is_active();
        if !*is_active {
            return;
        }
        tracing::debug!(?step, "chaos");
        shared.count.fetch_add(1, Ordering::SeqCst);
        if let Some(broken) = make(&core, &step, &shared.dead) {
            ends.push((next + step.duration, broken));
        }
    }
}
