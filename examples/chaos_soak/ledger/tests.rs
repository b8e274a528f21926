//! That the ledger notices what it is there for.

use mesos_framework::proto::scheduler::call::Acknowledge;
use mesos_framework::proto::task_status::{Reason, Source};

use super::*;

fn status(id: &str, state: TaskState, source: Source, uuid: u8) -> TaskStatus {
    TaskStatus {
        task_id: id.into(),
        agent_id: Some("a".into()),
        state: state as i32,
        source: Some(source as i32),
        uuid: (uuid > 0).then(|| vec![uuid; 16].into()),
        ..TaskStatus::default()
    }
}

fn executors(state: TaskState, uuid: u8) -> TaskStatus {
    status("t", state, Source::Executor, uuid)
}

fn masters(state: TaskState, reason: Reason) -> TaskStatus {
    TaskStatus {
        reason: Some(reason as i32),
        ..status("t", state, Source::Master, 0)
    }
}

fn answer(state: TaskState) -> TaskStatus {
    masters(state, Reason::Reconciliation)
}

fn acknowledge(task_id: &str, uuid: u8) -> Call {
    Call {
        r#type: Some(Type::Acknowledge as i32),
        acknowledge: Some(Acknowledge {
            agent_id: "a".into(),
            task_id: task_id.into(),
            uuid: vec![uuid; 16].into(),
        }),
        ..Call::default()
    }
}

/// A ledger with the task `t`, of which all this was told.
fn told(statuses: &[TaskStatus]) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.launched(&"t".into(), &"a".into());
    for status in statuses {
        ledger.begin(status);
        ledger.end(status);
    }
    ledger
}

fn marked(ids: &[&str]) -> Marked {
    Marked {
        began: ids.iter().map(|id| TaskId::from(*id)).collect(),
        ..Marked::default()
    }
}

fn assert_wrong(ledger: &Ledger, text: &str) {
    let [wrong] = &ledger.violations[..] else {
        panic!("{:?}", ledger.violations);
    };
    assert!(wrong.contains(text), "{wrong}");
}

#[test]
fn a_task_that_runs_and_ends_is_in_order() {
    let mut ledger = told(&[
        executors(TaskState::TaskRunning, 1),
        executors(TaskState::TaskFinished, 2),
        // Repeated.
        executors(TaskState::TaskRunning, 1),
        executors(TaskState::TaskFinished, 2),
        answer(TaskState::TaskFinished),
    ]);
    ledger.sends(&acknowledge("t", 1));
    ledger.sends(&acknowledge("t", 2));
    ledger.compare(&marked(&["t"]));
    assert_eq!(ledger.violations, [""; 0]);
    assert_eq!((ledger.open(), ledger.counts.finished), (0, 1));
    assert_eq!((ledger.counts.repeated, ledger.later.count()), (2, 0));
}

#[test]
fn acknowledgements_before_the_end_of_their_callback_are_noticed() {
    let mut ledger = told(&[]);
    ledger.sends(&acknowledge("t", 1));
    assert_wrong(&ledger, "which never came");

    let mut ledger = told(&[]);
    ledger.begin(&executors(TaskState::TaskRunning, 1));
    ledger.sends(&acknowledge("t", 1));
    assert_wrong(&ledger, "whose callback has not finished");

    let mut ledger = told(&[executors(TaskState::TaskRunning, 1)]);
    ledger.sends(&acknowledge("u", 1));
    assert_wrong(&ledger, "which is another task's");
}

#[test]
fn a_task_that_never_began_and_runs_is_noticed() {
    let refused = || {
        let mut ledger = told(&[]);
        ledger.never_began(&"t".into(), "refused");
        ledger
    };
    let mut ledger = refused();
    ledger.begin(&executors(TaskState::TaskRunning, 1));
    assert_wrong(&ledger, "exists, though it never began (refused)");

    let mut ledger = refused();
    ledger.begin(&answer(TaskState::TaskRunning));
    assert_wrong(&ledger, "exists, though it never began (refused)");

    let mut ledger = refused();
    ledger.compare(&marked(&["t"]));
    assert_wrong(&ledger, "ran, though it never began (refused)");

    let mut ledger = refused();
    assert_eq!(ledger.unanswered().len(), 1);
    ledger.begin(&answer(TaskState::TaskGone));
    ledger.compare(&marked(&[]));
    assert_eq!(ledger.violations, [""; 0]);
    assert!(ledger.unanswered().is_empty());
}

#[test]
fn a_task_that_is_given_up_and_runs_is_noticed() {
    let mut ledger = told(&[
        answer(TaskState::TaskUnknown),
        answer(TaskState::TaskUnknown),
    ]);
    ledger.give_up_unknown();
    assert_eq!(ledger.open(), 1);
    ledger.begin(&answer(TaskState::TaskUnknown));
    ledger.give_up_unknown();
    assert_eq!((ledger.open(), ledger.counts.never_began), (0, 1));
    ledger.begin(&executors(TaskState::TaskRunning, 1));
    assert_wrong(&ledger, "unknown to the master after all faults");
}

#[test]
fn a_launch_that_never_left_and_runs_is_noticed() {
    let dropped = masters(TaskState::TaskDropped, Reason::MasterDisconnected);
    let mut ledger = told(std::slice::from_ref(&dropped));
    ledger.compare(&marked(&["t"]));
    assert_wrong(&ledger, "ran, though its launch never left");

    let ledger = told(&[dropped.clone(), executors(TaskState::TaskFinished, 1)]);
    assert_wrong(&ledger, "has no explanation");

    let ledger = told(&[dropped, answer(TaskState::TaskGone)]);
    assert_eq!(ledger.violations, [""; 0]);
}

#[test]
fn an_end_of_a_task_that_never_ran_is_noticed() {
    let mut ledger = told(&[executors(TaskState::TaskFinished, 1)]);
    ledger.compare(&marked(&[]));
    assert_wrong(&ledger, "ended, and never ran");
}

#[test]
fn later_ends_are_counted_if_mesos_may_say_them() {
    let lost = masters(TaskState::TaskLost, Reason::AgentRemoved);
    let finished = executors(TaskState::TaskFinished, 1);
    for allowed in [
        [lost.clone(), finished.clone()],
        [finished.clone(), lost],
        [answer(TaskState::TaskGone), finished.clone()],
        [finished.clone(), answer(TaskState::TaskGone)],
    ] {
        let ledger = told(&allowed);
        assert_eq!(ledger.violations, [""; 0]);
        assert_eq!(ledger.later.count(), 1);
    }
    for forbidden in [
        [finished.clone(), executors(TaskState::TaskFailed, 2)],
        [finished.clone(), executors(TaskState::TaskFinished, 2)],
        [finished, executors(TaskState::TaskRunning, 2)],
    ] {
        assert_wrong(&told(&forbidden), "has no explanation");
    }
}

#[test]
fn a_launch_that_is_sent_twice_is_noticed() {
    let text = r#"{"type": "ACCEPT", "accept": {"offer_ids": [], "operations": [{"type": "LAUNCH", "launch":
        {"task_infos": [{"name": "t", "task_id": {"value": "t"}, "agent_id": {"value": "a"}}]}}]}}"#;
    let launch: Call = serde_json::from_str(text).unwrap();
    let mut ledger = told(&[]);
    ledger.sends(&launch);
    assert_eq!(ledger.violations, [""; 0]);
    ledger.sends(&launch);
    assert_wrong(&ledger, "was sent twice");
}
