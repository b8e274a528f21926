//! With a clock that only waits for us.

use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::backoff::Backoff;
use crate::error::ErrorKind;
use crate::proto::{AgentId, TaskId, TaskState};
use crate::toolkit::TaskTracker;
use crate::toolkit::testing::{self, Answer, RecordedDriver};

type List = Arc<Mutex<Vec<(TaskId, Option<AgentId>)>>>;

const SECOND: Duration = Duration::from_secs(1);

/// A reconciler of a list, and what it is told by.
struct Rig {
    reconciler: Reconciler,
    driver: RecordedDriver,
    list: List,
}

impl Rig {
    fn of(ids: &[&str]) -> Self {
        Self::with(ids, |builder| builder)
    }

    fn with(ids: &[&str], settings: impl FnOnce(ReconcilerBuilder) -> ReconcilerBuilder) -> Self {
        let list = ids.iter().map(|id| ((*id).into(), Some("a".into())));
        let list: List = Arc::new(Mutex::new(list.collect()));
        let source = Arc::clone(&list);
        let builder = Reconciler::builder(move || source.lock().unwrap().clone());
        Self {
            reconciler: settings(builder).build(),
            driver: RecordedDriver::new(),
            list,
        }
    }

    async fn register(&self) {
        let driver = self.driver.handle();
        let id = "framework".into();
        self.reconciler.registered(&driver, &id).await.unwrap();
    }

    async fn resubscribe(&self) {
        let driver = self.driver.handle();
        self.driver.disconnect();
        self.reconciler.disconnected(&driver).await.unwrap();
        self.driver.reconnect();
        self.reconciler.reregistered(&driver).await.unwrap();
    }

    /// The tasks that are asked for next.
    async fn asked(&self) -> Vec<String> {
        let call = tokio::time::timeout(Duration::from_secs(7200), self.driver.next_call());
        let tasks = call.await.expect("a question").reconcile.unwrap().tasks;
        tasks.into_iter().map(|task| task.task_id.value).collect()
    }

    async fn answer(&self, id: &str) {
        let status = testing::reconciled(id, TaskState::TaskRunning);
        let driver = self.driver.handle();
        self.reconciler
            .status_update(&driver, &status)
            .await
            .unwrap();
    }

    async fn is_quiet(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.driver.next_call())
            .await
            .is_err()
    }
}

const IMPLICIT: [&str; 0] = [];

#[tokio::test(start_paused = true)]
async fn tasks_are_asked_for_until_each_is_answered_and_then_implicitly() {
    let rig = Rig::of(&["a", "b", "c"]);
    rig.register().await;
    assert_eq!(rig.asked().await, ["a", "b", "c"]);
    rig.answer("b").await;
    rig.answer("stranger").await;
    let progress = rig.reconciler.progress();
    assert_eq!((progress.asked, progress.unanswered), (3, 2));
    // Waits grow: 1, 2, 4, … seconds, or half of it.
    let mut waits = Vec::new();
    for _ in 0..10 {
        let begin = Instant::now();
        assert_eq!(rig.asked().await, ["a", "c"]);
        waits.push(begin.elapsed());
    }
    for (wait, most) in waits.iter().zip([1, 2, 4, 8, 16, 32, 60, 60, 60, 60]) {
        let most = most * SECOND;
        assert!(
            *wait >= most / 2 && *wait <= most + SECOND / 100,
            "{wait:?} of {most:?}"
        );
    }
    assert!(!rig.reconciler.progress().is_settled);
    rig.answer("a").await;
    rig.answer("c").await;
    let begin = Instant::now();
    assert_eq!(rig.asked().await, IMPLICIT);
    assert_eq!(begin.elapsed(), Duration::ZERO, "nothing is waited for");
    rig.reconciler.settled().await.unwrap();
    let progress = rig.reconciler.progress();
    assert_eq!((progress.attempts, progress.rounds), (11, 1));
}

#[tokio::test(start_paused = true)]
async fn rounds_are_repeated_and_one_runs_at_a_time() {
    let rig = Rig::of(&["a"]);
    rig.register().await;
    for _ in 0..3 {
        assert_eq!(rig.asked().await, ["a"]);
        rig.answer("a").await;
        assert_eq!(rig.asked().await, IMPLICIT);
        let begin = Instant::now();
        // What is settled stays settled meanwhile.
        rig.reconciler.settled().await.unwrap();
        assert!(rig.is_quiet(13 * 60 * SECOND).await);
        assert!(begin.elapsed() < 17 * 60 * SECOND);
    }
    assert_eq!(rig.asked().await, ["a"]);
    assert!(rig.reconciler.progress().is_settled);
}

#[tokio::test(start_paused = true)]
async fn a_new_subscription_begins_a_new_round() {
    let rig = Rig::of(&["a"]);
    rig.register().await;
    assert_eq!(rig.asked().await, ["a"]);
    rig.driver.disconnect();
    let driver = rig.driver.handle();
    rig.reconciler.disconnected(&driver).await.unwrap();
    assert!(rig.is_quiet(3600 * SECOND).await);
    rig.list.lock().unwrap().push(("b".into(), None));
    rig.driver.reconnect();
    rig.reconciler.reregistered(&driver).await.unwrap();
    assert_eq!(rig.asked().await, ["a", "b"]);
    rig.answer("a").await;
    rig.answer("b").await;
    assert_eq!(rig.asked().await, IMPLICIT);
    rig.reconciler.settled().await.unwrap();
    // Settled holds for a subscription.
    rig.resubscribe().await;
    assert!(!rig.reconciler.progress().is_settled);
    assert_eq!(rig.asked().await, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_listed_any_more_is_not_waited_for() {
    let rig = Rig::of(&["a", "b"]);
    rig.register().await;
    assert_eq!(rig.asked().await, ["a", "b"]);
    rig.list.lock().unwrap().clear();
    assert_eq!(rig.asked().await, IMPLICIT);
    rig.reconciler.settled().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn questions_without_an_answer_of_the_masters_are_asked_again() {
    let rig = Rig::of(&["a"]);
    for answer in [
        Answer::Unknown,
        Answer::NotSent,
        Answer::Refused(503, String::new()),
    ] {
        rig.driver.answer_next(answer);
    }
    rig.register().await;
    for _ in 0..4 {
        assert_eq!(rig.asked().await, ["a"]);
    }
    rig.driver.answer_next(Answer::Unknown);
    rig.answer("a").await;
    assert_eq!(rig.asked().await, IMPLICIT);
    assert!(!rig.reconciler.progress().is_settled);
    assert_eq!(rig.asked().await, IMPLICIT);
    rig.reconciler.settled().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn many_tasks_are_asked_for_in_several_calls() {
    let ids: Vec<_> = (0..5).map(|number| number.to_string()).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let rig = Rig::with(&ids, |builder| builder.tasks_per_call(2));
    rig.register().await;
    assert_eq!(rig.asked().await, ["0", "1"]);
    assert_eq!(rig.asked().await, ["2", "3"]);
    assert_eq!(rig.asked().await, ["4"]);
    assert_eq!(rig.reconciler.progress().attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn settings_hold_and_a_round_can_be_asked_for() {
    let soon = Backoff::new(SECOND / 10, SECOND / 10);
    let rig = Rig::with(&["a"], |builder| builder.backoff(soon).interval(SECOND));
    rig.register().await;
    let begin = Instant::now();
    for _ in 0..11 {
        assert_eq!(rig.asked().await, ["a"]);
    }
    assert!(begin.elapsed() <= SECOND + SECOND / 10);
    rig.answer("a").await;
    assert_eq!(rig.asked().await, IMPLICIT);
    rig.reconciler.settled().await.unwrap();
    rig.reconciler.reconcile_now();
    let begin = Instant::now();
    assert_eq!(rig.asked().await, ["a"]);
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_driver_s_end_is_told() {
    for how in 0..3 {
        let rig = Rig::of(&["a"]);
        rig.register().await;
        assert_eq!(rig.asked().await, ["a"]);
        let waiting = tokio::spawn({
            let reconciler = rig.reconciler.clone();
            async move { reconciler.settled().await }
        });
        tokio::task::yield_now().await;
        let handle = rig.driver.handle();
        match how {
            0 => handle.stop_for_failover(),
            1 => handle.abort(),
            _ => {
                let why = Error::new(ErrorKind::Store, "disk full");
                rig.reconciler.error(&handle, &why).await;
                handle.abort_with(why)
            }
        };
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotRunning);
        assert!(rig.is_quiet(3600 * SECOND).await);
        // Another driver takes over.
        let next = RecordedDriver::new();
        let id = "framework".into();
        rig.reconciler
            .registered(&next.handle(), &id)
            .await
            .unwrap();
        assert!(next.next_call().await.reconcile.is_some());
        assert!(!rig.reconciler.progress().is_settled);
    }
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_last_clone() {
    let rig = Rig::of(&["a"]);
    rig.register().await;
    assert_eq!(rig.asked().await, ["a"]);
    let Rig {
        reconciler,
        driver,
        list,
    } = rig;
    let clone = reconciler.clone();
    drop(reconciler);
    assert!(driver.next_call().await.reconcile.is_some());
    drop(clone);
    let quiet = tokio::time::timeout(3600 * SECOND, driver.next_call());
    assert!(quiet.await.is_err());
    assert_eq!(Arc::strong_count(&list), 1, "nothing is left of it");
}

#[tokio::test(start_paused = true)]
async fn launches_that_never_got_a_status_are_asked_for() {
    let tracker = TaskTracker::new();
    let driver = RecordedDriver::new();
    let reconciler = Reconciler::new(tracker.clone());
    let handle = driver.handle();
    let task = crate::proto::TaskInfo {
        task_id: "t".into(),
        agent_id: "a".into(),
        ..crate::proto::TaskInfo::default()
    };
    driver.answer_next(Answer::Unknown);
    let filters = crate::proto::Filters::default();
    let launched = tracker.launch(&handle, vec!["o".into()], vec![task], filters);
    let _ = launched.await.unwrap().outcome().await;
    assert!(driver.next_call().await.accept.is_some());
    let id = "framework".into();
    reconciler.registered(&handle, &id).await.unwrap();
    let asked = driver.next_call().await.reconcile.unwrap().tasks;
    assert_eq!(asked[0].task_id, "t".into());
    assert_eq!(asked[0].agent_id, Some("a".into()));
    let gone = testing::reconciled("t", TaskState::TaskGone);
    tracker.status_update(&handle, &gone).await.unwrap();
    reconciler.status_update(&handle, &gone).await.unwrap();
    reconciler.settled().await.unwrap();
    assert_eq!(tracker.counts().of(TaskState::TaskGone), 1);
}
