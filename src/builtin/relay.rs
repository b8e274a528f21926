//! The two parts of a built-in executor: what a driver calls, and what owns the processes and is driven beside the driver
//! by whoever hosts both.

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::process::Place;
use super::{command, default};
use crate::executor::{Executor, ExecutorHandle};
use crate::proto::framework_info::capability;
use crate::proto::{AgentInfo, ExecutorInfo, FrameworkInfo, KillPolicy, TaskId, TaskInfo};

/// Orders that may wait; they are taken as soon as they come.
const ORDERS: usize = 16;

/// Which of the built-in executors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Command,
    Default,
}

/// What the processes' owner is told.
#[derive(Debug)]
pub(super) enum Order {
    /// A task by itself.
    Launch(Box<Launch>),
    /// The tasks of a group.
    LaunchGroup(Vec<Launch>),
    Kill(TaskId, Option<KillPolicy>),
    Shutdown,
}

#[derive(Debug)]
pub(super) struct Launch {
    pub(super) task: TaskInfo,
    /// Whether the framework knows TASK_KILLING.
    pub(super) tells_killing: bool,
}

/// The part that the driver calls.
#[derive(Debug)]
pub(crate) struct BuiltIn {
    orders: mpsc::Sender<Order>,
    tells_killing: bool,
}

/// The part that owns the processes.
#[derive(Debug)]
pub(crate) struct Run {
    kind: Kind,
    place: Place,
    orders: mpsc::Receiver<Order>,
}

impl BuiltIn {
    /// An executor whose sandbox is `place`, and the part that runs its tasks.
    pub(crate) fn new(kind: Kind, place: Place) -> (Self, Run) {
        let (orders, receiver) = mpsc::channel(ORDERS);
        let executor = Self {
            orders,
            tells_killing: false,
        };
        let run = Run {
            kind,
            place,
            orders: receiver,
        };
        (executor, run)
    }

    async fn order(&self, order: Order) {
        // Nobody takes orders once the last task has ended, and nothing is left to do.
        let _ = self.orders.send(order).await;
    }

    fn launch(&self, task: TaskInfo) -> Launch {
        Launch {
            task,
            tells_killing: self.tells_killing,
        }
    }
}

impl Run {
    /// Waits for tasks, runs them, and stops the driver behind the last update.
    ///
    /// When `end` is cancelled, which it must be behind the driver's end, all process groups are killed and reaped, and
    /// nobody is told. Dropping the future kills the groups too, and leaves the reaping to the runtime.
    pub(crate) async fn run(self, driver: ExecutorHandle, end: CancellationToken) {
        match self.kind {
            Kind::Command => command::run(self.place, self.orders, driver, end).await,
            Kind::Default => default::run(self.place, self.orders, driver, end).await,
        }
    }
}

#[async_trait]
impl Executor for BuiltIn {
    async fn registered(
        &mut self,
        _: &ExecutorHandle,
        _: ExecutorInfo,
        framework_info: FrameworkInfo,
        _: AgentInfo,
    ) {
        let killing = capability::Type::TaskKillingState;
        let mut capabilities = framework_info.capabilities.iter();
        self.tells_killing = capabilities.any(|own| own.r#type() == killing);
    }

    async fn launch_task(&mut self, _: &ExecutorHandle, task: TaskInfo) {
        self.order(Order::Launch(Box::new(self.launch(task)))).await;
    }

    async fn launch_task_group(&mut self, _: &ExecutorHandle, tasks: Vec<TaskInfo>) {
        let launches = tasks.into_iter().map(|task| self.launch(task)).collect();
        self.order(Order::LaunchGroup(launches)).await;
    }

    async fn kill_task(&mut self, _: &ExecutorHandle, id: TaskId, policy: Option<KillPolicy>) {
        self.order(Order::Kill(id, policy)).await;
    }

    async fn shutdown(&mut self, _: &ExecutorHandle) {
        self.order(Order::Shutdown).await;
        self.orders.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn orders_to_what_has_ended_wait_for_nobody() {
        let file = || std::fs::File::open("/dev/null").unwrap();
        let place = Place {
            environment: std::collections::BTreeMap::new(),
            directory: "/".into(),
            stdout: file(),
            stderr: file(),
        };
        let (executor, run) = BuiltIn::new(Kind::Command, place);
        drop(run);
        for _ in 0..2 * ORDERS {
            executor.order(Order::Shutdown).await;
        }
    }
}
