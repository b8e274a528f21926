use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::driver::Outcome;
use crate::error::{Error, ErrorKind};
use crate::proto::task_status::Reason;
use crate::proto::{ExecutorInfo, TaskGroupInfo, TaskState};
use crate::toolkit::testing::{self, Answer, RecordedDriver};

fn info(id: &str) -> TaskInfo {
    TaskInfo {
        name: format!("name of {id}"),
        task_id: id.into(),
        agent_id: "a".into(),
        ..TaskInfo::default()
    }
}

/// A tracker, and what it is told by.
struct Rig {
    tracker: TaskTracker,
    driver: RecordedDriver,
}

impl Rig {
    fn new() -> Self {
        Self {
            tracker: TaskTracker::new(),
            driver: RecordedDriver::new(),
        }
    }

    async fn on(store: impl TaskStore) -> Self {
        Self {
            tracker: TaskTracker::builder().store(store).open().await.unwrap(),
            driver: RecordedDriver::new(),
        }
    }

    async fn launch(&self, ids: &[&str]) -> Result<LaunchReceipt> {
        let tasks = ids.iter().map(|id| info(id)).collect();
        let filters = Filters::default();
        self.tracker
            .launch(&self.driver.handle(), vec!["o".into()], tasks, filters)
            .await
    }

    /// The end of a launch that was answered so.
    async fn launched(&self, id: &str, answer: Answer) -> Outcome {
        self.driver.answer_next(answer);
        self.launch(&[id]).await.unwrap().outcome().await
    }

    async fn told(&self, status: TaskStatus) {
        let driver = self.driver.handle();
        self.tracker.status_update(&driver, &status).await.unwrap();
    }

    async fn told_by_agent(&self, id: &str, state: TaskState) {
        self.told(testing::status(id, "a", state)).await;
    }

    async fn told_by_master(&self, id: &str, state: TaskState) {
        self.told(testing::reconciled(id, state)).await;
    }

    fn state(&self, id: &str) -> Option<TaskState> {
        self.tracker.get(&id.into()).map(|task| task.state)
    }

    fn unsettled(&self) -> Vec<String> {
        let unsettled = self.tracker.unsettled().into_iter();
        unsettled.map(|(task_id, _)| task_id.value).collect()
    }
}

#[tokio::test]
async fn a_task_is_followed_from_its_launch_to_its_end() {
    use TaskState::{TaskFinished, TaskRunning, TaskStaging, TaskStarting};
    let rig = Rig::new();
    assert!(rig.launched("t", Answer::Accepted).await.is_accepted());
    let staged = rig.tracker.get(&"t".into()).unwrap();
    assert_eq!((staged.state, staged.is_unsure), (TaskStaging, false));
    assert_eq!(staged.name, "name of t");
    assert_eq!(staged.agent_id, Some("a".into()));
    assert_eq!(staged.framework_id, Some("framework".into()));
    for state in [TaskStarting, TaskRunning, TaskFinished] {
        rig.told_by_agent("t", state).await;
        assert_eq!(rig.state("t"), Some(state));
        assert_eq!(rig.tracker.counts().of(state), 1);
    }
    assert_eq!(rig.tracker.counts().total(), 1);
    assert_eq!(rig.unsettled(), [""; 0]);
}

#[tokio::test]
async fn what_is_told_twice_counts_once() {
    use TaskState::{TaskFinished, TaskGone, TaskLost, TaskRunning, TaskUnknown};
    let rig = Rig::new();
    rig.launch(&["t"]).await.unwrap();
    let mut watch = rig.tracker.watch();
    let running = testing::status("t", "a", TaskRunning);
    rig.told(running.clone()).await;
    assert_eq!(watch.changed().await.counts().of(TaskRunning), 1);
    rig.told(running).await;
    rig.told_by_master("t", TaskRunning).await;
    let finished = testing::status("t", "a", TaskFinished);
    rig.told(finished.clone()).await;
    assert_eq!(watch.changed().await.counts().ended(), 1);
    // The agent sends it again; the master has forgotten the task; and an executor is wrong.
    rig.told(finished).await;
    for state in [TaskUnknown, TaskGone, TaskLost, TaskFinished] {
        rig.told_by_master("t", state).await;
    }
    rig.told_by_agent("t", TaskState::TaskFailed).await;
    rig.told_by_agent("t", TaskRunning).await;
    let counts = rig.tracker.counts();
    assert_eq!((counts.of(TaskFinished), counts.total()), (1, 1));
    let quiet = tokio::time::timeout(Duration::from_millis(20), watch.changed());
    assert!(quiet.await.is_err(), "nothing has changed");
}

#[tokio::test]
async fn lost_and_unreachable_tasks_come_back() {
    use TaskState::{TaskFinished, TaskLost, TaskRunning, TaskUnknown, TaskUnreachable};
    let rig = Rig::new();
    rig.launch(&["t"]).await.unwrap();
    for away in [TaskUnreachable, TaskLost, TaskUnknown] {
        rig.told_by_agent("t", TaskRunning).await;
        rig.told_by_master("t", away).await;
        let counts = rig.tracker.counts();
        assert_eq!((counts.live(), counts.may_return()), (0, 1), "{away:?}");
        // As of an agent that is back: the master tells.
        rig.told_by_master("t", TaskRunning).await;
        let counts = rig.tracker.counts();
        assert_eq!((counts.live(), counts.may_return()), (1, 0), "{away:?}");
    }
    rig.told_by_master("t", TaskLost).await;
    rig.told_by_agent("t", TaskFinished).await;
    assert_eq!(rig.tracker.counts().of(TaskFinished), 1);
    assert_eq!(rig.tracker.counts().total(), 1);
}

#[tokio::test]
async fn an_agents_word_goes_before_the_masters() {
    use TaskState::{TaskFailed, TaskGone, TaskRunning};
    let rig = Rig::new();
    rig.launch(&["t"]).await.unwrap();
    rig.told_by_master("t", TaskGone).await;
    rig.told_by_master("t", TaskRunning).await;
    assert_eq!(rig.state("t"), Some(TaskGone));
    rig.told_by_agent("t", TaskRunning).await;
    assert_eq!(rig.state("t"), Some(TaskRunning));
    rig.told_by_master("t", TaskGone).await;
    rig.told_by_agent("t", TaskFailed).await;
    rig.told_by_agent("t", TaskRunning).await;
    assert_eq!(rig.state("t"), Some(TaskFailed));
}

#[tokio::test]
async fn an_answer_of_the_master_keeps_the_words_of_the_executor() {
    let rig = Rig::new();
    rig.launch(&["t"]).await.unwrap();
    let mut told = testing::status("t", "a", TaskState::TaskRunning);
    told.message = Some("listening".into());
    told.data = Some("large".into());
    rig.told(told).await;
    let mut answer = testing::reconciled("t", TaskState::TaskRunning);
    answer.healthy = Some(false);
    rig.told(answer).await;
    let status = rig.tracker.get(&"t".into()).unwrap().status.unwrap();
    assert_eq!(status.message(), "listening");
    assert_eq!(status.healthy, Some(false));
    assert!(status.uuid.is_some() && status.data.is_none());
}

#[tokio::test]
async fn a_launch_without_effect_is_settled_as_dropped() {
    let rig = Rig::new();
    let refused = Answer::Refused(400, "Malformed".into());
    let _ = rig.launched("refused", refused).await;
    let _ = rig.launched("unsent", Answer::NotSent).await;
    for id in ["refused", "unsent"] {
        assert_eq!(rig.state(id), Some(TaskState::TaskDropped), "{id}");
    }
    let status = rig.tracker.get(&"refused".into()).unwrap().status.unwrap();
    assert_eq!(status.message(), "launch refused with 400: Malformed");
    // What the driver makes up of it, with and without PARTITION_AWARE.
    for state in [TaskState::TaskDropped, TaskState::TaskLost] {
        let mut made_up = testing::reconciled("unsent", state);
        made_up.reason = Some(Reason::MasterDisconnected as i32);
        rig.told(made_up).await;
        assert_eq!(rig.state("unsent"), Some(TaskState::TaskDropped));
    }
    assert_eq!(rig.tracker.counts().ended(), 2);
}

#[tokio::test]
async fn a_launch_is_unsure_until_a_status_tells() {
    use TaskState::{TaskGone, TaskRunning, TaskStaging, TaskUnknown};
    for told in [TaskStaging, TaskRunning, TaskGone, TaskUnknown] {
        let rig = Rig::new();
        let outcome = rig.launched("t", Answer::Unknown).await;
        assert!(matches!(outcome, Outcome::Unknown(_)));
        let task = rig.tracker.get(&"t".into()).unwrap();
        assert_eq!((task.state, task.is_unsure), (TaskStaging, true));
        assert_eq!(rig.tracker.counts().unsure(), 1);
        assert_eq!(rig.unsettled(), ["t"]);
        rig.told_by_master("t", told).await;
        assert_eq!(rig.state("t"), Some(told));
        assert_eq!(rig.tracker.counts().unsure(), 0);
    }
}

#[tokio::test]
async fn a_launch_that_is_not_queued_leaves_nothing() {
    let store = MemoryTaskStore::new();
    let rig = Rig::on(store.clone()).await;
    rig.driver.disconnect();
    let error = rig.launch(&["t"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert_eq!(rig.tracker.counts().total(), 0);
    assert_eq!(store.load().await.unwrap(), []);
    rig.driver.reconnect();
    rig.launch(&["t"]).await.unwrap();
    assert_eq!(rig.driver.take_calls().len(), 1);
}

#[tokio::test]
async fn an_id_is_used_once() {
    let rig = Rig::new();
    let refused = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    };
    let twice = rig.launch(&["t", "t"]).await.unwrap_err();
    assert_eq!(
        refused(twice),
        "task t cannot be launched twice in one call"
    );
    rig.launch(&["t"]).await.unwrap();
    rig.told_by_agent("t", TaskState::TaskFinished).await;
    let again = rig.launch(&["u", "t"]).await.unwrap_err();
    let expected = "task t cannot be launched: one of that id is tracked, as TASK_FINISHED";
    assert_eq!(refused(again), expected);
    assert_eq!(rig.driver.take_calls().len(), 1);
    assert_eq!(rig.tracker.counts().total(), 1);
    assert!(rig.tracker.forget(&"t".into()).await.unwrap());
    assert!(!rig.tracker.forget(&"t".into()).await.unwrap());
    rig.launch(&["t"]).await.unwrap();
}

#[tokio::test]
async fn tasks_of_operations_are_tracked_and_offers_declined() {
    let rig = Rig::new();
    let executor = ExecutorInfo {
        executor_id: "e".into(),
        ..ExecutorInfo::default()
    };
    let group = offer::operation::LaunchGroup {
        executor,
        task_group: TaskGroupInfo {
            tasks: vec![info("g-1"), info("g-2")],
        },
    };
    let group = offer::Operation {
        r#type: Some(offer::operation::Type::LaunchGroup as i32),
        launch_group: Some(group),
        ..offer::Operation::default()
    };
    let operations = vec![launch::operation(vec![info("t")]), group];
    let (driver, filters) = (rig.driver.handle(), Filters::default());
    let accepted =
        rig.tracker
            .accept_offers(&driver, vec!["o".into()], operations.clone(), filters);
    assert!(accepted.await.unwrap().outcome().await.is_accepted());
    let accept = rig.driver.take_calls().remove(0).accept.unwrap();
    assert_eq!(accept.operations, operations);
    let tasks = rig.tracker.snapshot();
    let tasks: Vec<_> = tasks
        .iter()
        .map(|task| (task.task_id.value.as_str(), task.executor_id.clone()))
        .collect();
    let grouped = Some("e".into());
    assert_eq!(
        tasks,
        [("g-1", grouped.clone()), ("g-2", grouped), ("t", None)]
    );

    rig.launch(&[]).await.unwrap();
    let accept = rig.driver.take_calls().remove(0).accept.unwrap();
    assert!(accept.operations.is_empty(), "which declines the offer");
}

#[tokio::test]
async fn tasks_of_others_are_tracked_until_they_are_forgotten() {
    use TaskState::{TaskFinished, TaskLost, TaskRunning, TaskUnknown, TaskUnreachable};
    let rig = Rig::new();
    for (id, state) in [
        ("finished", TaskFinished),
        ("lost", TaskLost),
        ("unknown", TaskUnknown),
        ("unreachable", TaskUnreachable),
        ("running", TaskRunning),
    ] {
        rig.told_by_agent(id, state).await;
    }
    assert_eq!(rig.unsettled(), ["running", "unreachable"]);
    let task = rig.tracker.get(&"running".into()).unwrap();
    assert_eq!((task.launched_at, task.agent_id), (None, Some("a".into())));
    rig.told_by_agent("running", TaskFinished).await;
    assert_eq!(rig.tracker.counts().of(TaskFinished), 1);
}

#[tokio::test]
async fn of_ended_tasks_the_last_are_kept() {
    let store = MemoryTaskStore::new();
    let builder = TaskTracker::builder().store(store.clone());
    let tracker = builder.retained_tasks(2).open().await.unwrap();
    let driver = RecordedDriver::new();
    let rig = Rig { tracker, driver };
    let ids: Vec<_> = (0..10).map(|number| format!("t-{number}")).collect();
    for id in &ids {
        rig.launch(&[id]).await.unwrap();
        rig.told_by_agent(id, TaskState::TaskFinished).await;
        assert!(rig.tracker.counts().total() <= 2);
    }
    let kept = |tasks: Vec<TrackedTask>| -> Vec<_> {
        tasks.into_iter().map(|task| task.task_id.value).collect()
    };
    assert_eq!(kept(store.load().await.unwrap()), ["t-8", "t-9"]);
    assert_eq!(
        kept(rig.tracker.snapshot().iter().cloned().collect()),
        ["t-8", "t-9"]
    );
    // An update of an end that was forgotten.
    rig.told_by_agent("t-0", TaskState::TaskFinished).await;
    assert_eq!(rig.state("t-0"), None);
}

#[tokio::test]
async fn the_next_tracker_knows_what_this_one_knew() {
    let store = MemoryTaskStore::new();
    let first = Rig::on(store.clone()).await;
    first
        .launch(&["finished", "running", "staged"])
        .await
        .unwrap();
    first
        .told_by_agent("finished", TaskState::TaskFinished)
        .await;
    first.told_by_agent("running", TaskState::TaskRunning).await;
    drop(first);
    let second = Rig::on(store).await;
    let states = ["finished", "running", "staged"].map(|id| second.state(id).unwrap());
    let expected = [
        TaskState::TaskFinished,
        TaskState::TaskRunning,
        TaskState::TaskStaging,
    ];
    assert_eq!(states, expected);
    assert_eq!(second.tracker.counts().unsure(), 1, "was it sent?");
    assert_eq!(second.unsettled(), ["running", "staged"]);
    second
        .told_by_agent("finished", TaskState::TaskFinished)
        .await;
    assert_eq!(second.tracker.counts().ended(), 1);
}

#[tokio::test]
async fn tasks_of_another_framework_are_lost() {
    let rig = Rig::new();
    rig.launch(&["ended", "t"]).await.unwrap();
    rig.told_by_agent("ended", TaskState::TaskFinished).await;
    let (driver, same, other) = (rig.driver.handle(), "framework".into(), "other".into());
    rig.tracker.registered(&driver, &same).await.unwrap();
    assert_eq!(rig.state("t"), Some(TaskState::TaskStaging));
    rig.tracker.registered(&driver, &other).await.unwrap();
    let task = rig.tracker.get(&"t".into()).unwrap();
    assert_eq!(task.state, TaskState::TaskLost);
    let expected = "it is a task of framework framework, not of other";
    assert_eq!(task.status.unwrap().message(), expected);
    assert_eq!(rig.state("ended"), Some(TaskState::TaskFinished));
}

#[tokio::test]
async fn tasks_of_a_removed_framework_are_killed() {
    let rig = Rig::new();
    rig.launch(&["t"]).await.unwrap();
    let (driver, id) = (rig.driver.handle(), "framework".into());
    rig.tracker.framework_removed(&driver, &id).await.unwrap();
    let task = rig.tracker.get(&"t".into()).unwrap();
    assert_eq!(task.state, TaskState::TaskKilled);
    assert_eq!(task.status.unwrap().reason(), Reason::FrameworkRemoved);
}

#[tokio::test]
async fn a_status_of_a_later_mesos_changes_nothing() {
    let rig = Rig::new();
    rig.launch(&["t"]).await.unwrap();
    let mut status = testing::status("t", "a", TaskState::TaskRunning);
    status.state = 99;
    rig.told(status).await;
    assert_eq!(rig.state("t"), Some(TaskState::TaskStaging));
}

/// Writes down what is stored, with the number of calls that were sent by then; or fails.
#[derive(Clone)]
struct Witness {
    driver: RecordedDriver,
    seen: Arc<Mutex<Vec<(usize, TaskState)>>>,
    fails: Arc<AtomicBool>,
}

#[async_trait]
impl TaskStore for Witness {
    async fn load(&self) -> Result<Vec<TrackedTask>> {
        Ok(Vec::new())
    }

    async fn store(&self, changes: &[TaskChange]) -> Result<()> {
        tokio::task::yield_now().await;
        if self.fails.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Store, "disk full"));
        }
        let sent = self.driver.take_calls().len();
        for change in changes {
            if let TaskChange::Put(task) = change {
                self.seen.lock().unwrap().push((sent, task.state));
            }
        }
        Ok(())
    }
}

#[tokio::test]
async fn everything_is_stored_before_it_counts() {
    let driver = RecordedDriver::new();
    let store = Witness {
        driver: driver.clone(),
        seen: Arc::default(),
        fails: Arc::default(),
    };
    let (seen, fails) = (Arc::clone(&store.seen), Arc::clone(&store.fails));
    let tracker = TaskTracker::builder().store(store).open().await.unwrap();
    let rig = Rig { tracker, driver };
    rig.launch(&["t"]).await.unwrap();
    assert_eq!(seen.lock().unwrap()[..], [(0, TaskState::TaskStaging)]);
    assert_eq!(rig.driver.take_calls().len(), 1);

    fails.store(true, Ordering::Relaxed);
    let error = rig.launch(&["u"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    let finished = testing::status("t", "a", TaskState::TaskFinished);
    let driver = rig.driver.handle();
    let told = rig.tracker.status_update(&driver, &finished).await;
    assert_eq!(told.unwrap_err().kind(), ErrorKind::Store);
    assert_eq!(rig.state("t"), Some(TaskState::TaskStaging));
    assert_eq!(rig.state("u"), None);
    assert_eq!(rig.unsettled(), ["t"]);
    assert!(rig.driver.take_calls().is_empty(), "nothing was sent");

    // It comes again, and counts.
    fails.store(false, Ordering::Relaxed);
    rig.told(finished).await;
    rig.launch(&["u"]).await.unwrap();
    assert_eq!(rig.state("t"), Some(TaskState::TaskFinished));
}

#[tokio::test]
async fn a_launch_that_nobody_waits_for_is_sent_all_the_same() {
    let driver = RecordedDriver::new();
    let store = Witness {
        driver: driver.clone(),
        seen: Arc::default(),
        fails: Arc::default(),
    };
    let tracker = TaskTracker::builder().store(store).open().await.unwrap();
    let rig = Rig { tracker, driver };
    let _ = tokio::time::timeout(Duration::ZERO, rig.launch(&["t"])).await;
    let call = tokio::time::timeout(Duration::from_secs(10), rig.driver.next_call()).await;
    assert!(call.unwrap().accept.is_some());
}

#[tokio::test]
async fn waits_end_when_the_tasks_are_so() {
    let rig = Rig::new();
    rig.launch(&["t"]).await.unwrap();
    let tracker = rig.tracker.clone();
    let ended = tokio::spawn(async move {
        tracker.until(|tasks| tasks.counts().ended() == 1).await;
        tracker.counts().of(TaskState::TaskFinished)
    });
    rig.told_by_agent("t", TaskState::TaskRunning).await;
    tokio::task::yield_now().await;
    assert!(!ended.is_finished());
    rig.told_by_agent("t", TaskState::TaskFinished).await;
    assert_eq!(ended.await.unwrap(), 1);
    // At once.
    rig.tracker.until(|tasks| tasks.len() == 1).await;
}
