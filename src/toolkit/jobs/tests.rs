use super::*;
use crate::proto::{CommandInfo, TaskInfo, TaskState};
use crate::resources::Request;
use crate::toolkit::Observer as _;
use crate::toolkit::testing::{RecordedDriver, status};

use JobState::{Failed, Launched, Succeeded, Waiting};
use TaskState::{
    TaskDropped, TaskError, TaskFailed, TaskFinished, TaskGone, TaskKilled, TaskLost, TaskRunning,
    TaskUnknown, TaskUnreachable,
};

fn job(id: &str, cpus: f64) -> PendingTask {
    let task = TaskInfo::new(id, "", []).name(format!("name of {id}"));
    let task = task.command(CommandInfo::in_shell("true"));
    PendingTask::new(task, Needs::new(Request::new().cpus(cpus).mem(32.0)))
}

fn jobs(tracker: &TaskTracker, ids: &[&str]) -> Jobs {
    Jobs::new(tracker, ids.iter().map(|id| job(id, 1.0))).unwrap()
}

/// The task runs, if it was not tracked; and then it is told to be in this state.
async fn told(tracker: &TaskTracker, id: &str, state: TaskState) {
    let handle = RecordedDriver::new().handle();
    for state in [TaskRunning, state] {
        if state != TaskRunning || tracker.get(&id.into()).is_none() {
            let status = status(id, "agent", state);
            tracker.status_update(&handle, &status).await.unwrap();
        }
    }
    assert_eq!(tracker.get(&id.into()).unwrap().state, state, "{id}");
}

fn waiting(jobs: &Jobs) -> Vec<String> {
    let waiting = jobs.waiting().into_iter();
    waiting.map(|task| task.info.task_id.value).collect()
}

#[tokio::test]
async fn how_far_a_job_is_follows_from_its_attempts() {
    for (ends, wanted) in [
        (&[][..], (Waiting, 0, 0)),
        (&[TaskRunning], (Launched, 1, 0)),
        (&[TaskUnreachable], (Launched, 1, 0)),
        (&[TaskFinished], (Succeeded, 1, 0)),
        (&[TaskFailed], (Waiting, 1, 1)),
        (&[TaskFailed, TaskError], (Failed, 2, 2)),
        (&[TaskFailed, TaskFailed, TaskRunning], (Launched, 3, 2)),
        (&[TaskFailed, TaskFailed, TaskKilled], (Failed, 3, 2)),
        // Through no fault of their own.
        (&[TaskKilled, TaskGone, TaskDropped], (Waiting, 3, 0)),
        (&[TaskLost, TaskUnknown], (Waiting, 2, 0)),
        // One that came back after another had taken its place.
        (&[TaskFinished, TaskRunning], (Succeeded, 2, 0)),
        (&[TaskRunning, TaskFailed], (Launched, 2, 1)),
    ] {
        let tracker = TaskTracker::new();
        let jobs = jobs(&tracker, &["job"]).retries(1);
        for (number, state) in ends.iter().enumerate() {
            told(&tracker, &format!("job-{number}"), *state).await;
        }
        let job = jobs.progress().remove(0);
        assert_eq!((job.state, job.attempts, job.failures), wanted, "{ends:?}");
        assert_eq!(job.task.info.task_id.value, "job");
        let next = (wanted.0 == Waiting).then(|| format!("job-{}", ends.len()));
        assert_eq!(waiting(&jobs), Vec::from_iter(next), "{ends:?}");
    }
}

#[tokio::test]
async fn jobs_are_counted_until_all_have_ended() {
    let tracker = TaskTracker::new();
    let jobs = jobs(&tracker, &["a", "b", "c"]).retries(0);
    assert!(Jobs::new(&tracker, []).unwrap().counts().is_done());
    told(&tracker, "a-0", TaskFinished).await;
    told(&tracker, "b-0", TaskFailed).await;
    told(&tracker, "c-0", TaskRunning).await;
    let counts = jobs.counts();
    let states = [Succeeded, Failed, Launched, Waiting];
    assert_eq!(states.map(|own| counts.of(own)), [1, 1, 1, 0]);
    assert_eq!(
        (counts.ended(), counts.total(), counts.is_done()),
        (2, 3, false)
    );
    assert_eq!(counts.to_string(), "1 of 3 succeeded, 1 failed, 1 running");
    told(&tracker, "c-0", TaskFinished).await;
    assert!(jobs.counts().is_done());
    assert_eq!(format!("{:>7}|", Failed), " Failed|");
}

#[tokio::test]
async fn attempts_are_tasks_as_the_job_is_under_ids_of_their_own() {
    let tracker = TaskTracker::new();
    // The second's id looks like an attempt at the first.
    let jobs = jobs(&tracker, &["a", "a-1"]);
    told(&tracker, "a-0", TaskFailed).await;
    assert_eq!(waiting(&jobs), ["a-1", "a-1-0"]);
    let first = jobs.waiting().remove(0);
    assert_eq!(first.info.name, "name of a");
    assert_eq!(first.needs, job("a", 1.0).needs);
    told(&tracker, "a-1", TaskRunning).await;
    assert_eq!(waiting(&jobs), ["a-1-0"]);
    let of = |id: &str| jobs.job_of(&id.into()).map(|job| &*job.info.name);
    assert_eq!(of("a-7"), Some("name of a"));
    assert_eq!(of("a-1-0"), Some("name of a-1"));
    for other in ["a", "b-0", "a-1-x", "a-", ""] {
        assert_eq!(of(other), None, "{other}");
    }
}

#[tokio::test]
async fn no_more_run_at_once_than_may() {
    let tracker = TaskTracker::new();
    let jobs = jobs(&tracker, &["a", "b", "c", "d"]).at_once(2);
    assert_eq!(waiting(&jobs), ["a-0", "b-0"]);
    told(&tracker, "b-0", TaskUnreachable).await;
    assert_eq!(waiting(&jobs), ["a-0"]);
    told(&tracker, "a-0", TaskRunning).await;
    assert!(waiting(&jobs).is_empty());
    told(&tracker, "a-0", TaskFailed).await;
    assert_eq!(waiting(&jobs), ["a-1"]);
    assert_eq!(waiting(&jobs.at_once(usize::MAX)), ["a-1", "c-0", "d-0"]);
}

#[test]
fn many_that_need_the_same_keep_no_place_from_others() {
    let many = (0..=AT_A_TIME).map(|number| job(&format!("many-{number}"), 64.0));
    let others = [job("other", 1.0)];
    let jobs = Jobs::new(&TaskTracker::new(), many.chain(others)).unwrap();
    let waiting = waiting(&jobs);
    assert_eq!(waiting.len(), AT_A_TIME + 1);
    assert_eq!(waiting[AT_A_TIME - 1..], ["many-999-0", "other-0"]);
}

#[tokio::test]
async fn what_runs_for_nothing_is_surplus() {
    let tracker = TaskTracker::new();
    let jobs = jobs(&tracker, &["a", "b"]);
    let of_agent = |id: &str| vec![(TaskId::from(id), Some(AgentId::from("agent")))];
    told(&tracker, "a-0", TaskLost).await;
    told(&tracker, "a-1", TaskRunning).await;
    told(&tracker, "b-0", TaskUnreachable).await;
    told(&tracker, "elsewhere-0", TaskRunning).await;
    assert!(jobs.surplus().is_empty());
    let back = status("a-0", "agent", TaskRunning);
    let handle = RecordedDriver::new().handle();
    tracker.status_update(&handle, &back).await.unwrap();
    assert_eq!(jobs.surplus(), of_agent("a-0"));
    told(&tracker, "a-0", TaskFinished).await;
    assert_eq!(jobs.surplus(), of_agent("a-1"));
    told(&tracker, "a-1", TaskKilled).await;
    assert!(jobs.surplus().is_empty());
}

#[tokio::test]
async fn jobs_are_checked_against_those_of_the_last_time() {
    let tracker = TaskTracker::new();
    let jobs = jobs(&tracker, &["a"]);
    jobs.check().unwrap();
    // Its name is unknown.
    told(&tracker, "a-0", TaskRunning).await;
    let error = jobs.check().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.to_string(),
        "these are not the jobs of the last time: task a-0, named \"\", is of none of them"
    );
    let nameless = PendingTask::new(TaskInfo::new("a", "", []).name(""), Needs::default());
    Jobs::new(&tracker, [nameless]).unwrap().check().unwrap();
    let others = Jobs::new(&tracker, [job("b", 1.0)]).unwrap();
    assert!(others.check().is_err());
}

#[test]
fn an_id_is_given_once() {
    let twice = ["a", "b", "a"].map(|id| job(id, 1.0));
    let error = Jobs::new(&TaskTracker::new(), twice).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.to_string(), "job a cannot be given twice");
}
