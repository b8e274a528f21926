//! Several masters: what standbys answer, who leads, and what outlives a leader.

use std::time::Duration;

use mesos_framework::ErrorKind;
use mesos_framework::local::LocalCluster;
use mesos_framework::proto::task_status::{Reason, Source};
use mesos_framework::proto::{TaskInfo, TaskState};

use crate::cluster::{Agents, Needs, OwnCluster};
use crate::executor_role::RUN;
use crate::framework::{Framework, PATIENCE, info};
use crate::http::{Answer, get, request};
use crate::recorder::Callback;

/// How often what may come too early is tried again.
const REPEAT: Duration = Duration::from_millis(100);

const THREE: Needs = Needs {
    standbys: 2,
    ..Needs::PLAIN
};

/// Of masters alone.
const WITHOUT_AGENTS: Needs = Needs {
    agents: Agents::None,
    ..THREE
};

async fn until_redirected(standby: &str, to: &str) {
    let location = format!("//localhost:{}", port(to));
    until_answer(standby, "/redirect", |answer| {
        answer.header("location") == Some(&location)
    })
    .await;
}

/// Asks until the answer is the one that is wanted. Masters that are only starting refuse connections.
async fn until_answer(address: &str, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
    let asked = async {
        loop {
            let connection = tokio::net::TcpStream::connect(address).await;
            if connection.is_ok() {
                let answer = get(address, path).await;
                if wanted(&answer) {
                    return answer;
                }
            }
            tokio::time::sleep(REPEAT).await;
        }
    };
    let answered = tokio::time::timeout(PATIENCE, asked).await;
    answered.unwrap_or_else(|_| panic!("{address}{path} never answered so"))
}

/// A master that leads answers so; one that has only been told that it does may still recover.
pub async fn until_leading(address: &str) -> serde_json::Value {
    let answer = until_answer(address, "/state", |answer| answer.status == 200).await;
    answer.json()
}

fn port(address: &str) -> &str {
    address.rsplit(':').next().unwrap()
}

async fn dies(address: &str) {
    let dead = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(REPEAT).await;
        }
    };
    tokio::time::timeout(PATIENCE, dead).await.unwrap();
}

#[tokio::test]
async fn a_standby_redirects_what_is_for_the_leader_with_a_location_without_scheme() {
    let Some(cluster) = OwnCluster::start(WITHOUT_AGENTS).await else {
        return;
    };
    let addresses = cluster.addresses();
    until_leading(&addresses[0]).await;
    let (leader, standby) = (port(&addresses[0]), &addresses[1]);
    until_redirected(standby, &addresses[0]).await;
    for (method, path, location) in [
        ("POST", "/api/v1/scheduler", "/master/api/v1/scheduler"),
        (
            "POST",
            "/master/api/v1/scheduler",
            "/master/api/v1/scheduler",
        ),
        ("PUT", "/api/v1/scheduler", "/master/api/v1/scheduler"),
        ("POST", "/api/v1", "/master/api/v1"),
        ("GET", "/state", "/master/state"),
        ("GET", "/state/", "/master/state/"),
        (
            "GET",
            "/master/slaves?slave_id=a+b",
            "/master/slaves?slave_id=a%20b",
        ),
        (
            "GET",
            "/tasks?framework_id=a%2Fb",
            "/master/tasks?framework_id=a%2Fb",
        ),
        ("GET", "/redirect", ""),
        ("GET", "/master/redirect", ""),
    ] {
        // Neither content type nor body are looked at.
        let headers = [("Content-Type", "text/plain")];
        let answer = request(standby, method, path, &headers, b"nonsense").await;
        let location = format!("Location: //localhost:{leader}{location}");
        let expected = [
            "HTTP/1.1 307 Temporary Redirect",
            &location,
            "Content-Length: 0",
        ];
        let mut head = answer.head_without_date();
        head.retain(|line| !line.eq_ignore_ascii_case("connection: close"));
        assert_eq!(sorted(head), sorted(expected.to_vec()), "{method} {path}");
        assert_eq!(answer.text(), "");
    }
    cluster.shutdown().await;
}

fn sorted(lines: Vec<&str>) -> Vec<String> {
    let mut lines: Vec<String> = lines.into_iter().map(str::to_ascii_lowercase).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn a_standby_answers_for_itself_on_health_and_metrics() {
    let Some(cluster) = OwnCluster::start(WITHOUT_AGENTS).await else {
        return;
    };
    let addresses = cluster.addresses();
    until_leading(&addresses[0]).await;
    let standby = &addresses[2];
    until_redirected(standby, &addresses[0]).await;
    let health = get(standby, "/health").await;
    assert_eq!((health.status, health.text()), (200, ""));
    for (address, elected) in [(&addresses[0], 1.0), (standby, 0.0)] {
        let metrics = get(address, "/metrics/snapshot").await.json();
        assert_eq!(metrics["master/elected"], elected, "{address}");
    }
    for path in ["/nonsense", "/redirect/", "/redirect/state"] {
        assert_eq!(get(standby, path).await.status, 404, "{path}");
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn without_a_leader_standbys_are_unavailable() {
    let Some(mut cluster) = OwnCluster::start(WITHOUT_AGENTS).await else {
        return;
    };
    let addresses = cluster.addresses();
    until_leading(&addresses[0]).await;
    cluster.elect_nobody();
    dies(&addresses[0]).await;
    until_answer(&addresses[1], "/state", |answer| answer.status == 503).await;
    for (method, path) in [
        ("POST", "/api/v1/scheduler"),
        ("POST", "/api/v1"),
        ("GET", "/state"),
        ("GET", "/redirect"),
        ("GET", "/redirect/state"),
    ] {
        let answer = request(&addresses[1], method, path, &[], b"").await;
        let got = (answer.status, answer.text());
        assert_eq!(got, (503, "No leader elected"), "{method} {path}");
    }
    assert_eq!(get(&addresses[1], "/health").await.status, 200);

    cluster.elect(2);
    let state = until_leading(&addresses[2]).await;
    assert_eq!(state["leader"], format!("master@{}", addresses[2]));
    until_redirected(&addresses[1], &addresses[2]).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_leader_that_another_replaces_ends_and_comes_back_as_a_standby() {
    let Some(mut cluster) = OwnCluster::start(WITHOUT_AGENTS).await else {
        return;
    };
    let addresses = cluster.addresses();
    let first = until_leading(&addresses[0]).await;
    cluster.elect(1);
    dies(&addresses[0]).await;
    let second = until_leading(&addresses[1]).await;
    assert_ne!(first["id"], second["id"]);
    assert_eq!(cluster.address(), addresses[1]);

    cluster.restart_master().await;
    until_redirected(&addresses[0], &addresses[1]).await;
    cluster.elect(0);
    let third = until_leading(&addresses[0]).await;
    assert_ne!(first["id"], third["id"]);
    cluster.shutdown().await;
}

/// Waits for the framework's new subscription.
async fn reregisters(framework: &mut Framework) {
    framework
        .until("reregistered", |callback| match callback {
            Callback::Reregistered => Some(()),
            Callback::Registered(_) => panic!("{callback:?}"),
            _ => None,
        })
        .await;
}

/// Asks for the task until a master answers: none does before its agent has come back.
async fn lives(framework: &mut Framework, task: &TaskInfo) {
    let asked = async {
        loop {
            let tasks = vec![(task.task_id.clone(), Some(task.agent_id.clone()))];
            framework.handle.reconcile_tasks(tasks).await.unwrap();
            let status = framework.status(&task.task_id);
            if let Ok(status) = tokio::time::timeout(10 * REPEAT, status).await
                && status.state() == TaskState::TaskRunning
            {
                assert_eq!(status.agent_id.as_ref(), Some(&task.agent_id));
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap();
}

#[tokio::test]
async fn a_driver_with_all_addresses_follows_the_leader_and_its_tasks_live_on() {
    let Some(mut cluster) = OwnCluster::start(THREE).await else {
        return;
    };
    let addresses = cluster.addresses();
    let mut framework = Framework::register(&addresses.join(","), info("follower")).await;
    let id = framework.id.clone();
    let task = framework.run("survivor", RUN).await;

    for next in [1, 2] {
        cluster.kill_master();
        cluster.elect(next);
        reregisters(&mut framework).await;
        assert_eq!(framework.handle.framework_id().as_ref(), Some(&id));
        lives(&mut framework, &task).await;
        let state = until_leading(&addresses[next]).await;
        assert_eq!(state["frameworks"][0]["id"], id.value);
        assert_eq!(state["frameworks"][0]["tasks"][0]["id"], "survivor");
    }

    // The first two come back, and one of them leads again: over a living leader this time.
    cluster.restart_master().await;
    cluster.elect(0);
    reregisters(&mut framework).await;
    lives(&mut framework, &task).await;
    let killed = framework.handle.kill_task(task.task_id.clone(), None);
    killed.await.unwrap();
    framework
        .comes_to(&task.task_id, TaskState::TaskKilled)
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_driver_with_the_address_of_a_standby_is_led_to_the_leader() {
    let Some(mut cluster) = OwnCluster::start(THREE).await else {
        return;
    };
    let addresses = cluster.addresses();
    until_leading(&addresses[0]).await;
    until_redirected(&addresses[2], &addresses[0]).await;
    let mut framework = Framework::register(&addresses[2], info("led")).await;
    let task = framework.run("led", RUN).await;
    cluster.elect(1);
    reregisters(&mut framework).await;
    lives(&mut framework, &task).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_agent_of_which_the_registry_knows_nothing_keeps_its_id_and_tells_of_its_tasks() {
    let needs = Needs::default();
    let Some(mut cluster) = OwnCluster::start(needs).await else {
        return;
    };
    let mut framework = Framework::register(&cluster.address(), info("forgotten")).await;
    let task = framework.run("forgotten", RUN).await;
    cluster.restart_master_without_registry().await;
    reregisters(&mut framework).await;
    lives(&mut framework, &task).await;
    let state = until_leading(&cluster.address()).await;
    let agents = state["slaves"].as_array().unwrap();
    let own = agents.iter().find(|own| own["id"] == task.agent_id.value);
    let own = own.unwrap_or_else(|| panic!("{agents:?}"));
    // It is one that came back, not a new one.
    assert!(own["reregistered_time"].as_f64().is_some(), "{own}");
    framework.teardown().await;
    cluster.shutdown().await;
}

/// A real agent takes seconds to notice a master's death, within which the framework is back. An embedded one may be back
/// first, and is tried again.
#[tokio::test]
async fn a_framework_that_is_back_before_such_an_agent_is_told_of_its_tasks_unasked() {
    let mut cluster = match OwnCluster::start(Needs::default()).await {
        Some(real @ OwnCluster::Real(_)) => real,
        _ => OwnCluster::Embedded(Box::new(
            crate::cluster::local()
                .agents(2)
                .resources("cpus:4;mem:4096;disk:4096")
                .allocation_interval(Duration::from_millis(50))
                .masters(2)
                .registration_backoff(Duration::from_secs(3))
                .start()
                .await
                .unwrap(),
        )),
    };
    let addresses = cluster.addresses().join(",");
    let mut framework = Framework::register(&addresses, info("told")).await;
    let task = framework.run("told", RUN).await;
    let mut rounds = 0;
    let status = loop {
        match &mut cluster {
            real @ OwnCluster::Real(_) => real.restart_master_without_registry().await,
            OwnCluster::Embedded(local) => {
                local.restart_master_without_registry().await.unwrap();
                local.elect_another().unwrap();
            }
        }
        reregisters(&mut framework).await;
        let told = framework.until("what the master tells", |callback| match callback {
            Callback::Status(status) if status.source() == Source::Master => Some(status.clone()),
            _ => None,
        });
        let limit = match &cluster {
            OwnCluster::Real(_) => PATIENCE,
            OwnCluster::Embedded(_) => Duration::from_secs(4),
        };
        if let Ok(status) = tokio::time::timeout(limit, told).await {
            break status;
        }
        rounds += 1;
        assert!(rounds < 8, "the master never told");
    };
    assert_eq!(status.state(), TaskState::TaskRunning, "{status:?}");
    assert_eq!(status.reason(), Reason::AgentReregistered);
    assert_eq!(status.message(), "Unknown agent reregistered");
    assert_eq!(status.uuid, None);
    assert_eq!(status.agent_id.as_ref(), Some(&task.agent_id));
    framework.teardown().await;
    cluster.shutdown().await;
}

async fn three(timeout: Duration) -> LocalCluster {
    let builder = crate::cluster::local().masters(3).election_timeout(timeout);
    builder.start().await.unwrap()
}

#[tokio::test]
async fn a_dead_leader_is_redirected_to_until_the_time_out_elects_the_next() {
    let cluster = three(Duration::from_secs(2)).await;
    let addresses = cluster.master_addresses();
    assert_eq!(cluster.master_address(), addresses[0]);
    assert_eq!(cluster.master_string(), addresses.join(","));
    cluster.kill_master();
    assert!(!cluster.state().is_master_alive);
    // None leads, and where the last one did is still the cluster's address.
    assert_eq!(cluster.master_address(), addresses[0]);
    until_redirected(&addresses[1], &addresses[0]).await;
    let state = cluster
        .until(PATIENCE, |state| {
            state.is_master_alive && state.agents[0].is_connected
        })
        .await
        .unwrap();
    let leading: Vec<bool> = state.masters.iter().map(|own| own.is_leading).collect();
    assert_eq!(leading, [false, true, false]);
    let alive: Vec<bool> = state.masters.iter().map(|own| own.is_alive).collect();
    assert_eq!(alive, [false, true, true]);
    assert_eq!(cluster.master_address(), addresses[1]);
    until_redirected(&addresses[2], &addresses[1]).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn the_master_that_has_waited_longest_is_elected_and_a_dead_one_cannot_be() {
    let cluster = three(Duration::from_secs(60)).await;
    assert_eq!(cluster.elect_another().unwrap(), 1);
    let error = cluster.elect(0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("master 0 of 3"), "{error}");
    assert!(cluster.elect(3).is_err());
    cluster.restart_master().await.unwrap();
    assert_eq!(cluster.elect_another().unwrap(), 2);
    assert_eq!(cluster.elect_another().unwrap(), 0);
    assert_eq!(
        cluster.elect_another().unwrap_err().kind(),
        ErrorKind::Config
    );
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_lonely_master_that_must_not_lead_is_elected_by_hand() {
    let cluster = crate::cluster::local().start().await.unwrap();
    cluster.elect_nobody();
    cluster.restart_master().await.unwrap();
    let address = cluster.master_address();
    let answer = request(&address, "POST", "/api/v1/scheduler", &[], b"").await;
    assert_eq!((answer.status, answer.text()), (503, "No leader elected"));
    cluster.elect(0).unwrap();
    let state = cluster.state();
    assert!(state.is_master_alive && state.agents[0].is_connected);
    cluster.shutdown().await;
}
