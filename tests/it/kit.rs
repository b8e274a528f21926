//! A real cluster of one test's own: the programs that `tests/mesos/setup.py` makes, as child processes in a temporary
//! directory.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::built_in_role;
use crate::cluster::{Agents, Needs};
use crate::framework::PATIENCE;

/// Longest wait for a master to listen.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The cluster. Dropped, it kills its processes and removes its directory.
pub struct Kit {
    programs: PathBuf,
    launcher: PathBuf,
    directory: PathBuf,
    needs: Needs,
    masters: Vec<(u16, Option<Process>)>,
    /// Of `masters`; the last one while there is none.
    leader: usize,
    /// Ports, and processes while they are alive.
    agents: Vec<(u16, Option<Process>)>,
    /// How many agents of the one number that a test lets end had ended in order, when the last was started.
    ended: usize,
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
            launcher: programs.clone(),
            programs,
            directory,
            needs,
            masters: (0..=needs.standbys).map(|_| (free_port(), None)).collect(),
            leader: 0,
            agents: Vec::new(),
            ended: 0,
        };
        kit.elect(Some(0));
        if needs.built_in_executors {
            kit.make_launcher_directory();
        }
        kit.start_master().await;
        for number in 0..needs.agents.count() {
            let port = free_port();
            let agent = kit.agent(number, port);
            kit.agents.push((port, Some(agent)));
        }
        kit
    }

    pub fn address(&self) -> String {
        self.addresses().swap_remove(self.leader)
    }

    pub fn addresses(&self) -> Vec<String> {
        let ports = self.masters.iter();
        ports.map(|(port, _)| format!("127.0.0.1:{port}")).collect()
    }

    /// Everything below it goes at the end.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What agents start is looked for there: the kit's programs, and ours.
    fn make_launcher_directory(&mut self) {
        let folder = self.directory.join("launcher");
        fs::create_dir(&folder).unwrap();
        let program = "mesos-containerizer";
        let kits = self.programs.join(program);
        std::os::unix::fs::symlink(kits, folder.join(program)).unwrap();
        built_in_role::install(&folder);
        self.launcher = folder;
    }

    pub fn kill_master(&mut self) {
        self.masters[self.leader].1 = None;
    }

    /// The leader is what this file says, for those who are told of the file. One that leads no more ends itself.
    pub fn elect(&mut self, leader: Option<usize>) {
        let address = leader.map(|index| self.addresses().swap_remove(index));
        let new = self.directory.join("leader.new");
        fs::write(&new, address.unwrap_or_default()).unwrap();
        fs::rename(new, self.directory.join("leader")).unwrap();
        if let Some(leader) = leader {
            self.leader = leader;
        }
    }

    /// Of a master that is dead.
    pub fn lose_registry(&self) {
        fs::remove_dir_all(self.work_of(self.leader)).unwrap();
    }

    fn work_of(&self, master: usize) -> PathBuf {
        match master {
            0 => self.directory.join("master"),
            _ => self.directory.join(format!("master-{master}")),
        }
    }

    /// Those that are dead, on the ports and in the work directories of the ones before. Ready when they listen.
    pub async fn start_master(&mut self) {
        for index in 0..self.masters.len() {
            let is_alive = match &mut self.masters[index].1 {
                Some(Process(child)) => child.try_wait().unwrap().is_none(),
                None => false,
            };
            if !is_alive {
                self.start_master_at(index).await;
            }
        }
    }

    async fn start_master_at(&mut self, index: usize) {
        let port = self.masters[index].0;
        let mut command = self.command("mesos-master", port, &self.work_of(index));
        if self.needs.regions {
            command.env("MESOS_DOMAIN", domain("home"));
        }
        if self.needs.agents != Agents::Mortal {
            // A master that comes back is looked for by its agents after 3 s without pings, in place of 75 s.
            command.env("MESOS_AGENT_PING_TIMEOUT", "1secs");
            command.env("MESOS_MAX_AGENT_PING_TIMEOUTS", "3");
        }
        if self.needs.credential.is_some() {
            let path = self.directory.join("credentials");
            let own = self.needs.credential.into_iter();
            let credentials = own
                .chain(self.needs.other_credential)
                .map(|(principal, secret)| {
                    format!(r#"{{"principal":"{principal}","secret":"{secret}"}}"#)
                });
            let credentials = credentials.collect::<Vec<_>>().join(",");
            fs::write(&path, format!(r#"{{"credentials":[{credentials}]}}"#)).unwrap();
            command.env("MESOS_AUTHENTICATE_HTTP_FRAMEWORKS", "true");
            command.env("MESOS_HTTP_FRAMEWORK_AUTHENTICATORS", "basic");
            command.env("MESOS_CREDENTIALS", path);
        }
        if self.needs.authenticated_operators {
            command.env("MESOS_AUTHENTICATE_HTTP_READONLY", "true");
            command.env("MESOS_AUTHENTICATE_HTTP_READWRITE", "true");
        }
        if !self.needs.acls.is_empty() {
            command.env("MESOS_ACLS", self.needs.acls);
        }
        if !self.needs.roles.is_empty() {
            command.env("MESOS_ROLES", self.needs.roles.join(","));
        }
        if !self.needs.offer_timeout.is_zero() {
            let timeout = format!("{}ms", self.needs.offer_timeout.as_millis());
            command.env("MESOS_OFFER_TIMEOUT", timeout);
        }
        if let Some(count) = self.needs.operator_subscribers {
            let name = "MESOS_MAX_OPERATOR_EVENT_STREAM_SUBSCRIBERS";
            command.env(name, count.to_string());
        }
        self.masters[index].1 = Some(Process(command.spawn().unwrap()));
        let listens = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port))
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

    pub fn agent_address(&self, number: usize) -> String {
        format!("127.0.0.1:{}", self.agents[number].0)
    }

    pub fn kill_agent(&mut self, number: usize) {
        self.agents[number].1 = None;
    }

    pub fn start_agent(&mut self, number: usize) {
        // Its port is to be free.
        self.kill_agent(number);
        self.ended = self.terminations(number);
        let agent = self.agent(number, self.agents[number].0);
        self.agents[number].1 = Some(agent);
    }

    /// Whether an executor's container has come so far that its output is kept: before, agents do not stand updates of it.
    /// One on which somebody subscribes too early ends them (`Check failed: Executor::REGISTERING == executor->state`).
    pub fn has_output(&self, number: usize, framework_id: &str, executor_id: &str) -> bool {
        let agents = self
            .directory
            .join(format!("agent-{number}/agents/0/work/slaves"));
        let output =
            format!("frameworks/{framework_id}/executors/{executor_id}/runs/latest/stdout");
        let agents = fs::read_dir(agents).into_iter().flatten().flatten();
        agents
            .into_iter()
            .any(|agent| agent.path().join(&output).exists())
    }

    /// Stops an agent where it is, but not before it has heard from the master that it is registered: one that hears it
    /// later, and from another master, ends (`Registered but got wrong id`).
    pub fn stop_agent(&self, number: usize) {
        let log = self.directory.join(format!("agent-{number}.log"));
        let begun = Instant::now();
        while !String::from_utf8_lossy(&fs::read(&log).unwrap()).contains("egistered with master") {
            assert!(
                begun.elapsed() < PATIENCE,
                "agent {number} does not register"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        self.signal_agent(number, "STOP");
    }

    pub fn signal_agent(&self, number: usize, signal: &str) {
        let agent = self.agents[number].1.as_ref().expect("it is alive");
        let process = agent.0.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &process]).status();
        assert!(sent.unwrap().success());
    }

    /// The kit's program outlives the agent in it, which is over when it says so.
    pub fn is_agent_alive(&self, number: usize) -> bool {
        self.agents[number].1.is_some() && self.terminations(number) == self.ended
    }

    fn terminations(&self, number: usize) -> usize {
        let log = self.directory.join(format!("agent-{number}.log"));
        let log = fs::read(log).unwrap();
        String::from_utf8_lossy(&log)
            .matches("Agent terminating")
            .count()
    }

    fn agent(&self, number: usize, port: u16) -> Process {
        let work = self.directory.join(format!("agent-{number}"));
        let mut command = self.command("mesos-agent", port, &work);
        command
            .env("MESOS_KIT_MASTER", self.address())
            .env("MESOS_LAUNCHER", "posix")
            .env("MESOS_ISOLATION", "posix/cpu,posix/mem")
            .env("MESOS_SYSTEMD_ENABLE_SUPPORT", "false")
            .env("MESOS_LAUNCHER_DIR", &self.launcher)
            // Ours speaks HTTP only.
            .env("MESOS_HTTP_COMMAND_EXECUTOR", "true")
            // Executors that a failed test leaves behind end themselves.
            .env(
                "MESOS_RECOVERY_TIMEOUT",
                match self.needs.recovery.as_secs() {
                    0 => "20secs".to_owned(),
                    seconds => format!("{seconds}secs"),
                },
            )
            .env(
                "MESOS_EXECUTOR_REREGISTRATION_TIMEOUT",
                match self.needs.executor_reregistration.as_secs() {
                    0 => "2secs".to_owned(),
                    seconds => format!("{seconds}secs"),
                },
            )
            .env("MESOS_RESOURCES", self.needs.resources());
        if !self.needs.executor_registration.is_zero() {
            let timeout = format!("{}secs", self.needs.executor_registration.as_secs());
            command.env("MESOS_EXECUTOR_REGISTRATION_TIMEOUT", timeout);
        }
        if !self.needs.attributes.is_empty() {
            command.env("MESOS_ATTRIBUTES", self.needs.attributes);
        }
        if self.needs.regions {
            command.env("MESOS_DOMAIN", domain(self.needs.region(number)));
        }
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
            "MESOS_CONFORMANCE",
            "MESOS_AGENTS",
            "MESOS_LOGS",
            "MESOS_RANDOM_CASES",
            "MESOS_RANDOM_SEED",
        ] {
            command.env_remove(name);
        }
        if self.needs.standbys > 0 {
            command.env("MESOS_KIT_LEADER", self.directory.join("leader"));
        }
        command
    }
}

/// Flag of Mesos.
fn domain(region: &str) -> String {
    format!(r#"{{"fault_domain":{{"region":{{"name":"{region}"}},"zone":{{"name":"a"}}}}}}"#)
}

impl Drop for Kit {
    fn drop(&mut self) {
        self.agents.clear();
        self.masters.clear();
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
