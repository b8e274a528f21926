use super::*;
use crate::driver::{ConnectionState, Status};
use crate::error::Result;
use crate::proto::scheduler::Call;
use crate::proto::scheduler::call::Type;
use crate::proto::{FrameworkInfo, TaskState};
use crate::scheduler::SchedulerHandle;

fn types(calls: &[Call]) -> Vec<Type> {
    calls.iter().map(Call::r#type).collect()
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

async fn kill(handle: &SchedulerHandle) -> Result<crate::driver::Receipt> {
    handle.kill_task("t".into(), None).await
}

#[tokio::test]
async fn calls_are_recorded_in_order_with_the_framework_s_id() {
    let info = FrameworkInfo {
        id: Some("f".into()),
        ..FrameworkInfo::default()
    };
    let driver = RecordedDriver::of(info);
    let handle = driver.handle();
    assert_eq!(handle.framework_id(), Some("f".into()));
    assert!(handle.connection().is_subscribed());
    let _ = kill(&handle).await.unwrap();
    let _ = handle.revive_offers(vec![]).await.unwrap();
    for _ in 0..2 {
        // Declines wait for nothing here, and are not merged.
        let declined = handle.decline_offers(vec!["o".into()], Default::default());
        assert!(declined.await.unwrap().outcome().await.is_accepted());
    }
    let calls = driver.take_calls();
    let expected = [Type::Kill, Type::Revive, Type::Decline, Type::Decline];
    assert_eq!(types(&calls), expected);
    assert!(
        calls
            .iter()
            .all(|call| call.framework_id == Some("f".into()))
    );
    assert!(driver.take_calls().is_empty());
}

#[tokio::test]
async fn answers_are_those_of_the_test() {
    let driver = RecordedDriver::new();
    let handle = driver.handle();
    driver.answer_with(|call| match call.kill {
        Some(_) => Answer::Unknown,
        None => Answer::Accepted,
    });
    driver.answer_next(Answer::Refused(403, "no".into()));
    driver.answer_next(Answer::NotSent);
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(kill(&handle).await.unwrap().outcome().await);
    }
    let revived = handle.revive_offers(vec![]).await.unwrap();
    outcomes.push(revived.outcome().await);
    assert!(matches!(
        &outcomes[..],
        [
            Outcome::Refused { status: 403, .. },
            Outcome::NotSent(_),
            Outcome::Unknown(_),
            Outcome::Accepted
        ]
    ));
}

#[tokio::test]
async fn without_a_subscription_calls_are_refused_or_stored() {
    let driver = RecordedDriver::new();
    let handle = driver.handle();
    driver.disconnect();
    assert!(!handle.connection().is_subscribed());
    assert_eq!(kind(kill(&handle).await), ErrorKind::Disconnected);
    let suppressed = handle.suppress_offers(vec!["r".into()]).await.unwrap();
    assert!(driver.take_calls().is_empty());
    driver.reconnect();
    assert_eq!(types(&driver.take_calls()), [Type::Suppress]);
    assert!(suppressed.outcome().await.is_accepted());
    let ConnectionState::Subscribed { generation, .. } = handle.connection().state else {
        panic!("{:?}", handle.connection());
    };
    assert_eq!(generation, 2);
    assert!(kill(&handle).await.is_ok());
}

#[tokio::test]
async fn every_end_is_told_and_nothing_is_called_after_it() {
    type End = fn(&SchedulerHandle) -> Status;
    let ends: [(End, Status); 4] = [
        (|handle| handle.stop(), Status::Stopped),
        (|handle| handle.stop_for_failover(), Status::Stopped),
        (|handle| handle.abort(), Status::Aborted),
        (
            |handle| handle.abort_with(Error::new(ErrorKind::Store, "full")),
            Status::Aborted,
        ),
    ];
    let mut told = Vec::new();
    for (end, status) in ends {
        let driver = RecordedDriver::new();
        let handle = driver.handle();
        assert!(driver.end().is_none());
        assert_eq!((end(&handle), handle.status()), (status, status));
        assert_eq!(kind(kill(&handle).await), ErrorKind::NotRunning);
        assert_eq!(handle.connection().state, ConnectionState::Closed);
        driver.reconnect();
        assert_eq!(kind(kill(&handle).await), ErrorKind::NotRunning);
        told.push((driver.end().unwrap(), types(&driver.take_calls())));
    }
    assert!(
        matches!(&told[0], (DriverEnd::Stopped(Stop::Teardown), calls) if calls[..] == [Type::Teardown])
    );
    assert!(matches!(&told[1], (DriverEnd::Stopped(Stop::ForFailover), calls) if calls.is_empty()));
    assert!(matches!(&told[2], (DriverEnd::Aborted, calls) if calls.is_empty()));
    assert!(matches!(&told[3], (DriverEnd::Failed(error), _) if error.to_string() == "full"));
}

#[tokio::test]
async fn a_teardown_has_its_answer() {
    let teardown = Call {
        r#type: Some(Type::Teardown as i32),
        ..Call::default()
    };
    let driver = RecordedDriver::new();
    driver.answer_next(Answer::Refused(403, String::new()));
    let receipt = driver.handle().call(teardown.clone()).await.unwrap();
    assert!(matches!(
        receipt.outcome().await,
        Outcome::Refused { status: 403, .. }
    ));
    assert_eq!(types(&driver.take_calls()), [Type::Teardown]);

    let driver = RecordedDriver::new();
    driver.disconnect();
    let receipt = driver.handle().call(teardown).await.unwrap();
    assert!(matches!(receipt.outcome().await, Outcome::NotSent(_)));
}

#[tokio::test]
async fn a_dropped_driver_has_ended() {
    let driver = RecordedDriver::new();
    let handle = driver.handle();
    drop(driver.clone());
    assert_eq!(handle.status(), Status::Running);
    drop(driver);
    assert_eq!(handle.status(), Status::Stopped);
    assert_eq!(kind(kill(&handle).await), ErrorKind::NotRunning);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_is_recorded_and_answered_when_its_method_returns() {
    let driver = RecordedDriver::new();
    let many: Vec<_> = (0..8)
        .map(|_| {
            let (driver, handle) = (driver.clone(), driver.handle());
            tokio::spawn(async move {
                let mut taken = 0;
                for _ in 0..200 {
                    let receipt = kill(&handle).await.unwrap();
                    let outcome =
                        tokio::time::timeout(std::time::Duration::ZERO, receipt.outcome());
                    assert!(outcome.await.expect("answered").is_accepted());
                    taken += driver.take_calls().len();
                }
                taken
            })
        })
        .collect();
    let mut taken = 0;
    for one in many {
        taken += one.await.unwrap();
    }
    assert_eq!(taken, 8 * 200);
}

#[tokio::test]
async fn statuses_of_an_executor_wait_for_its_subscription() {
    let driver = RecordedExecutorDriver::new();
    let handle = driver.handle();
    driver.disconnect();
    let message = handle.send_framework_message("m").await;
    assert_eq!(kind(message), ErrorKind::Disconnected);
    let running = status("t", "a", TaskState::TaskRunning);
    let receipt = handle.send_status_update(running).await.unwrap();
    assert!(driver.take_calls().is_empty());
    driver.reconnect();
    let update = driver.next_call().await.update.unwrap();
    assert_eq!(update.status.executor_id, Some("executor".into()));
    assert!(receipt.outcome().await.is_accepted());
    handle.stop();
    assert!(matches!(
        driver.end(),
        Some(DriverEnd::Stopped(Stop::ForFailover))
    ));
}

#[test]
fn samples_are_what_masters_and_executors_send() {
    let offer = offer("o", "a", "cpus:1.5;mem:64;ports:[1-2]");
    assert_eq!(offer.resources.len(), 3);
    let one = status("t", "a", TaskState::TaskRunning);
    let other = status("t", "a", TaskState::TaskRunning);
    assert_ne!(one.uuid, other.uuid);
    let answer = reconciled("t", TaskState::TaskGone);
    assert!(answer.uuid.is_none() && answer.timestamp.is_some());
}
