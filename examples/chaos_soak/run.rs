//! One seed, from the cluster's start to its end.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mesos_framework::ContentType;
use mesos_framework::local::{ChaosFault, ChaosOptions, LocalCluster};

use crate::Options;
use crate::faults;
use crate::figures::Figures;
use crate::marks::Marks;
use crate::probe;
use crate::scheduler::Shared;
use crate::settings::{PEAK_MB, Settings};
use crate::soak::Soak;
use crate::worker::Worker;
use crate::{Outcome, memory};

/// How long an agent may take to forget its tasks.
const SETTLING: Duration = Duration::from_secs(60);

const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(200);

/// Longer than five heartbeats.
const LONGEST_CHAOS: Duration = Duration::from_millis(1500);

/// The figures, and what is wrong.
pub async fn run(options: &Options, seed: u64) -> Outcome<(Figures, Vec<String>)> {
    fastrand::seed(seed);
    memory::reset_peak();
    let marks = Marks::new(seed)?;
    let content_type = match seed % 2 {
        0 => ContentType::Protobuf,
        _ => ContentType::Json,
    };
    let shared = Shared::default();
    let mut figures = match options.master.as_str() {
        "local" => embedded(options, seed, content_type, &marks, &shared).await?,
        master => real(options, master, seed, content_type, &marks, &shared).await?,
    };
    let marked = marks.read()?;
    for report in &marked.reports {
        figures.executors += report.faults;
        figures.executors_left_calls.add(report.left_calls);
    }
    let mut ledger = shared.ledger();
    ledger.compare(&marked);
    figures.read(&ledger);
    figures.peak_mb = memory::peak();
    let mut wrong = figures.exceeded(PEAK_MB);
    wrong.append(&mut ledger.violations);
    Ok((figures, wrong))
}

async fn embedded(
    options: &Options,
    seed: u64,
    content_type: ContentType,
    marks: &Marks,
    shared: &Shared,
) -> Outcome<Figures> {
    let folder = marks.folder().to_path_buf();
    let builder = LocalCluster::builder()
        .agents(2)
        .allocation_interval(Duration::from_millis(50))
        .heartbeat_interval(HEARTBEAT_INTERVAL)
        .update_retry_interval(Duration::from_millis(200))
        .agent_ping_timeout(Duration::from_millis(100))
        .max_agent_ping_timeouts(5)
        .executor_reregistration_timeout(Duration::from_millis(500))
        .executor("soak-worker", move || Worker {
            marks: folder.clone(),
        });
    let cluster = builder.start().await?;
    let settings = Settings::embedded(HEARTBEAT_INTERVAL, content_type);
    let address = cluster.master_address();
    let soak = Soak::start(options, settings, &address, "soak-worker", seed, shared).await?;
    // Deaths are made here, for the ledger is to know when nobody leads.
    let chaos = ChaosOptions::new(seed)
        .faults(&ChaosFault::WIRE)
        .duration(LONGEST_CHAOS);
    let chaos = cluster.chaos_with(chaos);
    let deaths = Arc::new(AtomicU64::new(0));
    tokio::select! {
        () = soak.until_launched() => {}
        () = faults::strike(&cluster, seed, &deaths, shared) => {}
    }
    let faults = chaos.faults();
    chaos.stop().await;
    soak.harm.end();
    faults::heal(&cluster, shared).await?;
    soak.settle().await;
    // An agent forgets a task when its last update has been acknowledged.
    let forgotten = cluster.until(SETTLING, |state| state.tasks.is_empty());
    if let Err(error) = forgotten.await {
        shared.ledger().wrong(format!("tasks are left: {error}"));
    }
    let mut figures = soak.end().await;
    figures.chaos = faults;
    figures.deaths = deaths.load(Ordering::Relaxed);
    cluster.shutdown().await;
    Ok(figures)
}

async fn real(
    options: &Options,
    master: &str,
    seed: u64,
    content_type: ContentType,
    marks: &Marks,
    shared: &Shared,
) -> Outcome<Figures> {
    let (own, folder) = (std::env::current_exe()?, marks.folder());
    let media_type = content_type.media_type();
    let command = format!(
        "exec '{}' --executor '{}' {seed} {media_type}",
        own.display(),
        folder.display()
    );
    let settings = Settings::real(content_type);
    let soak = Soak::start(options, settings, master, &command, seed, shared).await?;
    let work = async {
        soak.until_launched().await;
        soak.harm.end();
        marks.calm()?;
        soak.settle().await;
        Ok::<(), Box<dyn Error>>(())
    };
    tokio::select! {
        done = work => done?,
        () = probe::watch(master, shared) => {}
    }
    Ok(soak.end().await)
}
