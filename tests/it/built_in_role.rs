//! The crate's built-in executors as programs: this very program, started by an agent through the scripts that stand for
//! Mesos's own.

use std::fs;
use std::path::Path;

use mesos_framework::builtin;

/// Writes the scripts `mesos-executor` and `mesos-default-executor` into `folder`.
#[cfg(unix)]
pub fn install(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let program = std::env::current_exe().unwrap().display().to_string();
    let (_crate, module) = module_path!().split_once("::").unwrap();
    let roles = [
        ("mesos-executor", "runs_as_command_executor"),
        ("mesos-default-executor", "runs_as_default_executor"),
    ];
    for (name, test) in roles {
        // What the harness of tests says is not the executor's to say.
        let script = format!(
            "#!/bin/sh\nexec '{program}' {module}::{test} --exact --nocapture >/dev/null 2>&1\n"
        );
        let path = folder.join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn is_started_by_an_agent() -> bool {
    std::env::var_os("MESOS_EXECUTOR_ID").is_some()
}

#[tokio::test]
async fn runs_as_command_executor() {
    if is_started_by_an_agent() {
        builtin::run_command_executor().await.unwrap();
    }
}

#[tokio::test]
async fn runs_as_default_executor() {
    if is_started_by_an_agent() {
        builtin::run_default_executor().await.unwrap();
    }
}
