//! One kill: call after call, until the end of the task.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::seen::{Seen, Standing};
use super::{KillEnd, Link, Shared, Target};
use crate::backoff::Delays;
use crate::driver::{ConnectionState, Outcome, Receipt};
use crate::error::{Error, ErrorKind, Result};
use crate::proto::{AgentId, DurationInfo, KillPolicy, TaskId};
use crate::scheduler::SchedulerHandle;

/// How often in a row a status may lead to the next call at once. A master that contradicts itself is not asked without a pause.
const MAX_AT_ONCE: u32 = 3;

/// Somebody who waits for the end of a task.
pub(super) struct Aim<'a> {
    shared: &'a Shared,
    task_id: TaskId,
    seen: watch::Receiver<Seen>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Drop for Aim<'_> {
    fn drop(&mut self) {
        let mut targets = self.shared.targets();
        if let Some(target) = targets.get_mut(&self.task_id) {
            target.waiting -= 1;
            if target.waiting == 0 {
                targets.remove(&self.task_id);
            }
        }
    }
}

impl Shared {
    pub(super) fn aim(&self, task_id: &TaskId, agent_id: Option<AgentId>) -> Aim<'_> {
        let mut targets = self.targets();
        let target = targets.entry(task_id.clone()).or_insert_with(|| Target {
            waiting: 0,
            seen: watch::Sender::new(Seen::default()),
            turn: Arc::default(),
        });
        target.waiting += 1;
        target.seen.send_if_modified(|seen| {
            let is_new = seen.agent_id.is_none() && agent_id.is_some();
            if is_new {
                seen.agent_id = agent_id;
            }
            is_new
        });
        Aim {
            shared: self,
            task_id: task_id.clone(),
            seen: target.seen.subscribe(),
            turn: Arc::clone(&target.turn),
        }
    }
}

/// How far a kill is.
struct Course {
    delays: Delays,
    /// When the first KILL was taken under this subscription; none while the task is away. Before, it may have been lost.
    since: Option<Instant>,
    /// Number of the subscription.
    number: u64,
    /// How often in a row no wait was kept.
    at_once: u32,
}

/// Why the next call is sent.
enum Next {
    /// Its time has come, or there is another subscription.
    Repeat,
    /// A status calls for another one.
    AtOnce,
    /// The task has ended.
    Ended,
}

impl Aim<'_> {
    pub(super) async fn kill(mut self) -> Result<KillEnd> {
        let mut seen = self.seen.clone();
        let turn = Arc::clone(&self.turn);
        tokio::select! {
            biased;
            end = ended(&mut seen) => Ok(end),
            killed = async {
                let _turn = turn.lock().await;
                self.repeat().await
            } => killed,
        }
    }

    /// Until the driver ends.
    async fn repeat(&mut self) -> Result<KillEnd> {
        let mut link = self.shared.link.subscribe();
        let mut course = Course {
            delays: Delays::half_random(self.shared.settings.backoff),
            since: None,
            number: 0,
            at_once: 0,
        };
        loop {
            let (driver, number) = subscribed(&mut link).await?;
            if std::mem::replace(&mut course.number, number) != number {
                course.since = None;
            }
            let standing = self.seen.borrow_and_update().standing;
            self.call(&driver, standing, &mut course).await?;
            let deadline = self.deadline(&mut course);
            let renewed = renewed(&mut link, &driver, number);
            match self.wait(renewed, deadline, standing, &course).await {
                Next::Ended => return Ok(ended(&mut self.seen).await),
                Next::AtOnce => course.at_once += 1,
                Next::Repeat => course.at_once = 0,
            }
        }
    }

    /// Sends what is to be sent now, if it can be.
    async fn call(
        &self,
        driver: &SchedulerHandle,
        standing: Standing,
        course: &mut Course,
    ) -> Result<()> {
        // The semaphore is never closed.
        let _permit = self.shared.calls.acquire().await;
        let queued = match standing {
            Standing::Alive => self.send_kill(driver, course).await,
            Standing::Away | Standing::Doubtful => {
                course.since = None;
                let agent_id = self.seen.borrow().agent_id.clone();
                let asked = vec![(self.task_id.clone(), agent_id)];
                driver.reconcile_tasks(asked).await
            }
        };
        let outcome = match queued {
            Ok(receipt) => receipt.outcome().await,
            Err(error) if error.kind() == ErrorKind::NotRunning => return Err(error),
            Err(error) => Outcome::NotSent(error),
        };
        match outcome {
            Outcome::Accepted if standing == Standing::Alive => {
                course.since.get_or_insert_with(Instant::now);
            }
            Outcome::Accepted => {}
            Outcome::Refused { status, message } => {
                let context = format!(
                    "kill of task {} refused with {status}: {message}",
                    self.task_id
                );
                return Err(Error::new(ErrorKind::Rejected, context));
            }
            Outcome::NotSent(error) | Outcome::Unknown(error) => {
                tracing::debug!(task_id = %self.task_id, %error, "kill to be repeated");
            }
        }
        Ok(())
    }

    async fn send_kill(&self, driver: &SchedulerHandle, course: &Course) -> Result<Receipt> {
        let settings = &self.shared.settings;
        let is_due = |after: Duration| course.since.is_some_and(|since| since.elapsed() >= after);
        let grace = match settings.escalate_after {
            Some(after) if is_due(after) => Some(Duration::ZERO),
            _ => settings.grace_period,
        };
        let task_id = self.task_id.clone();
        match grace {
            None => driver.kill_task(task_id, None).await,
            Some(grace) => {
                driver
                    .kill_task_with_policy(task_id, None, policy(grace))
                    .await
            }
        }
    }

    /// `renewed` ends with another subscription, or with the driver.
    async fn wait(
        &mut self,
        renewed: impl Future<Output = ()>,
        deadline: Instant,
        standing: Standing,
        course: &Course,
    ) -> Next {
        tokio::pin!(renewed);
        loop {
            tokio::select! {
                biased;
                changed = self.seen.changed() => {
                    let now = self.seen.borrow_and_update();
                    if now.end.is_some() {
                        return Next::Ended;
                    }
                    let calls = now.standing != standing && now.standing != Standing::Away;
                    if changed.is_ok() && calls && course.at_once < MAX_AT_ONCE {
                        return Next::AtOnce;
                    }
                }
                () = &mut renewed => return Next::Repeat,
                () = tokio::time::sleep_until(deadline) => return Next::Repeat,
            }
        }
    }

    /// When to send the next call: after a wait that grows, or when the grace is over.
    fn deadline(&self, course: &mut Course) -> Instant {
        let now = Instant::now();
        let repeat = now + course.delays.next().unwrap_or_default();
        let escalation = self.shared.settings.escalate_after.zip(course.since);
        let escalation = escalation.and_then(|(after, since)| since.checked_add(after));
        match escalation.filter(|at| *at > now) {
            Some(at) => repeat.min(at),
            None => repeat,
        }
    }
}

/// Waits for the task's end.
async fn ended(seen: &mut watch::Receiver<Seen>) -> KillEnd {
    loop {
        if let Some(end) = seen.borrow_and_update().end.clone() {
            return end;
        }
        if seen.changed().await.is_err() {
            // Whoever waits keeps the sender.
            std::future::pending::<()>().await;
        }
    }
}

/// Waits for a subscription, or for the end of the driver; answers the number of the first, too.
async fn subscribed(link: &mut watch::Receiver<Link>) -> Result<(SchedulerHandle, u64)> {
    loop {
        let now = link.borrow_and_update().clone();
        let Some(driver) = now.driver else {
            changed(link).await;
            continue;
        };
        if now.is_up && driver.connection().state != ConnectionState::Closed {
            return Ok((driver, now.number));
        }
        let mut connection = driver.watch_connection();
        tokio::select! {
            () = changed(link) => {}
            _ = connection.until(|now| now.state == ConnectionState::Closed) => {
                return Err(Error::new(ErrorKind::NotRunning, "driver ended before the task did"));
            }
        }
    }
}

/// Waits for another subscription than that of the number, or for the end of the driver.
async fn renewed(link: &mut watch::Receiver<Link>, driver: &SchedulerHandle, number: u64) {
    let mut connection = driver.watch_connection();
    tokio::select! {
        _ = link.wait_for(|link| link.number != number) => {}
        _ = connection.until(|now| now.state == ConnectionState::Closed) => {}
    }
}

async fn changed(link: &mut watch::Receiver<Link>) {
    if link.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn policy(grace: Duration) -> KillPolicy {
    KillPolicy {
        grace_period: Some(DurationInfo {
            nanoseconds: i64::try_from(grace.as_nanos()).unwrap_or(i64::MAX),
        }),
    }
}
