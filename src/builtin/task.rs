//! A task that runs, from the start of its process to its end: checked, killed, timed out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::checks::{Checks, Report};
use super::kill::{Kill, grace_period};
use super::process::{Ended, Process, Whom};
use super::relay::Launch;
use super::status::Reporter;
use crate::proto::task_status::Reason;
use crate::proto::{KillPolicy, TaskInfo, TaskState, TaskStatus};

/// What a running task is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) process: Process,
    pub(super) checks: Checks,
    pub(super) reporter: Reporter,
    /// Set once a health check has failed too often: last statuses then say so.
    pub(super) is_unhealthy: Arc<AtomicBool>,
    /// Who gets the SIGTERM of a kill.
    pub(super) whom: Whom,
}

/// A task whose process runs.
#[derive(Debug)]
pub(super) struct Running {
    parts: Parts,
    policy: Option<KillPolicy>,
    tells_killing: bool,
    /// When it is killed for running too long; `None` without such a limit, and once a kill is under way.
    limit: Option<Instant>,
    kill: Option<Kill>,
    has_timed_out: bool,
}

/// Something that happens to a running task.
#[derive(Debug)]
pub(super) enum Happening {
    Ended(Ended),
    Reported(Report),
    /// It has run too long, or its grace period is over.
    Due,
}

impl Running {
    /// `since`: when its time began to run.
    pub(super) fn new(parts: Parts, launch: &Launch, since: Instant) -> Self {
        Self {
            parts,
            policy: launch.task.kill_policy,
            tells_killing: launch.tells_killing,
            limit: limit(&launch.task).and_then(|limit| since.checked_add(limit)),
            kill: None,
            has_timed_out: false,
        }
    }

    pub(super) fn reporter(&mut self) -> &mut Reporter {
        &mut self.parts.reporter
    }

    pub(super) fn into_reporter(self) -> Reporter {
        self.parts.reporter
    }

    pub(super) fn is_being_killed(&self) -> bool {
        self.kill.is_some()
    }

    /// The next thing that happens to it. Dropped before it completes, nothing is lost.
    pub(super) async fn happening(&mut self) -> Happening {
        let planned = self.kill.as_ref().map(Kill::escalates_at);
        let deadline = planned.unwrap_or(self.limit);
        tokio::select! {
            ended = self.parts.process.ended() => Happening::Ended(ended),
            report = self.parts.checks.next() => Happening::Reported(report),
            () = until(deadline) => Happening::Due,
        }
    }

    /// Does what follows from it; answers the last status, which is not sent yet, if it was the end.
    pub(super) async fn react(&mut self, happening: Happening) -> Option<TaskStatus> {
        match happening {
            Happening::Ended(ended) => return Some(self.last_status(&ended)),
            Happening::Reported(Report::Check(result)) => {
                self.parts.reporter.checked(result).await;
            }
            Happening::Reported(Report::Health {
                is_healthy,
                is_fatal,
            }) => {
                self.parts.reporter.health_checked(is_healthy).await;
                if is_fatal {
                    self.parts.is_unhealthy.store(true, Ordering::Relaxed);
                    self.kill_with(None).await;
                }
            }
            Happening::Due => self.due(),
        }
        None
    }

    /// Kills it within the grace period of `policy`, or of its own.
    pub(super) async fn kill_with(&mut self, policy: Option<KillPolicy>) {
        self.kill_within(grace_period(policy, self.policy)).await;
    }

    /// Kills it; if it is being killed already, the time that it still has may get shorter.
    pub(super) async fn kill_within(&mut self, grace: Duration) {
        if let Some(kill) = &mut self.kill {
            kill.again(grace);
            return;
        }
        if self.tells_killing {
            self.parts.reporter.tell(TaskState::TaskKilling).await;
        }
        self.begin_kill(grace);
    }

    fn begin_kill(&mut self, grace: Duration) {
        self.limit = None;
        self.parts.checks = Checks::none();
        self.parts.process.terminate(self.parts.whom);
        self.kill = Some(Kill::new(Instant::now(), grace));
    }

    fn due(&mut self) {
        if let Some(kill) = &mut self.kill {
            kill.escalated();
            self.parts.process.kill();
        } else {
            self.has_timed_out = true;
            self.begin_kill(Duration::ZERO);
        }
    }

    /// Kills its processes and waits for the end of the first; nobody is told.
    pub(super) async fn destroy(mut self) {
        self.parts.process.kill();
        self.parts.process.ended().await;
    }

    fn last_status(&self, ended: &Ended) -> TaskStatus {
        let state = if ended.text.is_none() || self.has_timed_out {
            TaskState::TaskFailed
        } else if self.kill.is_some() {
            TaskState::TaskKilled
        } else if ended.is_success {
            TaskState::TaskFinished
        } else {
            TaskState::TaskFailed
        };
        let has_timed_out = self.has_timed_out && ended.text.is_some();
        let message = ended.text.as_ref().map_or_else(
            || "Failed to get exit status for Command".to_owned(),
            |text| format!("Command {text}"),
        );
        let is_unhealthy = self.parts.is_unhealthy.load(Ordering::Relaxed);
        TaskStatus {
            message: Some(message),
            reason: has_timed_out.then(|| Reason::MaxCompletionTimeReached.into()),
            healthy: is_unhealthy.then_some(false),
            ..self.parts.reporter.fresh(state)
        }
    }
}

/// How long a task may run; 0 is no limit.
fn limit(task: &TaskInfo) -> Option<Duration> {
    let stated = task.max_completion_time?;
    let limit = Duration::from_nanos(u64::try_from(stated.nanoseconds).unwrap_or_default());
    Some(limit).filter(|limit| !limit.is_zero())
}

/// The role that the task's resources are allocated to.
pub(super) fn role(task: &TaskInfo) -> String {
    let mut resources = task.resources.iter();
    let allocation = resources.find_map(|own| own.allocation_info.as_ref());
    allocation.map_or_else(String::new, |own| own.role().to_owned())
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
