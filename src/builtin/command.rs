//! The command executor: runs the one command of a task without an executor of its own.
//!
//! Source: `src/launcher/executor.cpp` of Apache Mesos 1.11.0.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::checks::Checks;
use super::kill::shutdown_grace_period;
use super::process::{Place, Process, Whom, variables};
use super::relay::{Launch, Order};
use super::status::{Reporter, send};
use super::task::{Parts, Running, role};
use crate::executor::ExecutorHandle;
use crate::proto::{TaskId, TaskState, TaskStatus};

/// Waits for the task, and runs its command.
pub(super) async fn run(
    place: Place,
    mut orders: mpsc::Receiver<Order>,
    driver: ExecutorHandle,
    end: CancellationToken,
) {
    let launch = tokio::select! {
        launch = first(&mut orders) => launch,
        () = end.cancelled() => return,
    };
    if let Some(launch) = launch {
        let running = start(*launch, place, &driver).await;
        let last = until_its_end(running, &mut orders, &driver, &end).await;
        let Some((mut reporter, last)) = last else {
            return;
        };
        reporter.send(last).await;
    }
    driver.stop();
}

/// The task; `None` if the executor is to end without one.
async fn first(orders: &mut mpsc::Receiver<Order>) -> Option<Box<Launch>> {
    loop {
        match orders.recv().await? {
            Order::Launch(launch) => return Some(launch),
            // Groups are not for this executor, and end it.
            Order::LaunchGroup(_) | Order::Shutdown => return None,
            // Of a task that is not here yet: the agent kills those itself.
            Order::Kill(..) => {}
        }
    }
}

async fn start(launch: Launch, mut place: Place, driver: &ExecutorHandle) -> Running {
    let mut reporter = Reporter::new(driver.clone(), &launch.task, None);
    reporter.tell(TaskState::TaskStarting).await;
    let since = Instant::now();
    let checks = Checks::of(&launch.task, || {
        let mut own = place.try_clone()?;
        own.stdout = own.stderr.try_clone()?;
        Ok(own)
    });
    let command = launch.task.command.clone().unwrap_or_default();
    place.environment.extend(variables(&command));
    let role = role(&launch.task);
    let name = "MESOS_ALLOCATION_ROLE".to_owned();
    place.environment.insert(name, role);
    let parts = Parts {
        process: Process::start(&command, place),
        checks,
        reporter,
        is_unhealthy: Arc::default(),
        whom: Whom::Group,
    };
    let mut running = Running::new(parts, &launch, since);
    running.reporter().tell(TaskState::TaskRunning).await;
    running
}

/// Answers the last status, to be sent; `None` if the command was ended from outside.
async fn until_its_end(
    mut running: Running,
    orders: &mut mpsc::Receiver<Order>,
    driver: &ExecutorHandle,
    end: &CancellationToken,
) -> Option<(Reporter, TaskStatus)> {
    loop {
        tokio::select! {
            happening = running.happening() => {
                if let Some(last) = running.react(happening).await {
                    return Some((running.into_reporter(), last));
                }
            }
            Some(order) = orders.recv() => obey(order, &mut running, driver).await,
            () = end.cancelled() => {
                running.destroy().await;
                return None;
            }
        }
    }
}

async fn obey(order: Order, running: &mut Running, driver: &ExecutorHandle) {
    match order {
        Order::Kill(_, policy) => running.kill_with(policy).await,
        Order::LaunchGroup(_) | Order::Shutdown => {
            let own = driver.config().shutdown_grace_period();
            running.kill_within(shutdown_grace_period(own)).await;
        }
        Order::Launch(launch) => send(driver, refusal(launch.task.task_id)).await,
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
