//! Checks and health checks of a task: when they are made, and what of their results is told.
//!
//! Source: `src/checks/checker.cpp`, `src/checks/checker_process.cpp` and `src/checks/health_checker.cpp` of Apache Mesos
//! 1.11.0.

mod health;
mod http;
mod probe;

use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::time::{Instant, sleep, timeout};

use health::Health;
use probe::Probe;

use super::process::Place;
use crate::proto::{CheckInfo, CheckStatusInfo, HealthCheck, TaskInfo, check_info};
use crate::proto::{check_status_info as status, health_check};

/// Something to tell of a task.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Report {
    /// The check's result is another one now.
    Check(CheckStatusInfo),
    /// `is_fatal`: it has failed so often that the task is to be killed.
    Health { is_healthy: bool, is_fatal: bool },
}

/// The check and the health check of a task, from their creation until they are dropped.
pub(super) struct Checks {
    reports: Option<BoxStream<'static, Report>>,
}

impl std::fmt::Debug for Checks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checks").finish_non_exhaustive()
    }
}

impl Checks {
    pub(super) fn none() -> Self {
        Self { reports: None }
    }

    /// The checks that `task` asks for; their commands run at `place`.
    pub(super) fn of(task: &TaskInfo, place: impl Fn() -> std::io::Result<Place>) -> Self {
        let check = task.check.as_ref().and_then(|check| {
            let probe = made(Probe::of_check(check, &place))?;
            Some(changes(check, repeated(probe, Timing::of_check(check))))
        });
        let health = task.health_check.as_ref().and_then(|check| {
            let probe = made(Probe::of_health_check(check, &place))?;
            Some(verdicts(
                check,
                repeated(probe, Timing::of_health_check(check)),
            ))
        });
        Self {
            reports: match (check, health) {
                (Some(check), Some(health)) => Some(stream::select(check, health).boxed()),
                (one, other) => one.or(other),
            },
        }
    }

    /// The next report; never, if there is no check. Dropped before it completes, nothing is lost.
    pub(super) async fn next(&mut self) -> Report {
        if let Some(reports) = &mut self.reports
            && let Some(report) = reports.next().await
        {
            return report;
        }
        pending().await
    }
}

/// Mesos's executors log a check that cannot be made, and run its task without.
fn made(probe: Result<Probe, String>) -> Option<Probe> {
    probe
        .inspect_err(|why| tracing::error!(why, "check not made"))
        .ok()
}

/// An empty result of a check's kind: there is none yet, or none can be had.
pub(super) fn no_result(kind: check_info::Type) -> CheckStatusInfo {
    let mut empty = CheckStatusInfo {
        r#type: Some(kind.into()),
        ..Default::default()
    };
    match kind {
        check_info::Type::Command => empty.command = Some(status::Command::default()),
        check_info::Type::Http => empty.http = Some(status::Http::default()),
        check_info::Type::Tcp => empty.tcp = Some(status::Tcp::default()),
        check_info::Type::Unknown => {}
    }
    empty
}

/// When a check is made.
#[derive(Clone, Copy, Debug)]
struct Timing {
    delay: Duration,
    /// Between the end of one and the start of the next.
    interval: Duration,
    /// `None`: as long as it takes.
    limit: Option<Duration>,
}

impl Timing {
    fn of_check(check: &CheckInfo) -> Self {
        let (delay, interval) = (check.delay_seconds(), check.interval_seconds());
        Self::new(delay, interval, check.timeout_seconds())
    }

    fn of_health_check(check: &HealthCheck) -> Self {
        let (delay, interval) = (check.delay_seconds(), check.interval_seconds());
        Self::new(delay, interval, check.timeout_seconds())
    }

    fn new(delay: f64, interval: f64, limit: f64) -> Self {
        Self {
            delay: seconds(delay),
            interval: seconds(interval),
            limit: Some(seconds(limit)).filter(|limit| !limit.is_zero()),
        }
    }
}

/// Of more than a `Duration` can hold, all that it can.
fn seconds(seconds: f64) -> Duration {
    if seconds > 0.0 {
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    } else {
        Duration::ZERO
    }
}

/// What one check found; the error is for the log.
type Found = Result<CheckStatusInfo, String>;

/// Something that can be checked over and over.
trait Check: Send + Sync + 'static {
    fn make(&self) -> Pin<Box<dyn Future<Output = Found> + Send + '_>>;
}

/// Results, one after another, without end.
fn repeated(check: impl Check, timing: Timing) -> BoxStream<'static, Found> {
    let next = move |(check, wait)| async move {
        sleep(wait).await;
        let found = limited(&check, timing.limit).await;
        if let Err(why) = &found {
            tracing::debug!(why, "check failed");
        }
        Some((found, (check, timing.interval)))
    };
    stream::unfold((check, timing.delay), next).boxed()
}

async fn limited(check: &impl Check, limit: Option<Duration>) -> Found {
    let Some(limit) = limit else {
        return check.make().await;
    };
    let found = timeout(limit, check.make()).await;
    found.unwrap_or_else(|_| Err(format!("timed out after {limit:?}")))
}

/// Of a check's results, those that differ from the one before.
fn changes(check: &CheckInfo, found: BoxStream<'static, Found>) -> BoxStream<'static, Report> {
    let none = no_result(check.r#type());
    let mut last = none;
    let changed = move |found: Found| {
        let found = found.unwrap_or(none);
        let is_new = found != last;
        if is_new {
            last = found;
        }
        std::future::ready(is_new.then_some(Report::Check(found)))
    };
    found.filter_map(changed).boxed()
}

/// What the results of a health check say of a task.
fn verdicts(check: &HealthCheck, found: BoxStream<'static, Found>) -> BoxStream<'static, Report> {
    let mut health = Health::new(check, Instant::now());
    let judged = move |found: Found| {
        let passed = found.is_ok_and(|found| is_healthy(&found));
        std::future::ready(health.judge(passed, Instant::now()))
    };
    found.filter_map(judged).boxed()
}

fn is_healthy(found: &CheckStatusInfo) -> bool {
    match found.r#type() {
        check_info::Type::Command => found.command.is_some_and(|own| own.exit_code() == 0),
        check_info::Type::Http => found
            .http
            .is_some_and(|own| (200..400).contains(&own.status_code())),
        check_info::Type::Tcp => found.tcp.is_some_and(|own| own.succeeded()),
        check_info::Type::Unknown => true,
    }
}

/// A health check's kind, as a check's.
fn kind_of(check: &HealthCheck) -> check_info::Type {
    match check.r#type() {
        health_check::Type::Command => check_info::Type::Command,
        health_check::Type::Http => check_info::Type::Http,
        health_check::Type::Tcp => check_info::Type::Tcp,
        health_check::Type::Unknown => check_info::Type::Unknown,
    }
}

#[cfg(test)]
mod tests;
