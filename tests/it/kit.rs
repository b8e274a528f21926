//! A real cluster of one test's own: the programs that `tests/mesos/setup.py` makes, as child processes in a temporary
//! directory.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::cluster::{Agents, Needs};

/// Longest wait for a master to listen.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The cluster. Dropped, it kills its processes and removes its directory.
pub struct Kit {
    programs: PathBuf,
    directory: PathBuf,
    needs: Needs,
    port: u16,
    master: Option<Process>,
    agents: Vec<(u16, Process)>,
}

/// Killed when dropped, and waited for.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Kit {
    pub async fn start(programs: PathBuf, needs: Needs) -> Self {
        let name = format!("mesos-framework-kit-{}", uuid::Uuid::new_v4());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).unwrap();
        let programs = fs::canonicalize(programs).expect("MESOS_KIT is a folder made by setup.py");
        let mut kit = Self {
            programs,
            directory,
            needs,
            port: free_port(),
            master: None,
            agents: Vec::new(),
        };
        kit.start_master().await;
        for number in 0..needs.agents.count() {
            let port = free_port();
            let agent = kit.agent(number, port);
            kit.agents.push((port, agent));
        }
        kit
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn kill_master(&mut self) {
        self.master = None;
    }

    /// On the port and in the work directory of the one before. Ready when it listens.
    pub async fn start_master(&mut self) {
        let mut command = self.command("mesos-master", self.port, &self.directory.join("master"));
        if self.needs.agents != Agents::Mortal {
            // A master that comes back is looked for by its agents after 3 s without pings, in place of 75 s.
            command.env("MESOS_AGENT_PING_TIMEOUT", "1secs");
            command.env("MESOS_MAX_AGENT_PING_TIMEOUTS", "3");
        }
        if let Some((principal, secret)) = self.needs.credential {
            let path = self.directory.join("credentials");
            let credential = format!(r#"{{"principal":"{principal}","secret":"{secret}"}}"#);
            fs::write(&path, format!(r#"{{"credentials":[{credential}]}}"#)).unwrap();
            command.env("MESOS_AUTHENTICATE_HTTP_FRAMEWORKS", "true");
            command.env("MESOS_HTTP_FRAMEWORK_AUTHENTICATORS", "basic");
            command.env("MESOS_CREDENTIALS", path);
        }
        if !self.needs.roles.is_empty() {
            command.env("MESOS_ROLES", self.needs.roles.join(","));
        }
        self.master = Some(Process(command.spawn().unwrap()));
        let listens = async {
            while tokio::net::TcpStream::connect(self.address())
                .await
                .is_err()
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(START_LIMIT, listens)
            .await
            .expect("the master listens");
    }

    pub fn restart_agent(&mut self) {
        let (port, agent) = self.agents.remove(0);
        drop(agent);
        let agent = self.agent(0, port);
        self.agents.insert(0, (port, agent));
    }

    fn agent(&self, number: usize, port: u16) -> Process {
        let work = self.directory.join(format!("agent-{number}"));
        let mut command = self.command("mesos-agent", port, &work);
        command
            .env("MESOS_KIT_MASTER", self.address())
            .env("MESOS_LAUNCHER", "posix")
            .env("MESOS_ISOLATION", "posix/cpu,posix/mem")
            .env("MESOS_SYSTEMD_ENABLE_SUPPORT", "false")
            .env("MESOS_LAUNCHER_DIR", &self.programs)
            // Executors that a failed test leaves behind end themselves.
            .env("MESOS_RECOVERY_TIMEOUT", "20secs")
            .env(
                "MESOS_RESOURCES",
                "cpus:4;mem:4096;disk:4096;ports:[31000-31999]",
            );
        Process(command.spawn().unwrap())
    }

    fn command(&self, program: &str, port: u16, work: &Path) -> Command {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(work.with_extension("log"))
            .unwrap();
        let mut command = Command::new(self.programs.join(program));
        command
            .env("LIBPROCESS_IP", "127.0.0.1")
            .env("LIBPROCESS_PORT", port.to_string())
            .env("MESOS_WORK_DIR", work)
            .env("MESOS_ALLOCATION_INTERVAL", "100ms")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        // Flags of Mesos to the tests' own variables: not known to it, and refused or misunderstood.
        for name in [
            "MESOS_MASTER",
            "MESOS_KIT",
            "MESOS_CONTENT_TYPE",
            "MESOS_AGENTS",
            "MESOS_LOGS",
        ] {
            command.env_remove(name);
        }
        command
    }
}

impl Drop for Kit {
    fn drop(&mut self) {
        self.agents.clear();
        self.master = None;
        if std::thread::panicking() {
            println!("the cluster's logs: {}", self.directory.display());
        } else if let Err(error) = fs::remove_dir_all(&self.directory) {
            println!("cannot remove {}: {error}", self.directory.display());
        }
    }
}

/// Free now; Mesos has no way to be given a socket.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
