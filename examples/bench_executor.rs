//! An executor that others can measure: each task runs, and has finished, at once.
//!
//! An agent starts it, as the executor of `bench_client` say. `benches/peers/` runs it beside its peers.

use mesos_framework::proto::{KillPolicy, TaskId, TaskInfo, TaskState, TaskStatus};
use mesos_framework::{Executor, ExecutorDriver, ExecutorHandle, async_trait};

struct NoOp;

#[async_trait]
impl Executor for NoOp {
    async fn launch_task(&mut self, driver: &ExecutorHandle, task: TaskInfo) {
        for state in [TaskState::TaskRunning, TaskState::TaskFinished] {
            let status = TaskStatus {
                task_id: task.task_id.clone(),
                state: state as i32,
                ..TaskStatus::default()
            };
            if let Err(error) = driver.send_status_update(status).await {
                eprintln!("not sent: {error}");
            }
        }
    }

    /// There is nothing to kill: it has ended.
    async fn kill_task(&mut self, _: &ExecutorHandle, _: TaskId, _: Option<KillPolicy>) {}

    async fn shutdown(&mut self, _: &ExecutorHandle) {}
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> mesos_framework::Result<()> {
    ExecutorDriver::builder(NoOp).build()?.run().await?;
    Ok(())
}
