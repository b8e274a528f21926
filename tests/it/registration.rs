//! How a framework comes and goes.

use mesos_framework::proto::{FrameworkId, FrameworkInfo, MasterInfo, Offer, TaskStatus};
use mesos_framework::{
    ConnectionState, ErrorKind, Scheduler, SchedulerDriver, SchedulerHandle, Status, async_trait,
};
use tokio::sync::oneshot;

use crate::cluster::{Cluster, content_type};
use crate::framework::{Framework, PATIENCE, info};
use crate::recorder::Callback;

/// Keeps what `registered` tells, and stops.
struct Guest(Option<oneshot::Sender<(FrameworkId, Option<MasterInfo>)>>);

#[async_trait]
impl Scheduler for Guest {
    async fn resource_offers(&mut self, _: &SchedulerHandle, _: Vec<Offer>) {}

    async fn status_update(&mut self, _: &SchedulerHandle, _: TaskStatus) {}

    async fn registered(
        &mut self,
        driver: &SchedulerHandle,
        id: FrameworkId,
        master_info: Option<MasterInfo>,
    ) {
        let told = self.0.take().expect("registered is called once");
        told.send((id, master_info)).unwrap();
        driver.stop();
    }
}

#[tokio::test]
async fn registered_tells_the_id_and_the_master() {
    let cluster = Cluster::start().await;
    let (sender, told) = oneshot::channel();
    let info = info("guest");
    let driver = SchedulerDriver::builder(Guest(Some(sender)), info, &cluster.address())
        .content_type(content_type())
        .build()
        .unwrap();
    let ended = tokio::time::timeout(PATIENCE, driver.run()).await.unwrap();
    assert_eq!(ended.unwrap(), Status::Stopped);
    let (id, master_info) = told.await.unwrap();
    let master_info = master_info.expect("masters tell who they are");
    assert!(
        id.value.starts_with(&format!("{}-", master_info.id)),
        "{id}"
    );
    let port = master_info.address.unwrap().port;
    assert!(cluster.address().ends_with(&format!(":{port}")));
    cluster.shutdown().await;
}

#[tokio::test]
async fn the_handle_knows_the_subscription_and_the_id() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("subscribed")).await;
    assert_eq!(framework.handle.framework_id(), Some(framework.id.clone()));
    assert_eq!(framework.handle.status(), Status::Running);
    let connection = framework.handle.connection();
    match connection.state {
        ConnectionState::Subscribed {
            address,
            generation,
            ..
        } => assert_eq!((address, generation), (cluster.address(), 1)),
        other => panic!("{other:?}"),
    }
    assert!(connection.last_error.is_none());
    assert_eq!(connection.failed_attempts, 0);

    framework.handle.stop();
    assert_eq!(framework.driver.join().await.unwrap(), Status::Stopped);
    assert_eq!(framework.handle.connection().state, ConnectionState::Closed);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_framework_that_was_torn_down_is_not_let_in_again() {
    let cluster = Cluster::start().await;
    let framework = Framework::register(&cluster.address(), info("torn-down")).await;
    let again = FrameworkInfo {
        id: Some(framework.id.clone()),
        ..framework.info.clone()
    };
    framework.teardown().await;
    let refused = Framework::subscribe(&cluster.address(), again, |builder| builder).await;
    let error = refused.err().expect("the id is used up");
    assert_eq!(error.kind(), ErrorKind::ErrorEvent);
    let expected = format!(
        "master {} says: Framework has been removed",
        cluster.address()
    );
    assert_eq!(error.to_string(), expected);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_framework_without_failover_timeout_is_removed_when_its_scheduler_goes() {
    let cluster = Cluster::start().await;
    let mut info = info("gone");
    info.failover_timeout = Some(0.0);
    let mut next = Ok(Framework::register(&cluster.address(), info.clone()).await);
    // A scheduler that comes back before the master has seen the other go is let in.
    for _ in 0..50 {
        let Ok(mut framework) = next else { break };
        info.id = Some(framework.id.clone());
        framework.handle.stop_for_failover();
        assert_eq!(framework.driver.join().await.unwrap(), Status::Stopped);
        next = Framework::subscribe(&cluster.address(), info.clone(), |builder| builder).await;
    }
    let error = next.err().expect("the master sees it go");
    assert_eq!(error.kind(), ErrorKind::ErrorEvent);
    assert!(
        error
            .to_string()
            .ends_with("says: Framework has been removed"),
        "{error}"
    );
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_aborted_driver_leaves_the_framework_to_the_next() {
    let cluster = Cluster::start().await;
    let mut first = Framework::register(&cluster.address(), info("aborted")).await;
    assert_eq!(first.handle.abort(), Status::Aborted);
    assert_eq!(first.driver.join().await.unwrap(), Status::Aborted);
    let again = FrameworkInfo {
        id: Some(first.id.clone()),
        ..first.info.clone()
    };
    let second = Framework::register(&cluster.address(), again).await;
    assert_eq!(second.id, first.id);
    let rest = first.recording.rest();
    assert!(
        !rest
            .iter()
            .any(|callback| matches!(callback, Callback::Error(_) | Callback::Disconnected)),
        "{rest:?}"
    );
    second.teardown().await;
    cluster.shutdown().await;
}
