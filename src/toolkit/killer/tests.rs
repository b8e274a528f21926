//! With a clock that only waits for us.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::backoff::Backoff;
use crate::error::ErrorKind;
use crate::proto::TaskState;
use crate::proto::scheduler::Call;
use crate::toolkit::testing::{self, Answer, RecordedDriver};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A killer that is subscribed, and what it is told by.
struct Rig {
    killer: TaskKiller,
    driver: RecordedDriver,
}

/// What a call of the killer's is about.
#[derive(Debug, PartialEq)]
enum Sent {
    /// With the grace period in seconds, if there is one.
    Kill(Option<i64>),
    /// On that agent.
    Reconcile(Option<String>),
}

impl Rig {
    async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(settings: impl FnOnce(TaskKillerBuilder) -> TaskKillerBuilder) -> Self {
        let rig = Self {
            killer: settings(TaskKiller::builder()).build(),
            driver: RecordedDriver::new(),
        };
        let id = "framework".into();
        let driver = rig.driver.handle();
        rig.killer.registered(&driver, &id).await.unwrap();
        rig
    }

    fn kill(&self, agent_id: Option<&str>) -> JoinHandle<Result<KillEnd>> {
        let (killer, agent_id) = (self.killer.clone(), agent_id.map(AgentId::from));
        tokio::spawn(async move { killer.kill("t".into(), agent_id).await })
    }

    async fn sent(&self) -> Sent {
        let call = tokio::time::timeout(HOUR, self.driver.next_call()).await;
        sent(call.expect("a call"))
    }

    async fn told(&self, status: TaskStatus) {
        let driver = self.driver.handle();
        self.killer.status_update(&driver, &status).await.unwrap();
    }

    async fn told_by_agent(&self, state: TaskState) {
        self.told(testing::status("t", "a", state)).await;
    }

    /// What the master answers to a question, on the agent or without one.
    async fn answered(&self, agent_id: Option<&str>, state: TaskState) {
        let answer = TaskStatus {
            agent_id: agent_id.map(AgentId::from),
            ..testing::reconciled("t", state)
        };
        self.told(answer).await;
    }

    async fn is_quiet(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.driver.next_call())
            .await
            .is_err()
    }
}

fn sent(call: Call) -> Sent {
    if let Some(kill) = call.kill {
        assert_eq!(kill.task_id, "t".into());
        assert_eq!(kill.agent_id, None, "a wrong one would be dropped");
        let grace = kill.kill_policy.and_then(|policy| policy.grace_period);
        return Sent::Kill(grace.map(|grace| grace.nanoseconds / 1_000_000_000));
    }
    let tasks = call.reconcile.expect("KILL or RECONCILE").tasks;
    Sent::Reconcile(tasks[0].agent_id.clone().map(|id| id.value))
}

fn on_agent() -> Sent {
    Sent::Reconcile(Some("a".into()))
}

#[tokio::test(start_paused = true)]
async fn a_kill_is_repeated_until_the_task_has_ended() {
    let rig = Rig::new().await;
    let kill = rig.kill(None);
    assert_eq!(rig.sent().await, Sent::Kill(None));
    rig.told_by_agent(TaskState::TaskKilling).await;
    for most in [5, 10, 20, 40, 60] {
        let begin = Instant::now();
        assert_eq!(rig.sent().await, Sent::Kill(None));
        let (wait, most) = (begin.elapsed(), most * SECOND);
        assert!(
            wait >= most / 2 && wait <= most + SECOND / 100,
            "{wait:?} of {most:?}"
        );
    }
    assert_eq!(rig.killer.len(), 1);
    rig.told_by_agent(TaskState::TaskKilled).await;
    let end = kill.await.unwrap().unwrap();
    assert!(
        matches!(&end, KillEnd::Killed(status) if status.uuid.is_some()),
        "{end:?}"
    );
    assert!(rig.killer.is_empty());
    assert!(rig.is_quiet(HOUR).await);
}

#[tokio::test(start_paused = true)]
async fn it_tells_when_the_task_was_faster() {
    for state in [TaskState::TaskFinished, TaskState::TaskFailed] {
        let rig = Rig::new().await;
        let kill = rig.kill(None);
        assert_eq!(rig.sent().await, Sent::Kill(None));
        rig.told_by_agent(state).await;
        let end = kill.await.unwrap().unwrap();
        assert!(matches!(&end, KillEnd::EndedOtherwise(_)), "{end:?}");
        assert_eq!(end.status().state(), state);
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_outlives_its_subscription() {
    let rig = Rig::new().await;
    let kill = rig.kill(None);
    assert_eq!(rig.sent().await, Sent::Kill(None));
    rig.driver.disconnect();
    let driver = rig.driver.handle();
    rig.killer.disconnected(&driver).await.unwrap();
    assert!(rig.is_quiet(HOUR).await);
    rig.driver.reconnect();
    let begin = Instant::now();
    rig.killer.reregistered(&driver).await.unwrap();
    assert_eq!(rig.sent().await, Sent::Kill(None));
    assert_eq!(begin.elapsed(), Duration::ZERO, "nothing is waited for");
    rig.told_by_agent(TaskState::TaskKilled).await;
    assert!(kill.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_the_first_subscription() {
    let rig = Rig {
        killer: TaskKiller::new(),
        driver: RecordedDriver::new(),
    };
    let kill = rig.kill(None);
    assert!(rig.is_quiet(HOUR).await);
    let (driver, id) = (rig.driver.handle(), "framework".into());
    rig.killer.registered(&driver, &id).await.unwrap();
    assert_eq!(rig.sent().await, Sent::Kill(None));
    kill.abort();
}

#[tokio::test(start_paused = true)]
async fn a_task_of_which_only_the_kill_knows_no_agent_is_gone_only_on_its_agent() {
    let rig = Rig::new().await;
    let kill = rig.kill(Some("a"));
    assert_eq!(rig.sent().await, Sent::Kill(None));
    let begin = Instant::now();
    rig.answered(None, TaskState::TaskUnknown).await;
    assert_eq!(rig.sent().await, on_agent());
    assert_eq!(begin.elapsed(), Duration::ZERO, "nothing is waited for");
    // No answer as long as the agent has not come back to its master.
    assert_eq!(rig.sent().await, on_agent());
    rig.answered(Some("a"), TaskState::TaskGone).await;
    let end = kill.await.unwrap().unwrap();
    assert!(
        matches!(&end, KillEnd::Gone(status) if status.state() == TaskState::TaskGone),
        "{end:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn without_any_agent_the_first_answer_counts() {
    let rig = Rig::new().await;
    let kill = rig.kill(None);
    assert_eq!(rig.sent().await, Sent::Kill(None));
    rig.answered(None, TaskState::TaskUnknown).await;
    let end = kill.await.unwrap().unwrap();
    assert!(matches!(end, KillEnd::Gone(_)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_task_on_an_unreachable_agent_is_killed_when_it_is_back() {
    let rig = Rig::with(|builder| builder.escalate_after(30 * SECOND)).await;
    let kill = rig.kill(Some("a"));
    assert_eq!(rig.sent().await, Sent::Kill(None));
    rig.answered(None, TaskState::TaskUnknown).await;
    for _ in 0..10 {
        assert_eq!(rig.sent().await, on_agent());
        rig.answered(Some("a"), TaskState::TaskUnreachable).await;
    }
    rig.answered(Some("a"), TaskState::TaskRunning).await;
    // Its grace period is whole.
    let begin = Instant::now();
    assert_eq!(rig.sent().await, Sent::Kill(None));
    assert_eq!(begin.elapsed(), Duration::ZERO, "nothing is waited for");
    while rig.sent().await != Sent::Kill(Some(0)) {}
    assert!(begin.elapsed() >= 30 * SECOND);
    rig.told_by_agent(TaskState::TaskKilled).await;
    assert!(matches!(kill.await.unwrap().unwrap(), KillEnd::Killed(_)));
}

#[tokio::test(start_paused = true)]
async fn grace_is_given_and_then_taken() {
    let rig = Rig::with(|builder| {
        builder
            .grace_period(7 * SECOND)
            .escalate_after(8 * SECOND)
            .backoff(Backoff::new(SECOND, 100 * SECOND))
    })
    .await;
    let kill = rig.kill(None);
    let begin = Instant::now();
    loop {
        let sent = rig.sent().await;
        if sent == Sent::Kill(Some(0)) {
            break;
        }
        assert_eq!(sent, Sent::Kill(Some(7)));
    }
    assert_eq!(begin.elapsed(), 8 * SECOND, "whatever wait there was");
    assert_eq!(rig.sent().await, Sent::Kill(Some(0)));
    kill.abort();

    let rig = Rig::with(|builder| builder.no_escalation()).await;
    let kill = rig.kill(None);
    for _ in 0..20 {
        assert_eq!(rig.sent().await, Sent::Kill(None));
    }
    kill.abort();
}

#[tokio::test(start_paused = true)]
async fn calls_without_an_answer_are_repeated_and_refused_ones_are_errors() {
    let rig = Rig::new().await;
    rig.driver.answer_next(Answer::Unknown);
    rig.driver.answer_next(Answer::NotSent);
    rig.driver
        .answer_next(Answer::Refused(400, "Malformed".into()));
    let kill = rig.kill(None);
    for _ in 0..3 {
        assert_eq!(rig.sent().await, Sent::Kill(None));
    }
    let error = kill.await.unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (
            ErrorKind::Rejected,
            "kill of task t refused with 400: Malformed"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn the_driver_s_end_is_an_error() {
    // While it is subscribed, and while it is not.
    for is_up in [true, false] {
        let rig = Rig::new().await;
        let kill = rig.kill(None);
        assert_eq!(rig.sent().await, Sent::Kill(None));
        let handle = rig.driver.handle();
        if !is_up {
            rig.driver.disconnect();
            rig.killer.disconnected(&handle).await.unwrap();
            tokio::task::yield_now().await;
        }
        handle.stop_for_failover();
        let error = kill.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotRunning, "{error}");
        assert!(rig.killer.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_kill_sends_nothing_more() {
    let rig = Rig::new().await;
    let kill = rig.killer.kill("t".into(), None);
    assert!(tokio::time::timeout(SECOND, kill).await.is_err());
    assert_eq!(rig.sent().await, Sent::Kill(None));
    assert!(rig.killer.is_empty() && rig.is_quiet(HOUR).await);
}

#[tokio::test(start_paused = true)]
async fn of_two_kills_of_a_task_one_calls_and_both_tell() {
    let rig = Rig::new().await;
    let first = rig.kill(None);
    assert_eq!(rig.sent().await, Sent::Kill(None));
    let (second, third) = (rig.kill(Some("a")), rig.kill(None));
    assert!(rig.is_quiet(2 * SECOND).await);
    assert_eq!(rig.killer.len(), 1);
    // Another one goes on with it.
    first.abort();
    assert_eq!(rig.sent().await, Sent::Kill(None));
    rig.told_by_agent(TaskState::TaskKilled).await;
    for kill in [second, third] {
        assert!(matches!(kill.await.unwrap().unwrap(), KillEnd::Killed(_)));
    }
    assert!(rig.killer.is_empty());
}

#[tokio::test(start_paused = true)]
async fn many_kills_share_a_few_calls_on_their_way() {
    let rig = Rig::with(|builder| builder.calls_in_flight(0)).await;
    // The one call that may be on its way.
    let room = rig.killer.shared.calls.acquire().await.unwrap();
    let kills: Vec<_> = (0..100)
        .map(|number: u32| {
            let killer = rig.killer.clone();
            tokio::spawn(async move { killer.kill(number.to_string().into(), None).await })
        })
        .collect();
    assert!(rig.is_quiet(HOUR).await);
    drop(room);
    for number in 0..100_u32 {
        let call = rig.driver.next_call().await.kill.unwrap();
        assert_eq!(call.task_id.value, number.to_string());
        let killed = testing::status(&call.task_id.value, "a", TaskState::TaskKilled);
        rig.told(killed).await;
    }
    for kill in kills {
        assert!(kill.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_master_that_contradicts_itself_is_not_asked_without_a_pause() {
    let rig = Rig::new().await;
    let kill = rig.kill(Some("a"));
    let begin = Instant::now();
    let mut calls = 0;
    while begin.elapsed() < SECOND {
        match rig.sent().await {
            Sent::Kill(_) => rig.answered(None, TaskState::TaskUnknown).await,
            Sent::Reconcile(_) => rig.answered(Some("a"), TaskState::TaskRunning).await,
        }
        calls += 1;
    }
    assert!(calls < 10, "{calls} calls");
    kill.abort();
}
