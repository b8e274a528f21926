//! The time that an executor has from its start to its first SUBSCRIBE.

use std::time::Duration;

use mesos_framework::proto::task_status::{Reason, Source};
use mesos_framework::proto::{CommandInfo, TaskState};

use crate::cluster::{Agents, Needs, OwnCluster};
use crate::executor_role::RUN;
use crate::framework::{Framework, QUIET, info, is_live, task};
use crate::recorder::Callback;

/// SIGKILL, as a raw wait status.
const KILLED: i32 = 9;

const TIMEOUT: Duration = Duration::from_secs(2);

async fn cluster() -> OwnCluster {
    let needs = Needs {
        agents: Agents::One,
        executor_registration: TIMEOUT,
        ..Needs::default()
    };
    OwnCluster::start(needs).await.expect("there is always one")
}

#[tokio::test]
async fn an_executor_that_does_not_register_in_time_is_killed_and_its_tasks_fail() {
    let cluster = cluster().await;
    let mut framework = Framework::register(&cluster.address(), info("silent-executor")).await;
    let offer = framework.offer().await;
    let mut first = task("first", RUN, &offer);
    let executor = first.executor.as_mut().unwrap();
    executor.command = Some(CommandInfo {
        value: Some("exec sleep 1000".into()),
        ..CommandInfo::default()
    });
    let mut second = task("second", RUN, &offer);
    second.executor = first.executor.clone();
    let executor_id = first.executor.as_ref().unwrap().executor_id.clone();
    framework.launch(offer.clone(), vec![first, second]).await;

    let (mut statuses, mut lost) = (Vec::new(), None);
    let told = |callback: &Callback| {
        match callback {
            Callback::Status(status) => statuses.push(status.clone()),
            Callback::ExecutorLost(id, agent_id, status) => {
                assert_eq!((id, agent_id), (&executor_id, &offer.agent_id));
                lost = Some(*status);
            }
            _ => {}
        }
        (statuses.len() == 2 && lost.is_some()).then_some(())
    };
    framework.until("the end of executor and tasks", told).await;
    assert_eq!(lost, Some(Some(KILLED)));
    for status in &statuses {
        assert_eq!(status.state(), TaskState::TaskFailed, "{status:?}");
        assert_eq!(
            status.reason(),
            Reason::ExecutorRegistrationTimeout,
            "{status:?}"
        );
        assert_eq!(status.source(), Source::Agent, "{status:?}");
        assert_eq!(status.message(), "Executor did not register within 2secs");
        assert_eq!(status.executor_id, Some(executor_id.clone()));
        assert!(status.uuid.is_some(), "{status:?}");
    }
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_executor_that_has_registered_outlives_the_time_for_it() {
    let cluster = cluster().await;
    let mut framework = Framework::register(&cluster.address(), info("timely-executor")).await;
    framework.run("timely", RUN).await;
    let ends = |callback: &Callback| match callback {
        Callback::Status(status) => !is_live(status.state()),
        Callback::ExecutorLost(..) => true,
        _ => false,
    };
    assert!(framework.is_without(TIMEOUT + QUIET, ends).await);
    framework.teardown().await;
    cluster.shutdown().await;
}
