use std::collections::VecDeque;
use std::sync::Mutex;

use super::*;

/// Answers what the script says, one after another; then nothing any more.
struct Script(Mutex<VecDeque<Answer>>);

#[derive(Clone, Copy)]
enum Answer {
    Exit(i32),
    Fails,
    /// After so many seconds.
    Late(u64),
}

impl Check for Script {
    fn make(&self) -> Pin<Box<dyn Future<Output = Found> + Send + '_>> {
        let next = self.0.lock().unwrap().pop_front();
        Box::pin(async move {
            match next {
                Some(Answer::Exit(code)) => Ok(exited(code)),
                Some(Answer::Fails) => Err("no".to_owned()),
                Some(Answer::Late(seconds)) => {
                    sleep(Duration::from_secs(seconds)).await;
                    Ok(exited(0))
                }
                None => pending().await,
            }
        })
    }
}

fn exited(code: i32) -> CheckStatusInfo {
    CheckStatusInfo {
        command: Some(status::Command {
            exit_code: Some(code),
        }),
        ..no_result(check_info::Type::Command)
    }
}

fn script(answers: &[Answer]) -> Script {
    Script(Mutex::new(answers.iter().copied().collect()))
}

/// The reports of so many seconds, and the seconds since the start at which they came.
async fn timeline(mut reports: BoxStream<'static, Report>, seconds: u64) -> Vec<(u64, Report)> {
    let start = Instant::now();
    let mut seen = Vec::new();
    let end = start + Duration::from_secs(seconds);
    while let Ok(Some(report)) = tokio::time::timeout_at(end, reports.next()).await {
        seen.push((start.elapsed().as_secs(), report));
    }
    seen
}

fn check() -> CheckInfo {
    CheckInfo {
        r#type: Some(check_info::Type::Command.into()),
        ..Default::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_tells_changes_only() {
    use Answer::{Exit, Fails};
    let check = check();
    let answers = [Exit(1), Exit(1), Fails, Fails, Exit(0), Exit(1)];
    let found = repeated(script(&answers), Timing::of_check(&check));
    let seen = timeline(changes(&check, found), 70).await;
    // The first after 15 s, then every 10 s.
    let expected = [
        (15, exited(1)),
        (35, no_result(check_info::Type::Command)),
        (55, exited(0)),
        (65, exited(1)),
    ];
    assert_eq!(seen, expected.map(|(at, found)| (at, Report::Check(found))));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_never_had_a_result_tells_nothing() {
    let check = check();
    let found = repeated(
        script(&[Answer::Fails, Answer::Fails]),
        Timing::of_check(&check),
    );
    assert_eq!(timeline(changes(&check, found), 1000).await, []);
}

#[tokio::test(start_paused = true)]
async fn the_interval_is_counted_from_the_end_of_a_check_and_its_time_is_limited() {
    use Answer::{Exit, Late};
    let check = CheckInfo {
        delay_seconds: Some(0.0),
        interval_seconds: Some(5.0),
        timeout_seconds: Some(4.0),
        ..check()
    };
    let answers = [Exit(1), Late(3), Late(60), Exit(2)];
    let found = repeated(script(&answers), Timing::of_check(&check));
    let seen = timeline(changes(&check, found), 25).await;
    let expected = [
        (0, exited(1)),
        (8, exited(0)),
        (17, no_result(check_info::Type::Command)),
        (22, exited(2)),
    ];
    assert_eq!(seen, expected.map(|(at, found)| (at, Report::Check(found))));
}

#[tokio::test(start_paused = true)]
async fn a_time_out_of_zero_is_none() {
    let check = CheckInfo {
        timeout_seconds: Some(0.0),
        ..check()
    };
    let found = repeated(script(&[Answer::Late(100_000)]), Timing::of_check(&check));
    let seen = timeline(changes(&check, found), 200_000).await;
    assert_eq!(seen, [(100_015, Report::Check(exited(0)))]);
}

#[tokio::test(start_paused = true)]
async fn a_health_check_tells_failures_behind_the_grace_period() {
    use Answer::{Exit, Fails};
    let check = HealthCheck {
        r#type: Some(health_check::Type::Command.into()),
        delay_seconds: Some(1.0),
        interval_seconds: Some(5.0),
        grace_period_seconds: Some(10.0),
        consecutive_failures: Some(2),
        ..Default::default()
    };
    let answers = [Exit(1), Fails, Exit(1), Exit(0), Exit(0), Fails, Exit(7)];
    let found = repeated(script(&answers), Timing::of_health_check(&check));
    let seen = timeline(verdicts(&check, found), 35).await;
    let health = |is_healthy, is_fatal| Report::Health {
        is_healthy,
        is_fatal,
    };
    let expected = [
        (11, health(false, false)),
        (16, health(true, false)),
        (26, health(false, false)),
        (31, health(false, true)),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn http_is_healthy_from_200_to_399() {
    let answered = |code| CheckStatusInfo {
        http: Some(status::Http {
            status_code: Some(code),
        }),
        ..no_result(check_info::Type::Http)
    };
    for (code, expected) in [(199, false), (200, true), (399, true), (400, false)] {
        assert_eq!(is_healthy(&answered(code)), expected, "{code}");
    }
    let connected = |succeeded| CheckStatusInfo {
        tcp: Some(status::Tcp {
            succeeded: Some(succeeded),
        }),
        ..no_result(check_info::Type::Tcp)
    };
    assert!(is_healthy(&connected(true)));
    assert!(!is_healthy(&connected(false)));
}
