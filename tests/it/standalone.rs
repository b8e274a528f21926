//! The example `local_cluster`: a whole Mesos as a program, which is here this very program with the example's code in it.

use std::collections::BTreeSet;
use std::process::Stdio;

use mesos_framework::proto::TaskState;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::conformance::{Kind, note};
use crate::executor_role::FINISH;
use crate::framework::{Framework, PATIENCE, info, task};
use crate::http::get;

#[path = "../../examples/local_cluster.rs"]
#[expect(dead_code, reason = "the example's own main")]
mod program;

/// The program's arguments, one a line.
const ARGUMENTS: &str = "MESOS_FRAMEWORK_STANDALONE";

fn start(arguments: &[&str]) -> Child {
    note(Kind::Embedded);
    let test = concat!(module_path!(), "::runs_as_program");
    let (_crate, test) = test.split_once("::").unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(ARGUMENTS, arguments.join("\n"))
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_as_program() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else {
        return;
    };
    let status = program::run(arguments.lines().map(str::to_owned)).await;
    std::process::exit(i32::from(status));
}

async fn ended(child: Child) -> std::process::Output {
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    ended.expect("it ends in time").unwrap()
}

#[tokio::test]
async fn bad_arguments_end_it_with_2_and_a_word_on_what_is_wrong() {
    for (arguments, why) in [
        (&["--nonsense"][..], "\"--nonsense\" is not an option"),
        (&["--port"], "--port needs a value"),
        (&["--port", "many"], "--port \"many\" is not a number"),
        (&["--port", "65536"], "--port \"65536\" is not a number"),
        (
            &["--masters", "0"],
            "masters of a local cluster must not be zero",
        ),
        (&["--resources", "cpus"], "resources of agent 0"),
        (&["--attributes", "rack"], "attributes of agent 0"),
        (&["--acls", "{"], "acls are not JSON"),
        (
            &["--acls", r#"{"get_endpoints": []}"#],
            "acls have rules 'get_endpoints', which are not covered by this local cluster",
        ),
    ] {
        let output = ended(start(arguments)).await;
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(why), "{arguments:?}: {text}");
    }
}

#[tokio::test]
async fn help_tells_the_options() {
    let output = ended(start(&["--help"])).await;
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for option in [
        "--port",
        "--masters",
        "--agents",
        "--resources",
        "--attributes",
        "--acls",
        "--work-dir",
    ] {
        assert!(text.contains(option), "{text}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn it_runs_frameworks_tells_of_calls_and_events_and_ends_when_told() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let arguments = [
            "--masters",
            "2",
            "--agents",
            "3",
            "--resources",
            "cpus:2;mem:512",
            "--attributes",
            "rack:a",
        ];
        let mut child = start(&arguments);
        let mut errors = child.stderr.take().unwrap();
        let log = tokio::spawn(async move {
            let mut log = String::new();
            errors.read_to_string(&mut log).await.map(|_| log)
        });
        let masters = masters_of(&mut child).await;
        assert_eq!(masters.split(',').count(), 2, "{masters}");

        let mut framework = Framework::register(&masters, info("standalone")).await;
        let offer = framework.offer().await;
        assert_eq!(offer.attributes[0].name, "rack");
        let task = task("one", FINISH, &offer);
        framework.launch(offer, vec![task.clone()]).await;
        framework
            .comes_to(&task.task_id, TaskState::TaskFinished)
            .await;
        let leader = masters.split(',').next().unwrap();
        let state = get(leader, "/state").await.json();
        assert_eq!(state["slaves"].as_array().unwrap().len(), 3);
        framework.teardown().await;

        let id = i32::try_from(child.id().unwrap()).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
        let status = tokio::time::timeout(PATIENCE, child.wait()).await;
        assert!(status.unwrap().unwrap().success());
        let log = log.await.unwrap().unwrap();
        assert!(log.contains(&format!("{leader}  (leads)")), "{log}");
        assert!(log.contains("(stands by)"), "{log}");
        for line in [
            "call=\"SUBSCRIBE\"",
            "call=\"ACCEPT\"",
            "event=\"SUBSCRIBED\"",
            "event=\"UPDATE\"",
            "state=\"TASK_FINISHED\"",
            "event=\"LAUNCH\"",
            "/state",
            "The cluster ends.",
        ] {
            assert!(log.contains(line), "{line} is not in:\n{log}");
        }
    }
}

/// The master string that the program prints.
async fn masters_of(child: &mut Child) -> String {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    // Before it, the test says that it runs.
    while !line.starts_with("127.0.0.1:") {
        line.clear();
        let length = output.read_line(&mut line).await.unwrap();
        assert_ne!(length, 0, "it ended");
    }
    line.trim_end().to_owned()
}

async fn agents_at(address: &str) -> BTreeSet<(String, i64)> {
    let state = get(address, "/state").await.json();
    let agents = state["slaves"].as_array().unwrap().iter();
    agents
        .map(|own| {
            let id = own["id"].as_str().unwrap().to_owned();
            (id, own["port"].as_i64().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn one_that_was_killed_leaves_its_agents_to_the_next_in_its_folder() {
    let folder = std::env::temp_dir().join(format!("mesos-framework-{}", uuid::Uuid::new_v4()));
    let work = folder.display().to_string();
    let arguments = ["--agents", "2", "--work-dir", &work];
    let mut first = start(&arguments);
    let agents = agents_at(&masters_of(&mut first).await).await;
    assert_eq!(agents.len(), 2);
    first.kill().await.unwrap();

    let mut second = start(&arguments);
    assert_eq!(agents_at(&masters_of(&mut second).await).await, agents);
    second.kill().await.unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}
