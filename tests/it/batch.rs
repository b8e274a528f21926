//! The example `batch`, which is here this very program with the example's code in it: killed and started again, with a
//! master and executors that are killed, it loses no command, runs none twice at once, and none again that has succeeded.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::Parser as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::cluster::{Needs, OwnCluster};

#[path = "../../examples/batch.rs"]
#[expect(dead_code, reason = "the example's own main")]
mod program;

/// The program's arguments, one a line.
const ARGUMENTS: &str = "MESOS_FRAMEWORK_BATCH";

const COMMANDS: usize = 30;

/// Each runs for so long when it runs first that its executor is killed meanwhile.
const LONG: [usize; 3] = [4, 12, 20];

/// Each fails when it runs first.
const FAILING: [usize; 3] = [2, 11, 26];

/// Longest wait: masters and agents come back in it, and all commands run to their ends.
const LIMIT: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread")]
async fn runs_as_program() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else {
        return;
    };
    let arguments = ["batch"].into_iter().chain(arguments.lines());
    let status = program::run(program::Arguments::parse_from(arguments))
        .await
        .unwrap_or_else(|error| {
            eprintln!("{error}");
            2
        });
    std::process::exit(i32::from(status));
}

/// A line that a command has written, or that the test adds.
#[derive(Debug, PartialEq)]
enum Line {
    Begin {
        command: usize,
        executor_id: String,
        /// Of the executor, where it is a process of its own.
        process: i32,
    },
    /// It failed, as it shall.
    Fail(usize),
    End(usize),
    /// An earlier attempt at it still ran.
    Twice(usize),
}

impl Line {
    fn parse(line: &str) -> Self {
        let words: Vec<_> = line.split(' ').collect();
        let command = words[1].parse().unwrap();
        match words[0] {
            "begin" => Self::Begin {
                command,
                executor_id: words[2].to_owned(),
                process: words[3].parse().unwrap(),
            },
            "fail" => Self::Fail(command),
            "end" => Self::End(command),
            _ => Self::Twice(command),
        }
    }
}

/// The cluster, the files of the batch, and the program as long as it runs.
struct Rig {
    cluster: OwnCluster,
    folder: PathBuf,
    program: Option<Child>,
}

impl Rig {
    async fn start() -> Self {
        let needs = Needs {
            built_in_executors: true,
            ..Needs::default()
        };
        let cluster = OwnCluster::start(needs).await.expect("there is always one");
        let folder = std::env::temp_dir().join(format!("batch-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let commands = (0..COMMANDS).map(|command| script(&folder, command));
        std::fs::write(folder.join("commands"), commands.collect::<String>()).unwrap();
        let mut rig = Self {
            cluster,
            folder,
            program: None,
        };
        rig.start_program();
        rig
    }

    fn start_program(&mut self) {
        let test = concat!(module_path!(), "::runs_as_program");
        let (_crate, test) = test.split_once("::").unwrap();
        let file = self.folder.join("commands").display().to_string();
        let master = self.cluster.address();
        let arguments = [&file, "--master", &master, "--cpus", "1", "--retries", "4"];
        let errors = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("errors"))
            .unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(ARGUMENTS, arguments.join("\n"))
            .env("RUST_LOG", "mesos_framework=warn")
            .stdin(Stdio::null())
            .stdout(errors.try_clone().unwrap())
            .stderr(errors)
            .kill_on_drop(true)
            .spawn();
        self.program = Some(child.unwrap());
    }

    /// As SIGKILL does.
    async fn kill_program(&mut self) {
        let mut program = self.program.take().expect("it runs");
        assert_eq!(program.try_wait().unwrap(), None, "it has ended by itself");
        program.kill().await.unwrap();
    }

    fn lines(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        // The last one may not be whole yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole.lines().filter(|line| !line.is_empty());
        lines.map(Line::parse).collect()
    }

    async fn until<T>(&self, what: &str, mut wanted: impl FnMut(Vec<Line>) -> Option<T>) -> T {
        let found = async {
            loop {
                if let Some(found) = wanted(self.lines()) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let found = tokio::time::timeout(LIMIT, found).await;
        found.unwrap_or_else(|_| panic!("no {what}: {:?}; {}", self.lines(), self.errors()))
    }

    async fn until_ended(&self, count: usize) {
        let what = format!("{count} ends");
        self.until(&what, |lines| {
            let ends = lines.iter().filter(|line| matches!(line, Line::End(_)));
            (ends.count() >= count).then_some(())
        })
        .await;
    }

    /// Kills the executor of a command that runs, as SIGKILL does.
    async fn kill_executor(&self, of: usize) {
        let what = format!("begin of {of}");
        let begun = self.until(&what, |lines| {
            lines.into_iter().rev().find_map(|line| match line {
                Line::Begin {
                    command,
                    executor_id,
                    process,
                } if command == of => Some((executor_id, process)),
                _ => None,
            })
        });
        let (executor_id, process) = begun.await;
        match &self.cluster {
            OwnCluster::Real(_) => kill(Pid::from_raw(process), Signal::SIGKILL).unwrap(),
            // It is hosted in this process.
            OwnCluster::Embedded(cluster) => {
                let id = std::fs::read_to_string(self.folder.join("commands.state/framework-id"));
                let killed = cluster.kill_executor(&id.unwrap().trim().into(), &executor_id.into());
                assert!(killed);
            }
        }
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(self.folder.join("errors")).unwrap_or_default()
    }

    async fn end(mut self) -> Vec<Line> {
        let program = self.program.as_mut().expect("it runs");
        let ended = tokio::time::timeout(LIMIT, program.wait()).await;
        let Ok(status) = ended else {
            panic!("it does not end: {:?}; {}", self.lines(), self.errors());
        };
        assert_eq!(status.unwrap().code(), Some(0), "{}", self.errors());
        let lines = self.lines();
        self.cluster.shutdown().await;
        std::fs::remove_dir_all(&self.folder).unwrap();
        lines
    }
}

/// A command that tells its begin and its end. A lock that all its processes hold shows whether it runs twice at once.
fn script(folder: &Path, command: usize) -> String {
    let of = |kind: &str| {
        folder
            .join(format!("{kind}-{command}"))
            .display()
            .to_string()
    };
    let (log, lock, mark) = (folder.join("log"), of("lock"), of("mark"));
    let log = log.display();
    let first = match command {
        own if FAILING.contains(&own) => format!("echo fail {command} >>{log}; exit 1"),
        own if LONG.contains(&own) => "exec sleep 30".to_owned(),
        _ => ":".to_owned(),
    };
    format!(
        "exec 9>{lock}; flock -n 9 || echo twice {command} >>{log}; \
         echo begin {command} $MESOS_EXECUTOR_ID $PPID >>{log}; \
         [ -e {mark} ] || {{ touch {mark}; {first}; }}; sleep 0.3; echo end {command} >>{log}\n"
    )
}

#[tokio::test]
async fn no_command_is_lost_or_runs_twice_whatever_is_killed() {
    let mut rig = Rig::start().await;
    rig.until_ended(3).await;
    rig.kill_executor(LONG[0]).await;
    rig.kill_program().await;
    // What runs goes on meanwhile, and ends without anybody to tell.
    rig.until_ended(6).await;
    rig.start_program();
    rig.kill_executor(LONG[1]).await;
    rig.until_ended(12).await;
    rig.cluster.kill_master();
    rig.kill_program().await;
    rig.start_program();
    rig.cluster.restart_master().await;
    rig.kill_executor(LONG[2]).await;
    rig.until_ended(20).await;
    rig.cluster.kill_master();
    rig.cluster.restart_master().await;
    let lines = rig.end().await;

    let mut begins = BTreeMap::new();
    let mut ended = Vec::new();
    for line in lines {
        match line {
            Line::Begin { command, .. } => {
                assert!(!ended.contains(&command), "{command} began after its end");
                *begins.entry(command).or_insert(0) += 1;
            }
            Line::End(command) => {
                assert!(!ended.contains(&command), "{command} ended twice");
                ended.push(command);
            }
            Line::Fail(command) => assert!(FAILING.contains(&command)),
            Line::Twice(command) => panic!("{command} ran twice at once"),
        }
    }
    ended.sort_unstable();
    assert!(ended.iter().copied().eq(0..COMMANDS), "{ended:?}");
    for command in FAILING.iter().chain(&LONG) {
        assert!(begins[command] >= 2, "{command} was not tried again");
    }
    println!(
        "{COMMANDS} commands, begun {} times",
        begins.values().sum::<i32>()
    );
}
