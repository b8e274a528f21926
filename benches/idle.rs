//! What a driver takes that has nothing to do but to stay subscribed: memory, threads, wake-ups.
//!
//!     cargo bench --bench idle                                     # at an embedded master, in a process of its own
//!     MESOS_MASTER=HOST:PORT cargo bench --bench idle              # at a real one
//!     SECONDS=60 cargo bench --bench idle                          # the default
//!
//! The floor, measured first: a runtime with one connection on which something comes as often as a master's heartbeats.
//! Linux only: all of it is read from /proc.

#![allow(clippy::unwrap_used, reason = "a bench")]

#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/process.rs"]
mod process;

use std::time::Duration;

use cluster::Cluster;
use mesos_framework::proto::{Filters, FrameworkInfo, Offer, TaskStatus};
use mesos_framework::{Scheduler, SchedulerDriver, SchedulerHandle, async_trait};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

const HEARTBEAT: Duration = Duration::from_secs(15);
/// Until what happens at the start is over.
const START: Duration = Duration::from_secs(3);
const DAY: f64 = 86_400.0;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    if cluster::served(&runtime, |builder| builder.heartbeat_interval(HEARTBEAT)) {
        return;
    }
    let seconds = std::env::var("SECONDS").map_or(60, |text| text.parse().unwrap());
    let watched = Duration::from_secs(seconds);
    println!("          resident_mb  threads  wakeups_per_min  cpu_ms_per_min");
    runtime.block_on(floor(watched));
    let cluster = Cluster::start();
    runtime.block_on(driver(&cluster.master, watched));
}

async fn watch(name: &str, watched: Duration) {
    sleep(START).await;
    let (sleeps, cpu) = (process::sleeps(), process::cpu_seconds());
    sleep(watched).await;
    let minutes = watched.as_secs_f64() / 60.0;
    println!(
        "{name:>8} {:>12.1} {:>8.0} {:>16.1} {:>15.2}",
        process::megabytes("VmRSS"),
        process::threads(),
        (process::sleeps() - sleeps) / minutes,
        (process::cpu_seconds() - cpu) * 1000.0 / minutes
    );
}

async fn floor(watched: Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut near = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (mut far, _) = listener.accept().await.unwrap();
    let heart = tokio::spawn(async move {
        loop {
            sleep(HEARTBEAT).await;
            if far.write_all(&[1; 20]).await.is_err() {
                return;
            }
        }
    });
    let reader = tokio::spawn(async move {
        let mut buffer = [0; 1024];
        while let Ok(1..) = near.read(&mut buffer).await {}
    });
    watch("floor", watched).await;
    heart.abort();
    reader.await.unwrap();
}

async fn driver(master: &str, watched: Duration) {
    let framework = FrameworkInfo::new("idle", ["*"]);
    let mut driver = SchedulerDriver::builder(Idle, framework, master)
        .build()
        .unwrap();
    driver.start().unwrap();
    driver
        .handle()
        .watch_connection()
        .until(|now| now.is_subscribed())
        .await;
    watch("driver", watched).await;
    driver.handle().stop();
    driver.join().await.unwrap();
}

/// Refuses what it is offered.
struct Idle;

#[async_trait]
impl Scheduler for Idle {
    async fn resource_offers(&mut self, driver: &SchedulerHandle, offers: Vec<Offer>) {
        let ids = offers.into_iter().map(|offer| offer.id).collect();
        let refuse_seconds = Some(DAY);
        driver
            .decline_offers(ids, Filters { refuse_seconds })
            .await
            .unwrap();
    }

    async fn status_update(&mut self, _: &SchedulerHandle, _: TaskStatus) {}
}
