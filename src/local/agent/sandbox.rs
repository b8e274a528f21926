//! Where an executor runs, and its environment.
//!
//! Source: `executorEnvironment`, `src/slave/slave.cpp`, and `src/slave/paths.cpp` of Apache Mesos 1.11.0.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::state::{Agent, Executor, Run};
use crate::builtin::process::variables;
use crate::local::config::{HOST, RECOVERY_TIMEOUT, SUBSCRIPTION_BACKOFF_MAX, duration_text};
use crate::proto::{CommandInfo, ExecutorInfo};

/// What an executor finds on its `PATH` if nobody set one.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What runs in a container.
#[derive(Debug)]
pub(in crate::local) enum Program {
    /// A child process.
    Child(CommandInfo),
    /// The built-in executor of a command task, in this process.
    CommandExecutor,
}

/// A container to be started.
#[derive(Debug)]
pub(in crate::local) struct Launch {
    /// The agent's place.
    pub(in crate::local) agent: usize,
    pub(in crate::local) run: Run,
    pub(in crate::local) sandbox: PathBuf,
    pub(in crate::local) program: Program,
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
        let path = environment.entry("PATH".to_owned());
        path.or_insert_with(|| DEFAULT_PATH.to_owned());
        Some(Launch {
            agent: self.index,
            run: run.clone(),
            sandbox,
            program: if executor.is_generated {
                Program::CommandExecutor
            } else {
                Program::Child(command)
            },
            environment,
            kill: executor.kill.clone(),
        })
    }

    fn sandbox(&self, run: &Run) -> Option<PathBuf> {
        let agent_id = self.id()?;
        let mut path = self.config.work_directory.join("agents");
        path.push(self.index.to_string());
        path.extend(["work", "slaves", &agent_id.value]);
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
        if is_checkpointing {
            let recovery = ("MESOS_RECOVERY_TIMEOUT", RECOVERY_TIMEOUT);
            let backoff = ("MESOS_SUBSCRIPTION_BACKOFF_MAX", SUBSCRIPTION_BACKOFF_MAX);
            for (name, value) in [recovery, backoff] {
                environment.insert(name.to_owned(), value.to_owned());
            }
        }
        Some(environment)
    }
}
