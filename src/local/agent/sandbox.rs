//! Where an executor runs, and its environment.
//!
//! Source: `executorEnvironment`, `src/slave/slave.cpp`, and `src/slave/paths.cpp` of Apache Mesos 1.11.0.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::state::{Agent, Executor, Run};
use super::volumes::Link;
use crate::builtin::Kind;
use crate::builtin::process::{DEFAULT_PATH, variables};
use crate::local::config::{HOST, duration_text};
use crate::local::tokens::{self, Claims};
use crate::proto::{CommandInfo, ExecutorInfo, executor_info};

/// What runs in a container.
#[derive(Debug)]
pub(in crate::local) enum Program {
    /// A child process, unless a factory of the user's stands in for it.
    Child(CommandInfo),
    /// A built-in executor, in this process.
    BuiltIn(Kind),
}

/// A container to be started.
#[derive(Debug)]
pub(in crate::local) struct Launch {
    /// The agent's place.
    pub(in crate::local) agent: usize,
    pub(in crate::local) run: Run,
    pub(in crate::local) sandbox: PathBuf,
    /// Volumes to be linked into the sandbox.
    pub(in crate::local) volumes: Vec<Link>,
    pub(in crate::local) program: Program,
    pub(in crate::local) executor: ExecutorInfo,
    /// All of it: nothing is inherited.
    pub(in crate::local) environment: BTreeMap<String, String>,
    /// Cancelled to have all its processes killed.
    pub(in crate::local) kill: CancellationToken,
}

impl Agent {
    /// What has to be started for this run; `None` before the agent has an id.
    pub(super) fn launch(&self, run: &Run, executor: &Executor) -> Option<Launch> {
        let sandbox = self.sandbox(run)?;
        let info = &executor.info;
        let command = info.command.clone().unwrap_or_default();
        let mut environment = self.environment(run, info, &sandbox)?;
        environment.extend(self.config.executor_environment.clone());
        environment.extend(variables(&command));
        if let Some(key) = &self.config.token_key {
            let claims = Claims::of(&run.framework_id, &run.executor_id, &run.container_id);
            environment.insert(tokens::VARIABLE.to_owned(), key.issue(&claims));
        }
        let path = environment.entry("PATH".to_owned());
        path.or_insert_with(|| DEFAULT_PATH.to_owned());
        Some(Launch {
            agent: self.index,
            run: run.clone(),
            sandbox,
            volumes: self.first_links(run, executor),
            program: if executor.is_generated {
                Program::BuiltIn(Kind::Command)
            } else if info.r#type() == executor_info::Type::Default {
                Program::BuiltIn(Kind::Default)
            } else {
                Program::Child(command)
            },
            executor: info.clone(),
            environment,
            kill: executor.kill.clone(),
        })
    }

    /// As `--work_dir` of the agent.
    pub(super) fn work_directory(&self) -> PathBuf {
        let mut path = self.config.work_directory.join("agents");
        path.push(self.index.to_string());
        path.push("work");
        path
    }

    /// Where the sandboxes are, in `frameworks`.
    pub(super) fn agent_directory(&self) -> Option<PathBuf> {
        let agent_id = self.id()?;
        let mut path = self.work_directory();
        path.extend(["slaves", &agent_id.value]);
        Some(path)
    }

    pub(super) fn sandbox(&self, run: &Run) -> Option<PathBuf> {
        let mut path = self.agent_directory()?;
        path.extend(["frameworks", &run.framework_id.value]);
        path.extend(["executors", &run.executor_id.value]);
        path.extend(["runs", &run.container_id]);
        Some(path)
    }

    fn environment(
        &self,
        run: &Run,
        info: &ExecutorInfo,
        sandbox: &std::path::Path,
    ) -> Option<BTreeMap<String, String>> {
        let framework = self.frameworks.get(&run.framework_id)?;
        let is_checkpointing = framework.info.checkpoint();
        let own_grace = info.shutdown_grace_period.as_ref();
        let grace = own_grace.map_or(self.config.executor_shutdown_grace_period, |own| {
            Duration::from_nanos(u64::try_from(own.nanoseconds).unwrap_or_default())
        });
        let sandbox = sandbox.display().to_string();
        let flag = |is_set: bool| if is_set { "1" } else { "0" }.to_owned();
        let mut environment: BTreeMap<String, String> = [
            ("LIBPROCESS_IP", HOST.to_owned()),
            ("LIBPROCESS_PORT", "0".to_owned()),
            ("MESOS_AGENT_ENDPOINT", self.address.to_string()),
            ("MESOS_CHECKPOINT", flag(is_checkpointing)),
            ("MESOS_DIRECTORY", sandbox.clone()),
            ("MESOS_EXECUTOR_ID", run.executor_id.to_string()),
            ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", duration_text(grace)),
            ("MESOS_FRAMEWORK_ID", run.framework_id.to_string()),
            ("MESOS_HTTP_COMMAND_EXECUTOR", flag(false)),
            ("MESOS_SANDBOX", sandbox),
            ("MESOS_SLAVE_ID", self.id()?.to_string()),
            (
                "MESOS_SLAVE_PID",
                format!("{}@{}", self.process(), self.address),
            ),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        if let Some(socket) = self.config.domain_socket(self.index) {
            let socket = socket.display().to_string();
            environment.insert("MESOS_DOMAIN_SOCKET".to_owned(), socket);
        }
        if is_checkpointing {
            let timeouts = &self.config.timeouts;
            let backoff = timeouts.executor_reregistration;
            for (name, value) in [
                ("MESOS_RECOVERY_TIMEOUT", timeouts.recovery),
                ("MESOS_SUBSCRIPTION_BACKOFF_MAX", backoff),
            ] {
                environment.insert(name.to_owned(), duration_text(value));
            }
        }
        Some(environment)
    }
}
