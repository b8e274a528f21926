//! A driver that is subscribed and has nothing to do: what it keeps, and how often it wakes up.
//!
//!     cargo bench --bench idle
//!
//! Prints resident memory, threads, and wake-ups (voluntary switches of context) in a minute, before the driver and with
//! it: what the driver adds is the difference. The master is in another process and sends nothing. Linux only: all is read
//! from /proc.

#![allow(clippy::unwrap_used, reason = "a bench")]

mod firehose;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use firehose::{Counts, Master, Workload};
use mesos_framework::proto::FrameworkInfo;
use mesos_framework::{ContentType, SchedulerDriver};
use tokio::net::TcpListener;

/// Set in the master's process.
const MASTER: &str = "IDLE_MASTER";
const MINUTE: Duration = Duration::from_secs(60);

fn main() {
    if std::env::var_os(MASTER).is_some() {
        return serve();
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env(MASTER, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut address)
        .unwrap();
    println!(
        "{:>12} {:>13} {:>8} {:>21}",
        "idle", "resident_MiB", "threads", "wake_ups_per_minute"
    );
    firehose::block_on(async {
        show("runtime").await;
        let info = FrameworkInfo::default();
        let driver = SchedulerDriver::builder(Counts::default(), info, address.trim());
        let mut driver = driver.build().unwrap();
        driver.start().unwrap();
        let mut watch = driver.handle().watch_connection();
        watch.until(|now| now.is_subscribed()).await;
        show("subscribed").await;
        driver.handle().abort();
        driver.join().await.unwrap();
    });
    drop(child.stdin.take());
    child.wait().unwrap();
}

async fn show(what: &str) {
    let before = status("voluntary_ctxt_switches");
    tokio::time::sleep(MINUTE).await;
    // Of these, one is the sleep's own.
    let wake_ups = status("voluntary_ctxt_switches") - before - 1;
    let resident = format!(
        "{}.{}",
        status("VmRSS") / 1024,
        status("VmRSS") % 1024 * 10 / 1024
    );
    println!(
        "{what:>12} {resident:>13} {:>8} {wake_ups:>21}",
        status("Threads")
    );
}

/// A number of this process, or of its only thread.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    let number = line.split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}

/// Runs until its standard input closes; prints its address.
fn serve() {
    let master = Master::new(Workload::Updates, ContentType::Protobuf, 0);
    std::thread::spawn(move || {
        firehose::block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            println!("{}", listener.local_addr().unwrap());
            master.serve(listener).await;
        });
    });
    let _ = std::io::stdin().read(&mut [0]);
}
