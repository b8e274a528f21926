//! Mesos's default executor, on this crate's driver: what an agent starts for task groups.
//!
//!     cargo build --release --example command_executor --example default_executor
//!     cp target/release/examples/default_executor LAUNCHER_DIR/mesos-default-executor
//!     mesos-agent --launcher_dir=LAUNCHER_DIR …

#[tokio::main(flavor = "current_thread")]
async fn main() -> mesos_framework::Result<()> {
    mesos_framework::builtin::run_default_executor().await
}
