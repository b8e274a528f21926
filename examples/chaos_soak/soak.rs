//! A framework under way, behind a proxy.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mesos_framework::proto::scheduler::Call;
use mesos_framework::proto::scheduler::call::Type;
use mesos_framework::proto::{CommandInfo, ExecutorInfo};
use mesos_framework::{SchedulerDriver, SchedulerHandle};
use tokio::task::JoinSet;

use crate::figures::Figures;
use crate::proxy::{Harm, Plan, Proxy};
use crate::scheduler::{Shared, Soaked, framework, scalar};
use crate::settings::Settings;
use crate::tap::Tap;
use crate::{Options, Outcome};

/// How often the master is asked about tasks that have no end, and how old these are.
const ASKING: Duration = Duration::from_secs(1);

/// How long tasks may take to end while nothing strikes any more.
const SETTLING: Duration = Duration::from_secs(90);

/// After this, a connection that hangs goes on, even if it was left alone for longer than its bound.
const LONGEST_HANG: Duration = Duration::from_secs(45);

/// The framework, the proxy in front of its master, and what watches it.
pub struct Soak {
    shared: Shared,
    driver: SchedulerDriver,
    handle: SchedulerHandle,
    pub harm: Arc<Harm>,
    settings: Settings,
    _proxy: Proxy,
    _watch: JoinSet<()>,
    tasks: usize,
    begun: Instant,
}

impl Soak {
    /// The harm has begun.
    pub async fn start(
        options: &Options,
        settings: Settings,
        master: &str,
        command: &str,
        seed: u64,
        shared: &Shared,
    ) -> Outcome<Self> {
        let harm = Arc::new(Harm::default());
        let plan = Plan {
            target: master.to_owned(),
            seed,
            longest_hang: LONGEST_HANG,
            is_garbling_calls: true,
        };
        let seen = shared.clone();
        let proxy = Proxy::start(plan, Arc::clone(&harm), move || sees(seen.clone())).await?;
        let scheduler = Soaked {
            shared: shared.clone(),
            executor: executor(command),
            tasks: options.tasks,
            launched: 0,
            prefix: format!("t{seed}"),
            settings,
        };
        let address = proxy.address.to_string();
        let builder = SchedulerDriver::builder(scheduler, framework(seed), &address);
        let mut driver = settings.apply(builder).build()?;
        let mut watch = JoinSet::new();
        watch.spawn(watches(driver.handle(), shared.clone()));
        harm.begin();
        driver.start()?;
        Ok(Self {
            shared: shared.clone(),
            handle: driver.handle(),
            driver,
            harm,
            settings,
            _proxy: proxy,
            _watch: watch,
            tasks: options.tasks,
            begun: Instant::now(),
        })
    }

    /// Until every task has been launched, and what is lost has been asked for meanwhile.
    pub async fn until_launched(&self) {
        let mut asking = tokio::time::interval(ASKING);
        loop {
            asking.tick().await;
            self.ask().await;
            let ledger = self.shared.ledger();
            if ledger.counts.tasks >= self.tasks || !ledger.violations.is_empty() {
                return;
            }
        }
    }

    async fn ask(&self) {
        let doubtful = self.shared.ledger().doubtful(2 * ASKING);
        if !doubtful.is_empty() {
            // Disconnected: asked again later.
            let _ = self.handle.reconcile_tasks(doubtful).await;
        }
    }

    /// Nothing strikes any more: every task comes to its end, or it was none; and of those that were none, or ended for
    /// the master alone, the master says so once more.
    pub async fn settle(&self) {
        let until = Instant::now() + SETTLING;
        let mut asking = tokio::time::interval(ASKING);
        while self.shared.ledger().open() > 0 && Instant::now() < until {
            asking.tick().await;
            self.ask().await;
            self.shared.ledger().give_up_unknown();
        }
        let until = Instant::now() + SETTLING;
        self.shared.ledger().ask_again();
        let mut unanswered = self.shared.ledger().unanswered();
        while !unanswered.is_empty() && Instant::now() < until {
            let _ = self.handle.reconcile_tasks(unanswered).await;
            asking.tick().await;
            unanswered = self.shared.ledger().unanswered();
        }
    }

    /// What is known of the time and of the proxy.
    pub async fn end(mut self) -> Figures {
        self.handle.stop();
        let joined = self.driver.join().await;
        let mut ledger = self.shared.ledger();
        if ledger.open() > 0 {
            let (count, which) = (ledger.open(), ledger.describe_open());
            ledger.wrong(format!("{count} tasks have no end: {which}"));
        }
        let unanswered = ledger.unanswered();
        if !unanswered.is_empty() {
            ledger.wrong(format!("the master does not answer about {unanswered:?}"));
        }
        if let Err(error) = joined {
            ledger.wrong(format!("the driver ended with {error}"));
        }
        let mut figures = Figures::new(self.settings.bounds());
        figures.seconds = self.begun.elapsed().as_secs_f64();
        figures.proxied = self.harm.faults();
        figures.left_streams = self.harm.left_streams();
        figures.left_calls = self.harm.left_calls();
        figures
    }
}

fn executor(command: &str) -> ExecutorInfo {
    ExecutorInfo {
        executor_id: "soak".into(),
        command: Some(CommandInfo {
            value: Some(command.to_owned()),
            ..CommandInfo::default()
        }),
        resources: vec![scalar("cpus", 0.1), scalar("mem", 32.0)],
        ..ExecutorInfo::default()
    }
}

/// Shows the ledger every call of a connection.
fn sees(shared: Shared) -> impl FnMut(&[u8]) -> bool + Send + 'static {
    let mut tap = Tap::<Call>::default();
    move |piece| match tap.read(piece) {
        Ok(calls) => {
            let mut ledger = shared.ledger();
            for call in &calls {
                ledger.sends(call);
            }
            calls.iter().any(|call| call.r#type() == Type::Subscribe)
        }
        Err(error) => {
            shared
                .ledger()
                .wrong(format!("the driver sent what is no call: {error}"));
            false
        }
    }
}

/// Tells the ledger how it stands with the subscription.
async fn watches(handle: SchedulerHandle, shared: Shared) {
    let mut watch = handle.watch_connection();
    loop {
        let connection = watch.changed().await;
        shared.ledger().outages.note(&connection);
        if connection.state == mesos_framework::ConnectionState::Closed {
            return;
        }
    }
}
