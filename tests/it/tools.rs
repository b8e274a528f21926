//! What the tests of tools share: a recording framework whose tools are told first.

use std::time::Duration;

use mesos_framework::proto::FrameworkInfo;
use mesos_framework::toolkit::{Observed, OfferLedger};
use mesos_framework::{SchedulerDriver, SchedulerDriverBuilder};

use crate::framework::{Framework, PATIENCE, Starting};
use crate::recorder::{Callback, Recorder};

/// A subscribed framework with tools. Its helpers that decline offers do so without the tools: with a ledger, look at its
/// `recording` only.
pub async fn observed(
    address: &str,
    info: FrameworkInfo,
    tools: impl FnOnce(Observed<Recorder>) -> Observed<Recorder>,
) -> Framework {
    observed_with(address, info, tools, |builder| builder).await
}

pub async fn observed_with(
    address: &str,
    info: FrameworkInfo,
    tools: impl FnOnce(Observed<Recorder>) -> Observed<Recorder>,
    settings: impl FnOnce(SchedulerDriverBuilder) -> SchedulerDriverBuilder,
) -> Framework {
    let starting = Starting::new(info, |scheduler, info| {
        let scheduler = tools(Observed::new(scheduler));
        settings(SchedulerDriver::builder(scheduler, info, address))
    });
    let mut starting = starting.unwrap();
    let id = starting.registered().await.unwrap();
    starting.into_framework(id)
}

/// Waits until `holds`.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let holding = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, holding)
        .await
        .unwrap_or_else(|_| panic!("waited too long until {what}"));
}

/// Waits until there are so many live offers.
pub async fn until_live(ledger: &OfferLedger, count: usize) {
    until(&format!("{count} offers are live"), || {
        ledger.len() == count
    })
    .await;
}

/// True if `holds` all the time.
pub async fn holds_for(quiet: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let end = std::time::Instant::now() + quiet;
    while std::time::Instant::now() < end {
        if !holds() {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    true
}

impl Framework {
    /// Skips callbacks until one for which `wanted` holds, and leaves all offers to the tools.
    pub async fn sees(&mut self, what: &str, wanted: impl Fn(&Callback) -> bool) -> Callback {
        self.recording
            .until(what, |callback| wanted(&callback).then_some(callback))
            .await
    }
}
