//! A fixed amount of work, whose instructions `.ci/instructions` counts with callgrind:
//!
//!     cargo bench --bench instructions -- WORKLOAD
//!
//! The workloads are streams of offers and of updates, in protobuf and in JSON: a driver reads each from a master in the
//! same thread and makes the callbacks; each update is acknowledged. Without an argument, each runs once.

#![allow(clippy::unwrap_used, reason = "a bench")]

mod firehose;

use std::sync::Arc;

use firehose::{Master, Workload};
use mesos_framework::ContentType;
use tokio::net::TcpListener;

/// Enough that starting and ending do not count.
const OFFERS_EVENTS: usize = 1_000;
const UPDATES: usize = 10_000;

fn main() {
    let wanted: Vec<_> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    for (workload, content_type) in Workload::ALL {
        let name = workload.name(content_type);
        if wanted.is_empty() || wanted.contains(&name) {
            run(workload, content_type);
            println!("{name}: done");
        }
    }
}

fn run(workload: Workload, content_type: ContentType) {
    let events = match workload {
        Workload::Offers => OFFERS_EVENTS,
        Workload::Updates => UPDATES,
    };
    let master = Master::new(workload, content_type, events);
    counted(master, workload, content_type, events);
}

/// What callgrind collects, by this name.
#[inline(never)]
fn counted(master: Arc<Master>, workload: Workload, content_type: ContentType, events: usize) {
    firehose::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(master.serve(listener));
        firehose::run(address, workload, content_type, events).await;
    });
}
