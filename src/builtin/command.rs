//! The command executor: runs the one command of a task without an executor of its own.
//!
//! It comes in two parts: [`CommandExecutor`], which a driver calls, and [`CommandRun`], which owns the child process and
//! is driven beside the driver by whoever hosts both. Checks and health checks are accepted and not carried out yet.
//!
//! Source: `src/launcher/executor.cpp` of Apache Mesos 1.11.0.

mod kill;
mod run;

use async_trait::async_trait;
use tokio::sync::mpsc;

use run::CommandRun;
pub(crate) use run::Place;

use crate::executor::{Executor, ExecutorHandle};
use crate::proto::framework_info::capability;
use crate::proto::{
    AgentInfo, ExecutorInfo, FrameworkInfo, KillPolicy, TaskId, TaskInfo, TaskState, TaskStatus,
};

/// Orders that may wait; they are taken as soon as they come.
const ORDERS: usize = 16;

/// What the process's owner is told.
#[derive(Debug)]
enum Order {
    Launch(Box<Launch>),
    Kill(Option<KillPolicy>),
    Shutdown,
}

#[derive(Debug)]
struct Launch {
    task: TaskInfo,
    /// Whether the framework knows TASK_KILLING.
    tells_killing: bool,
}

/// The part that the driver calls: passes on what is to be done.
#[derive(Debug)]
pub(crate) struct CommandExecutor {
    orders: mpsc::Sender<Order>,
    tells_killing: bool,
    is_launched: bool,
}

impl CommandExecutor {
    /// An executor whose command runs at `place`, and the part that runs it.
    pub(crate) fn new(place: Place) -> (Self, CommandRun) {
        let (orders, receiver) = mpsc::channel(ORDERS);
        let executor = Self {
            orders,
            tells_killing: false,
            is_launched: false,
        };
        (executor, CommandRun::new(place, receiver))
    }

    async fn order(&self, order: Order) {
        // Nobody takes orders once the command has ended, and nothing is left to do.
        let _ = self.orders.send(order).await;
    }
}

#[async_trait]
impl Executor for CommandExecutor {
    async fn registered(
        &mut self,
        _: &ExecutorHandle,
        _: ExecutorInfo,
        framework_info: FrameworkInfo,
        _: AgentInfo,
    ) {
        let killing = capability::Type::TaskKillingState;
        let capabilities = framework_info.capabilities.iter();
        self.tells_killing = capabilities
            .map(|own| own.r#type())
            .any(|own| own == killing);
    }

    async fn launch_task(&mut self, driver: &ExecutorHandle, task: TaskInfo) {
        if self.is_launched {
            send(driver, refusal(task.task_id)).await;
            return;
        }
        self.is_launched = true;
        let tells_killing = self.tells_killing;
        let launch = Launch {
            task,
            tells_killing,
        };
        self.order(Order::Launch(Box::new(launch))).await;
    }

    async fn kill_task(&mut self, _: &ExecutorHandle, _: TaskId, policy: Option<KillPolicy>) {
        self.order(Order::Kill(policy)).await;
    }

    async fn shutdown(&mut self, _: &ExecutorHandle) {
        self.order(Order::Shutdown).await;
        self.orders.closed().await;
    }
}

/// The end of a second task.
fn refusal(task_id: TaskId) -> TaskStatus {
    TaskStatus {
        task_id,
        state: TaskState::TaskFailed.into(),
        message: Some("Attempted to run multiple tasks using a \"command\" executor".to_owned()),
        ..Default::default()
    }
}

async fn send(driver: &ExecutorHandle, status: TaskStatus) {
    let task_id = status.task_id.clone();
    if let Err(error) = driver.send_status_update(status).await {
        tracing::warn!(%task_id, %error, "status update not sent");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        let file = || std::fs::File::open("/dev/null").unwrap();
        Place {
            environment: std::collections::BTreeMap::new(),
            directory: "/".into(),
            stdout: file(),
            stderr: file(),
        }
    }

    #[test]
    fn a_second_task_fails() {
        let status = refusal("second".into());
        assert_eq!(status.task_id.value, "second");
        assert_eq!(status.state(), TaskState::TaskFailed);
        assert_eq!(
            status.message(),
            "Attempted to run multiple tasks using a \"command\" executor"
        );
    }

    #[tokio::test]
    async fn orders_to_a_command_that_has_ended_wait_for_nobody() {
        let (executor, run) = CommandExecutor::new(place());
        drop(run);
        for _ in 0..2 * ORDERS {
            executor.order(Order::Kill(None)).await;
        }
    }
}
