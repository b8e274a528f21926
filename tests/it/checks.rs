//! Checks and health checks of command tasks. On real agents under this crate's command executor.

use std::path::Path;

use mesos_framework::proto::health_check::{HttpCheckInfo, TcpCheckInfo};
use mesos_framework::proto::task_status::Reason;
use mesos_framework::proto::{
    CheckInfo, CheckStatusInfo, CommandInfo, HealthCheck, TaskId, TaskInfo, TaskState, TaskStatus,
    check_info, check_status_info, health_check,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::cluster::Cluster;
use crate::command_rig::{Rig, knows_killing, shell, states};
use crate::framework::{Framework, info, task};

/// Runs until it is killed.
const SLEEP: &str = "echo $$ > pid; exec sleep 1000";

/// As often as is sensible.
const INTERVAL: f64 = 0.05;

fn check(kind: check_info::Type) -> CheckInfo {
    CheckInfo {
        r#type: Some(kind as i32),
        delay_seconds: Some(0.0),
        interval_seconds: Some(INTERVAL),
        ..CheckInfo::default()
    }
}

fn command_check(line: &str) -> CheckInfo {
    CheckInfo {
        command: Some(check_info::Command {
            command: shell(line),
        }),
        ..check(check_info::Type::Command)
    }
}

fn health(kind: health_check::Type) -> HealthCheck {
    HealthCheck {
        r#type: Some(kind as i32),
        delay_seconds: Some(0.0),
        interval_seconds: Some(INTERVAL),
        grace_period_seconds: Some(0.0),
        ..HealthCheck::default()
    }
}

fn command_health(line: &str) -> HealthCheck {
    HealthCheck {
        command: Some(shell(line)),
        ..health(health_check::Type::Command)
    }
}

/// What a command check found: nothing yet, or an exit status.
fn exited(code: Option<i32>) -> Option<CheckStatusInfo> {
    Some(CheckStatusInfo {
        r#type: Some(check_info::Type::Command as i32),
        command: Some(check_status_info::Command { exit_code: code }),
        ..CheckStatusInfo::default()
    })
}

fn answered(code: u32) -> Option<CheckStatusInfo> {
    Some(CheckStatusInfo {
        r#type: Some(check_info::Type::Http as i32),
        http: Some(check_status_info::Http {
            status_code: Some(code),
        }),
        ..CheckStatusInfo::default()
    })
}

fn connected(succeeded: bool) -> Option<CheckStatusInfo> {
    Some(CheckStatusInfo {
        r#type: Some(check_info::Type::Tcp as i32),
        tcp: Some(check_status_info::Tcp {
            succeeded: Some(succeeded),
        }),
        ..CheckStatusInfo::default()
    })
}

async fn launch_checked(rig: &mut Rig, line: &str, check: CheckInfo) -> TaskId {
    let checked = |task| TaskInfo {
        check: Some(check),
        ..task
    };
    rig.launch_with(shell(line), checked).await
}

async fn launch_health_checked(rig: &mut Rig, line: &str, health: HealthCheck) -> TaskId {
    let checked = |task| TaskInfo {
        health_check: Some(health),
        ..task
    };
    rig.launch_with(shell(line), checked).await
}

/// The next status, which says that the task runs and why that is said.
async fn told(rig: &mut Rig, task_id: &TaskId, reason: Reason) -> TaskStatus {
    let status = rig.framework.status(task_id).await;
    assert_eq!(status.state(), TaskState::TaskRunning, "{status:?}");
    assert_eq!(status.reason(), reason, "{status:?}");
    status
}

async fn starts(rig: &mut Rig, task_id: &TaskId) {
    for state in [TaskState::TaskStarting, TaskState::TaskRunning] {
        let status = rig.framework.status(task_id).await;
        assert_eq!(status.state(), state);
        assert_eq!(status.reason, None);
        assert_eq!(status.healthy, None);
    }
}

fn write(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

#[tokio::test]
async fn every_status_of_a_checked_task_has_a_check_status() {
    let mut rig = Rig::with(knows_killing("checked")).await;
    let task_id = launch_checked(&mut rig, SLEEP, command_check("exit 3")).await;
    for state in [TaskState::TaskStarting, TaskState::TaskRunning] {
        let status = rig.framework.status(&task_id).await;
        assert_eq!(status.state(), state);
        assert_eq!(status.check_status, exited(None));
    }
    let found = told(&mut rig, &task_id, Reason::TaskCheckStatusUpdated).await;
    assert_eq!(found.check_status, exited(Some(3)));
    assert_eq!(found.healthy, None);
    rig.kill(&task_id).await;
    // What is made anew says nothing of what was found before.
    let last = rig.until_its_end(&task_id).await;
    assert_eq!(
        states(&last),
        [TaskState::TaskKilling, TaskState::TaskKilled]
    );
    for status in last {
        assert_eq!(status.check_status, exited(None));
    }
    rig.end().await;
}

#[tokio::test]
async fn a_check_tells_changes_only() {
    let mut rig = Rig::start("changes").await;
    let line = "echo 1 > code; echo $$ > pid; exec sleep 1000";
    // It runs in the sandbox, with the executor's environment and its own.
    let look = "test $MESOS_SANDBOX = $PWD || exit 99; echo >> looks; exit $(cat code)";
    let task_id = launch_checked(&mut rig, line, command_check(look)).await;
    starts(&mut rig, &task_id).await;
    let updated = Reason::TaskCheckStatusUpdated;
    let mut first = told(&mut rig, &task_id, updated).await;
    // The very first look may have come before the file.
    if first.check_status != exited(Some(1)) {
        first = told(&mut rig, &task_id, updated).await;
    }
    assert_eq!(first.check_status, exited(Some(1)));
    let looks = rig.path_of("looks");
    let count = || std::fs::read_to_string(&looks).unwrap().lines().count();
    let seen = count();
    let looked = async {
        while count() < seen + 3 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    crate::peer::within("three more looks", looked).await;
    write(&rig.path_of("code"), "7\n");
    let next = told(&mut rig, &task_id, updated).await;
    assert_eq!(next.check_status, exited(Some(7)));
    rig.kill(&task_id).await;
    rig.framework
        .comes_to(&task_id, TaskState::TaskKilled)
        .await;
    rig.end().await;
}

#[tokio::test]
async fn a_check_that_takes_too_long_has_no_result() {
    let mut rig = Rig::start("slow").await;
    let slow = CheckInfo {
        timeout_seconds: Some(0.3),
        ..command_check("test -e slow && sleep 1000; touch slow; exit 4")
    };
    let task_id = launch_checked(&mut rig, SLEEP, slow).await;
    starts(&mut rig, &task_id).await;
    let found = told(&mut rig, &task_id, Reason::TaskCheckStatusUpdated).await;
    assert_eq!(found.check_status, exited(Some(4)));
    let lost = told(&mut rig, &task_id, Reason::TaskCheckStatusUpdated).await;
    assert_eq!(lost.check_status, exited(None));
    rig.end().await;
}

/// Answers each request with the next of these, and then always with the last one.
async fn serve(listener: TcpListener, answers: &'static [&'static str]) {
    let mut answers = answers.iter().peekable();
    let mut answer = "";
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        if stream.read(&mut request).await.unwrap_or(0) == 0 {
            continue;
        }
        answer = answers.next().copied().unwrap_or(answer);
        let whole = format!("HTTP/1.1 {answer}\r\nContent-Length: 2\r\n\r\nok");
        let _ = stream.write_all(whole.as_bytes()).await;
    }
}

/// A port of this process's, and what listens there.
async fn listener() -> (u32, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener.local_addr().unwrap().port().into(), listener)
}

#[tokio::test]
async fn an_http_check_tells_the_status_code_behind_redirects() {
    let mut rig = Rig::start("http").await;
    let (port, listener) = listener().await;
    let answers = &["503 No", "302 There\r\nLocation: /other", "204 Fine"];
    tokio::spawn(serve(listener, answers));
    let http = CheckInfo {
        http: Some(check_info::Http {
            port,
            path: Some("/health".into()),
        }),
        ..check(check_info::Type::Http)
    };
    let task_id = launch_checked(&mut rig, SLEEP, http).await;
    starts(&mut rig, &task_id).await;
    for code in [503, 204] {
        let found = told(&mut rig, &task_id, Reason::TaskCheckStatusUpdated).await;
        assert_eq!(found.check_status, answered(code));
    }
    rig.end().await;
}

#[tokio::test]
async fn a_tcp_check_tells_whether_somebody_listens() {
    let mut rig = Rig::start("tcp").await;
    let (port, open) = listener().await;
    drop(open);
    let tcp = CheckInfo {
        tcp: Some(check_info::Tcp { port }),
        ..check(check_info::Type::Tcp)
    };
    let task_id = launch_checked(&mut rig, SLEEP, tcp).await;
    starts(&mut rig, &task_id).await;
    let found = told(&mut rig, &task_id, Reason::TaskCheckStatusUpdated).await;
    assert_eq!(found.check_status, connected(false));
    let address = format!("127.0.0.1:{port}");
    let _open = TcpListener::bind(address).await.unwrap();
    let found = told(&mut rig, &task_id, Reason::TaskCheckStatusUpdated).await;
    assert_eq!(found.check_status, connected(true));
    rig.end().await;
}

#[tokio::test]
async fn a_task_that_is_never_healthy_is_killed() {
    let mut rig = Rig::with(knows_killing("sick")).await;
    let sick = HealthCheck {
        consecutive_failures: Some(2),
        ..command_health("exit 1")
    };
    let task_id = launch_health_checked(&mut rig, SLEEP, sick).await;
    starts(&mut rig, &task_id).await;
    for _ in 0..2 {
        let found = told(&mut rig, &task_id, Reason::TaskHealthCheckStatusUpdated).await;
        assert_eq!(found.healthy, Some(false));
    }
    let last = rig.until_its_end(&task_id).await;
    assert_eq!(
        states(&last),
        [TaskState::TaskKilling, TaskState::TaskKilled]
    );
    assert_eq!(last[0].healthy, None);
    assert_eq!(last[1].healthy, Some(false));
    assert_eq!(last[1].reason, None);
    let message = "Command terminated with signal Terminated";
    assert_eq!(last[1].message(), message);
    rig.end().await;
}

#[tokio::test]
async fn health_is_told_first_and_when_it_comes_back() {
    let mut rig = Rig::start("recovers").await;
    let patient = HealthCheck {
        consecutive_failures: Some(1_000_000),
        ..command_health("echo >> looks; test ! -e sick")
    };
    let task_id = launch_health_checked(&mut rig, SLEEP, patient).await;
    starts(&mut rig, &task_id).await;
    let first = told(&mut rig, &task_id, Reason::TaskHealthCheckStatusUpdated).await;
    assert_eq!(first.healthy, Some(true));
    rig.line_of("looks").await;
    let looks = rig.path_of("looks");
    write(&looks.with_file_name("sick"), "");
    let sick = told(&mut rig, &task_id, Reason::TaskHealthCheckStatusUpdated).await;
    assert_eq!(sick.healthy, Some(false));
    std::fs::remove_file(looks.with_file_name("sick")).unwrap();
    loop {
        let found = told(&mut rig, &task_id, Reason::TaskHealthCheckStatusUpdated).await;
        if found.healthy == Some(true) {
            break;
        }
    }
    // What was found is known to whoever asks.
    assert_eq!(rig.framework.reconciled(&task_id).await.healthy, Some(true));
    rig.kill(&task_id).await;
    let killed = rig
        .framework
        .comes_to(&task_id, TaskState::TaskKilled)
        .await;
    assert_eq!(killed.healthy, None);
    rig.end().await;
}

#[tokio::test]
async fn failures_in_the_grace_period_are_not_told() {
    let mut rig = Rig::start("grace").await;
    let slow = HealthCheck {
        grace_period_seconds: Some(1000.0),
        consecutive_failures: Some(1),
        ..command_health("echo >> looks; test $(wc -l < looks) -gt 3")
    };
    let task_id = launch_health_checked(&mut rig, SLEEP, slow).await;
    starts(&mut rig, &task_id).await;
    let first = told(&mut rig, &task_id, Reason::TaskHealthCheckStatusUpdated).await;
    assert_eq!(first.healthy, Some(true));
    rig.end().await;
}

#[tokio::test]
async fn http_is_healthy_below_400() {
    let mut rig = Rig::start("healthy-http").await;
    let (port, listener) = listener().await;
    tokio::spawn(serve(listener, &["399 Fine", "400 No"]));
    let http = HealthCheck {
        http: Some(HttpCheckInfo {
            port,
            path: Some("/".into()),
            ..HttpCheckInfo::default()
        }),
        ..health(health_check::Type::Http)
    };
    is_healthy_once(&mut rig, http, || ()).await;
    rig.end().await;
}

#[tokio::test]
async fn tcp_is_healthy_while_somebody_listens() {
    let mut rig = Rig::start("healthy-tcp").await;
    let (port, listener) = listener().await;
    let served = tokio::spawn(serve(listener, &["200 OK"]));
    let tcp = HealthCheck {
        tcp: Some(TcpCheckInfo {
            port,
            ..TcpCheckInfo::default()
        }),
        ..health(health_check::Type::Tcp)
    };
    is_healthy_once(&mut rig, tcp, || served.abort()).await;
    rig.end().await;
}

/// A task that is healthy, and not any more after `spoil`.
async fn is_healthy_once(rig: &mut Rig, check: HealthCheck, spoil: impl FnOnce()) {
    let updated = Reason::TaskHealthCheckStatusUpdated;
    let task_id = launch_health_checked(rig, SLEEP, check).await;
    starts(rig, &task_id).await;
    assert_eq!(told(rig, &task_id, updated).await.healthy, Some(true));
    spoil();
    assert_eq!(told(rig, &task_id, updated).await.healthy, Some(false));
    let killed = TaskState::TaskKilled;
    rig.framework.comes_to(&task_id, killed).await;
}

#[tokio::test]
async fn a_malformed_check_is_a_task_error() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("malformed")).await;
    let without_field = check(check_info::Type::Command);
    let relative = HealthCheck {
        http: Some(HttpCheckInfo {
            port: 80,
            path: Some("ok".into()),
            ..HttpCheckInfo::default()
        }),
        ..health(health_check::Type::Http)
    };
    let negative = HealthCheck {
        interval_seconds: Some(-1.0),
        ..command_health("true")
    };
    let empty = HealthCheck {
        command: Some(CommandInfo::default()),
        ..health(health_check::Type::Command)
    };
    let cases = [
        (
            (Some(without_field), None),
            "Task uses invalid check: Expecting 'command' to be set for COMMAND check",
        ),
        (
            (None, Some(HealthCheck::default())),
            "Task uses invalid health check: HealthCheck must specify 'type'",
        ),
        (
            (None, Some(relative)),
            "Task uses invalid health check: The path 'ok' of HTTP health check must start with '/'",
        ),
        (
            (None, Some(negative)),
            "Task uses invalid health check: Expecting 'interval_seconds' to be non-negative",
        ),
        (
            (None, Some(empty)),
            "Task uses invalid health check: Command health check must contain 'shell command'",
        ),
    ];
    for (number, ((check, health_check), message)) in cases.into_iter().enumerate() {
        let offer = framework.offer().await;
        let task = TaskInfo {
            check,
            health_check,
            ..task(&format!("malformed {number}"), "", &offer)
        };
        assert_eq!(task.validate().unwrap_err().to_string(), message);
        framework.launch(offer, vec![task.clone()]).await;
        let status = framework.status(&task.task_id).await;
        assert_eq!(status.state(), TaskState::TaskError);
        assert_eq!(status.reason(), Reason::TaskInvalid);
        assert_eq!(status.message(), message);
    }
    framework.teardown().await;
    cluster.shutdown().await;
}
