//! Child processes: made of a `CommandInfo`, ended with all of their group, their end in Mesos's words.
//!
//! Source: `src/slave/containerizer/mesos/launch.cpp` and `3rdparty/stout/include/stout/os/wait.hpp` of Apache Mesos
//! 1.11.0.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio::process::{Child, Command};

use crate::proto::CommandInfo;

/// What a process finds on its `PATH` if nobody set one.
pub(crate) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a launcher makes of a command that cannot be executed: it tells so on stderr and exits with 1
/// (`src/slave/containerizer/mesos/launch.cpp`).
const NOT_EXECUTED: &str = "exited with status 1";

/// `sh -c <value>`, or the executable with its whole argv.
pub(crate) fn command(info: &CommandInfo, sandbox: &Path) -> Command {
    if info.shell() {
        let mut command = Command::new("/bin/sh");
        #[cfg(unix)]
        command.arg0("sh");
        command.arg("-c").arg(info.value());
        return command;
    }
    // A relative executable is looked for in the working directory first, then in PATH.
    let local = sandbox.join(info.value());
    let mut command = if local.is_file() {
        Command::new(local)
    } else {
        Command::new(info.value())
    };
    let mut arguments = info.arguments.iter();
    if let Some(name) = arguments.next() {
        #[cfg(unix)]
        command.arg0(name);
        #[cfg(not(unix))]
        let _ = name;
    }
    command.args(arguments);
    command
}

/// Environment variables that `info` states, secrets in clear; of several of one name, the last one counts.
pub(crate) fn variables(info: &CommandInfo) -> impl Iterator<Item = (String, String)> {
    let variables = info.environment.iter().flat_map(|own| &own.variables);
    variables.map(|variable| {
        let secret = variable.secret.as_ref().and_then(|own| own.value.as_ref());
        let secret = secret.map(|own| String::from_utf8_lossy(&own.data).into_owned());
        let value = variable.value.clone().or(secret).unwrap_or_default();
        (variable.name.clone(), value)
    })
}

#[cfg(unix)]
pub(crate) fn raw_status(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.into_raw()
}

#[cfg(not(unix))]
pub(crate) fn raw_status(status: ExitStatus) -> i32 {
    status.code().map_or(-1, |code| code << 8)
}

/// Where a command runs.
#[derive(Debug)]
pub(crate) struct Place {
    /// All of it: nothing is inherited.
    pub(crate) environment: BTreeMap<String, String>,
    /// The sandbox, and the working directory.
    pub(crate) directory: PathBuf,
    pub(crate) stdout: File,
    pub(crate) stderr: File,
}

impl Place {
    /// The same, for something else that writes there too.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            environment: self.environment.clone(),
            directory: self.directory.clone(),
            stdout: self.stdout.try_clone()?,
            stderr: self.stderr.try_clone()?,
        })
    }

    /// Starts a command here, in a process group of its own.
    pub(super) fn spawn(&self, info: &CommandInfo) -> io::Result<(Child, ProcessGroup)> {
        if info.value.is_none() {
            let kind = io::ErrorKind::NotFound;
            return Err(io::Error::new(kind, "no command is given"));
        }
        let mut command = command(info, &self.directory);
        command
            .env_clear()
            .envs(&self.environment)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(self.stdout.try_clone()?)
            .stderr(self.stderr.try_clone()?)
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn()?;
        let group = ProcessGroup::of(&child);
        Ok((child, group))
    }

    fn complain(&mut self, error: &io::Error) {
        // A line of a few bytes into a local file.
        if let Err(error) = writeln!(self.stderr, "Failed to execute command: {error}") {
            tracing::debug!(%error, "stderr not written");
        }
    }
}

/// The process of a task. Dropped, it is killed with all of its group.
#[derive(Debug)]
pub(super) struct Process {
    /// `None` if its command could not be executed.
    child: Option<Child>,
    group: ProcessGroup,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) is_success: bool,
    /// `exited with status 3`, `terminated with signal Killed`; `None` if neither is known.
    pub(super) text: Option<String>,
}

impl Process {
    /// Starts a command; one that cannot be executed has ended already.
    pub(super) fn start(info: &CommandInfo, mut place: Place) -> Self {
        match place.spawn(info) {
            Ok((child, group)) => Self {
                child: Some(child),
                group,
            },
            Err(error) => {
                tracing::debug!(%error, "command not executed");
                place.complain(&error);
                Self {
                    child: None,
                    group: ProcessGroup::none(),
                }
            }
        }
    }

    /// Waits for its end. Dropped before it completes, nothing is lost.
    pub(super) async fn ended(&mut self) -> Ended {
        let Some(child) = &mut self.child else {
            return Ended {
                is_success: false,
                text: Some(NOT_EXECUTED.to_owned()),
            };
        };
        let status = child.wait().await;
        let status = status.inspect_err(|error| tracing::warn!(%error, "process not reaped"));
        Ended {
            is_success: status.as_ref().is_ok_and(ExitStatus::success),
            text: status.ok().and_then(ending),
        }
    }

    /// Asks it to end: all of its group, or it alone.
    pub(super) fn terminate(&self, whom: Whom) {
        match whom {
            Whom::Group => self.group.terminate(),
            Whom::Leader => self.group.terminate_leader(),
        }
    }

    pub(super) fn kill(&mut self) {
        self.group.kill();
        if let Some(Err(error)) = self.child.as_mut().map(Child::start_kill) {
            tracing::debug!(%error, "process has already ended");
        }
    }
}

/// Who is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    Group,
    /// The process that was started, which may or may not pass it on.
    Leader,
}

/// `exited with status 3`, `terminated with signal Killed`; `None` if neither is known.
fn ending(status: ExitStatus) -> Option<String> {
    match status.code() {
        Some(code) => Some(format!("exited with status {code}")),
        None => by_signal(status),
    }
}

#[cfg(unix)]
fn by_signal(status: ExitStatus) -> Option<String> {
    use std::os::unix::process::ExitStatusExt as _;
    let name = signal_name(status.signal()?);
    let core = if status.core_dumped() {
        " (core dumped)"
    } else {
        ""
    };
    Some(format!("terminated with signal {name}{core}"))
}

#[cfg(not(unix))]
fn by_signal(_: ExitStatus) -> Option<String> {
    None
}

/// What `strsignal` of the GNU C library answers for signals that end a process.
#[cfg(unix)]
fn signal_name(number: i32) -> String {
    use nix::sys::signal::Signal;
    /// The first one that programs may use (the C library keeps two for itself).
    const REAL_TIME: i32 = 34;
    let Ok(signal) = Signal::try_from(number) else {
        return match number {
            REAL_TIME..=64 => format!("Real-time signal {}", number - REAL_TIME),
            _ => format!("Unknown signal {number}"),
        };
    };
    let name = match signal {
        Signal::SIGHUP => "Hangup",
        Signal::SIGINT => "Interrupt",
        Signal::SIGQUIT => "Quit",
        Signal::SIGILL => "Illegal instruction",
        Signal::SIGTRAP => "Trace/breakpoint trap",
        Signal::SIGABRT => "Aborted",
        Signal::SIGBUS => "Bus error",
        Signal::SIGFPE => "Floating point exception",
        Signal::SIGKILL => "Killed",
        Signal::SIGUSR1 => "User defined signal 1",
        Signal::SIGSEGV => "Segmentation fault",
        Signal::SIGUSR2 => "User defined signal 2",
        Signal::SIGPIPE => "Broken pipe",
        Signal::SIGALRM => "Alarm clock",
        Signal::SIGTERM => "Terminated",
        Signal::SIGVTALRM => "Virtual timer expired",
        Signal::SIGPROF => "Profiling timer expired",
        Signal::SIGXCPU => "CPU time limit exceeded",
        Signal::SIGXFSZ => "File size limit exceeded",
        Signal::SIGIO => "I/O possible",
        Signal::SIGSYS => "Bad system call",
        other => return other.as_str().to_owned(),
    };
    name.to_owned()
}

/// Kills one process, which is not a child of this one.
#[cfg(unix)]
pub(crate) fn kill_stranger(id: i32) -> io::Result<()> {
    use nix::sys::signal::{Signal, kill};
    kill(nix::unistd::Pid::from_raw(id), Signal::SIGKILL).map_err(io::Error::from)
}

/// Kills a whole process group when dropped, so that nothing its first process started outlives it, not even when the
/// runtime ends first.
#[derive(Debug)]
pub(crate) struct ProcessGroup {
    #[cfg(unix)]
    id: Option<nix::unistd::Pid>,
}

impl ProcessGroup {
    #[cfg(unix)]
    pub(crate) fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self {
            id: id.map(nix::unistd::Pid::from_raw),
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn of(_: &Child) -> Self {
        Self {}
    }

    /// The group whose leader is the process of this id, which is not a child of this one.
    #[cfg(unix)]
    pub(crate) fn led_by(id: i32) -> Self {
        Self {
            id: Some(nix::unistd::Pid::from_raw(id)),
        }
    }

    fn none() -> Self {
        Self {
            #[cfg(unix)]
            id: None,
        }
    }

    /// Asks all its processes to end.
    pub(crate) fn terminate(&self) {
        #[cfg(unix)]
        self.signal(nix::sys::signal::Signal::SIGTERM);
    }

    fn terminate_leader(&self) {
        #[cfg(unix)]
        if let Some(id) = self.id {
            let _ = nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM);
        }
    }

    pub(crate) fn kill(&self) {
        #[cfg(unix)]
        self.signal(nix::sys::signal::Signal::SIGKILL);
    }

    #[cfg(unix)]
    fn signal(&self, signal: nix::sys::signal::Signal) {
        if let Some(id) = self.id {
            // Fails when nobody is left in the group, which is what is wanted.
            let _ = nix::sys::signal::killpg(id, signal);
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn endings_are_told_in_the_words_of_mesos() {
        let of = |raw| ending(ExitStatus::from_raw(raw)).unwrap();
        assert_eq!(of(0), "exited with status 0");
        assert_eq!(of(3 << 8), "exited with status 3");
        assert_eq!(of(9), "terminated with signal Killed");
        assert_eq!(of(15), "terminated with signal Terminated");
        // The flag of a core file, as wait(2) has it.
        assert_eq!(
            of(11 | 0x80),
            "terminated with signal Segmentation fault (core dumped)"
        );
        assert_eq!(of(34), "terminated with signal Real-time signal 0");
    }
}
