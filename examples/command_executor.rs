//! Mesos's command executor, on this crate's driver: what an agent starts for tasks that are only a command.
//!
//!     cargo build --release --example command_executor --example default_executor
//!     cp target/release/examples/command_executor LAUNCHER_DIR/mesos-executor
//!     mesos-agent --launcher_dir=LAUNCHER_DIR --http_command_executor …

#[tokio::main(flavor = "current_thread")]
async fn main() -> mesos_framework::Result<()> {
    mesos_framework::builtin::run_command_executor().await
}
